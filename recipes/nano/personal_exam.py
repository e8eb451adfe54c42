"""Examines personal ratings on people and photos that training saw neither of (`people.py`).

    python recipes/nano/personal_exam.py --data DATA --work build/nano --model build/nano/personal --output exam.json

Table 1: mean rank correlation a person, with k = 0 to 100 of their ratings, of every method; standard errors and paired
differences with 95% intervals over people, from k = 0 and from ridge regression in the space of tastes of the public tower.
Table 2: with the ratings dealt out anew, and with another person's. Table 3: synthetic people with one taste, and whether
`describe` names it. Examples in the prompt cost a forward a photo, and may be asked for with fewer people and draws
(`--prompted`); the ridge method and the ridge regression on pooled features beside them are then of the same people and draws.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from aesthetic_mllm import AestheticAssessor, AestheticMLLMProcessor
from aesthetic_mllm.data.sources.oasis_beauty import HIGH, LOW
from aesthetic_mllm.engine.engine import EncodedPhotos
from aesthetic_mllm.evaluation.personal_protocols import (
    Predict,
    Protocol,
    run_protocol,
    shuffled,
    with_another_person,
)
from aesthetic_mllm.personalization.personalizers import METHODS, InContextPersonalizer, Personalizer, RidgePersonalizer
from aesthetic_mllm.personalization.rater_prior import RaterPrior
from aesthetic_mllm.processing.rating_scale import Rating, RatingScale
from aesthetic_mllm.tasks.personalizing import TRAITS, Profile, tastes
from aesthetic_mllm.trainers.taste_fitting import fit_tastes
from data import read_beauty, read_quality
from features import FeatureCache
from people import known_votes, own_protocol, read_people
from ridge import BEAUTY_ALPHA, ridge_predict
from seen_people import SeenPeople, see_people
from synthetic_people import SyntheticPerson
from tastes import CACHE, by_ridge

SHUFFLED_AT = (10, 100)
KNOWN_TASTE_PHOTOS, KNOWN_TASTE_PEOPLE = 10, 20  # for each trait and direction


class Methods:
    """Every method, as the protocols ask for them.

    Args:
        seen: of the protocol's photos, in its order.
        prior: other people's tastes, or `None`.
    """

    def __init__(self, assessor: AestheticAssessor, seen: SeenPeople, prior: RaterPrior | None):
        self.assessor, self.seen, self.prior = assessor, seen, prior
        self.scale = assessor.processor.rating_scale
        self.question = self.scale.default_question
        self._known: dict[tuple, list[Rating]] = {}

    def named(self, name: str) -> Predict:
        """A method by its name, of [`METHODS`]."""

        def predict(person: str, shown: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
            if not len(shown):
                return self.seen.photos.general[asked]
            return np.array([rating.mean for rating in self._rated(name, shown, values, asked)])

        return predict

    def _rated(self, name: str, shown: np.ndarray, values: np.ndarray, asked: np.ndarray) -> list[Rating]:
        """As a method rates; what was asked before is not computed again, because controls ask it too."""
        key = (name, *(array.tobytes() for array in (shown, values, asked)))
        if key not in self._known:
            general = [self._general[place] for place in asked]
            self._known[key] = self.make_personalizer(name, shown, values).rate(self.seen.features(asked), general)
        return self._known[key]

    def make_personalizer(self, name: str, shown: np.ndarray, values: np.ndarray) -> Personalizer:
        rated = [(str(place), float(value)) for place, value in zip(shown, values, strict=True)]
        # one distinct rating is no profile for a user, but here everybody counts
        profile = Profile(
            "ratings", self.question, tuple(key for key, _ in rated), tuple(value for _, value in rated), (LOW, HIGH)
        )
        photos = self.seen.photos.select(shown.tolist())
        if name == "in_context":
            return InContextPersonalizer.read(self.assessor.model, self.assessor.processor, profile, photos)
        return RidgePersonalizer.fit(self.scale, profile, photos, self.prior)

    @cached_property
    def _general(self) -> list[Rating]:
        """Ratings of all photos without a profile."""
        rated: list[Rating] = []
        for places in torch.arange(len(self.seen.statistics)).split(32):
            encoded = EncodedPhotos(self.seen.features(places.tolist()))
            rated += [ratings[self.question] for ratings in self.assessor.engine.rate(encoded, [self.question])]
        return rated


def part_of(seen: SeenPeople, places: list[int]) -> SeenPeople:
    """Of some photos, in their order."""
    tokens = {group: values[places] for group, values in seen.tokens.items()}
    return SeenPeople(seen.photos.select(places), tokens, seen.statistics[places])


def ridge_baseline(data: Path, work: Path, records: list, protocol: Protocol, scale: RatingScale) -> Predict:
    """Ridge regression on the public tower's pooled features for everybody, and in the space of others' tastes for a person."""
    beauty = read_beauty(data, scale)
    cache = FeatureCache(work, read_quality(data, scale) + beauty)
    by_name = {photo.name: photo for photo in beauty}
    pooled = cache.pooled_of([by_name[record.image.name] for record in records]).astype(np.float64)
    votes = known_votes(records, protocol, protocol, scale)
    known = np.unique(votes.photo)
    means = np.array([votes.value[votes.photo == place].mean() for place in known])
    general = ridge_predict(pooled[known], means, pooled, BEAUTY_ALPHA)
    prior = fit_tastes(pooled, votes, general)

    class Pooled:
        photos = type("Photos", (), {"general": general, "embeddings": pooled})

    return by_ridge(Pooled, scale, np.arange(len(records)), prior)


def known_tastes(seen: SeenPeople, seed: int = 0) -> dict[str, float]:
    """Share of synthetic people with one taste whose taste is the first that `describe` names, after a few ratings; by trait."""
    rng = np.random.default_rng(seed)
    found: dict[str, float] = {}
    for trait in TRAITS:
        right = []
        for sign in (1, -1):
            for _ in range(KNOWN_TASTE_PEOPLE):
                places = rng.choice(len(seen.photos.general), KNOWN_TASTE_PHOTOS, replace=False)
                photos = seen.photos.select(places.tolist())
                ratings = SyntheticPerson({trait: float(sign)}).ratings(photos.general, photos.traits, rng)
                named = tastes(ratings, photos.general, {name: photos.traits[name] for name in TRAITS})
                right.append(bool(named) and named[0].trait == trait and np.sign(named[0].strength) == sign)
        found[trait] = float(np.mean(right))
    return found


def some_of(protocol: Protocol, part: Sequence[int] | None) -> Protocol:
    """Of so many people and with so many draws, or all."""
    return protocol if part is None else replace(protocol, people=protocol.people[: part[0]], draws=part[1])


def print_table(name: str, rows: list[dict]) -> None:
    """A method's line for each k."""
    for row in rows:
        apart = "  ".join(
            f"{other} {gap['mean']:+.4f} ({gap['low']:+.4f} to {gap['high']:+.4f})" for other, gap in row["differences"].items()
        )
        print(f"{name:20} k {row['k']:3}  {row['srcc']:.4f} ±{row['standard_error']:.4f}  beside {apart}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--model", help="checkpoint (default: the embedded one)")
    parser.add_argument("--cache", type=Path, help="folder for what is seen of the photos (default: WORK/people)")
    parser.add_argument("--tastes", type=Path, help="checkpoint whose rater prior is used (default: the one that is examined)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument(
        "--prompted", type=int, nargs=2, metavar=("PEOPLE", "DRAWS"), help="test in_context on so many (default: all)"
    )
    parser.add_argument("--in-context-weight", type=float, help="share of what is read from examples (default: the checkpoint's)")
    parser.add_argument("--shots", type=int, nargs="+", help="numbers of a person's photos to show (default: the protocol's)")
    parser.add_argument("--development", action="store_true", help="people and photos that are not held out")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    assessor = AestheticAssessor.from_pretrained(arguments.model, device="cpu", dtype=arguments.dtype)
    if arguments.in_context_weight is not None:
        assessor.processor.in_context_weight = arguments.in_context_weight
    scale = assessor.processor.rating_scale
    records = read_people(arguments.data)
    protocol = own_protocol(arguments.data, records, arguments.development)
    if arguments.shots:
        protocol = replace(protocol, shots=tuple(arguments.shots))
    everything = see_people(assessor, records, arguments.cache or arguments.work / CACHE)
    at = {record.image: place for place, record in enumerate(records)}
    seen = part_of(everything, [at[photo.image] for photo in protocol.photos])
    source = AestheticMLLMProcessor.from_pretrained(arguments.tastes) if arguments.tastes else assessor.processor
    prior = RaterPrior.of_processor(source)
    methods = Methods(assessor, seen, prior)

    ridge = None if arguments.development else ridge_baseline(arguments.data, arguments.work, records, protocol, scale)
    report: dict = {"people": len(protocol.people), "prior": prior is not None, "methods": {}, "controls": {}}
    if ridge is not None:  # its photos are those of all records
        report["ridge"] = run_protocol(protocol, ridge).rows()
        print_table("ridge", report["ridge"])
    fewer = {"ridge": None}
    names = [name for name in arguments.methods if name == "ridge" or assessor.processor.reads_examples]
    for name in names:
        asked = some_of(protocol, fewer.get(name, arguments.prompted))
        result = run_protocol(asked, methods.named(name))
        others = {} if ridge is None else {"ridge": run_protocol(asked, ridge)}
        if name != "ridge":
            others["ridge"] = run_protocol(asked, methods.named("ridge"))
        report["methods"][name] = result.rows(others)
        print_table(name, report["methods"][name])
        for control, predict in (
            ("shuffled", shuffled(methods.named(name))),
            ("another person", with_another_person(methods.named(name), asked)),
        ):
            shots = [count for count in SHUFFLED_AT if count in asked.shots]
            rows = run_protocol(asked, predict, shots).rows({"own ratings": result})
            report["controls"][f"{name}, {control}"] = rows
            print_table(f"{name}, {control}", rows)
    report["known_tastes"] = known_tastes(seen)
    mean = np.mean(list(report["known_tastes"].values()))
    print(f"one known taste named first after {KNOWN_TASTE_PHOTOS} ratings: {mean:.0%}; {report['known_tastes']}")
    arguments.output.write_text(json.dumps(report, indent=2, default=float) + "\n")


if __name__ == "__main__":
    main()
