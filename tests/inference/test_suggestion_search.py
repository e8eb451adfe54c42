"""Suggestions: the inverse of a damage is found, amounts stay bounded, and a rating cannot be pleased with a worse photo."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aesthetic_mllm import AestheticAssessor, AestheticMLLMImageProcessor, ImageError
from aesthetic_mllm.editing import get_edit
from aesthetic_mllm.editing.colour_space import encoded_array, hue_and_chroma, luma
from aesthetic_mllm.editing.measurements import measure
from aesthetic_mllm.inference import suggestion_search
from aesthetic_mllm.inference.suggestion_search import (
    FLAWS_TRIED,
    MOST_OF_STRONG,
    Step,
    SuggestionSearch,
    apply_steps,
    apply_suggestions,
    harmless_changes,
    most_of,
    newly_clipped,
    structure_kept,
)
from aesthetic_mllm.processing.rating_scale import DEFAULT_QUESTIONS, OperatingPoint, Rating, RatingScale
from aesthetic_mllm.tasks.suggesting import FLAW_QUESTIONS, FLAWS, OTHER_ADVICE, Suggestion, flaw_question
from photo_files import scene
from synthetic_photos import midtone_photo, scene_photo

CANVAS = 160
POINT = OperatingPoint(threshold=7.75, usual=10.0, spread=1.0, damaged=1.0, false_alarms=0.01, auc=0.9)
Judge = Callable[[Image.Image], float]


class FakeRater:
    """Rates photos by a function, from 1 to 10, and flaws as it is told.

    Args:
        judge: photo -> mean rating.
        flaws: strength of some flaws, 0 to 1; the others are 0. `None`: no flaw can be asked for.
    """

    def __init__(self, judge: Judge, flaws: Mapping[str, float] | None = None):
        self.judge, self.flaws = judge, {flaw_question(key): strength for key, strength in (flaws or {}).items()}
        questions = DEFAULT_QUESTIONS if flaws is None else DEFAULT_QUESTIONS | FLAW_QUESTIONS
        points = {} if flaws is None else dict.fromkeys(FLAW_QUESTIONS, POINT)
        self.processor = SimpleNamespace(
            rating_scale=RatingScale(questions=questions, operating_points=points),
            image_processor=AestheticMLLMImageProcessor(canvas_size=CANVAS),
            measurement_cuts={},
        )
        self.asked: list[list[Image.Image]] = []

    def __call__(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[dict[str, Rating]]:
        self.asked.append(list(images))
        return [{question: self.rating(image, question) for question in questions} for image in images]

    def rating(self, image: Image.Image, question: str) -> Rating:
        mean = 10 - 9 * self.flaws.get(question, 0.0) if question in FLAW_QUESTIONS else self.judge(image)
        return Rating(min(max(mean, 1.0), 10.0), None, None, (1.0, 10.0))


def nearness_to(original: Image.Image) -> Judge:
    """The best rating for the original itself, mirrored or not, in any size; it sees no finer detail than light and colour."""

    def looks(image: Image.Image) -> np.ndarray:
        return np.asarray(image.resize((32, 24), Image.Resampling.BOX), dtype=np.float32)

    def judge(image: Image.Image) -> float:
        wanted, seen = looks(original), looks(image)
        return 10 - 9 * min(float(np.abs(seen - each).mean()) for each in (wanted, wanted[:, ::-1])) / 64

    return judge


def colourfulness(image: Image.Image) -> float:
    return 1 + 20 * float(hue_and_chroma(encoded_array(image))[1].mean())


def darkness(image: Image.Image) -> float:
    return 10 - 9 * float(luma(encoded_array(image)).mean())


def search_with(judge: Judge, flaws: Mapping[str, float] | None = None) -> SuggestionSearch:
    rater = FakeRater(judge, flaws)
    return SuggestionSearch(rater.processor, rater)  # type: ignore[arg-type]


# Damages of the frame have tests of their own.
DAMAGES = [
    ("exposure", -1), ("exposure", 1), ("contrast", -1), ("saturation", -1), ("saturation", 1), ("temperature", -1),
    ("temperature", 1), ("haze", 1), ("shadows", -1), ("gamma", -1), ("gamma", 1), ("tint", -1), ("tint", 1), ("vignette", 1),
]  # fmt: skip


@pytest.mark.parametrize("flaws", [None, {}], ids=["no flaws asked", "no flaw found"])
@pytest.mark.parametrize(("edit", "sign"), DAMAGES)
def test_the_inverse_of_a_damage_comes_first(edit: str, sign: int, flaws: Mapping[str, float] | None) -> None:
    """A judge that knows the original: the first verified suggestion is the same edit the other way, and brings it nearer.

    A checkpoint that rates flaws and finds none must still find what no flaw speaks of.
    """
    remedy = next((flaw.key for flaw in FLAWS.values() if (flaw.edit, flaw.sign) == (edit, -sign)), None)
    if flaws is not None and remedy is not None:
        flaws = {remedy: 0.6}
    grey = scene_photo().convert("L").convert("RGB")  # any cast that is measured is the damage
    special = {"haze": scene(), "shadows": get_edit("exposure").apply(scene_photo(), -1.5), "tint": grey}
    original = special.get(edit, scene_photo())
    judge = nearness_to(original)
    damaged = get_edit(edit).apply(original, 0.7 * sign * get_edit(edit).strong)
    search = search_with(judge, flaws)
    first, *_ = found = search.suggest(damaged, verify=True)
    assert first.edit == edit and np.sign(first.amount) == -sign
    assert first.measured_gain is not None and first.measured_gain > 0
    assert judge(apply_suggestions(damaged, found)) > judge(damaged) + 0.5 * first.measured_gain


def test_a_tilted_photo_is_turned_back() -> None:
    """By an angle or by its lines."""
    tilted = get_edit("tilt").apply(scene_photo(), 6.0)
    first, *_ = search_with(lambda image: 10 - abs(measure(image, ["tilt"])["tilt"])).suggest(tilted, verify=True)
    assert first.edit == "straighten" or (first.edit == "tilt" and first.amount is not None and first.amount < 0)


@pytest.mark.parametrize("verify", [False, True])
def test_a_judge_that_sees_no_difference_suggests_nothing(verify: bool) -> None:
    assert search_with(lambda image: 5.0).suggest(scene_photo(), verify=verify) == []


def test_gains_that_harmless_changes_reach_are_no_gains() -> None:
    """Where mirroring moves a rating by more than brightening does, brightening is not suggested."""

    def judge(image: Image.Image) -> float:
        light = luma(encoded_array(image))
        half = light.shape[1] // 2
        return 5 + 3 * light.mean() + weight * (light[:, :half].mean() - light[:, half:].mean())

    photo = Image.fromarray(np.tile(np.linspace(80, 150, 120, dtype=np.uint8)[:, None], (90, 1, 3)))
    weight = 0.0
    assert [each.edit for each in search_with(judge).suggest(photo, verify=True)][:1] == ["exposure"]
    weight = 30.0
    assert search_with(judge).suggest(photo, verify=True) == []


@pytest.mark.parametrize("verify", [False, True])
def test_a_judge_that_loves_colour_gets_no_more_than_the_bound(verify: bool) -> None:
    """However much more the rating would pay for, and whatever a flaw says, amounts end at a share of the strong one."""
    found = search_with(colourfulness, {"pale": 1.0}).suggest(midtone_photo(), verify=verify)
    (saturation,) = [each for each in found if each.edit == "saturation"]
    assert saturation.amount == pytest.approx(MOST_OF_STRONG["saturation"] * get_edit("saturation").strong)
    for each in found:
        assert each.edit is not None and each.amount is not None
        assert abs(each.amount) <= MOST_OF_STRONG[each.edit] * get_edit(each.edit).strong + 0.005


@pytest.mark.parametrize("edit", MOST_OF_STRONG)
def test_bounds_lie_within_the_edits_ranges(edit: str) -> None:
    """Every edit that can be suggested has a bound of at most its strong amount, and every remedy has a bound."""
    assert 0 < MOST_OF_STRONG[edit] <= 1
    for sign in (1, -1):
        get_edit(edit).apply(scene(), most_of(edit, sign))
    assert {str(flaw.edit) for flaw in FLAWS.values() if flaw.edit} | {name for name, _ in OTHER_ADVICE} == set(MOST_OF_STRONG)


def test_a_destroyed_photo_is_not_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that loves black would have haze taken out of a clear photo until little is left; each bound stops that."""
    photo = scene()

    def dehazed() -> bool:
        return "haze" in [each.edit for each in search_with(darkness, {"hazy": 1.0}).suggest(photo, verify=True)]

    for bounds in (("MOST_CLIPPED", 1.0), ("LEAST_STRUCTURE", -1.0)):
        with monkeypatch.context() as one:
            one.setattr(suggestion_search, *bounds)
            assert not dehazed()
    monkeypatch.setattr(suggestion_search, "MOST_CLIPPED", 1.0)
    monkeypatch.setattr(suggestion_search, "LEAST_STRUCTURE", -1.0)
    assert dehazed()


