"""Rows for the language model say what the tokens say."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from aesthetic_mllm.evaluation.damages import DAMAGES
from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from recipes.nano import pseudo_labels
from recipes.nano.codebook import Codebook
from recipes.nano.coded_alignment import CodeLoss
from recipes.nano.damaged_views import damage_strength
from recipes.nano.features import DAMAGED_VIEWS
from recipes.nano.prompts import FLAWS, WHOLE, nano_processor, nano_scale
from recipes.nano.pseudo_labels import FLAW_WEIGHT, OTHER_FLAWS, PseudoLabels, read_views
from recipes.nano.targets import falls
from recipes.nano.train_rating_heads import RATINGS_FILE
from tiny_models import tiny_tokenizer

BANK = PhraseBank()


@pytest.fixture(scope="module")
def labels() -> Any:
    """A photo whose tokens tell bins truly, and a damaged view of it, with ratings from 1 to 10."""
    processor = nano_processor(tiny_tokenizer())
    # so wide that random words hardly overlap
    embedding = torch.randn(len(processor.tokenizer), 128, generator=torch.Generator().manual_seed(0))
    book = Codebook(embedding, processor, BANK).requires_grad_(False)
    torch.manual_seed(0)
    values = {name: (-2.0, 0.0, 2.0)[number % 3] for number, name in enumerate(BANK.attributes)}
    tokens = {}
    for group in TOKEN_GROUPS:
        own = {name: values[name] for name in book.vocabulary.attributes.get(group, ())}
        tokens[group] = torch.stack([book.tokens(group, own, {}, {})] * 2)
    shares = torch.rand(2, len(processor.rating_scale.questions), 5).softmax(-1)
    views = [("a.jpg", 0), ("a.jpg", DAMAGED_VIEWS[0])]
    photos = PseudoLabels(processor, tokens, shares, views, CodeLoss(book), BANK, {"a.jpg": "a castle"}, {"a.jpg": "biq2021"})
    photos.expected = {name: int(value + 2) for name, value in values.items()}  # type: ignore[attr-defined]
    return photos


def test_bins_are_read_from_the_tokens(labels: Any) -> None:
    assert labels.read_bins(0) == labels.expected


def test_every_row_has_as_many_codes_as_placeholders(labels: Any) -> None:
    tokenizer = labels.processor.tokenizer
    for row in (*labels.rated_rows(2), labels.comments(), labels.measured()):
        assert len(tokenizer.encode(row.photos, add_special_tokens=False)) == len(row.codes)
        assert all(bool(question.answer) != bool(question.levels) for question in row.questions)


def test_a_pretext_sample_says_the_bin_that_the_token_is_nearest_to(labels: Any) -> None:
    for _ in range(20):
        for question in labels.measured().questions:
            words = {phrase for name, bin in labels.expected.items() for phrase in BANK.attributes[name]["bins"][bin]}
            assert question.phrases[0] in words and question.phrases[0].lower() in question.answer.lower()


def test_pretext_samples_are_of_photos_as_they_are(labels: Any) -> None:
    """Whatever sources there are, a pretext sample's measurements are never those of a damaged view."""
    assert all(labels.views[labels.draw(damaged=False)][1] == 0 for _ in range(30))
    assert all(labels.views[labels.draw(damaged=True)][1] in DAMAGED_VIEWS for _ in range(30))


