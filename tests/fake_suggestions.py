"""A search for suggestions that finds at once what tests expect."""

from typing import Any

import pytest
from PIL import Image


class FakeSuggestion:
    """Says which photo it is about and how it was asked for."""

    def __init__(self, size: tuple[int, int], verify: bool):
        self.size, self.verify = size, verify

    def to_dict(self) -> dict[str, Any]:
        return {"size": list(self.size), "verify": self.verify}


class FakeSearch:
    def __init__(self, processor: Any, rate: Any):
        self.flaws: list[str] = []

    def suggest(self, image: Image.Image, verify: bool = False, limit: int = 3) -> list[FakeSuggestion]:
        return [FakeSuggestion(image.size, verify)] * limit


def replace_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the assessor use [`FakeSearch`]."""
    monkeypatch.setattr("aesthetic_mllm.inference.stream_assessor.SuggestionSearch", FakeSearch)
