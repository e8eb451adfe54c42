"""`aesthetic-mllm push` by the Hub's own client against a server: what is sent, what comes back elsewhere, what goes wrong."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from fake_hub import FakeHub, User, fake_hub
from judging_everything import carrying_assessor, everything, same, saved, tiny_photos
from published_checkpoints import Commands, commands, documented, environment_of, files_of

USERS = {"secret": User("me", organizations=("ours",)), "reader": User("me", "read"), "other": User("other")}
PARTS = ("ratings", "comments", "suggestions", "ridge", "in_context")
SAMPLES = sorted((Path(__file__).parents[1] / "examples" / "photos").glob("*.jpg"))[:5]
# What a checkpoint says: with the package by every door, of pictures that are drawn or of the photos that are named.
JUDGE = """
import json, sys
name, parts, *photos = sys.argv[1:]
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline
from aesthetic_mllm import AestheticAssessor
from judging_everything import everything, tiny_photos
photos, parts = photos or tiny_photos(), parts.split(",")
says = [everything(AestheticAssessor.from_pretrained(name, device="cpu"), photos, parts)]
model = AutoModelForImageTextToText.from_pretrained(name, dtype="float32", trust_remote_code=True)
processor = AutoProcessor.from_pretrained(name, trust_remote_code=True)
says.append(everything(AestheticAssessor(model, processor), photos, ["ratings"]))
says.append(everything(pipeline("image-aesthetic-assessment", model=name, device="cpu").assessor, photos, ["ratings"]))
print(json.dumps(says))
"""
# The same without it, by the checkpoint's own code.
RATE = """
import json, sys
name, *photos = sys.argv[1:]
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
processor = AutoProcessor.from_pretrained(name, trust_remote_code=True)
model = AutoModelForImageTextToText.from_pretrained(name, dtype="float32", trust_remote_code=True).eval()
inputs = processor.rating_inputs(photos)
with torch.inference_mode():
    ratings = processor.decode_ratings(model(**inputs, logits_to_keep=1).logits)
    written = processor.batch_decode(model.generate(**inputs, max_new_tokens=8, do_sample=False))
assert "aesthetic_mllm" not in sys.modules
print(json.dumps([[rating.to_dict() for rating in ratings], written]))
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with fake_hub(USERS) as server:
        yield server


