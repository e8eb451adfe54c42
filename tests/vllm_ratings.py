"""Asks vLLM a rating question about photos, in a process of its own: `python vllm_ratings.py REQUEST ANSWER`.

The request is a JSON file with `checkpoint` (a folder), `prompt`, `photos` (paths) and `level_ids`; the answer a JSON file with
the log-probabilities of the level words for each photo. Needs vLLM, and nothing of the package: the checkpoint brings its code.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def main(request: Path, answer: Path) -> None:
    from PIL import Image
    from vllm import LLM, SamplingParams

    asked = json.loads(request.read_text())
    model = LLM(
        model=asked["checkpoint"],
        model_impl="transformers",
        trust_remote_code=True,
        dtype="float32",
        max_model_len=512,
        enforce_eager=True,
        limit_mm_per_prompt={"image": 1},
    )
    prompts = [
        {"prompt": asked["prompt"], "multi_modal_data": {"image": Image.open(path).convert("RGB")}} for path in asked["photos"]
    ]
    ids = asked["level_ids"]
    done = model.generate(prompts, SamplingParams(max_tokens=1, temperature=0, logprob_token_ids=ids))
    found = [[output.outputs[0].logprobs[0][token].logprob for token in ids] for output in done]
    answer.write_text(json.dumps(found))


if __name__ == "__main__":  # vLLM starts processes that import this file
    main(Path(sys.argv[1]), Path(sys.argv[2]))
