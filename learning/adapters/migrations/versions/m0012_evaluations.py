"""What models are measured by beside the hold-out, and what came out."""

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop the tables."""
