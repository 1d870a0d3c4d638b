"""What a model's first days are compared with."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the models that are watched; those that ran before are taken as they are."""
    op.create_table(
        "watched_models",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("replaced", sa.String(255), nullable=False),
        sa.Column("since", sa.DateTime, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("data", sa.String(64), nullable=False, server_default=""),
        sa.Column("said", sa.Text, nullable=False, server_default=""),
        sa.Column("ended_at", sa.DateTime),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("watched_models")
