"""Nano's recipe is a folder of scripts and no package; here its modules can be imported."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

NANO = Path(__file__).parents[2] / "recipes" / "nano"


@pytest.fixture(scope="session", autouse=True)
def nano_on_path() -> Iterator[None]:
    sys.path.insert(0, str(NANO))
    yield
    sys.path.remove(str(NANO))
