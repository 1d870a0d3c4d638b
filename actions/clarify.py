"""Asking back when a message could mean one of two things: the question, its buttons, and the answer to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions import texts
from actions.conversation import ANSWER, CLARIFIES, FALLBACK_INTENT, is_command, latest_text

NEAR_TIE = "near_tie"  # reason of components.out_of_scope.OutOfScopeDetector
MOST_OFFERED = 3  # more buttons are no question
THIRD_SHARE = 0.6  # of the best one's confidence from which a third candidate is offered as well
ENTITY_LENGTH = 200  # characters; Slack and the web chat refuse very long payloads


def candidates(tracker: Tracker, domain: dict[str, Any]) -> list[str]:
    """The labels that the latest message could mean, the likeliest first; empty unless they are nearly tied."""
    verdict = tracker.latest_message.get("out_of_scope") or {}
    if verdict.get("reason") != NEAR_TIE:
        return []
    ranking = [
        (str(entry.get("name")), float(entry.get("confidence") or 0.0)) for entry in verdict.get("candidates") or []
    ]
    known = [(label, confidence) for label, confidence in ranking if _can_be_chosen(label, domain)]
    close = [label for label, confidence in known[2:] if confidence >= THIRD_SHARE * known[0][1]]
    labels = [label for label, _ in known[:2]] + close
    return labels[:MOST_OFFERED] if len(labels) > 1 else []


def ask(dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any], labels: Sequence[str]) -> None:
    """Ask which of the labels was meant; the learning loop reads the labels from the message's metadata."""
    entities = _entities(tracker, domain)
    buttons = [{"title": texts.choice(label), "payload": payload(label, entities)} for label in labels]
    buttons.append({"title": texts.SOMETHING_ELSE, "payload": f"/{FALLBACK_INTENT}"})
    dispatcher.utter_message(text=texts.did_you_mean(labels), buttons=buttons, **{CLARIFIES: list(labels)})


def payload(label: str, entities: dict[str, Any]) -> str:
    """What a button sends: the message's entities with the intent, or with the answer that is wanted.

    Rasa reads no retrieval key such as `faq/shipping_cost` from a payload, and its retrieval actions need what only
    the classifier writes. So the key travels as an entity to `action_fallback`, which gives the answer itself.
    """
    intent, values = (FALLBACK_INTENT, {ANSWER: label, **entities}) if "/" in label else (label, entities)
    return f"/{intent}{json.dumps(values, ensure_ascii=False) if values else ''}"


def chosen_answer(tracker: Tracker, domain: dict[str, Any]) -> str | None:
    """The retrieval key that a pressed button asks for, None if there is none or it has no answer."""
    label = next(tracker.get_latest_entity_values(ANSWER), None) if is_command(latest_text(tracker)) else None
    return label if isinstance(label, str) and _has_answer(label, domain) else None


def _can_be_chosen(label: str, domain: dict[str, Any]) -> bool:
    if "/" in label:
        return _has_answer(label, domain)
    return label != FALLBACK_INTENT and label in _names(domain.get("intents"))


def _has_answer(label: str, domain: dict[str, Any]) -> bool:
    return "/" in label and f"utter_{label}" in (domain.get("responses") or {})


def _entities(tracker: Tracker, domain: dict[str, Any]) -> dict[str, Any]:
    """What the message told besides its intent, so that nothing is asked twice; several of a kind make a list."""
    known = _names(domain.get("entities"))
    found: dict[str, list[str]] = {}
    for entity in tracker.latest_message.get("entities") or []:
        name, value = entity.get("entity"), entity.get("value")
        fits = isinstance(value, (str, int, float)) and len(str(value)) <= ENTITY_LENGTH
        if name in known and name != ANSWER and fits and str(value) not in found.setdefault(name, []):
            found[name].append(str(value))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items() if values}


def _names(items: Any) -> set[str]:
    """The names of the domain's intents or entities; one with options is written as `{name: options}`."""
    return {name for item in items or [] for name in ([item] if isinstance(item, str) else item)}
