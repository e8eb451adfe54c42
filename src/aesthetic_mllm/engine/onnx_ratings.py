"""Photos rated by a file of `aesthetic-mllm export` on ONNX Runtime, in place of the model in PyTorch."""

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..modeling.vision_tower import covered_canvas
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..processing.rating_scale import Rating
from .engine import AestheticEngine, ReadPhoto

METADATA_KEY = "aesthetic_mllm"
INPUTS, OUTPUT = ("pixel_values", "image_sizes"), "level_logits"
SAME_CHECKPOINT = 0.01  # of the range: as far as a file's rating may be from the checkpoint's, bfloat16 included


class OnnxFileError(ValueError):
    """A file that cannot rate in a checkpoint's place."""


def onnx_inputs(photos: Sequence[ReadPhoto[object]], multiple: int | None) -> dict[str, np.ndarray]:
    """What a file is given: at least one photo, on no more canvas than they cover.

    Args:
        multiple: of pixels that the sides of a canvas have to be; `None`: it stays whole.
    """
    pixel_values, image_sizes = (torch.cat([getattr(photo, name) for photo in photos]) for name in INPUTS)
    if multiple is not None:
        height, width = covered_canvas(image_sizes, multiple)
        pixel_values = pixel_values[..., :height, :width]
    return dict(zip(INPUTS, (pixel_values.numpy(), image_sizes.numpy()), strict=True))


class OnnxRatings:
    """The questions of an exported file, answered for photos one by one: it is no faster with many at a time.

    Args:
        path: of the file.
        processor: of the checkpoint that it was made from.

    Raises:
        OnnxFileError: ONNX Runtime is not installed, there is no such file, or it is no export of this package.
    """

    def __init__(self, path: str | os.PathLike[str], processor: AestheticMLLMProcessor):
        try:
            import onnxruntime
        except ImportError:
            raise OnnxFileError("onnxruntime is not installed; install it with pip install 'aesthetic-mllm[onnx]'.") from None
        self.path = os.fspath(path)
        if not os.path.isfile(self.path):
            raise OnnxFileError(f"{self.path}: there is no such file; aesthetic-mllm export writes one.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # what is wrong with the file is said by the error
        try:
            self._session: Any = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
            facts = json.loads(self._session.get_modelmeta().custom_metadata_map[METADATA_KEY])
            self.questions: tuple[str, ...] = tuple(facts["questions"])
            self.canvas_multiple: int | None = facts.get("canvas_multiple")
        except Exception as error:  # ONNX Runtime's errors have no class in common
            raise OnnxFileError(f"{self.path} is no file of aesthetic-mllm export ({error}); make one with it.") from error
        self.scale = processor.rating_scale

    def answers(self, questions: Sequence[str]) -> bool:
        """Whether the file answers them all."""
        return set(questions) <= set(self.questions)

    def rate(self, photos: Sequence[ReadPhoto[object]], questions: Sequence[str]) -> list[dict[str, Rating]]:
        """As the engine's `rate`, of photos that are read."""
        rows = [
            self._session.run([OUTPUT], onnx_inputs([photo], self.canvas_multiple))[0]  # [1, Q, levels]
            for photo in photos
        ]
        logits = torch.from_numpy(np.concatenate(rows))
        columns = [self.scale.read_level_logits(logits[:, self.questions.index(key)], key) for key in questions]
        return [dict(zip(questions, row, strict=True)) for row in zip(*columns, strict=True)]

    def check(self, engine: AestheticEngine) -> None:
        """Rates one photo of blocks by file and checkpoint.

        Raises:
            OnnxFileError: the file is another checkpoint's.
        """
        blocks = np.random.default_rng(0).integers(0, 256, (10, 15, 3), dtype=np.uint8)
        photos: list[ReadPhoto[None]] = [engine.read(blocks.repeat(20, 0).repeat(20, 1))]
        known = [question for question in self.questions if question in self.scale.questions]
        low, high = self.scale.score_range
        if len(known) == len(self.questions):
            (found,), (expected,) = self.rate(photos, known[:1]), engine.rate(engine.encode(photos), known[:1])
            if abs(found[known[0]].mean - expected[known[0]].mean) <= SAME_CHECKPOINT * (high - low):
                return
        raise OnnxFileError(f"{self.path} was made from another checkpoint than {engine.name}; export that one.")
