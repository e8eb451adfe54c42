"""Protocols of personalized assessment: whose ratings of how many photos are shown, and which photos are asked about.

The same for every protocol: nobody who is tested had a vote in training, and no photo that is asked about was trained on
([`training_votes`]); no photos of a person's own (k = 0) are always reported beside; what counts is the rank correlation of each
person by itself, averaged over people. Shots are drawn several times, and the same draws are given to every method.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..data.record import DataError, Record
from ..data.splits import lowest_hashes
from ..trainers.rating_metrics import rank_correlation

# (person, places of the shown photos, their ratings, places of the photos that are asked about) -> predictions for these.
Predict = Callable[[str, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
LEAST_QUERIES = 8  # of a person: a rank correlation of fewer is mostly chance


@dataclass(frozen=True)
class Person:
    """One tested person.

    Args:
        name: of the rater.
        values: ratings by the photo's place in the protocol's `photos`, on the source's range.
        shown: places that may be shown.
        asked: places that are asked about, or `None`: all that are not shown in a draw.
    """

    name: str
    values: Mapping[int, float]
    shown: tuple[int, ...]
    asked: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Protocol:
    """A way to test personalized assessment.

    Args:
        name: for reports.
        photos: records of all photos that are shown or asked about.
        people: those who are tested.
        shots: numbers k of rated photos to show; 0 is always among them.
        draws: how often the k photos are drawn.
    """

    name: str
    photos: tuple[Record, ...]
    people: tuple[Person, ...]
    shots: tuple[int, ...]
    draws: int


def flickr_aes(records: Iterable[Record], workers: Collection[str]) -> Protocol:
    """FLICKR-AES (Ren et al. 2017): of each of the 37 test workers 10 and 100 photos are shown, all others asked, 10 times.

    Args:
        records: of the split "test".
        workers: `data.sources.flickr_aes.tested_workers`.
    """
    return _within_person("flickr_aes", records, workers, shots=(10, 100), draws=10)


def real_cur(records: Iterable[Record]) -> Protocol:
    """REAL-CUR (Ren et al. 2017): each of the 14 owners of albums, as in FLICKR-AES."""
    photos = list(records)
    return _within_person("real_cur", photos, {vote.rater for photo in photos for vote in photo.votes}, shots=(10, 100), draws=10)


def para(records: Iterable[Record], people: int = 40) -> Protocol:
    """PARA (Yang et al. 2022): 40 people, 10 and 100 of their photos shown, all their others asked, 10 times.

    Which 40 the authors drew is not published here: ours are those whose user ids hash lowest, of people with photos enough.
    """
    photos = list(records)
    return _within_person("para", photos, lowest_hashes(_raters(photos, 100 + LEAST_QUERIES), people), shots=(10, 100), draws=10)


def aadb(records: Iterable[Record], people: int = 22) -> Protocol:
    """AADB (Kong et al. 2016), whose workers are named with their single ratings: 22 of those who rated most, 10 and 100 shown.

    The number is that of published work on personalized assessment with AADB; which workers it took is not known to us.
    """
    photos = list(records)
    return _within_person("aadb", photos, _raters(photos, 100 + LEAST_QUERIES)[:people], shots=(10, 100), draws=10)


def oasis_beauty(records: Iterable[Record], people: Collection[str], asked: Collection[str]) -> Protocol:
    """OASIS with the single votes of Brielmann and Pelli (2019): people and photos that training saw neither of.

    Args:
        people: raters to test.
        asked: names of the photo files to ask about; all others may be shown.
    """
    photos = tuple(records)
    tested = []
    for name, values in _ratings_of(photos, people).items():
        queries = tuple(place for place in values if photos[place].image.name in asked)
        tested.append(Person(name, values, tuple(place for place in values if place not in set(queries)), queries))
    return _checked(Protocol("oasis_beauty", photos, tuple(tested), (5, 10, 25, 50, 100), draws=5))


def own_votes(records: Iterable[Record], shots: tuple[int, ...] = (10, 100), draws: int = 10) -> Protocol:
    """Any data set with single votes, of which no protocol is published: all raters with photos enough for the most shots.

    For fewer shots than 100 where nobody rated so many photos: the number of shots that nobody can be asked for is left out.
    """
    photos = list(records)
    most = max((photo_count for photo_count in _counts(photos).values()), default=0)
    possible = tuple(count for count in shots if count + LEAST_QUERIES <= most)
    if not possible:
        raise DataError(
            f"single votes: nobody rated {min(shots) + LEAST_QUERIES} photos, the fewest that personal ratings are tested with."
        )
    return _within_person("own", photos, _raters(photos, max(possible) + LEAST_QUERIES), possible, draws)


def training_votes(records: Iterable[Record], protocol: Protocol) -> list[tuple[int, str, float]]:
    """What training may know of single votes: place in the records, rater and value; no tested person, no photo asked about."""
    people = {person.name for person in protocol.people}
    asked = {protocol.photos[place].image for person in protocol.people for place in (person.asked or person.values)}
    return [
        (place, vote.rater, vote.value)
        for place, record in enumerate(records)
        if record.image not in asked
        for vote in record.votes
        if vote.rater not in people
    ]


@dataclass(frozen=True)
class PersonalResult:
    """Rank correlations of one method: [people, shots], the mean over draws; column 0 is k = 0."""

    shots: tuple[int, ...]
    correlations: np.ndarray


def run_protocol(protocol: Protocol, predict: Predict) -> PersonalResult:
    """Tests one method.

    Args:
        predict: it; must give the general rating where no photo is shown. Of one person more photos contain the fewer of the same
            draw.

    Raises:
        DataError: a person has too few photos for the most shots.
    """
    wanted = (0, *protocol.shots)
    rows = []
    for person in protocol.people:
        row = np.zeros(len(wanted))
        for draw in range(protocol.draws):
            order = _rng(protocol.name, person.name, draw).permutation(person.shown)
            if len(order) < max(wanted):
                raise DataError(f"{protocol.name}: {person.name} has {len(order)} photos to show, fewer than {max(wanted)}.")
            # the same photos are asked about for every k of a draw
            asked = np.array(person.asked if person.asked is not None else sorted(order[max(wanted) :]))
            given = np.array([person.values[place] for place in asked])
            for column, count in enumerate(wanted):
                shown = order[:count]
                values = np.array([person.values[place] for place in shown])
                row[column] += rank_correlation(predict(person.name, shown, values, asked), given) / protocol.draws
        rows.append(row)
    return PersonalResult(wanted, np.array(rows))


def _rng(*parts: object) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(repr(parts).encode()).digest()[:8]))


def _within_person(name: str, records: Iterable[Record], people: Collection[str], shots: tuple[int, ...], draws: int) -> Protocol:
    photos = tuple(records)
    tested = [Person(rater, values, tuple(values)) for rater, values in _ratings_of(photos, people).items()]
    enough = tuple(person for person in tested if len(person.shown) >= max(shots) + LEAST_QUERIES)
    return _checked(Protocol(name, photos, enough, shots, draws))


def _ratings_of(photos: Sequence[Record], people: Collection[str]) -> dict[str, dict[int, float]]:
    """Ratings by place, of each of the people; in the order of their names, so that draws do not depend on the files' order."""
    found: dict[str, dict[int, float]] = {name: {} for name in sorted(people)}
    for place, photo in enumerate(photos):
        for vote in photo.votes:
            if vote.rater in found:
                found[vote.rater][place] = vote.value
    return {name: values for name, values in found.items() if values}


def _raters(photos: Sequence[Record], least: int) -> list[str]:
    """Raters of at least so many of the photos, those with most first."""
    counts = _counts(photos)
    return sorted((name for name, count in counts.items() if count >= least), key=lambda name: (-counts[name], name))


def _counts(photos: Sequence[Record]) -> dict[str, int]:
    """How many of the photos each rater rated."""
    counts: dict[str, int] = {}
    for photo in photos:
        for vote in photo.votes:
            counts[vote.rater] = counts.get(vote.rater, 0) + 1
    return counts


def _checked(protocol: Protocol) -> Protocol:
    if not protocol.people:
        raise DataError(f"{protocol.name}: nobody rated enough photos to be tested; are the single votes there?")
    return protocol
