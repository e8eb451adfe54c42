"""Fits the prior of personal ratings, other people's tastes, and puts it beside a checkpoint.

    python recipes/nano/tastes.py --data DATA --work build/nano --model build/nano/final

The votes of the held-out people and of the held-out photos stay unseen (`people.py`). `--choose` does not write: it tries numbers
on people and photos of training, and prints what a hundred, ten, ... ratings of a person gain.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.data.sources.oasis_beauty import HIGH, LOW
from aesthetic_mllm.evaluation.personal_protocols import Predict, Protocol, run_protocol
from aesthetic_mllm.personalization.rater_prior import RATER_PRIOR, RaterPrior, fit_taste
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.taste_fitting import fit_tastes
from people import known_votes, own_protocol, read_people
from seen_people import SeenPeople, see_people

CACHE = "people"


def by_ridge(seen: SeenPeople, scale: RatingScale, places: np.ndarray, prior: RaterPrior | None) -> Predict:
    """The ratings of the method "ridge", as the protocols ask for them.

    Args:
        places: of the protocol's photos among those that were seen.
    """
    general, embeddings = seen.photos.general[places], seen.photos.embeddings[places]

    def predict(person: str, shown: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
        if not len(shown):
            return general[asked]
        given = np.array([scale.from_range(value, (LOW, HIGH)) for value in values])
        fitted = fit_taste(embeddings[shown], general[shown], given - general[shown], prior)
        return general[asked] + fitted.shift(embeddings[asked], general[asked])

    return predict


def choose(seen: SeenPeople, records: list, development: Protocol, held_out: Protocol, scale: RatingScale) -> None:
    """Tries shrinkages and sizes of tastes on people and photos that are not held out."""
    at = {record.image: place for place, record in enumerate(records)}
    places = np.array([at[photo.image] for photo in development.photos])
    votes = known_votes(records, development, held_out, scale)
    for shrinkage, taste in itertools.product((0.03, 0.1, 0.3), (0.4, 0.7, 1.2)):
        prior = fit_tastes(seen.photos.embeddings, votes, seen.photos.general, shrinkage, taste)
        result = run_protocol(development, by_ridge(seen, scale, places, prior))
        print(shrinkage, taste, " ".join(f"{k}: {result.at(k).mean():.4f}" for k in result.shots), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--model", help="checkpoint (default: the embedded one)")
    parser.add_argument("--output", type=Path, help="folder (default: the checkpoint's)")
    parser.add_argument("--choose", action="store_true")
    arguments = parser.parse_args()
    assessor = AestheticAssessor.from_pretrained(arguments.model, device="cpu")
    scale = assessor.processor.rating_scale
    records = read_people(arguments.data)
    seen = see_people(assessor, records, arguments.work / CACHE)
    held_out = own_protocol(arguments.data, records)
    if arguments.choose:
        choose(seen, records, own_protocol(arguments.data, records, development=True), held_out, scale)
        return
    prior = fit_tastes(seen.photos.embeddings, known_votes(records, held_out, held_out, scale), seen.photos.general)
    folder = arguments.output or Path(assessor.model.name_or_path)
    assessor.processor.side_files[RATER_PRIOR] = prior.to_side_file()
    assessor.processor.save_pretrained(folder)
    print(f"{RATER_PRIOR} of {folder}: {prior.spreads}")


if __name__ == "__main__":
    main()
