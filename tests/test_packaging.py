"""What a user installs is what the tree says: version, licences, files, commands."""

import importlib.metadata
import re
import runpy
import stat
from pathlib import Path

import pytest
from PIL import Image

from aesthetic_mllm import checkpoints
from aesthetic_mllm.cli.usage import TRAIN_PACKAGES

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "aesthetic_mllm"
CODE_LICENCE, WEIGHTS_LICENCE = "Apache-2.0", "CC BY-NC 4.0"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def source_version() -> str:
    return runpy.run_path(str(SOURCE / "_version.py"))["__version__"]


def readme_commands() -> list[str]:
    """The commands of README's section "Install"."""
    section = re.search(r"^## Install\n(.*?)^## ", read("README.md"), re.S | re.M)
    assert section, "README.md has no section 'Install'"
    return re.findall(r"```bash\n(.*?)\n```", section[1], re.S)


@pytest.fixture(scope="module")
def installed() -> importlib.metadata.Distribution:
    """The installed distribution whose package the tests import."""
    try:
        distribution = importlib.metadata.distribution("aesthetic-mllm")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("aesthetic-mllm is not installed here: the package is imported from a folder")
    package = Path(checkpoints.__file__).resolve().parents[1]
    if Path(str(distribution.locate_file("aesthetic_mllm"))).resolve() != package:
        pytest.skip(f"the package is imported from {package}, not from where it is installed")
    return distribution


def test_version_has_one_home(installed: importlib.metadata.Distribution) -> None:
    """The installed metadata state the version of `_version.py`."""
    assert installed.version == source_version()


def test_version_is_stated_nowhere_else() -> None:
    """`_version.py` alone states the version in code and metadata; the changelog's top entry is about it."""
    version = source_version()
    for name in ("setup.py", "pyproject.toml", "CITATION.cff", "src/aesthetic_mllm/__init__.py"):
        assert not re.search(rf"(?<![\d.]){re.escape(version)}(?![\d.])", read(name)), f"{name} repeats the version"
    newest = re.search(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.M)
    assert newest and newest[1] == version


def test_licences_are_the_same_everywhere() -> None:
    """Code and weights have one licence each, in every file that names them."""
    spdx = WEIGHTS_LICENCE.replace(" ", "-")
    assert f'license_expression="{CODE_LICENCE} AND {spdx}"' in read("setup.py")
    assert re.search(rf"^license: {re.escape(CODE_LICENCE)}$", read("CITATION.cff"), re.M)
    assert re.search(rf"^license: {re.escape(spdx.lower())}$", read("model_card.md"), re.M)
    for name in ("README.md", "model_card.md", "LICENSE-WEIGHTS"):
        text = read(name)
        assert CODE_LICENCE in text and WEIGHTS_LICENCE in text, name
        assert set(re.findall(r"CC BY[-\w]*(?: \d\.\d)?", text)) == {WEIGHTS_LICENCE}, name
    assert "Apache License" in read("LICENSE") and "END OF TERMS AND CONDITIONS" in read("LICENSE")


