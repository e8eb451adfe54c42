"""A card says what the report, the checkpoint's configurations and its facts say, and nothing else."""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub import parse_eval_result_entries as parse_entries

from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.modeling.checkpoint_documents import CARD_FACTS
from aesthetic_mllm.publishing import card_metadata
from aesthetic_mllm.publishing.card import EMBEDDED, PLACE, render_card, write_card
from aesthetic_mllm.publishing.card_facts import CardError, CardFacts, TrainingSource
from aesthetic_mllm.publishing.card_metadata import Benchmark
from aesthetic_mllm.publishing.checkpoint_facts import CheckpointFacts
from aesthetic_mllm.publishing.report import Measure, Report, Result
from sample_report import checkpoint_folder, make_report

ROOT = Path(__file__).parents[2]
NANO = ROOT / "src" / "aesthetic_mllm" / "checkpoints" / "nano"
FACTS = CardFacts(
    title="mine",
    licence="mit",
    base_models=("owner/model",),
    base_model_relation="finetune",
    summary="Rates *everything*.",
    training_data=(TrainingSource("my photos", "beauty", "mine alone"),),
    settings={"steps": "3"},
    limits=("Knows nothing of cats.",),
    citation="@misc{mine}",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoint_folder(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


@pytest.fixture
def report(folder: Path) -> Report:
    return make_report(CheckpointFacts.read(folder).digest)


@pytest.fixture(scope="module")
def refresher() -> ModuleType:
    """docs/refresh_outputs.py, which writes the embedded checkpoint's card."""
    spec = importlib.util.spec_from_file_location("refresh_outputs", ROOT / "docs" / "refresh_outputs.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sections(text: str) -> list[str]:
    return re.findall(r"^## (.+)$", text, re.M)


def test_a_card_says_everything(folder: Path, report: Report) -> None:
    text = render_card(CheckpointFacts.read(folder), FACTS, report)
    assert sections(text) == [
        "Use", "Intended use", "Training data and terms", "How it was trained", "Results", "When flaws are told", "Limits",
        "Citation",
    ]  # fmt: skip
    for said in (
        "Rates *everything*.", "Licence of the weights: mit.", "efficientnet_lite", "llama", "stored in bfloat16", "288 pixels",
        "| my photos | beauty | mine alone |", "| steps | 3 |", "Measured on 2026-11-30, with aesthetic-mllm 0.1.0",
        "| mine | 0.838 (0.788 to 0.888) | 0.848 (0.798 to 0.898) | +0.024 (+0.014 to +0.034) |", "| ridge | 0.814",
        "SRCC by part of biq2021, quality: ss01 0.90 (0.85 to 0.95), ss02 0.44 (0.39 to 0.49).",
        "| too dark | 3.4 | 1.5% | 0.89 |", "- Knows nothing of cats.", "@misc{mine}", f'from_pretrained("{PLACE}")',
    ):  # fmt: skip
        assert said in text, said
    assert "pairs in order" not in text  # the report has the rest


def test_its_metadata_are_the_hubs(folder: Path, report: Report) -> None:
    data = ModelCard(render_card(CheckpointFacts.read(folder), FACTS, report)).data
    assert (data.license, data.library_name, data.pipeline_tag) == ("mit", "transformers", "image-text-to-text")
    assert data.base_model == ["owner/model"] and data.base_model_relation == "finetune" and "aesthetic-mllm" in data.tags
    assert [(one.dataset_type, one.dataset_split, one.metric_name, one.metric_value) for one in data.eval_results] == [
        ("biq2021", "validation", "SRCC", 0.8379),
        ("biq2021", "validation", "PLCC", 0.8479),
    ]


def test_without_a_report_it_says_how_to_measure(folder: Path) -> None:
    text = render_card(CheckpointFacts.read(folder), CardFacts(), name="mine")
    assert "Nothing was measured of this checkpoint." in text and "aesthetic-mllm evaluate --data" in text
    assert "# mine\n" in text and "model-index" not in text and "Training data" not in text
    assert not re.search(r"None|undefined|\{\{|\n\n\n", text)


def test_a_report_of_nothing_leaves_no_holes(folder: Path) -> None:
    facts = CardFacts(training_data=(TrainingSource("a|b\nc"),))
    text = render_card(CheckpointFacts.read(folder), facts, Report({"name": "mine"}, {}, "", "", {}, {}, ()))
    assert "Measured on photos of:" in text and "| a\\|b c |  |  |" in text
    assert not re.search(r"None|undefined|\{\{|\n\n\n|with aesthetic-mllm [,.]", text)


def test_one_figure_of_several_data_sets_stands_side_by_side(folder: Path) -> None:
    """Single edits and slight ones are left to the report."""
    shares = [("biq2021", "noise", "strong", 0.9), ("biq2021", "light", "strong", 0.8), ("ava", "noise", "strong", 0.7)]
    shares += [("biq2021", "noise, haze", "strong", 0.1), ("ava", "noise", "slight", 0.2)]
    results = tuple(Result("damage", *names, "mine", 30, "views", {"heeded": Measure(share)}) for *names, share in shares)
    text = render_card(CheckpointFacts.read(folder), FACTS, Report({"name": "mine"}, {}, "", "", {}, {}, results))
    table = text[text.index("| what | biq2021, 30 views | ava, 30 views |") :].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in table[2:4]]
    assert rows == [["noise", "0.900", "0.700"], ["light", "0.800", ""]] and table[4] == "" and "haze" not in text


def test_blocks_of_a_template_can_be_overridden(folder: Path, tmp_path: Path) -> None:
    template = tmp_path / "mine.md.j2"
    template.write_text(
        '{% extends "model_card.md.j2" %}\n'
        "{% block limits %}\n\n## Limits\n\n{{ super() | length > 9 }}, no cats.\n{% endblock %}\n"
        "{% block extra %}\n\n## Thanks\n\nTo all on {{ title }}.\n{% endblock %}\n"
    )
    text = render_card(CheckpointFacts.read(folder), FACTS, template=template)
    assert sections(text)[-3:] == ["Limits", "Thanks", "Citation"] and "True, no cats." in text and "To all on mine." in text
    assert "Knows nothing of cats." not in text and "## Use" in text


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% extends 'model_card.md.j2' %}{% block limits %}", r"mine.md.j2, line 1: .*endblock"),
        ("{{ nothing }}", r"mine.md.j2: 'nothing' is undefined"),
        ("{% extends 'other.md.j2' %}", r"mine.md.j2: there is no template other.md.j2; the one to extend"),
        ("{{ 1 / 0 }}", r"mine.md.j2: cannot be rendered \(ZeroDivisionError"),
        ("{{ 1 + 'a' }}", r"mine.md.j2: cannot be rendered \(TypeError"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", r"mine.md.j2: cannot be rendered \(RecursionError"),
        (None, r"mine.md.j2: cannot be read"),
    ],
)
def test_a_template_that_is_wrong_is_named(folder: Path, tmp_path: Path, template: str | None, said: str) -> None:
    path = tmp_path / "mine.md.j2"
    if template is not None:
        path.write_text(template)
    with pytest.raises(CardError, match=said):
        render_card(CheckpointFacts.read(folder), FACTS, template=path)


def test_files_that_travel_with_it(folder: Path, report: Report) -> None:
    written = write_card(folder, FACTS, report)
    assert written == [folder / "README.md", folder / "report.json"] and Report.load(folder / "report.json") == report
    written = write_card(folder, replace(FACTS, start=EMBEDDED), report)
    assert written[-1] == folder / "LICENSE" and "CC BY-NC 4.0" in (folder / "LICENSE").read_text()
    (folder / "LICENSE").write_text("my own")
    assert folder / "LICENSE" not in write_card(folder, replace(FACTS, start=EMBEDDED), report)


def test_benchmarks_that_have_an_id_get_a_file(folder: Path, report: Report) -> None:
    """None of the package's sources has one so far, so that nothing is claimed of any."""
    assert card_metadata.BENCHMARKS == {}
    benchmarks = {"biq2021": Benchmark("owner/biq", "quality"), "ava": Benchmark("owner/ava", "beauty")}
    written = write_card(folder, FACTS, report, benchmarks=benchmarks)
    path = folder / ".eval_results" / "biq2021.yaml"
    assert path in written and list(path.parent.iterdir()) == [path]
    (entry,) = parse_entries(yaml.safe_load(path.read_text()))
    assert (entry.dataset_id, entry.task_id, entry.value, entry.date) == ("owner/biq", "quality", 0.8379, report.made)


def test_a_report_about_other_weights_is_refused(folder: Path) -> None:
    with pytest.raises(CardError, match=r"other weights \(SHA-256 ffff"):
        write_card(folder, FACTS, make_report("f" * 64))
    assert not (folder / "README.md").exists()


def test_a_report_of_unknown_weights_is_refused(folder: Path) -> None:
    with pytest.raises(CardError, match="does not say which weights"):
        write_card(folder, FACTS, make_report())


def test_results_of_an_older_card_do_not_stay(folder: Path, report: Report) -> None:
    write_card(folder, FACTS, report, benchmarks={"biq2021": Benchmark("owner/biq", "quality")})
    write_card(folder, FACTS, report)
    assert not list((folder / ".eval_results").iterdir())


def test_a_card_is_left_as_it_is_where_the_report_cannot_be_written(folder: Path, report: Report) -> None:
    write_card(folder, FACTS, report)
    before = (folder / "README.md").read_bytes(), (folder / "report.json").read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_card(folder, replace(FACTS, title="new"), replace(report, seconds={"ratings": float("nan")}))
    assert before == ((folder / "README.md").read_bytes(), (folder / "report.json").read_bytes())


@pytest.mark.parametrize("index", ["{", "{}", '{"weight_map": []}'])
def test_an_index_of_weights_that_is_none_is_no_traceback(folder: Path, index: str) -> None:
    (folder / "model.safetensors.index.json").write_text(index)
    assert CheckpointFacts.read(folder).digest == ""


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="config.json: cannot be read"):
        write_card(tmp_path, FACTS)
    for name in ("config.json", "processor_config.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(CardError, match="no rating scale"):
        write_card(tmp_path, FACTS)


def test_facts_are_the_same_after_they_were_written(tmp_path: Path) -> None:
    FACTS.save(tmp_path / CARD_FACTS)
    assert CardFacts.load(tmp_path / CARD_FACTS) == FACTS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limit: [a]", "no such key as limit; did you mean limits?"),
        ("limits: cats", "limits is 'cats'; give a list"),
        ("title: [a]", r"title is \['a'\]; give a text"),
        ("training_data: [{name: photos}]", "training_data: each needs source"),
        ("[a]", "not a mapping"),
        ("a: [", "not YAML"),
    ],
)
def test_facts_that_are_wrong_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "facts.yaml"
    path.write_text(text)
    with pytest.raises(CardError, match=rf"facts.yaml: {said}"):
        CardFacts.load(path)


