"""More kinds of proposals and who reads them; what agents answered, and when a label was used."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add tables and columns; what is there stays, but for what old scores were made of."""
    with op.batch_alter_table("proposals") as proposals:
        proposals.add_column(sa.Column("target", sa.String(255)))
        proposals.add_column(sa.Column("drafter", sa.String(128), nullable=False, server_default=""))
        proposals.add_column(sa.Column("warnings", sa.Text, nullable=False, server_default="[]"))
        proposals.add_column(sa.Column("assignee", sa.String(255)))
    with op.batch_alter_table("entries") as entries:
        entries.add_column(sa.Column("target", sa.String(255)))
    op.create_table(
        "second_readings",
        sa.Column("proposal_id", sa.String(16), primary_key=True),
        sa.Column("who", sa.String(255), primary_key=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "agent_answers",
        sa.Column("turn_id", sa.String(16), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("conversation_id", sa.String(16), nullable=False, index=True),
        sa.Column("sender", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "label_use",
        sa.Column("label", sa.String(255), primary_key=True),
        sa.Column("first_at", sa.DateTime, nullable=False),
        sa.Column("last_at", sa.DateTime, nullable=False),
    )
    # The parts were weighted otherwise: calibration would take their sums for raw scores. What waits is measured anew.
    op.execute(sa.table("proposals", sa.column("score_parts", sa.Text)).update().values(score_parts="[]"))
    op.execute(sa.table("gaps", sa.column("changed", sa.Boolean)).update().values(changed=True))


def downgrade() -> None:
    """Drop them, with the proposals and entries of kinds that were not known before."""
    newer = "kind IN ('merge', 'retire', 'reword')"
    op.execute(f"DELETE FROM entries WHERE {newer}")
    op.execute(f"DELETE FROM proposals WHERE {newer}")
    for name in ("label_use", "agent_answers", "second_readings"):
        op.drop_table(name)
    with op.batch_alter_table("entries") as entries:
        entries.drop_column("target")
    with op.batch_alter_table("proposals") as proposals:
        for name in ("assignee", "warnings", "drafter", "target"):
            proposals.drop_column(name)
