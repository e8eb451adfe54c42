"""Pretext samples teach the alignment module and nothing else, the same way in one process or two, broken off or not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.data.conversations import user_says
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.pretext.photo_pool import open_pool
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_dataset import PretextDataset, Sample
from aesthetic_mllm.pretext.pretext_samples import PretextSample, PretextSampleMaker
from aesthetic_mllm.trainers.aesthetic_alignment_config import AestheticAlignmentConfig
from aesthetic_mllm.trainers.aesthetic_alignment_trainer import AestheticAlignmentTrainer
from aesthetic_mllm.trainers.alignment_model import AlignmentModel
from aesthetic_mllm.trainers.pretext_collator import PRETEXT_GROUPS, PretextCollator, PretextVocabulary
from aesthetic_mllm.trainers.prompt_packing import pack_prompt
from process_groups import leave_process_group
from synthetic_photos import scene_photo
from tiny_models import tiny_model, tiny_processor

BANK = PhraseBank()
CONTENTS = ["a cat", "a dog"]
PHOTOS = 24
STEPS = 6


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos, one of them broken."""
    folder = tmp_path_factory.mktemp("pool")
    for number in range(PHOTOS):
        scene_photo(72 + 4 * (number % 5), 64).save(folder / f"{number:02}.png")
    (folder / "broken.png").write_bytes(b"no photo")
    return folder


def pretext_samples_of(folder: Path) -> PretextDataset:
    statistics = PoolStatistics({name: (0.2, 0.4, 0.6, 0.8) for name in BANK.attributes})
    contents = {f"{folder.name}/{number:02}.png": CONTENTS[number % 2] for number in range(PHOTOS)}
    return PretextDataset(open_pool([folder]), PretextSampleMaker(BANK, statistics, contents))


def trainer_of(folder: Path, output: Path, **options: Any) -> AestheticAlignmentTrainer:
    """Without dropout, whose draws depend on the process."""
    processor = tiny_processor()
    model = tiny_model("efficientnet_lite", "llama", processor)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
    settings = {"max_steps": STEPS, "per_device_train_batch_size": 8, "logging_steps": 1, "save_strategy": "no"} | options
    args = AestheticAlignmentConfig(
        output_dir=str(output), learning_rate=1e-2, use_cpu=True, bf16=False, disable_tqdm=True, **settings
    )
    return AestheticAlignmentTrainer(
        model, args, processor, bank=BANK, contents=CONTENTS, train_dataset=pretext_samples_of(folder)
    )


def losses_of(history: list[dict[str, float]]) -> list[dict[str, float]]:
    names = ("loss", "generation_loss", "contrastive_loss", "pseudo_label_loss")
    return [{name: log[name] for name in names} for log in history if "generation_loss" in log]


def test_only_the_alignment_module_learns_and_all_losses_fall(photos: Path, tmp_path: Path) -> None:
    """Tower and language model stay bit for bit; every loss is logged and lower at the end; the broken photo is named."""
    trainer = trainer_of(photos, tmp_path, max_steps=45)
    inner = trainer.model.model
    before = {name: weight.clone() for name, weight in inner.state_dict().items()}
    trainer.train()
    moved = {name for name, weight in inner.state_dict().items() if not torch.equal(weight, before[name])}
    assert moved and all(name.startswith("model.multi_modal_projector.qformers") for name in moved)
    logs = losses_of(trainer.state.log_history)
    for name in logs[0]:
        start, end = (sum(log[name] for log in part) / 15 for part in (logs[:15], logs[-15:]))
        assert end < start, name
    assert trainer.unreadable == {f"{photos.name}/broken.png"}


