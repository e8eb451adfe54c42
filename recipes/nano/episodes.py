"""Teaches nano's language model to predict a person's rating from photos they rated, given before the photo.

An episode is a person, k of their rated photos and some photos to ask about; k goes from 0 to 32, and with k = 0 the answer is
everybody's, so that nothing is lost. The people are raters of OASIS, none of them held out, and synthetic ones with random
tastes. No example sees another, as where a person is predicted (`aesthetic_mllm.personalization.example_prefix`), and no question
sees another; so one row asks about several photos.

Reading examples is learned first, of people who like or dislike one direction in which photos differ much, then of tastes in more
and more directions: from votes alone it is not learned. Beside all episodes goes on what `train_language_model.py` taught, which
sixty steps of tastes alone would wipe out. Tower and alignment module stay as they are: all is learned from cached visual tokens,
in rows that ask about many photos, which no trainer of the package takes.
"""

import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from aesthetic_mllm import AestheticAssessor, AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.evaluation.photo_features import PhotoFeatures
from aesthetic_mllm.evaluation.synthetic_people import draw_person, ranks
from aesthetic_mllm.personalization.example_prefix import example_tokens
from aesthetic_mllm.personalization.personalizers import MOST_EXAMPLES
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.taste_fitting import Votes

from .devices import device, half_precision
from .people import PEOPLE_RATED, held_out_people, known_votes, read_people
from .tastes import kept_features
from .train_language_model import LANGUAGE_TRAINED, LanguageTraining, open_training, train

logger = logging.getLogger(__name__)

BATCH_SIZE = 6
ASKED = 12  # photos that an episode asks about
# Learning to read examples: of tastes in so many directions, one after the other.
READING_BATCH_SIZE = 8
DIRECTIONS, READING_EXAMPLES, READING_ASKED = (1, 2, 4, 8), 12, 8
# Of a taste's ratings, of chance in them, of the levels to be said, in points.
TASTE_SPREAD, TASTE_CHANCE, TASTE_LEVEL_SPREAD = 2.4, 0.4, 0.8
NUM_EXAMPLE_TOKENS = {"low": 2, "middle": 2, "high": 2, "thematic": 2}
EXAMPLE_WEIGHT = 0.25  # on people of training 0.15 to 0.3 are alike with 5 to 50 ratings; 0.5 gains next to nothing
# Of the episodes: without examples, of tastes in directions; of the others, of people with tastes in measured traits.
EMPTY_SHARE, DIRECTION_SHARE, SYNTHETIC_SHARE = 0.2, 0.05, 0.12
PERSON_SPREAD = 1.2  # of one person's rating around what they gave, in points
PERSONAL = "personal"


@dataclass(frozen=True)
class Episode:
    """Places of photos, and what a person gave the examples; of the photos that are asked about the levels to be said.

    All of it answers one question: what the people were asked, or what people ask by default (`None`).
    """

    examples: np.ndarray
    levels: Sequence[int]
    asked: np.ndarray
    wanted: Sequence[Sequence[float]]
    question: str | None = None


