"""Makes the package's classes known to transformers' Auto* classes, without importing transformers for it."""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from wrapt.importer import register_post_import_hook

_AUTO = "transformers.models.auto"


def register_when_imported() -> None:
    """Registers each class as soon as its own module or the Auto class that needs it is imported, whichever comes first."""
    package = __name__.rpartition(".")[0]
    for own, auto, register in (
        ("modeling.configuration_aesthetic_mllm", "configuration_auto", _register_config),
        ("modeling.modeling_aesthetic_mllm", "modeling_auto", _register_models),
        ("processing.image_processing_aesthetic_mllm", "image_processing_auto", _register_image_processor),
        ("processing.processing_aesthetic_mllm", "processing_auto", _register_processor),
    ):
        register_post_import_hook(register, f"{package}.{own}")
        register_post_import_hook(_importer_of(f"{package}.{own}"), f"{_AUTO}.{auto}")


def _importer_of(own: str) -> Callable[[ModuleType], None]:
    def import_own(auto: ModuleType) -> None:
        # a module that is being imported needs the Auto class itself, and registers when it is complete
        if own not in sys.modules:
            import_module(own)

    return import_own


def _register_config(own: ModuleType) -> None:
    from transformers import AutoConfig

    AutoConfig.register(own.AestheticMLLMConfig.model_type, own.AestheticMLLMConfig)
    own.AestheticMLLMConfig.register_for_auto_class()


def _register_models(own: ModuleType) -> None:
    from transformers import AutoModel, AutoModelForImageTextToText

    AutoModel.register(own.AestheticMLLMConfig, own.AestheticMLLMModel)
    AutoModelForImageTextToText.register(own.AestheticMLLMConfig, own.AestheticMLLMForConditionalGeneration)
    # what save_pretrained then ships beside the weights
    own.AestheticMLLMModel.register_for_auto_class("AutoModel")
    own.AestheticMLLMForConditionalGeneration.register_for_auto_class("AutoModelForImageTextToText")


def _register_image_processor(own: ModuleType) -> None:
    from transformers import AutoImageProcessor

    from .modeling.configuration_aesthetic_mllm import AestheticMLLMConfig

    classes = {"pil": own.AestheticMLLMImageProcessor}
    AutoImageProcessor.register(AestheticMLLMConfig, image_processor_classes=classes)
    own.AestheticMLLMImageProcessor.register_for_auto_class()


def _register_processor(own: ModuleType) -> None:
    from transformers import AutoProcessor

    from .modeling.configuration_aesthetic_mllm import AestheticMLLMConfig

    AutoProcessor.register(AestheticMLLMConfig, own.AestheticMLLMProcessor)
    own.AestheticMLLMProcessor.register_for_auto_class()
