"""Whether culling finds series, and whether it picks well in them, on series made from single photos by known edits.

A shoot is a folder as a camera would leave it: series and lone photos, each from a photo of its own, in random order. Its frames:
    burst: the scene by a moving hand (crop and turn), sensor noise, exposure off by up to 0.1 EV; some frames damaged.
    bracket: the same exposed in even steps of 1 to 2 EV, on a tripod or nearly so.
    panorama: crops side by side, of which neighbours share 25 to 60%.
    focus stack: a plane of focus that goes through a made-up depth; what lies far from it is blurred.
Real series hold more: subjects that move, light that changes, parallax. So these results are an upper bound.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageFilter

from ..editing import get_edit
from ..inference.culling import RatedFrame, cull_photos
from ..tasks.culling import CulledPhoto, Kind
from ..trainers.intervals import wilson_interval

Exif = Literal["none", "time", "exposure"]
KINDS: tuple[Kind, ...] = ("burst", "bracket", "panorama", "focus_stack")
# What happens to single frames of a burst, and how strongly: the edit's strong amount is what nobody overlooks.
DAMAGES = (("defocus", 1), ("motion_blur", 1), ("noise", 1), ("exposure", 1), ("exposure", -1))
FAINT, STRONG = 0.4, 1.0


@dataclass(frozen=True)
class Shot:
    """A frame of a shoot.

    Args:
        series: number of its series in the shoot.
        damage: edit and sign; empty for an undamaged frame.
        stops, bias: what the camera would note of the exposure, against the series' first frame.
    """

    image: Image.Image
    series: int
    kind: Kind
    damage: str = ""
    stops: float = 0.0
    bias: float = 0.0
    time: datetime | None = None


@dataclass(frozen=True)
class Share:
    """How many of so many, with the 95% interval of the share."""

    right: int
    count: int

    def __str__(self) -> str:
        low, high = wilson_interval(self.right, self.count) if self.count else (0.0, 1.0)
        return f"{self.right}/{self.count} ({low:.0%} to {high:.0%})"


def make_shoot(photos: Sequence[Image.Image], seed: int, *, strength: float = STRONG, all_but_one: bool = False) -> list[Shot]:
    """One series of each kind and a lone photo of each further one, in random order, with times some minutes apart.

    Args:
        photos: at least four; the larger ones suit panoramas.
        strength: of damage in the burst, as a share of the edits' strong amounts.
        all_but_one: whether all frames of the burst but one are damaged, rather than one.
    """
    chance = random.Random(seed)
    makers: list[tuple[Kind, Callable[[Image.Image, random.Random], list[Shot]]]] = [
        ("burst", lambda photo, chance: burst(photo, chance, strength, all_but_one)),
        ("bracket", bracket),
        ("panorama", panorama),
        ("focus_stack", focus_stack),
    ]
    made = [make(photo, chance) for (_, make), photo in zip(makers, photos, strict=False)]
    made += [[Shot(_framed(photo, chance, 0.0), 0, "single")] for photo in photos[len(makers) :]]
    chance.shuffle(made)
    time = datetime(2026, 5, 1, 12)
    shots = []
    for number, frames in enumerate(made):
        time += timedelta(minutes=chance.uniform(2, 10))
        for frame in frames:
            time += timedelta(seconds=chance.uniform(0.2, 2.0))
            shots.append(Shot(frame.image, number, frame.kind, frame.damage, frame.stops, frame.bias, time))
    return shots


def write_shoot(shots: Sequence[Shot], folder: Path, exif: Exif = "exposure") -> list[Path]:
    """The frames as JPEG files, numbered as a camera does.

    Args:
        exif: whether the files have no EXIF data, times, or times and exposures.
    """
    paths = []
    for number, shot in enumerate(shots, 1):
        noted = Image.Exif()
        if exif != "none" and shot.time is not None:
            inner = noted.get_ifd(ExifTags.IFD.Exif)
            inner[ExifTags.Base.DateTimeOriginal] = shot.time.strftime("%Y:%m:%d %H:%M:%S")
            inner[ExifTags.Base.SubsecTimeOriginal] = f"{shot.time.microsecond // 10_000:02}"
            inner[ExifTags.Base.OffsetTimeOriginal] = "+02:00"
            noted[ExifTags.Base.Model] = "made up"
            if exif == "exposure":
                inner[ExifTags.Base.ExposureTime] = 2**shot.stops / 60
                inner[ExifTags.Base.FNumber] = 8.0
                inner[ExifTags.Base.ISOSpeedRatings] = 100
                inner[ExifTags.Base.ExposureBiasValue] = shot.bias
        paths.append(folder / f"DSC_{number:04}.jpg")
        shot.image.save(paths[-1], quality=92, exif=noted)
    return paths


def burst(photo: Image.Image, chance: random.Random, strength: float = STRONG, all_but_one: bool = False) -> list[Shot]:
    """Three to six frames, of which one, or all but one, are damaged."""
    count = chance.randint(3, 6)
    whole = chance.randrange(count)
    shots = []
    for place in range(count):
        frame = _framed(photo, chance, 0.015)
        frame = get_edit("exposure").apply(frame, chance.uniform(-0.1, 0.1))
        frame = get_edit("noise").apply(frame, 0.01, chance.randrange(1 << 30))
        damage = ""
        if (place == whole) != all_but_one:
            name, sign = chance.choice(DAMAGES)
            edit = get_edit(name)
            frame = edit.apply(frame, sign * strength * edit.strong, chance.randrange(1 << 30))
            damage = f"{name}{'+' if sign > 0 else '-'}"
        shots.append(Shot(frame, 0, "burst", damage))
    return shots


def bracket(photo: Image.Image, chance: random.Random) -> list[Shot]:
    """Three or five exposures, in one of the orders that cameras shoot them in."""
    step = chance.choice((1.0, 1.5)) if (wide := chance.random() < 0.3) else chance.choice((1.0, 1.5, 2.0))
    stops = [step * place for place in ((-2, -1, 0, 1, 2) if wide else (-1, 0, 1))]
    if chance.random() < 0.5:
        stops.sort(key=lambda value: (abs(value), value))  # the metered exposure first
    shake = chance.choice((0.0, 0.005))
    return [
        Shot(get_edit("exposure").apply(_framed(photo, chance, shake), value), 0, "bracket", "", value, value) for value in stops
    ]


def panorama(photo: Image.Image, chance: random.Random) -> list[Shot]:
    """Three to five crops side by side, from left or from right, held almost level."""
    count, overlap = chance.randint(3, 5), chance.uniform(0.25, 0.6)
    share = 1 / (1 + (count - 1) * (1 - overlap))
    width, height = photo.size
    shots = []
    for place in range(count):
        left = place * share * (1 - overlap) * width
        top = height * (0.05 + chance.uniform(-0.02, 0.02))
        box = round(left), round(top), round(left + share * width), round(top + 0.9 * height)
        frame = get_edit("exposure").apply(photo.crop(box), chance.uniform(-0.1, 0.1))
        shots.append(Shot(frame, 0, "panorama"))
    return shots if chance.random() < 0.5 else shots[::-1]


def focus_stack(photo: Image.Image, chance: random.Random) -> list[Shot]:
    """Three to seven frames, whose focus goes through depth that grows in one direction of the photo."""
    frame = _framed(photo, chance, 0.0)
    count = chance.randint(3, 7)
    width, height = frame.size
    angle = chance.uniform(0, 2 * np.pi)
    down, across = np.mgrid[0:height, 0:width]
    depth = np.cos(angle) * across / width + np.sin(angle) * down / height
    depth = (depth - depth.min()) / np.ptp(depth)
    radii = [share * max(frame.size) for share in (0.0, 0.001, 0.002, 0.004, 0.008)]
    blurred = np.stack([np.asarray(frame.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) for radius in radii])
    shots = []
    for place in range(count):
        distance = np.abs(depth - (place + 0.5) / count)
        level = np.clip((distance - 0.5 / count) * count * 1.5, 0, len(radii) - 1)
        low = np.floor(level).astype(int)
        part = (level - low)[..., None]
        rows, columns = np.indices(low.shape)
        near, far = blurred[low, rows, columns], blurred[np.minimum(low + 1, len(radii) - 1), rows, columns]
        shots.append(Shot(Image.fromarray((near * (1 - part) + far * part).round().astype(np.uint8)), 0, "focus_stack"))
    return shots


def _framed(photo: Image.Image, chance: random.Random, shake: float) -> Image.Image:
    """The middle of a photo, held by a hand that moves by a share of the frame and turns by as much of a radian at the most."""
    width, height = photo.size
    turned = photo.rotate(chance.uniform(-shake, shake) * 30, resample=Image.Resampling.BICUBIC) if shake else photo
    left, top = (0.05 + chance.uniform(-shake, shake) for _ in range(2))
    box = round(left * width), round(top * height), round((left + 0.9) * width), round((top + 0.9) * height)
    return turned.crop(box)


@dataclass
class CullingResults:
    """Counts over shoots.

    Args:
        found: series of each kind that were found with all of their frames and no others, under their name.
        mistaken: as what the frames of series that were not found came out, most of them.
        alone: lone photos that stayed alone.
        belonging_rejected: frames of brackets, panoramas and stacks that were proposed as rejects.
        picked: bursts whose pick is an undamaged frame; `by_rating`: if the rating alone decided; `by_measuring`: if it had no
            say.
        chance: the share of undamaged frames, which a blind pick would have.
        damaged_rejected, undamaged_rejected: frames of bursts that were proposed as rejects.
    """

    found: dict[Kind, Share]
    mistaken: dict[Kind, list[str]]
    alone: Share
    belonging_rejected: Share
    picked: Share
    by_rating: Share
    by_measuring: Share
    chance: float
    damaged_rejected: Share
    undamaged_rejected: Share


def evaluate_culling(shoots: Sequence[tuple[Sequence[Shot], Sequence[RatedFrame]]]) -> CullingResults:
    """Culls each shoot and counts.

    Args:
        shoots: shots, and for each what was rated and noted of it.
    """
    found: dict[Kind, list[bool]] = {kind: [] for kind in KINDS}
    mistaken: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
    alone, belonging, picked, by_rating, by_measuring, blind = [], [], [], [], [], []
    rejected: dict[bool, list[bool]] = {True: [], False: []}
    for shots, frames in shoots:
        rated = dict(enumerate(frames))
        culled = {photo.index: photo for photo in cull_photos(rated)}
        measured = {photo.index: photo for photo in cull_photos(_with_equal_ratings(rated))}
        for number in range(1 + max(shot.series for shot in shots)):
            members = [index for index, shot in enumerate(shots) if shot.series == number]
            kind = shots[members[0]].kind
            right = _is_found(members, kind, culled)
            if kind == "single":
                alone.append(right)
                continue
            found[kind].append(right)
            if not right:
                mistaken[kind].append(", ".join(f"{culled[index].kind} {culled[index].series}" for index in members))
            if kind != "burst":
                belonging += [culled[index].verdict == "reject" for index in members]
                continue
            for index in members:
                rejected[bool(shots[index].damage)].append(culled[index].verdict == "reject")
            if right:
                picked.append(not shots[_pick(members, culled)].damage)
                by_measuring.append(not shots[_pick(members, measured)].damage)
                by_rating.append(not shots[max(members, key=lambda index: frames[index].rating.mean)].damage)
                blind.append(sum(not shots[index].damage for index in members) / len(members))
    return CullingResults(
        {kind: _share(values) for kind, values in found.items()},
        mistaken,
        _share(alone),
        _share(belonging),
        _share(picked),
        _share(by_rating),
        _share(by_measuring),
        float(np.mean(blind)) if blind else float("nan"),
        _share(rejected[True]),
        _share(rejected[False]),
    )


def _share(values: Sequence[bool]) -> Share:
    return Share(sum(values), len(values))


def _is_found(members: Sequence[int], kind: Kind, culled: dict[int, CulledPhoto]) -> bool:
    first = culled[members[0]]
    together = {index for index, photo in culled.items() if photo.series == first.series}
    return first.kind == kind and together == set(members)


def _pick(members: Sequence[int], culled: dict[int, CulledPhoto]) -> int:
    return next(index for index in members if culled[index].place == 1)


def _with_equal_ratings(rated: dict[int, RatedFrame]) -> dict[int, RatedFrame]:
    first = next(iter(rated.values())).rating
    return {index: RatedFrame(first, frame.note, frame.capture) for index, frame in rated.items()}
