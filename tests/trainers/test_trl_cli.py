"""Stock TRL, which knows nothing of this package, trains its checkpoints."""

import os
import subprocess
import sys
from pathlib import Path

from datasets import Dataset, Features, Image, List, Value
from safetensors.torch import load_file

from aesthetic_mllm import AestheticMLLMProcessor
from photo_files import scene
from tiny_models import tiny_model


def test_trl_sft_trains_a_saved_checkpoint(tmp_path: Path, processor: AestheticMLLMProcessor) -> None:
    """`trl sft` with trust_remote_code takes three steps on a chat data set and saves weights that have moved."""
    folder, data, out = tmp_path / "model", tmp_path / "data", tmp_path / "out"
    tiny_model("efficientnet_lite", "llama", processor).save_pretrained(folder)
    processor.save_pretrained(folder)
    data.mkdir()
    message = {"role": Value("string"), "content": Value("string")}
    Dataset.from_dict(
        {
            "images": [[scene(60 + index, 50)] for index in range(6)],
            "prompt": [[{"role": "user", "content": "How good?"}]] * 6,
            "completion": [[{"role": "assistant", "content": "It is fair."}]] * 6,
        },
        features=Features({"images": List(Image()), "prompt": List(message), "completion": List(message)}),
    ).to_parquet(data / "train.parquet")
    command = [
        *(
            sys.executable,
            "-c",
            "from trl.cli import main; main()",
            "sft",
            "--model_name_or_path",
            str(folder),
            "--dataset_name",
            str(data),
        ),
        *("--output_dir", str(out), "--trust_remote_code", "--max_steps", "3", "--per_device_train_batch_size", "2"),
        *("--max_length", "None", "--use_cpu", "--bf16", "False", "--report_to", "none", "--learning_rate", "1e-2"),
    ]
    environment = dict(os.environ, HF_HUB_OFFLINE="1", HF_MODULES_CACHE=str(tmp_path / "modules"), PYTHONPATH="")
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    before, after = load_file(folder / "model.safetensors"), load_file(out / "model.safetensors")
    assert before.keys() == after.keys()
    moved = "model.multi_modal_projector.qformers.low.queries"
    assert not before[moved].equal(after[moved])
