"""Trains the alignment module before the language model reads it: many times cheaper than a step through both.

Each group of tokens alone must tell the photo's rating, and all together what the tower saw in it: the principal components
of its pooled features. The second needs no labels, and keeps what other questions will ask for; from ratings of quality alone
the tokens learn to hold quality and little else (ridge regression reads beauty from them at SRCC 0.68, from the tower at 0.80).

Of generated images heads of their own read the ratings of the whole image: one linear reading for them and for photos loses both.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from aesthetic_mllm import AestheticMLLMForConditionalGeneration
from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.aesthetic_sft_config import AestheticSFTConfig
from aesthetic_mllm.trainers.losses.rank_fidelity import RankFidelityLoss
from aesthetic_mllm.trainers.rating_metrics import rank_correlation

from .codebook import rating_value
from .devices import device, half_precision
from .features import CANVAS
from .prompts import WHOLE
from .steps import take_step

logger = logging.getLogger(__name__)

BATCH_SIZE = 32
ALL = "all"  # beside the groups: their sum
FIXED = "stages.0."  # of the upper stages: the middle-level tokens read it, and what pretext samples show was cached behind it
FALLS, LEAST_FALL = 0.7, 0.3  # share of what a damage should take, and points that count as anything
DAMAGE_WEIGHT = 2.5
COMPONENTS = 512  # beauty is read from many: ridge on the first 150 reaches SRCC 0.78, on all 0.80


class GroupHeads(nn.Module):
    """Reads ratings from the mean token of each group alone, and from the sum of all these readings.

    A head over all groups together learns the thematic path, whose features are ready to use, and leaves the queries idle. Here
    each group has to tell what it can.
    """

    def __init__(self, size: int, questions: list[str], levels: int):
        super().__init__()
        self.questions = {question: index for index, question in enumerate(questions)}
        self.heads = nn.ModuleDict({group: nn.Linear(size, len(questions) * levels) for group in TOKEN_GROUPS})

    def forward(self, tokens: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Groups of tokens [B, N, D] -> logits [B, questions, levels] by group and for [`ALL`], on the CPU."""
        logits = {
            group: self.heads[group](values.mean(1)).float().cpu().unflatten(1, (len(self.questions), -1))
            for group, values in tokens.items()
        }
        return logits | {ALL: torch.stack(list(logits.values())).sum(0)}


def generated_question(question: str) -> str:
    """What the head is called that answers a question about generated images."""
    return f"{question} of generated images"


