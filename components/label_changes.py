"""Messages whose label was merged into another or retired get what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rasa.nlu.constants import (
    RESPONSE_SELECTOR_PREDICTION_KEY,
    RESPONSE_SELECTOR_PROPERTY_NAME,
)
from rasa.shared.constants import DEFAULT_NLU_FALLBACK_INTENT_NAME, INTENT_MESSAGE_PREFIX
from rasa.shared.nlu.constants import (
    INTENT,
    INTENT_NAME_KEY,
    INTENT_RANKING_KEY,
    INTENT_RESPONSE_KEY,
    PREDICTED_CONFIDENCE_KEY,
)
from rasa.shared.nlu.training_data.message import Message

from components.messages import OUT_OF_SCOPE, OVERLAY, base_intent, ranked, set_intents, set_response, text_of
from components.out_of_scope import NEAR_TIE
from components.overlay_source import Changes

# Rasa's ResponseSelector writes under this name where it was not made for one retrieval intent.
_ALL_INTENTS = "default"


def give_label(message: Message, label: str, confidence: float) -> None:
    """Makes `label` the decision: the first intent of the ranking and, for a retrieval key, the chosen response."""
    intent = base_intent(label)
    set_intents(message, [ranked(intent, confidence), *_others(message, intent)])
    if label != intent:
        set_response(message, label, [(label, confidence)], [], [intent])


def chosen_label(message: Message) -> str:
    """Returns the decision: the intent, or the full key where it is a retrieval intent."""
    intent = str((message.get(INTENT) or {}).get(INTENT_NAME_KEY) or "")
    selected = message.get(RESPONSE_SELECTOR_PROPERTY_NAME) or {}
    for name in (intent, _ALL_INTENTS):
        prediction = (selected.get(name) or {}).get(RESPONSE_SELECTOR_PREDICTION_KEY) or {}
        key = str(prediction.get(INTENT_RESPONSE_KEY) or "")
        if key != intent and base_intent(key) == intent:
            return key
    return intent


def follow_changes(message: Message, changes: Changes, version: int) -> None:
    """Gives a message the label that its own became; one whose label was retired becomes a fallback.

    A near tie of two labels that have become one is none. What else comes near is not guessed.
    """
    if text_of(message).startswith(INTENT_MESSAGE_PREFIX):
        return  # a button says what it means, whatever the classifier makes of its text
    label = chosen_label(message)
    confidence = float((message.get(INTENT) or {}).get(PREDICTED_CONFIDENCE_KEY) or 0.0)
    untied = _untie(message, changes)
    if untied and label == DEFAULT_NLU_FALLBACK_INTENT_NAME:
        label, confidence = untied
    if not changes.concern(label):
        _follow_ranking(message, changes)
        return
    now = changes.now(label)
    # Most of what a retrieval intent has in the ranking is its best key's.
    goes = "/" in label and base_intent(now or "") != base_intent(label)
    _follow_ranking(message, changes, without=base_intent(label) if goes else "")
    if now is None:
        others = _others(message, DEFAULT_NLU_FALLBACK_INTENT_NAME)
        set_intents(message, [ranked(DEFAULT_NLU_FALLBACK_INTENT_NAME, confidence), *others])
        _offer(message, [])
    else:
        give_label(message, now, max(confidence, _share(message, now)))
    mark: dict[str, Any] = {"entry_id": changes.decided_by[label], "version": version, "was": label}
    message.set(OVERLAY, {**(message.get(OVERLAY) or {}), **mark}, add_to_output=True)


def _untie(message: Message, changes: Changes) -> tuple[str, float] | None:
    """Brings the labels up to date that a near tie lies between; returns a label and its confidence if it is none now.

    The label returned is the one of the two that has changed.
    """
    verdict = message.get(OUT_OF_SCOPE) or {}
    tied = [
        (str(entry[INTENT_NAME_KEY]), float(entry[PREDICTED_CONFIDENCE_KEY]))
        for entry in verdict.get("candidates") or []
    ]
    if verdict.get("reason") != NEAR_TIE or not any(changes.concern(label) for label, _ in tied):
        return None
    first, *rest = (changes.now(label) for label, _ in tied)
    second = rest[0] if rest else None
    merged: dict[str, float] = {}
    for label, share in tied:
        now = changes.now(label)
        if now is not None:
            merged[now] = min(1.0, merged.get(now, 0.0) + share)
    # Where one of the two is retired there is nothing to ask about, and the other is no answer to a tie.
    candidates = [] if first is None or second is None else sorted(merged.items(), key=lambda item: -item[1])
    _offer(message, candidates)
    if first is None or first != second:
        return None
    changed = next(label for label, _ in tied if changes.now(label) == first and changes.concern(label))
    return changed, merged[first]


def _offer(message: Message, candidates: Sequence[tuple[str, float]]) -> None:
    """Writes between which labels the bot may ask a customer to choose."""
    verdict = message.get(OUT_OF_SCOPE)
    if verdict:
        offered = [ranked(label, confidence) for label, confidence in candidates]
        message.set(OUT_OF_SCOPE, {**verdict, "candidates": offered}, add_to_output=True)


def _follow_ranking(message: Message, changes: Changes, without: str = "") -> None:
    """Brings the intents of the ranking up to date, and takes the intent `without` out of it."""
    ranking = message.get(INTENT_RANKING_KEY) or []
    names = [str(entry[INTENT_NAME_KEY]) for entry in ranking]
    if not any(name == without or changes.concern(name) for name in names):
        return
    shares: dict[str, float] = {}
    for name, entry in zip(names, ranking, strict=True):
        now = changes.now(name)
        if name != without and now is not None:
            intent = base_intent(now)
            shares[intent] = min(1.0, shares.get(intent, 0.0) + float(entry[PREDICTED_CONFIDENCE_KEY]))
    ordered = [ranked(name, share) for name, share in sorted(shares.items(), key=lambda item: -item[1])]
    # The decision stays: only what stands behind it is put in order.
    chosen = (message.get(INTENT) or {}).get(INTENT_NAME_KEY)
    ordered.sort(key=lambda entry: entry[INTENT_NAME_KEY] != chosen)
    message.set(INTENT_RANKING_KEY, ordered, add_to_output=True)
    if ordered and ordered[0][INTENT_NAME_KEY] == chosen:
        set_intents(message, ordered)


def _share(message: Message, intent: str) -> float:
    """Returns the confidence of an intent in the ranking; a retrieval key stands in none."""
    ranking = message.get(INTENT_RANKING_KEY) or []
    shares = [float(entry[PREDICTED_CONFIDENCE_KEY]) for entry in ranking if entry[INTENT_NAME_KEY] == intent]
    return shares[0] if shares else 0.0


def _others(message: Message, intent: str) -> list[dict[str, Any]]:
    return [
        entry
        for entry in message.get(INTENT_RANKING_KEY) or []
        if entry[INTENT_NAME_KEY] not in (intent, DEFAULT_NLU_FALLBACK_INTENT_NAME)
    ]
