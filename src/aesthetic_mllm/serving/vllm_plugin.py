"""What vLLM calls, by the entry point `vllm.general_plugins`, in each of its processes before it looks at a checkpoint."""

import transformers
from wrapt import lazy_import

ARCHITECTURE = "AestheticMLLMForConditionalGeneration"
_MODULE = f"{__package__.rpartition('.')[0]}.modeling.modeling_aesthetic_mllm"


def register() -> None:
    """Lets vLLM's Transformers backend run checkpoints with the installed package's code, without `trust_remote_code`.

    The Auto classes know the package's classes since it was imported, which loading this module did. But vLLM looks for an
    architecture's class by its name in the module `transformers`, and takes one that is not there for code of the checkpoint's
    own. So it is put there, as a proxy that imports the model when it is first used.
    """
    if not hasattr(transformers, ARCHITECTURE):
        setattr(transformers, ARCHITECTURE, lazy_import(_MODULE, ARCHITECTURE))
