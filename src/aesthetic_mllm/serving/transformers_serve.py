"""What `transformers serve` needs to chat about photos with a checkpoint, and to rate them by its endpoint `/v1/systemone`."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor

# In the prompt's place where the question stands; nobody writes it.
_QUESTION = "\N{REPLACEMENT CHARACTER}"
# Rendered with `state`, where the photo is, and one `question`. The checkpoint's own words stand around both.
_TEMPLATE = """\
{{%- set asked = {questions} -%}}
{{%- if question.type != "score" or question.instructions not in asked -%}}
{{{{- raise_exception("Ask a question of type score, with one of these as its instructions: " ~ asked|join(", ")) -}}}}
{{%- endif -%}}
{{%- if question.options|length != {levels} -%}}
{{{{- raise_exception("Give {levels} criteria, worst first; this checkpoint rates by {words}.") -}}}}
{{%- endif -%}}
{{%- if state is string or state|length != 1 or state[0].type != "image" -%}}
{{{{- raise_exception("The state must be the placeholder of one photo, and the photo must be in the assets.") -}}}}
{{%- endif -%}}
{{{{- {before} ~ {image} ~ {between} ~ asked[question.instructions][0] ~ {after} ~ asked[question.instructions][1] -}}}}
"""


def decision_config(processor: AestheticMLLMProcessor) -> dict[str, Any]:
    """Fields of transformers' `DecisionConfig`, by which its decision pipeline asks a checkpoint as this package does.

    A request's question has the type "score", the key of a rating question as its instructions, and a criterion for each level
    word, worst first. Its answer's probabilities are those of the level words.
    """
    scale = processor.rating_scale
    before, image, rest = processor.assistant_prompt(_QUESTION).partition(processor.image_token)
    between, _, after = rest.partition(_QUESTION)
    words = ", ".join(word.strip() for word in scale.level_words)
    template = _TEMPLATE.format(
        questions=json.dumps({key: [question.prompt, question.stem] for key, question in scale.questions.items()}),
        levels=len(scale.level_words),
        words=words,
        **{
            name: json.dumps(text)
            for name, text in (("before", before), ("image", image), ("between", between), ("after", after))
        },
    )
    return {"labels": {"score": list(scale.level_words)}, "chat_template": template}


def serve(model: str, options: Sequence[str]) -> None:
    """Runs `transformers serve` until it is stopped.

    Args:
        model: folder or Hub id of a checkpoint.
        options: of `transformers serve`; without a `--dtype` the model computes in float32, and without a `--decision-config`
            the checkpoint's own questions are answered.

    Raises:
        ImportError: what it needs is not installed.
    """
    from transformers.utils.import_utils import is_serve_available

    if not is_serve_available():
        raise ImportError("`transformers serve` needs more packages: pip install 'transformers[serving]'")
    from transformers.cli.transformers import app

    arguments = ["serve", model, *options]
    if "--dtype" not in options:
        arguments += ["--dtype", "float32"]
    with tempfile.TemporaryDirectory() as folder:
        if "--decision-config" not in options:
            path = Path(folder) / "decision.json"
            path.write_text(json.dumps(decision_config(AestheticMLLMProcessor.from_pretrained(model))), encoding="utf-8")
            arguments += ["--decision-config", str(path)]
        app(arguments)
