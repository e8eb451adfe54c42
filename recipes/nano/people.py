"""Who rated OASIS: single votes, and the people whom nano is never told of (`aesthetic_mllm.data.splits`).

Expected below the data folder: oasis_beauty/ with metadata.csv and votes.csv, as `data.sources.oasis_beauty` reads them.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aesthetic_mllm.data.record import Record
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.oasis_beauty import HIGH, LOW, SOURCE
from aesthetic_mllm.data.splits import oasis_tested_people
from aesthetic_mllm.evaluation.personal_protocols import Protocol, oasis_beauty, training_votes
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.taste_fitting import Votes

PEOPLE_RATED = "beauty"  # the question that they answered


def read_people(data: Path) -> list[Record]:
    """All photos of OASIS with their votes, in the order of the names."""
    records = [record for split in SOURCE.splits for record in read_source(SOURCE, data / "oasis_beauty", split)[0]]
    return sorted(records, key=lambda record: record.image.name)


def held_out_people(records: Sequence[Record]) -> Protocol:
    """The held-out people, asked about the held-out photos."""
    raters = {vote.rater for record in records for vote in record.votes}
    asked = {record.image.name for record in records if record.split == "validation"}
    return oasis_beauty(records, oasis_tested_people(raters), asked)


def known_votes(records: Sequence[Record], held_out: Protocol, scale: RatingScale) -> Votes:
    """Votes that training may know, on the rating scale: of nobody that is held out, of no photo that is asked about."""
    votes = training_votes(records, held_out)
    numbers = {rater: number for number, rater in enumerate(sorted({rater for _, rater, _ in votes}))}
    return Votes(
        np.array([numbers[rater] for _, rater, _ in votes]),
        np.array([place for place, _, _ in votes]),
        np.array([scale.from_range(value, (LOW, HIGH)) for _, _, value in votes]),
    )
