"""What is wrong now, since when, and who was told."""

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop the tables."""
