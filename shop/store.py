"""The shop's questions and changes, each one transaction on a connection that is passed in."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from shop.errors import Conflict, Locked, NotFound, NotVerified
from shop.model import Item, Money, Order, Refund, ReturnRequest, Ticket
from shop.tables import (
    balances,
    customers,
    done_requests,
    order_items,
    orders,
    outbox,
    password_resets,
    passwords,
    refunds,
    return_requests,
    tickets,
    wrong_guesses,
)

RESET_CODE_LIFE = timedelta(minutes=30)  # long enough to find the mail, short enough to be useless later
RESETS_AT_ONCE = 3  # codes that are good at the same time: nobody's mailbox is flooded
MOST_GUESSES = 5  # wrong email addresses for one order, or orders for one address; a customer has one or two
GUESSES_COUNT = timedelta(minutes=15)


def find_order(connection: Connection, number: int) -> Order:
    """The order of that number, or NotFound."""
    found = _orders(connection, orders.c.number == number)
    if not found:
        raise NotFound(f"There is no order {number}.", "Check the five digits in the confirmation email.")
    return found[0]


def find_own_order(connection: Connection, number: int, email: str, now: datetime) -> Order:
    """The order of that number, provided that the email address is its customer's.

    After `MOST_GUESSES` wrong ones the order is locked for everybody, and so is an address that was tried on as many
    orders: an answer would tell who guessed right.
    """
    order = find_order(connection, number)
    tried = email.strip().lower()
    for about, what in (
        (wrong_guesses.c.order_number == number, f"wrong email addresses for order {number}"),
        (wrong_guesses.c.email_sha256 == _sha256(tried), "orders that don't belong to that email address"),
    ):
        recent = sa.select(sa.func.count()).where(about, wrong_guesses.c.at > now - GUESSES_COUNT)
        if (connection.execute(recent).scalar() or 0) >= MOST_GUESSES:
            raise Locked(
                f"There were too many {what}.",
                f"Try again in {GUESSES_COUNT.seconds // 60} minutes, or talk to a person.",
            )
    if not hmac.compare_digest(order.email.encode(), tried.encode()):
        raise NotVerified(
            f"That email address doesn't belong to order {number}.",
            "Use the address that the order confirmation was sent to.",
            (number, tried),
        )
    return order


def note_wrong_guess(connection: Connection, number: int, email: str, now: datetime) -> None:
    """Count a guess; those that count no more are dropped."""
    connection.execute(wrong_guesses.delete().where(wrong_guesses.c.at <= now - GUESSES_COUNT))
    connection.execute(wrong_guesses.insert().values(order_number=number, email_sha256=_sha256(email), at=now))


def once(connection: Connection, key: str, what: str, now: datetime) -> bool:
    """Whether something may be done that must be done only once for a key; without a key it always may."""
    if not key:
        return True
    where = sa.and_(done_requests.c.key == key, done_requests.c.what == what)
    if connection.execute(sa.select(done_requests.c.key).where(where)).one_or_none():
        return False
    try:
        with connection.begin_nested():
            connection.execute(done_requests.insert().values(key=key, what=what, at=now))
    except IntegrityError:  # a retry overtook its first attempt
        return False
    return True


def orders_of_customer(connection: Connection, customer_id: int) -> list[Order]:
    """The customer's orders, newest first."""
    found = _orders(connection, orders.c.customer_id == customer_id)
    return sorted(found, key=lambda order: (order.placed_at, order.number), reverse=True)


def cancel(connection: Connection, order: Order, now: datetime) -> Order:
    """Cancel an order that hasn't left yet; canceling twice changes nothing."""
    if order.status == "canceled":
        return order
    refused = Conflict(
        f"Order {order.number} can't be canceled any more: it is {order.status.replace('_', ' ')}.",
        "Refuse the parcel, or send it back within 30 days of the delivery.",
    )
    if not order.can_be_canceled():
        raise refused
    # The state is checked again in the same statement, so that a parcel that leaves meanwhile wins.
    changed = connection.execute(
        orders.update()
        .where(orders.c.number == order.number, orders.c.status == order.status)
        .values(status="canceled", expected_on=None)
    )
    if changed.rowcount != 1:
        raise refused
    connection.execute(
        refunds.insert().values(
            order_number=order.number,
            state="pending",
            cents=order.total.cents,
            currency=order.total.currency,
            updated_on=now.date(),
        )
    )
    return find_order(connection, order.number)


