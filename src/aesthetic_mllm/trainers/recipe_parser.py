"""Recipes: flat YAML files with `key=value` overrides, read by TRL's parser; what is wrong is told by key, value and remedy.

A recipe's keys are the fields of two dataclasses, what is learned from and how. Paths are relative to the working directory.
"""

import difflib
import types
import typing
from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

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
# What a value must be, by the name of its type.
_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "string_to_bool": "true or false",
    "dict": "a mapping such as {low: 1, high: 2}",
    "str+": "a list of texts",
    "float+": "a list of numbers",
    "dict+": "a list of mappings such as [{source: own, root: ratings.csv, range: [1, 10]}]",
}


class RecipeError(ValueError):
    """A recipe with a wrong key, a wrong value, or without something it needs."""


class RecipeParser(TrlParser):
    """TRL's parser for what YAML gives: each value is converted by its field's type.

    Args:
        dataclass_types: whose fields the keys are.
        place: what stands before a key in errors.
    """

    def __init__(self, dataclass_types: Sequence[type], place: str = ""):
        super().__init__(dataclass_types, add_help=False, allow_abbrev=False, exit_on_error=False)
        for action in self._actions:
            action.required = False  # values come in several parts
        self.place = place
        self.hints: dict[str, Any] = {}
        for dataclass_type in dataclass_types:
            self.hints |= typing.get_type_hints(dataclass_type)

    def error(self, message: str) -> NoReturn:
        raise RecipeError(f"{self.place}{message}")

    def typed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as the types of their keys.

        Raises:
            RecipeError: there is no such key (the nearest right one is named), or the value does not fit it.
        """
        arguments: list[str] = []
        whole: dict[str, Any] = {}
        for key, value in values.items():
            action = self._option_string_actions.get(f"--{key}")
            if action is None:
                # lora_rank is rather lora_r than local_rank
                begun = [known for known in self.hints if str(key).startswith(known) or known.startswith(str(key))]
                near = difflib.get_close_matches(str(key), begun or self.hints, n=1, cutoff=0.0)
                self.error(f"{key}: no such key; did you mean {near[0]}?")
            if _is_nested(value) or (isinstance(value, list) and action.nargs != "+"):
                if not _holds(self.hints[key], value):
                    self._refuse(key, value)
                whole[key] = value
            elif isinstance(value, list):
                arguments += [f"--{key}", *map(str, value)]
            else:
                arguments.append(f"--{key}={value}")
        self.set_defaults_with_config(**whole)
        try:
            namespace, _ = self.parse_known_args(arguments)
        except ArgumentError as error:
            key = str(error.argument_name).partition("/")[0].removeprefix("--")
            self._refuse(key, values[key])
        return {key: getattr(namespace, key) for key in values}

    def build(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Typed values as dataclasses; `RecipeError` where they do not go together, or a number is out of its range."""
        for key, least in _LEAST.items():
            value = values.get(key)
            if value is not None and not value >= least:  # so written, NaN is refused too
                raise RecipeError(f"{key}: {value}; give a number that is at least {least}.")
        try:
            return self.parse_dict(dict(values))
        except RecipeError:
            raise
        except (ValueError, TypeError, ImportError) as error:
            # TrainingArguments says which value is wrong and what it may be, but not whose it is
            key = next((key for key, value in values.items() if str(error).startswith(f"{value} ")), None)
            raise RecipeError(f"{key or 'The training settings do not go together'}: {error}") from error

    def _refuse(self, key: str, value: Any) -> NoReturn:
        action = self._option_string_actions[f"--{key}"]
        kind = getattr(action.type, "__name__", "")
        if action.choices:
            expected = " or ".join(map(str, action.choices))
        else:
            expected = _EXPECTED.get(f"{kind}+" if action.nargs == "+" else kind, "text")
        self.error(f"{key}: {value!r}, expected {expected}.")


