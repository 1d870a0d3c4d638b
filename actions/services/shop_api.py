"""What the assistant asks of the shop: records, errors and the port that clients implement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True)
class Money:
    """An amount in the smallest unit of its currency."""

    cents: int
    currency: str


@dataclass(frozen=True)
class OrderStatus:
    """What anybody with the number may know about an order."""

    order_number: str
    status: str
    carrier: str | None
    expected_on: date | None
    delivered_on: date | None
    late: bool
    item_count: int


@dataclass(frozen=True)
class OrderItem:
    """One line of an order."""

    title: str
    quantity: int


@dataclass(frozen=True)
class OrderDetails:
    """What the customer may know about an order."""

    summary: OrderStatus
    tracking_code: str | None
    shipping_address: str
    total: Money
    items: tuple[OrderItem, ...]
    can_cancel: bool
    can_return: bool
    return_until: date | None


@dataclass(frozen=True)
class Refund:
    """How far a refund is: none, awaiting_parcel, pending or refunded."""

    order_number: str
    state: str
    amount: Money | None
    updated_on: date | None


@dataclass(frozen=True)
class ReturnRequest:
    """An accepted request to send an order back."""

    reference: str
    order_number: str


@dataclass(frozen=True)
class Ticket:
    """A case at the service desk."""

    reference: str
    topic: str
    state: str


@dataclass(frozen=True)
class NewTicket:
    """A case to be opened; the same key never opens two."""

    key: str
    topic: str
    body: str
    email: str | None = None
    order_number: str | None = None


class ShopError(Exception):
    """Something the shop couldn't or wouldn't do; names the operation."""

    def __init__(self, operation: str, message: str, next_step: str) -> None:
        """Keep what failed, why, and what to do next."""
        super().__init__(f"{operation}: {message} {next_step}")
        self.operation = operation
        self.message = message
        self.next_step = next_step


class ShopUnavailable(ShopError):
    """The shop is down, too slow, or answers nonsense."""

    def __init__(self, operation: str, message: str, next_step: str, *, may_have_happened: bool = False) -> None:
        """Say too whether a change may have been made although no answer came."""
        super().__init__(operation, message, next_step)
        self.may_have_happened = may_have_happened


class OrderUnknown(ShopError):
    """There is no such order."""


class TicketUnknown(ShopError):
    """There is no such ticket."""


class NotVerified(ShopError):
    """The email address isn't the one of the order."""


class Refused(ShopError):
    """The shop understood and said no, with a reason for the customer."""


class Shop(Protocol):
    """The shop as the actions see it."""

    async def order_status(self, number: str) -> OrderStatus:
        """The public state of an order."""

    async def order_details(self, number: str, email: str) -> OrderDetails:
        """The whole order, for its customer."""

    async def order_history(self, number: str, email: str) -> tuple[OrderDetails, ...]:
        """All orders of the customer, newest first."""

    async def cancel_order(self, number: str, email: str) -> OrderDetails:
        """Cancel an order that hasn't left."""

    async def change_address(self, number: str, email: str, address: str) -> OrderDetails:
        """Send an order that hasn't left elsewhere."""

    async def request_return(self, number: str, email: str) -> ReturnRequest:
        """Ask for a return label."""

    async def refund(self, number: str, email: str) -> Refund:
        """How far the refund of an order is."""

    async def send_invoice(self, number: str, email: str, key: str) -> None:
        """Mail the invoice to the order's own address."""

    async def balance(self, number: str, email: str) -> Money:
        """The customer's store credit."""

    async def reset_password(self, email: str, key: str) -> None:
        """Mail a reset code, if there is such an account."""

    async def open_ticket(self, ticket: NewTicket) -> Ticket:
        """Open a case at the service desk."""

    async def ticket(self, reference: str) -> Ticket:
        """The state of a case."""
