"""The usual photo is the mean of what was seen, and only the model that saw it reads it."""

from pathlib import Path

import pytest
import torch

from aesthetic_mllm.engine.engine import AestheticEngine
from aesthetic_mllm.inference.comment_writing import CommentWriter
from aesthetic_mllm.inference.mean_visual_tokens import MEAN_VISUAL_TOKENS, mean_photo, mean_photo_features
from aesthetic_mllm.processing.checkpoint_side_files import SideFile
from aesthetic_mllm.processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.tasks.commenting import STYLES, CommentingError
from lively_assessor import lively_assessor
from photo_files import scene


def test_every_photo_counts_as_much_whatever_the_batches() -> None:
    low, high = torch.randn(5, 3, 4), torch.randn(5, 2, 4)
    found = mean_photo({"low": low[part], "high": high[part]} for part in (slice(0, 1), slice(1, 5)))
    assert torch.allclose(found["low"], low.mean(0, keepdim=True), atol=1e-6)
    assert torch.allclose(found["high"], high.mean(0, keepdim=True), atol=1e-6)
    with pytest.raises(ValueError, match="No photos"):
        mean_photo([])


def test_a_checkpoint_carries_it(tmp_path: Path) -> None:
    """What a checkpoint carries guides its comments; a checkpoint without it does without."""
    assessor = lively_assessor()
    tokens = mean_photo(
        [assessor.model.get_image_features(**assessor.processor.image_processor(scene(), return_tensors="pt")).tokens]
    )
    assert CommentWriter.of_engine(assessor.engine).mean_tokens is None
    assessor.processor.side_files[MEAN_VISUAL_TOKENS] = SideFile(tokens)
    assessor.processor.save_pretrained(tmp_path)
    loaded = CommentWriter.of_engine(
        AestheticEngine(assessor.model, AestheticMLLMProcessor.from_pretrained(tmp_path))
    ).mean_tokens
    assert loaded is not None and loaded.keys() == tokens.keys()
    assert all(torch.equal(loaded[group], values) for group, values in tokens.items())


def test_another_models_is_refused() -> None:
    assessor = lively_assessor()
    counts = assessor.processor.num_group_tokens
    width = assessor.model.lm_head.in_features
    tokens = {group: torch.zeros(1, count, width) for group, count in counts.items()}
    assert mean_photo_features(tokens, assessor.model, counts).tokens.keys() == tokens.keys()
    for wrong in ({**tokens, "low": torch.zeros(1, 1, width)}, {"low": tokens["low"]}, {**tokens, "low": tokens["low"][..., 1:]}):
        with pytest.raises(CommentingError, match=f"{MEAN_VISUAL_TOKENS} holds tokens.*make it anew, or remove it"):
            mean_photo_features(wrong, assessor.model, counts)
    writer = CommentWriter(assessor.engine, mean_tokens={"low": tokens["low"]})
    encoded = assessor.engine.encode([assessor.engine.read(scene())])
    with pytest.raises(CommentingError, match="another|make it anew"):
        writer.write(encoded, "Comment on this photo.", STYLES["brief"])
