"""The exam of comments reads what is held out, and counts what it says it counts."""

import csv
import json
import random
import sys
from pathlib import Path

import pandas as pd
import pytest
from transformers import AutoModelForCausalLM

from aesthetic_mllm.tasks.commenting import STYLES
from synthetic_photos import midtone_photo, scene_photo
from tiny_models import LANGUAGE_MODELS, tiny_processor

NANO = Path(__file__).parents[2] / "recipes" / "nano"
CRITIQUES = [f"I like the number {word} of this small picture very much" for word in "abcdefghijklmnopqrstuvwxyz"] * 2


@pytest.fixture(scope="module")
def recipe() -> object:
    """The recipe's module; its folder is no package."""
    sys.path.insert(0, str(NANO))
    try:
        import comments_exam
    finally:
        sys.path.remove(str(NANO))
    return comments_exam


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Data and work folders as the recipe expects them, with three photos, all held out."""
    data, work = tmp_path / "data", tmp_path / "work"
    (data / "biq2021").mkdir(parents=True)
    (data / "critiques").mkdir()
    work.mkdir()
    dark = scene_photo().point(lambda value: value // 8)
    photos = {"scene.png": scene_photo(), "soft.png": midtone_photo(), "dark.png": dark}
    with open(data / "biq2021" / "metadata.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "mos"])
        for name, photo in photos.items():
            photo.save(data / "biq2021" / name)
            writer.writerow([name, 0.5])
    # several of each, so that a fiftieth holds some; those that are also trained on are left out
    comments = [f"{text} number {place}" for place, text in enumerate(CRITIQUES * 4)]
    pd.DataFrame({"aspect": "composition", "comment": comments}).to_parquet(data / "critiques" / "comments.parquet")
    (work / "own_answers.json").write_text(json.dumps(["own answer"]))
    return data, work


def run(recipe: object, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> dict:
    output = Path(str(arguments[-1]))
    split = recipe.split_photos  # few photos are all held out: their own bins are those of the pool then
    monkeypatch.setattr(recipe, "split_photos", lambda data: (split(data)[1], split(data)[1]))
    monkeypatch.setattr(sys, "argv", ["comments_exam.py", *map(str, arguments)])
    recipe.main()
    return json.loads(output.read_text())


def test_given_comments_are_held_against_their_photos(
    recipe: object, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """A right claim, a wrong one, a quotation; at other photos they are right elsewhere."""
    data, work = folders
    given = [
        {"photo": "biq2021/dark.png", "comment": "The light is very dark."},
        {"photo": "biq2021/scene.png", "comment": "The light is dark, and I like the number b of this small picture very much."},
    ]
    (tmp_path / "comments.json").write_text(json.dumps(given))
    options = ("--data", data, "--work", work, "--comments", tmp_path / "comments.json", "--training", tmp_path / "comments.json")
    found = run(recipe, monkeypatch, *options, "--output", tmp_path / "out.json")["comments"]["given"]
    assert found["precision"]["all"] | {"interval": None} == {"claims": 2, "right": 1, "precision": 0.5, "interval": None}
    assert [row["wrong"] for row in found["texts"]] == [[], ["dark"]]
    assert found["runs shared with critiques"]["sharing"] == [given[1]["comment"]]
    assert found["runs shared with critiques"]["longest_run"] == 11
    assert found["runs shared with training comments"]["longest_run"] > 11
    assert "| brightness | 2 | 50.0" in capsys.readouterr().out


def test_a_checkpoint_writes_in_each_style_and_reads_critiques(
    recipe: object, folders: tuple[Path, Path], checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data, work = folders
    processor = tiny_processor()
    config = LANGUAGE_MODELS["llama"]
    config = type(config)(**(config.to_dict() | {"vocab_size": len(processor.tokenizer)}))
    monkeypatch.setattr(recipe, "uncut", lambda work: (AutoModelForCausalLM.from_config(config).eval(), processor.tokenizer))
    options = ("--data", data, "--work", work, "--model", checkpoint, "--photos", 2, "--perplexity-texts", 3)
    report = run(recipe, monkeypatch, *options, "--output", tmp_path / "out.json")
    assert list(report["comments"]) == [name for style in STYLES for name in (f"{style}, unchecked", style)]
    assert all(len({row["photo"] for row in found["texts"]}) == 2 for found in report["comments"].values())
    perplexity = report["perplexity"]
    assert perplexity["ratio"] == pytest.approx(perplexity["checkpoint"] / perplexity["uncut"]) and perplexity["critiques"] == 3


def test_critiques_are_those_that_the_language_model_held_out(recipe: object, folders: tuple[Path, Path]) -> None:
    data, work = folders
    critiques = data / "critiques" / "comments.parquet"
    texts = recipe.healing_texts(work, critiques)
    random.Random(0).shuffle(texts)
    held_out = texts[: len(texts) // 50]
    found = recipe.held_out_critiques(work, critiques, 100)
    assert found and all(any(text.endswith(f"{critique}<|im_end|>\n") for text in held_out) for _, critique in found)
    assert {prompt for prompt, _ in found} == {"Comment on the composition of this photo."}


def test_nothing_to_examine_is_an_error(
    recipe: object, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    data, work = folders
    with pytest.raises(SystemExit):
        run(recipe, monkeypatch, "--data", data, "--work", work, "--output", tmp_path / "out.json")
    assert "--model" in capsys.readouterr().err
