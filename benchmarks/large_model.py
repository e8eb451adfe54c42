"""The GPU part of assess.py: a random model of the size of SigLIP-2-so400m and Qwen3-0.6B, beside a LLaVA of the same size.

Speed does not depend on what weights say, so nothing is downloaded. The tokenizer is the embedded checkpoint's.
"""

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import LlavaConfig, LlavaForConditionalGeneration, Qwen3Config, SiglipVisionConfig

from aesthetic_mllm import (
    AestheticAssessor,
    AestheticMLLMConfig,
    AestheticMLLMForConditionalGeneration,
    AestheticMLLMImageProcessor,
    AestheticMLLMProcessor,
)
from aesthetic_mllm.checkpoints import embedded_checkpoint

CANVAS = 384  # of google/siglip2-so400m-patch14-384
SO400M: dict[str, Any] = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": CANVAS,
    "patch_size": 14,
}
QWEN3_06B: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151_936,
    "tie_word_embeddings": True,
}


def large_assessor(device: str, dtype: torch.dtype, layers: int | None = None) -> AestheticAssessor:
    """Our model; `layers` for fewer of them in tower and language model."""
    source = AestheticMLLMProcessor.from_pretrained(embedded_checkpoint())
    image_processor = AestheticMLLMImageProcessor(canvas_size=CANVAS, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor = AestheticMLLMProcessor(image_processor, source.tokenizer)
    vision, text = _configs(layers)
    config = AestheticMLLMConfig(vision_config=vision, text_config=text, image_token_id=processor.image_token_id)
    with torch.device(device):
        model = AestheticMLLMForConditionalGeneration(config)
    return AestheticAssessor(model.to(dtype), processor)


def large_llava(device: str, dtype: torch.dtype, layers: int | None = None) -> LlavaForConditionalGeneration:
    """A stock model of transformers with the same tower and language model; every patch is a token, as in LLaVA."""
    vision, text = _configs(layers)
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=QWEN3_06B["vocab_size"] - 1,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    with torch.device(device):
        model = LlavaForConditionalGeneration(config)
    return model.to(dtype).eval()


def _configs(layers: int | None) -> tuple[SiglipVisionConfig, Qwen3Config]:
    fewer = {} if layers is None else {"num_hidden_layers": layers}
    return SiglipVisionConfig(**SO400M | fewer), Qwen3Config(**QWEN3_06B | fewer)


@torch.inference_mode()
def score_llava(llava: LlavaForConditionalGeneration, assessor: AestheticAssessor, photos: list[Any]) -> None:
    """One photo after the other, as peers do: read, one forward with the logits of all positions, one number back.

    Args:
        photos: files, or [1, 3, H, W] pixels.
    """
    processor = assessor.processor
    scale = processor.rating_scale
    question = processor.tokenizer.encode(scale.question().prompt + scale.question().stem, add_special_tokens=False)
    patches = (CANVAS // SO400M["patch_size"]) ** 2
    ids = torch.tensor([[llava.config.image_token_id] * patches + question], device=llava.device)
    for photo in photos:
        pixels = (
            photo if isinstance(photo, torch.Tensor) else processor.image_processor(photo, return_tensors="pt")["pixel_values"]
        )
        logits = llava(input_ids=ids, pixel_values=pixels.to(llava.device, llava.dtype)).logits
        scale.read_level_logits(logits[:, -1, processor.level_ids])


@torch.inference_mode()
def score_pixels(assessor: AestheticAssessor, pixels: list[torch.Tensor], batch_size: int) -> None:
    """Ratings of pixels that lie in memory as the image processor gives them."""
    ids = torch.tensor([assessor.processor.rating_prompt_ids()], device=assessor.model.device)
    for start in range(0, len(pixels), batch_size):
        batch = torch.cat(pixels[start : start + batch_size]).to(assessor.model.device, non_blocking=True)
        logits = assessor.model.level_logits(
            assessor.processor.level_ids, input_ids=ids.expand(len(batch), -1), pixel_values=batch
        )
        assessor.processor.rating_scale.read_level_logits(logits)


def photo_files(folder: Path, count: int) -> Iterator[Path]:
    """JPEGs of 2 megapixels with the detail of noise at several sizes."""
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = [rng.integers(0, 256, (1152 // step, 1728 // step, 3), dtype=np.uint8) for step in (288, 36, 4)]
        layers = [
            np.asarray(Image.fromarray(noise).resize((1728, 1152), Image.Resampling.BICUBIC), np.float32) for noise in coarse
        ]
        path = folder / f"{index}.jpg"
        Image.fromarray((np.average(layers, axis=0, weights=[4, 2, 1])).astype(np.uint8)).save(path, quality=90)
        yield path


def measure_gpu(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each batch size and source of photos, and for the LLaVA one by one."""
    if not torch.cuda.is_available():
        sys.exit("assess.py --gpu-model: there is no GPU that torch can use; without the option the CPU is measured.")
    torch.set_num_threads(os.cpu_count() or 1)  # as many threads read photos
    assessor, llava = (make("cuda", torch.bfloat16) for make in (large_assessor, large_llava))
    print(f"{torch.cuda.get_device_name()}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as folder:
        different = list(photo_files(Path(folder), 64))
        return measure_large(assessor, llava, different, options.batch_sizes, options.rounds)


def measure_large(
    assessor: AestheticAssessor, llava: LlavaForConditionalGeneration, files: list[Path], batch_sizes: list[int], rounds: int
) -> list[dict[str, Any]]:
    """Best of the rounds, which alternate."""
    in_memory = [assessor.processor.image_processor(file, return_tensors="pt")["pixel_values"] for file in files]
    rows: list[dict[str, Any]] = []
    print(f"{'photos':8} {'batch':>5} {'photos/s':>9} {'LLaVA/s':>8} {'times':>6}")
    for kind, photos in (("files", files), ("memory", in_memory)):
        for batch_size in batch_sizes:
            many = list(itertools.islice(itertools.cycle(photos), max(4 * batch_size, len(photos))))

            def ours(kind: str = kind, many: list[Any] = many, size: int = batch_size) -> None:
                if kind == "files":
                    assessor.score(many, batch_size=size)
                else:
                    score_pixels(assessor, many, size)

            def theirs(photos: list[Any] = photos) -> None:
                score_llava(llava, assessor, photos)

            ours(), theirs()  # warm up
            rates = [(_rate(ours, len(many)), _rate(theirs, len(photos))) for _ in range(rounds)]
            fast, slow = max(rate for rate, _ in rates), max(rate for _, rate in rates)
            rows.append({"photos": kind, "batch_size": batch_size, "per_second": fast, "llava_per_second": slow})
            print(f"{kind:8} {batch_size:5} {fast:9.1f} {slow:8.1f} {fast / slow:6.1f}", flush=True)
    return rows


def _rate(task: Callable[[], None], count: int) -> float:
    start = time.perf_counter()
    task()  # ends with numbers on the CPU, so the GPU is done
    return count / (time.perf_counter() - start)
