"""The processor: prompts, placeholders, chat format."""

import json
from pathlib import Path

import pytest
import torch

from aesthetic_mllm import AestheticMLLMImageProcessor, AestheticMLLMProcessor, ImageError, RatingScale, RatingScaleError
from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.processing.rating_scale import RatingQuestion
from photo_files import png_bytes, scene
from tiny_models import CANVAS, SPECIAL_TOKENS, tiny_processor, tiny_tokenizer


def test_groups_are_the_models_in_the_models_order(processor: AestheticMLLMProcessor) -> None:
    """The two rooms, which may not import each other, agree on the groups and their order."""
    assert TOKEN_GROUPS == tuple(processor.num_group_tokens) == tuple(processor.num_example_tokens)
    assert processor.image_layout() == [8, 8, 8, 9] and processor.image_layout(["thematic", "low"]) == [8, 0, 0, 9]


def test_all_tokens_of_a_photo_share_one_placeholder(processor: AestheticMLLMProcessor) -> None:
    """A photo is one unbroken run of one token, as long as its layout says."""
    assert processor.tokenizer.tokenize(processor.image_placeholders()) == ["<image>"] * 33
    assert processor.image_placeholders(["high"]) == "<image>" * 8
    assert processor.tokenizer.convert_tokens_to_ids("<image>") == processor.image_token_id


def test_saved_and_loaded_asks_the_same(processor: AestheticMLLMProcessor, tmp_path: Path) -> None:
    """Prompts, scale, placeholders and canvas come back from the files as they were."""
    processor.save_pretrained(tmp_path)
    loaded = AestheticMLLMProcessor.from_pretrained(tmp_path)
    for question in processor.rating_scale.questions:
        assert loaded.rating_prompt_ids(question) == processor.rating_prompt_ids(question)
    assert loaded.rating_scale == processor.rating_scale
    assert loaded.image_processor.to_dict() == processor.image_processor.to_dict()
    assert loaded.image_token_id == processor.image_token_id and loaded.num_group_tokens == processor.num_group_tokens


def test_rating_inputs_are_the_processors_own(processor: AestheticMLLMProcessor) -> None:
    """The short way to a rating prompt gives the ids and pixels of the general call, for several photos at once."""
    photos = [scene(), scene(30, 80)]
    short = processor.rating_inputs(photos, "quality")
    general = processor(images=photos, text=[processor.rating_prompt("quality")] * 2, return_tensors="pt")
    assert set(short) == set(general)
    assert all(torch.equal(short[name], general[name]) for name in short)
    assert processor.rating_inputs(photos[0])["input_ids"].shape[0] == 1


def test_every_photo_has_the_announced_tokens(processor: AestheticMLLMProcessor) -> None:
    """Servers ask for the number of tokens before they see a photo; it is the number that the prompt then holds."""
    announced = processor._get_num_multimodal_tokens(image_sizes=[(10, 90), (500, 300)])
    inputs = processor(images=[scene(90, 40), scene()], text="<image> and <image>", return_tensors="pt")
    found = (inputs["input_ids"] == processor.image_token_id).sum()
    assert announced.num_image_tokens == [processor.num_image_tokens] * 2
    assert announced.num_image_patches == [1, 1]
    assert found == sum(announced.num_image_tokens)


