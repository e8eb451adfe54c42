"""Photo aesthetics with a multimodal language model: rate, embed, train.

Importing the package is quick: the names below load what they need when they are first used, and its classes register with
transformers' Auto* classes as soon as those are imported, before or after this package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import _registration
from ._version import __version__

_PUBLIC_NAMES = {
    "AestheticAssessor": "inference.assessor",
    "AestheticMLLMConfig": "modeling.configuration_aesthetic_mllm",
    "AestheticMLLMForConditionalGeneration": "modeling.modeling_aesthetic_mllm",
    "AestheticMLLMImageProcessor": "processing.image_processing_aesthetic_mllm",
    "AestheticMLLMModel": "modeling.modeling_aesthetic_mllm",
    "AestheticMLLMProcessor": "processing.processing_aesthetic_mllm",
    "Assessment": "tasks.assessment",
    "CheckpointError": "modeling.checkpoint_errors",
    "Comparison": "tasks.ranking",
    "CulledPhoto": "tasks.culling",
    "ImageError": "processing.image_loading",
    "MultiScaleFeatureAlignmentConfig": "modeling.configuration_aesthetic_mllm",
    "RankedPhoto": "tasks.ranking",
    "Rating": "processing.rating_scale",
    "RatingScale": "processing.rating_scale",
    "RatingScaleError": "processing.rating_scale",
    "ServerError": "serving.server_errors",
    "Suggestion": "tasks.suggesting",
}

if TYPE_CHECKING:
    from .inference.assessor import AestheticAssessor
    from .modeling.checkpoint_errors import CheckpointError
    from .modeling.configuration_aesthetic_mllm import AestheticMLLMConfig, MultiScaleFeatureAlignmentConfig
    from .modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMModel
    from .processing.image_loading import ImageError
    from .processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor
    from .processing.processing_aesthetic_mllm import AestheticMLLMProcessor
    from .processing.rating_scale import Rating, RatingScale, RatingScaleError
    from .serving.server_errors import ServerError
    from .tasks.assessment import Assessment
    from .tasks.culling import CulledPhoto
    from .tasks.ranking import Comparison, RankedPhoto
    from .tasks.suggesting import Suggestion

__all__ = [
    "AestheticAssessor",
    "AestheticMLLMConfig",
    "AestheticMLLMForConditionalGeneration",
    "AestheticMLLMImageProcessor",
    "AestheticMLLMModel",
    "AestheticMLLMProcessor",
    "Assessment",
    "CheckpointError",
    "Comparison",
    "CulledPhoto",
    "ImageError",
    "MultiScaleFeatureAlignmentConfig",
    "RankedPhoto",
    "Rating",
    "RatingScale",
    "RatingScaleError",
    "ServerError",
    "Suggestion",
    "__version__",
]

_registration.register_when_imported()


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC_NAMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
