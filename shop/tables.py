"""The shop's tables; money columns are integer cents beside a currency."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

customers = sa.Table(
    "customers",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("email", sa.String(254), nullable=False, unique=True),  # always lower case
    sa.Column("name", sa.String(120), nullable=False),
    sa.Column("address", sa.String(300), nullable=False),
)

balances = sa.Table(
    "balances",
    metadata,
    sa.Column("customer_id", sa.ForeignKey("customers.id"), primary_key=True),
    sa.Column("cents", sa.Integer, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
)

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("customer_id", sa.ForeignKey("customers.id"), nullable=False, index=True),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("carrier", sa.String(40)),
    sa.Column("tracking_code", sa.String(40)),
    sa.Column("expected_on", sa.Date),
    sa.Column("delivered_on", sa.Date),
    sa.Column("shipping_address", sa.String(300), nullable=False),
    sa.Column("total_cents", sa.Integer, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
)

order_items = sa.Table(
    "order_items",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("order_number", sa.ForeignKey("orders.number"), nullable=False, index=True),
    sa.Column("sku", sa.String(20), nullable=False),
    sa.Column("title", sa.String(120), nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("unit_cents", sa.Integer, nullable=False),
)

refunds = sa.Table(
    "refunds",
    metadata,
    sa.Column("order_number", sa.ForeignKey("orders.number"), primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("cents", sa.Integer, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("updated_on", sa.Date, nullable=False),
)

return_requests = sa.Table(
    "return_requests",
    metadata,
    sa.Column("reference", sa.String(20), primary_key=True),
    # One return an order: asking twice gives the same reference.
    sa.Column("order_number", sa.ForeignKey("orders.number"), nullable=False, unique=True),
    sa.Column("reason", sa.String(500), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
)

tickets = sa.Table(
    "tickets",
    metadata,
    sa.Column("reference", sa.String(20), primary_key=True),
    sa.Column("idempotency_key", sa.String(100), nullable=False, unique=True),
    sa.Column("topic", sa.String(40), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("email", sa.String(254)),
    sa.Column("order_number", sa.Integer),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
)

password_resets = sa.Table(
    "password_resets",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("customer_id", sa.ForeignKey("customers.id"), nullable=False, index=True),
    sa.Column("code_sha256", sa.String(64), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
)

# Mail to customers. It leaves the machine only where EVERGREEN_SHOP_SMTP names a mail server.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String(30), nullable=False),
    sa.Column("recipient", sa.String(254), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
)

# What became of a mail; none until the first try. A table of its own, so that older databases need no change.
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("outbox_id", sa.ForeignKey("outbox.id"), primary_key=True, autoincrement=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("tried_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("sent_at", sa.DateTime(timezone=True)),
)

# Keys of requests that were carried out and must not be carried out again.
done_requests = sa.Table(
    "done_requests",
    metadata,
    sa.Column("key", sa.String(100), primary_key=True),
    sa.Column("what", sa.String(60), primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
)

# Order numbers and email addresses that did not belong together: whoever guesses one or the other is stopped.
wrong_guesses = sa.Table(
    "wrong_guesses",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("order_number", sa.Integer, nullable=False, index=True),
    sa.Column("email_sha256", sa.String(64), nullable=False, index=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
)

passwords = sa.Table(
    "passwords",
    metadata,
    sa.Column("customer_id", sa.ForeignKey("customers.id"), primary_key=True),
    sa.Column("hash", sa.String(200), nullable=False),
)
