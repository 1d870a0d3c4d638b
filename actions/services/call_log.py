"""What the back end was asked while an action ran: an event of the conversation, so that mining can count it.

No personal data: only which service and operation, how long it took, and what came of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, cast

from rasa_sdk.events import EventType, SlotSet

from actions.services.shop_api import NotVerified, OrderUnknown, Refused, Shop, ShopError, TicketUnknown

SLOT = "service_calls"
SERVICE = "shop"
OK, NOT_FOUND, REFUSED, UNAVAILABLE = "ok", "not_found", "refused", "unavailable"


class CallLog:
    """The calls of one run of an action."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        """Begin with none; `clock` tells seconds."""
        self._clock = clock
        self._calls: list[dict[str, object]] = []

    def around(self, shop: Shop) -> Shop:
        """Return the same shop, with each of its calls written down here."""
        return cast(Shop, _Watched(shop, self))

    def events(self) -> list[EventType]:
        """Return the event that tells of the calls; none without a call."""
        return [SlotSet(SLOT, self._calls)] if self._calls else []

    async def call(self, operation: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask, and note how it went."""
        started, outcome = self._clock(), UNAVAILABLE
        try:
            answer = await ask()
            outcome = OK
            return answer
        except ShopError as error:
            outcome = _outcome(error)
            raise
        finally:
            ms = round(1000 * (self._clock() - started), 1)
            self._calls.append({"service": SERVICE, "operation": operation, "ms": ms, "outcome": outcome})


class _Watched:
    def __init__(self, shop: Shop, log: CallLog) -> None:
        self._shop, self._log = shop, log

    def __getattr__(self, operation: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._shop, operation)

        async def watched(*args: Any, **named: Any) -> Any:
            return await self._log.call(operation, lambda: method(*args, **named))

        return watched


def _outcome(error: ShopError) -> str:
    if isinstance(error, (OrderUnknown, TicketUnknown)):
        return NOT_FOUND
    return REFUSED if isinstance(error, (NotVerified, Refused)) else UNAVAILABLE
