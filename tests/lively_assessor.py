"""A tiny random assessor whose answers differ clearly from photo to photo and from question to question."""

from dataclasses import replace

import torch

from aesthetic_mllm import AestheticAssessor, AestheticMLLMProcessor
from aesthetic_mllm.processing.rating_scale import OperatingPoint
from aesthetic_mllm.tasks.suggesting import FLAW_QUESTIONS
from tiny_models import tiny_model, tiny_processor

# Of a random model's flaws: some of its answers lie below the threshold.
POINT = OperatingPoint(threshold=5.5, usual=6.0, spread=1.0, damaged=4.0, false_alarms=0.02, auc=0.9)


def lively_assessor(attributes: bool = False, flaws: bool = False) -> AestheticAssessor:
    """An assessor for the default questions, and for more. Its weights are so large that all it sees matters."""
    processor: AestheticMLLMProcessor = tiny_processor()
    scale = processor.rating_scale.with_attributes() if attributes else processor.rating_scale
    if flaws:
        points = dict.fromkeys(FLAW_QUESTIONS, POINT)
        scale = replace(scale, questions={**scale.questions, **FLAW_QUESTIONS}, operating_points=points)
    processor.rating_scale = scale
    model = tiny_model("efficientnet_lite", "llama", processor)
    torch.manual_seed(2)
    for name, weight in model.named_parameters():
        if weight.ndim == 2 and "tower" not in name:
            torch.nn.init.normal_(weight, std=0.25)
    return AestheticAssessor(model, processor)