def test_a_cast_is_taken_out_where_one_is_measured_alone() -> None:
    """Whatever the judge likes: a grey photo and one with a faint cast are left, a clear cast is taken out and not added to."""

    def tinted(judge: Judge, photo: Image.Image) -> list[float | None]:
        return [each.amount for each in search_with(judge, {}).suggest(photo, verify=True) if each.edit == "tint"]

    grey = scene_photo().convert("L").convert("RGB")
    faint, magenta = (get_edit("tint").apply(grey, amount) for amount in (0.3, 0.6))
    assert tinted(colourfulness, grey) == tinted(colourfulness, faint) == tinted(colourfulness, magenta) == []
    (amount,) = tinted(nearness_to(grey), magenta)
    assert amount is not None and amount < 0


def test_structure_is_kept_by_light_and_colour_and_lost_by_destruction() -> None:
    """It hardly moves with exposure, contrast and colour, and falls with noise, blur and crushed tones."""
    photo = scene_photo()
    kept = {name: structure_kept(photo, get_edit(name).apply(photo, amount)) for name, amount in GENTLE}
    lost = {name: structure_kept(photo, get_edit(name).apply(photo, amount)) for name, amount in DESTRUCTIVE}
    assert min(kept.values()) > suggestion_search.LEAST_STRUCTURE > max(lost.values()), (kept, lost)
    assert structure_kept(photo, photo) == pytest.approx(1)
    assert structure_kept(photo, Image.new("RGB", photo.size)) < 0.1


