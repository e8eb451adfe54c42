"""Nothing is said on the error stream that the user did not cause."""

import subprocess
import sys
from pathlib import Path

PHOTO = Path(__file__).parents[2] / "examples" / "photos" / "coffee.jpg"


def test_assessing_a_photo_says_nothing_on_the_error_stream() -> None:
    """No warning and no bar of any library, neither of Python nor logged: ratings, comment and suggestions are all asked for."""
    command = [sys.executable, "-m", "aesthetic_mllm.cli", "assess", str(PHOTO)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "") and "aesthetic" in run.stdout
