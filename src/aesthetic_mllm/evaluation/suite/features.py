"""What is learned from in baselines: the frozen tower's features, the checkpoint's visual tokens, those of an unaligned start."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from ...data.record import Record
from ...engine.engine import ReadPhoto
from ...engine.visual_tokens import tokens_of
from ...modeling.configuration_aesthetic_mllm import AestheticMLLMConfig
from ...modeling.modeling_aesthetic_mllm import AestheticMLLMPreTrainedModel
from ...modeling.multi_scale_feature_alignment import MultiScaleFeatureAlignment
from ...modeling.vision_tower import tower_channels
from ...processing.image_loading import ImageError
from .bench import BATCH_SIZE, Bench
from .system import System

TOWER, TOKENS, UNALIGNED = "tower", "tokens", "unaligned"
SEED = 0  # of the unaligned start


class FreshAlignment(AestheticMLLMPreTrainedModel):
    """The alignment module of a configuration with new weights, drawn as for a model that is to be trained.

    Args:
        layers: the tower's layer that each group of tokens reads.
    """

    def __init__(self, config: AestheticMLLMConfig, layers: Mapping[str, int]):
        super().__init__(config)
        channels = {group: tower_channels(config.vision_config, layer) for group, layer in layers.items()}
        # transformers declares them as dictionaries too, or none
        alignment: Any = config.alignment_config
        text: Any = config.text_config
        self.alignment = MultiScaleFeatureAlignment(alignment, channels, text.hidden_size)
        self.post_init()


def read_features(bench: Bench, system: System, photos: Mapping[str, Record], label: str) -> dict[str, dict[str, np.ndarray]]:
    """Of each photo by key: [`TOWER`], mean and standard deviation of each channel of the tower's maps; [`TOKENS`] and
    [`UNALIGNED`], the mean of each group of visual tokens, one after the other. Photos that cannot be judged are left out."""
    model, engine = system.assessor.model, system.assessor.engine
    fresh: list[MultiScaleFeatureAlignment] = []

    def unaligned() -> MultiScaleFeatureAlignment:
        if not fresh:  # not where all answers are known
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(SEED)
                made = FreshAlignment(model.config, model.model.feature_layers)
            fresh.append(made.alignment.to(model.device, model.dtype).eval())
        return fresh[0]

    def ask(records: list[Record]) -> Iterable[dict[str, str] | ImageError]:
        read: list[ReadPhoto[None] | ImageError] = []
        for record in records:
            try:
                read.append(engine.read(record.image))
            except ImageError as error:
                read.append(error)
        good = [photo for photo in read if not isinstance(photo, ImageError)]
        rows = iter(look(good) if good else [])
        for photo in read:
            yield photo if isinstance(photo, ImageError) else next(rows)

    def look(good: list[ReadPhoto[None]]) -> list[dict[str, str]]:
        other: list[dict[str, torch.Tensor]] = []
        # the tower runs once for both modules
        hook = model.model.multi_modal_projector.register_forward_hook(
            lambda module, given, tokens: other.append(unaligned()(*given))
        )
        try:
            seen = engine.encode(good, statistics=True).features
        finally:
            hook.remove()
        assert seen.map_statistics is not None
        parts = {TOWER: seen.map_statistics, TOKENS: _means(tokens_of(seen)), UNALIGNED: _means(other[0])}
        arrays = {name: values.float().cpu().numpy() for name, values in parts.items()}
        return [{name: _text(values[place]) for name, values in arrays.items()} for place in range(len(good))]

    with torch.inference_mode():
        identity = {"checkpoint": system.identity}
        return bench.cache.answers("features", identity, photos, ask, BATCH_SIZE, label, _arrays).found


def _means(tokens: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """[N, groups * D]."""
    return torch.cat([values.mean(1) for values in tokens.values()], dim=1)


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def _arrays(found: Mapping[str, str]) -> dict[str, np.ndarray]:
    return {name: np.frombuffer(base64.b64decode(found[name], validate=True), dtype="<f4") for name in (TOWER, TOKENS, UNALIGNED)}
