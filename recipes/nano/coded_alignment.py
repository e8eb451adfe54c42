"""Teaches nano's alignment module the codes that its language model was taught to read (`coded_lessons.py`).

    python recipes/nano/coded_alignment.py --work build/nano data=[DATA/biq2021,DATA/photos_unlabeled]

The lessons are those of `align.yaml`, from the same cache, but no word is generated, and of a photo that is shown as it is all
attributes of the level are asked at once: each one's token must lie near the words of its bin, the change between two photos
near the direction of the edit and of no other, what a photo shows near its words. A step costs a fraction of one through the
language model; the alignment that follows starts from here.
"""

import argparse
import json
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from transformers import LlamaForCausalLM

from aesthetic_mllm.editing.measurements import measure
from aesthetic_mllm.pretext.lesson_dataset import load_photo
from aesthetic_mllm.pretext.lessons import LEVELS, LessonMaker
from aesthetic_mllm.pretext.photo_pool import photo_source
from aesthetic_mllm.processing.image_loading import ImageError
from aesthetic_mllm.trainers.lesson_cache import LessonCache, SeenSample
from aesthetic_mllm.trainers.precision import has_bfloat16
from aesthetic_mllm.trainers.recipes import load_model, open_lessons, read_recipe, see_lessons
from coded_lessons import EDIT_UNITS, Codebook

logger = logging.getLogger("nano.coded_alignment")

BATCH_SIZE = 64
LEARNING_RATE = 1e-3
EPOCHS = 6
MEASURED = "measured.json"
HELD_OUT = 320  # photos, for the log
SHARPNESS = 4.0  # of the choice between bins, by squared distance in units of a word embedding's squared length
OWN_EDIT_WEIGHT = 8.0  # of the edit that was made, beside each that was not; most of a level's were not
# A change from a photo to its mirror image and back would be one direction and its opposite, but is one edit.
UNCODED = ("flip",)


class CodeLoss(nn.Module):
    """How far visual tokens are from the codes of their lessons.

    Args:
        book: the codes, whose attributes and edits the lessons are about.

    Inputs:
        sample: one lesson.
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
        self.directions = {
            level: torch.stack([book.directions[name] for name in names]) for level, names in self.edits.items() if names
        }  # [edits, D]
        self.places = {
            level: [book.vocabulary.edits[level].index(name) % book.counts[level] for name in names]
            for level, names in self.edits.items()
        }

    def forward(
        self, sample: SeenSample, bins: Mapping[str, int] | None, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, list[tuple[str, bool]]]:
        lesson = sample.lesson
        if lesson.kind == "altered":
            return self.altered(lesson.level, lesson.subject, float(lesson.signed_strength or 0), tokens)
        loss, found = self.measured(lesson.level, bins or {lesson.subject: int(lesson.bin or 0)}, tokens[0])
        if lesson.kind == "content":
            loss = loss + self.content(lesson.level, lesson.label.removeprefix("content:"), tokens[0])
        return loss, found

    def measured(self, level: str, bins: Mapping[str, int], tokens: torch.Tensor) -> tuple[torch.Tensor, list[tuple[str, bool]]]:
        """Tokens [N, D] of one photo: each attribute's own must be near its bin's words, and nearer than to other bins'.

        What lies in the directions of edits is free. A token that several attributes share holds the sum of their words.
        """
        known = [(number, name) for number, name in enumerate(self.book.vocabulary.attributes[level]) if name in bins]
        words = torch.zeros_like(tokens)
        for number, name in known:
            words[number % len(tokens)] += self.book.bins[name][bins[name]]
        away = tokens - words
        losses, found = [], []
        for number, name in known:
            # the others' words taken off
            rest = away[number % len(tokens)] + self.book.bins[name][bins[name]]
            difference = rest - self.book.bins[name]  # [BINS, D]
            if level in self.directions:
                own = self.directions[level]
                difference = difference - difference @ own.T @ own / self.square
            distances = difference.square().sum(1) / self.book.length**2  # [BINS]
            wanted = torch.tensor(bins[name])
            losses.append(distances[wanted] + F.cross_entropy(-SHARPNESS * distances, wanted))
            found.append((f"{level} measured", int(distances.argmin()) == bins[name]))
        return torch.stack(losses).mean() if losses else tokens.sum() * 0, found

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


class MeasuredLessons(Dataset):
    """The lessons of a cache, each with the bins of all its photo's attributes where they are known."""

    def __init__(self, lessons: LessonCache, bins: Mapping[str, Mapping[str, int]]):
        self.lessons, self.bins = lessons, bins
        self.keys: list[str] = lessons.lessons.pool["key"][:]

    def __len__(self) -> int:
        return len(self.lessons)

    def __getitem__(self, index: int) -> tuple[SeenSample, Mapping[str, int] | None]:
        return self.lessons[index], self.bins.get(self.keys[index % len(self.keys)])


