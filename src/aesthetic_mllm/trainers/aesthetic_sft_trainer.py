"""Instruct-tuning on ratings and on words about photos: TRL's SFTTrainer with losses at the rating position."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from datasets import Dataset
from peft import PeftModel
from torch import nn
from transformers import EvalPrediction
from trl import SFTTrainer

from ..inference.assessor import AestheticAssessor
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from .adapters import ALIGNMENT_MODULE, adapt_language_model
from .aesthetic_sft_collator import AestheticSFTCollator
from .aesthetic_sft_config import ADAPTER_LEARNING_RATE, FULL_LEARNING_RATE, AestheticSFTConfig
from .losses.across_processes import global_mean
from .losses.rank_fidelity import RankFidelityLoss
from .losses.soft_level import SoftLevelLoss
from .photo_ratings import FirstPhotos, read_photos, undecoded
from .publishing_mixin import PublishingMixin
from .rating_metrics import correlations

LOSSES = ("text_loss", "level_loss", "rank_loss")

RATING_COLUMNS = ("question", "mean", "std", "group")  # kept where unused columns are removed
RATED_METRIC = "srcc"  # what the best model is told by, where an evaluation set has ratings


class AestheticSFTTrainer(PublishingMixin, SFTTrainer):
    """SFTTrainer whose losses look at the answers alone: their words, the level word's distribution, and the order of photos.

    A row that asks for a rating ends where the level word is predicted, and has no next-token loss. Prompts are padded on the
    left, so answers stand at the end of every row, and the language model's head runs over these few positions only; TRL's fused
    head, which a CPU runs over all of them, is not used. Evaluation is by the scorer of inference,
    [`AestheticAssessor`]: SRCC and PLCC of each evaluation set, and their means `eval_srcc` and `eval_plcc`. A set without
    ratings is evaluated by its loss.

    With several processes all losses are what one process with the same global batch has.

    Args:
        model: an [`AestheticMLLMForConditionalGeneration`], or the folder or Hub id of one.
        args: an [`AestheticSFTConfig`].
        processing_class: the checkpoint's [`AestheticMLLMProcessor`]; default the one that lies beside the model.
        train_dataset: rows as of [`AestheticSFTCollator`], which may be TRL's own.
        eval_dataset: rated rows with one photo each, or several such sets by name; or rows of words.
        peft_config: LoRA; without `target_modules` the language model's projections are adapted, and the alignment module is
            learned whole beside them.
        kwargs: as of `SFTTrainer`; `data_collator` defaults to an [`AestheticSFTCollator`], and `compute_metrics` gets the mean
            ratings of each rated set as `predictions` and people's as `label_ids`.
    """

    args: AestheticSFTConfig

    def __init__(
        self,
        model: nn.Module | str,
        args: AestheticSFTConfig,
        processing_class: Any = None,
        train_dataset: Any = None,
        eval_dataset: Dataset | Mapping[str, Dataset] | None = None,
        peft_config: Any = None,
        data_collator: Any = None,
        **kwargs: Any,
    ):
        if isinstance(model, str):
            model = AestheticMLLMForConditionalGeneration.from_pretrained(model, dtype="float32")
        if processing_class is None:
            processing_class = AestheticMLLMProcessor.from_pretrained(model.name_or_path)
        args = copy.copy(args)  # its default learning rate depends on what this trainer learns
        if args.learning_rate is None:
            adapters = peft_config is not None or isinstance(model, PeftModel)
            args.learning_rate = ADAPTER_LEARNING_RATE if adapters else FULL_LEARNING_RATE
        if args.metric_for_best_model == RATED_METRIC and (name := _only_words(eval_dataset)) is not None:
            args.metric_for_best_model, args.greater_is_better = f"{name}_loss" if name else "loss", False
        if args.freeze_vision_tower:
            model.model.vision_tower.requires_grad_(False)
        if args.freeze_alignment:
            model.model.multi_modal_projector.requires_grad_(False)
        super().__init__(
            model=model,
            args=args,
            processing_class=processing_class,
            train_dataset=undecoded(train_dataset),
            eval_dataset=eval_dataset,
            peft_config=adapt_language_model(peft_config, learn_alignment=not args.freeze_alignment),
            data_collator=data_collator or AestheticSFTCollator(processing_class, seed=args.seed),
            **kwargs,
        )
        # losses at the rating position and a head over few positions; see the class's docstring
        scale = processing_class.rating_scale
        self.level_scores = torch.tensor(scale.level_scores)
        self.level_ids = processing_class.level_ids
        self.level_loss = SoftLevelLoss(self.level_ids)
        self.rank_loss = RankFidelityLoss(args.rank_label_std)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        self._signature_columns = list(dict.fromkeys([*self._signature_columns, "image", *RATING_COLUMNS]))

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The parent's; where the alignment module has its own learning rate, its part of each group is a further group."""
        rate, made = self.args.alignment_learning_rate, self.optimizer is not None
        optimizer = super().create_optimizer(model)
        if rate is None or made:
            return optimizer
        named = (model or self.model).named_parameters()
        aligned = {id(weight) for name, weight in named if ALIGNMENT_MODULE in name}
        for group in list(optimizer.param_groups):
            own = [weight for weight in group["params"] if id(weight) in aligned]
            if own:
                group["params"] = [weight for weight in group["params"] if id(weight) not in aligned]
                optimizer.add_param_group(group | {"params": own, "lr": rate})
        return optimizer

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        inputs = dict(inputs)
        labels = inputs.pop("labels")
        targets = {name: inputs.pop(name) for name in ("level_targets", "level_positions", "mean_targets", "rank_groups")}
        level_positions = targets.pop("level_positions")
        first = _first_prediction(labels, level_positions)
        outputs = model(**inputs, use_cache=False, logits_to_keep=labels.shape[1] - first)
        logits = outputs.logits.float()  # [B, K, V]
        answers = labels[:, first + 1 :]
        words = F.cross_entropy(logits[:, :-1].flatten(0, 1), answers.flatten(), ignore_index=-100, reduction="sum")
        number_of_words = (answers != -100).sum()
        level_loss, rank_loss = self.rating_losses(logits, level_positions - first, **targets)
        losses = torch.stack([global_mean(words, number_of_words), level_loss, rank_loss])
        weights = (self.args.text_loss_weight, self.args.level_loss_weight, self.args.rank_loss_weight)
        loss = (losses * losses.new_tensor(weights)).sum()
        if num_items_in_batch is not None:  # then the trainer leaves gradient accumulation to the loss
            loss = loss / self.current_gradient_accumulation_steps
        number_of_ratings = (level_positions >= 0).sum()
        self._log_losses(losses.detach(), torch.stack([number_of_words, number_of_ratings, number_of_ratings]))
        return (loss, outputs) if return_outputs else loss

    def _log_losses(self, losses: torch.Tensor, elements: torch.Tensor) -> None:
        """Notes each loss, as a mean over the processes, unless it has no element in the batch: a 0 would look learned."""
        found = self.accelerator.gather(torch.stack([losses, elements])[None])  # [processes, 2, losses]
        mode = "train" if self.model.training else "eval"
        for name, value, count in zip(LOSSES, found[:, 0].mean(0).tolist(), found[:, 1].sum(0).tolist(), strict=True):
            if count:
                self._metrics[mode][name].append(value)

    def rating_losses(
        self,
        logits: torch.Tensor,
        level_positions: torch.Tensor,
        level_targets: torch.Tensor,
        mean_targets: torch.Tensor,
        rank_groups: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Soft level and rank loss of a batch.

        Args:
            logits: [B, K, V].
            level_positions: [B], those in `logits` that predict the level word; negative where none is asked for.
            level_targets, mean_targets, rank_groups: as in [`AestheticSFTCollator`].

        Raises:
            ValueError: a row has a target, but its position is not among the logits, so that it would not be learned.
        """
        rated = level_targets.sum(1) > 0
        if (rated & (level_positions < 0)).any():
            raise ValueError(
                f"{int((rated & (level_positions < 0)).sum())} of {int(rated.sum())} rated rows of a batch have no rating "
                "position among the logits, so their ratings would not be learned. A data collator must give level_positions "
                "for every row with level_targets."
            )
        rows = torch.arange(len(logits), device=logits.device)
        logits = logits[rows, level_positions.clamp(min=0)]  # [B, V]; of words, of any position
        scores = self.level_scores.to(logits.device)
        if self.args.label_type == "hard":
            nearest = (mean_targets[:, None] - scores).abs().argmin(1)
            level_targets = F.one_hot(nearest, len(scores)) * rated[:, None].to(level_targets.dtype)
        losses = self.level_loss(logits, level_targets)
        probabilities = logits[:, self.level_ids].softmax(-1)
        means = probabilities @ scores
        stds = (probabilities @ scores.square() - means.square()).clamp(min=1e-6).sqrt()
        level_loss = global_mean(losses.sum(), rated.sum())
        return level_loss, self.rank_loss(means, stds, mean_targets, rank_groups)

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Has the scorer of inference rate the evaluation sets, shared among the processes.

        Returns:
            SRCC and PLCC of each set as `eval_NAME_srcc` and `eval_NAME_plcc`, and the sets' means as `eval_srcc`, `eval_plcc`;
            what `compute_metrics` says of each set; for sets without ratings what the parent's returns.
        """
        chosen = self.eval_dataset if eval_dataset is None else eval_dataset
        if chosen is None:
            raise ValueError("There is no evaluation set; give eval_dataset.")
        sets = chosen if isinstance(chosen, Mapping) else {"": chosen}
        prefixes = {name: f"{metric_key_prefix}_{name}" if name else metric_key_prefix for name in sets}
        metrics: dict[str, float] = {}
        compute_metrics, self.compute_metrics = self.compute_metrics, None  # is for ratings
        for name in [name for name, rows in sets.items() if not _has_ratings(rows)]:
            metrics |= super().evaluate(sets[name], ignore_keys, prefixes[name])
        self.compute_metrics = compute_metrics
        rated = {name: rows for name, rows in sets.items() if _has_ratings(rows)}
        if not rated:
            return metrics
        for name, (predicted, wanted) in self.rate(rated).items():
            found: dict[str, Any] = correlations(predicted, wanted)
            if self.compute_metrics is not None:
                found |= self.compute_metrics(EvalPrediction(np.array(predicted), np.array(wanted)))
            metrics |= {f"{prefixes[name]}_{measure}": value for measure, value in found.items()}
        for measure in ("srcc", "plcc"):
            values = [metrics[f"{prefixes[name]}_{measure}"] for name in rated]
            metrics[f"{metric_key_prefix}_{measure}"] = sum(values) / len(values)
        self.log(metrics)
        if metric_key_prefix == "eval":  # what is tested once says nothing about when to stop
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def rate(self, sets: Mapping[str, Any]) -> dict[str, tuple[list[float], list[float]]]:
        """Predicted and true means of each set's rated rows, by the scorer of inference."""
        return {name: self._rate(rows) for name, rows in sets.items()}

    def _rate(self, rows: Any) -> tuple[list[float], list[float]]:
        questions, wanted = list(rows["question"]), list(rows["mean"])
        predicted: dict[int, float] = {}
        for question in dict.fromkeys(filter(None, questions)):
            asked = [number for number, other in enumerate(questions) if other == question]

            def rate(assessor: AestheticAssessor, some: Iterator[Any], question: str = question) -> Iterator[float]:
                ratings = assessor.score_stream(some, question, batch_size=self.args.per_device_eval_batch_size)
                return (rating.mean for rating in ratings)

            predicted |= zip(asked, read_photos(self, FirstPhotos(rows.select(asked)), rate), strict=True)
        return list(predicted.values()), [wanted[number] for number in predicted]


def _has_ratings(rows: Any) -> bool:
    return "question" in rows.column_names and any(rows["question"])


def _only_words(eval_dataset: Dataset | Mapping[str, Dataset] | None) -> str | None:
    """The name of the first evaluation set where none has ratings ("" for one without a name); else `None`."""
    sets = eval_dataset if isinstance(eval_dataset, Mapping) else {} if eval_dataset is None else {"": eval_dataset}
    return None if any(map(_has_ratings, sets.values())) else next(iter(sets), None)


def _first_prediction(labels: torch.Tensor, level_positions: torch.Tensor) -> int:
    """The first position of a batch that predicts anything: a word of an answer, or a level word, which has no label."""
    words = (labels != -100).any(0).nonzero()[:1, 0] - 1
    ratings = level_positions[level_positions >= 0]
    predictions = torch.cat([words, ratings])
    if not len(predictions):
        raise ValueError("A batch has neither words nor ratings to learn; give labels, or level_targets with level_positions.")
    return int(predictions.min())
