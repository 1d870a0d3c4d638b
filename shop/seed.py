"""Filling an empty shop with the same plausible customers and orders every time."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from shop.tables import balances, customers, order_items, orders, refunds

CURRENCY = "EUR"
SEED = 20240342  # any fixed number: what matters is that it never changes
FIRST_ORDER = 10_001
ORDERS = 120
SHOWCASE_ORDER = 10_342  # the order that the documentation and the chat page ask about
NAMES = (
    "Ann Becker", "Luis Ortega", "Mei Tanaka", "Tom Hughes", "Sara Lindqvist", "Omar Haddad", "Julia Novak",
    "Ben Carter", "Priya Nair", "Noah Fischer", "Elena Rossi", "Jack Murphy", "Aisha Khan", "Peter Vogel",
    "Grace Kim", "Hugo Laurent", "Nina Petrova", "Sam Doyle", "Ines Costa", "Leo Brandt", "Ruth Ellis",
    "Karim Aziz", "Clara Jensen", "Max Weber", "Dana Cohen", "Felix Moreau", "Rosa Delgado", "Ian Fraser",
    "Hanna Virtanen", "Paul Greene", "Maya Singh", "Oscar Nyberg", "Lily Zhang", "Adam Kowalski",
    "Zoe Martin", "Erik Dahl", "Tara Quinn", "Victor Silva", "Alice Morgan", "George Papas",
)  # fmt: skip
STREETS = ("Maple Street", "Harbour Lane", "Mill Road", "Oak Avenue", "Station Road", "Hill Crescent")
TOWNS = ("Dublin 6", "Cork T12", "Galway H91", "Limerick V94", "Kilkenny R95")
CATALOG = (
    ("HB-CUSH", "Linen cushion", 2_490), ("HB-LAMP", "Oak table lamp", 6_900),
    ("HB-THRO", "Wool throw", 5_450),
    ("HB-MUGS", "Stoneware mugs, set of 4", 3_200), ("HB-RUGS", "Jute rug", 11_900),
    ("OD-TENT", "Two-person tent", 18_900), ("OD-BOTL", "Insulated bottle", 2_750),
    ("OD-CHAI", "Folding camp chair", 4_990), ("OD-LANT", "Solar lantern", 3_590),
    ("GA-PLAN", "Terracotta planter", 2_150), ("GA-TOOL", "Hand tool set", 3_980),
    ("GA-HOSE", "Garden hose, 20 m", 4_200),
)  # fmt: skip
CARRIERS = ("An Post", "DPD", "DHL")


@dataclass(frozen=True)
class _Plan:
    """What the seed wants of one order, relative to its today."""

    customer: int
    status: str
    placed_days_ago: int
    expected_in: int | None = None
    delivered_days_ago: int | None = None
    refund: str | None = None


# Ann's orders are fixed, so that one email address shows every path of the assistant.
FIXED = {
    SHOWCASE_ORDER: _Plan(1, "in_transit", 4, expected_in=2),
    10_007: _Plan(1, "delivered", 80, delivered_days_ago=75),
    10_017: _Plan(1, "processing", 1, expected_in=5),
    10_025: _Plan(1, "delivered", 14, delivered_days_ago=9),
    10_033: _Plan(1, "in_transit", 12, expected_in=-3),
    10_041: _Plan(1, "returned", 40, delivered_days_ago=35, refund="refunded"),
}


def seed(engine: Engine, today: date) -> bool:
    """Fill the database unless it already has customers; say whether anything was written."""
    with engine.begin() as connection:
        if connection.execute(sa.select(sa.func.count()).select_from(customers)).scalar_one():
            return False
        rng = random.Random(SEED)
        _customers(connection, rng)
        numbers = [FIRST_ORDER + offset for offset in range(ORDERS - 1)] + [SHOWCASE_ORDER]
        for number in numbers:
            _order(connection, rng, number, FIXED.get(number) or _any_plan(rng), today)
    return True


def _customers(connection: Connection, rng: random.Random) -> None:
    for number, name in enumerate(NAMES, start=1):
        first, last = name.lower().split()
        # Ann keeps the short address that the documentation uses.
        email = "ann@example.com" if number == 1 else f"{first}.{last}@example.com"
        address = f"{rng.randint(1, 180)} {rng.choice(STREETS)}, {rng.choice(TOWNS)}"
        connection.execute(customers.insert().values(id=number, email=email, name=name, address=address))
        credit = 2_500 if number == 1 else rng.choice((0, 0, 500, 1_000, 1_575, 4_200))
        connection.execute(balances.insert().values(customer_id=number, cents=credit, currency=CURRENCY))


def _any_plan(rng: random.Random) -> _Plan:
    customer = rng.randint(2, len(NAMES))
    kind = rng.choices(
        ("processing", "packed", "in_transit", "out_for_delivery", "delivered", "canceled", "returned"),
        weights=(14, 8, 20, 4, 40, 6, 8),
    )[0]
    if kind in ("processing", "packed"):
        return _Plan(customer, kind, rng.randint(0, 2), expected_in=rng.randint(3, 6))
    if kind == "in_transit":
        return _Plan(customer, kind, rng.randint(3, 8), expected_in=rng.randint(-3, 4))
    if kind == "out_for_delivery":
        return _Plan(customer, kind, rng.randint(3, 6), expected_in=0)
    if kind == "canceled":
        return _Plan(customer, kind, rng.randint(3, 60), refund=rng.choice(("pending", "refunded")))
    delivered = rng.randint(1, 90) if kind == "delivered" else rng.randint(10, 90)
    refund = rng.choice(("pending", "refunded")) if kind == "returned" else None
    return _Plan(customer, kind, delivered + rng.randint(3, 6), delivered_days_ago=delivered, refund=refund)


def _order(connection: Connection, rng: random.Random, number: int, plan: _Plan, today: date) -> None:
    placed = datetime.combine(today - timedelta(days=plan.placed_days_ago), time(9, 0), timezone.utc)
    shipped = plan.status not in ("processing", "packed", "canceled")
    lines = rng.sample(CATALOG, k=rng.randint(1, 3))
    quantities = [rng.randint(1, 3) for _ in lines]
    total = sum(quantity * line[2] for quantity, line in zip(quantities, lines, strict=True))
    address = connection.execute(sa.select(customers.c.address).where(customers.c.id == plan.customer)).scalar_one()
    connection.execute(
        orders.insert().values(
            number=number,
            customer_id=plan.customer,
            status=plan.status,
            placed_at=placed + timedelta(minutes=rng.randint(0, 600)),
            carrier=rng.choice(CARRIERS) if shipped else None,
            tracking_code=f"FW{rng.randint(10**9, 10**10 - 1)}IE" if shipped else None,
            expected_on=_relative(today, plan.expected_in),
            delivered_on=_relative(today, None if plan.delivered_days_ago is None else -plan.delivered_days_ago),
            shipping_address=address,
            total_cents=total,
            currency=CURRENCY,
        )
    )
    for quantity, (sku, title, cents) in zip(quantities, lines, strict=True):
        connection.execute(
            order_items.insert().values(order_number=number, sku=sku, title=title, quantity=quantity, unit_cents=cents)
        )
    if plan.refund:
        connection.execute(
            refunds.insert().values(
                order_number=number,
                state=plan.refund,
                cents=total,
                currency=CURRENCY,
                updated_on=today - timedelta(days=rng.randint(1, 3)),
            )
        )


def _relative(today: date, days: int | None) -> date | None:
    return None if days is None else today + timedelta(days=days)
