"""Which of the agents' answers the assistant should have given, by the agents' own word."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the mark; of former answers nobody has said so."""
    op.add_column("agent_answers", sa.Column("recommended", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Drop the mark."""
    op.drop_column("agent_answers", "recommended")
