"""Rewards rise with what they reward, and give nothing for what cannot be read."""

from pathlib import Path

import pytest
from PIL import Image

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.rewards import FormatReward, LengthReward, RankReward, ScoreClosenessReward, aesthetic_reward

SCALE = RatingScale()
PHOTOS = sorted((Path(__file__).parents[2] / "examples" / "photos").glob("*.jpg"))[:2]


def test_nearer_scores_are_worth_more() -> None:
    """1 at the mean, falling with the distance on both sides, 0 without a score; messages are read like text."""
    reward = ScoreClosenessReward(SCALE)
    found = reward(["5.0.", "6.0.", "4.0.", "8.0.", "no idea", "5.0 or 6.0", "55"], mean=[5.0] * 7)
    assert found[0] == 1 > found[1] == found[2] > found[3] > found[4] == found[5] == found[6] == 0
    assert reward([[{"role": "assistant", "content": "5.0."}]], mean=[5.0]) == [1.0]


def test_the_right_order_is_worth_more() -> None:
    """Two photos, two completions each; scores in the order of the means beat equal ones, those beat the wrong order."""
    columns = {"mean": [3.0, 3.0, 8.0, 8.0], "photo": [0, 0, 1, 1], "question": ["quality"] * 4}
    reward = RankReward(SCALE)
    right, equal, wrong = (
        sum(reward(texts, **columns))
        for texts in (["3.0.", "3.2.", "8.0.", "7.9."], ["5.0."] * 4, ["8.0.", "8.1.", "3.0.", "3.1."])
    )
    assert right > equal > wrong
    assert reward(["3.0.", "?", "8.0.", "8.0."], **columns)[1] == 0


def test_other_questions_and_lone_photos_are_not_compared() -> None:
    reward = RankReward(SCALE)
    apart = reward(["3.0.", "8.0."], mean=[3.0, 8.0], photo=[0, 1], question=["quality", "aesthetic"])
    assert apart == [None, None]


def test_a_score_alone_is_in_form() -> None:
    found = FormatReward(SCALE)(["6.5.", " 6.5. ", "6.5", "It is 6.5.", "", "12.0."])
    assert found == [1, 1, 0, 0, 0, 0]


def test_length_is_rewarded_within_its_bounds() -> None:
    found = LengthReward(4, 8)(["", "one two", "one two three four", "w " * 8, "w " * 12, "w " * 16, "w " * 40])
    assert found == [0, 0.5, 1, 1, 0.5, 0, 0]
    with pytest.raises(ValueError, match="got 5 and 4"):
        LengthReward(5, 4)


def test_the_model_is_a_reward_itself() -> None:
    """The reward is the assessor's mean on 0 to 1, in order; what is no photo gets the least."""
    ratings = AestheticAssessor.from_pretrained().score(PHOTOS)
    found = aesthetic_reward([Image.open(PHOTOS[0]), b"no photo", str(PHOTOS[1])])
    assert found[1] == 0
    assert [found[0], found[2]] == pytest.approx([(rating.mean - 1) / 9 for rating in ratings], abs=1e-4)
