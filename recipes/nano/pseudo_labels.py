"""What can be read from nano's visual tokens, as rows that its language model learns from (later stages)."""

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.pretext.comment_composer import STYLES, CommentComposer, PhotoFacts
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_samples import LEVELS
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS
from aesthetic_mllm.tasks.commenting import comment_prompt
from aesthetic_mllm.tasks.suggesting import flaw_question
from aesthetic_mllm.trainers.pretext_cache import CachedSample

from .coded_alignment import CodedAlignment, CodeLoss, MeasuredPretextSamples
from .coded_pretext_samples import SHORT_CHANGE, FirstWords
from .damaged_views import damage_strength
from .devices import device
from .features import FeatureCache, is_damaged
from .prompts import FLAWS, WHOLE
from .question_rows import CodedRow, Question, target_text_question
from .rated_photos import GENERATED
from .rating_heads import RatingHeads
from .targets import falls
from .token_cache import TokenCache
from .train_rating_heads import HEADS_FILE, RATINGS_FILE, SHARES

QUESTIONS_A_ROW = 6  # pretext samples of one photo
OTHER_QUESTIONS = 11  # ratings of one photo, beside those of the whole photo
OTHER_FLAWS = 5  # beside the one that was made, where only what a damage takes from is asked
ALWAYS_WEIGHT = 3.0  # of what people rated
FLAW_WEIGHT = 4.0  # of the flaw that a damage made, which is always asked about
SURE = 0.7  # a bin is told in a comment if its code is that likely
DAMAGED_SHARE = 0.5  # of the photos
CONTENT_SHARE = 0.95  # of the comments on photos that surely show something name it
SHORT_SHARE = 0.5  # of the pretext samples: "light: very dark", of all attributes of a level at once
DECIMAL_SHARE = 0.03  # of the ratings


