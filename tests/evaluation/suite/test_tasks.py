"""What single tasks compute, by hand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr, rankdata, spearmanr

from aesthetic_mllm.data.record import AttributeRating, DataError, Record, Vote
from aesthetic_mllm.data.sources import oasis_beauty
from aesthetic_mllm.data.sources.own import own_source
from aesthetic_mllm.evaluation.suite.answer_cache import AnswerCache
from aesthetic_mllm.evaluation.suite.attribute_task import (
    among_attributes,
    attribute_findings,
    lowered_share,
    partial_correlation,
)
from aesthetic_mllm.evaluation.suite.bench import Bench
from aesthetic_mllm.evaluation.suite.comment_task import comment_figures
from aesthetic_mllm.evaluation.suite.evaluated_data import EvaluatedData, below, open_all
from aesthetic_mllm.evaluation.suite.label_task import learned
from aesthetic_mllm.evaluation.suite.personal_task import protocol_of
from aesthetic_mllm.evaluation.suite.pick_task import COPIES, DAMAGED, PAIRS, QUADS, make_series, pick_findings
from aesthetic_mllm.evaluation.suite.predictions import Predictions
from aesthetic_mllm.evaluation.suite.rating_task import calibration_curves, cross_validated, rating_findings
from aesthetic_mllm.evaluation.suite.sizes import Sizes
from aesthetic_mllm.evaluation.suite.system import System
from aesthetic_mllm.evaluation.text_overlap import SharedNgrams
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.processing.rating_scale import Rating, RatingScale
from lively_assessor import lively_assessor
from photo_files import jpeg_bytes, scene
from rated_table import ASKED, TRAINING, write_table

RNG = np.random.default_rng(0)
COUNT = 30


def rated_data(folder: Path, source: str = "own", **values: Any) -> EvaluatedData:
    """Twelve photos whose people's means rise by 0.5 from 1."""
    records = []
    for number in range(12):
        path = folder / f"{number:02}.jpg"
        path.write_bytes(jpeg_bytes(scene(60 + 9 * number, 50 + number)))
        records.append(Record(path, source, "validation", "aesthetic", 1 + 0.5 * number, range_low=1, range_high=10, **values))
    return EvaluatedData(source, own_source(folder / "table.csv", (1, 10)), folder, "validation", records, photos=12)


def test_a_partial_correlation_is_that_of_the_residuals() -> None:
    whole = RNG.normal(size=COUNT)
    labels, given = whole + RNG.normal(size=COUNT), whole + RNG.normal(size=COUNT)
    ranks = [rankdata(values) for values in (given, labels, whole)]
    rest = [each - np.polyval(np.polyfit(ranks[2], each, 1), ranks[2]) for each in ranks[:2]]
    found = partial_correlation(given, labels, whole)
    assert found.value == pytest.approx(pearsonr(*rest).statistic)
    assert found.measure().interval is not None
    assert partial_correlation(whole, labels, whole).value == 0  # the whole rating said again has nothing of its own


def test_correlations_among_attributes() -> None:
    columns = {name: RNG.normal(size=COUNT) for name in ("light", "colour", "mood")}
    whole = columns["light"] + 0.1 * columns["mood"]
    found = among_attributes(columns, whole)
    pairs = [("light", "colour"), ("light", "mood"), ("colour", "mood")]
    among = np.mean([spearmanr(columns[one], columns[other]).statistic for one, other in pairs])
    assert found["all"]["srcc_among"].value == pytest.approx(among)
    others = (columns["colour"] + columns["mood"]) / 2
    assert found["light"]["srcc_others"].value == pytest.approx(spearmanr(columns["light"], others).statistic)
    assert found["mood"]["srcc_whole"].value == pytest.approx(spearmanr(columns["mood"], whole).statistic)
    assert "all" not in among_attributes({"light": whole}, whole)


