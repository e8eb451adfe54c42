"""A checkpoint that lacks a part does not judge: an error names what is missing."""

from pathlib import Path

import pytest

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.modeling.checkpoint_errors import CheckpointError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The embedded checkpoint, by links."""
    for path in Path(embedded_checkpoint()).iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def test_without_its_chat_template_it_would_judge_wrongly(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(OSError, match=r"lacks chat_template\.jinja"):
        AestheticMLLMProcessor.from_pretrained(copy)


def test_weights_that_were_cut_off_are_named(copy: Path) -> None:
    weights = copy / "model.safetensors"
    beginning = weights.read_bytes()[:100_000]
    weights.unlink()
    weights.write_bytes(beginning)
    with pytest.raises(CheckpointError, match="its weights cannot be read"):
        AestheticMLLMForConditionalGeneration.from_pretrained(copy)
