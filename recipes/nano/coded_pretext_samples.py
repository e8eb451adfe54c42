"""Teaches nano's language model to read codes: pretext samples and ratings in which vectors stand in the photo's place.

In a coded photo the visual tokens are vectors of a code book (`codebook.py`): "rather dark" on its way to "medium", some of
"brighter" for what an edit did, a part of the way from "bad" to "excellent" in all of them. The language model learns to say
what such tokens mean, and by what two photos differ, before it has seen any photo. It is frozen after that, and the alignment
module has only to learn the codes. No photo and no rating is used, and no trainer of the package takes rows without photos.

First the model learns to look up: pairs of random words stand before a question for one of them, and then such words on the
attributes' keys. A model that cannot do that learns how answers sound, and no more.
"""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.pretext.phrase_bank import BINS, PhraseBank
from aesthetic_mllm.pretext.pretext_samples import LEVELS, OPPOSITE, draw_amount

from .codebook import EDIT_UNITS, Codebook, rating_value
from .contents import CLASS_NAMES, class_names, plain_labels
from .devices import device, half_precision
from .language import CRITIQUES, LANGUAGE_MODEL, healing_texts, pack, split_texts
from .prompts import WHOLE, nano_processor
from .question_rows import CodedRow, Question, coded_loss, target_text_question
from .steps import take_step
from .weights import fetch

logger = logging.getLogger(__name__)

LEARNING_RATE = 6e-4
KEY_RATE = 10  # times that of the language model
BATCH_SIZE = 16
TAUGHT = "taught_language"
RATING_SHARE = 0.3  # of the rows; the others are pretext samples
QUESTIONS_A_ROW = 6  # asked of one photo at once, none of which sees the others
OTHER_RATINGS_A_ROW = 9  # beside those of the whole photo
TEXT_EVERY = 8  # so often a batch of plain text, that language is not forgotten
RECALL_SHARE = 0.1  # of the rows of pretext samples, words on keys
# Of what a photo is besides what is asked about, in units; it grows from the first to the second. What a single code says is
# learned soon, by what two codes differ only after that.
SPREAD = (0.0, 0.5)
# So do the wordings, from the first ones alone to all: who has to learn many ways to say it learns them, and not what is to be
# said. Both stay as they are for the first share of the steps, and grow over the second.
FEW_WORDS_SHARE, GROWTH_SHARE = 0.3, 0.5
SEEN_TWICE = 0.1  # by how much edits and ratings differ between two views of what is the same, in units
ATTRIBUTES_MOVE = 0.5  # by how many bins an edit moves attributes: what makes a photo brighter also makes it less contrasty
SHORT_SHARE = 0.3  # of pretext samples in the end, all at first: "light: very dark"
SHORT_CHANGE = " change:"  # and as short of an edit
ALTERED_SHARE = 0.65  # of the pretext samples of a level that has edits; the hardest, for two photos must be compared


class FirstWords(random.Random):
    """A source of chance that mostly takes the first of a choice while `variety` (0 to 1) is low."""

    variety = 1.0

    def choice(self, seq: Sequence[Any]) -> Any:
        return super().choice(seq) if self.random() < self.variety else seq[0]


