"""Recipes: typed, flat, overridable, and errors that name the key, the value and the remedy."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.pretext.photo_pool import PhotoPoolError
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.trainers.recipe_parser import RecipeError, save_recipe
from aesthetic_mllm.trainers.recipes import (
    AlignmentRecipe,
    checkpoint_to_resume,
    load_model,
    open_pretext_samples,
    read_recipe,
)
from synthetic_photos import scene_photo

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*/align.yaml"))
LEAST = {"model": "some-model", "data": ["photos"], "output_dir": "out", "use_cpu": True, "bf16": False}


def recipe_values(path: Path, overrides: list[str] | None = None, smoke_test: bool = False) -> dict[str, Any]:
    """All values that a recipe gives."""
    return AlignmentRecipe.read(path, overrides or [], smoke_test)[2]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a recipe, by default the least one, into the working folder."""
    monkeypatch.chdir(tmp_path)

    def recipe(raw: str | None = None, /, **values: Any) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(raw if raw is not None else yaml.safe_dump(LEAST | values))
        return path

    return recipe


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        scene_photo(72 + 4 * number, 64).save(folder / f"{number}.png")
    (folder / "0broken.png").write_bytes(b"no photo")
    return folder


def test_a_recipe_fills_both_dataclasses(write: Any) -> None:
    recipe, config = read_recipe(write(per_device_train_batch_size=4, statistics_photos=7))
    assert (recipe.model, recipe.data, recipe.statistics_photos) == ("some-model", ["photos"], 7)
    assert (config.per_device_train_batch_size, config.output_dir, config.learning_rate) == (4, "out", 5e-4)


def test_overrides_come_before_the_recipe_and_are_yaml(write: Any) -> None:
    """Lists, numbers YAML takes for text, text YAML takes for something else, a single value in the place of a list."""
    overrides = ["data=[a, b]", "learning_rate=1e-3", "save_strategy=no", "output_dir=2024", "exclude=null", "seed=3"]
    recipe, config = read_recipe(write(exclude="names.txt", seed=1), overrides)
    assert recipe.data == ["a", "b"] and recipe.exclude is None
    assert (config.learning_rate, config.save_strategy, config.output_dir, config.seed) == (1e-3, "no", "2024", 3)
    assert read_recipe(write(), ["data=only one"])[0].data == ["only one"]
    raw = "model: 7\ndata: 2024\noutput_dir: 1.10\nsave_strategy: no\nlearning_rate: 5e-4\nlr_scheduler_kwargs: {num_cycles: 2}\n"
    recipe, config = read_recipe(write(raw))
    assert (recipe.model, recipe.data, config.output_dir, config.save_strategy) == ("7", ["2024"], "1.10", "no")
    assert config.learning_rate == 5e-4 and config.lr_scheduler_kwargs == {"num_cycles": 2}
    assert read_recipe(write(report_to=["tensorboard", "wandb"]))[1].report_to == ["tensorboard", "wandb"]


def test_a_trial_run_is_small_unless_the_command_line_says_otherwise(write: Any) -> None:
    values = recipe_values(write(max_steps=900, per_device_train_batch_size=64), ["max_steps=5"], smoke_test=True)
    assert values == LEAST | AlignmentRecipe.SMOKE_TEST | {"max_steps": 5}


def test_the_saved_recipe_is_the_one_that_ran_and_does_not_resume(write: Any, tmp_path: Path) -> None:
    values = recipe_values(write(resume=True), ["learning_rate=1e-3"])
    save_recipe(tmp_path / "saved.yaml", values)
    again = recipe_values(tmp_path / "saved.yaml")
    assert again == {key: value for key, value in values.items() if key != "resume"}
    assert again["learning_rate"] == 1e-3


