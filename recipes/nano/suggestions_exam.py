"""Examines a checkpoint's suggestions: whether they undo damage, and whether they leave good photos alone.

    python recipes/nano/suggestions_exam.py --data DATA --work build/nano --model build/nano/final \\
        --output build/nano/suggestions.json     # after features.py

The held-out photos with the best quality ratings are damaged, each by one edit at its strong amount, in turn through all edits
and directions of [`DAMAGES`]. The suggestions for the damaged photo are read twice, without and with `verify`.

Rules. A suggestion names the inverse if it is the same edit in the other direction; of a tilt, straightening counts too. A
"kindred" one does much the same: [`KINDRED`]. Top 3 are the first three suggestions, top 1 is the first. Then all verified
suggestions are applied together, and the result is compared with the damaged photo:
    nearer: PSNR or SSIM to the undamaged photo rises. Where the frame was turned or cropped, all three are compared in what is
        left of it; a crop to the thirds is not followed, so it counts as further away.
    judge agrees: ridge regressions on the public tower's pooled features, of quality and of beauty, fitted on other photos,
        rate it higher (sum of both as standard scores). They take no part in the search.
Photos without a verified edit count as neither. Last, the best photos as they are: how many are left alone, and how the
checkpoint's judgement and the judge's change over all of them.

On two idle cores the default takes about six minutes. Beside the JSON file goes a Markdown file with the tables.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from tqdm import tqdm

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.editing import get_edit
from aesthetic_mllm.editing.colour_space import encoded_array, luma
from aesthetic_mllm.editing.framing import Frame, inscribed_scale, show
from aesthetic_mllm.editing.measurements.composition import tilt_degrees
from aesthetic_mllm.inference.suggestion_search import SuggestionSearch, apply_suggestions
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.tasks.suggesting import Suggestion
from data import RatedPhoto, quality_validation, read_beauty, read_quality
from features import CANVAS, FeatureCache, pool_stages
from ridge import BEAUTY_ALPHA, QUALITY_ALPHA, ridge_predict
from weights import VISION, convert_vision, fetch

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
BATCH_SIZE = 16


@dataclass(frozen=True)
class Answer:
    """What was suggested for one damaged photo, and what came of it.

    Args:
        photo, edit, amount: what was damaged by what.
        plain, verified: edit and sign of the suggestions without and with verification; ("", 0) is advice without an edit.
        changed: whether any verified edit was applied.
        psnr, ssim: by how much they rose.
    """

    photo: str
    edit: str
    amount: float
    plain: list[tuple[str, int]]
    verified: list[tuple[str, int]]
    changed: bool
    psnr: float
    ssim: float

    @property
    def in_pretext_samples(self) -> bool:
        return get_edit(self.edit).in_pretext_samples


class RidgeJudge:
    """Quality and beauty by ridge regression on the public tower's pooled features, the sum as standard scores.

    Args:
        work: with what `features.py` cached.
        quality, beauty: rated photos to fit on.
        everything: all photos of the cache, in its order.
    """

    def __init__(self, work: Path, quality: Sequence[RatedPhoto], beauty: Sequence[RatedPhoto], everything: list[RatedPhoto]):
        cache = FeatureCache(work, everything)
        self.known = [
            (cache.pooled_of(list(photos)), np.array([photo.mean for photo in photos]), alpha)
            for photos, alpha in ((quality, QUALITY_ALPHA), (beauty, BEAUTY_ALPHA))
        ]
        self.tower = convert_vision(fetch(VISION, work), CANVAS).to(memory_format=torch.channels_last)
        self.image_processor = AestheticMLLMImageProcessor(canvas_size=CANVAS)

    def __call__(self, images: Sequence[Image.Image]) -> np.ndarray:
        """[N], the higher the better."""
        queries = np.concatenate(
            [self.features(images[first : first + BATCH_SIZE]) for first in range(0, len(images), BATCH_SIZE)]
        )
        return np.sum(
            [(ridge_predict(x, y, queries, alpha) - y.mean()) / y.std() for x, y, alpha in self.known],
            axis=0,
        )

    @torch.inference_mode()
    def features(self, images: Sequence[Image.Image]) -> np.ndarray:
        inputs = self.image_processor(list(images), return_tensors="pt")
        maps = self.tower(inputs["pixel_values"], inputs["image_sizes"]).feature_maps
        return pool_stages(maps, inputs["image_sizes"]).numpy()


def plan_damages(photos: Sequence[RatedPhoto], seed: int) -> list[tuple[RatedPhoto, str, float]]:
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


def examine(search: SuggestionSearch, before: Image.Image, after: Image.Image) -> tuple[list, list, Image.Image, float, float]:
    """Suggestions without and with verification for a damaged photo, the photo with the latter applied, and the rise of PSNR and
    SSIM to the undamaged one."""
    plain, verified = (search.suggest(after, verify=verify, limit=LIMIT) for verify in (False, True))
    applied = apply_suggestions(after, verified)
    reference, start = (in_frame_of(photo, after, verified, applied.size) for photo in (before, after))
    rise = np.subtract(likeness(reference, applied), likeness(reference, start))
    return plain, verified, applied, float(rise[0]), float(rise[1])


def summary(answers: Sequence[Answer], judged: np.ndarray) -> dict[str, float]:
    """Shares of photos.

    Args:
        judged: [N, 3] the judge's scores of each photo damaged, with the suggestions applied, and undamaged.
    """

    def named(what: str, first: int, kindred: bool = False) -> float:
        found = [any(names_inverse(each, a.edit, a.amount, kindred) for each in getattr(a, what)[:first]) for a in answers]
        return float(np.mean(found))

    changed = np.array([answer.changed for answer in answers])
    nearer = np.array([answer.psnr > 0 or answer.ssim > 0 for answer in answers]) & changed
    agrees = (judged[:, 1] > judged[:, 0]) & changed
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
        "PSNR rises": float(np.mean([answer.psnr > 0 for answer in answers] & changed)),
        "SSIM rises": float(np.mean([answer.ssim > 0 for answer in answers] & changed)),
        "judge agrees": float(agrees.mean()),
        "judge agrees, of changed": float(agrees.sum() / of_changed),
        # how well the judge sees damage at all
        "judge prefers undamaged": float((judged[:, 2] > judged[:, 0]).mean()),
    }


def table(rows: dict[str, dict[str, float]]) -> str:
    """Markdown, shares in percent."""
    columns = list(next(iter(rows.values())))
    lines = [f"| photos damaged by | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | {' | '.join(f'{v:.0%}' if k != 'photos' else f'{v:.0f}' for k, v in row.items())} |")
    return "\n".join(lines)


def improved(search: SuggestionSearch, photo: Image.Image) -> Image.Image:
    """A photo with all verified suggestions."""
    return apply_suggestions(photo, search.suggest(photo, verify=True, limit=LIMIT))


def left_alone(
    search: SuggestionSearch, judge: RidgeJudge, photos: Sequence[Image.Image], results: Sequence[Image.Image]
) -> dict[str, float]:
    """What became of undamaged photos; means are over all of them, those left alone counting as 0."""
    changed = np.array([result.tobytes() != photo.tobytes() for result, photo in zip(results, photos, strict=True)])
    judgement = np.subtract(search.judge(results), search.judge(photos))
    independent = np.subtract(judge(results), judge(photos))
    return {
        "photos": len(photos),
        "left alone": float(1 - changed.mean()),
        "mean change of the judgement, in points": float(judgement.mean()),
        "mean change by the judge, in standard scores": float(independent.mean()),
        "judge agrees, of changed": float((independent[changed] > 0).mean()) if changed.any() else 0.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"), help="with what features.py cached")
    parser.add_argument("--model", help="folder of the checkpoint (default: the embedded one)")
    parser.add_argument("--photos", type=int, default=200, help="held-out photos to damage")
    parser.add_argument("--undamaged", type=int, default=30, help="of them to ask about as they are")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()

    start = time.monotonic()
    quality, beauty = read_quality(arguments.data, RatingScale()), read_beauty(arguments.data, RatingScale())
    names = quality_validation(quality)
    known = [photo for photo in quality if photo.name not in names]
    best = sorted((photo for photo in quality if photo.name in names), key=lambda photo: -photo.mean)[: arguments.photos]
    judge = RidgeJudge(arguments.work, known, beauty, quality + beauty)
    assessor = AestheticAssessor.from_pretrained(arguments.model, dtype=arguments.dtype)
    # a photo a core is faster than all cores at one photo
    workers = torch.get_num_threads()
    torch.set_num_threads(1)
    search = assessor.suggestion_search()

    def ask(damage: tuple[RatedPhoto, str, float]) -> tuple[Answer, list[Image.Image]]:
        photo, edit, amount = damage
        before, after = get_edit(edit).pair(load_image(photo.path), amount, arguments.seed)
        plain, verified, applied, psnr, ssim = examine(search, before, after)
        changed = any(each.edit for each in verified)
        answer = Answer(photo.name, edit, amount, signed(plain), signed(verified), changed, psnr, ssim)
        return answer, [after, applied, before]

    plan = plan_damages(best, arguments.seed)
    with ThreadPoolExecutor(workers) as pool:
        asked = list(tqdm(pool.map(ask, plan), desc="damaged photos", total=len(plan)))
        undamaged_photos = [load_image(photo.path) for photo in best[: arguments.undamaged]]
        results = list(tqdm(pool.map(lambda photo: improved(search, photo), undamaged_photos), desc="undamaged photos"))
    torch.set_num_threads(workers)
    answers, shown = [answer for answer, _ in asked], [image for _, images in asked for image in images]
    judged = judge(shown).reshape(-1, 3)
    undamaged = left_alone(search, judge, undamaged_photos, results)

    def part(chosen: list[bool]) -> dict[str, float]:
        return summary([answer for answer, is_in in zip(answers, chosen, strict=True) if is_in], judged[chosen])

    groups = {edit: [answer.edit == edit for answer in answers] for edit in DAMAGES}
    groups["all in pretext samples"] = [answer.in_pretext_samples for answer in answers]
    groups["all kept out of pretext samples"] = [not answer.in_pretext_samples for answer in answers]
    rows = {name: part(chosen) for name, chosen in groups.items() if any(chosen)}
    report = {
        "model": arguments.model or "embedded",
        "asks for flaws": bool(search.flaws),
        "seconds": round(time.monotonic() - start, 1),
        "dtype": arguments.dtype,
        "photos rated": search.forwards,
        "damaged": rows,
        "undamaged": undamaged,
        "answers": [asdict(answer) for answer in answers],
    }
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    alone = "\n".join(f"- {name}: {value:.3g}" for name, value in undamaged.items())
    text = f"{table(rows)}\n\nUndamaged photos:\n{alone}"
    arguments.output.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)
    print(f"{report['seconds']} s, {search.forwards} photos rated")


if __name__ == "__main__":
    main()
