"""What is said of a checkpoint's weights: card, evaluation report and licence, which travel with the weights.

They are part of the model: its `save_pretrained` and `push_to_hub` write them again, as long as the weights are those that they
speak of. The licence stays when the weights are tuned; card and report do not.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, ModelCard
from transformers import PreTrainedModel
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file
from transformers.utils.hub import extract_commit_hash

CARD, LICENCE, REPORT, RESULT_FOLDER = "README.md", "LICENSE", "report.json", ".eval_results"
CARD_FACTS = "card_facts.yaml"  # what the card is written from, beside the report
# What says where a checkpoint's files are, of all that `from_pretrained` takes.
PLACES = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")
TOLERANT = {f"_raise_exceptions_for_{what}": False for what in ("missing_entries", "connection_errors", "gated_repo")}
SHARD_SIZE = "5GB"  # of weights; transformers' default of today, 50 GB, is more than the Hub likes in one file
SAMPLES = 8  # values of each row of a weight that are compared
PUSH_OPTIONS = ("commit_description", "commit_message", "create_pr", "private", "revision", "tags", "token")

logger = logging.getLogger(__name__)


def loaded_commit(checkpoint: str | os.PathLike[str], **options: Any) -> str | None:
    """The commit of the Hub's repository that a checkpoint was just loaded from; `None` for a folder.

    Args:
        checkpoint, options: as of [`read_documents`].
    """
    path = cached_file(str(checkpoint), CONFIG_NAME, **{**options, "local_files_only": True}, **TOLERANT)
    return None if path is None else extract_commit_hash(path, None)


def read_documents(checkpoint: str | os.PathLike[str], commit: str | None = None, **options: Any) -> dict[str, bytes]:
    """A checkpoint's documents by their path in it; those that it lacks, or that cannot be fetched, are left out.

    Args:
        checkpoint: folder or Hub id.
        commit: of the Hub's revision that was loaded; with it, what is in the cache is not asked for again.
        options: of [`PLACES`].
    """
    options |= {"revision": commit} if commit else {}
    known = cached_file(str(checkpoint), CARD, **{**options, "local_files_only": True}, **TOLERANT) is not None
    documents = {name: _content(checkpoint, name, options) for name in (CARD, LICENCE, REPORT, CARD_FACTS)}
    if documents[CARD] is not None:  # which the results are shown with
        documents |= {name: _content(checkpoint, name, options) for name in _result_files(checkpoint, known, **options)}
    return {name: content for name, content in documents.items() if content is not None}


def _content(checkpoint: str | os.PathLike[str], name: str, options: Mapping[str, Any]) -> bytes | None:
    path = cached_file(str(checkpoint), name, **options, **TOLERANT)
    return None if path is None else Path(path).read_bytes()


def _result_files(checkpoint: str | os.PathLike[str], known: bool, subfolder: str = "", **options: Any) -> list[str]:
    """Of a benchmark's results each has a name of its own, so a folder must be listed: the Hub's, or that in the cache."""
    if not known and not options.get("local_files_only"):
        place = "/".join(filter(None, (subfolder, RESULT_FOLDER)))
        try:
            found = HfApi().list_repo_tree(str(checkpoint), place, revision=options.get("revision"), token=options.get("token"))
            return sorted(f"{RESULT_FOLDER}/{Path(entry.path).name}" for entry in found if entry.path.endswith(".yaml"))
        except Exception as error:  # most checkpoints have none, and the Hub need not be reachable
            logger.debug("%s has no %s that can be listed: %s", checkpoint, place, error)
            return []
    card = cached_file(str(checkpoint), CARD, subfolder=subfolder, **{**options, "local_files_only": True}, **TOLERANT)
    folder = Path(str(card)).parent / RESULT_FOLDER
    return [f"{RESULT_FOLDER}/{path.name}" for path in sorted(folder.glob("*.yaml"))]


def sampled_weights(weights: Iterable[tuple[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """A few values of every row of each weight that is in memory, by name: tuning may move the rows of a few tokens alone."""
    found = {}
    for name, weight in weights:
        values = weight.detach()
        if type(values) in (torch.Tensor, torch.nn.Parameter) and values.device.type != "meta" and values.numel():
            rows = values.reshape(len(values) if values.ndim else 1, -1)
            found[name] = rows[:, :: max(1, rows.shape[1] // SAMPLES)][:, :SAMPLES].to("cpu", copy=True)
    return found


def same_weights(loaded: Mapping[str, torch.Tensor], now: Mapping[str, torch.Tensor]) -> bool:
    """Whether what was sampled is the same, in the dtype of now; `False` where there is nothing to compare."""
    return bool(loaded) and all(
        name in now and now[name].shape == values.shape and torch.equal(values.to(now[name].dtype), now[name])
        for name, values in loaded.items()
    )


def files_digest(folder: Path) -> str | None:
    """SHA-256 of a folder's weights, as the package's `weights_digest`, which is not at hand where this code runs without it."""
    index = folder / SAFE_WEIGHTS_INDEX_NAME
    try:
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values() if index.is_file() else (SAFE_WEIGHTS_NAME,)
        digests = []
        for name in sorted(set(shards)):
            with open(folder / name, "rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or no whole ones
        return None
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def measured_digest(report: bytes) -> str | None:
    """SHA-256 of the weights that a report is about; `None` where it does not say."""
    try:
        return str(json.loads(report)["checkpoint"]["digest"]) or None
    except (ValueError, KeyError, TypeError):
        return None


def renewed_report(report: bytes, digest: str) -> bytes:
    """A report of the same values in other files; `measured_digest` keeps which ones were measured."""
    found = json.loads(report)
    found["checkpoint"] = {"measured_digest": found["checkpoint"]["digest"], **found["checkpoint"], "digest": digest}
    return (json.dumps(found, indent=1) + "\n").encode()


def _statements_in(folder: Path) -> list[Path]:
    """What a folder says of its weights, the licence apart."""
    found = [folder / CARD, folder / REPORT, folder / CARD_FACTS, *sorted((folder / RESULT_FOLDER).glob("*.yaml"))]
    return [path for path in found if path.is_file()]


class CarriesDocuments(PreTrainedModel):
    """A model that keeps the documents of the checkpoint it was loaded from.

    Attributes:
        documents: by their path in the checkpoint's folder; empty for a model that no checkpoint was loaded into.
        checkpoint_commit: of the Hub's repository that it was loaded from; `None`: from none.
    """

    checkpoint_commit: str | None = None
    documents: Mapping[str, bytes] = {}
    _documented_weights: Mapping[str, torch.Tensor] = {}
    _loaded_folder: Path | None = None
    _report_fitted: bool | None = None  # whether the report was about the files that were loaded; None: not looked at
    _saved: Mapping[str, bytes] = {}  # the documents of the latest save

    def load_documents(self, checkpoint: str | os.PathLike[str], **options: Any) -> None:
        """Takes over the documents of the checkpoint whose weights were just loaded.

        Args:
            checkpoint, options: as of [`read_documents`].
        """
        self.checkpoint_commit = loaded_commit(checkpoint, **options)
        self.documents = read_documents(checkpoint, self.checkpoint_commit, **options)
        statements = self.documents.keys() - {LICENCE}
        self._documented_weights = sampled_weights(self.named_parameters()) if statements else {}
        config = cached_file(str(checkpoint), CONFIG_NAME, **{**options, "local_files_only": True}, **TOLERANT)
        self._loaded_folder, self._report_fitted = Path(config).parent if config else None, None

    def standing_documents(self, state_dict: Mapping[str, torch.Tensor] | None = None) -> dict[str, bytes]:
        """The documents that still hold: all of them, or the licence alone where weights are others than were loaded.

        Args:
            state_dict: the weights, where they are not the model's own.
        """
        if set(self.documents) <= {LICENCE}:
            return dict(self.documents)
        now = sampled_weights(self.named_parameters() if state_dict is None else state_dict.items())
        if same_weights(self._documented_weights, now):
            return dict(self.documents)
        return {name: content for name, content in self.documents.items() if name == LICENCE}

    def _of_files(self, documents: dict[str, bytes], fitted: bool, digest: str | None) -> dict[str, bytes]:
        """Documents that go with saved files.

        A report names the files that it is about. Where it was about those that were loaded, it is told of the new ones, whose
        values are the same. Where it was about others, neither it nor the card nor the results are kept.
        """
        report = documents.get(REPORT)
        named = None if report is None else measured_digest(report)
        if report is None or named is None or named == digest:
            return documents
        if fitted and digest:
            return {**documents, REPORT: renewed_report(report, digest)}
        return {name: content for name, content in documents.items() if name == LICENCE}

    def _fitted(self) -> bool:
        """Whether the report is about the files that the model was loaded from; found out once, before anything is saved."""
        if self._report_fitted is None:
            named, folder = measured_digest(self.documents.get(REPORT, b"")), self._loaded_folder
            self._report_fitted = named is not None and folder is not None and files_digest(folder) == named
        return self._report_fitted

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        is_main_process: bool = True,
        state_dict: dict[str, torch.Tensor] | None = None,
        push_to_hub: bool = False,
        max_shard_size: int | str = SHARD_SIZE,
        **kwargs: Any,
    ) -> None:
        """As the parent's, with the documents that still hold, and weights in files of at most `max_shard_size`.

        Where the folder's weights become others, its card, report and results that spoke of the older ones are deleted.
        """
        folder = Path(save_directory)
        standing = self.standing_documents(state_dict)
        fitted = REPORT in standing and self._fitted()
        before = files_digest(folder) if is_main_process and _statements_in(folder) else None
        chosen = {name: kwargs.pop(name) for name in PUSH_OPTIONS if push_to_hub and name in kwargs}
        name = kwargs.pop("repo_id", None) or folder.name
        super().save_pretrained(
            save_directory, is_main_process=is_main_process, state_dict=state_dict, max_shard_size=max_shard_size, **kwargs
        )
        if not is_main_process:
            return
        after = files_digest(folder) if before or REPORT in standing else None
        self._saved = standing = self._of_files(standing, fitted, after)
        for target in _statements_in(folder):
            path = target.relative_to(folder).as_posix()
            stale = before not in (None, after) or target.read_bytes() == self.documents.get(path)
            if path not in standing and stale:  # of the weights that were here before
                target.unlink()
        for path, content in standing.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(content)
        if push_to_hub:
            self.push_to_hub(name, max_shard_size=max_shard_size, **chosen)

    @wraps(PreTrainedModel.push_to_hub)
    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        kept, tags = self.documents, kwargs.pop("tags", None) or []
        if tags and CARD in kept:
            card = ModelCard(kept[CARD].decode())
            card.data.tags = list(dict.fromkeys([*(card.data.tags or []), *([tags] if isinstance(tags, str) else tags)]))
            self.documents = {**kept, CARD: str(card).encode()}
        elif tags:
            logger.warning("tags %s are not sent: this model has no card that could name them.", tags)
        kwargs.setdefault("max_shard_size", SHARD_SIZE)
        try:
            return super().push_to_hub(*args, **kwargs)
        finally:
            self.documents = kept

    def _upload_modified_files(self, working_dir: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """As the parent's, but with the model's own card, or none: the parent has put a stub of its own in its place."""
        card, own = Path(working_dir) / CARD, self._saved.get(CARD)
        if own is not None:
            card.write_bytes(own)
        else:
            card.unlink(missing_ok=True)
        return super()._upload_modified_files(working_dir, *args, **kwargs)
