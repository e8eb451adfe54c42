"""An engine whose model is on servers: photos are read and shrunk here, and asked about there."""

import base64
import io
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from ..engine.engine import AestheticEngine, EncodedPhotos, Noted, ReadPhoto, Result, nothing
from ..engine.photo_stream import OnError
from ..modeling.model_outputs import AestheticImageFeatures
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..processing.image_loading import ImageError, ImageSource
from ..processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..processing.rating_scale import Rating
from .chat_client import Body, ChatClient
from .server_errors import NotServedError, ServerError

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion

logger = logging.getLogger(__name__)

MOST_LOGPROBS = 20  # that servers of this interface give by default
LOAD_IT = "load the checkpoint with AestheticAssessor.from_pretrained for this."


@dataclass(frozen=True)
class SentPhoto(ReadPhoto[Noted]):
    """A photo as the model takes it, and as it is sent.

    Args:
        png: a file from which the server's image processor makes the very same `pixel_values`.
    """

    png: bytes = b""


class SentPhotos(EncodedPhotos):
    """Photos for questions to a server; what the model sees of them is not known here."""

    def __init__(self, address: str, pngs: Sequence[bytes]):
        self.address, self.pngs, self.prefixes = address, list(pngs), []

    def __len__(self) -> int:
        return len(self.pngs)

    @property
    def features(self) -> AestheticImageFeatures:  # type: ignore[override]
        raise NotServedError(self.address, f"a server does not tell what the model sees of photos; {LOAD_IT}")


