"""Who rated OASIS: single votes, and the people whom nano is never told of.

Expected below the data folder: oasis_beauty/ with metadata.csv and votes.csv, as `data.sources.oasis_beauty` reads them.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aesthetic_mllm.data.record import Record
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.oasis_beauty import HIGH, LOW, SOURCE
from aesthetic_mllm.evaluation.personal_protocols import Protocol, lowest_hashes, oasis_beauty, training_votes
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.taste_fitting import Votes
from data import beauty_fold, read_beauty
from judge import LEFT_OUT

TESTED_PEOPLE = 125  # of 625
DEVELOPMENT_SHOTS = (5, 10, 25, 50)
DEVELOPMENT_FOLD = 1  # of photos, to choose on: people and photos that are trained on in the end


def read_people(data: Path) -> list[Record]:
    """All photos of OASIS with their votes, in the order of the names; nano's own split of them goes by `beauty_fold`."""
    records = [record for split in SOURCE.splits for record in read_source(SOURCE, data / "oasis_beauty", split)[0]]
    return sorted((replace(record, split="train") for record in records), key=lambda record: record.image.name)


def own_protocol(data: Path, records: Sequence[Record], development: bool = False) -> Protocol:
    """The held-out people, asked about the held-out photos.

    Args:
        development: other people and photos in their place, none of them held out: to choose methods and numbers on.
    """
    folds = beauty_fold(read_beauty(data, RatingScale()))
    raters = {vote.rater for record in records for vote in record.votes}
    people = lowest_hashes(raters, 2 * TESTED_PEOPLE)
    if not development:
        return oasis_beauty(records, people[:TESTED_PEOPLE], {name for name, fold in folds.items() if fold == LEFT_OUT})
    known = [record for record in records if folds[record.image.name] != LEFT_OUT]
    asked = {name for name, fold in folds.items() if fold == DEVELOPMENT_FOLD}
    # a fifth of the photos fewer can be shown
    return replace(oasis_beauty(known, people[TESTED_PEOPLE:], asked), shots=DEVELOPMENT_SHOTS)


def known_votes(records: Sequence[Record], protocol: Protocol, held_out: Protocol, scale: RatingScale) -> Votes:
    """Votes that training may know, on the rating scale: of nobody that either protocol tests or asks about."""
    tested = {person.name for person in held_out.people}
    asked = {held_out.photos[place].image for person in held_out.people for place in person.asked or ()}
    votes = [vote for vote in training_votes(records, protocol) if vote[1] not in tested and records[vote[0]].image not in asked]
    numbers = {rater: number for number, rater in enumerate(sorted({rater for _, rater, _ in votes}))}
    return Votes(
        np.array([numbers[rater] for _, rater, _ in votes]),
        np.array([place for place, _, _ in votes]),
        np.array([scale.from_range(value, (LOW, HIGH)) for _, _, value in votes]),
    )