def test_chat_marks_the_assistants_words(processor: AestheticMLLMProcessor) -> None:
    """The template's generation marks cover the assistant's words and end of turn, and nothing else."""
    messages = [
        {"role": "user", "content": [{"type": "image", "image": scene()}, {"type": "text", "text": "How good?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "It is fair."}]},
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": "Still fair."},
    ]
    inputs = processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    ids, mask = torch.tensor(inputs["input_ids"])[0], torch.tensor(inputs["assistant_masks"])[0].bool()
    assert processor.tokenizer.decode(ids[mask]) == "It is fair.<|im_end|>Still fair.<|im_end|>"


def test_prompt_ends_with_the_stem(processor: AestheticMLLMProcessor) -> None:
    """The level word is the next token: the prompt ends with the stem and no space, in the assistant's turn."""
    prompt = processor.rating_prompt("quality")
    assert prompt.endswith("<|im_start|>assistant\nThe technical quality of this photo is")
    assert prompt.count(processor.image_token) == 1


@pytest.mark.parametrize(("side", "length"), [("right", 10), ("right", 30), ("left", 27), ("left", 30)])
def test_truncation_never_cuts_a_photo(side: str, length: int) -> None:
    """A length limit that would cut placeholders is an error, also where it cuts exactly one group; another one is not."""
    processor = tiny_processor()
    processor.tokenizer.truncation_side = side
    call = {"images": scene(), "text": ["<image> is good"], "truncation": True}
    with pytest.raises(ValueError, match="truncat"):
        processor(**call, max_length=length)
    whole = len(processor(**call)["input_ids"][0])
    if side == "right":
        assert len(processor(**call, max_length=whole - 1)["input_ids"][0]) == whole - 1


def test_switched_off_groups_have_no_placeholders(processor: AestheticMLLMProcessor) -> None:
    """A group of no tokens leaves no trace in the prompt."""
    small = AestheticMLLMProcessor(
        AestheticMLLMImageProcessor(canvas_size=CANVAS), processor.tokenizer, num_group_tokens={"low": 4, "thematic": 0}
    )
    ids = small.rating_prompt_ids()
    assert ids.count(small.image_token_id) == 4 == small.num_image_tokens
    assert small.image_layout() == [4, 0, 0, 0]


def test_photos_come_as_files_too(processor: AestheticMLLMProcessor, tmp_path: Path) -> None:
    """Paths and bytes give the pixels of the image they hold; one that cannot be read is a typed error with its name."""
    (tmp_path / "a.png").write_bytes(png_bytes(scene()))
    expected = processor.rating_inputs(scene())["pixel_values"]
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), png_bytes(scene())):
        assert torch.equal(processor.rating_inputs(source)["pixel_values"], expected)
    path = str(tmp_path / "a.png")
    assert torch.equal(processor(images=[path], text=[processor.rating_prompt()], return_tensors="pt")["pixel_values"], expected)
    with pytest.raises(ImageError, match="missing.png"):
        processor(images=[str(tmp_path / "missing.png")], text=[processor.rating_prompt()])


def test_photos_of_a_batch_are_counted_by_prompt(processor: AestheticMLLMProcessor) -> None:
    """Prompts with different numbers of photos share a batch; shorter ones are padded on the left, where no rating is read."""
    inputs = processor(
        images=[scene(90, 40), scene(), scene(30, 50)],
        text=["<image> and <image> good", "<image> fair"],
        padding=True,
        return_tensors="pt",
    )
    placeholders = inputs["input_ids"] == processor.image_token_id
    assert placeholders.sum(1).tolist() == [2 * processor.num_image_tokens, processor.num_image_tokens]
    assert inputs["image_sizes"].tolist() == [[28, 64], [43, 64], [64, 38]]
    assert inputs["attention_mask"][:, -1].tolist() == [1, 1] and inputs["attention_mask"][:, 0].tolist() == [1, 0]


def test_every_placeholder_is_an_image_token_to_servers(processor: AestheticMLLMProcessor) -> None:
    """Token types mark the placeholders and nothing else."""
    inputs = processor(images=scene(), text=["<image> is good"], return_mm_token_type_ids=True, return_tensors="pt")
    placeholders = inputs["input_ids"] == processor.image_token_id
    assert torch.equal(inputs["mm_token_type_ids"].bool(), placeholders)


def test_the_checkpoints_own_scale_wins(processor: AestheticMLLMProcessor, tmp_path: Path) -> None:
    """Another scale (words, questions and their order, range, references) is saved and read back instead of the default one."""
    questions = {
        "quality": RatingQuestion("How sharp is this photo?", "This photo is", "A number?"),
        "aesthetic": RatingQuestion("How good is this photo?", "The photo is", "Which number?"),
    }
    scale = RatingScale(
        questions, (" poor", " fair", " good"), (0.0, 2.0, 5.0), (0.0, 5.0), references={"aesthetic": [1.0, 2.0, 4.5]}
    )
    AestheticMLLMProcessor(processor.image_processor, processor.tokenizer, rating_scale=scale).save_pretrained(tmp_path)
    loaded = AestheticMLLMProcessor.from_pretrained(tmp_path)
    assert loaded.rating_scale == scale and loaded.rating_scale.default_question == "quality"
    assert loaded.rating_prompt().endswith("assistant\nThis photo is")
    (rating,) = loaded.decode_ratings(torch.zeros(1, len(processor.tokenizer)), "aesthetic")
    assert rating.mean == pytest.approx(7 / 3) and rating.score_range == (0.0, 5.0) and 50 < rating.percentile < 100


def test_a_tokenizer_that_splits_level_words_is_refused(processor: AestheticMLLMProcessor) -> None:
    """No processor is made, nor loaded, whose tokenizer cannot answer with one token a level; the word is named."""
    scale = RatingScale(level_words=(" bad", " poor", " fair", " good", " magnificent"))
    with pytest.raises(RatingScaleError, match="' magnificent'"):
        AestheticMLLMProcessor(processor.image_processor, processor.tokenizer, rating_scale=scale)


def test_ratings_are_read_from_the_last_position(processor: AestheticMLLMProcessor) -> None:
    """Logits of all positions, of the last one kept, or of the last one alone read the same."""
    logits = torch.randn(2, 4, len(processor.tokenizer))
    whole = processor.decode_ratings(logits)
    assert whole == processor.decode_ratings(logits[:, -1:]) == processor.decode_ratings(logits[:, -1])
    assert whole != processor.decode_ratings(logits[:, :-1])


def test_a_turn_ends_with_the_templates_token_and_the_tokenizers(processor: AestheticMLLMProcessor) -> None:
    """What ends the assistant's words is known for ChatML, for another end of its own, and for a template without any."""
    tokenizer = tiny_tokenizer(special=(*SPECIAL_TOKENS, "</s>"), eos="</s>")
    end, turn = tokenizer.convert_tokens_to_ids(["</s>", "<|im_end|>"])
    assert AestheticMLLMProcessor(processor.image_processor, tokenizer).end_of_turn_ids == [end, turn]
    assert processor.end_of_turn_ids == [processor.tokenizer.eos_token_id]
    plain = "{%- for message in messages -%}{{ message['role'] + ': ' + message['content'][0]['text'] + '\\n' }}{%- endfor -%}"
    assert AestheticMLLMProcessor(processor.image_processor, tokenizer, chat_template=plain).end_of_turn_ids == [end]


def test_an_example_is_an_exchange_in_the_checkpoints_own_words(processor: AestheticMLLMProcessor) -> None:
    """Start, example and the photo that is asked about make up the conversation that the chat format gives; examples differ in
    the level word alone, and the prompt without examples is the rating prompt."""
    taught = tiny_processor()
    taught.num_example_tokens = {"low": 2, "middle": 1, "high": 0, "thematic": 1}
    assert taught.reads_examples and not processor.reads_examples
    start, examples, asked = taught.example_prompt_ids("quality")
    assert start + asked == taught.rating_prompt_ids("quality")
    assert len({len(example) for example in examples}) == 1
    question = taught.rating_scale.question("quality")
    for word, example in zip(taught.rating_scale.level_words, examples, strict=True):
        text = taught.tokenizer.decode(start + example + asked)
        assert text.count(question.prompt) == 2 and text.count(f"{question.stem}{word}") == 1
        assert example.count(taught.image_token_id) == 4 == sum(taught.example_layout)
        assert text.count("<image>") == 4 + taught.num_image_tokens


def test_example_tokens_are_saved(tmp_path: Path) -> None:
    """A checkpoint that was taught to read examples says so after a round through a folder."""
    taught = tiny_processor()
    taught.num_example_tokens = {"low": 2, "middle": 1, "high": 0, "thematic": 1}
    taught.in_context_weight = 0.25
    taught.save_pretrained(tmp_path)
    loaded = AestheticMLLMProcessor.from_pretrained(tmp_path)
    assert loaded.num_example_tokens == taught.num_example_tokens and loaded.in_context_weight == 0.25


@pytest.mark.parametrize("weight", [0.0, -1.0, 1.1])
def test_an_in_context_weight_that_is_no_share_is_refused(processor: AestheticMLLMProcessor, weight: float) -> None:
    with pytest.raises(ValueError, match=f"in_context_weight is {weight}"):
        AestheticMLLMProcessor(processor.image_processor, processor.tokenizer, in_context_weight=weight)


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [("group_tokens", {"low": "<low>"}, "image_token"), ("example_weight", 0.25, "in_context_weight")],
)
def test_an_option_of_an_older_version_is_an_error_that_names_the_new_one(
    processor: AestheticMLLMProcessor, tmp_path: Path, option: str, value: object, named: str
) -> None:
    """In a file as in code; transformers would leave it out, and the checkpoint would be another."""
    with pytest.raises(ValueError, match=f"{option}.*{named}"):
        AestheticMLLMProcessor(processor.image_processor, processor.tokenizer, **{option: value})
    processor.save_pretrained(tmp_path)
    path = tmp_path / "processor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {option: value}))
    with pytest.raises(ValueError, match=f"{option}.*{named}"):
        AestheticMLLMProcessor.from_pretrained(tmp_path)


