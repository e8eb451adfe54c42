"""Whether suggestions undo damage, and whether they leave good photos alone.

Good photos are damaged, each by one edit at its strong amount, in turn through all edits and directions of [`DAMAGES`]. The
suggestions for the damaged photo are read twice, without and with `verify`.

Rules. A suggestion names the inverse if it is the same edit in the other direction; of a tilt, straightening counts too. A
"kindred" one does much the same: [`KINDRED`]. Top 3 are the first three suggestions, top 1 is the first. Then all verified
suggestions are applied together, and the result is compared with the damaged photo:
    nearer: PSNR or SSIM to the undamaged photo rises. Where the frame was turned or cropped, all three are compared in what is
        left of it; a crop to the thirds is not followed, so it counts as further away.
Photos without a verified edit do not count as nearer. Last, some photos as they are: how many are told nothing without `verify`,
how many are left alone with it, and how the checkpoint's judgement changes over all of them.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ..editing import get_edit
from ..editing.colour_space import encoded_array, luma
from ..editing.framing import Frame, inscribed_scale, show
from ..editing.measurements.composition import tilt_degrees
from ..inference.suggestion_search import SuggestionSearch, apply_suggestions
from ..processing.image_loading import ImageSource, load_image
from ..tasks.suggesting import Suggestion

Photo = TypeVar("Photo")
Answer = TypeVar("Answer")

# What photos are damaged by: edits that have an inverse, and the directions that make a good photo worse. The edits kept out of
# all pretext samples are counted apart.
DAMAGES: dict[str, tuple[int, ...]] = {
    "exposure": (-1, 1),
    "contrast": (-1, 1),
    "saturation": (-1, 1),
    "temperature": (-1, 1),
    "haze": (1,),
    "shadows": (-1,),
    "highlights": (1,),
    "sharpness": (-1,),
    "tilt": (-1, 1),
    "gamma": (-1, 1),
    "tint": (-1, 1),
    "vignette": (1,),
}
# Edits in directions that do much the same.
KINDRED = (
    {("exposure", 1), ("gamma", 1), ("shadows", 1)},
    {("exposure", -1), ("gamma", -1), ("highlights", -1)},
    {("contrast", 1), ("haze", -1)},
)
LIMIT = 3  # suggestions a photo


@dataclass(frozen=True)
class SuggestionAnswer:
    """What was suggested for one damaged photo, and what came of it.

    Args:
        photo, edit, amount: what was damaged by what.
        plain, verified: edit and sign of the suggestions without and with verification; ("", 0) is advice without an edit.
        changed: whether any verified edit was applied.
        psnr, ssim: to the undamaged photo, of the damaged one and with the verified edits applied.
    """

    photo: str
    edit: str
    amount: float
    plain: list[tuple[str, int]]
    verified: list[tuple[str, int]]
    changed: bool
    psnr: tuple[float, float]
    ssim: tuple[float, float]

    @property
    def in_pretext_samples(self) -> bool:
        return get_edit(self.edit).in_pretext_samples


def plan_damages(photos: Sequence[str], seed: int) -> list[tuple[str, str, float]]:
    """Photo, edit and strong amount, within the edit's range: every edit as often, and of each edit its directions."""
    shuffled = random.Random(seed).sample(list(photos), len(photos))
    plan = []
    for number, photo in enumerate(shuffled):
        name = list(DAMAGES)[number % len(DAMAGES)]
        signs = DAMAGES[name]
        edit = get_edit(name)
        amount = signs[number // len(DAMAGES) % len(signs)] * edit.strong
        plan.append((photo, name, min(max(amount, edit.range[0]), edit.range[1])))
    return plan


def names_inverse(named: tuple[str, int], edit: str, amount: float, kindred: bool = False) -> bool:
    """Whether an edit and sign undo a damage, or with `kindred` do much the same as what undoes it."""
    inverse = (edit, -1 if amount > 0 else 1)
    if named == inverse or (edit == "tilt" and named[0] == "straighten"):
        return True
    return kindred and any(named in group and inverse in group for group in KINDRED)


def signed(suggestions: Sequence[Suggestion]) -> list[tuple[str, int]]:
    return [(each.edit or "", 0 if not each.amount else 1 if each.amount > 0 else -1) for each in suggestions]


def in_frame_of(
    photo: Image.Image, damaged: Image.Image, suggestions: Sequence[Suggestion], size: tuple[int, int]
) -> Image.Image:
    """What a photo shows in the frame that the suggestions leave, upright as it is, in a size."""
    scale = 1.0
    for each in suggestions:
        if each.edit == "zoom":
            scale *= 2 ** -(each.amount or 0)
        elif each.edit in ("tilt", "straighten"):
            turned = each.amount if each.edit == "tilt" else tilt_degrees(damaged)
            scale *= inscribed_scale(photo.size, turned or 0)
    return show(photo, Frame(scale=scale), size)


def likeness(first: Image.Image, second: Image.Image) -> tuple[float, float]:
    """PSNR in decibels over all channels, and SSIM of luma, of photos of one size."""
    x, y = encoded_array(first), encoded_array(second)
    mse_floor = 1e-10  # equal photos would have no finite PSNR
    psnr = peak_signal_noise_ratio(x, y, data_range=1.0) if ((x - y) ** 2).mean() > mse_floor else 100.0
    return float(psnr), float(structural_similarity(luma(x), luma(y), data_range=1.0))


def evaluate_photo(
    search: SuggestionSearch, before: Image.Image, after: Image.Image
) -> tuple[list[Suggestion], list[Suggestion], Image.Image, tuple[float, float], tuple[float, float]]:
    """Suggestions without and with verification for a damaged photo, the photo with the latter applied, and PSNR and SSIM to the
    undamaged one, each before and after."""
    plain, verified = (search.suggest(after, verify=verify, limit=LIMIT) for verify in (False, True))
    applied = apply_suggestions(after, verified)
    reference, start = (in_frame_of(photo, after, verified, applied.size) for photo in (before, after))
    psnr, ssim = zip(likeness(reference, start), likeness(reference, applied), strict=True)
    return plain, verified, applied, psnr, ssim


def answer_damaged(
    search: SuggestionSearch, photo: ImageSource, damage: tuple[str, str, float], seed: int
) -> tuple[SuggestionAnswer, list[Image.Image]]:
    """What comes of one photo, and the photo damaged, with the verified suggestions applied, and undamaged.

    Args:
        damage: name, edit and amount, as [`plan_damages`] gives them.

    Raises:
        ImageError: the photo cannot be read.
    """
    name, edit, amount = damage
    before, after = get_edit(edit).pair(load_image(photo), amount, seed)
    plain, verified, applied, psnr, ssim = evaluate_photo(search, before, after)
    changed = any(each.edit for each in verified)
    answer = SuggestionAnswer(name, edit, amount, signed(plain), signed(verified), changed, psnr, ssim)
    return answer, [after, applied, before]


def improve(search: SuggestionSearch, photo: Image.Image) -> tuple[list[Suggestion], Image.Image]:
    """The suggestions for a photo without verification, and the photo with the verified ones applied."""
    plain, verified = (search.suggest(photo, verify=verify, limit=LIMIT) for verify in (False, True))
    return plain, apply_suggestions(photo, verified)


def photo_a_core(ask: Callable[[Photo], Answer], photos: Iterable[Photo]) -> list[Answer]:
    """Asks about photos on all cores, one on each, which is faster than all cores at one photo."""
    workers = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(ask, photos))
    finally:
        torch.set_num_threads(workers)


