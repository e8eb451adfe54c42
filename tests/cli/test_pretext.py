"""`aesthetic-mllm pretext`: a picture of pretext samples, the same one for the same seed, and errors that say what is wrong."""

import json
from pathlib import Path

import pytest
from PIL import Image

from aesthetic_mllm.cli.main import main
from aesthetic_mllm.cli.pretext import MOST_PHOTOS
from aesthetic_mllm.editing.measurements import MEASUREMENTS
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.pretext.gallery import draw_gallery, gallery_row
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_samples import LEVELS, PretextSampleMaker
from synthetic_photos import midtone_photo, scene_photo

BANK = PhraseBank()
# Cuts in the middle of nowhere: enough to draw by, and no photo must be measured for them.
STATISTICS = PoolStatistics({name: (0.1, 0.2, 0.4, 0.6) for name in BANK.attributes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    scene_photo(120, 90).save(tmp_path / "photos" / "scene.png")
    midtone_photo(60, 100).save(tmp_path / "photos" / "colours.png")
    STATISTICS.save(tmp_path / "statistics.json")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main(["pretext", *map(str, arguments)])
    output = capsys.readouterr()
    assert output.out == ""
    return code, output.err


def draw(capsys: pytest.CaptureFixture[str], folder: Path, name: str, *arguments: object) -> Path:
    output = folder / name
    code, err = run(capsys, folder / "photos", "--statistics", folder / "statistics.json", "--output", output, *arguments)
    assert (code, err) == (0, "")
    return output


def test_the_picture_opens_and_the_seed_and_epoch_decide_it(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """The same bytes again with the same seed; other pretext samples with another seed or epoch."""
    first = draw(capsys, folder, "first.png")
    with Image.open(first) as picture:
        assert picture.format == "PNG" and picture.mode == "RGB" and picture.width > 800
        picture.load()
    assert draw(capsys, folder, "again.png").read_bytes() == first.read_bytes()
    assert draw(capsys, folder, "seed.png", "--seed", 1).read_bytes() != first.read_bytes()
    assert draw(capsys, folder, "epoch.png", "--epoch", 1).read_bytes() != first.read_bytes()


def test_each_photo_has_two_pretext_samples_a_level() -> None:
    """One measured and one altered; at the high level the content where it is known, else another measured one."""
    photo = scene_photo(96, 72)
    maker = PretextSampleMaker(BANK, STATISTICS, {"a": "a red house"})
    for key, last in (("a", "content"), ("b", "measured")):
        row = gallery_row(maker, key, photo)
        assert [[pretext_sample.kind for pretext_sample in row.pretext_samples[level]] for level in LEVELS] == [
            ["measured", "altered"],
            ["measured", "altered"],
            ["measured", last],
        ]
        assert all(pretext_sample.level == level for level in LEVELS for pretext_sample in row.pretext_samples[level])
        assert len({pretext_sample.subject for pretext_sample in row.pretext_samples["high"]}) == 2
    with pytest.raises(ValueError, match="at least one photo"):
        draw_gallery([])


def test_contents_of_a_teacher_are_drawn(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "contents.json").write_text(json.dumps({"photos/scene.png": "a red house"}))
    plain = draw(capsys, folder, "plain.png").read_bytes()
    assert draw(capsys, folder, "contents.png", "--contents", folder / "contents.json").read_bytes() != plain


def test_without_statistics_the_photos_are_their_own_pool(capsys: pytest.CaptureFixture[str], folder: Path, caplog) -> None:
    """And two photos are said to be too few for that."""
    code, _ = run(capsys, folder / "photos", "--output", folder / "out.png")
    assert code == 0 and (folder / "out.png").exists()
    assert "Statistics of 2 photo(s) say little" in caplog.text


def test_unreadable_photos_are_named_and_left_out(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Code 1 where some photos can be read, 2 where none can."""
    (folder / "photos" / "broken.jpg").write_bytes(b"no photo")
    arguments = ("--statistics", folder / "statistics.json", "--output", folder / "out.png")
    code, err = run(capsys, folder / "photos", *arguments)
    assert code == 1 and "broken.jpg: not an image" in err and (folder / "out.png").exists()
    code, err = run(capsys, folder / "photos" / "broken.jpg", *arguments)
    assert code == 2 and "none of the photos can be read" in err


def test_wrong_usage_is_code_two(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Each message names what is wrong; nothing is written."""
    photo = folder / "photos" / "scene.png"
    bad = {
        "list.json": ("[1, 2]", "no statistics of a pool"),
        "text.json": ("nothing", "no statistics of a pool"),
        "few.json": (json.dumps({"cuts": {"brightness": [0.1, 0.2, 0.3, 0.4]}}), "lack 'contrast'"),
        "cuts.json": (json.dumps({"cuts": {name: [0.4, 0.1] for name in MEASUREMENTS}}), "4 ascending numbers for brightness"),
    }
    (folder / "empty").mkdir()
    (folder / "many").mkdir()
    for number in range(MOST_PHOTOS + 1):
        Image.new("RGB", (16, 16)).save(folder / "many" / f"{number}.png")
    output = folder / "out.png"
    cases = [
        ((folder / "missing.jpg", "--output", output), "missing.jpg: no such file"),
        ((folder / "empty", "--output", output), "a folder without photos"),
        ((folder / "many", "--output", output), f"at most {MOST_PHOTOS}"),
        ((photo, "--output", folder / "out.jpg"), "does not end in .png"),
        ((photo, "--output", folder / "nowhere" / "out.png"), "does not exist; make it first"),
        ((photo, "--output", output, "--statistics", folder / "missing.json"), "cannot be read"),
        ((photo, "--output", output, "--contents", folder / "missing.json"), "missing.json: not a readable JSON"),
    ]
    for name, (text, message) in bad.items():
        (folder / name).write_text(text)
        cases.append(((photo, "--output", output, "--statistics", folder / name), message))
    for arguments, message in cases:
        code, err = run(capsys, *arguments)
        assert code == 2 and message in err, (arguments, err)
    assert not output.exists()
    for option in (("--seed", "-1"), ("--epoch", "first")):
        with pytest.raises(SystemExit) as caught:
            main(["pretext", str(photo), "--output", str(output), *option])
        assert caught.value.code == 2
