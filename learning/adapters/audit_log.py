"""The append-only log: each row carries the hash of the row before it, so that no change goes unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.database import get_meta, set_meta
from learning.model import AuditRow

GENESIS = "0" * 64
HEAD = "audit_head"  # hash of the newest row, so that rows removed from the end are missed


def find_problems(rows: Iterable[AuditRow], head: str | None) -> list[str]:
    """Return what is wrong with the log, one sentence a row; empty if it is whole."""
    problems: list[str] = []
    previous = GENESIS
    for position, row in enumerate(rows, start=1):
        if row.seq != position:
            problems.append(f"row {row.seq} stands where row {position} should")
        if row.previous_hash != previous:
            problems.append(f"row {row.seq} does not follow the row before it")
        if row.row_hash != _row_hash(row):
            problems.append(f"row {row.seq} was altered")
        previous = row.row_hash
    if (head or GENESIS) != previous:
        problems.append("rows are missing at the end")
    return problems


def content_hash(*parts: str) -> str:
    """Return the SHA-256 of `parts`, hex."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _row_hash(row: AuditRow) -> str:
    return content_hash(
        str(row.seq),
        row.at.isoformat(),
        row.who,
        row.what,
        row.item,
        row.before,
        row.after,
        row.reason,
        row.evidence_hash,
        row.previous_hash,
    )


def append_row(
    connection: Connection,
    at: datetime,
    who: str,
    what: str,
    item: str,
    before: str,
    after: str,
    reason: str,
    evidence_hash: str,
) -> None:
    """Add a row at the end of the chain, in the caller's transaction."""
    previous = get_meta(connection, HEAD) or GENESIS
    last = int(connection.execute(sa.select(sa.func.max(schema.audit.c.seq))).scalar() or 0)
    unsealed = AuditRow(last + 1, at, who, what, item, before, after, reason, evidence_hash, previous, "")
    sealed = {**asdict(unsealed), "row_hash": _row_hash(unsealed)}
    connection.execute(sa.insert(schema.audit), sealed)
    set_meta(connection, HEAD, sealed["row_hash"])
