"""What users hold photos in: lists, columns, data sets; and what says too little is an error that names the remedy."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset, DatasetDict, Features, Value
from datasets import Image as ImageFeature
from PIL import Image

from aesthetic_mllm import AestheticAssessor, ImageError
from aesthetic_mllm.engine.photo_collections import PhotoCollectionError, as_photos
from lively_assessor import lively_assessor
from photo_files import jpeg_bytes, scene

SIZES = [(60, 50), (70, 50), (80, 50)]


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    return lively_assessor()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("photos")
    for number, size in enumerate(SIZES):
        (folder / f"{number}.jpg").write_bytes(jpeg_bytes(scene(*size)))
    return [str(folder / f"{number}.jpg") for number in range(len(SIZES))]


@pytest.fixture(scope="module")
def dataset(files: list[str]) -> Dataset:
    features = Features({"photo": ImageFeature(), "n": Value("int64"), "name": Value("string")})
    return Dataset.from_dict({"photo": files, "n": [0, 1, 2], "name": files}, features=features)


def test_whatever_holds_them_the_ratings_are_the_same(assessor: AestheticAssessor, files: list[str], dataset: Dataset) -> None:
    wanted = [rating.mean for rating in assessor.score(files)]
    images = [Image.open(file) for file in files]
    held: dict[str, Any] = {
        "tuple": tuple(files),
        "generator": (Path(file) for file in files),
        "array of paths": np.array(files),
        "series of paths": pd.Series(files),
        "series of images": pd.Series(images, index=[7, 8, 9]),
        "column of a table": pd.DataFrame({"photo": files, "n": [1, 2, 3]})["photo"],
        "tensors": [torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1) for image in images],
        "data set": dataset,
        "column of images": dataset["photo"],
        "column of paths": dataset["name"],
        "rows of it": dataset.select(range(3)),
        "streamed data set": dataset.to_iterable_dataset(),
        "undecoded data set": dataset.cast_column("photo", ImageFeature(decode=False)),
        "undecoded column": dataset.cast_column("photo", ImageFeature(decode=False))["photo"],
        "arrays of a data set": dataset.with_format("numpy"),
    }
    for name, photos in held.items():
        found = assessor.score(photos, batch_size=2)
        assert [rating.mean for rating in found] == pytest.approx(wanted, abs=9e-4), name
    assert len(assessor.rank(dataset)) == 3 and assessor.embed(pd.Series(files)).low.shape[0] == 3
    assert assessor.score(dataset[0]["photo"]).mean == pytest.approx(wanted[0], abs=9e-4)


def test_what_names_no_photos_is_refused(assessor: AestheticAssessor, files: list[str], dataset: Dataset) -> None:
    """Before anything is read; the message names what there is and what to give."""
    table = pd.DataFrame({"file": files, "n": [1, 2, 3]})
    two = dataset.add_column("other", dataset["name"][:]).cast_column("other", ImageFeature())
    for given, message in (
        (dataset.remove_columns("photo"), r"no column of images; its columns are n, name\. Give the column.*cast"),
        (two, r"2 columns of images \(photo, other\)"),
        (DatasetDict(train=dataset, test=dataset), r"splits train, test; give one, such as dataset\['train'\]"),
        (dataset[0], r"mapping with the keys 'photo', 'n', 'name'.*row\['image'\]"),
        (table, r"DataFrame is a table; give its column of photos, such as table\['file'\]"),
    ):
        with pytest.raises(PhotoCollectionError, match=message):
            assessor.score(given)
    with pytest.raises(ImageError, match="a int; give a path, the bytes of a file, a Pillow image or an array"):
        as_photos(3)  # type: ignore[arg-type]


def test_a_cell_that_is_no_photo_is_an_error_in_its_place(assessor: AestheticAssessor, files: list[str]) -> None:
    rated, missing, gone = assessor.score(pd.Series([files[0], None, "gone.jpg"], dtype=object), on_error="return")
    assert rated.mean > 0
    assert isinstance(missing, ImageError) and isinstance(gone, ImageError) and "gone.jpg" in str(gone)


@pytest.mark.parametrize("address", ["http://localhost/a.jpg", "https://localhost/a.jpg", Path("https://localhost/a.jpg")])
def test_an_address_is_refused_with_the_remedy(assessor: AestheticAssessor, address: Any) -> None:
    """Nothing is fetched behind the user's back."""
    with pytest.raises(ImageError, match="an address, not a file; download the photo first and give the file"):
        assessor.score(address)
    assert isinstance(assessor.score([scene(), address], on_error="return")[1], ImageError)
