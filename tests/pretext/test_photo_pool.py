"""Photos come from every kind of source with keys that stay the same, and excluded ones never come."""

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from aesthetic_mllm.pretext.photo_pool import PhotoPoolError, open_pool, photo_source
from aesthetic_mllm.processing.image_loading import load_image

COLOURS = ("red", "green", "blue", "white")


def encoded(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 16), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "trip").mkdir(parents=True)
    for number, colour in enumerate(COLOURS):
        (tmp_path / "photos" / ("trip" if number % 2 else ".") / f"{colour}.png").write_bytes(encoded(colour))
    return tmp_path / "photos"


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    rows = [{"file_name": f"{colour}.png", "image": {"bytes": encoded(colour), "path": None}, "score": 1.0} for colour in COLOURS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pool.parquet")
    return tmp_path / "pool.parquet"


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for colour in COLOURS:
            member = tarfile.TarInfo(f"{colour}.png")
            data = encoded(colour)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return tmp_path / "shard.tar"


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("folder", {"photos/red.png", "photos/trip/green.png", "photos/blue.png", "photos/trip/white.png"}),
        ("parquet", {f"pool/{colour}.png" for colour in COLOURS}),
        ("shard", set(COLOURS)),
    ],
)
def test_every_kind_of_source_gives_the_same_photos(source: str, keys: set[str], request: pytest.FixtureRequest) -> None:
    """Each source names every photo once, and what its rows hold reads as that photo."""
    rows = list(open_pool([request.getfixturevalue(source)]))
    assert {row["key"] for row in rows} == keys and len(rows) == len(keys)
    for row in rows:
        colour = row["key"].rsplit("/", 1)[-1].removesuffix(".png")
        assert load_image(photo_source(row["image"])).getpixel((5, 5)) == Image.new("RGB", (1, 1), colour).getpixel((0, 0))


@pytest.mark.parametrize("source", ["folder", "parquet", "shard"])
def test_excluded_photos_never_come(source: str, request: pytest.FixtureRequest) -> None:
    """A photo kept for validation is named by its file name, wherever it lies."""
    rows = list(open_pool([request.getfixturevalue(source)], exclude={"green.png"}))
    assert len(rows) == 3 and not any("green" in row["key"] for row in rows)


def test_sources_add_up(folder: Path, parquet: Path) -> None:
    """Folders and parquet files make one pool, with keys that tell them apart."""
    keys = open_pool([folder, parquet])["key"]
    assert len(set(keys)) == 8


def test_what_holds_no_photos_is_an_error_that_says_so(tmp_path: Path, folder: Path, parquet: Path, shard: Path) -> None:
    """Nowhere, nothing there, the wrong kind, the wrong column, everything excluded, and mixed kinds: each is named."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no photos")
    pq.write_table(pa.Table.from_pylist([{"picture": b"x"}]), tmp_path / "other.parquet")
    for sources, words in (
        ([], "No source"),
        ([tmp_path / "nowhere"], "no such file"),
        ([tmp_path / "empty"], "no photos"),
        ([tmp_path / "notes.txt"], "neither a folder"),
        ([tmp_path / "other.parquet"], "no column 'image'"),
        ([folder, shard], "mixed"),
    ):
        with pytest.raises(PhotoPoolError, match=words):
            open_pool(sources)
    with pytest.raises(PhotoPoolError, match="excluded"):
        open_pool([parquet], exclude={f"{colour}.png" for colour in COLOURS})
