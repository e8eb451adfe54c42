"""The processor: photos and text in, model inputs out; and what the model answers, back into ratings."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer, BatchFeature, ProcessorMixin
from transformers.processing_utils import MultiModalData

from .checkpoint_side_files import CONVERTER, HUB_OPTIONS, SideFile, load_side_file, refuse_old_side_files, save_side_files
from .image_processing_aesthetic_mllm import AestheticMLLMImageProcessor
from .rating_scale import Rating, RatingScale

# Groups in the order in which they enter the language model, as in modeling/.
DEFAULT_NUM_GROUP_TOKENS = {"low": 8, "middle": 8, "high": 8, "thematic": 9}
TURN_TOKENS = ("<|im_start|>", "<|im_end|>")
IMAGE_TOKEN = "<image>"
OLD_OPTIONS = {
    "group_tokens": "All visual tokens share one placeholder now: give image_token, the placeholder of the thematic group.",
    "example_trust": "It is called in_context_weight now.",
    "example_weight": "It is called in_context_weight now.",
}
PUSH_OPTIONS = ("commit_description", "commit_message", "create_pr", "private", "revision", "token")  # of `push_to_hub`

# ChatML. Photos stand where the message names them; the assistant's words and the end of its turn are what trainers with an
# assistant-only loss learn from.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- set content -%}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for item in message['content'] -%}
{%- if item['type'] == 'image' -%}{{- '<image>' -}}{%- elif item['type'] == 'text' -%}{{- item['text'] -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endset -%}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}{{- content + '<|im_end|>' -}}{%- endgeneration -%}
{%- else -%}
{{- content + '<|im_end|>' -}}
{%- endif -%}
{{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""


class AestheticMLLMProcessor(ProcessorMixin):
    """Image processor, tokenizer and rating scale in one; all saved with the checkpoint.

    Args:
        image_processor ([`AestheticMLLMImageProcessor`]): makes `pixel_values` and `image_sizes`.
        tokenizer: the language model's, with the placeholder as a token.
        chat_template (`str`, *optional*): default ChatML with `{% generation %}` around the assistant's turn.
        rating_scale ([`RatingScale`] or its dictionary, *optional*): questions, level words, scores.
        image_token (`str`, defaults to `"<image>"`): placeholder of every visual token. In a prompt that is still to be
            processed one stands for a whole photo.
        num_group_tokens (`dict[str, int]`, *optional*): how many tokens of each group a photo gets, in this order; 0
            switches a group off.
        writes_comments (`bool`, defaults to `True`): whether the checkpoint was taught to comment. One that was only taught to
            rate says so here, so that its words are not taken for a comment.
        num_example_tokens (`dict[str, int]`, *optional*): how many tokens of each group a photo gets that only stands as a
            rated example before another photo; fewer than `num_group_tokens` are means of neighbours. Default: none, the
            checkpoint was not taught to read examples.
        in_context_weight (`float`, defaults to 1.0): the share of a personal rating that is read from rated examples; the rest is
            the rating without them. A small language model reads more into a few ratings than they say; choose the weight on
            raters of the training set.
        measurement_cuts (`dict[str, list[float]]`, *optional*): what counts as low or high of each measured attribute: the
            ascending cut points between its bins over the training photos (`PoolStatistics`). Claims about a photo are checked
            against them. Default: none are known, so nothing is checked.
        side_files (`dict[str, SideFile]`, *optional*): by name, what the checkpoint carries beside its weights for comments and
            personal ratings. Saved, loaded and pushed with the processor.

    Raises:
        RatingScaleError: the level words are not distinct single tokens of this tokenizer.
        ValueError: an `in_context_weight` that is not above 0 and at most 1, an `image_token` that the tokenizer does not have,
            or an option of an older version.
    """

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
        rating_scale: RatingScale | Mapping[str, Any] | None = None,
        image_token: str = IMAGE_TOKEN,
        num_group_tokens: Mapping[str, int] | None = None,
        writes_comments: bool = True,
        num_example_tokens: Mapping[str, int] | None = None,
        in_context_weight: float = 1.0,
        measurement_cuts: Mapping[str, Sequence[float]] | None = None,
        side_files: Mapping[str, SideFile] | None = None,
        **kwargs: Any,
    ):
        _refuse_old(kwargs)
        if not 0 < in_context_weight <= 1:
            raise ValueError(f"in_context_weight is {in_context_weight}; give a share above 0 and at most 1.")
        self.in_context_weight = in_context_weight
        self.measurement_cuts = {name: list(cuts) for name, cuts in (measurement_cuts or {}).items()}
        self.writes_comments = writes_comments
        self.num_example_tokens = {group: (num_example_tokens or {}).get(group, 0) for group in DEFAULT_NUM_GROUP_TOKENS}
        self.side_files = dict(side_files or {})
        if rating_scale is None:
            rating_scale = RatingScale()
        elif isinstance(rating_scale, Mapping):
            rating_scale = RatingScale.from_dict(rating_scale)
        self.rating_scale = rating_scale
        # in the order in which the groups enter the language model, which a saved file with sorted keys has lost
        num_group_tokens = num_group_tokens or DEFAULT_NUM_GROUP_TOKENS
        self.num_group_tokens = {group: num_group_tokens.get(group, 0) for group in DEFAULT_NUM_GROUP_TOKENS}
        self.image_token = image_token
        self.image_token_id = tokenizer.convert_tokens_to_ids(image_token)
        if self.image_token_id in (None, tokenizer.unk_token_id):
            raise ValueError(f"The tokenizer has no token {image_token!r} for photos; add it, or give another image_token.")
        self.level_ids = rating_scale.level_ids(tokenizer)
        super().__init__(image_processor, tokenizer, chat_template=chat_template or CHAT_TEMPLATE)

    @property
    def num_image_tokens(self) -> int:
        """Visual tokens of one photo; the same for every photo."""
        return sum(self.num_group_tokens.values())

    def image_layout(self, groups: Sequence[str] | None = None) -> list[int]:
        """How many tokens of each group a photo shows: a row of the model's `image_layouts`, low, middle, high, thematic.

        Args:
            groups: that are shown; default all, for which the model needs no `image_layouts`.
        """
        return [count if groups is None or group in groups else 0 for group, count in self.num_group_tokens.items()]

    @property
    def example_layout(self) -> list[int]:
        """As `image_layout`, of a photo that only stands as a rated example before another one."""
        return list(self.num_example_tokens.values())

    def image_placeholders(self, groups: Sequence[str] | None = None) -> str:
        """The placeholders of one photo, or of some of its groups; the groups' tokens follow each other in one block."""
        return self.image_token * sum(self.image_layout(groups))

    def replace_image_token(self, image_inputs: Mapping[str, Any], image_idx: int, **kwargs: Any) -> str:
        return self.image_placeholders()

    def _get_num_multimodal_tokens(self, image_sizes: Any = None, **kwargs: Any) -> MultiModalData:
        if image_sizes is None:
            return MultiModalData()
        count = len(image_sizes)
        return MultiModalData(num_image_tokens=[self.num_image_tokens] * count, num_image_patches=[1] * count)

    def rating_prompt(self, question: str | None = None) -> str:
        """The whole prompt that asks for a rating of one photo and ends with the answer stem."""
        asked = self.rating_scale.question(question)
        return self.assistant_prompt(asked.prompt) + asked.stem

    def assistant_prompt(self, text: str) -> str:
        """A photo and a text of the user in the checkpoint's chat format, up to where the assistant's words begin."""
        content = [{"type": "image"}, {"type": "text", "text": text}]
        prompt = self.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
        # templates that end with "ASSISTANT:" leave the space to the answer
        return prompt if prompt[-1].isspace() else prompt + " "

    def rating_prompt_ids(self, question: str | None = None) -> list[int]:
        """Token ids of `rating_prompt`, the placeholders already as many as the photo has tokens."""
        return self.prompt_ids(self.rating_prompt(question))

    def prompt_ids(self, prompt: str) -> list[int]:
        """Token ids of a whole prompt about one photo, the placeholders as many as the photo has tokens."""
        return self.tokenizer(prompt.replace(self.image_token, self.image_placeholders()))["input_ids"]

    @property
    def reads_examples(self) -> bool:
        """Whether the checkpoint was taught to predict a person's rating from photos they rated, given in the prompt."""
        return any(self.num_example_tokens.values())

    def example_prompt_ids(self, question: str | None = None) -> tuple[list[int], list[list[int]], list[int]]:
        """A rating prompt after rated examples, in three parts that are tokenized apart.

        An example is a whole exchange in the checkpoint's own words: a photo, the question, and the answer with a level word. So
        a checkpoint needs no other wording for it, and every example has the same number E of tokens.

        Returns:
            What stands before the first example; for each level word, worst first, an example that is answered by it, [E]; and
            the photo that is asked about with the question, up to the answer stem.
        """
        asked = self.rating_scale.question(question)
        photo = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": asked.prompt}]}
        examples = []
        for word in self.rating_scale.level_words:
            answered = {"role": "assistant", "content": [{"type": "text", "text": asked.stem + word}]}
            text = self.apply_chat_template([photo, answered, photo], tokenize=False, add_generation_prompt=True)
            start, between, _ = text.split(self.image_token)
            examples.append(self.image_token * sum(self.example_layout) + between)
        last = self.rating_prompt(question).partition(self.image_token)[2]
        parts = [start, *examples, self.image_placeholders() + last]
        # only what stands first may get a token that begins all texts
        ids = [self.tokenizer(part, add_special_tokens=place == 0)["input_ids"] for place, part in enumerate(parts)]
        return ids[0], ids[1:-1], ids[-1]

    @property
    def end_of_turn_ids(self) -> list[int]:
        """Tokens that end the assistant's words: the tokenizer's own end, and the special token after a turn of the template."""
        words = "photo"
        turns = [{"role": role, "content": [{"type": "text", "text": words}]} for role in ("user", "assistant")]
        after = self.apply_chat_template(turns, tokenize=False).rpartition(words)[2]
        first = self.tokenizer.encode(after, add_special_tokens=False)[:1]
        special = {token for token, text in self.tokenizer.added_tokens_decoder.items() if text.special}
        return list(dict.fromkeys([self.tokenizer.eos_token_id, *special.intersection(first)]))

    def rating_inputs(self, images: Any, question: str | None = None) -> BatchFeature:
        """Model inputs that ask one question of each photo.

        Args:
            images: one photo or a list of them: path, bytes or `PIL.Image.Image`.
            question: a key of `rating_scale.questions`; default the first.

        Returns:
            `input_ids` and `attention_mask` [B, L], `pixel_values` [B, 3, H, W], `image_sizes` [B, 2] as torch tensors. The
            rating is read from the logits of the last position.
        """
        pixels = self.image_processor(images, return_tensors="pt")
        ids = torch.tensor([self.rating_prompt_ids(question)] * len(pixels["pixel_values"]))
        return BatchFeature({"input_ids": ids, "attention_mask": torch.ones_like(ids), **pixels})

    def decode_ratings(self, logits: torch.Tensor, question: str | None = None) -> list[Rating]:
        """Ratings from the model's logits [B, L, V] or [B, V] at the last position."""
        last = logits[:, -1] if logits.ndim == 3 else logits
        return self.rating_scale.read_level_logits(last[:, self.level_ids], question)

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {"rating_scale": self.rating_scale.to_dict(), "side_files": sorted(self.side_files)}

    def save_pretrained(self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any) -> list[str]:
        """As the parent's, side files included."""
        written = super().save_pretrained(save_directory, **kwargs)
        written += save_side_files(self.side_files, save_directory)
        if push_to_hub:
            chosen = {name: kwargs[name] for name in PUSH_OPTIONS if name in kwargs}
            self.push_to_hub(kwargs.get("repo_id") or Path(save_directory).name, **chosen)
        return written

    def _upload_modified_files(self, working_dir: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """As the parent's, without the card's stub that the parent has made: the card is the model's."""
        (Path(working_dir) / "README.md").unlink(missing_ok=True)
        return super()._upload_modified_files(working_dir, *args, **kwargs)

    @classmethod
    def get_processor_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """As the parent's, with the side files that the configuration names.

        Raises:
            OSError: the chat template or a side file is missing, or a side file is damaged.
            ValueError: an option or a side file of an older version.
        """
        values, unused = super().get_processor_dict(pretrained_model_name_or_path, **kwargs)
        _refuse_old(kwargs)
        _refuse_old(values)
        if not (values.get("chat_template") or kwargs.get("chat_template")):  # with another one it would judge wrongly
            raise OSError(
                f"{pretrained_model_name_or_path} lacks chat_template.jinja, which is saved with every processor. Copy it there "
                "or download the checkpoint again."
            )
        options = {name: kwargs[name] for name in HUB_OPTIONS if kwargs.get(name) is not None}
        names = values.get("side_files")
        if names is None:
            refuse_old_side_files(pretrained_model_name_or_path, **options)
        values["side_files"] = {name: load_side_file(pretrained_model_name_or_path, name, **options) for name in names or ()}
        return values, unused

    @classmethod
    def from_vision_text_pretrained(cls, vision: str, text: str, **kwargs: Any) -> "AestheticMLLMProcessor":
        """A processor for a model grown from a vision tower and a language model.

        The tokenizer gets the placeholder, and ChatML's turn tokens where it lacks them; the canvas and the normalisation
        are the tower's own.

        Args:
            vision, text: names or folders of the two checkpoints.
            kwargs: for `__init__`.
        """
        tokenizer = AutoTokenizer.from_pretrained(text)
        placeholder = kwargs.get("image_token", IMAGE_TOKEN)
        tokenizer.add_special_tokens({"additional_special_tokens": [*TURN_TOKENS, placeholder]})
        _pad_like_end(tokenizer, end_of_turn=TURN_TOKENS[1])
        source = AutoImageProcessor.from_pretrained(vision, backend="pil")
        size = source.size
        canvas = size.get("shortest_edge") or max(size["height"], size["width"])
        image_processor = AestheticMLLMImageProcessor(
            canvas_size=canvas, image_mean=list(source.image_mean), image_std=list(source.image_std)
        )
        return cls(image_processor, tokenizer, **kwargs)

    @classmethod
    def from_llava_pretrained(cls, llava: str, **kwargs: Any) -> "AestheticMLLMProcessor":
        """A processor for a model grown from a LLaVA checkpoint; its image policy and chat template are kept.

        Args:
            llava: name or folder of a `LlavaForConditionalGeneration` checkpoint with its processor.
            kwargs: for `__init__`; `num_group_tokens` without aesthetic groups gives LLaVA's own prompts.
        """
        source = AutoProcessor.from_pretrained(llava, backend="pil")
        policy = source.image_processor
        image_processor = AestheticMLLMImageProcessor(
            canvas_size=policy.crop_size["height"],
            resize_mode="clip",
            image_mean=list(policy.image_mean),
            image_std=list(policy.image_std),
        )
        cells = (policy.crop_size["height"] // source.patch_size) ** 2
        kwargs.setdefault("num_group_tokens", DEFAULT_NUM_GROUP_TOKENS | {"thematic": cells})
        kwargs.setdefault("chat_template", source.chat_template)
        return cls(image_processor, source.tokenizer, image_token=source.image_token, **kwargs)


def _refuse_old(options: Mapping[str, Any]) -> None:
    """Refuses options of older versions, which would be ignored."""
    for name in OLD_OPTIONS.keys() & options.keys():
        raise ValueError(
            f"The processor has the option {name}={options[name]!r} of an older version. {OLD_OPTIONS[name]} "
            f"{CONVERTER} converts a checkpoint."
        )


def _pad_like_end(tokenizer: Any, end_of_turn: str) -> None:
    """Left padding, which a rating read at the last position needs; and a padding token where the tokenizer has none."""
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = end_of_turn


AestheticMLLMProcessor.register_for_auto_class()  # shipped with the weights

__all__ = ["AestheticMLLMProcessor"]
