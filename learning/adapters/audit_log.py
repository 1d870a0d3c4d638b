"""Writing to the append-only log: each row carries the hash of the row before it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.database import get_meta, set_meta
from learning.audit import GENESIS, Anchor, sealed
from learning.audit import content_hash as content_hash
from learning.model import ProposalKind, Release

HEAD = "audit_head"  # hash of the newest row, so that rows removed from the end are missed


def release_evidence(release: Release) -> str:
    """Return the hash of what a release did; two releases that do the same to the same have different ones."""
    changes = (part for one in release.changes for part in (one.item_id, str(one.before), str(one.after)))
    return content_hash(str(release.number), release.what.value, str(release.undoes or ""), *changes)


def entry_evidence(row: Any, share: int) -> str:
    """Return the hash of what an entry (or its proposal) says and of the percentage of users that get it."""
    about = (ProposalKind(row.kind).value, row.label, row.target or "", str(share))
    return content_hash(*about, *row.examples, row.answer or "")


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
    """Add a row at the end of the chain, in the caller's transaction.

    Where the end is not the one that was noted, rows were put there or taken away by another hand. The chain goes on,
    so that nobody stops all writing by that, but the note stays as it was: every check will find it wrong.
    """
    columns = schema.audit.c.seq, schema.audit.c.row_hash
    found = connection.execute(sa.select(*columns).order_by(schema.audit.c.seq.desc()).limit(1)).one_or_none()
    newest = Anchor(int(found[0]), str(found[1])) if found else Anchor(0, GENESIS)
    row = sealed(newest, at, who, what, item, before, after, reason, evidence_hash)
    connection.execute(sa.insert(schema.audit), asdict(row))
    if newest.row_hash == (get_meta(connection, HEAD) or GENESIS):
        set_meta(connection, HEAD, row.row_hash)
