"""What paths mean to a job: keys that stay the same, photos in tables, archives and data sets, errors that name a remedy."""

import gzip
import logging
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from aesthetic_mllm import ImageError
from aesthetic_mllm.jobs.job_error import JobError
from aesthetic_mllm.jobs.sources import HubRows, Item, Sources, find_sources
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
    with pytest.raises(JobError, match=r"no column 'n' of photos or paths \(int64\); it has before, after"):
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


def test_a_closed_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name can be seen, but nothing in it."""
    closed = tmp_path / "closed"
    closed.mkdir()
    stat, scandir = os.stat, os.scandir

    def guarded(call: Any, allowed: bool) -> Any:
        def guard(path: Any = ".", *arguments: Any, **options: Any) -> Any:
            inside = Path(path) == closed if not allowed else closed in Path(path).parents
            if inside:
                raise PermissionError(13, "Permission denied", str(path))
            return call(path, *arguments, **options)

        return guard

    monkeypatch.setattr(os, "stat", guarded(stat, allowed=True))
    monkeypatch.setattr(os, "scandir", guarded(scandir, allowed=False))
    with pytest.raises(JobError, match=r"closed: a folder that cannot be read \(Permission denied\)"):
        find_sources([str(closed)])


def many_members(path: Path) -> str:
    return write_archive(path, [(f"{number:02}.jpg", PHOTOS[number % 5]) for number in range(30)])


@pytest.mark.parametrize("damage", ["one byte of a header", "a header of zeros", "half a header"])
def test_an_archive_that_ends_too_early_says_so(tmp_path: Path, damage: str) -> None:
    """`tarfile` takes a damaged header for the end; the photos behind it must not be lost in silence."""
    name = many_members(tmp_path / "0.tar")
    with tarfile.open(name) as archive:
        header = archive.getmembers()[20].offset
    content = bytearray(Path(name).read_bytes())
    if damage == "one byte of a header":
        content[header + 3] ^= 0x55
    elif damage == "a header of zeros":
        content[header : header + tarfile.BLOCKSIZE] = bytes(tarfile.BLOCKSIZE)
    else:
        del content[header + 200 :]
    Path(name).write_bytes(content)
    *whole, last = find_sources([name]).items()
    assert len(whole) == 20 and isinstance(last, ImageError) and last.source == name
    assert "damaged or truncated" in last.reason


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
@pytest.mark.parametrize("zeros", [0, 1, 2, 40])
def test_every_end_that_tar_allows_is_one(tmp_path: Path, ending: str, zeros: int) -> None:
    """Blocks of zeros, however many, or the end of the file."""
    name = many_members(tmp_path / "0.tar")
    with tarfile.open(name) as archive:
        last = archive.getmembers()[-1]
    end = last.offset_data + -(-last.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    content = Path(name).read_bytes()[:end] + bytes(zeros * tarfile.BLOCKSIZE)
    path = tmp_path / f"1{ending}"
    path.write_bytes(gzip.compress(content) if ending == ".tar.gz" else content)
    assert len(items(find_sources([str(path)]))) == 30


def test_a_damaged_compressed_archive_says_so(tmp_path: Path) -> None:
    """The decompressor's own errors, too."""
    content = bytearray(gzip.compress(Path(many_members(tmp_path / "0.tar")).read_bytes()))
    middle = len(content) // 2
    for place in range(middle, middle + 200):
        content[place] = (content[place] * 7 + 13) % 256
    path = tmp_path / "0.tar.gz"
    path.write_bytes(content)
    *whole, last = find_sources([str(path)]).items()
    assert len(whole) < 30 and isinstance(last, ImageError) and "damaged or truncated" in last.reason


def test_a_damaged_row_group_is_one_place_that_cannot_be_read(tmp_path: Path) -> None:
    """What is behind it, in the table and in the next one, is reached."""
    name = write_table(tmp_path / "t.parquet", {"jpg": PHOTOS * 4}, rows_a_group=5)
    content = bytearray(Path(name).read_bytes())
    start = pyarrow.parquet.read_metadata(name).row_group(1).column(0)
    first = start.dictionary_page_offset or start.data_page_offset
    content[first : first + 60] = b"\xff" * 60
    Path(name).write_bytes(content)
    found = list(find_sources([name, write_table(tmp_path / "u.parquet", {"jpg": PHOTOS})]).items())
    (lost,) = (each for each in found if isinstance(each, ImageError))
    assert lost.source == name and "rows 5 to 9 are damaged" in lost.reason and "\n" not in lost.reason
    assert len(found) == 15 + 1 + 5 and isinstance(found[5], ImageError)


