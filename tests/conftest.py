"""Fixtures that all tests share."""

import os
from pathlib import Path

# No test may depend on a network; transformers reads this when it is first imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor  # noqa: E402
from tiny_models import tiny_model, tiny_processor  # noqa: E402

# Tests that run side by side share the cores.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # of processes that tests start
    torch.set_num_threads(1)

# No test asserts a time: a busy machine is no error.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def processor() -> AestheticMLLMProcessor:
    """A processor with a tiny tokenizer; tests do not change it."""
    return tiny_processor()


@pytest.fixture(scope="session")
def nano(processor: AestheticMLLMProcessor) -> AestheticMLLMForConditionalGeneration:
    """A random model of the embedded checkpoint's kind, only tiny; tests do not change it."""
    return tiny_model("efficientnet_lite", "llama", processor)


@pytest.fixture(scope="session")
def checkpoint(
    nano: AestheticMLLMForConditionalGeneration,
    processor: AestheticMLLMProcessor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Folder with that model and its processor, as a user saves them; tests do not change it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    nano.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
