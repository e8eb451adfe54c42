"""The whole evaluation of a tiny random checkpoint: every task has figures; what was stopped goes on; what failed is told."""

import copy
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.data.record import DataError
from aesthetic_mllm.evaluation.suite.evaluate_checkpoint import (
    CACHE,
    PREDICTIONS,
    REPORT,
    TASK_NAMES,
    Evaluation,
    EvaluationError,
    evaluate_checkpoint,
)
from aesthetic_mllm.evaluation.suite.sizes import Sizes
from aesthetic_mllm.evaluation.suite.system import answer_identity
from aesthetic_mllm.publishing.measures import MEASURES
from aesthetic_mllm.publishing.report import Report
from aesthetic_mllm.trainers.rating_metrics import correlations, pairwise_accuracy
from lively_assessor import lively_assessor
from rated_table import ASKED, PEOPLE, write_table

SMALL = Sizes(damaged=2, suggestions=3, undamaged=1, comments=3, comment_pool=4, series=3, label_draws=2)


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    return lively_assessor(attributes=True, flaws=True)


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return write_table(tmp_path_factory.mktemp("own") / "table")


@pytest.fixture(scope="module")
def whole(assessor: AestheticAssessor, entry: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Every task, with a copy of the checkpoint beside it whose head is another one."""
    other = AestheticAssessor(copy.deepcopy(assessor.model), assessor.processor)
    with torch.no_grad():
        other.model.lm_head.weight += 0.1 * torch.randn(other.model.lm_head.weight.shape, generator=torch.manual_seed(3))
    return evaluate_checkpoint(
        assessor,
        [entry],
        name="tiny",
        baselines={"me/other": lambda: other},
        output=tmp_path_factory.mktemp("whole"),
        sizes=SMALL,
    )


def without_times(report: Report) -> dict[str, Any]:
    return asdict(report) | {"seconds": None, "made": None}


def test_every_task_has_figures_that_are_explained(whole: Evaluation) -> None:
    report = Report.load(whole.files[0])
    assert without_times(report) == without_times(whole.report)
    assert {result.task for result in report.results} == set(TASK_NAMES) == set(report.seconds)
    assert {name for result in report.results for name in result.measures} <= set(MEASURES)
    assert report.data["own"].photos == ASKED and not report.data["own"].failed and report.data["own"].seen is None
    assert report.checkpoint["name"] == "tiny" and not whole.notes
    systems = {result.system for result in report.find(task="ratings")}
    assert systems == {"tiny", "mean", "ridge", "me/other"}


def test_figures_of_ratings_are_those_of_the_predictions(whole: Evaluation) -> None:
    rows = [json.loads(line) for line in whole.files[1].read_text().splitlines()]
    assert len(rows) == 4 * ASKED and not any(Path(row["photo"]).is_absolute() for row in rows)
    for part in ("all", "city"):
        own = [row for row in rows if row["system"] == "tiny" and part in ("all", row["category"])]
        (result,) = whole.report.find(task="ratings", system="tiny", part=part)
        means, labels = ([row[name] for row in own] for name in ("mean", "label"))
        assert result.count == len(own)
        assert result.measures["srcc"].value == pytest.approx(correlations(means, labels)["srcc"])
        assert result.measures["pairwise_accuracy"].value == pytest.approx(pairwise_accuracy(means, labels))
        assert result.measures["rmse_unfitted"].value == pytest.approx(np.sqrt(np.mean(np.subtract(means, labels) ** 2)))
        assert "accuracy" not in result.measures  # of AVA alone
    assert sum(point["count"] for point in whole.report.curves["own/aesthetic"]["calibration"]) == ASKED


def test_differences_are_from_all_baselines_on_the_same_photos(whole: Evaluation) -> None:
    (own,) = whole.report.find(task="ratings", system="tiny", part="all")
    (ridge,) = whole.report.find(task="ratings", system="ridge", part="all")
    assert set(own.differences) == {"mean", "ridge", "me/other"} and not ridge.differences
    apart = own.differences["ridge"]["srcc"]
    assert apart.value == pytest.approx(own.measures["srcc"].value - ridge.measures["srcc"].value)
    assert apart.interval is not None and apart.interval[0] < apart.value < apart.interval[1]
    assert "srcc" not in own.differences["mean"] and "rmse" in own.differences["mean"]  # a constant ranks nothing
    for result in whole.report.find(task="pick_best", system="tiny"):
        assert "me/other" in result.differences


def test_what_the_other_tasks_count(whole: Evaluation) -> None:
    report = whole.report
    parts = {result.part: result.count for result in report.find(task="personal", system="tiny")}
    assert parts == {"k=0": len(PEOPLE), "k=10": len(PEOPLE)}  # nobody rated 108 of 20 photos
    assert {result.system for result in report.find(task="personal")} >= {"tiny", "linear probe, tiny"}
    shares = {result.part for result in report.find(task="label_efficiency", system="unaligned, tiny")}
    assert shares == {"100% of the labels"}  # of 24 labels the smaller shares are too few
    series = {result.part: result for result in report.find(task="pick_best", system="tiny")}
    assert set(series) == {"pairs", "quads", "damaged copies"}
    assert all(result.measures["same_pick"].value == 1 for result in series.values())  # order means nothing to ratings
    (damaged,) = report.find(task="suggestions", system="tiny", subject="damaged photos", part="all")
    assert damaged.count == SMALL.suggestions
    assert {result.subject for result in report.find(task="comments", system="tiny")} >= {"brief", "brief, unchecked"}
    lowered = report.find(task="damage", system="tiny", subject="light", part="strong")
    assert lowered and 0 <= lowered[0].measures["lowered"].value <= 1


class StoppedError(Exception):
    """Somebody pulled the plug."""


@pytest.mark.parametrize("after", [3, 17, 27])
def test_a_run_that_was_stopped_gives_the_report_of_one_that_was_not(
    assessor: AestheticAssessor, entry: dict[str, Any], tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among the ratings, and among the series; photos that were rated are not looked at again."""
    tasks = ("ratings", "attributes", "pick_best")
    shown = iter(range(1_000))

    def pull(items: Iterable[Any], total: int, label: str) -> Iterator[Any]:
        for item in items:
            if next(shown) == after:
                raise StoppedError
            yield item

    with pytest.raises(StoppedError):
        evaluate_checkpoint(assessor, [entry], tasks=tasks, output=tmp_path / "cut", sizes=SMALL, progress=pull)
    assert not (tmp_path / "cut" / REPORT).exists()
    seen = []
    encode = assessor.engine.encode
    monkeypatch.setattr(
        assessor.engine, "encode", lambda photos, **options: seen.append(len(photos)) or encode(photos, **options)
    )
    gone_on = evaluate_checkpoint(assessor, [entry], tasks=tasks, output=tmp_path / "cut", sizes=SMALL)
    went_on_with, seen[:] = sum(seen), []
    straight = evaluate_checkpoint(assessor, [entry], tasks=tasks, output=tmp_path / "straight", sizes=SMALL)
    assert without_times(gone_on.report) == without_times(straight.report)
    assert went_on_with <= sum(seen) - 8 * (after // 8)
    assert gone_on.report.seconds.keys() == set(tasks) and sum(gone_on.report.seconds.values()) > 0
    assert (tmp_path / "cut" / PREDICTIONS).read_bytes() == (tmp_path / "straight" / PREDICTIONS).read_bytes()


def test_photos_that_fail_are_named_and_many_fail_the_run(assessor: AestheticAssessor, tmp_path: Path) -> None:
    """One is broken, one is missing; the figures are of the others."""
    entry = write_table(tmp_path / "own")
    (tmp_path / "own" / "photo 30.jpg").write_bytes(b"no photo")
    (tmp_path / "own" / "photo 31.jpg").unlink()
    found = evaluate_checkpoint(assessor, [entry], tasks=["ratings"], output=tmp_path / "out", sizes=SMALL)
    assert found.has_failed and found.failed_share == 2 / ASKED
    summary = Report.load(tmp_path / "out" / REPORT).data["own"]
    assert summary.photos == ASKED - 2 and set(summary.failed) == {"photo 30.jpg", "photo 31.jpg"}
    assert {result.count for result in found.report.find(part="all")} == {ASKED - 2}


def test_checkpoints_that_are_called_like_a_baseline_are_numbered(
    assessor: AestheticAssessor, entry: dict[str, Any], tmp_path: Path
) -> None:
    """So that nothing is compared with itself; without training photos the mean ranks nothing either."""
    others = {name: lambda: assessor for name in ("mean", "unaligned, ridge-2")}
    found = evaluate_checkpoint(assessor, [entry], split="train", name="ridge", tasks=["ratings"], baselines=others)
    systems = [result.system for result in found.report.find(part="all")]
    assert found.report.name == "ridge-2" and systems == ["ridge-2", "ridge", "mean", "mean-2", "unaligned, ridge-2-2"]
    (own,) = found.report.find(part="all", system="ridge-2")
    assert set(own.differences) == {"ridge", "mean", "mean-2", "unaligned, ridge-2-2"}
    (mean,) = found.report.find(part="all", system="mean")
    assert set(mean.measures) == {"rmse", "rmse_unfitted"}


def test_photos_that_a_limit_passes_over_are_told(assessor: AestheticAssessor, tmp_path: Path) -> None:
    entry = write_table(tmp_path / "own")
    (tmp_path / "own" / "photo 30.jpg").unlink()
    found = evaluate_checkpoint(assessor, [entry], tasks=["ratings"], sizes=SMALL.at_most(6))
    assert found.notes == ("photos missing or with wrong values: 1 of own (validation); the limit was filled with others.",)


def test_an_edited_cache_changes_no_figure(
    whole: Evaluation, assessor: AestheticAssessor, entry: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(whole.files[0].parent / CACHE, tmp_path / CACHE)
    for path in (tmp_path / CACHE).iterdir():
        rows = [json.loads(line) for line in path.read_text().splitlines() if line]
        for row, broken in zip(rows, (None, {}, [1], "abc"), strict=False):
            row["answer"] = broken
        path.write_text("\n".join(map(json.dumps, rows)))
    found = evaluate_checkpoint(assessor, [entry], name="tiny", output=tmp_path, sizes=SMALL)
    kept = [result.measures for result in whole.report.results if "me/other" not in result.system]
    assert [result.measures for result in found.report.results] == kept


def test_an_output_folder_that_cannot_hold_the_report_is_told_first(
    assessor: AestheticAssessor, entry: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "a" / REPORT).mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / CACHE).write_text("")
    for name, told in (("a", "report.json is a folder"), ("b", "cache is a file")):
        with pytest.raises(EvaluationError, match=told):
            evaluate_checkpoint(assessor, [entry], output=tmp_path / name)
        assert len(list((tmp_path / name).iterdir())) == 1


def test_a_limit_takes_fewer_photos_which_are_among_the_more(
    assessor: AestheticAssessor, entry: dict[str, Any], tmp_path: Path
) -> None:
    """And no more of a second run than are new."""
    sizes = [SMALL.at_most(count) for count in (6, 9)]
    names = []
    for number, size in enumerate(sizes):
        evaluate_checkpoint(assessor, [entry], tasks=["ratings"], output=tmp_path / str(number), sizes=size)
        rows = [json.loads(line) for line in (tmp_path / str(number) / PREDICTIONS).read_text().splitlines()]
        names.append({row["photo"] for row in rows})
    assert [len(some) for some in names] == [6, 9] and names[0] < names[1]
    assert SMALL.at_most(None) == SMALL and SMALL.at_most(2).label_draws == 2


def test_what_cannot_be_evaluated_is_an_error(assessor: AestheticAssessor, entry: dict[str, Any]) -> None:
    with pytest.raises(EvaluationError, match="beauty: choose of ratings"):
        evaluate_checkpoint(assessor, [entry], tasks=["beauty"])
    with pytest.raises(EvaluationError, match="at least one"):
        evaluate_checkpoint(assessor, [])
    with pytest.raises(DataError, match="choose one of train, validation, test"):
        evaluate_checkpoint(assessor, [entry], split="holdout")
    with pytest.raises(EvaluationError, match="does not answer the question 'cuteness'"):
        evaluate_checkpoint(assessor, [entry | {"question": "cuteness"}], tasks=["ratings"])


def test_what_answers_depend_on() -> None:
    """Weights and questions, and not where the checkpoint lies."""
    first, second = lively_assessor(), lively_assessor()
    second.model.config.name_or_path = "elsewhere"
    assert answer_identity(first) == answer_identity(second)
    assert answer_identity(first) != answer_identity(lively_assessor(attributes=True))
    with torch.no_grad():
        next(second.model.parameters()).add_(1e-3)
    assert answer_identity(first) != answer_identity(second)
