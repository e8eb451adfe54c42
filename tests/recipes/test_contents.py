"""What photos show is named where it is sure, and plain."""

import json
from pathlib import Path

from recipes.nano.contents import CONFIDENCES, prompt_label, sure_contents


def test_a_prompts_plainest_word_is_its_label() -> None:
    assert prompt_label("synthwave astronaut tabby cat, baroque style") == "a cat"
    assert prompt_label("portrait of a futuristic robot, top view") == "a robot"
    assert prompt_label("Portrait of beautiful woman with magical nebula hair") == "a portrait"
    assert prompt_label("tragedy of the commons") is None and prompt_label("a catastrophe") is None


def test_only_what_is_sure_and_plain_is_named(tmp_path: Path) -> None:
    seen = {
        "a": ("a cat", 0.9),
        "b": ("a cat", 0.5),
        "c": ("a guillotine", 0.9),
        "d": ("a snake", 0.9),
        "e": ("an umbrella", 0.7),
    }
    (tmp_path / CONFIDENCES).write_text(json.dumps(seen))
    assert sure_contents(tmp_path, 0.65) == {"a": "a cat", "e": "an umbrella"}
