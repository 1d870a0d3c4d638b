"""What the clients of other help desks share: one bounded request, and errors that say what to do."""

from __future__ import annotations

from typing import Any

import httpx

from desk.errors import DeskError
from learning.errors import SettingsError

TIMEOUT = 10.0  # seconds


class Json:
    """A JSON interface below one address."""

    def __init__(self, name: str, url: str, transport: httpx.BaseTransport | None = None, **options: Any) -> None:
        self._name = name
        if not url.startswith(("https://", "http://")):
            raise SettingsError(f"is {url!r}", "learning.yml: desk: help_desk_url", "write it with https://")
        self._client = httpx.Client(base_url=url.rstrip("/"), timeout=TIMEOUT, transport=transport, **options)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and return its JSON.

        Raises:
            DeskError: no answer, a refusal, or an answer that is no JSON.

        """
        try:
            response = self._client.request(method, path, **options)
            response.raise_for_status()
            return response.json() if response.content else {}
        except httpx.HTTPStatusError as error:
            what = f"answered {error.response.status_code} to {method} {path.partition('?')[0]}"
            raise DeskError(what, self._name, "check its address, account and token") from None
        except (httpx.HTTPError, ValueError) as error:
            what = f"gave no usable answer ({type(error).__name__})"
            raise DeskError(what, self._name, "check its address; it is tried again") from None
