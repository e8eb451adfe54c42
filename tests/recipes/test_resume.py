"""What a checkpoint does not carry is found again in its tokens."""

import random
from types import SimpleNamespace
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
    """Ratings that lie in one direction of the tokens are told in the photos' order, and a damaged view below its photo."""
    from resume import Told, fit_heads
    from warm_start import ALL, WarmStart

    scale, size, fall = processor.rating_scale, 16, 2.0
    torch.manual_seed(0)
    direction = torch.randn(size)
    model = SimpleNamespace(
        model=SimpleNamespace(multi_modal_projector=torch.nn.Identity(), feature_layers={}, vision_tower=torch.nn.Identity()),
        config=SimpleNamespace(text_config=SimpleNamespace(hidden_size=size)),
    )
    judge = WarmStart(model, lambda rows: {}, scale)  # type: ignore[arg-type, return-value]
    means = torch.linspace(3, 10, 120)

    def tokens(of: torch.Tensor) -> dict[str, torch.Tensor]:
        return {group: (of[:, None] - 5.5) * direction + 0.1 * torch.randn(len(of), size) for group in TOKEN_GROUPS}

    def told(of: torch.Tensor, falls: float) -> Told:
        rows = [{"ratings": {"light": (float(mean), None)}, "falls": {"light": falls}} for mean in of]
        return Told.of(rows, scale, 1.0)

    whole, damaged = (tokens(means), told(means, 0.0)), (tokens(means - fall), told(means - fall, fall))
    fit_heads(judge, whole, damaged, steps=150)
    with torch.no_grad():
        read = [
            judge.heads({group: values[:, None] for group, values in part.items()})[ALL][:, judge.heads.questions["light"]]
            for part, _ in (whole, damaged)
        ]
    before, after = (logits.softmax(-1) @ judge.scores for logits in read)
    assert torch.corrcoef(torch.stack([before, means]))[0, 1] > 0.9
    assert (after < before).float().mean() > 0.9


def test_tokens_are_read_once_and_again_for_other_weights(tmp_path: Any) -> None:
    """The cache gives what the judge gives; another judge's tokens are never taken for its own."""
    from token_cache import TokenCache

    names = [f"{number}.jpg" for number in range(70)]
    features = SimpleNamespace(index={0: {name: number for number, name in enumerate(names)}})
    asked: list[int] = []

    def judge(weight: float) -> Any:
        projector = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(projector.weight, weight)

        def tokens(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
            asked.append(len(rows))
            own = torch.tensor([float(row["image"].removesuffix(".jpg")) for row in rows])[:, None, None] * weight
            return {group: own.expand(-1, place + 1, 3) for place, group in enumerate(TOKEN_GROUPS)}

        return SimpleNamespace(projector=projector, tower=torch.nn.Identity(), tokens=tokens)

    counts = {group: place + 1 for place, group in enumerate(TOKEN_GROUPS)}
    for weight in (1.0, 2.0):
        for _ in range(2):
            cache = TokenCache(tmp_path, judge(weight), features, counts)  # type: ignore[arg-type]
            tokens = cache.tokens([{"image": "69.jpg", "view": 0}, {"image": "3.jpg", "view": 0}])
            assert {group: values.shape[1] for group, values in tokens.items()} == counts
            assert all(values[:, 0, 0].tolist() == [69 * weight, 3 * weight] for values in tokens.values())
            assert cache.means(0, ["5.jpg"])["high"].tolist() == [[5 * weight] * 3]
    assert sum(asked) == 2 * len(names)


def test_what_several_checkpoints_say_is_averaged() -> None:
    from resume import averaged

    said = [{"a.jpg": {"quality": [0.0, 1.0]}}, {"a.jpg": {"quality": [0.5, 0.5]}}]
    assert averaged(said[:1]) == said[0]
    assert averaged(said) == {"a.jpg": {"quality": [0.25, 0.75]}}
