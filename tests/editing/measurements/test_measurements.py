"""Measurements give known values on photos of known making, and obey the laws their names promise."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from aesthetic_mllm.editing.colour_space import from_encoded
from aesthetic_mllm.editing.measurements import MEASUREMENTS, Measurement, measure, palette
from aesthetic_mllm.editing.measurements.composition import structure_tensor
from synthetic_photos import scene_photo


def flat(red: float, green: float, blue: float) -> Image.Image:
    return from_encoded(np.full((64, 96, 3), (red, green, blue), dtype=np.float32))


def disc_at(x: float, y: float, radius: float = 0.12) -> Image.Image:
    """A striped yellow disc on grey; place and radius as shares."""
    image = Image.new("RGB", (240, 160), (110, 110, 115))
    draw = ImageDraw.Draw(image)
    reach = radius * 240
    draw.ellipse([240 * x - reach, 160 * y - reach, 240 * x + reach, 160 * y + reach], fill=(230, 200, 30))
    for step in range(-3, 4):
        draw.line([240 * x + 8 * step, 160 * y - reach / 2, 240 * x + 8 * step, 160 * y + reach / 2], fill=(80, 40, 0), width=2)
    return image


@pytest.mark.parametrize("measurement", MEASUREMENTS.values(), ids=MEASUREMENTS)
def test_mirroring_does_what_the_measurement_says(measurement: Measurement) -> None:
    if measurement.flips == 0:
        pytest.skip("depends on left and right")
    photo = scene_photo(237, 180)  # an odd width, so that no grid is symmetric by chance
    value, mirrored = (measure(p, [measurement.name])[measurement.name] for p in (photo, photo.transpose(Image.Transpose(0))))
    assert mirrored == pytest.approx(measurement.flips * value, abs=0.02 * max(1.0, abs(value)))


@pytest.mark.parametrize("photo", [flat(0, 0, 0), flat(1, 1, 1), Image.new("RGB", (1, 1)), Image.new("L", (5, 300), 90)])
def test_photos_without_anything_give_finite_numbers(photo: Image.Image) -> None:
    assert all(np.isfinite(value) for value in measure(photo).values())


def test_tones_of_flat_photos() -> None:
    grey = measure(flat(0.5, 0.5, 0.5))
    assert grey["brightness"] == pytest.approx(0.5, abs=0.003)
    assert grey["contrast"] == pytest.approx(0, abs=1e-5) == pytest.approx(grey["colourfulness"], abs=1e-3)
    assert grey["warmth"] == pytest.approx(0, abs=1e-3) == pytest.approx(grey["green_magenta"], abs=1e-3)
    assert grey["noise"] == pytest.approx(0, abs=1e-3) and grey["harmony"] == 1
    assert measure(flat(0, 0, 0))["clipped_shadows"] == 1 == measure(flat(1, 1, 1))["clipped_highlights"]


def test_warmth_is_stops_between_red_and_blue() -> None:
    """Linear light 0.4 and 0.1 are two stops apart."""
    encode = lambda light: 1.055 * light ** (1 / 2.4) - 0.055  # noqa: E731
    assert measure(flat(encode(0.4), encode(0.2), encode(0.1)))["warmth"] == pytest.approx(2, abs=0.05)
    assert measure(flat(encode(0.2), encode(0.4), encode(0.2)))["green_magenta"] == pytest.approx(-1, abs=0.05)


@pytest.mark.parametrize("std", [2.0, 5.0, 10.0])
def test_noise_is_its_standard_deviation(std: float) -> None:
    """On a flat photo, within a tenth of the noise that was added to luma."""
    noisy = 128 + np.random.default_rng(0).normal(0, std, (200, 200, 1)).repeat(3, axis=-1)
    found = measure(Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8)), ["noise"])["noise"]
    assert found == pytest.approx(std, rel=0.25) and found < std  # the calmest quarter lies a little below


def test_hasler_suesstrunk_of_a_single_colour_is_its_mean_part() -> None:
    """Pure red: 0.3 times the distance (255, 127.5) from grey."""
    assert measure(flat(1, 0, 0))["colourfulness"] == pytest.approx(0.3 * np.hypot(255, 127.5), rel=1e-3)


@pytest.mark.parametrize(("x", "y"), [(0.2, 0.5), (0.5, 0.5), (0.8, 0.3), (0.35, 0.75)])
def test_the_subject_is_found_where_it_is(x: float, y: float) -> None:
    found = measure(disc_at(x, y), ["subject_x", "subject_y"])
    assert found["subject_x"] == pytest.approx(x, abs=0.06) and found["subject_y"] == pytest.approx(y, abs=0.06)


def test_composition_of_one_disc() -> None:
    centre, third, edge = disc_at(0.5, 0.5), disc_at(1 / 3, 1 / 3), disc_at(0.88, 0.5)
    distance = [measure(photo, ["thirds_distance"])["thirds_distance"] for photo in (third, centre)]
    assert distance[0] < 0.07 < distance[1]
    assert measure(centre, ["off_centre"])["off_centre"] < 0.1 < measure(edge, ["off_centre"])["off_centre"]
    assert measure(centre, ["balance"])["balance"] > 0.95 > measure(edge, ["balance"])["balance"]
    assert measure(centre, ["symmetry"])["symmetry"] > 0.8 > measure(edge, ["symmetry"])["symmetry"]
    sizes = [measure(disc_at(0.5, 0.5, radius), ["subject_size"])["subject_size"] for radius in (0.06, 0.12, 0.2)]
    assert sizes[0] < sizes[1] < sizes[2]


def test_a_sharp_subject_before_a_soft_background_has_depth() -> None:
    from PIL import ImageFilter

    rng = np.random.default_rng(0)
    rough = from_encoded(0.45 + 0.1 * rng.standard_normal((160, 240, 1)).repeat(3, axis=-1))
    soft = rough.filter(ImageFilter.GaussianBlur(3))
    disc = disc_at(0.5, 0.5)
    mask = Image.new("L", disc.size)
    ImageDraw.Draw(mask).ellipse([91, 51, 149, 109], fill=255)
    depth = [measure(Image.composite(disc, ground, mask), ["focus_contrast"])["focus_contrast"] for ground in (soft, rough)]
    assert depth[0] > depth[1] + 0.3


@pytest.mark.parametrize("degrees", [-10.0, -3.0, 0.0, 5.0, 12.0])
def test_tilt_is_measured_in_degrees(degrees: float) -> None:
    turned = scene_photo().rotate(-degrees, Image.Resampling.BICUBIC).crop((40, 30, 200, 150))
    assert measure(turned, ["tilt"])["tilt"] == pytest.approx(degrees, abs=1)


def test_opposite_hues_are_in_harmony_and_scattered_ones_less() -> None:
    hues = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    wheel = 0.5 + 0.3 * np.stack([np.cos(hues), np.cos(hues - 2.1), np.cos(hues + 2.1)], axis=-1)
    scattered = from_encoded(np.broadcast_to(wheel, (50, 200, 3)))
    pair = from_encoded(np.broadcast_to(wheel[[20] * 100 + [120] * 100], (50, 200, 3)))
    assert measure(pair, ["harmony"])["harmony"] > 0.95 > measure(scattered, ["harmony"])["harmony"] + 0.1
    spread = [measure(photo, ["palette_spread"])["palette_spread"] for photo in (pair, scattered)]
    assert spread[0] < 1.5 < 4 < spread[1]


def test_bright_saturated_photos_please_and_dark_saturated_ones_stir() -> None:
    """The signs of Valdez and Mehrabian's equations."""
    bright, dark = measure(flat(1.0, 0.8, 0.3)), measure(flat(0.5, 0.0, 0.1))
    assert bright["pleasure"] > dark["pleasure"] and dark["arousal"] > bright["arousal"]


