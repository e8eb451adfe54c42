"""LoRA for one person: low-rank changes of the language model, through which this person's ratings alone are read."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.func import functional_call

from ..modeling.model_outputs import AestheticImageFeatures
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..processing.rating_scale import Rating
from ..tasks.personalizing import ProfileError
from .example_prefix import image_features, tokens_of

SCALING = 2.0  # of the product of the factors, usual for LoRA (alpha = 2 r)
CHANGED = (".q_proj.weight", ".v_proj.weight")  # as in Hu et al. 2021, arXiv:2106.09685
DOWN, UP, LEVEL = "down.", "up.", "level"


class LoraMethod:
    """Rates with one person's low-rank changes of the language model's weights.

    A method of `personal_methods`; [`trainers.personal_lora.tune_lora`] learns the changes.

    The model that all people share is never touched: changed weights stand in for its own while this method rates, and no longer.

    Args:
        question: that the person's ratings answer.
        learned: `down.NAME` [r, I] and `up.NAME` [O, r] for each changed weight [O, I] of the model, and `level`, by how many
            points this person rates above the general rating, [1].

    Raises:
        ProfileError: the model has no such weights.
    """

    reads_general = False

    def __init__(
        self,
        model: AestheticMLLMForConditionalGeneration,
        processor: AestheticMLLMProcessor,
        question: str,
        learned: Mapping[str, np.ndarray],
    ):
        self.model, self.processor, self.learned = model, processor, dict(learned)
        self._prompt = rating_prompt(model, processor, question)
        whole = changeable(model)
        pairs = {name.removeprefix(DOWN): name for name in learned if name.startswith(DOWN)}
        if not pairs.keys() <= whole.keys():
            raise ProfileError(
                f"The checkpoint {model.name_or_path} has no weights {sorted(pairs.keys() - whole.keys())}, which the profile "
                "changes; load the checkpoint that it was made with, or make it anew from the ratings."
            )
        with torch.inference_mode():
            self._weights = {
                name: changed(whole[name], torch.from_numpy(learned[down]), torch.from_numpy(learned[UP + name]))
                for name, down in pairs.items()
            }

    @torch.inference_mode()
    def rate(self, seen: AestheticImageFeatures, general: Sequence[Rating]) -> list[Rating]:
        scale = self.processor.rating_scale
        logits = next_logits(self.model, self._weights, self._prompt, tokens_of(seen))
        (level,) = self.learned[LEVEL].tolist()
        read = scale.read_level_logits(logits[:, self.processor.level_ids])
        return [scale.moved(rating, rating.mean + level) for rating in read]


def changeable(model: AestheticMLLMForConditionalGeneration) -> dict[str, torch.Tensor]:
    """The weights that a person may change, by name.

    Raises:
        ProfileError: there are none, as in a model that computes in 8-bit integers.
    """
    found = {
        name: weight.detach()
        for name, weight in model.named_parameters()
        if name.startswith("model.language_model.") and name.endswith(CHANGED)
    }
    if not found:
        raise ProfileError(
            f"The language model of {model.name_or_path} has no weights {' or '.join(CHANGED)} to change, as one in 8-bit "
            "integers has none; load it in float32 or bfloat16, or personalize with method='ridge'."
        )
    return found


def changed(weight: torch.Tensor, down: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """[O, I] weight with the change of [r, I] and [O, r] factors, in its own dtype."""
    return (weight.float() + SCALING * up.to(weight.device) @ down.to(weight.device)).to(weight.dtype)


def rating_prompt(model: AestheticMLLMForConditionalGeneration, processor: AestheticMLLMProcessor, question: str) -> torch.Tensor:
    """Token ids of the question's prompt, [1, L]."""
    return torch.tensor([processor.rating_prompt_ids(question)], device=model.device)


def next_logits(
    model: AestheticMLLMForConditionalGeneration,
    weights: Mapping[str, torch.Tensor],
    prompt: torch.Tensor,
    tokens: Mapping[str, torch.Tensor],
) -> torch.Tensor:
    """After the prompt over the vocabulary, with some weights in the place of the model's own: [B, V], float32.

    Args:
        prompt: [1, L].
        tokens: of B photos, [B, T, D] of each group.
    """
    count = len(next(iter(tokens.values())))
    inputs = {
        "input_ids": prompt.expand(count, -1),
        "mm_encoder_outputs": {"image": image_features(tokens)},
        "logits_to_keep": 1,
        "use_cache": False,
    }
    return functional_call(model, dict(weights), kwargs=inputs).logits[:, -1].float()
