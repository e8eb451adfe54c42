"""What a checkpoint sees of photos that people rated, kept in a file: trials of personal ratings then need no vision tower."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ..modeling.model_outputs import AestheticImageFeatures
from ..modeling.token_placement import image_features
from ..personalization.profile_photos import ProfilePhotos
from ..processing.image_loading import ImageSource

if TYPE_CHECKING:
    from ..inference.assessor import AestheticAssessor

logger = logging.getLogger(__name__)

BATCH_SIZE = 8
STATISTICS = "map_statistics"


class PhotoFeatures:
    """Visual tokens, feature statistics and general ratings of n photos.

    Args:
        photos: what is kept of each, as of a profile's photos.
        tokens: [n, T, D] of each group.
        statistics: [n, S].
    """

    def __init__(self, photos: ProfilePhotos, tokens: dict[str, torch.Tensor], statistics: torch.Tensor):
        self.photos, self.tokens, self.statistics = photos, tokens, statistics

    def __len__(self) -> int:
        return len(self.statistics)

    def features(self, places: Sequence[int]) -> AestheticImageFeatures:
        """Of some of the photos, as the model would give them."""
        rows = list(places)
        tokens = {group: values[rows] for group, values in self.tokens.items()}
        features = image_features(tokens)
        features.map_statistics = self.statistics[rows]
        return features

    def save(self, path: Path) -> None:
        """As a safetensors file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(self.tensors(), path)

    @classmethod
    def load(cls, path: Path) -> "PhotoFeatures":
        """What `save` wrote."""
        return cls.from_tensors(load_file(path))

    def tensors(self) -> dict[str, torch.Tensor]:
        """As named tensors, for a file."""
        stored = {f"token.{group}": values.contiguous() for group, values in self.tokens.items()}
        stored |= {f"photo.{name}": torch.from_numpy(np.array(values)) for name, values in self.photos.tensors().items()}
        return stored | {STATISTICS: self.statistics.contiguous()}

    @classmethod
    def from_tensors(cls, stored: Mapping[str, torch.Tensor]) -> "PhotoFeatures":
        """The inverse of `tensors`."""
        tokens = {name.removeprefix("token."): values for name, values in stored.items() if name.startswith("token.")}
        photos = {name.removeprefix("photo."): values.numpy() for name, values in stored.items() if name.startswith("photo.")}
        return cls(ProfilePhotos.from_tensors(photos), tokens, stored[STATISTICS])

    @classmethod
    def concat(cls, parts: "Sequence[PhotoFeatures]") -> "PhotoFeatures":
        """The photos of one or more parts, one after the other."""
        tokens = {group: torch.cat([part.tokens[group] for part in parts]) for group in parts[0].tokens}
        statistics = torch.cat([part.statistics for part in parts])
        return cls(ProfilePhotos.concat([part.photos for part in parts]), tokens, statistics)


@torch.inference_mode()
def read_photo_features(
    assessor: "AestheticAssessor", images: Sequence[ImageSource], batch_size: int = BATCH_SIZE, question: str | None = None
) -> PhotoFeatures:
    """Looks at every photo, and rates it by a question, the default one if none is named, and the attributes.

    Raises:
        ImageError: a photo cannot be read.
    """
    processor = assessor.processor
    question = question or processor.rating_scale.default_question
    questions = [question, *processor.rating_scale.attributes]
    groups = [group for group, count in processor.num_group_tokens.items() if count]
    parts: list[ProfilePhotos] = []
    features: list[AestheticImageFeatures] = []
    for start in range(0, len(images), batch_size):
        batch = list(images[start : start + batch_size])
        photos = [assessor.engine.read(image, note=lambda upright: upright) for image in batch]
        encoded = assessor.engine.encode(photos, statistics=True)
        seen, ratings = encoded.features, assessor.engine.rate(encoded, questions)
        parts.append(ProfilePhotos.from_features(photos, seen, ratings, question, processor.num_example_tokens, False))
        features.append(seen)
        logger.info("%d of %d photos seen", start + len(batch), len(images))
    tokens = {group: torch.cat([seen.tokens[group].cpu() for seen in features]) for group in groups}  # type: ignore[index]
    statistics = torch.cat([seen.map_statistics.cpu() for seen in features])  # type: ignore[union-attr]
    return PhotoFeatures(ProfilePhotos.concat(parts), tokens, statistics)
