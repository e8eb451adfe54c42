"""Stars from ratings."""

import pytest

from aesthetic_mllm.sidecars import Borders, Marks, SidecarError, marks_of


def test_stars_by_percent_of_the_photos() -> None:
    """A hundred photos: as many of each as the borders say."""
    stars = [marks.rating for marks in marks_of(range(100), Borders())]
    assert [stars.count(each) for each in (1, 2, 3, 4, 5)] == [10, 20, 30, 25, 15] and stars == sorted(stars)


def test_equal_ratings_have_equal_stars_and_a_lone_photo_lies_in_the_middle() -> None:
    assert {marks.rating for marks in marks_of([5.0] * 7, Borders())} == {3}
    assert marks_of([1.0], Borders()) == [Marks(3)] and marks_of([], Borders()) == []


def test_stars_rejects_and_picks_by_ratings() -> None:
    borders = Borders((4, 5, 6, 7), in_percent=False, reject_below=3, pick_from=7)
    marks = marks_of([2.9, 3.0, 4.0, 6.5, 7.0], borders, "aesthetic")
    assert [(each.rating, each.pick) for each in marks] == [(-1, -1), (1, 0), (2, 0), (4, 0), (5, 1)]
    assert marks[-1].tags == ("aesthetic|high",) and marks[0].tags == ("aesthetic|low",)


@pytest.mark.parametrize(
    "borders",
    [{"stars": (1, 2, 3)}, {"stars": (10, 30, 30, 85)}, {"stars": (10, 30, 60, 101)}, {"reject_below": 50, "pick_from": 40},
     {"reject_below": float("nan")}],
)  # fmt: skip
def test_borders_that_cannot_be(borders: dict[str, object]) -> None:
    with pytest.raises(SidecarError):
        Borders(**borders)  # type: ignore[arg-type]


def test_borders_in_ratings_lie_within_the_range() -> None:
    Borders((4, 5, 6, 7), in_percent=False, reject_below=1, pick_from=10).check_range(1, 10)
    Borders((10, 30, 60, 85)).check_range(1, 10)
    for borders in ({"stars": (10, 30, 60, 85)}, {"stars": (4, 5, 6, 7), "reject_below": 60}):
        with pytest.raises(SidecarError, match="within 1 and 10, which the checkpoint rates in; got .*--stars takes percent"):
            Borders(**borders, in_percent=False).check_range(1, 10)
    with pytest.raises(SidecarError, match="finite; got 4,5,6,inf"):
        Borders((4, 5, 6, float("inf")), in_percent=False)
