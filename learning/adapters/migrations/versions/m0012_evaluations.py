"""What models are measured by beside the hold-out, and what came out."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

# The gate's limits have a section of their own in the settings.
MOVED = (("setting:retrain.max_accuracy_drop", "setting:gate.max_accuracy_drop"),)


def upgrade() -> None:
    """Add the tables, empty: the next evaluation fills them; what was set in the hub keeps its value."""
    op.create_table(
        "regression_cases",
        sa.Column("case_id", sa.String(16), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("label", sa.String(255), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("item", sa.String(16), nullable=False),
        sa.Column("sender", sa.String(16), nullable=False, index=True),
        sa.Column("added_at", sa.DateTime, nullable=False),
        sa.Column("dropped_at", sa.DateTime),
    )
    op.create_table(
        "evaluations",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.DateTime, nullable=False, index=True),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("suites", sa.Text, nullable=False),
        sa.Column("p50_ms", sa.Float),
        sa.Column("p95_ms", sa.Float),
    )
    _rename(dict(MOVED))


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("evaluations")
    op.drop_table("regression_cases")
    _rename({new: old for old, new in MOVED})


def _rename(keys: dict[str, str]) -> None:
    meta = sa.table("meta", sa.column("key", sa.String))
    for old, new in keys.items():
        op.execute(sa.update(meta).where(meta.c.key == old).values(key=new))
