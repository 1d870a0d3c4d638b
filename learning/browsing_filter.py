"""Which conversations are wanted, as addresses, the command line and saved filters write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from enum import Enum
from typing import Any

from learning.errors import EvergreenError

MOST_VALUES = 40  # of one filter; nobody types more, and a query has its limits
LONGEST_VALUE = 300  # characters
MOODS = ("frustrated",)
FEEDBACK = ("up", "down", "csat_low", "csat_high")
AGAIN = ("week",)
AGENT = ("answered", "waiting")
OUTCOMES = ("open", "resolved", "escalated", "abandoned")


class FilterError(EvergreenError):
    """A value of a filter cannot be used; `field` names it."""

    def __init__(self, field: str, problem: str, item: str, remedy: str) -> None:
        super().__init__(problem, item, remedy)
        self.field = field


class ReviewMark(str, Enum):
    """How far a person has come with a conversation."""

    NEW = "new"
    SEEN = "seen"
    FLAGGED = "flagged"
    DONE = "done"


@dataclass(frozen=True)
class Filter:
    """Which conversations are wanted: several values of one field are alternatives, different fields must all fit.

    Days are UTC, both included, and go by the conversation's last message. `intent` is any turn's, the whole label or
    its base; confidences are of the lowest in a conversation. `signal` is a failure kind; `fallback` and
    `backend_failure` mean `fallbacks` and `service_failures` above 0. `feedback` goes by the last thumb and mark.
    `text` is a search: words that must all be there, "phrases", beginnings*, and -what must not. `release` is the
    number of one whose entries answered. `again` wants a sender who came back within a week after it; `agent` those
    that were escalated, and a person has or has not answered.
    """

    since: date | None = None
    until: date | None = None
    channel: tuple[str, ...] = ()
    intent: tuple[str, ...] = ()
    min_conf: float | None = None
    max_conf: float | None = None
    mood: str = ""
    outcome: tuple[str, ...] = ()
    reason: tuple[str, ...] = ()
    signal: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()
    text: str = ""
    model: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    person: str = ""
    gap: str = ""
    release: int | None = None
    again: str = ""
    agent: str = ""

    @classmethod
    def from_params(cls, params: Iterable[tuple[str, str]]) -> Filter:
        """Read a filter from query parameters; names that are none of its fields, and empty values, are left out.

        Raises:
            FilterError: a value cannot be used.

        """
        known = {item.name for item in fields(cls)}
        given: dict[str, list[str]] = {}
        for name, value in params:
            if name in known and value.strip():
                given.setdefault(name, []).append(value.strip())
        return cls(**{name: _READ[name](name, values) for name, values in given.items()})

    def to_params(self) -> list[tuple[str, str]]:
        """Return the query parameters that `from_params` reads the same filter from, without those that are not set."""
        found: list[tuple[str, str]] = []
        for item in fields(self):
            value = getattr(self, item.name)
            values = value if isinstance(value, tuple) else () if value in (None, "") else (value,)
            found += [(item.name, one.isoformat() if isinstance(one, date) else str(one)) for one in values]
        return found

    @property
    def is_empty(self) -> bool:
        """Whether it wants everything."""
        return self == Filter()


def _values(name: str, values: list[str]) -> tuple[str, ...]:
    if len(values) > MOST_VALUES:
        raise FilterError(name, f"has {len(values)} values", f"filter {name}", f"give at most {MOST_VALUES}")
    return tuple(dict.fromkeys(value[:LONGEST_VALUE].replace("\0", "") for value in values))


def _one(name: str, values: list[str]) -> str:
    return values[-1][:LONGEST_VALUE].replace("\0", "")


def _day(name: str, values: list[str]) -> date:
    try:
        return date.fromisoformat(values[-1])
    except ValueError:
        remedy = "write a day such as 2024-03-01"
        raise FilterError(name, f"is {values[-1][:40]!r}, which is no day", f"filter {name}", remedy) from None


def _share(name: str, values: list[str]) -> float:
    try:
        share = float(values[-1])
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise FilterError(name, f"is {values[-1][:40]!r}", f"filter {name}", "write a number from 0 to 1, such as 0.6")
    return share


def _number(name: str, values: list[str]) -> int:
    text = values[-1]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise FilterError(name, f"is {text[:40]!r}", f"filter {name}", "write the number of a release, such as 12")
    return int(text)


def _one_of(*allowed: str) -> Callable[[str, list[str]], Any]:
    def read(name: str, values: list[str]) -> str:
        return _among(name, values, allowed)[-1]

    return read


def _some_of(*allowed: str) -> Callable[[str, list[str]], Any]:
    def read(name: str, values: list[str]) -> tuple[str, ...]:
        return _among(name, values, allowed)

    return read


def _among(name: str, values: list[str], allowed: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if value not in allowed:
            remedy = f"write one of {', '.join(allowed)}"
            raise FilterError(name, f"is {value[:40]!r}", f"filter {name}", remedy)
    return tuple(dict.fromkeys(values))


_READ: Mapping[str, Callable[[str, list[str]], Any]] = {
    "since": _day,
    "until": _day,
    "min_conf": _share,
    "max_conf": _share,
    "text": _one,
    "person": _one,
    "gap": _one,
    "release": _number,
    "mood": _one_of(*MOODS),
    "again": _one_of(*AGAIN),
    "agent": _one_of(*AGENT),
    "outcome": _some_of(*OUTCOMES),
    "feedback": _some_of(*FEEDBACK),
    "state": _some_of(*(mark.value for mark in ReviewMark)),
    **dict.fromkeys(("channel", "intent", "reason", "signal", "model", "tag"), _values),
}
