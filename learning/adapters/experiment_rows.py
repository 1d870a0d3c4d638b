"""Experiments to rows of the learning database and back."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.errors import StoreError
from learning.model import Experiment, ExperimentState, Variant


def experiment_row(experiment: Experiment) -> dict[str, Any]:
    """Return the row of an experiment."""
    return {
        **asdict(experiment),
        "state": experiment.state.value,
        "variants": [asdict(variant) for variant in experiment.variants],
    }


def to_experiment(row: Any) -> Experiment:
    """Return the experiment of a row."""
    values = {item.name: row._mapping[item.name] for item in fields(Experiment)}
    variants = tuple(Variant(one["name"], one["text"]) for one in row.variants)
    return Experiment(**{**values, "state": ExperimentState(row.state), "variants": variants})


def stop_experiment(connection: Connection, experiment_id: str, at: datetime, reason: str) -> None:
    """Note in the caller's transaction that an experiment has ended, because the release that began it is taken back.

    Raises:
        StoreError: it does not run.

    """
    table = schema.experiments
    running = sa.and_(table.c.experiment_id == experiment_id, table.c.state == ExperimentState.RUNNING.value)
    values = {"state": ExperimentState.STOPPED.value, "ended_at": at, "reason": reason}
    if connection.execute(sa.update(table).where(running).values(**values)).rowcount != 1:
        raise StoreError(
            "does not run", f"experiment {experiment_id}", "look at it with `python -m learning experiments show`"
        )
