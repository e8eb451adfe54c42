"""How well the alignment module tells lessons of held-out photos in codes, without the language model that is to say them.

    python recipes/nano/codes_exam.py --data DATA --work build/nano --model build/nano/coded --output build/nano/codes_exam.json

The photos, edits and amounts are those of `exam.py`. A bin is read by the nearest words, an edit by the direction along which the
change between both photos is longest, its direction by the sign. Beside `exam.py`'s table it says which part falls short.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import torch

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.evaluation.lesson_exam import ExamItem, build_exam
from aesthetic_mllm.evaluation.lesson_examiner import see_photos
from aesthetic_mllm.pretext.lessons import LessonMaker
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from codebook import Codebook
from coded_alignment import CodeLoss
from exam import load_model, load_some, split_photos


def read_item(loss: CodeLoss, item: ExamItem, tokens: torch.Tensor) -> dict[str, bool]:
    """What is read right of an item whose photos' tokens, of its level, are [n, N, D]."""
    lesson, book = item.lesson, loss.book
    if lesson.kind == "measured":
        number = book.place(lesson.subject, lesson.level)
        bin = int(loss.distances(lesson.level, tokens[0])[number].argmin())
        return {"bin": bin == lesson.bin, "bin within one": abs(bin - int(lesson.bin or 0)) <= 1}
    if lesson.kind != "altered":
        return {}
    if lesson.subject not in loss.edits[lesson.level]:
        return {f"edit {item.amount}": False}  # it has no code
    change = ((tokens[1] - tokens[0])[loss.places[lesson.level]] * loss.directions[lesson.level]).sum(1)  # [edits]
    own_edit = loss.edits[lesson.level].index(lesson.subject)
    right = {f"edit {item.amount}": int(change.abs().argmax()) == own_edit}
    if "direction" in {choice.aspect for choice in item.choices}:
        right[f"direction {item.amount}"] = bool(change[own_edit] * float(lesson.signed_strength or 0) > 0)
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--model", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--per-subject", type=int, default=10)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    bank = PhraseBank()
    maker = LessonMaker(bank, PoolStatistics.load(arguments.work / "statistics.json"), seed=0, held_out=True)
    _, held_out = split_photos(arguments.data)
    items = build_exam(load_some(held_out, arguments.photos, 0), maker, arguments.per_subject, 0)
    processor = AestheticMLLMProcessor.from_pretrained(arguments.model)
    images = [image for item in items for image in item.lesson.images]
    (seen,) = see_photos([load_model(arguments.model, "cpu")], processor, images)
    loss = CodeLoss(Codebook.load(arguments.work, processor, bank))
    right: dict[str, list[bool]] = defaultdict(list)
    first = 0
    for item in items:
        count = len(item.lesson.images)
        tokens = seen.tokens[item.lesson.level][first : first + count].float()
        first += count
        for name, value in read_item(loss, item, tokens).items():
            right[f"{item.lesson.level}: {name}"].append(value)
            right[f"{item.lesson.level}: {item.lesson.subject}: {name}"].append(value)
    report = {name: {"right": sum(values) / len(values), "lessons": len(values)} for name, values in sorted(right.items())}
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print("| question | right | lessons |\n|---|---|---|")
    for name, found in report.items():
        if name.count(":") == 1:
            print(f"| {name} | {found['right']:.1%} | {found['lessons']} |")


if __name__ == "__main__":
    main()