@pytest.mark.parametrize(
    ("values", "overrides", "message"),
    [
        ({"learning_rat": 1}, [], "recipe.yaml: learning_rat: no such key; did you mean learning_rate?"),
        ({}, ["statistic=a"], "statistic: no such key; did you mean statistics?"),
        ({"max_steps": "many"}, [], "recipe.yaml: max_steps: 'many', expected a whole number"),
        ({"max_steps": True}, [], "max_steps: 'true', expected a whole number"),
        ({"max_steps": None}, [], "max_steps: None, expected a whole number"),
        ({"max_steps": [1, 2]}, [], r"max_steps: \['1', '2'\], expected a whole number"),
        ({"learning_rate": {"low": 1}}, [], "learning_rate: {'low': 1}, expected a number"),
        ({"model": ["a", "b"]}, [], r"model: \['a', 'b'\], expected text"),
        ({"data": [{"source": "own"}]}, [], r"data: \[{'source': 'own'}\], expected a list of texts"),
        ({"save_strategy": False}, [], "save_strategy: 'false', expected no or steps or epoch or best"),
        ({}, ["bf16=yes please"], "bf16: 'yes please', expected true or false"),
        ({}, ["data"], "'data' is no override; write key=value"),
        ({}, ["data=a", "data=b"], r"data: given twice.*data=\[a,b\]"),
        ({"data": []}, [], "data: an empty list"),
        ({}, ["output_dir=null"], "no 'output_dir'; add it to the recipe, or output_dir="),
        ({"vision": "a"}, [], "model: cannot be given together with vision"),
        ({}, ["model=null"], "model: missing; name a checkpoint, or name both vision and text"),
        ({"pairs": "a.json"}, [], "pairs_images: missing"),
        ({"statistics_photos": 0}, [], "statistics_photos: 0; give 1 or more"),
        ({"levels": ["low", "deep"]}, [], "levels: deep; the levels are low, middle, high"),
        ({"levels": []}, [], "levels: an empty list"),
        ({"lr_scheduler_type": "cosin"}, [], "lr_scheduler_type: cosin is not a valid .*'cosine'"),
        ({"dataloader_persistent_workers": True, "dataloader_num_workers": 1}, [], "dataloader_persistent_workers: true; such"),
        ({"eval_strategy": "epoch"}, [], "eval_strategy: epoch; alignment has no photos to evaluate on"),
    ],
)
def test_wrong_recipes_are_named(write: Any, values: dict[str, Any], overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(write(**values), overrides)


def test_a_missing_key_is_named(write: Any) -> None:
    with pytest.raises(RecipeError, match="no 'data'; add it to the recipe, or data=... to the command line"):
        read_recipe(write("model: a\noutput_dir: b\n"))


@pytest.mark.parametrize(("text", "message"), [("- a", "holds a list"), ("", "holds nothing"), ("a: [", "not a readable YAML")])
def test_what_is_no_recipe(write: Any, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(write(text))
    with pytest.raises(RecipeError, match="missing.yaml: not a readable YAML"):
        read_recipe("missing.yaml")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_the_projects_recipes_are_right(path: Path) -> None:
    recipe, config = read_recipe(path, ["bf16=false"])
    assert config.learning_rate == 5e-4 and config.per_device_train_batch_size == 32
    assert recipe.model or (recipe.vision and recipe.text)


def test_pretext_samples_of_a_recipe(write: Any, photos: Path) -> None:
    """Excluded photos are out, broken ones named, contents sorted, statistics measured or read, the seed the training's."""
    (photos.parent / "names.txt").write_text("3.png\n\n")
    (photos.parent / "contents.json").write_text(json.dumps({"photos/0.png": "a dog", "photos/1.png": "a cat"}))
    path = write(exclude="names.txt", contents="contents.json", per_device_train_batch_size=2, seed=5)
    pretext_samples = open_pretext_samples(*read_recipe(path))
    assert len(pretext_samples.dataset) == 4 and pretext_samples.unreadable == {"photos/0broken.png"}
    assert pretext_samples.contents == ("a cat", "a dog") and pretext_samples.dataset.maker.seed == 5
    assert set(pretext_samples.statistics.cuts) >= set(pretext_samples.bank.attributes)
    pretext_samples.statistics.save(photos.parent / "statistics.json")
    assert open_pretext_samples(*read_recipe(path, ["statistics=statistics.json"])).statistics == pretext_samples.statistics


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"data": ["nowhere"]}, PhotoPoolError, "nowhere: no such file or folder"),
        ({"data": ["empty"]}, PhotoPoolError, "empty: no photos"),
        ({"data": ["broken"]}, PhotoPoolError, "The pool's only photo, broken/a.png, cannot be read"),
        ({"exclude": "none.txt"}, RecipeError, "exclude: none.txt is not a readable text file"),
        ({"statistics": "none.json"}, RecipeError, "statistics: none.json is not a readable file.*take the key out"),
        ({"statistics": "some.json"}, RecipeError, "statistics: some.json lacks brightness"),
        ({"bank": "none.yaml"}, RecipeError, "bank: none.yaml is not a readable phrase bank"),
        ({"reworded": "none.jsonl"}, RecipeError, "reworded: no file none.jsonl"),
        ({"contents": "none.json"}, ValueError, "none.json: not a readable JSON file"),
        ({"pairs": "none.json", "pairs_images": "photos"}, PhotoPoolError, "none.json: not a readable JSON file"),
        ({"per_device_train_batch_size": 8}, RecipeError, "data: 5 photos, fewer than one batch of 8"),
    ],
)
def test_wrong_data_are_named(write: Any, photos: Path, values: dict[str, Any], error: type[Exception], message: str) -> None:
    (photos.parent / "empty").mkdir()
    (photos.parent / "broken").mkdir()
    (photos.parent / "broken" / "a.png").write_bytes(b"no photo")
    cuts = {name: (0.0, 1.0, 2.0, 3.0) for name in PhraseBank().attributes if name != "brightness"}
    PoolStatistics(cuts).save(photos.parent / "some.json")
    recipe, config = read_recipe(write(**{"per_device_train_batch_size": 1} | values))
    with pytest.raises(error, match=message):
        open_pretext_samples(recipe, config)


def test_resuming_needs_a_checkpoint(write: Any, tmp_path: Path) -> None:
    path = write(resume=True)
    with pytest.raises(RecipeError, match="resume: out holds no checkpoint"):
        checkpoint_to_resume(*read_recipe(path))
    for step in (9, 10):
        (tmp_path / "out" / f"checkpoint-{step}").mkdir(parents=True)
    assert checkpoint_to_resume(*read_recipe(path)) == str(Path("out") / "checkpoint-10")
    assert checkpoint_to_resume(*read_recipe(path, ["resume=false"])) is None
    with pytest.raises(RecipeError, match="resume_from_checkpoint: nowhere is no folder"):
        checkpoint_to_resume(*read_recipe(path, ["resume_from_checkpoint=nowhere"]))


def test_models_of_a_recipe(write: Any, checkpoint: Path) -> None:
    model, processor = load_model(read_recipe(write(model=str(checkpoint)))[0])
    assert model.config.image_token_id == processor.image_token_id
    with pytest.raises(RecipeError, match="model: no/such/model: cannot be loaded; give a checkpoint's folder"):
        load_model(read_recipe(write(model="no/such/model"))[0])
    with pytest.raises(RecipeError, match="vision: no/tower, text: no/language: cannot be loaded"):
        load_model(read_recipe(write(model=None, vision="no/tower", text="no/language"))[0])
