"""One row of Rasa's `events` table becomes the little that the loop reads of it.

A message with its parse data is about 6 kB of JSON; what is kept here is a tenth of that, so that a hundred thousand
rows fit in memory and a conversation can be put together again without decoding anything twice.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from learning.model import ActionEvent, BotEvent, Event, FormEvent, ServiceCall, SlotEvent, UserEvent

RANKING_KEPT = 3  # the best intent, "none of them", and the runner-up
CHANNEL_LENGTH = 64  # characters; the learning database keeps no longer names
LABEL_LENGTH = 255
LARGEST = 2**63  # a longer integer has no float
LONGEST_NUMBER = 10  # digits that are read as a number; Python refuses thousands of them
CLARIFIES = "clarifies"  # metadata of "Did you mean ...?": the labels of its first buttons, in order
AGENT = "agent"  # metadata of a message that a human agent wrote in the bot's place: who
DESK = "desk"  # metadata of what the desk put into the conversation: joined, reply, returned, ...
DESK_ID = "desk_id"  # metadata of the same: the message's id
DESK_ID_LENGTH = 64
EXPOSED = "evergreen"  # metadata: what the wording was chosen by, [["<id>", "<arm>"], ...]
WITHHELD = "overlay_withheld"  # parse data: the entry that a message would have gone to but for its share
SUBJECT_LENGTH = 16  # of the id of an entry or an experiment
MOST_EXPOSED = 8  # subjects of one message
MODEL = "model_id"  # metadata that Rasa gives every event: which model was running
LISTEN = "action_listen"  # stands behind every turn and says nothing

FEEDBACK_SLOT = "last_feedback"  # {"message_id", "value": "up" | "down", "comment"}, set by the channels
SERVICE_SLOT = "backend_failure"  # name of the service that an action could not reach
CSAT_SLOT = "csat"  # the customer's mark for the conversation so far, 1 (bad) to 5
HANDOVER_SLOT = "handover"  # that a person takes over, and why: {"reason", ...}
OFFER_SLOT = "offer"  # what the bot has just offered, such as a person
RECOMMENDED_SLOT = "recommended_answer"  # an agent's answer that the bot should have given: {"desk_id", ...}
CALLS_SLOT = "service_calls"  # what the last action asked of back ends: [{"service", "operation", "ms", "outcome"}]
CALL_OUTCOMES = frozenset({"ok", "not_found", "refused", "unavailable"})
MOST_CALLS = 20  # of one action
LONGEST_CALL = 3_600_000.0  # milliseconds; no chat waits for an hour
THUMBS = {"up": 1, "down": -1}
BEST_CSAT = 5
SLOTS = (FEEDBACK_SLOT, SERVICE_SLOT, CSAT_SLOT, OFFER_SLOT, CALLS_SLOT, HANDOVER_SLOT, RECOMMENDED_SLOT)

USER, BOT, ACTION, SLOT, FORM = "user", "bot", "action", "slot", "active_loop"
_NOTHING: Mapping[str, Any] = {}
LAST_SECOND = 253_402_300_799.0  # of the year 9999, where Python's calendar ends


def read_event(row_id: int, kind: str, timestamp: object, name: str, data: str | bytes | None) -> Event | None:
    """Return the event of a row, None where the loop reads nothing of its kind.

    Args:
        row_id: the row's primary key.
        kind: Rasa's `type_name`.
        timestamp: seconds since 1970, UTC, as the column holds it.
        name: Rasa's `action_name`: the action's name, the slot's, or the form's.
        data: the event as JSON; looked at only for messages and slots.

    Raises:
        ValueError: the row is not what Rasa writes.

    """
    reader = _READERS.get(kind)
    if reader is None:
        if not kind:
            raise ValueError("a row without a type")
        return None
    at = timestamp if type(timestamp) is float else _seconds(timestamp)
    if not 0.0 <= at <= LAST_SECOND:  # false for NaN, too
        raise ValueError("a time outside of the calendar")
    return reader(row_id, at, name, data)


def _read_user(row_id: int, at: float, name: str, raw: str | bytes | None) -> Event:
    data = read_object(raw)
    parsed = _mapping(data.get("parse_data"))
    intent = _mapping(parsed.get("intent"))
    overlay = parsed.get("overlay")
    return UserEvent(
        row_id,
        at,
        clean_text(data.get("text")),
        sys.intern(_full_label(parsed, clean_text(intent.get("name")))[:LABEL_LENGTH]),
        _number(intent.get("confidence")),
        _ranking(parsed.get("intent_ranking")),
        sys.intern(clean_text(data.get("input_channel"))[:CHANNEL_LENGTH]),
        str(data.get("message_id") or ""),
        _share(_mapping(parsed.get("out_of_scope")).get("similarity")),
        _share(_mapping(parsed.get("sentiment")).get("frustration")),
        (clean_text(_mapping(overlay).get("entry_id"))[:CHANNEL_LENGTH] or None) if overlay else None,
        _subject(parsed.get(WITHHELD)),
        sys.intern(clean_text(_mapping(data.get("metadata")).get(MODEL))[:CHANNEL_LENGTH]),
    )


def _read_bot(row_id: int, at: float, name: str, raw: str | bytes | None) -> Event:
    data = read_object(raw)
    stamp = data.get("timestamp")
    choices = _choices(data)
    metadata = _mapping(data.get("metadata"))
    told = metadata.get(EXPOSED)
    exposed = _exposed(told) if told else ()
    # What the desk says by itself ("Anna is here now") is neither an answer of the bot nor one of a person.
    by_agent = bool(metadata.get(AGENT) or metadata.get(DESK))
    text = "" if by_agent and not metadata.get(AGENT) else clean_text(data.get("text"))
    desk_id = clean_text(metadata.get(DESK_ID))[:DESK_ID_LENGTH] if text and by_agent else ""
    return BotEvent(row_id, at, text, _share(stamp), choices, by_agent, exposed, desk_id)


def _read_action(row_id: int, at: float, name: str, raw: str | bytes | None) -> Event | None:
    return ActionEvent(row_id, at, sys.intern(name)) if name != LISTEN else None


def _read_slot(row_id: int, at: float, name: str, raw: str | bytes | None) -> Event | None:
    return SlotEvent(row_id, at, sys.intern(name), read_object(raw).get("value")) if name in SLOTS else None


def _read_form(row_id: int, at: float, name: str, raw: str | bytes | None) -> Event:
    return FormEvent(row_id, at, sys.intern(name))


_READERS: Mapping[str, Callable[[int, float, str, str | bytes | None], Event | None]] = {
    USER: _read_user,
    BOT: _read_bot,
    ACTION: _read_action,
    SLOT: _read_slot,
    FORM: _read_form,
}
KINDS = tuple(_READERS)


def _seconds(timestamp: object) -> float:
    if isinstance(timestamp, (int, float, str, bytes)):
        return float(timestamp)
    raise ValueError("a row without a time")


def read_object(raw: str | bytes | None) -> Mapping[str, Any]:
    """Return a row's JSON object; `ValueError` for anything else."""
    if raw is None:
        raise ValueError("a row without data")
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        # Rasa writes what Python's own encoder does: half an emoji, and NaN, are no corrupt rows.
        data = json.loads(raw)
    if type(data) is not dict:
        raise ValueError("data that is no object")
    return data


