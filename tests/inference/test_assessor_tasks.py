"""What else the assessor says of a photo: several ratings, attributes, comments, everything together."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from aesthetic_mllm import AestheticAssessor, AestheticMLLMProcessor, ImageError, RatingScaleError
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS, OperatingPoint
from aesthetic_mllm.tasks.commenting import STYLES, CommentingError, comment_prompt
from aesthetic_mllm.tasks.suggesting import FLAW_QUESTIONS
from fake_suggestions import replace_search
from lively_assessor import lively_assessor
from photo_files import scene
from tiny_models import tiny_model, tiny_processor

TOLERANCE = 9e-4  # 1e-4 of the range
SHAPES = [(90, 40), (33, 80), (64, 64), (200, 120), (50, 70)]


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_search(monkeypatch)


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    """A tiny random model that rates attributes and whose words differ from photo to photo."""
    processor = tiny_processor()
    processor.rating_scale = processor.rating_scale.with_attributes()
    model = tiny_model("efficientnet_lite", "gemma3", processor)
    torch.manual_seed(1)
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    return AestheticAssessor(model, processor)


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    return [scene(*shape) for shape in SHAPES]


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_ratings_are_the_scores_of_each_question(assessor: AestheticAssessor, photos: list, batch_size: int) -> None:
    """Many questions at once, in any batch, give the ratings that each question alone gives to each photo alone."""
    questions = ["quality", "noise", "depth_of_field", "aesthetic"]
    rated = assessor.ratings(photos, questions, batch_size=batch_size)
    assert all(list(row) == questions for row in rated)
    for photo, row in zip(photos, rated, strict=True):
        for question, rating in row.items():
            alone = assessor.score(photo, question)
            assert rating.mean == pytest.approx(alone.mean, abs=TOLERANCE)
            assert rating.distribution == pytest.approx(alone.distribution, abs=1e-4)
    assert len({round(row["noise"].mean, 3) for row in rated}) > 1


def test_attributes_are_the_checkpoints(assessor: AestheticAssessor, photos: list) -> None:
    """The attributes come in the order of the checkpoint's scale, for one photo as a dictionary of ratings."""
    attributes = assessor.attributes(photos[0])
    assert list(attributes) == list(ATTRIBUTE_QUESTIONS)
    assert attributes["mood"].mean == pytest.approx(assessor.score(photos[0], "mood").mean, abs=TOLERANCE)


def test_a_checkpoint_without_attributes_says_so(nano: Any, processor: AestheticMLLMProcessor) -> None:
    """Attributes of a checkpoint that has none, unknown questions and no question are errors before any photo is read."""
    plain = AestheticAssessor(nano, processor)
    with pytest.raises(RatingScaleError, match="no attributes, it answers aesthetic, quality.*with_attributes"):
        plain.attributes_stream(["never read.jpg"])
    with pytest.raises(RatingScaleError, match="'mood'; this checkpoint answers aesthetic, quality"):
        plain.ratings_stream(["never read.jpg"], ["quality", "mood"])
    with pytest.raises(RatingScaleError, match="No question.*aesthetic, quality"):
        plain.ratings_stream(["never read.jpg"], [])


def test_comments_do_not_depend_on_the_batch(assessor: AestheticAssessor, photos: list) -> None:
    """A photo's comment is the same alone, again and in any batch; photos, styles and aspects make a difference."""
    comments = assessor.comment(photos)
    assert comments == assessor.comment(photos, batch_size=2) == [assessor.comment(photo) for photo in photos]
    assert all(isinstance(comment, str) and comment == comment.strip() for comment in comments) and len(set(comments)) > 1
    assert len({comments[0], assessor.comment(photos[0], "detailed"), assessor.comment(photos[0], aspect="light")}) == 3


