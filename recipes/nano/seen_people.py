"""What a checkpoint sees of the photos that people rated, cached, so that trials of personal ratings need no vision tower."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.data.record import Record
from aesthetic_mllm.engine.engine import DEFAULT_BATCH_SIZE
from aesthetic_mllm.modeling.model_outputs import AestheticImageFeatures
from aesthetic_mllm.modeling.token_placement import image_features
from aesthetic_mllm.personalization.profile_photos import ProfilePhotos

STATISTICS = "map_statistics"


class SeenPeople:
    """Visual tokens, feature statistics and general ratings of n photos, in the order of the records.

    Args:
        photos: what is kept of each, as of a profile's photos.
        tokens: [n, T, D] of each group.
        statistics: [n, S].
    """

    def __init__(self, photos: ProfilePhotos, tokens: dict[str, torch.Tensor], statistics: torch.Tensor):
        self.photos, self.tokens, self.statistics = photos, tokens, statistics

    def features(self, places: Sequence[int]) -> AestheticImageFeatures:
        """Of some of the photos, as the model would give them."""
        rows = list(places)
        tokens = {group: values[rows] for group, values in self.tokens.items()}
        features = image_features(tokens)
        features.map_statistics = self.statistics[rows]
        return features


def see_people(assessor: AestheticAssessor, records: Sequence[Record], cache: Path) -> SeenPeople:
    """Looks at every photo once, or reads what was seen before from the folder `cache`."""
    path = cache / "seen_people.safetensors"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        save_file(_look(assessor, records), path)
    stored = load_file(path)
    tokens = {name.removeprefix("token."): values for name, values in stored.items() if name.startswith("token.")}
    photos = {name.removeprefix("photo."): values.numpy() for name, values in stored.items() if name.startswith("photo.")}
    return SeenPeople(ProfilePhotos.from_tensors(photos), tokens, stored[STATISTICS])


@torch.inference_mode()
def _look(assessor: AestheticAssessor, records: Sequence[Record]) -> dict[str, torch.Tensor]:
    processor = assessor.processor
    question = processor.rating_scale.default_question
    questions = [question, *processor.rating_scale.attributes]
    parts, tokens, statistics = [], [], []
    for start in range(0, len(records), DEFAULT_BATCH_SIZE):
        batch = records[start : start + DEFAULT_BATCH_SIZE]
        photos = [assessor.engine.read(record.image, note=lambda image: image) for record in batch]
        encoded = assessor.engine.encode(photos, statistics=True)
        seen, ratings = encoded.features, assessor.engine.rate(encoded, questions)
        parts.append(ProfilePhotos.from_features(photos, seen, ratings, question, processor.num_example_tokens, False))
        tokens.append(seen.tokens)
        statistics.append(seen.map_statistics)
        if start % 160 == 0:
            print(f"{start} of {len(records)} photos seen", flush=True)
    stored = {f"token.{group}": torch.cat([part[group] for part in tokens]) for group in tokens[0]}
    arrays = ProfilePhotos.concat(parts).tensors()
    stored |= {f"photo.{name}": torch.from_numpy(np.array(values)) for name, values in arrays.items()}
    return stored | {STATISTICS: torch.cat(statistics)}