def _full_label(parsed: Mapping[str, Any], intent: str) -> str:
    """Return `faq/returns` where the retrieval intent `faq` was answered, else the intent."""
    selected = _mapping(parsed.get("response_selector")).get(intent)
    if not selected:
        return intent
    key = _mapping(_mapping(selected).get("response")).get("intent_response_key")
    return clean_text(key) or intent


def _ranking(value: object) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, list):
        return ()
    found = []
    for item in value[:RANKING_KEPT]:
        entry = _mapping(item)
        found.append((sys.intern(clean_text(entry.get("name"))), _number(entry.get("confidence"))))
    return tuple(found)


def _choices(data: Mapping[str, Any]) -> Mapping[str, str]:
    """Return which button of a "Did you mean ...?" stands for which label; "Something else" stands for none."""
    labels = _mapping(data.get("metadata")).get(CLARIFIES)
    buttons = _mapping(data.get("data")).get("buttons") if labels else None
    if not isinstance(labels, list) or not isinstance(buttons, list):
        return _NOTHING
    payloads = [clean_text(_mapping(button).get("payload")).strip() for button in buttons]
    pairs = zip(payloads, (clean_text(label)[:LABEL_LENGTH] for label in labels), strict=False)
    return {payload: label for payload, label in pairs if payload and label}


