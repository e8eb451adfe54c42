"""Operating points are learned from undamaged photos, and tell what their figures say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aesthetic_mllm.evaluation.flaw_operating_points import (
    OperatingPointError,
    evaluate_flaws,
    flaw_auc,
    flaws_table,
    learn_operating_points,
)
from aesthetic_mllm.evaluation.flaw_ratings import WHOLE, FlawRatings, damage
from aesthetic_mllm.processing.rating_scale import DEFAULT_QUESTIONS, RatingScale
from aesthetic_mllm.tasks.suggesting import FLAW_QUESTIONS, FLAWS
from synthetic_photos import scene_photo

KEYS = ["too_dark", "too_bright", "soft"]
SCALE = RatingScale(questions=DEFAULT_QUESTIONS | FLAW_QUESTIONS)
PHOTOS = 200


def ratings(seed: int, falls: dict[str, float], refuted: bool = False) -> FlawRatings:
    """Undamaged photos are rated about 8; a damage takes points from the rating of its own flaw."""
    rng = np.random.default_rng(seed)
    views = [view for view in (WHOLE, *KEYS) for _ in range(PHOTOS)]
    means = rng.normal(8, 0.5, (len(views), len(KEYS)))
    for row, view in enumerate(views):
        if view != WHOLE:
            means[row, KEYS.index(view)] -= falls[view]
    names = [f"{number}.jpg" for _ in range(len(KEYS) + 1) for number in range(PHOTOS)]
    return FlawRatings(np.array(names), np.array(views), np.array(KEYS), means, np.full(means.shape, refuted))


FALLS = {"too_dark": 5.0, "too_bright": 2.0, "soft": 0.0}


def test_a_flaw_that_ratings_do_not_tell_is_not_asked() -> None:
    """Neither here nor where another pool shows that what was told is not the flaw."""
    points = learn_operating_points(ratings(0, FALLS))
    assert {key: point.asked for key, point in points.items()} == {
        "flaw_too_dark": True, "flaw_too_bright": True, "flaw_soft": False,
    }  # fmt: skip
    assert points["flaw_soft"].auc == pytest.approx(0.5, abs=0.1) and points["flaw_too_dark"].auc > 0.99
    elsewhere = learn_operating_points(ratings(0, FALLS), [ratings(1, FALLS | {"too_dark": 0.0})])
    assert not elsewhere["flaw_too_dark"].asked and elsewhere["flaw_too_bright"].asked


def test_false_alarms_are_as_many_as_were_allowed() -> None:
    """On the photos themselves, nearly so on others, and none where measurements refute."""
    falls = FALLS | {"too_dark": 1.0}
    learning, held_out = ratings(0, falls), ratings(1, falls)
    for allowed in (0.01, 0.05):
        own = learn_operating_points(learning, false_alarms=allowed)["flaw_too_dark"]
        assert own.false_alarms == pytest.approx(allowed, abs=0.005)
        assert (own.usual, own.spread, own.damaged) == pytest.approx((8, 0.5, 7), abs=0.2)
        assert learn_operating_points(learning, held_out=held_out, false_alarms=allowed)["flaw_too_dark"].false_alarms < 0.1
        assert learn_operating_points(ratings(0, falls, refuted=True), false_alarms=allowed)["flaw_too_dark"].false_alarms == 0


def test_what_is_nearer_to_the_usual_rating_is_not_told() -> None:
    """However rare it is among undamaged photos: a strong damage leaves a wide gap, and the threshold stands in its middle."""
    point = learn_operating_points(ratings(0, FALLS))["flaw_too_dark"]
    assert point.threshold == pytest.approx((point.usual + point.damaged) / 2, abs=1e-3) and point.false_alarms == 0


def test_the_report_counts_what_is_told() -> None:
    """Over the flaws that are asked; what measurements refute is not told."""
    learning, held_out = ratings(0, FALLS), ratings(1, FALLS)
    scale = replace(SCALE, operating_points=learn_operating_points(learning))
    report = evaluate_flaws(scale, held_out)
    assert report["undamaged_photos"] == PHOTOS and 0 < report["told_anything"] < 0.06
    assert report["flaws"]["too_dark"]["recall"] > 0.98 and report["flaws"]["too_dark"]["named_first"] > 0.98
    assert "recall" not in report["flaws"]["soft"] and report["flaws"]["soft"]["auc"] == flaw_auc(held_out, "soft")
    shares = [report["flaws"][key]["named_first"] for key in ("too_dark", "too_bright")]
    assert report["named_first"] == pytest.approx(np.mean(shares)) and report["named_among_three"] >= report["named_first"]
    silent = evaluate_flaws(scale, ratings(1, FALLS, refuted=True))
    assert silent["told_anything"] == silent["named_among_three"] == 0


def test_ratings_are_read_as_they_were_saved(tmp_path: Path) -> None:
    saved = ratings(0, FALLS)
    saved.save(tmp_path / "new" / "ratings.npz")
    loaded = FlawRatings.load(tmp_path / "new" / "ratings.npz")
    assert all(np.array_equal(getattr(saved, name), getattr(loaded, name)) for name in vars(saved))
    with pytest.raises(OperatingPointError, match="'too_dark'"):
        learn_operating_points(loaded.of_view(WHOLE))


@pytest.mark.parametrize("flaw", FLAWS)
def test_every_flaw_can_be_made(flaw: str) -> None:
    """At the photo's own size, but for what a crop cuts away."""
    photo = scene_photo()
    damaged = damage(photo, FLAWS[flaw])
    assert damaged.tobytes() != photo.tobytes() and damaged.width > 0.5 * photo.width


def test_the_table_has_a_row_for_each_flaw_asked_or_not() -> None:
    scale = replace(SCALE, operating_points=learn_operating_points(ratings(0, FALLS)))
    report = evaluate_flaws(scale, ratings(1, FALLS))
    rows = flaws_table(scale, {"here": report, "elsewhere": report}).split("\n\n")[0].splitlines()
    assert len(rows) == 2 + len(KEYS) and len({row.count("|") for row in rows}) == 1
    assert sum("not asked" in row for row in rows) == 1