def measured_bins(lessons: LessonCache, path: Path) -> dict[str, dict[str, int]]:
    """The bin of every attribute of each photo of the pool, by key; kept in a file, for measuring takes its time."""
    if not path.exists():
        pool = lessons.lessons.pool
        with ProcessPoolExecutor() as workers:
            found = workers.map(partial(_bins, lessons.maker), (photo_source(row["image"]) for row in pool), chunksize=32)
            path.write_text(json.dumps({key: bins for key, bins in zip(pool["key"], found, strict=True) if bins}))
    known: dict[str, dict[str, int]] = json.loads(path.read_text())
    return known


def _bins(maker: LessonMaker, source: Any) -> dict[str, int]:
    try:
        values = measure(load_photo(source), list(maker.bank.attributes))
    except ImageError:
        return {}
    return {name: maker.statistics.bin(name, value) for name, value in values.items()}


class CodedAlignment:
    """The alignment module of a model while it learns codes; the rest of the model is not used."""

    def __init__(self, projector: nn.Module, book: Codebook, canvas: int):
        self.projector, self.canvas = projector, (canvas, canvas)
        self.loss = CodeLoss(book)

    def losses(self, batch: Sequence[tuple[SeenSample, Mapping[str, int] | None]]) -> tuple[torch.Tensor, dict[str, list[bool]]]:
        """Mean loss of a batch, and by level and kind which lessons were read right."""
        losses: list[torch.Tensor] = []
        right: dict[str, list[bool]] = {}
        for level in LEVELS:
            own = [(sample, bins) for sample, bins in batch if sample.lesson.level == level]
            if not own:
                continue
            maps, sizes = (torch.cat([getattr(sample, name) for sample, _ in own]) for name in ("feature_maps", "image_sizes"))
            with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
                tokens = self.projector({level: maps}, sizes, self.canvas)[level].float()
            parts = tokens.split([len(sample.feature_maps) for sample, _ in own])
            for (sample, bins), seen in zip(own, parts, strict=True):
                loss, found = self.loss(sample, bins, seen)
                losses.append(loss)
                for name, read in found:
                    right.setdefault(name, []).append(read)
        return torch.stack(losses).mean(), right

    def train(self, lessons: MeasuredLessons, epochs: int) -> None:
        """Trains the alignment module, in place; lessons of the last [`HELD_OUT`] photos are only looked at."""
        photos = len(lessons.keys)
        numbers: dict[bool, list[int]] = {True: [], False: []}
        for number in range(len(lessons)):
            numbers[number % photos < photos - HELD_OUT].append(number)
        learned, held_out = Subset(lessons, numbers[True]), Subset(lessons, numbers[False])
        loader = DataLoader(learned, BATCH_SIZE, shuffle=True, drop_last=True, num_workers=1, collate_fn=list)
        optimizer = torch.optim.AdamW(self.projector.parameters(), LEARNING_RATE, weight_decay=0.01, fused=True)
        steps = epochs * len(loader)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
        start, step = time.monotonic(), 0
        for _ in range(epochs):
            self.projector.train()
            for batch in loader:
                loss, _ = self.losses(batch)
                loss.backward()
                nn.utils.clip_grad_norm_(self.projector.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                schedule.step()
                if step % 50 == 0:
                    logger.info("step %d of %d, %.0f s, loss %.3f", step, steps, time.monotonic() - start, loss.item())
                step += 1
            logger.info("held-out lessons: %s", self.examine(DataLoader(held_out, BATCH_SIZE, collate_fn=list)))

    @torch.no_grad()
    def examine(self, loader: DataLoader) -> dict[str, float]:
        """Loss, and by level and kind the share of what is asked whose nearest code is right: bin, or edit with direction."""
        self.projector.eval()
        losses: list[float] = []
        right: dict[str, list[bool]] = {}
        for batch in loader:
            loss, found = self.losses(batch)
            losses.append(loss.item())
            for name, values in found.items():
                right.setdefault(name, []).extend(values)
        shares = {name: round(sum(values) / len(values), 3) for name, values in right.items()}
        return {"loss": round(sum(losses) / len(losses), 3)} | shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("align.yaml"))
    parser.add_argument("--model", default="build/nano/unaligned")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("overrides", nargs="*", help="key=value, as of `aesthetic-mllm train align`")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe, config = read_recipe(arguments.config, [f"model={arguments.model}", *arguments.overrides])
    model, processor = load_model(recipe)
    lessons = see_lessons(recipe, config, open_lessons(recipe, config), model, processor)
    # what it was taught with; its own have moved since
    taught = LlamaForCausalLM.from_pretrained(arguments.work / "language", dtype=torch.float32).get_input_embeddings().weight
    book = Codebook(taught, processor, lessons.bank)
    torch.manual_seed(config.seed)
    measured = MeasuredLessons(lessons.dataset, measured_bins(lessons.dataset, arguments.work / MEASURED))
    CodedAlignment(model.model.multi_modal_projector, book, processor.image_processor.canvas_size).train(
        measured, arguments.epochs
    )
    model.save_pretrained(arguments.work / "coded")
    processor.save_pretrained(arguments.work / "coded")


if __name__ == "__main__":
    main()
