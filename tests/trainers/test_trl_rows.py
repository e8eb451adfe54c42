"""Rows, optimizer, metrics and cards as TRL's users know them: its trainers learn from our rows, ours from its data sets."""

import contextlib
import copy
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, Image, List
from peft import LoraConfig
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import Adafactor, EvalPrediction
from trl import SFTConfig, SFTTrainer

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.data.conversations import ConversationBuilder, assistant_says, user_says
from aesthetic_mllm.data.record import Record
from aesthetic_mllm.data.source import as_dataset
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.aesthetic_sft_collator import AestheticSFTCollator
from aesthetic_mllm.trainers.aesthetic_sft_config import AestheticSFTConfig
from aesthetic_mllm.trainers.aesthetic_sft_trainer import AestheticSFTTrainer
from aesthetic_mllm.trainers.photo_ratings import FirstPhotos, distinct_photos, undecoded
from aesthetic_mllm.trainers.prompt_packing import pack_prompt
from aesthetic_mllm.trainers.tuning import save_tuned
from photo_files import scene
from tiny_models import tiny_model

PLAIN = {"use_cpu": True, "bf16": False, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "logging_steps": 1}
Make = Callable[..., AestheticSFTTrainer]


@pytest.fixture
def records(tmp_path: Path) -> Dataset:
    """Six rated photos."""
    found = []
    for number in range(6):
        scene(60 + number, 50).point(lambda value, n=number: value // (1 + n)).save(tmp_path / f"{number}.png")
        record = Record(tmp_path / f"{number}.png", "mine", "train", "aesthetic", number, 1.0, range_low=0, range_high=5)
        found.append(record)
    return as_dataset(found)


@pytest.fixture
def rows(records: Dataset, processor: AestheticMLLMProcessor) -> Dataset:
    return ConversationBuilder(processor.rating_scale).build(records, ["score", "decimal"])


@pytest.fixture
def make(processor: AestheticMLLMProcessor, tmp_path: Path) -> Make:
    def trainer(train: Any, evaluated: Any = None, peft_config: Any = None, **settings: Any) -> AestheticSFTTrainer:
        options = {name: settings.pop(name) for name in ("compute_metrics", "optimizer_cls_and_kwargs") if name in settings}
        return AestheticSFTTrainer(
            tiny_model("efficientnet_lite", "llama", processor),
            AestheticSFTConfig(output_dir=str(tmp_path / "out"), **(PLAIN | {"max_steps": 3} | settings)),
            processing_class=processor,
            train_dataset=train,
            eval_dataset=evaluated,
            peft_config=peft_config,
            **options,
        )

    return trainer


def test_stock_trl_learns_our_rows(rows: Dataset, processor: AestheticMLLMProcessor, tmp_path: Path) -> None:
    """Three steps of TRL's own trainer; it learns the answers, level words among them, and no placeholder."""
    trainer = SFTTrainer(
        tiny_model("efficientnet_lite", "llama", processor),
        SFTConfig(output_dir=str(tmp_path / "out"), max_length=None, max_steps=3, per_device_train_batch_size=4, **PLAIN),
        train_dataset=rows,
        processing_class=processor,
    )
    told = [processor.tokenizer.decode(ids[ids != -100]) for batch in trainer.get_train_dataloader() for ids in batch["labels"]]
    assert sorted(told) == sorted(row["completion"][0]["content"] + "<|im_end|>\n" for row in rows)
    stem = processor.rating_scale.question("aesthetic").stem
    assert {f"{stem}{word}<|im_end|>\n" for word in processor.rating_scale.level_words} <= set(told)
    before = {name: weight.clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    assert len(losses) == 3 and all(0 < loss < 20 for loss in losses)
    assert any(not torch.equal(weight, before[name]) for name, weight in trainer.model.named_parameters())


@pytest.mark.parametrize("form", ["prompt_completion", "messages", "image"])
def test_a_stock_data_set_trains_in_our_trainer(make: Make, processor: AestheticMLLMProcessor, form: str) -> None:
    """TRL's three forms of rows about photos, held in memory; what is learned are the assistant's words and their ends."""
    photos, asked, told = [scene(60 + n, 50) for n in range(4)], user_says("How good?"), assistant_says("It is fair.")
    if form == "messages":
        again = [user_says("Why?"), assistant_says("Dull light.")]
        columns: dict[str, Any] = {"images": [[photo] for photo in photos], "messages": [[asked, told, *again]] * 4}
        wanted = "It is fair.<|im_end|>Dull light.<|im_end|>"
    else:
        named = {"image": photos} if form == "image" else {"images": [[photo] for photo in photos]}
        columns = named | {"prompt": [[asked]] * 4, "completion": [[told]] * 4}
        wanted = "It is fair.<|im_end|>"
    photos_as = Image() if form == "image" else List(Image())
    data = Dataset.from_dict(columns).cast_column("image" if form == "image" else "images", photos_as)
    trainer = make(data, data, per_device_train_batch_size=2, learning_rate=1e-3)
    batch = next(iter(trainer.get_train_dataloader()))
    assert [processor.tokenizer.decode(ids[ids != -100]) for ids in batch["labels"]] == [wanted] * 2
    assert len(batch["pixel_values"]) == 2
    trainer.train()
    assert len([log for log in trainer.state.log_history if log.get("text_loss", 0) > 0]) == 3
    assert trainer.evaluate()["eval_loss"] > 0  # there are no ratings to compare


def test_a_conversation_is_packed_as_the_chat_template_says(processor: AestheticMLLMProcessor) -> None:
    """Of several turns the ids are those of the rendered chat; turns of the context and of the user are not learned."""
    turns = [user_says("How good?"), assistant_says("Fair."), user_says("Why?"), assistant_says("Dull light.")]
    packed = pack_prompt(processor, turns)
    shown = [user_says([{"type": "image"}, {"type": "text", "text": "How good?"}]), *turns[1:]]  # type: ignore[arg-type]
    whole = processor.apply_chat_template(shown, tokenize=False).replace(processor.image_token, processor.image_placeholders())
    assert processor.tokenizer.decode(packed.ids) == whole.rstrip("\n")
    learned = [id for id in packed.labels if id != -100]
    assert processor.tokenizer.decode(learned) == "Fair.<|im_end|>Dull light.<|im_end|>"
    late = pack_prompt(processor, turns, context=3)
    assert processor.tokenizer.decode([id for id in late.labels if id != -100]) == "Dull light.<|im_end|>"
    assert late.ids == packed.ids and packed.rating_position is None
    scale: RatingScale = processor.rating_scale
    asked = scale.question("quality")
    rated = pack_prompt(processor, [user_says(asked.prompt)], stem=asked.stem)
    assert rated.ids == processor.rating_prompt_ids("quality") and rated.rating_position == len(rated.ids) - 1
    blind = pack_prompt(processor, [user_says("Why?")], num_images=0)
    assert processor.tokenizer.decode(blind.ids) == "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"


def test_a_prompt_begins_as_the_tokenizer_begins_texts(processor: AestheticMLLMProcessor) -> None:
    """With a tokenizer that begins texts with a token of its own, training asks what the assessor asks; no other part has it."""
    own = copy.deepcopy(processor)
    start = ("<pad>", own.tokenizer.convert_tokens_to_ids("<pad>"))
    own.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{start[0]} $A", special_tokens=[start])
    asked = own.rating_scale.question("quality")
    rated = pack_prompt(own, [user_says(asked.prompt)], stem=asked.stem)
    assert rated.ids == own.rating_prompt_ids("quality") and rated.ids[0] == start[1]
    turns = [user_says("How good?"), assistant_says("Fair."), user_says("Why?"), assistant_says("Dull light.")]
    assert pack_prompt(own, turns).ids == [start[1], *pack_prompt(processor, turns).ids]


def test_a_rating_is_asked_for_in_the_checkpoints_words(rows: Dataset, processor: AestheticMLLMProcessor) -> None:
    """A row that words its question otherwise is an error; one that leaves the wording out is asked as the scale says."""
    (row,) = rows.select([0]).to_list()
    collator = AestheticSFTCollator(processor, augment=False)
    wordless = collator([{name: row[name] for name in ("images", "question", "mean")}])
    assert torch.equal(wordless["input_ids"], collator([row])["input_ids"])
    assert wordless["rank_groups"].tolist() == [-1]
    with pytest.raises(ValueError, match="A row's prompt is 'Nice.', but the checkpoint asks its question 'aesthetic' as"):
        collator([row | {"prompt": [user_says("Nice?")]}])
    with pytest.raises(ValueError, match="A row has answer, images, prompt; to learn from it, it needs conversational messages"):
        collator([{"images": row["images"], "prompt": "What?", "answer": "A scene."}])


def test_photos_in_files_are_read_by_the_package(rows: Dataset, tmp_path: Path) -> None:
    """Their names stay names, so that memory does not grow and an unreadable one is named; photos in memory are left alone."""
    assert undecoded(rows)[0]["images"] == [{"bytes": None, "path": str(tmp_path / "0.png")}]
    held = Dataset.from_dict({"image": [scene(60, 50)]}).cast_column("image", Image())
    assert undecoded(held) is held


def names(trainer: AestheticSFTTrainer, group: dict[str, Any]) -> list[str]:
    by_id = {id(weight): name for name, weight in trainer.model.named_parameters()}
    return [by_id[id(weight)] for weight in group["params"]]


def test_the_alignment_modules_learning_rate_adds_groups_to_the_parents(rows: Dataset, make: Make) -> None:
    """Four groups: with and without weight decay, of the language model and of the alignment module; norms, biases without."""
    trainer = make(rows, learning_rate=1e-4, alignment_learning_rate=1e-3, weight_decay=0.1)
    groups = trainer.create_optimizer().param_groups
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(1e-4, 0.1), (1e-4, 0.0), (1e-3, 0.1), (1e-3, 0.0)]
    for place, group in enumerate(groups):
        found = names(trainer, group)
        assert found and all(("multi_modal_projector" in name) == (place > 1) for name in found)
    undecayed = {name for group in (groups[1], groups[3]) for name in names(trainer, group)}
    norms = {
        f"{path}.{name}"
        for path, module in trainer.model.named_modules()
        if isinstance(module, nn.LayerNorm) or "norm" in type(module).__name__.lower()
        for name, weight in module.named_parameters(recurse=False)
        if weight.requires_grad
    }
    biases = {name for name, weight in trainer.model.named_parameters() if weight.requires_grad and name.endswith("bias")}
    assert norms and biases and undecayed == norms | biases
    learned = {name for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    assert sorted(name for group in groups for name in names(trainer, group)) == sorted(learned)
    plain = make(rows, learning_rate=1e-4, weight_decay=0.1)
    assert [(group["lr"], group["weight_decay"]) for group in plain.create_optimizer().param_groups] == [(1e-4, 0.1), (1e-4, 0.0)]


@pytest.mark.parametrize(
    ("settings", "wanted", "option"),
    [
        ({"optim": "adafactor"}, Adafactor, ("scale_parameter", False)),
        ({"optim": "adamw_torch", "adam_beta2": 0.95}, torch.optim.AdamW, ("betas", (0.9, 0.95))),
        ({"optim": "rmsprop", "optim_args": "momentum=0.25"}, torch.optim.RMSprop, ("momentum", 0.25)),
        ({"optimizer_cls_and_kwargs": (torch.optim.SGD, {"lr": 1.0, "momentum": 0.5})}, torch.optim.SGD, ("momentum", 0.5)),
    ],
)
def test_the_chosen_optimizer_is_used(
    rows: Dataset, make: Make, settings: dict[str, Any], wanted: type, option: tuple[str, Any]
) -> None:
    """With its options, in the alignment module's groups too; and it trains."""
    trainer = make(rows, alignment_learning_rate=1e-3, learning_rate=1e-4, per_device_train_batch_size=2, **settings)
    trainer.train()
    optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)  # accelerate wraps it
    assert type(optimizer) is wanted and len(optimizer.param_groups) == 4
    assert all(group[option[0]] == option[1] for group in optimizer.param_groups)
    first = optimizer.param_groups[0]["initial_lr"]
    assert [group["initial_lr"] for group in optimizer.param_groups] == [first, first, 1e-3, 1e-3]


def test_adapters_learn_faster_unless_told_otherwise(rows: Dataset, make: Make, processor: AestheticMLLMProcessor) -> None:
    lora = LoraConfig(r=2, task_type="CAUSAL_LM")
    assert make(rows).args.learning_rate == 5e-5
    assert make(rows, peft_config=lora).args.learning_rate == 5e-4
    assert make(rows, peft_config=lora, learning_rate=1e-5).args.learning_rate == 1e-5


def test_compute_metrics_is_honoured(rows: Dataset, make: Make) -> None:
    """It gets the ratings of each set's rated photos and people's, and what it says is reported beside SRCC and PLCC."""

    def farthest(prediction: EvalPrediction) -> dict[str, float]:
        assert prediction.predictions.shape == prediction.label_ids.shape == (6,)
        return {"farthest": float(abs(prediction.predictions - prediction.label_ids).max())}

    trainer = make(rows, {"mine": rows}, compute_metrics=farthest)
    found = trainer.evaluate()
    predicted, wanted = trainer.rate({"mine": rows})["mine"]
    assert found["eval_mine_farthest"] == pytest.approx(max(abs(a - b) for a, b in zip(predicted, wanted, strict=True)))
    assert {"eval_mine_srcc", "eval_srcc"} <= found.keys() and wanted == pytest.approx([1 + 9 * n / 5 for n in range(6)])


def test_outputs_have_a_card_of_their_own(rows: Dataset, make: Make, tmp_path: Path) -> None:
    """TRL's template, which asks a language model what it would do with a time machine, is written nowhere.

    The card of a finished checkpoint lies beside it, and what it says to run runs.
    """
    trainer = make(rows, per_device_train_batch_size=2, save_strategy="steps", save_steps=3)
    trainer.train()
    save_tuned(trainer, tmp_path / "out" / "tuned")
    card = (tmp_path / "out" / "tuned" / "README.md").read_text()
    code, _ = re.findall(r"^```python\n(.*?)^```", card, re.S | re.M)
    scene().save(tmp_path / "photo.jpg")
    code = code.replace("path/to/this/folder", str(tmp_path / "out" / "tuned"))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code.replace("photo.jpg", str(tmp_path / "photo.jpg")))
    assert "excellent" in printed.getvalue() and str(tmp_path) not in card
    assert "Nothing was measured of this checkpoint" in card and "| steps | 3 (0.50 epochs) |" in card
    cards = list((tmp_path / "out").rglob("README.md"))
    assert (tmp_path / "out" / "README.md") in cards
    for card in cards:
        text = card.read_text()
        assert "time machine" not in text and "AestheticAssessor.from_pretrained" in text and "- aesthetic-mllm" in text