def test_comments_are_what_the_model_generates(assessor: AestheticAssessor, photos: list) -> None:
    """A comment is the greedy answer to the prompt of its style, without what ends the turn."""
    processor = assessor.processor
    prompt = processor.assistant_prompt(comment_prompt("light", "brief"))
    inputs = processor(images=photos[1], text=[prompt], return_tensors="pt")
    end, most = processor.end_of_turn_ids, STYLES["brief"].max_new_tokens
    written = assessor.model.generate(**inputs, do_sample=False, max_new_tokens=most, eos_token_id=end, pad_token_id=end[0])
    text = processor.tokenizer.decode(written[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert assessor.comment(photos[1], aspect="light") == text.strip()


def test_unknown_styles_and_aspects_are_named(assessor: AestheticAssessor) -> None:
    """A misspelt style or aspect is an error before any photo is read."""
    with pytest.raises(CommentingError, match="'terse'"):
        assessor.comment_stream(["never read.jpg"], "terse")
    with pytest.raises(CommentingError, match="'humour'"):
        assessor.comment_stream(["never read.jpg"], aspect="humour")


@pytest.mark.usefixtures("search")
def test_an_assessment_is_its_parts(assessor: AestheticAssessor, photos: list) -> None:
    """Score, quality, attributes, comment and suggestions of an assessment are those that each method gives alone."""
    found = assessor.assess(photos, verify=True, batch_size=2)
    for photo, assessment in zip(photos, found, strict=True):
        rated = assessor.ratings(photo, ["aesthetic", "quality", *ATTRIBUTE_QUESTIONS])
        assert assessment.rating.mean == pytest.approx(rated["aesthetic"].mean, abs=TOLERANCE)
        assert assessment.quality.mean == pytest.approx(rated["quality"].mean, abs=TOLERANCE)
        assert list(assessment.attributes) == list(ATTRIBUTE_QUESTIONS)
        assert all(value.mean == pytest.approx(rated[key].mean, abs=TOLERANCE) for key, value in assessment.attributes.items())
        assert assessment.comment == assessor.comment(photo)
        assert [(each.size, each.verify) for each in assessment.suggestions] == [(photo.size, True)] * 3
        assert json.loads(json.dumps(assessment.to_dict()))["attributes"]["noise"]["score_range"] == [1, 10]


@pytest.mark.usefixtures("search")
def test_an_assessment_encodes_a_photo_once(assessor: AestheticAssessor, photos: list, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tower and alignment module run once a photo for all that an assessment says, however many questions there are."""
    encoded = []
    encode = assessor.model.model.get_image_features

    def counting(pixel_values: torch.Tensor, *args: Any, **options: Any) -> Any:
        encoded.append(len(pixel_values))
        return encode(pixel_values, *args, **options)

    monkeypatch.setattr(assessor.model.model, "get_image_features", counting)
    assessor.assess(photos, batch_size=2)
    assert encoded == [2, 2, 1]


@pytest.mark.usefixtures("search")
def test_an_assessment_of_what_a_checkpoint_has(nano: Any, processor: AestheticMLLMProcessor, photos: list) -> None:
    """Without attributes and without a quality question an assessment leaves them empty, and invents none."""
    plain = AestheticAssessor(nano, processor).assess(photos[0])
    assert plain.attributes == {} and plain.quality is not None
    only = tiny_processor()
    only.rating_scale = replace(only.rating_scale, questions={"aesthetic": only.rating_scale.question("aesthetic")})
    assessment = AestheticAssessor(nano, only).assess(photos[0])
    assert assessment.quality is None and assessment.to_dict()["quality"] is None
    assert assessment.rating.mean == pytest.approx(plain.rating.mean, abs=TOLERANCE)


def test_flaws_are_asked_in_the_same_reading(nano: Any, photos: list, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that rates flaws gives the suggestions of `suggest` within the one reading of an assessment."""
    processor = tiny_processor()
    scale = processor.rating_scale.with_attributes()
    always = OperatingPoint(threshold=11, usual=10, spread=1, damaged=1, false_alarms=1, auc=1)
    processor.rating_scale = replace(
        scale, questions={**scale.questions, **FLAW_QUESTIONS}, operating_points=dict.fromkeys(FLAW_QUESTIONS, always)
    )
    plain = AestheticAssessor(nano, processor)
    expected = [plain.suggest(photo) for photo in photos]
    encoded = []
    encode = plain.model.model.get_image_features

    def counting(pixel_values: torch.Tensor, *args: Any, **options: Any) -> Any:
        encoded.append(len(pixel_values))
        return encode(pixel_values, *args, **options)

    monkeypatch.setattr(plain.model.model, "get_image_features", counting)
    found = plain.assess(photos)
    assert encoded == [len(photos)] and any(expected)
    for assessment, suggestions in zip(found, expected, strict=True):
        assert [each.flaw for each in assessment.suggestions] == [each.flaw for each in suggestions]


@pytest.mark.usefixtures("search")
@pytest.mark.parametrize("method", ["attributes", "comment", "suggest", "assess"])
def test_streams_keep_order_and_errors_in_place(assessor: AestheticAssessor, photos: list, method: str, tmp_path: Path) -> None:
    """Every stream yields a result or the photo's error in the photo's place, while the input still goes on."""
    taken = 0

    def mixed() -> Iterator[Any]:
        nonlocal taken
        for photo in [photos[0], tmp_path / "missing.jpg", *photos[1:3], scene(2, 90)] * 2:  # the last is too narrow
            taken += 1
            yield photo

    options = {} if method == "suggest" else {"batch_size": 2}
    stream = getattr(assessor, f"{method}_stream")(mixed(), on_error="return", **options)
    first = next(stream)
    assert taken <= 4
    results = [first, *stream]
    assert [isinstance(result, ImageError) for result in results] == [False, True, False, False, True] * 2
    assert type(first) is type(results[2])
    with pytest.raises(ImageError, match="missing"):
        getattr(assessor, method)([tmp_path / "missing.jpg"])


def test_a_checkpoint_that_was_not_taught_to_comment_says_so(assessor: AestheticAssessor, photos: list) -> None:
    """Its words are not taken for a comment: an error of its own, and an assessment without one."""
    assessor.processor.writes_comments = False
    try:
        with pytest.raises(CommentingError, match="was taught to rate, not to comment"):
            assessor.comment(photos[0])
        assert assessor.assess(photos[0]).comment == ""
    finally:
        assessor.processor.writes_comments = True


def test_questions_may_come_from_a_generator_but_not_as_one_text() -> None:
    assessor = lively_assessor()
    photo = Image.new("RGB", (60, 50), (90, 120, 30))
    asked = assessor.ratings(photo, (question for question in ("aesthetic", "quality")))  # type: ignore[arg-type]
    assert asked == assessor.ratings(photo, ["aesthetic", "quality"])
    with pytest.raises(RatingScaleError, match="are the text 'quality'"):
        assessor.ratings(photo, "quality")


def test_a_negative_limit_of_suggestions_is_refused() -> None:
    with pytest.raises(ValueError, match="limit must be at least 0, got -1"):
        lively_assessor(flaws=True).suggest(Image.new("RGB", (60, 50)), limit=-1)
