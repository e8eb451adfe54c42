"""Which files paths mean, and what is said of the others."""

import os
from pathlib import Path

import pytest

from aesthetic_mllm.inference import photo_files
from aesthetic_mllm.inference.photo_files import find_photos, readable_suffixes
from aesthetic_mllm.processing.image_loading import ImageError, ImageNotFoundError, UnreadableImageError
from photo_files import jpeg_bytes, scene


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos, files that lie beside them, and hidden ones."""
    for name in ("b.jpg", "a.JPG", "more/c.png", ".hidden.jpg", ".trash/d.jpg", "a.xmp", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.fixture
def no_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_files.importlib.util, "find_spec", lambda name: None)


def test_a_folder_means_the_photos_in_it_and_below(folder: Path) -> None:
    """Sorted, whatever the case of their endings, without hidden ones; a file means itself, whatever its ending."""
    found = find_photos([folder, folder / "notes.txt"])
    assert found.photos == [folder / "a.JPG", folder / "b.jpg", folder / "more" / "c.png", folder / "notes.txt"]
    assert found.remark() == ""


def test_files_that_are_passed_over_are_told_in_one_line(folder: Path, no_readers: None) -> None:
    """How many of which ending, over all folders, and what reads HEIC and camera raw files; documents are none of it."""
    for name in ("e.HEIC", "f.heic", "more/g.NEF", "clip.mp4", "IMG_1"):
        (folder / name).write_bytes(b"x")
    remark = find_photos([folder, folder / "more"]).remark()
    assert "\n" not in remark and "passed over 6 files" in remark
    for counted in ("2 .heic", "2 .nef", "1 .mp4", "1 without an ending"):
        assert counted in remark
    assert "pip install 'aesthetic-mllm[formats]'" in remark
    assert ".xmp" not in remark and ".txt" not in remark


def test_the_remedy_is_for_those_it_helps(folder: Path) -> None:
    (folder / "clip.mp4").write_bytes(b"x")
    assert find_photos([folder]).remark() == "passed over 1 file in folders (1 .mp4)"


def test_what_can_be_read_here_is_not_passed_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the readers installed their formats are photos like the others."""
    (folder / "e.HEIC").write_bytes(b"x")
    monkeypatch.setattr(photo_files.importlib.util, "find_spec", lambda name: name == "pillow_heif" or None)
    found = find_photos([folder])
    assert folder / "e.HEIC" in found.photos and found.remark() == ""
    assert ".heic" in readable_suffixes() and ".nef" not in readable_suffixes()


def test_places_that_cannot_be_read_are_errors_among_the_photos(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is too long, a null character, an address, a folder without permission or without photos; the others stay."""
    (folder / "empty").mkdir()
    names = ["a" * 300, "a\0b", "https://example.org/a.jpg", folder / "none.jpg", folder / "b.jpg", folder / "empty"]
    found = find_photos(names).photos
    long, null, address, missing, photo, empty = found
    assert photo == folder / "b.jpg"
    assert isinstance(long, UnreadableImageError) and "too long" in long.reason
    assert isinstance(null, ImageNotFoundError) and isinstance(missing, ImageNotFoundError)
    assert isinstance(address, ImageNotFoundError) and "download" in address.reason
    assert address.source == "https://example.org/a.jpg"
    assert isinstance(empty, ImageError) and "without photos" in empty.reason
    scandir = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "more":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    *photos, error = find_photos([folder]).photos
    assert photos == [folder / "a.JPG", folder / "b.jpg"]
    assert (
        isinstance(error, UnreadableImageError) and error.source == str(folder / "more") and "Permission denied" in error.reason
    )


def test_links_that_lead_nowhere_are_not_lost(folder: Path) -> None:
    """They are photos that cannot be found, not files that nobody hears of."""
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    assert folder / "gone.jpg" in find_photos([folder]).photos


def test_names_that_are_no_text(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with open(raw, "wb") as file:
        file.write(jpeg_bytes(scene()))
    (photo,) = find_photos([tmp_path]).photos
    assert isinstance(photo, Path) and os.fsencode(photo) == raw
