"""Series found, and picks and rejects proposed in them."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aesthetic_mllm import AestheticAssessor, CulledPhoto, ImageError
from aesthetic_mllm.editing import get_edit
from aesthetic_mllm.editing.perceptual_hash import hash_distance
from aesthetic_mllm.evaluation.eval_culling import make_shoot, write_shoot
from aesthetic_mllm.inference.capture import Capture
from aesthetic_mllm.inference.culling import RatedFrame, cull_photos, note_frame
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.processing.rating_scale import Rating
from aesthetic_mllm.tasks.culling import NO_REASON, CullingError, Measured, judge_burst
from aesthetic_mllm.tasks.ranking import RankingError
from lively_assessor import lively_assessor
from photo_files import jpeg_bytes, scene

NAMES = ("chelsea", "coffee", "rocket", "astronaut", "camera")
START = datetime(2026, 5, 1, 12)


@pytest.fixture(scope="module")
def samples() -> list[Image.Image]:
    return [load_image(f"examples/photos/{name}.jpg") for name in NAMES]


def frame(image: Image.Image, capture: Capture | None = None, mean: float = 5.0) -> RatedFrame:
    return RatedFrame(Rating(mean, 1.0, None, (1.0, 10.0)), note_frame(image), capture or Capture())


def culled(*frames: RatedFrame, **limits: object) -> dict[int, CulledPhoto]:
    return {photo.index: photo for photo in cull_photos(dict(enumerate(frames)), **limits)}  # type: ignore[arg-type]


def shifted(photo: Image.Image, across: float = 0.0, down: float = 0.0) -> Image.Image:
    width, height = photo.size
    box = round((0.1 + across) * width), round((0.1 + down) * height)
    return photo.crop((*box, box[0] + round(0.8 * width), box[1] + round(0.8 * height)))


def at(seconds: float, **said: object) -> Capture:
    return Capture(START + timedelta(seconds=seconds), "X1", **said)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_shoot_of_every_kind(samples: list[Image.Image], seed: int) -> None:
    """Without EXIF data at all: each series is found whole, and the damaged frame of the burst is last and not picked."""
    shots = make_shoot(samples, seed)
    found = culled(*(frame(shot.image) for shot in shots))
    for index, shot in enumerate(shots):
        together = {other for other, photo in found.items() if photo.series == found[index].series}
        assert found[index].kind == shot.kind and together == {i for i, each in enumerate(shots) if each.series == shot.series}
        assert (found[index].verdict == "left_alone") == (shot.kind != "burst")
    assert [found[index].verdict for index, shot in enumerate(shots) if shot.damage] == ["reject"]


def test_time_parts_and_a_gap_of_none_joins(samples: list[Image.Image]) -> None:
    """The same scene a minute and a half later, by another camera, and without any time."""
    views = [shifted(samples[0], 0.01 * number) for number in range(3)]
    near = culled(*(frame(view, at(2.0 * number)) for number, view in enumerate(views)))
    far = culled(*(frame(view, at(90.0 * number)) for number, view in enumerate(views)))
    longer = culled(*(frame(view, at(90.0 * number)) for number, view in enumerate(views)), max_gap=100)
    two = culled(frame(views[0], at(0)), frame(views[1], Capture(START, "other")), frame(views[2], at(1)))
    assert [photo.series_size for photo in near.values()] == [3, 3, 3] == [photo.series_size for photo in longer.values()]
    assert {photo.kind for photo in far.values()} == {"single"}
    assert [two[index].series_size for index in range(3)] == [2, 1, 2]


def test_times_order_what_names_do_not(samples: list[Image.Image]) -> None:
    """Frames of two bursts whose file names alternate."""
    views = [shifted(samples[index % 2], 0.01 * index) for index in range(6)]
    found = culled(*(frame(view, at(index + 600 * (index % 2))) for index, view in enumerate(views)))
    assert [found[index].series for index in range(6)] == [0, 1, 0, 1, 0, 1]


def test_photos_that_are_no_neighbours_join_by_their_hashes(samples: list[Image.Image]) -> None:
    """Without times: one scene, another one, and the first again."""
    found = culled(frame(samples[0]), frame(samples[1]), frame(shifted(samples[0], -0.0)), frame(samples[0]))
    assert found[0].series == found[3].series != found[1].series


def test_a_burst_is_not_split_by_what_looks_alike_between_its_frames(samples: list[Image.Image]) -> None:
    """Another camera's photo of the scene, one from another day, and one that the camera moved for."""
    views = [shifted(samples[0], 0.004 * number) for number in range(3)]
    other, later = frame(views[1], Capture(START, "other")), frame(views[1], at(9000))
    between = frame(samples[1], at(1))  # so that no two frames of the burst are neighbours
    for alike in (other, later):
        found = culled(frame(views[0], at(0)), between, alike, frame(views[2], at(2)))
        assert found[0].series == found[3].series and found[2].series != found[0].series
    left, moved, right = (frame(shifted(samples[0], across)) for across in (0.0, 0.09, 0.002))
    found = culled(left, moved, right, max_distance=hash_distance(left.note.hash, moved.note.hash))
    assert found[0].series == found[2].series != found[1].series


