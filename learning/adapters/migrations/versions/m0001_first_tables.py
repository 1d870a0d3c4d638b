"""The first tables of the learning database."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "meta",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
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
        "gaps",
        sa.Column("gap_id", sa.String(16), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("intent", sa.String(255)),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("priority", sa.String(16), nullable=False),
        sa.Column("people", sa.Integer, nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("first_seen", sa.DateTime, nullable=False),
        sa.Column("last_seen", sa.DateTime, nullable=False),
    )
    op.create_table(
        "gap_members",
        sa.Column("turn_id", sa.String(16), primary_key=True),
        sa.Column("gap_id", sa.String(16), nullable=False, index=True),
    )
    op.create_table(
        "proposals",
        sa.Column("proposal_id", sa.String(16), primary_key=True),
        sa.Column("gap_id", sa.String(16), nullable=False, index=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("label", sa.String(255), nullable=False),
        sa.Column("examples", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("sources", sa.Text, nullable=False),
        sa.Column("score", sa.Integer, nullable=False),
        sa.Column("score_parts", sa.Text, nullable=False),
        sa.Column("people", sa.Integer, nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("deferred_until", sa.DateTime),
        sa.Column("deferred_turns", sa.Integer),
        sa.Column("replay", sa.Text),
    )
    op.create_table(
        "decisions",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("proposal_id", sa.String(16), nullable=False, index=True),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "entries",
        sa.Column("entry_id", sa.String(16), primary_key=True),
        sa.Column("proposal_id", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("label", sa.String(255), nullable=False),
        sa.Column("examples", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("vectors", sa.LargeBinary),
        sa.Column("encoder", sa.String(255), nullable=False),
        sa.Column("release", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
    )
    op.create_table(
        "releases",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("entry_id", sa.String(16), nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("commit", sa.String(64)),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("what", sa.String(64), nullable=False),
        sa.Column("item", sa.String(255), nullable=False),
        sa.Column("before", sa.String(32), nullable=False),
        sa.Column("after", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence_hash", sa.String(64), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("row_hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("started", sa.DateTime, nullable=False),
        sa.Column("finished", sa.DateTime, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("runs")
    op.drop_table("audit")
    op.drop_table("releases")
    op.drop_table("entries")
    op.drop_table("decisions")
    op.drop_table("proposals")
    op.drop_table("gap_members")
    op.drop_table("gaps")
    op.drop_table("good_turns")
    op.drop_table("conversations")
    op.drop_table("signals")
    op.drop_table("meta")
