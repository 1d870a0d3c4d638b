"""The audit log's chain: how a row is sealed, and what a walk along it finds.

Each row carries the hash of the row before it (Haber and Stornetta, "How to time-stamp a digital document", 1991), so
that one hash, kept elsewhere, vouches for every row up to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol

from learning.errors import EvergreenError
from learning.model import AuditRow

GENESIS = "0" * 64  # what stands in place of the row before the first
SEPARATOR = "\x1f"
MOST_PROBLEMS = 100  # that are told one by one; a log that was made anew has one a row
HASH_LENGTH = 64


class AuditError(EvergreenError):
    """A log, a file of it or a hash to check it by cannot be used."""


@dataclass(frozen=True)
class Anchor:
    """The hash of one row, kept where nobody who can write the database can change it."""

    seq: int
    row_hash: str

    def __str__(self) -> str:
        """The anchor as people keep it: `412:9f86d0...`."""
        return f"{self.seq}:{self.row_hash}"

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """Read an anchor as `audit head` prints it.

        Raises:
            AuditError: it is none.

        """
        seq, _, row_hash = text.strip().lower().partition(":")
        is_hash = len(row_hash) == HASH_LENGTH and set(row_hash) <= set("0123456789abcdef")
        if not (seq.isascii() and seq.isdigit() and is_hash):
            raise AuditError("is no anchor", f"{text[:80]!r}", "give what `audit head` printed, such as 412:9f86...")
        return cls(int(seq), row_hash)


@dataclass(frozen=True)
class Verdict:
    """What a walk along the log found; `unnamed` problems beyond the first hundred are only counted.

    `newest` is the last row that was read, None without any.
    """

    rows: int
    newest: Anchor | None
    problems: tuple[str, ...] = ()
    unnamed: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is wrong, one sentence each."""
        return (*self.problems, f"and {self.unnamed:,} more") if self.unnamed else self.problems


class AuditLog(Protocol):
    """A stored log."""

    def audit_end(self) -> tuple[int, str | None]:
        """Return the number of the newest row and the hash that was noted of it, read in one moment."""
        ...

    def read_audit(self, *, before: int | None = None) -> Iterator[AuditRow]:
        """Yield the rows with numbers under `before` from the beginning, a bounded number in memory at a time."""
        ...


class Chain:
    """Walks along the log, row by row, and notes what is wrong; its memory does not grow with the log."""

    def __init__(self, anchors: Iterable[Anchor] = ()) -> None:
        self._anchors: dict[int, set[str]] = {}
        for anchor in anchors:
            self._anchors.setdefault(anchor.seq, set()).add(anchor.row_hash)
        self._problems: list[str] = []
        self._unnamed = 0
        self._rows = 0
        self._newest = Anchor(0, GENESIS)

    def add(self, row: AuditRow) -> None:
        """Check the next row."""
        if row.seq != self._newest.seq + 1:
            self._note(f"row {row.seq} stands where row {self._newest.seq + 1} should")
        if row.previous_hash != self._newest.row_hash:
            self._note(f"row {row.seq} does not follow the row before it")
        if row.row_hash != row_hash(row):
            self._note(f"row {row.seq} was altered")
        if self._anchors.pop(row.seq, {row.row_hash}) != {row.row_hash}:
            self._note(f"row {row.seq} is not the one of the anchor: the log up to it was written anew")
        self._rows += 1
        self._newest = Anchor(row.seq, row.row_hash)

    def end(self, head: str | None = None, last: int | None = None) -> Verdict:
        """Return what was found.

        Args:
            head: the hash that was noted of the newest row; without it the end is not checked.
            last: the number of the newest row that there is said to be.

        """
        if self._anchors.pop(0, {GENESIS}) != {GENESIS}:
            self._note("the anchor of row 0 is not that of an empty log")
        for seq in sorted(self._anchors):
            self._note(f"row {seq} of the anchor is not there: rows are missing at the end")
        if last is not None and self._newest.seq != last:
            self._note(f"row {last} cannot be read")
        if head is not None and head != self._newest.row_hash:
            self._note("rows are missing at the end, or were added there by another hand")
        newest = self._newest if self._rows else None
        return Verdict(self._rows, newest, tuple(self._problems), self._unnamed)

    def _note(self, problem: str) -> None:
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(problem)
        else:
            self._unnamed += 1


def verify(log: AuditLog, anchors: Sequence[Anchor] = ()) -> Verdict:
    """Walk along a stored log to what is its newest row now; rows that come in meanwhile are left for the next time."""
    last, head = log.audit_end()
    chain = Chain(anchors)
    for row in log.read_audit(before=last + 1):
        chain.add(row)
    return chain.end(head or GENESIS, last)


def row_hash(row: AuditRow) -> str:
    """Return the SHA-256 that seals a row: of every field but itself, hex."""
    fields = (
        str(row.seq),
        row.at.astimezone(timezone.utc).isoformat(),  # the database gives every time back as UTC
        *(row.who, row.what, row.item, row.before, row.after, row.reason, row.evidence_hash, row.previous_hash),
    )
    if any(SEPARATOR in field for field in fields):
        # Joined, such a field could be parted from its neighbor elsewhere. JSON has no bare separator in it, so that
        # no row of the plain kind has the same hash.
        return content_hash(json.dumps(fields))
    return content_hash(*fields)


def content_hash(*parts: str) -> str:
    """Return the SHA-256 of `parts`, hex."""
    return hashlib.sha256(SEPARATOR.join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def sealed(
    previous: Anchor,
    at: datetime,
    who: str,
    what: str,
    item: str,
    before: str,
    after: str,
    reason: str,
    evidence_hash: str,
) -> AuditRow:
    """Return the row that follows `previous`."""
    unsealed = AuditRow(
        previous.seq + 1, at, who, what, item, before, after, reason, evidence_hash, previous.row_hash, ""
    )
    return AuditRow(**{**vars(unsealed), "row_hash": row_hash(unsealed)})
