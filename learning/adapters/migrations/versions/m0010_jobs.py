"""Jobs that workers do in the background, and what each deployed model was made of."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the jobs, the workers, and the card of a model; of former models nothing is known."""
    op.create_table(
        "jobs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("asked", sa.Text, nullable=False, server_default="{}"),
        sa.Column("started", sa.DateTime),
        sa.Column("finished", sa.DateTime),
        sa.Column("worker", sa.String(255), nullable=False, server_default=""),
        sa.Column("heartbeat", sa.DateTime),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("step", sa.String(32), nullable=False, server_default=""),
        sa.Column("step_at", sa.DateTime),
        sa.Column("timings", sa.Text, nullable=False, server_default="[]"),
        sa.Column("message", sa.Text, nullable=False, server_default=""),
        sa.Column("report", sa.Text, nullable=False, server_default="{}"),
        sa.Column("cancelled_by", sa.String(255), nullable=False, server_default=""),
    )
    op.create_table(
        "workers",
        sa.Column("worker", sa.String(255), primary_key=True),
        sa.Column("kinds", sa.String(255), nullable=False),
        sa.Column("heartbeat", sa.DateTime, nullable=False),
    )
    op.add_column("deployed_models", sa.Column("card", sa.Text, nullable=False, server_default="{}"))


def downgrade() -> None:
    """Drop the jobs, the workers and the cards."""
    op.drop_column("deployed_models", "card")
    op.drop_table("workers")
    op.drop_table("jobs")