def test_cameras_are_looked_at_by_themselves_also_without_times(samples: list[Image.Image]) -> None:
    """Two cameras' brackets, whose files alternate: each is found whole, which needs its frames to be neighbours."""
    stops = (-2.0, 0.0, 2.0)
    shots = [
        frame(get_edit("exposure").apply(samples[camera], each), Capture(camera=f"X{camera}"))
        for each in stops
        for camera in range(2)
    ]
    found = culled(*shots)
    assert {photo.kind for photo in found.values()} == {"bracket"}
    assert [found[index].series for index in range(6)] == [0, 1] * 3


@pytest.mark.parametrize("zone", [None, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])
def test_a_clock_that_was_never_set(samples: list[Image.Image], zone: timezone | None) -> None:
    """The first and the last second that there are."""
    times = (
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=zone),
        datetime(1, 1, 1, tzinfo=zone),
        datetime(1, 1, 1, 0, 0, 1, tzinfo=zone),
    )
    found = culled(*(frame(samples[0], Capture(time, "X1")) for time in times))
    assert [found[index].series for index in range(3)] == [1, 0, 0]


def test_a_camera_whose_zone_is_known_of_some_photos_only(samples: list[Image.Image]) -> None:
    """Its clock's face tells the order."""
    zone = timezone(timedelta(hours=9))
    times = [START, (START + timedelta(seconds=1)).replace(tzinfo=zone), START + timedelta(seconds=2)]
    found = culled(*(frame(shifted(samples[0], 0.01 * place), Capture(time, "X1")) for place, time in enumerate(times)))
    assert [found[index].series_size for index in range(3)] == [3, 3, 3]


@pytest.mark.parametrize("timed", [True, False])
def test_frames_of_one_tone_are_no_burst(timed: bool) -> None:
    """White, grey, black, black with noise; their hashes are equal, or of noise."""
    noise = np.random.default_rng(1).normal(6, 3, (400, 600, 3)).clip(0, 255).astype(np.uint8)
    flat = [Image.new("RGB", (600, 400), colour) for colour in ("white", "gray", "black", "black")]
    shots = [*flat, Image.fromarray(noise), Image.fromarray(noise[::-1])]
    found = culled(*(frame(shot, at(number) if timed else None) for number, shot in enumerate(shots)))
    assert {(photo.kind, photo.verdict) for photo in found.values()} == {("single", "left_alone")}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (({"bias": 0.0}, {"bias": -1.0}, {"bias": 1.0}), "bracket"),
        (({"exposure": -8.0}, {"exposure": -6.0}, {"exposure": -4.0}), "bracket"),
        (({"is_bracketed": True}, {"is_bracketed": True}), "bracket"),
        (({"bias": 0.0}, {"bias": 0.0}, {"bias": 1.0}), "burst"),
    ],
)
def test_brackets_by_exif_data(samples: list[Image.Image], said: tuple[dict[str, object], ...], kind: str) -> None:
    """By compensation, by exposure where the photos follow it, by the camera's word; one slip of the exposure is none."""
    stops = (0.0, 1.0, 2.0) if "exposure" in said[0] else (0.0, 0.1, 0.0)
    views = [get_edit("exposure").apply(samples[0], each) for each in stops[: len(said)]]
    found = culled(*(frame(view, at(number, **each)) for number, (view, each) in enumerate(zip(views, said, strict=True))))
    assert {photo.kind for photo in found.values()} == {kind}


def test_a_camera_that_keeps_the_brightness_does_not_bracket(samples: list[Image.Image]) -> None:
    """Exposures rise evenly, as light falls, but the photos are as bright as before."""
    views = [shifted(samples[0], 0.005 * number) for number in range(3)]
    found = culled(*(frame(view, at(number, exposure=-8.0 + number)) for number, view in enumerate(views)))
    assert {photo.kind for photo in found.values()} == {"burst"}


def test_a_burst_beside_a_bracket(samples: list[Image.Image]) -> None:
    """Of one framing: the bracket's frames are taken out, the rest stays a burst."""
    stops = (-2.0, 0.0, 2.0, 0.0, 0.0, 0.0)
    found = culled(*(frame(get_edit("exposure").apply(samples[0], each)) for each in stops))
    assert [found[index].kind for index in range(6)] == ["bracket"] * 3 + ["burst"] * 3


