"""Records to rows of the learning database and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from learning.exposures import answer_counts
from learning.model import (
    FAILED_WEIGHT,
    Action,
    Conversation,
    Decision,
    FailedTurn,
    Gap,
    GapKind,
    Mined,
    Priority,
    Proposal,
    ProposalKind,
    ProposalState,
    Replay,
    ScorePart,
    Signal,
    Source,
)


def conversation_row(conversation: Conversation, failed: Sequence[FailedTurn]) -> dict[str, Any]:
    """Return the row of a conversation with its count of failed turns."""
    return {
        "conversation_id": conversation.conversation_id,
        "sender": conversation.sender,
        "started": conversation.started,
        "last_at": conversation.last_at,
        "first_row": conversation.first_row,
        "last_row": conversation.last_row,
        "turns": len(conversation.turns),
        "failed_turns": sum(turn.weight >= FAILED_WEIGHT for turn in failed),
        "outcome": conversation.outcome.value,
        "reason": conversation.reason,
        "thumb": next((turn.thumbs for turn in reversed(conversation.turns) if turn.thumbs), 0),
        "csat": next((turn.csat for turn in reversed(conversation.turns) if turn.csat), None),
        "signals": sorted({signal.kind for turn in failed for signal in turn.signals}),
        **vars(answer_counts(conversation)),
        **described(conversation),
    }


def described(conversation: Conversation) -> dict[str, Any]:
    """Return what a conversation's own turns say of it, as lists show it."""
    turns = conversation.turns
    frustration = [turn.frustration for turn in turns if turn.frustration is not None]
    return {
        "channel": turns[0].channel,
        "model": next((turn.model for turn in reversed(turns) if turn.model), ""),
        "lowest_confidence": min(turn.confidence for turn in turns),
        "frustration": max(frustration, default=None),
        "thumbs_up": sum(turn.thumbs > 0 for turn in turns),
        "fallbacks": sum(turn.is_fallback for turn in turns),
        "service_failures": sum(turn.failed_service is not None for turn in turns),
        "escalated_at": conversation.escalated_at,
        "agent_at": conversation.agent_at,
        "intents": list(dict.fromkeys(turn.intent for turn in turns if turn.intent)),
        "entries": list(dict.fromkeys(turn.overlay_entry for turn in turns if turn.overlay_entry)),
    }


def failed_turn_row(turn: FailedTurn, before: Any, withheld: bool = False) -> dict[str, Any]:
    """Return the row of a failed turn; `before` is its row of an earlier reading, whose place among gaps it keeps.

    What was noise is looked at again once it weighs more, or the customer has said what was meant. What an entry would
    have answered but for its share (`withheld`) is in no gap: it needs no other answer.
    """
    row = {
        "turn_id": turn.turn_id,
        "conversation_id": turn.conversation_id,
        "sender": turn.sender,
        "text": turn.text,
        "intent": turn.intent,
        "confidence": turn.confidence,
        "at": turn.at,
        "channel": turn.channel,
        "weight": turn.weight,
        "clarified": turn.clarified,
        "stage": ("withheld" if withheld else "fresh") if turn.weight else "service",
        "gap_id": None,
        "vector": None,
    }
    same = before is not None and (before.weight, before.clarified) == (turn.weight, turn.clarified)
    if before is not None and (same or before.gap_id is not None):
        vector = before.vector if before.text == turn.text else None
        row.update(stage=before.stage, gap_id=before.gap_id, vector=vector)
    return row


def rating_rows(mined: Mined) -> list[dict[str, Any]]:
    """Return the rows of a conversation's ratings."""
    return [
        {
            "turn_id": rating.turn_id,
            "conversation_id": mined.conversation.conversation_id,
            "sender": rating.sender,
            "label": rating.label,
            "score": float(rating.good),
        }
        for rating in mined.ratings
    ]


