"""What is wrong with other judges of photos cannot happen here: a test for each defect, on a tiny random model."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from aesthetic_mllm import AestheticAssessor, ImageError, RatingScaleError
from lively_assessor import lively_assessor
from photo_files import BAD, scene, write_photos

TOLERANCE = 1e-4 * 9  # of the range, 1 to 10
SHAPES = [(90, 40), (33, 80), (64, 64), (200, 120), (50, 70)]


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    return lively_assessor(attributes=True, flaws=True)


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    """Photos of several shapes that the model rates differently."""
    return [scene(*shape).rotate(40 * number) for number, shape in enumerate(SHAPES)]


def test_a_score_does_not_depend_on_its_batch(assessor: AestheticAssessor, photos: list) -> None:
    """Peers' defect: the score of a photo changes with the photos beside it, by padding or half precision (TANet #8).

    Here a photo alone, in any batch and beside any others has one score, and so has each attribute.
    """
    alone = [assessor.score(photo).mean for photo in photos]
    assert max(alone) - min(alone) > 100 * TOLERANCE  # else nothing would be seen
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1], [3, 3, 3, 1, 1]):
        for batch_size in (1, 2, 5):
            together = assessor.score([photos[place] for place in order], batch_size=batch_size)
            assert [rating.mean for rating in together] == pytest.approx([alone[place] for place in order], abs=TOLERANCE)
    attributes = assessor.processor.rating_scale.attributes
    single = [assessor.ratings(photo, attributes) for photo in photos]
    for one, many in zip(single, assessor.ratings(photos, attributes, batch_size=5), strict=True):
        assert {key: rating.mean for key, rating in many.items()} == pytest.approx(
            {key: rating.mean for key, rating in one.items()}, abs=TOLERANCE
        )


def test_no_score_is_made_up(assessor: AestheticAssessor, photos: list, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers' defect: where an answer cannot be parsed, a random or a default number is stored as the score
    (VisualQuality-R1: `random.randint(1, 5)`), and a photo that cannot be read is scored or passed over in silence.

    Here both are errors: an answer that is not one number of the range, logits that are no numbers, a file that is no photo.
    And asking twice gives the same score: nothing is sampled.
    """
    scale = assessor.processor.rating_scale
    for answer in ("", "good", "7 or 8", "11.", "0.5.", "-3", "nan", "6.5.1"):
        with pytest.raises(RatingScaleError, match="is not one number from 1 to 10"):
            scale.read_decimal(answer)
    assert scale.read_decimal("6.5.").mean == 6.5
    bad = write_photos(tmp_path, {name: write for name, (write, _) in BAD.items()})
    for results in (assessor.score(bad, on_error="return"), assessor.ratings(bad, ["quality", "light"], on_error="return")):
        assert [isinstance(result, ImageError) for result in results] == [True] * len(bad)
    assert assessor.score(photos[0]) == assessor.score(photos[0])
    levels = len(scale.level_words)
    monkeypatch.setattr(assessor.model, "level_logits", lambda *args, **kwargs: torch.full((1, levels), float("nan")))
    with pytest.raises(RatingScaleError, match="not finite"):
        assessor.score(photos[0])


