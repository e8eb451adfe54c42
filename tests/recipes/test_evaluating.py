"""The last stage writes the package's report of the finished checkpoint, and beside it what that does not hold."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.data.splits import is_agiqa3k_validation, is_biq2021_validation
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.evaluation.flaw_ratings import WHOLE, FlawRatings
from aesthetic_mllm.evaluation.suite.evaluate_checkpoint import PREDICTIONS, REPORT, TASK_NAMES, Evaluation
from aesthetic_mllm.evaluation.suite.sizes import Sizes
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.teachers import save_contents
from aesthetic_mllm.publishing.report import DataSummary, Report
from aesthetic_mllm.publishing.report_pages import MARKDOWN, PAGE
from aesthetic_mllm.tasks.suggesting import FLAWS
from lively_assessor import lively_assessor
from photo_files import scene
from recipes.nano import evaluating
from recipes.nano import stages as recipe
from recipes.nano.contents import CONTENTS
from recipes.nano.evaluating import BASELINE, EVALUATION, NAME, REPORTED_POOLS, held_out_critiques, write_further, write_report
from recipes.nano.finishing import CHECKPOINT, flaw_ratings_file
from recipes.nano.language import CRITIQUES, OWN_ANSWERS, healing_texts, split_texts
from recipes.nano.measuring import STATISTICS
from recipes.nano.pipeline import Run, StageError
from recipes.nano.unaligned import UNALIGNED

COMMENTS = [
    f"I like the number {word} of this small picture very much number {place}"
    for place, word in enumerate("abcdefghijklmnopqrstuvwxyz" * 8)
]
TRAINING, ASKED = 8, 4  # photos of each data set
# One or two of everything.
SIZES = {
    "photos": 4, "train": 8, "damaged": 1, "suggestions": 1, "undamaged": 1, "comments": 2, "comment_pool": 3, "series": 2,
    "people": 1, "label_draws": 1,
}  # fmt: skip
PRETEXT = {"photos": 4, "per_subject": 1, "probe": 8}


def write_critiques(table: Path, work: Path) -> None:
    table.parent.mkdir(exist_ok=True)
    pd.DataFrame({"aspect": "composition", "comment": COMMENTS}).to_parquet(table)
    (work / OWN_ANSWERS).write_text(json.dumps(["own answer"]))


def write_photos(folder: Path, columns: str, rows: dict[str, str]) -> None:
    """Photos and their table; rows by file name."""
    folder.mkdir()
    (folder / "metadata.csv").write_text("\n".join([f"file_name,{columns}", *(f"{n},{row}" for n, row in rows.items())]) + "\n")
    for number, name in enumerate(rows):
        scene(40 + 3 * number, 70 - number).save(folder / name)


def write_data(data: Path) -> None:
    """The rated photos of the recipe, a few of each split, and single votes."""
    rng = np.random.default_rng(0)

    def some(names: list[str], is_asked: list[bool]) -> list[str]:
        parts = [[name for name, asked in zip(names, is_asked, strict=True) if asked == part] for part in (False, True)]
        return [*parts[0][:TRAINING], *parts[1][:ASKED]]

    names = [f"ss0{1 + number % 3}_{number:04}.webp" for number in range(200)]
    chosen = some(names, [is_biq2021_validation(name) for name in names])
    write_photos(data / "biq2021", "mos", {name: f"{rng.uniform():.3f}" for name in chosen})
    numbers = (1, 3, 4, 5, 6, 7, 8, 10, 2, 9, 15, 33)  # the last four are for validation
    beauty = {f"oasis_{number:04}.webp": rng.permutation([1, 2, 3, 4, 1, 2, 1]) for number in numbers}
    steps = [f"n_{step}" for step in range(1, 8)]
    write_photos(
        data / "oasis_beauty",
        ",".join(["category", "beauty_mean", "beauty_sd", *steps]),
        {
            name: ",".join(["Object", f"{np.average(range(1, 8), weights=votes):.3f}", "1.2", *map(str, votes)])
            for name, votes in beauty.items()
        },
    )
    votes = [f"{rater},{name},{rng.integers(1, 8)}" for rater in range(2) for name in beauty]
    (data / "oasis_beauty" / "votes.csv").write_text("\n".join(["rater_id,file_name,beauty", *votes]) + "\n")
    prompts = [f"prompt {number}" for number in range(60)]
    chosen = some(prompts, [is_agiqa3k_validation(prompt) for prompt in prompts])
    write_photos(
        data / "agiqa3k",
        "mos_quality,std_quality,mos_align,generator,prompt",
        {f"sd_{place}.webp": f"{rng.uniform(0, 5):.3f},0.5,3.0,sd,{prompt}" for place, prompt in enumerate(chosen)},
    )


def write_work(work: Path, assessor: AestheticAssessor) -> None:
    """What earlier stages leave: the checkpoint before and after, ratings of flaws, contents and cut points."""
    for name in (UNALIGNED, CHECKPOINT):
        assessor.model.save_pretrained(work / name)
        assessor.processor.save_pretrained(work / name)
    rng = np.random.default_rng(0)
    views = [view for view in (WHOLE, *FLAWS) for _ in range(3)]
    shape = (len(views), len(FLAWS))
    ratings = FlawRatings(
        np.array([f"{place}.jpg" for place in range(len(views))]),
        np.array(views),
        np.array(list(FLAWS)),
        rng.uniform(1, 10, shape),
        np.zeros(shape, dtype=bool),
    )
    for pool in REPORTED_POOLS:
        ratings.save(flaw_ratings_file(work, pool))
    PoolStatistics.of([scene(40 + 9 * number, 50) for number in range(6)], PhraseBank().attributes).save(work / STATISTICS)
    names = [f"ss0{1 + number % 3}_{number:04}.webp" for number in range(200)]
    save_contents({f"biq2021/{name}": f"thing number {number % 7}" for number, name in enumerate(names)}, work / CONTENTS)


def test_the_stage_writes_the_report_and_what_that_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every task on the validation photos of the three data sets, beside the embedded checkpoint; what is there is kept."""
    run = Run(tmp_path / "data", tmp_path / "work", 0, {})
    run.data.mkdir()
    assessor = lively_assessor(attributes=True, flaws=True)
    write_data(run.data)
    write_work(run.work, assessor)
    write_critiques(run.data / CRITIQUES, run.work)
    monkeypatch.setattr("aesthetic_mllm.inference.assessor.embedded_checkpoint", lambda: run.work / UNALIGNED)
    monkeypatch.setattr(evaluating, "uncut", lambda work: (assessor.model, assessor.processor.tokenizer))
    recipe.evaluation(run, SIZES, 3, PRETEXT)

    folder = run.work / EVALUATION
    report = Report.load(folder / REPORT)
    assert report.name == NAME
    assert {name: (summary.split, summary.photos) for name, summary in report.data.items()} == dict.fromkeys(
        ("biq2021", "oasis_beauty", "agiqa3k"), ("validation", ASKED)
    )
    assert {result.task for result in report.results} == set(TASK_NAMES) - {"personal"}  # nobody rated enough
    assert {result.system for result in report.find(task="ratings")} == {NAME, BASELINE, "mean", "ridge"}
    further = {f"{name}.{ending}" for name in ("flaws", "perplexity", "pretext") for ending in ("json", "md")}
    assert {path.name for path in folder.iterdir() if path.is_file()} == {REPORT, PREDICTIONS, MARKDOWN, PAGE, *further}
    assert json.loads((folder / "flaws.json").read_text()).keys() == set(REPORTED_POOLS)
    assert json.loads((folder / "perplexity.json").read_text())["critiques"] == 3
    assert json.loads((folder / "pretext.json").read_text())["wordings"] == "held out"

    for name in ("evaluate_flaws", "critique_perplexity", "evaluate_pretext"):
        monkeypatch.setattr(evaluating, name, None)
    write_further(assessor, run.data, run.work, 3, PRETEXT, run.seed)


