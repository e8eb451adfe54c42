"""A card's YAML for the Hub: licence, base models, tags, and results as `model-index` and `.eval_results/*.yaml`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCardData, eval_result_entries_to_yaml

from .card_facts import CardFacts
from .measures import kind_of
from .report import Report, Result
from .report_tables import WHOLE

TAG = "aesthetic-mllm"
TAGS = ("image-aesthetic-assessment", "image-quality-assessment", "photography", "custom_code", TAG)
PIPELINE = "image-text-to-text"
# Measures of ratings that go into `model-index`, by the id that the package `evaluate` has for them.
INDEXED = {"srcc": "spearmanr", "plcc": "pearsonr"}
DECIMALS = 4


@dataclass(frozen=True)
class Benchmark:
    """A data set that the Hub keeps a leaderboard of.

    Args:
        dataset_id: on the Hub.
        task_id: as the data set's `eval.yaml` names it.
        measure: the figure that counts there, one of a rating's.
    """

    dataset_id: str
    task_id: str
    measure: str = "srcc"


# By the name of a source. None of the package's sources is a registered benchmark so far.
BENCHMARKS: Mapping[str, Benchmark] = {}


def card_metadata(facts: CardFacts, name: str, report: Report | None) -> str:
    """The YAML between a card's dashes."""
    results = _indexed_results(report) if report else []
    data = ModelCardData(
        base_model=list(facts.base_models) or None,
        datasets=list(facts.datasets) or None,
        eval_results=results or None,
        language=list(facts.languages) or None,
        library_name="transformers",
        license=facts.licence or None,
        model_name=name if results else None,
        pipeline_tag=PIPELINE,
        tags=sorted({*TAGS, *facts.tags}),
    )
    if facts.base_models and facts.base_model_relation:
        data["base_model_relation"] = facts.base_model_relation
    return str(data.to_yaml()).strip()


def benchmark_files(report: Report, benchmarks: Mapping[str, Benchmark]) -> dict[str, str]:
    """Contents of `.eval_results/*.yaml` by their names.

    Args:
        benchmarks: by data set; one that the report has no ratings of gives no file.
    """
    files = {}
    for data, benchmark in benchmarks.items():
        entries = [
            EvalResultEntry(
                dataset_id=benchmark.dataset_id,
                task_id=benchmark.task_id,
                value=round(result.measures[benchmark.measure].value, DECIMALS),
                date=report.made,
                notes=f"{result.subject}, {result.count} photos of the split {report.data[data].split}",
            )
            for result in own_ratings(report)
            if result.data == data and benchmark.measure in result.measures
        ]
        if entries:
            text = yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False)
            files[f"{data}.yaml"] = text
    return files


def own_ratings(report: Report) -> Iterable[Result]:
    """The checkpoint's ratings of whole data sets."""
    return report.find(task="ratings", system=report.name, part=WHOLE)


def _indexed_results(report: Report) -> list[EvalResult]:
    return [
        EvalResult(
            task_type=PIPELINE,
            task_name=f"{result.subject} rating",
            dataset_type=result.data,
            dataset_name=result.data,
            dataset_split=report.data[result.data].split if result.data in report.data else None,
            metric_type=metric,
            metric_name=kind_of(name).label,
            metric_value=round(result.measures[name].value, DECIMALS),
        )
        for result in own_ratings(report)
        for name, metric in INDEXED.items()
        if name in result.measures
    ]
