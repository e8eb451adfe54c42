"""Fits the prior of personal ratings, other people's tastes; the votes of the held-out people and photos stay unseen.

People were asked for beauty, so a taste is what parts their votes from everybody's beauty. A person who is asked for something
else is expected to part from everybody's answer to that in the same way.
"""

import logging
from pathlib import Path

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.data.record import Record
from aesthetic_mllm.evaluation.photo_features import PhotoFeatures, read_photo_features
from aesthetic_mllm.personalization.rater_prior import RATER_PRIOR
from aesthetic_mllm.trainers.taste_fitting import fit_tastes

from .people import PEOPLE_RATED, held_out_people, known_votes, read_people

logger = logging.getLogger(__name__)


def features_file(name: str) -> str:
    """Of what a checkpoint sees of OASIS, below WORK.

    Args:
        name: of the checkpoint's folder below WORK.
    """
    return f"photo_features_{name}.safetensors"


def kept_features(assessor: AestheticAssessor, records: list[Record], work: Path, name: str) -> PhotoFeatures:
    """What a checkpoint sees of all photos of OASIS, and how it rates what their people were asked, kept from then on.

    Args:
        name: of the checkpoint's folder below WORK.
    """
    path = work / features_file(name)
    if not path.exists():
        read_photo_features(assessor, [record.image for record in records], question=PEOPLE_RATED).save(path)
    return PhotoFeatures.load(path)


def fit_rater_prior(assessor: AestheticAssessor, data: Path, work: Path, name: str) -> None:
    """Puts the prior into a checkpoint's processor."""
    records = read_people(data)
    seen = kept_features(assessor, records, work, name)
    votes = known_votes(records, held_out_people(records), assessor.processor.rating_scale)
    prior = fit_tastes(seen.photos.embeddings, votes, seen.photos.general)
    assessor.processor.side_files[RATER_PRIOR] = prior.to_side_file()
    logger.info("%s: %s", RATER_PRIOR, prior.spreads)
