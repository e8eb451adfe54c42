"""Episodes: what the language model learns of a person is what inference asks it, and nothing that is held out."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.evaluation.photo_features import PhotoFeatures
from aesthetic_mllm.personalization.example_prefix import ExamplePrefix, example_tokens
from aesthetic_mllm.personalization.profile_photos import ProfilePhotos
from aesthetic_mllm.trainers.taste_fitting import Votes
from lively_assessor import lively_assessor
from photo_files import scene
from recipes.nano.episodes import DIRECTIONS, READING_ASKED, READING_EXAMPLES, Episode, Episodes, episode_loss, reading_loss

PHOTOS = 60


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    found = lively_assessor()
    found.processor.num_example_tokens = {"low": 2, "middle": 1, "high": 1, "thematic": 0}
    return found


@pytest.fixture(scope="module")
def seen(assessor: AestheticAssessor) -> object:
    """Some photos, repeated; what is general and what is measured of them is chance."""
    images = [scene(60 + 9 * number, 50) for number in range(6)]
    found = assessor.engine.encode([assessor.engine.read(image) for image in images], statistics=True).features
    rows = [number % 6 for number in range(PHOTOS)]
    rng = np.random.default_rng(0)
    photos = ProfilePhotos(
        rng.uniform(2, 9, PHOTOS),
        np.zeros((PHOTOS, 2)),
        {},
        {name: rng.normal(size=PHOTOS) for name in ("warmth", "tilt", "noise")},
    )
    return PhotoFeatures(
        photos, {group: values[rows].clone() for group, values in found.tokens.items()}, found.map_statistics[rows]
    )


def votes() -> Votes:
    rng = np.random.default_rng(1)
    rater = np.repeat(np.arange(5), PHOTOS - 10)
    photo = np.concatenate([rng.permutation(PHOTOS - 5)[: PHOTOS - 10] for _ in range(5)])
    return Votes(rater, photo, rng.integers(1, 11, len(rater)).astype(float))


def test_an_episode_is_what_inference_asks(assessor: AestheticAssessor, seen: object) -> None:
    """The loss is that of the logits which a cached prefix of the same examples gives, photo by photo."""
    processor = assessor.processor
    levels, wanted = [4, 0, 1], [[0.1, 0.1, 0.2, 0.3, 0.3], [0.5, 0.5, 0, 0, 0]]
    examples, asked = np.array([0, 1, 2]), np.array([3, 4])
    loss = episode_loss(
        assessor.model, processor, seen, [Episode(examples, levels, asked, wanted), Episode(examples[:0], [], asked, wanted)]
    )
    few = example_tokens(seen.features(examples).tokens, processor.num_example_tokens)
    prefix = ExamplePrefix(assessor.model, processor, levels, few, "aesthetic")
    prefix.level_ids = range(len(processor.tokenizer))  # the loss is over the whole vocabulary
    personal = prefix.level_logits(seen.features(asked).tokens)
    prompt = torch.tensor([processor.rating_prompt_ids()]).expand(2, -1)
    general = assessor.model(input_ids=prompt, mm_encoder_outputs={"image": seen.features(asked)}, logits_to_keep=1).logits[:, -1]
    shares = torch.cat([personal, general]).log_softmax(-1)[:, processor.level_ids]
    assert loss.item() == pytest.approx(-(torch.tensor(wanted * 2) * shares).sum(1).mean().item(), abs=0.02)  # bf16


def test_episodes_show_and_ask_different_photos(assessor: AestheticAssessor, seen: object) -> None:
    """No photo is shown and asked about in one episode, none is seen that nobody of training rated; k goes from 0 to 32."""
    episodes = Episodes(seen, votes(), assessor.processor.rating_scale)
    drawn = [episodes.draw() for _ in range(200)]
    counts = {len(episode.levels) for episode in drawn}
    assert min(counts) == 0 and max(counts) == 32
    for episode in drawn:
        assert not set(episode.examples) & set(episode.asked) and len(episode.examples) == len(episode.levels)
        assert {*episode.examples, *episode.asked} <= set(range(PHOTOS - 5))
        assert all(sum(levels) == pytest.approx(1) for levels in episode.wanted)


def test_a_step_teaches(assessor: AestheticAssessor, seen: object) -> None:
    """A few steps on the same episode bring its loss down, and gradients reach the language model alone."""
    episode = Episodes(seen, votes(), assessor.processor.rating_scale, seed=3).draw()
    weights = list(assessor.model.model.language_model.parameters())
    kept = [weight.detach().clone() for weight in weights]
    optimizer = torch.optim.AdamW(weights, 1e-3)
    losses = []
    for _ in range(6):
        loss = episode_loss(assessor.model, assessor.processor, seen, [episode])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    with torch.no_grad():
        for weight, before in zip(weights, kept, strict=True):
            weight.copy_(before)


def test_a_taste_in_one_direction_orders_the_photos_along_it(seen: object, assessor: AestheticAssessor) -> None:
    """What is asked about is rated by the same taste as the examples, whose sign differs from person to person."""
    scale = assessor.processor.rating_scale
    episodes = Episodes(seen, votes(), scale)
    place = {photo: row for row, photo in enumerate(episodes.known)}
    signs = set()
    for _ in range(30):
        episode = episodes.of_directions(1)
        assert (len(episode.examples), len(episode.asked)) == (READING_EXAMPLES, READING_ASKED)
        assert not set(episode.examples) & set(episode.asked)
        means = [*np.array(scale.level_scores)[list(episode.levels)], *(np.array(episode.wanted) @ scale.level_scores)]
        along = episodes.directions[[place[photo] for photo in (*episode.examples, *episode.asked)], 0]
        alike = np.corrcoef(means, along)[0, 1]
        assert abs(alike) > 0.8
        signs.add(alike > 0)
    assert signs == {True, False}


def test_reading_goes_on_to_more_directions_and_teaches_the_language_model_alone(
    assessor: AestheticAssessor, seen: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = assessor.model
    episodes = Episodes(seen, votes(), assessor.processor.rating_scale)
    drawn: list[int] = []
    draw = episodes.of_directions
    monkeypatch.setattr(episodes, "of_directions", lambda count: drawn.append(count) or draw(count))
    steps = len(DIRECTIONS)
    loss = reading_loss(SimpleNamespace(model=model, processor=assessor.processor), episodes, steps)  # type: ignore[arg-type]
    for _ in range(steps + 1):  # one more than was said stays with the last
        model.zero_grad()
        loss().backward()
    assert list(dict.fromkeys(drawn)) == list(DIRECTIONS)
    learned = {name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()}
    model.zero_grad()
    assert learned and all(name.startswith("model.language_model.") for name in learned - {"lm_head.weight"})
