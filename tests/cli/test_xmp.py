"""`--write-xmp`: what `score` and `assess` write, as another program reads it."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aesthetic_mllm.sidecars import Borders, Marks, SidecarWriter, Written, marks_of
from photo_files import jpeg_bytes, scene
from xmp_packets import DARKTABLE, LIGHTROOM, packet

pytest.importorskip("exiv2", reason="the extra `xmp` is not installed")
Run = Callable[..., tuple[int, str, str]]
FIELDS = ("Rating", "Pick", "Good", "PickLabel", "TagsList", "HierarchicalSubject")


def read_back(path: Path) -> dict[str, Any]:
    """The fields as exiftool reads them."""
    command = ["exiftool", "-json", "-struct", "-XMP-xmp:Rating", "-XMP-xmpDM:all", "-XMP-digiKam:all", "-XMP-lr:all", str(path)]
    (found,) = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {name: found.get(name) for name in FIELDS}


needs_exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.jpg")}


@needs_exiftool
@pytest.mark.parametrize(("style", "ending"), [("adobe", ".xmp"), ("darktable", ".jpg.xmp")])
def test_exiftool_reads_what_score_writes(run: Run, photos: Path, style: str, ending: str) -> None:
    """Stars by place among the photos, a reject and a pick, tags in both forms; photos keep their bytes and times."""
    before = state(photos)
    options = ("--xmp-style", style, "--stars", "20,40,60,80", "--reject-below", 20, "--pick-from", 80, "--xmp-tags", "aesthetic")
    code, out, err = run("score", photos, "--format", "json", "--write-xmp", *options)
    rows = [json.loads(line) for line in out.splitlines()]
    wanted = marks_of([row["mean"] for row in rows], Borders((20, 40, 60, 80), True, 20, 80), "aesthetic")
    assert code == 0 and "sidecars: 4 new, 0 merged" in err and state(photos) == before
    for row, marks in zip(rows, wanted, strict=True):
        found = read_back(Path(row["path"]).with_suffix(ending))
        assert found["Rating"] == marks.rating and (found["Pick"] or 0) == marks.pick
        assert found["Good"] == {-1: False, 0: None, 1: True}[marks.pick or 0]
        assert found["PickLabel"] in {-1: (1, "1"), 0: (None,), 1: (3, "3")}[marks.pick or 0]
        assert found["HierarchicalSubject"] == list(marks.tags or ())
        assert found["TagsList"] == [tag.replace("|", "/") for tag in marks.tags or ()]
    assert {marks.rating for marks in wanted} >= {-1, 5}


@needs_exiftool
@pytest.mark.parametrize("before", [LIGHTROOM, DARKTABLE])
def test_exiftool_finds_everything_else_as_before(run: Run, photos: Path, before: bytes) -> None:
    """All that exiftool knows of a sidecar, but for what marks touch, in a merged one."""
    sidecar = photos / "1.jpg.xmp"
    sidecar.write_bytes(before)

    def others() -> dict[str, Any]:
        command = ["exiftool", "-json", "-struct", "-G1", "-XMP:all", "--XMP-xmp:Rating", "--XMP-x:all", str(sidecar)]
        (found,) = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return {name: value for name, value in found.items() if "MetadataDate" not in name and "aestheticMLLM" not in name}

    known = others()
    code, _, err = run("score", photos, "--write-xmp", "--overwrite-ratings")
    assert code == 0 and "3 new, 1 merged" in err and others() == known and sidecar.read_bytes() != before


def test_a_persons_rating_is_kept_and_told(run: Run, photos: Path) -> None:
    sidecar = photos / "1.jpg.xmp"
    sidecar.write_bytes(LIGHTROOM)
    code, _, err = run("assess", photos / "1.jpg", "--write-xmp")
    kept = "0 already up to date; 1 rating of a person kept in place of ours (see --overwrite-ratings)."
    assert code == 0 and kept in err and sidecar.read_bytes() == LIGHTROOM
    assert "1 merged" in run("assess", photos / "1.jpg", "--write-xmp", "--overwrite-ratings")[2]


def test_a_folder_of_their_own_mirrors_the_tree(run: Run, photos: Path, tmp_path: Path) -> None:
    """Nothing is written into the library; the second run writes nothing at all."""
    library = sorted(path.name for path in photos.rglob("*"))
    folder = tmp_path / "out"
    assert run("score", photos, "--write-xmp", "--xmp-folder", folder)[0] == 0
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.xmp")) == [
        "1.jpg.xmp", "2.jpg.xmp", "3.jpg.xmp", "more/4.jpg.xmp"
    ]  # fmt: skip
    assert sorted(path.name for path in photos.rglob("*")) == library
    assert (
        "0 new, 0 merged into existing ones, 4 already up to date"
        in run("score", photos, "--write-xmp", "--xmp-folder", folder)[2]
    )


def test_two_folders_that_would_share_a_sidecar(run: Run, photos: Path, tmp_path: Path) -> None:
    """It is told before a photo is rated, with the remedy."""
    (photos / "more" / "1.jpg").write_bytes(jpeg_bytes(scene()))
    options = (photos / "1.jpg", photos / "more", "--write-xmp", "--xmp-folder", tmp_path / "out")
    code, out, err = run("score", *options)
    assert code == 2 and out == "" and f"--xmp-root {photos} keeps them apart" in err and not (tmp_path / "out").exists()
    assert run("score", *options, "--xmp-root", photos)[0] == 0
    assert (tmp_path / "out" / "1.jpg.xmp").exists() and (tmp_path / "out" / "more" / "1.jpg.xmp").exists()


def test_what_cannot_be_written_is_told_and_the_rest_written(run: Run, photos: Path) -> None:
    """A broken sidecar, a photo that cannot be judged, and a pair with one sidecar."""
    (photos / "1.jpg.xmp").write_bytes(b"broken")
    (photos / "5.jpg").write_bytes(b"no photo")
    code, _, err = run("score", photos, "--write-xmp")
    assert code == 1 and "1.jpg.xmp is no valid XML" in err and "3 new" in err and "1 sidecar that could not be written" in err
    (photos / "1.png").write_bytes(jpeg_bytes(scene()))
    _, _, err = run("score", photos / "1.jpg", photos / "1.png", "--write-xmp", "--xmp-style", "adobe")
    assert "1 photo left out, whose sidecar is another photo's" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--xmp-style", "adobe"), "--xmp-style needs --write-xmp"),
        (("--stars", "1,2,3,4"), "--stars needs --write-xmp"),
        (("--write-xmp", "--stars", "1,2"), "rising numbers"),
        (("--write-xmp", "--stars", "a,b,c,d"), "four numbers"),
        (("--write-xmp", "--xmp-tags", "a/b"), "--xmp-tags"),
        (("--write-xmp", "--xmp-root", "."), "--xmp-root needs --xmp-folder"),
        (("--write-xmp", "--xmp-folder", "out", "--xmp-root", "nowhere"), "does not lie below"),
        (("--write-xmp", "--xmp-folder", f"{__file__}/out"), "is no folder; choose another --xmp-folder"),
        (("--write-xmp", "--star-ratings", ""), "four numbers"),
        (("--write-xmp", "--star-ratings", "10,30,60,85"), "must lie within 1 and 10"),
        (("--write-xmp", "--star-ratings", "4,5,6,7", "--reject-below", "60"), "must lie within 1 and 10"),
        (("--write-xmp", "--star-ratings", "4,5,6,inf"), "must be numbers that are finite"),
    ],
)
def test_options_that_cannot_be(run: Run, photos: Path, options: tuple[str, ...], message: str) -> None:
    code, out, err = run("score", photos, *options)
    assert code == 2 and message in err and out == "" and not list(photos.rglob("*.xmp"))


def test_borders_of_assess_lie_within_the_range(run: Run, photos: Path) -> None:
    code, out, err = run("assess", photos, "--write-xmp", "--star-ratings", "10,30,60,85")
    assert code == 2 and "must lie within 1 and 10" in err and out == ""


def test_one_photos_sidecar_stops_no_other(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is no text, tags with languages, and whatever nobody thought of."""
    shutil.copy(photos / "1.jpg", os.path.join(os.fsencode(photos), b"caf\xe9.jpg"))
    tags = '<rdf:Bag><rdf:li xml:lang="de">a</rdf:li></rdf:Bag>'
    (photos / "1.jpg.xmp").write_bytes(
        packet(
            '<rdf:Description xmlns:lr="http://ns.adobe.com/lightroom/1.0/">'
            f"<lr:hierarchicalSubject>{tags}</lr:hierarchicalSubject></rdf:Description>"
        )
    )
    code, _, err = run("score", photos, "--format", "json", "--write-xmp", "--xmp-tags", "aesthetic")
    assert code == 1 and "has tags in lr:hierarchicalSubject that are no list of plain text; it is left as it is" in err
    assert "sidecars: 4 new" in err and "1 sidecar that could not be written" in err
    write = SidecarWriter.write

    def failing(self: SidecarWriter, photo: Path, marks: Marks) -> Written:
        if photo.name == "2.jpg":
            raise TypeError("odd")
        return write(self, photo, marks)

    monkeypatch.setattr(SidecarWriter, "write", failing)
    code, _, err = run("score", photos, "--format", "json", "--write-xmp")
    assert code == 1 and "The sidecar of " in err and "2.jpg cannot be written (TypeError: odd); it is left as it is." in err
    assert "0 new, 1 merged into existing ones, 3 already up to date; 1 sidecar that could not be written." in err


def test_a_photo_that_is_named_twice_counts_once(run: Run, photos: Path) -> None:
    """For the percent of the photos, and among the sidecars."""
    assert run("score", photos, "--write-xmp")[0] == 0
    stars = {path: path.read_bytes() for path in photos.rglob("*.xmp")}
    again = (photos / "1.jpg", photos / "more" / ".." / "1.jpg", *[photos / "2.jpg"] * 9)
    code, _, err = run("score", photos, *again, "--write-xmp")
    assert code == 0 and "0 new, 0 merged into existing ones, 4 already up to date." in err
    assert {path: path.read_bytes() for path in photos.rglob("*.xmp")} == stars


def test_a_missing_package_is_told_before_anything_is_judged(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "exiv2", None)
    code, out, err = run("score", photos, "--write-xmp")
    assert code == 2 and "pip install 'aesthetic-mllm[xmp]'" in err and out == ""