@pytest.mark.parametrize(("width", "height"), [(480, 160), (150, 600), (300, 300), (64, 20)])
def test_a_photo_keeps_its_shape(assessor: AestheticAssessor, width: int, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers' defect: every photo is squashed to a square, so that composition is distorted before it is judged (ArtiMuse,
    UniPercept: 448 x 448).

    Here a circle in a photo of any shape is a circle in what the model is given, and the rest of the canvas is empty.
    """
    image = Image.new("RGB", (width, height), "black")
    radius = min(width, height) // 2 - 2
    ImageDraw.Draw(image).circle((width // 2, height // 2), radius, fill="white")
    seen = {}
    encode = assessor.model.model.get_image_features

    def recording(pixel_values: torch.Tensor, image_sizes: torch.Tensor | None, *args: Any, **options: Any) -> Any:
        seen["pixels"] = pixel_values[0]
        seen["size"] = pixel_values.shape[2:] if image_sizes is None else image_sizes[0].tolist()  # of what is not empty
        return encode(pixel_values, image_sizes, *args, **options)

    monkeypatch.setattr(assessor.model.model, "get_image_features", recording)
    assessor.score(image)
    rows, columns = seen["size"]
    canvas = assessor.processor.image_processor.canvas_size
    scale = canvas / max(width, height)
    assert (rows, columns) == (pytest.approx(height * scale, abs=1), pytest.approx(width * scale, abs=1))
    light = seen["pixels"][0, :rows, :columns].numpy()
    white = np.argwhere(light > (light.min() + light.max()) / 2)
    tall, wide = np.ptp(white, axis=0) + 1
    assert abs(int(tall) - int(wide)) <= 1 and wide > 0.6 * min(rows, columns)
    assert not seen["pixels"][:, rows:].any() and not seen["pixels"][:, :, columns:].any()


def test_a_photo_is_encoded_once_for_all_questions(
    assessor: AestheticAssessor, photos: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Peers' defect: eight attributes are eight chats, each of which encodes the photo anew (ArtiMuse, UniPercept).

    Here tower and alignment module run once a photo, however many ratings are asked; an assessment runs them once for ratings,
    attributes and comment, and once more for all flaws together, which are looked for on a copy of the photo.
    """
    encoded = 0
    tower = assessor.model.model.vision_tower

    def count(module: torch.nn.Module, arguments: tuple, options: dict, output: Any) -> None:
        nonlocal encoded
        encoded += len(options["pixel_values"] if "pixel_values" in options else arguments[0])

    handle = tower.register_forward_hook(count, with_kwargs=True)
    try:
        questions = list(assessor.processor.rating_scale.questions)
        assert len(questions) > 20
        for asked in (questions[:1], questions[:8], questions):
            encoded = 0
            assessor.ratings(photos, asked, batch_size=2)
            assert encoded == len(photos)
        encoded = 0
        assessor.attributes(photos)
        assert encoded == len(photos)
        encoded = 0
        assessor.suggest(photos)
        assert encoded == len(photos)
        encoded = 0
        assessor.assess(photos, batch_size=2)
        assert encoded <= 2 * len(photos)
    finally:
        handle.remove()


def test_no_prompt_has_another_questions_words(assessor: AestheticAssessor, photos: list) -> None:
    """Peers' defect: words of the prompt are swapped, so that a model is asked about "the image of the quality" (Q-Align's
    `score`), an answer stem belongs to another question, or level words do not stand in their order (UniPercept).

    Here each question's prompt holds its own words and its own stem, which ends it; each level word is the token that follows
    the stem; and many questions at once, in any order, get the answers that each gets alone.
    """
    processor, scale = assessor.processor, assessor.processor.rating_scale
    tokenizer = processor.tokenizer
    for key, question in scale.questions.items():
        prompt = processor.rating_prompt(key)
        others = {other.prompt for name, other in scale.questions.items() if name != key and other.prompt != question.prompt}
        assert prompt.count(question.prompt) == 1 and prompt.endswith(question.stem)
        assert not any(other in prompt for other in others)
        assert prompt.index(question.prompt) < prompt.rindex(question.stem)
        assert tokenizer.decode(processor.rating_prompt_ids(key)).endswith(question.stem)
        assert key.replace("_", " ") in question.prompt or key in ("quality", "noise") or key.startswith("flaw_")
    assert [tokenizer.decode([token]) for token in processor.level_ids] == list(scale.level_words)
    assert list(scale.level_scores) == sorted(scale.level_scores)
    levels = torch.full((1, len(scale.level_words)), -50.0)
    for place, (word, score) in enumerate(zip(scale.level_words, scale.level_scores, strict=True)):
        (rating,) = scale.read_level_logits(levels.index_fill(1, torch.tensor([place]), 50.0))
        assert rating.mean == pytest.approx(score) and max(rating.distribution, key=rating.distribution.get) == word.strip()
    questions = list(scale.questions)
    alone = {key: assessor.score(photos[0], key).mean for key in questions}
    assert len({round(mean, 2) for mean in alone.values()}) > len(alone) // 2  # else a swap would not be seen
    for order in (questions, questions[::-1], questions[1::2] + questions[::2]):
        together = assessor.ratings(photos[0], order)
        assert list(together) == order
        assert {key: rating.mean for key, rating in together.items()} == pytest.approx(alone, abs=TOLERANCE)
