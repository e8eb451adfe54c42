"""Photos in and results out: errors in their places that hold nothing, and arrays that are one photo everywhere."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aesthetic_mllm import AestheticAssessor, ImageError
from aesthetic_mllm.engine.photo_collections import as_photos, map_single_or_batch
from lively_assessor import lively_assessor
from photo_files import jpeg_bytes, scene

PIXELS = np.asarray(scene())


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    return lively_assessor(attributes=True, flaws=True)


def test_errors_that_are_returned_hold_nothing(assessor: AestheticAssessor, tmp_path: Path) -> None:
    """Fifty broken photos, with ten more open files allowed than there are: the good one behind them is rated."""
    resource = pytest.importorskip("resource")
    for number in range(50):
        (tmp_path / f"{number:02}.jpg").write_bytes(jpeg_bytes(scene(640, 480))[:6000])
    (tmp_path / "good.jpg").write_bytes(jpeg_bytes(scene()))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd"))) if os.path.isdir("/proc/self/fd") else 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 10, limits[1]))
    try:
        *errors, good = assessor.score(sorted(tmp_path.iterdir()), on_error="return", batch_size=4)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert good.mean > 0 and len(errors) == 50
    for error in errors:
        assert isinstance(error, ImageError)
        assert error.__traceback__ is None and error.__cause__ is None and error.__context__ is None


def test_one_array_is_one_photo_for_every_method(assessor: AestheticAssessor) -> None:
    """Channels first or last, 8 or 16 bits, floats, tensors: the rating of the image, once; a batch is as many photos."""
    wanted = assessor.score(scene()).mean
    first = PIXELS.transpose(2, 0, 1)
    for given in (PIXELS, first, PIXELS.astype(np.uint16) * 257, PIXELS / 255, torch.from_numpy(first.copy())):
        assert assessor.score(given).mean == pytest.approx(wanted, abs=9e-4)
    batch = np.stack([first, first[:, ::-1]])
    assert [rating.mean for rating in assessor.score(batch)] == pytest.approx(
        [wanted, assessor.score(first[:, ::-1]).mean], abs=9e-4
    )
    assert assessor.ratings(first, ["quality"])["quality"] is not None
    assert assessor.attributes(PIXELS) and assessor.assess(first).rating.mean == pytest.approx(wanted, abs=9e-4)
    assert isinstance(assessor.comment(first), str) and isinstance(assessor.suggest(PIXELS), list)
    assert assessor.embed(first).low.shape[0] == 1 and assessor.embed(batch).low.shape[0] == 2
    assert len(assessor.rank(first)) == 1 and len(assessor.rank(batch)) == 2
    assert assessor.compare(first, PIXELS).probability_first == pytest.approx(0.5, abs=1e-3)
    image_processor = assessor.processor.image_processor
    expected = image_processor(scene(), return_tensors="np")["pixel_values"]
    for given, count in ((first, 1), (PIXELS, 1), (batch, 2), ([first, PIXELS], 2), (torch.from_numpy(batch), 2)):
        values = image_processor(given, return_tensors="np")["pixel_values"]
        assert len(values) == count and np.array_equal(values[0], expected[0])


def test_arrays_that_are_unclear_are_errors_in_their_places(assessor: AestheticAssessor) -> None:
    rated, refused, none = assessor.score([PIXELS, PIXELS.astype(np.int64), None], on_error="return")
    assert rated.mean > 0
    assert isinstance(refused, ImageError) and "int64" in str(refused)
    assert isinstance(none, ImageError) and "NoneType" in str(none)
    with pytest.raises(ImageError, match="int64"):
        assessor.score(PIXELS.astype(np.int64))


def test_one_or_many() -> None:
    def stream(photos: Any) -> Any:
        return iter([type(photo).__name__ for photo in photos])

    assert map_single_or_batch("a.jpg", stream) == "str"
    assert map_single_or_batch(["a.jpg", b"b"], stream) == ["str", "bytes"]
    assert map_single_or_batch(PIXELS, stream) == "ndarray"
    assert map_single_or_batch(PIXELS[None], stream) == ["ndarray"]
    assert as_photos(PIXELS)[0] is PIXELS  # type: ignore[index]
