"""A/B tests in the learning database."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row, content_hash
from learning.adapters.experiment_rows import experiment_row, to_experiment
from learning.adapters.experiment_rows import stop_experiment as stop_experiment
from learning.adapters.live_set import change_live_set
from learning.adapters.store_conversations import ConversationTables
from learning.errors import NotFound, StoreError
from learning.model import (
    EVERYBODY,
    Change,
    Experiment,
    ExperimentOutcome,
    ExperimentState,
    Outcome,
    ProposalState,
    ReleaseKind,
)

RUNNING = ExperimentState.RUNNING
LIST_AGAIN = "look at it again with `python -m learning experiments list`"


class ExperimentTables(ConversationTables):
    """A/B tests in the learning database."""

    def experiments(self) -> list[Experiment]:
        """Return every experiment, the newest first."""
        table = schema.experiments
        query = sa.select(table).order_by(table.c.created_at.desc(), table.c.experiment_id)
        with self._database.read() as connection:
            return [to_experiment(row) for row in connection.execute(query)]

    def experiment(self, prefix: str) -> Experiment:
        """Return the experiment whose id starts with `prefix`.

        Raises:
            NotFound: none does, or more than one.

        """
        found = [one for one in self.experiments() if prefix and one.experiment_id.startswith(prefix)]
        if len(found) == 1:
            return found[0]
        what = f"fits {len(found)} experiments" if found else "is no experiment"
        raise NotFound(what, f"id {prefix!r}", "take an id from `python -m learning experiments list`")

    def save_experiment(self, before: Experiment | None, after: Experiment, who: str, at: datetime) -> None:
        """Write an experiment as it stands now; that it begins or ends to run is a release.

        Args:
            before: as its author saw it; None for a new one.
            after: as it is to be.
            who: who wants that.
            at: when.

        Raises:
            StoreError: it exists already, is not as it was seen, or another one or a rollout has its response.

        """
        table = schema.experiments
        item = f"experiment {after.experiment_id}"
        mine = table.c.experiment_id == after.experiment_id
        with self._database.write() as connection:
            row = connection.execute(sa.select(table).where(mine)).first()
            present = to_experiment(row) if row is not None else None
            if present != before:
                raise StoreError("is not as it was seen: somebody else was quicker", item, LIST_AGAIN)
            if present is None:
                connection.execute(sa.insert(table), experiment_row(after))
                evidence = content_hash(after.response, *(f"{one.name}={one.text}" for one in after.variants))
                append_row(
                    connection, at, who, "create experiment", after.experiment_id, "", after.state.value, "", evidence
                )
            else:
                connection.execute(sa.update(table).where(mine).values(**experiment_row(after)))
            was, now = (one is not None and one.state is RUNNING for one in (before, after))
            if now and not was:
                _check_free(connection, after)
            if present is not None and was == now:
                item_id, state = after.experiment_id, after.state.value
                evidence = content_hash(after.winner or "")
                append_row(connection, at, who, "settle experiment", item_id, state, state, after.reason, evidence)
            if was != now:
                share = EVERYBODY if now else 0
                change = Change(after.experiment_id, EVERYBODY - share, share)
                reason = f"winner {after.winner}: {after.reason}" if after.winner else after.reason
                change_live_set(connection, ReleaseKind.EXPERIMENT, [change], who, at, reason)

    def experiment_outcomes(self, experiment_id: str) -> list[ExperimentOutcome]:
        """Return how the first conversation of each sender in an experiment went, the oldest first.

        Open ones are among them: they have not gone anywhere yet.
        """
        told, conversations = schema.exposures, schema.conversations
        query = (
            sa.select(told.c.sender, told.c.arm, told.c.at, conversations.c.outcome, conversations.c.thumb)
            .add_columns(conversations.c.csat)
            .join(conversations, conversations.c.conversation_id == told.c.conversation_id)
            .where(told.c.subject == experiment_id)
            .order_by(told.c.at, told.c.turn_id)
        )
        first: dict[str, ExperimentOutcome] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                if row.sender not in first:
                    first[row.sender] = ExperimentOutcome(
                        row.sender, row.arm, row.at, Outcome(row.outcome), row.thumb, row.csat
                    )
        return list(first.values())


def _check_free(connection: Connection, experiment: Experiment) -> None:
    """Raise `StoreError` if something else is tried on the same response: what came of which could not be told."""
    table, entries = schema.experiments, schema.entries
    item = f"experiment {experiment.experiment_id}"
    other = connection.execute(
        sa.select(table.c.experiment_id).where(
            table.c.response == experiment.response,
            table.c.state == RUNNING.value,
            table.c.experiment_id != experiment.experiment_id,
        )
    ).scalar()
    if other is not None:
        raise StoreError(
            f"cannot start: experiment {other} runs on {experiment.response}", item, "stop that one, or wait for it"
        )
    halfway = connection.execute(
        sa.select(entries.c.entry_id).where(
            sa.or_(entries.c.target == experiment.response, entries.c.label == experiment.label),
            entries.c.answer.is_not(None),
            entries.c.state == ProposalState.PUBLISHED.value,
            entries.c.share < EVERYBODY,
        )
    ).scalar()
    if halfway is not None:
        raise StoreError(
            f"cannot start: entry {halfway} is being rolled out on {experiment.response}",
            item,
            "bring it to everybody with `python -m learning rollout set`, or withdraw it",
        )
