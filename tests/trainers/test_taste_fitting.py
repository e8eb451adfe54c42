"""Tastes of many raters as a prior: what it helps, what it is stored as."""

from pathlib import Path

import numpy as np
import pytest

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.personalization.rater_prior import RATER_PRIOR, RaterPrior, fit_taste
from aesthetic_mllm.tasks.personalizing import ProfileError
from aesthetic_mllm.trainers.taste_fitting import Votes, fit_tastes
from tiny_models import tiny_processor

PHOTOS, WIDTH, RATERS = 200, 30, 80


def world(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, general ratings, and two directions in which people differ."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(PHOTOS, WIDTH)), rng.normal(5.5, 1, PHOTOS), rng.normal(size=(2, WIDTH)) / np.sqrt(WIDTH)


def rate(rng: np.random.Generator, embeddings: np.ndarray, general: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """One person's ratings of all photos."""
    return general + rng.normal(0, 0.5) + embeddings @ directions.T @ rng.normal(size=2) + rng.normal(0, 0.7, len(general))


@pytest.fixture(scope="module")
def prior() -> RaterPrior:
    embeddings, general, directions = world()
    rng = np.random.default_rng(1)
    rated = [(rater, rng.choice(PHOTOS, 60, replace=False)) for rater in range(RATERS)]
    values = [rate(rng, embeddings, general, directions)[photos] for _, photos in rated]
    votes = Votes(np.repeat(np.arange(RATERS), 60), np.concatenate([photos for _, photos in rated]), np.concatenate(values))
    return fit_tastes(embeddings, votes, general)


def test_others_tastes_help_whoever_rated_little(prior: RaterPrior) -> None:
    """With ten ratings the prior of raters predicts the rest better than an isotropic one, which does no harm."""
    embeddings, general, directions = world()
    rng = np.random.default_rng(2)
    gains: dict[str, list[float]] = {"prior": [], "isotropic": []}
    for _ in range(40):
        liked = rate(rng, embeddings, general, directions)
        shown = rng.choice(PHOTOS, 10, replace=False)
        rest = np.setdiff1d(np.arange(PHOTOS), shown)
        for name, known in (("prior", prior), ("isotropic", None)):
            fitted = fit_taste(embeddings[shown], general[shown], liked[shown] - general[shown], known)
            personal = general[rest] + fitted.shift(embeddings[rest], general[rest])
            gains[name].append(np.corrcoef(personal, liked[rest])[0, 1] - np.corrcoef(general[rest], liked[rest])[0, 1])
    assert np.mean(gains["prior"]) > 0.03 and np.mean(gains["prior"]) > np.mean(gains["isotropic"]) > -0.05


def test_left_out_is_what_a_fit_without_the_photo_says(prior: RaterPrior) -> None:
    """The closed form equals fitting again without each photo."""
    embeddings, general, directions = world()
    evidence = rate(np.random.default_rng(3), embeddings, general, directions)[:8] - general[:8]
    whole = fit_taste(embeddings[:8], general[:8], evidence, prior, has_level=False)
    for place in range(8):
        rest = [other for other in range(8) if other != place]
        fitted = fit_taste(embeddings[rest], general[rest], evidence[rest], prior, has_level=False)
        again = fitted.shift(embeddings[[place]], general[[place]])
        assert again[0] == pytest.approx(whole.left_out[place], abs=1e-9)


def test_a_prior_is_saved_with_its_checkpoint(prior: RaterPrior, tmp_path: Path) -> None:
    """A processor that carries one saves and loads it; one without gives none; one of another width is refused."""
    processor = tiny_processor()
    assert RaterPrior.of_processor(processor) is None
    processor.side_files[RATER_PRIOR] = prior.to_side_file()
    processor.save_pretrained(tmp_path)
    found = RaterPrior.of_processor(AestheticMLLMProcessor.from_pretrained(tmp_path))
    assert found is not None and found.spreads == prior.spreads
    assert np.allclose(found.directions, prior.directions, atol=1e-5)
    with pytest.raises(ProfileError, match="embeddings of 30 numbers, its model gives 5"):
        fit_taste(np.zeros((2, 5)), np.zeros(2), np.zeros(2), found)


def test_coordinates_have_the_size_that_spreads_tell_of(prior: RaterPrior) -> None:
    """Over the raters' photos the squares of a photo's coordinates add up to 1 on average: `taste` is a variance in points^2."""
    coordinates = prior.coordinates(world()[0])
    assert (coordinates**2).sum(1).mean() == pytest.approx(1, rel=0.05)
