"""What the tests of the learning loop are built from: a tracker store, a project folder, fakes, records."""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from learning.adapters.database import MIGRATIONS
from learning.adapters.project import Project
from learning.adapters.store import Store
from learning.adapters.tracker_sql import SqlTrackerEvents
from learning.alert_records import Delivery, Message, Target
from learning.conversations import build, split
from learning.errors import BotServerError
from learning.events import read_event
from learning.exams import Examined, LiveStory, Parsed, Played, Span
from learning.loop import Loop
from learning.model import (
    Conversation,
    Entry,
    Event,
    FailedTurn,
    Gap,
    GapKind,
    Mined,
    MinedSender,
    Outcome,
    Prediction,
    Priority,
    Proposal,
    ProposalKind,
    ProposalState,
    ServerState,
    Signal,
    Turn,
    content_id,
    joint_weight,
    sender_key,
)
from learning.privacy import PatternRedactor
from learning.settings import Settings, load_settings
from learning.texts import STOP_WORDS, words_of

START = datetime(2024, 3, 1, 9, 0, tzinfo=timezone.utc)
DIMENSIONS = 64

# --- texts --------------------------------------------------------------------------------------

LOYALTY = (
    "do you have loyalty points",
    "how do i collect loyalty points",
    "where can i see my loyalty points",
    "loyalty points program?",
    "can i spend loyalty points",
    "are loyalty points worth anything",
    "loyalty points missing",
    "tell me about loyalty points",
    "how many loyalty points per order",
    "loyalty points expire",
)
NOISE = ("purple monkey dishwasher", "the moon is made of cheese", "asdf qwer zxcv")
ARTICLE = "# Loyalty points\n\nYou collect loyalty points with every order. Points never expire while you shop.\n"
NLU = {
    "track_order": ("where is my parcel", "track parcel", "parcel tracking please", "when does the parcel arrive"),
    "reset_password": ("reset password", "password forgotten", "new password please", "change password"),
    "greet": ("hello there friend", "good morning friend", "howdy friend"),
    "faq/opening_hours": ("opening hours", "shop opening hours sunday", "opening hours today"),
    "learned/about_learning": ("does the bot learn", "learn from chats", "bot learn something"),
}


class FakeEncoder:
    """Unit vectors of the words that carry meaning: texts with the same words are near."""

    def __init__(self, identity: str = "fake-1", dimensions: int = DIMENSIONS) -> None:
        self.identity = identity
        self.dimension = dimensions
        self.calls = 0

    def encode(self, texts: Sequence[str]) -> Any:
        self.calls += 1
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            words = [word for word in words_of(text) if word not in STOP_WORDS] or [text.casefold()]
            vector = sum(_word_vector(word, self.dimension) for word in dict.fromkeys(words))
            vectors[row] = vector / np.linalg.norm(vector)
        return vectors

    def encode_deep(self, texts: Sequence[str]) -> Any:
        return self.encode(texts)


@lru_cache(maxsize=10_000)
def _word_vector(word: str, dimensions: int) -> Any:
    seed = int(hashlib.sha256(word.encode("utf-8", "replace")).hexdigest()[:8], 16)
    return np.random.default_rng(seed).normal(size=dimensions)


# --- the tracker store, as Rasa 3.6.21 writes it ---------------------------------------------------

EVENTS_TABLE = """
CREATE TABLE events (
    id INTEGER NOT NULL,
    sender_id VARCHAR(255) NOT NULL,
    type_name VARCHAR(255) NOT NULL,
    timestamp FLOAT,
    intent_name VARCHAR(255),
    action_name VARCHAR(255),
    data TEXT,
    PRIMARY KEY (id)
);
CREATE INDEX ix_events_sender_id ON events (sender_id);
"""


