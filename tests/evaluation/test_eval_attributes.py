"""An attribute must fall with its damage, and damages are edits that can be done."""

from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image, ImageStat

from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.evaluation.damages import DAMAGES, UNSEEN_DAMAGES, Damage
from aesthetic_mllm.evaluation.eval_attributes import UNSEEN, examine_photo, in_order
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS, Rating
from aesthetic_mllm.tasks.suggesting import FLAWS
from synthetic_photos import scene_photo


class Lightmeter:
    """Rates light by the mean brightness, and nothing else."""

    processor = SimpleNamespace(rating_scale=SimpleNamespace(attributes=("light",)))

    def attributes(self, views: list[Image.Image]) -> list[dict[str, Rating]]:
        return [{"light": Rating(ImageStat.Stat(view.convert("L")).mean[0], None, None, (0, 255))} for view in views]


def test_what_is_rated_lower_is_right() -> None:
    """Darker views are, brighter ones are not; attributes that are not rated are not asked."""
    assessor: Any = Lightmeter()
    damages = (Damage("exposure", -1, None, {"light": 1}), Damage("exposure", 1, None, {"light": 1, "mood": 1}))
    unseen = (Damage("gamma", -1, None, {"light": 1}),)
    found = examine_photo(assessor, scene_photo(), "scene", damages, unseen, {"strong": 1.0})
    assert found == {
        ("light", "exposure -", "strong"): [True],
        ("light", "exposure +", "strong"): [False],
        ("light", "all", "strong"): [True, False],
        (UNSEEN, "gamma -", "strong"): [True],
        (UNSEEN, "all", "strong"): [True],
    }
    assert in_order(assessor, sorted(found))[0] == ("light", "all", "strong") and in_order(assessor, found)[-1][0] == UNSEEN


@pytest.mark.parametrize("damage", [*DAMAGES, *UNSEEN_DAMAGES], ids=lambda damage: f"{damage.edit}{damage.sign:+d}")
def test_a_damage_is_an_edit_that_can_be_done(damage: Damage) -> None:
    edit = EDITS[damage.edit]
    assert edit.in_pretext_samples == (damage in DAMAGES)
    assert damage.amount(1.0) * damage.sign > 0 and edit.range[0] <= damage.amount(1.25) <= edit.range[1]
    assert damage.about and set(damage.attributes) <= set(ATTRIBUTE_QUESTIONS) or damage.flaw == "compressed"
    if damage.flaw:
        assert FLAWS[damage.flaw].damage == (damage.edit, damage.sign)
