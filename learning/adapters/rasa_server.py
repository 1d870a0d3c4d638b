"""The running Rasa server, over its HTTP API."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from learning.errors import BotServerError

TIMEOUT = 10.0  # seconds for a status
LOAD_TIMEOUT = 180.0  # seconds; a model with word vectors takes a minute to load
ATTEMPTS = 3


class RasaServer:
    """Asks and tells one Rasa server; `token` is what it was started with by `--auth-token`."""

    def __init__(self, url: str, token: str = "", transport: httpx.BaseTransport | None = None) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.Client(
            base_url=self._url, params={"token": token} if token else None, timeout=TIMEOUT, transport=transport
        )

    def running_model(self) -> Path:
        """Return the path of the model that answers now.

        Raises:
            BotServerError: the server does not answer, refuses the token, or has no model.

        """
        response = self._request("GET", "/status")
        model = response.json().get("model_file")
        if not model:
            raise BotServerError("runs without a model", self._url, "run `rasa train` and start it again")
        return Path(model)

    def load_model(self, model: Path) -> None:
        """Swap the running model and wait until it answers; the old one stays if it cannot be loaded.

        Raises:
            BotServerError: the model could not be loaded.

        """
        self._request("PUT", "/model", json={"model_file": str(model.resolve())}, timeout=LOAD_TIMEOUT)
        deadline = time.monotonic() + TIMEOUT
        while self.running_model().name != model.name:
            if time.monotonic() > deadline:
                raise BotServerError(
                    f"still runs another model after loading {model.name}", self._url, "look at its log"
                )

    def _request(self, method: str, path: str, **options: object) -> httpx.Response:
        retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(initial=0.2, max=2),
            retry=retry_if_exception_type(httpx.ConnectError),
            reraise=True,
        )
        try:
            response = retrying(self._client.request, method, path, **options)
        except httpx.HTTPError as error:
            raise BotServerError(
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
            raise BotServerError(
                f"answered {method} {path} with {response.status_code} ({reason})",
                f"Rasa server {self._url}",
                "the model that ran before goes on running; look at the server's log",
            )
        return response


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json().get("message", ""))[:300]
    except ValueError:
        return response.text[:300]
