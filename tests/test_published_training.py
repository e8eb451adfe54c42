"""What is trained goes to the Hub: the finished checkpoint at the end, its adapters, and both come back elsewhere."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.trainers import AestheticAlignmentTrainer, AestheticDPOTrainer, AestheticGRPOTrainer, AestheticSFTTrainer
from aesthetic_mllm.trainers.publishing_mixin import PublishingMixin
from fake_hub import FakeHub, User, fake_hub
from judging_everything import carrying_assessor, same, saved, tiny_photos
from published_checkpoints import Commands, commands, documented, environment_of, files_of

RECIPES = Path(__file__).parents[1] / "recipes"
PLAIN = ["use_cpu=true", "bf16=false", "disable_tqdm=true", "dataloader_num_workers=0", "max_steps=2", "eval_strategy=no"]
PLAIN += ["load_best_model_at_end=false", "early_stopping=0", "learning_rate=0.01", "warmup_steps=0"]
ABSENT = ["exclude=null", "statistics=null", "contents=null"]
SCORE = """
import json, sys
from aesthetic_mllm import AestheticAssessor
from judging_everything import tiny_photos
ratings = AestheticAssessor.from_pretrained(sys.argv[1], device="cpu").score(tiny_photos())
print(json.dumps([rating.to_dict() for rating in ratings]))
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with fake_hub({"secret": User("me"), "reader": User("me", "read")}) as server:
        yield server


