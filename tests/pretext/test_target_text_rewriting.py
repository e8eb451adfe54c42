"""Reworded target texts say the same as before, are asked for once, and come from any language model."""

import dataclasses
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from aesthetic_mllm.pretext import target_text_rewriting
from aesthetic_mllm.pretext.phrase_bank import PhraseBank, TargetText
from aesthetic_mllm.pretext.target_text_rewriting import (
    TargetTextRewriter,
    TargetTextRewritingError,
    generate_with_endpoint,
    generate_with_pipeline,
)

BANK = PhraseBank()
DARK = TargetText("How bright is this photo?", "The overall light is very dark.", "brightness:0")
EDITED = TargetText("What changed?", "The second photo is slightly brighter; it is worse.", "exposure:more:slightly")
PALER = TargetText("What changed?", "The second photo is clearly paler; it is better.", "saturation:less:clearly")
LAKE = TargetText("What does it show?", "It shows a mountain lake.", "content:a mountain lake")


class FakeModel:
    """Gives the same answer to every prompt, and counts."""

    def __init__(self, answer: str):
        self.answer, self.prompts = answer, []

    def __call__(self, prompt: str) -> str:
        self.prompts.append(prompt)
        return self.answer


@pytest.mark.parametrize(
    ("target_text", "answer", "wanted"),
    [
        (DARK, "Overall, the light in this picture is very dark.", "Overall, the light in this picture is very dark."),
        (DARK, ' "almost black light fills\nthe frame" ', "Almost black light fills the frame."),
        (DARK, "", "is empty"),
        (DARK, "...", "is empty"),
        (DARK, "It is very dark. I like it.", "is not one statement"),
        (DARK, "Is the light very dark?", "is not one statement"),
        (DARK, "The light is very dark" + " indeed" * 30, "is too long"),
        (DARK, "The light is lovely.", "lost its amount"),
        (DARK, "The light is very dark, almost rather dark.", "says another amount"),
        (DARK, "The light is extremely dim.", "lost its amount"),  # held out of training
        (EDITED, "A touch of it: slightly lighter overall, yet spoiled.", None),
        (EDITED, "Now it looks a little more exposed and weaker.", "Now it looks a little more exposed and weaker."),
        (EDITED, "Now it looks a little less exposed and weaker.", "lost its change"),
        (EDITED, "Now it looks strongly more exposed and weaker.", "lost its strength"),
        (EDITED, "Now it looks a little more exposed and nicer.", "lost its verdict"),
        (EDITED, "Now it is a little brighter, clearly worse.", "says another strength"),
        (PALER, "The colours are plainly paler, and it is improved.", "The colours are plainly paler, and it is improved."),
        (LAKE, "You are looking at a quiet mountain lake.", "You are looking at a quiet mountain lake."),
        (LAKE, "You are looking at water.", "lost its content"),
    ],
)
def test_only_a_rewording_that_says_the_same_is_accepted(
    tmp_path: Path, target_text: TargetText, answer: str, wanted: str | None
) -> None:
    """The text changes, question and label stay; a refused one leaves the target text as it is and is counted by its fault."""
    rewriter = TargetTextRewriter(FakeModel(answer), tmp_path / "cache.jsonl", BANK)
    new = rewriter(target_text)
    if wanted is not None and wanted.endswith("."):
        assert new == dataclasses.replace(target_text, text=wanted) and rewriter.counts == {"accepted": 1}
    else:
        assert new is target_text and sum(rewriter.counts.values()) == 1 and "accepted" not in rewriter.counts
        assert wanted is None or rewriter.counts == {wanted: 1}


