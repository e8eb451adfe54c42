"""The trainer learns what it is told to learn, and only that."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from PIL import Image

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.trainers.aesthetic_sft_collator import AestheticSFTCollator
from aesthetic_mllm.trainers.aesthetic_sft_config import AestheticSFTConfig
from aesthetic_mllm.trainers.aesthetic_sft_trainer import AestheticSFTTrainer
from photo_files import scene
from tiny_models import tiny_model


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


def test_labels_are_the_answer_without_the_rated_word(processor: AestheticMLLMProcessor, rows: list[dict]) -> None:
    """Next-token loss falls on stem, full stop and end of turn; never on prompt, placeholders, padding or the level word."""
    batch = AestheticSFTCollator(processor, augment=False)([rows[0], rows[1] | {"question": "aesthetic"}])
    stems = ["The technical quality of this photo is", "The aesthetic quality of this photo is"]
    for ids, labels, position, stem in zip(batch["input_ids"], batch["labels"], batch["level_positions"], stems, strict=True):
        counted = labels != -100
        assert torch.equal(ids[counted], labels[counted])
        assert processor.tokenizer.decode(ids[counted]) == f"{stem}.<|im_end|>"
        assert ids[position + 1] in processor.level_ids and labels[position + 1] == -100
        assert processor.tokenizer.decode(ids[: position + 1]).endswith(stem)
    assert torch.allclose(batch["level_targets"].sum(1), torch.ones(2))


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
    pair = {"images": [rows[0]["images"][0], rows[1]["images"][0]], "prompt": "Which is better?", "answer": "The first."}
    batch = AestheticSFTCollator(processor)([pair, rows[2]])
    counted = batch["labels"][0] != -100
    assert processor.tokenizer.decode(batch["input_ids"][0][counted]) == "The first.<|im_end|>"
    assert batch["level_positions"][0] == -1 == batch["rank_groups"][0] and batch["level_positions"][1] > 0
    assert len(batch["pixel_values"]) == 3
    for group, token in processor.group_token_ids.items():
        assert (batch["input_ids"][0] == token).sum() == 2 * processor.num_group_tokens[group]


def test_group_dropout_keeps_every_subset_of_groups_at_times(processor: AestheticMLLMProcessor, rows: list[dict]) -> None:
    """With dropout a batch has one of the 14 proper subsets, the same in all of its rows; without it, all four groups."""

    def groups_of(batch: dict[str, torch.Tensor]) -> frozenset[str]:
        present = [{group for group, token in processor.group_token_ids.items() if token in ids} for ids in batch["input_ids"]]
        assert present[0] == present[1]
        return frozenset(present[0])

    collator = AestheticSFTCollator(processor, augment=False, group_dropout=1.0)
    seen = {groups_of(collator(rows[:2])) for _ in range(200)}
    assert len(seen) == 14 and all(0 < len(groups) < 4 for groups in seen)
    assert len(groups_of(AestheticSFTCollator(processor, augment=False)(rows[:2]))) == 4


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
    for name in ("text_loss", "level_loss", "rank_loss"):
        assert logs[-1][name] < logs[0][name], name
    for name, weight in model.model.vision_tower.state_dict().items():
        assert torch.equal(weight, tower[name]), name
    model.eval()
    inputs = processor.rating_inputs([row["images"][0] for row in rows], "quality")
    with torch.inference_mode():
        means = [r.mean for r in processor.rating_scale.read_level_logits(model.level_logits(processor.level_ids, **inputs))]
    assert min(means[::2]) > max(means[1::2]) + 1
