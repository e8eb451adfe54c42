"""Instruct-tuning on ratings and on words about photos: TRL's SFTTrainer with losses at the rating position."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from accelerate.utils import gather_object
from datasets import Dataset
from torch import nn
from trl import SFTTrainer

from ..inference.assessor import AestheticAssessor
from ..pretext.photo_pool import photo_source
from .aesthetic_sft_collator import AestheticSFTCollator
from .aesthetic_sft_config import AestheticSFTConfig
from .losses.across_processes import global_mean
from .losses.rank_fidelity import RankFidelityLoss
from .losses.soft_level import SoftLevelLoss
from .rating_metrics import correlations

ADAPTED = r".*language_model\..*_proj"  # what LoRA adapts by default: "all-linear" would adapt the tower too
LEARNED_WHOLE = ["multi_modal_projector"]  # beside the adapters; it is small, and new to the language model
LOSSES = ("text_loss", "level_loss", "rank_loss")


class AestheticSFTTrainer(SFTTrainer):
    """SFTTrainer whose losses look at the answers alone: their words, the level word's distribution, and the order of photos.

    A row that asks for a rating ends where the level word is predicted, and has no next-token loss. Prompts are padded on the
    left, so answers stand at the end of every row, and the language model's head runs over these few positions only; TRL's fused
    head, which a CPU runs over all of them, is not used. Evaluation is by the scorer of inference,
    [`AestheticAssessor`]: SRCC and PLCC of each evaluation set, and their means `eval_srcc` and `eval_plcc`.

    With several processes all losses are what one process with the same global batch has.

    Args:
        model: an [`AestheticMLLMForConditionalGeneration`].
        args: an [`AestheticSFTConfig`].
        processing_class: the checkpoint's [`AestheticMLLMProcessor`].
        train_dataset: rows as of [`AestheticSFTCollator`].
        eval_dataset: rated rows with one photo each, or several such sets by name.
        peft_config: LoRA; without `target_modules` the language model's projections are adapted, and the alignment module is
            learned whole beside them.
        kwargs: as of `SFTTrainer`; `data_collator` defaults to an [`AestheticSFTCollator`].
    """

    args: AestheticSFTConfig

    def __init__(
        self,
        model: nn.Module,
        args: AestheticSFTConfig,
        processing_class: Any,
        train_dataset: Any = None,
        eval_dataset: Dataset | Mapping[str, Dataset] | None = None,
        peft_config: Any = None,
        data_collator: Any = None,
        **kwargs: Any,
    ):
        if args.freeze_vision_tower:
            model.model.vision_tower.requires_grad_(False)
        if args.freeze_alignment:
            model.model.multi_modal_projector.requires_grad_(False)
        if peft_config is not None:
            _adapt_language_model(peft_config, args)
        super().__init__(
            model=model,
            args=args,
            processing_class=processing_class,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            peft_config=peft_config,
            data_collator=data_collator or AestheticSFTCollator(processing_class, seed=args.seed),
            **kwargs,
        )
        # losses at the rating position and a head over few positions; see the class's docstring
        scale = processing_class.rating_scale
        self.level_scores = torch.tensor(scale.level_scores)
        self.level_ids = processing_class.level_ids
        self.level_loss = SoftLevelLoss(self.level_ids)
        self.rank_loss = RankFidelityLoss(args.rank_label_std)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The parent's; AdamW with a learning rate of its own for the alignment module where one is given."""
        if self.optimizer is not None or self.args.alignment_learning_rate is None:
            return super().create_optimizer(model)
        named = [(name, weight) for name, weight in (model or self.model).named_parameters() if weight.requires_grad]
        aligned = [weight for name, weight in named if "multi_modal_projector" in name]
        others = [weight for name, weight in named if "multi_modal_projector" not in name]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": aligned, "lr": self.args.alignment_learning_rate},
                {"params": others, "lr": self.args.learning_rate},
            ],
            betas=(self.args.adam_beta1, self.args.adam_beta2),
            weight_decay=self.args.weight_decay,
            fused=True,
        )
        return self.optimizer

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
            SRCC and PLCC of each set as `eval_NAME_srcc` and `eval_NAME_plcc`, and the sets' means as `eval_srcc`, `eval_plcc`.
        """
        chosen = self.eval_dataset if eval_dataset is None else eval_dataset
        if chosen is None:
            raise ValueError("There is no evaluation set; give eval_dataset.")
        metrics: dict[str, float] = {}
        for name, (predicted, wanted) in self.rate(chosen if isinstance(chosen, Mapping) else {"": chosen}).items():
            part = f"{metric_key_prefix}_{name}_" if name else f"{metric_key_prefix}_"
            metrics |= {f"{part}{measure}": value for measure, value in correlations(predicted, wanted).items()}
        for measure in ("srcc", "plcc"):
            values = [value for key, value in metrics.items() if key.endswith(f"_{measure}")]
            metrics[f"{metric_key_prefix}_{measure}"] = sum(values) / len(values)
        self.log(metrics)
        if metric_key_prefix == "eval":  # what is tested once says nothing about when to stop
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def rate(self, sets: Mapping[str, Any]) -> dict[str, tuple[list[float], list[float]]]:
        """Predicted and true means of each set, by the scorer of inference; the model's mode is left as it was."""
        was_training = self.model.training
        self.model.eval()
        found = {name: self._rate(rows) for name, rows in sets.items()}
        self.model.train(was_training)
        return found

    def _rate(self, rows: Any) -> tuple[list[float], list[float]]:
        """Predicted and true means of a set, of all processes, by the scorer of inference."""
        assessor = AestheticAssessor(self.accelerator.unwrap_model(self.model), self.processing_class)
        index, count = self.accelerator.process_index, self.accelerator.num_processes
        own = [rows[number] for number in range(index, len(rows), count)]
        predicted: list[tuple[float, float]] = []
        for question in dict.fromkeys(row["question"] for row in own):
            asked = [row for row in own if row["question"] == question]
            ratings = assessor.score_stream(
                (photo_source(row["images"][0]) for row in asked), question, batch_size=self.args.per_device_eval_batch_size
            )
            predicted += [(rating.mean, row["mean"]) for rating, row in zip(ratings, asked, strict=True)]
        predicted = gather_object(predicted)
        return [mean for mean, _ in predicted], [mean for _, mean in predicted]


def _first_prediction(labels: torch.Tensor, level_positions: torch.Tensor) -> int:
    """The first position of a batch that predicts anything: a word of an answer, or a level word, which has no label."""
    words = (labels != -100).any(0).nonzero()[:1, 0] - 1
    ratings = level_positions[level_positions >= 0]
    predictions = torch.cat([words, ratings])
    if not len(predictions):
        raise ValueError("A batch has neither words nor ratings to learn; give labels, or level_targets with level_positions.")
    return int(predictions.min())


def _adapt_language_model(peft_config: Any, args: AestheticSFTConfig) -> None:
    """What LoRA adapts, and what is learned whole beside it, where the configuration does not say."""
    if not peft_config.target_modules:
        peft_config.target_modules = ADAPTED
    if peft_config.modules_to_save is None and not args.freeze_alignment:
        peft_config.modules_to_save = list(LEARNED_WHOLE)
