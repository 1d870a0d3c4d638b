"""The tables of the desk's own database. What customers wrote is not among them: that stays in the tracker store."""

from __future__ import annotations

import sqlalchemy as sa

from learning.sql import UtcTime

VERSION = "1"
metadata = sa.MetaData()
Id = sa.String(64)

meta = sa.Table(
    "desk_meta",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
handovers = sa.Table(
    "desk_handovers",
    metadata,
    sa.Column("handover_id", Id, primary_key=True),
    sa.Column("sender_id", sa.String(255), nullable=False, index=True),
    sa.Column("reason", sa.String(32), nullable=False),
    sa.Column("asked_at", UtcTime, nullable=False),
    sa.Column("row_id", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("live", sa.Boolean, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("channel", sa.String(64), nullable=False),
    sa.Column("topic", sa.String(255), nullable=False),
    sa.Column("mood", sa.Float, nullable=False),
    sa.Column("reference", sa.String(64), nullable=False),
    sa.Column("due_at", UtcTime),
    sa.Column("agent", sa.String(255)),
    sa.Column("waiting_since", UtcTime),
    sa.Column("taken_at", UtcTime),
    sa.Column("answered_at", UtcTime),
    sa.Column("closed_at", UtcTime),
    sa.Column("closed_by", sa.String(255)),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("customer_at", UtcTime),
    sa.Column("customer_row", sa.BigInteger, nullable=False),
    sa.Column("seen_row", sa.BigInteger, nullable=False),
    sa.Column("read_row", sa.BigInteger, nullable=False),
    sa.Column("external_id", sa.String(255), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)
# The database itself refuses a second open hand-over of a conversation.
sa.Index(
    "desk_one_open",
    handovers.c.sender_id,
    unique=True,
    sqlite_where=handovers.c.state.in_(("waiting", "taken")),
    postgresql_where=handovers.c.state.in_(("waiting", "taken")),
)
messages = sa.Table(
    "desk_messages",
    metadata,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("message_id", Id, nullable=False, unique=True),
    sa.Column("handover_id", Id, sa.ForeignKey("desk_handovers.handover_id"), nullable=False, index=True),
    sa.Column("sender_id", sa.String(255), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("agent", sa.String(255), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", UtcTime),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("taught", sa.Boolean, nullable=False),
)
steps = sa.Table(
    "desk_steps",
    metadata,
    sa.Column("step_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("handover_id", Id, sa.ForeignKey("desk_handovers.handover_id"), nullable=False, index=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("what", sa.String(32), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("key", sa.String(64), unique=True),  # of the event that caused it; reading it again adds nothing
)
agents = sa.Table(
    "desk_agents",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("seen_at", UtcTime, nullable=False),
    sa.Column("on_duty", sa.Boolean, nullable=False),
)
TABLES = (steps, messages, handovers)
