"""transformers finds the classes, with the package and without it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import pipeline

from aesthetic_mllm import AestheticAssessor, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.inference.comment_writing import CommentWriter
from aesthetic_mllm.tasks.commenting import comment_prompt
from photo_files import scene
from tiny_models import tiny_model

SAMPLES = sorted((Path(__file__).parents[1] / "examples" / "photos").glob("*.jpg"))

# Opens every door of a checkpoint and rates photos; run in processes with and without the package.
RATE = """
import json, sys
folder, with_package, *photos = sys.argv[1:]
if with_package == "yes":
    import aesthetic_mllm
options = {} if with_package == "yes" else {"trust_remote_code": True}
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
    "embedding": features.high_embeds[0, :4].tolist(),
    "type": AutoConfig.from_pretrained(folder, **options).model_type,
    "package": "aesthetic_mllm" in sys.modules,
}))
"""


def run(code: str, *arguments: str, blocked: Path | None = None) -> str:
    """Runs code in a fresh process; `blocked` is a folder that hides the package behind a module that cannot be imported."""
    environment = dict(os.environ, HF_HUB_OFFLINE="1")
    if blocked is not None:
        (blocked / "aesthetic_mllm.py").write_text("raise ImportError('the package is not installed here')\n")
        environment["PYTHONPATH"] = str(blocked)
        environment["HF_MODULES_CACHE"] = str(blocked / "modules")
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("embedded", [True, False], ids=["embedded", "saved"])
def test_every_door_with_and_without_the_package(embedded: bool, tmp_path: Path, processor: AestheticMLLMProcessor) -> None:
    """A checkpoint gives the same ratings and embeddings through the Auto classes with the package installed and, from its
    own files, without it."""
    if embedded:
        folder = embedded_checkpoint()
    else:
        folder = tmp_path / "saved"
        tiny_model("efficientnet_lite", "llama", processor).save_pretrained(folder)
        processor.save_pretrained(folder)
    (tmp_path / "elsewhere").mkdir()
    photos = [str(path) for path in SAMPLES]
    inside = json.loads(run(RATE, str(folder), "yes", *photos))
    outside = json.loads(run(RATE, str(folder), "no", *photos, blocked=tmp_path / "elsewhere"))
    assert (inside["package"], outside["package"]) == (True, False)
    assert inside["type"] == outside["type"] == "aesthetic_mllm"
    assert inside["means"] == pytest.approx(outside["means"], abs=1e-5)
    assert inside["answer"] == outside["answer"] and inside["answer"]["role"] == "assistant" and inside["answer"]["content"]
    assert inside["embedding"] == pytest.approx(outside["embedding"], abs=1e-5)


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