class TrackerFile:
    """Writes an SQLite tracker store row by row; the clock goes on by one second an event."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path)
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(EVENTS_TABLE)
        self._ticks = itertools.count()
        self._waited = 0.0

    def say(
        self,
        sender: str,
        text: str,
        intent: str = "nlu_fallback",
        confidence: float = 0.3,
        reply: str | None = "Sorry, I did not get that.",
        **more: Any,
    ) -> None:
        """Write one exchange: a user event, an action, a bot event, and listening."""
        self.add(sender, user_data(text, intent, confidence, message_id=f"{sender}-{text}", **more))
        self.add(sender, {"event": "action", "name": "utter_something", "policy": "RulePolicy", "confidence": 1.0})
        if reply:
            self.add(sender, {"event": "bot", "text": reply, "data": {}, "metadata": {}})
        self.add(sender, {"event": "action", "name": "action_listen", "policy": None, "confidence": None})

    def add(self, sender: str, data: Mapping[str, Any]) -> float:
        """Write one event; return its timestamp."""
        at = START.timestamp() + self._waited + next(self._ticks)
        full = {"timestamp": at, **data}
        intent = (data.get("parse_data") or {}).get("intent", {}).get("name")
        row = (sender, str(data["event"]), full["timestamp"], intent, data.get("name"), json.dumps(full))
        self.add_row(row)
        return float(full["timestamp"])

    def add_row(self, row: Sequence[Any]) -> None:
        """Write (sender_id, type_name, timestamp, intent_name, action_name, data) as it is."""
        columns = "sender_id, type_name, timestamp, intent_name, action_name, data"
        self._connection.execute(f"INSERT INTO events ({columns}) VALUES (?, ?, ?, ?, ?, ?)", tuple(row))
        self._connection.commit()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._waited += seconds

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        self._connection.execute(statement, tuple(parameters))
        self._connection.commit()


CORRUPT_ROWS: tuple[tuple[Any, ...], ...] = (
    ("ann", "user", 1.0, None, None, '{"event": "user", "text": "half'),
    ("ann", "user", 1.0, None, None, None),
    ("ann", "user", 1.0, None, None, "[1, 2]"),
    ("ann", "user", None, None, None, '{"event": "user", "text": "no time"}'),
    ("ann", "user", "yesterday", None, None, '{"event": "user", "text": "odd time"}'),
    ("ann", "user", 1e300, None, None, '{"event": "user", "text": "no such year"}'),
    ("", "user", 1.0, None, None, '{"event": "user", "text": "nobody"}'),
    ("ann", "", 1.0, None, None, '{"event": "user", "text": "no type"}'),
    ("ann", "user", 1.0, None, None, b"\xff\xfe{}"),
)


def user_data(text: str | None, intent: str | None, confidence: float = 0.9, **more: Any) -> dict[str, Any]:
    """The data of a user event; `more` overrides fields of it, `parsed` adds to its parse data."""
    parsed = more.pop("parsed", {})
    return {
        "event": "user",
        "text": text,
        "parse_data": {
            "intent": {"name": intent, "confidence": confidence},
            "entities": [],
            "text": text,
            "intent_ranking": [{"name": intent, "confidence": confidence}],
            **parsed,
        },
        "input_channel": "rest",
        "message_id": None,
        "metadata": {},
        **more,
    }


def raw_events(*datas: Mapping[str, Any]) -> list[Event]:
    """The events that are read of rows, a second apart and from row 1 on; `at` sets the second of a row."""
    events = []
    for number, data in enumerate(datas):
        at = START.timestamp() + data.get("at", number)
        text = json.dumps({"timestamp": at, **data})
        event = read_event(number + 1, str(data["event"]), at, data.get("name") or "", text)
        if event is not None:
            events.append(event)
    return events


def conversations_of(*datas: Mapping[str, Any], sender: str = "ann", now: datetime | None = None) -> list[Conversation]:
    """The conversations that rows of one sender make, long after they ended."""
    settings = Settings()
    now = now or START + timedelta(days=365)
    sessions = split(raw_events(*datas), settings.conversations)
    return [build(sender_key(sender), session, now, settings) for session in sessions]


def turns_of(*datas: Mapping[str, Any]) -> list[Turn]:
    """The turns of all conversations that rows of one sender make."""
    return [turn for conversation in conversations_of(*datas) for turn in conversation.turns]


# --- records ----------------------------------------------------------------------------------------


def turn(text: str, intent: str = "greet", confidence: float = 0.95, second: int = 0, **more: Any) -> Turn:
    turn_id = content_id("turn", text, second)
    at = START + timedelta(seconds=second)
    return Turn(**{"turn_id": turn_id, "text": text, "at": at, "intent": intent, "confidence": confidence, **more})


def session(*turns: Turn, sender: str = "ann", **more: Any) -> Conversation:
    """A conversation of these turns, well ended unless `more` says otherwise."""
    first, last = (turns[0], turns[-1]) if turns else (None, None)
    values: dict[str, Any] = {
        "conversation_id": content_id("conversation", first.turn_id if first else ""),
        "sender": sender,
        "turns": turns,
        "started": first.at if first else START,
        "last_at": last.at if last else START,
        "first_row": 1,
        "last_row": 1,
        "outcome": Outcome.RESOLVED,
    }
    return Conversation(**{**values, **more})


def failed_turn(text: str, sender: str, second: int = 0, weight: float = 1.0) -> FailedTurn:
    at = START + timedelta(seconds=second)
    return FailedTurn(
        turn_id=content_id("turn", sender, text, second),
        conversation_id=content_id("conversation", sender),
        sender=sender,
        text=text,
        intent="nlu_fallback",
        confidence=0.3,
        at=at,
        channel="rest",
        weight=weight,
        signals=(Signal("fallback", weight, "test"),),
    )


def failed_turns(texts: Iterable[str], start: int = 0) -> list[FailedTurn]:
    """One failed turn a text, each of another person."""
    return [failed_turn(text, f"person{start + number}", start + number) for number, text in enumerate(texts)]


def mined(sender: str, *texts: str, signals: Sequence[Signal] = (), **more: Any) -> MinedSender:
    """A sender with one conversation of fallbacks; `more` changes the conversation."""
    signals = signals or (Signal("fallback", 1.0, "test"),)
    turns = tuple(
        replace(turn(text, "nlu_fallback", 0.3, number), turn_id=content_id("turn", sender, text))
        for number, text in enumerate(texts)
    )
    values: dict[str, Any] = {
        "conversation_id": content_id("conversation", sender),
        "sender": sender,
        "turns": turns,
        "started": START,
        "last_at": START + timedelta(seconds=len(texts)),
        "first_row": 1,
        "last_row": len(texts),
        "outcome": Outcome.RESOLVED,
    }
    talk = Conversation(**{**values, **more})
    failed = tuple(
        FailedTurn(
            turn_id=one.turn_id,
            conversation_id=talk.conversation_id,
            sender=sender,
            text=one.text,
            intent=one.intent,
            confidence=one.confidence,
            at=one.at,
            channel="rest",
            weight=joint_weight(signals),
            signals=tuple(signals),
        )
        for one in turns
    )
    return MinedSender(sender, talk.first_row, (Mined(talk, failed),))


def gap(gap_id: str = "a" * 16, people: int = 4, turns: Sequence[FailedTurn] = (), **more: Any) -> Gap:
    values: dict[str, Any] = {
        "gap_id": gap_id,
        "kind": GapKind.NEW_NEED,
        "name": "loyalty points",
        "intent": None,
        "priority": Priority.MEDIUM,
        "turns": len(turns),
        "people": people,
        "first_seen": START,
        "last_seen": START,
    }
    return Gap(**{**values, **more})


def save_members(store: Store, gaps: Sequence[Gap], members: Mapping[str, str], state: str = "") -> int:
    """Put turns into gaps as grouping does, with vectors of one dimension."""
    vectors = {turn_id: np.ones(1, dtype=np.float32) for turn_id in members}
    return store.save_grouping(
        gaps=gaps, means={}, metric="m", members=members, pool={}, vectors=vectors, noise=(), state=state
    )


def proposal(number: int = 1, **more: Any) -> Proposal:
    values: dict[str, Any] = {
        "proposal_id": content_id("test proposal", number),
        "gap_id": content_id("test gap", number),
        "kind": ProposalKind.ANSWER,
        "label": f"learned/question_{number}",
        "examples": LOYALTY[:3],
        "answer": "You collect points with every order.",
        "sources": (),
        "score": 80,
        "score_parts": (),
        "people": 4,
        "turns": 4,
        "state": ProposalState.PENDING,
        "created_at": START,
    }
    return Proposal(**{**values, **more})


def entry(number: int = 1, **more: Any) -> Entry:
    values: dict[str, Any] = {
        "entry_id": content_id("test entry", number),
        "proposal_id": content_id("test proposal", number),
        "kind": ProposalKind.ANSWER,
        "label": f"learned/question_{number}",
        "examples": LOYALTY[:3],
        "answer": "You collect points with every order.",
        "release": number,
        "state": ProposalState.PUBLISHED,
    }
    return Entry(**{**values, **more})


# --- a project --------------------------------------------------------------------------------------


def make_project(root: Path, learning: str = "") -> Path:
    """Make the folder of a small Rasa project with a hold-out and one knowledge article."""
    files = {
        "domain.yml": 'version: "3.1"\nintents:\n- greet\n- track_order\n- reset_password\n- faq\n- learned\n',
        "config.yml": "recipe: default.v1\nlanguage: en\n",
        "endpoints.yml": "tracker_store:\n  type: SQL\n  dialect: sqlite\n  db: var/tracker.db\n",
        "learning.yml": learning,
        "data/nlu/nlu.yml": nlu_yaml(NLU),
        "data/knowledge/loyalty.md": ARTICLE,
        "tests/holdout/nlu.yml": nlu_yaml({"track_order": ("my parcel?",), "reset_password": ("lost password",)}),
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


def nlu_yaml(examples: Mapping[str, Sequence[str]]) -> str:
    lines = ['version: "3.1"', "nlu:"]
    for intent, texts in examples.items():
        lines += [f"- intent: {intent}", "  examples: |", *(f"    - {text}" for text in texts)]
    return "\n".join(lines) + "\n"


def talk(tracker: TrackerFile) -> None:
    """Ten people ask for loyalty points, some say nonsense, one is understood."""
    for number, text in enumerate(LOYALTY):
        tracker.say(f"person{number}", text)
    for number, text in enumerate(NOISE):
        tracker.say(f"odd{number}", text)
    tracker.say("happy", "where is my parcel", "track_order", 0.97, "It comes tomorrow.")


# --- fakes --------------------------------------------------------------------------------------------


class Clock:
    """Tells a fixed time that tests move."""

    def __init__(self, now: datetime = START + timedelta(days=30)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class FakeHost:
    """Keeps what would be proposed for review."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.messages: list[str] = []

    def propose(self, files: Mapping[str, str], message: str) -> str | None:
        if dict(files) == self.files:
            return None
        self.files = dict(files)
        self.messages.append(message)
        return f"commit{len(self.messages)}"


