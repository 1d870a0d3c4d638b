"""Hand-written stand-ins for what lies outside: the shop."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

from actions.services.shop_api import (
    Money,
    NewTicket,
    NotVerified,
    OrderDetails,
    OrderItem,
    OrderStatus,
    OrderUnknown,
    Refund,
    ReturnRequest,
    ShopUnavailable,
    Ticket,
    TicketUnknown,
)

ANN = "ann@example.com"


def details(number: str, status: str = "in_transit", **changes: object) -> OrderDetails:
    summary = OrderStatus(
        order_number=number,
        status=status,
        carrier="DHL" if status in ("in_transit", "delivered") else None,
        expected_on=date(2024, 6, 12) if status != "delivered" else None,
        delivered_on=date(2024, 6, 1) if status == "delivered" else None,
        late=False,
        item_count=2,
    )
    order = OrderDetails(
        summary=summary,
        tracking_code="FW1",
        shipping_address="1 Old Street, Dublin",
        total=Money(4990, "EUR"),
        items=(OrderItem("Oak table lamp", 2),),
        can_cancel=status in ("processing", "packed"),
        can_return=status == "delivered",
        return_until=date(2024, 7, 1) if status == "delivered" else None,
    )
    return replace(order, **changes)  # type: ignore[arg-type]


@dataclass
class FakeShop:
    """A shop in memory that notes every change it is asked for."""

    orders: dict[str, OrderDetails] = field(default_factory=dict)
    email: str = ANN
    refunds: dict[str, Refund] = field(default_factory=dict)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    opened: list[NewTicket] = field(default_factory=list)
    done: list[tuple[str, ...]] = field(default_factory=list)
    down: bool = False
    lost_answers: bool = False  # changes are made, but the answer never arrives

    async def order_status(self, number: str) -> OrderStatus:
        self._reach("order_status")
        return self._order(number).summary

    async def order_details(self, number: str, email: str) -> OrderDetails:
        self._reach("order_details")
        return self._own(number, email)

    async def order_history(self, number: str, email: str) -> tuple[OrderDetails, ...]:
        self._reach("order_history")
        self._own(number, email)
        return tuple(self.orders.values())

    async def cancel_order(self, number: str, email: str) -> OrderDetails:
        self._reach("cancel_order")
        order = self._own(number, email)
        self._note("cancel_order", number)
        return order

    async def change_address(self, number: str, email: str, address: str) -> OrderDetails:
        self._reach("change_address")
        order = self._own(number, email)
        self._note("change_address", number, address)
        return replace(order, shipping_address=address)

    async def request_return(self, number: str, email: str) -> ReturnRequest:
        self._reach("request_return")
        self._own(number, email)
        self._note("request_return", number)
        return ReturnRequest("R-00000001", number)

    async def refund(self, number: str, email: str) -> Refund:
        self._reach("refund")
        self._own(number, email)
        return self.refunds.get(number, Refund(number, "none", None, None))

    async def send_invoice(self, number: str, email: str, key: str) -> None:
        self._reach("send_invoice")
        self._own(number, email)
        self._note("send_invoice", number)

    async def balance(self, number: str, email: str) -> Money:
        self._reach("balance")
        self._own(number, email)
        return Money(2500, "EUR")

    async def reset_password(self, email: str, key: str) -> None:
        self._reach("reset_password")
        self._note("reset_password", email)

    async def open_ticket(self, ticket: NewTicket) -> Ticket:
        self._reach("open_ticket")
        self.opened.append(ticket)
        self._note("open_ticket", ticket.topic)
        made = Ticket(f"T-{len(self.opened):08d}", ticket.topic, "open")
        self.tickets[made.reference] = made
        return made

    async def ticket(self, reference: str) -> Ticket:
        self._reach("ticket")
        if reference not in self.tickets:
            raise TicketUnknown("ticket", "There is no such ticket.", "Check it.")
        return self.tickets[reference]

    def _reach(self, operation: str) -> None:
        if self.down:
            raise ShopUnavailable(operation, "Down.", "Wait.")

    def _note(self, operation: str, *what: str) -> None:
        self.done.append((operation, *what))
        if self.lost_answers:
            raise ShopUnavailable(operation, "No answer.", "Wait.", may_have_happened=True)

    def _order(self, number: str) -> OrderDetails:
        if number not in self.orders:
            raise OrderUnknown("order", "There is no such order.", "Check it.")
        return self.orders[number]

    def _own(self, number: str, email: str) -> OrderDetails:
        order = self._order(number)
        if email != self.email:
            raise NotVerified("order", "Not yours.", "Check it.")
        return order
