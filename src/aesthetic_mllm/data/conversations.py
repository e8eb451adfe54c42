"""From records to what the trainers learn: rows that ask and answer, for every task that a record can teach."""

import difflib
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import Dataset, Features, Image, List, Value, concatenate_datasets, interleave_datasets

from ..processing.rating_scale import RatingScale
from ..tasks.commenting import comment_words
from ..tasks.comparing import comparison_words
from ..tasks.scoring import Words, decimal_words, rating_words
from .comments import clean_comments
from .record import Comment, DataError

MESSAGES = List({"role": Value("string"), "content": Value("string")})
# TRL's conversational rows, which any of its trainers takes, with what `AestheticSFTCollator` reads of ratings beside them;
# `question` is empty where words are asked for, `group` -1 where nothing is ranked.
ROW_FEATURES = Features(
    {
        "images": List(Image()),
        "prompt": MESSAGES,
        "completion": MESSAGES,
        "question": Value("string"),
        "mean": Value("float32"),
        "std": Value("float32"),
        "group": Value("int32"),
        "data_set": Value("string"),
    }
)
BATCH = 1_000  # records at a time; pairs are drawn within one
LEAST_DIFFERENCE = 0.5  # of a pair's means on the rating scale, for one to be called better


def user_says(text: str) -> dict[str, str]:
    """A turn of the user's in a conversation."""
    return {"role": "user", "content": text}


def assistant_says(text: str) -> dict[str, str]:
    """A turn of the assistant's in a conversation."""
    return {"role": "assistant", "content": text}


