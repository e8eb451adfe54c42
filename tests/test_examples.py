"""The example scripts run as their docstrings say."""

import json
import os
import runpy
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from aesthetic_mllm import AestheticMLLMForConditionalGeneration
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_samples import LEVELS
from aesthetic_mllm.pretext.target_text_rewriting import TargetTextRewriter
from synthetic_photos import scene_photo

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(script: str, *arguments: str) -> str:
    """What a script writes on the error stream, where logging goes; it must end well."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=os.pathsep.join(sys.path))
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def test_align(checkpoint: Path, tmp_path: Path) -> None:
    """Two steps on six photos and a broken file leave a checkpoint that loads."""
    pool = tmp_path / "pool"
    pool.mkdir()
    for number in range(6):
        scene_photo(72 + 4 * number, 64).save(pool / f"{number}.png")
    (pool / "broken.png").write_bytes(b"no photo")
    settings = ["--model", str(checkpoint), "--output", str(tmp_path / "out"), "--batch-size", "3", "--max-steps", "2"]
    run("align.py", *settings, str(pool))
    AestheticMLLMForConditionalGeneration.from_pretrained(tmp_path / "out" / "aligned")


def test_tuning(checkpoint: Path, tmp_path: Path) -> None:
    """Two steps of each script on twenty photos leave a checkpoint that loads."""
    for number in range(20):
        scene_photo(72 + 2 * number, 64).save(tmp_path / f"{number}.png")
    ratings, preferences = tmp_path / "ratings.csv", tmp_path / "preferences.csv"
    ratings.write_text("image,mean\n" + "".join(f"{number}.png,{1 + number % 10}\n" for number in range(20)))
    preferences.write_text("image,prompt,chosen,rejected\n" + "0.png,Comment.,Soft light.,Bad light.\n" * 8)
    for script, table, settings in (
        ("sft.py", ratings, ["--range", "1", "10", "--lora", "4"]),
        ("dpo.py", preferences, []),
        ("grpo.py", ratings, ["--range", "1", "10", "--batch-size", "8"]),
    ):
        output = tmp_path / script
        run(script, str(table), *settings, "--model", str(checkpoint), "--output", str(output), "--max-steps", "2")
        AestheticMLLMForConditionalGeneration.from_pretrained(output / "tuned")


def test_stock_trl_learns_the_answers_and_no_placeholder(checkpoint: Path, tmp_path: Path) -> None:
    """What TRL's own trainer is told to predict is the comment and the end of the turn; three steps leave a checkpoint."""
    for number in range(4):
        scene_photo(72 + 2 * number, 64).save(tmp_path / f"{number}.png")
    table = tmp_path / "comments.csv"
    table.write_text("image,comment\n" + "".join(f"{number}.png,Soft light.\n" for number in range(4)))
    example = runpy.run_path(str(EXAMPLES / "trl_sft.py"))
    trainer = example["make_trainer"](str(checkpoint), example["chat_rows"](table), tmp_path / "labels")
    processor = trainer.processing_class
    predicted = [ids[ids != -100] for batch in trainer.get_train_dataloader() for ids in batch["labels"].cpu()]
    assert [processor.tokenizer.decode(ids) for ids in predicted] == ["Soft light.<|im_end|>"] * 4
    assert not any((ids == processor.image_token_id).any() for ids in predicted)
    run("trl_sft.py", str(table), "--model", str(checkpoint), "--output", str(tmp_path / "out"), "--max-steps", "3")
    AestheticMLLMForConditionalGeneration.from_pretrained(tmp_path / "out" / "tuned")


class Parrot(BaseHTTPRequestHandler):
    """A chat server that repeats the remark it is asked to reword, after "Well," ."""

    def do_POST(self) -> None:  # noqa: N802
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][0]["content"]
        remark = asked.rsplit("Remark: ", 1)[1]
        body = json.dumps({"choices": [{"message": {"content": f"Well, {remark}"}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def test_reword_target_texts(tmp_path: Path) -> None:
    """Each label's target text is asked for once and accepted, and a second run asks for none; training reads the cache."""
    server = HTTPServer(("127.0.0.1", 0), Parrot)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cache = tmp_path / "target_texts.jsonl"
    url = f"http://127.0.0.1:{server.server_port}/v1"
    settings = ["--cache", str(cache), "--model", "parrot", "--api-key-variable", "", "--wordings", "1", "--url"]
    try:
        told = run("reword_target_texts.py", *settings, url)
    finally:
        server.shutdown()
    target_texts = [target_text for level in LEVELS for target_text in PhraseBank().every_target_text(level)]
    assert f"{len(target_texts)} accepted" in told and len(cache.read_text().splitlines()) == len(
        {target_text.text for target_text in target_texts}
    )
    run("reword_target_texts.py", *settings, "http://127.0.0.1:9/v1")  # where nobody answers
    assert TargetTextRewriter(None, cache)(target_texts[0]).text == f"Well, {target_texts[0].text}"
