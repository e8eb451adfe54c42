"""Personal ratings: the assessor's methods, profiles that are saved, loaded and updated."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from aesthetic_mllm import AestheticAssessor, ImageError
from aesthetic_mllm.inference.personal_assessor import PersonalAssessor
from aesthetic_mllm.personalization.personalizers import METHODS
from aesthetic_mllm.tasks.personalizing import ProfileError
from lively_assessor import lively_assessor


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    """One that reads examples and rates attributes."""
    found = lively_assessor(attributes=True)
    found.processor.num_example_tokens = {"low": 2, "middle": 1, "high": 1, "thematic": 0}
    return found


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((60 + 3 * number, 50)) for number in range(9)]


def rated(photos: list[Image.Image]) -> list[tuple[Image.Image, float]]:
    return [(photo, 1 + number % 5) for number, photo in enumerate(photos)]


def means(ratings: list) -> list[float]:
    return [rating.mean for rating in ratings]


def test_nobody_in_particular_sees_what_everybody_sees(assessor: AestheticAssessor, photos: list) -> None:
    """Without ratings, scores are the assessor's to the last bit, with percentile and all."""
    person = assessor.personalize([])
    assert person.score(photos) == assessor.score(photos)
    assert person.ratings(photos[:2], ["quality", "aesthetic"]) == assessor.ratings(photos[:2], ["quality", "aesthetic"])
    assert person.describe() == () and person.reliability().count == 0


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_the_assessor_is_personal(assessor: AestheticAssessor, photos: list, method: str) -> None:
    """Score, ratings, assess, rank, pick and compare tell of the same personal rating, which is not the general one; other
    questions and attributes stay as they are."""
    person = assessor.personalize(rated(photos), method=method)
    scores = person.score(photos)
    assert means(scores) != means(assessor.score(photos))
    assert person.score(photos, "quality") == assessor.score(photos, "quality")
    both = person.ratings(photos, ["aesthetic", "quality"])
    assert means([each["aesthetic"] for each in both]) == pytest.approx(means(scores), abs=1e-3)
    assert person.attributes(photos[0]) == assessor.attributes(photos[0])
    assert person.assess(photos[0]).rating.mean == pytest.approx(scores[0].mean, abs=1e-3)
    best = int(np.argmax(means(scores)))
    assert person.rank(photos, max_distance=0)[0].index == best == person.pick(photos, 1, max_distance=0)[0].index
    assert person.compare(photos[0], photos[1]).first.mean == pytest.approx(scores[0].mean, abs=1e-3)
    for rating in scores:
        assert sum(rating.distribution.values()) == pytest.approx(1) and 1 <= rating.mean <= 10


