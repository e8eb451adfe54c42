"""Teaches nano's language model to say what its own visual tokens hold: ratings, pretext samples and comments.

Tower and alignment module stay as they are. It is told what can be read from the tokens (`pseudo_labels.py`): the ratings that
the heads read, the bins whose codes the tokens are nearest to, what was done to the photos of a pair. Comments are composed of
these (`aesthetic_mllm.pretext.comment_composer`), so that it never learns to claim what it cannot see. Several questions are
asked of one photo in one row, and none sees the others, which is why this is no [`AestheticSFTTrainer`].
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from aesthetic_mllm import AestheticAssessor, AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.evaluation.token_ratings import rate_tokens
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.trainers.rating_metrics import rank_correlation

from .codebook import Codebook
from .coded_alignment import ALIGNED, CodedAlignment, open_caches
from .contents import sure_contents
from .devices import device, half_precision
from .features import ALL_VIEWS, UpperTower, has_view, is_damaged
from .language import CRITIQUES, healing_texts, pack, split_texts
from .pseudo_labels import PairPretextSamples, PseudoLabels, read_views
from .question_rows import CausalView, coded_loss
from .rated_photos import ASKED, RatedPhoto
from .steps import take_step
from .token_cache import TokenCache
from .train_rating_heads import open_rating_heads, read_photos

logger = logging.getLogger(__name__)

# Rows of a step: the whole ratings alone and damages alone, which are short, so that both are learned from many photos; all kinds
# of ratings; words.
WHOLE_ROWS, DAMAGED_ROWS, RATED_ROWS, PRETEXT_ROWS, COMMENT_ROWS = 32, 16, 6, 2, 14
# Of their losses, where those of damages and of ratings of all kinds count 1. All losses share what a step may change.
WHOLE_WEIGHT, WORDS_WEIGHT = 2.0, 3.0
# Of the steps, pretext samples in their first wordings alone, and with more and more of the others.
FEW_WORDS_SHARE, GROWTH_SHARE = 0.3, 0.4
DECIMAL_WEIGHT = 0.2  # of the loss of ratings in numbers
CRITIQUE_EVERY = 5  # so often a batch of plain text
LANGUAGE_TRAINED = "language_trained"
ANSWERS_REPORT = "answers.json"  # beside the weights


@dataclass(frozen=True)
class LanguageTraining:
    """A model whose language model is to learn, and what it learns from.

    Args:
        model: with the tower and alignment module of the rating heads.
        labels: ratings, pretext samples and comments.
        pairs: pretext samples of two photos, if any.
        texts: [N, L] packed plain text.
        held_out: rated photos that nothing is learned from, and their tokens, [N, T, D] of each group.
    """

    model: AestheticMLLMForConditionalGeneration
    processor: AestheticMLLMProcessor
    labels: PseudoLabels
    pairs: PairPretextSamples | None
    texts: torch.Tensor
    held_out: tuple[Sequence[RatedPhoto], Mapping[str, torch.Tensor]]

    def answers_right(self) -> dict[str, float]:
        """SRCC of the language model's own answers with people's ratings on held-out photos, by source."""
        photos, tokens = self.held_out
        assessor = AestheticAssessor(self.model.eval(), self.processor)
        found = {}
        for source, question in ASKED.items():
            places = [place for place, photo in enumerate(photos) if photo.source == source]
            own = {group: values[places].float() for group, values in tokens.items()}
            found[source] = rank_correlation(rate_tokens(assessor, own, question), [photos[place].mean for place in places])
        logger.info("SRCC of the language model's answers on held-out photos: %s", found)
        return found

    def save(self, folder: Path) -> None:
        """The checkpoint, and how right it answers."""
        right = self.answers_right()
        self.model.bfloat16().save_pretrained(folder)
        self.processor.save_pretrained(folder)
        (folder / ANSWERS_REPORT).write_text(json.dumps(right, indent=2) + "\n")


def train(
    training: LanguageTraining,
    steps: int,
    learning_rate: float,
    generated: float,
    first_words: bool = False,
    beside: Callable[[], torch.Tensor] | None = None,
) -> None:
    """Trains the language model, in place.

    Args:
        generated: share of generated images among the photos that are asked the whole ratings alone.
        first_words: whether pretext samples begin with their first wordings alone.
        beside: one more loss, of every step.
    """
    if not steps:
        return
    model, processor, texts = training.model, training.processor, training.texts
    labels, pairs = training.labels, training.pairs
    model.to(device())
    language = CausalView(model)
    weights = [*model.model.language_model.parameters()]
    optimizer = torch.optim.AdamW(weights, learning_rate, weight_decay=0.01, betas=(0.9, 0.95), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    start = time.monotonic()
    for step in range(steps):
        variety = min(1.0, max(0.0, step / steps - FEW_WORDS_SHARE) / GROWTH_SHARE) if first_words else 1.0
        labels.words.variety = variety
        if pairs is not None:
            pairs.words.variety = variety
        if step % CRITIQUE_EVERY == CRITIQUE_EVERY - 1:
            rows = texts[torch.randint(len(texts), (12,))].to(device())
            with half_precision():
                loss = model(input_ids=rows, labels=rows).loss
        else:
            # Apart from words, for rows of ratings are short, and each with a loss of its own: in one mean the whole ratings of
            # many photos would leave flaws next to no weight.
            for weight, ratings in (
                (WHOLE_WEIGHT, labels.whole_rows(WHOLE_ROWS, generated)),
                (1.0, labels.damaged_rows(DAMAGED_ROWS)),
                (1.0, labels.rated_rows(RATED_ROWS)),
            ):
                decimal_loss, rating_loss = coded_loss(language, processor, ratings)
                (weight * (rating_loss + DECIMAL_WEIGHT * decimal_loss)).backward()
            words = pairs.rows(PRETEXT_ROWS // 2) if pairs is not None else []
            words += [labels.measured() for _ in range(PRETEXT_ROWS - len(words))]
            words += [labels.comments() for _ in range(COMMENT_ROWS)]
            word_loss = coded_loss(language, processor, words)[0]
            loss = WORDS_WEIGHT * word_loss
        loss.backward()
        if beside is not None:
            beside().backward()
        take_step(weights, optimizer, schedule)
        if step % 20 == 0:
            logger.info(
                "step %d of %d, %.0f s, words %.3f, ratings %.3f",
                step,
                steps,
                time.monotonic() - start,
                word_loss.item(),
                rating_loss.item(),
            )


def open_training(data: Path, work: Path, pairs: bool, sure: float, seed: int) -> LanguageTraining:
    """What the language model learns from, and the model with the tower and alignment module of the rating heads.

    Args:
        pairs: whether pretext samples of two photos are among them.
        sure: the least confidence with which comments name what a photo shows.
    """
    model = AestheticMLLMForConditionalGeneration.from_pretrained(work / ALIGNED, dtype=torch.float32)
    processor = AestheticMLLMProcessor.from_pretrained(work / ALIGNED)
    bank = PhraseBank()
    book = Codebook.load(work, processor, bank)
    photos, unknown = read_photos(data, work, processor.rating_scale)
    tower = model.model.vision_tower
    model.model.vision_tower = UpperTower(tower)
    reader = open_rating_heads(model, processor, photos, book)
    told = [view for view in ALL_VIEWS if view == 0 or is_damaged(view)]
    rows = [photos.row(photo, view) for photo in photos.photos for view in told if has_view(photo, view)]
    views = [(row["image"], row["view"]) for row in rows]
    shares, tokens = read_views(reader, work, rows, photos.cache, processor.num_group_tokens)
    held_out = [photo for photo in unknown if isinstance(photo, RatedPhoto)]
    kept = TokenCache(work, reader, photos.cache, processor.num_group_tokens)
    held_out_tokens = kept.tokens([{"image": photo.name, "view": 0} for photo in held_out])
    logger.info("%d views read", len(views))
    alignment = CodedAlignment(model.model.multi_modal_projector, book, processor.image_processor.canvas_size)
    alignment.projector.eval()
    samples = PairPretextSamples(open_caches(data, work, ALIGNED, seed), alignment, bank, seed) if pairs else None
    contents = {key.split("/")[-1]: label for key, label in sure_contents(work, sure).items()}
    sources = {photo.name: photo.source for photo in photos.photos}
    labels = PseudoLabels(processor, tokens, shares, views, alignment.loss, bank, contents, sources, seed)
    texts = pack(processor.tokenizer, split_texts(healing_texts(work, data / CRITIQUES))[1])
    model.model.vision_tower = tower  # its upper stages have learned
    return LanguageTraining(model, processor, labels, samples, texts, (held_out, held_out_tokens))


def train_language_model(
    data: Path,
    work: Path,
    steps: int,
    learning_rate: float,
    generated: float,
    pairs: bool,
    sure: float,
    seed: int,
) -> None:
    """From WORK/aligned and the rating heads to WORK/language_trained.

    Args:
        steps: of everything.
        generated: as of `train`.
        pairs: whether pretext samples of two photos are among them, whose cache takes long.
        sure: the least confidence with which comments name what a photo shows.
    """
    training = open_training(data, work, pairs, sure, seed)
    train(training, steps, learning_rate, generated, first_words=True)
    training.save(work / LANGUAGE_TRAINED)