class ConversationBuilder:
    """Builds rows of some tasks from records.

    Args:
        scale: the checkpoint's; ratings are brought to its range, and its questions can be asked.
        seed: of the pairs that are compared.

    Attributes:
        dropped: how many comments were left out, by reason.
        groups: number of each (data set, question) whose photos may be ranked against each other.
    """

    def __init__(self, scale: RatingScale, seed: int = 0):
        self.scale, self.seed = scale, seed
        self.dropped: Counter[str] = Counter()
        self.groups: dict[tuple[str, str], int] = {}
        self.tasks: dict[str, Callable[[list[dict[str, Any]], random.Random], list[dict[str, Any]]]] = {
            "score": self._scores,
            "decimal": self._decimals,
            "attributes": self._attributes,
            "comment": self._comments,
            "compare": self._comparisons,
            "converse": self._conversations,
        }

    def build(self, records: Dataset, tasks: Sequence[str]) -> Dataset:
        """Rows with [`ROW_FEATURES`]: those of the first record, then of the second, and so on, within batches of records.

        A record that has nothing for a task gives no row for it.

        Args:
            records: with [`RECORD_FEATURES`].
            tasks: "score" and "decimal" (the rating by level word, by number), "attributes" (those that the checkpoint has
                questions for), "comment", "compare" (pairs of the data set), "converse" (instruction data).

        Raises:
            DataError: no such task; a rating of a question that the checkpoint does not answer; no rows at all.
        """
        unknown = [task for task in tasks if task not in self.tasks]
        if unknown or not tasks:
            raise DataError(f"No task {', '.join(unknown) or 'was named'}; choose of {', '.join(self.tasks)}.")
        plain = records.cast_column("image", Image(decode=False))
        rows: list[Dataset] = []
        for start in range(0, len(plain), BATCH):
            batch = plain.select(range(start, min(start + BATCH, len(plain)))).to_list()
            rng = random.Random(f"{self.seed}:{start}")
            found = [row for task in tasks for row in self.tasks[task](batch, rng)]
            if found:
                rows.append(Dataset.from_list(found, features=ROW_FEATURES))
        if not rows:
            name = records[0]["data_set"] if len(records) else "no records"
            raise DataError(f"{name}: nothing to learn for {', '.join(tasks)}; choose tasks that its records have answers for.")
        return concatenate_datasets(rows)

    def _scores(self, batch: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
        rated = [record for record in batch if record["mean"] is not None]
        return [self._rating(record, record["question"], *self._on_scale(record)) for record in rated]

    def _decimals(self, batch: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
        rated = [record for record in batch if record["mean"] is not None]
        return [
            self._words([record], decimal_words(self.scale, self._known(record), self._on_scale(record)[0])) for record in rated
        ]

    def _attributes(self, batch: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
        return [
            self._rating(record, rating["name"], self._to_scale(rating["mean"], rating), None)
            for record in batch
            for rating in record["attributes"]
            if rating["name"] in self.scale.questions
        ]

    def _comments(self, batch: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
        return [
            self._words([record], comment_words(comment.text, comment.aspect))
            for record in batch
            for comment in clean_comments((Comment(one["text"], one["aspect"]) for one in record["comments"]), self.dropped)
        ]

    def _comparisons(self, batch: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
        by_question: dict[str, list[dict[str, Any]]] = {}
        for record in batch:
            if record["mean"] is not None:
                by_question.setdefault(self._known(record), []).append(record)
        rows = []
        for question, records in by_question.items():
            order = rng.sample(records, len(records))
            for first, second in zip(order[::2], order[1::2], strict=False):
                means = self._on_scale(first)[0], self._on_scale(second)[0]
                if abs(means[0] - means[1]) >= LEAST_DIFFERENCE:
                    rows.append(self._words([first, second], comparison_words(self.scale, question, *means)))
        return rows

    def _conversations(self, batch: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
        """Each answer with the user's turn before it; turns of instruction data stand for themselves."""
        rows = []
        for record in batch:
            turns = record["conversation"]
            for asked, told in zip(turns, turns[1:], strict=False):
                if (asked["role"], told["role"]) == ("user", "assistant"):
                    rows.append(self._words([record], Words(asked["content"], told["content"])))
        return rows

    def _rating(self, record: Mapping[str, Any], question: str, mean: float, std: float | None) -> dict[str, Any]:
        question = self._known({**record, "question": question})
        group = self.groups.setdefault((record["data_set"], question), len(self.groups))
        # for trainers that learn words alone, the level word that is nearest
        words = rating_words(self.scale, question, mean)
        return self._words([record], words) | {"question": question, "mean": mean, "std": std, "group": group}

    def _words(self, records: Sequence[Mapping[str, Any]], words: Words) -> dict[str, Any]:
        return {
            "images": [record["image"] for record in records],
            "prompt": [user_says(words.prompt)],
            "completion": [assistant_says(words.answer)],
            "question": "",
            "mean": None,
            "std": None,
            "group": -1,
            "data_set": records[0]["data_set"],
        }

    def _known(self, record: Mapping[str, Any]) -> str:
        question = self.scale.nearest(str(record["question"]))
        if question not in self.scale.questions:
            plain = self.scale.people_questions
            near = difflib.get_close_matches(question, plain, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise DataError(
                f"{record['data_set']} rates {question!r}, which the checkpoint does not answer.{hint} Choose one of "
                f"{', '.join(plain)}."
            )
        return question

    def _on_scale(self, record: Mapping[str, Any]) -> tuple[float, float | None]:
        """Mean and spread of a record on the scale."""
        low, high = self.scale.score_range
        spread = record["spread"]
        unit = (high - low) / (record["range_high"] - record["range_low"])
        return self._to_scale(record["mean"], record), None if spread is None else spread * unit

    def _to_scale(self, mean: float, source: Mapping[str, Any]) -> float:
        # float32 of a table may lie a hair outside the range that it was checked against
        inside = min(max(mean, source["range_low"]), source["range_high"])
        return self.scale.from_range(inside, (source["range_low"], source["range_high"]))


def mixture(parts: Sequence[Dataset], weights: Sequence[float], seed: int = 0) -> Dataset:
    """Rows of several data sets in random order, each set as often as its weight says, until every row of all came once.

    Raises:
        DataError: a weight that is not above 0, or not finite.
    """
    if not all(0 < weight < math.inf for weight in weights):
        raise DataError(f"Weights must be numbers above 0, got {', '.join(f'{weight:g}' for weight in weights)}.")
    shuffled = [part.shuffle(seed=seed) for part in parts]
    if len(parts) == 1:
        return shuffled[0]
    shares = [weight / sum(weights) for weight in weights]
    return interleave_datasets(shuffled, probabilities=shares, seed=seed, stopping_strategy="all_exhausted")