class Episodes:
    """Draws episodes.

    Args:
        seen: of all photos.
        votes: that may be learned from; no others are looked at, and no other photos are shown.
        question: that the voters answered; default the checkpoint's first.
    """

    def __init__(self, seen: PhotoFeatures, votes: Votes, scale: RatingScale, seed: int = 0, question: str | None = None):
        self.seen, self.votes, self.scale, self.question = seen, votes, scale, question
        self.rng = np.random.default_rng(seed)
        self.rows = [np.flatnonzero(votes.rater == rater) for rater in np.unique(votes.rater)]
        self.known = np.unique(votes.photo)
        self.crowd = np.array([votes.value[votes.photo == photo].mean() for photo in self.known])
        self.crowd_spread = np.array([votes.value[votes.photo == photo].std() for photo in self.known])
        self.directions = principal_ranks(seen, self.known, max(DIRECTIONS))

    def draw(self) -> Episode:
        kind = self.rng.random()
        if kind < EMPTY_SHARE:
            return self._everybodys()
        if kind < EMPTY_SHARE + DIRECTION_SHARE:
            return self.of_directions(max(DIRECTIONS))
        photos, values = self._synthetic() if self.rng.random() < SYNTHETIC_SHARE else self._rater()
        order = self.rng.permutation(len(photos))
        count = int(self.rng.integers(1, MOST_EXAMPLES + 1))
        examples, asked = order[:count], order[count : count + ASKED]
        wanted = [self.scale.level_distribution(float(value), PERSON_SPREAD) for value in values[asked]]
        levels = [self.scale.nearest_level(float(value)) for value in values[examples]]
        return Episode(photos[examples], levels, photos[asked], wanted, self._either())

    def of_directions(self, count: int) -> Episode:
        """Of somebody whose taste is a direction among the `count` in which the photos differ most."""
        taste = self.rng.standard_normal(count)
        order = self.rng.permutation(len(self.known))[: READING_EXAMPLES + READING_ASKED]
        liked = self.directions[order, :count] @ taste / np.linalg.norm(taste)
        middle = sum(self.scale.score_range) / 2
        values = middle + TASTE_SPREAD * liked + TASTE_CHANCE * self.rng.standard_normal(len(order))
        values = values.clip(*self.scale.score_range)
        levels = [self.scale.nearest_level(float(value)) for value in values[:READING_EXAMPLES]]
        wanted = [self.scale.level_distribution(float(value), TASTE_LEVEL_SPREAD) for value in values[READING_EXAMPLES:]]
        examples, asked = self.known[order[:READING_EXAMPLES]], self.known[order[READING_EXAMPLES:]]
        return Episode(examples, levels, asked, wanted, self._either())

    def _either(self) -> str | None:
        """What examples are ratings of: one taste may part from everybody's answer to more than one question."""
        return self.question if self.rng.random() < 0.5 else None

    def _everybodys(self) -> Episode:
        chosen = self.rng.choice(len(self.known), ASKED, replace=False)
        wanted = [self.scale.level_distribution(float(self.crowd[place]), float(self.crowd_spread[place])) for place in chosen]
        return Episode(self.known[:0], [], self.known[chosen], wanted, self.question)

    def _rater(self) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rows[self.rng.integers(len(self.rows))]
        return self.votes.photo[rows], self.votes.value[rows]

    def _synthetic(self) -> tuple[np.ndarray, np.ndarray]:
        photos = self.rng.choice(self.known, min(len(self.known), MOST_EXAMPLES + ASKED), replace=False)
        traits = {name: values[photos] for name, values in self.seen.photos.traits.items()}
        person = draw_person(traits, self.rng)
        return photos, person.ratings(self.seen.photos.general[photos], traits, self.rng)


def principal_ranks(seen: PhotoFeatures, places: np.ndarray, count: int) -> np.ndarray:
    """[n, count]: where the photos at these places lie in the leading principal directions of their mean visual tokens, as
    [`ranks`] for each direction."""
    means = torch.cat([values[places].float().mean(1) for values in seen.tokens.values()], dim=1)  # [n, groups * D]
    standard = (means - means.mean(0)) / (means.std(0) + 1e-3)
    left, _, _ = torch.linalg.svd(standard, full_matrices=False)
    return np.stack([ranks(column) for column in left[:, :count].T.numpy()], axis=1)


