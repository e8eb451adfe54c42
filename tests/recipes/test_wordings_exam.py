"""What is told to the language model is the truth, in other words than those it chooses from."""

from types import SimpleNamespace
from typing import Any

import pytest

from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.evaluation.lesson_examiner import CueScore
from aesthetic_mllm.pretext.lessons import LEVELS, LessonMaker
from aesthetic_mllm.pretext.phrase_bank import PhraseBank


@pytest.fixture(scope="module")
def maker() -> LessonMaker:
    statistics: Any = SimpleNamespace(spec=PoolStatistics)  # no photo is measured
    return LessonMaker(PhraseBank(), statistics, held_out=True)


def test_every_bin_and_direction_is_told_and_asked(maker: LessonMaker) -> None:
    from wordings_exam import told_lessons

    lessons = told_lessons(maker, draws=2)
    bank = maker.bank
    assert len(lessons) == 2 * (5 * len(bank.attributes) + sum(map(len, bank.edits.values())))
    assert {item.lesson.level for _, item in lessons} == set(LEVELS)
    for told, item in lessons:
        (first, *_) = item.choices
        right = first.cues[first.answer]
        assert told not in item.cues and item.lesson.subject in (item.lesson.label.split(":")[0],)
        if first.aspect == "bin":
            assert str(item.lesson.bin) == first.options[first.answer] and right == (item.lesson.cue,)
            words = bank.attributes[item.lesson.subject]["bins"][item.lesson.bin]
            assert any(word in told.lower() for word in map(str.lower, words[:-1]))


def test_a_model_that_understands_is_right_and_a_deaf_one_is_not(maker: LessonMaker) -> None:
    """What is told must make the right answer likelier; an answer that is always likely is not understood."""
    from wordings_exam import answered, told_lessons

    lessons = told_lessons(maker, draws=1)
    truth = {told: {item.choices[0].cues[item.choices[0].answer][0]} for told, item in lessons}

    class Examiner:
        batch_size = 16

        def __init__(self, hears: bool):
            self.hears = hears

        def score_cues(self, prompts: list[str], cues: list[tuple[str, ...]]) -> list[dict[str, CueScore]]:
            return [
                {cue: CueScore(float(len(cue) + (self.hears and cue in truth.get(prompt.split("|")[0], ()))), 1) for cue in texts}
                for prompt, texts in zip(prompts, cues, strict=True)
            ]

    bins = [(told, item) for told, item in lessons if item.choices[0].aspect == "bin"]
    told_first = [(f"{told}|", item) for told, item in bins]
    understood = answered(Examiner(True), str, told_first)  # type: ignore[arg-type]
    deaf = answered(Examiner(False), str, told_first)  # type: ignore[arg-type]
    assert all(answer.chosen == answer.answer for answer in understood)
    assert sum(answer.chosen == answer.answer for answer in deaf) < len(deaf) / 3
