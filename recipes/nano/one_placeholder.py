"""Converts a checkpoint whose groups of visual tokens have a placeholder each to the one placeholder of today. No weight changes.

    python recipes/nano/one_placeholder.py CHECKPOINT ...        # default: the embedded checkpoint

The placeholder is the thematic group's; those of the other groups stay in the vocabulary, so that no id moves. Code that travels
with a checkpoint is replaced by the package's own.
"""

import argparse
import json
import shutil
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "aesthetic_mllm"
EMBEDDED = SOURCE / "checkpoints" / "nano"


def convert(folder: Path) -> None:
    """In place; a checkpoint that is converted already only gets the package's code."""
    config_path, processor_path = folder / "config.json", folder / "processor_config.json"
    config, processor = json.loads(config_path.read_text()), json.loads(processor_path.read_text())
    if "group_token_ids" in config:
        config["image_token_id"] = config.pop("group_token_ids")["thematic"]
        config["num_group_tokens"] = processor["num_group_tokens"]
    if "group_tokens" in processor:
        processor["image_token"] = processor.pop("group_tokens")["thematic"]
    for path, values in ((config_path, config), (processor_path, processor)):
        path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")
    for path in folder.glob("*.py"):
        (original,) = [room / path.name for room in (SOURCE / "modeling", SOURCE / "processing") if (room / path.name).exists()]
        shutil.copyfile(original, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="*", default=[EMBEDDED], metavar="CHECKPOINT")
    for checkpoint in parser.parse_args().checkpoints:
        convert(checkpoint)