@pytest.fixture(scope="module")
def cli(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """A process for all commands."""
    with commands(environment_of(hub, tmp_path_factory.mktemp("home"))) as process:
        yield process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that can be sent."""
    return documented(saved(carrying_assessor("cnn-llama"), tmp_path_factory.mktemp("work") / "mine"))


@pytest.fixture(scope="module")
def pushed(hub: FakeHub, cli: Commands, folder: Path) -> str:
    """The name that it has at the Hub."""
    code, out, err = cli.run("push", folder, "me/mine")
    assert (code, out) == (0, f"{hub.url}/me/mine/commit/{_head(hub, 'me/mine')}\n"), err
    return "me/mine"


def _head(hub: FakeHub, name: str) -> str:
    return next(reversed(hub.repositories["models", name].commits))


def judged(name: str | Path, environment: dict[str, str], code: str, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code, str(name), *words], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def without_package(environment: dict[str, str], place: Path) -> dict[str, str]:
    """The package is hidden behind a module that cannot be imported."""
    place.mkdir()
    (place / "aesthetic_mllm.py").write_text("raise ImportError('the package is not installed here')\n")
    return environment | {"PYTHONPATH": str(place), "HF_MODULES_CACHE": str(place / "modules")}


def test_one_commit_holds_the_whole_folder(hub: FakeHub, pushed: str, folder: Path) -> None:
    """Byte for byte; large files are uploaded by themselves, before."""
    assert hub.files(pushed) == files_of(folder)
    assert len(hub.repositories["models", pushed].commits) == 1
    (commit,) = [each for each in hub.requests if each.path.endswith("/commit/main") and each.method == "POST"]
    assert commit.status == 200


def test_what_was_pushed_judges_elsewhere_as_the_folder_does(hub: FakeHub, pushed: str, folder: Path, tmp_path: Path) -> None:
    """In another process with an empty cache, by the assessor, the Auto classes and the pipeline."""
    wanted = everything(AestheticAssessor.from_pretrained(folder, device="cpu"), tiny_photos(), PARTS)
    environment = environment_of(hub, tmp_path / "home", HF_TOKEN="secret")
    whole, auto, piped = judged(pushed, environment, JUDGE, ",".join(PARTS))
    assert same(whole, wanted)
    assert same([auto["ratings"], piped["ratings"]], [wanted["ratings"]] * 2)
    assert wanted["ratings"][0]["aesthetic"]["percentile"] is not None and wanted["comments"] and any(wanted["suggestions"])


def test_it_rates_and_writes_without_the_package(hub: FakeHub, pushed: str, folder: Path, tmp_path: Path) -> None:
    """Ratings, percentiles and what `generate` says, of the checkpoint's own code."""
    photos = [str(path) for path in SAMPLES]
    environment = without_package(environment_of(hub, tmp_path / "home"), tmp_path / "elsewhere")
    ratings, written = judged(pushed, environment, RATE, *photos)
    wanted = AestheticAssessor.from_pretrained(folder, device="cpu").score(photos)
    assert same(ratings, [rating.to_dict() for rating in wanted])
    assert same(written, judged(folder, environment, RATE, *photos)[1])


@pytest.mark.slow
def test_the_embedded_checkpoint_comes_back_from_the_hub(hub: FakeHub, cli: Commands, tmp_path: Path) -> None:
    """All that it says of photos, with the package and without."""
    folder = documented(Path(shutil.copytree(embedded_checkpoint(), tmp_path / "nano")))
    assert cli.run("push", folder, "me/nano")[0] == 0
    photos = [str(path) for path in SAMPLES]
    wanted = everything(AestheticAssessor.from_pretrained(folder, device="cpu"), photos, PARTS[:-1])
    environment = environment_of(hub, tmp_path / "home", HF_TOKEN="secret")
    whole, auto, piped = judged("me/nano", environment, JUDGE, ",".join(PARTS[:-1]), *photos)
    assert same(whole, wanted) and same([auto["ratings"], piped["ratings"]], [wanted["ratings"]] * 2)
    environment = without_package(environment, tmp_path / "elsewhere")
    assert same(judged("me/nano", environment, RATE, *photos), judged(folder, environment, RATE, *photos))


def test_pushed_again_nothing_is_sent(hub: FakeHub, cli: Commands, pushed: str, folder: Path) -> None:
    """What is there already; no empty commit is made."""
    before = len(hub.requests)
    assert cli.run("push", folder, pushed)[0] == 0
    assert {each.method for each in hub.requests[before:]} == {"GET", "POST"}
    assert len(hub.repositories["models", pushed].commits) == 1


def test_files_of_other_weights_go_and_pictures_stay(hub: FakeHub, cli: Commands, folder: Path) -> None:
    """A shard of an earlier push, its code and results are deleted in the same commit; an application of the user's is not."""
    assert cli.run("push", folder, "me/again")[0] == 0
    old = {
        "model-00001-of-00002.safetensors": b"",
        "pytorch_model.bin": b"",
        ".eval_results/old.yaml": b"",
        "tokenizer.model": b"",
    }
    kept = {"picture.png": b"picture", "app.py": b"import gradio"}
    hub.files("me/again").update({**old, **kept})
    code, _, err = cli.run("push", folder, "me/again")
    assert code == 0 and all(name in err for name in old)
    assert hub.files("me/again") == {**files_of(folder), **kept}


def test_two_pushes_at_once_do_not_mix(hub: FakeHub, cli: Commands, folder: Path, tmp_path: Path) -> None:
    """The later one has looked at an older state: it is refused, and takes away what is stale when it runs again."""
    hub.meanwhile = {"model-00001-of-00002.safetensors": b"shard"}
    code, out, err = cli.run("push", folder, "me/race")
    assert (code, out) == (1, "") and "me/race was changed meanwhile" in err and "Run the same command again" in err
    assert hub.files("me/race").keys() == {"model-00001-of-00002.safetensors"}
    assert cli.run("push", folder, "me/race")[0] == 0 and hub.files("me/race") == files_of(folder)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["me/x/y", "--dry-run"], "'me/x/y' is no name of a repository"),
        (["../mine", "--dry-run"], "'../mine' is no name of a repository"),
        (["me/new", "--revision", ".."], "'..' is no name of a branch"),
        (["me/none", "--create-pr"], "me/none is not there, or is hidden from you"),
    ],
)
def test_a_target_that_is_none_is_told(words: list[str], told: str, cli: Commands, hub: FakeHub, folder: Path) -> None:
    """As what it is, and nothing is made."""
    names = set(hub.repositories)
    code, _, err = cli.run("push", folder, *words)
    assert code == 2 and told in err and set(hub.repositories) == names


def test_a_branch_and_a_pull_request(hub: FakeHub, cli: Commands, pushed: str, folder: Path, tmp_path: Path) -> None:
    """The branch is made; a request needs no right to write, and leaves the main branch as it is."""
    newer = Path(shutil.copytree(folder, tmp_path / "newer"))
    (newer / "LICENSE").write_text("Other terms.\n")
    assert cli.run("push", newer, pushed, "--revision", "next", "--message", "Newer")[0] == 0
    assert hub.files(pushed, "next") == files_of(newer)
    code, out, _ = cli.run("push", newer, pushed, "--create-pr", token="other")
    assert (code, out) == (0, f"{hub.url}/{pushed}/discussions/1\n")
    assert hub.files(pushed, "refs/pr/1") == files_of(newer) and hub.files(pushed) == files_of(folder)