def odd_texts() -> pa.Array:
    """Two strings, the first no UTF-8."""
    return pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 6, 11], np.int32).tobytes()), pa.py_buffer(b"a\xff.jpgb.jpg"))


@pytest.mark.parametrize("kind", ["text", "dictionary", "view", "image"])
def test_paths_are_file_names_which_may_be_no_utf8(tmp_path: Path, kind: str) -> None:
    odd = odd_texts()
    column = {
        "text": odd,
        "dictionary": pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), odd),
        "view": odd.view(pa.binary()).cast(pa.binary_view()).view(pa.string_view()),
        "image": pa.StructArray.from_arrays([pa.array([None, None], pa.binary()), odd], ["bytes", "path"]),
    }[kind]
    name = write_table(tmp_path / "t.parquet", {"path": column})
    assert [item.photo for item in items(find_sources([name]))] == [
        os.path.join(tmp_path, each) for each in (os.fsdecode(b"a\xff.jpg"), "b.jpg")
    ]


IMAGES = [{"bytes": photo, "path": "a.jpg", "width": 60} for photo in PHOTOS]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(PHOTOS, pa.binary_view()),
        pa.array([photo.ljust(4000, b"\0") for photo in PHOTOS], pa.binary(4000)),
        pa.array(IMAGES),
        pa.array([{"bytes": photo, "path": None} for photo in PHOTOS]),
        pa.array(["0.jpg", "1.jpg", "0.jpg", None, "2.jpg"]).dictionary_encode(),
        pa.array(["0.jpg", "1.jpg", "0.jpg", None, "2.jpg"], pa.string_view()),
    ],
    ids=lambda column: str(column.type)[:30],
)
def test_every_type_of_bytes_and_text_is_one(tmp_path: Path, column: pa.Array) -> None:
    """Categories of pandas, views, fixed sizes, images with further fields; nothing in a row is a photo of no bytes."""
    name = write_table(tmp_path / "t.parquet", {"image": column, "n": list(range(5))})
    photos = [item.photo for item in items(find_sources([name]))]
    if isinstance(column[0].as_py(), str):
        assert photos == [*(str(tmp_path / each) for each in ("0.jpg", "1.jpg", "0.jpg")), b"", str(tmp_path / "2.jpg")]
    else:
        assert [photo[: len(PHOTOS[row])] for row, photo in enumerate(photos)] == PHOTOS  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("column", [None, "image"])
def test_a_column_of_something_else_is_named_with_its_type(tmp_path: Path, column: str | None) -> None:
    name = write_table(tmp_path / "t.parquet", {"image": [{"bytes": "text", "path": 5}], "n": [1]})
    with pytest.raises(JobError, match=r"neither photos nor paths \(image: struct<bytes: string, path: int64>"):
        find_sources([name], column=column)


def test_data_sets_on_disk_that_are_damaged(tmp_path: Path) -> None:
    """What is no data set any more is refused; rows that cannot be read are one place, found when they are read."""
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"jpg": PHOTOS}).save_to_disk(tmp_path / "saved")
    datasets.Dataset(pa.table({"path": odd_texts()})).save_to_disk(tmp_path / "odd")
    assert [item.photo for item in items(find_sources([str(tmp_path / "odd")]))][1] == str(tmp_path / "odd" / "b.jpg")
    sources = find_sources([str(tmp_path / "saved")])
    (data,) = (tmp_path / "saved").glob("*.arrow")
    data.write_bytes(b"junk")
    (lost,) = sources.items()
    assert isinstance(lost, ImageError) and lost.source == str(tmp_path / "saved") and "rows 0 to 4" in lost.reason
    (tmp_path / "saved" / "state.json").write_text("{")
    with pytest.raises(JobError, match="saved: a data set that is damaged"):
        find_sources([str(tmp_path / "saved")])


def test_a_stream_that_ends_in_an_error_is_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows come from the Hub, then the network is gone."""

    class Stream:
        features = None

        def select_columns(self, columns: list[str]) -> Any:
            yield {"jpg": PHOTOS[0]}
            yield {"jpg": PHOTOS[1]}
            raise ConnectionResetError("gone")

    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets, "load_dataset", lambda *arguments, **options: Stream())
    *whole, lost = HubRows("me/photos", "train", "jpg").items(lambda key: True)
    assert len(whole) == 2 and isinstance(lost, ImageError) and "rows from 2 on" in lost.reason
