"""What a model's first days are compared with."""

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Drop the tables."""
