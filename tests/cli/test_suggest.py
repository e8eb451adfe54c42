"""`aesthetic-mllm suggest`: what would help, and the photo with it done, beside the original."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aesthetic_mllm import AestheticAssessor, ImageError
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.tasks.suggesting import Suggestion
from photo_files import BAD, heic_bytes, jpeg_bytes, scene, write_photos

Run = Callable[..., tuple[int, str, str]]
BRIGHTER = Suggestion("Brighten the photo.", "exposure", 0.5, "EV", 0.3, "too_dark")
CLOSER = Suggestion("Step closer.")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Has every readable photo suggested the same two things but for photos without 'dark' in their name; how it was asked."""
    asked: list[dict[str, Any]] = []

    def suggest_stream(self: AestheticAssessor, images: Any, **options: Any) -> Iterator[Any]:
        asked.append(options)
        for image in images:
            try:
                Image.open(image).load()
                yield [BRIGHTER, CLOSER] if "dark" in Path(image).name else [CLOSER]
            except OSError:
                yield ImageError(str(image), "broken.")

    monkeypatch.setattr(AestheticAssessor, "suggest_stream", suggest_stream)
    return asked


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    """A folder with photos, some to be brightened."""
    folder = tmp_path / "photos"
    (folder / "night").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    for name in ("dark.jpg", "fine.jpg", "night/dark.jpg"):
        (folder / name).write_bytes(jpeg_bytes(scene().point(lambda value: value // 2), exif=exif.tobytes()))
    scene().save(folder / "dark.bmp")
    return folder


def test_suggestions_in_every_format(run: Run, found: list, dark: Path) -> None:
    """JSON has all of a photo's suggestions, CSV a line for each, the table numbers them with edit and gains."""
    photo = dark / "dark.jpg"
    row = json.loads(run("suggest", photo, "--format", "json", "--limit", 5)[1])
    assert row == {
        "path": str(photo), "suggestions": [BRIGHTER.to_dict(), CLOSER.to_dict()], "applied": None, "error": None,
    }  # fmt: skip
    assert found == [{"verify": False, "limit": 5, "on_error": "return"}]
    lines = list(csv.DictReader(io.StringIO(run("suggest", dark, "--format", "csv")[1])))
    assert [(line["path"], line["number"], line["edit"]) for line in lines if "fine" not in line["path"]][:2] == [
        (str(dark / "dark.bmp"), "1", "exposure"), (str(dark / "dark.bmp"), "2", ""),
    ]  # fmt: skip
    table = run("suggest", photo)[1]
    assert "1. Brighten the photo. (exposure +0.50 EV; rating +0.3)" in table and "2. Step closer.\n" in table


def test_one_photo_is_applied_to_a_file(run: Run, found: list, dark: Path, tmp_path: Path) -> None:
    """The edited photo is written with its EXIF data, the original stays, and --apply verifies."""
    photo, out = dark / "dark.jpg", tmp_path / "better.jpg"
    original = photo.read_bytes()
    code, printed, _ = run("suggest", photo, "--apply", out, "--format", "json")
    assert code == 0 and json.loads(printed)["applied"] == str(out) and found[0]["verify"] is True
    assert photo.read_bytes() == original
    with Image.open(photo) as before, Image.open(out) as after:
        assert np.asarray(after).mean() > 1.1 * np.asarray(before).mean() and after.getexif()[0x010F] == "Maker"


def test_several_photos_are_applied_to_a_folder(run: Run, found: list, dark: Path, tmp_path: Path) -> None:
    """Each edited photo has its name below the folder, what cannot be written becomes a JPEG, and no edit means no file."""
    write_photos(dark, {"empty.jpg": BAD["empty.jpg"][0]})
    out = tmp_path / "better"
    code, printed, _ = run("suggest", dark, "--apply", out, "--format", "json")
    rows = {Path(row["path"]).relative_to(dark).as_posix(): row for row in map(json.loads, printed.splitlines())}
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert code == 1 and written == {"dark.jpg", "dark.bmp.jpg", "night/dark.jpg"}
    assert rows["night/dark.jpg"]["applied"] == str(out / "night" / "dark.jpg")
    assert rows["fine.jpg"]["applied"] is None and rows["empty.jpg"]["error"] == "broken."


def test_a_photo_that_is_left_as_it_is_says_so(run: Run, found: list, dark: Path, tmp_path: Path) -> None:
    """A run that writes no file says why none is there; without `--apply` there is nothing to say."""
    code, printed, _ = run("suggest", dark / "fine.jpg", "--apply", tmp_path / "better.jpg")
    assert code == 0 and "nothing written: no edit is suggested" in printed and not (tmp_path / "better.jpg").exists()
    assert "nothing written" not in run("suggest", dark / "fine.jpg")[1]


def test_nothing_is_written_over(run: Run, found: list, dark: Path, tmp_path: Path) -> None:
    """An original, any other file, and two photos of one name are refused before anything is judged."""
    contents = {path: path.read_bytes() for path in dark.rglob("*") if path.is_file()}
    (tmp_path / "notes.txt").write_text("keep")
    (tmp_path / "link.jpg").symlink_to(dark / "dark.jpg")
    for arguments, reason in (
        ([dark / "dark.jpg", "--apply", dark / "dark.jpg"], "exists"),
        ([dark / "dark.jpg", "--apply", tmp_path / "link.jpg"], "exists"),
        ([dark, "--apply", dark], "exists"),
        ([dark / "dark.jpg", "--apply", dark], "exists"),
        ([dark, "--apply", tmp_path / "notes.txt"], "is a file"),
        ([dark, "--apply", tmp_path / "better.jpg"], "name a folder"),
        ([dark / "dark.jpg", "--apply", tmp_path / "better.bmp"], ".png"),
        ([dark / "dark.jpg", "--apply", tmp_path / "none" / "better.jpg"], "make it first"),
        ([dark / "dark.jpg", dark / "night" / "dark.jpg", "--apply", tmp_path / "out"], "both"),
    ):
        code, out, err = run("suggest", *arguments)
        assert (code, out) == (2, "") and reason in err, arguments
    assert found == [] and {path: path.read_bytes() for path in dark.rglob("*") if path.is_file()} == contents
    assert not (tmp_path / "out").exists()


def test_a_photo_that_cannot_be_written_is_an_error(run: Run, found: list, dark: Path, tmp_path: Path) -> None:
    """Where writing fails the suggestions are still told, with the reason, the other photos are written, and the code is 1."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "night").write_text("in the way")
    code, printed, _ = run("suggest", dark, "--apply", tmp_path / "out", "--format", "json")
    rows = {Path(row["path"]).relative_to(dark).as_posix(): row for row in map(json.loads, printed.splitlines())}
    failed = rows["night/dark.jpg"]
    assert code == 1 and "was not written" in failed["error"] and failed["suggestions"] and failed["applied"] is None
    assert rows["dark.jpg"]["error"] is None and Path(rows["dark.jpg"]["applied"]).is_file()


def test_heic_is_applied_to_a_jpeg(run: Run, dark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upright, brighter, at its own size, with its EXIF data, beside its name in a folder; HEIC itself is not written."""
    pytest.importorskip("pillow_heif")
    monkeypatch.setattr(AestheticAssessor, "suggest_stream", lambda self, images, **_: ([BRIGHTER] for _ in list(images)))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    photo, out = tmp_path / "phone" / "dark.HEIC", tmp_path / "better"
    photo.parent.mkdir()
    photo.write_bytes(heic_bytes(scene().point(lambda value: value // 2), exif=exif.tobytes()))
    original = photo.read_bytes()
    code, printed, _ = run("suggest", photo.parent, "--apply", out, "--format", "json")
    assert code == 0 and json.loads(printed)["applied"] == str(out / "dark.HEIC.jpg")
    before = load_image(photo)
    with Image.open(out / "dark.HEIC.jpg") as after:
        assert after.format == "JPEG" and after.size == before.size == (64, 96)
        assert np.asarray(after).mean() > 1.1 * np.asarray(before).mean()
        assert after.getexif()[0x010F] == "Maker" and after.getexif().get(0x0112, 1) == 1
    assert photo.read_bytes() == original
    code, _, err = run("suggest", photo, "--apply", tmp_path / "better.heic")
    assert code == 2 and "choose a name that ends in one of them" in err and not (tmp_path / "better.heic").exists()
