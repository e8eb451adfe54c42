"""The modules of `evaluate` load by path, offline, and say what the package's functions say."""

import re
from pathlib import Path

import numpy as np
import pytest

from aesthetic_mllm.evaluation.distribution_metrics import earth_movers_distance
from aesthetic_mllm.trainers import rating_metrics

evaluate = pytest.importorskip("evaluate", reason="needs the extra evaluate")

METRICS = Path(__file__).parents[2] / "metrics"
PEOPLE = [2.0, 3.5, 4.0, 6.5, 5.0, 8.0, 7.5]
PREDICTED = [2.5, 3.0, 4.5, 6.0, 6.5, 7.0, 7.2]


def loaded(name: str, tmp_path: Path) -> "evaluate.Metric":
    """As a user loads it from the repository's folder."""
    return evaluate.load(str(METRICS / name), cache_dir=str(tmp_path))


def test_rating_correlation(tmp_path: Path) -> None:
    metric = loaded("rating_correlation", tmp_path)
    found = metric.compute(predictions=PREDICTED, references=PEOPLE)
    # ranks 1 2 3 4 5 6 7 against 1 2 3 5 4 7 6: squared differences sum to 4, 1 - 6 * 4 / (7 * 48)
    assert found["srcc"] == pytest.approx(1 - 24 / 336)
    # 2 of 21 pairs are out of order
    assert found["krcc"] == pytest.approx(17 / 21) and found["pairwise_accuracy"] == pytest.approx(19 / 21)
    assert found["plcc"] == pytest.approx(np.corrcoef(PREDICTED, PEOPLE)[0, 1])
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean(np.subtract(PREDICTED, PEOPLE) ** 2)))
    assert found["plcc_fitted"] == pytest.approx(rating_metrics.fitted_correlation(PREDICTED, PEOPLE))
    assert found["rmse_fitted"] == pytest.approx(rating_metrics.fitted_error(PREDICTED, PEOPLE))
    assert set(metric.compute(predictions=PREDICTED, references=PEOPLE, figures=["srcc"])) == {"srcc"}


def test_ratings_may_come_in_batches(tmp_path: Path) -> None:
    metric = loaded("rating_correlation", tmp_path)
    for first in range(0, 7, 3):
        metric.add_batch(predictions=PREDICTED[first : first + 3], references=PEOPLE[first : first + 3])
    assert metric.compute()["srcc"] == pytest.approx(1 - 24 / 336)


def test_earth_movers_distance(tmp_path: Path) -> None:
    predicted, people = [[1.0, 0.0, 0.0], [0.2, 0.6, 0.2]], [[0.0, 0.0, 1.0], [1.0, 3.0, 1.0]]
    found = loaded("earth_movers_distance", tmp_path).compute(predictions=predicted, references=people)
    # the first is two steps off: cumulated differences 1, 1, 0; the second is the same distribution
    assert found == {"emd": pytest.approx((2 / 3) ** 0.5 / 2)}
    assert earth_movers_distance(predicted[0], people[0]) == pytest.approx((2 / 3) ** 0.5)


def test_the_page_about_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The lines of docs/export.md run where the repository is."""
    page = (METRICS.parent / "docs" / "export.md").read_text(encoding="utf-8")
    (block,) = [text for text in re.findall(r"^```python\n(.*?)^```", page, re.S | re.M) if "evaluate.load" in text]
    monkeypatch.chdir(METRICS.parent)
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path))
    names: dict[str, object] = {}
    exec(block.replace("metric.compute", "found = metric.compute"), names)
    assert names["found"]["srcc"] == 1.0


def test_two_class_accuracy(tmp_path: Path) -> None:
    metric = loaded("two_class_accuracy", tmp_path)
    # 5.0 by people is bad and 6.5 good; all others agree
    assert metric.compute(predictions=PREDICTED, references=PEOPLE) == {"two_class_accuracy": pytest.approx(6 / 7)}
    assert metric.compute(predictions=PREDICTED, references=PEOPLE, threshold=2.2) == {"two_class_accuracy": pytest.approx(6 / 7)}
