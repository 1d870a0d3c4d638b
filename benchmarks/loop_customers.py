"""How the customers of the loop benchmark behave, and the rows that their conversations leave in the tracker store.

Who was answered beside the point presses thumbs-down, says so, or asks again in other words, each with a probability;
most say nothing. Who is asked "Did you mean ...?" presses the right button if it is there. Who was not understood asks
again or leaves. Who was helped seldom presses a thumb, now and then the
wrong one. They know whether an answer was right; the loop sees only what they do.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from actions.clarify import payload
from actions.conversation import CLARIFIES
from benchmarks import tracker_rows as rows
from benchmarks.loop_bot import label_of, offered
from benchmarks.loop_data import Message
from benchmarks.tracker_rows import Row
from benchmarks.tracker_store import COLUMNS, INDEX, SQLITE_TABLE
from benchmarks.tracker_talk import REJECTIONS, REPHRASE
from learning.model import FALLBACK_INTENT, sender_key

WEEK = 7 * 86400.0  # seconds
THUMB_WRONG = 0.2  # presses thumbs-down after a wrong answer
REJECTS = 0.1  # says in words that it was wrong
AGAIN_WRONG = 0.2  # asks again in other words after a wrong answer
PICKS = 0.7  # presses the right one of the buttons that ask what was meant
AGAIN_LOST = 0.3  # asks again after the bot did not understand
THUMB_RIGHT = 0.1  # rates a right answer
MISTAKEN = 0.05  # of those ratings are thumbs-down
RETURNS = 0.2  # of the visits are by somebody who has been here before
PAUSE = 40.0  # seconds until the next message of a visit


@dataclass
class Customers:
    """Everybody who writes, over all weeks; `truths` tells what each message meant, by sender and time."""

    seed: str
    senders: list[str] = field(default_factory=list)
    truths: dict[tuple[str, datetime], str] = field(default_factory=dict)

    def week(
        self,
        began: float,
        said: Sequence[Message],
        parsed: Mapping[str, dict[str, Any]],
        meanings: Mapping[str, str],
    ) -> list[Row]:
        """Return the rows of a week's visits.

        Args:
            began: seconds since 1970.
            said: the week's messages; each is said once.
            parsed: how the bot understands each text, those of `REJECTIONS` included.
            meanings: the intent that each of the bot's labels answers.
        """
        rng = random.Random(f"{self.seed} {began}")
        times = sorted(rng.uniform(0, WEEK - 3600) for _ in said)
        left: dict[str, list[Message]] = defaultdict(list)
        for message in said:
            left[message.truth].append(message)
        waiting = list(said)
        gone: set[str] = set()
        found: list[Row] = []
        for offset in times:
            while waiting and waiting[-1].text in gone:
                waiting.pop()
            if not waiting:
                break
            visit = _Visit(self, rng, began + offset, parsed, meanings)
            gone |= visit.play(waiting.pop(), left, gone)
            found += visit.rows
        return found

    def sender(self, rng: random.Random) -> str:
        """Return who comes next."""
        if self.senders and rng.random() < RETURNS:
            return rng.choice(self.senders)
        self.senders.append(f"{self.seed}-{len(self.senders)}".replace(" ", "-"))
        return self.senders[-1]


class _Visit:
    """One customer's conversation."""

    def __init__(
        self,
        customers: Customers,
        rng: random.Random,
        now: float,
        parsed: Mapping[str, dict[str, Any]],
        meanings: Mapping[str, str],
    ) -> None:
        self._customers = customers
        self._rng = rng
        self._parsed = parsed
        self._meanings = meanings
        self._sender = customers.sender(rng)
        self._now = now
        self.rows = rows.session_start(self._sender, now)

    def play(self, first: Message, left: Mapping[str, list[Message]], gone: set[str]) -> set[str]:
        """Say the first message and what follows from it; return the texts that were said."""
        rng, chance = self._rng, self._rng.random()
        label = self._say(first)
        said = {first.text}
        if label == FALLBACK_INTENT:
            choices = [label for label in self._offered if self._meanings.get(label) == first.truth]
            if choices and chance < PICKS:
                self._press(choices[0])
                return said
            again = chance < AGAIN_LOST
        elif self._meanings.get(label) == first.truth:
            if chance < THUMB_RIGHT:
                self._thumb("down" if rng.random() < MISTAKEN else "up")
            return said
        elif chance < THUMB_WRONG:
            self._thumb("down")
            return said
        elif chance < THUMB_WRONG + REJECTS:
            self._say(Message(rng.choice(REJECTIONS), ""))
            return said
        else:
            again = chance < THUMB_WRONG + REJECTS + AGAIN_WRONG
        others = [message for message in left[first.truth] if message.text not in gone | said]
        if again and others:
            other = rng.choice(others)
            self._say(other)
            said.add(other.text)
        return said

    def _say(self, message: Message) -> str:
        """Write a message and the bot's answer; return how it was understood."""
        parsed = self._parsed[message.text]
        label = label_of(parsed)
        sender, at, rng = self._sender, self._now, self._rng
        self._now += rng.uniform(0.5, 1.5) * PAUSE
        when = datetime.fromtimestamp(at, tz=timezone.utc)
        self._customers.truths[sender_key(sender), when] = message.truth
        rest = ", " + json.dumps({key: value for key, value in parsed.items() if key != "intent"})[1:]
        understood = json.dumps(parsed["intent"]), rest
        base = label.partition("/")[0]
        lost = label == FALLBACK_INTENT
        self._offered = offered(parsed) if lost else []
        answered = rows.bot(
            sender, at + 0.0146, REPHRASE if lost else f"About {label}.", None if lost else f"utter_{label}"
        )
        if self._offered:
            buttons = [{"title": choice, "payload": payload(choice, {})} for choice in self._offered]
            clarifies = f'"{CLARIFIES}": {json.dumps(self._offered)}, '
            answered = rows.bot(sender, at + 0.0146, "Did you mean ...?", buttons=json.dumps(buttons), more=clarifies)
        self.rows += [
            rows.user(sender, at, message.text, understood, label, f"{rng.getrandbits(128):032x}"),
            rows.featurization(sender, at + 0.0144),
            rows.action(sender, at + 0.0145, "action_fallback" if lost else f"utter_{base}"),
            answered,
            rows.action(sender, at + 0.0157, "action_listen"),
        ]
        self._answered = at + 0.0146
        return label

    def _press(self, label: str) -> None:
        """Press the button that stands for a label, and be answered."""
        sender, at, text = self._sender, self._now, payload(label, {})
        message_id = f"{self._rng.getrandbits(128):032x}"
        name = FALLBACK_INTENT if "/" in label else label
        intent = {"name": name, "confidence": 1.0}
        parse = {"intent": intent, "entities": [], "text": text, "message_id": message_id, "metadata": {}}
        data = {
            "event": "user",
            "timestamp": at,
            "metadata": json.loads(rows.META),
            "text": text,
            "parse_data": {**parse, "intent_ranking": [intent]},
            "input_channel": "rest",
            "message_id": message_id,
        }
        self.rows += [
            (sender, "user", at, name, None, json.dumps(data)),
            rows.action(sender, at + 0.0145, "action_fallback" if "/" in label else f"utter_{label}"),
            rows.bot(sender, at + 0.0146, f"About {label}.", f"utter_{label}"),
            rows.action(sender, at + 0.0157, "action_listen"),
        ]

    def _thumb(self, value: str) -> None:
        given = f'{{"message_id": "{self._answered!r}", "value": "{value}", "comment": null}}'
        self.rows.append(rows.slot(self._sender, self._now, "last_feedback", given))


def append(path: Path, found: Sequence[Row]) -> None:
    """Add rows to the tracker store, which is made if there is none."""
    fresh = not path.exists()
    connection = sqlite3.connect(path)
    with connection:
        if fresh:
            connection.execute(SQLITE_TABLE)
            connection.execute(INDEX)
        connection.executemany(f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", found)
    connection.close()
