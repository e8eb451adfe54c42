"""SPAQ: 11,125 photos of 66 smartphones, with mean scores from 0 to 100 of their quality and of five attributes.

The source has no splits: its authors draw them at random. Ours go by the photos' numbers, in blocks, so that neighbours, which
may show one scene, mostly stay together: 1 to 9500 are for training, 9501 to 10000 for validation, 10001 to 11125 for the test,
which are the photos that the code of ICAA17K tests on. Layout and columns are as read by IQA-PyTorch. All attributes are the
better the higher; noisiness too, which rises with the quality, so that a high score is of a photo with little noise.
"""

from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import pandas as pd

from ..record import AttributeRating, DataError, Record
from ..source import Source
from ..tables import check_columns, number, read_csv

LOW, HIGH = 0, 100
ATTRIBUTES = ("Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness")
SCENES = ("Animal", "Cityscape", "Human", "Indoor scene", "Landscape", "Night scene", "Plant", "Still-life", "Others")
SCORE_SHEET = Path("Annotations", "MOS and Image attribute scores.xlsx")
SCENE_SHEET = Path("Annotations", "Scene category labels.xlsx")
SAVED = ".csv"  # the end of a sheet's name that was saved without Excel
NAME = "Image name"
LAST_NUMBER = {"train": 9500, "validation": 10000}  # of the split; all beyond are for the test


def read(root: Path, split: str) -> Iterator[Record]:
    """Records in the order of the sheet of scores, which has a row for each photo."""
    scenes = likeliest_scenes(root)
    path = at_hand(root / SCORE_SHEET)
    for line, cells in rows(path, (NAME, "MOS", *ATTRIBUTES)):
        name = cells[NAME]
        if split_of(number(path, line, f"the number in {NAME!r}", Path(name).stem)) != split:
            continue
        yield Record(
            image=root / "TestImage" / name,
            data_set="spaq",
            split=split,
            question="quality",
            mean=number(path, line, "MOS", cells["MOS"]),
            range_low=LOW,
            range_high=HIGH,
            attributes=[
                AttributeRating(attribute.lower(), number(path, line, attribute, cells[attribute]), LOW, HIGH)
                for attribute in ATTRIBUTES
            ],
            category=scenes.get(name, ""),
        )


def split_of(photo: float) -> str:
    """The split of a photo by its number."""
    return next((split for split, last in LAST_NUMBER.items() if photo <= last), "test")


def likeliest_scenes(root: Path) -> dict[str, str]:
    """The scene to which most people put a photo, by its file; none if there is no such sheet.

    The sheet holds for each photo the shares of people for each scene, which sum to 1.
    """
    path = at_hand(root / SCENE_SHEET)
    if not path.is_file():
        return {}
    return {
        cells[NAME]: max(SCENES, key=lambda scene: number(path, line, scene, cells[scene]))
        for line, cells in rows(path, (NAME, *SCENES))
    }


def rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Row number (from 1, the header's) and cells of each row of a sheet, which is Excel's or saved as .csv.

    Raises:
        DataError: no such file, no sheet in it, columns missing, or no library that reads Excel.
    """
    if path.suffix == SAVED:
        yield from read_csv(path, columns)
        return
    try:
        sheet = pd.read_excel(path, dtype=str, keep_default_na=False)
    except ImportError as error:
        saved = path.with_suffix(SAVED).name
        raise DataError(f"{path}: openpyxl is needed to read it; install it, or save the sheet beside it as {saved}.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except (BadZipFile, KeyError, ValueError) as error:
        raise DataError(f"{path}: not an Excel sheet ({error}).") from error
    names = [str(name).strip() for name in sheet.columns]
    check_columns(path, names, columns)
    for line, values in enumerate(sheet.itertuples(index=False), start=2):
        yield line, {name: str(value).strip() for name, value in zip(names, values, strict=True)}


def at_hand(path: Path) -> Path:
    """The file to read of a sheet: the one saved as .csv if it is there."""
    saved = path.with_suffix(SAVED)
    return saved if saved.is_file() else path


SOURCE = Source(
    name="spaq",
    url="https://github.com/h4nwei/SPAQ",
    licence="education and research only",
    splits=("train", "validation", "test"),
    layout=f"{SCORE_SHEET.as_posix()}, {SCENE_SHEET.as_posix()} if at hand (or either saved as .csv), TestImage/NUMBER.jpg",
    read=read,
)
