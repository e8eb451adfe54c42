"""Pretext samples are true, repeatable, and drawn from all that may be taught."""

import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.editing.measurements import measure
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.pretext.phrase_bank import BINS, PhraseBank
from aesthetic_mllm.pretext.pretext_samples import LEVELS, MOST_STRENGTH, PretextSampleMaker, draw_amount
from synthetic_photos import midtone_photo, scene_photo

BANK = PhraseBank()


@pytest.fixture(scope="module")
def maker() -> PretextSampleMaker:
    photos = [edit.apply(scene_photo(), edit.strong) for edit in EDITS.values() if edit.level == "low"]
    return PretextSampleMaker(BANK, PoolStatistics.of(photos, BANK.attributes), {"a": "a red house"}, seed=7)


def test_photo_epoch_and_seed_decide_a_pretext_sample(maker: PretextSampleMaker) -> None:
    """The same again with the same three; another with another epoch, photo or seed."""
    photo = scene_photo()
    first, again = (maker.pretext_sample("a", photo, "low", 0) for _ in range(2))
    assert (first.target_text, first.question, first.label, first.signed_strength) == (
        again.target_text,
        again.question,
        again.label,
        again.signed_strength,
    )
    assert all(np.array_equal(x, y) for x, y in zip(first.images, again.images, strict=True))
    other = PretextSampleMaker(BANK, maker.statistics, seed=8)
    epochs = {maker.pretext_sample("a", photo, "low", epoch).target_text for epoch in range(10)}
    assert len(epochs) > 5
    assert {maker.pretext_sample(key, photo, "low", 0).target_text for key in "bcdefg"} != {
        other.pretext_sample(k, photo, "low", 0).target_text for k in "bcdefg"
    }


