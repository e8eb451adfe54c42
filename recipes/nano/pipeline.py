"""Stages that are run one after the other, each only if it has to be.

A stage that ended well leaves a mark in WORK/stages: a digest of all that it depends on (its settings, the seed, the tables of
DATA, and the marks of the stages whose files it needs), and digests of what it wrote. It is skipped while these still hold, so a
run that was broken off goes on where it was, and a changed setting runs the stages that depend on it again. A stage that fails
leaves no mark.
"""

import hashlib
import json
import logging
import resource
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

MARKS = "stages"  # folder below WORK: marks and logs


class StageError(RuntimeError):
    """A stage that cannot be run: it does not exist, or lacks something that it needs."""


@dataclass(frozen=True)
class Run:
    """What every stage is given.

    Args:
        data: folder of photos, ratings and texts; never written to.
        work: folder that stages write below.
        seed: of all chance.
        settings: by stage.
    """

    data: Path
    work: Path
    seed: int
    settings: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Stage:
    """One part of a recipe.

    Args:
        name: unique.
        about: what it does, in a line.
        data: files or folders below DATA that it needs.
        needs: files or folders below WORK that it needs; each is of an earlier stage.
        writes: files or folders below WORK that it makes.
        minutes: that it takes on two cores with bf16, as far as is known; the mark has the seconds that it took.
        work: does it; takes the run and the stage's settings as keywords.
        seeded: whether chance has a part in it; if not, its files hold for every seed.
    """

    name: str
    about: str
    data: tuple[str, ...]
    needs: tuple[str, ...]
    writes: tuple[str, ...]
    minutes: int
    work: Callable[..., None]
    seeded: bool = True


def run_stages(
    stages: Sequence[Stage],
    run: Run,
    first: str | None = None,
    last: str | None = None,
    seed_all: Callable[[int], object] = lambda seed: None,
) -> list[str]:
    """Runs stages in their order, but for those that are done.

    Args:
        first: run this one and all after it whether done or not; earlier ones must be done.
        last: stop after this one.
        seed_all: called before each stage with the run's seed.

    Returns:
        The names of the stages that were run.

    Raises:
        StageError: no such stage, `last` comes before `first`, something that a stage needs is missing, or WORK cannot be written
            to.
        Exception: whatever a stage raises.
    """
    names = [stage.name for stage in stages]
    for name in (first, last):
        if name is not None and name not in names:
            raise StageError(f"There is no stage {name!r}; choose one of {', '.join(names)}.")
    start, end = (0 if first is None else names.index(first)), (len(names) if last is None else names.index(last) + 1)
    if start >= end:
        raise StageError(f"--to {last} comes before --from {first}; the order is {', '.join(names)}.")
    if first is not None:
        undone = [stage.name for stage in stages[:start] if not is_done(stages, stage, run)]
        if undone:
            raise StageError(f"{first!r} cannot be started from: {', '.join(undone)} is not done; run without --from.")
    done = []
    for number, stage in enumerate(stages[:end], 1):
        again = first is not None and number > start
        if not again and is_done(stages, stage, run):
            logger.info("%02d %s: done already", number, stage.name)
            continue
        _run_stage(stages, number, stage, run, again, seed_all)
        done.append(stage.name)
    return done


def run_stage(stages: Sequence[Stage], name: str, run: Run, seed_all: Callable[[int], object] = lambda seed: None) -> bool:
    """Runs one stage, unless it is done; stages that need nothing of each other may so run side by side.

    Returns:
        Whether it was run.

    Raises:
        StageError: no such stage, or a stage whose files it needs is not done.
        Exception: whatever the stage raises.
    """
    numbers = {stage.name: number for number, stage in enumerate(stages, 1)}
    if name not in numbers:
        raise StageError(f"There is no stage {name!r}; choose one of {', '.join(numbers)}.")
    stage = stages[numbers[name] - 1]
    makers = {_maker(stages, needed).name: _maker(stages, needed) for needed in stage.needs}
    if undone := [maker.name for maker in makers.values() if not is_done(stages, maker, run)]:
        raise StageError(f"{name!r} cannot be run yet: {', '.join(undone)} is not done.")
    if is_done(stages, stage, run):
        logger.info("%02d %s: done already", numbers[name], name)
        return False
    _run_stage(stages, numbers[name], stage, run, False, seed_all)
    return True


def is_done(stages: Sequence[Stage], stage: Stage, run: Run) -> bool:
    """Whether a stage ended well with these settings, on what is there, and its files are still as it wrote them.

    All of them are read for this: half a minute for ten gigabytes.
    """
    mark = _read(_mark(run, stage))
    return (
        mark is not None
        and mark.get("key") == stage_key(stages, stage, run)
        and all((run.work / name).exists() for name in stage.writes)
        and mark.get("outputs") == {name: digest_of(run.work / name) for name in stage.writes}
    )


