"""The models that went live, and which of the entries the running one knows by itself, in the learning database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row, content_hash, entry_evidence
from learning.adapters.database import bump_overlay, get_meta, set_meta, upsert
from learning.adapters.store_conversations import ConversationTables
from learning.model import EVERYBODY, DeployedModel, Entry, ProposalState, Talk, WatchedModel

RUNNING = "running_model"  # key of the name of the model that runs, as far as is known
PUBLISHED, ABSORBED = ProposalState.PUBLISHED.value, ProposalState.ABSORBED.value
WITHDRAWN = ProposalState.WITHDRAWN.value


class Knows(NamedTuple):
    """What the running model knows: its name, those that it came after, and the entries that it was trained with."""

    name: str
    line: frozenset[str]
    taught: frozenset[str]

    def has_absorbed(self, entry_id: str, absorbed_by: str | None) -> bool:
        """Whether the model answers an entry by itself: one of its line was seen to, and it was trained with it."""
        return absorbed_by in self.line and entry_id in self.taught


class ModelTables(ConversationTables):
    """The models that went live, in the learning database."""

    def deployed_models(self) -> list[DeployedModel]:
        """Return the models that went live, the newest first."""
        with self._database.read() as connection:
            return _read_models(connection)

    def save_deployed_model(self, model: DeployedModel) -> None:
        """Write a model that went live, or was rolled back."""
        with self._database.write() as connection:
            upsert(connection, schema.deployed_models, "name", asdict(model))

    def running_model(self) -> str:
        """Return the name of the model that ran when somebody looked last, empty if nobody did."""
        with self._database.read() as connection:
            return get_meta(connection, RUNNING) or ""

    def watched_models(self) -> list[WatchedModel]:
        """Return the models whose first days were watched, the newest first."""
        table = schema.watched_models
        query = sa.select(table).order_by(table.c.since.desc(), table.c.name.desc())
        with self._database.read() as connection:
            return [WatchedModel(**row._mapping) for row in connection.execute(query)]

    def save_watched_model(self, watched: WatchedModel) -> None:
        """Write how a model's first days go."""
        with self._database.write() as connection:
            upsert(connection, schema.watched_models, "name", asdict(watched))

    def talks(self, since: datetime, until: datetime) -> list[Talk]:
        """Return the conversations that began from `since` until just before `until`, by their end."""
        table = schema.conversations
        columns = (table.c[one.name] for one in fields(Talk))
        query = sa.select(*columns).where(table.c.started >= since, table.c.started < until, table.c.turns > 0)
        with self._database.read() as connection:
            return [Talk(*row) for row in connection.execute(query.order_by(table.c.last_at, table.c.sender))]

    def settle_model(self, running: str, who: str, at: datetime, reason: str = "") -> tuple[list[str], list[str]]:
        """Note which model runs; return the entries that came back to the overlay, and those that leave it.

        What models have absorbed that the running one did not come after comes back, in the same transaction, and what
        it knows by itself leaves. A withdrawn entry that it was trained with is marked as held by it.

        Args:
            running: the model's name.
            who: who made it run, or found it running.
            at: when.
            reason: for people.

        """
        table = schema.entries
        with self._database.write() as connection:
            knows = _note_running(connection, running, who, at, reason)
            columns = (table.c.entry_id, table.c.proposal_id, table.c.state, table.c.share)
            rows = connection.execute(sa.select(*columns, table.c.absorbed_by, table.c.held_by)).all()
            held = {row.entry_id: running if row.entry_id in knows.taught else None for row in rows}
            moved = [row for row in rows if row.state == WITHDRAWN and row.held_by != held[row.entry_id]]
            back = [row for row in rows if row.state == ABSORBED and row.absorbed_by and not _knows(knows, row)]
            left = [row for row in rows if row.state == PUBLISHED and row.share == EVERYBODY and _knows(knows, row)]
            if moved or back or left:
                version = bump_overlay(connection)
                for row in moved:
                    _update(connection, row.entry_id, {"held_by": held[row.entry_id], "changed": version})
                for row in back:
                    told = f"{row.absorbed_by} had absorbed it, {running} runs"
                    _move(connection, row, {"state": PUBLISHED, "changed": version}, who, "return", at, told)
                for row in left:
                    told = f"{row.absorbed_by} has absorbed it, {running} runs"
                    _move(connection, row, {"state": ABSORBED, "changed": version}, who, "absorb", at, told)
        return [row.entry_id for row in back], [row.entry_id for row in left]

    def absorb(self, entries: Sequence[tuple[Entry, str]], model: str, who: str, at: datetime) -> list[str]:
        """Take entries out of the overlay that the model answers by itself; return the ids of those that were live.

        Args:
            entries: each with the reason, for people.
            model: the name of the model, which runs.
            who: who found out.
            at: when.

        """
        table = schema.entries
        taken = []
        with self._database.write() as connection:
            version = bump_overlay(connection) if entries else 0
            for entry, reason in entries:
                # Training takes minutes: it may have been withdrawn, or taken back to a part of the users, meanwhile.
                mine = sa.and_(table.c.entry_id == entry.entry_id, table.c.state == PUBLISHED)
                row = connection.execute(sa.select(table).where(mine, table.c.share == EVERYBODY)).first()
                if row is not None:
                    values = {"state": ABSORBED, "absorbed_by": model, "changed": version}
                    _move(connection, row, values, who, "absorb", at, f"{model} {reason}")
                    taken.append(entry.entry_id)
        return taken


