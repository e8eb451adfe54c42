"""A small server with OpenAI's interface for chats, behind which a model of the tests answers; and ways to let it fail."""

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

from aesthetic_mllm import AestheticAssessor

# Instead of an answer: an HTTP status, with headers if need be; seconds of silence before the answer; or a closed connection.
Trouble = int | tuple[int, dict[str, str]] | float | None
CLOSED = None


class FakeChatServer:
    """Answers as vLLM does, with an assessor's model.

    Args:
        assessor: whose model answers.
        knows_level_ids: whether it knows `logprob_token_ids`; otherwise the field has no effect, as in older versions.
        token: API key that it wants.
        models: names of the models that it lists.

    Attributes:
        bodies: of all chats that were asked, in order.
        most_at_a_time: chats that were under way together.
        troubles: what the next chats get instead of an answer.
    """

    def __init__(
        self,
        assessor: AestheticAssessor,
        *,
        knows_level_ids: bool = True,
        token: str | None = None,
        models: Sequence[str] = ("nano",),
    ):
        self.assessor, self.knows_level_ids, self.token, self.models = assessor, knows_level_ids, token, models
        self.bodies: list[dict[str, Any]] = []
        self.troubles: list[Trouble] = []
        self.delay = 0.0
        self.extra_tokens = 0
        self.under_way = self.most_at_a_time = 0
        self.lock = threading.Lock()
        self.model_lock = threading.Lock()
        self.address = ""

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """A chat's answer: the prompt is written by the checkpoint's own template, the photo read by its own processor."""
        processor, model = self.assessor.processor, self.assessor.model
        photo, text = body["messages"][0]["content"]
        image = base64.b64decode(photo["image_url"]["url"].partition(",")[2])
        messages = [{"role": "user", "content": [{"type": "image"}, text]}, *body["messages"][1:]]
        go_on = bool(body.get("continue_final_message"))
        prompt = processor.apply_chat_template(
            messages, tokenize=False, continue_final_message=go_on, add_generation_prompt=body.get("add_generation_prompt", True)
        )
        with self.model_lock, torch.inference_mode():
            ids = torch.tensor([processor.prompt_ids(prompt)])
            inputs = {"input_ids": ids, **processor.image_processor(image, return_tensors="pt")}
            if body.get("logprobs"):
                logprobs = model(**inputs, logits_to_keep=1).logits[0, -1].double().log_softmax(-1)
                choice: dict[str, Any] = {"content": "", "logprobs": self.chosen(logprobs, body)}
            else:
                most, stop = body["max_tokens"], body.get("stop_token_ids", model.generation_config.eos_token_id)
                written = model.generate(**inputs, max_new_tokens=most, do_sample=False, eos_token_id=stop)[0, ids.shape[1] :]
                choice = {"content": processor.tokenizer.decode(written, skip_special_tokens=True), "logprobs": None}
        message = {"role": "assistant", "content": choice["content"]}
        tokens = ids.shape[1] + self.extra_tokens
        return {
            "id": "chat",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "logprobs": choice["logprobs"], "finish_reason": "stop"}],
            "usage": {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1},
        }

    def chosen(self, logprobs: torch.Tensor, body: dict[str, Any]) -> dict[str, Any]:
        """The log-probabilities that were asked for, of the first token."""
        ids = body.get("logprob_token_ids") if self.knows_level_ids else None
        if ids is None:
            if allowed := body.get("allowed_token_ids"):
                mask = torch.full_like(logprobs, -torch.inf)
                mask[allowed] = 0
                logprobs = (logprobs + mask).log_softmax(-1)
            ids = logprobs.topk(body.get("top_logprobs", 0)).indices.tolist()
        found = [{"token": f"token_id:{token}", "logprob": max(float(logprobs[token]), -9999.0), "bytes": None} for token in ids]
        return {"content": [{"token": "token_id:0", "logprob": 0.0, "bytes": None, "top_logprobs": found}]}

    def chat(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self.lock:
            self.bodies.append(body)
            trouble: Trouble = self.troubles.pop(0) if self.troubles else 0.0
            self.under_way += 1
            self.most_at_a_time = max(self.most_at_a_time, self.under_way)
        try:
            if trouble is CLOSED:
                handler.connection.shutdown(socket.SHUT_RDWR)
                return
            if isinstance(trouble, tuple):
                send(handler, trouble[0], {"message": "in trouble"}, trouble[1])
            elif isinstance(trouble, int):
                send(handler, trouble, {"message": "in trouble"})
            else:
                time.sleep(trouble + self.delay)
                answer = self.answer(body)
                with self.lock:  # before the answer is out, so that the next chat does not count beside this one
                    self.under_way -= 1
                send(handler, 200, answer)
                return
        finally:
            if not isinstance(trouble, float):
                with self.lock:
                    self.under_way -= 1


def send(handler: BaseHTTPRequestHandler, status: int, values: Any, headers: dict[str, str] | None = None) -> None:
    content = json.dumps(values).encode()
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


@contextmanager
def running(fake: FakeChatServer) -> Iterator[FakeChatServer]:
    """The server, up at `fake.address`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.allowed() and self.path == "/v1/models":
                send(self, 200, {"object": "list", "data": [{"id": name, "object": "model"} for name in fake.models]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.allowed() and self.path == "/v1/chat/completions":
                fake.chat(self, body)

        def allowed(self) -> bool:
            if fake.token is None or self.headers["Authorization"] == f"Bearer {fake.token}":
                return True
            send(self, 401, {"message": "no such key"})
            return False

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *arguments: Any) -> None:
            pass  # a client that has gone

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    fake.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
