"""What a training run tells its card: names but no paths of the machine, terms of the data, results before and after."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from datasets import Dataset

from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.modeling.checkpoint_documents import CARD_FACTS, read_documents
from aesthetic_mllm.publishing.card import EMBEDDED
from aesthetic_mllm.publishing.card_facts import CardFacts
from aesthetic_mllm.trainers.run_facts import BEFORE, licences_of, questions_of, recipe_facts, run_facts, run_report


def correlation(value: float | None) -> dict[str, object]:
    interval = None if value is None else [value - 0.1, value + 0.1]
    return {"n": 9, "srcc": value, "srcc_interval": interval, "plcc": value, "plcc_interval": interval}


def trainer_from(start: str) -> SimpleNamespace:
    """As much of a trainer as facts are taken from."""
    state = SimpleNamespace(
        global_step=30, epoch=2.0, best_global_step=20, log_history=[{"loss": 2.0}, {"loss": 1.0}, {"eval": 0}]
    )
    args = SimpleNamespace(
        load_best_model_at_end=True, world_size=2, learning_rate=5e-5, seed=0, bf16=False, level_loss_weight=1.0
    )
    model = SimpleNamespace(name_or_path=start, documents=read_documents(start) if Path(start).is_dir() else {})
    return SimpleNamespace(model=model, state=state, args=args)


def test_a_recipe_names_its_data_and_their_terms() -> None:
    recipe = SimpleNamespace(
        model=str(embedded_checkpoint()),
        data=[
            {"source": "own", "root": "/somewhere/ratings.csv", "tasks": ["score", "compare"]},
            {"source": "ava", "root": "/somewhere/AVA"},
            "/somewhere/preferences.csv",
        ],
    )
    facts = recipe_facts(recipe)
    assert facts.start == EMBEDDED and facts.base_models == ()
    assert [one.source.split(" (")[0] for one in facts.training_data] == [
        "own table, ratings.csv", "ava, split train", "own files, preferences.csv",
    ]  # fmt: skip
    assert facts.training_data[0].learned == "score, compare" and facts.training_data[1].terms
    assert "somewhere" not in repr(facts) and str(embedded_checkpoint()) not in repr(facts)


def test_parts_of_the_hub_are_base_models() -> None:
    facts = recipe_facts(SimpleNamespace(vision="google/tower", text="owner/words", data=[]))
    assert facts.base_models == ("google/tower", "owner/words") and facts.start == ""
    assert recipe_facts(SimpleNamespace(model="owner/model", data=[]), smoke_test=True).base_models == ()


def test_a_run_tells_its_settings() -> None:
    facts = run_facts(trainer_from("owner/model"), CardFacts(settings={"machine": "mine"}))
    assert facts.start == "owner/model" and facts.base_models == ("owner/model",)
    settings = {
        "steps": "30 (2.00 epochs)", "step that was kept": "20", "processes": "2", "learning_rate": "5e-05", "seed": "0",
        "logged loss, first and last": "2.000, 1.000", "machine": "mine",
    }  # fmt: skip
    assert settings.items() <= facts.settings.items() and "bf16" not in facts.settings


@pytest.mark.parametrize("form", ["facts", "card", "nothing"])
def test_the_licence_is_that_of_the_start(tmp_path: Path, form: str) -> None:
    if form == "facts":
        CardFacts(licence="mit").save(tmp_path / CARD_FACTS)
    if form == "card":
        (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n\n# A card\n")
    facts = run_facts(trainer_from(str(tmp_path)), CardFacts())
    assert facts.licence == ("" if form == "nothing" else "mit") and facts.start == tmp_path.name
    assert run_facts(trainer_from(str(tmp_path)), CardFacts(licence="apache-2.0")).licence == "apache-2.0"


def test_results_before_and_after_are_a_report(tmp_path: Path) -> None:
    told = {
        "evaluated_on": "test",
        "before": {"ava": correlation(0.4), "own": correlation(None)},
        "after": {"ava": correlation(0.6), "own": correlation(0.2)},
        "seen_by_start": {"ava": {"photos": 9, "seen": 3}},
    }
    report = run_report("mine", tmp_path, told, {"ava": "aesthetic", "own": "quality"}, licences_of(["ava", "own"]))
    assert report is not None
    found = [(result.data, result.system, result.measures["srcc"].value) for result in report.find(task="ratings", part="all")]
    assert found == [("ava", "mine", 0.6), ("ava", BEFORE, 0.4), ("own", "mine", 0.2)]
    assert (report.data["ava"].seen, report.data["own"].seen, report.data["ava"].split) == (3, None, "test")
    assert report.data["ava"].licence and not report.data["own"].licence
    assert run_report("mine", tmp_path, told | {"before": {}, "after": {}}, {}) is None


def test_questions_of_evaluation_sets() -> None:
    sets = {
        "one": Dataset.from_dict({"question": ["quality", "quality"]}),
        "two": Dataset.from_dict({"question": ["a", "", "b"]}),
    }
    assert questions_of(sets) == {"one": "quality", "two": "a, b"}