def test_attributes_beside_peoples_whatever_they_are_called(tmp_path: Path) -> None:
    """The source says color and we colour; what the checkpoint does not rate is passed over."""
    assessor = lively_assessor(attributes=True)
    data = rated_data(tmp_path)
    rated = assessor.attributes([record.image for record in data.records])
    for number, record in enumerate(data.records):
        given = [("Color", rated[number]["colour"].mean), ("Depth of Field", float(number % 4)), ("symmetry", 1.0)]
        data.records[number] = Record(
            **{**vars(record), "attributes": [AttributeRating(name, value, 0, 10) for name, value in given]}
        )
    found = attribute_findings(Bench(AnswerCache(None), Sizes()), System.of(assessor, name="tiny"), data)
    people = {finding.subject: finding.figures for finding in found if finding.subject.endswith(", people")}
    assert set(people) == {"colour, people", "depth_of_field, people"}
    assert people["colour, people"]["srcc"].value == pytest.approx(1)


def test_a_share_that_is_all_has_an_interval_too() -> None:
    some = lowered_share(np.array([3.0, 1, 2, 2]), np.full(4, 4.0))
    assert some is not None and some.value == 0.5 and some.values is not None
    whole = lowered_share(np.full(5, 6.0), np.full(5, 6.0))
    assert whole is not None
    low, high = whole.measure().interval or (0, 0)
    assert whole.value == 1 and high == pytest.approx(1) and 0.5 < low < 0.6  # five of five
    assert lowered_share(np.zeros(2), np.zeros(2)) is None


@dataclass
class Compared:
    probability_first: float


@dataclass
class Picked:
    index: int


class Knowing:
    """Knows people's means by the photo's path, and of a damaged photo nothing but that it is not in a file."""

    def __init__(self, data: EvaluatedData):
        self.means = {record.image: record.mean for record in data.records}
        self.processor = type("Processor", (), {"rating_scale": RatingScale()})
        self.originals = {load_image(path).tobytes() for path in self.means}

    def value(self, photo: Any) -> float:
        return self.means.get(photo, 0) if isinstance(photo, Path) else float(photo.tobytes() in self.originals)

    def compare(self, first: Any, second: Any, question: str) -> Compared:
        return Compared(float(self.value(first) > self.value(second)))

    def pick(self, photos: list[Any], k: int, question: str) -> list[Picked]:
        return [Picked(max(range(len(photos)), key=lambda place: self.value(photos[place])))]


def test_who_knows_the_ratings_picks_the_best_in_both_orders(tmp_path: Path) -> None:
    data = rated_data(tmp_path)
    knowing = Knowing(data)
    bench = Bench(AnswerCache(None), Sizes(series=5))
    for system, picked in ((knowing, 1.0), (Opposite(data), 0.0)):
        found = pick_findings(bench, System("tiny", system, None, str(picked)), data)  # type: ignore[arg-type]
        assert {finding.part for finding in found} == {PAIRS, QUADS, DAMAGED}
        for finding in found:
            values = {name: figure.value for name, figure in finding.figures.items()}
            if finding.part == PAIRS or picked:
                assert (values["picked"], values["picked_swapped"], values["same_pick"]) == (picked, picked, 1.0)


class Opposite(Knowing):
    """Prefers what people do not."""

    def value(self, photo: Any) -> float:
        return -super().value(photo)


def test_series_have_one_best_and_others_clearly_worse(tmp_path: Path) -> None:
    data = rated_data(tmp_path)
    apart = np.std([record.mean for record in data.records])
    series = make_series(data, "aesthetic", 5)
    assert series == make_series(data, "aesthetic", 5)
    for kind, size in ((PAIRS, 2), (QUADS, 4)):
        assert 0 < len(series[kind]) <= 5
        for one in series[kind]:
            means = [record.mean or 0 for record in one.records]
            assert len(means) == size
            assert all(means[one.best] - mean >= apart for place, mean in enumerate(means) if place != one.best)
    for one in series[DAMAGED]:
        photos = one.photos()
        assert len(photos) == COPIES + 1
        original = load_image(one.records[0].image).tobytes()
        assert [photo.tobytes() == original for photo in photos].index(True) == one.best  # type: ignore[union-attr]


