"""What nano is told of damaged photos follows from what was done to them."""

import numpy as np
import pytest

from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.evaluation.damages import DAMAGES
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS
from aesthetic_mllm.tasks.suggesting import FLAW_QUESTIONS
from recipes.nano.damaged_views import draw_damage
from recipes.nano.prompts import FLAWS, nano_scale
from recipes.nano.targets import GOODNESS, Targets, aesthetic, falls, goodness, standard_scores

PHOTOS = {f"{number}.jpg": 2.0 + number for number in range(6)}
BINS = {name: {"brightness": number % 5, "sharpness": number % 5, "noise": 2} for number, name in enumerate(PHOTOS)}


def test_aesthetic_is_beauty_and_quality_half_each() -> None:
    """In standard scores, whatever the range that either uses, and on the scale of both."""
    rng = np.random.default_rng(0)
    quality, beauty = rng.normal(6, 1.5, 500), rng.normal(4, 0.5, 500)
    both = aesthetic(quality.tolist(), beauty.tolist())
    wanted = standard_scores(standard_scores(quality) + standard_scores(beauty))
    assert standard_scores(both) == pytest.approx(wanted, abs=0.05)  # but for what is cut off at the ends
    assert both.mean() == pytest.approx(5, abs=0.1) and both.std() == pytest.approx(1, abs=0.1)
    names = [f"{number}.jpg" for number in range(500)]
    targets = Targets(dict(zip(names, quality, strict=True)), dict(zip(names, beauty, strict=True)), dict.fromkeys(names, {}))
    assert [targets.whole[name]["aesthetic"] for name in names] == pytest.approx(both.tolist())


def test_an_attribute_follows_the_general_impression_and_half_of_its_own() -> None:
    """Photos alike but for one are ranked by that one; what is measured weighs half of what the whole photo does."""
    names = [f"{number}.jpg" for number in range(400)]
    rng = np.random.default_rng(1)
    general = dict(zip(names, rng.uniform(2, 9, 400).tolist(), strict=True))
    bins = {name: {"saturation": int(rng.integers(5)), "harmony": int(rng.integers(5))} for name in names}
    targets = Targets(general, general, bins)
    told = standard_scores([targets.attributes[name]["colour"] for name in names])
    whole = standard_scores(list(general.values()))
    own = standard_scores([goodness("colour", bins[name]) for name in names])
    weights, *_ = np.linalg.lstsq(np.stack([whole, own], axis=1), told, rcond=None)
    assert weights[0] / weights[1] == pytest.approx(2, rel=0.05)
    assert np.corrcoef(told, whole)[0, 1] > 0.85


def test_a_damage_takes_from_its_attributes_and_shows_its_flaw_the_more_the_stronger_it_is() -> None:
    targets = Targets(PHOTOS, PHOTOS, BINS)
    plain = targets.of("3.jpg")
    assert "quality" not in plain  # people said it
    for damage in DAMAGES:
        slight, strong = (targets.of("3.jpg", (damage, strength)) for strength in (0.3, 1.0))
        for name, weight in damage.attributes.items():
            assert weight > 0 and strong[name][0] < slight[name][0] < plain[name][0], (damage, name)
        others = set(ATTRIBUTE_QUESTIONS) - set(damage.attributes)
        assert all(strong[name] == plain[name] for name in others)
        flaws = {key for key in plain if key.startswith("flaw_") and strong[key] != plain[key]}
        assert flaws == ({f"flaw_{damage.flaw}"} if damage.flaw in FLAWS else set())
        assert falls(damage, 1.0)["quality"] > falls(damage, 0.3)["quality"] > 0


def test_damages_are_edits_that_pretext_samples_may_show_and_flaws_are_those_that_can_be_asked() -> None:
    """Edits that are kept out of pretext samples stay unseen."""
    assert all(EDITS[damage.edit].in_pretext_samples for damage in DAMAGES)
    assert {damage.flaw for damage in DAMAGES} >= set(FLAWS)
    assert {f"flaw_{key}" for key in FLAWS} <= set(FLAW_QUESTIONS)
    assert set(nano_scale().attributes) == set(ATTRIBUTE_QUESTIONS)


def test_a_damaged_view_is_always_the_same_and_its_edits_can_be_done() -> None:
    drawn = [draw_damage(f"{number}.jpg", 10) for number in range(300)]
    assert drawn == [draw_damage(f"{number}.jpg", 10) for number in range(300)]
    assert {number for number, _, _ in drawn} == set(range(len(DAMAGES)))
    assert all(amount * DAMAGES[number].sign > 0 for number, amount, _ in drawn)


@pytest.mark.parametrize("attribute", list(ATTRIBUTE_QUESTIONS))
def test_goodness_is_a_share(attribute: str) -> None:
    for bin in range(5):
        assert 0 <= goodness(attribute, dict.fromkeys(GOODNESS[attribute], bin)) <= 1
    assert goodness(attribute, {}) == 0.5
