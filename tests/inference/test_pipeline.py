"""pipeline("image-aesthetic-assessment"): the assessor as users of transformers call it."""

import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import pipeline

from aesthetic_mllm import AestheticAssessor, AestheticMLLMForConditionalGeneration, ImageError
from aesthetic_mllm.checkpoints import embedded_checkpoint
from fake_suggestions import replace_search
from photo_files import scene

TASK = "image-aesthetic-assessment"


@pytest.fixture(autouse=True)
def search(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_search(monkeypatch)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "scene.png"
    scene(90, 60).save(path)
    return path


@pytest.fixture(scope="module")
def assess(checkpoint: Path) -> Any:
    return pipeline(TASK, model=str(checkpoint))


def test_a_photo_is_assessed_as_by_the_assessor(assess: Any, checkpoint: Path, photo: Path) -> None:
    """Path, bytes and image give the dictionary of the assessor's own assessment; a list gives a list of them."""
    expected = AestheticAssessor.from_pretrained(checkpoint).assess(photo).to_dict()
    for source in (str(photo), photo.read_bytes(), scene(90, 60)):
        assert assess(source) == expected
    together = assess([str(photo), scene(40, 90), scene(90, 60)])
    assert [row["rating"]["mean"] for row in together[::2]] == pytest.approx([expected["rating"]["mean"]] * 2, abs=9e-4)
    assert together[1]["rating"] != together[0]["rating"]


def test_an_array_is_one_photo_and_a_batch_is_many(assess: Any) -> None:
    """As for the assessor; what is unclear is refused by name."""
    expected = assess(scene(90, 60))["rating"]["mean"]
    pixels = np.asarray(scene(90, 60))
    first = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    assert assess(pixels)["rating"]["mean"] == assess(first)["rating"]["mean"] == expected
    batch = assess(torch.stack([first, first]))
    assert [row["rating"]["mean"] for row in batch] == pytest.approx([expected] * 2, abs=9e-4)
    with pytest.raises(ImageError, match="int64"):
        assess(pixels.astype(np.int64))


def test_a_generator_streams(assess: Any) -> None:
    """Results of a generator come while it still goes on."""
    taken = 0

    def photos() -> Iterator[Any]:
        nonlocal taken
        for _ in range(12):
            taken += 1
            yield scene(80, 50)

    results = assess(photos(), batch_size=2)
    next(iter(results))
    assert taken <= 4
    assert len(list(assess((scene(80, 50) for _ in range(3)), batch_size=2))) == 3


def test_urls_are_fetched(assess: Any, photo: Path) -> None:
    """A URL is assessed as the file that it leads to; one that leads nowhere is an error that names it."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(photo.parent))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert assess(f"{address}/{photo.name}") == assess(str(photo))
        with pytest.raises(ImageError, match=f"{address}/missing.png: cannot be fetched.*404"):
            assess(f"{address}/missing.png")
        server.shutdown()


def test_a_model_object_is_taken_as_it_is(nano: Any, processor: Any, photo: Path) -> None:
    """A model and its processor work as the folder does, and keep their dtype."""
    own = pipeline(TASK, model=nano, processor=processor, device="cpu")
    assert own.model is nano and own(str(photo))["rating"]["mean"] > 0


@pytest.mark.parametrize(("asked", "dtype"), [({}, torch.float32), ({"dtype": "bfloat16"}, torch.bfloat16)])
def test_the_embedded_checkpoint_is_computed_in_float32(asked: dict, dtype: torch.dtype) -> None:
    """The embedded checkpoint loads by its folder, in float32 though it is stored in bfloat16, or as asked."""
    loaded = pipeline(TASK, model=embedded_checkpoint(), **asked)
    assert loaded.model.lm_head.weight.dtype == dtype and isinstance(loaded.model, AestheticMLLMForConditionalGeneration)


def test_unknown_options_and_bad_photos_are_errors(assess: Any, tmp_path: Path) -> None:
    """A misspelt option is named, and so is a photo that is missing: no default assessment comes out."""
    with pytest.raises(TypeError, match="verified"):
        assess(scene(), verified=True)
    with pytest.raises(ImageError, match="missing"):
        assess(str(tmp_path / "missing.jpg"))
    with pytest.raises(ImageError, match="missing"):
        assess([scene(), str(tmp_path / "missing.jpg")])


def test_registration_imports_nothing() -> None:
    """transformers knows the task as soon as both are imported, in any order, and the assessor loads when it is used."""
    for imports in ("import aesthetic_mllm, transformers.pipelines", "import transformers.pipelines, aesthetic_mllm"):
        code = (
            f"{imports}, sys\nprint('{TASK}' in transformers.pipelines.PIPELINE_REGISTRY.get_supported_tasks(), "
            "'aesthetic_mllm.inference.pipeline' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.split() == ["True", "False"], done.stderr