def test_pixels_that_were_clipped_before_are_not_newly_clipped() -> None:
    """Half of a grey photo turned black counts once; what was black stays uncounted."""
    grey, half = Image.new("L", (64, 48), 128), Image.new("L", (64, 48), 128)
    half.paste(0, (0, 0, 32, 48))
    grey, half, black = (image.convert("RGB") for image in (grey, half, Image.new("L", (64, 48), 0)))
    assert newly_clipped(grey, half) == newly_clipped(half, black) == pytest.approx(0.5)
    assert newly_clipped(half, half) == 0


GENTLE = [("exposure", -1.0), ("contrast", 0.5), ("saturation", 0.7), ("temperature", 0.8), ("sharpness", 1.0)]
DESTRUCTIVE = [("noise", 0.5), ("defocus", 6.0), ("haze", -0.8)]


def test_edits_that_spoil_each_other_are_not_suggested_together() -> None:
    """Each of two edits helps, both together do not: only the better one stays. Where both together are best, both stay."""
    photo = get_edit("tint").apply(midtone_photo(), -0.8)  # so green that tint is tried
    before = measure(photo, ["warmth", "green_magenta"])

    def judge(image: Image.Image) -> float:
        after = measure(image, ["warmth", "green_magenta"])
        warm, magenta = (max(0.0, after[name] - before[name]) for name in ("warmth", "green_magenta"))
        return 5 + warm + magenta - penalty * warm * magenta

    penalty = 0.0
    assert {each.edit for each in search_with(judge).suggest(photo, verify=True, limit=2)} == {"temperature", "tint"}
    penalty = 10.0
    assert len(search_with(judge).suggest(photo, verify=True, limit=2)) == 1


def test_flaws_alone_suggest_without_trying() -> None:
    """One photo is rated once. The strongest flaw comes first, with its remedy's direction and the larger amount; weak flaws and
    second remedies of one purpose are left out; what no edit can mend is advice."""
    strengths = {"too_dark": 0.5, "noisy": 0.9, "pale": 0.8, "garish": 0.3, "hazy": 0.2, "tilted_clockwise": 0.7}
    search = search_with(lambda image: 5.0, strengths)
    found = search.suggest(scene_photo(), limit=10)
    assert search.forwards == 1
    assert [each.flaw for each in found] == ["noisy", "pale", "tilted_clockwise", "too_dark"]
    noisy, pale, tilted, dark = found
    assert noisy.edit is None and noisy.amount is None and noisy.text == FLAWS["noisy"].text
    assert (pale.edit, tilted.edit, dark.edit) == ("saturation", "tilt", "exposure")
    assert pale.amount > 0 > tilted.amount and dark.amount == pytest.approx(0.5) and dark.unit == "EV"
    assert [each.measured_gain for each in found] == [None] * 4
    assert search.suggest(scene_photo(), limit=2) == found[:2]
    assert apply_suggestions(scene_photo(), [noisy]).tobytes() == scene_photo().tobytes()


@pytest.mark.parametrize("verify", [False, True])
def test_what_measurements_refute_is_not_suggested(verify: bool) -> None:
    """A bright photo is not brightened, whatever a flaw's rating or the judgement says."""
    search = search_with(lambda image: 1 + 9 * float(luma(encoded_array(image)).mean()), {"too_dark": 0.9})
    assert "too_dark" in [each.flaw for each in search.suggest(midtone_photo(), verify=verify)]
    search.processor.measurement_cuts = {"brightness": [0.1, 0.15, 0.2, 0.25]}
    assert "too_dark" not in [each.flaw for each in search.suggest(midtone_photo(), verify=verify)]


