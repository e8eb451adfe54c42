"""What paths mean to a job: keys that stay the same, photos in tables, archives and data sets, errors that name a remedy."""

import logging
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from aesthetic_mllm import ImageError
from aesthetic_mllm.jobs.job_error import JobError
from aesthetic_mllm.jobs.sources import Item, Sources, find_sources
from jobs_archive import write_archive
from photo_files import jpeg_bytes, scene

PHOTOS = [jpeg_bytes(scene(60 + 4 * number, 50)) for number in range(5)]


def write_table(path: Path, columns: dict[str, Any], rows_a_group: int = 2) -> str:
    pyarrow.parquet.write_table(pa.table(columns), path, row_group_size=rows_a_group)
    return str(path)


def items(sources: Sources) -> list[Item]:
    """The items, after a journey of each fragment to another process."""
    found = [item for fragment in sources.fragments for item in pickle.loads(pickle.dumps(fragment)).items(lambda key: True)]
    assert all(isinstance(item, Item) for item in found)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["images", "bytes", "paths"])
def test_tables(tmp_path: Path, kind: str) -> None:
    """A column of images as `datasets` stores them, of bytes, or of paths beside the table: keys are file and row."""
    (tmp_path / "photos").mkdir()
    paths = [f"photos/{number}.jpg" for number in range(5)]
    for path, photo in zip(paths, PHOTOS, strict=True):
        (tmp_path / path).write_bytes(photo)
    values: dict[str, Any] = {
        "images": {
            "label": [1, 2, 3, 4, 5],
            "image": [{"bytes": photo, "path": path} for photo, path in zip(PHOTOS, paths, strict=True)],
        },
        "bytes": {"id": list("abcde"), "jpg": PHOTOS},
        "paths": {"id": list("abcde"), "path": paths},
    }[kind]
    name = write_table(tmp_path / "t.parquet", values)
    sources = find_sources([name])
    found = items(sources)
    assert len(sources.fragments) == 3 and sources.total == 5
    assert [item.key for item in found] == [f"{name}#{row}" for row in range(5)]
    contents = [item.photo if isinstance(item.photo, bytes) else Path(item.photo).read_bytes() for item in found]
    assert contents == PHOTOS
    assert [item.name for item in found] == ([None] * 5 if kind == "bytes" else paths)
    assert [item.key for item in sources.items(lambda key: key.endswith("#3"))] == [f"{name}#3"]  # type: ignore[union-attr]


def test_row_groups_that_are_done_are_not_read(tmp_path: Path) -> None:
    """Of a table whose file is cut after its first row group's keys were asked for, nothing is opened."""
    name = write_table(tmp_path / "t.parquet", {"jpg": PHOTOS})
    sources = find_sources([name])
    (tmp_path / "t.parquet").unlink()
    assert list(sources.items(lambda key: False)) == []


def test_which_column_is_meant_must_be_clear(tmp_path: Path) -> None:
    both = write_table(tmp_path / "b.parquet", {"before": PHOTOS, "after": PHOTOS[::-1], "n": [1] * 5})
    with pytest.raises(JobError, match="Choose with --column one of before, after"):
        find_sources([both])
    assert [item.photo for item in items(find_sources([both], column="after"))] == PHOTOS[::-1]
    with pytest.raises(JobError, match="no column 'n' of photos or paths; it has before, after"):
        find_sources([both], column="n")
    with pytest.raises(JobError, match="which column"):
        find_sources([write_table(tmp_path / "c.parquet", {"title": ["a"]})])
    (tmp_path / "d.parquet").write_bytes(b"junk")
    with pytest.raises(JobError, match="not a parquet file"):
        find_sources([str(tmp_path / "d.parquet")])


def test_archives(tmp_path: Path) -> None:
    """Members that are photos, also where a name comes twice; the end of a truncated one is a place that cannot be read."""
    members = [("a/1.jpg", PHOTOS[0]), ("a/1.json", b"{}"), ("a/2.jpg", PHOTOS[1]), ("a/1.jpg", PHOTOS[2])]
    name = write_archive(tmp_path / "0.tar", members)
    found = items(find_sources([name, name]))
    assert [item.key for item in found] == [f"{name}#a/1.jpg", f"{name}#a/2.jpg", f"{name}#a/1.jpg#2"]
    assert [item.photo for item in found] == PHOTOS[:3]
    (tmp_path / "x.jpg").write_bytes(PHOTOS[0])
    photo = str(tmp_path / "x.jpg")
    assert [item.key for item in items(find_sources([photo, name, photo]))] == [photo, *(item.key for item in found)]
    short = tmp_path / "short.tar"
    short.write_bytes(Path(name).read_bytes()[:2600])
    *whole, last = find_sources([str(short)]).items()
    assert isinstance(last, ImageError) and "damaged or truncated" in last.reason and last.source == str(short)


def test_data_sets_on_disk(tmp_path: Path) -> None:
    """A saved data set, and one with splits, of which one is to be chosen."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "id": datasets.Value("int64")})
    photos = datasets.Dataset.from_dict(
        {"image": [{"bytes": photo, "path": None} for photo in PHOTOS], "id": list(range(5))}, features=features
    )
    photos.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"train": photos, "test": photos.select([4])}).save_to_disk(tmp_path / "splits")
    found = items(find_sources([str(tmp_path / "saved")]))
    assert [(item.key, item.photo) for item in found] == [
        (f"{tmp_path / 'saved'}#{row}", photo) for row, photo in enumerate(PHOTOS)
    ]
    with pytest.raises(JobError, match="the splits train, test; choose one with --split"):
        find_sources([str(tmp_path / "splits")])
    (one,) = items(find_sources([str(tmp_path / "splits")], split="test"))
    assert one.photo == PHOTOS[4]


def test_a_hub_that_cannot_be_reached_is_one_message(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The client's own warnings are left out, and only meanwhile."""
    datasets = pytest.importorskip("datasets")
    client = logging.getLogger("huggingface_hub.utils._http")

    def unreachable(name: str) -> list[str]:
        client.warning("Retrying in 1s")
        raise ConnectionError("Couldn't reach 'me/photos' on the Hub.")

    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "propagate", True)
    monkeypatch.setattr(datasets, "get_dataset_split_names", unreachable)
    with pytest.raises(JobError, match=r"cannot be loaded \(Couldn't reach .* on the Hub\). Check the name, the network"):
        find_sources(["hf://datasets/me/photos"])
    assert not caplog.messages
    client.warning("Retrying in 2s")
    assert caplog.messages == ["Retrying in 2s"]


def test_paths_that_mean_nothing_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(JobError, match="no such file or folder"):
        find_sources([str(tmp_path / "photo.jpg")])
    with pytest.raises(JobError, match="a folder without photos"):
        find_sources([str(tmp_path / "none")])
    (tmp_path / "photo.jpg").write_bytes(PHOTOS[0])
    (tmp_path / "photo.xyz").write_bytes(PHOTOS[0])
    sources = find_sources([str(tmp_path)])
    assert [item.key for item in items(sources)] == [str(tmp_path / "photo.jpg")] and "1 .xyz" in sources.remark
