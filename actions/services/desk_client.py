"""What a customer who asks for a person can expect now, asked of the desk; silence is an answer, too."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote

import httpx

logger = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds; the customer waits for the answer, and a ticket can be opened without it


@dataclass(frozen=True)
class Outlook:
    """What the desk says: `ahead` customers wait, `due` is said to customers, `due_at` is kept."""

    is_live: bool
    is_open: bool
    ahead: int
    opens: str
    due: str
    due_at: str


class DeskLine(Protocol):
    """The desk as the actions see it."""

    async def outlook(self, conversation: str = "") -> Outlook | None:
        """What to expect; None where there is no desk, or it does not answer.

        A conversation that is being handed over gets the place in the queue that it is told.
        """


class DeskClient:
    """Asks the desk over HTTP."""

    def __init__(self, url: str, token: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Remember where the desk is; nothing is opened before the first question."""
        self._url = url
        self._token = token
        self._transport = transport
        self._http: httpx.AsyncClient | None = None

    async def outlook(self, conversation: str = "") -> Outlook | None:
        """What to expect; None where the desk does not answer in time, or not as it should."""
        if self._http is None:
            headers = {"Authorization": f"Bearer {self._token}"}
            self._http = httpx.AsyncClient(
                base_url=self._url, timeout=PATIENCE, headers=headers, transport=self._transport
            )
        try:
            if conversation:
                response = await self._http.post(f"/outlook/{quote(conversation, safe='')}")
            else:
                response = await self._http.get("/outlook")
            response.raise_for_status()
            body = response.json()
            return Outlook(
                is_live=body["is_live"] is True,
                is_open=body["is_open"] is True,
                ahead=max(0, int(body["ahead"])),
                opens=str(body["opens"]),
                due=str(body["due"]),
                due_at=str(body["due_at"]),
            )
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            logger.warning("desk: no outlook (%s); handing over by ticket", type(error).__name__)
            return None


class NoDesk:
    """A project without a desk: people are reached by ticket only."""

    async def outlook(self, conversation: str = "") -> Outlook | None:
        """Nothing is known."""
        return None


@lru_cache(maxsize=1)
def desk_from_environment() -> DeskLine:
    """The desk that EVERGREEN_DESK_URL and EVERGREEN_DESK_TOKEN describe; none without them."""
    url, token = os.environ.get("EVERGREEN_DESK_URL", ""), os.environ.get("EVERGREEN_DESK_TOKEN", "")
    return DeskClient(url, token) if url and token else NoDesk()
