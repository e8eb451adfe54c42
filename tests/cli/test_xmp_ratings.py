"""`aesthetic-mllm xmp`: sidecars from ratings that are there already."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from jobs_archive import write_archive
from photo_files import jpeg_bytes, scene

pytest.importorskip("exiv2", reason="the extra `xmp` is not installed")
pytest.importorskip("pyarrow", reason="the extra `jobs` is not installed")
Run = Callable[..., tuple[int, str, str]]
OPTIONS = ("--stars", "20,40,60,80", "--reject-below", 20, "--pick-from", 80, "--xmp-tags", "aesthetic")


def sidecars(folder: Path) -> dict[str, dict[str, object]]:
    """What each says, but for the time at which it was written."""
    from aesthetic_mllm.sidecars.statements import statements

    said = {path.name: statements(path.read_bytes()) for path in sorted(folder.rglob("*.xmp"))}
    return {path: {name: value for name, value in each.items() if "Date" not in name} for path, each in said.items()}


def removed(folder: Path) -> None:
    for path in folder.rglob("*.xmp"):
        path.unlink()


@pytest.fixture
def rated(run: Run, photos: Path, tmp_path: Path) -> Path:
    """The table of a job over the photos and a file that cannot be judged."""
    (photos / "5.jpg").write_bytes(b"no photo")
    table = tmp_path / "ratings.parquet"
    assert run("score", photos, "--output", table)[0] == 1
    return table


@pytest.mark.parametrize("options", [OPTIONS, ("--xmp-style", "adobe", "--star-ratings", "3,4,5,6")])
@pytest.mark.parametrize("form", ["ratings.parquet", "ratings/", "ratings.csv", "ratings.jsonl"])
def test_the_same_sidecars_as_rating_writes(run: Run, photos: Path, tmp_path: Path, form: str, options: Sequence[object]) -> None:
    """Of a job's table and folder, and of CSV and JSON lines; a second time there is nothing to do."""
    assert run("score", photos, "--write-xmp", *options)[0] == 0
    expected = sidecars(photos)
    removed(photos)
    assert run("score", photos, "--output", f"{tmp_path}/{form}")[0] == 0 and not sidecars(photos)
    code, out, err = run("xmp", tmp_path / form, *options)
    assert code == 0 and out == "" and "sidecars: 4 new, 0 merged" in err and sidecars(photos) == expected
    assert ("has no sha256" in err) == (form in ("ratings.csv", "ratings.jsonl"))
    assert "0 new, 0 merged into existing ones, 4 already up to date." in run("xmp", tmp_path / form, *options)[2]


@pytest.mark.parametrize("form", ["ratings.csv", "ratings.jsonl"])
def test_of_assessments(run: Run, photos: Path, tmp_path: Path, form: str) -> None:
    assert run("assess", photos, "--write-xmp", "--output", tmp_path / form)[0] == 0
    expected = sidecars(photos)
    removed(photos)
    assert run("xmp", tmp_path / form)[0] == 0 and sidecars(photos) == expected


def test_photos_that_are_gone_or_changed_get_no_stars(run: Run, photos: Path, rated: Path) -> None:
    """They are named, those that could not be judged are counted, and the stars are those of the photos that are left."""
    (photos / "1.jpg").unlink()
    (photos / "2.jpg").write_bytes(jpeg_bytes(scene(50, 60)))
    code, _, err = run("xmp", rated, *OPTIONS)
    assert code == 1 and f"{photos}/1.jpg: not there any more." in err
    assert f"{photos}/2.jpg: changed since the rating; rate it again, or give --unchecked." in err
    for said in ("1 photo that could not be judged", "1 photo not there any more", "1 photo changed since the rating"):
        assert said in err.partition("left out:")[2]
    found = sidecars(photos)
    removed(photos)
    run("score", photos / "3.jpg", photos / "more" / "4.jpg", "--write-xmp", *OPTIONS)
    assert found == sidecars(photos) and len(found) == 2
    assert "sidecars: 1 new" in run("xmp", rated, "--unchecked")[2] and "2.jpg.xmp" in sidecars(photos)


def test_photos_elsewhere(run: Run, photos: Path, rated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of paths that lies beside them names them; so does a job's table with relative paths; an archive does not."""
    import pyarrow
    import pyarrow.parquet

    listed = photos / "list.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"photo": ["1.jpg", "more/4.jpg"]}), listed)
    write_archive(photos / "more.tar", [("9.jpg", jpeg_bytes(scene()))])
    monkeypatch.chdir(photos)
    assert run("score", "list.parquet", "more.tar", "2.jpg", "--output", photos / "ratings.parquet")[0] == 0
    monkeypatch.chdir(tmp_path)
    code, _, err = run("xmp", photos / "ratings.parquet")
    assert code == 1 and "1 photo inside tables or archives, without a file of their own" in err
    assert set(sidecars(photos)) == {"1.jpg.xmp", "4.jpg.xmp", "2.jpg.xmp"}


def test_a_folder_of_their_own(run: Run, photos: Path, rated: Path, tmp_path: Path) -> None:
    """The root is named, since a table does not say it; then the places are those of the command that rates."""
    folder = tmp_path / "out"
    code, _, err = run("xmp", rated, "--xmp-folder", folder)
    assert code == 2 and "--xmp-folder needs --xmp-root" in err
    run("score", photos, "--write-xmp", "--xmp-folder", folder)
    assert "4 already up to date" in run("xmp", rated, "--xmp-folder", folder, "--xmp-root", photos)[2]
    code, _, err = run("xmp", rated, "--xmp-folder", folder, "--xmp-root", photos / "more")
    assert code == 2 and "does not lie below" in err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.parquet", None, "gone.parquet: not a parquet file"),
        ("gone.csv", None, "gone.csv: no such file"),
        ("bad.parquet", b"no table", "bad.parquet: not a parquet file"),
        ("bad.csv", b"a,b\n1,2\n", "bad.csv: row 1 has no path and rating"),
        ("bad.jsonl", b"{}\n", "bad.jsonl: row 1 has no path and rating"),
        ("bad.json", b"path", "bad.json: row 1 has no path and rating"),
        ("word.csv", b"path,mean\na.jpg,high\n", "word.csv: row 1"),
    ],
)
def test_what_is_no_table_of_ratings(run: Run, tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, _, err = run("xmp", tmp_path / name)
    assert code == 2 and message in err


def test_questions(run: Run, photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "ratings.parquet"
    run("score", photos, "--attributes", "--output", table)
    assert run("xmp", table, "--question", "composition")[0] == 0
    code, _, err = run("xmp", table, "--question", "beauty")
    assert code == 2 and "has no ratings of 'beauty'; it has aesthetic, " in err
    run("score", photos, "--output", tmp_path / "ratings.csv")
    code, _, err = run("xmp", tmp_path / "ratings.csv", "--question", "aesthetic")
    assert code == 2 and "leave out --question" in err


def test_a_job_names_the_command(run: Run, photos: Path, tmp_path: Path) -> None:
    code, _, err = run("score", photos, "--write-xmp", "--output", tmp_path / "zz.parquet")
    assert code == 2 and f"`aesthetic-mllm xmp {tmp_path}/zz.parquet` writes sidecars" in err
