"""Examines comments on held-out photos: are their claims right, are they varied, are they anyone's words?

    python recipes/nano/comments_exam.py --data DATA --model CHECKPOINT --output build/nano/comments.json

The checkpoint comments twice: without looking at measurements ("brief, unchecked"), and as it does by default, where a claim is
made only if the photo's measurements bear it out ("brief"). So that the check does not mark its own work, the exam measures each
photo at another size, `--side`, by cut points of training photos measured at that size. Beside the precision of claims ("the
light is dark") stands that of the same comments each held against another photo. Runs of words are compared with DATA's
critiques. With `--comments` a JSON list of {photo, comment} is examined instead of, or beside, a checkpoint's; a photo is a path,
of DATA or any other.

With `--perplexity-texts` the checkpoint's language model also reads held-out critiques beside the uncut one: the texts that
`language.py` holds out, for which WORK holds its own_answers.json.
"""

import argparse
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.editing.claims.claim_rules import CLAIM_RULES, MAIN_ATTRIBUTES
from aesthetic_mllm.editing.claims.comment_claims import CheckedClaim, check_claims
from aesthetic_mllm.editing.claims.comment_faults import inner_faults, unfounded_claims
from aesthetic_mllm.editing.claims.photo_evidence import PhotoEvidence
from aesthetic_mllm.editing.measurements import measure
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.evaluation.byte_perplexity import byte_perplexity
from aesthetic_mllm.evaluation.claim_precision import claim_precision, precision_by
from aesthetic_mllm.evaluation.text_overlap import SharedRuns, distinct_n, share_identical
from aesthetic_mllm.pretext.pretext_dataset import load_photo
from aesthetic_mllm.tasks.commenting import ASPECTS, STYLES
from aesthetic_mllm.tasks.ngram_overlap import words_of
from exam import Clock, photo_key, split_photos
from language import healing_texts, split_texts, uncut

# a critique as `language.critique_texts` puts it
CRITIQUE = re.compile(
    r"<\|im_start\|>user\n(Comment on (?:the .+ of )?this photo\.)<\|im_end\|>\n<\|im_start\|>assistant\n(.+)<\|im_end\|>\n"
)
UNCUT_PROMPT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
PERPLEXITY_GOAL, PRECISION_GOAL = 1.5, 0.85
ATTRIBUTES = tuple(sorted({rule.attribute for rule in CLAIM_RULES.values()}))
POOL_PHOTOS = 150  # that set the exam's cut points


def load_small(path: Path, side: int) -> Image.Image:
    """A photo whose long side has at most so many pixels."""
    photo = load_photo(str(path))
    photo.thumbnail((side, side), Image.Resampling.LANCZOS)
    return photo


def photo_bins(path: Path, side: int, statistics: PoolStatistics) -> dict[str, int]:
    """Bins of all that claims can be about, measured at this size."""
    return {name: statistics.bin(name, value) for name, value in measure(load_small(path, side), ATTRIBUTES).items()}


def write_comments(
    assessor: AestheticAssessor, paths: Mapping[str, Path], style: str, aspect: str | None, batch_size: int
) -> tuple[dict[str, str], dict[str, str]]:
    """Comments by photo without and with a look at measurements; those with nothing to correct are the same, and written once."""

    def write(keys: Sequence[str]) -> dict[str, str]:
        written = assessor.comment([paths[key] for key in keys], style=style, aspect=aspect, batch_size=batch_size)
        return dict(zip(keys, written, strict=True))

    processor, cuts = assessor.processor, assessor.processor.measurement_cuts
    try:
        processor.measurement_cuts = {}
        unchecked = write(list(paths))
    finally:
        processor.measurement_cuts = cuts

    def has_faults(key: str) -> bool:
        evidence = PhotoEvidence(processor.image_processor.read(paths[key]), cuts)
        return bool(inner_faults(unchecked[key]) | unfounded_claims(unchecked[key], evidence))

    return unchecked, unchecked | write([key for key in paths if cuts and has_faults(key)])


def check_all(comments: Mapping[str, str], bins: Mapping[str, Mapping[str, int]]) -> list[list[CheckedClaim]]:
    """The claims of each comment, held against its photo."""
    return [check_claims(comment, bins[photo]) for photo, comment in comments.items()]


def precisions(claims: Sequence[CheckedClaim]) -> dict[str, Any]:
    """Of all claims, of those on the main attributes, and of each attribute and claim."""
    return {
        "all": claim_precision(claims),
        "main attributes": claim_precision([one for one in claims if one.claim.attribute in MAIN_ATTRIBUTES]),
        "by attribute": precision_by(claims, "attribute"),
        "by claim": precision_by(claims, "name"),
    }


