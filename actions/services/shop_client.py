"""The shop over HTTP: bounded in time, retried only where repeating is harmless."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, TypeVar, cast

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from actions.services.breaker import CircuitBreaker
from actions.services.cache import ShortCache
from actions.services.shop_api import (
    Money,
    NewTicket,
    NotVerified,
    OrderDetails,
    OrderItem,
    OrderStatus,
    OrderUnknown,
    Refund,
    Refused,
    ReturnRequest,
    Shop,
    ShopError,
    ShopUnavailable,
    Ticket,
    TicketUnknown,
)

DEFAULT_URL = "http://127.0.0.1:8081"
KEY = "Idempotency-Key"  # the shop does the same thing once for each key
TRY_AGAIN = "Check that the shop runs and that EVERGREEN_SHOP_URL points at it."

Record = TypeVar("Record")


@dataclass(frozen=True)
class Patience:
    """How long and how often the client tries."""

    total_seconds: float = 5.0  # nobody watches a silent chat for longer
    attempt_seconds: float = 2.0  # leaves room for a second attempt
    attempts: int = 3  # one hiccup and one restart, not an outage
    backoff_seconds: float = 0.1  # first pause; doubles, with jitter
    longest_backoff_seconds: float = 1.0


class ShopClient:
    """Speaks the shop's API and returns frozen records or raises typed errors."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        token: str | None = None,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        breaker: CircuitBreaker | None = None,
        cache: ShortCache | None = None,
    ) -> None:
        """Remember where the shop is; nothing is opened before the first question."""
        self._breaker = breaker or CircuitBreaker()
        self._cache = cache or ShortCache()
        self._url = url
        self._token = token
        self._patience = patience or Patience()
        self._transport = transport
        self._http: httpx.AsyncClient | None = None

    async def order_status(self, number: str) -> OrderStatus:
        """The public state of an order."""
        return await self._ask("order_status", "GET", f"/orders/{number}", _order_status)

    async def order_details(self, number: str, email: str) -> OrderDetails:
        """The whole order, for its customer."""
        return await self._ask("order_details", "GET", f"/orders/{number}", _order_details, email=email)

    async def order_history(self, number: str, email: str) -> tuple[OrderDetails, ...]:
        """All orders of the customer, newest first."""
        path = f"/orders?order_number={number}"
        return await self._ask("order_history", "GET", path, _order_list, email=email)

    async def cancel_order(self, number: str, email: str) -> OrderDetails:
        """Cancel an order that hasn't left; the shop cancels only once, so repeating is safe."""
        path = f"/orders/{number}/cancel"
        return await self._ask("cancel_order", "POST", path, _order_details, body={"email": email}, repeat=True)

    async def change_address(self, number: str, email: str, address: str) -> OrderDetails:
        """Send an order that hasn't left elsewhere."""
        body = {"email": email, "address": address}
        path = f"/orders/{number}/address"
        return await self._ask("change_address", "PUT", path, _order_details, body=body, repeat=True)

    async def request_return(self, number: str, email: str) -> ReturnRequest:
        """Ask for a return label; the shop keeps one return an order, so repeating is safe."""
        path = f"/orders/{number}/returns"
        return await self._ask("request_return", "POST", path, _return, body={"email": email}, repeat=True)

    async def refund(self, number: str, email: str) -> Refund:
        """How far the refund of an order is."""
        return await self._ask("refund", "GET", f"/orders/{number}/refund", _refund, email=email)

    async def send_invoice(self, number: str, email: str, key: str) -> None:
        """Mail the invoice; the key makes repeating safe."""
        path, headers = f"/orders/{number}/invoice", {KEY: key}
        await self._ask("send_invoice", "POST", path, _accepted, body={"email": email}, headers=headers, repeat=True)

    async def balance(self, number: str, email: str) -> Money:
        """The customer's store credit."""
        path = f"/account/balance?order_number={number}"
        return await self._ask("balance", "GET", path, _balance, email=email)

    async def reset_password(self, email: str, key: str) -> None:
        """Mail a reset code; the key makes repeating safe, or the first code of two would confuse."""
        path, headers = "/password-resets", {KEY: key}
        await self._ask("reset_password", "POST", path, _accepted, body={"email": email}, headers=headers, repeat=True)

    async def open_ticket(self, ticket: NewTicket) -> Ticket:
        """Open a case; the key makes repeating safe."""
        body = {
            "topic": ticket.topic,
            # Half of a character that needs two cannot be sent: it must not keep anybody from a person.
            "body": ticket.body.encode("utf-8", "replace").decode(),
            "email": ticket.email,
            "order_number": int(ticket.order_number) if ticket.order_number else None,
        }
        headers = {KEY: ticket.key}
        return await self._ask("open_ticket", "POST", "/tickets", _ticket, body=body, headers=headers, repeat=True)

    async def ticket(self, reference: str) -> Ticket:
        """The state of a case."""
        return await self._ask("ticket", "GET", f"/tickets/{reference}", _ticket)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def _ask(
        self,
        operation: str,
        method: str,
        path: str,
        read: Callable[[Any], Record],
        *,
        email: str | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: bool = False,
    ) -> Record:
        is_read = method == "GET"
        if is_read and (kept := self._cache.get((path, email))) is not None:
            return cast(Record, kept)
        answer = await self._ask_now(operation, method, path, read, email, body, headers, repeat or is_read)
        if is_read:
            self._cache.put((path, email), answer)
        return answer

    async def _ask_now(
        self,
        operation: str,
        method: str,
        path: str,
        read: Callable[[Any], Record],
        email: str | None,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        repeat: bool,
    ) -> Record:
        if method != "GET":
            self._cache.clear()  # whatever becomes of it: what was read before may be true no more
        if not self._breaker.lets_pass():
            raise ShopUnavailable(operation, "It has failed so often that it is left alone for a moment.", TRY_AGAIN)
        all_headers = dict(headers or {})
        if email:
            all_headers["X-Customer-Email"] = email
        sending = _Sending()
        try:
            response = await asyncio.wait_for(
                self._send(sending, method, path, body, all_headers, repeat),
                timeout=self._patience.total_seconds,
            )
        except UnicodeEncodeError:
            # Our own request, which never got out: it says nothing about the shop.
            self._breaker.gave_up()
            raise ShopUnavailable(
                operation, "The request cannot be written.", "Look at what the customer gave."
            ) from None
        except (httpx.HTTPError, asyncio.TimeoutError, _Overloaded) as error:
            self._breaker.failed()
            # Only the kind of error is kept: its text can hold the address with a customer's data.
            raise ShopUnavailable(
                operation,
                f"No answer ({type(error).__name__}).",
                TRY_AGAIN,
                may_have_happened=method != "GET" and sending.may_have_arrived,
            ) from None
        except BaseException:
            self._breaker.failed()  # a run that was cancelled has shown nothing good, and must not keep the trial
            raise
        try:
            answer = _read_answer(operation, response, read, changes=method != "GET")
        except ShopUnavailable:
            self._breaker.failed()
            raise
        except ShopError:
            self._breaker.succeeded()  # a no is an answer
            raise
        self._breaker.succeeded()
        return answer

    async def _send(
        self,
        sending: _Sending,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        repeat: bool,
    ) -> httpx.Response:
        patience = self._patience
        retrying = AsyncRetrying(
            stop=stop_after_attempt(patience.attempts if repeat else 1),
            wait=wait_random_exponential(patience.backoff_seconds, max=patience.longest_backoff_seconds),
            retry=retry_if_exception_type((httpx.TransportError, _Overloaded)),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                response = await self._attempt(sending, method, path, body, headers)
        return response

    async def _attempt(
        self,
        sending: _Sending,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> httpx.Response:
        arrived_before, sending.may_have_arrived = sending.may_have_arrived, True
        try:
            response = await self._connection().request(method, f"/api/v1{path}", json=body, headers=dict(headers))
        except (httpx.ConnectError, httpx.ConnectTimeout, UnicodeEncodeError):
            sending.may_have_arrived = arrived_before  # this attempt never got out
            raise
        if response.status_code >= 500 or response.status_code == 429:
            raise _Overloaded(response.status_code)
        return response

    def _connection(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(
                base_url=self._url,
                timeout=self._patience.attempt_seconds,
                headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
                transport=self._transport,
            )
        return self._http


@lru_cache(maxsize=1)
def shop_from_environment() -> Shop:
    """The client that EVERGREEN_SHOP_URL and EVERGREEN_SHOP_TOKEN describe, made once on first use."""
    return ShopClient(os.environ.get("EVERGREEN_SHOP_URL") or DEFAULT_URL, os.environ.get("EVERGREEN_SHOP_TOKEN"))


@dataclass
class _Sending:
    """What is known of a request that is under way."""

    may_have_arrived: bool = False


class _Overloaded(Exception):
    """The shop answered with a failure of its own, which may pass."""


def _read_answer(operation: str, response: httpx.Response, read: Callable[[Any], Record], *, changes: bool) -> Record:
    try:
        body = response.json()
        if response.is_success:
            return read(body)
        problem = body["error"]
        message, next_step = str(problem["message"]), str(problem["next_step"])
    except (KeyError, TypeError, ValueError) as error:
        what = f"Answer {response.status_code} isn't what it should be ({type(error).__name__})."
        raise ShopUnavailable(
            operation, what, "Compare the shop's /openapi.json.", may_have_happened=changes and response.is_success
        ) from None
    if response.status_code == 404:
        unknown = TicketUnknown if operation == "ticket" else OrderUnknown
        raise unknown(operation, message, next_step)
    if response.status_code == 403:
        raise NotVerified(operation, message, next_step)
    if response.status_code in (400, 409, 413, 423):
        raise Refused(operation, message, next_step)
    # 401 and anything unforeseen is our own mistake, which the customer can't mend.
    raise ShopUnavailable(operation, message, next_step)


def _order_status(body: Any) -> OrderStatus:
    return OrderStatus(
        order_number=str(body["order_number"]),
        status=str(body["status"]),
        carrier=body["carrier"],
        expected_on=_day(body["expected_on"]),
        delivered_on=_day(body["delivered_on"]),
        late=bool(body["late"]),
        item_count=int(body["item_count"]),
    )


def _order_details(body: Any) -> OrderDetails:
    return OrderDetails(
        summary=_order_status(body),
        tracking_code=body["tracking_code"],
        shipping_address=str(body["shipping_address"]),
        total=_money(body["total"]),
        items=tuple(OrderItem(str(item["title"]), int(item["quantity"])) for item in body["items"]),
        can_cancel=bool(body["can_cancel"]),
        can_return=bool(body["can_return"]),
        return_until=_day(body["return_until"]),
    )


def _order_list(body: Any) -> tuple[OrderDetails, ...]:
    return tuple(_order_details(order) for order in body["orders"])


def _refund(body: Any) -> Refund:
    return Refund(
        order_number=str(body["order_number"]),
        state=str(body["state"]),
        amount=_money(body["amount"]) if body["amount"] else None,
        updated_on=_day(body["updated_on"]),
    )


def _return(body: Any) -> ReturnRequest:
    return ReturnRequest(str(body["reference"]), str(body["order_number"]))


def _ticket(body: Any) -> Ticket:
    return Ticket(str(body["reference"]), str(body["topic"]), str(body["state"]))


def _balance(body: Any) -> Money:
    return _money(body["balance"])


def _money(body: Any) -> Money:
    return Money(int(body["cents"]), str(body["currency"]))


def _accepted(body: Any) -> None:
    if body["status"] != "accepted":
        raise ValueError("the shop didn't accept")


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
