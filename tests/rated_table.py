"""A small table of one's own: photos of two categories, rated by four people, and who said what."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from photo_files import jpeg_bytes, scene

TRAINING, ASKED = 24, 20
PEOPLE = ("ann", "bob", "cat", "dan")


def write_table(folder: Path) -> dict[str, Any]:
    """Writes photos and table.csv, and returns the entry that names them."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(TRAINING + ASKED):
        name = f"photo {number:02}.jpg"
        (folder / name).write_bytes(jpeg_bytes(scene(40 + 3 * number, 80 - number)))
        split = "train" if number < TRAINING else "validation"
        quality = rng.uniform(2, 9)
        for person in PEOPLE:
            rating = round(float(np.clip(quality + rng.normal(), 1, 10)), 1)
            rows.append([name, rating, person, split, "city" if number % 2 else "country", f"The light of {number} is warm."])
    with open(folder / "table.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "mean", "rater", "split", "category", "comment"])
        table.writerows(rows)
    return {"source": "own", "root": str(folder / "table.csv"), "range": [1, 10]}
