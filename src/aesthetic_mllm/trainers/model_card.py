"""The card of a tuned checkpoint: what it is and how it is used."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import ModelCard, ModelCardData

from .output_files import TUNED

if TYPE_CHECKING:
    from transformers import Trainer as _Trainer
else:
    _Trainer = object

TAG = "aesthetic-mllm"
TEXT = """\
# {name}

Rates and describes the aesthetics of photos. Trained with `{trainer}` of the package
aesthetic-mllm.

```python
from aesthetic_mllm import AestheticAssessor

print(AestheticAssessor.from_pretrained("{checkpoint}").score("photo.jpg"))
```

The terms of the checkpoint that it started from, and of the data that it was trained on, hold for it too.
"""


class ModelCardMixin(_Trainer):
    """For trainers: outputs get this package's card; TRL's template is about chat models that write text alone."""

    def create_model_card(
        self,
        model_name: str | None = None,
        dataset_name: str | list[str] | None = None,
        tags: str | list[str] | None = None,
        folder: str | Path | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes README.md; the main process alone does.

        Args:
            folder: of the finished checkpoint, beside which the card is written; default `output_dir`, whose card names the
                folder where `train` writes the checkpoint.
            kwargs: of the card's metadata, such as `license`.
        """
        if not self.is_world_process_zero():
            return
        start = getattr(self.model, "name_or_path", "") or None
        data = ModelCardData(
            library_name="transformers",
            pipeline_tag="image-text-to-text",
            base_model=None if start and Path(start).exists() else start,
            datasets=dataset_name,
            tags=sorted({TAG, *([tags] if isinstance(tags, str) else tags or [])}),
            **kwargs,
        )
        output = Path(str(self.args.output_dir))
        text = TEXT.format(
            name=model_name or output.name,
            checkpoint=Path(folder) if folder else output / TUNED,
            trainer=type(self).__name__,
        )
        ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}").save(Path(folder or output) / "README.md")