def test_every_target_text_of_the_bank_says_what_it_says(tmp_path: Path) -> None:
    """The rules know every label and every wording, trained or held out: a target text's own text always passes."""
    rewriter = TargetTextRewriter(None, tmp_path / "cache.jsonl", BANK)
    target_texts = [
        target_text
        for level in ("low", "middle", "high")
        for held_out in (False, True)
        for seed in range(1 if held_out else 8)
        for target_text in BANK.every_target_text(level, seed, held_out)
    ]
    faults = [
        (target_text.text, rewriter.fault(target_text, target_text.text))
        for target_text in target_texts
        if rewriter.fault(target_text, target_text.text)
    ]
    assert len(target_texts) > 1000 and not faults


def test_no_target_text_passes_for_one_of_another_label(tmp_path: Path) -> None:
    """Within an attribute or an edit, the text of another bin, direction or strength is refused."""
    rewriter = TargetTextRewriter(None, tmp_path / "cache.jsonl", BANK)

    def subject(target_text: TargetText) -> tuple[str, int]:
        return target_text.label.split(":")[0], target_text.label.count(":")  # an edit may have an attribute's name

    for level in ("low", "middle", "high"):
        target_texts = list(BANK.every_target_text(level, seed=1))
        for target_text in target_texts:
            others = [
                other for other in target_texts if subject(other) == subject(target_text) and other.label != target_text.label
            ]
            assert all(rewriter.fault(target_text, other.text) for other in others), target_text


def test_each_target_text_is_asked_for_once_and_a_cut_off_cache_goes_on(tmp_path: Path) -> None:
    """A second rewriter reads what the first was told, good or bad; half a line costs that line alone."""
    cache, model = tmp_path / "deep" / "cache.jsonl", FakeModel("The light here is very dark.")
    first = TargetTextRewriter(model, cache, BANK)
    assert first(DARK) == first(DARK) and len(model.prompts) == 1
    first(EDITED)
    assert len(model.prompts) == 2 and first.counts["lost its change"] == 1
    cache.write_bytes(cache.read_bytes()[:-9])

    again = TargetTextRewriter(model, cache, BANK)
    assert again(DARK).text == "The light here is very dark." and len(model.prompts) == 2
    again(EDITED)
    assert len(model.prompts) == 3
    reader = TargetTextRewriter(None, cache, BANK)
    assert reader(DARK).text != DARK.text and reader(LAKE) is LAKE
    assert reader.counts == {"accepted": 1, "not in the cache": 1}


def test_bank_version_and_prompt_version_are_part_of_the_key(tmp_path: Path) -> None:
    rewriter = TargetTextRewriter(None, tmp_path / "cache.jsonl", PhraseBank())
    keys = {rewriter.key(DARK), rewriter.key(dataclasses.replace(DARK, text="x")), rewriter.key(EDITED)}
    rewriter.bank.version += 1
    keys.add(rewriter.key(DARK))
    keys.add(TargetTextRewriter(None, tmp_path / "cache.jsonl", BANK, prompt_version="other").key(DARK))
    assert len(keys) == 5


def test_faults_of_cache_and_bank_are_named(tmp_path: Path) -> None:
    with pytest.raises(TargetTextRewritingError, match="cannot be read"):
        TargetTextRewriter(None, tmp_path, BANK)
    with pytest.raises(TargetTextRewritingError, match="knows no label 'beauty:1'"):
        TargetTextRewriter(FakeModel("It is fine."), tmp_path / "cache.jsonl", BANK)(TargetText("?", "It is.", "beauty:1"))


class FakePipeline:
    def __init__(self, answer: object, chat_template: str | None):
        self.answer, self.tokenizer, self.asked = answer, type("T", (), {"chat_template": chat_template}), None

    def __call__(self, asked: object, **options: object) -> object:
        self.asked, self.options = asked, options
        return self.answer


