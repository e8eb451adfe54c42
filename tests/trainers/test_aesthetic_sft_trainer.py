"""The trainer learns what it is told to learn, and only that."""

import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from PIL import Image
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import EarlyStoppingCallback, TrainerCallback

from aesthetic_mllm import AestheticAssessor, AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.data.conversations import assistant_says, user_says
from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.trainers.aesthetic_sft_collator import AestheticSFTCollator
from aesthetic_mllm.trainers.aesthetic_sft_config import AestheticSFTConfig
from aesthetic_mllm.trainers.aesthetic_sft_trainer import AestheticSFTTrainer
from aesthetic_mllm.trainers.rating_metrics import correlations
from aesthetic_mllm.trainers.tuning import gathered_state, save_tuned
from photo_files import scene
from process_groups import leave_process_group
from tiny_models import tiny_model, tiny_processor


def exchange(prompt: str, answer: str) -> dict[str, list[dict[str, str]]]:
    """Prompt and completion of a row."""
    return {"prompt": [user_says(prompt)], "completion": [assistant_says(answer)]}


@pytest.fixture
def rows(tmp_path: Path) -> list[dict]:
    """Dark photos are bad and bright ones good, whatever the shape."""
    rows = []
    for index in range(8):
        path = tmp_path / f"{index}.png"
        scene(60 + 10 * index, 70).point(lambda value, i=index: value * 0.3 if i % 2 else 150 + value * 0.4).save(path)
        rows.append(
            {
                "images": [str(path)],
                "question": "quality",
                "mean": 2.0 if index % 2 else 9.0,
                "std": None,
                "group": 0,
            }
        )
    return rows


def test_a_rating_row_ends_where_the_level_word_is_predicted(processor: AestheticMLLMProcessor, rows: list[dict]) -> None:
    """It has no labels, so it teaches no words; a row of words beside it has labels and no target."""
    words = {"images": rows[2]["images"]} | exchange("What is it?", "A very long answer to a short question.")
    batch = AestheticSFTCollator(processor, augment=False)([rows[0], rows[1] | {"question": "aesthetic"}, words])
    stems = ["The technical quality of this photo is", "The aesthetic quality of this photo is"]
    for ids, stem in zip(batch["input_ids"], stems, strict=False):
        assert processor.tokenizer.decode(ids).endswith(stem)
    assert batch["level_positions"].tolist() == [batch["input_ids"].shape[1] - 1] * 2 + [-1]
    assert batch["level_targets"].sum(1).tolist() == pytest.approx([1, 1, 0])
    assert (batch["labels"] != -100).any(1).tolist() == [False, False, True]


def test_training_asks_what_rating_asks(processor: AestheticMLLMProcessor, rows: list[dict]) -> None:
    """Up to the rating position a training row is, token by token and pixel by pixel, what the model is asked with later."""
    for question in processor.rating_scale.questions:
        batch = AestheticSFTCollator(processor, augment=False)([rows[3] | {"question": question}])
        asked = processor.rating_inputs(rows[3]["images"][0], question)
        assert torch.equal(batch["input_ids"][:, : batch["level_positions"] + 1], asked["input_ids"])
        assert torch.equal(batch["pixel_values"], asked["pixel_values"])
        assert torch.equal(batch["image_sizes"], asked["image_sizes"])


def test_words_are_learned_as_they_are_and_not_rated(processor: AestheticMLLMProcessor, rows: list[dict]) -> None:
    """A row without a question learns its answer and the end of the turn, has no rating position, and shows all its photos."""
    pair = {"images": [rows[0]["images"][0], rows[1]["images"][0]]} | exchange("Which is better?", "The first.")
    batch = AestheticSFTCollator(processor)([pair, rows[2]])
    counted = batch["labels"][0] != -100
    assert processor.tokenizer.decode(batch["input_ids"][0][counted]) == "The first.<|im_end|>"
    assert batch["level_positions"][0] == -1 == batch["rank_groups"][0] and batch["level_positions"][1] > 0
    assert len(batch["pixel_values"]) == 3
    assert (batch["input_ids"][0] == processor.image_token_id).sum() == 2 * processor.num_image_tokens
    assert "image_layouts" not in batch  # whole photos need none