def reading_loss(training: LanguageTraining, episodes: Episodes, steps: int) -> Callable[[], torch.Tensor]:
    """The loss of so many steps, one after the other: of tastes in more and more directions."""
    taken = itertools.count()

    def loss() -> torch.Tensor:
        step = next(taken)
        count = DIRECTIONS[min(step * len(DIRECTIONS) // steps, len(DIRECTIONS) - 1)]
        drawn = [episodes.of_directions(count) for _ in range(READING_BATCH_SIZE)]
        found = episode_loss(training.model, training.processor, episodes.seen, drawn)
        if step % 20 == 0:
            logger.info("reading examples: step %d of %d, %d directions, loss %.3f", step, steps, count, found.item())
        return found

    return loss


def episode_loss(
    model: AestheticMLLMForConditionalGeneration, processor: AestheticMLLMProcessor, seen: PhotoFeatures, drawn: Sequence[Episode]
) -> torch.Tensor:
    """Soft cross-entropy of the levels of all photos that are asked about, each after its episode's examples."""
    prompts = {question: processor.example_prompt_ids(question) for question in {episode.question for episode in drawn}}
    packed = [_packed(*prompts[episode.question], episode) for episode in drawn]
    length = max(len(ids) for ids, *_ in packed)
    ids = torch.full((len(drawn), length), processor.tokenizer.pad_token_id)
    places, owners = torch.zeros(len(drawn), length, dtype=torch.long), torch.full((len(drawn), length), PADDING)
    for number, (row_ids, row_places, row_owners, _) in enumerate(packed):
        for whole, part in ((ids, row_ids), (places, row_places), (owners, row_owners)):
            whole[number, : len(part)] = torch.tensor(part)
    where = model.device
    ids, places, mask = ids.to(where), places.to(where), episode_mask(owners).to(where)
    embeddings = model.get_input_embeddings()(ids)
    visual = ids == processor.image_token_id
    tokens = torch.cat([_tokens(processor, seen, episode) for episode in drawn]).to(embeddings)
    embeddings = embeddings.masked_scatter(visual[..., None], tokens)
    with half_precision():
        states = model.model.language_model(
            inputs_embeds=embeddings, attention_mask=mask, position_ids=places, use_cache=False
        ).last_hidden_state
        rows = [(number, place) for number, (*_, answers) in enumerate(packed) for place in answers]
        logits = model.lm_head(states[tuple(torch.tensor(rows).T)]).float()
    wanted = torch.tensor([levels for episode in drawn for levels in episode.wanted], device=where)
    return -(wanted * logits.log_softmax(-1)[:, processor.level_ids]).sum(1).mean()


# Owners of positions: the start is everybody's, examples count up from 1, photos that are asked about down from -1.
EVERYBODY, PADDING = 0, -10_000


def episode_mask(owners: torch.Tensor) -> torch.Tensor:
    """What each position may look at, of what stands before it: the start, its own, and from a question also the examples.

    [B, L] owners -> [B, 1, L, L], 0 or the least number.
    """
    looking, seen = owners[:, :, None], owners[:, None, :]
    allowed = (seen == EVERYBODY) | (seen == looking) | ((looking < 0) & (seen > 0))
    allowed = allowed & torch.ones(owners.shape[1], owners.shape[1], dtype=torch.bool).tril()
    return torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)[:, None]


def _packed(
    start: list[int], examples: list[list[int]], asked: list[int], episode: Episode
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Token ids, places and owners of an episode, and where its answers are read. Examples all stand at the same places."""
    ids, places, owners = list(start), list(range(len(start))), [EVERYBODY] * len(start)
    for number, level in enumerate(episode.levels, 1):
        ids += examples[level]
        places += range(len(start), len(start) + len(examples[level]))
        owners += [number] * len(examples[level])
    behind = len(start) + (len(examples[0]) if episode.levels else 0)
    answers = []
    for number in range(len(episode.asked)):
        ids += asked
        places += range(behind, behind + len(asked))
        owners += [-1 - number] * len(asked)
        answers.append(len(ids) - 1)
    return ids, places, owners, answers


def _tokens(processor: AestheticMLLMProcessor, seen: PhotoFeatures, episode: Episode) -> torch.Tensor:
    """The visual tokens of an episode in the order of their placeholders, [P, D]."""
    shown = example_tokens(seen.features(episode.examples).tokens, processor.num_example_tokens) if episode.levels else {}
    parts = [torch.cat(list(shown.values()), dim=1).flatten(0, 1)] if shown else []
    whole = seen.features(episode.asked).tokens
    return torch.cat([*parts, torch.cat(list(whole.values()), dim=1).flatten(0, 1)])


def train_on_people(
    data: Path,
    work: Path,
    reading_steps: int,
    reading_learning_rate: float,
    steps: int,
    learning_rate: float,
    generated: float,
    pairs: bool,
    sure: float,
    seed: int,
) -> None:
    """From WORK/language_trained to WORK/personal.

    Args:
        reading_steps: of tastes in directions, before the others.
        steps: of episodes beside ratings, pretext samples and comments.
        generated, pairs, sure: as of `train_language_model`.
    """
    assessor = AestheticAssessor.from_pretrained(work / LANGUAGE_TRAINED, device=device())
    training = open_training(data, work, pairs, sure, seed)
    for processor in (assessor.processor, training.processor):
        processor.num_example_tokens = dict(NUM_EXAMPLE_TOKENS)
        processor.in_context_weight = EXAMPLE_WEIGHT
    records = read_people(data)
    seen = kept_features(assessor, records, work, LANGUAGE_TRAINED)
    training.model.model.language_model.load_state_dict(assessor.model.model.language_model.state_dict())
    scale = training.processor.rating_scale
    episodes = Episodes(seen, known_votes(records, held_out_people(records), scale), scale, seed, PEOPLE_RATED)

    def loss() -> torch.Tensor:
        drawn = [episodes.draw() for _ in range(BATCH_SIZE)]
        return episode_loss(training.model, training.processor, seen, drawn)

    beside = reading_loss(training, episodes, reading_steps)
    for count, rate, examples in ((reading_steps, reading_learning_rate, beside), (steps, learning_rate, loss)):
        train(training, count, rate, generated, beside=examples)
    training.save(work / PERSONAL)
