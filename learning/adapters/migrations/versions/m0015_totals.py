"""Totals that only grow, days that change with a conversation's failures, and indexes for gaps and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

COUNTED = (
    "started, last_at, outcome, reason, sender, channel, turns, fallbacks, service_failures, thumb, csat, escalated_at,"
    " agent_at"
)
WITH_SIGNALS = f"{COUNTED}, signals"
DAYS = ("started", "last_at")


def upgrade() -> None:
    """Add the table and the indexes; a conversation in which another failure is found changes its day."""
    op.create_table(
        "metric_totals",
        sa.Column("channel", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("total", sa.BigInteger, nullable=False),
    )
    _watch(WITH_SIGNALS)
    op.drop_index("ix_failed_turns_gap_id", "failed_turns")
    op.create_index("ix_failed_turns_gap", "failed_turns", ["gap_id", "conversation_id"])
    op.create_index(
        "ix_conversations_of_gap", "conversations", ["conversation_id", "place", "frustration", "lowest_confidence"]
    )
    # The beginning of an item's id is looked for: PostgreSQL needs to be told, where words are sorted by a language.
    pattern = {"item": "text_pattern_ops"}
    op.create_index("ix_audit_item", "audit", ["item", "seq"], postgresql_ops=pattern)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_audit_item", "audit")
    op.drop_index("ix_conversations_of_gap", "conversations")
    op.drop_index("ix_failed_turns_gap", "failed_turns")
    op.create_index("ix_failed_turns_gap_id", "failed_turns", ["gap_id"])
    _watch(COUNTED)
    op.drop_table("metric_totals")
    # The figures of an older version have other names in them.
    op.execute("DELETE FROM meta WHERE key = 'metrics_version'")


def _watch(columns: str) -> None:
    """Note the days of a conversation whenever one of these columns is written; see migration 0009."""
    if op.get_bind().dialect.name == "sqlite":
        marks = " ".join(
            f"INSERT OR IGNORE INTO metric_dirty SELECT substr({row}.{day}, 1, 10) WHERE {row}.{day} IS NOT NULL;"
            for row in ("OLD", "NEW")
            for day in DAYS
        )
        op.execute("DROP TRIGGER metric_update")
        op.execute(f"CREATE TRIGGER metric_update AFTER UPDATE OF {columns} ON conversations BEGIN {marks} END")
    else:
        op.execute("DROP TRIGGER metric_day ON conversations")
        op.execute(
            f"CREATE TRIGGER metric_day AFTER INSERT OR UPDATE OF {columns} OR DELETE ON conversations"
            " FOR EACH ROW EXECUTE FUNCTION metric_day_changed()"
        )
