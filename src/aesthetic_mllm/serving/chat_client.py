"""A client of one or several servers with OpenAI's interface for chats, all of which serve the same model."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from .server_errors import ServerError

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI
    from openai.types.chat import ChatCompletion

# What an answer may say that another try, or another server, can mend. All from 500 on are among them.
TEMPORARY = (408, 409, 425, 429)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between rounds of tries; each pause is about twice the one before
RESTING = 15.0  # seconds for which a server that could not be reached is asked after the others

Body = dict[str, Any]
Answer = TypeVar("Answer")


class ChatClient:
    """Asks servers in turn, so many questions at a time, and asks again where that can help.

    `openai` does the HTTP: it keeps connections open, knows proxies and certificates, and says what went wrong. The tries are
    counted here, because the next one goes to another server.

    Args:
        addresses: one or several, such as "http://127.0.0.1:8000"; "/v1" is added where there is no path.
        token: API key of the servers; `None`: they want none.
        timeout: seconds for one try.
        retries: how often all servers are tried again.
        concurrency: questions that are under way at a time, over all servers.

    Raises:
        ValueError: no address, or one that is none; a number that is out of range.
        ImportError: `openai` is not installed.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        token: str | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        concurrency: int = 16,
    ):
        if not addresses:
            raise ValueError("No address of a server was given; give one, such as 'http://127.0.0.1:8000'.")
        for name, value, least in (("retries", retries, 0), ("concurrency", concurrency, 1)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}.")
        if timeout <= 0:
            raise ValueError(f"timeout must be more than 0 seconds, got {timeout}.")
        self.retries, self.concurrency, self.timeout = retries, concurrency, timeout
        self._servers = {address: _server(address, token, timeout) for address in map(_with_path, addresses)}
        self._turns = itertools.count()
        self._resting: dict[str, float] = {}  # until when
        self._free = threading.BoundedSemaphore(concurrency)
        self._askers = ThreadPoolExecutor(concurrency, thread_name_prefix="server-client")

    @property
    def addresses(self) -> list[str]:
        return list(self._servers)

    @property
    def name(self) -> str:
        """All addresses, for messages."""
        return ", ".join(self._servers)

    def served_models(self) -> list[str]:
        """Names under which the first server that answers serves its models.

        Raises:
            ServerError: none answers, or it answers something else.
        """
        return self._tried(lambda server: [model.id for model in server.models.list().data])

    @staticmethod
    def _chat(server: "OpenAI", body: Body) -> "ChatCompletion":
        answer = server.chat.completions.create(**body)
        if not getattr(answer, "choices", None):
            raise ValueError("it holds no choices")
        return answer

    def ask(self, body: Body) -> "ChatCompletion":
        """The answer to one chat.

        Args:
            body: arguments of `openai`'s `chat.completions.create`.

        Raises:
            ServerError: no server answers in time, after all tries; or one refuses.
        """
        return self._tried(lambda server: self._chat(server, body))

    def ask_all(self, bodies: Sequence[Body]) -> "list[ChatCompletion]":
        """The answers to several chats, which are asked at the same time; raises as `ask`."""
        if len(bodies) == 1:
            return [self.ask(bodies[0])]
        return list(self._askers.map(self.ask, bodies))

    def _tried(self, ask: "Callable[[OpenAI], Answer]") -> Answer:
        from openai import APIConnectionError, APIResponseValidationError, APIStatusError

        attempt = 0
        while True:
            pause = 0.0
            for address in self._in_turn():
                try:
                    with self._free:
                        return ask(self._servers[address])
                except APIStatusError as error:
                    failure = self._refusal(address, error)
                    if error.status_code < 500 and error.status_code not in TEMPORARY:
                        raise failure from error
                    pause = max(pause, _asked_pause(error))
                except APIConnectionError as error:  # a time-out too
                    failure = self._silence(address, error)
                    self._resting[address] = time.monotonic() + RESTING
                except (APIResponseValidationError, AttributeError, TypeError, ValueError) as error:
                    # `openai` gives on what is not of the form that it expects, a page of another server for one
                    raise ServerError(
                        address, f"what it answers is none of OpenAI's interface ({error}); is the address right?"
                    ) from error
            if attempt >= self.retries:
                raise failure
            time.sleep(max(pause, min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * random.uniform(0.75, 1.25)))
            attempt += 1

    def _in_turn(self) -> list[str]:
        """All addresses: each time another one first, and last those that could not be reached lately."""
        start, now = next(self._turns) % len(self._servers), time.monotonic()
        turned = self.addresses[start:] + self.addresses[:start]
        return sorted(turned, key=lambda address: self._resting.get(address, 0.0) > now)

    def _refusal(self, address: str, error: "APIStatusError") -> ServerError:
        status, said = error.status_code, " ".join(str(error.message).split())[:500]
        if status in (401, 403):
            remedy = "give its API key as token=."
        elif status == 404:
            remedy = "check the address and the name of the served model."
        elif status == 413:
            remedy = "allow larger requests there; a photo is sent as a PNG of the model's size, up to a few hundred KB."
        elif status in TEMPORARY or status >= 500:
            remedy = f"tried {self.retries + 1} times; lower concurrency= (now {self.concurrency}), or look at the server's log."
        else:
            remedy = "the server's log says more."
        return ServerError(address, f"HTTP {status} ({said}); {remedy}", status)

    def _silence(self, address: str, error: Exception) -> ServerError:
        from openai import APITimeoutError

        tries = f"tried {self.retries + 1} times"
        if isinstance(error, APITimeoutError):
            waited = f"no answer within {self.timeout:g} seconds"
            return ServerError(address, f"{waited}, {tries}; raise timeout=, or lower concurrency=.")
        reason = error.__cause__ or error
        return ServerError(address, f"cannot be reached ({reason}), {tries}; is the server up, and the address right?")


def _with_path(address: str) -> str:
    scheme, found, rest = address.rstrip("/").partition("://")
    if not found or scheme not in ("http", "https") or not rest:
        raise ValueError(f"{address!r} is no address of a server; give one such as 'http://127.0.0.1:8000'.")
    return f"{scheme}://{rest}" if "/" in rest else f"{scheme}://{rest}/v1"


def _server(address: str, token: str | None, timeout: float) -> "OpenAI":
    try:
        from openai import OpenAI
    except ImportError as error:
        raise ImportError("Asking a server needs the package openai: pip install 'aesthetic-mllm[server]'") from error
    # `openai` wants a key, and would else take one for OpenAI's own servers from the environment
    return OpenAI(base_url=address, api_key=token or "none", timeout=timeout, max_retries=0)


def _asked_pause(error: "APIStatusError") -> float:
    """Seconds for which the server asks to be left alone."""
    try:
        return min(float(error.response.headers.get("retry-after", 0)), LONGEST_PAUSE)
    except ValueError:  # a date
        return 0.0
