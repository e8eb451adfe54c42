"""BLEU and CIDEr of a fixture, where their packages are installed; and what is said where they are not."""

import pytest

from aesthetic_mllm.evaluation import reference_overlap
from aesthetic_mllm.evaluation.reference_overlap import MissingPackageError, bleu, can_compute, cider

REFERENCES = [
    ["The light on the old house is warm and soft.", "Warm light, and a quiet mood."],
    ["The horizon is tilted, and the sky is blown out."],
    ["Sharp eyes and a clean background make the portrait."],
]
OWN = [given[0] for given in REFERENCES]
OTHERS = OWN[1:] + OWN[:1]


@pytest.mark.skipif(not can_compute("bleu"), reason="sacrebleu is not installed")
def test_bleu_of_references_themselves_and_of_others() -> None:
    assert bleu(OWN, REFERENCES) == pytest.approx(100)
    assert bleu([text.upper() for text in OWN], REFERENCES) == pytest.approx(100)
    assert bleu(OTHERS, REFERENCES) < 20


@pytest.mark.skipif(not can_compute("cider"), reason="pycocoevalcap is not installed")
def test_cider_of_references_themselves_and_of_others() -> None:
    assert cider(OWN, REFERENCES) > 5 > 1 > cider(OTHERS, REFERENCES) >= 0


@pytest.mark.parametrize("figure, package", [("bleu", "sacrebleu"), ("cider", "pycocoevalcap")])
def test_a_missing_package_is_named(figure: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_overlap, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=f"pip install {package}"):
        getattr(reference_overlap, figure)(OWN, REFERENCES)


@pytest.mark.parametrize("references", [REFERENCES[:2], [*REFERENCES[:2], []], []])
def test_every_photo_needs_a_reference(references: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_overlap, "find_spec", lambda name: True)
    with pytest.raises(ValueError, match="at least one each"):
        bleu(OWN, references)