def test_the_aligned_checkpoint_is_the_model_without_heads(photos: Path, tmp_path: Path) -> None:
    """What `save_aligned` writes loads with `from_pretrained`, weight for weight."""
    trainer = trainer_of(photos, tmp_path / "run", max_steps=1)
    trainer.train()
    trainer.save_aligned(tmp_path / "aligned")
    loaded = AestheticMLLMForConditionalGeneration.from_pretrained(tmp_path / "aligned")
    wanted = trainer.model.model.state_dict()
    assert loaded.state_dict().keys() == wanted.keys()
    assert all(torch.equal(weight, wanted[name]) for name, weight in loaded.state_dict().items())
    assert AestheticMLLMProcessor.from_pretrained(tmp_path / "aligned").level_ids == trainer.processing_class.level_ids


def test_a_run_that_was_broken_off_goes_on_as_if_it_had_not(photos: Path, tmp_path: Path) -> None:
    """From step 3 of the resumed run on, losses equal those of an unbroken run."""
    whole = trainer_of(photos, tmp_path / "whole")
    whole.train()
    trainer_of(photos, tmp_path / "broken", save_strategy="steps", save_steps=3).train()
    resumed = trainer_of(photos, tmp_path / "broken", save_strategy="steps", save_steps=3)
    resumed.train(resume_from_checkpoint=str(tmp_path / "broken" / "checkpoint-3"))
    expected, found = losses_of(whole.state.log_history)[3:], losses_of(resumed.state.log_history)[-3:]
    for one, other in zip(expected, found, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_a_checkpoint_of_other_heads_is_refused(photos: Path, tmp_path: Path, processor: AestheticMLLMProcessor) -> None:
    model = tiny_model("efficientnet_lite", "llama", processor)
    args = AestheticAlignmentConfig(output_dir=str(tmp_path), use_cpu=True)
    taught, untaught = (
        AlignmentModel(model, processor, BANK, PretextVocabulary(BANK, contents), args) for contents in (CONTENTS, [])
    )
    with pytest.raises(RuntimeError, match="weights do not fit.*contents"):
        untaught.load_state_dict(taught.state_dict())


def test_two_processes_learn_what_one_does(photos: Path, tmp_path: Path) -> None:
    """Same global batch, same losses to 1e-4: sums over pretext samples, and the contrast over the rows of both processes."""
    alone = trainer_of(photos, tmp_path / "one")
    alone.train()
    environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=os.pathsep.join(sys.path))
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        __file__,
        str(photos),
        str(tmp_path / "two"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    together = json.loads((tmp_path / "two" / "history.json").read_text())
    for one, two in zip(losses_of(alone.state.log_history), losses_of(together["history"]), strict=True):
        assert one == pytest.approx(two, abs=1e-4)
    for name, value in together["sums"].items():
        if name.endswith("key.bias"):  # shifts all scores alike, so its gradient is rounding noise
            continue
        assert alone.model.state_dict()[name].sum().item() == pytest.approx(value, abs=1e-3), name
    assert set(together["unreadable"]) == alone.unreadable


def test_text_finds_text_before_any_photo_is_asked(photos: Path, tmp_path: Path) -> None:
    """Even a tiny random language model's whitened embeddings find labels far more often than chance does, which is below 2%
    at the low and the middle level and 7% at the high one."""
    trainer = trainer_of(photos, tmp_path)
    shares = trainer.model.retrieval(trainer.processing_class, BANK, held_out=False)
    assert set(shares) == {"low", "middle", "high"} and min(shares.values()) > 0.1


def test_a_pretext_sample_is_answered_from_its_own_levels_tokens(processor: AestheticMLLMProcessor) -> None:
    """A row holds its level's placeholders, once a photo, and no more; its labels are the target text and the turn's end."""
    photo = scene_photo(80, 64)
    samples = [
        Sample(PretextSample("low", "measured", "brightness", (photo,), "How bright?", "It is dark.", "brightness:0", bin=0)),
        Sample(PretextSample("middle", "altered", "tilt", (photo, photo), "What was done?", "It is tilted.", "tilt:more:barely",
                      signed_strength=0.5)),
        Sample(PretextSample("thematic", "content", "pair", (photo,), "What is it?", "A house.", "pair:0"), ("lost.png",)),
    ]  # fmt: skip
    batch = PretextCollator(processor, PretextVocabulary(BANK))(samples)
    for row, (sample, group) in enumerate(zip(samples, ("low", "middle", "thematic"), strict=True)):
        ids = batch["input_ids"][row].tolist()
        shown = len(sample.pretext_sample.images) * processor.num_group_tokens[group]
        assert ids.count(processor.image_token_id) == shown
        told = batch["labels"][row][batch["labels"][row] != -100]
        assert processor.tokenizer.decode(told) == sample.pretext_sample.target_text + processor.tokenizer.eos_token
        asked = [user_says(sample.pretext_sample.question)]
        whole = pack_prompt(processor, asked, len(sample.pretext_sample.images), (group,)).ids
        end = len(ids) - len(told)
        assert ids[end - len(whole) : end] == whole
        assert batch["groups"][row] == PRETEXT_GROUPS.index(group)
    assert batch["image_rows"].tolist() == [0, 1, 1, 2] and len(batch["pixel_values"]) == 4
    assert batch["subjects"].tolist() == [BANK_LOW.index("brightness"), BANK_MIDDLE_EDITS.index("tilt"), -1]
    assert batch["unreadable"] == ["lost.png"]


BANK_LOW = PretextVocabulary(BANK).attributes["low"]
BANK_MIDDLE_EDITS = PretextVocabulary(BANK).edits["middle"]


def test_each_photo_of_a_batch_shows_the_tokens_of_its_own_level(photos: Path, tmp_path: Path) -> None:
    """Photos of several levels and pairs stand in one batch; the language model reads each one's own group, in order."""
    trainer = trainer_of(photos, tmp_path)
    batch = trainer.data_collator([trainer.train_dataset[index] for index in range(12)])
    batch.pop("unreadable")
    inner = trainer.model.model.model
    seen: list[torch.Tensor] = []
    hook = inner.language_model.register_forward_pre_hook(
        lambda module, args, inputs: seen.append(inputs["inputs_embeds"]) if "inputs_embeds" in inputs else None,
        with_kwargs=True,
    )
    with torch.no_grad():
        trainer.model(**batch)
        tokens = inner.get_image_features(batch["pixel_values"], batch["image_sizes"]).tokens
    hook.remove()
    levels = [PRETEXT_GROUPS[batch["groups"][row]] for row in batch["image_rows"]]
    assert len(set(levels)) > 1 and len(levels) > len(batch["groups"])
    expected = torch.cat([tokens[level][photo] for photo, level in enumerate(levels)])
    placeholder = trainer.processing_class.image_token_id
    assert torch.allclose(seen[0][batch["input_ids"] == placeholder], expected, atol=1e-5)


def test_losses_of_a_level_reach_its_own_qformer_alone(photos: Path, tmp_path: Path) -> None:
    """A batch of low-level pretext samples has no gradient for the middle and high Q-Formers and the thematic path."""
    trainer = trainer_of(photos, tmp_path)
    data = trainer.train_dataset
    samples = [sample for sample in (data[index] for index in range(12)) if sample.pretext_sample.level == "low"]
    batch = trainer.data_collator(samples)
    batch.pop("unreadable")
    trainer.model(**batch).loss.backward()
    projector = trainer.model.model.model.multi_modal_projector
    assert projector.qformers["low"].queries.grad.abs().sum() > 0
    for part in (projector.qformers["middle"], projector.qformers["high"], projector.thematic):
        assert all(weight.grad is None or weight.grad.abs().sum() == 0 for weight in part.parameters())


if __name__ == "__main__":  # one of the processes of the test above
    run = trainer_of(Path(sys.argv[1]), Path(sys.argv[2]), per_device_train_batch_size=4)
    run.train()
    if run.is_world_process_zero():
        sums = {name: value.sum().item() for name, value in run.accelerator.unwrap_model(run.model).state_dict().items()}
        report = {"history": run.state.log_history, "sums": sums, "unreadable": sorted(run.unreadable)}
        (Path(sys.argv[2]) / "history.json").write_text(json.dumps(report))
    leave_process_group()
