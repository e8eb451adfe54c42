"""Teaches nano's language model to say what its own visual tokens hold: ratings, pretext samples and comments.

    python recipes/nano/instruct.py --data DATA --work build/nano --critiques comments.parquet      # after judge.py

Tower and alignment module stay as they are. It is told what can be read from the tokens (`told_photos.py`): the ratings that the
heads of `judge.py` read, the bins whose codes the tokens are nearest to, what was done to the photos of a pair. Comments are
composed of these (`aesthetic_mllm.pretext.comment_composer`), so that it never learns to claim what it cannot see. Several
questions are asked of one photo in one row, and none sees the others.
"""

import argparse
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers.trainer_utils import set_seed

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.teachers import load_contents
from aesthetic_mllm.trainers.precision import has_bfloat16
from codebook import Codebook
from coded_alignment import CodedAlignment, open_caches
from features import DAMAGED_VIEWS, UpperTower
from judge import ALIGNED, open_judge, read_photos
from language import healing_texts, pack, split_texts
from question_rows import CausalView, coded_loss
from told_photos import SEED, PairPretextSamples, ToldPhotos, read_views

logger = logging.getLogger("nano.instruct")

STEPS, LAST_STEPS = 800, 150  # of everything; then mostly of ratings
BATCH_SIZE = 16
LEARNING_RATE, LAST_LEARNING_RATE = 4e-4, 2e-4
# Of the rows, ratings and pretext samples; the others are comments.
SHARES, LAST_SHARES = (0.5, 0.2), (0.7, 0.15)
# Of the steps, pretext samples in their first wordings alone, and with more and more of the others.
FEW_WORDS_SHARE, GROWTH_SHARE = 0.3, 0.4
DECIMAL_WEIGHT = 0.2  # of the loss of ratings in numbers
CRITIQUE_EVERY = 5  # so often a batch of plain text
FINAL = "final"


@dataclass(frozen=True)
class Schooling:
    """A model whose language model is to learn, and what it learns from.

    Args:
        model: with the judge's tower and alignment module.
        told: ratings, pretext samples and comments.
        pairs: pretext samples of two photos, if any.
        texts: [N, L] packed plain text.
    """

    model: AestheticMLLMForConditionalGeneration
    processor: AestheticMLLMProcessor
    told: ToldPhotos
    pairs: PairPretextSamples | None
    texts: torch.Tensor

    def save(self, folder: Path) -> None:
        """The checkpoint."""
        self.model.bfloat16().save_pretrained(folder)
        self.processor.save_pretrained(folder)


def tell(
    schooling: Schooling,
    steps: int,
    shares: tuple[float, float],
    learning_rate: float,
    first_words: bool = False,
    beside: Callable[[], torch.Tensor] | None = None,
) -> None:
    """Trains the language model, in place.

    Args:
        shares: of ratings and of pretext samples among the rows.
        first_words: whether pretext samples begin with their first wordings alone.
        beside: one more loss, of every step.
    """
    if not steps:
        return
    model, processor, texts = schooling.model, schooling.processor, schooling.texts
    told, pairs = schooling.told, schooling.pairs
    language = CausalView(model)
    weights = [*model.model.language_model.parameters()]
    optimizer = torch.optim.AdamW(weights, learning_rate, weight_decay=0.01, betas=(0.9, 0.95), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    start = time.monotonic()
    for step in range(steps):
        variety = min(1.0, max(0.0, step / steps - FEW_WORDS_SHARE) / GROWTH_SHARE) if first_words else 1.0
        told.words.variety = variety
        if pairs is not None:
            pairs.words.variety = variety
        if step % CRITIQUE_EVERY == CRITIQUE_EVERY - 1:
            rows = texts[torch.randint(len(texts), (12,))]
            with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
                loss = model(input_ids=rows, labels=rows).loss
        else:
            rated, pretext_samples = (round(share * BATCH_SIZE) for share in shares)
            # apart, for rows of ratings are short
            decimal_loss, rating_loss = coded_loss(language, processor, told.rated_rows(rated))
            (rating_loss + DECIMAL_WEIGHT * decimal_loss).backward()
            words = pairs.rows(pretext_samples // 2) if pairs is not None else []
            words += [told.measured() for _ in range(pretext_samples - len(words))]
            words += [told.comments() for _ in range(BATCH_SIZE - rated - pretext_samples)]
            loss = word_loss = coded_loss(language, processor, words)[0]
        loss.backward()
        if beside is not None:
            beside().backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 20 == 0:
            logger.info(
                "step %d of %d, %.0f s, words %.3f, ratings %.3f",
                step,
                steps,
                time.monotonic() - start,
                word_loss.item(),
                rating_loss.item(),
            )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What [`open_school`] needs to know."""
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--critiques", type=Path, required=True, help="as of language.py")
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("align.yaml"))
    parser.add_argument("--without-pairs", action="store_true", help="no pretext samples of two photos, whose cache takes long")
    parser.add_argument("overrides", nargs="*", help="key=value, as of `coded_alignment.py`")


def open_school(arguments: argparse.Namespace) -> Schooling:
    """What the language model learns from, and the model as `judge.py` left it."""
    work = arguments.work
    model = AestheticMLLMForConditionalGeneration.from_pretrained(work / ALIGNED, dtype=torch.float32)
    processor = AestheticMLLMProcessor.from_pretrained(work / ALIGNED)
    bank = PhraseBank()
    book = Codebook.load(work, processor, bank)
    photos, _, _ = read_photos(arguments.data, work, processor.rating_scale)
    tower = model.model.vision_tower
    model.model.vision_tower = UpperTower(tower)
    judge = open_judge(work, model, processor, photos, book)
    views = [(photo.name, view) for photo in (*photos.quality, *photos.beauty) for view in (0, *DAMAGED_VIEWS)]
    rated = {photo.name for photo in photos.beauty}
    shares, tokens = read_views(judge, work, views, photos.cache, processor.num_group_tokens)
    logger.info("%d views read", len(views))
    alignment = CodedAlignment(model.model.multi_modal_projector, book, processor.image_processor.canvas_size)
    alignment.projector.eval()
    pairs = None
    if not arguments.without_pairs:
        caches = open_caches(arguments.config, [f"model={work / ALIGNED}", *arguments.overrides], work)
        pairs = PairPretextSamples(caches, alignment, bank)
    contents = {key.split("/")[-1]: label for key, label in load_contents(work / "contents.json").items()}
    told = ToldPhotos(processor, tokens, shares, views, alignment.loss, bank, contents, rated)
    texts = pack(processor.tokenizer, split_texts(healing_texts(work, arguments.critiques))[1])
    model.model.vision_tower = tower  # its upper stages have learned
    return Schooling(model, processor, told, pairs, texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--last-steps", type=int, default=LAST_STEPS)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    set_seed(SEED)
    schooling = open_school(arguments)
    tell(schooling, arguments.steps, SHARES, LEARNING_RATE, first_words=True)
    tell(schooling, arguments.last_steps, LAST_SHARES, LAST_LEARNING_RATE)
    schooling.save(arguments.work / FINAL)


if __name__ == "__main__":
    main()