def test_predictions_lie_on_the_sources_range(tmp_path: Path) -> None:
    """From 1 to 10 to 1 to 7, with a histogram of as many steps as people's votes have."""
    data = rated_data(tmp_path, spread=1.0, histogram=[0, 1, 2, 3, 2, 1, 0])
    records = [Record(**{**vars(record), "range_high": 7.0}) for record in data.records]
    shares = dict(zip(("bad", "poor", "fair", "good", "excellent"), (0.0, 0.0, 0.5, 0.5, 0.0), strict=True))
    ratings = [Rating(1 + 0.75 * number, 0.9, shares, (1, 10), 50.0) for number in range(12)]
    found = Predictions.of_ratings(data, "aesthetic", "tiny", records, ratings, RatingScale())
    assert found.means == pytest.approx([1 + 0.5 * number for number in range(12)])
    assert found.stds == pytest.approx(0.6) and found.histograms is not None and len(found.histograms[0]) == 7
    (whole,) = [finding for finding in rating_findings(found) if finding.part == "all"]
    values = {name: figure.value for name, figure in whole.figures.items()}
    assert values["srcc"] == pytest.approx(1) and values["rmse_unfitted"] == pytest.approx(0)
    assert values["spread_difference"] == pytest.approx(-0.4) and 0 < values["emd"] < 1 and 0 < values["coverage"] < 1
    assert set(calibration_curves(found)) == {"calibration", "spread"}


def test_avas_two_classes_are_told_of_ava_alone(tmp_path: Path) -> None:
    data = rated_data(tmp_path)
    means = np.array([record.mean for record in data.records], dtype=float)
    for name, told in (("ava", True), ("own", False)):
        data.source = type(data.source)(**{**vars(data.source), "name": name})
        (found,) = rating_findings(Predictions(data, "aesthetic", "tiny", data.records, means[::-1].copy()))
        assert ("accuracy" in found.figures) == told
        if told:
            right = [(mean > 5) == (other > 5) for mean, other in zip(means, means[::-1], strict=True)]
            assert found.figures["accuracy"].value == pytest.approx(np.mean(right))


