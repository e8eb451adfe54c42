"""Names of what a training run writes below `output_dir`."""

RECIPE = "recipe.yaml"  # the recipe with all overrides
TUNED = "tuned"  # the finished checkpoint, adapters merged
REPORT = "report.json"
ADAPTER = "adapter"  # with LoRA, the adapters alone