class ServerEngine(AestheticEngine):
    """Asks servers about photos. The prompts are the checkpoint's own; a server only has to continue them.

    Args:
        client: of servers that serve the checkpoint.
        processor: the checkpoint's [`AestheticMLLMProcessor`].
        served_model: the checkpoint's name on the servers; default the only one that they serve.

    Raises:
        ServerError: no server answers, or they serve several models and none was named.
    """

    def __init__(self, client: ChatClient, processor: AestheticMLLMProcessor, served_model: str | None = None):
        self.client, self.processor = client, processor
        self.served_model = served_model or self._only_model()
        self._rating_prompts: dict[str, list[int]] = {}
        self._knows_level_ids = True

    def _only_model(self) -> str:
        names = self.client.served_models()
        if len(names) != 1:
            served = ", ".join(names) or "none"
            raise ServerError(self.client.name, f"serves {len(names)} models ({served}); say which as served_model=.")
        return names[0]

    @property
    def model(self) -> AestheticMLLMForConditionalGeneration:
        raise NotServedError(self.client.name, f"the model is on the server; {LOAD_IT}")

    @property
    def reads_ahead(self) -> bool:
        """Photos are read while servers run the model."""
        return True

    @property
    def name(self) -> str:
        return f"{self.served_model} on {self.client.name}"

    def read(self, source: ImageSource, note: Callable[[Image.Image], Noted] = nothing) -> SentPhoto[Noted]:  # type: ignore[assignment]
        """Reads a photo once, and makes of it what is sent; errors as of the local engine."""
        image = self.processor.image_processor.read(source)
        small = on_canvas(self.processor.image_processor, image)
        pixels = self.processor.image_processor(small if small is not None else image, return_tensors="pt")
        png = as_png(image if small is None else small)
        return SentPhoto(pixels["pixel_values"], pixels["image_sizes"], note(image), png)

    def stream(
        self,
        images: Iterable[ImageSource | ImageError],
        judge: Callable[[list[ReadPhoto[Noted]]], list[Result]],
        note: Callable[[Image.Image], Noted],
        *,
        on_error: OnError,
        batch_size: int,
    ) -> Iterator[Result | ImageError]:
        """Reads photos and asks about each as soon as it is read; results come in order, few photos are held at a time.

        Args:
            images, judge, note, on_error: as of the local engine.
            batch_size: has no say: the server makes its own batches.
        """
        if on_error not in ("raise", "return"):
            raise ValueError(f"on_error must be 'raise' or 'return', got {on_error!r}.")

        def result(source: ImageSource | ImageError) -> Result | ImageError:
            if isinstance(source, ImageError):
                return source
            try:
                photo = self.read(source, note)
            except ImageError as error:
                error.__cause__ = error.__context__ = None
                return error.with_traceback(None)  # whose frames hold pixels
            return judge([photo])[0]

        # as many threads as questions that may be under way, and as many photos waiting, so that a slow one stops no other
        workers = ThreadPoolExecutor(self.client.concurrency, thread_name_prefix="photo-sender")
        under_way: deque[Future[Result | ImageError]] = deque()
        source = iter(images)
        try:
            for image in source:
                under_way.append(workers.submit(result, image))
                if len(under_way) >= 2 * self.client.concurrency:
                    yield _result(under_way.popleft(), on_error)
            while under_way:
                yield _result(under_way.popleft(), on_error)
        finally:
            workers.shutdown(wait=False, cancel_futures=True)

    def encode(
        self, photos: Sequence[ReadPhoto[object]], *, groups: Sequence[str] | None = None, statistics: bool = False
    ) -> SentPhotos:
        """The photos as they are sent; groups and statistics have no say."""
        return SentPhotos(self.client.name, [photo.png for photo in photos if isinstance(photo, SentPhoto)])

    def read_beginning(self, encoded: EncodedPhotos, prompts: Sequence[Sequence[int]]) -> None:
        """Does nothing: servers keep the beginnings of prompts themselves."""

    def rate(self, encoded: EncodedPhotos, questions: Sequence[str]) -> list[dict[str, Rating]]:
        """The ratings of each photo, by question; all of them asked at the same time.

        Raises:
            RatingScaleError: the checkpoint does not answer a question.
            ServerError: a server does not answer, or not with the level words' probabilities.
        """
        asked = [(png, question) for png in _pngs(encoded) for question in questions]
        read = self.processor.rating_scale.read_level_logits
        logprobs = self._level_logprobs(asked)
        ratings = [read(row[None], question)[0] for row, (_, question) in zip(logprobs, asked, strict=True)]
        each = len(questions)
        return [dict(zip(questions, ratings[start : start + each], strict=True)) for start in range(0, len(ratings), each)]

    def write(self, encoded: EncodedPhotos, prompt: Sequence[int], max_new_tokens: int, **options: Any) -> list[list[int]]:
        raise NotServedError(self.client.name, f"comments are not guided by a server; {LOAD_IT}")

    def write_plainly(self, encoded: EncodedPhotos, request: str, max_new_tokens: int) -> list[str]:
        """What the model writes about each photo, greedily.

        Args:
            request: the user's words.
        """
        messages, expected = self._messages(request, "")
        stop = {"stop_token_ids": self.processor.end_of_turn_ids}
        bodies = [self._body(png, messages, max_tokens=max_new_tokens, extra_body=stop) for png in _pngs(encoded)]
        answers = self.client.ask_all(bodies)
        for answer in answers:
            self._check_prompt(answer, expected)
        return [(answer.choices[0].message.content or "").strip() for answer in answers]

    def _level_logprobs(self, asked: Sequence[tuple[bytes, str]]) -> torch.Tensor:
        """[asked, levels], in float64."""
        if self._knows_level_ids:
            rows = self._asked_for_levels(asked, {"logprob_token_ids": self.processor.level_ids}, None)
            if rows is not None:
                return rows
            logger.info("%s does not know logprob_token_ids; the most likely allowed tokens are read.", self.client.name)
            self._knows_level_ids = False
        rows = self._asked_for_levels(asked, {"allowed_token_ids": self.processor.level_ids}, MOST_LOGPROBS)
        if rows is None:
            words = ", ".join(word.strip() for word in self.processor.rating_scale.level_words)
            raise ServerError(
                self.client.name,
                f"the answer lacks the probability of a level word ({words}). Use a vLLM that knows logprob_token_ids (0.30 or "
                "newer), or start the server with --logprobs-mode processed_logprobs.",
            )
        return rows

    def _asked_for_levels(
        self, asked: Sequence[tuple[bytes, str]], options: Mapping[str, Any], most: int | None
    ) -> torch.Tensor | None:
        """`None` where an answer lacks a level word."""
        extra = {**options, "return_tokens_as_token_ids": True}
        bodies, lengths = [], []
        for png, key in asked:
            question = self.processor.rating_scale.question(key)
            messages, expected = self._messages(question.prompt, question.stem)
            body = self._body(png, messages, max_tokens=1, logprobs=True, extra_body=extra)
            bodies.append(body if most is None else {**body, "top_logprobs": most})
            lengths.append(expected)
        rows = []
        try:
            answers = self.client.ask_all(bodies)
        except ServerError as error:
            if error.status in (400, 422) and most is None and "logprob_token_ids" in error.reason:
                return None  # a server that refuses what it does not know
            raise
        for answer, expected in zip(answers, lengths, strict=True):
            self._check_prompt(answer, expected)
            found = _logprobs_by_id(answer)
            if not found.keys() >= set(self.processor.level_ids):
                return None
            rows.append([found[token] for token in self.processor.level_ids])
        return torch.tensor(rows, dtype=torch.float64)

    def _messages(self, request: str, stem: str) -> tuple[list[dict[str, Any]], int]:
        """A chat whose only photo is still to be filled in, and how many tokens the prompt has that it must become.

        Raises:
            NotServedError: the checkpoint's chat template cannot write that prompt.
        """
        messages: list[dict[str, Any]] = [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": request}]},
            *([{"role": "assistant", "content": stem}] if stem else []),
        ]
        wanted = self.processor.assistant_prompt(request) + stem
        how = {"continue_final_message": True} if stem else {"add_generation_prompt": True}
        written = self.processor.apply_chat_template(messages, tokenize=False, **how)
        if written != wanted:
            raise NotServedError(
                self.client.name,
                f"the checkpoint's chat template writes {written[-40:]!r} where its answers are read after {wanted[-40:]!r}; "
                f"{LOAD_IT}",
            )
        return messages, len(self.processor.prompt_ids(wanted))

    def _body(self, png: bytes, messages: Sequence[Mapping[str, Any]], extra_body: Mapping[str, Any], **options: Any) -> Body:
        address = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        text = messages[0]["content"][1]
        user = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}}, text]}
        # a prompt begins with what the tokenizer begins texts with, as here
        extra = {**extra_body, "add_special_tokens": True}
        if len(messages) > 1:
            extra |= {"add_generation_prompt": False, "continue_final_message": True}
        return {"model": self.served_model, "messages": [user, *messages[1:]], "temperature": 0, "extra_body": extra, **options}

    def _check_prompt(self, answer: "ChatCompletion", expected: int) -> None:
        found = None if answer.usage is None else answer.usage.prompt_tokens
        if found is not None and found != expected:
            raise ServerError(
                self.client.name,
                f"{self.served_model} read a prompt of {found} tokens where the checkpoint has {expected}. Does it serve the "
                "checkpoint that model= names, with its own chat template?",
            )