class FakeNotifier:
    """Keeps what people would be told; the targets in `away` are not reached."""

    def __init__(self, *names: str) -> None:
        self.people = tuple(Target(name, content_id("target", name)) for name in names or ("email #1",))
        self.sent: list[tuple[str, Message]] = []
        self.away: set[str] = set()

    def targets(self) -> tuple[Target, ...]:
        return self.people

    def send(self, message: Message, to: Collection[Target]) -> Delivery:
        there = tuple(target for target in to if target.name not in self.away)
        self.sent += [(target.name, message) for target in there]
        return Delivery(there, tuple((target, "did not answer") for target in to if target.name in self.away))


class FakeServer:
    """A running Rasa server; `refuses` makes it reject a new model."""

    def __init__(self, model: Path, refuses: bool = False) -> None:
        self.model = model
        self.refuses = refuses

    def running_model(self) -> Path:
        return self.model

    def load_model(self, model: Path) -> None:
        assert model.exists()
        if self.refuses:
            raise BotServerError("answered PUT /model with 400", "Rasa server", "look at its log")
        self.model = model

    def states(self) -> tuple[ServerState, ...]:
        try:
            return (ServerState("fake", self.running_model().name),)
        except BotServerError as error:
            return (ServerState("fake", "", str(error)),)

    def align(self, model: Path) -> tuple[str, ...]:
        if self.model.name == model.name:
            return ()
        self.load_model(model)
        return ("fake",)


