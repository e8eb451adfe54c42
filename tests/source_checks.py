"""What every reader of a data set must do, whatever the layout."""

import re
from pathlib import Path

import pytest
from PIL import Image

from aesthetic_mllm.data.record import RECORD_FEATURES, DataError, Record
from aesthetic_mllm.data.source import Source, open_source, read_source


def write_photo(path: Path) -> Path:
    """A small photo, in whatever format its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (90, 120, 150)).save(path)
    return path


def check_source(source: Source, root: Path, counts: dict[str, int]) -> dict[str, list[Record]]:
    """The laws of all sources, on a fixture with so many records in each split; returns the records.

    Splits share no photo, ratings lie in their range, rows fit the schema, a missing image is an error that names it and can be
    skipped, a missing split and a missing folder are errors that say what there is.
    """
    found = {split: read_source(source, root, split)[0] for split in source.splits}
    assert {split: len(records) for split, records in found.items()} == counts
    images: dict[Path, str] = {}
    for split, records in found.items():
        for record in records:
            assert record.data_set == source.name and record.split == split
            assert not record.faults()
            assert record.licence
            assert images.setdefault(record.image, split) == split, f"{record.image} is in two splits"
    split = next(split for split, count in counts.items() if count > 1)
    dataset = open_source(source, root, split)
    assert dataset.features == RECORD_FEATURES and len(dataset) == counts[split]
    assert dataset[0]["image"].mode == "RGB"

    lost = found[split][0].image
    data = lost.read_bytes()
    lost.unlink()
    with pytest.raises(DataError, match=f"images? (is|are) missing: .*{re.escape(lost.name)}"):
        read_source(source, root, split)
    gone = sum(record.image == lost for record in found[split])
    if gone < counts[split]:
        kept, report = read_source(source, root, split, skip_missing=True)
        assert len(kept) == counts[split] - gone and len(report.missing_images) == gone
    lost.write_bytes(data)

    with pytest.raises(DataError, match="no split 'nowhere'"):
        read_source(source, root, "nowhere")
    with pytest.raises(DataError, match="no folder"):
        read_source(source, root / "nowhere", split)
    return found
