"""Comments quote nobody and say nothing twice, whatever the model likes best."""

import random
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.editing.claims.comment_claims import find_claims
from aesthetic_mllm.editing.claims.comment_faults import inner_faults, unfounded_claims
from aesthetic_mllm.editing.claims.photo_evidence import PhotoEvidence
from aesthetic_mllm.inference.comment_writing import CommentWriter
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.tasks.commenting import STYLES
from aesthetic_mllm.tasks.ngram_overlap import TrainingNgrams, repeats, words_of
from photo_files import scene

SAMPLES = sorted((Path(__file__).parents[2] / "examples" / "photos").glob("*.jpg"))
WORDS = ["", *"the light is good dark soft and mood sleepy a despite colour sharp warm tilted".split()]
PROCESSOR: Any = SimpleNamespace(
    tokenizer=SimpleNamespace(decode=lambda ids, skip_special_tokens: " ".join(WORDS[token] for token in ids)),
)


class Parrot:
    """Stands in for an engine: what it likes to say depends on the photo and on the last words alone. Encoded photos are their
    number."""

    def __init__(self, processor: Any = PROCESSOR):
        self.processor = processor

    def prompt(self, request: str) -> list[int]:
        return [1]

    def write(
        self,
        encoded: int,
        prompt: Sequence[int],
        max_new_tokens: int,
        *,
        not_first: Sequence[int] = (),
        photo: int | None = None,
        away_from: None = None,
    ) -> list[list[int]]:
        return [
            self._one(number, list(prompt), max_new_tokens, set(not_first))
            for number in (range(encoded) if photo is None else [photo])
        ]

    def _one(self, photo: int, told: list[int], most: int, not_first: set[int]) -> list[int]:
        start = len(told)
        while len(told) < start + most:
            order = random.Random(f"{photo} {told[-1]}").sample(range(1, len(WORDS)), len(WORDS) - 1)
            allowed = [token for token in order if len(told) > start or token not in not_first]
            if not allowed:  # the end of the turn is left
                break
            told.append(allowed[0])
        return told[start:]


def written(photos: int, known: TrainingNgrams | None = None) -> list[str]:
    return CommentWriter(Parrot(), known).write(photos, "Comment.", STYLES["brief"])  # type: ignore[arg-type]


def test_nothing_is_said_twice() -> None:
    liked = [PROCESSOR.tokenizer.decode(tokens, True) for tokens in Parrot().write(20, [1], 40)]
    assert sum(map(repeats, liked)) > 10
    comments = written(20)
    assert not any(map(repeats, comments)) and all(len(words_of(comment)) > 5 for comment in comments)


@pytest.mark.parametrize("length", [2, 4])
def test_no_ngram_of_training_is_written(length: int) -> None:
    """A comment whose words are known goes as before up to the word that completes the run; others stay as they are."""
    liked = written(20)
    known = TrainingNgrams.of_texts(liked[:3], length)
    comments = written(20, known)
    assert not any(map(known.shares, comments))
    for before, after in zip(liked, comments, strict=True):
        if not known.shares(before):
            assert after == before
            continue
        words = words_of(before)
        first = next(end for end in range(len(words)) if known.shares(" ".join(words[: end + 1])))
        assert words_of(after)[:first] == words[:first]


class Script:
    """Stands in for an engine and one photo: of some texts it says the first that goes on from what was said."""

    processor = SimpleNamespace(
        tokenizer=SimpleNamespace(decode=lambda ids, skip_special_tokens: " ".join(SCRIPT_WORDS[token] for token in ids))
    )

    def __init__(self, *texts: str):
        self.texts = [[SCRIPT_WORDS.index(word) for word in text.split()] for text in texts]

    def prompt(self, request: str) -> list[int]:
        return [1]

    def write(
        self,
        encoded: Any,
        prompt: Sequence[int],
        most: int,
        *,
        not_first: Sequence[int] = (),
        photo: Any = None,
        away_from: Any = None,
    ) -> list[list[int]]:
        told = list(prompt[1:])
        rests = [text[len(told) :] for text in self.texts if text[: len(told)] == told]
        return [next((rest for rest in rests if rest and rest[0] not in not_first), [])]


SCRIPT_WORDS = ["", *"a level camera , light good is the and it does its job . despite mood sleepy".split()]


@pytest.mark.parametrize(
    ("liked", "instead"),
    [
        ("a level camera , a level camera and good light .", "a level camera , good light ."),
        ("the light is good . the light is good . it does its job .", "the light is good . it does its job ."),
        ("a sleepy mood , despite a sleepy mood .", "a sleepy mood."),
    ],
)
def test_a_clause_that_is_not_wanted_is_left_out_whole(liked: str, instead: str) -> None:
    """What stands in its place begins otherwise; where the model has nothing else to say, the comment ends there."""
    script: Any = Script(liked, *([instead] if instead.endswith(" .") else []))
    one: Any = None  # its photo is not looked at
    assert CommentWriter(script).write(one, "Comment.", STYLES["brief"]) == [instead]


def test_what_leads_to_one_word_alone_is_said_otherwise() -> None:
    """Where no other word is possible than the one that is not wanted, an earlier part begins otherwise; no scrap is left."""
    script: Any = Script("a sleepy mood and a sleepy mood .", "a sleepy mood and good light .")
    one: Any = None
    known = TrainingNgrams.of_texts(["a sleepy mood and a sleepy"], 6)
    assert CommentWriter(script, known).write(one, "Comment.", STYLES["brief"]) == ["a sleepy mood and good light ."]


