"""The adapter of a running Rasa server, against its HTTP API as far as it is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tenacity import wait_none

from learning.adapters import rasa_server
from learning.adapters.rasa_server import ATTEMPTS, RasaServer
from learning.errors import BotServerError, SettingsError

URL = "http://127.0.0.1:5005"
MODELS = Path("/srv/models")
Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasa_server, "wait_random_exponential", lambda **kwargs: wait_none())
    monkeypatch.setattr(rasa_server, "PAUSE", 0)


def server(handler: Handler, token: str = "") -> RasaServer:
    return RasaServer(URL, token, MODELS, httpx.MockTransport(handler))


def answer(status: int, body: object = None, text: str | None = None) -> Handler:
    content = text if text is not None else json.dumps(body)
    return lambda request: httpx.Response(status, text=content)


class Rasa:
    """Loads what it is told, and counts the requests."""

    def __init__(self, model: str, lag: int = 0) -> None:
        self.model = model
        self.next = model
        self.lag = lag
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.method == "PUT":
            self.next = json.loads(request.content)["model_file"]
            return httpx.Response(204)
        if request.method == "POST":
            return httpx.Response(200, json={"intent": {"name": "greet", "confidence": 0.9}})
        self.lag -= 1
        if self.lag < 0:
            self.model = self.next
        return httpx.Response(200, json={"model_file": Path(self.model).name, "num_active_training_jobs": 0})


def test_the_running_model_is_found_in_the_models_folder() -> None:
    assert server(Rasa("old.tar.gz")).running_model() == MODELS / "old.tar.gz"


def test_the_token_goes_with_every_request() -> None:
    rasa = Rasa("old.tar.gz")
    server(rasa, "secret").running_model()

    assert rasa.requests[0].url.params["token"] == "secret"


def test_a_model_is_loaded_when_it_answers(tmp_path: Path) -> None:
    rasa = Rasa("old.tar.gz", lag=3)
    server(rasa).load_model(tmp_path / "new.tar.gz")

    assert json.loads(rasa.requests[0].content) == {"model_file": str(tmp_path / "new.tar.gz")}
    assert rasa.model == str(tmp_path / "new.tar.gz")


def test_a_model_that_is_there_but_reads_no_message_is_an_error(tmp_path: Path) -> None:
    rasa = Rasa("old.tar.gz")

    def dumb(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(500, json={"reason": "ParsingError", "message": "An unexpected error occurred."})
        return rasa(request)

    with pytest.raises(BotServerError, match=r"answered POST /model/parse with 500 \(An unexpected error occurred"):
        server(dumb).load_model(tmp_path / "new.tar.gz")


def test_a_server_that_goes_on_with_the_old_model_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasa_server, "TIMEOUT", 0.0)

    def stubborn(request: httpx.Request) -> httpx.Response:
        return httpx.Response(204) if request.method == "PUT" else httpx.Response(200, json={"model_file": "old"})

    with pytest.raises(BotServerError, match=r"still runs another model after loading new\.tar\.gz"):
        server(stubborn).load_model(Path("new.tar.gz"))


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (answer(401, {"message": "User is not authenticated."}), "refuses the token; set EVERGREEN_BOT_TOKEN"),
        (answer(403, {}), "refuses the token"),
        (answer(404, text="404 not found"), "does not know /status; start it with `rasa run --enable-api`"),
        (answer(409, {"message": "no agent"}), r"answered GET /status with 409 \(no agent\)"),
        (answer(500, text="<html>oops</html>"), r"with 500 \(<html>oops</html>\)"),
        (answer(500, ["list"]), "with 500"),
        (answer(200, {"model_file": None}), "runs without a model; run `rasa train`"),
        (answer(200, {}), "runs without a model"),
        (answer(200, text="<html>another server</html>"), "runs without a model"),
        (answer(200, [1]), "runs without a model"),
    ],
)
def test_what_the_server_answers_otherwise_is_one_clear_error(handler: Handler, problem: str) -> None:
    with pytest.raises(BotServerError, match=problem) as caught:
        server(handler, "secret").running_model()

    assert URL in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_model_that_fails_to_load_leaves_the_old_one() -> None:
    def refuses(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"reason": "BadRequest", "message": "Agent could not be loaded."})

    with pytest.raises(BotServerError, match=r"Agent could not be loaded.*the model that ran before goes on running"):
        server(refuses).load_model(Path("new.tar.gz"))


def test_a_server_that_is_not_there_is_tried_again_and_then_an_error() -> None:
    tried: list[str] = []

    def away(request: httpx.Request) -> httpx.Response:
        tried.append(request.url.path)
        raise httpx.ConnectError("refused")

    with pytest.raises(BotServerError, match=r"does not answer \(ConnectError\); start it with `make run`"):
        server(away).running_model()
    assert len(tried) == ATTEMPTS


def test_a_server_that_comes_up_meanwhile_is_fine() -> None:
    failures = iter([True, True, False])

    def starting(request: httpx.Request) -> httpx.Response:
        if next(failures):
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={"model_file": "m.tar.gz"})

    assert server(starting).running_model().name == "m.tar.gz"


def test_a_load_that_takes_too_long_is_not_sent_twice() -> None:
    sent: list[str] = []

    def slow(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        raise httpx.ReadTimeout("too slow")

    with pytest.raises(BotServerError, match="ReadTimeout"):
        server(slow).load_model(Path("new.tar.gz"))
    assert sent == ["PUT"]


@pytest.mark.parametrize("url", ["http://[", "http://a b:port"])
def test_an_address_that_is_none_names_the_setting(url: str) -> None:
    with pytest.raises((SettingsError, BotServerError)) as caught:
        RasaServer(url, "", MODELS).running_model()

    assert url in str(caught.value)