def test_a_folder_names_model_and_processor(rows: Dataset, checkpoint: Path, tmp_path: Path) -> None:
    """As TRL's own trainer takes it."""
    trainer = AestheticSFTTrainer(
        str(checkpoint), AestheticSFTConfig(output_dir=str(tmp_path / "out"), **PLAIN), train_dataset=rows
    )
    assert trainer.processing_class.rating_scale.default_question == "aesthetic" and trainer.model.dtype == torch.float32


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "aesthetic"}, "A row asks 'aesthetic', but has no mean"),
        ({"question": "aesthetic", "mean": 5.0, "prompt": "How good is it?"}, "Leave prompt and completion out of rows"),
        ({"question": "aesthetic", "mean": 50.0}, "lies outside 1 to 10; rescale it"),
        ({"prompt": "What is it?", "completion": "A photo."}, "it needs conversational messages"),
    ],
)
def test_a_row_that_cannot_be_learned_says_why(processor: AestheticMLLMProcessor, row: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AestheticSFTCollator(processor)([{"images": [scene()]} | row])


def test_a_label_type_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="label_type must be one of soft, hard, got 'hrad'"):
        AestheticSFTConfig(output_dir=str(tmp_path), label_type="hrad", **PLAIN)  # type: ignore[arg-type]


