"""What nano is asked, and in which form: its processor, before and after training.

Every token of a question and of a photo costs nano time. So both are few: the chat format has no more marks than it needs,
questions are a word or two, and the visual tokens are as many as there is to tell.
"""

from typing import Any

from aesthetic_mllm import AestheticMLLMImageProcessor, AestheticMLLMProcessor, MultiScaleFeatureAlignmentConfig
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS, RatingQuestion, RatingScale

from .features import CANVAS

# A low- and a middle-level token for each attribute of the phrase bank; three for high-level ones, three to name what is seen.
NUM_QUERY_TOKENS = {"low": 8, "middle": 10, "high": 6}
THEMATIC_GRID = 2

# A photo or photos, the question, a line end, the answer. The first mark is what the language model's heads rest on.
CHAT_TEMPLATE = """\
{{- '<|im_start|>' -}}
{%- for message in messages -%}
{%- set content -%}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for item in message['content'] -%}
{%- if item['type'] == 'image' -%}{{- '<image>' -}}{%- elif item['type'] == 'text' -%}{{- item['text'] -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endset -%}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}{{- content + '<|im_end|>' -}}{%- endgeneration -%}
{%- else -%}
{{- content + '\\n' -}}
{%- endif -%}
{%- endfor -%}
"""


# What people rated, each of them some photos of the pool; of the whole photo.
WHOLE = ("aesthetic", "quality", "beauty")
# "flaw_" questions of a single photo (`aesthetic_mllm.tasks.suggesting`), in nano's words; the lower, the stronger the flaw. Not
# among them: tilts, too tight a frame, an off-centre subject, blocked shadows. Their ratings did not tell damaged photos from
# others at the size of real photos (AUC 0.50 to 0.56 on photos of 1,600 pixels; blocked shadows 0.66 on small ones, too).
FLAWS = {
    "too_dark": "too dark", "too_bright": "too bright", "flat": "too flat", "harsh": "too hard", "pale": "too pale",
    "garish": "too colourful", "too_cool": "too cool", "too_warm": "too warm", "hazy": "hazy",
    "blown_highlights": "white highlights", "soft": "too soft", "oversharpened": "too sharp", "noisy": "noisy",
    "compressed": "compressed", "out_of_focus": "out of focus",
}  # fmt: skip


def short_question(words: str) -> RatingQuestion:
    """Asked in the fewest tokens, for which words need the space before them."""
    return RatingQuestion(prompt=f" {words}:", stem="", decimal_prompt=f" {words} in numbers:")


def nano_scale() -> RatingScale:
    """First what photographers mean by aesthetic, beauty and quality together; then both, the eight attributes, and flaws."""
    questions = {
        "aesthetic": short_question("looks"), "quality": short_question("quality"), "beauty": short_question("beauty"),
    }  # fmt: skip
    questions |= {key: short_question(key.replace("_", " ")) for key in ATTRIBUTE_QUESTIONS}
    questions |= {f"flaw_{key}": short_question(words) for key, words in FLAWS.items()}
    return RatingScale(questions=questions, attributes=tuple(ATTRIBUTE_QUESTIONS))


def nano_processor(tokenizer: Any) -> AestheticMLLMProcessor:
    """The processor that nano is trained and shipped with."""
    return AestheticMLLMProcessor(
        AestheticMLLMImageProcessor(canvas_size=CANVAS),
        tokenizer,
        chat_template=CHAT_TEMPLATE,
        rating_scale=nano_scale(),
        num_group_tokens=NUM_QUERY_TOKENS | {"thematic": THEMATIC_GRID**2},
    )


def nano_alignment_config() -> MultiScaleFeatureAlignmentConfig:
    """The alignment module of that many tokens."""
    return MultiScaleFeatureAlignmentConfig(num_query_tokens=dict(NUM_QUERY_TOKENS), thematic_grid=THEMATIC_GRID)
