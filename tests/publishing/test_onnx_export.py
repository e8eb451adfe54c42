"""The ONNX file rates as the checkpoint does, and says all that one must know to use it."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from aesthetic_mllm import AestheticAssessor, AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.cli.main import main
from aesthetic_mllm.engine.onnx_ratings import OnnxFileError
from aesthetic_mllm.processing.rating_scale import RatingScaleError
from aesthetic_mllm.publishing import onnx_export
from aesthetic_mllm.publishing.onnx_export import METADATA_KEY, ExportError, export_onnx
from lively_assessor import lively_assessor
from photo_files import GOOD, jpeg_bytes, scene, write_photos
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
    assert first.startswith(f"{path}  {path.stat().st_size / 1e6:.0f} MB, opset 18, rates aesthetic, quality, composition, ")
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


def test_an_assessor_rates_with_it(
    exported: tuple[AestheticAssessor, Path], photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file answers what it can in the model's place, and the model what the file cannot."""
    assessor, path = exported
    questions = assessor.processor.rating_scale.people_questions[:2]
    expected = assessor.ratings(photos, questions)
    rating = AestheticAssessor.from_pretrained(path.parents[1] / "checkpoint", device="cpu", onnx=path)
    with monkeypatch.context() as without_model:
        without_model.delattr(type(rating.engine), "encode")
        found = rating.ratings(photos, questions)
        assert rating.score(photos[0], questions[1]).mean == pytest.approx(found[0][questions[1]].mean)
    for one, other in zip(found, expected, strict=True):
        for question in questions:
            assert one[question].mean == pytest.approx(other[question].mean, abs=1e-3)
    monkeypatch.setattr(rating.onnx, "questions", questions[:1])
    assert rating.ratings(photos, questions) == expected


def test_a_file_must_be_the_checkpoints(exported: tuple[AestheticAssessor, Path], tmp_path: Path) -> None:
    checkpoint, other = exported[1].parents[1] / "checkpoint", tmp_path / "other"
    assessor = lively_assessor(attributes=True)
    torch.nn.init.normal_(assessor.model.model.language_model.embed_tokens.weight, std=0.5)
    assessor.model.save_pretrained(other)
    assessor.processor.save_pretrained(other)
    with pytest.raises(OnnxFileError, match=r"rating\.onnx was made from another checkpoint than .*other; export that one"):
        AestheticAssessor.from_pretrained(other, device="cpu", onnx=exported[1])
    with pytest.raises(OnnxFileError, match=r"none\.onnx: there is no such file; aesthetic-mllm export writes one"):
        AestheticAssessor.from_pretrained(checkpoint, device="cpu", onnx=tmp_path / "none.onnx")
    text = tmp_path / "text.onnx"
    text.write_text("no graph")
    with pytest.raises(OnnxFileError, match=r"text\.onnx is no file of aesthetic-mllm export"):
        AestheticAssessor.from_pretrained(checkpoint, device="cpu", onnx=text)


def test_it_names_no_folders_of_this_machine(exported: tuple[AestheticAssessor, Path]) -> None:
    content = exported[1].read_bytes()
    assert b"level_logits" in content
    assert not [name for name in ("stack_trace", 'File "', "site-packages", str(ROOT)) if name.encode() in content]


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
    assert facts["canvas_multiple"] == assessor.model.config.vision_config.feature_strides[-1]


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def faded(mode: str) -> Image.Image:
    """From nothing at the left to all that is there at the right."""
    image = scene().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").rotate(90).resize(image.size))
    return image.quantize(32) if mode == "P" else image.convert(mode)


def profile(space: Any) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


