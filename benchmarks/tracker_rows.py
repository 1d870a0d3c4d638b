"""Event rows as Rasa 3.6 writes them for this assistant, made from strings: fast enough for ten million.

The shapes were taken from conversations with the running bot. `tests/unit/test_tracker_rows.py` lets Rasa
read every kind of row and write it again, and compares.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

# sender_id, type_name, timestamp, intent_name, action_name, data
Row: TypeAlias = tuple[str, str, float, "str | None", "str | None", str]

META = '{"model_id": "c701f24f3e804c81884190437b2fda51", "assistant_id": "fernway_shop"}'
META_REST = META[1:]
NO_BUTTONS = (
    '{"elements": null, "quick_replies": null, "buttons": null, "attachment": null, "image": null, "custom": null}'
)
FALLBACK = "nlu_fallback"
FORM = "support_form"
FORM_SLOTS = ("check", "confirmed", "new_address", "issue")
# Bounds, by how sure the NLU is.
CONFIDENCE = {"high": (0.86, 1.0), "low": (0.3, 0.54), "none": (0.5, 0.75)}
SIMILARITY = {"high": (0.62, 0.9), "low": (0.38, 0.6), "none": (0.2, 0.5)}
VARIANTS = 8  # different confidences for each label
WORD = re.compile(r"\w+(?:[-.']\w+)*")


class Understandings:
    """What the NLU says of a message: ranking, response selector, out-of-scope and mood, by label and sureness.

    Args:
        answers: the answer of each full retrieval key, such as `faq/opening_hours`.
        labels: the intents that the NLU ranks.
        seed: which confidences it reports.

    """

    def __init__(self, answers: Mapping[str, str], labels: Sequence[str], seed: int) -> None:
        self._labels = list(labels)
        self._random = random.Random(seed)
        self._selector = self._response_selectors(answers)
        self._ready: dict[tuple[str, str], list[tuple[str, str]]] = {}

    def of(self, label: str, sure: str, number: int) -> tuple[str, str]:
        """Return the JSON of the intent, and of all that follows the tokens; `sure` is high, low or none."""
        key = label, sure
        if key not in self._ready:
            self._ready[key] = [self._make(label, sure) for _ in range(VARIANTS)]
        return self._ready[key][number % VARIANTS]

    def _make(self, label: str, sure: str) -> tuple[str, str]:
        rng, base = self._random, label.partition("/")[0]
        confidence = {"high": rng.uniform(0.86, 1.0), "low": rng.uniform(0.3, 0.54), "none": rng.uniform(0.5, 0.75)}[
            sure
        ]
        similarity = {"high": rng.uniform(0.62, 0.9), "low": rng.uniform(0.38, 0.6), "none": rng.uniform(0.2, 0.5)}[
            sure
        ]
        others = [name for name in self._labels if name != base]
        rng.shuffle(others)
        ranking, left = [(base, confidence)], 1.0 - confidence
        for name in others:
            share = left * rng.uniform(0.3, 0.9) if sure != "low" else left * rng.uniform(0.1, 0.5)
            ranking.append((name, share))
            left -= share
        ranking[1:] = sorted(ranking[1:], key=lambda entry: -entry[1])
        intent: dict[str, object] = {"name": base, "confidence": confidence}
        if "/" in label:
            intent["full_retrieval_intent_name"] = label
        scope = {
            "reason": "near_tie" if sure == "none" else "in_scope",
            "score": rng.uniform(-3, 5),
            "threshold": -2.8548337256923344,
            "similarity": similarity,
            "candidates": _entries(ranking[1:4] if sure == "none" else ranking[:3]),
        }
        mood = {"polarity": round(rng.uniform(-0.3, 0.6), 4), "frustration": 0.0, "frustrated": False, "signs": []}
        rest = (
            f', "intent_ranking": {json.dumps(_entries(ranking))}, "response_selector": {self._selector_of(label)}'
            f', "out_of_scope": {json.dumps(scope)}, "sentiment": {json.dumps(mood)}}}'
        )
        return json.dumps(intent), rest

    def _response_selectors(self, answers: Mapping[str, str]) -> dict[str, str]:
        """Return the JSON of the response selector with each answer at its top."""
        bases = sorted({key.partition("/")[0] for key in answers})
        made: dict[str, str] = {}
        for chosen in answers:
            content: dict[str, object] = {"all_retrieval_intents": bases}
            for base in bases:
                keys = sorted((key for key in answers if key.startswith(f"{base}/")), key=lambda key: key != chosen)
                shares = [0.7 / 2**place + 1e-9 * self._random.random() for place in range(len(keys))]
                top = {
                    "responses": [{"text": answers[keys[0]]}],
                    "confidence": shares[0],
                    "intent_response_key": keys[0],
                    "utter_action": f"utter_{keys[0]}",
                }
                ranked = [
                    {"confidence": share, "intent_response_key": key} for share, key in zip(shares, keys, strict=True)
                ]
                content[base] = {"response": top, "ranking": ranked}
            made[chosen] = json.dumps(content)
        return made

    def _selector_of(self, label: str) -> str:
        return self._selector.get(label) or next(iter(self._selector.values()))


def _entries(ranking: Iterable[tuple[str, float]]) -> list[dict[str, object]]:
    return [{"name": name, "confidence": confidence} for name, confidence in ranking]


@lru_cache(maxsize=100_000)
def _text(text: str) -> tuple[str, str]:
    """Return a text and the places of its words, both as JSON."""
    return json.dumps(text), json.dumps([list(match.span()) for match in WORD.finditer(text)])


def user(
    sender: str, at: float, text: str, understood: tuple[str, str], label: str, message_id: str, entities: str = "[]"
) -> Row:
    """A message with all of its parse data; `understood` comes from `Understandings`."""
    said, tokens = _text(text)
    intent, rest = understood
    data = (
        f'{{"event": "user", "timestamp": {at!r}, "metadata": {META}, "text": {said}, '
        f'"parse_data": {{"intent": {intent}, "entities": {entities}, "text": {said}, '
        f'"message_id": "{message_id}", "metadata": {{}}, '
        f'"text_tokens": {tokens}{rest}, "input_channel": "rest", "message_id": "{message_id}"}}'
    )
    return sender, "user", at, label.partition("/")[0], None, data


def button(sender: str, at: float, intent: str, message_id: str) -> Row:
    """A pressed button: an intent without a text."""
    parsed = (
        f'{{"intent": {{"name": "{intent}", "confidence": 1.0}}, "entities": [], "text": "/{intent}", "message_id": '
        f'"{message_id}", "metadata": {{}}, "intent_ranking": [{{"name": "{intent}", "confidence": 1.0}}]}}'
    )
    data = (
        f'{{"event": "user", "timestamp": {at!r}, "metadata": {META}, "text": "/{intent}", "parse_data": {parsed}, '
        f'"input_channel": "rest", "message_id": "{message_id}"}}'
    )
    return sender, "user", at, intent, None, data


def featurization(sender: str, at: float) -> Row:
    """What a rule leaves behind each message."""
    kind = "user_featurization"
    data = f'{{"event": "{kind}", "timestamp": {at!r}, "metadata": {META}, "use_text_for_featurization": false}}'
    return sender, kind, at, None, None, data


def action(sender: str, at: float, name: str, policy: str = '"RulePolicy"', confidence: str = "1.0") -> Row:
    """An action that ran."""
    data = (
        f'{{"event": "action", "timestamp": {at!r}, "metadata": {META}, "name": "{name}", "policy": {policy}, '
        f'"confidence": {confidence}, "action_text": null, "hide_rule_turn": false}}'
    )
    return sender, "action", at, None, name, data


def bot(sender: str, at: float, text: str, utter: str | None = None, buttons: str | None = None, more: str = "") -> Row:
    """An answer; `buttons` and `more` metadata are JSON."""
    meta = f'{{"utter_action": "{utter}", {META_REST}' if utter else f"{{{more}{META_REST}"
    data = NO_BUTTONS if buttons is None else NO_BUTTONS.replace('"buttons": null', f'"buttons": {buttons}')
    row = f'{{"event": "bot", "timestamp": {at!r}, "metadata": {meta}, "text": {_text(text)[0]}, "data": {data}}}'
    return sender, "bot", at, None, None, row


def slot(sender: str, at: float, name: str, value: str) -> Row:
    """A slot that was set; `value` is JSON."""
    data = f'{{"event": "slot", "timestamp": {at!r}, "metadata": {META}, "name": "{name}", "value": {value}}}'
    return sender, "slot", at, None, name, data


def form(sender: str, at: float, name: str | None) -> Row:
    """A form that begins or, without a name, ends."""
    shown = "null" if name is None else f'"{name}"'
    data = f'{{"event": "active_loop", "timestamp": {at!r}, "metadata": {META}, "name": {shown}}}'
    return sender, "active_loop", at, None, name, data


def session_start(sender: str, at: float) -> list[Row]:
    """What Rasa writes before the first message of a session."""
    started = f'{{"event": "session_started", "timestamp": {at + 5e-05!r}, "metadata": {META}}}'
    return [
        action(sender, at, "action_session_start", "null"),
        (sender, "session_started", at + 5e-05, None, None, started),
        action(sender, at + 7e-05, "action_listen", "null", "null"),
    ]
