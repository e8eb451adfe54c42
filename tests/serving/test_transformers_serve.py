"""`transformers serve` chats about photos with a checkpoint and rates them, started as a user starts it."""

import base64
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMultimodalLM
from transformers.models.auto import modeling_auto
from transformers.utils.import_utils import is_fastapi_available, is_openai_available, is_uvicorn_available

from aesthetic_mllm import AestheticAssessor, AestheticMLLMConfig, AestheticMLLMForConditionalGeneration
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.cli.main import main
from aesthetic_mllm.serving import transformers_serve
from aesthetic_mllm.tasks.commenting import comment_prompt
from lively_assessor import lively_assessor
from photo_files import scene

PHOTO = Path(__file__).parents[2] / "examples" / "photos" / "coffee.jpg"
LEVELS = ["bad", "poor", "fair", "good", "excellent"]
needs_decisions = pytest.mark.skipif(
    importlib.util.find_spec("transformers.decision") is None, reason="this version of transformers has no decision pipeline"
)


def test_the_tables_that_transformers_serve_asks_know_the_model() -> None:
    name = AestheticMLLMForConditionalGeneration.__name__
    assert modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES["aesthetic_mllm"] == name
    assert modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES["aesthetic_mllm"] == name
    assert AestheticMLLMConfig in modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING
    model = AutoModelForMultimodalLM.from_config(lively_assessor().model.config)
    assert isinstance(model, AestheticMLLMForConditionalGeneration)
    assert list(modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING.keys())  # nothing of it is looked for in transformers


@needs_decisions
def test_the_decision_pipeline_rates_as_the_assessor_does() -> None:
    from transformers.decision import DecisionConfig
    from transformers.pipelines import DecisionPipeline

    assessor = lively_assessor(attributes=True)
    processor, photo = assessor.processor, scene(300, 200)
    expected = assessor.ratings(photo, ["aesthetic", "composition"])
    decide = DecisionPipeline(
        model=assessor.model,
        tokenizer=processor.tokenizer,
        processor=processor,
        decision_config=DecisionConfig(**transformers_serve.decision_config(processor)),
    )
    questions = {key: {"type": "score", "instructions": key, "criteria": LEVELS} for key in expected}
    answers = decide({"state": "<photo>", "questions": questions, "assets": {"<photo>": photo}})
    for key, rating in expected.items():
        assert list(answers[key]["probabilities"].values()) == pytest.approx(list(rating.distribution.values()), abs=1e-5)
        low, high = rating.score_range
        assert low + answers[key]["score"] / 4 * (high - low) == pytest.approx(rating.mean, abs=1e-4)

    def refused(state: str, message: str, **question: Any) -> None:
        asked = {"type": "score", "instructions": "aesthetic", "criteria": LEVELS} | question
        with pytest.raises(Exception, match=message):
            decide({"state": state, "questions": {"rating": asked}, "assets": {"<photo>": photo}})

    refused("<photo>", "with one of these as its instructions: aesthetic, quality", instructions="beauty")
    refused("<photo>", "of type score", type="choice", criteria={"a": None})
    refused("<photo>", "Give 5 criteria, worst first.*bad, poor, fair, good, excellent", criteria=LEVELS[:2])
    refused("no photo", "placeholder of one photo")
    refused("<photo> and <photo>", "placeholder of one photo")


def test_the_command_passes_options_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(transformers_serve, "serve", lambda model, options: asked.append((model, options)))
    assert main(["serve"]) == 0 and main(["serve", "--model", "owner/name", "--", "--port", "8001"]) == 0
    assert asked == [(str(embedded_checkpoint()), []), ("owner/name", ["--port", "8001"])]
    assert main(["serve", "--model", "nothing"]) == 2
    assert "owner/nothing" in capsys.readouterr().err


def test_without_what_it_needs_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("transformers.utils.import_utils.is_serve_available", lambda: False)
    assert main(["serve"]) == 2
    assert "pip install 'transformers[serving]'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server of the embedded checkpoint, started by the command."""
    if not (is_fastapi_available() and is_uvicorn_available() and is_openai_available()):
        pytest.skip("transformers[serving] is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "aesthetic_mllm.cli", "serve", "--", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        command, env=dict(os.environ, HF_HUB_OFFLINE="1"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert server.poll() is None, server.stderr.read().decode()[-3000:]  # type: ignore[union-attr]
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5)
                break
            except urllib.error.URLError:
                time.sleep(0.5)
        yield url
    finally:
        server.kill()
        server.communicate()


def ask(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return dict(json.load(answer))


@pytest.mark.slow
@needs_decisions
def test_chat_and_ratings_of_a_server(address: str) -> None:
    assessor = AestheticAssessor.from_pretrained(device="cpu")
    processor, model = assessor.processor, assessor.model
    photo = base64.b64encode(PHOTO.read_bytes()).decode()

    questions = {"beauty": {"type": "score", "instructions": "aesthetic", "criteria": LEVELS}}
    assets = {"<photo>": {"type": "image", "format": "jpeg", "data_base64": photo}}
    named = {"model": str(embedded_checkpoint())}
    answer = ask(f"{address}/v1/systemone", {**named, "state": "<photo>", "questions": questions, "assets": assets})
    expected = assessor.score(PHOTO)
    assert expected.distribution is not None
    found = list(answer["answers"]["beauty"]["probabilities"].values())
    assert found == pytest.approx(list(expected.distribution.values()), abs=1e-4)

    request = comment_prompt(style="brief")
    content = [{"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{photo}"}}, {"type": "text", "text": request}]
    chat = {**named, "messages": [{"role": "user", "content": content}], "max_tokens": 40, "temperature": 0}
    said = ask(f"{address}/v1/chat/completions", chat)["choices"][0]["message"]["content"]
    inputs = processor(text=processor.assistant_prompt(request), images=[PHOTO], return_tensors="pt")
    with torch.inference_mode():
        ids = model.generate(**inputs, max_new_tokens=40, do_sample=False, eos_token_id=processor.end_of_turn_ids)
    assert said.strip() == processor.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