def test_palette_names_the_colours_and_their_shares() -> None:
    image = Image.new("RGB", (90, 60), (200, 30, 40))
    image.paste((20, 40, 180), (60, 0, 90, 60))
    (first, share), (second, rest) = palette(image, 2)
    assert np.abs(np.array(first) - (200, 30, 40)).max() < 12 and share == pytest.approx(2 / 3, abs=0.05)
    assert np.abs(np.array(second) - (20, 40, 180)).max() < 12 and rest == pytest.approx(1 / 3, abs=0.05)


def test_unknown_measurements_are_refused() -> None:
    with pytest.raises(KeyError, match="beauty"):
        measure(scene_photo(), ["beauty"])


def test_structure_tensor_is_that_of_scikit_image() -> None:
    """Within a millionth, borders included."""
    feature = pytest.importorskip("skimage.feature")
    light = np.asarray(scene_photo(140, 110).convert("L"), dtype=np.float64) / 255
    for found, expected in zip(structure_tensor(light, 4.0), feature.structure_tensor(light, sigma=4.0), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


def test_only_pretext_samples_need_scikit_image() -> None:
    """Where it is not installed, every measurement works but the two that only pretext samples take."""
    script = """
import sys
sys.modules["skimage"] = None
from PIL import Image
from aesthetic_mllm.editing.measurements import MEASUREMENTS, measure
def works(name):
    try:
        return bool(measure(Image.new("RGB", (40, 30), (200, 90, 20)), [name]))
    except ImportError:
        return False
print(*(name for name in MEASUREMENTS if not works(name)))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["blur_extent", "texture"]
