"""The rating path as an ONNX file that needs neither torch nor this package.

`torch.onnx.export` makes it. transformers' own exporter takes `image_sizes` for a constant of the graph, but ours differ from
photo to photo; and what it returns is not the same in all versions of transformers that the package works with.
"""

import json
import logging
import os
import tempfile
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
from ..engine.onnx_ratings import INPUTS, METADATA_KEY, OUTPUT, onnx_inputs
from ..engine.rating_graph import RatingGraph
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..modeling.vision_tower import canvas_multiple
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor

logger = logging.getLogger(__name__)

DEFAULT_OPSET = 18
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
    """Writes the rating path of a checkpoint and checks it against PyTorch; a file that was there is replaced only then.

    In go `pixel_values` [B, 3, H, W] float32 and `image_sizes` [B, 2] int64 as the image processor makes them, for any B. Where
    the tower is blind to padding, H and W may be any multiples of [`canvas_multiple`]. Out come `level_logits` [B, Q, levels]
    float32, whose softmax is the distribution over the level words. How a photo is put on the canvas and how logits become scores
    stands in the file's metadata ([`rating_metadata`]).

    Args:
        model: in float32, not quantized.
        processor: its processor.
        path: the file to write.
        questions: what is asked, each once; default all that people ask. Each costs a few tokens.
        opset: version of the standard operators.

    Raises:
        ExportError: packages are missing, nothing can be written there, or this checkpoint cannot be exported so.
        RatingScaleError: the checkpoint does not answer a question.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ExportError(f"not installed: {', '.join(missing)}; install them with pip install 'aesthetic-mllm[onnx]'.")
    if is_quantized(model) or model.dtype != torch.float32:
        kind = "quantized" if is_quantized(model) else f"in {model.dtype}".replace("torch.", "")
        raise ExportError(f"the model is {kind}; load it with dtype='float32' and without a quantization.")
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise ExportError(f"onnx {onnx.__version__} knows opsets up to {newest}, not {opset}; {DEFAULT_OPSET} is the usual one.")
    asked = tuple(questions or processor.rating_scale.people_questions)
    if len(set(asked)) < len(asked):
        raise ExportError(f"a question is named twice in {', '.join(asked)}; each is one column, name it once.")
    path = Path(path)
    check_target(path)
    engine = AestheticEngine(model, processor)
    graph = RatingGraph(model, processor, asked).eval()
    photos: list[ReadPhoto[None]] = [engine.read(_noise(*shape)) for shape in CHECKED_SHAPES]
    with _folder_beside(path) as folder:  # before minutes of work, which a folder that is read-only would be in vain
        unchecked = Path(folder, path.name)  # of the same name, by which a graph knows the file of its weights
        example = tuple(torch.cat([getattr(photo, name) for photo in photos]).to(model.device) for name in INPUTS)
        multiple = canvas_multiple(model.config.vision_config)
        program = _traced(graph, example, opset, multiple)
        facts = rating_metadata(processor, asked, opset) | {"canvas_multiple": multiple}
        program.model.metadata_props[METADATA_KEY] = json.dumps(facts)
        weights = sum(value.const_value.nbytes for value in program.model.graph.initializers.values())
        program.save(unchecked, external_data=weights > LARGEST_FILE)
        difference = _difference(engine, photos, unchecked, asked, multiple)
        if not difference <= TOLERANCE:  # not-a-number is a difference too
            advice = " Try one question at a time." if len(asked) > 1 else ""
            raise ExportError(
                f"the exported ratings differ from PyTorch's by {difference:.2%} of the range, so {path} was not written.{advice}"
            )
        files = sorted(Path(folder).iterdir(), key=lambda file: file == unchecked)  # the weights first, then the graph
        size = sum(file.stat().st_size for file in files)
        for file in files:
            os.replace(file, path.with_name(file.name))
    return OnnxExport(path, opset, asked, difference, size)


def check_target(path: Path) -> None:
    """Raises an `ExportError` where no file can be written; makes nothing.

    Args:
        path: of the file, whose folder need not exist.
    """
    try:
        if path.is_dir():
            raise ExportError(f"{path} is a folder; name a file in it.")
        if path.exists() and not path.is_file():
            raise ExportError(f"{path} is a device or a pipe; name a file.")
        above = next(folder for folder in path.absolute().parents if folder.exists())
    except OSError as error:  # such as a name that is too long
        raise _unwritable(path, error) from error
    if not above.is_dir():
        raise ExportError(f"{path} cannot be written, since {above} is a file; name a file in a folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ExportError(f"{path} cannot be written, since {above} is read-only; name a file in another folder.")


def _folder_beside(path: Path) -> tempfile.TemporaryDirectory[str]:
    """On the same file system, so that what is in it can take the file's place at once."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-")
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ExportError:
    return ExportError(f"{path} cannot be written ({error.strerror}); name a file in another folder.")


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


