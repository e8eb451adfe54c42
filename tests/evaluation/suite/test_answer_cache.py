"""Answers are kept as they come, and asked for again only where they are missing."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from aesthetic_mllm.evaluation.suite.answer_cache import AnswerCache
from aesthetic_mllm.processing.image_loading import ImageError

ITEMS = {f"key{number}": number for number in range(5)}


class Asked:
    """Doubles numbers, and remembers which it was asked for."""

    def __init__(self, bad: frozenset[int] = frozenset()):
        self.bad, self.calls = bad, list[list[int]]()

    def __call__(self, numbers: list[int]) -> Iterable[int | ImageError]:
        self.calls.append(numbers)
        return [ImageError(f"{number}.jpg", "is odd.") if number in self.bad else 2 * number for number in numbers]


def lines(folder: Path) -> list[dict]:
    (path,) = folder.glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def test_what_is_known_is_not_asked_again(tmp_path: Path) -> None:
    asked = Asked()
    found = AnswerCache(tmp_path).answers("double", {"of": 1}, ITEMS, asked, 2)
    assert found.found == {key: 2 * number for key, number in ITEMS.items()} and not found.failed
    assert asked.calls == [[0, 1], [2, 3], [4]]
    again, cache = Asked(), AnswerCache(tmp_path)
    assert cache.answers("double", {"of": 1}, ITEMS, again, 2) == found
    assert not again.calls
    # what earlier runs took is counted once
    assert cache.recalled == pytest.approx(sum(line["seconds"] for line in lines(tmp_path)))
    cache.answers("double", {"of": 1}, ITEMS, again, 2)
    assert cache.recalled == pytest.approx(sum(line["seconds"] for line in lines(tmp_path)))
    cache.answers("double", {"of": 2}, ITEMS, again, 5)
    assert again.calls == [[0, 1, 2, 3, 4]]


def test_a_group_that_is_not_whole_is_asked_again_whole(tmp_path: Path) -> None:
    """A run that was killed while it wrote leaves part of a line."""
    AnswerCache(tmp_path).answers("double", {}, ITEMS, Asked(), 2)
    (path,) = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes().rstrip()[:-7])
    for calls in ([[4]], []):
        asked = Asked()
        assert AnswerCache(tmp_path).answers("double", {}, ITEMS, asked, 2).found["key4"] == 8
        assert asked.calls == calls
    kept = path.read_text().splitlines()
    path.write_text("\n".join(line for line in kept if "key2" not in line))
    asked = Asked()
    AnswerCache(tmp_path).answers("double", {}, ITEMS, asked, 2)
    assert asked.calls == [[2, 3]]


def test_what_cannot_be_read_is_asked_again(tmp_path: Path) -> None:
    """Whole lines of JSON that somebody edited."""
    AnswerCache(tmp_path).answers("double", {}, ITEMS, Asked(), 2)
    (path,) = tmp_path.glob("*.jsonl")
    kept = lines(tmp_path)
    for edited in (None, {}, [], "many"):
        path.write_text("\n".join(json.dumps(line | ({"answer": edited} if line["key"] == "key2" else {})) for line in kept))
        asked, cache = Asked(), AnswerCache(tmp_path)
        assert cache.answers("double", {}, ITEMS, asked, 2, read=lambda answer: answer + 0).found["key2"] == 4
        assert asked.calls == [[2, 3]] and cache.recalled == pytest.approx(
            sum(row["seconds"] for row in kept if row["key"] != "key2")
        )


def test_errors_are_told_and_not_kept(tmp_path: Path) -> None:
    found = AnswerCache(tmp_path).answers("double", {}, ITEMS, Asked(frozenset({3})), 2)
    assert found.failed == {"key3": "is odd."} and "key3" not in found.found
    mended = Asked()
    assert AnswerCache(tmp_path).answers("double", {}, ITEMS, mended, 2).found["key3"] == 6
    assert mended.calls == [[2, 3]]


def test_without_a_folder_nothing_is_written_and_progress_is_shown(tmp_path: Path) -> None:
    shown = []

    def progress(items: Iterable[str], total: int, label: str) -> Iterator[str]:
        shown.append((total, label))
        return iter(items)

    cache = AnswerCache(None, progress)
    assert cache.answers("double", {}, ITEMS, Asked(), label="numbers").found["key1"] == 2
    again = Asked()
    cache.answers("double", {}, ITEMS, again)
    assert not again.calls and shown == [(5, "numbers"), (5, "double")] and not list(tmp_path.iterdir())
