"""What a customer chose when the bot asked what was meant."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the chosen label to the signals; what was mined before has none."""
    op.add_column("signals", sa.Column("clarified", sa.String(255)))


def downgrade() -> None:
    """Drop what customers chose."""
    op.drop_column("signals", "clarified")