def _exposed(value: object) -> tuple[tuple[str, str], ...]:
    """Return the subjects and arms that a bot message names, each subject once; what is odd is left out, never cut.

    Metadata may come from anywhere: a shortened id or arm would name another one.
    """
    found: dict[str, str] = {}
    for pair in value[:MOST_EXPOSED] if isinstance(value, list) else ():
        if isinstance(pair, list) and len(pair) == 2:
            subject, arm = _subject(pair[0]), clean_text(pair[1])
            if subject and 0 < len(arm) <= CHANNEL_LENGTH:
                found.setdefault(subject, sys.intern(arm))
    return tuple(found.items())


def _subject(value: object) -> str | None:
    """Return the id of an entry or an experiment, None for what cannot be one."""
    if not isinstance(value, str) or not 0 < len(value) <= SUBJECT_LENGTH:
        return None
    return sys.intern(value) if value.isascii() and value.isalnum() else None


def clean_text(value: object) -> str:
    """Return a string that a database can keep: no NUL and no half of a surrogate pair; empty for anything else."""
    if not isinstance(value, str):
        return ""
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if type(value) is dict else _NOTHING


def _share(value: object) -> float | None:
    if type(value) is float and math.isfinite(value):
        return value
    return float(value) if isinstance(value, int) and abs(value) < LARGEST else None


def _number(value: object) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    return float(value) if isinstance(value, int) and abs(value) < LARGEST else 0.0


def feedback_of(value: object) -> tuple[str, int]:
    """Return the id of the rated message and its thumb, 0 where the slot was only reset."""
    if not isinstance(value, dict):
        return "", 0
    message, thumb = value.get("message_id"), value.get("value")
    return str(message or ""), THUMBS.get(thumb, 0) if isinstance(thumb, str) else 0


def recommended_of(value: object) -> tuple[str, bool]:
    """Return the id of the agent's message that is marked, empty for none, and whether the mark stands."""
    mark = _mapping(value)
    return clean_text(mark.get(DESK_ID))[:DESK_ID_LENGTH], not mark.get("taken_back")


def mark_of(value: object) -> int | None:
    """Return a mark from 1 to 5, None for anything else."""
    if isinstance(value, str) and len(value) < LONGEST_NUMBER and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value <= BEST_CSAT:
        return round(value)
    return None


def calls_of(value: object) -> tuple[ServiceCall, ...]:
    """Return the calls that an action tells of; what is no call is left out."""
    found = []
    for item in value[:MOST_CALLS] if isinstance(value, list) else ():
        call = _mapping(item)
        service, operation, outcome = (
            sys.intern(clean_text(call.get(key))[:CHANNEL_LENGTH]) for key in ("service", "operation", "outcome")
        )
        ms = _number(call.get("ms"))
        if service and operation and outcome in CALL_OUTCOMES and 0.0 <= ms <= LONGEST_CALL:
            found.append(ServiceCall(service, operation, outcome, ms))
    return tuple(found)
