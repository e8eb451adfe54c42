"""Where memory is short, batches are halved and nothing is lost; where there is too little for one photo, that is said."""

import pytest
import torch

from aesthetic_mllm.engine.within_memory import WithinMemory
from lively_assessor import lively_assessor
from photo_files import scene


def test_batches_are_halved_until_they_fit(caplog: pytest.LogCaptureFixture) -> None:
    """Sixteen photos where three fit: all results in order, two tells of a smaller batch, and no larger one is tried again."""
    tried: list[int] = []

    def judge(photos: list[int]) -> list[int]:
        tried.append(len(photos))
        if len(photos) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return [10 * photo for photo in photos]

    within = WithinMemory()
    assert within.judge(judge, range(10)) == [10 * photo for photo in range(10)]
    assert within.judge(judge, range(3)) == [0, 10, 20]
    assert tried == [10, 5, 2, 2, 2, 2, 2, 2, 1] and within.most == 2
    assert [record.args for record in caplog.records] == [(10, 5), (5, 2)]


def test_one_photo_that_does_not_fit_is_an_error() -> None:
    def judge(photos: list[int]) -> list[int]:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        WithinMemory().judge(judge, [1, 2])


def test_an_assessor_goes_on_with_smaller_batches(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The ratings are those of an assessor with memory enough."""
    photos = [scene(60 + 4 * number, 50) for number in range(7)]
    wanted = [rating.mean for rating in lively_assessor().score(photos, batch_size=7)]
    assessor = lively_assessor()
    encode = assessor.engine.encode

    def short_of_memory(batch: list, **options: object) -> object:
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return encode(batch, **options)

    monkeypatch.setattr(assessor.engine, "encode", short_of_memory)
    assert [rating.mean for rating in assessor.score(photos, batch_size=7)] == pytest.approx(wanted, abs=9e-4)
    assert "going on with 3" in caplog.text and "going on with 1" in caplog.text
