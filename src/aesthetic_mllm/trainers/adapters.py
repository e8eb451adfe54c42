"""LoRA adapters: what is adapted where a configuration does not say, and folders that load on any machine."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from peft import PeftConfig, PeftModel

from ..checkpoints.names import EMBEDDED, portable_name, weights_digest
from ..engine.adapter_loading import AdapterBase
from ..modeling.checkpoint_documents import CARD, LICENCE
from .output_files import ADAPTER

LANGUAGE_MODEL_PROJECTIONS = r".*language_model\..*_proj"  # "all-linear" would adapt the tower too
ALIGNMENT_MODULE = "multi_modal_projector"  # small, and often new to the language model
TAG = "aesthetic-mllm"
TEXT = """\
# {name}

LoRA adapters of {base}, which rates and describes the aesthetics of photos. Trained with `{trainer}` of the package
aesthetic-mllm.

```python
from aesthetic_mllm import AestheticAssessor

print(AestheticAssessor.from_pretrained("{name}").score("photo.jpg"))
```

`{name}` stands for this folder, or for its id on the Hub. The package loads the base and merges the adapters into it. It
refuses a base with other weights than they were learned with; the SHA-256 of those is in `base_checkpoint.json`.

{without}

The terms of the base, and of the data that the adapters were trained on, hold for them too.
"""
WITH_EMBEDDED = f"""\
`{EMBEDDED}` is the checkpoint inside the package aesthetic-mllm, and no id of the Hub: PEFT alone cannot find it by its name.
Give it the model:

```python
from aesthetic_mllm import AestheticMLLMForConditionalGeneration
from aesthetic_mllm.checkpoints import embedded_checkpoint
from peft import PeftModel

base = AestheticMLLMForConditionalGeneration.from_pretrained(embedded_checkpoint(), dtype="float32")
model = PeftModel.from_pretrained(base, "{{name}}")
```"""
WITH_OTHER = """\
With PEFT alone, load the base with `AutoModelForImageTextToText` and give it to
`PeftModel.from_pretrained(base, "{name}")`."""


def adapt_language_model(peft_config: Any, learn_alignment: bool = True) -> Any:
    """Completes a `LoraConfig` in place and returns it; `None` stays `None`.

    Args:
        peft_config: without `target_modules` the language model's projections are adapted; without `modules_to_save` the
            alignment module is learned whole.
        learn_alignment: whether it may learn.
    """
    if peft_config is not None:
        if not peft_config.target_modules:
            peft_config.target_modules = LANGUAGE_MODEL_PROJECTIONS
        if peft_config.modules_to_save is None and learn_alignment:
            peft_config.modules_to_save = [ALIGNMENT_MODULE]
    return peft_config


def complete_adapters(model: PeftModel, folder: str | os.PathLike[str], trainer: str) -> None:
    """Makes a folder that PEFT has saved one that loads elsewhere.

    The base is named portably, with the digest of its weights; PEFT's empty card is replaced; the base's licence is added.

    Args:
        model: whose adapters they are.
        folder: with `adapter_config.json`.
        trainer: name of what trained them.
    """
    folder = Path(folder)
    base_model = model.get_base_model()
    start = str(getattr(base_model, "name_or_path", "") or "")
    commit = base_model.checkpoint_commit
    base = AdapterBase(portable_name(start), weights_digest(start, revision=commit), commit) if start else AdapterBase("")
    config = PeftConfig.from_pretrained(str(folder))
    config.base_model_name_or_path, config.revision = base.name or None, commit
    config.inference_mode = True
    config.save_pretrained(str(folder))
    base.save(folder)
    documents: Mapping[str, bytes] = base_model.documents
    if LICENCE in documents:
        (folder / LICENCE).write_bytes(documents[LICENCE])
    _card(folder, base, documents, trainer).save(folder / CARD)


def _card(folder: Path, base: AdapterBase, documents: Mapping[str, bytes], trainer: str) -> ModelCard:
    terms = ModelCard(documents[CARD].decode()).data if CARD in documents else ModelCardData()
    on_hub = "/" in base.name
    data = ModelCardData(
        library_name="peft",
        pipeline_tag="image-text-to-text",
        base_model=base.name if on_hub else None,
        license=terms.license,
        license_name=terms.license_name,
        license_link=terms.license_link,
        tags=[TAG, "lora"],
    )
    name = folder.parent.name if folder.name == ADAPTER else folder.name
    without = (WITH_EMBEDDED if base.name == EMBEDDED else WITH_OTHER).format(name=name)
    named = f"[{base.name}](https://huggingface.co/{base.name})" if on_hub else f"`{base.name or 'a model without a name'}`"
    text = TEXT.format(name=name, base=named, trainer=trainer, without=without)
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}")
