"""Measurements refute the opposite of what they show, and nothing else."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from aesthetic_mllm.editing import get_edit
from aesthetic_mllm.editing.claims.claim_rules import CLAIM_RULES
from aesthetic_mllm.editing.claims.photo_evidence import MEASURED_SIDE, PhotoEvidence
from synthetic_photos import scene_photo

CUTS = {rule.attribute: [0.5, 1.5, 2.5, 3.5] for rule in CLAIM_RULES.values()}


def measured(**values: float) -> PhotoEvidence:
    evidence = PhotoEvidence(scene_photo(), CUTS)
    evidence._values = dict(values)
    return evidence


@pytest.mark.parametrize(("bin", "refuted"), [(0, {"bright"}), (1, {"bright"}), (2, set()), (3, {"dark"}), (4, {"dark"})])
def test_the_opposite_side_refutes(bin: int, refuted: set[str]) -> None:
    """The middle bin refutes neither side."""
    evidence = measured(brightness=float(bin))
    assert evidence.bin("brightness") == bin
    assert {claim for claim in ("dark", "bright") if evidence.refutes(claim)} == refuted


def test_a_clear_tilt_refutes_level_and_the_other_tilt() -> None:
    assert [claim for claim in ("level", "tilted_left", "tilted_right") if measured(tilt=4.0).refutes(claim)] == [
        "level",
        "tilted_left",
    ]


def test_what_has_no_cut_points_refutes_nothing() -> None:
    evidence = PhotoEvidence(scene_photo(), {})
    assert not any(evidence.refutes(claim) for claim in CLAIM_RULES) and evidence.bins == {}
    with pytest.raises(KeyError):
        evidence.refutes("upside_down")


def test_each_attribute_is_measured_once_and_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    from aesthetic_mllm.editing.claims import photo_evidence

    def counting(image: Image.Image) -> np.ndarray:
        calls.append(image.size)
        return np.asarray(image, dtype=np.float32) / 255

    monkeypatch.setattr(photo_evidence, "encoded_array", counting)
    evidence = PhotoEvidence(scene_photo(1200, 800), CUTS)
    assert calls == []
    assert evidence.value("brightness") == evidence.value("brightness") and evidence.value("contrast") > 0
    assert calls == [(MEASURED_SIDE, 192)]


@pytest.mark.parametrize("tone", [(1.0, 1.0, 1.0), (1.0, 0.85, 0.65)], ids=["grey", "sepia"])
def test_a_photo_of_one_tone_is_monochrome(tone: tuple[float, float, float]) -> None:
    """A pale photo of several colours is not; only one without any tone is grey."""
    light = np.asarray(scene_photo().convert("L"), dtype=np.float32)[..., None]
    toned = PhotoEvidence(Image.fromarray((light * np.array(tone, np.float32)).round().astype(np.uint8)), CUTS)
    assert toned.monochrome and toned.grey == (tone[2] == 1.0)
    assert toned.refutes("many_colours")
    pale = PhotoEvidence(get_edit("saturation").apply(scene_photo(), -1.0), CUTS)
    assert not pale.monochrome and not pale.grey


def test_one_even_tone_is_plain() -> None:
    assert PhotoEvidence(Image.new("RGB", (64, 48), (128, 128, 128)), {}).plain
    assert not PhotoEvidence(scene_photo(64, 48), {}).plain
