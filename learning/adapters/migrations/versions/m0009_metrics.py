"""Daily figures with the days on which they have changed, kept by triggers; and what back ends were asked."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

# What daily figures are counted from: other columns may change without a day being counted anew.
COUNTED = (
    "started, last_at, outcome, reason, sender, channel, turns, fallbacks, service_failures, thumb, csat, escalated_at,"
    " agent_at"
)
EVENTS = {"INSERT": ("NEW",), f"UPDATE OF {COUNTED}": ("OLD", "NEW"), "DELETE": ("OLD",)}
DAYS = ("started", "last_at")  # who begins a conversation may have come back after one of the days before


def upgrade() -> None:
    """Add the tables and triggers; every day that has conversations waits to be counted."""
    op.create_table(
        "service_calls",
        sa.Column("conversation_id", sa.String(16), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("ms", sa.Float, nullable=False),
    )
    op.create_table(
        "metric_days",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("channel", sa.String(64), primary_key=True),
        sa.Column("figures", sa.Text, nullable=False),
    )
    op.create_table("metric_dirty", sa.Column("day", sa.String(10), primary_key=True))
    op.create_index("ix_conversations_started", "conversations", ["started"])
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_triggers()
        day = "substr(last_at, 1, 10)"
    else:
        _postgresql_trigger()
        day = "to_char(last_at, 'YYYY-MM-DD')"
    op.execute(f"INSERT INTO metric_dirty SELECT DISTINCT {day} FROM conversations WHERE last_at IS NOT NULL")


def downgrade() -> None:
    """Drop the figures and what back ends were asked; they can be mined again."""
    if op.get_bind().dialect.name == "sqlite":
        for event in EVENTS:
            op.execute(f"DROP TRIGGER metric_{event.partition(' ')[0].lower()}")
    else:
        op.execute("DROP TRIGGER metric_day ON conversations")
        op.execute("DROP FUNCTION metric_day_changed()")
    op.drop_index("ix_conversations_started", "conversations")
    for name in ("metric_dirty", "metric_days", "service_calls"):
        op.drop_table(name)


def _sqlite_triggers() -> None:
    for event, rows in EVENTS.items():
        marks = " ".join(
            f"INSERT OR IGNORE INTO metric_dirty SELECT substr({row}.{day}, 1, 10) WHERE {row}.{day} IS NOT NULL;"
            for row in rows
            for day in DAYS
        )
        name = event.partition(" ")[0].lower()
        op.execute(f"CREATE TRIGGER metric_{name} AFTER {event} ON conversations BEGIN {marks} END")


def _postgresql_trigger() -> None:
    def mark(row: str) -> str:
        return " ".join(
            f"IF {row}.{day} IS NOT NULL THEN INSERT INTO metric_dirty"
            f" VALUES (to_char({row}.{day}, 'YYYY-MM-DD')) ON CONFLICT DO NOTHING; END IF;"
            for day in DAYS
        )

    op.execute(
        "CREATE FUNCTION metric_day_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF TG_OP <> 'INSERT' THEN {mark('OLD')} END IF; IF TG_OP <> 'DELETE' THEN {mark('NEW')} END IF;"
        " RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER metric_day AFTER {' OR '.join(EVENTS)} ON conversations"
        " FOR EACH ROW EXECUTE FUNCTION metric_day_changed()"
    )