# Beside GOOD, what a script that forgets a step would rate otherwise.
ORDINARY = GOOD | {
    "faded.png": lambda: saved(faded("RGBA"), "PNG"),
    "faded_grey.png": lambda: saved(faded("LA"), "PNG"),
    "faded_palette.png": lambda: saved(faded("P"), "PNG"),
    "faded_turned.webp": lambda: saved(faded("RGBA"), "WEBP", exif=turned(8)),
    "transparent.gif": lambda: saved(scene().quantize(16), "GIF", transparency=3),
    "sixteen_bit.tif": lambda: saved(Image.fromarray(np.asarray(scene().convert("L")).astype(np.uint16) * 231), "TIFF"),
    "cmyk.tif": lambda: saved(scene().convert("CMYK"), "TIFF"),
    "lab.tif": lambda: saved(ImageCms.profileToProfile(*to_lab(), outputMode="LAB"), "TIFF"),
    "broken_profile.jpg": lambda: jpeg_bytes(scene(), icc_profile=b"garbage" * 40),
    "xyz_profile.png": lambda: saved(scene(), "PNG", icc_profile=profile("XYZ")),
    "srgb_profile_of_grey.jpg": lambda: jpeg_bytes(scene().convert("L"), icc_profile=profile("sRGB")),
    "lab_profile.jpg": lambda: jpeg_bytes(scene(), icc_profile=profile("LAB")),
    "large.jpg": lambda: jpeg_bytes(scene(1200, 900)),
    "stereo.mpo": lambda: saved(scene(1200, 900), "MPO", save_all=True, append_images=[scene(1200, 900)]),
}


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def to_lab() -> tuple[Image.Image, Any, Any]:
    return scene(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")


def test_the_example_needs_neither_torch_nor_the_package(exported: tuple[AestheticAssessor, Path], tmp_path: Path) -> None:
    """Its scores are the assessor's, for each kind of ordinary photo."""
    assessor, path = exported
    photos = write_photos(tmp_path, ORDINARY)
    script = f"import sys; sys.modules |= dict.fromkeys(('torch', 'transformers', 'aesthetic_mllm'))\n{example()}"
    command = [sys.executable, "-c", script, str(path), *map(str, photos)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = assessor.ratings(photos, assessor.processor.rating_scale.people_questions)
    scores, means = {}, {}
    for photo, line, ratings in zip(photos, done.stdout.splitlines(), expected, strict=True):
        name, *parts = line.split(" ")
        assert name == str(photo)
        scores |= {(photo.name, question): float(score) for question, score in (part.split("=") for part in parts)}
        means |= {(photo.name, question): rating.mean for question, rating in ratings.items()}
    assert scores == pytest.approx(means, abs=2e-3)


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
            torch.nn.init.normal_(weight, std=0.5)
    model.lm_head.weight.data *= 5
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


class Pretended:
    """Stands for what torch.onnx.export returns; it takes half a minute otherwise."""

    def __init__(self, graph: bytes, opset: int = 18):
        self.bytes = graph
        graph_of = SimpleNamespace(initializers={}, all_nodes=list)
        self.model = SimpleNamespace(metadata_props={}, graph=graph_of, opset_imports={"": opset})

    def save(self, path: Path, external_data: bool) -> None:
        path.write_bytes(self.bytes)
        if external_data:
            Path(f"{path}.data").write_bytes(b"weights")


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pretended], None]:
    """Has torch export what is given."""

    def exports(program: Pretended) -> None:
        monkeypatch.setattr(torch.export, "export", lambda *_, **__: None)
        monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: program)

    return exports


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    """A file of an earlier export, and one beside it that is not ours; both are unchanged after the test."""
    path = tmp_path / "keep.onnx"
    path.write_bytes(b"good old file")
    Path(f"{path}.data").write_bytes(b"somebody's data")
    yield path
    assert path.read_bytes() == b"good old file" and Path(f"{path}.data").read_bytes() == b"somebody's data"
    assert len(list(tmp_path.iterdir())) == 2  # and nothing else is left


