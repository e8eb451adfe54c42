"""Every start learns from the same labels, and nothing is learned twice."""

import numpy as np

from aesthetic_mllm.evaluation.eval_label_efficiency import (
    draw_labels,
    evaluate_label_efficiency,
    label_efficiency_table,
    ridge_learner,
)


def test_starts_are_given_the_same_labels_and_finished_runs_are_kept() -> None:
    calls: list[tuple[str, int, tuple[int, ...]]] = []

    def learner(name: str, gain: float):  # noqa: ANN202
        def learn(known: list[int], seed: int) -> float:
            calls.append((name, seed, tuple(known)))
            return len(known) / 100 + gain

        return learn

    kept: list[int] = []
    learners = {"before": learner("before", 0.0), "after": learner("after", 0.1)}
    runs = evaluate_label_efficiency(learners, 50, (0.1, 1.0), (0, 1), finished=lambda found: kept.append(len(found)))
    assert len(calls) == 8 and kept == [1, 1, 2, 2, 3, 3, 4, 4]
    for _, seed, known in calls:
        assert known in (tuple(draw_labels(50, 0.1, seed)), tuple(draw_labels(50, 1.0, seed)))
    assert draw_labels(50, 0.1, 0) != draw_labels(50, 0.1, 1)
    assert evaluate_label_efficiency(learners, 50, (0.1, 1.0), (0, 1), runs) == runs and len(calls) == 8
    rows = label_efficiency_table(runs, gain=("before", "after")).splitlines()
    assert rows[2] == "| 10% (2 draws) | 0.050 ± 0.000 | 0.150 ± 0.000 | +0.100 ± 0.000 |" and len(rows) == 4


def test_the_baseline_learns_more_from_more_labels() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 20))
    labels = features @ rng.normal(size=20) + 0.5 * rng.normal(size=400)
    learn = ridge_learner(features[:300], labels[:300], features[300:], labels[300:])
    runs = evaluate_label_efficiency({"ridge": learn}, 300, (0.05, 1.0), (0, 1, 2))
    few, all_labels = ([run["ridge"] for run in runs.values() if run["share"] == share] for share in (0.05, 1.0))
    assert np.mean(few) < np.mean(all_labels) and min(all_labels) > 0.9