def test_pretext_samples_do_not_depend_on_the_process(maker: PretextSampleMaker) -> None:
    """Python's own hash differs between processes; the pretext sample must not."""
    code = (
        "from aesthetic_mllm.pretext.pretext_samples import PretextSampleMaker as Maker; m = Maker.__new__(Maker); m.seed = 7; "
        "print(m.rng('a', 'low', 3).random())"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(shown) == maker.rng("a", "low", 3).random()


def test_every_attribute_and_edit_is_taught_and_nothing_that_is_kept_out(maker: PretextSampleMaker) -> None:
    photo = scene_photo(80, 60)  # it has what every edit changes
    taught = {maker.pretext_sample("a", photo, level, epoch).subject for level in LEVELS for epoch in range(400)}
    assert taught == {*BANK.attributes, *BANK.edits, "content"}
    assert not taught & {edit.name for edit in EDITS.values() if not edit.in_pretext_samples}


def test_measured_pretext_samples_say_the_bin_of_the_measurement(maker: PretextSampleMaker) -> None:
    dark, bright = (EDITS["exposure"].apply(scene_photo(), ev) for ev in (-2.5, 2.5))
    bins = [maker.measured(photo, "brightness", random.Random(0)).bin for photo in (dark, bright)]
    assert bins == [0, BINS - 1]
    pretext_sample = maker.measured(dark, "brightness", random.Random(0))
    assert pretext_sample.label == "brightness:0" and pretext_sample.level == "low" and len(pretext_sample.images) == 1


@pytest.mark.parametrize("name", ["exposure", "saturation", "temperature", "subject_shift"])
def test_altered_pretext_samples_say_what_the_second_photo_is_beside_the_first(maker: PretextSampleMaker, name: str) -> None:
    """Whether shown forwards or in reverse, the direction in words is that of the measurement."""
    moved = {"exposure": "brightness", "saturation": "saturation", "temperature": "warmth", "subject_shift": "subject_x"}[name]
    directions = set()
    for seed in range(12):
        rng = random.Random(seed)
        amount = EDITS[name].strong * rng.choice([-1, 1])
        pretext_sample = maker.altered(scene_photo(), EDITS[name], amount, rng)
        before, after = (measure(photo, [moved])[moved] for photo in pretext_sample.images)
        assert (after > before) == (pretext_sample.signed_strength > 0) == (":more:" in pretext_sample.label)
        directions.add(":more:" in pretext_sample.label)
    assert directions == {True, False}


def test_harm_shown_in_reverse_is_an_improvement(maker: PretextSampleMaker) -> None:
    """The damaged photo first, the original second: better; forwards: worse. Barely visible: neither."""
    edit, verdicts = EDITS["exposure"], {True: set(), False: set()}
    for seed in range(16):
        photo = scene_photo()
        pretext_sample = maker.altered(photo, edit, edit.strong, random.Random(seed))
        forwards = pretext_sample.images[0] is photo
        said = [verdict for verdict, wordings in BANK.verdicts.items() if any(w in pretext_sample.target_text for w in wordings)]
        verdicts[forwards].update(said)
    assert verdicts == {True: {"worse"}, False: {"better"}}


def test_amounts_reach_from_barely_visible_to_beyond_strong() -> None:
    """A good part of all amounts is barely or slightly visible, and all lie in the edit's range."""
    for edit in EDITS.values():
        amounts = [draw_amount(edit, random.Random(seed)) for seed in range(200)]
        assert all(edit.range[0] <= amount <= edit.range[1] for amount in amounts)
        assert min(map(abs, amounts)) >= edit.barely * 0.999 and max(map(abs, amounts)) <= MOST_STRENGTH * edit.strong * 1.001
        assert (min(amounts) < 0) == (edit.range[0] < 0), edit.name


def test_statistics_are_fifths_of_the_pool_and_survive_a_file(tmp_path) -> None:
    photos = [EDITS["exposure"].apply(scene_photo(), ev) for ev in np.linspace(-2, 2, 25)]
    statistics = PoolStatistics.of(photos, ["brightness", "tilt"])
    bins = [statistics.bin("brightness", measure(photo, ["brightness"])["brightness"]) for photo in photos]
    assert bins == sorted(bins) and np.bincount(bins).tolist() == [5] * BINS
    assert statistics.bin("tilt", 0.0) == 2
    statistics.save(tmp_path / "statistics.json")
    assert PoolStatistics.load(tmp_path / "statistics.json") == statistics
    with pytest.raises(ValueError, match="No photos"):
        PoolStatistics.of([], ["brightness"])


def test_held_out_pretext_samples_use_wordings_that_training_never_shows(maker: PretextSampleMaker) -> None:
    tester = PretextSampleMaker(BANK, maker.statistics, seed=7, held_out=True)
    photo = scene_photo()
    trained = {maker.pretext_sample(str(key), photo, "middle", 0).target_text for key in range(150)}
    assert not trained & {tester.pretext_sample(str(key), photo, "middle", 0).target_text for key in range(150)}


def test_no_pretext_sample_says_that_an_edit_changed_what_it_cannot_change(maker: PretextSampleMaker) -> None:
    """A grey photo has no saturation to take away: whatever is drawn, both photos of a pair differ."""
    grey = scene_photo(96, 72).convert("L").convert("RGB")
    pretext_samples = [maker.pretext_sample(str(key), grey, level, 0) for key in range(60) for level in ("low", "middle")]
    pairs = [pretext_sample.images for pretext_sample in pretext_samples if pretext_sample.kind == "altered"]
    assert pairs and all(before.size != after.size or before.tobytes() != after.tobytes() for before, after in pairs)


def test_reworded_target_texts_say_the_same_in_other_words(maker: PretextSampleMaker) -> None:
    """Rewording changes the text of every kind of target text, and neither question, label nor photos."""
    loud = PretextSampleMaker(
        BANK,
        maker.statistics,
        maker.contents,
        seed=7,
        reword=lambda target_text: replace(target_text, text=target_text.text.upper()),
    )
    kinds = set()
    for level in LEVELS:
        for epoch in range(12):
            plain, other = (one.pretext_sample("a", midtone_photo(64, 48), level, epoch) for one in (maker, loud))
            assert (other.target_text, other.question, other.label) == (plain.target_text.upper(), plain.question, plain.label)
            kinds.add(plain.kind)
    assert kinds == {"measured", "altered", "content"}
