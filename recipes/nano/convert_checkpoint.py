"""Converts a checkpoint of an older version to the keys and files of today. No weight changes.

    python recipes/nano/convert_checkpoint.py CHECKPOINT ...        # default: the embedded checkpoint

All visual tokens get one placeholder, the thematic group's; those of the other groups stay in the vocabulary, so that no id
moves. What lay beside the weights goes to the folder of side files. Code that travels with a checkpoint becomes the package's.
"""

import argparse
import json
import shutil
from pathlib import Path

from aesthetic_mllm.processing.checkpoint_side_files import OLD_SIDE_FILES, SIDE_FILE_FOLDER

SOURCE = Path(__file__).parents[2] / "src" / "aesthetic_mllm"
EMBEDDED = SOURCE / "checkpoints" / "nano"
OLD_WEIGHTS = ("example_trust", "example_weight")  # names of in_context_weight


def convert(folder: Path) -> None:
    """In place; a checkpoint that is converted already only gets the package's code."""
    config_path, processor_path = folder / "config.json", folder / "processor_config.json"
    config, processor = json.loads(config_path.read_text()), json.loads(processor_path.read_text())
    if "group_token_ids" in config:
        config["image_token_id"] = config.pop("group_token_ids")["thematic"]
        config["num_group_tokens"] = processor["num_group_tokens"]
    if "group_tokens" in processor:
        processor["image_token"] = processor.pop("group_tokens")["thematic"]
    for name in OLD_WEIGHTS:
        if name in processor:
            processor["in_context_weight"] = processor.pop(name)
    for old, new in OLD_SIDE_FILES.items():
        if (path := folder / f"{old}.safetensors").exists():
            (folder / SIDE_FILE_FOLDER).mkdir(exist_ok=True)
            path.rename(folder / SIDE_FILE_FOLDER / f"{new}.safetensors")
            processor["side_files"] = sorted({*processor.get("side_files", ()), new})
    for path, values in ((config_path, config), (processor_path, processor)):
        path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")
    if any(folder.glob("*.py")):
        for name in [path.name for path in EMBEDDED.glob("*.py")]:
            (original,) = [room / name for room in (SOURCE / "modeling", SOURCE / "processing") if (room / name).exists()]
            shutil.copyfile(original, folder / name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="*", default=[EMBEDDED], metavar="CHECKPOINT")
    for checkpoint in parser.parse_args().checkpoints:
        convert(checkpoint)
