"""Teaches nano's language model to read codes: lessons and ratings in which words stand in the photo's place.

    python recipes/nano/coded_lessons.py --work build/nano        # after language.py, before alignment

In a coded photo the visual tokens are embeddings of words, or lie between them: "rather dark" on its way to "medium", some of
"brighter" for what an edit did, a part of the way from "bad" to "excellent" in all of them. The language model learns to say what
such tokens mean, and by what two photos differ, before it has seen any photo. It is frozen after that, and the alignment module
has only to learn the codes. No photo and no rating is used.
"""

import argparse
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase

from aesthetic_mllm import AestheticMLLMImageProcessor, AestheticMLLMProcessor
from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.pretext.lessons import LEVELS, OPPOSITE, draw_amount
from aesthetic_mllm.pretext.phrase_bank import BINS, Cue, PhraseBank
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.lesson_collator import LessonVocabulary, lesson_prompt, pad_left
from aesthetic_mllm.trainers.precision import has_bfloat16
from features import CANVAS
from language import SEED, healing_texts, pack
from teacher import CLASS_NAMES, class_names, plain_labels
from weights import fetch

logger = logging.getLogger("nano.coded_lessons")

LEARNING_RATE = 8e-4
BATCH_SIZE = 28
TAUGHT = "taught_language"
CODES = "codes.safetensors"  # directions by name; a question's is named as in `question_name`
RATING_SHARE = 0.25  # of the rows; the others are lessons
LIST_SHARE = 0.5  # of the lessons: such as name everything at once
DESCRIBE, COMPARE = "Describe this photo.", "What are the differences?"
DIFFERENCES = 3
TEXT_EVERY = 8  # so often a batch of plain text, that language is not forgotten
# One unit of a direction, as a share of a word embedding's mean length. A strong edit has two.
UNIT = 0.5
EDIT_UNITS = 2.0
# Of what a photo is besides what is asked about, in units; it grows from the first to the second over most of the steps. What
# a single code says is learned soon, by what two codes differ only after that.
SPREAD = (0.1, 0.5)
GROWTH_SHARE = 0.6
PHRASE_WEIGHT = 5.0  # of the words that tell a lesson's answer; which of their many frames they stand in is chance
SEEN_TWICE = 0.1  # by how much edits and ratings differ between two views of what is the same, in units
ATTRIBUTES_MOVE = 0.5  # by how many bins an edit moves attributes: what makes a photo brighter also makes it less contrasty
TOKEN_NOISE = 0.3  # of each token beside the others of its photo, in units, over all directions together


def question_name(question: str) -> str:
    """Of the direction that answers a question of the rating scale."""
    return f"{question}?"


def rating_value(scale: RatingScale, mean: float) -> float:
    """A rating as the value of its direction: -2 for the worst, 2 for the best."""
    low, high = scale.score_range
    return 4 * (mean - low) / (high - low) - 2


@dataclass(frozen=True)
class CodedRow:
    """A prompt whose photos are codes.

    Args:
        prompt: with placeholders.
        codes: [P, D], one for each placeholder.
        answer: what is to be said; empty for a rating.
        phrases: the parts of it that tell the answer.
        levels: for a rating, the distribution over the level words that come next.
    """

    prompt: str
    codes: torch.Tensor
    answer: str = ""
    phrases: Sequence[str] = ()
    levels: Sequence[float] | None = None


