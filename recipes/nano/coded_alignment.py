"""Teaches nano's alignment module the codes that its language model was taught to read (`coded_lessons.py`).

    python recipes/nano/coded_alignment.py --work build/nano data=[DATA/biq2021,DATA/photos_unlabeled]

The lessons are those of `align.yaml`, from the same cache, but no word is generated: a token of a measured attribute must lie
near the words of its bin, the change between two photos near the direction of the edit and of no other, what a photo shows near
its words. A step costs a fraction of one through the language model; the alignment that follows starts from here.
"""

import argparse
import logging
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Subset
from transformers import LlamaForCausalLM

from aesthetic_mllm.pretext.lessons import LEVELS
from aesthetic_mllm.trainers.lesson_cache import LessonCache, SeenSample
from aesthetic_mllm.trainers.precision import has_bfloat16
from aesthetic_mllm.trainers.recipes import load_model, open_lessons, read_recipe, see_lessons
from coded_lessons import EDIT_UNITS, Codebook

logger = logging.getLogger("nano.coded_alignment")

BATCH_SIZE = 64
LEARNING_RATE = 1e-3
EPOCHS = 4
HELD_OUT = 320  # photos, for the log
OWN_EDIT_WEIGHT = 8.0  # of the edit that was made, beside each that was not; most of a level's were not
# A change from a photo to its mirror image and back would be one direction and its opposite, but is one edit.
UNCODED = ("flip",)


class CodeLoss(nn.Module):
    """How far visual tokens are from the codes of their lessons.

    Args:
        book: the codes, whose attributes and edits the lessons are about.

    Inputs:
        sample: one lesson.
        tokens: [n, N, D] of its n photos, of its own level.

    Returns:
        A scalar, 0 for a perfect code; and what was read, for the log: whether it was right, or `None`.
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

    def forward(self, sample: SeenSample, tokens: torch.Tensor) -> tuple[torch.Tensor, bool | None]:
        lesson = sample.lesson
        if lesson.kind == "measured":
            return self.measured(lesson.level, lesson.subject, int(lesson.bin or 0), tokens[-1])
        if lesson.kind == "altered":
            return self.altered(lesson.level, lesson.subject, float(lesson.signed_strength or 0), tokens)
        return self.content(lesson.level, lesson.label.removeprefix("content:"), tokens[-1]), None

    def measured(self, level: str, attribute: str, bin: int, tokens: torch.Tensor) -> tuple[torch.Tensor, bool]:
        """Tokens [N, D] of one photo; what lies in the directions of edits is free."""
        number = self.book.vocabulary.attributes[level].index(attribute) % len(tokens)
        away = tokens[number] - self.book.bins[attribute]  # [BINS, D]
        if level in self.directions:
            own = self.directions[level]
            away = away - away @ own.T @ own / self.square
        distances = away.square().sum(1) / self.book.length**2
        return distances[bin], int(distances.argmin()) == bin

    def altered(self, level: str, edit: str, strength: float, tokens: torch.Tensor) -> tuple[torch.Tensor, bool | None]:
        """Tokens [2, N, D]: along each edit's direction the change must be what was done."""
        if edit in UNCODED:
            return tokens.sum() * 0, None
        change = (tokens[1] - tokens[0])[self.places[level]]  # [edits, D]
        done = (change * self.directions[level]).sum(1) / self.square
        wanted, weight = torch.zeros_like(done), torch.ones_like(done)
        own = self.edits[level].index(edit)
        wanted[own], weight[own] = EDIT_UNITS * strength, OWN_EDIT_WEIGHT
        loss = F.huber_loss(done, wanted, reduction="none") * weight
        return loss.sum() / OWN_EDIT_WEIGHT, int(done.abs().argmax()) == own and bool(done[own] * strength > 0)

    def content(self, level: str, label: str, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens [N, D] of one photo: those that attributes leave say what it shows."""
        first = len(self.book.vocabulary.attributes[level])
        words = self.book.embedding[self.book.encode(label)][: len(tokens) - first]
        away = tokens[first : first + len(words)] - words
        return away.square().sum(1).mean() / self.book.length**2


class CodedAlignment:
    """The alignment module of a model while it learns codes; the rest of the model is not used."""

    def __init__(self, projector: nn.Module, book: Codebook, canvas: int):
        self.projector, self.canvas = projector, (canvas, canvas)
        self.loss = CodeLoss(book)

    def losses(self, samples: list[SeenSample]) -> tuple[torch.Tensor, dict[str, list[bool]]]:
        """Mean loss of a batch, and by level and kind which lessons were read right."""
        losses: list[torch.Tensor] = []
        right: dict[str, list[bool]] = {}
        for level in LEVELS:
            own = [sample for sample in samples if sample.lesson.level == level]
            if not own:
                continue
            maps, sizes = (torch.cat([getattr(sample, name) for sample in own]) for name in ("feature_maps", "image_sizes"))
            with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
                tokens = self.projector({level: maps}, sizes, self.canvas)[level].float()
            for sample, seen in zip(own, tokens.split([len(sample.feature_maps) for sample in own]), strict=True):
                loss, read = self.loss(sample, seen)
                losses.append(loss)
                if read is not None:
                    right.setdefault(f"{level} {sample.lesson.kind}", []).append(read)
        return torch.stack(losses).mean(), right

    def train(self, lessons: LessonCache, epochs: int) -> None:
        """Trains the alignment module, in place; lessons of the last [`HELD_OUT`] photos are only looked at."""
        photos = len(lessons.lessons)
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
            for samples in loader:
                loss, _ = self.losses(samples)
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
        """Loss, and by level and kind the share of lessons whose nearest code is right: bin, or edit with its direction."""
        self.projector.eval()
        losses, right = [], {}
        for samples in loader:
            loss, found = self.losses(samples)
            losses.append(loss.item())
            for name, values in found.items():
                right.setdefault(name, []).extend(values)
        return {"loss": round(sum(losses) / len(losses), 3)} | {
            name: round(sum(values) / len(values), 3) for name, values in right.items()
        }


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
    CodedAlignment(model.model.multi_modal_projector, book, processor.image_processor.canvas_size).train(
        lessons.dataset, arguments.epochs
    )
    model.save_pretrained(arguments.work / "coded")
    processor.save_pretrained(arguments.work / "coded")


if __name__ == "__main__":
    main()
