"""Sidecars on disk: names, folders, and what is never touched."""

import os
from pathlib import Path

import pytest

from aesthetic_mllm.sidecars import Marks, SharedSidecarError, SidecarError, SidecarWriter, named_folders, sidecar_path
from aesthetic_mllm.sidecars.statements import statements
from photo_files import jpeg_bytes, scene
from xmp_packets import LIGHTROOM, packet

pytest.importorskip("exiv2", reason="the extra `xmp` is not installed")
RATING, PICK = "{http://ns.adobe.com/xap/1.0/}Rating", "{http://ns.adobe.com/xmp/1.0/DynamicMedia/}pick"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "trip" / "a b.jpg"
    path.parent.mkdir()
    path.write_bytes(jpeg_bytes(scene()))
    return path


def rating(path: Path) -> str | None:
    return statements(path.read_bytes()).get(RATING)


@pytest.mark.parametrize(("style", "name"), [("adobe", "a b.xmp"), ("darktable", "a b.jpg.xmp")])
def test_names_and_an_untouched_photo(photo: Path, style: str, name: str) -> None:
    """The second time nothing is written; no other file is left."""
    before = photo.read_bytes(), photo.stat().st_mtime_ns
    written = SidecarWriter(style).write(photo, Marks(4))
    assert written.path == photo.with_name(name) and written.changed and not written.existed and rating(written.path) == "4"
    stamp = written.path.stat().st_mtime_ns
    assert not SidecarWriter(style).write(photo, Marks(4)).changed and written.path.stat().st_mtime_ns == stamp
    assert (photo.read_bytes(), photo.stat().st_mtime_ns) == before
    assert {path.name for path in photo.parent.iterdir()} == {photo.name, name}


def test_a_library_that_is_read_only(photo: Path, tmp_path: Path) -> None:
    """The tree is mirrored, and starts from the sidecar in the library; that one stays as it is."""
    beside = photo.with_name("a b.jpg.xmp")
    beside.write_bytes(LIGHTROOM)
    folder = tmp_path / "out"
    writer = SidecarWriter("darktable", folder, named=named_folders([tmp_path]))
    written = writer.write(photo, Marks(2))
    assert written.path == folder / "trip" / "a b.jpg.xmp" and written.existed and written.kept_rating
    assert rating(written.path) == "4" and b"Adobe Color" in written.path.read_bytes() and beside.read_bytes() == LIGHTROOM
    with pytest.raises(SidecarError, match="does not lie below"):
        sidecar_path(photo, "adobe", folder, tmp_path / "elsewhere")


@pytest.mark.parametrize("relative", [False, True])
def test_a_place_does_not_depend_on_what_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool) -> None:
    """It begins below the outermost named folder that the photo is in; a photo that was named itself lies at the top."""
    monkeypatch.chdir(tmp_path)
    start = Path() if relative else tmp_path
    trip, day, lone = start / "trip", start / "trip" / "day", start / "lone"
    for folder in (day, lone):
        folder.mkdir(parents=True)
    photo, single = day / "a.jpg", lone / "b.jpg"

    def place(photo: Path, *named: Path, root: Path | None = None) -> str:
        return SidecarWriter("darktable", Path("out"), root, named=named_folders(named)).place(photo).as_posix()

    assert {place(photo, trip), place(photo, trip, day), place(photo, lone, trip, single)} == {"out/day/a.jpg.xmp"}
    assert {place(photo, day), place(photo, photo), place(photo, lone, photo)} == {"out/a.jpg.xmp"}
    assert {place(single, single), place(single, trip, single), place(single, lone)} == {"out/b.jpg.xmp"}
    assert place(photo, day, root=start) == place(photo, photo, root=start) == "out/trip/day/a.jpg.xmp"


def test_two_folders_with_one_place_are_an_error_that_names_both(tmp_path: Path) -> None:
    """With a root above both they have places of their own; one photo that is named twice is none of this."""
    photos = [tmp_path / name / "a.jpg" for name in ("one", "two")]
    for photo in photos:
        photo.parent.mkdir()
    named = named_folders(photo.parent for photo in photos)
    both = f"{photos[0]} and {photos[1]} would both have the sidecar .*a.jpg.xmp; --xmp-root {tmp_path} keeps them apart"
    with pytest.raises(SidecarError, match=both):
        SidecarWriter("darktable", tmp_path / "out", named=named).check(photos)
    SidecarWriter("darktable", tmp_path / "out", tmp_path, named=named).check(photos)
    SidecarWriter("darktable", tmp_path / "out", named=named).check(
        [photos[0], photos[0], tmp_path / "one" / ".." / "one" / "a.jpg"]
    )
    SidecarWriter("darktable").check(photos)


