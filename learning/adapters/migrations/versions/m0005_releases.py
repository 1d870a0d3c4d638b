"""Releases with what they changed, rollouts, experiments, pull requests, deployed models, and what answers led to."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add tables and columns; each release so far becomes one that brought its entry to everybody."""
    with op.batch_alter_table("conversations") as conversations:
        for name in ("answered", "thumbs_down", "fallback_after", "handoff_after"):
            conversations.add_column(sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "exposures",
        sa.Column("turn_id", sa.String(16), primary_key=True),
        sa.Column("subject", sa.String(16), primary_key=True),
        sa.Column("conversation_id", sa.String(16), nullable=False, index=True),
        sa.Column("sender", sa.String(16), nullable=False),
        sa.Column("arm", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("thumbs_down", sa.Boolean, nullable=False),
        sa.Column("fallback_after", sa.Boolean, nullable=False),
        sa.Column("handoff_after", sa.Boolean, nullable=False),
    )
    op.create_index("ix_exposures_subject", "exposures", ["subject", "at"])
    with op.batch_alter_table("entries") as entries:
        entries.add_column(sa.Column("share", sa.Integer, nullable=False, server_default="100"))
        entries.add_column(sa.Column("absorbed_by", sa.String(255)))
        entries.add_column(sa.Column("changed", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("ix_entries_changed", "entries", ["changed"])
    op.create_table(
        "quarantine",
        sa.Column("entry_id", sa.String(16), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
    )
    _releases()
    op.create_table(
        "rollouts",
        sa.Column("entry_id", sa.String(16), primary_key=True),
        sa.Column("steps", sa.Text, nullable=False),
        sa.Column("at_step", sa.Integer, nullable=False),
        sa.Column("hours", sa.Float, nullable=False),
        sa.Column("since", sa.DateTime, nullable=False),
        sa.Column("stopped", sa.Text, nullable=False, server_default=""),
    )
    op.create_table(
        "experiments",
        sa.Column("experiment_id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("label", sa.String(255), nullable=False),
        sa.Column("response", sa.String(255), nullable=False),
        sa.Column("metric", sa.String(16), nullable=False),
        sa.Column("variants", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("started_at", sa.DateTime),
        sa.Column("ended_at", sa.DateTime),
        sa.Column("winner", sa.String(64)),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
    )
    op.create_table(
        "pull_requests",
        sa.Column("pull_id", sa.String(16), primary_key=True),
        sa.Column("branch", sa.String(255), nullable=False),
        sa.Column("proposals", sa.Text, nullable=False),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("opened_at", sa.DateTime, nullable=False),
        sa.Column("number", sa.Integer),
        sa.Column("url", sa.Text, nullable=False, server_default=""),
        sa.Column("read_at", sa.DateTime),
        sa.Column("conflicts", sa.Text, nullable=False, server_default="[]"),
    )
    op.create_table(
        "deployed_models",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("replaced", sa.String(255), nullable=False),
        sa.Column("rolled_back_at", sa.DateTime),
    )


def _releases() -> None:
    """Part what a release changed from the release, and tell of the entries that are not live any more."""
    op.create_table(
        "release_changes",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("item_id", sa.String(16), primary_key=True),
        sa.Column("before", sa.Integer, nullable=False),
        sa.Column("after", sa.Integer, nullable=False),
    )
    op.execute(
        "INSERT INTO release_changes (number, item_id, before, after) SELECT number, entry_id, 0, 100 FROM releases"
    )
    with op.batch_alter_table("releases") as releases:
        releases.add_column(sa.Column("what", sa.String(16), nullable=False, server_default="publish"))
        releases.add_column(sa.Column("reason", sa.Text, nullable=False, server_default=""))
        releases.add_column(sa.Column("undoes", sa.Integer))
        releases.drop_column("entry_id")
