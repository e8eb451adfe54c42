"""Examines whether a language model knows that two wordings say the same: a lesson's truth is told in words, no photo is shown.

    python recipes/nano/wordings_exam.py --work build/nano --output build/nano/wordings_exam.json

The question of each lesson follows a sentence that answers it in a wording of training, and the answers to choose from are worded
in another one: as training never words them, or as it does. What a language model cannot take from a sentence it will hardly
take from visual tokens that learned to stand for such sentences, so this is about the most that `exam.py` can find. Asked are
the checkpoint's language model, and the uncut one that it was cut from.
"""

import argparse
import itertools
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.editing.measurements import MEASUREMENTS
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.evaluation.lesson_exam import ExamItem, altered_choices, measured_choice
from aesthetic_mllm.evaluation.lesson_examiner import Answer, CueScore, LessonExaminer, answer_items
from aesthetic_mllm.evaluation.lesson_report import by_level, compare, markdown_table
from aesthetic_mllm.pretext.lessons import LEVELS, Lesson, LessonMaker
from aesthetic_mllm.pretext.phrase_bank import BINS, PhraseBank
from aesthetic_mllm.trainers.lesson_collator import lesson_prompt
from comments_exam import UNCUT_PROMPT
from exam import Clock
from language import uncut

STRENGTH, VERDICT = "strongly", "equal"  # of the edits
Prompt = Callable[[str], str]


def told_lessons(maker: LessonMaker, draws: int) -> list[tuple[str, ExamItem]]:
    """Each bin of each attribute and each direction of each edit, `draws` times: what is told, and what is asked."""
    bank, found = maker.bank, []
    for attribute, bin, draw in itertools.product(bank.attributes, range(BINS), range(draws)):
        seed = f"{attribute}:{bin}:{draw}"
        told = bank.measured(attribute, bin, random.Random(f"told {seed}")).text
        cue = bank.measured(attribute, bin, random.Random(seed), maker.held_out)
        level = MEASUREMENTS[attribute].level
        lesson = Lesson(level, "measured", attribute, (), cue.question, cue.text, cue.label, bin=bin)
        found.append((told, ExamItem("", lesson, None, (measured_choice(lesson, maker, seed),))))
    edits = [(edit, direction) for level in LEVELS for edit in maker.edits[level] for direction in bank.edits[edit.name]]
    for (edit, direction), draw in itertools.product(edits, range(draws)):
        seed = f"{edit.name}:{direction}:{draw}"
        told = bank.altered(edit.name, direction, STRENGTH, VERDICT, random.Random(f"told {seed}")).text
        cue = bank.altered(edit.name, direction, STRENGTH, VERDICT, random.Random(seed), maker.held_out)
        lesson = Lesson(edit.level, "altered", edit.name, (), cue.question, cue.text, f"{edit.name}:{direction}:{STRENGTH}")
        asked = [choice for choice in altered_choices(lesson, edit, maker, seed) if choice.aspect != "strength"]
        found.append((told, ExamItem("", lesson, "strong", tuple(asked))))
    return found


def answered(examiner: LessonExaminer, prompt: Prompt, lessons: Sequence[tuple[str, ExamItem]]) -> list[Answer]:
    """By how much what is told makes each answer likelier."""
    items = [item for _, item in lessons]
    scores: list[list[dict[str, CueScore]]] = []
    for tells in (True, False):
        prompts = [prompt(f"{told} {item.lesson.question}" if tells else item.lesson.question) for told, item in lessons]
        found = []
        for start in range(0, len(items), examiner.batch_size):
            part = slice(start, start + examiner.batch_size)
            found += examiner.score_cues(prompts[part], [item.cues for item in items[part]])
        scores.append(found)
    return answer_items(items, *scores, "pmi")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--model", type=Path, default=None, help="checkpoint (default: the embedded one)")
    parser.add_argument("--draws", type=int, default=2, help="wordings of each bin and each direction")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    folder = arguments.model or embedded_checkpoint()
    processor = AestheticMLLMProcessor.from_pretrained(folder)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    whole, tokenizer = uncut(arguments.work)
    asked: dict[str, tuple[Any, Any, Prompt]] = {
        "checkpoint": (model, processor, lambda text: lesson_prompt(processor, text, (), 0)),
        "uncut": (whole, SimpleNamespace(tokenizer=tokenizer), UNCUT_PROMPT.format),
    }
    clock, report, tables = Clock(), {}, []
    statistics = PoolStatistics.load(arguments.work / "statistics.json")
    for wordings, held_out in (("held out", True), ("trained", False)):
        lessons = told_lessons(LessonMaker(PhraseBank(), statistics, held_out=held_out), arguments.draws)
        columns = {}
        for name, (asks, reads, prompt) in asked.items():
            columns[name] = answered(LessonExaminer(asks, reads), prompt, lessons)
            clock.done(f"{len(lessons)} lessons in {wordings} wordings, {name}")
        report[wordings] = compare(columns, by_level)
        table = markdown_table(report[wordings], ("level", "question", "amount"), tuple(columns))
        tables.append(f"Wordings of the answers: {wordings}.\n\n{table}")
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    arguments.output.with_suffix(".md").write_text("\n\n".join(tables) + "\n", encoding="utf-8")
    print("\n\n".join(tables))


if __name__ == "__main__":
    main()
