# /// script
# requires-python = ">=3.11"
# dependencies = ["aesthetic-mllm[train]"]
# ///
"""Has a language model reword the target texts of the phrase bank, once, into a cache that training reads.

    python examples/reword_target_texts.py --cache target_texts.jsonl --url http://localhost:8000/v1 --model my-model
    --api-key-variable "" aesthetic-mllm train align --config recipe.yaml reworded=target_texts.jsonl

Any OpenAI-compatible server will do; with `--pipeline NAME` a transformers text-generation pipeline runs here instead. The paper
used GPT-3.5. A rewording that might say something else is not used; how many, is said at the end. A run that was cut off goes on.
"""

import argparse
import logging

from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_samples import LEVELS
from aesthetic_mllm.pretext.target_text_rewriting import TargetTextRewriter, generate_with_endpoint, generate_with_pipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", required=True, help="file of JSON lines to fill")
    parser.add_argument("--wordings", type=int, default=3, help="target texts of each label to reword")
    parser.add_argument("--pipeline", help="folder or Hub id of a language model")
    parser.add_argument("--url", help="of a server, up to its version")
    parser.add_argument("--model", help="as the server calls it")
    parser.add_argument("--api-key-variable", default="OPENAI_API_KEY", help="environment variable; empty: no key is wanted")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    if options.pipeline:
        from transformers import pipeline

        generate = generate_with_pipeline(pipeline("text-generation", model=options.pipeline))
    elif options.url and options.model:
        generate = generate_with_endpoint(options.url, options.model, options.api_key_variable or None)
    else:
        parser.error("name --pipeline, or --url and --model")

    bank = PhraseBank()
    rewriter = TargetTextRewriter(generate, options.cache, bank)
    for seed in range(options.wordings):
        for level in LEVELS:
            for target_text in bank.every_target_text(level, seed=seed):
                rewriter(target_text)
    logging.warning("%s", ", ".join(f"{count} {what}" for what, count in rewriter.counts.most_common()))


if __name__ == "__main__":
    main()
