"""An attribute must fall with its damage, and damages are edits that can be done."""

from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image, ImageStat

from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.evaluation.damages import DAMAGES, UNSEEN_DAMAGES, Damage
from aesthetic_mllm.evaluation.eval_attributes import UNSEEN, attributes_table, evaluate_attributes
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
    found = evaluate_attributes(assessor, [scene_photo(), scene_photo(80, 60)], damages, unseen, {"strong": 1.0})
    shares = {(one.attribute, one.edit): one.share for one in found}
    dark, bright = ("light", "exposure -"), ("light", "exposure +")
    assert shares[dark] == 1 and shares[bright] == 0 and shares["light", "all"] == 0.5
    assert {one.photos for one in found if one.edit == "all" and one.attribute == "light"} == {4}
    assert {one.attribute for one in found} == {"light", UNSEEN}
    low, high = found[0].interval
    assert 0 < low < 0.5 < high < 1
    assert attributes_table(found).splitlines()[2] == "| light | all | strong | 50% (15% to 85%) | 4 |"


@pytest.mark.parametrize("damage", [*DAMAGES, *UNSEEN_DAMAGES], ids=lambda damage: f"{damage.edit}{damage.sign:+d}")
def test_a_damage_is_an_edit_that_can_be_done(damage: Damage) -> None:
    edit = EDITS[damage.edit]
    assert edit.in_pretext_samples == (damage in DAMAGES)
    assert damage.amount(1.0) * damage.sign > 0 and edit.range[0] <= damage.amount(1.25) <= edit.range[1]
    assert damage.about and set(damage.attributes) <= set(ATTRIBUTE_QUESTIONS) or damage.flaw == "compressed"
    if damage.flaw:
        assert FLAWS[damage.flaw].damage == (damage.edit, damage.sign)
