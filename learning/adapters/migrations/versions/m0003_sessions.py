"""Conversations are sessions, a failed turn is one row with its signals beside it, gaps carry figures and a mean."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

GAP_FIGURES = (
    *("week", "trend", "cost", "satisfaction", "rank", "handled_at", "reopened_at", "mean", "mean_of", "metric"),
    "changed",
)


def upgrade() -> None:
    """Make the new tables and move what was mined into them; gaps keep their members."""
    connection = op.get_bind()
    old = {
        name: [dict(row._mapping) for row in connection.execute(sa.text(f"SELECT * FROM {name}"))]
        for name in ("signals", "conversations", "good_turns", "gap_members")
    }
    watermark = connection.execute(sa.text("SELECT value FROM meta WHERE key = 'tracker_watermark'")).scalar()
    for name in old:
        op.drop_table(name)
    _create_tables()
    with op.batch_alter_table("gaps") as gaps:
        gaps.add_column(sa.Column("week", sa.Integer, nullable=False, server_default="0"))
        gaps.add_column(sa.Column("trend", sa.Float, nullable=False, server_default="1"))
        gaps.add_column(sa.Column("cost", sa.Float, nullable=False, server_default="1"))
        gaps.add_column(sa.Column("satisfaction", sa.Float))
        gaps.add_column(sa.Column("rank", sa.Float, nullable=False, server_default="0"))
        gaps.add_column(sa.Column("handled_at", sa.DateTime))
        gaps.add_column(sa.Column("reopened_at", sa.DateTime))
        gaps.add_column(sa.Column("mean", sa.LargeBinary))
        gaps.add_column(sa.Column("mean_of", sa.Integer, nullable=False, server_default="0"))
        gaps.add_column(sa.Column("metric", sa.String(64), nullable=False, server_default=""))
        gaps.add_column(sa.Column("changed", sa.Boolean, nullable=False, server_default=sa.true()))
    _move(connection, old, int(watermark or 0))


def downgrade() -> None:
    """Put what was mined back into the tables of before: a sender has one conversation, and ratings are gone."""
    connection = op.get_bind()
    read = {
        name: [dict(row._mapping) for row in connection.execute(sa.text(query))]
        for name, query in (
            ("turns", "SELECT * FROM failed_turns ORDER BY turn_id"),
            ("signals", "SELECT * FROM signals ORDER BY turn_id, kind"),
            ("talks", "SELECT * FROM conversations ORDER BY sender, last_at"),
            (
                "good",
                "SELECT g.turn_id, c.sender, g.text, g.label FROM good_turns g"
                " JOIN conversations c ON c.conversation_id = g.conversation_id",
            ),
        )
    }
    for name in ("forgotten", "vectors", "good_turns", "ratings", "signals", "failed_turns", "conversations"):
        op.drop_table(name)
    with op.batch_alter_table("gaps") as gaps:
        for name in GAP_FIGURES:
            gaps.drop_column(name)
    _create_former_tables()
    _move_back(connection, read)


def _create_tables() -> None:
    op.create_table(
        "conversations",
        sa.Column("conversation_id", sa.String(16), primary_key=True),
        sa.Column("sender", sa.String(16), nullable=False, index=True),
        sa.Column("started", sa.DateTime),
        sa.Column("last_at", sa.DateTime),
        sa.Column("first_row", sa.BigInteger, nullable=False),
        sa.Column("last_row", sa.BigInteger, nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("failed_turns", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False, index=True),
        sa.Column("reason", sa.String(255), nullable=False),
    )
    op.create_table(
        "failed_turns",
        sa.Column("turn_id", sa.String(16), primary_key=True),
        sa.Column("conversation_id", sa.String(16), nullable=False, index=True),
        sa.Column("sender", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("intent", sa.String(255), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False, index=True),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("clarified", sa.String(255)),
        sa.Column("stage", sa.String(8), nullable=False),
        sa.Column("gap_id", sa.String(16), index=True),
        sa.Column("vector", sa.LargeBinary),
    )
    op.create_index("ix_failed_turns_order", "failed_turns", ["stage", "at", "turn_id"])
    op.create_table(
        "signals",
        sa.Column("turn_id", sa.String(16), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
    )
    op.create_table(
        "ratings",
        sa.Column("turn_id", sa.String(16), primary_key=True),
        sa.Column("conversation_id", sa.String(16), nullable=False, index=True),
        sa.Column("sender", sa.String(16), nullable=False),
        sa.Column("label", sa.String(255), nullable=False),
        sa.Column("score", sa.Float, nullable=False),
    )
    op.create_table(
        "good_turns",
        sa.Column("turn_id", sa.String(16), primary_key=True),
        sa.Column("conversation_id", sa.String(16), nullable=False, index=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("label", sa.String(255), nullable=False),
    )
    op.create_table(
        "vectors",
        sa.Column("key", sa.String(16), primary_key=True),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "forgotten",
        sa.Column("sender", sa.String(16), primary_key=True),
        sa.Column("until", sa.DateTime, nullable=False),
    )


def _move(connection: sa.engine.Connection, old: dict[str, list[dict[str, object]]], watermark: int) -> None:
    """Fill the new tables.

    A sender's whole history becomes one conversation that begins at row 0: the sender's next message makes it be read
    again and cut into sessions.
    """
    gap_of = {row["turn_id"]: row["gap_id"] for row in old["gap_members"]}
    turns: dict[object, dict[str, object]] = {}
    for row in old["signals"]:
        turn = turns.setdefault(
            row["turn_id"],
            {
                **{key: row[key] for key in ("turn_id", "sender", "text", "intent", "confidence", "at", "channel")},
                "conversation_id": row["sender"],
                "clarified": row["clarified"],
                "weight": 0.0,
                "gap_id": gap_of.get(row["turn_id"]),
            },
        )
        if row["kind"] != "backend_failure":
            turn["weight"] = 1 - (1 - float(str(turn["weight"]))) * (1 - float(str(row["weight"])))
    for turn in turns.values():
        turn["stage"] = "gap" if turn["gap_id"] else "fresh" if turn["weight"] else "service"
    rows: dict[str, list[dict[str, object]]] = {
        "conversations": [
            {
                "conversation_id": row["sender"],
                "sender": row["sender"],
                "started": row["last_at"],
                "last_at": row["last_at"],
                "first_row": 0,
                "last_row": watermark,
                "turns": row["turns"],
                "failed_turns": row["failed_turns"],
                "outcome": "open",
                "reason": "",
            }
            for row in old["conversations"]
        ],
        "failed_turns": list(turns.values()),
        "signals": [{key: row[key] for key in ("turn_id", "kind", "weight", "evidence")} for row in old["signals"]],
        "good_turns": [
            {"turn_id": row["turn_id"], "conversation_id": row["sender"], "text": row["text"], "label": row["label"]}
            for row in old["good_turns"]
        ],
    }
    for name, items in rows.items():
        if items:
            names = ", ".join(items[0])
            values = ", ".join(f":{key}" for key in items[0])
            connection.execute(sa.text(f"INSERT INTO {name} ({names}) VALUES ({values})"), items)


def _create_former_tables() -> None:
    op.create_table(
        "signals",
        sa.Column("signal_id", sa.String(16), primary_key=True),
        sa.Column("turn_id", sa.String(16), nullable=False, index=True),
        sa.Column("sender", sa.String(16), nullable=False, index=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("intent", sa.String(255), nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("clarified", sa.String(255)),
    )
    op.create_table(
        "conversations",
        sa.Column("sender", sa.String(16), primary_key=True),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("failed_turns", sa.Integer, nullable=False),
        sa.Column("last_at", sa.DateTime),
    )
    op.create_table(
        "good_turns",
        sa.Column("turn_id", sa.String(16), primary_key=True),
        sa.Column("sender", sa.String(16), nullable=False, index=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("label", sa.String(255), nullable=False),
    )
    op.create_table(
        "gap_members",
        sa.Column("turn_id", sa.String(16), primary_key=True),
        sa.Column("gap_id", sa.String(16), nullable=False, index=True),
    )


def _move_back(connection: sa.engine.Connection, read: dict[str, list[dict[str, object]]]) -> None:
    turns = {row["turn_id"]: row for row in read["turns"]}
    kept = ("turn_id", "sender", "text", "intent", "confidence", "at", "channel", "clarified")
    senders: dict[object, dict[str, object]] = {}
    for row in read["talks"]:  # by time: the last one's is the newest
        sender = senders.setdefault(row["sender"], {"sender": row["sender"], "turns": 0, "failed_turns": 0})
        for name in ("turns", "failed_turns"):
            sender[name] = int(str(sender[name])) + int(str(row[name]))
        sender["last_at"] = row["last_at"]
    rows: dict[str, list[dict[str, object]]] = {
        "conversations": list(senders.values()),
        "signals": [
            {
                "signal_id": hashlib.sha256(f"{row['turn_id']} {row['kind']}".encode()).hexdigest()[:16],
                **{name: turns[row["turn_id"]][name] for name in kept},
                **{name: row[name] for name in ("kind", "weight", "evidence")},
            }
            for row in read["signals"]
            if row["turn_id"] in turns
        ],
        "good_turns": read["good"],
        "gap_members": [{name: row[name] for name in ("turn_id", "gap_id")} for row in read["turns"] if row["gap_id"]],
    }
    for name, items in rows.items():
        if items:
            names = ", ".join(items[0])
            values = ", ".join(f":{key}" for key in items[0])
            connection.execute(sa.text(f"INSERT INTO {name} ({names}) VALUES ({values})"), items)