def examine(
    comments: Mapping[str, str],
    bins: Mapping[str, Mapping[str, int]],
    critiques: SharedRuns,
    training: SharedRuns | None,
) -> dict[str, Any]:
    """All that is asked of comments by photo."""
    checked = check_all(comments, bins)
    texts = list(comments.values())
    photos = list(comments)
    kinds = [{fault[0] for fault in inner_faults(text)} for text in texts]
    elsewhere = dict(zip(photos, texts[1:] + texts[:1], strict=True))  # each comment at the next photo
    return {
        "comments": len(texts),
        "words": sum(len(words_of(text)) for text in texts) / len(texts),
        "claims a comment": sum(map(len, checked)) / len(texts),
        "without claims": sum(not claims for claims in checked) / len(texts),
        "contradicting themselves": sum("contradiction" in found for found in kinds) / len(texts),
        "repeating a claim": sum("repeated" in found for found in kinds) / len(texts),
        "precision": precisions([one for claims in checked for one in claims]),
        "at another photo": precisions([one for claims in check_all(elsewhere, bins) for one in claims]),
        "distinct-2": distinct_n(texts),
        "identical": share_identical(texts),
        "runs shared with critiques": critiques.summary(texts),
        "runs shared with training comments": training.summary(texts) if training else None,
        "texts": [
            {"photo": photo, "comment": text, "wrong": [one.claim.name for one in claims if not one.right]}
            for photo, text, claims in zip(photos, texts, checked, strict=True)
        ],
    }


def held_out_critiques(work: Path, critiques: Path, count: int) -> list[tuple[str, str]]:
    """Prompts and critiques among the texts that the language model's healing holds out, without those that it also trains on."""
    texts = healing_texts(work, critiques)
    held_out, trained = split_texts(texts)
    known = set(trained)
    found = [(match[1], match[2]) for text in held_out if text not in known and (match := CRITIQUE.fullmatch(text))]
    if not found:
        raise SystemExit(
            f"{critiques}: no critique is among the held-out texts; language.py words them differently from CRITIQUE."
        )
    return found[:count]


def perplexities(assessor: AestheticAssessor, work: Path, critiques: list[tuple[str, str]], batch_size: int) -> dict[str, Any]:
    """Perplexity per byte of the checkpoint's language model and of the uncut one, each asked in its own form."""
    processor = assessor.processor

    def own_prompt(text: str) -> str:
        turns = [{"role": "user", "content": [{"type": "text", "text": text}]}]
        return processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)

    own = [(own_prompt(prompt), text) for prompt, text in critiques]
    other = [(UNCUT_PROMPT.format(prompt), text) for prompt, text in critiques]
    found = {
        "critiques": len(critiques),
        "checkpoint": byte_perplexity(assessor.model, processor.tokenizer, own, batch_size),
        "uncut": byte_perplexity(*uncut(work), other, batch_size),
    }
    return found | {"ratio": found["checkpoint"] / found["uncut"]}


