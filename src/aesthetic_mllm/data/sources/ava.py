"""AVA: 255,530 photos of dpchallenge.com with histograms of votes from 1 to 10."""

from collections.abc import Iterator
from pathlib import Path

from ..record import DataError, Record, histogram_moments
from ..source import Source
from ..tables import number, read_lines

LOW, HIGH = 1, 10
LISTS = "aesthetics_image_lists"
VALIDATION_EVERY = 20  # of the training list, since the source has no validation list


def read(root: Path, split: str) -> Iterator[Record]:
    """Records of AVA.txt in its order.

    A line of AVA.txt holds index, image id, ten numbers of votes, two tags and the challenge. The official lists of the generic
    split say which photos are tested on; of the training list every twentieth id is for validation, which is our choice.
    """
    wanted = split_ids(root, split)
    path = root / "AVA.txt"
    for line, text in read_lines(path):
        cells = text.split()
        if len(cells) < 12:
            raise DataError(f"{path}, line {line}: {len(cells)} numbers, expected 15: index, id, ten votes, two tags, challenge.")
        if cells[1] not in wanted:
            continue
        votes = [number(path, line, f"votes for {step}", cell) for step, cell in enumerate(cells[2:12], start=LOW)]
        try:
            mean, spread = histogram_moments(votes, LOW, HIGH)
        except DataError as error:
            raise DataError(f"{path}, line {line}: {error}.") from error
        yield Record(
            image=image_path(root, cells[1]),
            data_set="ava",
            split=split,
            question="aesthetic",
            mean=mean,
            spread=spread,
            histogram=votes,
            range_low=LOW,
            range_high=HIGH,
        )


def image_path(root: Path, image_id: str) -> Path:
    """The file of a photo."""
    return root / "images" / f"{image_id}.jpg"


def split_ids(root: Path, split: str) -> set[str]:
    """Ids of a split by the official lists of the generic split."""
    name = "generic_test.jpgl" if split == "test" else "generic_ls_train.jpgl"
    ids = [line.removesuffix(".jpg") for _, line in read_lines(root / LISTS / name)]
    if split == "test":
        return set(ids)
    return {image_id for index, image_id in enumerate(ids) if (index % VALIDATION_EVERY == 0) == (split == "validation")}


SOURCE = Source(
    name="ava",
    url="https://github.com/imfing/ava_downloader",
    licence="photos belong to their authors; research use",
    splits=("train", "validation", "test"),
    layout=f"AVA.txt, images/ID.jpg, {LISTS}/generic_ls_train.jpgl and generic_test.jpgl",
    read=read,
)
