"""The ONNX file rates as the checkpoint does, and says all that one must know to use it."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aesthetic_mllm import AestheticAssessor, AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.cli.main import main
from aesthetic_mllm.processing.rating_scale import RatingScaleError
from aesthetic_mllm.publishing import onnx_export
from aesthetic_mllm.publishing.onnx_export import METADATA_KEY, ExportError, export_onnx
from lively_assessor import lively_assessor
from photo_files import jpeg_bytes, scene
from tiny_checkpoints import save_llava

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")

ROOT = Path(__file__).parents[2]
SIZES = ((64, 64), (90, 40), (40, 90), (70, 64), (64, 50), (120, 61))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{number}.jpg" for number in range(len(SIZES))]
    for path, size in zip(paths, SIZES, strict=True):
        path.write_bytes(jpeg_bytes(scene(*size)))
    return paths


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[AestheticAssessor, Path]:
    """A tiny assessor of the embedded checkpoint's kind, and the file that the command makes of it."""
    assessor = lively_assessor(attributes=True)
    folder = tmp_path_factory.mktemp("onnx")
    assessor.model.save_pretrained(folder / "checkpoint")
    assessor.processor.save_pretrained(folder / "checkpoint")
    path = folder / "new" / "rating.onnx"
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert main(["export", "--model", str(folder / "checkpoint"), "--output", str(path)]) == 0
    first, second, _ = output.getvalue().split("\n")
    assert first.startswith(f"{path}  0 MB, opset 18, rates aesthetic, quality, composition, ")
    assert second.startswith("Its ratings differ from PyTorch's by at most ") and second.endswith(" of the range.")
    return assessor, path


def session_of(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options)


def largest_difference(assessor: AestheticAssessor, path: Path, photos: list[Path], batch: int) -> float:
    """Between mean ratings of all questions, as a share of the range; at least some photos must be rated unlike others."""
    session = session_of(path)
    scale = assessor.processor.rating_scale
    questions = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])["questions"]
    pixels = assessor.processor.image_processor([str(photo) for photo in photos], return_tensors="np")
    logits = np.concatenate(
        [
            session.run(None, {name: pixels[name][first : first + batch] for name in ("pixel_values", "image_sizes")})[0]
            for first in range(0, len(photos), batch)
        ]
    )
    expected = assessor.ratings(photos, questions)
    found = np.array(
        [[one.mean for one in scale.read_level_logits(torch.from_numpy(logits[:, i]))] for i in range(len(questions))]
    )
    means = np.array([[row[question].mean for row in expected] for question in questions])
    low, high = scale.score_range
    assert np.ptp(means) > 0.01 * (high - low)
    return float(np.abs(found - means).max() / (high - low))


@pytest.mark.parametrize("batch", [1, 6])
def test_it_rates_as_the_checkpoint_does(batch: int, exported: tuple[AestheticAssessor, Path], photos: list[Path]) -> None:
    assert largest_difference(*exported, photos, batch) < 1e-3


def test_it_says_what_one_must_know(exported: tuple[AestheticAssessor, Path]) -> None:
    assessor, path = exported
    session = session_of(path)
    assert [(value.name, value.type) for value in session.get_inputs()] == [
        ("pixel_values", "tensor(float)"),
        ("image_sizes", "tensor(int64)"),
    ]
    facts = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    images, scale = assessor.processor.image_processor, assessor.processor.rating_scale
    assert facts["opset"] == 18 and facts["questions"] == scale.people_questions
    assert facts["level_words"] == ["bad", "poor", "fair", "good", "excellent"]
    assert (facts["level_scores"], facts["score_range"]) == (list(scale.level_scores), list(scale.score_range))
    assert (facts["canvas_size"], facts["image_mean"]) == (images.canvas_size, images.image_mean)


