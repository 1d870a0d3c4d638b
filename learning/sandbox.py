"""The sandbox: talk to the bot with a proposal applied, while customers go on without it.

A child process runs the model that answers now. What is published for it stands in a database of its own, so that
nothing that is tried here can go live, and nothing is left behind.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from learning.loop import Loop
from learning.model import ANSWERING, TEACHING, Entry, Proposal, ProposalState
from learning.publish import entry_id
from learning.review import as_decided, effective

NO_ANSWER = "(no answer has been written yet)"
WITH, WITHOUT = "with", "without"  # the two conversations of a session, by what the bot knows in them


@dataclass(frozen=True)
class Understood:
    """How the bot understood a message: intent or full retrieval key, and the published entry that took it, if any."""

    label: str
    confidence: float
    entry: str | None = None


@dataclass(frozen=True)
class Button:
    """A choice that the bot offers; the customer's page sends `payload`."""

    title: str
    payload: str


@dataclass(frozen=True)
class Reply:
    """One message of the bot."""

    text: str
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True)
class Exchange:
    """A message, how it was understood, and all that the bot answered: nothing, one message, or several."""

    text: str
    understood: Understood
    replies: tuple[Reply, ...]


@dataclass(frozen=True)
class Comparison:
    """What the bot answers to the same message without the proposal, and with it."""

    without: Exchange
    applied: Exchange

    @property
    def differs(self) -> bool:
        """Whether the customer would notice."""
        return self.without.replies != self.applied.replies


class TrialBot(Protocol):
    """A running model that customers do not reach; it knows those entries that it is told to use."""

    @property
    def model(self) -> str:
        """The model's file name."""
        ...

    def use(self, entries: Sequence[Entry]) -> None:
        """Make exactly these entries live for it, from its next message on."""
        ...

    def understand(self, texts: Sequence[str]) -> list[Understood]:
        """Return how it understands each text, outside of any conversation."""
        ...

    def say(self, conversation: str, text: str) -> Exchange:
        """Send a customer's message in the named conversation and return what is answered."""
        ...

    def close(self) -> None:
        """End it, and remove what it kept."""
        ...


class TrialBots(Protocol):
    """Starts such bots with the model that answers now."""

    def start(self, actions: str | None = None) -> TrialBot:
        """Start one; `actions` is the URL of an action server, without it custom actions only say that they would run.

        Raises:
            TrainingError: there is no model, or it cannot be loaded.

        """
        ...


class Sandbox:
    """A session: the same conversation with the proposal and, where it is asked for, without."""

    def __init__(self, bot: TrialBot, live: Sequence[Entry], candidate: Entry) -> None:
        self._bot = bot
        self._live = tuple(live)
        self._candidate = candidate
        self._turn = threading.Lock()  # what the bot knows must not change between two steps of a turn

    @classmethod
    def open(cls, loop: Loop, bots: TrialBots, proposal: Proposal, actions: str | None = None) -> Sandbox:
        """Start a session with a proposal in any state; to try an edited one, pass it with the edits made.

        Args:
            loop: whose published entries count.
            bots: starts the bot.
            proposal: what is tried.
            actions: URL of an action server that really runs custom actions. Those of the shop change orders.

        Raises:
            TrainingError: there is no model, or it cannot be loaded.

        """
        live = other_entries(loop, proposal)
        return cls(bots.start(actions), live, candidate(proposal, live))

    @property
    def model(self) -> str:
        """The file name of the model that answers."""
        return self._bot.model

    def say(self, text: str) -> Exchange:
        """Say something to the bot that has the proposal."""
        with self._turn:
            self._bot.use([*self._live, self._candidate])
            return self._bot.say(WITH, text)

    def say_without(self, text: str) -> Exchange:
        """Say something to the bot as it is, in a conversation of its own."""
        with self._turn:
            self._bot.use(self._live)
            return self._bot.say(WITHOUT, text)

    def compare(self, text: str) -> Comparison:
        """Say the same to both."""
        return Comparison(self.say_without(text), self.say(text))

    def close(self) -> None:
        """End the session."""
        self._bot.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def other_entries(loop: Loop, proposal: Proposal) -> list[Entry]:
    """Return what is live besides the proposal: one that is published is tried against the bot without it."""
    live = loop.store.entries(ProposalState.PUBLISHED)
    return [entry for entry in live if entry.proposal_id != proposal.proposal_id]


def as_it_stands(loop: Loop, proposal: Proposal) -> Proposal:
    """Return a proposal as whoever decided about it last left it: edited, or as the machine wrote it."""
    return as_decided(proposal, effective(loop.store.decisions()).get(proposal.proposal_id))


def candidate(proposal: Proposal, live: Sequence[Entry]) -> Entry:
    """Return the entry that publishing the proposal as the next release would make."""
    proposal = as_decided(proposal, None)  # with its examples as they would be taught
    answer = (proposal.answer or NO_ANSWER) if proposal.kind in ANSWERING else None
    return Entry(
        entry_id=entry_id(proposal),
        proposal_id=proposal.proposal_id,
        kind=proposal.kind,
        label=proposal.label,
        examples=proposal.examples,
        answer=answer,
        release=1 + max((entry.release for entry in live), default=0),
        state=ProposalState.PUBLISHED,
        target=proposal.target,
    )


def without_examples(entry: Entry, left_out: Sequence[str]) -> Entry | None:
    """Return an entry without some of its examples, None where it would have nothing to catch messages with."""
    kept = tuple(example for example in entry.examples if example not in left_out)
    return replace(entry, examples=kept) if kept or entry.kind not in TEACHING else None