def test_a_folder_that_cannot_be_written_is_told(photo: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(SidecarError, match="cannot be written.*--xmp-folder"):
        SidecarWriter("darktable", blocked / "out", photo.parent).write(photo, Marks(2))


def test_a_link_to_nowhere_makes_no_folders(photo: Path, tmp_path: Path) -> None:
    """One into a folder that exists is followed."""
    sidecar = photo.with_name("a b.jpg.xmp")
    sidecar.symlink_to(tmp_path / "gone" / "a.xmp")
    with pytest.raises(SidecarError, match="a b.jpg.xmp is a link to .*gone/a.xmp, whose folder does not exist; remove the link"):
        SidecarWriter().write(photo, Marks(2))
    assert sidecar.is_symlink() and not (tmp_path / "gone").exists()
    (tmp_path / "gone").mkdir()
    SidecarWriter().write(photo, Marks(2))
    assert sidecar.is_symlink() and rating(tmp_path / "gone" / "a.xmp") == "2"


@pytest.mark.parametrize("broken", [b"", LIGHTROOM[:700], b"no xml"])
def test_a_broken_sidecar_is_named_and_left_alone(photo: Path, broken: bytes) -> None:
    sidecar = photo.with_name("a b.jpg.xmp")
    sidecar.write_bytes(broken)
    with pytest.raises(SidecarError, match="a b.jpg.xmp.*left as it is"):
        SidecarWriter().write(photo, Marks(2))
    assert sidecar.read_bytes() == broken and len(list(photo.parent.iterdir())) == 2


def test_a_failed_write_leaves_the_old_sidecar(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sidecar = SidecarWriter().write(photo, Marks(2)).path
    before = sidecar.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SidecarError, match="No space left"):
        SidecarWriter().write(photo, Marks(5))
    assert sidecar.read_bytes() == before and len(list(photo.parent.iterdir())) == 2


def test_ratings_elsewhere_are_a_persons(photo: Path) -> None:
    """In a sidecar of the other name, and in the photo's own EXIF data; ours in the other one is not."""
    photo.with_suffix(".xmp").write_bytes(LIGHTROOM)
    kept = SidecarWriter().write(photo, Marks(2))
    assert kept.kept_rating and not kept.path.exists()  # there was nothing else to say
    assert rating(SidecarWriter(overwrite=True).write(photo, Marks(2)).path) == "2"
    own = photo.with_name("own.jpg")
    own.write_bytes(jpeg_bytes(scene(), exif=_rated(3)))
    assert SidecarWriter().write(own, Marks(1)).kept_rating
    both = photo.with_name("both.jpg")
    both.write_bytes(jpeg_bytes(scene()))
    SidecarWriter("adobe").write(both, Marks(5))
    assert not SidecarWriter("darktable").write(both, Marks(1)).kept_rating


def test_one_sidecar_is_not_two_photos(photo: Path) -> None:
    writer = SidecarWriter("adobe")
    writer.write(photo, Marks(2))
    with pytest.raises(SharedSidecarError, match="a b.xmp is that of.*a b.jpg"):
        writer.write(photo.with_suffix(".png"), Marks(3))


@pytest.mark.parametrize("said", ['xmpDM:pick="1"', 'xmpDM:good="False"', 'digiKam:PickLabel="2"'])
def test_flags_elsewhere_are_a_persons(photo: Path, said: str) -> None:
    """In a sidecar of the other name and inside the photo; ours in the other one is not."""
    flagged = packet(
        '<rdf:Description xmlns:xmpDM="http://ns.adobe.com/xmp/1.0/DynamicMedia/" '
        f'xmlns:digiKam="http://www.digikam.org/ns/1.0/" {said}/>'
    )
    photo.with_suffix(".xmp").write_bytes(flagged)
    kept = SidecarWriter().write(photo, Marks(2, -1))
    assert kept.kept_pick and not kept.kept_rating and PICK not in statements(kept.path.read_bytes())
    assert statements(SidecarWriter(overwrite=True).write(photo, Marks(pick=-1)).path.read_bytes())[PICK] == "-1"
    own = photo.with_name("own.jpg")
    own.write_bytes(jpeg_bytes(scene(), xmp=flagged))
    assert SidecarWriter().write(own, Marks(pick=1)).kept_pick
    both = photo.with_name("both.jpg")
    both.write_bytes(jpeg_bytes(scene()))
    SidecarWriter("adobe").write(both, Marks(pick=1))
    assert not SidecarWriter("darktable").write(both, Marks(pick=-1)).kept_pick


@pytest.mark.parametrize("ending", [".XMP", ".Xmp"])
def test_a_sidecar_in_capitals_is_the_photos(photo: Path, tmp_path: Path, ending: str) -> None:
    """It is merged into and no second one made; in a folder of their own it is what they start from."""
    there = photo.with_name(f"a b.jpg{ending}")
    there.write_bytes(LIGHTROOM)
    written = SidecarWriter("darktable", tmp_path / "out").write(photo, Marks(2))
    assert (
        written.kept_rating and written.path == tmp_path / "out" / "a b.jpg.xmp" and b"Adobe Color" in written.path.read_bytes()
    )
    assert SidecarWriter("adobe").write(photo, Marks(2)).kept_rating
    written = SidecarWriter(overwrite=True).write(photo, Marks(2))
    assert written.path.samefile(there) and written.existed and rating(there) == "2"
    assert {path.name for path in photo.parent.iterdir()} == {photo.name, there.name}


def test_nothing_is_written_outside_a_folder_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths with ".." mean what they say, whichever way photos and root are written."""
    photo, work = tmp_path / "lib" / "a.jpg", tmp_path / "work"
    for folder in (photo.parent, work):
        folder.mkdir()
    photo.write_bytes(jpeg_bytes(scene()))
    monkeypatch.chdir(work)
    away, out = Path("../lib/a.jpg"), Path("out")
    with pytest.raises(SidecarError, match="does not lie below"):
        SidecarWriter("darktable", out, Path()).write(away, Marks(2))
    assert SidecarWriter("darktable", out, named=named_folders([Path()])).place(away) == out / "a.jpg.xmp"
    for root in (Path(".."), tmp_path, work / ".."):
        assert SidecarWriter("darktable", out, root).write(away, Marks(2)).path == out / "lib" / "a.jpg.xmp"
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.xmp")] == ["work/out/lib/a.jpg.xmp"]


def test_a_folder_is_checked_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It need not exist; a file in its way, and a folder that may not be written to, are told."""
    SidecarWriter("darktable", tmp_path / "new" / "deep").check_folder()
    SidecarWriter().check_folder()
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SidecarError, match="file is no folder; choose another --xmp-folder"):
        SidecarWriter("darktable", tmp_path / "file" / "out").check_folder()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(SidecarError, match=f"{tmp_path} may not be written to; choose another --xmp-folder"):
        SidecarWriter("darktable", tmp_path / "new" / "deep").check_folder()


def test_a_name_that_leaves_no_room_for_an_ending(tmp_path: Path) -> None:
    """Of darktable's style: the file system allows 255 bytes."""
    photo = tmp_path / f"{'n' * 248}.jpg"
    photo.write_bytes(jpeg_bytes(scene()))
    with pytest.raises(SidecarError, match="cannot be written"):
        SidecarWriter().write(photo, Marks(2))
    assert SidecarWriter("adobe").write(photo, Marks(2)).changed


def test_a_name_that_is_no_text(photo: Path) -> None:
    """Its sidecar is found and written as any other, and a rating inside the photo is seen."""
    for stars, exif in ((2, None), (None, _rated(3))):
        odd = photo.with_name(os.fsdecode(f"caf{stars}".encode() + b"\xe9.jpg"))
        odd.write_bytes(jpeg_bytes(scene(), exif=exif) if exif else jpeg_bytes(scene()))
        written = SidecarWriter().write(odd, Marks(2))
        assert written.kept_rating == (exif is not None) and written.changed != written.kept_rating


def _rated(stars: int) -> bytes:
    from PIL import Image

    exif = Image.Exif()
    exif[0x4746] = stars
    return exif.tobytes()
