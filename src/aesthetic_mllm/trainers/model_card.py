"""The card of a trained checkpoint, from the template of `publishing/`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..modeling.checkpoint_documents import CARD, CARD_FACTS, REPORT, RESULT_FOLDER
from ..publishing.card import render_card, write_card
from ..publishing.card_facts import CardFacts
from ..publishing.checkpoint_facts import CheckpointFacts
from ..publishing.report import Report
from .run_facts import run_facts

if TYPE_CHECKING:
    from transformers import Trainer as _Trainer
else:
    _Trainer = object


class ModelCardMixin(_Trainer):
    """For trainers: outputs get this package's card; TRL's template is about chat models that write text alone.

    Attributes:
        card_facts: what the card says beside what the run itself knows, such as where the training data come from.
    """

    card_facts = CardFacts()

    def create_model_card(
        self,
        model_name: str | None = None,
        dataset_name: str | list[str] | None = None,
        tags: str | list[str] | None = None,
        folder: str | Path | None = None,
        report: Report | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes README.md; the main process alone does.

        Args:
            model_name: the card's title; default the name of `output_dir`.
            dataset_name: Hub ids of what was learned from.
            tags: beside the package's own.
            folder: of the finished checkpoint, beside which the card and `card_facts.yaml` are written, and with a report that;
                default `output_dir`, which gets the card alone.
            report: what was measured; without it the card says that nothing was.
            kwargs: `license`: of the weights, as the Hub names it.
        """
        if not self.is_world_process_zero():
            return
        output = Path(str(self.args.output_dir))
        known = self.card_facts
        facts = run_facts(
            self,
            replace(
                known,
                title=model_name or known.title or output.resolve().name,
                datasets=_several(dataset_name) or known.datasets,
                tags=_several(tags) + known.tags,
                licence=kwargs.get("license") or known.licence,
            ),
        )
        if folder is None:
            output.mkdir(parents=True, exist_ok=True)
            (output / CARD).write_text(render_card(self._checkpoint_facts(), facts, report), encoding="utf-8")
            return
        for stale in (Path(folder) / REPORT, *(Path(folder) / RESULT_FOLDER).glob("*.yaml")):
            stale.unlink(missing_ok=True)  # of the start checkpoint, whose figures no longer hold
        facts.save(Path(folder) / CARD_FACTS)
        write_card(Path(folder), facts, report)

    def _checkpoint_facts(self) -> CheckpointFacts:
        """Of the model in memory."""
        processor, model = self.processing_class, self.accelerator.unwrap_model(self.model)
        config = getattr(model, "config", None) or model.model.config  # the alignment's trainer wraps the model
        return CheckpointFacts.of(processor.rating_scale, config.to_dict(), processor.image_processor.canvas_size)


def _several(names: str | list[str] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())
