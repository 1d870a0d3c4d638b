"""Records to rows of the learning database and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.model import (
    FAILED_WEIGHT,
    SERVICE_KINDS,
    Conversation,
    Decision,
    FailedTurn,
    Proposal,
    ProposalKind,
    ProposalState,
    Replay,
    ScorePart,
    Signal,
    Source,
)


def conversation_row(conversation: Conversation, signals: Sequence[Signal]) -> dict[str, Any]:
    """Return the row of a conversation with its count of failed turns."""
    weights: dict[str, float] = {}
    for signal in signals:
        weights[signal.turn_id] = joint_weight(weights.get(signal.turn_id, 0.0), signal.weight)
    return {
        "sender": conversation.sender,
        "turns": len(conversation.turns),
        "failed_turns": sum(weight >= FAILED_WEIGHT for weight in weights.values()),
        "last_at": conversation.turns[-1].at if conversation.turns else None,
    }


def failed_turns(connection: Connection, condition: Any) -> list[FailedTurn]:
    """Return one record a turn with signals about understanding, weak ones included."""
    table = schema.signals
    query = (
        sa.select(table)
        .where(condition, table.c.kind.notin_(SERVICE_KINDS))
        .order_by(table.c.at, table.c.turn_id, table.c.kind)
    )
    turns: dict[str, FailedTurn] = {}
    for row in connection.execute(query):
        before = turns.get(row.turn_id)
        weight = joint_weight(before.weight if before else 0.0, row.weight)
        turns[row.turn_id] = FailedTurn(row.turn_id, row.sender, row.text, row.intent, weight, row.at, row.clarified)
    return list(turns.values())


def joint_weight(first: float, second: float) -> float:
    """Return the weight of two independent signals together, 1 - (1 - a)(1 - b)."""
    return 1 - (1 - first) * (1 - second)


def proposal_row(proposal: Proposal) -> dict[str, Any]:
    """Return the row of a proposal."""
    return {
        **asdict(proposal),
        "kind": proposal.kind.value,
        "state": proposal.state.value,
        "sources": [asdict(source) for source in proposal.sources],
        "score_parts": [asdict(part) for part in proposal.score_parts],
        "replay": asdict(proposal.replay) if proposal.replay else None,
    }


def to_proposal(row: Any) -> Proposal:
    """Return the proposal of a row."""
    values = dict(row._mapping)
    replay = values.pop("replay")
    return Proposal(
        **{
            **values,
            "kind": ProposalKind(row.kind),
            "state": ProposalState(row.state),
            "examples": tuple(row.examples),
            "sources": tuple(Source(**source) for source in row.sources),
            "score_parts": tuple(ScorePart(**part) for part in row.score_parts),
            "replay": Replay(**{**replay, "broken_texts": tuple(replay["broken_texts"])}) if replay else None,
        }
    )


def decision_row(decision: Decision) -> dict[str, Any]:
    """Return the row of a decision, with only what the person changed."""
    content = {"label": decision.label, "examples": decision.examples, "answer": decision.answer}
    return {
        "proposal_id": decision.proposal_id,
        "action": decision.action.value,
        "who": decision.who,
        "at": decision.at,
        "reason": decision.reason,
        "content": {key: value for key, value in content.items() if value is not None},
    }
