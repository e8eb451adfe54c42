"""What a checkpoint answered, kept in files as it comes, so that an evaluation that was stopped goes on where it was.

One file holds the answers of one kind to one set of options, a line of JSON each. Answers are asked for in fixed groups of
photos, and a group that is not whole is asked for again: what a photo gets depends, in the last digit, on its neighbours in the
batch, and a run that went on must give the report of one that was never stopped.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from safetensors import SafetensorError

from ...processing.image_loading import ImageError

Item = TypeVar("Item")
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, SafetensorError)  # of answers that somebody edited


class Progress(Protocol):
    """Shows how far something is: takes things and gives them on, as `tqdm` does."""

    def __call__(self, items: Iterable[Any], total: int, label: str) -> Iterator[Any]: ...


def as_it_is(answer: Any) -> Any:
    """Reads any answer."""
    return answer


def silent(items: Iterable[Any], total: int, label: str) -> Iterator[Any]:
    """Shows nothing."""
    return iter(items)


@dataclass
class Answers:
    """What came of a question.

    Args:
        found: answers by key.
        failed: reasons by key.
    """

    found: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


class AnswerCache:
    """Answers in a folder.

    Args:
        folder: is made when the first answer comes; `None` keeps nothing.
        progress: shows how far it is.

    Attributes:
        recalled: seconds that the answers took which were found in files, over all calls.
    """

    def __init__(self, folder: Path | None, progress: Progress = silent):
        self.folder, self.progress = folder, progress
        self.recalled = 0.0
        self._memory: dict[str, dict[str, tuple[Any, float]]] = {}
        self._uncounted: dict[str, set[str]] = {}  # found in files, their seconds not counted yet

    def answers(
        self,
        kind: str,
        identity: Mapping[str, Any],
        items: Mapping[str, Item],
        ask: Callable[[list[Item]], Iterable[Any | ImageError]],
        batch_size: int = 1,
        label: str | None = None,
        read: Callable[[Any], Any] = as_it_is,
    ) -> Answers:
        """The answers to all items, those that are not known yet asked for.

        Args:
            kind: names the file.
            identity: all that an answer depends on beside its key: the checkpoint, the question, options.
            items: by key, such as the digest of a photo; keys are unique.
            ask: of some items in order their answers, which JSON can hold, or errors. Errors are not kept: photos can be mended.
            batch_size: items that are asked about together.
            label: what the progress is called; default the kind.
            read: what the caller makes of an answer. One from a file that it cannot read is asked for again.

        Returns:
            The answers as `read` gives them.
        """
        name = f"{kind}-{_digest(identity)}.jsonl"
        if name not in self._memory:
            self._memory[name] = self._load(name)
            self._uncounted[name] = set(self._memory[name])
        known = self._memory[name]
        for key in self._uncounted[name] & items.keys():
            self._uncounted[name].remove(key)
            try:
                read(known[key][0])
            except UNREADABLE:
                del known[key]
            else:
                self.recalled += known[key][1]
        result = Answers()
        for key in self.progress(self._asked(name, known, items, ask, batch_size, result), len(items), label or kind):
            if key in known:
                result.found[key] = read(known[key][0])
        return result

    def _asked(
        self,
        name: str,
        known: dict[str, tuple[Any, float]],
        items: Mapping[str, Item],
        ask: Callable[[list[Item]], Iterable[Any | ImageError]],
        batch_size: int,
        result: Answers,
    ) -> Iterator[str]:
        keys = list(items)
        for start in range(0, len(keys), batch_size):
            group = keys[start : start + batch_size]
            if not all(key in known for key in group):
                began = time.perf_counter()
                answers = list(ask([items[key] for key in group]))
                seconds = (time.perf_counter() - began) / len(group)
                fresh = {}
                for key, answer in zip(group, answers, strict=True):
                    if isinstance(answer, ImageError):
                        known.pop(key, None)
                        result.failed[key] = answer.reason
                    else:
                        # as a later run will read it
                        fresh[key] = (json.loads(json.dumps(answer)), seconds)
                known.update(fresh)
                self._append(name, fresh)
            yield from group

    def _append(self, name: str, answers: Mapping[str, tuple[Any, float]]) -> None:
        if self.folder is None or not answers:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"key": key, "seconds": seconds, "answer": answer}) for key, (answer, seconds) in answers.items()]
        with open(self.folder / name, "ab") as file:
            # a first line end closes what a killed run may have left of a line
            file.write(("\n" + "\n".join(lines) + "\n").encode())

    def _load(self, name: str) -> dict[str, tuple[Any, float]]:
        known: dict[str, tuple[Any, float]] = {}
        path = None if self.folder is None else self.folder / name
        if path is not None and path.is_file():
            for line in path.read_bytes().split(b"\n"):
                try:
                    row = json.loads(line)
                    known[row["key"]] = (row["answer"], float(row["seconds"]))
                except (ValueError, KeyError, TypeError):  # an empty line, or one that was cut off
                    continue
        return known


def _digest(identity: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
