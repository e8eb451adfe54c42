"""Adapters are as good as the checkpoint that they give when they are merged: its results are theirs."""

import shutil
from pathlib import Path
from typing import cast

import yaml
from huggingface_hub import ModelCard, ModelCardData

from ..modeling.checkpoint_documents import CARD, REPORT, RESULT_FOLDER
from .card import check_digest
from .card_facts import CardError
from .checkpoint_facts import CheckpointFacts
from .report import Report

HEADING = "## Results"
TEXT = f"""\
{HEADING}

Measured with the adapters merged into the base:

{{lines}}

`{REPORT}` has the intervals.
"""


def merged_results(merged: Path, adapters: Path) -> ModelCardData | None:
    """The card's metadata of a merged checkpoint, where it has results and its adapters a card to put them into.

    Raises:
        CardError: its card cannot be read, or its report is about other weights than it has.
    """
    if not (merged / CARD).is_file() or not (adapters / CARD).is_file():
        return None
    source = _metadata(_load(merged / CARD))
    if not source.eval_results:
        return None
    if (merged / REPORT).is_file():
        check_digest(CheckpointFacts.read(merged), Report.load(merged / REPORT), merged)
    return source


def take_over_results(merged: Path, adapters: Path) -> bool:
    """Puts the results of a merged checkpoint into its adapters' card, and the report beside it.

    Of the card's text the section on results alone is replaced.

    Args:
        merged, adapters: folders of the same training.

    Returns:
        whether the merged checkpoint's card has results.

    Raises:
        CardError: as of [`merged_results`].
    """
    source = merged_results(merged, adapters)
    if source is None:
        return False
    results, card = source.eval_results or [], _load(adapters / CARD)
    data = _metadata(card)
    data.eval_results, data.model_name = results, source.model_name
    data.license = data.license or source.license
    lines = [
        f"- {each.dataset_name}{f', {each.task_name}' if each.task_name else ''}: {each.metric_name or each.metric_type} "
        f"{each.metric_value}"
        for each in results
    ]
    section = f"\n{TEXT.format(lines=chr(10).join(lines))}"
    before, _, rest = f"\n{card.text.lstrip()}".partition(f"\n{HEADING}\n")
    _, heading, after = rest.partition("\n## ")
    card.text = f"\n{before.strip()}\n{section}{heading}{after}"
    card.save(adapters / CARD)
    if (merged / REPORT).is_file():
        shutil.copyfile(merged / REPORT, adapters / REPORT)
    if (merged / RESULT_FOLDER).is_dir():
        shutil.copytree(merged / RESULT_FOLDER, adapters / RESULT_FOLDER, dirs_exist_ok=True)
    return True


def _metadata(card: ModelCard) -> ModelCardData:
    return cast(ModelCardData, card.data)


def _load(path: Path) -> ModelCard:
    try:
        return ModelCard.load(path)
    except (ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise CardError(f"{path}: no metadata that can be read ({' '.join(str(error).split())}).") from error