def test_two_overlapping_frames_are_never_one_burst(samples: list[Image.Image]) -> None:
    """Two frames are no panorama for sure, but none of them may be rejected as the other's copy."""
    photo = samples[2]
    width, height = photo.size
    found = culled(*(frame(photo.crop((left, 0, left + width // 2, height))) for left in (0, width // 5)))
    assert {(each.kind, each.verdict) for each in found.values()} == {("single", "left_alone")}


def test_keep_and_the_margin_decide_about_verdicts(samples: list[Image.Image]) -> None:
    views = [shifted(samples[0], 0.01), get_edit("defocus").apply(shifted(samples[0]), 1.5), shifted(samples[0])]
    frames = [frame(view, mean=mean) for view, mean in zip(views, (5.0, 5.0, 5.2), strict=True)]
    one, two = culled(*frames), culled(*frames, keep=2)
    assert [one[index].verdict for index in range(3)] == ["undecided", "reject", "pick"]
    assert [two[index].verdict for index in range(3)] == ["pick", "reject", "pick"]
    assert one[1].reasons[0] == "less sharp" and one[2].reasons == ("rated higher",) and one[1].place == 3
    assert "reject" not in {photo.verdict for photo in culled(*frames, reject_margin=99).values()}


def measured(**values: float) -> Measured:
    return Measured(**{"detail": 8.0, "noise": 1.0, "blown": 0.0, "blocked": 0.0, "stops": 0.0} | values)


@pytest.mark.parametrize(
    ("worse", "words"),
    [
        ({"detail": 6.0}, "less sharp"), ({"noise": 4.0}, "noisier"), ({"blown": 0.1}, "more blown out"),
        ({"blocked": 0.1}, "more blocked in the shadows"), ({"stops": -1.0}, "darker than the others"),
        ({"stops": 1.0}, "brighter than the others"),
    ],
)  # fmt: skip
def test_each_loss_is_a_reason(worse: dict[str, float], words: str) -> None:
    rating = Rating(5.0, 1.0, None, (1.0, 10.0))
    (best, behind, why), (last, margin, reasons) = judge_burst([rating, rating], [measured(**worse), measured()])
    assert (best, last) == (1, 0) and behind == 0 < margin and reasons == (words,) and why != (NO_REASON,)
    assert judge_burst([rating, rating], [measured(), measured()])[0] == (0, 0.0, (NO_REASON,))


def test_ratings_count_on_any_range() -> None:
    ratings = [Rating(mean, None, None, (0.0, 1.0)) for mean in (0.4, 0.5)]
    assert [index for index, *_ in judge_burst(ratings, [measured(), measured()])] == [1, 0]
    assert judge_burst(ratings, [measured(), measured()])[1][1] == pytest.approx(0.9)


@pytest.mark.parametrize(
    "wrong", [{"keep": 0}, {"max_gap": -1}, {"max_gap": float("nan")}, {"reject_margin": -1}, {"reject_margin": float("nan")}]
)
def test_arguments_that_have_no_meaning(wrong: dict[str, float]) -> None:
    with pytest.raises(CullingError):
        cull_photos({}, **wrong)  # type: ignore[arg-type]
    with pytest.raises(RankingError):
        cull_photos({}, max_distance=64)


def test_the_assessor_culls_files(samples: list[Image.Image], tmp_path: Path) -> None:
    """Times and exposures come from the files; a bad one is skipped or an error; ratings are those of `score`."""
    assessor = lively_assessor()
    shots = make_shoot(samples[:4], 3)
    paths = write_shoot(shots, tmp_path)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    found = {photo.index: photo for photo in assessor.cull([bad, *paths], on_error="skip")}
    assert {index: photo.kind for index, photo in found.items()} == {number: shot.kind for number, shot in enumerate(shots, 1)}
    assert found[1].rating.mean == pytest.approx(assessor.score(paths[0]).mean, abs=1e-3)
    with pytest.raises(ImageError):
        assessor.cull([bad])
    assert [photo.kind for photo in assessor.cull(np.asarray(samples[0]))] == ["single"]


def test_a_file_does_not_compete_with_itself(samples: list[Image.Image], tmp_path: Path) -> None:
    """Named again, by another path and through a link; equal photos that are files of their own are two."""
    for name in ("a.jpg", "b.jpg"):
        samples[0].save(tmp_path / name)
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    names = ["a.jpg", "a.jpg", "link.jpg", f"../{tmp_path.name}/a.jpg"]
    found = lively_assessor().cull([str(tmp_path / name) for name in names])
    assert [(photo.index, photo.kind, photo.verdict) for photo in found] == [(0, "single", "left_alone")]
    found = lively_assessor().cull([tmp_path / "a.jpg", tmp_path / "a.jpg", tmp_path / "b.jpg"])
    assert {photo.index: photo.series_size for photo in found} == {0: 2, 2: 2}


def test_a_result_is_plain_json(samples: list[Image.Image]) -> None:
    photo = culled(frame(samples[0]), frame(samples[0]))[1]
    assert photo.to_dict()["measured"].keys() == {"detail", "noise", "blown", "blocked", "stops"}
    assert photo.to_dict()["kind"] == "burst" and isinstance(photo.to_dict()["rating"], dict)


def test_types_of_the_method() -> None:
    assessor: AestheticAssessor = lively_assessor()
    photos: list[CulledPhoto] = assessor.cull([jpeg_bytes(scene())])
    assert photos[0].reasons == ()
