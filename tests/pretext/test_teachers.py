"""Teachers name what they are sure of, and what they cannot read costs no other photo its label."""

import logging
from pathlib import Path

import pytest
import torch
from PIL import Image

from aesthetic_mllm.pretext.photo_pool import open_pool
from aesthetic_mllm.pretext.teachers import (
    CONTENT_LABELS,
    ClassifierTeacher,
    TeacherError,
    ZeroShotTeacher,
    label_pool,
    load_contents,
    save_contents,
    with_article,
)
from aesthetic_mllm.processing.image_loading import UnsuitableImageError

RED, GREEN, BLUE = (Image.new("RGB", (24, 20), colour) for colour in ("red", "lime", "blue"))


def by_colour(photos) -> torch.Tensor:
    """Logits of three classes: how red, green and blue a photo is."""
    return torch.tensor([photo.resize((1, 1)).getpixel((0, 0)) for photo in photos]).float() / 50


def test_a_classifier_names_what_it_is_sure_of() -> None:
    teacher = ClassifierTeacher(by_colour, ["a rose", "a leaf", "the sky"], 0.9)
    assert teacher([RED, BLUE, Image.new("RGB", (20, 20), "grey"), GREEN]) == ["a rose", "the sky", None, "a leaf"]


def test_classes_of_one_label_count_as_one() -> None:
    """Two classes that are 0.4 sure each make a label of 0.8, where one alone is not enough."""
    logits = torch.tensor([[0.4, 0.2, 0.4]]).log()
    assert ClassifierTeacher(lambda photos: logits, ["a pug", "a cat", "a collie"], 0.7)([RED]) == [None]
    assert ClassifierTeacher(lambda photos: logits, ["a dog", "a cat", "a dog"], 0.7)([RED]) == ["a dog"]


def test_labels_that_do_not_fit_are_named() -> None:
    with pytest.raises(TeacherError, match=r"\(1, 3\), not \(1, 2\)"):
        ClassifierTeacher(by_colour, ["a", "b"])([RED])
    with pytest.raises(TeacherError, match="needs labels"):
        ClassifierTeacher(by_colour, [])
    with pytest.raises(TeacherError, match="is 40"):
        ZeroShotTeacher(lambda photos: [], ["a"], 40)


def test_a_transformers_classifier_teaches_in_its_own_names() -> None:
    """Synonyms go, an article comes."""
    from transformers import ConvNextConfig, ConvNextForImageClassification

    from aesthetic_mllm.processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor

    names = {0: "alp", 1: "bee, honeybee"}
    config = ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1] * 4, id2label=names, label2id={n: i for i, n in names.items()})
    model = ConvNextForImageClassification(config).eval()
    processor = AestheticMLLMImageProcessor(canvas_size=64)

    class Processor:
        def __call__(self, photos, return_tensors):
            inputs = processor(photos, return_tensors=return_tensors)
            inputs.pop("image_sizes")
            return inputs

    teacher = ClassifierTeacher.from_model(model, Processor(), least_confidence=0.0)
    assert teacher.labels == ["an alp", "a bee"]
    assert set(teacher([RED, BLUE])) <= {"an alp", "a bee"}


def test_a_zero_shot_pipeline_chooses_among_the_candidates() -> None:
    """Called as transformers' pipelines are; what scores too low is no label."""
    seen = {}

    def pipeline(photos, **options):
        seen.update(options)
        scores = [by_colour([photo])[0].softmax(0).tolist() for photo in photos]
        return [
            [{"score": s, "label": label} for s, label in zip(row, options["candidate_labels"], strict=True)] for row in scores
        ]

    teacher = ZeroShotTeacher(pipeline, ["a rose", "a leaf", "the sky"], 0.9)
    assert teacher([BLUE, Image.new("RGB", (20, 20), "grey")]) == ["the sky", None]
    assert seen["hypothesis_template"].format("a rose") == "This is a photo of a rose."
    assert len(set(CONTENT_LABELS)) == len(CONTENT_LABELS) > 40


def test_a_real_zero_shot_pipeline_is_called_rightly() -> None:
    """A tiny random CLIP through transformers' own pipeline."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, pipeline

    from tiny_models import tiny_tokenizer

    tokenizer = tiny_tokenizer()
    tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config=tiny | {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id},
        vision_config=tiny | {"image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    zero_shot = pipeline(
        "zero-shot-image-classification",
        model=CLIPModel(config).eval(),
        tokenizer=tokenizer,
        image_processor=processor,
        device="cpu",
    )
    labels = ZeroShotTeacher(zero_shot, ["a rose", "the sky"], 0.0)([RED, BLUE, GREEN])
    assert len(labels) == 3 and set(labels) <= {"a rose", "the sky"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pool").mkdir()
    for name, photo in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        photo.save(tmp_path / "pool" / f"{name}.png")
    (tmp_path / "pool" / "broken.png").write_bytes(b"no photo")
    return tmp_path / "pool"


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_a_pool_is_labelled_but_for_what_cannot_be_read(folder: Path, batch_size: int, caplog: pytest.LogCaptureFixture) -> None:
    """Unreadable photos are named in the log, unsure ones left out, whatever the batch."""
    teacher = ClassifierTeacher(by_colour, ["a rose", "a leaf", "the sky"], 0.9)
    with caplog.at_level(logging.WARNING):
        contents = label_pool(open_pool([folder]), teacher, batch_size)
    assert contents == {"pool/red.png": "a rose", "pool/green.png": "a leaf", "pool/blue.png": "the sky"}
    assert "pool/broken.png" in caplog.text


def test_a_photo_that_the_teacher_refuses_costs_only_its_own_label(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    def classify(photos) -> torch.Tensor:
        if any(photo.getpixel((0, 0)) == (0, 255, 0) for photo in photos):
            raise UnsuitableImageError("<image>", "too green.")
        return by_colour(photos)

    contents = label_pool(open_pool([folder]), ClassifierTeacher(classify, ["a rose", "a leaf", "the sky"]), 16)
    assert set(contents) == {"pool/red.png", "pool/blue.png"}
    assert "pool/green.png has no label" in caplog.text


def test_a_teacher_that_answers_for_too_few_photos_is_an_error(folder: Path) -> None:
    with pytest.raises(TeacherError, match="1 labels for 3 photos"):
        label_pool(open_pool([folder]), lambda photos: ["a rose"])


def test_contents_survive_a_file_and_other_files_are_refused(tmp_path: Path) -> None:
    contents = {"pool/a.png": "a café", "pool/b.png": "a lake"}
    save_contents(contents, tmp_path / "contents.json")
    assert load_contents(tmp_path / "contents.json") == contents
    for text, message in (("[1]", "holds a list"), ('{"a": 3}', "label of 'a' is 3"), ("{", "not a readable JSON")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(TeacherError, match=message):
            load_contents(tmp_path / "bad.json")
    with pytest.raises(TeacherError, match="not a readable"):
        load_contents(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("noun", "phrase"),
    [
        ("lake", "a lake"),
        ("umbrella", "an umbrella"),
        ("unicycle", "a unicycle"),
        ("European fire", "a European fire"),
        ("hourglass", "an hourglass"),
        ("Airedale", "an Airedale"),
    ],
)
def test_articles_follow_the_sound(noun: str, phrase: str) -> None:
    assert with_article(noun) == phrase
