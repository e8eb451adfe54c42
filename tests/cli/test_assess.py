"""`aesthetic-mllm assess` and `comment`: what is said of a photo, in full."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS
from lively_assessor import lively_assessor
from photo_files import BAD, write_photos

Run = Callable[..., tuple[int, str, str]]
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "assessment.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


def test_json_is_what_the_schema_says(run: Run, photos: Path, schema: Any, assessor: AestheticAssessor) -> None:
    """Every row of `assess`, of good and of bad photos, and `to_dict` itself are valid; other rows are not."""
    write_photos(photos, {"empty.jpg": BAD["empty.jpg"][0]})
    rows = [json.loads(line) for line in run("assess", photos, "--format", "json")[1].splitlines()]
    assert len(rows) == 5 and sum(row["error"] is None for row in rows) == 4
    for row in rows:
        schema.validate(row)
    good = next(row for row in rows if row["error"] is None)
    assert list(good["attributes"]) == list(ATTRIBUTE_QUESTIONS) and good["suggestions"]
    schema.validate(assessor.assess(photos / "1.jpg").to_dict())
    assert schema.is_valid(good) and not schema.is_valid(good | {"error": "both"})
    for key in ("rating", "attributes", "comment"):
        assert not schema.is_valid({name: value for name, value in good.items() if name != key})
    assert not schema.is_valid(good | {"more": 1}) and not schema.is_valid(good | {"rating": good["rating"] | {"std": -1}})
    assert not schema.is_valid({"path": "a.jpg", "error": None})


def test_the_schema_allows_what_a_checkpoint_lacks(run: Run, photos: Path, schema: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a checkpoint without attributes and flaws the row is valid too, and its attributes are empty."""
    plain = lively_assessor()
    monkeypatch.setattr(AestheticAssessor, "from_pretrained", lambda *args, **kwargs: plain)
    _, out, _ = run("assess", photos / "1.jpg", "--format", "json")
    row = json.loads(out)
    schema.validate(row)
    assert row["attributes"] == {}
    assert "composition" not in run("assess", photos / "1.jpg")[1]


def test_the_row_is_the_assessment(run: Run, photos: Path, assessor: AestheticAssessor) -> None:
    """Numbers and words are the assessor's, in JSON, CSV and table."""
    photo = photos / "1.jpg"
    expected = assessor.assess(photo)
    row = json.loads(run("assess", photo, "--format", "json")[1])
    assert row["comment"] == expected.comment
    assert row["rating"]["mean"] == pytest.approx(expected.rating.mean, abs=1e-3)
    assert row["attributes"]["noise"]["mean"] == pytest.approx(expected.attributes["noise"].mean, abs=1e-3)
    assert [each["text"] for each in row["suggestions"]] == [each.text for each in expected.suggestions]
    (line,) = csv.DictReader(io.StringIO(run("assess", photo, "--format", "csv")[1]))
    assert float(line["quality_mean"]) == row["quality"]["mean"] and float(line["noise_std"]) == row["attributes"]["noise"]["std"]
    assert line["suggestion_1"] == row["suggestions"][0]["text"] and line["error"] == ""
    block = run("assess", photo)[1]
    for text in ("depth of field", "excellent", f"{expected.rating.mean:.1f} ±{expected.rating.std:.1f}"):
        assert text in block
    assert row["suggestions"][0]["text"] in " ".join(block.split())


def test_comments_are_the_assessors(run: Run, photos: Path, assessor: AestheticAssessor) -> None:
    """Style and aspect reach the assessor, and a row says which they were."""
    photo = photos / "2.jpg"
    row = json.loads(run("comment", photo, "--style", "detailed", "--aspect", "light", "--format", "json")[1])
    expected = assessor.comment(photo, "detailed", "light")
    assert row == {"path": str(photo), "style": "detailed", "aspect": "light", "comment": expected, "error": None}
    brief = json.loads(run("comment", photo, "--format", "json")[1])
    assert (brief["style"], brief["aspect"]) == ("brief", None) and brief["comment"] != expected