def table(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = []
    for name, found in report["comments"].items():
        lines += [
            f"## {name}",
            "",
            f"{found['comments']} comments of {found['words']:.1f} words and {found['claims a comment']:.2f} claims, "
            f"{100 * found['without claims']:.0f}% without claims; distinct-2 {found['distinct-2']:.3f}; "
            f"said of another photo too {100 * found['identical']:.1f}%; contradicting themselves "
            f"{100 * found['contradicting themselves']:.1f}%, repeating a claim {100 * found['repeating a claim']:.1f}%.",
            "",
            "| claims about | claims | right, percent | at another photo |",
            "|---|---|---|---|",
        ]
        own, elsewhere = found["precision"], found["at another photo"]
        rows = [(f"**{part}**", own[part], elsewhere[part]) for part in ("all", "main attributes")]
        rows += [(part, one, elsewhere["by attribute"].get(part)) for part, one in own["by attribute"].items()]
        lines += [f"| {part} | {one['claims']} | {_percent(one)} | {_percent(other)} |" for part, one, other in rows]
        lines.append("")
        for corpus in ("critiques", "training comments"):
            if runs := found[f"runs shared with {corpus}"]:
                lines.append(
                    f"{len(runs['sharing'])} comments share {runs['length']} words in a row with the {corpus}; longest run: "
                    f"{runs['longest_run']} ({runs['longest_words']!r})."
                )
        lines.append("")
    if perplexity := report.get("perplexity"):
        lines.append(
            f"Perplexity per byte on {perplexity['critiques']} held-out critiques: {perplexity['checkpoint']:.3f}, uncut "
            f"language model {perplexity['uncut']:.3f}, ratio {perplexity['ratio']:.3f} (goal at most {PERPLEXITY_GOAL})."
        )
    return "\n".join([*lines, f"Goal for the precision: {PRECISION_GOAL}."])


def _percent(found: Mapping[str, Any] | None) -> str:
    if not found or found["precision"] is None:
        return "-"
    low, high = found["interval"]
    return f"{100 * found['precision']:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def read_comments(path: Path, data: Path) -> dict[Path, str]:
    """Photo paths and their comments."""
    found = {}
    for row in json.loads(path.read_text(encoding="utf-8")):
        inside = data / row["photo"]
        found[inside if inside.exists() else Path(row["photo"])] = row["comment"]
    return found


def read_texts(path: Path) -> list[str]:
    """A JSON list of texts, or of objects with a `comment`."""
    return [row if isinstance(row, str) else row["comment"] for row in json.loads(path.read_text(encoding="utf-8"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="of language.py; only for --perplexity-texts")
    parser.add_argument("--model", type=Path, help="folder of the checkpoint that comments")
    parser.add_argument("--comments", type=Path, help="JSON list of {photo, comment}")
    parser.add_argument("--training", type=Path, help="JSON list of the comments that were trained on, to find shared words in")
    parser.add_argument("--critiques", type=Path, help="parquet with the columns aspect and comment; default DATA's")
    parser.add_argument("--photos", type=int, default=500, help="held-out photos to comment on")
    parser.add_argument("--styles", nargs="+", choices=list(STYLES), default=list(STYLES))
    parser.add_argument("--aspect", choices=list(ASPECTS), help="default the whole photo")
    parser.add_argument("--side", type=int, default=224, help="pixels of the long side at which the exam measures photos")
    parser.add_argument("--perplexity-texts", type=int, default=0, help="held-out critiques to read, with --work; 500 are enough")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    if not (arguments.model or arguments.comments):
        parser.error("nothing to examine: name a checkpoint by --model, comments by --comments, or both")
    if arguments.perplexity_texts and not arguments.work:
        parser.error("--perplexity-texts needs --work, the folder of language.py")

    clock = Clock()
    critiques = arguments.critiques or arguments.data / "critiques" / "comments.parquet"
    trained, held_out = split_photos(arguments.data)
    pool = random.Random(arguments.seed).sample(trained, min(POOL_PHOTOS, len(trained)))
    statistics = PoolStatistics.of((load_small(photo.path, arguments.side) for photo in pool), ATTRIBUTES)
    clock.done(f"{len(pool)} photos of the pool measured")
    assessor = AestheticAssessor.from_pretrained(arguments.model) if arguments.model else None
    comments: dict[str, dict[str, str]] = {}
    paths: dict[str, Path] = {}
    if arguments.comments:
        given = read_comments(arguments.comments, arguments.data)
        paths |= {str(path): path for path in given}
        comments["given"] = {str(path): text for path, text in given.items()}
    if assessor:
        chosen = random.Random(arguments.seed).sample(held_out, min(arguments.photos, len(held_out)))
        own = {photo_key(photo): photo.path for photo in chosen}
        paths |= own
        for style in arguments.styles:
            unchecked, written = write_comments(assessor, own, style, arguments.aspect, arguments.batch_size)
            comments |= {f"{style}, unchecked": unchecked, style: written}
            clock.done(f"{len(written)} {style} comments written")
    bins = {key: photo_bins(path, arguments.side, statistics) for key, path in paths.items()}
    clock.done(f"{len(bins)} photos measured")

    runs = SharedRuns(pd.read_parquet(critiques)["comment"].astype(str))
    training = SharedRuns(read_texts(arguments.training)) if arguments.training else None
    report: dict[str, Any] = {
        "model": str(arguments.model) if arguments.model else None,
        "aspect": arguments.aspect,
        "comments": {name: examine(texts, bins, runs, training) for name, texts in comments.items()},
    }
    clock.done("comments examined")
    if assessor and arguments.perplexity_texts:
        texts = held_out_critiques(arguments.work, critiques, arguments.perplexity_texts)
        report["perplexity"] = perplexities(assessor, arguments.work, texts, arguments.batch_size)
        clock.done("critiques read")
    report["seconds"] = clock.seconds
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(report))


if __name__ == "__main__":
    main()
