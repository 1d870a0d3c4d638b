"""The state machine of the releases on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from learning.adapters import schema
from learning.adapters.store import Store
from tests.learning_builders import unguard_audit
from tests.property.test_learning_releases import ONCE, Releases
from tests.release_world import World


def emptied(url: str) -> str:
    """Empty all tables of a database at the newest migration; return its URL."""
    Store(url)._database._engine.dispose()
    engine = sa.create_engine(url, future=True)
    with engine.begin() as connection:
        unguard_audit(connection)
        for table in schema.metadata.sorted_tables:
            connection.execute(sa.delete(table))
    engine.dispose()
    return url


@pytest.mark.service
def test_every_interleaving_with_crashes_leaves_one_story_on_postgresql(postgres_url: str) -> None:
    class OnPostgres(Releases):
        """The same, with an empty database each time."""

        def new_world(self) -> World:
            return World(Path(self.folder.name), emptied(postgres_url))

    run_state_machine_as_test(OnPostgres, settings=settings(ONCE, max_examples=3))
