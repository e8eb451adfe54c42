"""KonIQ-10k in its public layout."""

from pathlib import Path

import pytest

from aesthetic_mllm.data.record import DataError
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.koniq10k import SOURCE
from source_checks import check_source, write_photo

HEADER = "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set"
ROWS = (
    "10004473376.jpg,0.0,0.0,0.238095238095,0.695238095238,0.0666666666667,105,77.3836206897,0.527277894494,training",
    "10007357496.jpg,0.0,0.03125,0.46875,0.489583333333,0.0104166666667,96,68.7285714286,0.580003024795,test",
    "10058760545.jpg,0.45,0.48,0.07,0.0,0.0,100,15.2293577982,0.615949624072,training",
    "10043785683.jpg,0.0,0.0,0.433962264151,0.566037735849,0.0,106,71.2043269231,0.497974333332,validation",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two photos for training, one for validation, one for the test, in the larger size."""
    (tmp_path / "koniq10k_distributions_sets.csv").write_text("\n".join([HEADER, *ROWS]) + "\n")
    for row in ROWS:
        write_photo(tmp_path / "1024x768" / row.split(",")[0])
    return tmp_path


def test_counts_ranges_and_splits(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 2, "validation": 1, "test": 1})
    record = found["train"][0]
    assert (record.question, record.range_low, record.range_high) == ("quality", 1, 5)
    # 25 votes for 3, 73 for 4 and 7 for 5
    assert record.mean == pytest.approx(402 / 105)
    assert record.spread == pytest.approx((1568 / 105 - (402 / 105) ** 2) ** 0.5)
    assert len(record.histogram) == 5 and sum(record.histogram) == pytest.approx(1)
    # 45 votes for 1, 48 for 2 and 7 for 3
    assert found["train"][1].mean == pytest.approx(1.62)
    assert found["train"][1].spread == pytest.approx((3.0 - 1.62**2) ** 0.5)


def test_the_smaller_size_will_do(root: Path) -> None:
    (root / "1024x768").rename(root / "512x384")
    assert {record.image.parent.name for record in read_source(SOURCE, root, "train")[0]} == {"512x384"}


def test_an_unknown_set_is_named(root: Path) -> None:
    with open(root / "koniq10k_distributions_sets.csv", "a") as file:
        file.write(ROWS[0].replace("training", "train") + "\n")
    with pytest.raises(DataError, match=r"sets.csv, line 6: set is 'train', expected one of training, validation, test"):
        read_source(SOURCE, root, "test")


def test_wrong_shares_are_named(root: Path) -> None:
    path = root / "koniq10k_distributions_sets.csv"
    path.write_text(f"{HEADER}\n{ROWS[0].replace('0.695238095238', '0.395238095238')}\n")
    with pytest.raises(DataError, match=r"sets.csv, line 2: c1 to c5 sum to 0.7, expected 1"):
        read_source(SOURCE, root, "train")
    path.write_text(f"{HEADER}\n{ROWS[0].replace('0.695238095238', 'many')}\n")
    with pytest.raises(DataError, match=r"sets.csv, line 2: c4 is 'many', expected a number"):
        read_source(SOURCE, root, "train")


def test_a_table_without_sets_is_told(root: Path) -> None:
    (root / "koniq10k_distributions_sets.csv").write_text("image_name,c1,c2,c3,c4,c5,c_total,MOS,SD\n")
    with pytest.raises(DataError, match=r"sets.csv: no column 'set'"):
        read_source(SOURCE, root, "train")
