"""Heads read the groups of tokens that they are given, and learn what is told of photos."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from recipes.nano.ablation import FULL, VARIANTS
from recipes.nano.prompts import WHOLE, nano_scale
from recipes.nano.rating_heads import ALL, RatingHeads
from recipes.nano.train_rating_heads import raised_to

SIZE = 8
SCALE = nano_scale()
RATINGS = dict.fromkeys(SCALE.questions, (6.0, None))


class Projector(nn.Module):
    """Each group's tokens are its first two cells."""

    def __init__(self) -> None:
        super().__init__()
        self.thematic = nn.Linear(1, 1)
        self.qformers = nn.ModuleDict({group: nn.Linear(1, 1) for group in TOKEN_GROUPS if group != "thematic"})

    def forward(self, groups: dict[str, torch.Tensor], sizes: torch.Tensor, canvas: tuple[int, int]) -> dict[str, torch.Tensor]:
        return {group: values.flatten(1, 2)[:, :2] for group, values in groups.items()}


class Tower(nn.Module):
    def forward(self, pixel_values: torch.Tensor, image_sizes: torch.Tensor) -> Any:
        return SimpleNamespace(feature_maps=[pixel_values] * 4)


def heads(**options: Any) -> RatingHeads:
    model = SimpleNamespace(
        model=SimpleNamespace(
            multi_modal_projector=Projector(),
            vision_tower=Tower(),
            feature_layers={group: number for number, group in enumerate(TOKEN_GROUPS)},
        ),
        config=SimpleNamespace(text_config=SimpleNamespace(hidden_size=SIZE)),
    )
    seen = torch.randn(64, SIZE, 2, 2, generator=torch.Generator().manual_seed(0))

    def pixels(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        return {"pixel_values": seen[[row["image"] for row in rows]], "image_sizes": torch.full((len(rows), 2), 2)}

    torch.manual_seed(0)
    return RatingHeads(model, pixels, SCALE, **options)  # type: ignore[arg-type]


def rows(count: int, **ratings: tuple[float, float | None]) -> list[dict[str, Any]]:
    return [{"image": number, "view": 0, "group": 0, "ratings": RATINGS | ratings} for number in range(count)]


def test_only_the_groups_that_are_asked_for_are_read() -> None:
    assert set(heads().heads(heads().tokens(rows(2)))) == {*TOKEN_GROUPS, ALL}
    alone = heads(groups=("thematic",))
    read = alone.heads(alone.tokens(rows(2)))
    assert set(read) == {"thematic", ALL} and torch.equal(read["thematic"], read[ALL])


def test_a_rating_is_told_as_a_distribution_or_as_its_nearest_level() -> None:
    """By what costs least: a head that says the distribution, or one that is sure of the level."""
    told = rows(1, aesthetic=(6.6, None))
    levels = torch.tensor(SCALE.level_distribution(6.6))
    place = list(SCALE.questions).index("aesthetic")

    def loss(reader: RatingHeads, shares: torch.Tensor) -> float:
        logits = torch.zeros(1, len(SCALE.questions), 5)
        logits[0, place] = shares.clamp(min=1e-6).log()
        return reader.rating_loss({ALL: logits, "thematic": logits}, told).item()

    sure = torch.tensor([0.0, 0, 0, 1, 0]) if SCALE.nearest_level(6.6) == 3 else torch.tensor([0.0, 0, 1, 0, 0])
    assert loss(heads(), levels) < loss(heads(), sure)
    assert loss(heads(soft_levels=False), levels) > loss(heads(soft_levels=False), sure)


def test_photos_are_ranked_by_what_people_rated_alone() -> None:
    """Logits of an attribute may be in any order at the same loss of ranks; of the whole photo they may not."""
    reader = heads()

    def loss(question: str, turned: bool) -> float:
        told = rows(2)
        for row, mean in zip(told, (3.0, 8.0), strict=True):
            row["ratings"] = {question: (mean, None)}
        logits = torch.zeros(2, len(SCALE.questions), 5)
        place = list(SCALE.questions).index(question)
        for number, mean in enumerate((8.0, 3.0) if turned else (3.0, 8.0)):
            logits[number, place] = torch.tensor(SCALE.level_distribution(mean)).clamp(min=0.02).log()
        return reader.rating_loss({ALL: logits, "thematic": logits}, told).item()

    def plain(question: str, turned: bool) -> float:
        reader.ranking, ranking = (lambda means, stds, labels, sources: torch.zeros(())), reader.ranking
        try:
            return loss(question, turned)
        finally:
            reader.ranking = ranking

    for question in WHOLE:
        assert loss(question, True) - plain(question, True) > loss(question, False) - plain(question, False) + 0.1
    assert loss("light", True) == pytest.approx(plain("light", True))


def test_the_ablation_leaves_one_part_out_at_a_time() -> None:
    whole = VARIANTS[FULL]
    assert whole.levels and whole.groups == TOKEN_GROUPS and whole.soft_levels
    for name, variant in VARIANTS.items():
        apart = [part for part in ("levels", "groups", "soft_levels") if getattr(variant, part) != getattr(whole, part)]
        # nothing that is aligned is read from the fully connected path
        assert apart == {FULL: [], "fully connected path only": ["levels", "groups"], "without soft levels": ["soft_levels"]}.get(
            name, ["levels"]
        )


def test_generated_images_have_heads_of_their_own_for_the_whole_image() -> None:
    """What they teach does not move a reading of photos, and the other way round; attributes are read by one head."""
    reader = heads()
    photo, image = rows(1)[0], rows(1)[0] | {"generated": True}
    for question in SCALE.questions:
        assert (reader.head(photo, question) == reader.head(image, question)) == (question not in WHOLE)
    optimizer = torch.optim.SGD(reader.heads.parameters(), 1.0)
    before = reader.means([photo, image])
    told = [{"image": 0, "view": 0, "group": 0, "generated": True, "ratings": {"quality": (9.0, None)}}]
    reader.rating_loss(reader.heads(reader.tokens(told)), told).backward()
    optimizer.step()
    moved = (reader.means([photo, image]) - before)[:, list(SCALE.questions).index("quality")]
    assert moved[0] == 0 and moved[1] > 0


def test_heads_learn_alone_from_tokens_that_are_given() -> None:
    reader = heads()
    kept = {group: [value.clone() for value in part.parameters()] for group, part in reader.parts.items()}
    told = [row | {"ratings": RATINGS | {"light": (9.0, None)}} for row in rows(64)]
    before = reader.means(told)[:, list(SCALE.questions).index("light")]
    reader.train_heads(told, 0.1, reader.tokens)
    assert reader.means(told)[:, list(SCALE.questions).index("light")].mean() > before.mean() + 0.1
    assert all(map(torch.equal, kept["projector"], reader.projector.parameters()))
    assert not all(map(torch.equal, kept["heads"], reader.heads.parameters()))


def test_ratings_of_another_source_are_as_high_on_average_as_predicted() -> None:
    """Their order and their distances stay, as far as the range allows."""
    raised = raised_to({"a": 7.0, "b": 8.0, "c": 6.0, "other": 1.0}, {"a": 5.0, "b": 6.0, "c": 4.0})
    assert raised == {"a": 7.0, "b": 8.0, "c": 6.0}
    assert raised_to({"a": 10.0, "b": 10.0}, {"a": 9.0, "b": 3.0}) == {"a": 10.0, "b": 7.0}
    assert raised_to({"a": 7.0}, {}) == {}