def _traced(graph: RatingGraph, example: tuple[torch.Tensor, ...], opset: int, multiple: int | None) -> Any:
    batch = torch.export.Dim.DYNAMIC
    shapes: dict[str, dict[int, Any]] = {name: {0: batch} for name in INPUTS}
    if multiple is not None:
        shapes["pixel_values"] |= {2: multiple * torch.export.Dim("rows"), 3: multiple * torch.export.Dim("columns")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of its own internals
            traced = torch.export.export(graph, example, dynamic_shapes=shapes, strict=False)
            program: Any = torch.onnx.export(
                traced, input_names=list(INPUTS), output_names=[OUTPUT], opset_version=opset, dynamo=True, verbose=False
            )
    except Exception as error:  # tracing raises anything
        raise ExportError(f"torch.onnx.export cannot export this model ({_reason(error)}).") from error
    written = program.model.opset_imports[""]  # where torch cannot convert to the opset asked for it leaves its own
    if written != opset:
        raise ExportError(f"torch.onnx.export cannot write opset {opset} of this model, only {written}; ask for that one.")
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # torch's stack traces, which name folders of this machine
    return program


def _difference(
    engine: AestheticEngine, photos: Sequence[Any], path: Path, questions: Sequence[str], multiple: int | None
) -> float:
    """The largest between the file's mean ratings and the engine's, in batches of several sizes, as a share of the range."""
    scale = engine.processor.rating_scale
    gaps = []
    batches = [photos[:count] for count in CHECKED_BATCHES]
    for batch, logits in zip(batches, _level_logits(path, batches, multiple), strict=True):
        expected = engine.rate(engine.encode(batch), questions)
        for column, question in enumerate(questions):
            found = scale.read_level_logits(logits[:, column], question)
            gaps += [abs(one.mean - row[question].mean) for one, row in zip(found, expected, strict=True)]
    low, high = scale.score_range
    difference = float(np.max(gaps)) / (high - low)
    logger.info("%s: ratings differ from PyTorch's by at most %.1e of the range", path.name, difference)
    return difference


def _level_logits(path: Path, batches: Sequence[Sequence[Any]], multiple: int | None) -> list[torch.Tensor]:
    """What ONNX Runtime makes of the photos, by batch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what is wrong with the file is said by the error
    found = []
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for batch in batches:
            found.append(torch.from_numpy(session.run([OUTPUT], onnx_inputs(batch, multiple))[0]))
    except Exception as error:  # its errors have no class in common
        raise ExportError(
            f"ONNX Runtime {onnxruntime.__version__} cannot run the file ({_reason(error)}); try opset {DEFAULT_OPSET}."
        ) from error
    return found


def _reason(error: Exception) -> str:
    """An error's class and the beginning of what it says."""
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), ''):.200}"


def _noise(height: int, width: int) -> np.ndarray:
    """A photo of coloured blocks, the same each time."""
    blocks = np.random.default_rng(height).integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
    return blocks.repeat(20, 0).repeat(20, 1)