def test_the_embedded_card_is_its_report_and_facts(refresher: ModuleType) -> None:
    """Where this fails after a change of report, facts or template: `python docs/refresh_outputs.py`. Edit no card by hand."""
    text = refresher.embedded_card()
    assert (NANO / "README.md").read_text(encoding="utf-8") == text
    assert (ROOT / "model_card.md").read_text(encoding="utf-8") == text


def test_a_number_that_was_changed_by_hand_is_found(
    refresher: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the card or in the report: the two no longer agree."""
    text = refresher.embedded_card()
    card = tmp_path / "model_card.md"
    monkeypatch.setattr(refresher, "CARDS", (card,))
    card.write_text(text, encoding="utf-8")
    assert refresher.write_card(check=True) == []
    (figure, *_) = re.findall(r"\| (0\.\d{3}) \(", text)
    changed = f"{float(figure) + 0.001:.3f}"
    card.write_text(text.replace(figure, changed), encoding="utf-8")
    assert refresher.write_card(check=True) == [card] and changed in card.read_text(encoding="utf-8")
    assert refresher.write_card(check=False) == [card] and card.read_text(encoding="utf-8") == text


def test_the_embedded_report_is_about_the_embedded_weights() -> None:
    report, checkpoint = Report.load(NANO / "report.json"), CheckpointFacts.read(NANO)
    assert report.name == "nano" and report.checkpoint["digest"] == checkpoint.digest
    assert all(summary.seen == 0 for summary in report.data.values())
    text = (NANO / "report.json").read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|mnt|data|Users)/", text)
    assert not re.search(r"ss0\d_\d+|oasis_\d+", text)  # no photo by its name


def test_what_the_embedded_card_must_say() -> None:
    card = " ".join((NANO / "README.md").read_text(encoding="utf-8").split())
    for said in (
        "4-bit file: SmolLM2-135M-Instruct in the GGUF format Q4_1",
        "Unsplash's standard terms do not grant the use of photos for machine learning",
        "None of these photos, nor any other training photo, is contained in the checkpoint",
        "Licence of the weights: CC BY-NC 4.0. Licence of the code: Apache-2.0.",
        "Not for decisions about people",
        "Drawings, screenshots and medical pictures were not in the training data.",
        "arXiv:2412.11952",
    ):
        assert said in card, said
    data = ModelCard.load(NANO / "README.md").data
    assert data.license == "cc-by-nc-4.0" and data.eval_results


def test_the_licence_lies_in_the_checkpoint() -> None:
    """What the weights' licence says, and the licence of what they were made of and of the code, whole."""
    text = (embedded_checkpoint() / "LICENSE").read_text(encoding="utf-8")
    weights, code = ((ROOT / name).read_text(encoding="utf-8") for name in ("LICENSE-WEIGHTS", "LICENSE"))
    assert text == f"{weights.rstrip()}\n\n\n{code}"