@pytest.mark.parametrize("verify", [False, True])
def test_a_grey_photo_has_no_colours_to_strengthen(verify: bool) -> None:
    grey = midtone_photo().convert("L").convert("RGB")
    assert search_with(lambda image: 5.0, {"pale": 1.0}).suggest(grey, verify=verify) == []


def test_a_flaw_that_is_not_asked_by_default_is_not_asked() -> None:
    search = search_with(lambda image: 5.0, {"noisy": 1.0})
    points = search.scale.operating_points | {"flaw_noisy": replace(POINT, asked=False)}
    search.processor.rating_scale = replace(search.scale, operating_points=points)
    again = SuggestionSearch(search.processor, search.rate)
    assert set(search.flaws) - set(again.flaws) == {"flaw_noisy"}
    assert again.suggest(midtone_photo()) == []


def test_verifying_keeps_what_helps_and_then_advice() -> None:
    """Of flaws that are claimed only those whose remedy is rated better are kept; advice that nothing can verify comes last."""
    photo = midtone_photo()
    found = search_with(colourfulness, {"noisy": 1.0, "pale": 0.6, "too_bright": 0.9}).suggest(photo, verify=True, limit=5)
    assert found[0].flaw == "pale" and found[0].measured_gain > 0
    assert found[-1].flaw == "noisy" and found[-1].measured_gain is None
    assert "too_bright" not in [each.flaw for each in found]


def test_a_search_is_a_few_batches() -> None:
    """Verifying rates each round's photos in one call, and of the flaws only the strongest few are tried."""
    search = search_with(colourfulness, {"pale": 0.9})
    search.suggest(midtone_photo(), verify=True)
    calls = [len(images) for images in search.rate.asked]
    assert len(calls) <= 6 and sum(calls) == search.forwards
    assert calls[:3] == [1, 1, len(harmless_changes(midtone_photo()))] and calls[3] <= FLAWS_TRIED + len(OTHER_ADVICE)


@pytest.mark.parametrize("edit", MOST_OF_STRONG)
def test_an_edit_at_full_size_is_the_edit_that_was_tried(edit: str) -> None:
    """Applied to a large photo and made small it looks as applied to the small copy."""
    large = scene_photo(960, 720)
    tilted = get_edit("tilt").apply(large, 5.0) if edit == "straighten" else large
    suggestion = Suggestion("", edit, most_of(edit, -1 if edit in ("haze", "vignette") else 1), "")
    full = apply_suggestions(tilted, [suggestion])
    size = (tilted.width // 3, tilted.height // 3)
    small = apply_suggestions(tilted.resize(size, Image.Resampling.LANCZOS), [suggestion])
    assert abs(full.width / 3 - small.width) < 4
    untouched = tilted.resize(small.size, Image.Resampling.LANCZOS)
    shrunk = np.asarray(full.resize(small.size, Image.Resampling.LANCZOS), np.float32)
    assert np.abs(shrunk - np.asarray(small)).mean() < 0.35 * np.abs(shrunk - np.asarray(untouched)).mean()


def test_the_order_of_applying_does_not_depend_on_the_list() -> None:
    """Edits are applied in one order, whatever suggestion comes first, and the photo itself is not changed."""
    photo = scene_photo()
    before = photo.tobytes()
    steps = [Step("sharpness", 1.0), Step("tilt", 4.0), Step("contrast", 0.4), Step("vignette", -1.0)]
    assert apply_steps(photo, steps).tobytes() == apply_steps(photo, steps[::-1]).tobytes()
    vignette_first = get_edit("tilt").apply(get_edit("vignette").apply(photo, -1.0), 4.0)
    assert apply_steps(photo, [steps[1], steps[3]]).tobytes() == vignette_first.tobytes()
    assert photo.tobytes() == before


@pytest.mark.parametrize("verify", [False, True])
def test_any_checkpoint_and_any_shape_works(nano: Any, processor: Any, verify: bool) -> None:
    """A random checkpoint without flaws and attributes judges wide, tall and tiny photos; the unsuitable is an error."""
    search = AestheticAssessor(nano, processor).suggestion_search()
    for size in [(120, 90), (900, 46), (17, 40)]:
        found = search.suggest(scene(*size), verify=verify)
        assert len(found) <= 3
        for each in found:
            assert json.loads(json.dumps(each.to_dict()))["edit"] in MOST_OF_STRONG
            assert each.measured_gain is not None and each.measured_gain > 0  # without operating points edits are tried
    with pytest.raises(ImageError, match="8 x 8"):
        search.suggest(scene(8, 8), verify=verify)
