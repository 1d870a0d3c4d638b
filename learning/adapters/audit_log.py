"""Writing to the append-only log: each row carries the hash of the row before it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.database import get_meta, set_meta
from learning.audit import GENESIS, Anchor, sealed
from learning.audit import content_hash as content_hash
from learning.model import Release

HEAD = "audit_head"  # hash of the newest row, so that rows removed from the end are missed


def release_evidence(release: Release) -> str:
    """Return the hash of what a release did; two releases that do the same to the same have different ones."""
    changes = (part for one in release.changes for part in (one.item_id, str(one.before), str(one.after)))
    return content_hash(str(release.number), release.what.value, str(release.undoes or ""), *changes)


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
    last = int(connection.execute(sa.select(sa.func.max(schema.audit.c.seq))).scalar() or 0)
    newest = Anchor(last, get_meta(connection, HEAD) or GENESIS)
    row = sealed(newest, at, who, what, item, before, after, reason, evidence_hash)
    connection.execute(sa.insert(schema.audit), asdict(row))
    set_meta(connection, HEAD, row.row_hash)
