"""The records the shop hands out; money is integer cents with its currency."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

CANCELABLE = frozenset({"processing", "packed"})  # nothing has left the warehouse yet
ON_ITS_WAY = frozenset({"in_transit", "out_for_delivery"})
RETURN_WINDOW = timedelta(days=30)  # counted from the delivery, as the return policy says
CHRISTMAS_ORDERS = ((11, 1), (12, 24))  # orders of these days can be returned until January 31


@dataclass(frozen=True)
class Money:
    """An amount in the smallest unit of its currency."""

    cents: int
    currency: str

    def as_json(self) -> dict[str, Any]:
        """The amount as the API writes it."""
        return {"cents": self.cents, "currency": self.currency}


@dataclass(frozen=True)
class Item:
    """One line of an order."""

    sku: str
    title: str
    quantity: int
    unit_price: Money

    def as_json(self) -> dict[str, Any]:
        """The line as the API writes it."""
        return {
            "sku": self.sku,
            "title": self.title,
            "quantity": self.quantity,
            "unit_price": self.unit_price.as_json(),
        }


@dataclass(frozen=True)
class Order:
    """One order with its lines."""

    number: int
    customer_id: int
    email: str
    status: str
    placed_at: datetime
    carrier: str | None
    tracking_code: str | None
    expected_on: date | None
    delivered_on: date | None
    shipping_address: str
    total: Money
    items: tuple[Item, ...]

    def is_late(self, today: date) -> bool:
        """Whether the expected day has passed without a delivery."""
        undelivered = self.status in CANCELABLE | ON_ITS_WAY
        return undelivered and self.expected_on is not None and self.expected_on < today

    def can_be_canceled(self) -> bool:
        """Whether the order can still be stopped before it leaves."""
        return self.status in CANCELABLE

    def return_until(self) -> date | None:
        """The last day on which a return can be asked for, once delivered."""
        if self.delivered_on is None:
            return None
        last = self.delivered_on + RETURN_WINDOW
        placed = self.placed_at.date()
        first_day, last_day = CHRISTMAS_ORDERS
        if first_day <= (placed.month, placed.day) <= last_day:
            return max(last, date(placed.year + 1, 1, 31))
        return last

    def can_be_returned(self, today: date) -> bool:
        """Whether the return window is open."""
        last = self.return_until()
        return self.status == "delivered" and last is not None and today <= last

    def public_json(self, today: date) -> dict[str, Any]:
        """What anybody with the number may see: nothing personal."""
        return {
            "order_number": self.number,
            "status": self.status,
            "carrier": self.carrier,
            "expected_on": _day(self.expected_on),
            "delivered_on": _day(self.delivered_on),
            "late": self.is_late(today),
            "item_count": sum(item.quantity for item in self.items),
        }

    def full_json(self, today: date) -> dict[str, Any]:
        """What the customer may see."""
        return {
            **self.public_json(today),
            "placed_at": self.placed_at.isoformat(),
            "tracking_code": self.tracking_code,
            "shipping_address": self.shipping_address,
            "total": self.total.as_json(),
            "items": [item.as_json() for item in self.items],
            "can_cancel": self.can_be_canceled(),
            "can_return": self.can_be_returned(today),
            "return_until": _day(self.return_until()),
        }


@dataclass(frozen=True)
class Refund:
    """How far a refund has come: none, awaiting_parcel, pending or refunded."""

    order_number: int
    state: str
    amount: Money | None
    updated_on: date | None

    def as_json(self) -> dict[str, Any]:
        """The refund as the API writes it."""
        return {
            "order_number": self.order_number,
            "state": self.state,
            "amount": self.amount.as_json() if self.amount else None,
            "updated_on": _day(self.updated_on),
        }


@dataclass(frozen=True)
class ReturnRequest:
    """One request to send an order back."""

    reference: str
    order_number: int
    state: str
    created_at: datetime

    def as_json(self) -> dict[str, Any]:
        """The request as the API writes it."""
        return {
            "reference": self.reference,
            "order_number": self.order_number,
            "state": self.state,
            "created_at": self.created_at.isoformat(),
        }


@dataclass(frozen=True)
class Ticket:
    """One case for the service desk."""

    reference: str
    topic: str
    state: str
    created_at: datetime
    updated_at: datetime

    def as_json(self) -> dict[str, Any]:
        """The ticket without its text: a reference is no proof of who asks."""
        return {
            "reference": self.reference,
            "topic": self.topic,
            "state": self.state,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
        }


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
