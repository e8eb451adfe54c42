"""Edits are deterministic, keep their promises about inverses and strength, and change what they name."""

import numpy as np
import pytest
from PIL import Image

from aesthetic_mllm.editing import EDITS, Edit, EditError, get_edit
from aesthetic_mllm.editing.colour_space import encoded_array, from_encoded, from_linear, linear_array, rotate_hue
from aesthetic_mllm.editing.framing import Frame, inscribed_scale, show
from aesthetic_mllm.editing.measurements import measure
from synthetic_photos import midtone_photo, scene_photo

EVERY_EDIT = pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)


def difference(first: Image.Image, second: Image.Image) -> float:
    """Mean absolute difference of 8-bit values."""
    return float(np.abs(np.asarray(first, dtype=float) - np.asarray(second, dtype=float)).mean())


@EVERY_EDIT
def test_same_photo_amount_and_seed_give_the_same_pixels(edit: Edit) -> None:
    photo = scene_photo()
    first, second = (edit.pair(photo, edit.strong, seed=3) for _ in range(2))
    assert all(difference(a, b) == 0 for a, b in zip(first, second, strict=True))


@EVERY_EDIT
def test_amount_zero_changes_nothing_and_never_the_original(edit: Edit) -> None:
    photo = scene_photo()
    kept = photo.copy()
    assert difference(edit.apply(photo, 0), photo) == 0
    edit.apply(photo, edit.strong)
    assert difference(photo, kept) == 0


@EVERY_EDIT
def test_strong_is_seen_more_than_barely_visible(edit: Edit) -> None:
    """In a pair, the strong amount changes more pixels by more; both sides have one size."""
    if edit.name == "flip":
        pytest.skip("mirrored or not: there is one amount")
    photo = scene_photo()
    changes = []
    for amount in (edit.barely, edit.strong):
        before, after = edit.pair(photo, amount, seed=1)
        assert before.size == after.size
        changes.append(difference(before, after))
    assert 0 < changes[0] < changes[1]


@EVERY_EDIT
def test_the_opposite_amount_undoes_what_claims_to_be_undone(edit: Edit) -> None:
    """On midtones, where nothing is clipped: within rounding, and for the frame within what is left inside."""
    inverse = edit.inverse(edit.barely * 2)
    if inverse is None:
        pytest.skip(f"{edit.name} cannot be undone")
    photo = midtone_photo()
    back = edit.apply(edit.apply(photo, edit.barely * 2), inverse)
    if edit.level == "middle":  # twice turned, twice cropped
        scale = back.width / photo.width
        assert difference(back, show(photo, Frame(scale=scale), back.size)) < 1.5
    else:
        assert difference(back, photo) < 1.0
        assert difference(edit.apply(photo, edit.barely * 2), photo) > 2 * difference(back, photo)


@EVERY_EDIT
def test_amounts_outside_the_range_are_refused_with_the_range(edit: Edit) -> None:
    with pytest.raises(EditError, match="outside"):
        edit.apply(scene_photo(), edit.range[1] + 1)


def test_unknown_edits_are_named_with_the_known_ones() -> None:
    with pytest.raises(EditError, match="brighten.*exposure"):
        get_edit("brighten")


def test_descriptions_say_strength_direction_and_amount() -> None:
    exposure = get_edit("exposure")
    assert exposure.describe(1.2) == "strongly brighter (exposure +1.20 EV)"
    assert exposure.describe(-0.2) == "barely darker (exposure -0.20 EV)"
    assert exposure.describe(0).startswith("unchanged")


def test_barely_visible_changes_are_neither_better_nor_worse() -> None:
    exposure = get_edit("exposure")
    assert exposure.verdict(0.2) == "equal" and exposure.verdict(1.0) == "worse" == exposure.verdict(-1.0)
    assert get_edit("haze").verdict(-0.5) == "better"


def test_at_least_three_edits_with_an_inverse_stay_out_of_all_pretext_samples() -> None:
    """So that suggestions can be tested on what was never taught."""
    kept_out = [edit for edit in EDITS.values() if not edit.in_pretext_samples]
    assert sum(edit.undone_by_opposite for edit in kept_out) >= 3