def test_photos_that_cannot_be_evaluated_fail_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it leaves no mark, and is run again when they are mended."""
    summary = DataSummary("validation", 9, {"a.webp": "the file is missing."}, None)
    found = Evaluation(SimpleNamespace(data={"agiqa3k": summary}), (), {}, ("a note",))  # type: ignore[arg-type]
    monkeypatch.setattr(evaluating, "evaluate_checkpoint", lambda *given, **options: found)
    with pytest.raises(StageError, match="1 photos could not be evaluated, such as agiqa3k/a.webp"):
        write_report(lively_assessor(), tmp_path, tmp_path, Sizes())


def test_a_size_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="there is no size moods; there are photos, train"):
        recipe.evaluation(Run(tmp_path, tmp_path, 0, {}), {"moods": 3}, 3, PRETEXT)


def test_critiques_are_those_that_the_language_model_held_out(tmp_path: Path) -> None:
    write_critiques(tmp_path / "comments.parquet", tmp_path)
    held_out, trained = split_texts(healing_texts(tmp_path, tmp_path / "comments.parquet"))
    found = held_out_critiques(tmp_path, tmp_path / "comments.parquet", 100)
    assert found and all(any(text.endswith(f"{critique}<|im_end|>\n") for text in held_out) for _, critique in found)
    assert not any(critique in text for _, critique in found for text in trained)
    assert {prompt for prompt, _ in found} == {"Comment on the composition of this photo."}
    (tmp_path / OWN_ANSWERS).write_text(json.dumps([]))
    pd.DataFrame({"aspect": "", "comment": COMMENTS[:1]}).to_parquet(tmp_path / "comments.parquet")
    with pytest.raises(ValueError, match="no critique is among the held-out texts"):
        held_out_critiques(tmp_path, tmp_path / "comments.parquet", 100)