class Codebook:
    """What visual tokens say in words: bins of attributes, edits, ratings, and what is to be seen.

    An attribute has its own token of a level's, which holds the embedding of its bin's words, or lies between those of two bins.
    An edit is a direction in that space, from its opposite's words to its own; so is a rating, from "bad" to "excellent". The
    directions are made orthogonal by the least change (Löwdin's symmetric way), so that none is mistaken for another.

    Args:
        embedding: [V, D] the language model's input embeddings.
        processor: whose tokenizer, rating scale and numbers of tokens are used.
        bank: whose attributes and edits can be told.
    """

    def __init__(self, embedding: torch.Tensor, processor: AestheticMLLMProcessor, bank: PhraseBank):
        self.embedding, self.processor = embedding.detach().clone(), processor
        self.length = self.embedding.norm(dim=1).mean()
        self.unit = UNIT * self.length
        self.counts = processor.num_group_tokens
        self.vocabulary = LessonVocabulary(bank)
        self.bins = {
            name: torch.stack([self.words(bin[:-1]) for bin in words["bins"]]) for name, words in bank.attributes.items()
        }  # [BINS, D]
        wanted = {}
        for name, directions in bank.edits.items():
            less = self.words(directions["less"][:-1]) if "less" in directions else 0
            wanted[name] = self.words(directions["more"][:-1]) - less
        scale = processor.rating_scale
        for key, question in scale.questions.items():
            wanted[question_name(key)] = (
                self.words([question.stem]) + self.words(scale.level_words[-1:]) - self.words(scale.level_words[:1])
            )
        left, _, right = torch.linalg.svd(F.normalize(torch.stack(list(wanted.values())), dim=1), full_matrices=False)
        self.directions = dict(zip(wanted, (left @ right * self.unit).unbind(), strict=True))  # [D] each

    def words(self, texts: Sequence[str]) -> torch.Tensor:
        """Mean embedding of the texts' words, as long as a word's embedding is: [D]."""
        ids = [token for text in texts for token in self.encode(text)]
        return F.normalize(self.embedding[ids].mean(0), dim=0) * self.length

    def tokens(
        self,
        group: str,
        attributes: Mapping[str, float],
        edits: Mapping[str, float],
        ratings: Mapping[str, float],
        content: str = "",
    ) -> torch.Tensor:
        """A photo's visual tokens of one group: [N, D].

        Args:
            attributes: of the group's level, values from -2 (lowest bin) to 2.
            edits: of the group's level, in units; a strong one has 2.
            ratings: by question, from -2 to 2.
            content: what the photo shows; its words' embeddings take the tokens that attributes leave.
        """
        count = self.counts[group]
        noise = torch.randn(count, self.embedding.shape[1])
        tokens = noise * (TOKEN_NOISE * self.unit / self.embedding.shape[1] ** 0.5)
        for number, (name, value) in enumerate(attributes.items()):
            place = min(max(value + (BINS - 1) / 2, 0.0), BINS - 1.0)
            below = min(int(place), BINS - 2)
            tokens[number % count] += torch.lerp(self.bins[name][below], self.bins[name][below + 1], place - below)
        for number, (name, value) in enumerate(edits.items()):
            tokens[number % count] += value * self.directions[name]
        if content:
            seen = self.embedding[self.encode(content)][: count - len(attributes)]
            tokens[len(attributes) : len(attributes) + len(seen)] += seen
        return tokens + sum(value * self.directions[question_name(key)] for key, value in ratings.items())

    def encode(self, text: str) -> list[int]:
        return self.processor.tokenizer.encode(f" {text.strip()}", add_special_tokens=False)