class FakeNlu:
    """Models that answer from a function of (model name, text)."""

    def __init__(self, understands: Callable[[str, str], str]) -> None:
        self.understands = understands
        self.trained_on: dict[str, str] = {}
        self.on_train: Callable[[], None] = lambda: None
        self.marks: Callable[[str, str], frozenset[Span]] = lambda model, text: frozenset()
        self.plays: Callable[[str, str], str] = lambda model, story: ""
        self.ms: Callable[[str], float] = lambda model: 0.0
        self.not_played = ""

    def train(self, training_data: Path, model: Path) -> None:
        self.trained_on = {
            str(path.relative_to(training_data)): path.read_text("utf-8") for path in training_data.rglob("*.yml")
        }
        model.write_bytes(b"a model")
        self.on_train()

    def predict(self, model: Path, texts: Sequence[str]) -> list[Prediction]:
        return [Prediction(text, self.understands(model.name, text), 0.9) for text in texts]

    def examine(
        self, models: Sequence[Path], texts: Sequence[str], stories: Sequence[LiveStory] = ()
    ) -> list[Examined]:
        return [
            Examined(
                tuple(
                    Parsed(self.understands(model.name, text), 0.9, self.marks(model.name, text), self.ms(model.name))
                    for text in texts
                ),
                tuple(Played(story.name, self.plays(model.name, story.name)) for story in stories),
                self.not_played,
            )
            for model in models
        ]


