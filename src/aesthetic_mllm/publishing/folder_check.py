"""What a checkpoint's folder lacks, or holds, that must be mended before others load it."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from huggingface_hub import ModelCard
from safetensors import SafetensorError, safe_open
from transformers.dynamic_module_utils import get_relative_import_files

from ..checkpoints.names import EMBEDDED, is_hub_id
from ..engine.adapter_loading import ADAPTER_CONFIG, BASE_FILE
from ..inference.assessor import AestheticAssessor
from ..modeling.checkpoint_documents import CARD, LICENCE, REPORT, RESULT_FOLDER
from .checkpoint_facts import own_digest
from .checkpoint_files import ADAPTER_WEIGHTS, WEIGHTS, belongs, folder_files, is_adapters, read_json
from .report import Report, ReportError
from .sample_photos import sample_photos

MOST_BYTES = 5_000_000_000  # of one file of weights
MOST_TEXT_BYTES = 50_000_000  # tokenizers are the largest
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy")
TEXTS = (".json", ".md", ".py", ".txt", ".jinja", ".yaml")
VOCABULARIES = ("tokenizer.json", "vocab.json", "merges.txt")  # whose tokens may look like anything
# Where users and their scratch files live, on usual systems, clusters and notebooks. Behind a drive's letter "\\n" and the like
# are more often the ends of lines, as in "Q:\\n".
MACHINE_PATH = re.compile(
    r"(?:(?<![\w./~-])|(?<=file://)|(?<=file:///))"
    r"(?:/(?:home|Users|root|tmp|private|mnt|media|scratch|workspace|kaggle|content|data|srv|work|gpfs|lustre|nfs|storage|opt|var|"
    r"export|projects|Volumes|shared|fsx|dbfs|runs)/[\w.-]+"
    r"|[A-Za-z]:(?:\\{1,2}(?![nrtbfux0])|/)[\w.-]+)"
)
SECRET = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{30,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|glpat-[\w-]{20,}|AKIA[0-9A-Z]{16}|AIza[\w-]{35}"
    r"|xox[abprs]-[\w-]{10,}|npm_[A-Za-z0-9]{36}|sk-[\w-]{40,})"
)
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


NO_RESULTS = f"{CARD} has no results"


@dataclass(frozen=True)
class Problem:
    """One thing to be mended.

    Args:
        what: is wrong, with the file's name.
        remedy: what to do, an imperative sentence.
        harms: whether the folder would not work, or tell what must not be told; else it is only not described enough.
    """

    what: str
    remedy: str
    harms: bool = True

    def __str__(self) -> str:
        return f"{self.what}. {self.remedy}"


def check_folder(folder: Path, loads: bool = True) -> list[Problem]:
    """All that is wrong with a checkpoint's folder, or one of LoRA adapters; empty where it can be sent.

    Args:
        folder: as `save_pretrained` of model and processor left it.
        loads: whether to load it and rate a few pictures; takes as long as loading does.
    """
    problems = [problem for check in _checks(folder) for problem in check(folder)]
    if loads and not any(problem.harms for problem in problems):
        problems += _loading(folder)
    return problems


def _checks(folder: Path) -> tuple[Callable[[Path], Iterator[Problem]], ...]:
    shared = (_side_files, _links, _strays, _card, _texts, _metadata)
    return (_adapters, *shared) if is_adapters(folder) else (_weights, _code, *shared)


def _weights(folder: Path) -> Iterator[Problem]:
    """The files without which nothing loads, and their sizes."""
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            yield Problem(f"{name} is not there", f"Save model and processor into {folder.name} with save_pretrained.")
    files = {name: size for name, size in folder_files(folder).own.items() if belongs(name, WEIGHTS)}
    shards = [name for name in files if name.endswith(".safetensors")]
    if not shards:
        yield Problem("model.safetensors is not there", "Save the model with save_pretrained.")
    index = folder / WEIGHTS[1]
    if index.is_file():
        weight_map = read_json(index).get("weight_map")
        if not isinstance(weight_map, dict):
            yield Problem(f"{index.name} has no weight_map that can be read", "Save the model anew with save_pretrained.")
            return
        named = set(map(str, weight_map.values()))
        for name in sorted(named - set(shards)):
            yield Problem(f"{name} is not there, which {index.name} names", "Save the model anew with save_pretrained.")
        for name in sorted(set(shards) - named):
            yield Problem(f"{name} is not named by {index.name}", "Delete it; it is of an earlier save.")
    elif len(shards) > 1:
        yield Problem(f"{', '.join(shards)} have no {index.name}", "Save the model anew with save_pretrained.")
    for name in shards:
        if files[name] > MOST_BYTES:
            yield Problem(
                f"{name} has {files[name] / 1e9:.1f} GB in one file, over {MOST_BYTES / 1e9:.0f} GB",
                "Load the model and save it again with save_pretrained, which makes several files of it.",
            )
        elif not files[name]:
            yield Problem(f"{name} is empty", "Save the model anew with save_pretrained.")


def _code(folder: Path) -> Iterator[Problem]:
    """What loads where this package is not installed."""
    wanted = {
        "config.json": ("AutoConfig", "AutoModel", "AutoModelForImageTextToText"),
        "processor_config.json": ("AutoProcessor",),
    }
    for name, classes in wanted.items():
        path = folder / name
        if not path.is_file():
            continue
        auto_map = read_json(path).get("auto_map")
        auto_map = auto_map if isinstance(auto_map, dict) else {}
        for key in classes:
            reference = str(auto_map.get(key, ""))
            module, _, class_name = reference.rpartition(".")
            code = folder / f"{module}.py"
            if not module or not code.is_file() or f"class {class_name}(" not in code.read_text("utf-8", "replace"):
                yield Problem(
                    f"{name} has auto_map[{key!r}] = {reference!r}, and the folder has no such class, so that nobody could load "
                    "it without this package",
                    "Save model and processor anew with save_pretrained.",
                )
                continue
            try:
                imported = [Path(path) for path in get_relative_import_files(str(code))]
            except OSError as error:
                imported = [Path(str(error.filename or error))]
            except UnicodeDecodeError:  # which is told of all texts
                imported = []
            for path_of in imported:
                if not path_of.is_file():
                    yield Problem(f"{path_of.name} is not there, which {code.name} imports", "Save model and processor anew.")


def _adapters(folder: Path) -> Iterator[Problem]:
    """Adapters name a base that others find."""
    if not (folder / ADAPTER_WEIGHTS).is_file():
        yield Problem(f"{ADAPTER_WEIGHTS} is not there", "Save the adapters anew, as safetensors.")
    name = str(read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path") or "")
    base = read_json(folder / BASE_FILE)
    again = "train with one of this package's trainers, which writes it"
    if not base.get("digest"):
        yield Problem(f"{BASE_FILE} with the SHA-256 of the base's weights is not there", f"To have it, {again}.")
    elif base.get("name") != name:
        yield Problem(f"{ADAPTER_CONFIG} and {BASE_FILE} name different bases, {name!r} and {base.get('name')!r}", "Save anew.")
    if name != EMBEDDED and not is_hub_id(name):
        yield Problem(
            f"{ADAPTER_CONFIG} names {name!r} as its base, which is on this machine alone",
            "Push the base, train from its Hub id, or push the merged checkpoint instead.",
        )
    if not (folder / "processor_config.json").is_file():
        yield Problem("processor_config.json is not there", "Save the processor beside the adapters with save_pretrained.")


def _links(folder: Path) -> Iterator[Problem]:
    """What would be sent from elsewhere on this machine; the Hub's cache alone keeps contents beside its folders."""
    root = folder.resolve()
    allowed = [root, *([root.parent.parent / "blobs"] if root.parent.name == "snapshots" else [])]
    for name in folder_files(folder).own:
        target = (folder / name).resolve()
        if not any(target.is_relative_to(place) for place in allowed):
            yield Problem(f"{name} is a link to a file outside the folder", "Put a copy of what is meant in its place.")


