"""What recipes that tune a checkpoint have in common, and the entries of their `data`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from peft import LoraConfig

from .recipe_parser import Recipe, RecipeError, RecipeParser


@dataclass(kw_only=True)
class TuningRecipe(Recipe):
    """What is started from, and what is adapted.

    Args:
        model: folder or Hub id of a checkpoint to tune; default the embedded one.
        lora_r: rank of the LoRA adapters of the language model; 0 trains it whole.
        lora_alpha, lora_dropout: of the adapters.
        skip_missing: leave out records whose image is missing or whose values are wrong, and say so.
        resume: go on from the last checkpoint in `output_dir`.
    """

    model: str | None = None
    lora_r: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    skip_missing: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        if self.lora_r < 0:
            raise RecipeError(f"lora_r: {self.lora_r}; give a rank such as 16, or 0 to train the language model whole.")

    def peft_config(self) -> LoraConfig | None:
        """LoRA as the recipe says; the alignment module is learned whole beside it."""
        if not self.lora_r:
            return None
        return LoraConfig(r=self.lora_r, lora_alpha=self.lora_alpha, lora_dropout=self.lora_dropout, task_type="CAUSAL_LM")


@dataclass
class DataEntry:
    """An entry of `data`, one a data set.

    Args:
        source: a name such as "ava", or "own" for a table.
        root: the data set's folder, or the table.
        tasks: those of [`ConversationBuilder.build`].
        weight: how often its rows come beside the others'.
        split: which is trained on.
        range, question, higher_is_worse, columns: of an own table, as of `own_source`.
    """

    source: str
    root: str
    tasks: list[str] = field(default_factory=lambda: ["score"])
    weight: float = 1.0
    split: str = "train"
    range: list[float] | None = None
    question: str | None = None
    higher_is_worse: bool = False
    columns: dict[str, str] | None = None


def check_entries(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries with their keys' types.

    Raises:
        RecipeError: there is none, or one has a wrong key, lacks one, or holds a wrong value.
    """
    if not data:
        raise RecipeError("data: an empty list; name at least one data set, such as {source: own, root: ratings.csv, ...}.")
    return [_checked(entry, f"data[{number}]") for number, entry in enumerate(data)]


def _checked(entry: Mapping[str, Any], place: str) -> dict[str, Any]:
    parser = RecipeParser([DataEntry], f"{place}.")
    missing = [key for key in ("source", "root") if key not in entry]
    if missing and not entry.keys() - parser.hints.keys():
        raise RecipeError(f"{place}: no {' and no '.join(missing)}; write for example {{source: ava, root: /data/AVA}}.")
    return parser.typed(entry)
