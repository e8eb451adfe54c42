"""One sequence answers several questions as the engine does, one prompt at a time."""

import numpy as np
import pytest
import torch

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.engine.engine import AestheticEngine
from aesthetic_mllm.engine.rating_graph import RatingGraph
from aesthetic_mllm.processing.rating_scale import RatingScaleError
from tiny_models import tiny_model

QUESTIONS = ("aesthetic", "quality")


def photos() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in ((64, 64), (40, 70), (90, 30))]


@pytest.mark.parametrize("questions", [QUESTIONS, QUESTIONS[:1], QUESTIONS[::-1]], ids=" ".join)
@pytest.mark.parametrize(("tower", "language"), [("efficientnet_lite", "llama"), ("clip", "qwen3"), ("convnext", "llama")])
def test_the_answers_are_the_engines(
    tower: str, language: str, questions: tuple[str, ...], processor: AestheticMLLMProcessor
) -> None:
    model = tiny_model(tower, language, processor)
    engine = AestheticEngine(model, processor)
    read = [engine.read(photo) for photo in photos()]
    inputs = [torch.cat([getattr(photo, name) for photo in read]) for name in ("pixel_values", "image_sizes")]
    with torch.inference_mode():
        logits = RatingGraph(model, processor, questions)(*inputs)
    assert logits.shape == (3, len(questions), len(processor.level_ids)) and logits.dtype == torch.float32
    expected = engine.rate(engine.encode(read), questions)
    means = {question: [row[question].mean for row in expected] for question in questions}
    for column, question in enumerate(questions):
        found = processor.rating_scale.read_level_logits(logits[:, column], question)
        assert [rating.mean for rating in found] == pytest.approx(means[question], abs=1e-4)
        assert max(means[question]) - min(means[question]) > 1e-3  # the photos are rated unlike, so equality says something


def test_an_unknown_question_is_told(processor: AestheticMLLMProcessor) -> None:
    with pytest.raises(RatingScaleError, match="Unknown question 'taste'"):
        RatingGraph(tiny_model("efficientnet_lite", "llama", processor), processor, ["taste"])
