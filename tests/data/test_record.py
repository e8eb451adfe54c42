"""Records know what is wrong with their numbers, and histograms what their votes come to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aesthetic_mllm.data.catalogue import PUBLIC, find_source, get_source
from aesthetic_mllm.data.record import AttributeRating, DataError, Record, Vote, histogram_moments

GOOD = Record(Path("a.jpg"), "some", "train", "quality", 3, spread=1, range_low=1, range_high=5, votes=[Vote("one", 2)])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"mean": 6}, "mean 6"),
        ({"mean": float("nan")}, "mean nan"),
        ({"spread": -1}, "spread -1"),
        ({"spread": 4}, "spread 4"),
        ({"histogram": [1, -1, 0, 0, 0]}, "histogram"),
        ({"histogram": [0, 0]}, "histogram"),
        ({"votes": [Vote("two", 0)]}, "vote 0 of two"),
        ({"attributes": [AttributeRating("light", 2, 0, 1)]}, "light 2"),
        ({"range_low": 5}, "range 5 to 5"),
        ({"range_low": None}, "range None to 5"),
    ],
)
def test_a_wrong_number_is_named(change: dict, fault: str) -> None:
    assert GOOD.faults() == []
    assert any(told.startswith(fault) for told in replace(GOOD, **change).faults())


@given(st.lists(st.integers(0, 50), min_size=2, max_size=10).filter(any), st.integers(-5, 5), st.integers(1, 100))
def test_moments_are_those_of_the_single_votes(histogram: list[int], low: int, width: int) -> None:
    steps = np.linspace(low, low + width, len(histogram))
    votes = np.repeat(steps, histogram)
    mean, spread = histogram_moments(histogram, low, low + width)
    assert mean == pytest.approx(votes.mean(), abs=1e-6) and spread == pytest.approx(votes.std(), abs=1e-6)


def test_no_votes_have_no_moments() -> None:
    with pytest.raises(DataError, match="no votes"):
        histogram_moments([0, 0], 1, 5)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_source_can_be_named(name: str) -> None:
    source = get_source(name)
    assert source.name == name and source.url.startswith("http") and source.licence and source.layout
    assert set(source.splits) <= {"train", "validation", "test"}


def test_a_wrong_name_or_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="koniq: no such data set; did you mean koniq10k"):
        get_source("koniq")
    with pytest.raises(DataError, match="ava: range cannot be given"):
        find_source({"source": "ava", "root": tmp_path, "range": [1, 10]})
    with pytest.raises(DataError, match="range is None; say from what to what"):
        find_source({"source": "own", "root": tmp_path / "a.csv"})