def test_options_for_photos_that_cannot_be_honoured_are_refused(processor: AestheticMLLMProcessor) -> None:
    """A checkpoint knows photos in one form: who asks for another one, or misspells an option, is told so."""
    text = [processor.rating_prompt()]
    for options in (
        {"images_kwargs": {"bogus": 1}},
        {"images_kwargs": {"do_resize": False}},
        {"size": {"height": 32, "width": 32}},
        {"do_resize": False},
    ):
        name = next(iter(options.get("images_kwargs", options)))
        with pytest.raises((TypeError, ValueError), match=name):
            processor(images=scene(), text=text, **options)
    assert processor(images=scene(), text=text, size=processor.image_processor.size)["pixel_values"] is not None


def test_a_placeholder_that_the_tokenizer_lacks_is_refused(processor: AestheticMLLMProcessor) -> None:
    with pytest.raises(ValueError, match="no token '<nope>'"):
        AestheticMLLMProcessor(processor.image_processor, processor.tokenizer, image_token="<nope>")


def test_an_option_of_an_older_version_is_refused_when_loading(processor: AestheticMLLMProcessor, tmp_path: Path) -> None:
    processor.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="example_weight=0.25.*in_context_weight"):
        AestheticMLLMProcessor.from_pretrained(tmp_path, example_weight=0.25)


def test_no_photos_are_no_batch(processor: AestheticMLLMProcessor) -> None:
    with pytest.raises(ValueError, match="No photo was given"):
        processor(text=["Hello"], images=[])
