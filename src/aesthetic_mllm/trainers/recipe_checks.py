"""Values of a recipe as the types of their keys: what YAML gives is checked, and a wrong key or value is named."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from trl import TrlParser

# Keys that say how to go on with a run, not what it is.
RESUMING_KEYS = ("resume", "resume_from_checkpoint")
# What the libraries below would end in a trace of, after the model has been loaded.
_LEAST: Mapping[str, int] = {
    "seed": 0,
    "learning_rate": 0,
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1,
}


class RecipeError(ValueError):
    """A recipe with a wrong key, a wrong value, or without something it needs."""


def read_values(
    path: str | Path, overrides: Sequence[str], dataclass_types: Sequence[type], trial: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All keys that a YAML file and `key=value` overrides give, checked.

    Args:
        dataclass_types: whose fields the keys are.
        trial: values of a trial run, between the file's and the overrides'.

    Raises:
        RecipeError: no such file, no mapping in it, a wrong key (the nearest right one is named), a wrong value, or neither
            `data` nor `output_dir`.
    """
    hints = key_types(dataclass_types)
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: not a readable YAML file ({error}).") from error
    if not isinstance(found, dict):
        raise RecipeError(f"{path}: holds {kind_of(found)}, not a mapping of keys to values such as `model: my-model`.")
    values = {key: checked_value(key, value, hints, f"{path}: ") for key, value in found.items()}
    values |= {key: value for key, value in (trial or {}).items() if key in hints}
    values |= override_values(overrides, hints)
    for key in ("data", "output_dir"):
        if values.get(key) is None:
            raise RecipeError(f"{path}: no {key!r}; add it to the recipe, or {key}=... to the command line.")
    return values


def build_values(values: Mapping[str, Any], dataclass_types: Sequence[type]) -> tuple[Any, ...]:
    """Checked values as dataclasses; `RecipeError` where they do not go together, or a number is out of its range."""
    for key, least in _LEAST.items():
        value = values.get(key)
        if value is not None and not value >= least:  # so written, NaN is refused too
            raise RecipeError(f"{key}: {value}; give a number that is at least {least}.")
    try:
        return TrlParser(tuple(dataclass_types)).parse_dict(dict(values))
    except RecipeError:
        raise
    except (ValueError, TypeError, ImportError) as error:
        # TrainingArguments says which value is wrong and what it may be, but not whose it is
        key = next((key for key, value in values.items() if str(error).startswith(f"{value} ")), None)
        raise RecipeError(f"{key or 'The training settings do not go together'}: {error}") from error


def save_recipe(path: str | Path, values: Mapping[str, Any]) -> None:
    """As YAML that `read_values` reads, without [`RESUMING_KEYS`], so that it starts the same run anew."""
    kept = {key: value for key, value in values.items() if key not in RESUMING_KEYS}
    Path(path).write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), encoding="utf-8")


def override_values(overrides: Sequence[str], hints: Mapping[str, Any]) -> dict[str, Any]:
    """What `key=value` arguments say, each value in YAML.

    Raises:
        RecipeError: not of this form, a key twice, a wrong key or a wrong value.
    """
    values: dict[str, Any] = {}
    for text in overrides:
        key, mark, raw = text.partition("=")
        if not mark or not key:
            raise RecipeError(f"{text!r} is no override; write key=value, such as data=photos.")
        if key in values:
            raise RecipeError(f"{key}: given twice on the command line; give it once, several values as {key}=[a,b].")
        try:
            value = yaml.safe_load(raw)
        except yaml.YAMLError:
            value = raw  # a name with a bracket or a colon in it
        # a folder may be called 2024, and "no" is a strategy
        if value is not None and not isinstance(value, str | list | dict) and not _fits(value, hints.get(key)):
            value = raw
        values[key] = checked_value(key, value, hints)
    return values


def key_types(dataclass_types: Sequence[type]) -> dict[str, Any]:
    """Keys with the types of their values."""
    hints: dict[str, Any] = {}
    for dataclass_type in dataclass_types:
        resolved = typing.get_type_hints(dataclass_type)
        hints |= {field.name: resolved[field.name] for field in dataclasses.fields(dataclass_type) if field.init}
    return hints


def checked_value(key: Any, value: Any, hints: Mapping[str, Any], place: str = "") -> Any:
    """The value as its key's type; `RecipeError` where there is no such key, or the value does not fit it."""
    if key not in hints:
        # lora_rank is rather lora_r than local_rank
        begun = [known for known in hints if str(key).startswith(known) or known.startswith(str(key))]
        near = difflib.get_close_matches(str(key), begun or hints, n=1, cutoff=0.0)
        raise RecipeError(f"{place}{key}: no such key; did you mean {near[0]}?")
    try:
        return _converted(value, hints[key])
    except TypeError as error:
        raise RecipeError(f"{place}{key}: {value!r} is {kind_of(value)}, expected {_expected(hints[key])}.") from error


def _converted(value: Any, hint: Any) -> Any:
    """The value as a type that it fits; `TypeError` where it fits none."""
    if _fits(value, hint):
        return value
    for option in _options(hint):
        if option is float and isinstance(value, int | str) and not isinstance(value, bool):
            try:
                return float(value)  # YAML takes 5e-4 for text
            except ValueError:
                continue
        if option == list[str] and isinstance(value, str) and value:
            return [value]
    raise TypeError


def _fits(value: Any, hint: Any) -> bool:
    for option in _options(hint):
        origin = typing.get_origin(option) or option
        if origin is list:
            if isinstance(value, list) and all(_fits(item, item_hint) for item in value for item_hint in typing.get_args(option)):
                return True
        elif origin is typing.Literal:
            if any(value is choice for choice in typing.get_args(option)):
                return True
        elif origin is typing.Any or type(value) is origin:  # not isinstance: True is an int
            return True
    return False


def _options(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a mapping"}


def kind_of(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return "a list of texts"
    return "nothing" if value is None else _KINDS.get(type(value), type(value).__name__)


def _expected(hint: Any) -> str:
    wanted = []
    for option in _options(hint):
        if option is str:
            wanted.append("text (in quotes where YAML takes it for something else)")
        elif option == list[str]:
            wanted.append("a list of texts")
        elif option == list[dict[str, Any]]:
            wanted.append("a list of mappings such as [{source: own, root: ratings.csv, range: [1, 10]}]")
        elif option is type(None):
            wanted.append("null")
        elif typing.get_origin(option) is typing.Literal:
            wanted += map(str, typing.get_args(option))
        else:  # classes have a name that says nothing to a user, and an alternative in text
            wanted += [_KINDS[kind] for kind in [typing.get_origin(option) or option] if kind in _KINDS]
    return " or ".join(wanted)
