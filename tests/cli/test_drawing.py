"""Bars and columns are as wide as they are to be."""

import pytest

from aesthetic_mllm.cli.drawing import bar, fine_bar, fitted, level_blocks, rating_bar, width, wrapped


@pytest.mark.parametrize("cells", [1, 7, 20])
def test_bars_grow_with_their_share(cells: int) -> None:
    """Every bar has its width; nothing is empty, all is full, and more is never shorter."""
    shares = [number / 97 for number in range(98)]
    for draw, ground in ((bar, "·"), (fine_bar, " ")):
        bars = [draw(share, cells) for share in shares]
        assert {len(each) for each in bars} == {cells}
        assert bars[0] == ground * cells and bars[-1] == "█" * cells
        assert bars == sorted(bars, key=lambda each: (each.count("█"), " ▏▎▍▌▋▊▉".find(each.strip("█·")[:1] or " ")))


def test_a_rating_has_its_place_on_its_own_range() -> None:
    """The bar spans worst to best; without a spread the columns stay."""
    worst = rating_bar({"mean": 1.0, "std": 0.5, "score_range": [1, 10]}, 10)
    best = rating_bar({"mean": 10.0, "std": None, "score_range": [1, 10]}, 10)
    assert worst == " 1.0 ±0.5  ··········" and best == "10.0       ██████████"
    assert level_blocks({"bad": 0.0, "fair": 0.25, "good": 0.5}) == " ▄█" and level_blocks(None) == ""


def test_paths_keep_their_ends() -> None:
    """A path fills its columns exactly, wide letters counting twice, and what is cut is its beginning."""
    assert fitted("a.jpg", 8) == "a.jpg   "
    assert fitted("holiday/a.jpg", 8) == "…y/a.jpg"
    assert fitted("假期/照片.jpg", 9) == "…照片.jpg"
    assert fitted("假期/照片.jpg", 10) == "…/照片.jpg"
    assert fitted("假期/照片.jpg", 11) == "…/照片.jpg "
    assert fitted("假期/照片.jpg", 15) == "假期/照片.jpg  "


@pytest.mark.parametrize(("columns", "expected"), [("20", 60), ("80", 80), ("300", 100)])
def test_text_is_wrapped_to_the_terminal(columns: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are as long as the terminal allows, within bounds, and later ones stand below the first word."""
    monkeypatch.setenv("COLUMNS", columns)
    lines = wrapped("word " * 60, "  1. ").splitlines()
    assert width() == expected and max(map(len, lines)) <= expected and max(map(len, lines)) > expected - 6
    assert lines[0].startswith("  1. word") and all(line.startswith("     word") for line in lines[1:])