def test_installed_package_is_the_tree(installed: importlib.metadata.Distribution) -> None:
    """The wheel holds every module, the checkpoint, the type marker and both licences, and no file the tree lacks."""
    files = [str(file) for file in installed.files or []]
    packed = {
        file.removeprefix("aesthetic_mllm/") for file in files if file.startswith("aesthetic_mllm/") and "__pycache__" not in file
    }
    tree = {
        path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == tree
    assert {"py.typed", "checkpoints/nano/config.json", "checkpoints/nano/model.safetensors"} <= packed
    assert {"LICENSE", "LICENSE-WEIGHTS"} <= {Path(file).name for file in files if ".dist-info" in file}


def test_console_script_is_the_cli(installed: importlib.metadata.Distribution) -> None:
    """The command `aesthetic-mllm` exists and its target can be imported and called."""
    (script,) = installed.entry_points.select(group="console_scripts", name="aesthetic-mllm")
    assert callable(script.load())


def test_embedded_checkpoint_is_small_and_plain() -> None:
    """The package's checkpoint is found, holds safetensors only, and stays under 100 MB."""
    folder = checkpoints.embedded_checkpoint()
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 100_000_000
    assert [path.suffix for path in folder.iterdir() if path.suffix in {".bin", ".pt", ".pth", ".pkl"}] == []
    assert (folder / "model.safetensors").is_file()


def test_the_package_fits_the_index() -> None:
    """What a wheel holds stays under the index's limit for a file of 100 MB, even if nothing of it could be compressed."""
    files = [path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 100_000_000


def test_checks_need_every_extra_that_tests_use() -> None:
    """The extra `dev` brings what the extras formats, onnx and evaluate bring, so that CI skips none of their tests."""
    (block,) = re.findall(r'"dev": \[(.*?)\],?\n', read("setup.py"), re.S)
    assert {"*FORMATS", "*ONNX", "*EVALUATE"} <= set(re.findall(r"\*\w+", block))


def test_embedded_code_is_the_package_code() -> None:
    """The code that travels with the checkpoint is the package's own, byte for byte: no user runs an old copy."""
    copies = list(checkpoints.embedded_checkpoint().glob("*.py"))
    assert copies
    for copy in copies:
        (original,) = [path for room in ("modeling", "processing") for path in SOURCE.glob(f"{room}/{copy.name}")]
        assert copy.read_bytes() == original.read_bytes(), f"{copy.name} differs from {original.relative_to(ROOT)}"


def test_missing_checkpoint_names_folder_and_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without the checkpoint says which folder is empty and what to do."""
    monkeypatch.setattr(checkpoints, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(checkpoints.EmbeddedCheckpointError) as caught:
        checkpoints.embedded_checkpoint()
    assert str(tmp_path.resolve() / "nano") in str(caught.value)
    assert "recipes/nano" in str(caught.value)


def test_ci_runs_the_readme_command() -> None:
    """`.ci/run` runs each step of README's second command, word for word, after making its environment."""
    first, second = readme_commands()
    lines = read(".ci/run").splitlines()
    steps = [step for step in second.split(" && ") if ".venv" not in step]
    assert steps[-1].split()[0] == "pytest"
    assert [line for line in lines if line in steps] == steps
    assert steps[0] in first.split(" && ")
    assert (ROOT / ".ci" / "run").stat().st_mode & stat.S_IXUSR


def test_torch_is_pinned_once() -> None:
    """The torch that README installs is the torch of constraints.txt."""
    (pin,) = re.findall(r"^torch==.+$", read("constraints.txt"), re.M)
    assert set(re.findall(r"torch==[\w.]+", read("README.md"))) == {pin}


def test_every_requirement_is_constrained(installed: importlib.metadata.Distribution) -> None:
    """constraints.txt pins everything the package and its extras ask for."""
    pinned = set(re.findall(r"^([\w.-]+)==", read("constraints.txt"), re.M))
    wanted = {re.split(r"[^\w.-]", requirement)[0] for requirement in installed.requires or []}
    assert wanted and wanted <= pinned


def test_the_extra_that_commands_check_for_is_the_extra() -> None:
    """What training is refused without is what setup.py's extra `train` installs, but for gguf, which a recipe alone needs."""
    (block,) = re.findall(r'"train": \[(.*?)\],', read("setup.py"), re.S)
    wanted = {name.replace("scikit-image", "skimage") for name in re.findall(r'"([\w-]+)[>=]', block)}
    assert wanted - {"gguf"} == set(TRAIN_PACKAGES)


def test_sample_photos_are_photos_with_a_licence() -> None:
    """At least four sample photos decode, and LICENSES.md has a row with a free licence for each, and no other."""
    folder = ROOT / "examples" / "photos"
    photos = {path.name for path in folder.iterdir() if path.suffix == ".jpg"}
    table = read("examples/photos/LICENSES.md")
    rows = dict(re.findall(r"^\| `(.+?)` \|.*\| (CC0|public domain): .+ \|$", table, re.M))
    assert len(photos) >= 4 and set(rows) == photos
    for name in photos:
        with Image.open(folder / name) as image:
            image.load()
            assert min(image.size) >= 224 and (folder / name).stat().st_size <= 150_000