@lru_cache(maxsize=1)
def _migrated_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "learning.db"
        Store(f"sqlite:///{path}")._database._engine.dispose()
        return path.read_bytes()


def fresh_database(path: Path) -> str:
    """Put a migrated, empty learning database at `path`; return its URL. Migrating each anew takes 0.15 s."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_migrated_database())
    return f"sqlite:///{path}"


def upgrade_to(connection: sa.engine.Connection, revision: str) -> None:
    """Bring a learning database to a revision, so that it is as an earlier version left it."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def downgrade_to(connection: sa.engine.Connection, revision: str) -> None:
    """Take a learning database back to a revision."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


def unguard_audit(connection: sa.engine.Connection) -> None:
    """Do what somebody with all rights on the database can do: take away what protects the audit log."""
    if connection.dialect.name == "sqlite":
        for name in ("audit_no_update", "audit_no_delete", "audit_follows"):
            connection.execute(sa.text(f"DROP TRIGGER IF EXISTS {name}"))
    else:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))  # until the transaction ends


def make_loop(root: Path, url: str | None = None, settings: Settings | None = None, **more: Any) -> Loop:
    """Build a loop on a project folder with fakes for the encoder and the review host."""
    settings = settings or load_settings(root, {})
    values: dict[str, Any] = {
        "settings": settings,
        "store": Store(url or fresh_database(root / "var" / "learning.db")),
        "open_tracker": lambda: SqlTrackerEvents(f"sqlite:///{root / 'var' / 'tracker.db'}"),
        "encoder": FakeEncoder(),
        "redactor": PatternRedactor(),
        "project": Project(settings),
        "host": FakeHost(),
        "now": Clock(),
    }
    return Loop(**{**values, **more})