class CodedPretextSamples:
    """Draws coded pretext samples and ratings at random.

    Args:
        book: the codes.
        bank: wordings.
        contents: what a photo may be said to show.
        seed: of everything drawn here; the tokens' noise comes from torch.
    """

    def __init__(self, book: Codebook, bank: PhraseBank, contents: Sequence[str], seed: int = 0):
        self.book, self.bank, self.contents = book, bank, contents
        self.processor = book.processor
        self.rng, self.words = random.Random(seed), FirstWords(seed)
        self.spread = SPREAD[-1]
        tokenizer = self.processor.tokenizer
        self.plain_words = [
            word
            for word in map(tokenizer.decode, range(len(tokenizer)))
            if word.startswith(" ") and word[1:].isalpha() and word.isascii() and word.islower()
        ]

    def row(self) -> CodedRow:
        """A pretext sample, or ratings in [`RATING_SHARE`] of the cases."""
        if self.rng.random() < RATING_SHARE:
            return self.ratings()
        level = self.rng.choice(LEVELS)
        edits = self.book.vocabulary.edits[level]
        if edits and self.rng.random() < ALTERED_SHARE:
            return self.altered(level, self.rng.choice(edits))
        if level == "high" and self.rng.random() < 0.5:
            return self.content()
        return self.measured(level)

    def recall(self) -> CodedRow:
        """Random words on the keys of a level's attributes; asked by the attribute's name."""
        level = self.rng.choice(LEVELS)
        names = self.book.vocabulary.attributes[level]
        names = self.rng.sample(names, min(len(names), self.book.counts[level]))
        names = list({self.book.place(name, level): name for name in names}.values())  # one a token
        words = self.rng.sample(self.plain_words, len(names))
        tokens = self.book.tokens(level, {}, {}, {})
        for name, word in zip(names, words, strict=True):
            said = self.book.key(name) + self.book.words([word])
            tokens = tokens.index_add(0, torch.tensor([self.book.place(name, level)]), said[None])
        asked = self.rng.sample(range(len(names)), min(len(names), QUESTIONS_A_ROW))
        questions = [
            Question(f" {self.rng.choice(self.bank.attributes[names[number]]['names'][:-1])}:", words[number], [words[number]])
            for number in asked
        ]
        return CodedRow(self.processor.image_placeholders((level,)), tokens, questions)

    def measured(self, level: str) -> CodedRow:
        """How much the photo has of some attributes."""
        names = self.rng.sample(
            self.book.vocabulary.attributes[level], min(QUESTIONS_A_ROW, len(self.book.vocabulary.attributes[level]))
        )
        photo = self._photo(level)
        questions = []
        for name in names:
            bin = self.rng.randrange(BINS)
            photo["attributes"][name] = bin - (BINS - 1) / 2 + self.rng.uniform(-0.4, 0.4)
            words = self.bank.attributes[name]
            if self.rng.random() < self._short_share():
                phrase = self.words.choice(words["bins"][bin][:-1])
                questions.append(Question(f" {self.words.choice(words['names'][:-1])}:", f" {phrase}", [phrase]))
            else:
                questions.append(target_text_question(self.bank.measured(name, bin, self.words), words["bins"][bin]))
        return CodedRow(self.processor.image_placeholders((level,)), self.book.tokens(level, **photo), questions)

    def altered(self, level: str, name: str) -> CodedRow:
        """In what a second photo differs from the first; asked and answered in two wordings."""
        edit = EDITS[name]
        amount = draw_amount(edit, self.rng)
        verdict = edit.verdict(amount)
        if edit.less is not None and self.rng.random() < 0.5:
            amount, verdict = -amount, OPPOSITE[verdict]
        direction = "more" if amount >= 0 or edit.less is None else "less"
        before = self._photo(level)
        after = self._photo_after(before)
        after["edits"][name] = before["edits"][name] + EDIT_UNITS * amount / edit.strong
        said = self.bank.edits[name][direction]
        questions = [
            target_text_question(self.bank.altered(name, direction, edit.strength_word(amount), verdict, self.words), said)
            for _ in range(2)
        ]
        if self.rng.random() < self._short_share():
            phrase = self.words.choice(said[:-1])
            questions[0] = Question(SHORT_CHANGE, f" {phrase}", [phrase])
        codes = torch.cat([self.book.tokens(level, **photo) for photo in (before, after)])
        return CodedRow(self.processor.image_placeholders((level,)) * 2, codes, questions)

    def content(self) -> CodedRow:
        """What is to be seen."""
        label = self.rng.choice(self.contents)
        codes = self.book.tokens("high", **(self._photo("high") | {"content": label}))
        questions = [target_text_question(self.bank.content(label, self.words), [label]) for _ in range(2)]
        return CodedRow(self.processor.image_placeholders(("high",)), codes, questions)

    def ratings(self) -> CodedRow:
        """Ratings from all groups of tokens; they go together as little or as much as they like.

        At first those of the whole photo alone, then more and more others: of all at once none is learned.
        """
        scale = self.processor.rating_scale
        low, high = scale.score_range
        others = [key for key in scale.questions if key not in WHOLE]
        others = others[: round(self.words.variety * len(others))]
        asked = [*WHOLE, *self.rng.sample(others, min(OTHER_RATINGS_A_ROW, len(others)))]
        means = {key: self.rng.uniform(low + 0.5, high - 0.5) for key in asked}
        tokens = []
        for group in TOKEN_GROUPS:
            photo = self._photo(group)
            # groups need not agree
            photo["ratings"] |= {key: rating_value(scale, mean) + self.rng.gauss(0, 0.2) for key, mean in means.items()}
            tokens.append(self.book.tokens(group, **photo))
        questions = [
            Question(f"{scale.question(key).prompt}\n{scale.question(key).stem}", levels=scale.level_distribution(mean, 1.0))
            for key, mean in means.items()
        ]
        return CodedRow(self.processor.image_placeholders(), torch.cat(tokens), questions)

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

    def _short_share(self) -> float:
        return 1 - (1 - SHORT_SHARE) * self.words.variety


