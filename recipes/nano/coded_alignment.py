"""Teaches nano's alignment module the codes that its language model was taught to read (`coded_pretext_samples.py`).

The pretext samples are those of `align.yaml`, but no word is generated, and of a photo that is shown as it is all attributes of
the level are asked at once: each one's token must lie near the words of its bin, the change between two photos near the direction
of the edit and of no other, what a photo shows near its words. A step costs a fraction of one through the language model, which
is why this is no [`AestheticAlignmentTrainer`].
"""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.pretext.phrase_bank import BINS, PhraseBank
from aesthetic_mllm.pretext.pretext_samples import LEVELS
from aesthetic_mllm.trainers.pretext_cache import CachedSample, PretextCache
from aesthetic_mllm.trainers.recipes import cache_pretext_samples, load_model, open_pretext_samples, read_recipe

from .codebook import EDIT_UNITS, Codebook, question_name
from .devices import device, half_precision
from .features import CANVAS
from .measuring import read_bins
from .steps import take_step
from .unaligned import UNALIGNED, pool_overrides

logger = logging.getLogger(__name__)

BATCH_SIZE = 64
ALIGNED = "aligned"
ALIGN_RECIPE = Path(__file__).with_name("align.yaml")
HELD_OUT = 320  # photos, for the log; at most a tenth
SHARPNESS = 4.0  # of the choice between bins, by squared distance in units of a word embedding's squared length
OWN_EDIT_WEIGHT = 8.0  # of the edit that was made, beside each that was not; most of a level's were not
# A change from a photo to its mirror image and back would be one direction and its opposite, but is one edit.
UNCODED = ("flip",)
# What a mirrored photo has more of where the photo has less.
TURNED = ("subject_x", "tilt")
TURNED_EDITS = ("tilt", "subject_shift")
MIRRORED_SHARE = 0.5  # of the pretext samples