def change_address(connection: Connection, order: Order, address: str) -> Order:
    """Send the parcel elsewhere, as long as it hasn't left."""
    changed = 0
    if order.can_be_canceled():
        changed = connection.execute(
            orders.update()
            .where(orders.c.number == order.number, orders.c.status == order.status)
            .values(shipping_address=address)
        ).rowcount
    if changed != 1:
        raise Conflict(
            f"The address of order {order.number} can't be changed: it is {order.status.replace('_', ' ')}.",
            "Ask the carrier to redirect the parcel, with the tracking code.",
        )
    return find_order(connection, order.number)


def request_return(
    connection: Connection, order: Order, reason: str, reference: str, now: datetime
) -> tuple[ReturnRequest, bool]:
    """Open a return, or give back the one that is open; the flag says whether it is new."""
    existing = _return_of(connection, order.number)
    if existing:
        return existing, False
    if not order.can_be_returned(now.date()):
        last = order.return_until()
        why = (
            f"its return window closed on {last.isoformat()}"
            if last
            else f"it is {order.status.replace('_', ' ')}, not delivered"
        )
        raise Conflict(f"Order {order.number} can't be returned: {why}.", "Talk to a person if the item is faulty.")
    try:
        with connection.begin_nested():
            connection.execute(
                return_requests.insert().values(
                    reference=reference,
                    order_number=order.number,
                    reason=reason,
                    state="label_sent",
                    created_at=now,
                )
            )
    except IntegrityError:  # the same request arrived twice at the same moment
        existing = _return_of(connection, order.number)
        if existing is None:
            raise
        return existing, False
    connection.execute(
        refunds.insert().values(
            order_number=order.number,
            state="awaiting_parcel",
            cents=order.total.cents,
            currency=order.total.currency,
            updated_on=now.date(),
        )
    )
    _mail(connection, "return_label", order.email, f"Return label for order {order.number}: {reference}", now)
    return ReturnRequest(reference, order.number, "label_sent", now), True


def refund_of(connection: Connection, order: Order) -> Refund:
    """How far the refund of an order is."""
    row = connection.execute(sa.select(refunds).where(refunds.c.order_number == order.number)).one_or_none()
    if row is None:
        return Refund(order.number, "none", None, None)
    return Refund(order.number, row.state, Money(row.cents, row.currency), row.updated_on)


def send_invoice(connection: Connection, order: Order, now: datetime) -> None:
    """Mail the invoice to the order's own address."""
    amount = f"{order.total.cents // 100}.{order.total.cents % 100:02d} {order.total.currency}"
    _mail(connection, "invoice", order.email, f"Invoice for order {order.number}: {amount}", now)


def balance_of(connection: Connection, customer_id: int) -> Money:
    """The customer's store credit; nothing on record is a balance of zero."""
    row = connection.execute(sa.select(balances).where(balances.c.customer_id == customer_id)).one_or_none()
    return Money(row.cents, row.currency) if row else Money(0, "EUR")


def request_password_reset(connection: Connection, email: str, code: str, now: datetime) -> None:
    """Mail a reset code if the address has an account; the caller can't tell whether it has."""
    recipient = email.strip().lower()
    row = connection.execute(sa.select(customers.c.id).where(customers.c.email == recipient)).one_or_none()
    if row is None:
        return
    good = sa.select(sa.func.count()).where(password_resets.c.customer_id == row.id, password_resets.c.expires_at > now)
    if (connection.execute(good).scalar() or 0) >= RESETS_AT_ONCE:
        return
    connection.execute(
        password_resets.insert().values(
            customer_id=row.id,
            code_sha256=_sha256(code),
            expires_at=now + RESET_CODE_LIFE,
        )
    )
    _mail(connection, "password_reset", recipient, f"Your reset code: {code}", now)


