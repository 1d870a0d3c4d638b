"""A filled database goes back to each earlier version and forward again, without losing what people decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from learning import pipeline
from learning.adapters.database import MIGRATIONS
from learning.adapters.store import Store
from learning.model import Action, Decision
from tests.learning_builders import TrackerFile, downgrade_to, fresh_database, make_loop, make_project, talk, upgrade_to


def revisions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]  # the newest first


FORMER = revisions()[1:]


def shape(connection: sa.engine.Connection) -> dict[str, Any]:
    """Return tables with columns, keys and indexes, and the triggers."""
    inspector = sa.inspect(connection)
    tables = {
        name: {
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"]) for column in inspector.get_columns(name)
            },
            "key": inspector.get_pk_constraint(name)["constrained_columns"],
            "indexes": sorted(
                (str(index["name"]), tuple(map(str, index["column_names"])), bool(index["unique"]))
                for index in inspector.get_indexes(name)
            ),
        }
        for name in inspector.get_table_names()
    }
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    else:
        query = (
            "SELECT tgname || ' ' || tgrelid::regclass, pg_get_triggerdef(pg_trigger.oid) || prosrc FROM pg_trigger"
            " JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal"
            " AND tgrelid::regclass::text IN (SELECT tablename FROM pg_tables WHERE schemaname = current_schema())"
        )
    triggers = {str(name): " ".join(str(text).split()) for name, text in connection.execute(sa.text(query))}
    return {"tables": tables, "triggers": triggers}


def kept(store: Store) -> dict[str, Any]:
    return {
        "audit": [(row.seq, row.what, row.item, row.row_hash) for row in store.audit_rows()],
        "decisions": [(one.proposal_id, one.action, one.who) for one in store.decisions()],
        "proposals": {one.proposal_id: (one.state, one.label, one.answer) for one in store.proposals()},
        "entries": {one.entry_id: (one.state, one.examples, one.answer) for one in store.entries()},
        "gaps": sorted(store.gaps()),
        "conversations": {key: store.counts()[key] for key in ("turns", "failed_turns")},
    }


def filled(tmp_path: Path, url: str) -> Store:
    """A store with mined conversations, a release, a withdrawal and a job that was asked for."""
    tracker = TrackerFile(make_project(tmp_path / "project") / "var" / "tracker.db")
    talk(tracker)
    loop = make_loop(tmp_path / "project", url)
    pipeline.mine(loop)
    waiting = loop.store.proposals()
    assert waiting, "the conversations lead to no proposal"
    pipeline.review(loop, Decision(waiting[0].proposal_id, Action.APPROVE, "ann", loop.now()))
    store = loop.store
    assert isinstance(store, Store)
    assert store.releases()
    return store


@pytest.mark.parametrize("revision", FORMER)
def test_a_filled_database_goes_back_and_forward(tmp_path: Path, revision: str) -> None:
    url = fresh_database(tmp_path / "learning.db")
    before = kept(filled(tmp_path, url))
    engine = sa.create_engine(url, future=True)
    with engine.begin() as connection:
        downgrade_to(connection, revision)
        after = shape(connection)
    engine.dispose()
    once = sa.create_engine(f"sqlite:///{tmp_path / 'once.db'}", future=True)
    with once.begin() as connection:
        upgrade_to(connection, revision)
        assert after == shape(connection)
    once.dispose()

    store = Store(url)
    assert store.verify_audit() == []
    assert kept(store) == before


@pytest.mark.service
def test_postgresql_goes_back_and_forward_step_by_step(tmp_path: Path, postgres_url: str) -> None:
    before = kept(filled(tmp_path, postgres_url))
    engine = sa.create_engine(postgres_url, future=True)
    shapes = {}
    with engine.begin() as connection:
        shapes[revisions()[0]] = shape(connection)
        for revision in FORMER:
            downgrade_to(connection, revision)
            shapes[revision] = shape(connection)
        for revision in reversed(FORMER):
            upgrade_to(connection, revision)
            assert shape(connection) == shapes[revision], revision
        upgrade_to(connection, revisions()[0])
        assert shape(connection) == shapes[revisions()[0]]
    engine.dispose()

    store = Store(postgres_url)
    assert store.verify_audit() == []
    assert kept(store) == before