def test_a_comment_ends_where_nothing_else_can_be_said() -> None:
    """However much is known, writing comes to an end."""
    everything = TrainingNgrams(np.full(64, 255, dtype=np.uint8), 1)
    assert written(2, everything) == ["", ""]


def test_the_embedded_checkpoint_finds_other_words() -> None:
    """Of a photo whose comment is forbidden it says something else, alone as in a batch."""
    assessor = AestheticAssessor.from_pretrained()
    photos = [scene(90, 60), scene(60, 90).rotate(180)]
    liked = assessor.comment(photos, "detailed")
    assessor.comments.known = TrainingNgrams.of_texts(liked[:1], 6)
    corrected = assessor.comment(photos, "detailed")
    assert not any(map(assessor.comments.known.shares, corrected)) and len(words_of(corrected[0])) > 5
    assert assessor.comment(photos[0], "detailed") == corrected[0] != liked[0]


CLAIM_WORDS = [
    "",
    *"the light colours detail mood is very dark bright vivid pale warm cool sharp soft with and , . but good".split(),
]


class Chatterbox(Parrot):
    """Says claims at random, by photo and last word."""

    def _one(self, photo: int, told: list[int], most: int, not_first: set[int]) -> list[int]:
        start = len(told)
        while len(told) < start + most:
            order = random.Random(f"{photo} {told[-3:]}").sample(range(1, len(CLAIM_WORDS)), len(CLAIM_WORDS) - 1)
            told.append(next(token for token in order if len(told) > start or token not in not_first))
        return told[start:]


def test_no_comment_contradicts_itself_or_claims_what_is_not_borne_out() -> None:
    """Whatever a model likes to say; without evidence it says it."""
    decode = SimpleNamespace(decode=lambda ids, skip_special_tokens: " ".join(CLAIM_WORDS[token] for token in ids))
    writer = CommentWriter(Chatterbox(SimpleNamespace(tokenizer=decode)))  # type: ignore[arg-type]
    photos, cuts = 12, {name: [0.2, 0.4, 0.6, 0.8] for name in ("brightness", "saturation", "warmth", "sharpness")}
    shades = [(20 * photo, 200 - 10 * photo, (60 * photo) % 250) for photo in range(photos)]
    evidence = [PhotoEvidence(Image.new("RGB", (16, 16), shade), cuts) for shade in shades]
    encoded: Any = photos
    liked = writer.write(encoded, "Comment.", STYLES["brief"])
    written = writer.write(encoded, "Comment.", STYLES["brief"], evidence)

    def faults(text: str, photo: PhotoEvidence) -> set[Any]:
        return inner_faults(text) | unfounded_claims(text, photo)

    assert sum(bool(faults(*pair)) for pair in zip(liked, evidence, strict=True)) > photos // 2
    assert not any(faults(*pair) for pair in zip(written, evidence, strict=True))


@pytest.mark.parametrize(
    ("liked", "instead"),
    [
        ("a picture with warm colours , but warm colours .", "a picture with warm colours and light."),
        ("a picture with dull , pale colours .", "a picture with good light."),
        ("warm light . sadly , it is too dark .", "warm light. it is good."),
    ],
)
def test_a_claim_is_chosen_anew_where_its_part_begins(liked: str, instead: str) -> None:
    """Not after "but" or "sadly", where only a fault could follow, and not between two adjectives of one noun."""
    vocabulary = ["", *dict.fromkeys(f"{liked} {instead}".replace(".", " .").split())]
    script: Any = Script()
    script.texts = [[vocabulary.index(word) for word in text.replace(".", " .").split()] for text in (liked, instead)]

    def decode(ids: Sequence[int], skip_special_tokens: bool) -> str:
        return re.sub(r" ([.,])", r"\1", " ".join(vocabulary[token] for token in ids))

    script.processor = SimpleNamespace(tokenizer=SimpleNamespace(decode=decode))
    cuts = {"brightness": [0.1, 0.2, 0.3, 0.4], "saturation": [0.1, 0.2, 0.3, 0.4]}
    vivid = PhotoEvidence(Image.new("RGB", (16, 16), (255, 160, 0)), cuts)
    one: Any = None  # its encoded photo is not looked at
    assert CommentWriter(script).write(one, "Comment.", STYLES["brief"], [vivid]) == [instead]


def test_comments_on_the_sample_photos_are_borne_out() -> None:
    """Of the embedded checkpoint: no claim that measurements do not bear out, no contradiction, no colours of a grey photo, and
    no comment that claims nothing (unless it is told to, it says "careless framing and poor colour" of the astronaut)."""
    assessor = AestheticAssessor.from_pretrained()
    cuts = assessor.processor.measurement_cuts
    for style, samples in (("brief", SAMPLES), ("detailed", [SAMPLES[1], SAMPLES[4]])):
        for sample, comment in zip(samples, assessor.comment(samples, style), strict=True):
            photo = PhotoEvidence(load_image(sample), cuts)
            assert not inner_faults(comment) | unfounded_claims(comment, photo) and len(words_of(comment)) > 5, comment
            assert not photo.grey or "colour" not in comment
            assert find_claims(comment), comment


def test_a_checkpoint_without_cut_points_comments_as_it_likes() -> None:
    assessor = AestheticAssessor.from_pretrained()
    grey = SAMPLES[1]
    assert "colour" not in assessor.comment(grey)
    assessor.processor.measurement_cuts = {}
    assert "pale colours" in assessor.comment(grey)
