"""What a checkpoint's folder says of itself: its configurations, and the digest of its weights."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError, safe_open

from ..checkpoints.names import weights_digest
from ..processing.rating_scale import FLAW_PREFIX, OperatingPoint, RatingScale
from .card_facts import CardError

CONFIG, PROCESSOR_CONFIG = "config.json", "processor_config.json"


@dataclass(frozen=True)
class CheckpointFacts:
    """Of a folder that `from_pretrained` loads.

    Args:
        questions: neither of attributes nor of flaws.
        default_question: what is rated when nothing else is asked.
        attributes: that it rates.
        flaws: operating points by the flaw's name.
        levels: the words that answer, worst first.
        score_range: of its ratings.
        canvas: pixels of the long side that it sees a photo at; `None`: not stated.
        tower, language_model: types of the parts, as transformers names them.
        dtype: that the weights are stored in; empty: not stated.
        parameters: number of weights; 0: none are there.
        digest: as of [`weights_digest`].
    """

    questions: tuple[str, ...]
    default_question: str
    attributes: tuple[str, ...]
    flaws: Mapping[str, OperatingPoint]
    levels: tuple[str, ...]
    score_range: tuple[float, float]
    canvas: int | None
    tower: str
    language_model: str
    dtype: str
    parameters: int
    digest: str

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads configurations and weights.

        Raises:
            CardError: the folder holds no checkpoint of this package.
        """
        config, processor = _read(folder / CONFIG), _read(folder / PROCESSOR_CONFIG)
        try:
            scale = RatingScale.from_dict(processor["rating_scale"])
        except (KeyError, TypeError, ValueError) as error:
            raise CardError(f"{folder / PROCESSOR_CONFIG}: no rating scale, so this is no checkpoint of the package.") from error
        canvas = processor.get("image_processor", {}).get("canvas_size")
        return cls.of(scale, config, canvas, count_parameters(folder), own_digest(folder))

    @classmethod
    def of(cls, scale: RatingScale, config: Mapping[str, Any], canvas: int | None, parameters: int = 0, digest: str = "") -> Self:
        """Of the parts of a folder, or of a model in memory.

        Args:
            config: the model's, as a mapping.
        """
        return cls(
            questions=tuple(name for name in scale.people_questions if name not in scale.attributes),
            default_question=scale.default_question,
            attributes=tuple(scale.attributes),
            flaws={name.removeprefix(FLAW_PREFIX): point for name, point in scale.operating_points.items()},
            levels=tuple(word.strip() for word in scale.level_words),
            score_range=scale.score_range,
            canvas=canvas,
            tower=str(config.get("vision_config", {}).get("model_type", "")),
            language_model=str(config.get("text_config", {}).get("model_type", "")),
            dtype=str(config.get("dtype") or "").removeprefix("torch."),
            parameters=parameters,
            digest=digest,
        )


def count_parameters(folder: Path) -> int:
    """Numbers in the weights' files; tied weights are stored, and counted, once."""
    total = 0
    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, "numpy") as file:
                for name in file.keys():  # noqa: SIM118, it is no mapping
                    total += math.prod(file.get_slice(name).get_shape())
        except (OSError, SafetensorError) as error:
            raise CardError(f"{path}: cannot be read ({error}); save the model anew with save_pretrained.") from error
    return total


def own_digest(folder: Path) -> str:
    """As of [`weights_digest`]; empty where there are no whole weights."""
    try:
        return weights_digest(folder) or ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # of an index that is none
        return ""


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CardError(f"{path}: cannot be read ({error.strerror}); name the folder of a checkpoint.") from error
    except ValueError as error:
        raise CardError(f"{path}: not JSON ({error}).") from error
    if not isinstance(found, dict):
        raise CardError(f"{path}: not a mapping, so this is no checkpoint of the package.")
    return found