def _side_files(folder: Path) -> Iterator[Problem]:
    path = folder / "processor_config.json"
    named = read_json(path).get("side_files")
    for name in named if isinstance(named, list) else ():
        if not (folder / "side_files" / f"{name}.safetensors").is_file():
            yield Problem(
                f"side_files/{name}.safetensors is not there, which {path.name} names", "Save the processor with save_pretrained."
            )


def _strays(folder: Path) -> Iterator[Problem]:
    for name in folder_files(folder).stray:
        if name.endswith(PICKLES):
            yield Problem(f"{name} may hold code that runs when it is read", "Delete it; weights are safetensors.")
        else:
            yield Problem(f"{name} is no part of a checkpoint", "Move it elsewhere, or delete it.")


def _card(folder: Path) -> Iterator[Problem]:
    """What tells others what it is, how good it is, and on what terms."""
    if not (folder / LICENCE).is_file():
        yield Problem(
            f"{LICENCE} is not there", "Write the terms of the weights into it; those of the start's hold too.", harms=False
        )
    path = folder / CARD
    write = f"Write it: aesthetic-mllm card --report eval/report.json --output {folder.name}."
    if not path.is_file():
        yield Problem(f"{CARD}, the model card, is not there", write, harms=False)
        return
    try:
        card = ModelCard(path.read_text(encoding="utf-8"))
    except (ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        yield Problem(f"{CARD} has no metadata that can be read ({first})", write)
        return
    if not card.data.get("license"):
        yield Problem(
            f"{CARD} names no licence in its metadata",
            "Add it to card_facts.yaml, such as `licence: cc-by-nc-4.0`, and write the card again with aesthetic-mllm card.",
            harms=False,
        )
    if not (card.data.get("eval_results") or card.data.get("model-index") or any((folder / RESULT_FOLDER).glob("*.yaml"))):
        yield Problem(
            NO_RESULTS,
            f"Measure them: aesthetic-mllm evaluate --model {folder.name} --data SOURCE=FOLDER --output eval. {write}",
            harms=False,
        )
    if (folder / REPORT).is_file():
        yield from _report(folder, write)


def _report(folder: Path, write: str) -> Iterator[Problem]:
    """It can be read, and is about the weights beside it; adapters have that of the merged checkpoint."""
    try:
        report = Report.load(folder / REPORT)
    except ReportError as error:
        yield Problem(str(error).replace(f"{folder}/", "").rstrip("."), "Put the report of evaluate there, or delete it.")
        return
    if is_adapters(folder):
        return
    measured, found = str(report.checkpoint.get("digest") or ""), own_digest(folder)
    if found and not measured:
        yield Problem(f"{REPORT} does not say which weights it is about", f"Evaluate these. {write}", harms=False)
    elif found and measured != found:
        yield Problem(f"{REPORT} is about other weights (SHA-256 {measured[:12]}, here {found[:12]})", f"Evaluate these. {write}")


def _texts(folder: Path) -> Iterator[Problem]:
    """Paths of this machine, and secrets."""
    for name, size in folder_files(folder).own.items():
        if name.endswith(TEXTS) or name in (LICENCE, "NOTICE"):
            if size > MOST_TEXT_BYTES:
                yield Problem(f"{name} has {size / 1e6:.0f} MB of text", "Look at what is in it.")
                continue
            try:
                text = (folder / name).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                yield Problem(f"{name} is not UTF-8", "Save it as UTF-8.")
                continue
            yield from _told(name, text, folder)


def _metadata(folder: Path) -> Iterator[Problem]:
    """The same in what safetensors files say beside their tensors."""
    for name in folder_files(folder).own:
        if name.endswith(".safetensors"):
            try:
                with safe_open(folder / name, "pt") as file:
                    text = json.dumps(file.metadata() or {})
            except (SafetensorError, OSError) as error:
                yield Problem(f"{name} cannot be read ({error})", "Save model and processor anew with save_pretrained.")
                continue
            yield from _told(f"the metadata of {name}", text, folder)


def _told(name: str, text: str, folder: Path) -> Iterator[Problem]:
    found = None if name in VOCABULARIES else MACHINE_PATH.search(text)
    places = {str(place) for place in (Path.home(), Path(tempfile.gettempdir()), folder.resolve().parent) if len(place.parts) > 1}
    own = [f"{place}/" for place in sorted(places) if re.search(rf"(?<![\w./~-]){re.escape(place)}/", text)]
    if found or own:
        path = found.group() if found else own[0]
        yield Problem(f"{name} holds the path {path} of a machine", "Take it out.")
    if SECRET.search(text) or PRIVATE_KEY.search(text):
        yield Problem(f"{name} holds what looks like a secret, a token or a key", "Take it out, and revoke it.")


def _loading(folder: Path) -> Iterator[Problem]:
    """It loads, with this package, and rates pictures; ratings that are no finite numbers are errors."""
    try:
        assessor = AestheticAssessor.from_pretrained(folder, device="cpu", local_files_only=not is_adapters(folder))
        assessor.ratings(sample_photos(), list(assessor.processor.rating_scale.questions))
    except Exception as error:  # whatever it is, others would meet it too
        first = str(error).splitlines()[0].rstrip(".") if str(error) else "no reason told"
        yield Problem(
            f"It does not load and rate ({type(error).__name__}: {first})",
            "Save model and processor anew; where ratings are no numbers, look at the training's loss and learning rate.",
        )
