"""Cached features stand in for photos, also for mirrored ones."""

from pathlib import Path

import numpy as np
import pytest

from recipes.nano.features import CANVAS, FEATURES, LAYERS, SHAPES, SIZE, FeatureCache, UpperTower, views_of
from recipes.nano.rated_photos import Photo


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    """One photo, half as wide as the canvas, whose features are chance."""
    folder = tmp_path / FEATURES
    folder.mkdir()
    np.save(folder / "view0.npy", np.random.default_rng(0).normal(size=(1, SIZE)).astype(np.float16))
    np.save(folder / "sizes0.npy", np.array([[CANVAS, CANVAS // 2]]))
    np.save(folder / "pooled.npy", np.zeros((1, 3)))
    return FeatureCache(tmp_path, [Photo(tmp_path / "biq2021" / "ss03_0001.webp", "ss03_0001.webp")])


def maps(cache: FeatureCache, **row: object) -> list[np.ndarray]:
    """[h, w, C] of both layers, as the upper tower reads them."""
    inputs = cache.pixels([{"image": "ss03_0001.webp", "view": 0, **row}])

    class Tower:
        config = None
        stages = ()

    tower = UpperTower(Tower())  # type: ignore[arg-type]
    tower.stages = []
    found = tower(inputs["pixel_values"], inputs["image_sizes"]).feature_maps
    return [found[layer][0].permute(1, 2, 0).numpy() for layer in LAYERS]


def test_a_mirrored_photo_is_turned_round_within_its_own_cells(cache: FeatureCache) -> None:
    for plain, mirrored, shape in zip(maps(cache), maps(cache, mirrored=True), SHAPES, strict=True):
        columns = shape[1] // 2
        assert plain.shape == mirrored.shape == shape
        assert np.array_equal(mirrored[:, :columns], plain[:, :columns][:, ::-1])
        assert np.array_equal(mirrored[:, columns:], plain[:, columns:])


def test_photos_that_are_validated_on_have_no_crops(tmp_path: Path) -> None:
    views = {name: views_of(Photo(tmp_path / "oasis_beauty" / name, name)) for name in ("oasis_0002.webp", "oasis_0003.webp")}
    assert views == {"oasis_0002.webp": 1, "oasis_0003.webp": 4}