def what_model_knows(connection: Connection) -> Knows:
    """Return what the running model knows, as far as is known which one runs."""
    table = schema.deployed_models
    name = get_meta(connection, RUNNING) or ""
    replaced = {row.name: row.replaced for row in connection.execute(sa.select(table.c.name, table.c.replaced))}
    taught = connection.execute(sa.select(table.c.taught).where(table.c.name == name)).scalar() or ()
    return Knows(name, frozenset(line_of(name, replaced)), frozenset(taught))


def line_of(name: str, replaced: Mapping[str, str]) -> tuple[str, ...]:
    """Return a model and those that it came after, as far back as is known; `replaced` is the former one by name."""
    line: dict[str, None] = {}
    while name and name not in line:
        line[name] = None
        name = replaced.get(name, "")
    return tuple(line)


def _note_running(connection: Connection, running: str, who: str, at: datetime, reason: str) -> Knows:
    """Note that a model runs, and that others do not any more."""
    models = {model.name: model for model in _read_models(connection)}
    before = get_meta(connection, RUNNING) or ""
    # Of one that somebody trained and started by hand nothing is known: nothing counts as absorbed by it.
    own = models.get(running) or DeployedModel(running, at, "")
    upsert(connection, schema.deployed_models, "name", asdict(replace(own, rolled_back_at=None)))
    set_meta(connection, RUNNING, running)
    knows = what_model_knows(connection)
    for model in models.values():
        if model.name not in knows.line and model.rolled_back_at is None:
            upsert(connection, schema.deployed_models, "name", asdict(replace(model, rolled_back_at=at)))
    if running != before:
        told = f"{f'after {before}' if before else 'the first one that is known'}{f': {reason}' if reason else ''}"
        append_row(connection, at, who, "run model", running, "", "", told, content_hash(*sorted(knows.taught)))
    return knows


def _knows(knows: Knows, row: Any) -> bool:
    return knows.has_absorbed(row.entry_id, row.absorbed_by)


def _update(connection: Connection, entry_id: str, values: Mapping[str, Any]) -> None:
    table = schema.entries
    connection.execute(sa.update(table).where(table.c.entry_id == entry_id).values(**values))


def _move(
    connection: Connection, row: Any, values: Mapping[str, Any], who: str, what: str, at: datetime, reason: str
) -> None:
    """Move an entry between overlay and model, with its proposal and a line in the audit log."""
    _update(connection, row.entry_id, values)
    table, state = schema.proposals, values["state"]
    mine = sa.and_(table.c.proposal_id == row.proposal_id, table.c.state == row.state)
    connection.execute(sa.update(table).where(mine).values(state=state))
    said = connection.execute(sa.select(schema.entries).where(schema.entries.c.entry_id == row.entry_id)).one()
    evidence = entry_evidence(said, said.share)
    append_row(connection, at, who, what, row.entry_id, row.state, state, reason, evidence)


def _read_models(connection: Connection) -> list[DeployedModel]:
    table = schema.deployed_models
    query = sa.select(table).order_by(table.c.at.desc(), table.c.name.desc())
    return [DeployedModel(**{**row._mapping, "taught": tuple(row.taught)}) for row in connection.execute(query)]
