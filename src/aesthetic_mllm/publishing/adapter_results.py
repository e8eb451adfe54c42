"""Adapters are as good as the checkpoint that they give when they are merged: its results are theirs."""

import shutil
from pathlib import Path

from huggingface_hub import ModelCard

from ..modeling.checkpoint_documents import CARD, REPORT, RESULT_FOLDER

HEADING = "## Results"
TEXT = f"""\
{HEADING}

Measured with the adapters merged into the base:

{{lines}}

`{REPORT}` has the intervals.
"""


def take_over_results(merged: Path, adapters: Path) -> bool:
    """Puts the results of a merged checkpoint into its adapters' card, and the report beside it.

    Args:
        merged, adapters: folders of the same training.

    Returns:
        whether the merged checkpoint's card has results.
    """
    if not (merged / CARD).is_file():
        return False
    source, card = ModelCard.load(merged / CARD), ModelCard.load(adapters / CARD)
    results = source.data.eval_results
    if not results:
        return False
    card.data.eval_results, card.data.model_name = results, source.data.model_name
    card.data.license = card.data.license or source.data.license
    lines = [
        f"- {each.dataset_name}{f', {each.task_name}' if each.task_name else ''}: {each.metric_name or each.metric_type} "
        f"{each.metric_value}"
        for each in results
    ]
    body = card.text.partition(HEADING)[0].rstrip()
    card.text = f"\n{body.lstrip()}\n\n{TEXT.format(lines=chr(10).join(lines))}"
    card.save(adapters / CARD)
    if (merged / REPORT).is_file():
        shutil.copyfile(merged / REPORT, adapters / REPORT)
    if (merged / RESULT_FOLDER).is_dir():
        shutil.copytree(merged / RESULT_FOLDER, adapters / RESULT_FOLDER, dirs_exist_ok=True)
    return True