def test_a_private_repository_is_seen_by_its_owner_alone(hub: FakeHub, cli: Commands, pushed: str, folder: Path) -> None:
    """One that is public already is not taken for it."""
    assert cli.run("push", folder, "ours/hidden", "--private")[0] == 0
    assert hub.repositories["models", "ours/hidden"].private
    code, _, err = cli.run("push", folder, "ours/hidden", token="other")
    assert code == 2 and "ours/hidden belongs to ours, and you are other. Push to other/hidden" in err
    code, _, err = cli.run("push", folder, pushed, "--private")
    assert code == 2 and "everybody can see it" in err and "Nothing was sent" in err


def test_a_lost_connection_and_the_same_command_again(hub: FakeHub, cli: Commands, folder: Path) -> None:
    """Large files that have arrived are not sent a second time, and there is one commit in the end."""
    hub.contents.clear()
    hub.uploads_until_cut = 2
    before = len(hub.requests)
    code, out, err = cli.run("push", folder, "me/lost")
    assert (code, out) == (1, "") and "broke off" in err and "run the same command again" in err
    arrived = [each.path for each in hub.requests[before:] if (each.method, each.status) == ("PUT", 200)]
    hub.uploads_until_cut = None
    assert len(arrived) == 2 and not hub.files("me/lost")
    before = len(hub.requests)
    assert cli.run("push", folder, "me/lost")[0] == 0
    assert not set(arrived) & {each.path for each in hub.requests[before:]}
    assert hub.files("me/lost") == files_of(folder) and len(hub.repositories["models", "me/lost"].commits) == 1


@pytest.mark.parametrize(
    ("token", "name", "told"),
    [
        (None, "me/new", "no token of the Hub was found. Log in with `hf auth login`, or set HF_TOKEN."),
        ("stale", "me/new", "the Hub does not know the token."),
        ("reader", "me/new", "the token of me can only read. Make one that can write at"),
        ("other", "me/mine", "me/mine belongs to me, and you are other. Push to other/mine, or propose it with --create-pr."),
        ("other", "theirs/new", "theirs/new belongs to theirs, and you are other. Push to other/new"),
        ("secret", "me/a b", "'me/a b' is no name of a repository"),
    ],
)
def test_what_may_not_be_sent(
    token: str | None, name: str, told: str, hub: FakeHub, cli: Commands, pushed: str, folder: Path
) -> None:
    """One line says why, with a remedy; nothing changes at the Hub."""
    names, files = set(hub.repositories), dict(hub.files(pushed))
    code, out, err = cli.run("push", folder, name, token=token)
    assert (code, out) == (2, "") and f"aesthetic-mllm push: {told}" in err
    assert set(hub.repositories) == names and hub.files(pushed) == files


@pytest.mark.parametrize(
    ("variables", "code", "told"),
    [
        ({"HF_HUB_OFFLINE": "1"}, 2, "HF_HUB_OFFLINE is set, so nothing can be sent. Unset it."),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, 1, "the connection to http://127.0.0.1:9 failed or broke off"),
    ],
)
def test_no_network(variables: dict[str, str], code: int, told: str, hub: FakeHub, folder: Path, tmp_path: Path) -> None:
    """Said offline, or found so."""
    with commands(environment_of(hub, tmp_path, **variables)) as process:
        found, out, err = process.run("push", folder, "me/new")
    assert (found, out) == (code, "") and f"aesthetic-mllm push: {told}" in err


def test_a_dry_run_prints_files_and_sends_nothing(hub: FakeHub, cli: Commands, folder: Path, tmp_path: Path) -> None:
    """With what the check finds; without a token, too."""
    before = len(hub.requests)
    code, out, _ = cli.run("push", folder, "me/dry", "--dry-run", token=None)
    assert code == 0 and {line.split("  ")[-1] for line in out.splitlines()[:-2]} == files_of(folder).keys()
    assert out.splitlines()[-1] == f"{folder} is ready to be sent to me/dry. Nothing was sent."
    bare = Path(shutil.copytree(folder, tmp_path / "bare"))
    (bare / "LICENSE").unlink()
    code, out, err = cli.run("push", bare, "me/dry", "--dry-run")
    assert code == 2 and "model.safetensors" in out and "- LICENSE is not there. Write the terms" in err
    assert cli.run("push", bare, "me/dry")[0] == 2 and len(hub.requests) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["missing", "me/new"], "missing is no folder"),
        (["{work}", "me/new"], "holds no checkpoint"),
        (["{folder}", "me/new", "--adapter"], "holds no adapters"),
        (["{folder}", "me/new", "--create-pr", "--revision", "next"], "not allowed with argument"),
    ],
)
def test_wrong_usage(words: list[str], told: str, cli: Commands, folder: Path) -> None:
    code, _, err = cli.run("push", *[word.format(folder=folder, work=folder.parent) for word in words])
    assert code == 2 and told in err
