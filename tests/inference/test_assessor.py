"""The assessor on the embedded checkpoint: what a user relies on when rating photos."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageFilter

from aesthetic_mllm import AestheticAssessor, CheckpointError, ImageError, Rating, RatingScaleError
from photo_files import BAD, GOOD, scene, write_photos

SAMPLES = sorted((Path(__file__).parents[2] / "examples" / "photos").glob("*.jpg"))
RANGE = 9  # of the scores, 1 to 10


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    return AestheticAssessor.from_pretrained()


def test_one_photo_gives_one_rating(assessor: AestheticAssessor) -> None:
    """Path, text, bytes and image of one photo give one and the same rating, inside its range."""
    path = SAMPLES[0]
    ratings = [assessor.score(source) for source in (path, str(path), path.read_bytes(), Image.open(path))]
    assert all(isinstance(rating, Rating) for rating in ratings)
    assert all(rating == ratings[0] for rating in ratings)
    low, high = ratings[0].score_range
    assert (low, high) == (1.0, 10.0) and low <= ratings[0].mean <= high
    assert list(ratings[0].distribution) == ["bad", "poor", "fair", "good", "excellent"]
    assert sum(ratings[0].distribution.values()) == pytest.approx(1)
    assert 0 <= ratings[0].percentile <= 100


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_ratings_do_not_depend_on_the_batch(assessor: AestheticAssessor, batch_size: int) -> None:
    """Alone, or beside photos of other shapes in any batch, a photo's rating is the same within 1e-4 of the range."""
    photos = [Image.open(path) for path in SAMPLES] + [scene(400, 100), scene(100, 400)]
    alone = [assessor.score(photo) for photo in photos]
    together = assessor.score(photos, batch_size=batch_size)
    assert max(abs(a.mean - b.mean) for a, b in zip(alone, together, strict=True)) < 1e-4 * RANGE


def test_bfloat16_stays_within_its_tolerance(assessor: AestheticAssessor) -> None:
    """bfloat16 ratings lie within 1% of the range of the float32 ones."""
    fast = AestheticAssessor.from_pretrained(dtype="bfloat16")
    pairs = zip(assessor.score(SAMPLES), fast.score(SAMPLES), strict=True)
    assert max(abs(a.mean - b.mean) for a, b in pairs) < 0.01 * RANGE


def test_order_is_kept_and_bad_photos_keep_their_place(assessor: AestheticAssessor, tmp_path: Path) -> None:
    """With on_error="return" each bad photo's error stands where the photo stood, and the others are rated as ever."""
    good = write_photos(tmp_path, GOOD)
    bad = write_photos(tmp_path, {name: write for name, (write, _) in BAD.items()}) + [tmp_path / "missing.jpg", tmp_path]
    mixed = [path for pair in zip(good, bad, strict=False) for path in pair] + good[len(bad) :]
    results = assessor.score(mixed, on_error="return", batch_size=3)
    for path, result in zip(mixed, results, strict=True):
        if path in bad:
            assert isinstance(result, ImageError) and str(path) in str(result)
        else:
            assert result.mean == pytest.approx(assessor.score(path).mean, abs=1e-4 * RANGE)


def test_bad_photos_raise_by_default(assessor: AestheticAssessor, tmp_path: Path) -> None:
    """Without on_error="return" the first bad photo's error is raised."""
    with pytest.raises(ImageError, match="missing"):
        assessor.score([SAMPLES[0], tmp_path / "missing.jpg"])


def test_questions_differ_and_unknown_ones_name_the_known(assessor: AestheticAssessor) -> None:
    """The two questions get different answers; another question is an error that lists them, before any photo is read."""
    assert assessor.score(SAMPLES[0], "quality").mean != assessor.score(SAMPLES[0], "aesthetic").mean
    with pytest.raises(RatingScaleError, match="aesthetic, quality"):
        assessor.score("never read.jpg", "humour")


@pytest.mark.parametrize("photo", [path for path in SAMPLES if path.stem in ("astronaut", "chelsea", "coffee", "rocket")])
def test_blur_and_darkness_cost_quality(assessor: AestheticAssessor, photo: Path) -> None:
    """A strong blur lowers the rated quality of a sharp photo, and so does near darkness."""
    original = Image.open(photo).convert("RGB")
    blurred = original.filter(ImageFilter.GaussianBlur(min(original.size) / 40))
    dark = original.point(lambda value: value * 0.15)
    whole, soft, dim = assessor.score([original, blurred, dark], "quality")
    assert soft.mean < whole.mean and dim.mean < whole.mean


def test_stream_reads_only_a_little_ahead(assessor: AestheticAssessor) -> None:
    """Results come while the input still goes on: never more than two batches are held."""
    taken = 0

    def photos() -> Iterator[Image.Image]:
        nonlocal taken
        for _ in range(20):
            taken += 1
            yield scene()

    stream = assessor.score_stream(photos(), batch_size=2)
    next(stream)
    assert taken <= 4
    assert len(list(stream)) == 19


def test_embeddings_are_the_means_of_the_tokens(assessor: AestheticAssessor) -> None:
    """Each group's embedding is the mean of its tokens, one row a photo, and tells photos apart."""
    embeddings = assessor.embed(SAMPLES[:3], batch_size=2)
    pixels = assessor.processor.image_processor(SAMPLES[:3], return_tensors="pt")
    with torch.inference_mode():
        tokens = assessor.model.get_image_features(**pixels).tokens
    width = assessor.model.config.text_config.hidden_size
    for group, values in tokens.items():
        found = getattr(embeddings, group)
        assert found.shape == (3, width) and found.dtype == torch.float32
        assert torch.allclose(found, values.mean(1), atol=1e-4)
        assert not torch.allclose(found[0], found[1], atol=1e-2)


def test_wrong_arguments_are_named(assessor: AestheticAssessor, tmp_path: Path) -> None:
    """A misspelt option or an empty folder as a model is an error of its own."""
    with pytest.raises(ValueError, match="on_error"):
        assessor.score(SAMPLES, on_error="ignore")
    with pytest.raises(ValueError, match="batch_size"):
        assessor.score(SAMPLES, batch_size=0)
    with pytest.raises((OSError, CheckpointError)):
        AestheticAssessor.from_pretrained(tmp_path)