def summarise(answers: Sequence[SuggestionAnswer]) -> dict[str, float]:
    """Shares of photos."""

    def named(what: str, first: int, kindred: bool = False) -> float:
        found = [any(names_inverse(each, a.edit, a.amount, kindred) for each in getattr(a, what)[:first]) for a in answers]
        return float(np.mean(found))

    changed = np.array([answer.changed for answer in answers])
    psnr_rises, ssim_rises = (
        np.array([after > before for before, after in values]) & changed
        for values in ([answer.psnr for answer in answers], [answer.ssim for answer in answers])
    )
    nearer = psnr_rises | ssim_rises
    of_changed = max(1, int(changed.sum()))
    return {
        "photos": len(answers),
        "plain top 1": named("plain", 1),
        "plain top 3": named("plain", 3),
        "plain top 3, kindred": named("plain", 3, True),
        "verified top 1": named("verified", 1),
        "verified top 3": named("verified", 3),
        "verified top 3, kindred": named("verified", 3, True),
        "changed": float(changed.mean()),
        "nearer": float(nearer.mean()),
        "nearer, of changed": float(nearer.sum() / of_changed),
        "PSNR rises": float(psnr_rises.mean()),
        "SSIM rises": float(ssim_rises.mean()),
    }


def left_alone(
    search: SuggestionSearch,
    photos: Sequence[Image.Image],
    plain: Sequence[Sequence[Suggestion]],
    results: Sequence[Image.Image],
) -> dict[str, float]:
    """What became of undamaged photos; means are over all of them, those left alone counting as 0.

    Args:
        plain: suggestions without verification.
        results: the photos with the verified ones applied.
    """
    changed = np.array([result.tobytes() != photo.tobytes() for result, photo in zip(results, photos, strict=True)])
    return {
        "photos": len(photos),
        "told nothing without verify": float(np.mean([not found for found in plain])),
        "left alone": float(1 - changed.mean()),
        "mean change of the judgement, in points": float(np.subtract(search.judge(results), search.judge(photos)).mean()),
    }
