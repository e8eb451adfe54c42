"""Runs the commands whose output README and the pages of docs/ show, and writes what they print into the pages; the card too.

    python docs/refresh_outputs.py               # the outputs in README.md and docs/*.md
    python docs/refresh_outputs.py --pictures    # the pictures too, which takes some minutes
    python docs/refresh_outputs.py --report evaluation/report.json    # the embedded checkpoint's card alone, from a new report
    python docs/refresh_outputs.py --check       # writes nothing, and fails where a page shows something else

Only blocks of the language `text` whose lines begin with "$ aesthetic-mllm" are touched. A block of the language `csv` on a page
is the file `ratings.csv` that the page's commands read.
"""

import argparse
import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EMBEDDED = ROOT / "src" / "aesthetic_mllm" / "checkpoints" / "nano"
CARDS = (EMBEDDED / "README.md", ROOT / "model_card.md")
WIDTH = 96  # columns that fit into a code block on GitHub
PROMPT = "$ "
PRETEXT_SAMPLES = ("coffee.jpg", "chelsea.jpg", "camera.jpg")  # from examples/photos

Runner = Callable[[list[str]], str]


def pages() -> list[Path]:
    """README and the pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(text: str, language: str) -> list[str]:
    """Contents of the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)


def shows_output(text: str) -> bool:
    """Whether a page shows what a command prints."""
    return any(block.startswith(f"{PROMPT}aesthetic-mllm ") for block in blocks(text, "text"))


def refreshed(text: str, run: Runner) -> str:
    """The page's text with what its commands print now.

    Args:
        run: gives the output of a command, whose arguments it is told, in the current folder.
    """

    def renew(match: re.Match[str]) -> str:
        block = match[1]
        if not block.startswith(f"{PROMPT}aesthetic-mllm "):
            return match[0]
        commands = [line for line in block.splitlines() if line.startswith(PROMPT)]
        outputs = [f"{command}\n{run(shlex.split(command.removeprefix(PROMPT))[1:]).rstrip()}\n" for command in commands]
        return "```text\n" + "\n".join(outputs) + "```"

    return re.sub(r"^```text\n(.*?)^```$", renew, text, flags=re.S | re.M)


def prepare(folder: Path, text: str) -> None:
    """Puts the files that a page's commands name into a folder."""
    shutil.copytree(ROOT / "examples", folder / "examples", dirs_exist_ok=True)
    for table in blocks(text, "csv"):
        (folder / "ratings.csv").write_text(table)


def run_here(arguments: list[str]) -> str:
    """What a command prints; it runs in this process."""
    from aesthetic_mllm.cli.main import main

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = main(arguments)
    if code:
        raise RuntimeError(f"aesthetic-mllm {shlex.join(arguments)} ended with {code}")
    return "\n".join(line.rstrip() for line in printed.getvalue().splitlines())


def embedded_card() -> str:
    """The text of the embedded checkpoint's card, from the report and the facts in its folder."""
    from aesthetic_mllm.modeling.checkpoint_documents import CARD_FACTS, REPORT
    from aesthetic_mllm.publishing.card import render_card
    from aesthetic_mllm.publishing.card_facts import CardFacts
    from aesthetic_mllm.publishing.checkpoint_facts import CheckpointFacts
    from aesthetic_mllm.publishing.report import Report

    facts, report = CardFacts.load(EMBEDDED / CARD_FACTS), Report.load(EMBEDDED / REPORT)
    return render_card(CheckpointFacts.read(EMBEDDED), facts, report)


def take_report(path: Path) -> None:
    """Puts an evaluation's report into the embedded checkpoint's folder, if it is about its weights."""
    from aesthetic_mllm.modeling.checkpoint_documents import REPORT
    from aesthetic_mllm.publishing.card import check_digest
    from aesthetic_mllm.publishing.checkpoint_facts import CheckpointFacts
    from aesthetic_mllm.publishing.report import Report

    report = Report.load(path)
    check_digest(CheckpointFacts.read(EMBEDDED), report, EMBEDDED)
    report.save(EMBEDDED / REPORT)


def write_card(check: bool) -> list[Path]:
    """Where the card lies and was out of date: it is the same inside the checkpoint and at the top."""
    text = embedded_card()
    stale = [path for path in CARDS if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale if not check else ():
        path.write_text(text, encoding="utf-8")
    return stale


def draw_pictures() -> None:
    """All pictures of docs/."""
    for script in ("make_picture.py", "make_assessments.py"):
        subprocess.run([sys.executable, str(ROOT / "docs" / script)], check=True)
    photos = [str(ROOT / "examples" / "photos" / name) for name in PRETEXT_SAMPLES]
    settings = [
        "--statistics",
        str(ROOT / "docs" / "pretext_statistics.json"),
        "--output",
        str(ROOT / "docs" / "pretext_samples.png"),
    ]
    run_here(["pretext", *photos, *settings])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", action="store_true", help="draw the pictures anew")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where a page is out of date")
    parser.add_argument("--report", type=Path, metavar="report.json", help="of the embedded checkpoint; write its card alone")
    options = parser.parse_args()
    os.environ["COLUMNS"] = str(WIDTH)
    if options.report:
        take_report(options.report)
    stale = write_card(options.check)
    for page in () if options.report else pages():
        text = page.read_text(encoding="utf-8")
        if not shows_output(text):
            continue
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            prepare(Path(folder), text)
            new = refreshed(text, run_here)
        if new != text:
            stale.append(page)
            if not options.check:
                page.write_text(new, encoding="utf-8")
    for page in stale:
        print(f"{page.relative_to(ROOT)}: {'is out of date' if options.check else 'written'}")
    if options.pictures and not options.check:
        draw_pictures()
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