class CodeLoss(nn.Module):
    """How far visual tokens are from the codes of their pretext samples.

    Args:
        book: the codes, whose attributes and edits the pretext samples are about.

    Inputs:
        sample: one pretext sample.
        bins: of all attributes of its photo, by name; `None` where they are not known.
        tokens: [n, N, D] of its n photos, of its own level.

    Returns:
        A scalar; and for the log what was asked, with whether it was read right.
    """

    def __init__(self, book: Codebook):
        super().__init__()
        self.book = book
        self.square = book.unit**2  # of each direction's length
        self.edits = {level: [name for name in names if name not in UNCODED] for level, names in book.vocabulary.edits.items()}
        self.directions = {level: book.directions(names) for level, names in self.edits.items() if names}  # [edits, D]
        # of the space that edits and ratings span, for what lies in it says nothing of attributes
        ratings = [question_name(key) for key in book.processor.rating_scale.questions]
        self.spans = {
            level: torch.linalg.qr(book.directions([*self.edits[level], *ratings]).T)[0] for level in LEVELS
        }  # [D, edits + questions]
        self.places = {level: [book.edit_place(name, level) for name in names] for level, names in self.edits.items()}
        self.bins = {
            level: torch.stack([book.key(name) + book.bins(name) for name in names])
            for level, names in book.vocabulary.attributes.items()
        }  # [attributes, BINS, D]
        for level, codes in self.bins.items():
            self.bins[level] = codes - codes @ self.spans[level] @ self.spans[level].T

    def forward(
        self, sample: CachedSample, bins: Mapping[str, int] | None, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, list[tuple[str, bool]]]:
        pretext_sample = sample.pretext_sample
        if pretext_sample.kind == "altered":
            return self.altered(pretext_sample.level, pretext_sample.subject, float(pretext_sample.signed_strength or 0), tokens)
        loss, found = self.measured(
            pretext_sample.level, bins or {pretext_sample.subject: int(pretext_sample.bin or 0)}, tokens[0]
        )
        if pretext_sample.kind == "content":
            loss = loss + self.content(pretext_sample.level, pretext_sample.label.removeprefix("content:"), tokens[0])
        return loss, found

    def measured(self, level: str, bins: Mapping[str, int], tokens: torch.Tensor) -> tuple[torch.Tensor, list[tuple[str, bool]]]:
        """Tokens [N, D] of one photo: each attribute's own must be near its bin's code, and nearer than to other bins'.

        What lies in the directions of edits and ratings is free.
        """
        known = [number for number, name in enumerate(self.book.vocabulary.attributes[level]) if name in bins]
        if not known:
            return tokens.sum() * 0, []
        distances = self.distances(level, tokens)[known]  # [known, BINS]
        wanted = torch.tensor([bins[self.book.vocabulary.attributes[level][number]] for number in known])
        loss = distances.gather(1, wanted[:, None]).mean() + F.cross_entropy(-SHARPNESS * distances, wanted)
        return loss, [(f"{level} measured", right) for right in (distances.argmin(1) == wanted).tolist()]

    def distances(self, level: str, tokens: torch.Tensor) -> torch.Tensor:
        """Of tokens [N, D] of one photo, each attribute's own: how far it is from the codes of its bins, [attributes, BINS].

        Squared, in units of a word embedding's squared length.
        """
        own = tokens[: len(self.bins[level])]
        away = (own - own @ self.spans[level] @ self.spans[level].T)[:, None] - self.bins[level]  # [attributes, BINS, D]
        return away.square().sum(2) / self.book.length**2

    def chances(self, level: str, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """What tokens [N, D] of one photo tell of each attribute of their level: the chances of its bins, [BINS]."""
        chances = (-SHARPNESS * self.distances(level, tokens)).softmax(1)
        return dict(zip(self.book.vocabulary.attributes[level], chances, strict=True))

    def altered(
        self, level: str, edit: str, strength: float, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, list[tuple[str, bool]]]:
        """Tokens [2, N, D]: along each edit's direction the change must be what was done."""
        if edit in UNCODED:
            return tokens.sum() * 0, []
        change = (tokens[1] - tokens[0])[self.places[level]]  # [edits, D]
        done = (change * self.directions[level]).sum(1) / self.square
        wanted, weight = torch.zeros_like(done), torch.ones_like(done)
        own = self.edits[level].index(edit)
        wanted[own], weight[own] = EDIT_UNITS * strength, OWN_EDIT_WEIGHT
        loss = (F.huber_loss(done, wanted, reduction="none") * weight).sum() / OWN_EDIT_WEIGHT
        loss = loss + F.cross_entropy(done.abs()[None], torch.tensor([own]))
        return loss, [(f"{level} altered", int(done.abs().argmax()) == own and bool(done[own] * strength > 0))]

    def content(self, level: str, label: str, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens [N, D] of one photo: those that attributes leave say what it shows."""
        first = len(self.book.vocabulary.attributes[level])
        words = self.book.embedding[self.book.encode(label)][: len(tokens) - first]
        away = tokens[first : first + len(words)] - words
        return away.square().sum(1).mean() / self.book.length**2


def mirrored(sample: CachedSample, bins: Mapping[str, int] | None) -> tuple[CachedSample, Mapping[str, int] | None]:
    """The pretext sample of the mirrored photos: what the tower sees in them is taken to be the mirror image of what it saw."""
    maps = sample.feature_maps.clone()
    stride = CANVAS // maps.shape[2]
    for number, (_, width) in enumerate(sample.image_sizes.tolist()):
        columns = -(-width // stride)
        maps[number, :, :columns] = maps[number, :, :columns].flip(1)
    pretext_sample = sample.pretext_sample
    if pretext_sample.subject in TURNED_EDITS and pretext_sample.kind == "altered":
        pretext_sample = replace(pretext_sample, signed_strength=-float(pretext_sample.signed_strength or 0))
    if pretext_sample.kind == "measured" and pretext_sample.subject in TURNED:
        pretext_sample = replace(pretext_sample, bin=BINS - 1 - int(pretext_sample.bin or 0))
    return replace(sample, pretext_sample=pretext_sample, feature_maps=maps), bins and mirrored_bins(bins)


def mirrored_bins(bins: Mapping[str, int]) -> dict[str, int]:
    """Those of the mirrored photo."""
    return {name: BINS - 1 - bin if name in TURNED else bin for name, bin in bins.items()}


class MeasuredPretextSamples(Dataset):
    """The pretext samples of a cache, each with the bins of all its photo's attributes where they are known."""

    def __init__(self, pretext_samples: PretextCache, bins: Mapping[str, Mapping[str, int]]):
        self.pretext_samples, self.bins = pretext_samples, bins
        self.keys: list[str] = pretext_samples.pretext_samples.pool["key"][:]

    def __len__(self) -> int:
        return len(self.pretext_samples)

    def __getitem__(self, index: int) -> tuple[CachedSample, Mapping[str, int] | None]:
        return self.pretext_samples[index], self.bins.get(self.keys[index % len(self.keys)])


class CodedAlignment:
    """The alignment module of a model while it learns codes; the rest of the model is not used.

    Args:
        levels: whose pretext samples teach it.
    """

    def __init__(self, projector: nn.Module, book: Codebook, canvas: int, levels: Sequence[str] = LEVELS):
        self.projector, self.canvas, self.levels = projector.to(device()), (canvas, canvas), levels
        self.loss = CodeLoss(book)

    def losses(
        self, batch: Sequence[tuple[CachedSample, Mapping[str, int] | None]]
    ) -> tuple[torch.Tensor, dict[str, list[bool]]]:
        """Mean loss of a batch, and by level and kind which pretext samples were read right; some are of a taught level."""
        losses: list[torch.Tensor] = []
        right: dict[str, list[bool]] = {}
        for level in self.levels:
            own = [(sample, bins) for sample, bins in batch if sample.pretext_sample.level == level]
            if not own:
                continue
            maps, sizes = (torch.cat([getattr(sample, name) for sample, _ in own]) for name in ("feature_maps", "image_sizes"))
            with half_precision():
                tokens = self.projector({level: maps.to(device())}, sizes.to(device()), self.canvas)[level].float().cpu()
            parts = tokens.split([len(sample.feature_maps) for sample, _ in own])
            for (sample, bins), seen in zip(own, parts, strict=True):
                loss, found = self.loss(sample, bins, seen)
                losses.append(loss)
                for name, read in found:
                    right.setdefault(name, []).append(read)
        return torch.stack(losses).mean(), right

    def train(self, caches: Sequence[MeasuredPretextSamples], epochs: int, learning_rate: float, most: int | None = None) -> None:
        """Trains the alignment module, in place; pretext samples of the last [`HELD_OUT`] photos are only looked at.

        Args:
            most: learn from so many pretext samples at most, drawn at random.
        """
        learned, held_out = [], []
        for pretext_samples in caches:
            photos = len(pretext_samples.keys)
            kept = photos - min(HELD_OUT, photos // 10)
            shown = [number % photos < kept for number in range(len(pretext_samples))]
            learned.append(Subset(pretext_samples, [number for number, is_shown in enumerate(shown) if is_shown]))
            held_out.append(Subset(pretext_samples, [number for number, is_shown in enumerate(shown) if not is_shown]))
        shown_samples: Dataset = ConcatDataset(learned)
        if most is not None:
            total = sum(map(len, learned))
            shown_samples = Subset(shown_samples, random.sample(range(total), min(most, total)))
        loader = DataLoader(shown_samples, BATCH_SIZE, shuffle=True, drop_last=True, num_workers=1, collate_fn=list)
        optimizer = torch.optim.AdamW(self.projector.parameters(), learning_rate, weight_decay=0.01, fused=True)
        steps = epochs * len(loader)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
        start, step = time.monotonic(), 0
        for _ in range(epochs):
            self.projector.train()
            for batch in filter(self._teaches, loader):
                loss, _ = self.losses([mirrored(*one) if random.random() < MIRRORED_SHARE else one for one in batch])
                loss.backward()
                take_step(self.projector.parameters(), optimizer, schedule)
                if step % 50 == 0:
                    logger.info("step %d of %d, %.0f s, loss %.3f", step, steps, time.monotonic() - start, loss.item())
                step += 1
            logger.info(
                "held-out pretext samples: %s", self.evaluate(DataLoader(ConcatDataset(held_out), BATCH_SIZE, collate_fn=list))
            )

    def _teaches(self, batch: Sequence[tuple[CachedSample, Mapping[str, int] | None]]) -> bool:
        return any(sample.pretext_sample.level in self.levels for sample, _ in batch)

    @torch.no_grad()
    def evaluate(self, loader: DataLoader) -> dict[str, float]:
        """Loss, and by level and kind the share of what is asked whose nearest code is right: bin, or edit with direction."""
        self.projector.eval()
        losses: list[float] = []
        right: dict[str, list[bool]] = {}
        for batch in filter(self._teaches, loader):
            loss, found = self.losses(batch)
            losses.append(loss.item())
            for name, values in found.items():
                right.setdefault(name, []).extend(values)
        shares = {name: round(sum(values) / len(values), 3) for name, values in right.items()}
        return {"loss": round(sum(losses) / len(losses), 3)} | shares


def open_caches(data: Path, work: Path, model: str, seed: int) -> list[MeasuredPretextSamples]:
    """The pretext samples of `align.yaml`, and as many more of composition, which is harder to see.

    The tower sees them now where it has not yet.

    Args:
        model: folder below WORK of the checkpoint whose tower sees them.
    """
    recipe, config = read_recipe(ALIGN_RECIPE, pool_overrides(data, work, model, seed))
    seeing, processor = load_model(recipe)
    more = replace(recipe, levels=["middle"], feature_cache=f"{recipe.feature_cache}_middle")
    caches = []
    for number, part in enumerate((recipe, more)):
        own = copy(config)
        own.seed = config.seed + number  # of photos that both draw for, other pretext samples
        with half_precision():  # half the time, as in features.py
            pretext_samples = cache_pretext_samples(part, own, open_pretext_samples(part, own), seeing, processor)
        caches.append(MeasuredPretextSamples(pretext_samples.dataset, read_bins(work)))
    return caches


def align_codes(data: Path, work: Path, epochs: int, learning_rate: float, seed: int) -> None:
    """From WORK/unaligned to WORK/aligned."""
    model = AestheticMLLMForConditionalGeneration.from_pretrained(work / UNALIGNED, dtype=torch.float32)
    processor = AestheticMLLMProcessor.from_pretrained(work / UNALIGNED)
    book = Codebook.load(work, processor, PhraseBank())
    caches = open_caches(data, work, UNALIGNED, seed)
    alignment = CodedAlignment(model.model.multi_modal_projector, book, processor.image_processor.canvas_size)
    alignment.train(caches, epochs, learning_rate)
    model.save_pretrained(work / ALIGNED)
    processor.save_pretrained(work / ALIGNED)
