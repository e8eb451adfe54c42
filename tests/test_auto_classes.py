"""transformers finds the classes, with the package and without it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import pipeline

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.inference.comment_writing import CommentWriter
from aesthetic_mllm.tasks.commenting import comment_prompt
from fake_hub import cached_repository
from judging_everything import carrying_assessor, same, saved
from photo_files import scene

SAMPLES = sorted((Path(__file__).parents[1] / "examples" / "photos").glob("*.jpg"))

# Opens every door of a checkpoint and rates photos; run in processes with and without the package.
RATE = """
import json, sys
folder, with_package, place, *photos = sys.argv[1:]
if with_package == "yes":
    import aesthetic_mllm
place = json.loads(place)  # such as a revision
options = place if with_package == "yes" else {"trust_remote_code": True, **place}
import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageTextToText, AutoProcessor, pipeline
processor = AutoProcessor.from_pretrained(folder, **options)
model = AutoModelForImageTextToText.from_pretrained(folder, dtype="float32", **options).eval()
inputs = processor.rating_inputs(photos)
with torch.inference_mode():
    ratings = processor.decode_ratings(model(**inputs, logits_to_keep=1).logits)
    features = AutoModel.from_pretrained(folder, dtype="float32", **options).eval()(
        **AutoImageProcessor.from_pretrained(folder, **options)(photos, return_tensors="pt"))
content = [{"type": "image", "image": photos[0]}, {"type": "text", "text": "How good is this photo?"}]
(answer,) = pipeline("image-text-to-text", model=folder, **options)(
    text=[{"role": "user", "content": content}], generate_kwargs={"max_new_tokens": 5, "do_sample": False})
print(json.dumps({
    "answer": answer["generated_text"][-1],
    "means": [rating.mean for rating in ratings],
    "percentiles": [rating.percentile for rating in ratings],
    "written": processor.batch_decode(model.generate(**inputs, max_new_tokens=8, do_sample=False)),
    "carried": sorted(processor.side_files),
    "embedding": features.high_embeds[0, :4].tolist(),
    "type": AutoConfig.from_pretrained(folder, **options).model_type,
    "package": "aesthetic_mllm" in sys.modules,
}))
"""


def run(code: str, *arguments: str, blocked: Path | None = None, cache: Path | None = None) -> str:
    """Runs code in a fresh process; `blocked` is a folder that hides the package behind a module that cannot be imported, `cache`
    the Hub's."""
    environment = dict(os.environ, HF_HUB_OFFLINE="1")
    if cache is not None:
        environment["HF_HUB_CACHE"] = str(cache)
    if blocked is not None:
        (blocked / "aesthetic_mllm.py").write_text("raise ImportError('the package is not installed here')\n")
        environment["PYTHONPATH"] = str(blocked)
        environment["HF_MODULES_CACHE"] = str(blocked / "modules")
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("kind", ["embedded", "saved", "cached"])
def test_every_door_with_and_without_the_package(kind: str, tmp_path: Path) -> None:
    """A checkpoint gives the same ratings, percentiles, texts and embeddings through the Auto classes with the package installed
    and, from its own files, without it; also an old revision of one in an offline cache."""
    name, place = str(embedded_checkpoint()), dict[str, str]()
    if kind != "embedded":
        name = str(saved(carrying_assessor("cnn-llama"), tmp_path / "saved"))
    if kind == "cached":
        newer = saved(carrying_assessor("vit-qwen3"), tmp_path / "newer")
        cached_repository(tmp_path / "cache", "me/model", {"old": Path(name), "main": newer})
        name, place = "me/model", {"revision": "old"}
    (tmp_path / "elsewhere").mkdir()
    words = [json.dumps(place), *map(str, SAMPLES)]
    inside = json.loads(run(RATE, name, "yes", *words, cache=tmp_path / "cache"))
    outside = json.loads(run(RATE, name, "no", *words, blocked=tmp_path / "elsewhere", cache=tmp_path / "cache"))
    assert (inside.pop("package"), outside.pop("package")) == (True, False)
    assert same(outside, inside)
    assert inside["type"] == "aesthetic_mllm" and None not in inside["percentiles"]
    assert inside["answer"]["role"] == "assistant" and inside["answer"]["content"] and len(inside["carried"]) == 3


@pytest.mark.parametrize(
    "imports",
    [
        "import aesthetic_mllm; from transformers import AutoConfig, AutoProcessor, AutoModelForImageTextToText",
        "from transformers import AutoConfig, AutoProcessor, AutoModelForImageTextToText; import aesthetic_mllm",
        "from aesthetic_mllm import AestheticMLLMProcessor; from transformers import AutoConfig, AutoModel",
        "from aesthetic_mllm import AestheticMLLMForConditionalGeneration; from transformers import AutoConfig",
        # modules of transformers that the package's own models are made of, and inner modules of the package, first
        "import aesthetic_mllm; from transformers import Blip2QFormerModel, LlamaForCausalLM, CLIPVisionModel",
        "from aesthetic_mllm.modeling.multi_scale_feature_alignment import MultiScaleFeatureAlignment",
        "from aesthetic_mllm.processing.rating_scale import RatingScale; from transformers import AutoImageProcessor",
    ],
)
def test_registration_in_any_order_of_imports(imports: str) -> None:
    """Whichever of the package and transformers is imported first, the Auto classes know the package's."""
    code = (
        f"{imports}\nimport transformers\nconfig = transformers.AutoConfig.for_model('aesthetic_mllm')\n"
        "from transformers.models.auto.modeling_auto import MODEL_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING as M\n"
        "from transformers.models.auto.processing_auto import PROCESSOR_MAPPING as P\n"
        "from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING as I\n"
        "print(all(type(config) in mapping for mapping in (MODEL_MAPPING, M, P, I)))"
    )
    assert run(code) == "True"


def test_importing_the_package_is_light() -> None:
    """`import aesthetic_mllm` alone imports neither torch nor transformers, and its names are all there."""
    code = (
        "import sys, aesthetic_mllm\nlight = not {'torch', 'transformers', 'PIL'} & set(sys.modules)\n"
        "print(light, all(getattr(aesthetic_mllm, name) is not None for name in aesthetic_mllm.__all__))"
    )
    assert run(code) == "True True"


def test_pipeline_answers_a_chat_with_a_photo() -> None:
    """pipeline("image-text-to-text") loads the embedded checkpoint and comments as the assessor does unguided and unchecked."""
    chat = pipeline("image-text-to-text", model=str(embedded_checkpoint()))
    content = [
        {"type": "image", "image": scene()},
        {"type": "text", "text": comment_prompt(style="brief")},
    ]
    (answer,) = chat(text=[{"role": "user", "content": content}], generate_kwargs={"max_new_tokens": 40, "do_sample": False})
    assessor = AestheticAssessor.from_pretrained(device="cpu")
    assessor.comments = CommentWriter(assessor.engine)
    assessor.processor.measurement_cuts = {}
    assert answer["generated_text"][-1]["content"].strip() == assessor.comment(scene())
