"""People who do not exist rate as they were made to."""

import numpy as np

from aesthetic_mllm.evaluation.synthetic_people import SyntheticPerson, draw_person, ranks


def test_a_synthetic_person_likes_what_they_like() -> None:
    """Ratings of somebody with one taste go with that trait, beside what everybody sees; and no further than 1 to 10."""
    rng = np.random.default_rng(0)
    general, traits = rng.normal(size=300), {"warmth": rng.normal(size=300), "tilt": np.round(rng.exponential(size=300))}
    rated = SyntheticPerson({"warmth": -1.0}).ratings(general, traits, rng)
    assert np.corrcoef(rated, traits["warmth"])[0, 1] < -0.6 and np.corrcoef(rated, general)[0, 1] > 0.2
    assert set(rated) <= set(range(1, 11))
    assert set(draw_person(traits, rng).tastes) <= set(traits)
    assert ranks(np.array([3.0, 3.0, 1.0])).tolist()[0] == ranks(np.array([3.0, 3.0, 1.0])).tolist()[1]
