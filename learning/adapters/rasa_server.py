"""The running Rasa server, over its HTTP API."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from learning.errors import BotServerError, SettingsError

TIMEOUT = 10.0  # seconds for a status
LOAD_TIMEOUT = 180.0  # seconds; a model with word vectors takes a minute to load
ATTEMPTS = 3
PAUSE = 0.2  # seconds between two looks at which model runs
PROBE = "hello"  # a message that every model can read
PROBE_TIMEOUT = 60.0  # seconds; the first message waits for what a component loads only then


class ServerAway(BotServerError):
    """The server does not answer at all, or has no model yet; it may be starting, or gone."""


class RasaServer:
    """Asks and tells one Rasa server that keeps its models in the folder `models`.

    `token` is what it was started with by `--auth-token`.
    """

    def __init__(self, url: str, token: str, models: Path, transport: httpx.BaseTransport | None = None) -> None:
        self._url = url.rstrip("/")
        self._models = models
        params = {"token": token} if token else None
        try:
            self._client = httpx.Client(base_url=self._url, params=params, timeout=TIMEOUT, transport=transport)
        except httpx.InvalidURL as error:
            raise SettingsError(f"is no URL ({error})", f"bot.url {url}", "write http://host:port") from error

    @property
    def address(self) -> str:
        """Where it listens."""
        return self._url

    def running_model(self) -> Path:
        """Return the path of the model that answers now.

        Raises:
            BotServerError: the server does not answer, refuses the token, or has no model.

        """
        response = self._request("GET", "/status")
        model = _json(response).get("model_file")
        if not model:
            raise ServerAway("runs without a model", self._url, "run `rasa train` and start it again")
        return self._models / Path(model).name  # Rasa tells the name, not where it is

    def load_model(self, model: Path) -> None:
        """Swap the running model and wait until it reads a message; the old one stays if it cannot be loaded.

        Raises:
            BotServerError: the model could not be loaded, or reads no message.

        """
        self._request("PUT", "/model", json={"model_file": str(model.resolve())}, timeout=LOAD_TIMEOUT)
        deadline = time.monotonic() + TIMEOUT
        while self.running_model().name != model.name:
            if time.monotonic() > deadline:
                raise BotServerError(
                    f"still runs another model after loading {model.name}", self._url, "look at its log"
                )
            time.sleep(PAUSE)
        self._probe(model)

    def _probe(self, model: Path) -> None:
        """Have the server understand a message, outside of any conversation: that it is there says nothing of that."""
        response = self._request("POST", "/model/parse", json={"text": PROBE}, timeout=PROBE_TIMEOUT)
        if not isinstance(_json(response).get("intent"), dict):
            step = "look at its log, and at the model's pipeline"
            raise BotServerError(f"reads no message with {model.name}", f"Rasa server {self._url}", step)

    def _request(self, method: str, path: str, **options: object) -> httpx.Response:
        retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            retry=retry_if_exception_type(httpx.ConnectError),
            reraise=True,
        )
        try:
            response = retrying(self._client.request, method, path, **options)
        except httpx.HTTPError as error:
            raise ServerAway(
                f"does not answer ({type(error).__name__})", f"Rasa server {self._url}", "start it with `make run`"
            ) from error
        if response.status_code in (401, 403):
            raise BotServerError("refuses the token", f"Rasa server {self._url}", "set EVERGREEN_BOT_TOKEN")
        if response.status_code == 404:
            raise BotServerError(
                f"does not know {path}", f"Rasa server {self._url}", "start it with `rasa run --enable-api`"
            )
        if response.is_error:
            reason = _reason(response)
            has_no_model = response.status_code == 409  # so Rasa says it before it has loaded any
            raise (ServerAway if has_no_model else BotServerError)(
                f"answered {method} {path} with {response.status_code} ({reason})",
                f"Rasa server {self._url}",
                "the model that ran before goes on running; look at the server's log",
            )
        return response


def _reason(response: httpx.Response) -> str:
    return str(_json(response).get("message") or response.text)[:300]


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        content = None
    return content if isinstance(content, dict) else {}