def test_what_people_rated_is_read_before_the_damages_and_falls_by_their_strength(tmp_path: Path) -> None:
    """That is what the judge's first stage reads of the photo as it is, less of a damaged view; the last stage reads the rest."""
    scale = nano_scale()
    questions = {key: number for number, key in enumerate(scale.questions)}
    good = (0.02, 0.05, 0.1, 0.3, 0.53)

    class Judge:
        def __init__(self) -> None:
            self.scale, self.questions = scale, list(scale.questions)
            self.tower = self.projector = torch.nn.Identity()

        def load(self, path: Path) -> None:
            self.read = torch.tensor(good if path.name == RATINGS_FILE else good[::-1])

        def tokens(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
            return {group: torch.zeros(len(rows), 1, 4) for group in TOKEN_GROUPS}

        def shares(self, tokens: dict[str, torch.Tensor], rows: list[dict[str, Any]]) -> torch.Tensor:
            assert all(row["generated"] is False for row in rows)
            return self.read.expand(len(rows), len(questions), -1)

    features = SimpleNamespace(index={view: {"a.jpg": 0} for view in (0, DAMAGED_VIEWS[-1])})
    views = [{"image": "a.jpg", "view": view, "generated": False} for view in (0, DAMAGED_VIEWS[-1])]
    counts = dict.fromkeys(TOKEN_GROUPS, 1)
    shares, tokens = read_views(Judge(), tmp_path, views, features, counts)  # type: ignore[arg-type]
    assert {group: values.shape for group, values in tokens.items()} == dict.fromkeys(TOKEN_GROUPS, (2, 1, 4))
    means = shares.double() @ torch.tensor(scale.level_scores).double()
    taken = falls(*damage_strength("a.jpg", DAMAGED_VIEWS[-1]))
    for key in WHOLE:
        whole, damaged = means[:, questions[key]].tolist()
        assert whole > 7 and whole - damaged == pytest.approx(taken[key], abs=1e-3)
    for key in (key for key in questions if key.startswith("flaw_")):
        assert (means[:, questions[key]] < 4).all()
    first, last = (torch.tensor(read).double() @ torch.tensor(scale.level_scores).double() for read in (good, good[::-1]))
    assert means[0, questions["light"]] == pytest.approx(float(first + last) / 2, abs=1e-3)


def test_a_damaged_view_comes_beside_the_photo_whole(labels: Any) -> None:
    """Both are asked the same, the damage's own flaw always, which weighs more than other flaws; they are drawn at random."""
    name, view = labels.views[1]
    damage, _ = damage_strength(name, view)
    assert labels.made_flaw(0) is None
    assert labels.made_flaw(1) == (f"flaw_{damage.flaw}" if damage.flaw in FLAWS else None)
    labels.draw, draw = (lambda damaged=None: 1), labels.draw
    try:
        rows = labels.rated_rows(4)
    finally:
        labels.draw = draw
    assert len(rows) == 4
    for damaged, whole in (rows[:2], rows[2:]):
        assert torch.equal(damaged.codes, labels.codes(1)) and torch.equal(whole.codes, labels.codes(0))
        assert len(damaged.questions) == len(whole.questions)
        assert [question.weight for question in damaged.questions].count(FLAW_WEIGHT) == (damage.flaw in FLAWS)


def test_what_tells_in_a_comment_is_found_in_its_order(labels: Any) -> None:
    """Frames are not: they are as good around any photo."""
    text = "A plain photo of a castle with deep, dark tones, despite garish colours."
    assert labels.telling(text) == ["A plain photo", "a castle", "deep, dark tones", "garish colours"]


def test_comments_name_what_a_photo_surely_shows(labels: Any) -> None:
    assert labels.facts(0).content == "a castle"
    other = PseudoLabels(
        labels.processor, labels.tokens, labels.shares, labels.views, labels.loss, BANK, {}, {"a.jpg": "biq2021"}
    )
    assert other.facts(0).content is None


def test_the_whole_photo_is_asked_about_by_itself_as_it_is(labels: Any) -> None:
    for row in labels.whole_rows(5):
        assert len(row.questions) == len(WHOLE)
        assert torch.equal(row.codes, labels.codes(0))


def test_damages_are_also_asked_about_by_themselves(labels: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a damage takes from is asked of the damaged view and of the photo whole; the flaw that was made weighs most."""
    hazy = next(damage for damage in DAMAGES if damage.flaw == "hazy")
    monkeypatch.setattr(pseudo_labels, "damage_strength", lambda name, view: (hazy, 1.0))
    monkeypatch.setattr(labels, "draw", lambda damaged: int(damaged))
    monkeypatch.setattr(labels, "ratings", lambda number, asked: (number, asked))
    rows = labels.damaged_rows(4)
    assert [number for number, _ in rows] == [1, 0, 1, 0]
    for _, asked in rows:
        assert {*WHOLE, *hazy.attributes, "flaw_hazy"} <= set(asked)
        assert sum(key.startswith("flaw_") for key in asked) == 1 + OTHER_FLAWS
        assert [key for key, weight in asked.items() if weight == FLAW_WEIGHT] == ["flaw_hazy"]
