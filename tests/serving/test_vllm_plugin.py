"""What vLLM's Transformers backend asks of an architecture, without vLLM."""

import subprocess
import sys

PROGRAM = """
import sys
import transformers
from aesthetic_mllm.serving.vllm_plugin import ARCHITECTURE, register

register(), register()  # vLLM may load plugins several times
assert not any(name.endswith("modeling_aesthetic_mllm") for name in sys.modules), "the model is imported when it is used"
found = getattr(transformers, ARCHITECTURE)
assert issubclass(found, transformers.PreTrainedModel)
assert found.is_backend_compatible() or found._can_set_attn_implementation()
assert found.__name__ == ARCHITECTURE
"""


def test_the_architecture_is_found_by_its_name_in_transformers() -> None:
    """In a process of its own, since it changes what the module `transformers` holds."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
