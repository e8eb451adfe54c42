"""Whether attributes move as they should: held-out photos, each damaged by edits of known strength.

    python recipes/nano/attributes_exam.py --data DATA --model build/nano/final --output build/nano/attributes_exam.json

An edit must lower the rating of the attribute that it is about (`damages.DAMAGES`). Edits that are kept out of all pretext
samples are asked too, apart. Shares are of photos, with 95% Wilson intervals.
"""

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path

from scipy.stats import binomtest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS
from damages import DAMAGES, Damage
from exam import load_some, split_photos

KEPT_OUT = (
    Damage("gamma", -1, None, {"light": 1}),
    Damage("gamma", 1, None, {"light": 1}),
    Damage("tint", 1, None, {"colour": 1}),
    Damage("tint", -1, None, {"colour": 1}),
    Damage("vignette", 1, None, {"light": 1}),
    Damage("motion_blur", 1, None, {"sharpness": 1}),
)
STRENGTHS = {"slight": 0.5, "strong": 1.0}


def about(damage: Damage) -> list[str]:
    """The attributes that an edit is about."""
    return [name for name, weight in damage.attributes.items() if weight == 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="default: the embedded checkpoint")
    parser.add_argument("--photos", type=int, default=40, help="held-out photos; each is damaged in all ways")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    assessor = AestheticAssessor.from_pretrained(arguments.model)
    _, held_out = split_photos(arguments.data)
    photos = [photo for _, photo in load_some(held_out, arguments.photos, arguments.seed)]
    right: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    for number, photo in enumerate(photos):
        made, told = [photo], []
        for damage in (*DAMAGES, *KEPT_OUT):
            edit = EDITS[damage.edit]
            for word, share in STRENGTHS.items():
                seed = random.Random(f"{number}:{damage.edit}").randrange(2**31)
                low, high = edit.range
                before, after = edit.pair(photo, min(max(damage.sign * share * edit.strong, low), high), seed)
                # edits of the frame show less of the photo before, too
                told.append((damage, word, 0 if before is photo else len(made), len(made) + (before is not photo)))
                made += [after] if before is photo else [before, after]
        rated = assessor.attributes(made)
        for damage, word, before, after in told:
            for attribute in about(damage):
                place = "kept out" if damage in KEPT_OUT else attribute
                moved = rated[after][attribute].mean < rated[before][attribute].mean
                right[place, word, ""].append(moved)
                right[place, word, f"{damage.edit} {'+' if damage.sign > 0 else '-'}"].append(moved)
    report = {}
    print("| attribute | edit | strength | right | photos |\n|---|---|---|---|---|")
    order = [*ATTRIBUTE_QUESTIONS, "kept out"]
    for (place, word, edit), moved in sorted(right.items(), key=lambda item: (order.index(item[0][0]), item[0][2], item[0][1])):
        low, high = binomtest(sum(moved), len(moved)).proportion_ci(method="wilson")
        report[f"{place}:{edit}:{word}"] = {"right": sum(moved) / len(moved), "interval": [low, high], "photos": len(moved)}
        share = f"{sum(moved) / len(moved):.0%} ({low:.0%} to {high:.0%})"
        print(f"| {place} | {edit or 'all'} | {word} | {share} | {len(moved)} |")
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
