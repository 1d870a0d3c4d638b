"""The learning database: everything the loop remembers, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from learning.adapters import schema
from learning.adapters.database import get_meta, set_meta
from learning.adapters.store_alerts import AlertTables
from learning.adapters.store_annotations import AnnotationTables
from learning.adapters.store_audit import AuditTables
from learning.adapters.store_erasure import ErasureStore
from learning.adapters.store_evaluation import EvaluationTables
from learning.adapters.store_experiments import ExperimentTables
from learning.adapters.store_gaps import GapTables
from learning.adapters.store_jobs import JobTables
from learning.adapters.store_metrics import MetricTables
from learning.adapters.store_models import ModelTables
from learning.adapters.store_numbers import NumberTables
from learning.adapters.store_pruning import SPENT, PruneTables
from learning.adapters.store_pulls import PullTables
from learning.adapters.store_regroup import RegroupTables
from learning.adapters.store_releases import ReleaseTables
from learning.adapters.store_rollout import RolloutTables
from learning.adapters.store_schedule import ScheduleTables
from learning.adapters.store_settings import SettingTables
from learning.adapters.store_trends import TrendTables

HELD = "held:"  # begins the key of a job that somebody is at


class Store(
    GapTables,
    RegroupTables,
    ReleaseTables,
    ErasureStore,
    RolloutTables,
    ExperimentTables,
    PullTables,
    ModelTables,
    EvaluationTables,
    MetricTables,
    NumberTables,
    AlertTables,
    JobTables,
    ScheduleTables,
    PruneTables,
    AuditTables,
    SettingTables,
    AnnotationTables,
    TrendTables,
):
    """Reads and writes the loop's records; each writing method is one transaction.

    Raises:
        StoreError: the database cannot be opened, read or written.

    """

    def record_run(
        self, job: str, started: datetime, finished: datetime, outcome: str, summary: Mapping[str, Any]
    ) -> None:
        """Note how a job of the loop ended."""
        with self._database.write() as connection:
            row = {"job": job, "started": started, "finished": finished, "outcome": outcome, "summary": dict(summary)}
            connection.execute(sa.insert(schema.runs), row)

    def spent(self, day: str) -> int:
        """Return how many tokens of a language model were spent on a day such as 2024-03-01 (UTC)."""
        with self._database.read() as connection:
            return int(get_meta(connection, f"{SPENT}{day}") or 0)

    def spend(self, day: str, tokens: int) -> None:
        """Note tokens that a language model has taken."""
        with self._database.write() as connection:
            before = int(get_meta(connection, f"{SPENT}{day}") or 0)
            set_meta(connection, f"{SPENT}{day}", str(before + tokens))

    def claim(
        self, job: str, holder: str, at: datetime, dead_before: datetime, instead_of: str | None = None
    ) -> str | None:
        """Note that `holder` is at a job; return who else is.

        Args:
            job: its name.
            holder: who wants it.
            at: when.
            dead_before: whoever has held it since before that holds it no more.
            instead_of: somebody who is known to be dead.

        """
        with self._database.write() as connection:
            held, _, since = (get_meta(connection, f"{HELD}{job}") or "").partition(" ")
            if held and held != instead_of and datetime.fromisoformat(since) > dead_before:
                return held
            set_meta(connection, f"{HELD}{job}", f"{holder} {at.isoformat()}")
        return None

    def unclaim(self, job: str, holder: str) -> None:
        """Note that `holder` is at a job no more."""
        with self._database.write() as connection:
            if (get_meta(connection, f"{HELD}{job}") or "").partition(" ")[0] == holder:
                set_meta(connection, f"{HELD}{job}", "")

    def last_run(self, job: str) -> Mapping[str, Any] | None:
        """Return the newest run of `job`, None if there was none."""
        query = sa.select(schema.runs).where(schema.runs.c.job == job).order_by(schema.runs.c.number.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).first()
            return dict(row._mapping) if row else None
