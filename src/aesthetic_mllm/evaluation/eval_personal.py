"""How well personal ratings predict people and photos that training saw neither of, by the protocols of `personal_protocols`.

Beside every method stand two controls: with the person's ratings dealt out anew, and with another person's. Synthetic people with
one taste show whether `describe` names it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..personalization.personalizers import METHODS, InContextPersonalizer, Personalizer, RidgePersonalizer
from ..personalization.rater_prior import RaterPrior, fit_taste
from ..processing.rating_scale import Rating, RatingScale
from ..tasks.personalizing import TRAITS, Profile, tastes
from .personal_protocols import Predict, Protocol, run_protocol, shuffled, with_another_person
from .photo_features import PhotoFeatures
from .synthetic_people import SyntheticPerson

if TYPE_CHECKING:
    from ..inference.assessor import AestheticAssessor

CONTROLS_AT = (10, 100)  # ratings of a person
KNOWN_TASTE_PHOTOS, KNOWN_TASTE_PEOPLE = 10, 20  # for each trait and direction


class PersonalMethods:
    """Every method, as the protocols ask for them.

    Args:
        seen: of the protocol's photos, in its order.
        score_range: of the people's ratings.
        prior: other people's tastes, or `None`.
        question: that the people answered; default the checkpoint's first.
    """

    def __init__(
        self,
        assessor: "AestheticAssessor",
        seen: PhotoFeatures,
        score_range: tuple[float, float],
        prior: RaterPrior | None,
        question: str | None = None,
    ):
        self.assessor, self.seen, self.score_range, self.prior = assessor, seen, score_range, prior
        self.scale = assessor.processor.rating_scale
        self.question = question or self.scale.default_question
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
            "ratings", self.question, tuple(key for key, _ in rated), tuple(value for _, value in rated), self.score_range
        )
        photos = self.seen.photos.select(shown.tolist())
        if name == "in_context":
            return InContextPersonalizer.read(self.assessor.model, self.assessor.processor, profile, photos)
        return RidgePersonalizer.fit(self.scale, profile, photos, self.prior)

    @cached_property
    def _general(self) -> list[Rating]:
        """Ratings of all photos without a profile."""
        model, processor = self.assessor.model, self.assessor.processor
        prompt = torch.tensor([processor.rating_prompt_ids(self.question)])
        rated: list[Rating] = []
        with torch.inference_mode():
            for places in torch.arange(len(self.seen)).split(32):
                logits = model.level_logits(
                    processor.level_ids,
                    input_ids=prompt.expand(len(places), -1),
                    mm_encoder_outputs={"image": self.seen.features(places.tolist())},
                )
                rated += self.scale.read_level_logits(logits, self.question)
        return rated


def ridge_predictions(
    embeddings: np.ndarray,
    general: np.ndarray,
    scale: RatingScale,
    score_range: tuple[float, float],
    prior: RaterPrior | None,
) -> Predict:
    """A person's ridge regression on any embeddings of the protocol's photos, as the protocols ask for it.

    Args:
        embeddings: [P, F].
        general: everybody's ratings, [P], on the rating scale.
        score_range: of the people's ratings.
        prior: tastes in the space of these embeddings, or `None`.
    """

    def predict(person: str, shown: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
        if not len(shown):
            return general[asked]
        given = np.array([scale.from_range(value, score_range) for value in values])
        fitted = fit_taste(embeddings[shown], general[shown], given - general[shown], prior)
        return general[asked] + fitted.shift(embeddings[asked], general[asked])

    return predict


def evaluate_personal(
    assessor: "AestheticAssessor",
    seen: PhotoFeatures,
    protocol: Protocol,
    score_range: tuple[float, float],
    *,
    methods: Sequence[str] = METHODS,
    baselines: Mapping[str, Predict] | None = None,
    prompted: tuple[int, int] | None = None,
    question: str | None = None,
) -> dict[str, Any]:
    """Mean rank correlation a person with k of their ratings known, by method.

    Examples in the prompt cost a forward a photo, and may be asked for with fewer people and draws (`prompted`); the ridge method
    and the baselines beside them are then of the same people and draws.

    Args:
        seen: of the protocol's photos, in its order.
        score_range: of the people's ratings.
        methods: of [`METHODS`]; those that the checkpoint was not taught are left out.
        baselines: other predictions, reported and compared with.
        prompted: people and draws for "in_context"; default all.
        question: that the people answered, of which `seen` holds the general ratings; default the checkpoint's first.

    Returns:
        Rows of [`PersonalResult`] for each baseline and method, and for both controls of each method.
    """
    own = PersonalMethods(assessor, seen, score_range, RaterPrior.of_processor(assessor.processor), question)
    others = baselines or {}
    report: dict[str, Any] = {"people": len(protocol.people), "prior": own.prior is not None}
    report["baselines"] = {name: run_protocol(protocol, predict).rows() for name, predict in others.items()}
    report |= {"methods": {}, "controls": {}}
    for name in methods:
        if name == "in_context" and not assessor.processor.reads_examples:
            continue
        asked = some_of(protocol, prompted if name == "in_context" else None)
        result = run_protocol(asked, own.named(name))
        compared = {other: run_protocol(asked, predict) for other, predict in others.items()}
        if name != "ridge":
            compared["ridge"] = run_protocol(asked, own.named("ridge"))
        report["methods"][name] = result.rows(compared)
        shots = [count for count in CONTROLS_AT if count in asked.shots]
        for control, predict in (
            ("shuffled", shuffled(own.named(name))),
            ("another person", with_another_person(own.named(name), asked)),
        ):
            report["controls"][f"{name}, {control}"] = run_protocol(asked, predict, shots).rows({"own ratings": result})
    report["known_tastes"] = known_tastes(seen)
    return report


def known_tastes(seen: PhotoFeatures, seed: int = 0) -> dict[str, float]:
    """Share of synthetic people with one taste whose taste is the first that `describe` names, after a few ratings; by trait."""
    rng = np.random.default_rng(seed)
    found: dict[str, float] = {}
    for trait in TRAITS:
        right = []
        for sign in (1, -1):
            for _ in range(KNOWN_TASTE_PEOPLE):
                places = rng.choice(len(seen), min(KNOWN_TASTE_PHOTOS, len(seen)), replace=False)
                photos = seen.photos.select(places.tolist())
                ratings = SyntheticPerson({trait: float(sign)}).ratings(photos.general, photos.traits, rng)
                named = tastes(ratings, photos.general, {name: photos.traits[name] for name in TRAITS})
                right.append(bool(named) and named[0].trait == trait and np.sign(named[0].strength) == sign)
        found[trait] = float(np.mean(right))
    return found


def some_of(protocol: Protocol, part: tuple[int, int] | None) -> Protocol:
    """Of so many people, the first, and with so many draws; `None`: of all."""
    return protocol if part is None else replace(protocol, people=protocol.people[: part[0]], draws=part[1])


def personal_table(report: Mapping[str, Any]) -> str:
    """A report of [`evaluate_personal`] as Markdown: a line for each method and number of ratings."""
    lines = ["| method | k | people | SRCC | standard error | differences (95% interval) |", "|---|---|---|---|---|---|"]
    for part in ("baselines", "methods", "controls"):
        for name, rows in report[part].items():
            for row in rows:
                apart = "; ".join(
                    f"{other} {gap['mean']:+.4f} ({gap['low']:+.4f} to {gap['high']:+.4f})"
                    for other, gap in row["differences"].items()
                )
                lines.append(
                    f"| {name} | {row['k']} | {row['people']} | {row['srcc']:.4f} | {row['standard_error']:.4f} | {apart} |"
                )
    named = list(report["known_tastes"].values())
    lines.append(f"\nOne known taste is named first after {KNOWN_TASTE_PHOTOS} ratings in {np.mean(named):.0%} of the cases.")
    return "\n".join(lines)
