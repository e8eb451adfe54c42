"""Stages are run if they have to be: after a failure, a change, or by name; and no more often."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recipes.nano.pipeline import Run, Stage, StageError, check_stages, is_done, list_stages, run_stage, run_stages


class Kitchen:
    """Three stages that count how often they are run, each of which adds to what the one before wrote."""

    def __init__(self, folder: Path):
        self.calls: list[str] = []
        self.seeds: list[int] = []
        self.broken = False
        (folder / "data").mkdir()
        (folder / "data" / "flour.csv").write_text("wheat")
        self.run_of = Run(folder / "data", folder / "work", 7, {"knead": {"minutes": 2}, "bake": {"degrees": 200}})
        self.stages = (
            Stage("mix", "flour and water", ("flour.csv",), (), ("dough",), 1, self.mix),
            Stage("knead", "for some minutes", (), ("dough",), ("loaf/shape.txt", "loaf"), 2, self.knead),
            Stage("bake", "at some degrees", (), ("loaf",), ("bread",), 3, self.bake),
        )

    def mix(self, run: Run) -> None:
        self.calls.append("mix")
        (run.work / "dough").write_text((run.data / "flour.csv").read_text())

    def knead(self, run: Run, minutes: int) -> None:
        self.calls.append("knead")
        (run.work / "loaf").mkdir(exist_ok=True)
        (run.work / "loaf" / "shape.txt").write_text("knead " * minutes + (run.work / "dough").read_text())

    def bake(self, run: Run, degrees: int) -> None:
        self.calls.append("bake")
        (run.work / "bread").write_text("half")
        if self.broken:
            raise RuntimeError("the oven is out")
        (run.work / "bread").write_text(f"{degrees} " + (run.work / "loaf" / "shape.txt").read_text())

    def go(self, **options: Any) -> list[str]:
        self.calls.clear()
        done = run_stages(self.stages, self.run_of, seed_all=self.seeds.append, **options)
        assert done == self.calls
        return done

    def set(self, stage: str, **settings: Any) -> None:
        self.run_of = replace(self.run_of, settings={**self.run_of.settings, stage: settings})


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path)


def test_what_is_done_is_not_done_again(kitchen: Kitchen) -> None:
    """Each stage is seeded and logged, and its mark says how long it took and what it wrote."""
    assert kitchen.go() == ["mix", "knead", "bake"] and kitchen.seeds == [7, 7, 7]
    bread = kitchen.run_of.work / "bread"
    assert bread.read_text() == "200 knead knead wheat"
    assert kitchen.go() == []
    marks = kitchen.run_of.work / "stages"
    mark = json.loads((marks / "bake.json").read_text())
    assert mark["outputs"].keys() == {"bread"} and mark["seconds"] >= 0 and mark["processor_seconds"] >= 0
    assert sorted(path.name for path in marks.glob("*.log")) == ["01_mix.log", "02_knead.log", "03_bake.log"]


def test_a_change_runs_what_depends_on_it(kitchen: Kitchen) -> None:
    """A setting, a table of the data, a file that is gone or no longer what was written. A stage whose result is the same starts
    none after it."""
    kitchen.go()
    kitchen.set("bake", degrees=180)
    assert kitchen.go() == ["bake"]
    kitchen.set("knead", minutes=3)
    assert kitchen.go() == ["knead", "bake"]
    (kitchen.run_of.data / "flour.csv").write_text("rye")
    assert kitchen.go() == ["mix", "knead", "bake"]
    (kitchen.run_of.work / "dough").unlink()
    assert kitchen.go() == ["mix"]
    (kitchen.run_of.work / "loaf" / "shape.txt").write_text("fallen on the floor")
    assert kitchen.go() == ["knead"]
    kitchen.run_of = replace(kitchen.run_of, seed=8)
    assert kitchen.go() == ["mix", "knead", "bake"]
    kitchen.stages = (replace(kitchen.stages[0], seeded=False), *kitchen.stages[1:])
    kitchen.go()
    kitchen.run_of = replace(kitchen.run_of, seed=9)
    assert kitchen.go() == ["knead", "bake"]  # chance has no part in mixing


def test_a_stage_that_fails_is_not_done(kitchen: Kitchen) -> None:
    """Nor was it before, if it is run again and fails then; what it left does not count, and the next run goes on from there."""
    kitchen.broken = True
    with pytest.raises(RuntimeError, match="oven"):
        kitchen.go()
    bake = kitchen.stages[2]
    assert (kitchen.run_of.work / "bread").read_text() == "half"
    assert not is_done(kitchen.stages, bake, kitchen.run_of) and not (kitchen.run_of.work / "stages" / "bake.json").exists()
    assert "bake (3 min): at some degrees  [to do]" in list_stages(kitchen.stages, kitchen.run_of)
    kitchen.broken = False
    assert kitchen.go() == ["bake"] and is_done(kitchen.stages, bake, kitchen.run_of)
    kitchen.broken = True
    with pytest.raises(RuntimeError, match="oven"):
        kitchen.go(first="bake")
    assert not is_done(kitchen.stages, bake, kitchen.run_of)


def test_what_a_broken_run_left_is_kept_only_for_the_same_run(kitchen: Kitchen) -> None:
    left: list[bool] = []

    def bake(run: Run, degrees: int) -> None:
        kitchen.calls.append("bake")
        left.append((run.work / "bread").exists())
        (run.work / "bread").write_text("half")
        if kitchen.broken:
            raise RuntimeError("the oven is out")

    kitchen.stages = (*kitchen.stages[:2], replace(kitchen.stages[2], work=bake))
    kitchen.broken = True
    for degrees in (200, 200, 190):
        kitchen.set("bake", degrees=degrees)
        with pytest.raises(RuntimeError, match="oven"):
            kitchen.go()
    assert left == [False, True, False]


def test_from_and_to(kitchen: Kitchen) -> None:
    with pytest.raises(StageError, match="'knead' cannot be started from: mix is not done"):
        kitchen.go(first="knead")
    assert kitchen.go(last="knead") == ["mix", "knead"]
    assert kitchen.go(first="knead", last="knead") == ["knead"]
    assert kitchen.go(first="knead") == ["knead", "bake"]
    with pytest.raises(StageError, match="no stage 'kned'; choose one of mix, knead, bake"):
        kitchen.go(first="kned")


def test_a_stage_alone(kitchen: Kitchen) -> None:
    """It is run if what it needs is done and it is not, with the mark that it gets beside the others."""

    def alone(name: str) -> bool:
        return run_stage(kitchen.stages, name, kitchen.run_of)

    with pytest.raises(StageError, match="'knead' cannot be run yet: mix is not done"):
        alone("knead")
    assert [alone("mix"), alone("mix"), alone("knead")] == [True, False, True] and kitchen.calls == ["mix", "knead"]
    assert kitchen.go() == ["bake"]
    with pytest.raises(StageError, match="no stage 'kned'; choose one of mix, knead, bake"):
        alone("kned")


def test_what_is_missing_is_named(kitchen: Kitchen) -> None:
    (kitchen.run_of.data / "flour.csv").unlink()
    with pytest.raises(StageError, match="mix: needs .*flour.csv, which is not there"):
        kitchen.go()
    idle = replace(kitchen.stages[0], data=(), work=lambda run: None)
    with pytest.raises(StageError, match="mix: ended without writing dough"):
        run_stages([idle], kitchen.run_of)


def test_stages_that_do_not_fit_together_are_named(kitchen: Kitchen) -> None:
    mix, knead, bake = kitchen.stages
    check_stages(kitchen.stages)
    for stages, message in (
        ((knead, mix), "knead: needs dough, which no earlier stage writes"),
        ((mix, mix), "Two stages are called 'mix'"),
        ((mix, replace(mix, name="again")), "again: writes dough, as an earlier stage does"),
    ):
        with pytest.raises(StageError, match=message):
            check_stages(stages)


def test_stages_that_end_before_they_begin_are_refused(kitchen: Kitchen) -> None:
    kitchen.go()
    with pytest.raises(StageError, match="--to mix comes before --from bake"):
        kitchen.go(first="bake", last="mix")


def test_a_folder_that_cannot_be_made_is_named(kitchen: Kitchen) -> None:
    kitchen.run_of = replace(kitchen.run_of, work=kitchen.run_of.data / "flour.csv" / "work")
    with pytest.raises(StageError, match="work cannot be written to"):
        kitchen.go()


def test_a_file_that_cannot_be_written_is_named(kitchen: Kitchen) -> None:
    (kitchen.run_of.work / "stages" / "01_mix.log").mkdir(parents=True)
    with pytest.raises(StageError, match=r"work cannot be written to \(.*01_mix.log: Is a directory\)"):
        kitchen.go()


@pytest.mark.parametrize("text", [b'{"key": "1', b"{}", b"[]", b'"x"', b"\xff\xfe"])
def test_a_damaged_mark_is_none(text: bytes, kitchen: Kitchen) -> None:
    """Such as one whose writing was broken off."""
    kitchen.go()
    (kitchen.run_of.work / "stages" / "bake.json").write_bytes(text)
    assert kitchen.go() == ["bake"]