def test_group_dropout_keeps_every_subset_of_groups_at_times(processor: AestheticMLLMProcessor, rows: list[dict]) -> None:
    """With dropout a batch has one of the 14 proper subsets, the same in all of its rows; without it, all four groups."""
    pair = {"images": [rows[0]["images"][0], rows[1]["images"][0]]} | exchange("Which is better?", "The first.")
    collator = AestheticSFTCollator(processor, augment=False, group_dropout=1.0)
    seen = set()
    for _ in range(200):
        batch = collator([rows[0], pair])
        layouts = batch["image_layouts"]
        assert layouts.shape == (3, 4) and (layouts == layouts[0]).all()
        assert ((layouts[0] == 0) | (layouts[0] == torch.tensor(processor.image_layout()))).all()
        shown = (batch["input_ids"] == processor.image_token_id).sum(1)
        assert shown.tolist() == [layouts[0].sum(), 2 * layouts[0].sum()]
        seen.add(tuple(layouts[0].tolist()))
    assert len(seen) == 14 and all(0 < sum(map(bool, layout)) < 4 for layout in seen)
    assert "image_layouts" not in AestheticSFTCollator(processor, augment=False)(rows[:2])


def test_groups_that_are_dropped_are_not_seen(nano: Any, processor: AestheticMLLMProcessor, rows: list[dict]) -> None:
    """What a step with dropped groups computes is what the model computes from the kept groups' tokens alone."""
    batch = AestheticSFTCollator(processor, augment=False, group_dropout=1.0, seed=1)(rows[:2])
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "pixel_values", "image_sizes", "image_layouts")}
    kept = [group for group, count in zip(TOKEN_GROUPS, batch["image_layouts"][0], strict=True) if count]
    with torch.inference_mode():
        found = nano(**inputs).logits
        features = nano.get_image_features(batch["pixel_values"], batch["image_sizes"], groups=kept)
        words = {name: batch[name] for name in ("input_ids", "attention_mask")}
        assert torch.allclose(found, nano(**words, mm_encoder_outputs={"image": features}).logits, atol=1e-5)


def test_augmented_shapes_do_not_tell_the_source(processor: AestheticMLLMProcessor, rows: list[dict], tmp_path: Path) -> None:
    """Photos of one shape come to the canvas in many shapes, wide and tall; without augmentation in their own."""
    Image.new("RGB", (300, 300), "red").save(tmp_path / "square.png")
    row = rows[0] | {"images": [str(tmp_path / "square.png")]}
    sizes = AestheticSFTCollator(processor)([row] * 30)["image_sizes"]
    assert len({tuple(size) for size in sizes.tolist()}) > 15
    assert (sizes[:, 0] < sizes[:, 1]).any() and (sizes[:, 0] > sizes[:, 1]).any()
    assert AestheticSFTCollator(processor, augment=False)([row])["image_sizes"].tolist() == [[64, 64]]


def test_training_learns_to_rate(processor: AestheticMLLMProcessor, rows: list[dict], tmp_path: Path) -> None:
    """A few steps tell good from bad photos; every loss is logged and falls; the tower stays as it was."""
    model = tiny_model("efficientnet_lite", "llama", processor)
    tower = {name: weight.clone() for name, weight in model.model.vision_tower.state_dict().items()}
    arguments = AestheticSFTConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=40,
        per_device_train_batch_size=8,
        learning_rate=1e-2,
        alignment_learning_rate=1e-2,
        logging_steps=5,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
    )
    trainer = AestheticSFTTrainer(
        model,
        arguments,
        processing_class=processor,
        train_dataset=Dataset.from_list(rows),
        data_collator=AestheticSFTCollator(processor, augment=False),
    )
    trainer.train()
    logs = [log for log in trainer.state.log_history if "level_loss" in log]
    for name in ("level_loss", "rank_loss"):
        assert 0 < logs[-1][name] < logs[0][name], name
    assert all("text_loss" not in log for log in logs)  # there were no words to learn, so no 0 that looks learned
    for name, weight in model.model.vision_tower.state_dict().items():
        assert torch.equal(weight, tower[name]), name
    model.eval()
    inputs = processor.rating_inputs([row["images"][0] for row in rows], "quality")
    with torch.inference_mode():
        means = [r.mean for r in processor.rating_scale.read_level_logits(model.level_logits(processor.level_ids, **inputs))]
    assert min(means[::2]) > max(means[1::2]) + 1


