"""What other evaluation runners read of this repository: lmms-eval's task and VLMEvalKit's table."""

import base64
import csv
import io
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from aesthetic_mllm.data.record import Record
from aesthetic_mllm.data.source import as_dataset
from source_checks import write_photo

INTEGRATIONS = Path(__file__).parents[2] / "integrations"
TASK = INTEGRATIONS / "lmms_eval" / "aesthetic_rating"
NAMES = ("output_type", "doc_to_visual", "doc_to_text", "doc_to_target", "process_results", "metric_list", "test_split")

# Loads the task as lmms-eval does, and rates with answers that are told.
LOAD = """
import json, sys
from lmms_eval.tasks import TaskManager, get_task_dict
folder, *answers = sys.argv[1:]
manager = TaskManager(include_path=folder, include_defaults=False)
task = get_task_dict(["aesthetic_rating"], manager)["aesthetic_rating"]
docs = list(task.test_docs())
results = [task.process_results(doc, [answer]) for doc, answer in zip(docs, answers, strict=True)]
figures = {name: task.aggregation()[name]([result[name] for result in results]) for name in task.aggregation()}
print(json.dumps({"text": task.doc_to_text(docs[0]), "size": task.doc_to_visual(docs[0])[0].size, "figures": figures}))
"""


def records(folder: Path) -> list[Record]:
    """Three photos rated 2, 4 and 6.5 from 1 to 7, and one without a rating."""
    photos = [write_photo(folder / f"{number}.png") for number in range(4)]
    ratings = [2.0, 4.0, 6.5]
    found = [
        Record(photo, "own", "test", "aesthetic", mean, range_low=1, range_high=7, category="Scene")
        for photo, mean in zip(photos, ratings, strict=False)
    ]
    return [*found, Record(photos[3], "own", "test")]


def test_the_lmms_eval_task_names_functions_that_are_there() -> None:
    functions = runpy.run_path(str(TASK / "utils.py"))

    class Loader(yaml.SafeLoader):
        """Knows lmms-eval's tag."""

    Loader.add_constructor("!function", lambda loader, node: functions[loader.construct_scalar(node).removeprefix("utils.")])
    task = yaml.load((TASK / "aesthetic_rating.yaml").read_text(), Loader)
    assert set(NAMES) <= set(task)
    doc = {"question": "quality", "range_low": 0.0, "range_high": 5.0, "mean": 3.0}
    assert task["doc_to_text"](doc).startswith(
        "How would you rate the technical quality of this photo? Answer with one number from 0 "
    )
    results = [
        task["process_results"](doc | {"mean": mean}, [answer]) for mean, answer in ((1, "1.5."), (2, "9"), (4, "Good: 4"))
    ]
    assert [result["answered"] for result in results] == [1, 0, 1]
    figures = {metric["metric"]: metric["aggregation"] for metric in task["metric_list"]}
    assert figures["srcc"]([result["srcc"] for result in results]) == pytest.approx(1)
    assert figures["plcc"]([results[1]["plcc"]]) == 0.0


def test_lmms_eval_loads_the_task(tmp_path: Path) -> None:
    pytest.importorskip("lmms_eval", reason="needs lmms-eval")
    as_dataset(records(tmp_path)[:3]).to_parquet(tmp_path / "photos.parquet")
    command = [sys.executable, "-c", LOAD, str(INTEGRATIONS / "lmms_eval"), "3", "no idea", "5"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["text"].endswith("Answer with one number from 1 (worst) to 7 (best).") and told["size"] == [8, 6]
    assert told["figures"] == pytest.approx({"srcc": 1, "plcc": 1, "answered": 2 / 3})


def test_the_table_for_vlmevalkit(tmp_path: Path) -> None:
    """Documented columns first to last; a rating becomes the nearest level word."""
    script = runpy.run_path(str(INTEGRATIONS / "vlmevalkit.py"))
    rows = script["rows"](records(tmp_path))
    assert [(row["index"], row["answer"], row["mean"]) for row in rows] == [(0, "D", 2.0), (1, "C", 4.0), (2, "A", 6.5)]
    assert [rows[0][letter] for letter in "ABCDE"] == ["excellent", "good", "fair", "poor", "bad"]
    assert set(rows[0]) == set(script["COLUMNS"])
    with Image.open(io.BytesIO(base64.b64decode(rows[0]["image"]))) as image:
        assert (image.format, image.size) == ("JPEG", (8, 6))


def test_the_script_writes_a_table(tmp_path: Path) -> None:
    photos = [write_photo(tmp_path / "data" / f"oasis_{number:04d}.webp") for number in (1, 2)]
    votes = ",".join(f"n_{step}" for step in range(1, 8))
    lines = [f"{photo.name},Scene,5.5,1,0,0,0,1,1,1,0" for photo in photos]
    (tmp_path / "data" / "metadata.csv").write_text(
        "\n".join([f"file_name,category,beauty_mean,beauty_sd,{votes}", *lines]) + "\n"
    )
    command = [sys.executable, str(INTEGRATIONS / "vlmevalkit.py"), "oasis_beauty", str(tmp_path / "data"), "validation"]
    done = subprocess.run([*command, str(tmp_path / "table.tsv")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    with open(tmp_path / "table.tsv", newline="") as file:
        (row,) = csv.DictReader(file, delimiter="\t")
    assert (row["answer"], row["split"], row["category"], row["mean"]) == ("B", "validation", "Scene", "5.5")