class CodedLessons:
    """Draws coded lessons and ratings at random.

    Args:
        book: the codes.
        bank: wordings.
        contents: what a photo may be said to show.
        seed: of everything drawn here; the tokens' noise comes from torch.
    """

    def __init__(self, book: Codebook, bank: PhraseBank, contents: Sequence[str], seed: int = SEED):
        self.book, self.bank, self.contents = book, bank, contents
        self.processor = book.processor
        self.rng = random.Random(seed)
        self.spread = SPREAD[-1]

    def row(self) -> CodedRow:
        """A lesson, or a rating in [`RATING_SHARE`] of the cases."""
        if self.rng.random() < RATING_SHARE:
            return self.rating()
        level = self.rng.choice(LEVELS)
        edits = self.book.vocabulary.edits[level]
        if self.rng.random() < LIST_SHARE:
            return self.differences(level) if edits and self.rng.random() < 0.5 else self.description(level)
        if edits and self.rng.random() < 0.6:
            return self.altered(level, self.rng.choice(edits))
        if level == "high" and self.rng.random() < 0.5:
            return self.content()
        return self.measured(level, self.rng.choice(self.book.vocabulary.attributes[level]))

    def description(self, level: str) -> CodedRow:
        """All attributes of a photo: many answers in one row, so that reading is learned sooner."""
        photo = self._photo(level)
        parts, said = [], []
        for name, value in self.rng.sample(list(photo["attributes"].items()), len(photo["attributes"])):
            words = self.bank.attributes[name]
            bin = min(max(round(value + (BINS - 1) / 2), 0), BINS - 1)
            said.append(self.rng.choice(words["bins"][bin][:-1]))
            parts.append(f"{self.rng.choice(words['names'][:-1])}: {said[-1]}")
        return self._row(level, [photo], DESCRIBE, "; ".join(parts) + ".", said)

    def differences(self, level: str) -> CodedRow:
        """All that several edits at once did to a photo."""
        before = self._photo(level)
        after = self._photo_after(before)
        names = self.rng.sample(list(before["edits"]), DIFFERENCES)
        said = []
        for name in names:
            directions = self.bank.edits[name]
            direction = self.rng.choice(list(directions))
            sign = 1 if direction == "more" else -1
            after["edits"][name] = before["edits"][name] + sign * self.rng.uniform(0.5, 1.2) * EDIT_UNITS
            said.append(self.rng.choice(directions[direction][:-1]))
        return self._row(level, [before, after], COMPARE, "The second photo is " + "; ".join(said) + ".", said)

    def measured(self, level: str, attribute: str) -> CodedRow:
        """How much of an attribute the photo has."""
        bin = self.rng.randrange(BINS)
        photo = self._photo(level)
        photo["attributes"][attribute] = bin - (BINS - 1) / 2 + self.rng.uniform(-0.4, 0.4)
        cue = self.bank.measured(attribute, bin, self.rng)
        return self._lesson(level, [photo], cue, self.bank.attributes[attribute]["bins"][bin])

    def altered(self, level: str, name: str) -> CodedRow:
        """In what a second photo differs from the first."""
        edit = EDITS[name]
        amount = draw_amount(edit, self.rng)
        verdict = edit.verdict(amount)
        if edit.less is not None and self.rng.random() < 0.5:
            amount, verdict = -amount, OPPOSITE[verdict]
        direction = "more" if amount >= 0 or edit.less is None else "less"
        cue = self.bank.altered(name, direction, edit.strength_word(amount), verdict, self.rng)
        before = self._photo(level)
        after = self._photo_after(before)
        after["edits"][name] = before["edits"][name] + EDIT_UNITS * amount / edit.strong
        return self._lesson(level, [before, after], cue, self.bank.edits[name][direction])

    def content(self) -> CodedRow:
        """What is to be seen."""
        label = self.rng.choice(self.contents)
        cue = self.bank.content(label, self.rng)
        return self._lesson("high", [self._photo("high") | {"content": label}], cue, [label])

    def rating(self, question: str | None = None, mean: float | None = None) -> CodedRow:
        """A rating from all groups of tokens; quality and beauty go together as little or as much as they like."""
        scale = self.processor.rating_scale
        question = question or self.rng.choice(list(scale.questions))
        low, high = scale.score_range
        mean = self.rng.uniform(low + 0.5, high - 0.5) if mean is None else mean
        values = {key: self.rng.uniform(-2, 2) for key in scale.questions} | {question: rating_value(scale, mean)}
        tokens = []
        for group in TOKEN_GROUPS:
            own = {key: value + self.rng.gauss(0, 0.2) for key, value in values.items()}  # groups need not agree
            tokens.append(self.book.tokens(group, **(self._photo(group) | {"ratings": own})))
        prompt = self.processor.rating_prompt(question).replace(self.processor.image_token, self.processor.image_placeholders())
        return CodedRow(prompt, torch.cat(tokens), levels=scale.level_distribution(mean, 1.0))

    def _photo(self, group: str) -> dict[str, Any]:
        """A random photo, as arguments of [`Codebook.tokens`]."""
        vocabulary = self.book.vocabulary
        return {
            "attributes": {name: self.rng.uniform(-2.4, 2.4) for name in vocabulary.attributes.get(group, ())},
            "edits": {name: self.rng.gauss(0, self.spread) for name in vocabulary.edits.get(group, ())},
            "ratings": {key: self.rng.gauss(0, self.spread) for key in self.processor.rating_scale.questions},
        }

    def _photo_after(self, before: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
        """The same photo after some edit: attributes may have moved with it, the rest is nearly the same."""
        moved = {"attributes": ATTRIBUTES_MOVE}
        return {
            part: {thing: value + self.rng.gauss(0, moved.get(part, SEEN_TWICE)) for thing, value in values.items()}
            for part, values in before.items()
        }

    def _lesson(self, level: str, photos: Sequence[Mapping[str, Any]], cue: Cue, phrases: Sequence[str]) -> CodedRow:
        said = max((phrase for phrase in phrases if phrase.lower() in cue.text.lower()), key=len)
        return self._row(level, photos, cue.question, cue.text, [said])

    def _row(
        self, level: str, photos: Sequence[Mapping[str, Any]], question: str, answer: str, phrases: Sequence[str]
    ) -> CodedRow:
        prompt = lesson_prompt(self.processor, question, (level,), len(photos))
        return CodedRow(prompt, torch.cat([self.book.tokens(level, **photo) for photo in photos]), answer, phrases)


def coded_loss(
    model: LlamaForCausalLM, processor: AestheticMLLMProcessor, rows: Sequence[CodedRow]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted next-token loss of the lessons' answers, and soft cross-entropy of the ratings' levels; 0 without any."""
    tokenizer: PreTrainedTokenizerBase = processor.tokenizer
    prompts = [tokenizer.encode(row.prompt, add_special_tokens=False) for row in rows]
    answers, weights = zip(*(_weighted_answer(tokenizer, row) for row in rows), strict=True)
    ids, mask = pad_left([prompt + answer for prompt, answer in zip(prompts, answers, strict=True)], tokenizer.pad_token_id)
    labels, _ = pad_left([[-100] * len(prompt) + answer for prompt, answer in zip(prompts, answers, strict=True)], -100)
    embeddings = model.get_input_embeddings()(ids)
    places = torch.isin(ids, torch.tensor(list(processor.group_token_ids.values())))
    embeddings = embeddings.masked_scatter(places[..., None], torch.cat([row.codes for row in rows]))
    kept = max(map(len, answers)) + 1
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
        logits = model(inputs_embeds=embeddings, attention_mask=mask, use_cache=False, logits_to_keep=kept).logits
    logits = logits.float()
    lesson_loss = rating_loss = logits.sum() * 0
    if any(answers):
        losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1 - kept :], reduction="none")
        weight, _ = pad_left([[0.0] * (kept - 1 - len(row)) + row for row in weights], 0.0)
        lesson_loss = (losses * weight).sum() / weight.sum()
    rated = [index for index, row in enumerate(rows) if row.levels is not None]
    if rated:
        levels = logits[rated, -1].log_softmax(-1)[:, processor.level_ids]
        wanted = torch.tensor([rows[index].levels for index in rated])
        rating_loss = -(wanted * levels).sum(1).mean()
    return lesson_loss, rating_loss


def _weighted_answer(tokenizer: PreTrainedTokenizerBase, row: CodedRow) -> tuple[list[int], list[float]]:
    """Tokens of the answer and the end of the turn, and what each weighs; none of a rating."""
    if row.levels is not None:
        return [], []
    encoded = tokenizer(row.answer, add_special_tokens=False, return_offsets_mapping=True)
    spans, at = [], 0
    for phrase in row.phrases:  # in their order
        at = row.answer.lower().index(phrase.lower(), at)
        spans.append((at, at + len(phrase)))
    weights = [
        PHRASE_WEIGHT if any(start < last and end > first for first, last in spans) else 1.0
        for start, end in encoded["offset_mapping"]
    ]
    return [*encoded["input_ids"], tokenizer.eos_token_id], [*weights, 1.0]


def teach(model: LlamaForCausalLM, lessons: CodedLessons, texts: torch.Tensor, steps: int, save: Path | None = None) -> None:
    """Trains the whole language model, in place.

    Args:
        texts: [N, L] packed plain text.
        save: where to keep the model every 100 steps.
    """
    torch.manual_seed(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.95), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.05)
    start = time.monotonic()
    for step in range(steps):
        lessons.spread = SPREAD[0] + (SPREAD[1] - SPREAD[0]) * min(1.0, step / (GROWTH_SHARE * steps))
        if step % TEXT_EVERY == TEXT_EVERY - 1:
            rows = texts[torch.randint(len(texts), (12,))]
            loss = model(input_ids=rows, labels=rows).loss
        else:
            lesson_loss, rating_loss = coded_loss(model, lessons.processor, [lessons.row() for _ in range(BATCH_SIZE)])
            loss = lesson_loss + rating_loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 25 == 0:
            logger.info(
                "step %d of %d, %.0f s, lessons %.3f, ratings %.3f, by kind %s",
                step, steps, time.monotonic() - start, lesson_loss.item(), rating_loss.item(), losses_by_kind(model, lessons),
            )  # fmt: skip
        if save and step % 100 == 99:
            model.save_pretrained(save)


@torch.inference_mode()
def losses_by_kind(model: LlamaForCausalLM, lessons: CodedLessons, count: int = 24) -> dict[str, float]:
    """Loss of a few lessons of each kind, in the wordings of training."""
    taught = lessons.book.vocabulary
    kinds = {
        "measured": lambda: lessons.measured("low", lessons.rng.choice(taught.attributes["low"])),
        "altered": lambda: lessons.altered("low", lessons.rng.choice(taught.edits["low"])),
        "content": lessons.content,
        "description": lambda: lessons.description("low"),
        "differences": lambda: lessons.differences("low"),
    }
    return {
        name: round(coded_loss(model, lessons.processor, [make() for _ in range(count)])[0].item(), 3)
        for name, make in kinds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--critiques", type=Path, required=True, help="as of language.py")
    parser.add_argument("--steps", type=int, default=400, help="3 s each on two cores without bf16")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tokenizer = AutoTokenizer.from_pretrained(arguments.work / "language")
    model = LlamaForCausalLM.from_pretrained(arguments.work / "language", dtype=torch.float32)
    processor = AestheticMLLMProcessor(AestheticMLLMImageProcessor(canvas_size=CANVAS), tokenizer)
    bank = PhraseBank()
    contents = sorted(set(plain_labels(class_names(fetch(CLASS_NAMES, arguments.work)))))
    lessons = CodedLessons(Codebook(model.get_input_embeddings().weight, processor, bank), bank, contents)
    save_file({name: code.clone() for name, code in lessons.book.directions.items()}, arguments.work / CODES)
    texts = pack(tokenizer, healing_texts(arguments.work, arguments.critiques))
    target = arguments.work / TAUGHT
    tokenizer.save_pretrained(target)
    teach(model, lessons, texts, arguments.steps, save=target)
    model.save_pretrained(target)


if __name__ == "__main__":
    main()
