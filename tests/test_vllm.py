"""vLLM serves the embedded checkpoint through its Transformers backend, and rates as transformers does."""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

import aesthetic_mllm
from aesthetic_mllm import AestheticAssessor, Rating
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.inference.server_assessor import ServerAssessor
from aesthetic_mllm.tasks.commenting import STYLES, comment_prompt

ROOT = Path(__file__).parents[1]
SAMPLES = sorted((ROOT / "examples" / "photos").glob("*.jpg"))
TOLERANCE = 0.02  # points on the scale from 1 to 10
COUNT = 20
START = 900  # seconds that a server may take on a busy machine

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed in this environment"),
]


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    return AestheticAssessor.from_pretrained(device="cpu")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
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
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{number}.png" for number in range(COUNT)]
    for photo, path in zip(made[:COUNT], paths, strict=True):
        photo.save(path)
    return paths


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where vLLM finds the package's plugin, whether the package is installed or named by PYTHONPATH."""
    folder = tmp_path_factory.mktemp("plugin")
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    package = Path(aesthetic_mllm.__file__).parents[1]
    searched = [str(folder), str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(searched),
        "HF_MODULES_CACHE": str(folder / "modules"),  # nobody else's copies of the checkpoint's code
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
    }


def largest_difference(found: list[Rating], expected: list[Rating]) -> float:
    """Of the means of photos that ratings tell apart."""
    assert len({round(rating.mean, 3) for rating in expected}) == COUNT
    return max(abs(one.mean - other.mean) for one, other in zip(found, expected, strict=True))


def test_vllm_rates_as_transformers_does_by_the_checkpoints_own_code(
    assessor: AestheticAssessor, paths: list[Path], environment: dict[str, str], tmp_path: Path
) -> None:
    """The means from the five level words' log-probabilities, without the plugin."""
    processor = assessor.processor
    request, answer = tmp_path / "request.json", tmp_path / "answer.json"
    asked = {
        "checkpoint": str(embedded_checkpoint()),
        "prompt": processor.rating_prompt(),
        "photos": [str(path) for path in paths],
        "level_ids": processor.level_ids,
    }
    request.write_text(json.dumps(asked))
    script = Path(__file__).with_name("vllm_ratings.py")
    without = {**environment, "VLLM_PLUGINS": ""}
    done = subprocess.run([sys.executable, str(script), str(request), str(answer)], capture_output=True, text=True, env=without)
    assert done.returncode == 0, done.stderr[-5000:]
    found = processor.rating_scale.read_level_logits(torch.tensor(json.loads(answer.read_text())))
    difference = largest_difference(found, assessor.score(paths))
    print(f"largest difference between vLLM and transformers over {COUNT} photos: {difference:.6f} points")  # noqa: T201
    assert difference < TOLERANCE


def test_vllm_rates_as_the_page_says(assessor: AestheticAssessor, environment: dict[str, str], tmp_path: Path) -> None:
    """The block of docs/serve.md, which runs the package's code by the plugin."""
    page = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?from vllm import.*?)^```", page, re.S | re.M)
    (tmp_path / "rate.py").write_text(block)
    shutil.copy(SAMPLES[0], tmp_path / "photo.jpg")
    done = subprocess.run([sys.executable, "rate.py"], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-5000:]
    (mean,) = re.findall(r"Rating\(mean=([\d.]+)", done.stdout)
    assert abs(float(mean) - assessor.score(SAMPLES[0]).mean) < TOLERANCE


@pytest.fixture(scope="module")
def served(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAssessor]:
    """A server of the embedded checkpoint, started as on the command line, and its assessor."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    try:
        importlib.metadata.version("vllm")
        start = ["vllm.entrypoints.cli.main", "serve", str(embedded_checkpoint())]
    except importlib.metadata.PackageNotFoundError:  # vllm-cpu, whose command `vllm` looks for a package of that name
        start = ["vllm.entrypoints.openai.api_server", "--model", str(embedded_checkpoint())]
    options = ["--dtype", "float32", "--max-model-len", "512", "--enforce-eager", "--host", "127.0.0.1", "--port", port]
    log = tmp_path_factory.mktemp("server") / "log"
    with open(log, "wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", *start, *options], env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            end = time.monotonic() + START
            while True:
                assert server.poll() is None and time.monotonic() < end, log.read_text()[-5000:]
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                    break
                except (urllib.error.URLError, TimeoutError):
                    time.sleep(1)
            yield AestheticAssessor.from_server(f"http://127.0.0.1:{port}", timeout=300, concurrency=4)
        finally:
            server.terminate()  # vLLM ends its own processes
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, 9)


def test_a_server_rates_as_transformers_does(served: ServerAssessor, assessor: AestheticAssessor, paths: list[Path]) -> None:
    expected = assessor.score(paths)
    difference = largest_difference(served.score(paths), expected)
    print(f"largest difference between a server and transformers over {COUNT} photos: {difference:.6f} points")  # noqa: T201
    assert difference < TOLERANCE
    for key, rating in served.attributes(paths[0]).items():
        assert abs(rating.mean - assessor.attributes(paths[0])[key].mean) < TOLERANCE


def test_a_server_comments_as_generate_does(served: ServerAssessor, assessor: AestheticAssessor, paths: list[Path]) -> None:
    processor, some = assessor.processor, paths[::5]
    prompt = processor.assistant_prompt(comment_prompt(style="brief"))
    expected = []
    for path in some:
        inputs = processor(text=prompt, images=[path], return_tensors="pt")
        most, stop = STYLES["brief"].max_new_tokens, processor.end_of_turn_ids
        ids = assessor.model.generate(**inputs, max_new_tokens=most, do_sample=False, eos_token_id=stop)
        words = processor.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        expected.append(words.strip())
    assert served.comment(some) == expected and len(set(expected)) > 1
