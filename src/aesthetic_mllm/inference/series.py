"""Which photos belong together: bursts, brackets, panoramas and focus stacks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np

from ..editing.alignment import Alignment, align, is_flat, overlapping, stops_between
from ..editing.perceptual_hash import hash_distance
from ..tasks.culling import CullingError, Kind
from .capture import Capture, seconds_between
from .ranking import BURST_DISTANCE, group_bursts

# Seconds between neighbours of one series.
MAX_GAP = 60.0
# Structure of frames that show the same correlates so much, at least: 99% of 200 pairs of other photos lie below 0.36, frames of
# one scene by a shaking hand, in other exposures and out of focus above 0.58.
SAME_SCENE = 0.5
# A frame that moved by more, in shares of its side, shows something else; between the two, the other neighbours decide.
SAME_FRAMING, TRIPOD = 0.08, 0.035
# A pan goes on in its direction (cosine), over so much of the frame in all.
_STRAIGHT, _LEAST_PAN = 0.8, 0.25
# Stops between neighbours of a bracket: by the camera's own compensation, by its exposure times, and measured in the pixels; and
# how uneven they may be. Tone curves and clipping squeeze what is measured.
_LEAST_BIAS, _LEAST_STEP, _LEAST_MEASURED = 0.3, 0.65, 0.55
_UNEVEN, _UNEVEN_MEASURED = 1.4, 2.2
_BRACKET_SIZES = (9, 7, 5, 4, 3)
# Of a focus stack three frames are each the sharpest, by a third, in so many of the places with detail (log2); and two frames
# take turns: each has twice the detail of the other in so many.
_LEAST_DETAIL, _SHARPER, _OWN_PLACES = 3.0, 0.4, 0.08
_CLEARLY_SHARPER, _TURNS = 1.0, 0.15
# With so many earlier photos that look alike one is compared, to find its burst; all of a thousand would take minutes.
_LOOK_BACK = 8
# Times are counted from here: years that no clock of a computer counts can stand in EXIF data.
_BEGINNING = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Frame:
    """What is kept of a photo to find its series: no more than a small grey copy.

    Args:
        hash: of `perceptual_hash`.
        grey: of `grey_copy`.
        detail: by place, of `detail_and_noise`.
    """

    hash: int
    grey: np.ndarray
    detail: np.ndarray
    capture: Capture = Capture()


@dataclass(frozen=True)
class Series:
    """Photos that belong together, by their positions, in the order of shooting."""

    kind: Kind
    photos: tuple[int, ...]


@dataclass(frozen=True)
class _Link:
    """How a frame follows another one.

    Args:
        kind: "same" framing, "panned", or "none" in common.
        stops: how much brighter the second one is, where they show the same.
    """

    kind: str
    alignment: Alignment | None = None
    stops: float = 0.0


def find_series(frames: Sequence[Frame], *, max_gap: float = MAX_GAP, max_distance: int = BURST_DISTANCE) -> list[Series]:
    """The series of photos, in the order of shooting; a photo without others is a `"single"`.

    Neighbours in time are laid over each other; without EXIF times the photos' order stands for time. Frames that show the same
    are a bracket where their exposures rise in even steps, a focus stack where each is the sharpest in another place, else a
    burst. Frames that go on in one direction are a panorama. Photos that are no neighbours join a burst by their perceptual
    hashes; those of one tone all over, black or white, have none to speak of and stay alone.

    Args:
        frames: of one folder or several; each camera's are looked at by themselves.
        max_gap: seconds between neighbours of one series.
        max_distance: bits in which the hashes of one burst's photos may differ.

    Raises:
        CullingError: a gap below 0, or one that is no number.
        RankingError: a distance that is none.
    """
    if not max_gap >= 0:
        raise CullingError(f"max_gap must be at least 0 seconds, got {max_gap:g}.")
    if not frames:
        group_bursts([], max_distance)
        return []
    order = shooting_order(frames)
    links = [_link(frames[first], frames[second], max_gap, max_distance) for first, second in pairwise(order)]
    found: list[Series] = []
    for start, stop in _pans(links):
        found.append(Series("panorama", tuple(order[start : stop + 1])))
    panned = {photo for series in found for photo in series.photos}
    bursts: list[tuple[int, ...]] = []
    for start, stop in _runs(links):
        run = [place for place in range(start, stop + 1) if order[place] not in panned]
        for kind, places in _within(frames, order, links, run):
            photos = tuple(order[place] for place in places)
            (bursts.append(photos) if kind == "burst" else found.append(Series(kind, photos)))
    taken = {photo for series in found for photo in series.photos}
    found += _with_hashes(frames, bursts, [photo for photo in order if photo not in taken], max_gap, max_distance)
    place = {photo: number for number, photo in enumerate(order)}
    return sorted(found, key=lambda series: place[series.photos[0]])


def shooting_order(frames: Sequence[Frame]) -> list[int]:
    """The photos camera by camera in the order of their times; those without a time last, camera by camera in their own order."""
    # a camera whose time zone is known of some photos only is sorted by its clock's face, as `seconds_between` compares
    by_face = {each.capture.camera for each in frames if each.capture.time is not None and each.capture.time.tzinfo is None}

    def key(index: int) -> tuple[bool, str, float, int]:
        capture = frames[index].capture
        time = capture.time
        if time is None:
            return True, capture.camera, 0.0, index
        since = time.replace(tzinfo=None) - _BEGINNING if capture.camera in by_face else time - _BEGINNING.replace(tzinfo=UTC)
        return False, capture.camera, since.total_seconds(), index

    return sorted(range(len(frames)), key=key)


def _near(first: Capture, second: Capture, max_gap: float) -> bool:
    gap = seconds_between(first, second)
    return first.camera == second.camera and (gap is None or abs(gap) <= max_gap)


def _link(first: Frame, second: Frame, max_gap: float, max_distance: int) -> _Link:
    if not _near(first.capture, second.capture, max_gap):
        return _Link("none")
    alignment = align(first.grey, second.grey)
    fits = alignment.correlation >= SAME_SCENE
    if fits and alignment.shift > SAME_FRAMING:
        return _Link("panned", alignment)
    if fits or (hash_distance(first.hash, second.hash) <= max_distance and not (is_flat(first.grey) or is_flat(second.grey))):
        return _Link("same", alignment, stops_between(*overlapping(first.grey, second.grey, alignment)) if fits else 0.0)
    return _Link("none")


def _pans(links: Sequence[_Link]) -> list[tuple[int, int]]:
    """Places of the first and the last frame of each panorama: two links or more that go on in one direction."""
    pans, start, travelled = [], 0, np.zeros(2)

    def end(stop: int) -> None:
        if stop - start >= 2 and np.abs(travelled).max() >= _LEAST_PAN:
            pans.append((start, stop))

    for place, link in enumerate(links):
        step = np.zeros(2) if link.alignment is None else np.array([link.alignment.across, link.alignment.down])
        moved = link.kind == "panned" or (link.kind == "same" and np.abs(step).max() > TRIPOD)
        straight = float(step @ travelled) >= _STRAIGHT * float(np.linalg.norm(step) * np.linalg.norm(travelled))
        if not moved or not straight:
            end(place)
            start, travelled = (place if moved else place + 1), np.zeros(2)
        if moved:
            travelled = travelled + step
    end(len(links))
    return pans


def _runs(links: Sequence[_Link]) -> list[tuple[int, int]]:
    """Places of the first and the last frame of each stretch with one framing; a lone frame is one."""
    runs, start = [], 0
    for place, link in enumerate(links):
        if link.kind != "same":
            runs.append((start, place))
            start = place + 1
    runs.append((start, len(links)))
    return runs


def _within(
    frames: Sequence[Frame], order: Sequence[int], links: Sequence[_Link], run: Sequence[int]
) -> list[tuple[Kind, list[int]]]:
    """What a stretch with one framing holds: brackets, and between them focus stacks and bursts."""
    if len(run) < 2 or run[-1] - run[0] != len(run) - 1:  # a panorama took some of it
        return [("burst", [place]) for place in run]
    stops = np.cumsum([0.0, *(links[place].stops for place in run[:-1])])
    captures = [frames[order[place]].capture for place in run]
    found: list[tuple[Kind, list[int]]] = []
    rest: list[int] = []

    def close() -> None:
        if rest:
            places = [run[each] for each in rest]
            still = all(
                link.alignment is not None and link.alignment.shift <= TRIPOD and abs(link.stops) <= _LEAST_MEASURED
                for link in (links[place] for place in places[:-1])
            )
            is_stack = still and _moves_focus(np.array([frames[order[place]].detail for place in places]))
            found.append(("focus_stack" if is_stack else "burst", places))
            rest.clear()

    start = 0
    while start < len(run):
        size = _bracket_size(captures[start:], stops[start:])
        if size:
            close()
            found.append(("bracket", list(run[start : start + size])))
        else:
            rest.append(start)
        start += size or 1
    close()
    return found


def _bracket_size(captures: Sequence[Capture], stops: np.ndarray) -> int:
    """How many of the first frames are one bracket; 0 for none."""
    told = next((place for place, shot in enumerate(captures) if not shot.is_bracketed), len(captures))
    if told >= 2:
        return told  # the camera says so; of several brackets one after the other, all
    for size in _BRACKET_SIZES:
        if size > len(captures):
            continue
        shots, measured = captures[:size], stops[:size]
        biases = [shot.bias for shot in shots if shot.bias is not None]
        exposures = [shot.exposure for shot in shots if shot.exposure is not None]
        if len(biases) == size and _rises_evenly(biases, _LEAST_BIAS, _UNEVEN):
            return size
        if len(exposures) == size:
            # a camera that keeps the photos equally bright in changing light does not bracket
            follows = np.ptp(measured) >= 0.3 * np.ptp(exposures)
            if follows and _rises_evenly(exposures, _LEAST_STEP, _UNEVEN):
                return size
        elif _rises_evenly(measured, _LEAST_MEASURED, _UNEVEN_MEASURED):
            return size
    return 0


def _rises_evenly(values: Sequence[float] | np.ndarray, least: float, uneven: float) -> bool:
    steps = np.diff(np.sort(np.asarray(values, dtype=np.float64)))
    return bool(steps.min() >= least and steps.max() <= uneven * steps.min())


def _moves_focus(detail: np.ndarray) -> bool:
    """Whether the sharpest place differs from frame to frame, [N, GRID, GRID]; a blurred frame is blurred everywhere."""
    detail = detail.reshape(len(detail), -1)
    textured = detail.max(axis=0) >= _LEAST_DETAIL
    if len(detail) < 3 or not textured.any():
        return False
    detail = detail[:, textured]
    ordered = np.sort(detail, axis=0)
    sharper = ordered[-1] - np.median(ordered[:-1], axis=0) >= _SHARPER
    own = np.bincount(detail.argmax(axis=0)[sharper], minlength=len(detail)) / textured.sum()
    clearly = (detail[:, None] - detail[None] >= _CLEARLY_SHARPER).mean(axis=2)
    return bool((own >= _OWN_PLACES).sum() >= 3 and np.minimum(clearly, clearly.T).max() >= _TURNS)


def _with_hashes(
    frames: Sequence[Frame], bursts: Sequence[tuple[int, ...]], photos: Sequence[int], max_gap: float, max_distance: int
) -> list[Series]:
    """Bursts of neighbours, joined where photos of two look alike and were taken at the same time, or at no known one."""
    hashed = [photo for photo in photos if not is_flat(frames[photo].grey)]
    groups = group_bursts([frames[photo].hash for photo in hashed], max_distance)
    by_group: dict[tuple[int, str], list[int]] = {}
    for photo, group in zip(hashed, groups, strict=True):
        by_group.setdefault((group, frames[photo].capture.camera), []).append(photo)
    parent = {photo: burst[0] for burst in bursts for photo in burst}

    def head(photo: int) -> int:
        while parent[photo] != photo:
            photo = parent[photo]
        return photo

    for alike in by_group.values():
        for place, second in enumerate(alike):
            for first in reversed(alike[max(0, place - _LOOK_BACK) : place]):
                if head(first) == head(second):
                    break
                # photos that the camera moved between are not one burst, however alike they look
                if _near(frames[first].capture, frames[second].capture, max_gap):
                    alignment = align(frames[first].grey, frames[second].grey)
                    if alignment.correlation < SAME_SCENE or alignment.shift <= SAME_FRAMING:
                        parent[head(second)] = head(first)
                        break
    joined: dict[int, list[int]] = {}
    for photo in photos:
        joined.setdefault(head(photo), []).append(photo)
    return [Series("burst" if len(each) > 1 else "single", tuple(each)) for each in joined.values()]
