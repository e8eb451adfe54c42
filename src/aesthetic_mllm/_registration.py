"""Makes the package's classes known to transformers' Auto* classes and pipelines, without importing transformers for it.

transformers imports its Auto modules early and in the middle of others, where importing a model would fail. So only the light
configuration is imported then; the other classes are registered as proxies that import themselves when they are first used.
"""

from types import ModuleType
from typing import Any

from wrapt import lazy_import, register_post_import_hook

_PACKAGE = __name__.rpartition(".")[0]
_AUTO = "transformers.models.auto"


def register_when_imported() -> None:
    """Registers each class when the Auto module that needs it is imported, or at once where it already is."""
    register_post_import_hook(_register_config, f"{_AUTO}.configuration_auto")
    register_post_import_hook(_register_models, f"{_AUTO}.modeling_auto")
    register_post_import_hook(_register_image_processor, f"{_AUTO}.image_processing_auto")
    register_post_import_hook(_register_processor, f"{_AUTO}.processing_auto")
    register_post_import_hook(_register_pipeline, "transformers.pipelines")


def _config_class() -> Any:
    from .modeling.configuration_aesthetic_mllm import AestheticMLLMConfig

    return AestheticMLLMConfig


def _register_config(auto: ModuleType) -> None:
    # a proxy too: the configuration's own import may be what has brought the Auto module here
    auto.CONFIG_MAPPING.register("aesthetic_mllm", _lazy("modeling.configuration_aesthetic_mllm", "AestheticMLLMConfig"))


def _register_models(auto: ModuleType) -> None:
    room = "modeling.modeling_aesthetic_mllm"
    auto.MODEL_MAPPING.register(_config_class(), _lazy(room, "AestheticMLLMModel"))
    generating = "AestheticMLLMForConditionalGeneration"
    auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING.register(_config_class(), _lazy(room, generating))
    auto.MODEL_FOR_MULTIMODAL_LM_MAPPING.register(_config_class(), _lazy(room, generating))
    # `transformers serve` asks these tables of names, to which `register` adds nothing, how a model is loaded and that it sees
    # photos; the Auto classes do not look here for models that were registered
    auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES["aesthetic_mllm"] = generating
    auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES["aesthetic_mllm"] = generating


def _register_image_processor(auto: ModuleType) -> None:
    classes = {"pil": _lazy("processing.image_processing_aesthetic_mllm", "AestheticMLLMImageProcessor")}
    auto.IMAGE_PROCESSOR_MAPPING.register(_config_class(), classes)


def _register_processor(auto: ModuleType) -> None:
    auto.PROCESSOR_MAPPING.register(_config_class(), _lazy("processing.processing_aesthetic_mllm", "AestheticMLLMProcessor"))


def _register_pipeline(pipelines: ModuleType) -> None:
    # not by register_pipeline, which writes on the class and so would import it here
    room = "inference.pipeline"
    pipelines.PIPELINE_REGISTRY.supported_tasks["image-aesthetic-assessment"] = {
        "impl": _lazy(room, "ImageAestheticAssessmentPipeline"),
        "pt": (_lazy(room, "FullPrecisionModel"),),
        "type": "multimodal",
    }


def _lazy(module: str, name: str) -> Any:
    return lazy_import(f"{_PACKAGE}.{module}", name)
