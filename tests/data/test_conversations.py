"""Records become rows that ask what the checkpoint answers, on its own range."""

from dataclasses import replace
from pathlib import Path

import pytest

from aesthetic_mllm.data.conversations import ROW_FEATURES, ConversationBuilder, assistant_says, mixture, user_says
from aesthetic_mllm.data.record import AttributeRating, Comment, DataError, Record, Turn
from aesthetic_mllm.data.source import as_dataset
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.tasks.comparing import ANSWERS
from source_checks import write_photo

SCALE = RatingScale()


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    """Twelve photos rated from 0 to 5, of two data sets."""
    return [
        Record(
            image=write_photo(tmp_path / f"{number}.png"),
            data_set="first" if number < 6 else "second",
            split="train",
            question="quality" if number % 2 else "aesthetic",
            mean=5 * number / 11,
            spread=1.0,
            range_low=0,
            range_high=5,
            attributes=[AttributeRating("quality", 4, 0, 5), AttributeRating("charm", 1, 0, 5)],
            comments=[Comment("The light is soft and warm.", "light"), Comment("wow")],
            conversation=[Turn("user", "Is it sharp?"), Turn("assistant", "Yes."), Turn("user", "And bright?")],
        )
        for number in range(12)
    ]


def test_ratings_come_to_the_checkpoints_range(records: list[Record]) -> None:
    """Means and spreads scale linearly; photos are ranked only within one question of one data set."""
    builder = ConversationBuilder(SCALE)
    rows = builder.build(as_dataset(records), ["score"])
    assert rows.features == ROW_FEATURES and len(rows) == 12
    assert rows["mean"][:] == pytest.approx([1 + 9 * number / 11 for number in range(12)], abs=1e-5)
    assert rows["std"][:] == pytest.approx([9 / 5] * 12)
    assert [builder.groups[row["data_set"], row["question"]] for row in rows] == rows["group"][:]
    assert len(set(rows["group"][:])) == 4


def test_beauty_is_asked_for_by_what_the_checkpoint_calls_it(records: list[Record]) -> None:
    rated = [replace(record, question="beauty") for record in records]
    own = replace(SCALE, questions={**SCALE.questions, "beauty": SCALE.questions["quality"]})
    for scale, question in ((SCALE, "aesthetic"), (own, "beauty")):
        rows = ConversationBuilder(scale).build(as_dataset(rated), ["score"])
        assert set(rows["question"][:]) == {question} and set(rows["group"][:]) == {0, 1}


def test_every_task_asks_for_what_the_record_holds(records: list[Record]) -> None:
    builder = ConversationBuilder(SCALE)
    one = as_dataset(records[:1])
    rows = builder.build(one, ["decimal", "attributes", "comment", "converse"]).to_list()
    asked = SCALE.question("quality")
    assert [(row["question"], row["prompt"], row["completion"]) for row in rows] == [
        (question, [user_says(prompt)], [assistant_says(answer)])
        for question, prompt, answer in [
            ("", "Can you give me the aesthetic score?", "1.0."),
            ("quality", asked.prompt, asked.stem + " good"),  # the checkpoint has no question about charm
            ("", "Comment on the light of this photo.", "The light is soft and warm."),
            ("", "Is it sharp?", "Yes."),
        ]
    ]
    assert builder.dropped == {"too short": 1}
    assert all(row["group"] == -1 for row in rows if not row["question"])


def test_pairs_name_the_better_photo(records: list[Record]) -> None:
    """Two photos of one question, apart by enough to be told; the answer is the one with the higher mean."""
    rows = ConversationBuilder(SCALE).build(as_dataset(records), ["compare"]).to_list()
    means = {str(record.image): record.mean for record in records}
    assert rows
    for row in rows:
        first, second = (means[image["path"]] for image in row["images"])
        assert row["completion"] == [assistant_says(ANSWERS[int(second > first)])] and abs(first - second) * 9 / 5 >= 0.5


def test_the_same_seed_gives_the_same_rows(records: list[Record]) -> None:
    data = as_dataset(records)
    first, again, other = (ConversationBuilder(SCALE, seed).build(data, ["compare"]).to_list() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (["scores"], "No task scores; choose of score, decimal"),
        ([], "No task was named"),
    ],
)
def test_a_wrong_task_is_named(records: list[Record], tasks: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ConversationBuilder(SCALE).build(as_dataset(records), tasks)


def test_what_cannot_be_asked_or_learned_is_an_error(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "a.png")
    charm = Record(photo, "mine", "train", "charm", 3, range_low=0, range_high=5)
    with pytest.raises(
        DataError, match="mine rates 'charm', which the checkpoint does not answer. Choose one of aesthetic, quality"
    ):
        ConversationBuilder(SCALE).build(as_dataset([charm]), ["score"])
    with pytest.raises(DataError, match="mine: nothing to learn for comment"):
        ConversationBuilder(SCALE).build(as_dataset([charm]), ["comment"])


def test_a_mixture_holds_every_row_and_follows_its_weights(records: list[Record]) -> None:
    """Each row comes at least once; a set of three times the weight comes three times as often."""
    builder = ConversationBuilder(SCALE)
    first, second = (builder.build(as_dataset(part), ["score"]) for part in (records[:6] * 20, records[6:] * 20))
    rows = mixture([first, second], [3, 1])
    counts = {name: rows["data_set"][:].count(name) for name in ("first", "second")}
    assert counts["second"] >= 120 and 2.2 < counts["first"] / counts["second"] < 4
    assert {tuple(image["path"] for image in row["images"]) for row in rows.to_list()} == {(str(r.image),) for r in records}
    with pytest.raises(DataError, match="Weights must be numbers above 0, got 1, 0"):
        mixture([first, second], [1, 0])
    for weight in (float("nan"), float("inf")):
        with pytest.raises(DataError, match=f"Weights must be numbers above 0, got 1, {weight}"):
            mixture([first, second], [1, weight])