def on_canvas(image_processor: AestheticMLLMImageProcessor, photo: Image.Image) -> Image.Image | None:
    """The photo as large as the model sees it, from which the image processor makes the same pixels; `None` where it would
    refuse that for its short side, or where the photo itself is no larger."""
    fitted = image_processor.letterbox(photo) if image_processor.resize_mode == "letterbox" else image_processor.clip(photo)
    smaller = math.prod(fitted.size) < math.prod(photo.size)
    return fitted if smaller and min(fitted.size) >= image_processor.min_side else None


def as_png(photo: Image.Image) -> bytes:
    """A file of nothing but the photo's pixels; a colour profile would be applied twice."""
    bare = Image.frombytes(photo.mode, photo.size, photo.tobytes())
    file = io.BytesIO()
    bare.save(file, "PNG", compress_level=1)  # higher levels take longer and save a tenth
    return file.getvalue()


def _pngs(encoded: EncodedPhotos) -> list[bytes]:
    assert isinstance(encoded, SentPhotos)  # of `encode`
    return encoded.pngs


def _result(future: "Future[Result | ImageError]", on_error: OnError) -> "Result | ImageError":
    result = future.result()
    if isinstance(result, ImageError) and on_error == "raise":
        raise result
    return result


def _logprobs_by_id(answer: "ChatCompletion") -> dict[int, float]:
    """Log-probabilities of the answer's first token, by token."""
    logprobs = answer.choices[0].logprobs
    if logprobs is None or not logprobs.content:
        return {}
    pairs = ((each.token.rpartition(":")[2], each.logprob) for each in logprobs.content[0].top_logprobs)
    return {int(token): value for token, value in pairs if token.isdecimal()}
