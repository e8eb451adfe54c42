"""What a checkpoint does not carry is found again in its tokens."""

import random
from typing import Any

import pytest
import torch

from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.pretext.phrase_bank import BINS, PhraseBank
from tiny_models import tiny_tokenizer

BANK = PhraseBank()


@pytest.fixture(scope="module")
def processor() -> Any:
    from prompts import nano_processor

    return nano_processor(tiny_tokenizer())


def test_keys_are_found_in_the_tokens_of_measured_photos(processor: Any) -> None:
    """A book with the same words but other keys gets the keys that the photos' tokens hold."""
    from codebook import Codebook
    from resume import bins_right, find_keys

    embedding = torch.randn(len(processor.tokenizer), 96, generator=torch.Generator().manual_seed(0))
    said, lost = (Codebook(embedding, processor, BANK).requires_grad_(False) for _ in range(2))
    said.keys.copy_(torch.randn(said.keys.shape, generator=torch.Generator().manual_seed(1)))
    rng = random.Random(0)
    torch.manual_seed(0)
    names = [f"{number}.jpg" for number in range(80)]
    bins = {name: {attribute: rng.randrange(BINS) for attribute in BANK.attributes} for name in names}
    tokens: dict[str, torch.Tensor] = {}
    for group in TOKEN_GROUPS:
        own = said.vocabulary.attributes.get(group, ())
        rows = [
            said.tokens(group, {name: bins[photo][name] - 2.0 for name in own}, {}, {"quality": rng.uniform(-2, 2)})
            for photo in names
        ]
        tokens[group] = torch.stack(rows)
    find_keys(lost, bins, names, tokens)
    assert (torch.cosine_similarity(lost.keys, said.keys, dim=1) > 0.6).all()  # of few dimensions, most lie along edits
    assert min(bins_right(lost, bins, names, tokens).values()) > 0.9


def test_heads_learn_from_the_mean_tokens_of_photos_whole_and_damaged(processor: Any) -> None:
    """Ratings that lie in one direction of the tokens are told in the photos' order; a damaged view below its photo."""
    from types import SimpleNamespace

    from data import RatedPhoto
    from features import STRONGLY_DAMAGED
    from resume import MeanTokens, fit_heads
    from warm_start import WarmStart

    scale = processor.rating_scale
    size = 16
    torch.manual_seed(0)
    direction = torch.randn(size)
    model = SimpleNamespace(
        model=SimpleNamespace(multi_modal_projector=torch.nn.Identity(), feature_layers={}, vision_tower=torch.nn.Identity()),
        config=SimpleNamespace(text_config=SimpleNamespace(hidden_size=size)),
    )
    judge = WarmStart(model, lambda rows: {}, scale)  # type: ignore[arg-type]
    photos = [RatedPhoto(path=None, name=f"{n}.jpg", mean=1 + 9 * n / 119, std=None) for n in range(120)]  # type: ignore[arg-type]
    means = {photo.name: photo.mean for photo in photos}
    fall = 2.0

    def tokens_of(row: dict[str, Any]) -> torch.Tensor:
        mean = means[row["image"]] - fall * (row["view"] == STRONGLY_DAMAGED)
        return (mean - 5.5) * direction + 0.1 * torch.randn(size)

    def read(rows: list[dict[str, Any]]) -> tuple[None, dict[str, torch.Tensor]]:
        return None, {group: torch.stack([tokens_of(row) for row in rows])[:, None] for group in TOKEN_GROUPS}

    judge.read = read  # type: ignore[method-assign, assignment]

    class Rated:
        quality, beauty = photos, ()

        def row(self, photo: RatedPhoto, view: int) -> dict[str, Any]:
            return {"image": photo.name, "view": view, "ratings": {"quality": (photo.mean, None)}, "group": 0}

        def pair(self, photo: RatedPhoto, view: int) -> list[dict[str, Any]]:
            whole, damaged = self.row(photo, 0), self.row(photo, view)
            damaged["ratings"] = {"quality": (max(1.0, photo.mean - fall), None)}
            return [whole, damaged | {"undamaged": whole, "falls": {"quality": fall}}]

    views = [(photo.name, view) for photo in photos for view in (0, STRONGLY_DAMAGED)]
    tokens = MeanTokens(judge, views)
    fit_heads(judge, Rated(), tokens, steps=80)  # type: ignore[arg-type]
    with torch.no_grad():
        logits = judge.heads(tokens.of([{"image": name, "view": view} for name, view in views]))["all"]
    told = (logits[:, judge.heads.questions["quality"]].softmax(-1) @ judge.scores).view(-1, 2)
    assert torch.corrcoef(torch.stack([told[:, 0], torch.tensor([photo.mean for photo in photos])]))[0, 1] > 0.9
    assert (told[:, 1] < told[:, 0]).float().mean() > 0.9