def test_cross_validation_asks_nobody_about_what_they_saw() -> None:
    """What is predicted for a row is made from others."""
    rows = np.arange(23.0)

    def predict(known: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
        assert not set(known[:, 0]) & set(asked[:, 0]) and len(known) + len(asked) == 23
        assert (labels == known[:, 0]).all()
        return asked[:, 0]

    assert cross_validated(rows[:, None], rows, predict).tolist() == rows.tolist()


def test_few_labels_are_the_mean_of_draws() -> None:
    wanted = RNG.normal(size=COUNT)
    predictors = {"same": lambda places: wanted * len(places), "none": lambda places: RNG.normal(size=COUNT)}
    found = learned(predictors, wanted, 40, [0.5, 1], 2)
    assert set(found) == {("same", 0.5), ("same", 1), ("none", 0.5), ("none", 1)}
    assert found["same", 0.5].value == pytest.approx(1) and abs(found["none", 1].value) < 0.6


def test_data_sets_are_named_apart_and_paths_hide_the_machine(tmp_path: Path) -> None:
    entry = write_table(tmp_path / "own")
    first, second = open_all([entry, entry], "validation", limit=5)
    assert (first.name, second.name) == ("own", "own-2") and first.photos == 5
    assert len({record.image for record in first.train(7)}) == 7 and TRAINING + ASKED > 12
    assert first.train(7) is first.train(7)
    assert below(tmp_path / "a" / "b.jpg", tmp_path) == "a/b.jpg"
    outside = [below(Path(folder) / "b.jpg", tmp_path) for folder in ("/home/ann", "/home/bob")]
    assert outside[0] != outside[1] and all(name.endswith("/b.jpg") and "home" not in name for name in outside)


def test_all_photos_of_the_same_bytes_fail_together(tmp_path: Path) -> None:
    data = rated_data(tmp_path)
    for record in data.records[:3]:
        record.image.write_bytes(b"")
    bench = Bench(AnswerCache(None), Sizes())
    bench.ratings(System.of(lively_assessor(), name="tiny"), data)
    assert set(data.failed) == {"00.jpg", "01.jpg", "02.jpg"} and len(data.rated("aesthetic")) == 9


def test_missing_photos_are_named_without_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a table that is named from the working folder, and of photos that lie elsewhere; with a limit they are counted."""
    (tmp_path / "own").mkdir()
    (tmp_path / "here.jpg").write_bytes(jpeg_bytes(scene(60, 50)))
    rows = [(name, 5, "validation") for name in ("away.jpg", tmp_path / "a" / "here.jpg", tmp_path / "here.jpg")]
    table = "image,mean,split\n" + "".join(f"{name},{mean},{split}\n" for name, mean, split in rows)
    (tmp_path / "own" / "table.csv").write_text(table)
    monkeypatch.chdir(tmp_path)
    entry = {"source": "own", "root": "own/table.csv", "range": [1, 10]}
    (data,) = open_all([entry], "validation")
    assert len(data.failed) == 2 and "away.jpg" in data.failed and not any(str(tmp_path) in name for name in data.failed)
    assert len(data.rated("aesthetic")) == 1  # it has the name of one that is missing
    (limited,) = open_all([entry], "validation", limit=1)
    assert not limited.failed and limited.passed_over == 2


def test_figures_that_could_not_be_otherwise_are_left_out(tmp_path: Path) -> None:
    """Errors after a fit that goes through all points, and correlations with what does not vary."""
    data = rated_data(tmp_path)
    means = np.linspace(2, 7, 12) + RNG.normal(size=12)

    def figures(records: list[Record], **given: Any) -> set[str]:
        (found,) = rating_findings(Predictions(data, "aesthetic", "tiny", records, means[: len(records)], **given))
        return set(found.figures)

    correlated = {"srcc", "plcc", "krcc", "pairwise_accuracy"}
    assert figures(data.records) == {*correlated, "plcc_logistic", "rmse", "rmse_unfitted"}
    assert figures(data.records[:4]) == {*correlated, "rmse_unfitted"}
    assert figures(data.records[:1]) == {"rmse_unfitted"}
    assert figures([Record(**{**vars(record), "mean": 5.0}) for record in data.records]) == {"rmse_unfitted"}
    assert figures(data.records, ranks=False) == {"rmse", "rmse_unfitted"}


def test_people_of_oasis_are_shown_training_photos_and_asked_about_others() -> None:
    """Those who are held out; somebody who rated too few photos is left out."""
    records = [
        Record(Path(f"oasis_{n:04}.webp"), "oasis_beauty", "train" if n < 110 else "validation", "aesthetic",
               4.0, range_low=1, range_high=7, votes=[Vote("much", n % 7 + 1.0), *([Vote("little", 3.0)] if n % 2 else [])])
        for n in range(130)
    ]  # fmt: skip
    data = EvaluatedData("oasis_beauty", oasis_beauty.SOURCE, Path("."), "validation", records)
    found = protocol_of(data, records)
    assert [person.name for person in found.people] == ["much"] and (found.shots, found.draws) == ((10, 100), 10)
    assert found.people[0].shown == tuple(range(110)) and found.people[0].asked == tuple(range(110, 130))
    with pytest.raises(DataError, match="nobody who is tested rated 100 photos"):
        protocol_of(data, records[60:])


def test_comments_are_counted_by_their_claims_and_words() -> None:
    """At its own photo the first is right and the second wrong; at each other's it is the other way round."""
    quoted = "The light is very dark in this small photo"
    found = comment_figures(
        {"dark": quoted, "bright": "The light is very dark."},
        {"dark": {"brightness": 0}, "bright": {"brightness": 4}},
        SharedNgrams([f"I say: {quoted.lower()}!"]),
    )
    values = {name: figure.value for name, figure in found.items()}
    assert values == {
        "claim_precision": 0.5,
        "claim_precision_elsewhere": 0.5,
        "claims": 1,
        "words": 7,
        "distinct_2": pytest.approx(8 / 12),
        "identical": 0,
        "shared_ngrams": 0.5,
    }