def test_a_file_that_rates_otherwise_replaces_nothing(
    exported: tuple[AestheticAssessor, Path], kept: Path, pretend: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    assessor, graph = exported
    pretend(Pretended(graph.read_bytes()))
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    monkeypatch.setattr(onnx_export, "LARGEST_FILE", -1)
    with pytest.raises(ExportError, match="differ from PyTorch's by 0.00% of the range, so .*keep.onnx was not written. Try one"):
        export_onnx(assessor.model, assessor.processor, kept)


def test_a_file_that_cannot_be_run_replaces_nothing(
    exported: tuple[AestheticAssessor, Path], kept: Path, pretend: Callable
) -> None:
    pretend(Pretended(b"no graph"))
    with pytest.raises(ExportError, match=r"ONNX Runtime [\d.]+ cannot run the file \(\w+: .*\); try opset 18"):
        export_onnx(exported[0].model, exported[0].processor, kept)


def test_ratings_that_are_not_numbers_replace_nothing(
    kept: Path, exported: tuple[AestheticAssessor, Path], pretend: Callable
) -> None:
    assessor = lively_assessor(attributes=True)
    for weight in assessor.model.parameters():
        torch.nn.init.constant_(weight, torch.nan)
    pretend(Pretended(exported[1].read_bytes()))
    with pytest.raises(RatingScaleError, match="not finite"):
        export_onnx(assessor.model, assessor.processor, kept)


def test_the_opset_is_the_graphs(exported: tuple[AestheticAssessor, Path], kept: Path, pretend: Callable) -> None:
    """What torch could not convert is refused, and what no version knows before anything is done."""
    pretend(Pretended(exported[1].read_bytes(), opset=18))
    with pytest.raises(ExportError, match="cannot write opset 7 of this model, only 18; ask for that one"):
        export_onnx(exported[0].model, exported[0].processor, kept, opset=7)
    with pytest.raises(ExportError, match=r"onnx [\d.]+ knows opsets up to \d+, not 99; 18 is the usual one"):
        export_onnx(exported[0].model, exported[0].processor, kept, opset=99)


def test_a_checked_file_takes_the_old_ones_place(
    exported: tuple[AestheticAssessor, Path], tmp_path: Path, pretend: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the file of its weights, and nothing is left beside them."""
    assessor, graph = exported
    path = tmp_path / "rating.onnx"
    path.write_bytes(b"old")
    pretend(Pretended(graph.read_bytes()))
    monkeypatch.setattr(onnx_export, "LARGEST_FILE", -1)
    written = export_onnx(assessor.model, assessor.processor, path)
    assert path.read_bytes() == graph.read_bytes() and Path(f"{path}.data").read_bytes() == b"weights"
    assert len(list(tmp_path.iterdir())) == 2
    assert written.size == graph.stat().st_size + len(b"weights") and written.path == path


def test_a_bad_path_is_told_before_any_work(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr("aesthetic_mllm.cli.judging.load_assessor", lambda _: pytest.fail("loaded"))
    for path, reason in (
        (tmp_path, "is a folder; name a file in it"),
        (tmp_path / "file" / "a.onnx", f"cannot be written, since {tmp_path / 'file'} is a file; name a file in a folder"),
        (tmp_path / "pipe", "is a device or a pipe; name a file"),
        (tmp_path / ("a" * 300), "cannot be written (File name too long); name a file in another folder"),
    ):
        assert main(["export", "--model", str(checkpoint), "--output", str(path)]) == 2
        assert reason in capsys.readouterr().err
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert main(["export", "--model", str(checkpoint), "--output", str(tmp_path / "new" / "a.onnx")]) == 2
    assert f"since {tmp_path} is read-only; name a file in another folder" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"file", "pipe"}


def test_what_the_command_refuses(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rating.onnx"
    assert main(["export", "--model", str(checkpoint), "--output", str(path), "--questions", "taste"]) == 2
    assert "Unknown question 'taste'" in capsys.readouterr().err
    assert main(["export", "--model", str(checkpoint), "--output", str(path), "--questions", "quality", "quality"]) == 2
    assert "a question is named twice in quality, quality; each is one column, name it once" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_embedded_checkpoint(tmp_path: Path) -> None:
    """On the sample photos."""
    assessor = AestheticAssessor.from_pretrained(embedded_checkpoint(), device="cpu")
    written = export_onnx(assessor.model, assessor.processor, tmp_path / "rating.onnx")
    photos = sorted((ROOT / "examples" / "photos").glob("*.jpg"))
    assert max(largest_difference(assessor, written.path, photos, batch) for batch in (1, 6)) < 1e-3