@pytest.mark.parametrize("method", METHODS)
def test_the_general_rating_is_asked_for_only_where_it_is_read(
    assessor: AestheticAssessor, photos: list, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs as much as a score; examples in the prompt do without it where they alone decide."""
    person = assessor.personalize(rated(photos), method=method)
    asked = []
    whole = person.model.level_logits
    monkeypatch.setattr(person.model, "level_logits", lambda *args, **kwargs: asked.append(1) or whole(*args, **kwargs))
    person.score(photos)
    assert bool(asked) == (method == "ridge")


@pytest.mark.parametrize("share", [0.25, 0.8])
def test_examples_count_as_much_as_the_checkpoint_says(assessor: AestheticAssessor, photos: list, share: float) -> None:
    """The rating lies that share of the way from the general one to the one that is read from the examples."""
    general, read = (means(judge.score(photos)) for judge in (assessor, assessor.personalize(rated(photos), method="in_context")))
    assert np.ptp(np.subtract(read, general)) > 0.01
    assessor.processor.in_context_weight = share
    try:
        found = means(assessor.personalize(rated(photos), method="in_context").score(photos))
    finally:
        assessor.processor.in_context_weight = 1.0
    assert found == pytest.approx((1 - share) * np.array(general) + share * np.array(read), abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_order_and_batches_mean_nothing(assessor: AestheticAssessor, photos: list, method: str) -> None:
    """The same examples in another order, and the same photos in other batches, give the same ratings."""
    wanted = means(assessor.personalize(rated(photos), method=method).score(photos))
    turned = assessor.personalize(rated(photos)[::-1], method=method)
    assert means(turned.score(photos, batch_size=2)) == pytest.approx(wanted, abs=9e-4)


@pytest.mark.parametrize("method", METHODS)
def test_saved_and_loaded_is_the_same_person(assessor: AestheticAssessor, photos: list, method: str, tmp_path: Path) -> None:
    """Ratings, reliability and tastes are identical after a round through a file, and after an update of what was loaded."""
    person = assessor.personalize(rated(photos[:7]), method=method, keep="thumbnails")
    person.save(tmp_path / "me.profile")
    loaded = PersonalAssessor.load(tmp_path / "me.profile", assessor)
    assert loaded.score(photos) == person.score(photos)
    assert (loaded.reliability(), loaded.describe(), loaded.profile) == (person.reliability(), person.describe(), person.profile)
    assert [small.size for small in loaded.thumbnails()] == [small.size for small in person.thumbnails()] != []
    whole = assessor.personalize(rated(photos), method=method)
    assert means(loaded.update(rated(photos)[7:]).score(photos)) == pytest.approx(means(whole.score(photos)), abs=9e-4)


def test_tokens_only_holds_no_photo(assessor: AestheticAssessor, photos: list, tmp_path: Path) -> None:
    """By default the file has no pixels, neither as thumbnails nor otherwise."""
    assessor.personalize(rated(photos)).save(tmp_path / "me.profile")
    stored = load_file(tmp_path / "me.profile")
    assert len(stored["thumbnails"]) == 0
    assert PersonalAssessor.load(tmp_path / "me.profile", assessor).thumbnails() == []


def test_tampered_and_foreign_files_are_refused(assessor: AestheticAssessor, photos: list, tmp_path: Path) -> None:
    """A changed number, changed words, another checkpoint, another version, another format, no profile at all: each says so."""
    path = tmp_path / "me.profile"
    assessor.personalize(rated(photos)).save(path)
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        metadata = dict(file.metadata())

    def refused(message: str, changed: dict[str, np.ndarray] | None = None, **words: str) -> None:
        save_file(changed or tensors, path, metadata | words)
        with pytest.raises(ProfileError, match=message):
            PersonalAssessor.load(path, assessor)

    refused("changed or damaged", tensors | {"general": tensors["general"] + 1})
    said = json.loads(metadata["said"])
    said["profile"]["values"][0] = 5.0
    refused("changed or damaged", said=json.dumps(said))
    refused("version 99", version="99")
    refused("is not a profile", format="something else")
    path.write_bytes(b"no safetensors file")
    with pytest.raises(ProfileError, match="is not a profile"):
        PersonalAssessor.load(path, assessor)
    with pytest.raises(ProfileError, match="There is no profile"):
        PersonalAssessor.load(tmp_path / "missing", assessor)
    assessor.personalize(rated(photos)).save(path)
    with pytest.raises(ProfileError, match="another checkpoint"):
        PersonalAssessor.load(path, lively_assessor(attributes=False))
    with pytest.raises(ProfileError, match="cannot be written"):
        assessor.personalize([]).save(tmp_path / "no folder" / "me.profile")


@pytest.mark.parametrize("part", ["language_model.layers.0.self_attn.q_proj", "language_model.norm", "vision_tower"])
def test_a_checkpoint_trained_further_is_another(assessor: AestheticAssessor, photos: list, part: str, tmp_path: Path) -> None:
    """A profile loads with the same weights, quantized too, but not where some were trained since, be it only in
    the language model or the tower."""
    path = tmp_path / "me.profile"
    assessor.personalize(rated(photos), method="ridge").save(path)
    same, rounded, trained = (lively_assessor(attributes=True) for _ in range(3))
    for other in (same, rounded, trained):
        other.processor.num_example_tokens = assessor.processor.num_example_tokens
    assert PersonalAssessor.load(path, same).score(photos[0]) == PersonalAssessor.load(path, assessor).score(photos[0])
    rounded.model.hf_quantizer = object()  # as transformers leaves it at a quantized model
    with torch.no_grad():
        rounded.model.model.language_model.layers[0].self_attn.q_proj.weight.round_(decimals=1)
    PersonalAssessor.load(path, rounded)
    weight = next(weight for name, weight in trained.model.named_parameters() if part in name)
    with torch.no_grad():
        weight += 0.01
    with pytest.raises(ProfileError, match="another checkpoint, which sees or rates photos otherwise"):
        PersonalAssessor.load(path, trained)


def test_examples_need_a_checkpoint_that_reads_them(photos: list) -> None:
    """One that was not taught to says so; the default is ridge."""
    untaught = lively_assessor()
    with pytest.raises(ProfileError, match="not taught to read rated examples"):
        untaught.personalize(rated(photos), method="in_context")
    assert means(untaught.personalize(rated(photos)).score(photos)) == means(
        untaught.personalize(rated(photos), method="ridge").score(photos)
    )
    with pytest.raises(ProfileError, match="no personalization method 'magic'"):
        untaught.personalize(rated(photos), method="magic")


def test_wrong_photos_and_wrong_words(assessor: AestheticAssessor, photos: list, tmp_path: Path) -> None:
    """A photo that is not there is named; the same picture under two names is one photo; kinds are not mixed."""
    with pytest.raises(ImageError, match="missing.jpg"):
        assessor.personalize({str(tmp_path / "missing.jpg"): 3.0})
    for name in ("a.png", "b.png"):
        photos[0].save(tmp_path / name)
    with pytest.raises(ProfileError, match="b.png is rated 1 and 5|a.png is rated 1 and 5"):
        assessor.personalize({tmp_path / "a.png": 1, tmp_path / "b.png": 5})
    with pytest.raises(ProfileError, match="give one of them"):
        assessor.personalize(rated(photos), likes=photos[:1])
    with pytest.raises(ProfileError, match="keep must be"):
        assessor.personalize(rated(photos), keep="everything")  # type: ignore[arg-type]


def test_pairs_and_likes_move_ratings(assessor: AestheticAssessor, photos: list) -> None:
    """What was preferred gains on what was not, and what is liked rises; many more examples than fit are no error."""
    before = means(assessor.score(photos[:2]))
    after = means(assessor.personalize(pairs=[(photos[0], photos[1])], method="ridge").score(photos[:2]))
    likes = assessor.personalize(likes=photos[:3], method="ridge").reliability()
    assert after[0] - after[1] >= before[0] - before[1]
    assert likes.agreement is None and "rate more" in str(likes)


@pytest.mark.parametrize(("first", "then"), [("tokens", "thumbnails"), ("thumbnails", "tokens")])
def test_all_photos_of_a_profile_are_kept_alike(assessor: AestheticAssessor, photos: list, first: str, then: str) -> None:
    person = assessor.personalize(rated(photos), keep=first)  # type: ignore[arg-type]
    with pytest.raises(ProfileError, match=f"keep='{first}'"):
        person.update([(photos[0], 2)], keep=then)
    assert len(person.update([(photos[0], 2)], keep=first).profile.photos) == len(photos)
