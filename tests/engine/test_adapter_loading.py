"""Adapters load with the base that they name, and with no other."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForImageTextToText

from aesthetic_mllm import AestheticAssessor, AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor, CheckpointError
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.checkpoints.names import EMBEDDED, portable_name, resolve_name, weights_digest
from aesthetic_mllm.cli.main import main
from aesthetic_mllm.publishing.adapter_results import take_over_results
from aesthetic_mllm.publishing.card_facts import CardError
from aesthetic_mllm.publishing.folder_check import check_folder
from aesthetic_mllm.trainers.adapters import adapt_language_model, complete_adapters
from judging_everything import same, tiny_photos
from published_checkpoints import CARD, documented, report


def adapters_of(base: Path, folder: Path) -> AestheticAssessor:
    """Random adapters of a checkpoint in a folder, and what they say while they are in memory."""
    start = AestheticMLLMForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    torch.manual_seed(0)
    model = get_peft_model(start, adapt_language_model(LoraConfig(r=2, init_lora_weights=False)))
    processor = AestheticMLLMProcessor.from_pretrained(base)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    complete_adapters(model, folder, "A trainer")
    return AestheticAssessor(model.eval(), processor)  # type: ignore[arg-type]


def said(assessor: AestheticAssessor) -> list[float]:
    return [rating.mean for rating in assessor.score(tiny_photos())]


@pytest.fixture
def base(checkpoint: Path, tmp_path: Path) -> Path:
    return documented(Path(shutil.copytree(checkpoint, tmp_path / "base")))


def test_adapters_of_the_embedded_checkpoint_name_it_portably(tmp_path: Path) -> None:
    """They rate as in memory; no path of this machine is in the folder, and nobody can have the name at the Hub."""
    wanted = said(adapters_of(embedded_checkpoint(), tmp_path / "adapter"))
    found = json.loads((tmp_path / "adapter" / "base_checkpoint.json").read_text())
    assert found == {"name": EMBEDDED, "digest": weights_digest(embedded_checkpoint()), "revision": None}
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"] == EMBEDDED
    card = (tmp_path / "adapter" / "README.md").read_text()
    assert EMBEDDED in card and "More Information Needed" not in card
    assessor = AestheticAssessor.from_pretrained(tmp_path / "adapter", device="cpu")
    assert same(said(assessor), wanted)
    assert not same(said(AestheticAssessor.from_pretrained(EMBEDDED, device="cpu")), wanted)
    with pytest.raises(OSError, match=EMBEDDED):
        AutoModelForImageTextToText.from_pretrained(EMBEDDED)
    assert {problem.what for problem in check_folder(tmp_path / "adapter")} <= {
        "LICENSE is not there",
        "README.md names no licence in its metadata",
        "README.md has no results",
    }


def test_names_mean_the_same_everywhere(base: Path) -> None:
    assert portable_name(embedded_checkpoint()) == EMBEDDED and resolve_name(EMBEDDED) == str(embedded_checkpoint())
    assert portable_name("me/model") == resolve_name("me/model") == "me/model"
    assert portable_name(base) == "base"


def test_a_base_on_this_machine_is_given_by_its_folder(base: Path, tmp_path: Path) -> None:
    """It is named by no path, so that it must be; such adapters are not to be sent."""
    wanted = said(adapters_of(base, tmp_path / "adapter"))
    assert same(said(AestheticAssessor.from_pretrained(tmp_path / "adapter", base=base, device="cpu")), wanted)
    with pytest.raises(CheckpointError, match=r"adapters of base, which cannot be loaded .*base=\.\.\."):
        AestheticAssessor.from_pretrained(tmp_path / "adapter", device="cpu")
    assert "which is on this machine alone" in " ".join(map(str, check_folder(tmp_path / "adapter", loads=False)))
    assert (tmp_path / "adapter" / "LICENSE").read_bytes() == (base / "LICENSE").read_bytes()
    with pytest.raises(ValueError, match="is a whole checkpoint and no adapters; leave base out"):
        AestheticAssessor.from_pretrained(base, base=base, device="cpu")


def test_merged_adapters_save_as_a_whole_checkpoint(base: Path, tmp_path: Path) -> None:
    """With the base's licence, and without what is said of the base's weights."""
    wanted = said(adapters_of(base, tmp_path / "adapter"))
    assessor = AestheticAssessor.from_pretrained(tmp_path / "adapter", base=base, device="cpu")
    assessor.model.save_pretrained(tmp_path / "merged")
    assessor.processor.save_pretrained(tmp_path / "merged")
    assert same(said(AestheticAssessor.from_pretrained(tmp_path / "merged", device="cpu")), wanted)
    assert (tmp_path / "merged" / "LICENSE").is_file() and not (tmp_path / "merged" / "report.json").exists()


def test_another_base_is_refused(base: Path, tmp_path: Path) -> None:
    """One whose weights are others than the adapters were learned with."""
    adapters_of(base, tmp_path / "adapter")
    model = AestheticMLLMForConditionalGeneration.from_pretrained(base)
    with torch.no_grad():
        model.lm_head.weight.mul_(1.5)
    model.save_pretrained(base)
    with pytest.raises(CheckpointError, match=r"was learned with other weights of base than .* has here \(SHA-256"):
        AestheticAssessor.from_pretrained(tmp_path / "adapter", base=base, device="cpu")


def test_plain_peft_adapters_load_with_the_bases_processor(base: Path, tmp_path: Path) -> None:
    """As PEFT alone saves them, without processor and digest; also as PEFT loads ours."""
    start = AestheticMLLMForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    torch.manual_seed(0)
    model = get_peft_model(start, adapt_language_model(LoraConfig(r=2, init_lora_weights=False)))
    model.save_pretrained(tmp_path / "plain")
    processor = AestheticMLLMProcessor.from_pretrained(base)
    wanted = said(AestheticAssessor(model.eval(), processor))  # type: ignore[arg-type]
    assert same(said(AestheticAssessor.from_pretrained(tmp_path / "plain", device="cpu")), wanted)
    complete_adapters(model, tmp_path / "plain", "A trainer")
    again = AestheticMLLMForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    assert same(said(AestheticAssessor(PeftModel.from_pretrained(again, tmp_path / "plain").eval(), processor)), wanted)


def test_adapters_are_not_quantized(base: Path, tmp_path: Path) -> None:
    adapters_of(base, tmp_path / "adapter")
    with pytest.raises(ValueError, match="merged in full precision; save the merged checkpoint first"):
        AestheticAssessor.from_pretrained(
            tmp_path / "adapter", base=base, device="cpu", quantization_config={"quant_method": "x"}
        )


def name_base(folder: Path, name: object) -> None:
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": name}))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no base file": (lambda folder: (folder / "base_checkpoint.json").unlink(), "base_checkpoint.json with the SHA-256"),
    "other base": (
        lambda folder: (folder / "base_checkpoint.json").write_text('{"name": "me/other", "digest": "0"}'),
        "name different bases",
    ),
    "base on this machine": (lambda folder: name_base(folder, "./folder/x"), "on this machine alone"),
    "base of a drive": (lambda folder: name_base(folder, "C:/models/x"), "on this machine alone"),
    "base that is no id": (lambda folder: name_base(folder, "owner/x/y"), "on this machine alone"),
    "base that is a number": (lambda folder: name_base(folder, 3), "on this machine alone"),
    "no weights": (lambda folder: (folder / "adapter_model.safetensors").unlink(), "adapter_model.safetensors is not there"),
    "no processor": (lambda folder: (folder / "processor_config.json").unlink(), "processor_config.json is not there"),
    "arguments": (lambda folder: (folder / "training_args.bin").write_bytes(b""), "training_args.bin may hold code"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_adapter_folders_are_found(name: str, base: Path, tmp_path: Path) -> None:
    fault, told = FAULTS[name]
    adapters_of(base, tmp_path / "adapter")
    (tmp_path / "adapter" / "README.md").write_text(CARD)
    fault(tmp_path / "adapter")
    assert told in " ".join(problem.what for problem in check_folder(tmp_path / "adapter", loads=False))


def test_the_results_of_the_merged_checkpoint_take_the_place_of_older_ones_alone(base: Path, tmp_path: Path) -> None:
    """What the card says besides stays; results of other weights are not taken over."""
    adapters_of(base, tmp_path / "adapter")
    merged = documented(Path(shutil.copytree(base, tmp_path / "tuned")))
    card = tmp_path / "adapter" / "README.md"
    card.write_text("---\nlicense: mit\n---\n\n# mine\n\n## Results\n\nolder\n\n## Limits\n\nMany.\n")
    for _ in range(2):
        assert take_over_results(merged, tmp_path / "adapter")
        text = card.read_text()
        assert "older" not in text and "0.838" in text and text.endswith("\n## Limits\n\nMany.\n")
        assert text.count("## Results") == 1 and "# mine\n" in text
    report("mine", "f" * 64).save(merged / "report.json")
    with pytest.raises(CardError, match="about other weights"):
        take_over_results(merged, tmp_path / "adapter")
    assert card.read_text() == text
    card.unlink()
    assert not take_over_results(merged, tmp_path / "adapter")


def test_a_dry_run_changes_no_card(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that the results will come."""
    adapters_of(base, tmp_path / "adapter")
    documented(Path(shutil.copytree(base, tmp_path / "tuned")))
    before = (tmp_path / "adapter" / "README.md").read_bytes()
    main(["push", str(tmp_path), "me/mine-lora", "--adapter", "--dry-run"])
    out, err = capsys.readouterr()
    assert "will be put into" in out and "has no results" not in err
    assert (tmp_path / "adapter" / "README.md").read_bytes() == before
    assert not (tmp_path / "adapter" / "report.json").exists()
