"""Which photos, prompts and people are for evaluation, where a data set does not say it itself.

One rule each, for the readers in `sources` and for the recipe of the embedded checkpoint alike, so that what it was trained on
and what it is evaluated on never meet. A rule looks at one name alone; it gives the same answer for any part of a data set.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

_BIQ2021_NAME = re.compile(r"(ss\d+)\D+(\d+)")
# About a tenth of the training list: 1,000 of the 9,999 photos of it that the embedded checkpoint was made with.
_BIQ2021_BELOW = "19b0"

# A fifth of the 598 photos of OASIS that the embedded checkpoint was made with, by their numbers there. The choice was made by
# the order of hashes among those 598, which no rule for a single name can repeat.
_OASIS_VALIDATION = frozenset(
    (
        2, 9, 15, 33, 50, 51, 67, 74, 75, 79, 87, 110, 126, 133, 137, 145, 146, 152, 158, 160, 161, 163, 164, 165, 171, 173, 183,
        186, 188, 189, 190, 195, 197, 202, 216, 224, 226, 238, 240, 245, 258, 264, 267, 268, 281, 288, 291, 308, 314, 316, 345,
        354, 358, 371, 389, 396, 400, 403, 413, 415, 426, 429, 432, 433, 444, 454, 457, 459, 463, 475, 488, 489, 499, 501, 510,
        511, 521, 587, 591, 600, 607, 615, 639, 643, 649, 666, 668, 673, 678, 680, 681, 705, 710, 721, 731, 746, 758, 759, 760,
        761, 771, 772, 773, 779, 782, 796, 808, 809, 810, 814, 822, 823, 835, 841, 852, 879, 886, 888, 896, 897,
    )
)  # fmt: skip
OASIS_TESTED_PEOPLE = 125  # of 625

_AGIQA3K_EVERY = 5  # prompts


def is_biq2021_validation(file_name: str) -> bool:
    """Whether a photo of BIQ2021's training list is for validation; the same for "ss03 (57).jpg" and "ss03_0057.webp"."""
    found = _BIQ2021_NAME.match(file_name)
    name = f"{found[1]}_{int(found[2]):04d}" if found else Path(file_name).stem
    return _digest(f"{name}.webp") < _BIQ2021_BELOW


def is_oasis_validation(number: int) -> bool:
    """Whether a photo of OASIS, by its number there (I1 to I900), is for validation."""
    return number in _OASIS_VALIDATION


def oasis_tested_people(raters: Iterable[str]) -> list[str]:
    """The raters of OASIS's beauty whose votes are for evaluation: [`OASIS_TESTED_PEOPLE`] of all its raters."""
    return lowest_hashes(raters, OASIS_TESTED_PEOPLE)


def is_agiqa3k_validation(prompt: str) -> bool:
    """Whether the images that were generated from a prompt are for validation, about a fifth of the prompts.

    Images of one prompt stay together: they show the same, and would tell of each other.
    """
    return hash_bucket(" ".join(prompt.split()).casefold(), _AGIQA3K_EVERY) == 0


def hash_bucket(name: str, buckets: int) -> int:
    """One of so many buckets, about equally full, by a hash of the name."""
    return int(_digest(name), 16) % buckets


def lowest_hashes(names: Iterable[str], count: int) -> list[str]:
    """So many of the names, by a hash: a fixed choice that looks at nothing else."""
    return sorted(names, key=_digest)[:count]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
