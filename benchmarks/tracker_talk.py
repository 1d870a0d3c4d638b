"""Conversations of an online shop's customers with this assistant, as rows: what `tracker_store` writes.

Most of them go well. About one message in ten does not: it is about something the bot does not know, it is answered
by a guess, it is said again, or its answer is rejected. Messages come with long-tailed frequencies, near-duplicates
and typos. Who talks at the same time is interleaved message by message, as Rasa stores it.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from benchmarks import tracker_rows as rows
from benchmarks.tracker_rows import FALLBACK, FORM, FORM_SLOTS, Row, Understandings

THINKING = 40.0  # seconds between two messages of a customer, on average
LONG_TALK = 0.0005  # share of conversations that go on for hundreds of messages: tests, bored people, other bots
REJECTIONS = ("that's not what I asked", "wrong answer", "you didn't answer my question", "no, I meant something else")
OPENINGS = ("", "", "", "", "hi, ", "hello ", "hey ", "so ", "ok, ", "um ")
ENDINGS = ("", "", "", "", " please", "?", " thanks", "??", " asap", " pls")
REPHRASE = (
    "Sorry, I didn't get that. Could you put it another way? I can track or cancel orders, start returns, check "
    "refunds and store credit, reset passwords, and answer questions about delivery and payment."
)
OFFER = "I still don't understand, sorry. Shall I pass you to a person from our team?"
YES_NO = '[{"title": "Yes", "payload": "/affirm"}, {"title": "No", "payload": "/deny"}]'
UNAVAILABLE = "I'm sorry, I can't reach our order system right now. You can try again, or I can pass you to a person."
ASK_NUMBER = "Sure, I can look that order up. What's the order number? It has five digits, such as 10342."
FORM_TASKS = ("track_order", "order_late", "refund_status", "return_item", "order_not_received", "invoice_request")


@dataclass(frozen=True)
class Vocabulary:
    """What customers say: examples of what the bot knows by label, messages about other things by need, and noise."""

    known: Mapping[str, Sequence[str]]
    unknown: Mapping[str, Sequence[str]]
    noise: Sequence[str]
    answers: Mapping[str, str]  # of full retrieval keys


class Zipf:
    """Draws from a sequence: the n-th most frequent item comes 1/n as often as the first."""

    def __init__(self, items: Sequence[str], rng: random.Random) -> None:
        self._items = list(items)
        rng.shuffle(self._items)
        self._weights = list(accumulate(1 / rank for rank in range(1, len(self._items) + 1)))

    def draw(self, rng: random.Random) -> str:
        """Return one item."""
        return rng.choices(self._items, cum_weights=self._weights)[0]


class Talk:
    """Everything that is said, in the order in which Rasa stores it.

    Args:
        vocabulary: what customers say.
        seed: who says what, and when.
        start: seconds since 1970.
        concurrent: people who talk at the same time.
        first_sender: number of the first new sender; smaller ones have been here before.

    """

    def __init__(
        self, vocabulary: Vocabulary, seed: int, start: float, concurrent: int = 50, first_sender: int = 0
    ) -> None:
        self._rng = random.Random(seed)
        self._now = start
        self._concurrent = concurrent
        self._people = first_sender
        labels = sorted({label.partition("/")[0] for label in vocabulary.known})
        self._understood = Understandings(vocabulary.answers, labels, seed)
        self._vocabulary = vocabulary
        self._easy = [label for label in sorted(vocabulary.known) if label not in FORM_TASKS]
        self._known = {label: Zipf(texts, self._rng) for label, texts in sorted(vocabulary.known.items())}
        self._labels = Zipf(self._easy, self._rng)
        self._needs = Zipf(sorted(vocabulary.unknown), self._rng)
        self._unknown = {need: Zipf(texts, self._rng) for need, texts in sorted(vocabulary.unknown.items())}
        self._noise = Zipf(vocabulary.noise, self._rng)

    def rows(self) -> Iterator[list[Row]]:
        """Yield without end what is stored at a time: a message with all that the bot does about it."""
        active = [self._session() for _ in range(self._concurrent)]
        while True:
            self._now += self._rng.expovariate(self._concurrent / THINKING)
            place = self._rng.randrange(self._concurrent)
            stored = next(active[place], None)
            if stored is None:
                active[place] = self._session()
                continue
            yield stored

    # --- who says what ------------------------------------------------------------------------------

    def _session(self) -> Iterator[list[Row]]:
        rng = self._rng
        if self._people and rng.random() < 0.2:  # has been here before
            sender = f"customer-{rng.randrange(self._people)}"
        else:
            sender = f"customer-{self._people}"
            self._people += 1
        started = rows.session_start(sender, self._now)
        for stored in self._exchanges(sender):
            yield [*started, *stored]
            started = []

    def _exchanges(self, sender: str) -> Iterator[list[Row]]:
        rng = self._rng
        if rng.random() < 0.35:
            yield self._answer(sender, "greet")
        count = rng.randint(200, 500) if rng.random() < LONG_TALK else 1 + min(12, int(rng.expovariate(0.45)))
        for _ in range(count):
            chance = rng.random()
            if chance < 0.45:
                yield self._answer(sender, self._labels.draw(rng))
            elif chance < 0.78:
                yield from self._form(sender)
            elif chance < 0.9:
                left = yield from self._missed(sender)
                if left:
                    return
            elif chance < 0.97:
                left = yield from self._guessed(sender)
                if left:
                    return
            else:
                yield self._hand_over(sender, self._say(sender, "talk_to_person"))
                return
        if rng.random() < 0.4:
            yield self._answer(sender, "thank")
        if rng.random() < 0.03:
            yield [rows.slot(sender, self._now, "csat", str(rng.choice((1, 2, 3, 4, 4, 5, 5, 5))))]

    def _form(self, sender: str) -> Iterator[list[Row]]:
        """A task that needs an order number: it is asked for, given, looked up."""
        rng, task = self._rng, self._rng.choice(FORM_TASKS)
        said, at = self._say(sender, task), self._now
        asked = rows.bot(sender, at + 0.1157, ASK_NUMBER)
        yield [
            said,
            rows.slot(sender, at + 0.0002, "task", f'"{task}"'),
            rows.featurization(sender, at + 0.1151),
            rows.action(sender, at + 0.1152, FORM),
            rows.form(sender, at + 0.1153, FORM),
            *(rows.slot(sender, at + 0.1154, name, "null") for name in FORM_SLOTS),
            rows.slot(sender, at + 0.1155, "requested_slot", '"order_number"'),
            asked,
            rows.action(sender, at + 0.1168, "action_listen"),
        ]
        if rng.random() < 0.08:  # goes to look for the number, and never comes back
            return
        number, at = str(rng.randrange(10000, 20000)), self._now
        entity = (
            f'[{{"entity": "order_number", "start": 0, "end": 5, "value": "{number}", "extractor": '
            f'"RegexEntityExtractor", "processors": ["EntitySynonymMapper"]}}]'
        )
        fails = rng.random() < 0.015
        stored = [
            self._say(sender, "inform", text=number, entities=entity),
            rows.slot(sender, at + 0.0004, "order_number", f'"{number}"'),
            rows.featurization(sender, at + 0.0535),
            rows.action(sender, at + 0.0536, FORM),
            rows.slot(sender, at + 0.0537, "order_number", f'"{number}"'),
            rows.slot(sender, at + 0.0538, "requested_slot", "null"),
            rows.slot(sender, at + 0.0538, "requested_slot", "null"),
            rows.form(sender, at + 0.0539, None),
            rows.action(sender, at + 0.3848, f"action_{task}"),
            rows.bot(sender, at + 0.3849, UNAVAILABLE if fails else f"Order {number} is on its way with DHL."),
        ]
        if fails:
            stored.append(rows.slot(sender, at + 0.385, "backend_failure", '"shop.order_status"'))
            stored.append(rows.slot(sender, at + 0.385, "offer", '"person"'))
        yield [*stored, rows.action(sender, at + 0.3907, "action_listen"), *self._thumb(sender, at + 0.3849, 0.8)]

    def _missed(self, sender: str) -> Generator[list[Row], None, bool]:
        """A message that is not understood, and what comes of it; whether the customer leaves is returned."""
        rng = self._rng
        noise = rng.random() < 0.4
        need = "" if noise else self._needs.draw(rng)
        yield self._fall_back(sender, self._unknown_text(need), REPHRASE)
        chance = rng.random()
        if chance < 0.3:
            return True
        if chance < 0.4:
            yield self._hand_over(sender, self._say(sender, "talk_to_person"))
            return True
        if chance < 0.6:
            yield self._fall_back(sender, self._unknown_text(need), OFFER, offers=True)
            if rng.random() < 0.4:
                yield self._hand_over(sender, rows.button(sender, self._now, "affirm", self._id()), "action_affirm")
                return True
        return False

    def _guessed(self, sender: str) -> Generator[list[Row], None, bool]:
        """A message that is answered although the bot is guessing; whether the customer leaves is returned."""
        rng = self._rng
        need = self._needs.draw(rng)
        text = self._unknown_text(need)
        yield self._answer(sender, self._labels.draw(rng), "low", text, liked=0.3)
        chance = rng.random()
        if chance < 0.25:
            words = text.split()
            again = " ".join(words[1:]) + " " + words[0] if rng.random() < 0.5 else self._unknown_text(need)
            yield self._answer(sender, self._labels.draw(rng), "low", again, liked=0.3)
        elif chance < 0.35:
            yield self._fall_back(sender, rng.choice(REJECTIONS), REPHRASE)
        return chance > 0.8

    # --- one message --------------------------------------------------------------------------------

    def _answer(self, sender: str, label: str, sure: str = "high", text: str = "", liked: float = 0.8) -> list[Row]:
        at = self._now
        base = label.partition("/")[0]
        return [
            self._say(sender, label, sure, text),
            rows.featurization(sender, at + 0.0144),
            rows.action(sender, at + 0.0145, f"utter_{base}"),
            rows.bot(sender, at + 0.0146, self._vocabulary.answers.get(label, f"About {base}."), f"utter_{label}"),
            rows.action(sender, at + 0.0157, "action_listen"),
            *self._thumb(sender, at + 0.0146, liked),
        ]

    def _fall_back(self, sender: str, text: str, answer: str, offers: bool = False) -> list[Row]:
        at = self._now
        offer = [rows.slot(sender, at + 0.0486, "offer", '"person"')] if offers else []
        return [
            self._say(sender, FALLBACK, "none", text),
            rows.featurization(sender, at + 0.0483),
            rows.action(sender, at + 0.0484, "action_fallback"),
            rows.bot(sender, at + 0.0485, answer, buttons=YES_NO if offers else None),
            *offer,
            rows.action(sender, at + 0.05, "action_listen"),
        ]

    def _hand_over(self, sender: str, said: Row, ran: str = "action_talk_to_person") -> list[Row]:
        at, reference = self._now, f"T-{self._rng.randrange(10**7, 10**8)}"
        return [
            said,
            rows.featurization(sender, at + 0.0848),
            rows.action(sender, at + 0.085, ran),
            rows.bot(
                sender, at + 0.0851, f"I've passed this to a person from our team. Your reference is {reference}."
            ),
            rows.slot(sender, at + 0.0851, "ticket_reference", f'"{reference}"'),
            rows.action(sender, at + 0.0909, "action_listen"),
        ]

    def _thumb(self, sender: str, answered: float, liked: float) -> list[Row]:
        rng = self._rng
        if rng.random() >= 0.03:
            return []
        value = "up" if rng.random() < liked else "down"
        given = f'{{"message_id": "{answered!r}", "value": "{value}", "comment": null}}'
        return [rows.slot(sender, self._now + 5.0, "last_feedback", given)]

    def _say(self, sender: str, label: str, sure: str = "high", text: str = "", entities: str = "[]") -> Row:
        rng = self._rng
        if not text:
            text = self._altered(self._known[label].draw(rng)) if label in self._known else label
        understood = self._understood.of(label, sure, rng.randrange(rows.VARIANTS))
        return rows.user(sender, self._now, text, understood, label, self._id(), entities)

    def _unknown_text(self, need: str) -> str:
        rng = self._rng
        return self._altered((self._unknown[need] if need else self._noise).draw(rng))

    def _altered(self, text: str) -> str:
        """Return a near-duplicate, now and then with a typo."""
        rng = self._rng
        if rng.random() < 0.3:
            text = rng.choice(OPENINGS) + text + rng.choice(ENDINGS)
        if rng.random() < 0.1 and len(text) > 4:
            place = rng.randrange(1, len(text) - 2)
            text = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        return text

    def _id(self) -> str:
        return f"{self._rng.getrandbits(128):032x}"