class PseudoLabels:
    """What can be read from the tokens of the photos, as rows to learn from.

    Args:
        photos: that may be learned from.
        tokens: [N, T, D] of each group, of all views in `views`.
        shares: [N, questions, levels], what the heads read.
        views: name and view of each.
        loss: of codes.
        contents: what photos surely show, by name; comments may say it.
        sources: of the photos by name; each is drawn from in its share ([`SHARES`]), for some have few photos.
    """

    def __init__(
        self,
        processor: AestheticMLLMProcessor,
        tokens: Mapping[str, torch.Tensor],
        shares: torch.Tensor,
        views: Sequence[tuple[str, int]],
        loss: CodeLoss,
        bank: PhraseBank,
        contents: Mapping[str, str],
        sources: Mapping[str, str],
        seed: int = 0,
    ):
        self.processor, self.tokens, self.shares, self.views = processor, tokens, shares, views
        self.loss, self.bank, self.contents = loss, bank, contents
        self.composer = CommentComposer(bank, content_share=CONTENT_SHARE)
        longest_first = sorted({*self.composer.phrases.wordings(), *contents.values()}, key=len, reverse=True)
        self.wordings = re.compile("|".join(rf"\b{re.escape(words)}\b" for words in longest_first), re.IGNORECASE)
        self.rng, self.words = random.Random(seed), FirstWords(seed)
        self.scale = processor.rating_scale
        self.questions = list(self.scale.questions)
        self.means = shares @ torch.tensor(self.scale.level_scores)  # [N, questions]
        self.drawn_from: dict[tuple[bool, str], list[int]] = {}
        self.whole = {name: number for number, (name, view) in enumerate(views) if view == 0}
        for number, (name, view) in enumerate(views):
            self.drawn_from.setdefault((is_damaged(view), sources[name]), []).append(number)

    def draw(self, damaged: bool | None = None, shares: Mapping[str, float] = SHARES) -> int:
        """The number of a view; damaged or not, or as chance will have it."""
        if damaged is None:
            damaged = self.rng.random() < DAMAGED_SHARE
        known = [source for one, source in self.drawn_from if one == damaged]
        (source,) = self.rng.choices(known, [shares[source] for source in known])
        return self.rng.choice(self.drawn_from[damaged, source])

    def codes(self, number: int, groups: Sequence[str] = TOKEN_GROUPS) -> torch.Tensor:
        return torch.cat([self.tokens[group][number].float() for group in groups])

    def rated_rows(self, count: int) -> list[CodedRow]:
        """Rows of ratings. A damaged view comes beside the photo whole, asked the same.

        So what differs from photo to photo cancels out, and what the damage did is left.
        """
        rows: list[CodedRow] = []
        while len(rows) < count:
            number = self.draw()
            asked = self.asked(number)
            rows.append(self.ratings(number, asked))
            whole = self.whole.get(self.views[number][0])
            if whole not in (None, number) and len(rows) < count:
                rows.append(self.ratings(whole, asked))
        return rows

    def whole_rows(self, count: int, generated: float = SHARES[GENERATED]) -> list[CodedRow]:
        """Rows of the ratings of the whole photo alone, as it is: of many more photos than other rows can show at that price.

        Args:
            generated: share of generated images among them.
        """
        others = (1 - generated) / (1 - SHARES[GENERATED])
        shares = {source: share * others for source, share in SHARES.items()} | {GENERATED: generated}
        weights = dict.fromkeys(WHOLE, ALWAYS_WEIGHT)
        return [self.ratings(self.draw(damaged=False, shares=shares), weights) for _ in range(count)]

    def damaged_rows(self, count: int) -> list[CodedRow]:
        """Rows that ask of a damaged view what the damage takes from and some other flaws, and the same of the photo whole.

        A row of everything shows each of these to few photos.
        """
        rows: list[CodedRow] = []
        while len(rows) < count:
            number = self.draw(damaged=True)
            name, view = self.views[number]
            whole, made = self.whole.get(name), self.made_flaw(number)
            if made is None or whole is None:
                continue
            others = self.rng.sample([key for key in map(flaw_question, FLAWS) if key != made], OTHER_FLAWS)
            asked = dict.fromkeys([*falls(*damage_strength(name, view)), *others], 1.0) | {made: FLAW_WEIGHT}
            rows += [self.ratings(number, asked), self.ratings(whole, asked)]
        return rows[:count]

    def asked(self, number: int) -> dict[str, float]:
        """What to ask of a view, and how much each question counts: the whole ratings, the flaw that was made, some others."""
        made = self.made_flaw(number)
        others = self.rng.sample([key for key in self.questions if key not in (*WHOLE, made)], OTHER_QUESTIONS)
        return dict.fromkeys(WHOLE, ALWAYS_WEIGHT) | ({made: FLAW_WEIGHT} if made else {}) | dict.fromkeys(others, 1.0)

    def ratings(self, number: int, weights: Mapping[str, float]) -> CodedRow:
        """Of one view what is asked, as level words; now and then as a number."""
        asked = []
        for key, weight in weights.items():
            place = self.questions.index(key)
            question = self.scale.question(key)
            if self.rng.random() < DECIMAL_SHARE:
                text = self.scale.write_decimal(float(self.means[number, place]))
                asked.append(Question(f"{question.decimal_prompt}\n", text, [text]))
            else:
                asked.append(
                    Question(
                        f"{question.prompt}\n{question.stem}",
                        levels=self.shares[number, place].tolist(),
                        weight=weight,
                    )
                )
        return CodedRow(self.processor.image_placeholders(), self.codes(number), asked)

    def made_flaw(self, number: int) -> str | None:
        """The question about the flaw that a view's damage made."""
        name, view = self.views[number]
        if not is_damaged(view):
            return None
        damage, _ = damage_strength(name, view)
        return flaw_question(damage.flaw) if damage.flaw in FLAWS else None

    def comments(self) -> CodedRow:
        """A comment in each style, and one on an aspect."""
        number = self.draw()
        facts = self.facts(number)
        asked = []
        for style, aspect in (
            (STYLES[0], None),
            (STYLES[1], None),
            (self.rng.choice(STYLES), self.rng.choice(list(ATTRIBUTE_QUESTIONS))),
        ):
            text = self.composer.compose(facts, self.rng, style, aspect)
            asked.append(Question(f"{comment_prompt(aspect, style)}\n", text, self.telling(text)))
        return CodedRow(self.processor.image_placeholders(), self.codes(number), asked)

    def facts(self, number: int) -> PhotoFacts:
        """Of a view, as its tokens tell them."""
        name, view = self.views[number]
        means = {key: min(max(float(value), 1.0), 10.0) for key, value in zip(self.questions, self.means[number], strict=True)}
        edits = ()
        if is_damaged(view):
            damage, strength = damage_strength(name, view)
            # only what is seen to be wrong is said
            if (
                damage.flaw in FLAWS
                and means[f"flaw_{damage.flaw}"] < (self.scale.score_range[0] + self.scale.score_range[1]) / 2
            ):
                word = "strongly" if strength > 0.9 else "clearly" if strength > 0.5 else "slightly"
                edits = ((damage.edit, "more" if damage.sign > 0 else "less", word),)
        return PhotoFacts(
            self.read_bins(number),
            means["aesthetic"],
            {key: means[key] for key in ATTRIBUTE_QUESTIONS},
            self.contents.get(name) if view == 0 else None,
            edits,
        )

    def telling(self, text: str) -> list[str]:
        """The parts of a comment that say something of its photo; the rest are frames, and chance."""
        return [match[0] for match in self.wordings.finditer(text)]

    def read_bins(self, number: int) -> dict[str, int]:
        """Bins that the tokens tell surely."""
        found = {}
        for level in LEVELS:
            tokens = self.tokens[level][number].float()
            for name, chances in self.loss.chances(level, tokens).items():
                best = int(chances.argmax())
                if chances[best] >= SURE:
                    found[name] = best
        return found

    def measured(self) -> CodedRow:
        """Pretext samples of one level, about a photo as it is."""
        number = self.draw(damaged=False)
        level = self.rng.choice(LEVELS)
        bins = {
            name: int(chances.argmax()) for name, chances in self.loss.chances(level, self.tokens[level][number].float()).items()
        }
        asked = []
        if self.rng.random() < SHORT_SHARE:
            for name, bin in bins.items():
                words = self.bank.attributes[name]
                phrase = self.words.choice(words["bins"][bin][:-1])  # the last one is held out
                asked.append(Question(f" {self.words.choice(words['names'][:-1])}:", f" {phrase}", [phrase]))
            return CodedRow(self.processor.image_placeholders((level,)), self.codes(number, (level,)), asked)
        for name in self.rng.sample(list(bins), min(QUESTIONS_A_ROW, len(bins))):
            target_text = self.bank.measured(name, bins[name], self.words)
            asked.append(target_text_question(target_text, self.bank.attributes[name]["bins"][bins[name]]))
        return CodedRow(self.processor.image_placeholders((level,)), self.codes(number, (level,)), asked)