def trainer_of(
    rows: list[dict],
    folder: Path,
    processor: AestheticMLLMProcessor,
    model: Any = None,
    peft_config: Any = None,
    **arguments: Any,
) -> AestheticSFTTrainer:
    """A trainer of a tiny model, in float32 on the CPU, without dropout, whose draws depend on the process."""
    model = model or tiny_model("efficientnet_lite", "llama", processor)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
    defaults = {
        "output_dir": str(folder), "max_steps": 4, "per_device_train_batch_size": 4, "learning_rate": 1e-3, "logging_steps": 1,
        "save_strategy": "no", "use_cpu": True, "bf16": False, "disable_tqdm": True, "seed": 3,
    }  # fmt: skip
    return AestheticSFTTrainer(
        model,
        AestheticSFTConfig(**(defaults | arguments)),
        processing_class=processor,
        train_dataset=Dataset.from_list(rows),
        eval_dataset={"dark": Dataset.from_list(rows), "again": Dataset.from_list(rows[:4])},
        peft_config=peft_config,
        data_collator=AestheticSFTCollator(processor, augment=False),
    )


def test_evaluation_is_what_the_scorer_of_inference_gives(
    processor: AestheticMLLMProcessor, rows: list[dict], tmp_path: Path
) -> None:
    """SRCC and PLCC of each set are those of the assessor's ratings, and the means over sets what the best is chosen by."""
    trainer = trainer_of(rows, tmp_path, processor)
    metrics = trainer.evaluate()
    assessor = AestheticAssessor(trainer.model, processor)
    for name, part in (("dark", rows), ("again", rows[:4])):
        means = [rating.mean for rating in assessor.score([row["images"][0] for row in part], "quality")]
        wanted = correlations(means, [row["mean"] for row in part])
        assert metrics[f"eval_{name}_srcc"] == pytest.approx(wanted["srcc"]), name
        assert metrics[f"eval_{name}_plcc"] == pytest.approx(wanted["plcc"], abs=1e-5), name
    assert metrics["eval_srcc"] == pytest.approx((metrics["eval_dark_srcc"] + metrics["eval_again_srcc"]) / 2)
    assert not trainer.model.training
    trainer.model.train()
    trainer.evaluate()
    assert trainer.model.training  # it is left as it was


def test_the_best_step_is_kept_and_training_stops_without_progress(
    processor: AestheticMLLMProcessor, rows: list[dict], tmp_path: Path
) -> None:
    """With a rate that ruins the model, the weights that are left are those of the best evaluation, and the steps end early."""
    trainer = trainer_of(
        rows, tmp_path, processor, max_steps=12, learning_rate=1e-3, eval_strategy="steps", eval_steps=1, save_strategy="steps",
        save_steps=1, load_best_model_at_end=True, save_total_limit=1,
    )  # fmt: skip
    trainer.add_callback(EarlyStoppingCallback(2))
    trainer.train()
    found = [log["eval_srcc"] for log in trainer.state.log_history if "eval_srcc" in log]
    assert trainer.state.best_metric == pytest.approx(max(found)) and len(found) <= found.index(max(found)) + 3
    assert trainer.evaluate()["eval_srcc"] == pytest.approx(max(found))


