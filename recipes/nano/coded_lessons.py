"""Teaches nano's language model to read codes: lessons and ratings in which words stand in the photo's place.

    python recipes/nano/coded_lessons.py --work build/nano        # after language.py, before alignment

In a coded photo every visual token is a sum of directions in the space of word embeddings, one direction for each thing that
can be told of a photo: from the words for the least to the words for the most of an attribute, from "darker" to "brighter",
from "bad" to "excellent". The language model learns to say what a code means, and by what two codes differ, before it has seen
any photo. It is frozen after that, and the alignment module has only to learn the codes. No photo and no rating is used.
"""

import argparse
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
TEXT_EVERY = 8  # so often a batch of plain text, that language is not forgotten
# One unit of a value, as a share of a word embedding's mean length. Attributes reach from -2 to 2, as strong edits do.
UNIT = 0.5
EDIT_UNITS = 2.0
# Of what a photo is besides what is asked about, in units; it grows from the first to the second over most of the steps. What
# a single code says is learned soon, by what two codes differ only after that.
SPREAD = (0.1, 0.5)
GROWTH_SHARE = 0.6
PHRASE_WEIGHT = 5.0  # of the words that tell a lesson's answer; which of their many frames they stand in is chance
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
        phrase: the part of it that tells the answer.
        levels: for a rating, the distribution over the level words that come next.
    """

    prompt: str
    codes: torch.Tensor
    answer: str = ""
    phrase: str = ""
    levels: Sequence[float] | None = None


class Codebook:
    """A direction for each thing that can be told of a photo, and a place for each content.

    The directions are differences of word embeddings, made orthogonal by the least change (Löwdin's symmetric way), so that no
    attribute is mistaken for another.

    Args:
        embedding: [V, D] the language model's input embeddings.
        processor: whose tokenizer and rating scale are used.
        bank: whose attributes and edits can be told.
    """

    def __init__(self, embedding: torch.Tensor, processor: AestheticMLLMProcessor, bank: PhraseBank):
        self.embedding, self.processor = embedding.detach().clone(), processor
        usual = self.embedding.mean(0)
        wanted = {}
        for name, words in bank.attributes.items():
            wanted[name] = self.words(words["bins"][-1][:-1]) - self.words(words["bins"][0][:-1])
        for name, directions in bank.edits.items():
            less = self.words(directions["less"][:-1]) if "less" in directions else usual
            wanted[f"{name}!"] = self.words(directions["more"][:-1]) - less
        scale = processor.rating_scale
        for key, question in scale.questions.items():
            named = self.words([question.stem])
            wanted[question_name(key)] = named + self.words(scale.level_words[-1:]) - self.words(scale.level_words[:1])
        self.numbers = {name: number for number, name in enumerate(wanted)}
        rows = F.normalize(torch.stack(list(wanted.values())), dim=1)
        left, _, right = torch.linalg.svd(rows, full_matrices=False)
        self.unit = UNIT * self.embedding.norm(dim=1).mean()
        self.directions = left @ right * self.unit  # [things, D]

    def words(self, texts: Sequence[str]) -> torch.Tensor:
        """Mean embedding of the texts' words: [D]."""
        ids = [token for text in texts for token in self.processor.tokenizer.encode(f" {text.strip()}", add_special_tokens=False)]
        return self.embedding[ids].mean(0)

    def code(self, values: Mapping[str, float]) -> torch.Tensor:
        """The sum of directions that says all these values: [D]."""
        numbers = [self.numbers[name] for name in values]
        return torch.tensor(list(values.values())) @ self.directions[numbers]

    def tokens(self, code: torch.Tensor, count: int) -> torch.Tensor:
        """A photo's visual tokens, each the code and some noise: [count, D]."""
        noise = torch.randn(count, len(code)) * (TOKEN_NOISE * self.unit / len(code) ** 0.5)
        return code + noise


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
        self.vocabulary = LessonVocabulary(bank)
        self.rng = random.Random(seed)
        self.spread = SPREAD[-1]

    def row(self, held_out: bool = False) -> CodedRow:
        """A lesson, or a rating in [`RATING_SHARE`] of the cases."""
        if self.rng.random() < RATING_SHARE:
            return self.rating()
        level = self.rng.choice(LEVELS)
        edits = self.vocabulary.edits[level]
        if edits and self.rng.random() < 0.6:
            return self.altered(level, self.rng.choice(edits), held_out)
        if level == "high" and self.rng.random() < 0.5:
            return self.content(held_out)
        return self.measured(level, self.rng.choice(self.vocabulary.attributes[level]), held_out)

    def measured(self, level: str, attribute: str, held_out: bool = False) -> CodedRow:
        """How much of an attribute the code has."""
        bin = self.rng.randrange(BINS)
        values = self._photo(level) | {attribute: bin - (BINS - 1) / 2 + self.rng.uniform(-0.4, 0.4)}
        cue = self.bank.measured(attribute, bin, self.rng, held_out)
        return self._lesson(level, [self.book.code(values)], cue, self.bank.attributes[attribute]["bins"][bin])

    def altered(self, level: str, name: str, held_out: bool = False) -> CodedRow:
        """In what a second code differs from the first."""
        edit = EDITS[name]
        amount = draw_amount(edit, self.rng)
        verdict = edit.verdict(amount)
        if edit.less is not None and self.rng.random() < 0.5:
            amount, verdict = -amount, OPPOSITE[verdict]
        direction = "more" if amount >= 0 or edit.less is None else "less"
        cue = self.bank.altered(name, direction, edit.strength_word(amount), verdict, self.rng, held_out)
        before = self._photo(level)
        after = {thing: value + self.rng.gauss(0, 0.1) for thing, value in before.items()}
        after[f"{name}!"] = before[f"{name}!"] + EDIT_UNITS * amount / edit.strong
        return self._lesson(level, [self.book.code(before), self.book.code(after)], cue, self.bank.edits[name][direction])

    def content(self, held_out: bool = False) -> CodedRow:
        """What is to be seen, from the embedding of its words."""
        label = self.rng.choice(self.contents)
        seen = F.normalize(self.book.words([label]), dim=0) * (3 * self.book.unit)
        cue = self.bank.content(label, self.rng, held_out)
        return self._lesson("high", [self.book.code(self._photo("high")) + seen], cue, [label])

    def rating(self, question: str | None = None, mean: float | None = None) -> CodedRow:
        """A rating from all groups of tokens; quality and beauty go together as little or as much as they like."""
        scale = self.processor.rating_scale
        question = question or self.rng.choice(list(scale.questions))
        low, high = scale.score_range
        mean = self.rng.uniform(low + 0.5, high - 0.5) if mean is None else mean
        values = {question_name(key): self.rng.uniform(-2, 2) for key in scale.questions}
        values[question_name(question)] = rating_value(scale, mean)
        codes = []
        for group in TOKEN_GROUPS:
            # groups need not agree
            own = self._photo(group) | {name: value + self.rng.gauss(0, 0.2) for name, value in values.items()}
            codes.append(self.book.tokens(self.book.code(own), self.processor.num_group_tokens[group]))
        prompt = self.processor.rating_prompt(question).replace(self.processor.image_token, self.processor.image_placeholders())
        return CodedRow(prompt, torch.cat(codes), levels=scale.level_distribution(mean, 1.0))

    def _photo(self, group: str) -> dict[str, float]:
        """What a photo is in all the things that a group's tokens may tell."""
        things = [question_name(key) for key in self.processor.rating_scale.questions]
        if group in LEVELS:
            things += [*self.vocabulary.attributes[group], *(f"{name}!" for name in self.vocabulary.edits[group])]
        return {name: self.rng.gauss(0, self.spread) for name in things}

    def _lesson(self, level: str, codes: Sequence[torch.Tensor], cue: Cue, phrases: Sequence[str]) -> CodedRow:
        said = max((phrase for phrase in phrases if phrase.lower() in cue.text.lower()), key=len)
        prompt = lesson_prompt(self.processor, cue.question, (level,), len(codes))
        count = self.processor.num_group_tokens[level]
        return CodedRow(prompt, torch.cat([self.book.tokens(code, count) for code in codes]), cue.text, said)


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
    first = row.answer.lower().index(row.phrase.lower())
    last = first + len(row.phrase)
    weights = [PHRASE_WEIGHT if start < last and end > first else 1.0 for start, end in encoded["offset_mapping"]]
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
    low = lessons.vocabulary
    kinds = {
        "measured": lambda: lessons.measured("low", lessons.rng.choice(low.attributes["low"])),
        "altered": lambda: lessons.altered("low", lessons.rng.choice(low.edits["low"])),
        "content": lessons.content,
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
    save_file(dict(zip(lessons.book.numbers, lessons.book.directions.unbind(), strict=True)), arguments.work / CODES)
    texts = pack(tokenizer, healing_texts(arguments.work, arguments.critiques))
    target = arguments.work / TAUGHT
    tokenizer.save_pretrained(target)
    teach(model, lessons, texts, arguments.steps, save=target)
    model.save_pretrained(target)


if __name__ == "__main__":
    main()