def stage_key(stages: Sequence[Stage], stage: Stage, run: Run) -> str:
    """A digest of all that a stage's files depend on."""
    makers = [_maker(stages, name) for name in stage.needs]
    marks = {maker.name: (_read(_mark(run, maker)) or {}).get("digest") for maker in makers}
    data = {name: _data_digest(run.data / name) for name in stage.data}
    told = {
        "seed": run.seed if stage.seeded else 0,
        "settings": dict(run.settings.get(stage.name, {})),
        "data": data,
        "before": marks,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def list_stages(stages: Sequence[Stage], run: Run | None = None) -> str:
    """A line or two for each stage: what it does, needs and writes; with a run also whether it is done."""
    lines = []
    for number, stage in enumerate(stages, 1):
        state = "" if run is None else "  [done]" if is_done(stages, stage, run) else "  [to do]"
        needs = ", ".join([*(f"DATA/{name}" for name in stage.data), *stage.needs]) or "nothing"
        lines.append(f"{number:02d} {stage.name} ({stage.minutes} min): {stage.about}{state}")
        lines.append(f"   needs {needs}; writes {', '.join(stage.writes)}")
    return "\n".join(lines)


def check_stages(stages: Sequence[Stage]) -> None:
    """Raises [`StageError`] where a stage needs what no earlier one writes, or two have one name or write the same."""
    written: set[str] = set()
    for number, stage in enumerate(stages):
        if stage.name in [other.name for other in stages[:number]]:
            raise StageError(f"Two stages are called {stage.name!r}.")
        if missing := [name for name in stage.needs if name not in written]:
            raise StageError(f"{stage.name}: needs {', '.join(missing)}, which no earlier stage writes.")
        if twice := written & set(stage.writes):
            raise StageError(f"{stage.name}: writes {', '.join(sorted(twice))}, as an earlier stage does.")
        written |= set(stage.writes)


def _run_stage(
    stages: Sequence[Stage], number: int, stage: Stage, run: Run, again: bool, seed_all: Callable[[int], object]
) -> None:
    for root, name in [*((run.data, name) for name in stage.data), *((run.work, name) for name in stage.needs)]:
        if not (root / name).exists():
            of = f"; the stage {_maker(stages, name).name!r} writes it" if root == run.work else ""
            raise StageError(f"{stage.name}: needs {root / name}, which is not there{of}.")
    folder = run.work / MARKS
    key = stage_key(stages, stage, run)
    mark, begun = _mark(run, stage), folder / f"{stage.name}.begun"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.unlink(missing_ok=True)
        # what a broken-off run of the same stage left it may go on from; of others it must not
        if again or not begun.exists() or begun.read_text(errors="replace") != key:
            for name in stage.writes:
                _remove(run.work / name)
        begun.write_text(key)
        log = logging.FileHandler(folder / f"{number:02d}_{stage.name}.log", encoding="utf-8")
    except OSError as error:
        raise StageError(
            f"{run.work} cannot be written to ({error.filename}: {error.strerror}); give another folder with --work."
        ) from error
    log.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    logging.getLogger().addHandler(log)
    start, processors = time.monotonic(), _processor_seconds()
    try:
        logger.info("%02d %s: %s", number, stage.name, stage.about)
        seed_all(run.seed)
        stage.work(run, **run.settings.get(stage.name, {}))
        missing = [name for name in stage.writes if not (run.work / name).exists()]
        if missing:
            raise StageError(f"{stage.name}: ended without writing {', '.join(missing)}.")
        seconds = round(time.monotonic() - start, 1)
        outputs = {name: digest_of(run.work / name) for name in stage.writes}
        busy = round(_processor_seconds() - processors, 1)
        told = {"key": key, "seconds": seconds, "processor_seconds": busy, "outputs": outputs}
        told["digest"] = hashlib.sha256(json.dumps(told["outputs"], sort_keys=True).encode()).hexdigest()
        mark.write_text(json.dumps(told, indent=2) + "\n")
        begun.unlink()
        logger.info("%02d %s: %.0f s, %.0f s of processors", number, stage.name, seconds, busy)
    finally:
        logging.getLogger().removeHandler(log)
        log.close()


def _processor_seconds() -> float:
    """Of this process and its children that have ended: what a stage costs, whatever else the machine does meanwhile."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder's file names and contents."""
    if path.is_file():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    found = hashlib.sha256()
    for file in sorted(part for part in path.rglob("*") if part.is_file()):
        found.update(f"{file.relative_to(path)} {digest_of(file)}\n".encode())
    return found.hexdigest()


def _data_digest(path: Path) -> str | None:
    """Of a table its digest, of a folder of photos that of their names."""
    if path.is_dir():
        return hashlib.sha256("\n".join(sorted(part.name for part in path.iterdir())).encode()).hexdigest()
    return digest_of(path) if path.is_file() else None


def _maker(stages: Sequence[Stage], name: str) -> Stage:
    return next(stage for stage in stages if name in stage.writes)


def _mark(run: Run, stage: Stage) -> Path:
    return run.work / MARKS / f"{stage.name}.json"


def _read(path: Path) -> dict[str, Any] | None:
    """A mark; `None` where there is none, or a damaged one."""
    try:
        mark = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return mark if isinstance(mark, dict) else None


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