def service_call_rows(mined: Mined) -> list[dict[str, Any]]:
    """Return the rows of what back ends were asked in a conversation."""
    talk = mined.conversation
    return [
        {"conversation_id": talk.conversation_id, "number": number, **asdict(call)}
        for number, call in enumerate(talk.calls)
    ]


def exposure_rows(mined: Mined) -> list[dict[str, Any]]:
    """Return the rows of what entries and experiments have led to in a conversation."""
    return [vars(exposure) for exposure in mined.exposures]


def agent_answer_rows(mined: Mined) -> list[dict[str, Any]]:
    """Return the rows of what agents answered in a conversation, numbered for each turn."""
    count: Counter[str] = Counter()
    rows = []
    for answer in mined.agent_answers:
        rows.append({**asdict(answer), "number": count[answer.turn_id]})
        count[answer.turn_id] += 1
    return rows


def label_uses(mined: Sequence[Mined]) -> dict[str, tuple[datetime, datetime]]:
    """Return when each label was understood first and last in these conversations."""
    found: dict[str, tuple[datetime, datetime]] = {}
    for item in mined:
        for turn in item.conversation.turns:
            if turn.intent:
                first, last = found.get(turn.intent, (turn.at, turn.at))
                found[turn.intent] = (min(first, turn.at), max(last, turn.at))
    return found


def to_failed_turns(rows: Sequence[Any], signals: Mapping[str, Sequence[Signal]]) -> list[FailedTurn]:
    """Return the failed turns of rows, each with its signals."""
    return [
        FailedTurn(
            turn_id=row.turn_id,
            conversation_id=row.conversation_id,
            sender=row.sender,
            text=row.text,
            intent=row.intent,
            confidence=row.confidence,
            at=row.at,
            channel=row.channel,
            weight=row.weight,
            clarified=row.clarified,
            signals=tuple(signals.get(row.turn_id, ())),
        )
        for row in rows
    ]


def gap_row(gap: Gap) -> dict[str, Any]:
    """Return the row of a gap without what only grouping writes; `handled_at` is set by releases alone."""
    row = {**asdict(gap), "kind": gap.kind.value, "priority": gap.priority.value}
    del row["handled_at"]
    return row


def to_gap(row: Any) -> Gap:
    """Return the gap of a row."""
    values = {item.name: row._mapping[item.name] for item in fields(Gap)}
    return Gap(**{**values, "kind": GapKind(row.kind), "priority": Priority(row.priority)})


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
            "warnings": tuple(row.warnings),
            "sources": tuple(Source(**source) for source in row.sources),
            "score_parts": tuple(ScorePart(**part) for part in row.score_parts),
            "replay": _to_replay(replay) if replay else None,
        }
    )


def _to_replay(values: Mapping[str, Any]) -> Replay:
    lists = {name: tuple(values.get(name, ())) for name in ("broken_texts", "broken_labels")}
    return Replay(**{**values, **lists})


def to_decision(row: Any) -> Decision:
    """Return the decision of a row; until when it was put off stands in the proposal alone."""
    content = dict(row.content)
    examples = content.get("examples")
    return Decision(
        proposal_id=row.proposal_id,
        action=Action(row.action),
        who=row.who,
        at=row.at,
        reason=row.reason,
        label=content.get("label"),
        examples=None if examples is None else tuple(examples),
        answer=content.get("answer"),
        kind=ProposalKind(content["kind"]) if "kind" in content else None,
    )


def decision_row(decision: Decision) -> dict[str, Any]:
    """Return the row of a decision, with only what the person changed."""
    content = {
        "label": decision.label,
        "examples": decision.examples,
        "answer": decision.answer,
        "kind": decision.kind.value if decision.kind else None,
    }
    return {
        "proposal_id": decision.proposal_id,
        "action": decision.action.value,
        "who": decision.who,
        "at": decision.at,
        "reason": decision.reason,
        "content": {key: value for key, value in content.items() if value is not None},
    }
