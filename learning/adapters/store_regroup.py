"""Turns that a person puts into another gap, in the learning database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row, content_hash
from learning.adapters.database import chunks, get_meta, insert, set_meta
from learning.adapters.rows import gap_row, proposal_row
from learning.adapters.store_gaps import GROUPED, NOISE, pack_half
from learning.adapters.store_review import REGROUPINGS, ReviewTables
from learning.model import Regrouping
from learning.vectors import Vectors


class RegroupTables(ReviewTables):
    """What changes when a person splits or merges gaps, or moves an example."""

    def regroup(self, regrouping: Regrouping, vectors: Mapping[str, Vectors]) -> None:
        """Carry out a regrouping in one transaction.

        The gaps lose the means that grouping measures new turns by: the next mining makes them anew from the members
        that they have now.

        Args:
            regrouping: what goes where; turns under an empty gap id are noise from now on.
            vectors: those of moved turns that have none yet, by turn id.

        Raises:
            StoreError: somebody decided about one of the proposals, or was forgotten, meanwhile.

        """
        turns, gaps = schema.failed_turns, schema.gaps
        with self._database.write() as connection:
            for before, after in regrouping.changed:
                self._change_state(connection, before, after)
                content = {"examples": after.examples, "people": after.people, "turns": after.turns}
                mine = schema.proposals.c.proposal_id == after.proposal_id
                connection.execute(sa.update(schema.proposals).where(mine).values(**content))
            insert(connection, schema.proposals, [proposal_row(made) for made in regrouping.made])
            known = {row.gap_id for row in connection.execute(sa.select(gaps.c.gap_id))}
            fresh = [gap for gap in regrouping.gaps if gap.gap_id not in known]
            insert(connection, gaps, [{**gap_row(gap), "changed": True} for gap in fresh])
            for gap_id, turn_ids in sorted(regrouping.members.items()):
                for chunk in chunks(turn_ids):
                    mine = turns.c.turn_id.in_(chunk)
                    place = {"gap_id": gap_id, "stage": GROUPED} if gap_id else {"gap_id": None, "stage": NOISE}
                    connection.execute(sa.update(turns).where(mine).values(**place))
            for turn_id, vector in sorted(vectors.items()):
                lacking = sa.and_(turns.c.turn_id == turn_id, turns.c.vector.is_(None))
                connection.execute(sa.update(turns).where(lacking).values(vector=pack_half(vector)))
            made_anew: dict[str, Any] = {"mean": None, "mean_of": 0, "metric": "", "changed": True}
            for chunk in chunks(sorted(regrouping.touched)):
                connection.execute(sa.update(gaps).where(gaps.c.gap_id.in_(chunk)).values(**made_anew))
            set_meta(connection, REGROUPINGS, str(int(get_meta(connection, REGROUPINGS) or 0) + 1))
            _append_notes(connection, regrouping)


def _append_notes(connection: Connection, regrouping: Regrouping) -> None:
    """Note every step in the audit log; of a text that was moved only the hash, which keeps it where it was put."""
    for note in regrouping.notes:
        evidence = content_hash(note.text) if note.text else ""
        append_row(
            connection,
            regrouping.at,
            regrouping.who,
            regrouping.what,
            note.item,
            note.before,
            note.after,
            note.reason,
            evidence,
        )