class PairPretextSamples:
    """Pretext samples of pairs, from the caches, with the alignment module's tokens."""

    def __init__(self, caches: Sequence[MeasuredPretextSamples], alignment: CodedAlignment, bank: PhraseBank, seed: int = 0):
        self.caches, self.alignment, self.bank = caches, alignment, bank
        self.rng, self.words = random.Random(seed), FirstWords(seed)

    @torch.inference_mode()
    def rows(self, count: int) -> list[CodedRow]:
        """As many pretext samples of edits, in trained words."""
        drawn: list[CachedSample] = []
        while len(drawn) < count:
            cache = self.rng.choice(self.caches)
            sample = cache[self.rng.randrange(len(cache))][0]
            if sample.pretext_sample.kind == "altered":
                drawn.append(sample)
        processor = self.alignment.loss.book.processor
        rows = []
        for sample in drawn:
            pretext_sample = sample.pretext_sample
            tokens = self.alignment.projector(
                {pretext_sample.level: sample.feature_maps.to(device())}, sample.image_sizes.to(device()), self.alignment.canvas
            )[pretext_sample.level].cpu()
            _, direction, strength = pretext_sample.label.split(":")
            target_texts = [
                self.bank.altered(pretext_sample.subject, direction, strength, str(pretext_sample.verdict), self.words)
                for _ in range(2)
            ]
            said = self.bank.edits[pretext_sample.subject][direction]
            asked = [target_text_question(target_text, said) for target_text in target_texts]
            if self.rng.random() < SHORT_SHARE:
                phrase = self.words.choice(said[:-1])
                asked[0] = Question(SHORT_CHANGE, f" {phrase}", [phrase])
            rows.append(CodedRow(processor.image_placeholders((pretext_sample.level,)) * 2, tokens.flatten(0, 1).clone(), asked))
        return rows


def read_views(
    reader: RatingHeads, work: Path, rows: Sequence[Mapping[str, Any]], features: FeatureCache, counts: Mapping[str, int]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """What the heads read in views, [N, questions, levels], and the tokens that tower and alignment module give in the end.

    What people rated is read as it was before the damages came in, in the photo as it was; a damage takes from that what its
    strength says. Attributes are half of that and half what is read in the end: before the damages they follow the general
    impression too closely, after them what is natural in a photo is taken for damage.

    Args:
        rows: `image`, `view` and whether it is `generated`, of each view.
    """
    undamaged = {row["image"]: {**row, "view": 0} for row in rows}
    reader.load(work / RATINGS_FILE)
    before = _heads_read(reader, TokenCache(work, reader, features, counts), list(undamaged.values()))
    whole = dict(zip(undamaged, before, strict=True))
    reader.load(work / HEADS_FILE)
    cache = TokenCache(work, reader, features, counts)
    shares = _heads_read(reader, cache, rows)
    for number, row in enumerate(rows):
        name, view = row["image"], row["view"]
        taken = falls(*damage_strength(name, view)) if is_damaged(view) else {}
        for key in (*WHOLE, *ATTRIBUTE_QUESTIONS):
            question = reader.questions.index(key)
            (rating,) = reader.scale.read_level_logits(whole[name][question][None].log(), key)
            if key in taken:
                rating = reader.scale.with_mean(rating, rating.mean - taken[key])
            before_damages = torch.tensor(list((rating.distribution or {}).values()))
            shares[number, question] = before_damages if key in WHOLE else (before_damages + shares[number, question]) / 2
    return shares, cache.tokens(rows)


def _heads_read(reader: RatingHeads, cache: TokenCache, rows: Sequence[Mapping[str, Any]]) -> torch.Tensor:
    """[N, questions, levels]."""
    batches = [rows[first : first + 256] for first in range(0, len(rows), 256)]
    return torch.cat([reader.shares(cache.tokens(batch), batch) for batch in batches]).clone()