def redeem_reset(connection: Connection, email: str, code: str, password_hash: str, now: datetime) -> bool:
    """Set a new password if the code is good; it and all others of the customer are then used up."""
    row = connection.execute(sa.select(customers.c.id).where(customers.c.email == email)).one_or_none()
    if row is None:
        return False
    given = _sha256(code)
    of_customer = password_resets.c.customer_id == row.id
    query = sa.select(password_resets.c.code_sha256).where(of_customer, password_resets.c.expires_at > now)
    if not any(hmac.compare_digest(one.code_sha256, given) for one in connection.execute(query)):
        return False
    connection.execute(password_resets.delete().where(of_customer))
    connection.execute(passwords.delete().where(passwords.c.customer_id == row.id))
    connection.execute(passwords.insert().values(customer_id=row.id, hash=password_hash))
    return True


def open_ticket(
    connection: Connection,
    *,
    key: str,
    reference: str,
    topic: str,
    body: str,
    email: str | None,
    order_number: int | None,
    now: datetime,
) -> tuple[Ticket, bool]:
    """Open a ticket, or give back the one that this key opened; the flag says whether it is new."""
    existing = _ticket(connection, tickets.c.idempotency_key == key)
    if existing:
        return existing, False
    try:
        with connection.begin_nested():
            connection.execute(
                tickets.insert().values(
                    reference=reference,
                    idempotency_key=key,
                    topic=topic,
                    body=body,
                    email=email,
                    order_number=order_number,
                    state="open",
                    created_at=now,
                    updated_at=now,
                )
            )
    except IntegrityError:  # a retry overtook its first attempt
        existing = _ticket(connection, tickets.c.idempotency_key == key)
        if existing is None:
            raise
        return existing, False
    return Ticket(reference, topic, "open", now, now), True


def find_ticket(connection: Connection, reference: str) -> Ticket:
    """The ticket of that reference, or NotFound."""
    ticket = _ticket(connection, tickets.c.reference == reference.strip().upper())
    if ticket is None:
        raise NotFound(f"There is no ticket {reference}.", "Check the reference: T- and eight digits.")
    return ticket


def _ticket(connection: Connection, condition: Any) -> Ticket | None:
    row = connection.execute(sa.select(tickets).where(condition)).one_or_none()
    if row is None:
        return None
    return Ticket(row.reference, row.topic, row.state, _utc(row.created_at), _utc(row.updated_at))


def _return_of(connection: Connection, number: int) -> ReturnRequest | None:
    row = connection.execute(sa.select(return_requests).where(return_requests.c.order_number == number)).one_or_none()
    if row is None:
        return None
    return ReturnRequest(row.reference, row.order_number, row.state, _utc(row.created_at))


def _orders(connection: Connection, condition: Any) -> list[Order]:
    rows = connection.execute(sa.select(orders, customers.c.email).join(customers).where(condition)).all()
    lines = _items(connection, [row.number for row in rows])
    return [
        Order(
            number=row.number,
            customer_id=row.customer_id,
            email=row.email,
            status=row.status,
            placed_at=_utc(row.placed_at),
            carrier=row.carrier,
            tracking_code=row.tracking_code,
            expected_on=row.expected_on,
            delivered_on=row.delivered_on,
            shipping_address=row.shipping_address,
            total=Money(row.total_cents, row.currency),
            items=tuple(
                Item(line.sku, line.title, line.quantity, Money(line.unit_cents, row.currency))
                for line in lines
                if line.order_number == row.number
            ),
        )
        for row in rows
    ]


def _items(connection: Connection, numbers: Sequence[int]) -> Sequence[Any]:
    query = sa.select(order_items).where(order_items.c.order_number.in_(numbers)).order_by(order_items.c.id)
    return connection.execute(query).all()


def _mail(connection: Connection, kind: str, recipient: str, body: str, now: datetime) -> None:
    connection.execute(outbox.insert().values(kind=kind, recipient=recipient, body=body, created_at=now))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _utc(moment: datetime) -> datetime:
    """SQLite forgets the zone; everything is written in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