class RatingHeads:
    """The alignment module of a model, with heads that stand in for its language model.

    Args:
        model: its tower is an [`UpperTower`]; alignment module and, where `train` is told to, tower are trained in place.
        read_pixels: gives the `pixel_values` and `image_sizes` of rows, as the tower takes them.
        components: what the tower saw in the photos to learn from, by name; `None`: it is not learned.
        codes: [questions, D], the directions in which the language model was taught to read ratings (`codebook.py`), one unit
            long; `None`: they are not learned.
        bin_loss: takes tokens and rows, and gives a loss beside the ratings'; default none.
        groups: of tokens that are read.
        soft_levels: whether a rating is told as a distribution over the levels; else as the nearest of them.
    """

    def __init__(
        self,
        model: AestheticMLLMForConditionalGeneration,
        read_pixels: Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]],
        scale: RatingScale,
        components: dict[str, np.ndarray] | None = None,
        codes: torch.Tensor | None = None,
        bin_loss: Callable[[dict[str, torch.Tensor], list[dict[str, Any]]], torch.Tensor] | None = None,
        groups: Sequence[str] = TOKEN_GROUPS,
        soft_levels: bool = True,
    ):
        self.projector = model.model.multi_modal_projector
        self.layers = model.model.feature_layers
        self.tower = model.model.vision_tower
        self.read_pixels, self.scale, self.components = read_pixels, scale, components or {}
        self.scores = torch.tensor(scale.level_scores)
        # a direction's length is its unit
        self.codes = None if codes is None else codes / codes.square().sum(1, keepdim=True)
        self.bin_loss = bin_loss
        self.groups, self.soft_levels = groups, soft_levels
        self.questions = list(scale.questions)
        asked = [*self.questions, *(generated_question(question) for question in self.questions if question in WHOLE)]
        self.heads = GroupHeads(model.config.text_config.hidden_size, asked, len(scale.level_scores))
        self.ranking = RankFidelityLoss(AestheticSFTConfig.rank_label_std)
        self.describe = nn.Linear(len(TOKEN_GROUPS) * model.config.text_config.hidden_size, COMPONENTS)
        for part in (self.tower, self.projector, self.heads, self.describe):
            part.to(device())
        self.parts = {"tower": self.tower, "projector": self.projector, "heads": self.heads, "describe": self.describe}

    def save(self, path: Path) -> None:
        """Upper tower, alignment module and heads."""
        parts = self.parts.items()
        save_file({f"{part}.{name}": value for part, module in parts for name, value in module.state_dict().items()}, path)

    def load(self, path: Path) -> None:
        """What `save` wrote."""
        state = load_file(path)
        for part, module in self.parts.items():
            prefix = f"{part}."
            module.load_state_dict({name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)})

    def tokens(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """The groups of tokens of the rows' photos."""
        inputs = self.read_pixels(rows)
        with half_precision():
            maps = self.tower(inputs["pixel_values"].to(device()), inputs["image_sizes"].to(device())).feature_maps
        groups = {group: maps[self.layers[group]].float().permute(0, 2, 3, 1) for group in self.groups}
        return self.projector(groups, inputs["image_sizes"].to(device()), (CANVAS, CANVAS))

    def head(self, row: Mapping[str, Any], question: str) -> int:
        """The number of the head that answers a question about a row's photo, which may be `generated`."""
        own = row.get("generated") and question in WHOLE
        return self.heads.questions[generated_question(question) if own else question]

    def loss(self, rows: list[dict[str, Any]]) -> torch.Tensor:
        """Of the ratings, of their codes, and of the components of those photos that are seen whole."""
        with half_precision():
            seen_tokens = self.tokens(rows)
            logits = self.heads(seen_tokens)
        tokens = {group: values.float().cpu() for group, values in seen_tokens.items()}
        loss = self.rating_loss(logits, rows) + self.damage_loss(logits, rows)
        if self.codes is not None:
            loss = loss + self.code_loss(tokens, rows)
        if self.bin_loss is not None:
            loss = loss + self.bin_loss(tokens, rows)
        if not self.components:
            return loss
        seen = [index for index, row in enumerate(rows) if row["view"] == 0 and row["image"] in self.components]
        described = self.describe(torch.cat([values[seen].float().mean(1) for values in seen_tokens.values()], dim=1)).cpu()
        wanted = torch.tensor(np.stack([self.components[rows[index]["image"]] for index in seen]))
        return loss + (described - wanted).square().mean()

    def code_loss(self, tokens: dict[str, torch.Tensor], rows: list[dict[str, Any]]) -> torch.Tensor:
        """How far the mean token is from saying the ratings in the language model's code.

        Ratings of the whole photo count as much as all others, and those of generated images have no code of their own.
        """
        mean = torch.cat(list(tokens.values()), dim=1).mean(1)  # [B, D]
        asked = [(index, question, rating[0]) for index, row in enumerate(rows) for question, rating in ratings_of(row).items()]
        numbers = [self.heads.questions[question] for _, question, _ in asked]
        read = (mean @ self.codes.T)[[index for index, _, _ in asked], numbers]
        each = F.huber_loss(read, torch.tensor([rating_value(self.scale, value) for _, _, value in asked]), reduction="none")
        whole = torch.tensor([question in WHOLE for _, question, _ in asked])
        return torch.stack([part.mean() for part in (each[whole], each[~whole]) if len(part)]).sum()

    def rating_loss(self, logits: dict[str, torch.Tensor], rows: list[dict[str, Any]]) -> torch.Tensor:
        """Soft level and rank loss: of all groups together, and half as much of each by itself on average.

        The rank loss is of the questions about the whole photo, which people rated.
        """
        asked = [(index, question, rating) for index, row in enumerate(rows) for question, rating in ratings_of(row).items()]
        places = (
            torch.tensor([index for index, _, _ in asked]),
            torch.tensor([self.head(rows[index], name) for index, name, _ in asked]),
        )
        targets = torch.tensor([self._levels(*rating) for _, _, rating in asked])
        labels = torch.tensor([rating[0] for _, _, rating in asked])
        # only photos of one source are ranked, by their answers to one question
        sources = torch.tensor([rows[index]["group"] * len(self.heads.questions) for index, _, _ in asked]) + places[1]
        ranked = torch.tensor([name in WHOLE for _, name, _ in asked])
        losses = {}
        for group, values in logits.items():
            own = values[places]  # [asked, levels]
            each = -(targets * own.log_softmax(-1)).sum(-1)
            # what people rated counts as much as all that nobody did
            loss = torch.stack([part.mean() for part in (each[ranked], each[~ranked]) if len(part)]).sum()
            if ranked.any():
                shares = own[ranked].softmax(-1)
                means = shares @ self.scores
                stds = (shares @ self.scores.square() - means.square()).clamp(min=1e-6).sqrt()
                loss = loss + self.ranking(means, stds, labels[ranked], sources[ranked])
            losses[group] = loss
        whole = losses.pop(ALL)
        return whole + 0.5 * torch.stack(list(losses.values())).mean()

    def _levels(self, mean: float, std: float | None) -> list[float]:
        if self.soft_levels:
            return self.scale.level_distribution(mean, std)
        nearest = self.scale.nearest_level(mean)
        return [float(level == nearest) for level in range(len(self.scale.level_scores))]

    def damage_loss(self, logits: dict[str, torch.Tensor], rows: list[dict[str, Any]]) -> torch.Tensor:
        """How far the readings of damaged views are from falling by [`FALLS`] of what they should, beside the same photos whole.

        What differs from photo to photo cancels out, so that this is learned from far fewer of them.
        """
        pairs, questions, falls = [], [], []
        for index, row in enumerate(rows):
            for question, fall in row.get("falls", {}).items():
                if fall > LEAST_FALL:
                    pairs.append((rows.index(row["undamaged"]), index))
                    questions.append(self.head(row, question))
                    falls.append(FALLS * fall)
        if not pairs:
            return logits[ALL].sum() * 0
        before, after = torch.tensor(pairs).T
        losses = {}
        for group, values in logits.items():
            means = values.softmax(-1) @ self.scores  # [B, questions]
            losses[group] = (torch.tensor(falls) - (means[before, questions] - means[after, questions])).relu().mean()
        whole = losses.pop(ALL)
        return DAMAGE_WEIGHT * (whole + 0.5 * torch.stack(list(losses.values())).mean())

    def train(
        self,
        rows: list[dict[str, Any]],
        learning_rate: float,
        tower_learning_rate: float | None = None,
        beside: Callable[[], torch.Tensor] | None = None,
        groups: Sequence[str] = TOKEN_GROUPS,
    ) -> None:
        """One pass over the rows, in their order.

        The tower learns where it is given a rate, and of the alignment module what gives the `groups`. `beside` is one more loss.
        """
        self.projector.requires_grad_(False)
        of_groups = [self.projector.thematic if group == "thematic" else self.projector.qformers[group] for group in groups]
        learning = [weight.requires_grad_() for part in of_groups for weight in part.parameters()]
        parts = [([*learning, *self.heads.parameters(), *self.describe.parameters()], learning_rate)]
        self.tower.requires_grad_(False)
        if tower_learning_rate is not None:
            # depthwise kernels hold 6% of the weights and a quarter of a step's time
            tuned = [
                weight for name, weight in self.tower.named_parameters() if not name.startswith(FIXED) and "depthwise" not in name
            ]
            parts.append(([weight.requires_grad_() for weight in tuned], tower_learning_rate))
        self.projector.train()
        self._train(rows, parts, self.loss, beside)

    def train_heads(
        self,
        rows: list[dict[str, Any]],
        learning_rate: float,
        read_tokens: Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]],
    ) -> None:
        """Trains the heads alone, on the tokens that `read_tokens` gives of rows, as [`RatingHeads.train`] does."""

        def loss(batch: list[dict[str, Any]]) -> torch.Tensor:
            tokens = {group: values.float().to(device()) for group, values in read_tokens(batch).items()}
            logits = self.heads(tokens)
            return self.rating_loss(logits, batch) + self.damage_loss(logits, batch)

        self._train(rows, [(list(self.heads.parameters()), learning_rate)], loss)

    def _train(
        self,
        rows: list[dict[str, Any]],
        parts: Sequence[tuple[list[nn.Parameter], float]],
        batch_loss: Callable[[list[dict[str, Any]]], torch.Tensor],
        beside: Callable[[], torch.Tensor] | None = None,
    ) -> None:
        """One pass over the rows; parts are weights, each with its rate."""
        start = time.monotonic()
        weights = [weight for part, _ in parts for weight in part]
        optimizer = torch.optim.AdamW([{"params": part} for part, _ in parts], weight_decay=0.01, fused=True)
        batches = [rows[first : first + BATCH_SIZE] for first in range(0, len(rows) - BATCH_SIZE + 1, BATCH_SIZE)]
        if not batches:
            return
        rates = [rate for _, rate in parts]
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=len(batches), pct_start=0.1)
        for step, batch in enumerate(batches):
            loss = batch_loss(batch)
            loss.backward()
            if beside is not None:
                beside().backward()
            take_step(weights, optimizer, schedule)
            if step % 50 == 0:
                logger.info("step %d of %d, %.0f s, loss %.3f", step, len(batches), time.monotonic() - start, loss.item())

    @torch.no_grad()
    def round_tower(self) -> None:
        """To bf16, as it will be stored."""
        for weight in self.tower.state_dict().values():
            weight.copy_(weight.bfloat16())

    @torch.inference_mode()
    def shares(self, tokens: Mapping[str, torch.Tensor], rows: Sequence[Mapping[str, Any]]) -> torch.Tensor:
        """What all groups together read in the tokens of rows: [B, questions, levels]."""
        logits = self.heads({group: values.float().to(device()) for group, values in tokens.items()})[ALL]
        return self._asked(logits, rows).softmax(-1)

    @torch.inference_mode()
    def means(self, rows: list[dict[str, Any]]) -> torch.Tensor:
        """What all groups together rate the rows' photos: [N, questions]."""
        self.projector.eval()
        batches = [rows[first : first + BATCH_SIZE] for first in range(0, len(rows), BATCH_SIZE)]
        return torch.cat([self.shares(self.tokens(batch), batch) for batch in batches]) @ self.scores

    @torch.inference_mode()
    def correlations(self, rows: list[dict[str, Any]], question: str) -> dict[str, float]:
        """SRCC of each group's reading of a question with the rows' labels."""
        self.projector.eval()
        number = self.questions.index(question)
        parts = []
        for first in range(0, len(rows), BATCH_SIZE):
            batch = rows[first : first + BATCH_SIZE]
            logits = self.heads(self.tokens(batch))
            parts.append({name: self._asked(values, batch)[:, number] for name, values in logits.items()})
        labels = [ratings_of(row)[question][0] for row in rows]
        return {
            group: rank_correlation((torch.cat([part[group] for part in parts]).softmax(-1) @ self.scores).numpy(), labels)
            for group in parts[0]
        }

    def _asked(self, logits: torch.Tensor, rows: Sequence[Mapping[str, Any]]) -> torch.Tensor:
        """Of all heads' logits [B, heads, levels] those that answer the questions of each row: [B, questions, levels]."""
        places = torch.tensor([[self.head(row, question) for question in self.questions] for row in rows])
        return logits.take_along_dim(places[..., None], dim=1)


def ratings_of(row: dict[str, Any]) -> dict[str, tuple[float, float | None]]:
    """Mean and spread by question: a row may hold many, or be of one question."""
    return row["ratings"] if "ratings" in row else {row["question"]: (row["mean"], row["std"])}


def principal_components(features: np.ndarray) -> np.ndarray:
    """The first [`COMPONENTS`] principal components of standardised features [N, F], each of variance 1: [N, COMPONENTS]."""
    standard = (features - features.mean(0)) / (features.std(0) + 1e-6)
    _, directions = np.linalg.eigh(standard.T @ standard)  # the largest last
    parts = standard @ directions[:, -COMPONENTS:]
    return (parts / parts.std(0)).astype(np.float32)
