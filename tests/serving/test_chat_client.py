"""The client of chat servers: it tries again where that helps, goes on to another server, and says what is wrong."""

import pickle
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from aesthetic_mllm.serving import chat_client
from aesthetic_mllm.serving.chat_client import ChatClient
from aesthetic_mllm.serving.server_errors import NotServedError, ServerError
from fake_chat_server import CLOSED, FakeChatServer, running

BODY: dict[str, Any] = {"model": "nano", "messages": [{"role": "user", "content": "Hello"}]}


class Echo(FakeChatServer):
    """Says its own name."""

    def __init__(self, name: str = "echo", **options: Any):
        super().__init__(None, **options)  # type: ignore[arg-type]
        self.name = name

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "assistant", "content": f"{self.name} {body['messages'][0]['content']}"}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {"id": "chat", "object": "chat.completion", "created": 0, "model": "nano", "choices": [choice]}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the client makes, which take no time."""
    made: list[float] = []
    monkeypatch.setattr(chat_client, "time", _Clock(made))
    return made


class _Clock:
    def __init__(self, made: list[float]):
        self.made = made

    def sleep(self, seconds: float) -> None:
        self.made.append(seconds)

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def echo() -> Iterator[Echo]:
    with running(Echo()) as server:  # type: ignore[assignment]
        yield server  # type: ignore[misc]


def said(client: ChatClient, text: str = "Hello") -> str | None:
    return client.ask({**BODY, "messages": [{"role": "user", "content": text}]}).choices[0].message.content


@pytest.mark.parametrize("trouble", [408, 429, 500, 502, 503, CLOSED])
def test_it_asks_again_where_that_can_help(echo: Echo, pauses: list[float], trouble: int | None) -> None:
    echo.troubles = [trouble, trouble]
    assert said(ChatClient([echo.address])) == "echo Hello"
    assert len(echo.bodies) == 3 and len(pauses) == 2
    assert 0.37 <= pauses[0] <= 0.63 and 0.75 <= pauses[1] <= 1.25  # twice as long


@pytest.mark.parametrize(
    ("status", "remedy"), [(400, "log"), (401, "token="), (404, "name of the served model"), (413, "larger")]
)
def test_a_refusal_is_told_at_once(echo: Echo, pauses: list[float], status: int, remedy: str) -> None:
    echo.troubles = [status]
    with pytest.raises(ServerError, match=f"HTTP {status}.*in trouble.*{remedy}") as raised:
        said(ChatClient([echo.address]))
    assert raised.value.status == status and raised.value.address == f"{echo.address}/v1"
    assert len(echo.bodies) == 1 and not pauses


def test_the_server_says_how_long_to_wait(echo: Echo, pauses: list[float]) -> None:
    echo.troubles = [
        (429, {"Retry-After": "7"}),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
        (429, {"Retry-After": "900"}),
    ]
    said(ChatClient([echo.address]))
    assert pauses[0] == 7 and 0.75 <= pauses[1] <= 1.25 and pauses[2] == chat_client.LONGEST_PAUSE


def test_it_gives_up_after_so_many_tries(echo: Echo, pauses: list[float]) -> None:
    echo.troubles = [503] * 9
    with pytest.raises(ServerError, match="HTTP 503.*tried 3 times.*concurrency=") as raised:
        said(ChatClient([echo.address], retries=2))
    assert raised.value.status == 503 and len(echo.bodies) == 3 and len(pauses) == 2


def test_silence_ends_at_the_timeout(echo: Echo) -> None:
    echo.troubles = [5.0]
    start = time.monotonic()
    with pytest.raises(ServerError, match="no answer within 0.2 seconds.*timeout=") as raised:
        said(ChatClient([echo.address], timeout=0.2, retries=0))
    assert time.monotonic() - start < 3 and raised.value.status is None


def test_nobody_there(pauses: list[float]) -> None:
    with running(Echo()) as gone:
        address = gone.address
    with pytest.raises(ServerError, match="cannot be reached.*tried 2 times.*is the server up"):
        said(ChatClient([address], retries=1))


@pytest.mark.parametrize("wrong", [{}, [], {"choices": []}, {"choices": None}, {"object": "error"}, "page"])
def test_answers_that_are_none(echo: Echo, monkeypatch: pytest.MonkeyPatch, wrong: Any) -> None:
    monkeypatch.setattr(echo, "answer", lambda body: wrong)
    with pytest.raises(ServerError, match="none of OpenAI's interface.*is the address right") as raised:
        said(ChatClient([echo.address]))
    assert raised.value.address == f"{echo.address}/v1" and len(echo.bodies) == 1


def test_several_servers_share_the_work_and_stand_in_for_each_other(pauses: list[float]) -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(running(Echo(name))) for name in ("first", "second"))
        with running(Echo()) as gone:
            address = gone.address
        client = ChatClient([first.address, address, second.address])
        answers = [said(client) for _ in range(30)]
        assert {"first Hello", "second Hello"} == set(answers)
        assert min(len(first.bodies), len(second.bodies)) >= 10
        assert not pauses  # the others are asked at once
        first.troubles = [503] * 2
        assert [said(client) for _ in range(6)].count("second Hello") >= 4


def test_a_server_that_is_away_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        one, away = (stack.enter_context(running(Echo(name))) for name in ("one", "away"))
        away.troubles = [CLOSED] * 99
        client = ChatClient([away.address, one.address])
        for _ in range(10):
            said(client)
        assert len(away.bodies) == 1 and len(one.bodies) == 10


def test_no_more_than_so_many_at_a_time_and_in_order(echo: Echo) -> None:
    echo.delay = 0.02
    client = ChatClient([echo.address], concurrency=3)
    bodies = [{**BODY, "messages": [{"role": "user", "content": str(number)}]} for number in range(12)]
    with ThreadPoolExecutor(4) as callers:  # several callers share the bound
        answers = list(callers.map(lambda _: client.ask_all(bodies), range(4)))
    assert all([each.choices[0].message.content for each in some] == [f"echo {n}" for n in range(12)] for some in answers)
    assert echo.most_at_a_time == 3


def test_served_models_and_the_token() -> None:
    with running(Echo(models=("a", "b"), token="secret")) as server:
        assert ChatClient([server.address], token="secret").served_models() == ["a", "b"]
        with pytest.raises(ServerError, match="HTTP 401.*token="):
            ChatClient([server.address]).served_models()


def test_a_key_of_the_environment_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "for OpenAI alone")
    with running(Echo(token="for OpenAI alone")) as server, pytest.raises(ServerError, match="HTTP 401"):
        ChatClient([server.address]).served_models()


@pytest.mark.parametrize(
    ("addresses", "options", "message"),
    [
        ([], {}, "No address"),
        (["localhost:8000"], {}, "'localhost:8000' is no address"),
        (["ftp://host"], {}, "is no address"),
        (["http://host"], {"timeout": 0}, "timeout must be more than 0"),
        (["http://host"], {"retries": -1}, "retries must be at least 0"),
        (["http://host"], {"concurrency": 0}, "concurrency must be at least 1"),
    ],
)
def test_wrong_arguments(addresses: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChatClient(addresses, **options)


def test_paths_are_kept() -> None:
    client = ChatClient(["http://host:1/", "https://host/openai/v1/"])
    assert client.addresses == ["http://host:1/v1", "https://host/openai/v1"]


def test_without_the_library_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ImportError, match=r"pip install 'aesthetic-mllm\[server\]'"):
        ChatClient(["http://host"])


@pytest.mark.parametrize("kind", [ServerError, NotServedError])
def test_errors_pass_between_processes(kind: type[ServerError]) -> None:
    error = pickle.loads(pickle.dumps(kind("http://host/v1", "busy; wait", 503)))
    assert (type(error), error.address, error.reason, error.status) == (kind, "http://host/v1", "busy; wait", 503)
    assert str(error) == "http://host/v1: busy; wait"