@pytest.fixture(scope="module")
def cli(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with commands(environment_of(hub, tmp_path_factory.mktemp("home"))) as process:
        yield process


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of rated photos and the photos."""
    place = tmp_path_factory.mktemp("runs")
    (place / "photos").mkdir()
    rows = ["image,mean,split"]
    for number in range(12):
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC).save(place / "photos" / f"{number}.png")
        rows.append(f"photos/{number}.png,{1 + number % 7},{'test' if number < 2 else 'train'}")
    (place / "ratings.csv").write_text("\n".join(rows) + "\n")
    return place


@pytest.fixture(scope="module")
def trained(hub: FakeHub, cli: Commands, place: Path) -> Path:
    """The output of training adapters of a checkpoint at the Hub, which `push_to_hub` has sent at the end."""
    start = documented(saved(carrying_assessor("cnn-llama"), place / "start"))
    assert cli.run("push", start, "me/start")[0] == 0
    data = f"data=[{{source: own, root: {place / 'ratings.csv'}, range: [1, 7]}}]"
    where = [f"output_dir={place / 'out'}", "push_to_hub=true", "hub_model_id=me/tuned"]
    recipe = RECIPES / "own_data" / "sft.yaml"
    code, _, err = cli.run("train", "sft", "--config", recipe, "model=me/start", data, "lora_r=2", *where, *PLAIN)
    assert code == 0, err
    assert f"{hub.url}/me/tuned/commit/" in err
    return place / "out"


def test_the_finished_checkpoint_is_sent_in_one_commit(hub: FakeHub, trained: Path) -> None:
    """With the start's licence and a card of its own; without the start's results, and without what training leaves."""
    assert hub.files("me/tuned") == files_of(trained / "tuned")
    assert len(hub.repositories["models", "me/tuned"].commits) == 1
    assert {"README.md", "LICENSE", "model.safetensors", "modeling_aesthetic_mllm.py"} <= hub.files("me/tuned").keys()
    assert not {".eval_results/benchmark.yaml", "training_args.bin"} & hub.files("me/tuned").keys()
    start = hub.files("me/start")
    assert all(hub.files("me/tuned")[name] != start[name] for name in ("README.md", "report.json", "card_facts.yaml"))
    assert b"before training" in hub.files("me/tuned")["report.json"] and b"0.838" not in hub.files("me/tuned")["README.md"]


def test_adapters_name_their_base_and_load_elsewhere(hub: FakeHub, cli: Commands, trained: Path, tmp_path: Path) -> None:
    """By its Hub id, commit and digest; they rate as the merged checkpoint does, percentiles included."""
    adapter = trained / "adapter"
    config, base = (json.loads((adapter / name).read_text()) for name in ("adapter_config.json", "base_checkpoint.json"))
    commit = next(iter(hub.repositories["models", "me/start"].commits))
    assert (config["base_model_name_or_path"], config["revision"]) == ("me/start", commit)
    assert base["name"] == "me/start" and base["revision"] == commit and len(base["digest"]) == 64
    card, merged_card = (ModelCard.load(folder / "README.md") for folder in (adapter, trained / "tuned"))
    assert (card.data.license, card.data.library_name, card.data.base_model) == ("cc-by-nc-4.0", "peft", "me/start")
    assert card.data.eval_results and card.data.eval_results == merged_card.data.eval_results
    assert card.text.count("## Results") == 1 and (adapter / "report.json").is_file()
    code, _, err = cli.run("push", adapter, "me/adapter")
    assert code == 2 and "send them with --adapter" in err
    code, out, err = cli.run("push", trained, "me/adapter", "--adapter")
    assert code == 0 and out.startswith(f"{hub.url}/me/adapter/commit/"), err
    assert hub.files("me/adapter") == files_of(adapter) and "config.json" not in hub.files("me/adapter")
    environment = environment_of(hub, tmp_path / "home", HF_TOKEN="secret")
    done = subprocess.run([sys.executable, "-c", SCORE, "me/adapter"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    merged = AestheticAssessor.from_pretrained(trained / "tuned", device="cpu").score(tiny_photos())
    assert same(json.loads(done.stdout.splitlines()[-1]), [rating.to_dict() for rating in merged])
    start = AestheticAssessor.from_pretrained(trained.parent / "start", device="cpu").score(tiny_photos())
    assert not same([rating.mean for rating in start], [rating.mean for rating in merged])


def test_alignment_is_sent_too(hub: FakeHub, cli: Commands, place: Path) -> None:
    """By the same way."""
    where = [f"output_dir={place / 'aligned'}", "push_to_hub=true", "hub_model_id=me/aligned", f"data=[{place / 'photos'}]"]
    plain = ["use_cpu=true", "bf16=false", "disable_tqdm=true", "dataloader_num_workers=0"]
    code, _, err = cli.run("train", "align", "--config", RECIPES / "nano" / "align.yaml", "--smoke-test", *where, *plain, *ABSENT)
    assert code == 0, err
    assert hub.files("me/aligned") == files_of(place / "aligned" / "aligned")


def test_what_cannot_be_sent_is_known_before_training(hub: FakeHub, cli: Commands, place: Path) -> None:
    """A token that cannot write costs no hour of training."""
    data = f"data=[{{source: own, root: {place / 'ratings.csv'}, range: [1, 7]}}]"
    where = [f"output_dir={place / 'never'}", "push_to_hub=true", "hub_model_id=me/never"]
    words = ["train", "sft", "--config", RECIPES / "own_data" / "sft.yaml", "--smoke-test", data, *where, *PLAIN]
    code, _, err = cli.run(*words, token="reader")
    assert code == 2 and "aesthetic-mllm train sft: the token of me can only read" in err, err
    assert not (place / "never" / "tuned").exists()


def test_a_lost_connection_leaves_the_checkpoint_and_says_how_to_send_it(hub: FakeHub, cli: Commands, place: Path) -> None:
    data = f"data=[{{source: own, root: {place / 'ratings.csv'}, range: [1, 7]}}]"
    where = [f"output_dir={place / 'lost'}", "push_to_hub=true", "hub_model_id=me/lost"]
    hub.uploads_until_cut = 0
    words = ["train", "sft", "--config", RECIPES / "own_data" / "sft.yaml", "--smoke-test", data, *where, *PLAIN]
    code, _, err = cli.run(*words)
    hub.uploads_until_cut = None
    assert code == 1 and f"send it later: aesthetic-mllm push {place / 'lost' / 'tuned'} me/lost" in err, err
    assert (place / "lost" / "tuned" / "model.safetensors").is_file() and (place / "lost" / "report.json").is_file()


@pytest.mark.parametrize("trainer", [AestheticSFTTrainer, AestheticDPOTrainer, AestheticGRPOTrainer, AestheticAlignmentTrainer])
def test_every_trainer_sends_the_same_way(trainer: type) -> None:
    """None of the parents' ways to the Hub, which send the output folder, is left."""
    for name in ("push_to_hub", "init_hf_repo", "save_model", "_save", "_push_from_checkpoint"):
        assert getattr(trainer, name) is getattr(PublishingMixin, name)