# The edit, what it moves, and the sign with which it moves it.
MOVES = (
    ("exposure", "brightness", 1),
    ("gamma", "brightness", 1),
    ("shadows", "brightness", 1),
    ("highlights", "brightness", 1),
    ("contrast", "contrast", 1),
    ("contrast", "dynamic_range", 1),
    ("saturation", "saturation", 1),
    ("saturation", "colourfulness", 1),
    ("temperature", "warmth", 1),
    ("tint", "green_magenta", 1),
    ("haze", "haziness", 1),
    ("vignette", "corner_falloff", 1),
    ("sharpness", "sharpness", 1),
    ("sharpness", "blur_extent", -1),
    ("defocus", "sharpness", -1),
    ("defocus", "blur_extent", 1),
    ("motion_blur", "sharpness", -1),
    ("noise", "noise", 1),
    ("compression", "blockiness", 1),
    ("tilt", "tilt", 1),
    ("subject_shift", "subject_x", 1),
    ("off_centre", "off_centre", 1),
)


@pytest.mark.parametrize(("name", "measurement", "sign"), MOVES, ids=[f"{name}-{what}" for name, what, _ in MOVES])
def test_measurements_are_monotone_in_their_edit(name: str, measurement: str, sign: int) -> None:
    """Four amounts from none to strong move the measurement one way at each step."""
    edit, photo = get_edit(name), scene_photo()
    shown = [edit.pair(photo, edit.strong * share, seed=2) for share in (0.001, 0.33, 0.66, 1.0)]
    values = [sign * measure(after, [measurement])[measurement] for _, after in shown]
    assert all(low < high for low, high in zip(values, values[1:], strict=False)), values


def test_what_must_stay_stays() -> None:
    """Contrast keeps the mean, saturation and hue keep luma, mirroring keeps everything but its place."""
    photo = midtone_photo()
    for name, kept, tolerance in (
        ("contrast", "brightness", 0.003),
        ("saturation", "brightness", 0.003),
        ("hue", "brightness", 0.003),
        ("flip", "colourfulness", 1e-3),
    ):
        edit = get_edit(name)
        before, after = edit.pair(photo, edit.strong / 2)
        assert measure(after, [kept])[kept] == pytest.approx(measure(before, [kept])[kept], abs=tolerance), name


def test_straighten_turns_back_the_tilt_it_measures() -> None:
    tilted = get_edit("tilt").apply(scene_photo(), 6.0)
    straight = get_edit("straighten").apply(tilted, 1.0)
    assert abs(measure(tilted, ["tilt"])["tilt"] - 6) < 1
    assert abs(measure(straight, ["tilt"])["tilt"]) < 1


def test_thirds_bring_the_subject_nearer_to_a_crossing() -> None:
    before, after = get_edit("thirds").pair(scene_photo(), 1.0)
    distance = [measure(photo, ["thirds_distance"])["thirds_distance"] for photo in (before, after)]
    assert distance[1] < distance[0]


def test_selective_colour_keeps_the_main_colour_and_takes_the_others() -> None:
    photo = np.zeros((60, 80, 3), dtype=np.float32)
    photo[:, :55], photo[:, 55:] = (0.8, 0.3, 0.2), (0.2, 0.4, 0.8)
    shown = encoded_array(get_edit("selective_colour").apply(from_encoded(photo), 1.0))
    assert np.abs(shown[:, :55] - photo[:, :55]).max() < 0.01
    assert np.ptp(shown[:, 55:], axis=-1).max() < 0.02


def test_colour_spaces_turn_back_without_loss() -> None:
    """Encoded and linear light are inverses to the last bit of 8; a hue turned around once is where it was."""
    levels = Image.fromarray(np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3))
    assert difference(from_linear(linear_array(levels)), levels) == 0
    assert difference(from_encoded(encoded_array(levels)), levels) == 0
    photo = encoded_array(scene_photo())
    assert np.abs(rotate_hue(photo, 360.0) - photo).max() < 1e-5


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (128, 128)])
@pytest.mark.parametrize("degrees", [-15.0, 3.0, 20.0])
def test_turned_photos_show_no_corner(size: tuple[int, int], degrees: float) -> None:
    white = Image.new("RGB", size, "white")
    turned = get_edit("tilt").apply(white, degrees)
    assert np.asarray(turned)[2:-2, 2:-2].min() > 250
    assert inscribed_scale(size, degrees) < 1


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (17, 5)])
@EVERY_EDIT
def test_small_photos_come_through(edit: Edit, size: tuple[int, int]) -> None:
    edit.apply(Image.new("RGB", size, (90, 120, 60)), edit.strong)
