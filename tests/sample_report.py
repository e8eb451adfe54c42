"""A report as an evaluation leaves it, predictions beside it, and a folder that looks like a checkpoint's."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from aesthetic_mllm.checkpoints.names import weights_digest
from aesthetic_mllm.processing.rating_scale import FLAW_PREFIX, OperatingPoint, RatingQuestion, RatingScale
from aesthetic_mllm.publishing.report import DataSummary, Measure, Report, Result

HOSTILE = '<script>alert("x")</script>|`a`[b](http://c.d).jpg'


def rating(part: str, system: str, srcc: float, count: int = 40, **differences: float) -> Result:
    """A rating's result on the data set "biq2021", with an interval of 0.05 to either side."""
    measures = {name: Measure(value, (value - 0.05, value + 0.05)) for name, value in (("srcc", srcc), ("plcc", srcc + 0.01))}
    measures["pairwise_accuracy"] = Measure(0.5 + srcc / 3)
    beyond = {name: {"srcc": Measure(value, (value - 0.01, value + 0.01))} for name, value in differences.items()}
    return Result("ratings", "biq2021", "quality", part, system, count, "photos", measures, beyond)


def make_report(digest: str = "", name: str = "mine") -> Report:
    """Ratings with a baseline and parts, personal ratings, one task that nothing else knows, a failed photo of a hostile name."""
    personal = [
        Result("personal", "oasis_beauty", "ridge", f"k={k}", name, 25, "people", {"srcc": Measure(0.5 + k / 1000)})
        for k in (0, 100)
    ]
    points = [{"rated": 0.1 * place, "given": 0.1 * place + 0.02, "count": 10 + place} for place in range(1, 6)]
    return Report(
        checkpoint={"name": name, "digest": digest, "parameters": 1_234_567, "dtype": "float32", "device": "cpu"},
        versions={"aesthetic_mllm": "0.1.0", "torch": "2.13.0"},
        machine="Linux x86_64, 2 cores",
        made="2026-11-30T12:00:00+00:00",
        seconds={"ratings": 90.0, "personal": 30.0},
        data={
            "biq2021": DataSummary("validation", 40, {HOSTILE: "not an image"}, 0, "terms of <it>", "https://example.org/biq"),
            "oasis_beauty": DataSummary("validation", 12, {}, None, "", "javascript:alert(1)"),
        },
        results=(
            rating("all", name, 0.8379, ridge=0.024),
            rating("all", "ridge", 0.8139),
            rating("ss01", name, 0.9, 15),
            rating("ss01", "ridge", 0.8, 15),
            rating("ss02", name, 0.44, 25),
            *personal,
            Result("juggling", "biq2021", "clubs", "all", name, 7, "throws", {"drops_a_minute": Measure(3.0)}),
        ),
        curves={"biq2021/quality": {"calibration": points}},
    )


def write_predictions(path: Path, photos: Sequence[str], name: str = "mine") -> None:
    """A row for each photo; the first is missed the most."""
    rows = []
    for place, photo in enumerate(photos):
        label = (place + 1) / (len(photos) + 1)
        mean = 0.99 if place == 0 else label + 0.01 * (-1) ** place
        rows.append(
            {"data": "biq2021", "photo": photo, "category": "ss01", "question": "quality", "system": name, "mean": mean,
             "std": 0.1, "label": label, "label_std": None, "range": [0, 1], "more": "that nobody reads"}
        )  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def checkpoint_folder(folder: Path) -> str:
    """Writes configurations and weights as cards read them, and returns the weights' digest."""
    folder.mkdir(parents=True, exist_ok=True)
    questions = {"aesthetic": RatingQuestion("?", "", "?"), f"{FLAW_PREFIX}too_dark": RatingQuestion("dark?", "", "?")}
    point = OperatingPoint(threshold=3.4, usual=7.0, spread=1.0, damaged=3.0, false_alarms=0.015, auc=0.89)
    scale = RatingScale(questions=questions, operating_points={f"{FLAW_PREFIX}too_dark": point})
    config = {"vision_config": {"model_type": "efficientnet_lite"}, "text_config": {"model_type": "llama"}, "dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config))
    processor = {"rating_scale": scale.to_dict(), "image_processor": {"canvas_size": 288}}
    (folder / "processor_config.json").write_text(json.dumps(processor))
    save_file({"weight": np.zeros((300, 5), np.float32)}, folder / "model.safetensors")
    return weights_digest(folder)
