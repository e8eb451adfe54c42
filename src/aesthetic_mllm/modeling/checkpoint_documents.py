"""What is said of a checkpoint's weights: card, evaluation report and licence, which travel with the weights.

They are part of the model: its `save_pretrained` and `push_to_hub` write them again, as long as the weights are those that they
speak of. The licence stays when the weights are tuned; card and report do not.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, ModelCard
from transformers import PreTrainedModel
from transformers.utils import CONFIG_NAME, cached_file
from transformers.utils.hub import extract_commit_hash

CARD, LICENCE, REPORT, RESULT_FOLDER = "README.md", "LICENSE", "report.json", ".eval_results"
CARD_FACTS = "card_facts.yaml"  # what the card is written from, beside the report
# What says where a checkpoint's files are, of all that `from_pretrained` takes.
PLACES = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")
TOLERANT = {f"_raise_exceptions_for_{what}": False for what in ("missing_entries", "connection_errors", "gated_repo")}
SHARD_SIZE = "5GB"  # of weights; transformers' default of today, 50 GB, is more than the Hub likes in one file
SAMPLES = 64  # values of each weight that are compared
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
    """A few values of each weight that is in memory, by name: enough to see whether anybody tuned them."""
    found = {}
    for name, weight in weights:
        values = weight.detach()
        if type(values) in (torch.Tensor, torch.nn.Parameter) and values.device.type != "meta" and values.numel():
            flat = values.reshape(-1)
            found[name] = flat[:: max(1, len(flat) // SAMPLES)][:SAMPLES].to("cpu", copy=True)
    return found


def same_weights(loaded: Mapping[str, torch.Tensor], now: Mapping[str, torch.Tensor]) -> bool:
    """Whether what was sampled is the same, in the dtype of now; `False` where there is nothing to compare."""
    return bool(loaded) and all(
        name in now and now[name].shape == values.shape and torch.equal(values.to(now[name].dtype), now[name])
        for name, values in loaded.items()
    )


class CarriesDocuments(PreTrainedModel):
    """A model that keeps the documents of the checkpoint it was loaded from.

    Attributes:
        documents: by their path in the checkpoint's folder; empty for a model that no checkpoint was loaded into.
        checkpoint_commit: of the Hub's repository that it was loaded from; `None`: from none.
    """

    checkpoint_commit: str | None = None
    documents: Mapping[str, bytes] = {}
    _documented_weights: Mapping[str, torch.Tensor] = {}

    def load_documents(self, checkpoint: str | os.PathLike[str], **options: Any) -> None:
        """Takes over the documents of the checkpoint whose weights were just loaded.

        Args:
            checkpoint, options: as of [`read_documents`].
        """
        self.checkpoint_commit = loaded_commit(checkpoint, **options)
        self.documents = read_documents(checkpoint, self.checkpoint_commit, **options)
        statements = self.documents.keys() - {LICENCE}
        self._documented_weights = sampled_weights(self.named_parameters()) if statements else {}

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

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        is_main_process: bool = True,
        state_dict: dict[str, torch.Tensor] | None = None,
        push_to_hub: bool = False,
        max_shard_size: int | str = SHARD_SIZE,
        **kwargs: Any,
    ) -> None:
        """As the parent's, with the documents that still hold, and weights in files of at most `max_shard_size`."""
        standing = self.standing_documents(state_dict)
        chosen = {name: kwargs.pop(name) for name in PUSH_OPTIONS if push_to_hub and name in kwargs}
        name = kwargs.pop("repo_id", None) or Path(save_directory).name
        super().save_pretrained(
            save_directory, is_main_process=is_main_process, state_dict=state_dict, max_shard_size=max_shard_size, **kwargs
        )
        if not is_main_process:
            return
        for path, content in self.documents.items():
            target = Path(save_directory) / path
            if path in standing:
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(content)
            elif target.is_file() and target.read_bytes() == content:  # of the weights that were here before
                target.unlink()
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
        card, own = Path(working_dir) / CARD, self.standing_documents().get(CARD)
        if own is not None:
            card.write_bytes(own)
        else:
            card.unlink(missing_ok=True)
        return super()._upload_modified_files(working_dir, *args, **kwargs)
