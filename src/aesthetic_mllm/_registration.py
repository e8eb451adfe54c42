"""Makes the package's classes known to transformers' Auto* classes, without importing transformers for it."""

from types import ModuleType

from wrapt.importer import register_post_import_hook


def register_when_imported() -> None:
    """Registers each class when the Auto class that needs it is imported, or at once where it already is."""
    auto = "transformers.models.auto"
    register_post_import_hook(_register_config, f"{auto}.configuration_auto")
    register_post_import_hook(_register_models, f"{auto}.modeling_auto")
    register_post_import_hook(_register_image_processor, f"{auto}.image_processing_auto")
    register_post_import_hook(_register_processor, f"{auto}.processing_auto")


def _register_config(auto: ModuleType) -> None:
    from .modeling.configuration_aesthetic_mllm import AestheticMLLMConfig

    auto.AutoConfig.register(AestheticMLLMConfig.model_type, AestheticMLLMConfig)
    AestheticMLLMConfig.register_for_auto_class()


def _register_models(auto: ModuleType) -> None:
    from .modeling.configuration_aesthetic_mllm import AestheticMLLMConfig
    from .modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMModel

    auto.AutoModel.register(AestheticMLLMConfig, AestheticMLLMModel)
    auto.AutoModelForImageTextToText.register(AestheticMLLMConfig, AestheticMLLMForConditionalGeneration)
    # what save_pretrained then ships beside the weights
    AestheticMLLMModel.register_for_auto_class("AutoModel")
    AestheticMLLMForConditionalGeneration.register_for_auto_class("AutoModelForImageTextToText")


def _register_image_processor(auto: ModuleType) -> None:
    from .modeling.configuration_aesthetic_mllm import AestheticMLLMConfig
    from .processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor

    auto.AutoImageProcessor.register(AestheticMLLMConfig, image_processor_classes={"pil": AestheticMLLMImageProcessor})
    AestheticMLLMImageProcessor.register_for_auto_class()


def _register_processor(auto: ModuleType) -> None:
    from .modeling.configuration_aesthetic_mllm import AestheticMLLMConfig
    from .processing.processing_aesthetic_mllm import AestheticMLLMProcessor

    auto.AutoProcessor.register(AestheticMLLMConfig, AestheticMLLMProcessor)
    AestheticMLLMProcessor.register_for_auto_class()
