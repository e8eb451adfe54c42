"""What is kept of a person's photos: what the model saw of them, and no photo unless it is wanted."""

import hashlib
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from ..editing.measurements import measure
from ..engine.engine import ReadPhoto
from ..engine.visual_tokens import tokens_of
from ..modeling.model_outputs import AestheticImageFeatures
from ..processing.rating_scale import Rating
from ..tasks.personalizing import TRAITS
from .example_prefix import example_tokens

logger = logging.getLogger(__name__)

MEASURED_SIDE = 384  # pixels of the longer side at which photos are measured, so that all are measured alike
THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 160, 80


def photo_key(photo: ReadPhoto[object]) -> str:
    """The same for every file of the same picture: a digest of the photo as the model takes it."""
    size = "x".join(str(length) for length in photo.image_sizes[0].tolist())
    return hashlib.sha256(size.encode() + photo.pixel_values.numpy().tobytes()).hexdigest()[:32]


def embeddings(seen: AestheticImageFeatures) -> np.ndarray:
    """What tastes are read from, [B, F], float64: the statistics of the tower's feature maps.

    The alignment module's tokens hold what people agree on, and less of what they differ in: on held-out people and photos of
    OASIS a hundred ratings gain half as much from the tokens' means (`docs/experiments.md`).
    """
    assert seen.map_statistics is not None
    return seen.map_statistics.cpu().numpy().astype(np.float64)


@dataclass(frozen=True)
class ProfilePhotos:
    """n photos of a person, in the order of the profile.

    Args:
        general: ratings without a profile, [n].
        embeddings: [n, F] of the function [`embeddings`].
        example_tokens: [n, T, D] of each group, for the prompt; empty where the checkpoint does not read examples.
        traits: what can be liked or not, by name: measurements, and rated attributes; [n] each.
        thumbnails: small JPEG files, n or none.
    """

    general: np.ndarray
    embeddings: np.ndarray
    example_tokens: dict[str, torch.Tensor]
    traits: dict[str, np.ndarray]
    thumbnails: tuple[bytes, ...] = ()

    @classmethod
    def from_features(
        cls,
        photos: Sequence[ReadPhoto[Image.Image]],
        seen: AestheticImageFeatures,
        ratings: Sequence[Mapping[str, Rating]],
        question: str,
        counts: Mapping[str, int],
        keep_thumbnails: bool,
    ) -> "ProfilePhotos":
        """Of some photos that the model has seen.

        Args:
            photos: with their images noted.
            seen: their tokens and feature statistics.
            ratings: of the question and the attributes, without a profile.
            counts: how many tokens of each group an example shows.
        """
        images = [photo.noted for photo in photos]
        traits = _measured(images)
        traits |= {name: np.array([rated[name].mean for rated in ratings]) for name in ratings[0] if name != question}
        return cls(
            np.array([rated[question].mean for rated in ratings]),
            embeddings(seen),
            _stored(example_tokens(tokens_of(seen), counts)),
            traits,
            tuple(_thumbnail(image) for image in images) if keep_thumbnails else (),
        )

    @classmethod
    def concat(cls, parts: "Sequence[ProfilePhotos]") -> "ProfilePhotos":
        """The photos of one or more parts, one after the other."""
        first = parts[0]
        return cls(
            np.concatenate([part.general for part in parts]),
            np.concatenate([part.embeddings for part in parts]),
            {group: torch.cat([part.example_tokens[group] for part in parts]) for group in first.example_tokens},
            {name: np.concatenate([part.traits[name] for part in parts]) for name in first.traits},
            tuple(file for part in parts for file in part.thumbnails),
        )

    def select(self, places: Sequence[int]) -> "ProfilePhotos":
        """Those at some places, in their order."""
        rows = list(places)
        return ProfilePhotos(
            self.general[rows],
            self.embeddings[rows],
            {group: values[rows] for group, values in self.example_tokens.items()},
            {name: values[rows] for name, values in self.traits.items()},
            tuple(self.thumbnails[row] for row in rows) if self.thumbnails else (),
        )

    def tensors(self) -> dict[str, np.ndarray]:
        """As named arrays, for a file."""
        files = np.frombuffer(b"".join(self.thumbnails), np.uint8)
        return {
            "general": self.general,
            "embeddings": self.embeddings,
            **{f"example.{group}": values.numpy() for group, values in self.example_tokens.items()},
            **{f"trait.{name}": values for name, values in self.traits.items()},
            "thumbnails": files,
            "thumbnail_sizes": np.array([len(file) for file in self.thumbnails], np.int64),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> "ProfilePhotos":
        """The inverse of `tensors`."""

        def named(kind: str) -> dict[str, np.ndarray]:
            return {name.removeprefix(kind): values for name, values in tensors.items() if name.startswith(kind)}

        ends = np.cumsum(tensors["thumbnail_sizes"]).tolist()
        files = tensors["thumbnails"].tobytes()
        return cls(
            tensors["general"],
            tensors["embeddings"],
            {group: torch.from_numpy(values) for group, values in named("example.").items()},
            named("trait."),
            tuple(files[start:end] for start, end in zip([0, *ends], ends, strict=False)),
        )


def _stored(tokens: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {group: values.float().cpu() for group, values in tokens.items()}


def _measured(images: Sequence[Image.Image]) -> dict[str, np.ndarray]:
    """The traits that can be measured, [n] each."""
    rows = []
    for image in images:
        small = image.copy()
        small.thumbnail((MEASURED_SIDE, MEASURED_SIDE), Image.Resampling.LANCZOS)
        rows.append(measure(small, list(TRAITS)))
    found = {name: np.array([row[name] for row in rows], np.float64) for name in TRAITS}
    return found | {"tilt": np.abs(found["tilt"])}  # whoever likes level lines does not care which way others lean


def _thumbnail(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=THUMBNAIL_QUALITY)
    return file.getvalue()
