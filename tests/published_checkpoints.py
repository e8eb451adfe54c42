"""Checkpoints as they are published, and a process that runs commands against a Hub of the tests."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aesthetic_mllm.checkpoints.names import weights_digest
from aesthetic_mllm.publishing.report import DataSummary, Measure, Report, Result
from fake_hub import FakeHub

CARD = """\
---
license: cc-by-nc-4.0
library_name: transformers
pipeline_tag: image-text-to-text
model-index:
- name: mine
  results:
  - task:
      type: image-text-to-text
    dataset:
      name: BIQ2021
      type: biq2021
    metrics:
    - type: srcc
      value: 0.838
---

# mine

Rates photos.
"""
RESULTS = "- dataset:\n    id: me/benchmark\n    task_id: ratings\n  value: 0.838\n"
# Runs the command line again and again, each with another token; the client's waiting between its tries alone is cut short.
SERVE = """
import contextlib, io, json, os, sys, time
time.sleep = lambda seconds: None
from aesthetic_mllm.cli.main import main
for line in sys.stdin:
    token, words = json.loads(line)
    os.environ.pop("HF_TOKEN", None)
    if token:
        os.environ["HF_TOKEN"] = token
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


def report(name: str = "mine", digest: str = "") -> Report:
    """A small one.

    Args:
        digest: of the weights that it is about.
    """
    result = Result("ratings", "biq2021", "quality", "all", name, 3, "photos", {"srcc": Measure(0.838, (0.8, 0.87))})
    data = {"biq2021": DataSummary("test", 3)}
    return Report(
        {"name": name, "digest": digest}, {"python": "3.11"}, "Linux", "2026-11-30T00:00:00Z", {"ratings": 1.0}, data, (result,)
    )


def documented(folder: Path, name: str = "mine") -> Path:
    """The folder, with card, licence, report and a benchmark's results."""
    (folder / "README.md").write_text(CARD)
    (folder / "LICENSE").write_text("The terms of these weights.\n")
    report(name, weights_digest(folder) or "").save(folder / "report.json")
    (folder / "card_facts.yaml").write_text("licence: cc-by-nc-4.0\n")
    (folder / ".eval_results").mkdir(exist_ok=True)
    (folder / ".eval_results" / "benchmark.yaml").write_text(RESULTS)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """What is in a folder, by path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def environment_of(hub: FakeHub, home: Path, **variables: str) -> dict[str, str]:
    """Of a process that takes a server for the Hub, with an empty cache below `home` and no token."""
    helpers = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
    own = {"HF_HOME": str(home), "PYTHONPATH": os.pathsep.join(helpers), **hub.environment}
    return {**kept, **own, **variables}


@dataclass
class Commands:
    """A process that runs commands."""

    process: subprocess.Popen[str]

    def run(self, *words: object, token: str | None = "secret") -> tuple[int, str, str]:
        """Exit code, output, error stream of `aesthetic-mllm WORDS`."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([token, [str(word) for word in words]]) + "\n")
        self.process.stdin.flush()
        while not (line := self.process.stdout.readline()).startswith("["):
            assert line, "the process has ended"
        code, out, err = json.loads(line)
        assert "Traceback" not in err, err
        return code, out, err


@contextmanager
def commands(environment: dict[str, str]) -> Iterator[Commands]:
    """A process that runs commands with these variables."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", SERVE], env=environment, text=True, **pipes) as process:  # type: ignore[call-overload]
        yield Commands(process)
        process.stdin.close()
