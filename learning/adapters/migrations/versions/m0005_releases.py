"""Releases with what they changed, rollouts, experiments, pull requests, deployed models, and what answers led to."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add tables and columns; each release so far becomes one that brought its entry to everybody."""
    with op.batch_alter_table("conversations") as conversations:
        for name in ("answered", "thumbs_down", "fallback_after", "handoff_after", "thumb"):
            conversations.add_column(sa.Column(name, sa.Integer, nullable=False, server_default="0"))
        conversations.add_column(sa.Column("csat", sa.Integer))
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
        entries.add_column(sa.Column("held_by", sa.String(255)))
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
        sa.Column("taught", sa.Text, nullable=False, server_default="[]"),
    )
    _history(op.get_bind())


def downgrade() -> None:
    """Drop them; of the releases those stay that brought one entry to everybody."""
    connection = op.get_bind()
    with op.batch_alter_table("releases") as releases:
        releases.add_column(sa.Column("entry_id", sa.String(16), nullable=False, server_default=""))
    op.execute(
        "UPDATE releases SET entry_id = COALESCE((SELECT MIN(item_id) FROM release_changes"
        " WHERE release_changes.number = releases.number AND after > 0), '')"
    )
    op.execute("DELETE FROM releases WHERE what <> 'publish' OR entry_id = ''")
    with op.batch_alter_table("releases") as releases:
        for name in ("undoes", "reason", "what"):
            releases.drop_column(name)
        releases.alter_column("entry_id", existing_type=sa.String(16), existing_nullable=False, server_default=None)
    for name in ("deployed_models", "pull_requests", "experiments", "rollouts", "release_changes", "quarantine"):
        op.drop_table(name)
    op.drop_table("exposures")
    op.drop_index("ix_entries_changed", "entries")
    with op.batch_alter_table("entries") as entries:
        for name in ("changed", "held_by", "absorbed_by", "share"):
            entries.drop_column(name)
    with op.batch_alter_table("conversations") as conversations:
        for name in ("csat", "thumb", "handoff_after", "fallback_after", "thumbs_down", "answered"):
            conversations.drop_column(name)
    connection.execute(sa.text("DELETE FROM meta WHERE key = 'running_model'"))


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


EVERYBODY = 100
_ENTRIES = sa.table("entries", *(sa.column(name) for name in ("entry_id", "state", "release", "absorbed_by")))
_AUDIT = sa.table("audit", *(sa.column(name) for name in ("seq", "at", "who", "what", "item", "reason")))
_CHANGES = sa.table("release_changes", *(sa.column(name) for name in ("number", "item_id", "before", "after")))
_RELEASES = sa.table("releases", *(sa.column(name) for name in ("number", "what", "who", "at", "reason", "commit")))
_RUNS = sa.table("runs", *(sa.column(name) for name in ("number", "job", "finished", "outcome", "summary")))
_MODELS = sa.table(
    "deployed_models", *(sa.column(name) for name in ("name", "at", "replaced", "rolled_back_at", "taught"))
)


def _history(connection: Connection) -> None:
    """Tell what releases did not tell so far: withdrawals, and which models there were."""
    entries = connection.execute(sa.select(_ENTRIES)).all()
    _once_published(connection)
    _withdrawals(connection, [row.entry_id for row in entries if row.state == "withdrawn"])
    _models(connection, entries)


def _once_published(connection: Connection) -> None:
    """Let what was published anew be live already: that it had been taken back in between stands in the audit log."""
    query = sa.select(_CHANGES.c.item_id, sa.func.min(_CHANGES.c.number).label("first")).group_by(_CHANGES.c.item_id)
    for row in connection.execute(query).all():
        again = sa.and_(_CHANGES.c.item_id == row.item_id, _CHANGES.c.number > row.first)
        connection.execute(sa.update(_CHANGES).where(again).values(before=EVERYBODY))


def _withdrawals(connection: Connection, entry_ids: list[str]) -> None:
    """Make a release of each withdrawal, after those that there are."""
    number = int(connection.execute(sa.select(sa.func.max(_RELEASES.c.number))).scalar() or 0)
    query = sa.select(_AUDIT).where(_AUDIT.c.what == "withdraw").order_by(_AUDIT.c.seq)
    last = {row.item: row for row in connection.execute(query)}
    published = {row.number: row.at for row in connection.execute(sa.select(_RELEASES))}
    newest = max(published.values(), default=None)
    for entry_id in sorted(entry_ids, key=lambda one: (last[one].seq if one in last else 0, one)):
        number += 1
        row: Any = last.get(entry_id)
        release = {"number": number, "what": "withdraw", "who": row.who if row else "upgrade", "commit": ""}
        release.update(at=row.at if row else newest, reason=row.reason if row else "was not live any more")
        connection.execute(sa.insert(_RELEASES), release)
        change = {"number": number, "item_id": entry_id, "before": EVERYBODY, "after": 0}
        connection.execute(sa.insert(_CHANGES), change)


def _models(connection: Connection, entries: Any) -> None:
    """Write down the models that retraining made, what they absorbed, and that the newest of them runs."""
    query = sa.select(_AUDIT).where(_AUDIT.c.what == "absorb").order_by(_AUDIT.c.seq)
    taken = {row.item: row.reason.partition(" ")[0] for row in connection.execute(query)}
    absorbed = [row.entry_id for row in entries if row.state == "absorbed"]
    for entry_id in absorbed:
        mine = _ENTRIES.c.entry_id == entry_id
        connection.execute(sa.update(_ENTRIES).where(mine).values(absorbed_by=taken.get(entry_id) or None))
    published = {row.number: row.at for row in connection.execute(sa.select(_RELEASES))}
    former = ""
    query = sa.select(_RUNS).where(_RUNS.c.job == "retrain", _RUNS.c.outcome == "ok").order_by(_RUNS.c.number)
    for run in connection.execute(query).all():
        summary = json.loads(run.summary) if isinstance(run.summary, str) else run.summary or {}
        name = str(summary.get("model") or "")
        if not name or name == former:
            continue
        # What was live then and is still: of what was withdrawn since, nobody knows.
        live = [row for row in entries if row.state in ("published", "absorbed")]
        taught = [row.entry_id for row in live if row.release in published and published[row.release] <= run.finished]
        mine = _MODELS.c.name == name
        connection.execute(sa.delete(_MODELS).where(mine))
        model = {"name": name, "at": run.finished, "replaced": former, "taught": json.dumps(taught)}
        connection.execute(sa.insert(_MODELS), model)
        former = name
    if former:
        meta = sa.table("meta", sa.column("key"), sa.column("value"))
        connection.execute(sa.insert(meta), {"key": "running_model", "value": former})
