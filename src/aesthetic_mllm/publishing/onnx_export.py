"""The rating path as an ONNX file that needs neither torch nor this package.

`torch.onnx.export` makes it. transformers' own exporter takes `image_sizes` for a constant of the graph, but ours differ from
photo to photo; and what it returns is not the same in all versions of transformers that the package works with.
"""

import json
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .._version import __version__
from ..engine.engine import AestheticEngine, ReadPhoto
from ..engine.loading import is_quantized
from ..engine.rating_graph import RatingGraph
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor

logger = logging.getLogger(__name__)

DEFAULT_OPSET = 18
METADATA_KEY = "aesthetic_mllm"
INPUTS, OUTPUT = ("pixel_values", "image_sizes"), "level_logits"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-3  # of the range of scores
LARGEST_FILE = 1_900_000_000  # bytes; protobuf ends at 2 GB, so larger weights go to a file beside it
CHECKED_SHAPES = ((200, 300), (300, 200), (240, 240))  # height and width of the photos that the file is checked with
CHECKED_BATCHES = (1, len(CHECKED_SHAPES))


class ExportError(ValueError):
    """A checkpoint that cannot be exported, or a file that does not rate as it does."""


@dataclass(frozen=True)
class OnnxExport:
    """A written file.

    Args:
        path: of the graph; large weights lie beside it in PATH.data.
        opset: of the standard operators in it.
        questions: in the order of the output's columns.
        difference: the largest between its mean ratings and PyTorch's, as a share of the range.
        size: in bytes, weights included.
    """

    path: Path
    opset: int
    questions: tuple[str, ...]
    difference: float
    size: int


def export_onnx(
    model: AestheticMLLMForConditionalGeneration,
    processor: AestheticMLLMProcessor,
    path: str | Path,
    questions: Sequence[str] | None = None,
    opset: int = DEFAULT_OPSET,
) -> OnnxExport:
    """Writes the rating path of a checkpoint and checks it against PyTorch.

    In go `pixel_values` [B, 3, H, W] float32 and `image_sizes` [B, 2] int64 as the image processor makes them, for any B; out
    come `level_logits` [B, Q, levels] float32, whose softmax is the distribution over the level words. How a photo is put on the
    canvas and how logits become scores stands in the file's metadata ([`rating_metadata`]).

    Args:
        model: in float32, not quantized.
        processor: its processor.
        path: the file to write.
        questions: what is asked; default all that people ask. Each costs a few tokens.
        opset: version of the standard operators.

    Raises:
        ExportError: packages are missing, or this checkpoint cannot be exported.
        RatingScaleError: the checkpoint does not answer a question.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ExportError(f"not installed: {', '.join(missing)}; install them with pip install 'aesthetic-mllm[onnx]'.")
    if is_quantized(model) or model.dtype != torch.float32:
        kind = "quantized" if is_quantized(model) else f"in {model.dtype}".replace("torch.", "")
        raise ExportError(f"the model is {kind}; load it with dtype='float32' and without a quantization.")
    path = Path(path)
    asked = tuple(questions or processor.rating_scale.people_questions)
    engine = AestheticEngine(model, processor)
    graph = RatingGraph(model, processor, asked).eval()
    photos: list[ReadPhoto[None]] = [engine.read(_noise(*shape)) for shape in CHECKED_SHAPES]
    example = tuple(torch.cat([getattr(photo, name) for photo in photos]).to(model.device) for name in INPUTS)
    program = _traced(graph, example, opset)
    program.model.metadata_props[METADATA_KEY] = json.dumps(rating_metadata(processor, asked, opset))
    weights = sum(value.const_value.nbytes for value in program.model.graph.initializers.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(path, external_data=weights > LARGEST_FILE)
    files = [path, Path(f"{path}.data")]
    difference = _difference(engine, photos, path, asked)
    if not difference <= TOLERANCE:  # not-a-number is a difference too
        for file in files:
            file.unlink(missing_ok=True)
        advice = " Try one question at a time." if len(asked) > 1 else ""
        raise ExportError(
            f"the exported ratings differ from PyTorch's by {difference:.2%} of the range, so {path} was not kept.{advice}"
        )
    size = sum(file.stat().st_size for file in files if file.is_file())
    return OnnxExport(path, opset, asked, difference, size)


def rating_metadata(processor: AestheticMLLMProcessor, questions: Sequence[str], opset: int = DEFAULT_OPSET) -> dict[str, Any]:
    """What one must know to use the file, as JSON values; it stands in the file under [`METADATA_KEY`].

    `canvas_size`, `resize_mode`, `resample` (Pillow's number), `image_mean`, `image_std` and `background_color` say how a photo
    is put on the canvas; `questions` names the output's columns, `level_words` and `level_scores` its last axis. `references`
    holds, for questions that have them, rising quantiles of the ratings of reference photos, from which percentiles follow.
    """
    images, scale = processor.image_processor, processor.rating_scale
    names = ("canvas_size", "resize_mode", "resample", "image_mean", "image_std", "background_color")
    return {
        "package_version": __version__,
        "opset": opset,
        **{name: getattr(images, name) for name in names},
        "questions": list(questions),
        "level_words": [word.strip() for word in scale.level_words],
        "level_scores": list(scale.level_scores),
        "score_range": list(scale.score_range),
        "references": {key: list(scale.references[key]) for key in questions if scale.references.get(key)},
    }


def _traced(graph: RatingGraph, example: tuple[torch.Tensor, ...], opset: int) -> Any:
    batch = torch.export.Dim.DYNAMIC
    shapes = {name: {0: batch} for name in INPUTS}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of its own internals
            traced = torch.export.export(graph, example, dynamic_shapes=shapes, strict=False)
            return torch.onnx.export(
                traced, input_names=list(INPUTS), output_names=[OUTPUT], opset_version=opset, dynamo=True, verbose=False
            )
    except Exception as error:  # tracing raises anything
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ExportError(f"torch.onnx.export cannot export this model ({type(error).__name__}: {reason:.200}).") from error


def _difference(engine: AestheticEngine, photos: Sequence[Any], path: Path, questions: Sequence[str]) -> float:
    """The largest between the file's mean ratings and the engine's, in batches of several sizes, as a share of the range."""
    import onnxruntime

    scale = engine.processor.rating_scale
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for count in CHECKED_BATCHES:
        batch = photos[:count]
        inputs = {name: torch.cat([getattr(photo, name) for photo in batch]).numpy() for name in INPUTS}
        logits = torch.from_numpy(session.run([OUTPUT], inputs)[0])
        expected = engine.rate(engine.encode(batch), questions)
        for column, question in enumerate(questions):
            found = scale.read_level_logits(logits[:, column], question)
            gaps = [abs(one.mean - row[question].mean) for one, row in zip(found, expected, strict=True)]
            largest = max(largest, *gaps)
    low, high = scale.score_range
    logger.info("%s: ratings differ from PyTorch's by at most %.1e of the range", path, largest / (high - low))
    return largest / (high - low)


def _noise(height: int, width: int) -> np.ndarray:
    """A photo of coloured blocks, the same each time."""
    blocks = np.random.default_rng(height).integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
    return blocks.repeat(20, 0).repeat(20, 1)
