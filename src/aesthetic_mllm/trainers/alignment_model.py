"""The model as it is while its alignment module learns: with heads, whitened target text embeddings and the three losses."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers.utils import ModelOutput

from ..modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from ..modeling.token_placement import image_features
from ..modeling.vision_tower import tower_feature_maps
from ..pretext.phrase_bank import BINS, PhraseBank
from ..pretext.pretext_samples import LEVELS
from .aesthetic_alignment_config import AestheticAlignmentConfig
from .losses.pseudo_label import AlterationLoss, OrdinalLoss, PseudoLabelHeads
from .losses.target_text_contrastive import TargetTextContrastiveLoss, TargetTextWhitening
from .pretext_collator import KINDS, PRETEXT_GROUPS, PretextVocabulary
from .prompt_packing import pad_left

WORDINGS = 6  # of each target text, whose mean embedding stands for its label in the whitening
EMBEDDING_BATCH = 64


@dataclass
class AlignmentOutput(ModelOutput):
    """The weighted loss and its three parts before weighting, scalars."""

    loss: torch.Tensor | None = None
    generation_loss: torch.Tensor | None = None
    contrastive_loss: torch.Tensor | None = None
    pseudo_label_loss: torch.Tensor | None = None


class AlignmentModel(nn.Module):
    """Wraps a model whose alignment module learns from pretext samples; tower and language model are frozen.

    Per-sample losses are sums over the batch divided by its number of pretext samples, whatever kinds it holds, so that the mean
    over processes is what one process with all their pretext samples computes. `state_dict` holds what learns, and nothing else.

    Args:
        model: an [`AestheticMLLMForConditionalGeneration`]; its alignment module is trained in place.
        processor: the checkpoint's [`AestheticMLLMProcessor`].
        bank: wordings of the target texts.
        vocabulary: what the heads can name.
        args: weights of the losses.
    """

    def __init__(
        self, model: Any, processor: Any, bank: PhraseBank, vocabulary: PretextVocabulary, args: AestheticAlignmentConfig
    ):
        super().__init__()
        model.requires_grad_(False)
        model.model.multi_modal_projector.requires_grad_()
        self.model = model
        self.weights = {
            "generation_loss": args.generation_loss_weight,
            "contrastive_loss": args.contrastive_loss_weight,
            "pseudo_label_loss": args.pseudo_label_loss_weight,
        }
        self.canvas = (processor.image_processor.canvas_size, processor.image_processor.canvas_size)
        size = model.config.text_config.hidden_size
        self.heads = nn.ModuleDict(
            {
                level: PseudoLabelHeads(size, len(vocabulary.attributes[level]), BINS, len(vocabulary.edits[level]),
                                        len(vocabulary.subjects(level, "content")))
                for level in LEVELS
            }
        )  # fmt: skip
        self.ordinal, self.alteration = OrdinalLoss(), AlterationLoss()
        self.contrastive = TargetTextContrastiveLoss(args.temperature)
        self.whitening = self._whitening(processor, bank, vocabulary, args.whitened_size)
        directions = self.whitening.weight.shape[1]
        # a photo and a change between two photos are told by different parts of the same tokens
        self.photo_projections = nn.ModuleDict({level: nn.Linear(size, directions) for level in LEVELS})
        self.change_projections = nn.ModuleDict({level: nn.Linear(size, directions) for level in LEVELS})

    def train(self, mode: bool = True) -> "AlignmentModel":
        """The frozen parts stay in evaluation mode."""
        super().train(mode)
        self.model.model.vision_tower.eval()
        self.model.model.language_model.eval()
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What learns: alignment module, heads and projections."""
        learned = {name for name, weight in self.named_parameters() if weight.requires_grad}
        return {name: value for name, value in super().state_dict(*args, **kwargs).items() if name in learned}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """What `state_dict` gave; raises `RuntimeError` where something of it is missing or unexpected."""
        wanted = self.state_dict().keys()
        if state_dict.keys() != wanted:
            differing = sorted(state_dict.keys() ^ wanted)
            raise RuntimeError(
                f"{len(differing)} weights do not fit this alignment, first {differing[0]}; resume with the phrase bank and the "
                "teacher's contents of the run that saved them."
            )
        result = super().load_state_dict(state_dict, strict=False, assign=assign)
        result.missing_keys.clear()  # the frozen parts
        return result

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor,
        target_text_ids: torch.Tensor,
        target_text_mask: torch.Tensor,
        image_sizes: torch.Tensor,
        image_rows: torch.Tensor,
        groups: torch.Tensor,
        kinds: torch.Tensor,
        subjects: torch.Tensor,
        bins: torch.Tensor,
        strengths: torch.Tensor,
        target_text_labels: torch.Tensor,
        pixel_values: torch.Tensor | None = None,
        feature_maps: Mapping[str, torch.Tensor] | None = None,
    ) -> AlignmentOutput:
        """The losses of a batch of [`PretextCollator`], whose shapes are given there; with either pixels or feature maps."""
        shown = groups[image_rows]  # [N], the group that each photo shows
        tokens = self._tokens(pixel_values, feature_maps, image_sizes, shown)
        rows = torch.arange(len(groups), device=image_rows.device)
        first = torch.searchsorted(image_rows, rows)
        last = torch.searchsorted(image_rows, rows, right=True) - 1
        losses = {
            "generation_loss": self._generation(input_ids, attention_mask, labels, tokens, shown).mean(),
            "contrastive_loss": self._contrast(
                tokens, groups, first, last, target_text_ids, target_text_mask, target_text_labels
            ),
            "pseudo_label_loss": self._pseudo_labels(tokens, groups, first, last, kinds, subjects, bins, strengths).mean(),
        }
        return AlignmentOutput(loss=sum(self.weights[name] * loss for name, loss in losses.items()), **losses)

    @torch.no_grad()
    def embed_target_texts(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Mean of the frozen language model's last states over each target text [B, C] -> [B, D]."""
        states = self.model.model.language_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return (states * mask[..., None]).sum(1).float() / mask.sum(1, keepdim=True)

    def _tokens(
        self,
        pixel_values: torch.Tensor | None,
        feature_maps: Mapping[str, torch.Tensor] | None,
        image_sizes: torch.Tensor,
        shown: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """For each group that is shown its [N, T, D] tokens, zeros for the photos that show another."""
        inner = self.model.model
        tokens = {}
        for number, group in enumerate(PRETEXT_GROUPS):
            photos = (shown == number).nonzero().squeeze(1)
            if not len(photos):
                continue
            if feature_maps is None:
                with torch.no_grad():  # no deeper than the group reads
                    (features,) = tower_feature_maps(
                        inner.vision_tower,
                        pixel_values[photos].to(inner.vision_tower.dtype),
                        image_sizes[photos],
                        [inner.feature_layers[group]],
                    )
            else:
                features = feature_maps[group].to(inner.vision_tower.dtype)
            own = inner.multi_modal_projector({group: features}, image_sizes[photos], self.canvas)[group]
            tokens[group] = own.new_zeros(len(shown), *own.shape[1:]).index_copy(0, photos, own)
        return tokens

    def _generation(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor,
        tokens: dict[str, torch.Tensor],
        shown: torch.Tensor,
    ) -> torch.Tensor:
        """Mean next-token loss of each target text: [B]."""
        # from the position that predicts the first word of the longest target text; target texts end every row
        first = int((labels != -100).any(0).nonzero()[0]) - 1
        layouts = torch.zeros(len(shown), len(TOKEN_GROUPS), dtype=torch.long, device=shown.device)  # one group a photo
        for group, values in tokens.items():
            layouts[shown == PRETEXT_GROUPS.index(group), TOKEN_GROUPS.index(group)] = values.shape[1]
        logits = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            mm_encoder_outputs={"image": image_features(tokens, layouts)},
            use_cache=False,
            logits_to_keep=labels.shape[1] - first,
        ).logits  # [B, K, V]
        wanted = labels[:, first + 1 :]
        losses = F.cross_entropy(logits[:, :-1].float().transpose(1, 2), wanted, ignore_index=-100, reduction="none")
        return losses.sum(1) / (wanted != -100).sum(1)

    def _contrast(
        self,
        tokens: dict[str, torch.Tensor],
        groups: torch.Tensor,
        first: torch.Tensor,
        last: torch.Tensor,
        target_text_ids: torch.Tensor,
        target_text_mask: torch.Tensor,
        target_text_labels: torch.Tensor,
    ) -> torch.Tensor:
        target_texts = self.whitening(self.embed_target_texts(target_text_ids, target_text_mask))  # [B, K]
        photos = torch.zeros_like(target_texts)
        for number, level in enumerate(LEVELS):
            rows = (groups == number).nonzero().squeeze(1)
            if len(rows):
                pooled = tokens[level].mean(1)
                after, change = pooled[last[rows]], pooled[last[rows]] - pooled[first[rows]]
                one_photo = (first[rows] == last[rows])[:, None]
                projected = torch.where(one_photo, self.photo_projections[level](after), self.change_projections[level](change))
                photos = photos.index_copy(0, rows, projected.to(photos.dtype))
        # pairs of the thematic path are learned from their words alone; one label for all makes them lose nothing here
        target_text_labels = torch.where(groups < len(LEVELS), target_text_labels, 0)
        return self.contrastive(photos, target_texts, target_text_labels, groups)

    def _pseudo_labels(
        self,
        tokens: dict[str, torch.Tensor],
        groups: torch.Tensor,
        first: torch.Tensor,
        last: torch.Tensor,
        kinds: torch.Tensor,
        subjects: torch.Tensor,
        bins: torch.Tensor,
        strengths: torch.Tensor,
    ) -> torch.Tensor:
        """What the heads lose on each pretext sample, 0 where there is nothing to predict: [B]."""
        losses = torch.zeros(len(groups), device=groups.device)
        for number, level in enumerate(LEVELS):
            for kind_number, kind in enumerate(KINDS):
                rows = ((groups == number) & (kinds == kind_number) & (subjects >= 0)).nonzero().squeeze(1)
                if not len(rows):
                    continue
                before, after = tokens[level][first[rows]], tokens[level][last[rows]]
                head, wanted = self.heads[level], subjects[rows]
                if kind == "measured":
                    loss = self.ordinal(head.read_measured(after, wanted), bins[rows])
                elif kind == "altered":
                    loss = self.alteration(*head.read_altered(before, after), wanted, strengths[rows])
                else:
                    loss = F.cross_entropy(head.read_content(after).float(), wanted, reduction="none")
                losses = losses.index_copy(0, rows, loss.to(losses.dtype))
        return losses

    def retrieval(self, processor: Any, bank: PhraseBank, held_out: bool = True) -> dict[str, float]:
        """How often a target text finds its own label among those of its level, by the whitened embeddings alone.

        No photo can be told apart by embeddings that do not tell the texts apart. Contents, a teacher's words, are not asked.

        Args:
            held_out: with the wordings that training never shows, which share few words with the others.

        Returns:
            By level, the share of labels (0 to 1) whose target text lies nearest to the mean of the label's own training
            wordings.
        """
        shares = {}
        for level in LEVELS:
            asked = list(bank.every_target_text(level, seed=WORDINGS, held_out=held_out))
            known = _wordings(bank, [level])
            means = self.whitening(self._label_means(processor, known))
            found = (self.whitening(self.embed_texts(processor, [target_text.text for target_text in asked])) @ means.T).argmax(1)
            labels = list(known)
            shares[level] = sum(
                labels[number] == target_text.label for number, target_text in zip(found.tolist(), asked, strict=True)
            ) / len(asked)
        return shares

    def _whitening(self, processor: Any, bank: PhraseBank, vocabulary: PretextVocabulary, size: int) -> TargetTextWhitening:
        """Over the mean embeddings of all labels, each in several wordings: so it keeps what labels differ in."""
        rng = random.Random(0)
        wordings = _wordings(bank, LEVELS)
        for content in vocabulary.contents:
            target_text = bank.content(content, rng)
            wordings.setdefault(target_text.label, []).append(target_text.text)
        means = self._label_means(processor, wordings)
        return TargetTextWhitening(means, min(size, len(means) - 1, means.shape[1]))

    def _label_means(self, processor: Any, wordings: Mapping[str, Sequence[str]]) -> torch.Tensor:
        """Mean embedding of each label's texts: [labels, D]."""
        embeddings = self.embed_texts(processor, [text for texts in wordings.values() for text in texts])
        return torch.stack([part.mean(0) for part in embeddings.split([len(texts) for texts in wordings.values()])])

    def embed_texts(self, processor: Any, texts: Sequence[str]) -> torch.Tensor:
        """As `embed_target_texts`, of plain texts: [N, D]."""
        tokenizer = processor.tokenizer
        device = next(self.model.parameters()).device
        parts = []
        for start in range(0, len(texts), EMBEDDING_BATCH):
            ids = [tokenizer.encode(text, add_special_tokens=False) for text in texts[start : start + EMBEDDING_BATCH]]
            parts.append(self.embed_target_texts(*(part.to(device) for part in pad_left(ids, tokenizer.pad_token_id))))
        return torch.cat(parts)


def _wordings(bank: PhraseBank, levels: Sequence[str]) -> dict[str, list[str]]:
    """Several texts of each label of some levels, as training words them."""
    by_label: dict[str, list[str]] = {}
    for seed in range(WORDINGS):
        for level in levels:
            for target_text in bank.every_target_text(level, seed=seed):
                by_label.setdefault(target_text.label, []).append(target_text.text)
    return by_label
