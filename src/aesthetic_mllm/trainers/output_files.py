"""Names of what a training run writes below `output_dir`."""

RECIPE = "recipe.yaml"  # the recipe with all overrides
TUNED = "tuned"  # the finished checkpoint, adapters merged
ALIGNED = "aligned"  # the finished checkpoint of alignment
REPORT = "report.json"
ADAPTER = "adapter"  # with LoRA, the adapters alone
