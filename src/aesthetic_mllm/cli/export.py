"""`aesthetic-mllm export`: a checkpoint's ratings as an ONNX file."""

import argparse
import logging
from pathlib import Path
from typing import Any

from .usage import UsageError, positive, with_exit_codes


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = commands.add_parser(
        "export",
        help="write the rating of photos as an ONNX file",
        description="Writes the way from a photo's pixels to its ratings as an ONNX file, which ONNX Runtime runs without torch "
        "and without this package, and checks that it rates as the checkpoint does. Needs aesthetic-mllm[onnx].",
    )
    parser.add_argument("--model", help="folder or Hub id of a checkpoint (default: the embedded one)")
    parser.add_argument("--output", type=Path, default=Path("rating.onnx"), metavar="FILE", help="(default: rating.onnx)")
    parser.add_argument("--questions", nargs="+", metavar="QUESTION", help="what is rated (default: all that people ask)")
    parser.add_argument("--opset", type=positive, help="version of the ONNX operators (default: 18)")
    parser.set_defaults(run=with_exit_codes(run), parser=parser)


def run(options: argparse.Namespace) -> int:
    """Writes the file and says what is in it."""
    from ..processing.rating_scale import RatingScaleError
    from ..publishing.onnx_export import DEFAULT_OPSET, ExportError, check_target, export_onnx
    from .judging import load_assessor

    try:
        check_target(options.output)  # before a large checkpoint is loaded
    except ExportError as error:
        raise UsageError(f"--output {error}") from error
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # which says what else is not installed
    options.dtype, options.device = "float32", "cpu"
    assessor = load_assessor(options)
    try:
        written = export_onnx(
            assessor.model, assessor.processor, options.output, options.questions, options.opset or DEFAULT_OPSET
        )
    except (ExportError, RatingScaleError, OSError) as error:
        raise UsageError(error) from error
    print(f"{written.path}  {written.size / 1e6:.0f} MB, opset {written.opset}, rates {', '.join(written.questions)}")
    print(f"Its ratings differ from PyTorch's by at most {written.difference:.1e} of the range.")
    return 0
