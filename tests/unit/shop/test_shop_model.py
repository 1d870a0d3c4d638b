"""The shop's rules about orders, and the seed that is always the same."""

from __future__ import annotations

from datetime import date, datetime, timezone

import pytest
import sqlalchemy as sa

from shop.database import open_database
from shop.model import Money, Order
from shop.seed import ORDERS, SHOWCASE_ORDER, seed
from shop.tables import customers, orders

TODAY = date(2024, 6, 10)


def order(**changes) -> Order:
    values = {
        "number": 10001,
        "customer_id": 1,
        "email": "ann@example.com",
        "status": "delivered",
        "placed_at": datetime(2024, 5, 1, tzinfo=timezone.utc),
        "carrier": "DHL",
        "tracking_code": "FW1",
        "expected_on": None,
        "delivered_on": date(2024, 5, 11),
        "shipping_address": "1 Old Street",
        "total": Money(100, "EUR"),
        "items": (),
    }
    return Order(**{**values, **changes})


def test_the_last_day_of_the_return_window_counts():
    assert order().can_be_returned(date(2024, 6, 10))
    assert not order().can_be_returned(date(2024, 6, 11))


@pytest.mark.parametrize(
    ("placed", "until"),
    [
        (datetime(2024, 10, 31, tzinfo=timezone.utc), date(2024, 12, 4)),
        (datetime(2024, 11, 1, tzinfo=timezone.utc), date(2025, 1, 31)),
        (datetime(2024, 12, 24, tzinfo=timezone.utc), date(2025, 1, 31)),
    ],
)
def test_christmas_orders_have_until_the_end_of_january(placed, until):
    assert order(placed_at=placed, delivered_on=date(2024, 11, 4)).return_until() == until


@pytest.mark.parametrize(("status", "late"), [("in_transit", True), ("packed", True), ("delivered", False)])
def test_only_what_has_not_arrived_is_late(status, late):
    assert order(status=status, expected_on=date(2024, 6, 9)).is_late(TODAY) is late
    assert not order(status=status, expected_on=TODAY).is_late(TODAY)


def test_the_public_view_holds_nothing_personal():
    public = order().public_json(TODAY)
    assert set(public) == {
        "order_number", "status", "carrier", "expected_on", "delivered_on", "late", "item_count",
    }  # fmt: skip


def rows(engine):
    with engine.connect() as connection:
        return connection.execute(sa.select(orders).order_by(orders.c.number)).all()


def test_the_seed_is_the_same_every_time_and_runs_once(tmp_path):
    first = open_database(f"sqlite:///{tmp_path}/a.db")
    second = open_database(f"sqlite:///{tmp_path}/b.db")
    assert seed(first, TODAY)
    assert seed(second, TODAY)
    assert rows(first) == rows(second)
    assert not seed(first, TODAY)
    assert len(rows(first)) == ORDERS


def test_the_showcase_order_is_in_transit(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path}/shop.db")
    seed(engine, TODAY)
    (found,) = [row for row in rows(engine) if row.number == SHOWCASE_ORDER]
    assert (found.status, found.expected_on) == ("in_transit", date(2024, 6, 12))
    assert found.carrier
    assert found.tracking_code
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(customers)).scalar_one() == 40
