"""The records of measuring models: cases in named suites, what models answered, and how that is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

CASE = "case:"  # begins what stands in records for a customer's words, which are kept in one place only


class Suite(str, Enum):
    """What a model is measured on: each a list of cases that it passes or fails."""

    HOLDOUT = "holdout"
    REGRESSION = "regression"
    OUT_OF_SCOPE = "out_of_scope"
    ENTITIES = "entities"
    STORIES = "stories"


Span = tuple[int, int, str]  # start, end and kind of an entity


@dataclass(frozen=True)
class Marked:
    """A message and the entities that are in it."""

    text: str
    spans: frozenset[Span]


@dataclass(frozen=True)
class StoryStep:
    """A customer's message and what the bot must answer: `says` and `never` are regular expressions, case ignored.

    `actions` are the actions that must run, in their order; None where that does not matter.
    """

    user: str
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    actions: tuple[str, ...] | None = None


@dataclass(frozen=True)
class LiveStory:
    """A conversation that is played with a model and the action server."""

    name: str
    steps: tuple[StoryStep, ...]


@dataclass(frozen=True)
class LiveStories:
    """The conversations of a project that can be played as they are, and the names of those that cannot."""

    stories: tuple[LiveStory, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parsed:
    """How a model understood a message, without the overlay, and the milliseconds that it took."""

    label: str
    confidence: float
    spans: frozenset[Span] = frozenset()
    ms: float = 0.0


@dataclass(frozen=True)
class Played:
    """How a conversation went: `problem` says where it did not go as written, and is empty otherwise."""

    name: str
    problem: str = ""


@dataclass(frozen=True)
class Examined:
    """What one model answered: in the order of the messages, and of the conversations.

    `not_played` says why no conversation was played.
    """

    parsed: tuple[Parsed, ...]
    played: tuple[Played, ...] = ()
    not_played: str = ""


@dataclass(frozen=True)
class RegressionCase:
    """A message that a person has confirmed, redacted: `label` is what it must be understood as.

    `source` is `verdict` (somebody checked a turn: the annotation `item`), `evidence` (a message of the gap that the
    entry `item` closed) or `example` (an example of that entry which is held back from training). `sender` is the
    pseudonym of who said it.
    """

    case_id: str
    text: str
    label: str
    source: str
    item: str
    sender: str
    added_at: datetime

    @property
    def key(self) -> str:
        """What stands for it in reports."""
        return f"{CASE}{self.case_id}"


@dataclass(frozen=True)
class Result:
    """One case of a suite and what a model made of it; `group` is what is counted together, such as an intent."""

    key: str
    group: str
    expected: str
    got: str
    passed: bool


@dataclass(frozen=True)
class SuiteResult:
    """A suite and how a model did in it; `note` says what was left out, or why nothing could be run."""

    suite: Suite
    results: tuple[Result, ...] = ()
    note: str = ""

    @property
    def total(self) -> int:
        """How many cases there are."""
        return len(self.results)

    @property
    def passed(self) -> int:
        """How many cases were passed."""
        return sum(one.passed for one in self.results)

    def count(self) -> SuiteCount:
        """Return what is kept of it."""
        exam = fingerprint((one.key, one.expected) for one in self.results)
        return SuiteCount(self.suite.value, self.passed, self.total, exam, self.note)


@dataclass(frozen=True)
class SuiteCount:
    """How many cases of a suite a model passed; results with the same `exam` were on the same cases."""

    suite: str
    passed: int
    total: int
    exam: str = ""
    note: str = ""

    @property
    def share(self) -> float | None:
        """The share of cases that were passed (0..1), None without any."""
        return self.passed / self.total if self.total else None


@dataclass(frozen=True)
class EvaluationRow:
    """A measurement of a model that ran, as it is kept; `p50_ms` and `p95_ms` are None where nothing was timed."""

    number: int
    at: datetime
    model: str
    suites: tuple[SuiteCount, ...]
    p50_ms: float | None = None
    p95_ms: float | None = None

    def suite(self, name: str) -> SuiteCount | None:
        """Return the result of a suite."""
        return next((one for one in self.suites if one.suite == name), None)


def fingerprint(cases: Iterable[tuple[str, str]]) -> str:
    """Return 16 digits that two lists of cases share if they hold the same, in whatever order."""
    total = hashlib.sha256()
    for case in sorted(cases):
        total.update("\x1f".join(case).encode("utf-8", "replace") + b"\x1e")
    return total.hexdigest()[:16]


def count_from_plain(plain: Mapping[str, Any]) -> SuiteCount:
    """Return the result of a suite as it was kept."""
    return SuiteCount(**{name: plain[name] for name in ("suite", "passed", "total", "exam", "note") if name in plain})