def test_adapters_learn_save_load_and_merge_to_equal_ratings(
    processor: AestheticMLLMProcessor, rows: list[dict], tmp_path: Path
) -> None:
    """LoRA adapts the language model alone, learns the alignment module whole, and gives the same ratings saved and merged."""
    model = tiny_model("efficientnet_lite", "llama", processor)
    model.save_pretrained(tmp_path / "base")
    trainer = trainer_of(rows, tmp_path, processor, model=model, peft_config=LoraConfig(r=4, task_type="CAUSAL_LM"))
    learned = {name for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    assert learned and all("language_model" in name or "multi_modal_projector" in name for name in learned)
    assert all("lora" in name for name in learned if "language_model" in name)
    trainer.train()
    trainer.save_model(str(tmp_path / "adapter"))
    photos = [row["images"][0] for row in rows]
    wanted = [rating.mean for rating in AestheticAssessor(trainer.model.eval(), processor).score(photos, "quality")]
    base = AestheticMLLMForConditionalGeneration.from_pretrained(tmp_path / "base", dtype=torch.float32)
    unlearned = [rating.mean for rating in AestheticAssessor(base.eval(), processor).score(photos, "quality")]
    assert unlearned != pytest.approx(wanted, abs=1e-4)
    loaded = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    save_tuned(trainer, tmp_path / "merged")
    merged = AestheticAssessor.from_pretrained(str(tmp_path / "merged"), device="cpu")
    for assessor in (AestheticAssessor(loaded, processor), merged):
        assert [rating.mean for rating in assessor.score(photos, "quality")] == pytest.approx(wanted, abs=1e-4)


def test_hard_labels_learn_the_nearest_word_alone(processor: AestheticMLLMProcessor, rows: list[dict], tmp_path: Path) -> None:
    """A mean between two levels costs nothing where the nearer word is sure, and something where it is soft."""
    batch = AestheticSFTCollator(processor, augment=False)([rows[0] | {"mean": 4.0}, rows[1] | {"mean": 4.0}])
    places = batch["level_positions"] * 0
    logits = torch.full((2, 1, len(processor.tokenizer)), -50.0)
    logits[:, 0, processor.level_ids[1]] = 50.0  # 3.25 is nearer to 4 than 5.5
    losses = {}
    for label_type in ("soft", "hard"):
        trainer = trainer_of(rows, tmp_path, processor, label_type=label_type)
        losses[label_type], _ = trainer.rating_losses(
            logits, places, batch["level_targets"], batch["mean_targets"], batch["rank_groups"]
        )
    assert losses["hard"] < 1e-4 < 1 < losses["soft"]


@pytest.mark.parametrize("stem", ["", "It is"])
@pytest.mark.parametrize("with_words", [False, True])
def test_every_rating_of_a_batch_is_in_the_loss(
    processor: AestheticMLLMProcessor, rows: list[dict], tmp_path: Path, stem: str, with_words: bool
) -> None:
    """With or without a stem or words beside them, the level loss is that of the model's own forward over all positions."""
    scale = processor.rating_scale
    asked = replace(scale, questions={"quality": replace(scale.question("quality"), stem=stem)})
    own = copy.copy(processor)
    own.rating_scale = asked
    trainer = trainer_of(rows, tmp_path, own)
    words = {"images": rows[0]["images"]} | exchange("What is it?", "A fine scene.")
    batch = AestheticSFTCollator(own, augment=False)([*rows[:3], *[words] * with_words])
    trainer.compute_loss(trainer.model.eval(), batch)
    (found,) = trainer._metrics["eval"]["level_loss"]
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "pixel_values", "image_sizes")}
    with torch.inference_mode():
        logits = trainer.model(**inputs).logits[torch.arange(3), batch["level_positions"][:3]]
    wanted = -(batch["level_targets"][:3] * logits.log_softmax(-1)[:, processor.level_ids]).sum(1).mean()
    assert found == pytest.approx(wanted.item(), abs=1e-5) and found > 0


def test_ratings_that_would_not_be_learned_are_an_error(
    processor: AestheticMLLMProcessor, rows: list[dict], tmp_path: Path
) -> None:
    """A collator that gives targets without their positions, or nothing at all, does not train in silence."""
    trainer = trainer_of(rows, tmp_path, processor)
    words = {"images": rows[0]["images"]} | exchange("What is it?", "A fine scene.")
    batch = AestheticSFTCollator(processor, augment=False)([*rows[:2], words])
    lost = batch | {"level_positions": torch.full((3,), -1)}
    with pytest.raises(ValueError, match="2 of 2 rated rows of a batch have no rating position"):
        trainer.compute_loss(trainer.model, lost)
    with pytest.raises(ValueError, match="neither words nor ratings to learn"):
        trainer.compute_loss(trainer.model, lost | {"labels": torch.full_like(batch["labels"], -100)})


def test_a_run_that_was_killed_goes_on_as_if_unbroken(
    processor: AestheticMLLMProcessor, rows: list[dict], tmp_path: Path
) -> None:
    unbroken = trainer_of(rows, tmp_path / "unbroken", processor, max_steps=6)
    unbroken.train()
    first = trainer_of(rows, tmp_path / "broken", processor, max_steps=6, save_strategy="steps", save_steps=3)
    first.add_callback(_Stop(3))
    first.train()
    again = trainer_of(rows, tmp_path / "broken", processor, max_steps=6, save_strategy="steps", save_steps=3)
    again.train(resume_from_checkpoint=True)
    wanted = [log["loss"] for log in unbroken.state.log_history if "loss" in log]
    found = [log["loss"] for log in again.state.log_history if "loss" in log]
    assert found == pytest.approx(wanted, abs=1e-5)