class Recipe:
    """What a recipe says beside the training arguments; a dataclass.

    Attributes:
        CONFIG: the training arguments.
        SMOKE_TEST: values of a trial run, which must take seconds; what the command line says still comes before them.
    """

    CONFIG: ClassVar[type]
    SMOKE_TEST: ClassVar[Mapping[str, Any]] = {}

    def check_with(self, config: Any) -> None:
        """Raises [`RecipeError`] where recipe and training arguments do not go together."""

    @classmethod
    def read(cls, path: str | Path, overrides: Sequence[str] = (), smoke_test: bool = False) -> tuple[Self, Any, dict[str, Any]]:
        """The recipe in a YAML file with `key=value` overrides whose values are YAML too (`data=[a,b]`, `bf16=true`).

        Args:
            smoke_test: with the values for a trial run.

        Returns:
            recipe and training arguments, and all values that were given.

        Raises:
            RecipeError: no such file, no mapping in it, a wrong key or value, neither `data` nor `output_dir`, or values that do
                not go together.
        """
        parser = RecipeParser((cls, cls.CONFIG))
        try:
            found = _written(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise RecipeError(f"{path}: not a readable YAML file ({error}).") from error
        if not isinstance(found, dict):
            held = "nothing" if found is None else f"a {type(found).__name__}"
            raise RecipeError(f"{path}: holds {held}, not a mapping of keys to values such as `model: my-model`.")
        parser.place = f"{path}: "
        values = parser.typed(found)
        parser.place = ""
        if smoke_test:
            values |= {key: value for key, value in cls.SMOKE_TEST.items() if key in parser.hints}
        values |= parser.typed(_overrides(overrides))
        for key in ("data", "output_dir"):
            if values.get(key) is None:
                raise RecipeError(f"{path}: no {key!r}; add it to the recipe, or {key}=... to the command line.")
        recipe, config = parser.build(values)
        recipe.check_with(config)
        return recipe, config, values


def save_recipe(path: str | Path, values: Mapping[str, Any]) -> None:
    """As YAML that `Recipe.read` reads, without [`RESUMING_KEYS`], so that it starts the same run anew."""
    kept = {key: value for key, value in values.items() if key not in RESUMING_KEYS}
    Path(path).write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _overrides(texts: Sequence[str]) -> dict[str, Any]:
    """What `key=value` arguments say."""
    values: dict[str, Any] = {}
    for text in texts:
        key, mark, raw = text.partition("=")
        if not mark or not key:
            raise RecipeError(f"{text!r} is no override; write key=value, such as data=photos.")
        if key in values:
            raise RecipeError(f"{key}: given twice on the command line; give it once, several values as {key}=[a,b].")
        try:
            values[key] = _written(raw, of_key=True)
        except yaml.YAMLError:
            values[key] = raw  # a name with a bracket or a colon in it
    return values


def _written(text: str, of_key: bool = False) -> Any:
    """What YAML holds, with plain values and lists of them as the text that is written: a folder may be called 2024, and "no" is
    a strategy. What they are is for their keys to say.

    Args:
        text: a mapping of keys to values, or one key's value.
        of_key: whether it is the latter.
    """
    value, written = yaml.safe_load(text), yaml.load(text, Loader=yaml.BaseLoader)
    if isinstance(value, dict) and not of_key:
        return {
            key: part if _is_nested(part) else as_text
            for (key, part), as_text in zip(value.items(), written.values(), strict=True)
        }
    return value if _is_nested(value) else written


def _is_nested(value: Any) -> bool:
    """Whether a value is nothing, a mapping, an empty list, or a list that holds such."""
    if isinstance(value, list):
        return not value or any(isinstance(item, list) or _is_nested(item) for item in value)
    return value is None or isinstance(value, dict)


def _holds(hint: Any, value: Any) -> bool:
    """Whether a type allows for a value that is nothing, a mapping or a list."""
    for option in typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,):
        kind, (item, *_) = typing.get_origin(option) or option, typing.get_args(option) or (typing.Any,)
        if kind is typing.Any or (type(value) is kind and (kind is not list or all(_holds(item, part) for part in value))):
            return True
    return False
