"""`card_facts.yaml`: what a model card says that no report and no configuration holds; it travels with the checkpoint."""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import yaml


class CardError(ValueError):
    """A card cannot be written from what was given."""


@dataclass(frozen=True)
class TrainingSource:
    """Something that a checkpoint learned from.

    Args:
        source: its name, with a reference.
        learned: what was learned from it.
        terms: under which it may be used.
    """

    source: str
    learned: str = ""
    terms: str = ""


@dataclass(frozen=True)
class CardFacts:
    """Prose and metadata of a card, Markdown where it is longer; what is empty is left out of the card.

    Args:
        title: of the card; default: the checkpoint's name.
        licence: of the weights, as the Hub names it, such as "cc-by-nc-4.0".
        base_models: Hub ids of what the checkpoint was made of.
        base_model_relation: to them, such as "finetune".
        datasets: Hub ids.
        languages: ISO codes of the languages it writes and reads.
        tags: beside the package's own.
        summary: what it does.
        parts: what it is made of, a line each.
        intended_use: what it is meant for, and what not.
        training_data: what it learned from.
        terms: what follows from the terms of the training data.
        training: how it was trained.
        settings: of the training, by name.
        flaws: how the operating points of flaws were measured.
        limits: a line each.
        citation: BibTeX.
        start: the checkpoint that the training began with: a Hub id, or [`EMBEDDED`].
    """

    title: str = ""
    licence: str = ""
    base_models: tuple[str, ...] = ()
    base_model_relation: str = ""
    datasets: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    summary: str = ""
    parts: tuple[str, ...] = ()
    intended_use: str = ""
    training_data: tuple[TrainingSource, ...] = ()
    terms: str = ""
    training: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    flaws: str = ""
    limits: tuple[str, ...] = ()
    citation: str = ""
    start: str = ""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a YAML file whose keys are the fields.

        Raises:
            CardError: the file cannot be read, or holds a key or a value that there is not.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise CardError(f"{path}: cannot be read ({error.strerror}).") from error
        except UnicodeDecodeError as error:
            raise CardError(f"{path}: not YAML ({error}).") from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, path: str) -> Self:
        """As [`load`], of a file's text; `path` names it in errors."""
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise CardError(f"{path}: not YAML ({' '.join(str(error).split())}).") from error
        except RecursionError as error:
            raise CardError(f"{path}: its values are nested too deep.") from error
        if not isinstance(found, dict):
            raise CardError(f"{path}: not a mapping; its keys are {', '.join(one.name for one in fields(cls))}.")
        kinds = {one.name: one.type for one in fields(cls)}
        return cls(**{name: _checked(path, name, value, kinds) for name, value in found.items()})

    def save(self, path: Path) -> None:
        """Writes what is not empty as YAML that [`load`] reads."""
        found = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items() if value}
        text = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=120)
        path.write_text(text, encoding="utf-8")


def _checked(path: str, name: str, value: Any, kinds: Mapping[str, Any]) -> Any:
    """A value as its field holds it."""
    if name not in kinds:
        near = difflib.get_close_matches(str(name), list(kinds), n=1, cutoff=0.0)[0]
        raise CardError(f"{path}: no such key as {name}; did you mean {near}?")
    kind = kinds[name]
    if kind is str and isinstance(value, str):
        return value.strip()
    if name == "settings" and isinstance(value, dict):
        return {str(key): str(setting) for key, setting in value.items()}
    if name == "training_data" and isinstance(value, list) and all(isinstance(one, dict) for one in value):
        try:
            return tuple(TrainingSource(**one) for one in value)
        except TypeError as error:
            raise CardError(f"{path}: {name}: each needs source, and may have learned and terms ({error}).") from error
    if kind == tuple[str, ...] and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(one.strip() for one in value)
    expected = "a text" if kind is str else "a mapping" if name == "settings" else "a list"
    raise CardError(f"{path}: {name} is {value!r}; give {expected}.")
