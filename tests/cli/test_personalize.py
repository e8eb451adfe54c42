"""`aesthetic-mllm personalize`, and profiles in other commands."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aesthetic_mllm.cli.personalize import read_table
from aesthetic_mllm.cli.usage import WRONG_USAGE
from aesthetic_mllm.inference.personal_assessor import PersonalAssessor
from aesthetic_mllm.tasks.personalizing import Reliability, Taste

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def table(photos: Path) -> Path:
    """Four photos, rated from 1 to 5."""
    return write(photos, "image,rating", "1.jpg,1", "2.jpg,5", "3.jpg,3", "more/4.jpg,4")


def write(photos: Path, *lines: str) -> Path:
    path = photos / "ratings.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_profile_is_made_and_used(run: Run, table: Path, photos: Path, tmp_path: Path) -> None:
    """It says how reliable it is; score and rank use it, and only where it is given."""
    profile = tmp_path / "me.profile"
    code, out, _ = run("personalize", table, "--save", profile)
    assert code == 0 and "a profile of 4 photos" in out and "95%" in out
    means = {}
    for options in ((), ("--profile", profile)):
        code, out, _ = run("score", photos, "--format", "json", *options)
        means[bool(options)] = [json.loads(line)["mean"] for line in out.splitlines()]
        assert code == 0 and len(means[bool(options)]) == 4
    assert means[True] != means[False]
    code, out, _ = run("rank", photos, "--format", "json", "--profile", profile)
    best = json.loads(out.splitlines()[0])
    assert best["rating"]["mean"] == pytest.approx(max(means[True]), abs=1e-3)


def test_a_profile_is_updated(run: Run, table: Path, photos: Path, tmp_path: Path) -> None:
    """New ratings of known photos replace the old ones; the profile's range holds."""
    run("personalize", table, "--save", tmp_path / "me.profile")
    write(photos, "image,rating", "1.jpg,4")
    code, out, _ = run("personalize", table, "--update", tmp_path / "me.profile", "--save", tmp_path / "new.profile")
    assert code == 0 and "a profile of 4 photos" in out


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("image,rating",), "no rows"),
        (("rating", "3"), "has the columns rating"),
        (("image,rating", ",3"), "line 2: no image"),
        (("image,rating", "1.jpg,"), "line 2: no rating"),
        (("image,rating", "1.jpg,good"), "line 2: rating is 'good', expected a number"),
        (("image,score", "1.jpg,3"), "has the columns image, score"),
        (("image,note", "1.jpg,lovely"), "or image alone for photos that are liked"),
        (("image,rating", "1.jpg,nan", "2.jpg,5"), "nan"),
        (("image,rating", '1.jpg,"3', "2.jpg,5"), "line 2: not CSV"),
        (("image,rating", "1.jpg,3", "2.jpg,3"), "All 2 photos are rated 3"),
        (("image,rating", "1.jpg,2", "2.jpg,3"), "does not tell their range"),
        (("image,rating", "1.jpg,1", "2.jpg,5", "1.jpg,5"), "1.jpg is rated 1 and 5"),
        (("image,rating", "1.jpg,1", "gone.jpg,5"), "gone.jpg"),
    ],
)
def test_wrong_tables(run: Run, photos: Path, tmp_path: Path, lines: tuple, message: str) -> None:
    """Each is told by place and value, with exit code 2, and no profile is written."""
    profile = tmp_path / "me.profile"
    code, out, error = run("personalize", write(photos, *lines), "--save", profile)
    assert code == WRONG_USAGE and out == "" and not profile.exists()
    assert message in error and "Traceback" not in error


def test_the_range_can_be_said(run: Run, photos: Path, tmp_path: Path) -> None:
    """Ratings that do not use their range's ends make a profile once it is known."""
    table = write(photos, "image,rating", "1.jpg,2", "2.jpg,3")
    assert run("personalize", table, "--score-range", 1, 5, "--save", tmp_path / "me.profile")[0] == 0
    code, _, error = run("personalize", table, "--score-range", 3, 5, "--save", tmp_path / "me.profile")
    assert code == WRONG_USAGE and "rating 2 lies outside the range 3 to 5" in error


@pytest.mark.parametrize("header", ["image, rating", "image,Rating", " IMAGE ;rating", "image\tRating"])
def test_a_header_may_be_written_in_many_ways(run: Run, photos: Path, tmp_path: Path, header: str) -> None:
    """With spaces, capitals or another separator: the ratings are used."""
    separator = next(mark for mark in ";\t," if mark in header)
    table = write(photos, "\ufeff" + header, *(f"{n}.jpg{separator} {n}" for n in (1, 2, 3)), f"more/4.jpg{separator}5")
    assert read_table(table) == {"ratings": [(photos / f"{n}.jpg", n) for n in (1, 2, 3)] + [(photos / "more/4.jpg", 5)]}


def test_pairs_and_likes(run: Run, photos: Path, tmp_path: Path) -> None:
    """Tables of other columns are pairs and likes."""
    for lines in (("preferred,other", "1.jpg,2.jpg"), ("image", "1.jpg", "2.jpg")):
        code, out, _ = run("personalize", write(photos, *lines), "--save", tmp_path / "me.profile")
        assert code == 0 and "a profile of 2 photos" in out and "rate more" in out


def test_wrong_profiles(run: Run, photos: Path, tmp_path: Path) -> None:
    """A profile that is none is told before a photo is judged."""
    for name in ("gone.profile", "photos/1.jpg"):
        code, out, error = run("score", photos, "--profile", tmp_path / name)
        assert code == WRONG_USAGE and out == "" and "profile" in error
    code, _, error = run("personalize", tmp_path / "gone.csv", "--save", tmp_path / "me.profile")
    assert code == WRONG_USAGE and "gone.csv: cannot be read" in error


def test_no_taste_is_named_while_agreement_may_be_chance(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few ratings always correlate with something."""
    named = (Taste("warmth", "warm colours", 0.9),)
    monkeypatch.setattr(PersonalAssessor, "describe", lambda person: named)
    table = write(photos, "image,rating", "1.jpg,1", "2.jpg,5", "3.jpg,3")
    for interval, expected in (((-0.1, 0.9), False), ((0.1, 0.9), True)):
        monkeypatch.setattr(PersonalAssessor, "reliability", lambda person, at=interval: Reliability(3, 0.8, at, 0.7))
        _, out, _ = run("personalize", table, "--save", tmp_path / "me.profile")
        assert ("warm colours" in out) == expected
