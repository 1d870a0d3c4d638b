"""The tables of evaluations come and go, and a limit that was set in the hub keeps its value."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from learning.adapters.database import MIGRATIONS
from learning.adapters.store import Store
from tests.learning_builders import upgrade_to

OLD, NEW = "setting:retrain.max_accuracy_drop", "setting:gate.max_accuracy_drop"


def keys(connection: sa.engine.Connection) -> set[str]:
    return {key for key in connection.execute(sa.text("SELECT key FROM meta")).scalars() if key in (OLD, NEW)}


def test_the_limit_moves_with_its_section_and_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/learning.db"
    engine = sa.create_engine(url, future=True)
    with engine.begin() as connection:
        upgrade_to(connection, "0011")
        connection.execute(sa.text("INSERT INTO meta (key, value) VALUES (:key, '0.02')"), {"key": OLD})
        upgrade_to(connection, "0012")
        assert keys(connection) == {NEW}
        assert {"regression_cases", "evaluations"} <= set(sa.inspect(connection).get_table_names())
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.downgrade(config, "0011")
        assert keys(connection) == {OLD}
        assert not {"regression_cases", "evaluations"} & set(sa.inspect(connection).get_table_names())
    engine.dispose()

    assert Store(url).setting_overrides() == {"gate.max_accuracy_drop": "0.02"}