def test_text_generation_pipelines_with_and_without_turns() -> None:
    """A chat template is used where there is one; else the first line of what follows the prompt counts."""
    chat = FakePipeline([{"generated_text": "It is dark."}], "{{ messages }}")
    assert generate_with_pipeline(chat, do_sample=False)("say") == "It is dark."
    assert chat.asked == [{"role": "user", "content": "say"}] and chat.options["do_sample"] is False
    turns = [{"role": "user", "content": "say"}, {"role": "assistant", "content": "It is dim."}]
    assert generate_with_pipeline(FakePipeline([{"generated_text": turns}], "x"))("say") == "It is dim."
    plain = FakePipeline([{"generated_text": " It is dark.\nRemark: more"}], None)
    assert generate_with_pipeline(plain)("say") == "It is dark." and plain.asked.startswith("say")
    with pytest.raises(TargetTextRewritingError, match="generated_text"):
        generate_with_pipeline(FakePipeline([], None))("say")


def test_a_transformers_pipeline_is_called_rightly(tmp_path: Path) -> None:
    """A tiny random model rewords nothing well, so the target text is kept."""
    from transformers import LlamaForCausalLM, pipeline

    from tiny_models import LANGUAGE_MODELS, tiny_tokenizer

    tokenizer = tiny_tokenizer()
    config = type(LANGUAGE_MODELS["llama"])(**LANGUAGE_MODELS["llama"].to_diff_dict() | {"vocab_size": len(tokenizer)})
    generate = generate_with_pipeline(
        pipeline("text-generation", model=LlamaForCausalLM(config).eval(), tokenizer=tokenizer, device="cpu"), max_new_tokens=4
    )
    assert isinstance(generate("The light is very dark."), str)
    assert TargetTextRewriter(generate, tmp_path / "cache.jsonl", BANK)(DARK) is DARK


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """Answers with what stands in `answers`, (status, body) each, and keeps the requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.requests.append((self.path, dict(self.headers), json.loads(body)))
            status, answer = self.server.answers.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.answers = [], []
    server.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def completion(text: str) -> str:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})


def test_an_endpoint_rewords_target_texts(server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The request is OpenAI's, with the key of the environment; a busy server is asked again."""
    monkeypatch.setenv("TEST_KEY", "secret")
    monkeypatch.setattr(target_text_rewriting, "PAUSE", 0.0)
    server.answers += [(503, "busy"), (200, completion("Everything lies in very dark light."))]
    rewriter = TargetTextRewriter(generate_with_endpoint(server.url, "some-model", "TEST_KEY"), tmp_path / "cache.jsonl", BANK)
    assert rewriter(DARK).text == "Everything lies in very dark light."
    path, headers, body = server.requests[-1]
    assert len(server.requests) == 2 and path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret" and body["model"] == "some-model"
    assert DARK.text in body["messages"][0]["content"]
    assert "secret" not in (tmp_path / "cache.jsonl").read_text()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((401, "no such key"), "HTTP 401"),
        ((200, "<html>"), "no chat completion but"),
        ((200, json.dumps({"error": "overloaded"})), "no chat completion but"),
        ((200, json.dumps({"choices": [{"message": {"content": None}}]})), "without text"),
    ],
)
def test_bad_answers_of_an_endpoint_are_errors_and_not_cached(server, answer: tuple, message: str, tmp_path: Path) -> None:
    server.answers.append(answer)
    rewriter = TargetTextRewriter(generate_with_endpoint(server.url, "m", None), tmp_path / "cache.jsonl", BANK)
    with pytest.raises(TargetTextRewritingError, match=message):
        rewriter(DARK)
    assert not (tmp_path / "cache.jsonl").exists()


def test_wrong_addresses_and_missing_keys_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    monkeypatch.setattr(target_text_rewriting, "PAUSE", 0.0)
    with pytest.raises(TargetTextRewritingError, match="TEST_KEY"):
        generate_with_endpoint("https://127.0.0.1", "m", "TEST_KEY")
    with pytest.raises(TargetTextRewritingError, match="no http or https"):
        generate_with_endpoint("file:///etc/hosts", "m", None)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as unused:
        port = unused.server_port
    with pytest.raises(TargetTextRewritingError, match="after 3 attempt"):
        generate_with_endpoint(f"http://127.0.0.1:{port}", "m", None, timeout=5)("say")