def test_ratings_are_no_unused_columns(records: Dataset, processor: AestheticMLLMProcessor, make: Make) -> None:
    """Else rating rows would be learned as words, in silence."""
    rows = ConversationBuilder(processor.rating_scale).build(records, ["score"])
    trainer = make(rows, remove_unused_columns=True, max_steps=1)
    trainer.train()
    assert "level_loss" in trainer.state.log_history[0] and "text_loss" not in trainer.state.log_history[0]


def test_rows_of_text_alone_may_stand_among_others(tmp_path: Path, make: Make) -> None:
    scene(60, 50).save(tmp_path / "one.png")
    said = [user_says("What?"), assistant_says("a photo")]
    rows = [{"images": photos, "messages": said} for photos in ([], [str(tmp_path / "one.png")])]
    mixed = Dataset.from_list(rows[::-1]).cast_column("images", List(Image())).select([1, 0])
    assert distinct_photos([mixed], most=5) == [str(tmp_path / "one.png")]
    with pytest.raises(ValueError, match="Row 0 .* no photo"):
        FirstPhotos(mixed)[0]
    trainer = make(mixed, max_steps=1, per_device_train_batch_size=2)
    trainer.train()
    assert trainer.state.log_history[0]["text_loss"] > 0


@pytest.mark.parametrize("texts", [("Is <image> it?", "yes"), ("What?", "an <image>")])
def test_a_text_may_not_hold_the_placeholder(processor: AestheticMLLMProcessor, texts: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="may not hold the placeholder"):
        pack_prompt(processor, [user_says(texts[0]), assistant_says(texts[1])])


@pytest.mark.parametrize("named", [False, True])
def test_words_are_evaluated_by_their_loss_while_training(
    records: Dataset, processor: AestheticMLLMProcessor, make: Make, named: bool
) -> None:
    """Of words there is no SRCC, which tells the best model elsewhere."""
    rows = ConversationBuilder(processor.rating_scale).build(records, ["decimal"])
    trainer = make(rows, {"mine": rows} if named else rows, max_steps=1, eval_strategy="steps", eval_steps=1)
    trainer.train()
    metric = "eval_mine_loss" if named else "eval_loss"
    assert trainer.state.best_metric == pytest.approx(next(log[metric] for log in trainer.state.log_history if metric in log))