class _Stop(TrainerCallback):
    """Ends a run early, as a kill after a checkpoint does."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = state.global_step >= self.step


def test_two_processes_lose_what_one_loses(processor: AestheticMLLMProcessor, rows: list[dict], tmp_path: Path) -> None:
    """Four steps of 4 rows in each of two processes are four steps of 8 rows in one: every loss, and the weights at the end.

    Words and ratings are mixed, so that the processes have unequal numbers of them.
    """
    words = {"question": "", "mean": None, "group": -1}
    mixed_rows = [row | {"prompt": [], "completion": []} for row in rows] + [
        row | words | exchange("What is it?", "A " + "very " * number + "fine scene.") for number, row in enumerate(rows)
    ]
    one = run_processes(1, mixed_rows, tmp_path / "one", batch_size=8)
    two = run_processes(2, mixed_rows, tmp_path / "two", batch_size=4)
    for name in ("text_loss", "level_loss", "rank_loss"):
        losses = [[log[name] for log in history["history"] if name in log] for history in (one, two)]
        assert len(losses[0]) == 4 and losses[1] == pytest.approx(losses[0], abs=2e-4), name
    assert two["sums"] == pytest.approx(one["sums"], rel=1e-3, abs=1e-3)
    assert two["metrics"] == pytest.approx(one["metrics"], abs=1e-6)


def test_a_sharded_model_is_saved_as_one_checkpoint(processor: AestheticMLLMProcessor, rows: list[dict], tmp_path: Path) -> None:
    """Weights that FSDP2 shards over two processes train, are gathered into one safetensors file, and rate as they did."""
    report = run_processes(2, rows, tmp_path / "sharded", batch_size=4, task="shard")
    assert report["sharded"] > 20
    assert [path.name for path in (tmp_path / "sharded" / "tuned").glob("*.safetensors")] == ["model.safetensors"]
    loaded = AestheticAssessor.from_pretrained(str(tmp_path / "sharded" / "tuned"), device="cpu")
    means = [rating.mean for rating in loaded.score([row["images"][0] for row in rows], "quality")]
    assert means == pytest.approx(report["means"], abs=1e-4)
    assert report["moved"] > 0


def run_processes(count: int, rows: list[dict], folder: Path, batch_size: int, task: str = "train") -> dict[str, Any]:
    """What the processes of this file's main part report."""
    folder.mkdir()
    (folder / "rows.json").write_text(json.dumps(rows))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}", __file__]
    done = subprocess.run([*command, task, str(folder), str(batch_size)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "report.json").read_text())


def train_together(place: Path, data: list[dict], size: int) -> None:
    """One of several processes that train by the trainer; the main one reports losses, weights and correlations."""
    run = trainer_of(data, place, tiny_processor(), per_device_train_batch_size=size)
    run.eval_dataset = {"dark": Dataset.from_list(data[:8])}
    run.train()
    found = run.evaluate()
    if run.is_world_process_zero():
        weights = run.accelerator.unwrap_model(run.model).state_dict()
        sums = {name: value.double().sum().item() for name, value in weights.items()}
        metrics = {name: found[name] for name in ("eval_srcc", "eval_plcc")}
        (place / "report.json").write_text(json.dumps({"history": run.state.log_history, "sums": sums, "metrics": metrics}))


def shard_together(place: Path, data: list[dict], size: int) -> None:
    """One of several processes that share weights by FSDP2, which accelerate does on GPUs alone, and train a step."""
    run = trainer_of(data, place, tiny_processor(), per_device_train_batch_size=size)
    before = {name: weight.double().sum().item() for name, weight in run.model.named_parameters()}
    for layer in run.model.model.language_model.layers:
        fully_shard(layer)
    fully_shard(run.model)
    batch = run.data_collator(data[size * run.accelerator.process_index :][:size])
    optimizer = torch.optim.AdamW([weight for weight in run.model.parameters() if weight.requires_grad], lr=1e-3)
    run.compute_loss(run.model, batch).backward()
    optimizer.step()
    state = gathered_state(run.model)
    sharded = sum(isinstance(weight, DTensor) for weight in run.model.parameters())
    save_tuned(run, place / "tuned")
    if run.is_world_process_zero():
        whole = tiny_model("efficientnet_lite", "llama", tiny_processor())
        whole.load_state_dict(state)
        ratings = AestheticAssessor(whole.eval(), tiny_processor()).score([row["images"][0] for row in data], "quality")
        moved = sum(abs(state[name].double().sum().item() - value) for name, value in before.items())
        (place / "report.json").write_text(
            json.dumps({"sharded": sharded, "moved": moved, "means": [rating.mean for rating in ratings]})
        )


if __name__ == "__main__":  # one of the processes of the tests above
    location = Path(sys.argv[2])
    work = {"train": train_together, "shard": shard_together}[sys.argv[1]]
    work(location, json.loads((location / "rows.json").read_text()), int(sys.argv[3]))
    leave_process_group()
