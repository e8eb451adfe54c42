"""`aesthetic-mllm cull`: the table, rows, and what it writes into sidecars."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aesthetic_mllm.evaluation.eval_culling import make_shoot, write_shoot
from aesthetic_mllm.processing.image_loading import load_image
from xmp_packets import packet

Run = Callable[..., tuple[int, str, str]]
NAMES = ("chelsea", "coffee", "rocket", "astronaut", "camera")


@pytest.fixture(scope="module")
def shoot(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with a series of each kind and a lone photo, and the shots by file name."""
    folder = tmp_path_factory.mktemp("shoot")
    shots = make_shoot([load_image(f"examples/photos/{name}.jpg") for name in NAMES], 2)
    return folder, {path.name: shot for path, shot in zip(write_shoot(shots, folder), shots, strict=True)}


def test_rows_in_every_form(run: Run, shoot: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """JSON on standard output, CSV into a file; each row knows its series, verdict and reasons."""
    folder, shots = shoot
    output = tmp_path / "cull.csv"
    code, out, err = run("cull", folder, "--format", "json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(rows) == len(shots) and not list(folder.glob("*.xmp"))
    assert {Path(row["path"]).name: row["kind"] for row in rows} == {name: shot.kind for name, shot in shots.items()}
    (reject,) = (row for row in rows if row["verdict"] == "reject")
    assert shots[Path(reject["path"]).name].damage and reject["reasons"] and reject["measured"]["detail"] > 0
    assert "1 burst, 1 bracket, 1 panorama, 1 focus stack, 1 lone photo; proposed: 1 pick, 1 reject." in err
    assert run("cull", folder, "--output", output)[0] == 0
    lines = list(csv.DictReader(io.StringIO(output.read_text())))
    assert [line["verdict"] for line in lines] == [row["verdict"] for row in rows]
    assert [line["reasons"] for line in lines] == ["; ".join(row["reasons"]) for row in rows]


def test_the_table(run: Run, shoot: tuple[Path, dict[str, Any]]) -> None:
    """A heading for each series; signs for what is proposed."""
    folder, shots = shoot
    out = run("cull", folder)[1]
    headings = [line for line in out.splitlines() if line and not line.startswith(" ")]
    sizes = {kind: sum(shot.kind == kind for shot in shots.values()) for kind in ("bracket", "burst", "focus_stack", "panorama")}
    assert sorted(headings) == [
        f"bracket 1: {sizes['bracket']} photos, left alone", f"burst 1: {sizes['burst']} photos",
        f"focus stack 1: {sizes['focus_stack']} photos, left alone", "lone photos, left alone",
        f"panorama 1: {sizes['panorama']} photos, left alone",
    ]  # fmt: skip
    assert out.count("  + pick") == 1 and out.count("  - reject") == 1


def test_proposals_go_into_sidecars_only_when_asked(run: Run, shoot: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """The reject -1 and both kinds of flags, the pick its flag, nothing of the others but a tag of their kind."""
    pytest.importorskip("exiv2", reason="the extra `xmp` is not installed")
    from aesthetic_mllm.sidecars.statements import statements

    folder, shots = shoot
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    options = ("--format", "json", "--write-xmp", "--xmp-folder", tmp_path / "xmp", "--xmp-tags", "cull")
    _, out, err = run("cull", folder, *options)
    written = len(list((tmp_path / "xmp").iterdir()))
    told = f"photo{'s' * (len(shots) - written != 1)} of which there is nothing to say."
    assert f"sidecars: {written} new, 0 merged into existing ones, 0 already up to date; {len(shots) - written} {told}" in err
    again = run("cull", folder, *options)[2]
    assert f"sidecars: 0 new, 0 merged into existing ones, {written} already up to date; {len(shots) - written} {told}" in again
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    for row in map(json.loads, out.splitlines()):
        sidecar = tmp_path / "xmp" / f"{Path(row['path']).name}.xmp"
        tag = {"single": None, "burst": None if row["verdict"] == "undecided" else row["verdict"]}.get(
            row["kind"], row["kind"].replace("_", " ")
        )
        assert sidecar.exists() == (tag is not None)
        if tag is None:
            continue
        said = {name.partition("}")[2]: value for name, value in statements(sidecar.read_bytes()).items()}
        assert said["hierarchicalSubject"] == ("Bag", [f"cull|{tag}"])
        flags = {"pick": ("1", "True", "3"), "reject": ("-1", "False", "1")}.get(row["verdict"], (None, None, None))
        assert (said.get("pick"), said.get("good"), said.get("PickLabel")) == flags
    assert len(before) == len(shots)


def test_stars_and_proposals_in_either_order(run: Run, shoot: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Both commands' tags are there whichever ran first; a reject of ours replaces our own stars, and not the other way round."""
    pytest.importorskip("exiv2", reason="the extra `xmp` is not installed")
    from aesthetic_mllm.sidecars.statements import statements

    tags: dict[str, dict[str, set[str]]] = {}
    for order in (("score", "cull"), ("cull", "score")):
        folder = tmp_path / order[0]
        for command in order:
            prefix = {"score": "aesthetic", "cull": "cull"}[command]
            assert run(command, shoot[0], "--write-xmp", "--xmp-folder", folder, "--xmp-tags", prefix)[0] == 0
        said = {path.name: statements(path.read_bytes()) for path in folder.iterdir()}
        subject, rating = "{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject", "{http://ns.adobe.com/xap/1.0/}Rating"
        tags[order[0]] = {name: set(each[subject][1]) for name, each in said.items()}
        (reject,) = (each for each in said.values() if "cull|reject" in each[subject][1])
        assert (reject[rating] == "-1") == (order == ("score", "cull"))
    assert tags["score"] == tags["cull"]
    assert {"cull|pick", "cull|reject", "cull|bracket"} <= set.union(*tags["score"].values())
    assert all(any(tag.startswith("aesthetic|") for tag in each) for each in tags["score"].values())


def test_a_photo_that_is_named_twice_does_not_compete_with_itself(
    run: Run, shoot: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Nor does a link to it; the photos stay in the order in which they were named first."""
    folder, shots = shoot
    photo = folder / next(name for name, shot in shots.items() if shot.kind == "single")
    (tmp_path / "link.jpg").symlink_to(photo)
    code, out, err = run(
        "cull", photo, folder, tmp_path / "link.jpg", folder / ".." / folder.name / photo.name, "--format", "json"
    )
    assert code == 0 and "passed over 3 photos that were named twice." in err
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == len(shots) and [row["kind"] for row in rows if row["index"] == 0] == ["single"]


def test_photos_that_are_left_alone_keep_a_persons_flags(run: Run, shoot: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Also where ratings and flags may be replaced: there is nothing to replace them with."""
    pytest.importorskip("exiv2", reason="the extra `xmp` is not installed")
    spaces = (
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:xmpDM="http://ns.adobe.com/xmp/1.0/DynamicMedia/" '
        'xmlns:digiKam="http://www.digikam.org/ns/1.0/"'
    )
    flags = 'xmp:Rating="4" xmpDM:pick="1" xmpDM:good="True" digiKam:PickLabel="3"'
    for name in shoot[1]:
        shutil.copy(shoot[0] / name, tmp_path)
        (tmp_path / f"{name}.xmp").write_bytes(packet(f"<rdf:Description {spaces} {flags}/>"))
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.xmp")}
    _, out, err = run("cull", tmp_path, "--format", "json", "--write-xmp", "--overwrite-ratings")
    verdicts = {Path(row["path"]).name: row["verdict"] for row in map(json.loads, out.splitlines())}
    changed = {name.removesuffix(".xmp") for name, data in before.items() if (tmp_path / name).read_bytes() != data}
    assert changed == {name for name, verdict in verdicts.items() if verdict in ("pick", "reject")}
    assert "left_alone" in verdicts.values() and "of a person kept" not in err


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--keep", 0), "keep"), (("--max-gap", -1), "max_gap"), (("--max-gap", "nan"), "max_gap"),
     (("--max-distance", 64), "max_distance"), (("--xmp-tags", "a"), "--write-xmp")],
)  # fmt: skip
def test_what_cannot_be_is_told_first(
    run: Run, shoot: tuple[Path, dict[str, Any]], options: tuple[object, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code, out, err = run("cull", shoot[0], *options)
    except SystemExit as error:  # argparse's own
        code, out, err = int(str(error.code)), "", capsys.readouterr().err
    assert code == 2 and message in err and out == ""