class Teacher:
    """Teaches a language model and a code book, in place.

    Args:
        model: the healed language model.
        pretext_samples: whose code book learns too.
        texts: [N, L] packed plain text.
    """

    def __init__(self, model: LlamaForCausalLM, pretext_samples: CodedPretextSamples, texts: torch.Tensor):
        self.model, self.pretext_samples, self.texts = model.to(device()), pretext_samples, texts
        self.start = time.monotonic()

    def learn_pairs(self, steps: int) -> None:
        """Words one after the other: names and what goes with them, then some of the names again."""
        tokenizer, rng = self.pretext_samples.processor.tokenizer, self.pretext_samples.rng
        colon, end = (tokenizer.encode(mark, add_special_tokens=False)[0] for mark in ":;")
        words = [tokenizer.encode(word, add_special_tokens=False)[0] for word in self.pretext_samples.plain_words]
        optimizer, schedule = self._optimizer(steps)
        for step in range(steps):
            rows, labels = [], []
            for _ in range(2 * BATCH_SIZE):
                drawn = rng.sample(words, 16)
                pairs = list(zip(drawn[:8], drawn[8:], strict=True))
                asked = rng.sample(pairs, QUESTIONS_A_ROW)
                rows.append(
                    [
                        tokenizer.bos_token_id,
                        *sum(pairs, ()),
                        *(part for name, word in asked for part in (name, colon, word, end)),
                    ]
                )
                labels.append([-100] * 17 + [part for _, word in asked for part in (-100, -100, word, -100)])
            ids, said = torch.tensor(rows, device=device()), torch.tensor(labels, device=device())
            with half_precision():
                loss = self.model(input_ids=ids, labels=said, use_cache=False).loss
            self._step(loss, optimizer, schedule)
            if step % 10 == 0:
                logger.info("pairs: step %d of %d, %.0f s, %.3f", step, steps, time.monotonic() - self.start, loss.item())

    def learn_keys(self, steps: int) -> None:
        """Words on the attributes' keys, which are learned here and stay as they are afterwards."""
        optimizer, schedule = self._optimizer(steps)
        for step in range(steps):
            rows = [self.pretext_samples.recall() for _ in range(3 * BATCH_SIZE)]
            loss, _ = coded_loss(self.model, self.pretext_samples.processor, rows)
            self._step(loss, optimizer, schedule)
            if step % 10 == 0:
                logger.info("keys: step %d of %d, %.0f s, %.3f", step, steps, time.monotonic() - self.start, loss.item())
        self.pretext_samples.book.requires_grad_(False)

    def learn(self, steps: int) -> None:
        """Pretext samples, with some recall among them."""
        optimizer, schedule = self._optimizer(steps)
        pretext_samples, processor = self.pretext_samples, self.pretext_samples.processor
        for step in range(steps):
            pretext_samples.words.variety = min(1.0, max(0.0, step / steps - FEW_WORDS_SHARE) / GROWTH_SHARE)
            pretext_samples.spread = SPREAD[0] + (SPREAD[1] - SPREAD[0]) * pretext_samples.words.variety
            if step % TEXT_EVERY == TEXT_EVERY - 1:
                rows = self.texts[torch.randint(len(self.texts), (12,))].to(device())
                with half_precision():
                    loss = self.model(input_ids=rows, labels=rows).loss
            else:
                drawn = [
                    pretext_samples.recall() if pretext_samples.rng.random() < RECALL_SHARE else pretext_samples.row()
                    for _ in range(BATCH_SIZE)
                ]
                pretext_loss, rating_loss = coded_loss(self.model, processor, drawn)
                loss = pretext_loss + rating_loss
            self._step(loss, optimizer, schedule)
            if step % 25 == 0:
                logger.info(
                    "step %d of %d, %.0f s, pretext samples %.3f, ratings %.3f, by kind %s",
                    step, steps, time.monotonic() - self.start, pretext_loss.item(), rating_loss.item(), self.losses_by_kind(),
                )  # fmt: skip

    def save(self, work: Path) -> None:
        self.model.save_pretrained(work / TAUGHT)
        self.pretext_samples.book.save(work)

    @torch.inference_mode()
    def losses_by_kind(self, count: int = 12) -> dict[str, float]:
        """Loss of a few rows of each kind, in the wordings of training."""
        pretext_samples = self.pretext_samples
        edits = pretext_samples.book.vocabulary.edits
        kinds = {
            "recall": pretext_samples.recall,
            "low measured": lambda: pretext_samples.measured("low"),
            "middle measured": lambda: pretext_samples.measured("middle"),
            "low altered": lambda: pretext_samples.altered("low", pretext_samples.rng.choice(edits["low"])),
            "middle altered": lambda: pretext_samples.altered("middle", pretext_samples.rng.choice(edits["middle"])),
            "content": pretext_samples.content,
        }
        return {
            name: round(coded_loss(self.model, pretext_samples.processor, [make() for _ in range(count)])[0].item(), 2)
            for name, make in kinds.items()
        }

    def _optimizer(self, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        optimizer = torch.optim.AdamW(
            [{"params": list(self.model.parameters())}, {"params": list(self.pretext_samples.book.parameters()), "weight_decay":
            0.0}], weight_decay=0.01, betas=(0.9, 0.95), fused=True,
        )  # fmt: skip
        rates = [LEARNING_RATE, KEY_RATE * LEARNING_RATE]
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=0.1)

    def _step(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler) -> None:
        loss.backward()
        take_step([*self.model.parameters(), *self.pretext_samples.book.parameters()], optimizer, schedule)


def teach_codes(data: Path, work: Path, pair_steps: int, key_steps: int, steps: int, seed: int) -> None:
    """From WORK/language to WORK/taught_language and the code book.

    Args:
        pair_steps, key_steps: of looking up, without and with the attributes' keys.
        steps: of pretext samples, 3 s each on a core with bf16.
    """
    tokenizer = AutoTokenizer.from_pretrained(work / LANGUAGE_MODEL)
    model = LlamaForCausalLM.from_pretrained(work / LANGUAGE_MODEL, dtype=torch.float32)
    processor = nano_processor(tokenizer)
    bank = PhraseBank()
    contents = sorted(set(plain_labels(class_names(fetch(CLASS_NAMES, work)))))
    texts = pack(tokenizer, split_texts(healing_texts(work, data / CRITIQUES))[1])
    tokenizer.save_pretrained(work / TAUGHT)
    book = Codebook(model.get_input_embeddings().weight, processor, bank, seed)
    teacher = Teacher(model, CodedPretextSamples(book, bank, contents, seed), texts)
    teacher.learn_pairs(pair_steps)
    teacher.learn_keys(key_steps)
    teacher.learn(steps)
    teacher.save(work)
