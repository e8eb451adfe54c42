"""Multi-scale text-guided self-supervision: unlabelled photos teach the alignment module."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import nn
from torch.utils.data import DataLoader
from transformers import Trainer

from ..pretext.photo_pool import PhotoPoolError
from ..pretext.phrase_bank import PhraseBank
from .aesthetic_alignment_config import AestheticAlignmentConfig
from .alignment_model import AlignmentModel
from .output_files import ALIGNED
from .pretext_collator import PretextCollator, PretextVocabulary
from .publishing_mixin import PublishingMixin

logger = logging.getLogger(__name__)


class AestheticAlignmentTrainer(PublishingMixin, Trainer):
    """Trainer of the alignment module on pretext samples; tower and language model stay frozen.

    Three losses, each weighted in the configuration and logged: the frozen language model's next-token loss on the target text,
        from
    the tokens of the pretext sample's level alone; the contrast of these tokens with the target text's embedding; and what light
    heads must read from them. Checkpoints hold what learns, and [`save_aligned`] writes the model without the heads.

    References:
        CALM (arXiv:2412.11952) for unlabelled photos, attribute-based pseudo-labels, textual target texts and the frozen language
        model; the three losses after BLIP-2 (arXiv:2301.12597). Which losses the paper uses is not known.

    Args:
        model: an [`AestheticMLLMForConditionalGeneration`], its alignment module untrained or not.
        args: an [`AestheticAlignmentConfig`].
        processing_class: the checkpoint's [`AestheticMLLMProcessor`].
        bank: wordings of the pretext samples; default the package's own.
        contents: what the pretext samples' teacher may name; the content head has one output each.
        kwargs: as of `Trainer`; `train_dataset` is a [`PretextDataset`] or [`PretextStream`].

    Raises:
        PhotoPoolError: the pool is smaller than one batch of all processes.
    """

    args: AestheticAlignmentConfig
    finished_folder = ALIGNED

    def __init__(
        self,
        model: nn.Module,
        args: AestheticAlignmentConfig,
        processing_class: Any,
        bank: PhraseBank | None = None,
        contents: Sequence[str] = (),
        **kwargs: Any,
    ):
        self.bank = bank = bank or PhraseBank()
        vocabulary = PretextVocabulary(bank, contents)
        self.unreadable: set[str] = set()
        self._losses: dict[str, list[torch.Tensor]] = defaultdict(list)
        self._waited, self._since = 0.0, time.monotonic()
        super().__init__(
            model=AlignmentModel(model, processing_class, bank, vocabulary, args),
            args=args,
            processing_class=processing_class,
            data_collator=PretextCollator(processing_class, vocabulary),
            **kwargs,
        )
        batch = args.train_batch_size * args.world_size
        if isinstance(self.train_dataset, Sized) and len(self.train_dataset) < batch:
            raise PhotoPoolError(
                f"The pool has {len(self.train_dataset)} photos, fewer than one batch of {batch}; lower "
                "per_device_train_batch_size or add photos."
            )
        # the losses are means over pretext samples, not over tokens: accumulation divides them by its number of steps
        self.model_accepts_loss_kwargs = False

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """As the parent's; afterwards `unreadable` holds the keys of the photos that no process could read.

        Logs first how well the target texts' embeddings find their labels, text to text, without and with wordings never trained
        on.
        """
        for held_out in (False, True):
            shares = self.model.retrieval(self.processing_class, self.bank, held_out)
            told = ", ".join(f"{level} {share:.2f}" for level, share in shares.items())
            logger.info("Text finds text, %s wordings: %s", "held-out" if held_out else "trained", told)
        result = super().train(*args, **kwargs)
        self.unreadable = set(gather_object(sorted(self.unreadable)))
        return result

    def get_train_dataloader(self) -> DataLoader:
        """As the parent's, with the epoch told to the pretext samples: accelerate does not pass it on with several processes."""
        loader = super().get_train_dataloader()
        set_epoch = loader.set_epoch

        def tell_epoch(epoch: int) -> None:
            set_epoch(epoch)
            self.train_dataset.set_epoch(epoch)

        loader.set_epoch = tell_epoch
        return loader

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        inputs = dict(inputs)
        self.unreadable.update(inputs.pop("unreadable"))
        outputs = model(**inputs)
        prefix = "" if model.training else "eval_"
        for name, value in outputs.items():
            if name != "loss":
                self._losses[prefix + name].append(value.detach())
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """As the parent's; the time until the batches come is counted as waiting for data."""
        start = time.monotonic()
        batches = super().get_batch_samples(*args, **kwargs)
        self._waited += time.monotonic() - start
        return batches

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the mean of each loss since the last log over all processes, and the share of time spent waiting for data."""
        wanted = "eval_" if any(name.startswith("eval_") for name in logs) else ""
        for name in [name for name in self._losses if name.startswith("eval_") == bool(wanted)]:
            logs[name] = self.accelerator.gather(torch.stack(self._losses.pop(name))).mean().item()
        if "loss" in logs:
            now = time.monotonic()
            logs["data_wait_share"] = self._waited / (now - self._since)
            self._waited, self._since = 0.0, now
        super().log(logs, start_time)

    def save_finished(self, folder: str | Path) -> None:
        """As [`save_aligned`]."""
        self.save_aligned(folder)

    def save_aligned(self, folder: str | Path) -> None:
        """Writes model, without the heads, processor and card, as `from_pretrained` loads them; the main process alone writes."""
        if self.is_world_process_zero():
            self.accelerator.unwrap_model(self.model).model.save_pretrained(folder)
            self.processing_class.save_pretrained(folder)
            self.create_model_card(folder=folder)
