"""`aesthetic-mllm rank` and `compare`: photos in order, bursts, and two photos side by side."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aesthetic_mllm import AestheticAssessor
from photo_files import BAD, jpeg_bytes, write_photos

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bursts(tmp_path: Path) -> Path:
    """A folder with three scenes, of one of them three shots."""
    folder = tmp_path / "bursts"
    folder.mkdir()
    for seed, shifts in ((1, (0, 2, 4)), (2, (0,)), (3, (0,))):
        noise = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        wide = Image.fromarray(noise).resize((240, 160), Image.Resampling.BICUBIC)
        for shift in shifts:
            photo = wide.crop((20 + 2 * shift, 20, 220 + 2 * shift, 140))
            (folder / f"{seed}_{shift}.jpg").write_bytes(jpeg_bytes(photo))
    return folder


def rows_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_rows_are_the_assessors_ranking(run: Run, bursts: Path, assessor: AestheticAssessor) -> None:
    """Order, leads and bursts are those of the assessor; CSV has them too."""
    rows = rows_of(run("rank", bursts, "--format", "json")[1])
    paths = sorted(bursts.glob("*.jpg"))
    ranked = assessor.rank(paths)
    assert [row["path"] for row in rows] == [str(paths[photo.index]) for photo in ranked]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5] and {row["question"] for row in rows} == {"aesthetic"}
    assert [(row["group"], row["best_of_group"]) for row in rows] == [(photo.group, photo.best_of_group) for photo in ranked]
    assert sorted(row["group_size"] for row in rows) == [1, 1, 3, 3, 3] and rows[-1]["ahead_of_next"] is None
    lines = list(csv.DictReader(io.StringIO(run("rank", bursts, "--format", "csv")[1])))
    assert [float(line["mean"]) for line in lines] == [row["rating"]["mean"] for row in rows]
    assert [line["best_of_group"] for line in lines] == [str(row["best_of_group"]) for row in rows]


def test_the_table_marks_bursts(run: Run, bursts: Path) -> None:
    """Photos of a burst are marked, its best one as such; lone photos are not."""
    lines = run("rank", bursts)[1].splitlines()
    assert lines[0].startswith("rank  photo") and len(lines) == 6
    marked = [line for line in lines if "  burst " in line]
    assert all("1_" in line for line in marked) and len(marked) == 3 and sum("best" in line for line in marked) == 1
    assert all("burst 1" in line for line in marked)  # groups of one photo are not counted


def test_the_best_are_picked(run: Run, bursts: Path) -> None:
    """--pick K prints K photos of as many bursts; where there are fewer it prints those, says so, and ends with 1."""
    everything = rows_of(run("rank", bursts, "--format", "json")[1])
    code, out, err = run("rank", bursts, "--pick", 2, "--format", "json")
    picked = rows_of(out)
    assert (code, err) == (0, "")
    assert [row["path"] for row in picked] == [row["path"] for row in everything if row["best_of_group"]][:2]
    assert picked[-1]["ahead_of_next"] is None
    code, out, err = run("rank", bursts, "--pick", 4, "--format", "json")
    assert code == 1 and len(rows_of(out)) == 3 and "there are 3" in err
    code, out, _ = run("rank", bursts, "--pick", 4, "--max-distance", 0, "--format", "json")
    assert code == 0 and len(rows_of(out)) == 4


@pytest.mark.parametrize("done", [0, 3])
def test_ctrl_c_ranks_what_is_rated(
    run: Run, bursts: Path, done: int, assessor: AestheticAssessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted, the photos rated so far come in order, the error stream says how many, and the code is 130."""
    write_photos(bursts, {"0.jpg": BAD["empty.jpg"][0]})
    expected = rows_of(run("rank", *sorted(bursts.glob("*.jpg"))[1 : done + 1], "--format", "json")[1]) if done else []
    calls = 0
    level_logits = assessor.model.level_logits

    def interrupted(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > done:
            raise KeyboardInterrupt
        return level_logits(*args, **options)

    monkeypatch.setattr(assessor.model, "level_logits", interrupted)
    code, out, err = run("rank", bursts, "--batch-size", 1, "--format", "json")
    assert code == 130 and f"the {done} of 6 photos" in err
    rows = rows_of(out)
    assert [row["path"] for row in rows if row["error"] is None] == [row["path"] for row in expected]
    assert [Path(row["path"]).name for row in rows if row["error"] is not None] == ["0.jpg"]


def test_a_comparison_in_every_format(run: Run, bursts: Path, assessor: AestheticAssessor) -> None:
    """Paths, ratings, probability and reasons of two photos; the table names the better one."""
    first, second = bursts / "1_0.jpg", bursts / "2_0.jpg"
    expected = assessor.compare(first, second)
    (row,) = rows_of(run("compare", first, second, "--format", "json")[1])
    assert (row["first_path"], row["second_path"], row["error"]) == (str(first), str(second), None)
    assert row["probability_first"] == pytest.approx(expected.probability_first, abs=1e-4)
    assert row["reasons"] == list(expected.reasons) and row["reasons"]
    (line,) = csv.DictReader(io.StringIO(run("compare", first, second, "--format", "csv")[1]))
    assert float(line["second_mean"]) == row["second"]["mean"] and line["reasons"] == " ".join(row["reasons"])
    for one, other in ((first, second), (second, first)):
        table = run("compare", one, other)[1]
        better = max(expected.probability_first, 1 - expected.probability_first)
        which = "first" if (expected.probability_first >= 0.5) == (one == first) else "second"
        assert f"The {which} is better with a probability of {better:.0%}." in table
        assert all(len(text) <= 80 for text in table.splitlines())


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_photo_that_cannot_be_compared_is_named(run: Run, bursts: Path, form: str) -> None:
    """A bad photo is an error with its name and its reason, and the code is 1."""
    code, out, _ = run("compare", bursts / "1_0.jpg", bursts / "missing.jpg", "--format", form)
    assert code == 1 and "missing.jpg" in out and "no such file" in out
