"""Protocols of personalized assessment: who is shown and asked, and what training may know."""

from pathlib import Path

import numpy as np
import pytest

from aesthetic_mllm.data.record import DataError, Record, Vote
from aesthetic_mllm.evaluation.personal_protocols import (
    Protocol,
    aadb,
    flickr_aes,
    oasis_beauty,
    own_votes,
    para,
    real_cur,
    run_protocol,
    training_votes,
)

PEOPLE = ("ann", "bob", "cy")
TRUTH = {name: np.random.default_rng(number).permutation(130) for number, name in enumerate(PEOPLE)}


def records(people: tuple[str, ...] = PEOPLE, photos: int = 130) -> list[Record]:
    """Photos that all of the people rated, each after their own order."""
    return [
        Record(
            Path(f"{place}.jpg"), "set", "test", "aesthetic", 3.0, range_low=0, range_high=200,
            votes=[Vote(name, float(TRUTH[name][place])) for name in people],
        )
        for place in range(photos)
    ]  # fmt: skip


def knows_all(person: str, shown: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Guesses right of whom it has seen a rating, and else by the photo's number."""
    for truth in TRUTH.values():
        if len(shown) and np.array_equal(truth[shown], values):
            return truth[asked].astype(float)
    return asked.astype(float)


@pytest.mark.parametrize("protocol", [flickr_aes(records(), PEOPLE), real_cur(records()), para(records()), aadb(records(), 2)])
def test_shown_and_asked_are_apart(protocol: Protocol) -> None:
    """In every draw the photos that are asked about are not shown, the same for every k, and shots grow."""
    calls: list[tuple] = []

    def record(person: str, shown: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
        calls.append((person, shown.tolist(), asked.tolist()))
        return knows_all(person, shown, values, asked)

    result = run_protocol(protocol, record)
    assert result.shots == (0, 10, 100) and result.correlations.shape == (len(protocol.people), 3)
    assert len(calls) == len(protocol.people) * protocol.draws * 3
    for none, few, many in zip(calls[::3], calls[1::3], calls[2::3], strict=True):
        assert none[2] == few[2] == many[2] and not set(many[1]) & set(many[2])
        assert none[1] == [] and many[1][:10] == few[1]
    none, ten, _ = result.correlations.T
    assert ten == pytest.approx(1) and abs(none.mean()) < 0.5
    assert result.correlations.tolist() == run_protocol(protocol, knows_all).correlations.tolist()


def test_photos_and_people_are_held_out() -> None:
    """OASIS asks about the named photos alone, and training sees neither them nor the people."""
    photos = records()
    asked = {f"{place}.jpg" for place in range(20)}
    protocol = oasis_beauty(photos, ["ann", "bob"], asked)
    votes = training_votes(photos, protocol)
    assert {rater for _, rater, _ in votes} == {"cy"}
    assert {photos[place].image.name for place, _, _ in votes} == {photo.image.name for photo in photos} - asked
    for person in protocol.people:
        assert {protocol.photos[place].image.name for place in person.asked or ()} == asked
        assert not set(person.asked or ()) & set(person.shown)
    within = training_votes(photos, real_cur(photos))
    assert within == []


def test_too_few_votes_are_an_error() -> None:
    """Nobody to test, or somebody with fewer photos than are to be shown."""
    with pytest.raises(DataError, match="nobody rated enough photos"):
        real_cur(records(photos=50))
    with pytest.raises(DataError, match="ann has 30 photos to show, fewer than 100"):
        run_protocol(oasis_beauty(records(photos=50), ["ann"], {f"{place}.jpg" for place in range(20)}), knows_all)


def test_votes_of_ones_own_are_tested_with_as_many_shots_as_there_are() -> None:
    """All who rated enough; of 20 photos nobody can show 100, and of 12 not even 10."""

    def voted(count: int) -> list[Record]:
        return [Record(Path(f"{n}.jpg"), "own", "validation", votes=[Vote("ann", n % 7)]) for n in range(count)]

    protocol = own_votes(voted(20))
    assert protocol.shots == (10,) and protocol.draws == 10 and [person.name for person in protocol.people] == ["ann"]
    assert own_votes(voted(108)).shots == (10, 100)
    with pytest.raises(DataError, match="nobody rated 18 photos"):
        own_votes(voted(12))
