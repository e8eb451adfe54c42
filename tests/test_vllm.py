"""vLLM serves the embedded checkpoint through its Transformers backend, and rates as transformers does."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint

SAMPLES = sorted((Path(__file__).parents[1] / "examples" / "photos").glob("*.jpg"))
TOLERANCE = 0.02  # points on the scale from 1 to 10
COUNT = 20

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed in this environment"),
]


def photos(folder: Path) -> list[Path]:
    """The sample photos, and tall, wide, dark and mirrored ones made of them."""
    made = []
    for path in SAMPLES:
        photo = Image.open(path).convert("RGB")
        width, height = photo.size
        made += [
            photo,
            photo.crop((0, 0, width // 2, height)),
            photo.crop((0, height // 3, width, height)),
            ImageOps.mirror(ImageEnhance.Brightness(photo).enhance(0.4)),
        ]
    paths = [folder / f"{number}.png" for number in range(COUNT)]
    for photo, path in zip(made[:COUNT], paths, strict=True):
        photo.save(path)
    return paths


def test_vllm_rates_as_transformers_does(tmp_path: Path) -> None:
    """The means from the five level words' log-probabilities are those of transformers, for photos of many shapes."""
    folder = embedded_checkpoint()
    processor = AestheticMLLMProcessor.from_pretrained(folder)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    paths = photos(tmp_path)
    request, answer = tmp_path / "request.json", tmp_path / "answer.json"
    asked = {
        "checkpoint": str(folder),
        "prompt": processor.rating_prompt(),
        "photos": [str(path) for path in paths],
        "level_ids": processor.level_ids,
    }
    request.write_text(json.dumps(asked))
    script = Path(__file__).with_name("vllm_ratings.py")
    environment = dict(os.environ, HF_MODULES_CACHE=str(tmp_path / "modules"))  # nobody else's copies of the checkpoint's code
    command = [sys.executable, str(script), str(request), str(answer)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-5000:]
    with torch.inference_mode():
        expected = processor.decode_ratings(model(**processor.rating_inputs(paths), logits_to_keep=1).logits)
    found = processor.rating_scale.read_level_logits(torch.tensor(json.loads(answer.read_text())))
    differences = [abs(one.mean - other.mean) for one, other in zip(found, expected, strict=True)]
    assert len({round(rating.mean, 3) for rating in expected}) == COUNT  # photos that tell ratings apart
    print(f"largest difference between vLLM and transformers over {COUNT} photos: {max(differences):.6f} points")  # noqa: T201
    assert max(differences) < TOLERANCE
