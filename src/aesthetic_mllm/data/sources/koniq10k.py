"""KonIQ-10k: 10,073 photos of YFCC100m with shares of votes on their quality from 1 (bad) to 5 (excellent).

All is official: koniq10k_distributions_sets.csv of the authors' repository has each photo's split and the shares of its votes,
of about 105 people. Mean and spread are of these votes. The table's column MOS is another thing than their mean: scores that
were made comparable between people, from 1 to 100; it ranks the photos almost as the mean does, and published results are on it.
"""

from collections.abc import Iterator
from pathlib import Path

from ..record import DataError, Record, histogram_moments
from ..source import Source
from ..tables import number, read_csv

LOW, HIGH = 1, 5
TABLE = "koniq10k_distributions_sets.csv"
SHARES = tuple(f"c{step}" for step in range(LOW, HIGH + 1))
SETS = {"training": "train", "validation": "validation", "test": "test"}  # the source's names of the splits
FOLDERS = ("1024x768", "512x384")  # the two sizes in which the photos come; the first that is there is read
ROUNDING = 0.01  # of the sum of shares


def read(root: Path, split: str) -> Iterator[Record]:
    """Records in the order of the table."""
    folder = next((root / name for name in FOLDERS if (root / name).is_dir()), root / FOLDERS[0])
    path = root / TABLE
    for line, cells in read_csv(path, ("image_name", *SHARES, "set")):
        if cells["set"] not in SETS:
            raise DataError(f"{path}, line {line}: set is {cells['set']!r}, expected one of {', '.join(SETS)}.")
        if SETS[cells["set"]] != split:
            continue
        shares = [number(path, line, name, cells[name]) for name in SHARES]
        if not abs(sum(shares) - 1) <= ROUNDING:
            raise DataError(f"{path}, line {line}: {SHARES[0]} to {SHARES[-1]} sum to {sum(shares):g}, expected 1.")
        mean, spread = histogram_moments(shares, LOW, HIGH)
        yield Record(
            image=folder / cells["image_name"],
            data_set="koniq10k",
            split=split,
            question="quality",
            mean=mean,
            spread=spread,
            histogram=shares,
            range_low=LOW,
            range_high=HIGH,
        )


SOURCE = Source(
    name="koniq10k",
    url="https://database.mmsp-kn.de/koniq-10k-database.html",
    licence="photos of YFCC100m under their own Creative Commons licences; research use",
    splits=tuple(SETS.values()),
    layout=f"{TABLE}, {FOLDERS[0]}/NAME.jpg (or {FOLDERS[1]}/NAME.jpg)",
    read=read,
)
