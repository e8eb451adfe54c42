"""An assessor whose model is on a server says what one with the model says, and says clearly what it cannot."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from aesthetic_mllm import AestheticAssessor, AestheticMLLMImageProcessor, Assessment, ImageError, Rating, ServerError
from aesthetic_mllm.inference.server_assessor import ServerAssessor
from aesthetic_mllm.processing.image_errors import UnreadableImageError
from aesthetic_mllm.processing.rating_scale import RatingScaleError
from aesthetic_mllm.serving.chat_client import ChatClient
from aesthetic_mllm.serving.server_engine import ServerEngine, as_png, on_canvas
from aesthetic_mllm.serving.server_errors import NotServedError
from aesthetic_mllm.tasks.commenting import CommentingError, comment_prompt
from fake_chat_server import FakeChatServer, running, send
from lively_assessor import lively_assessor
from photo_files import jpeg_bytes, png_bytes, scene
from tiny_models import CANVAS

LOCAL = lively_assessor(attributes=True, flaws=True)
PHOTOS = [scene(96 + 7 * number, 64 + 3 * number) for number in range(6)]


@pytest.fixture
def server() -> Iterator[FakeChatServer]:
    with running(FakeChatServer(LOCAL)) as fake:
        yield fake


def assessor_of(server: FakeChatServer, concurrency: int = 4, **options: Any) -> ServerAssessor:
    return ServerAssessor(
        ServerEngine(ChatClient([server.address], retries=0, concurrency=concurrency), LOCAL.processor, **options)
    )


def assert_same(found: Rating, expected: Rating) -> None:
    assert found.mean == pytest.approx(expected.mean, abs=1e-5) and found.std == pytest.approx(expected.std, abs=1e-5)
    assert found.distribution == pytest.approx(expected.distribution, abs=1e-5)
    assert found.score_range == expected.score_range


def photos_of_all_kinds() -> dict[str, Any]:
    """Photos whose pixels would change if they were read a second time in the wrong way, or be refused."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    exif = Image.Exif()
    exif[274] = 6
    rgba = scene().convert("RGBA")
    rgba.putalpha(Image.fromarray(np.arange(96 * 64, dtype=np.uint32).reshape(64, 96).astype(np.uint8)))
    return {
        "turned": jpeg_bytes(scene(300, 200), exif=exif.tobytes()),
        "with a profile": jpeg_bytes(scene(300, 200), icc_profile=profile),
        "transparent": png_bytes(rgba),
        "grey": scene().convert("L"),
        "CMYK": jpeg_bytes(scene(200, 300).convert("CMYK")),
        "array": np.asarray(scene(200, 100)),
        "very wide": scene(19 * 40, 40),  # its rectangle is lower than the least side
        "very tall": scene(40, 15 * 40),
        "smaller than the canvas": scene(30, 20),
        "as large as the canvas": scene(CANVAS, CANVAS // 2),
    }


@pytest.mark.parametrize("mode", ["letterbox", "clip"])
@pytest.mark.parametrize(
    "size", [(300, 200), (64, 64), (64, 31), (63, 64), (30, 20), (1216, 64), (64, 17), (1000, 999), (65, 64)]
)
def test_what_is_sent_gives_the_very_same_pixels(mode: str, size: tuple[int, int]) -> None:
    image_processor = AestheticMLLMImageProcessor(canvas_size=CANVAS, resize_mode=mode)
    photo = image_processor.read(scene(*size))
    small = on_canvas(image_processor, photo)
    sent = as_png(photo if small is None else small)
    there, here = image_processor(sent, return_tensors="pt"), image_processor(scene(*size), return_tensors="pt")
    assert torch.equal(there["pixel_values"], here["pixel_values"]) and torch.equal(there["image_sizes"], here["image_sizes"])
    pixels = Image.open(io.BytesIO(sent)).size
    assert np.prod(pixels) <= max(CANVAS**2, np.prod(size))
    if min(size) > 4 * CANVAS:
        assert max(pixels) == CANVAS


@pytest.mark.parametrize("kind", photos_of_all_kinds())
def test_photos_of_all_kinds_are_rated_as_here(server: FakeChatServer, kind: str) -> None:
    photo = photos_of_all_kinds()[kind]
    assert_same(assessor_of(server).score(photo), LOCAL.score(photo))


def test_many_questions_are_answered_as_here(server: FakeChatServer) -> None:
    there = assessor_of(server)
    for found, expected in zip(there.attributes(PHOTOS), LOCAL.attributes(PHOTOS), strict=True):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    assert server.most_at_a_time <= 4


def test_ratings_differ_from_photo_to_photo(server: FakeChatServer) -> None:
    assert len({round(rating.mean, 3) for rating in assessor_of(server).score(PHOTOS)}) == len(PHOTOS)


def test_a_photo_is_sent_no_larger_than_the_model_sees_it(server: FakeChatServer) -> None:
    assessor_of(server).score(scene(3000, 2000))
    (body,) = server.bodies
    assert len(body["messages"][0]["content"][0]["image_url"]["url"]) < 20_000
    assert body["max_tokens"] == 1 and body["temperature"] == 0 and body["logprob_token_ids"] == LOCAL.processor.level_ids


@pytest.mark.parametrize("style", ["brief", "detailed"])
def test_comments_are_what_generate_writes(server: FakeChatServer, style: str, caplog: pytest.LogCaptureFixture) -> None:
    processor, model = LOCAL.processor, LOCAL.model
    text = processor.assistant_prompt(comment_prompt("light", style))
    expected = []
    for photo in PHOTOS[:3]:
        inputs = processor(text=text, images=[photo], return_tensors="pt")
        most = {"brief": 40, "detailed": 80}[style]
        ids = model.generate(**inputs, max_new_tokens=most, do_sample=False, eos_token_id=processor.end_of_turn_ids)
        words = processor.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        expected.append(words.strip())
    there = assessor_of(server)
    assert there.comment(PHOTOS[:3], style, "light") == expected
    assert there.comment(PHOTOS[0], style, "light") == expected[0]
    assert caplog.text.count("not guided") == 1


def test_what_is_made_of_ratings_is_as_here(server: FakeChatServer) -> None:
    there = assessor_of(server, concurrency=8)
    assert [ranked.index for ranked in there.rank(PHOTOS)] == [ranked.index for ranked in LOCAL.rank(PHOTOS)]
    probability = LOCAL.compare(*PHOTOS[:2]).probability_first
    assert there.compare(*PHOTOS[:2]).probability_first == pytest.approx(probability, abs=1e-5)
    assert there.suggest(PHOTOS[0]) == LOCAL.suggest(PHOTOS[0])
    found, expected = there.assess(PHOTOS[0]), LOCAL.assess(PHOTOS[0])
    assert isinstance(found, Assessment)
    assert_same(found.rating, expected.rating)
    assert found.suggestions == expected.suggestions and found.attributes.keys() == expected.attributes.keys()


def test_order_is_kept_whatever_takes_long(server: FakeChatServer) -> None:
    server.troubles = [0.3, 0.0, 0.2, 0.0, 0.1, 0.0]
    for found, expected in zip(assessor_of(server).score_stream(PHOTOS), LOCAL.score(PHOTOS), strict=True):
        assert_same(found, expected)
    assert 1 < server.most_at_a_time <= 4


def test_few_photos_are_read_ahead(server: FakeChatServer) -> None:
    taken = []

    def photos() -> Iterator[Image.Image]:
        for number in range(100):
            taken.append(number)
            yield PHOTOS[number % 6]

    stream = assessor_of(server, concurrency=2).score_stream(photos())
    next(stream)
    assert len(taken) <= 4
    stream.close()
    assert len(taken) <= 4 and len(server.bodies) <= 4


def test_photos_that_cannot_be_read(server: FakeChatServer, tmp_path: Path) -> None:
    there = assessor_of(server)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    mixed = [PHOTOS[0], broken, PHOTOS[1]]
    results = there.score(mixed, on_error="return")
    assert [isinstance(result, ImageError) for result in results] == [False, True, False]
    assert results[1].source == str(broken) and results[1].__traceback__ is None
    with pytest.raises(ImageError, match="broken"):
        there.score(mixed)
    unread = UnreadableImageError("gone.jpg", "nobody could read it")
    assert there.score([PHOTOS[0], unread], on_error="return")[1] is unread
    with pytest.raises(ValueError, match="on_error"):
        there.score(mixed, on_error="ignore")  # type: ignore[call-overload]


def test_a_server_that_fails_is_no_photo_that_fails(server: FakeChatServer) -> None:
    server.troubles = [503] * 99
    with pytest.raises(ServerError, match="503"):
        assessor_of(server).score(PHOTOS, on_error="return")


@pytest.mark.parametrize("refuses", [False, True])
def test_servers_that_do_not_know_logprob_token_ids(server: FakeChatServer, refuses: bool) -> None:
    server.knows_level_ids = False
    if refuses:
        chat = server.chat

        def strict_chat(handler: Any, body: dict[str, Any]) -> None:
            if "logprob_token_ids" in body:
                server.bodies.append(body)
                send(handler, 400, {"message": "unknown field logprob_token_ids"})
            else:
                chat(handler, body)

        server.chat = strict_chat  # type: ignore[method-assign]
    there = assessor_of(server, concurrency=1)
    for found, expected in zip(there.score(PHOTOS), LOCAL.score(PHOTOS), strict=True):
        assert_same(found, expected)
    asked = ["logprob_token_ids" in body for body in server.bodies]
    assert asked == [True] + [False] * 6  # it asks in vain once


def test_an_answer_without_the_level_words(server: FakeChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "chosen", lambda logprobs, body: {"content": []})
    with pytest.raises(ServerError, match="lacks the probability of a level word.*--logprobs-mode"):
        assessor_of(server).score(PHOTOS[0])


def test_a_server_of_another_checkpoint_is_noticed(server: FakeChatServer) -> None:
    server.extra_tokens = 3
    for ask in (assessor_of(server).score, assessor_of(server).comment):
        with pytest.raises(ServerError, match=r"read a prompt of \d+ tokens where the checkpoint has \d+"):
            ask(PHOTOS[0])


def test_what_a_server_cannot_do(server: FakeChatServer) -> None:
    there = assessor_of(server)
    for ask in (lambda: there.embed(PHOTOS), lambda: there.personalize({}), lambda: there.model):
        with pytest.raises(NotServedError, match="load the checkpoint with AestheticAssessor.from_pretrained"):
            ask()


def test_wrong_questions_and_styles_are_refused_before_anything_is_sent(server: FakeChatServer) -> None:
    there = assessor_of(server)
    with pytest.raises(RatingScaleError, match="beauti"):
        there.score(PHOTOS[0], "beauti")
    with pytest.raises(CommentingError, match="no style|No style"):
        there.comment(PHOTOS[0], "long")
    assert not server.bodies


def test_a_chat_template_that_cannot_write_the_prompt(server: FakeChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    there = assessor_of(server)
    monkeypatch.setattr(type(LOCAL.processor), "assistant_prompt", lambda self, text: "USER: <image> ASSISTANT: ")
    with pytest.raises(NotServedError, match="chat template writes"):
        there.score(PHOTOS[0])


def test_which_of_several_models(server: FakeChatServer) -> None:
    server.models = ("nano", "other")
    with pytest.raises(ServerError, match=r"serves 2 models \(nano, other\); say which as served_model="):
        assessor_of(server)
    assessor_of(server, served_model="nano").score(PHOTOS[0])
    assert server.bodies[0]["model"] == "nano"


def test_from_server(server: FakeChatServer) -> None:
    there = AestheticAssessor.from_server(server.address, concurrency=3, timeout=5)
    assert there.engine.client.addresses == [f"{server.address}/v1"] and there.engine.client.concurrency == 3
    assert there.engine.name == f"nano on {server.address}/v1"
    assert "composition" in there.processor.rating_scale.attributes  # the embedded checkpoint's
    both = AestheticAssessor.from_server([server.address, "http://127.0.0.1:9"], revision=None)
    assert len(both.engine.client.addresses) == 2
    with pytest.raises(TypeError, match="from_server knows no dtype"):
        AestheticAssessor.from_server(server.address, dtype="float32")