def test_the_example_needs_neither_torch_nor_the_package(
    exported: tuple[AestheticAssessor, Path], photos: list[Path], tmp_path: Path
) -> None:
    """Its scores are the assessor's, photo by photo."""
    assessor, path = exported
    script = f"import sys; sys.modules |= dict.fromkeys(('torch', 'transformers', 'aesthetic_mllm'))\n{example()}"
    command = [sys.executable, "-c", script, str(path), *map(str, photos)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = assessor.ratings(photos, assessor.processor.rating_scale.people_questions)
    for photo, line, ratings in zip(photos, done.stdout.splitlines(), expected, strict=True):
        name, *scores = line.split(" ")
        assert name == str(photo)
        found = {question: float(score) for question, score in (part.split("=") for part in scores)}
        assert found == pytest.approx({question: rating.mean for question, rating in ratings.items()}, abs=9e-3)


def example() -> str:
    return (ROOT / "examples" / "onnx_rate.py").read_text()


@pytest.mark.slow
def test_a_grown_llava_is_exported_too(tmp_path: Path, photos: list[Path]) -> None:
    """A transformer over patches, its photos cut to the canvas."""
    folder = save_llava(tmp_path / "llava", tied=(False, False))
    groups = {"low": 2, "middle": 2, "high": 2, "thematic": 16}
    processor = AestheticMLLMProcessor.from_llava_pretrained(folder, num_group_tokens=groups)
    model = AestheticMLLMForConditionalGeneration.from_llava_pretrained(
        folder, processor, hidden_size=16, num_attention_heads=2, intermediate_size=32
    )
    torch.manual_seed(2)
    for weight in model.parameters():  # so lively that photos are rated unlike
        if weight.ndim == 2:
            torch.nn.init.normal_(weight, std=0.25)
    written = export_onnx(model, processor, tmp_path / "rating.onnx", ["quality"], opset=20)
    assert (written.questions, written.opset) == (("quality",), 20)
    assert written.size == written.path.stat().st_size and 0 <= written.difference < 1e-3
    assert largest_difference(AestheticAssessor(model, processor), written.path, photos, 6) < 1e-3


def test_what_cannot_be_exported_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assessor = lively_assessor()
    path = tmp_path / "rating.onnx"
    with pytest.raises(RatingScaleError, match="Unknown question 'taste'"):
        export_onnx(assessor.model, assessor.processor, path, ["taste"])
    with pytest.raises(ExportError, match="the model is in bfloat16; load it with dtype='float32'"):
        export_onnx(lively_assessor().model.to(torch.bfloat16), assessor.processor, path)
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"not installed: onnx, onnxscript, onnxruntime; .*aesthetic-mllm\[onnx\]"):
        export_onnx(assessor.model, assessor.processor, path)
    assert not path.exists()


@pytest.mark.slow
def test_a_file_that_rates_otherwise_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assessor = lively_assessor()
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    with pytest.raises(ExportError, match="differ from PyTorch's by 0.00% of the range, so .*rating.onnx was not kept"):
        export_onnx(assessor.model, assessor.processor, tmp_path / "rating.onnx", ["aesthetic"])
    assert list(tmp_path.iterdir()) == []


def test_what_the_command_refuses(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--model", str(checkpoint), "--output", str(tmp_path)]) == 2
    assert "is a folder; name a file in it" in capsys.readouterr().err
    path = tmp_path / "rating.onnx"
    assert main(["export", "--model", str(checkpoint), "--output", str(path), "--questions", "taste"]) == 2
    assert "Unknown question 'taste'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 6])
def test_the_embedded_checkpoint(batch: int, tmp_path: Path) -> None:
    """On the sample photos."""
    assessor = AestheticAssessor.from_pretrained(embedded_checkpoint(), device="cpu")
    written = export_onnx(assessor.model, assessor.processor, tmp_path / "rating.onnx")
    photos = sorted((ROOT / "examples" / "photos").glob("*.jpg"))
    assert largest_difference(assessor, written.path, photos, batch) < 1e-3
