"""The phrase bank holds many wordings, keeps some back, and says nothing that the critiques said."""

import random
import re
from pathlib import Path

import pytest
import yaml

from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.pretext.phrase_bank import BINS, DEFAULT_BANK, STRENGTHS, PhraseBank, PhraseBankError

CRITIQUES = Path(__file__).parents[3] / "shared" / "data" / "critiques" / "comments.parquet"


@pytest.fixture(scope="module")
def bank() -> PhraseBank:
    return PhraseBank()


def test_every_attribute_bin_has_many_wordings(bank: PhraseBank) -> None:
    """At least 20 different trained target texts for each bin of each attribute."""
    rng = random.Random(0)
    for attribute in bank.attributes:
        for bin in range(BINS):
            assert len({bank.measured(attribute, bin, rng).text for _ in range(300)}) >= 20


def test_wordings_that_are_held_out_never_come_up_in_training(bank: PhraseBank) -> None:
    rng = random.Random(0)
    for attribute in bank.attributes:
        for bin in range(BINS):
            asked = bank.measured(attribute, bin, rng, held_out=True)
            trained = [bank.measured(attribute, bin, rng) for _ in range(200)]
            assert asked.text not in {target_text.text for target_text in trained}
            assert asked.question not in {target_text.question for target_text in trained}
            assert {target_text.label for target_text in trained} == {asked.label}


def test_one_text_never_means_two_things(bank: PhraseBank) -> None:
    """Within an attribute no wording belongs to two bins, and within an edit none to two directions."""
    for name, words in bank.attributes.items():
        wordings = [wording for bin in words["bins"] for wording in bin]
        assert len(set(wordings)) == len(wordings), name
    for name, directions in bank.edits.items():
        wordings = [wording for direction in directions.values() for wording in direction]
        assert len(set(wordings)) == len(wordings), name


def test_the_bank_speaks_of_every_edit_that_may_be_taught_and_of_no_other(bank: PhraseBank) -> None:
    assert set(bank.edits) == {edit.name for edit in EDITS.values() if edit.in_pretext_samples}
    for name, directions in bank.edits.items():
        assert ("less" in directions) == (EDITS[name].less is not None), name


def test_every_label_of_a_level_has_a_target_text(bank: PhraseBank) -> None:
    """Labels are unique, and all texts are whole sentences."""
    for level in ("low", "middle", "high"):
        target_texts = list(bank.every_target_text(level))
        assert len({target_text.label for target_text in target_texts}) == len(target_texts) > 10
        assert all(
            target_text.text[0].isupper() and target_text.text[-1] == "." and "{" not in target_text.text
            for target_text in target_texts
        )
        assert all(target_text.question[-1] in "?." for target_text in target_texts)


def test_same_seed_same_words(bank: PhraseBank) -> None:
    edit = bank.altered("exposure", "more", STRENGTHS[2], "worse", random.Random(5))
    assert edit == bank.altered("exposure", "more", STRENGTHS[2], "worse", random.Random(5))
    assert edit.label == "exposure:more:clearly"


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda bank: bank.pop("grammar"), "no part 'grammar'"),
        (lambda bank: bank["attributes"].update(beauty=bank["attributes"]["noise"]), "beauty can neither"),
        (lambda bank: bank["edits"].update(gamma={"more": ["a", "b"]}), "gamma must stay out of pretext samples"),
        (lambda bank: bank["attributes"]["noise"]["bins"].pop(), "noise has 4 bins"),
        (lambda bank: bank["strengths"].pop("barely"), "strengths lack barely"),
        (lambda bank: bank["verdicts"].update(better=["better"]), "verdicts.better has 1 wording"),
    ],
)
def test_a_bank_with_a_fault_is_refused_by_name(break_it, message: str, tmp_path: Path) -> None:
    broken = yaml.safe_load(DEFAULT_BANK.read_text(encoding="utf-8"))
    break_it(broken)
    path = tmp_path / "bank.yaml"
    path.write_text(yaml.safe_dump(broken), encoding="utf-8")
    with pytest.raises(PhraseBankError, match=message):
        PhraseBank(path)


@pytest.mark.skipif(not CRITIQUES.exists(), reason="the critiques are not part of this project")
def test_no_target_text_is_a_critique_s_sentence(bank: PhraseBank) -> None:
    """No composed target text stands word for word in a critique."""
    import pandas as pd

    words = lambda text: " ".join(re.findall(r"[a-z']+", text.lower()))  # noqa: E731
    corpus = "\n".join(words(comment) for comment in pd.read_parquet(CRITIQUES)["comment"].astype(str))
    target_texts = {
        target_text.text
        for level in ("low", "middle", "high")
        for seed in range(5)
        for target_text in bank.every_target_text(level, seed)
    }
    assert len(target_texts) > 500
    assert not [target_text for target_text in target_texts if words(target_text) in corpus]
