"""Experiments to rows of the learning database and back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.errors import StoreError
from learning.model import ANSWERING, EVERYBODY, Experiment, ExperimentState, ProposalKind, Variant


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


def running_on(connection: Connection, responses: Collection[str]) -> list[str]:
    """Return the ids of the experiments that run on one of these responses."""
    table = schema.experiments
    mine = sa.and_(table.c.state == ExperimentState.RUNNING.value, table.c.response.in_(list(responses)))
    query = sa.select(table.c.experiment_id).where(mine).order_by(table.c.experiment_id)
    return [str(found) for found in connection.execute(query).scalars()] if responses else []


def response_of(row: Any) -> str | None:
    """Return the response that an entry or a proposal gives a text to, None without one."""
    if row.answer is None or ProposalKind(row.kind) not in ANSWERING:
        return None
    return str(row.target) if ProposalKind(row.kind) is ProposalKind.REWORD else f"utter_{row.label}"


def check_untried(connection: Connection, row: Any, item: str, share: int) -> None:
    """Raise `StoreError` if `row` would give some people a text that an experiment is about."""
    response = response_of(row)
    if response is None or share in (0, EVERYBODY):
        return
    for running in running_on(connection, [response]):
        raise StoreError(
            f"cannot go to {share} %: experiment {running} runs on {response}", item, "stop that one, or wait for it"
        )


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
