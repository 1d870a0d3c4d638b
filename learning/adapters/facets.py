"""What a conversation is found by: its place in every list, its facets, and the words that were said in it.

A facet is a word that stands for one property, such as an outcome. Facets and words are kept in an inverted index
(SQLite's FTS5, PostgreSQL's GIN), which crosses any of them without looking at the conversations: so a list with two
filters that fit half of all conversations each, and hardly any together, is as quick as one with a rare filter.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

from learning.browsing_records import Filter
from learning.model import HIGH_CSAT, LOW_CSAT, Outcome
from learning.texts import PLACEHOLDER

SPREAD = 24  # bits of a place that tell conversations of one second apart
EVERYTHING = "x"  # every conversation has it
STEPS = 20  # of a share: 0.05 each
MOST_WORDS = 20_000  # of one conversation that can be searched; a tsvector holds no more than a megabyte
LONGEST_WORD = 64  # characters
MOST_TERMS = 20  # of one search
BOUNDARY = "\u01c1"  # a letter that nobody types stands behind each message: no phrase goes on in the next one
_WORDS = re.compile(r"[^\W_]+")
_TERM = re.compile(r'(-?)(?:"([^"]*)"|(\S+))')


def place_of(last_at: datetime | None, conversation_id: str) -> int:
    """Return where a conversation stands in a list by time: its last second, then a hash that nobody else should have.

    One number is what every index of it can be ordered by, and what a page can go on from.
    """
    seconds = int(last_at.timestamp()) if last_at else 0
    return (seconds << SPREAD) | int.from_bytes(hashlib.sha256(conversation_id.encode()).digest()[:3], "big")


def day_places(since: date | None, until: date | None) -> tuple[int | None, int | None]:
    """Return the first place of `since`, and the first one after `until`; None where there is no bound."""

    def first(day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()) << SPREAD

    # The calendar ends with the year 9999, and so do places.
    bounded = until is not None and until < date.max
    return (first(since) if since else None), (first(until + timedelta(days=1)) if until and bounded else None)


def facet(kind: str, value: object) -> str:
    """Return the word for a property; hashed, since labels hold what a query would take for its own signs."""
    return kind + hashlib.sha256(str(value).encode("utf-8", "replace")).hexdigest()[:12]


def facets_of(row: Mapping[str, Any], tags: Collection[str]) -> str:
    """Return the facets of a conversation as one text; `row` is as the database holds it."""
    return " ".join(dict.fromkeys(_facets(row, tags)))


def _facets(row: Mapping[str, Any], tags: Collection[str]) -> Iterator[str]:
    yield EVERYTHING
    for kind, name in (("o", "outcome"), ("r", "reason"), ("c", "channel"), ("m", "model"), ("v", "review")):
        yield facet(kind, row[name])
    for label in row["intents"]:
        yield facet("i", label)
        yield facet("i", label.partition("/")[0])
    yield from (facet("s", kind) for kind in failure_kinds(row))
    yield from (facet("e", entry) for entry in row["entries"])
    yield from (facet("t", tag) for tag in sorted(tags))
    yield from (facet("b", name) for name in _feedback(row))
    for kind, name in (("l", "lowest_confidence"), ("f", "frustration")):
        if row[name] is not None:
            yield facet(kind, _step(row[name]))
    if row["again"]:
        yield facet("w", "week")
    if row["outcome"] == Outcome.ESCALATED.value:
        yield facet("a", "waiting" if row["agent_at"] is None else "answered")


def failure_kinds(row: Mapping[str, Any]) -> list[str]:
    """Return the failure kinds of a conversation: what detectors found, and what its own counts say."""
    counted = {"fallback": row["fallbacks"], "backend_failure": row["service_failures"]}
    found = {kind for kind in row["signals"] if kind not in counted}
    return sorted(found | {kind for kind, count in counted.items() if count})


def _feedback(row: Mapping[str, Any]) -> Iterator[str]:
    if row["thumb"]:
        yield "up" if row["thumb"] > 0 else "down"
    if row["csat"] is not None and row["csat"] <= LOW_CSAT:
        yield "csat_low"
    if row["csat"] is not None and row["csat"] >= HIGH_CSAT:
        yield "csat_high"


def _step(share: float) -> int:
    return min(max(math.floor(share * STEPS), 0), STEPS - 1)


# --- what is looked for ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """One word, or several in a row; with `is_open` the last one only begins so."""

    words: tuple[str, ...]
    is_open: bool = False


@dataclass(frozen=True)
class Search:
    """What the inverted index is asked for: one facet of each group, every term, none of `without`.

    `is_hopeless` is what has no word in it, and so can be nowhere.
    """

    groups: tuple[tuple[str, ...], ...] = ()
    terms: tuple[Term, ...] = ()
    without: tuple[Term, ...] = ()
    is_hopeless: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing."""
        return not (self.groups or self.terms or self.without)


def search_of(wanted: Filter, frustrated_from: float, entries: Sequence[str] | None, with_steps: bool = True) -> Search:
    """Return what the inverted index is asked for a filter.

    Args:
        wanted: the filter.
        frustrated_from: the frustration from which somebody is frustrated.
        entries: those of the release that is asked for, None without one.
        with_steps: whether to ask for confidence and frustration, too, which the index knows in steps only: whoever
            looks at each row anyhow need not.

    """
    groups: list[tuple[str, ...]] = []
    for kind, values in (
        *(("c", wanted.channel), ("i", wanted.intent), ("o", wanted.outcome), ("r", wanted.reason)),
        *(("s", wanted.signal), ("b", wanted.feedback), ("m", wanted.model), ("v", wanted.state), ("t", wanted.tag)),
    ):
        if values:
            groups.append(tuple(facet(kind, value) for value in values))
    if with_steps and (wanted.min_conf is not None or wanted.max_conf is not None):
        groups.append(_steps("l", wanted.min_conf or 0.0, 1.0 if wanted.max_conf is None else wanted.max_conf))
    if with_steps and wanted.mood:
        groups.append(_steps("f", frustrated_from, 1.0))
    if wanted.again:
        groups.append((facet("w", wanted.again),))
    if wanted.agent:
        groups.append((facet("a", wanted.agent),))
    if entries is not None:
        groups.append(tuple(facet("e", entry) for entry in entries))
    terms, without = _terms(wanted.text)
    hopeless = (bool(wanted.text.strip()) and not (terms or without)) or entries == []
    return Search(tuple(groups), tuple(terms), tuple(without), hopeless)


def _steps(kind: str, least: float, most: float) -> tuple[str, ...]:
    return tuple(facet(kind, step) for step in range(_step(least), max(_step(least), _step(most)) + 1))


def words_in(texts: Iterable[str]) -> str:
    """Return what can be searched of redacted texts: their words, in lower case, without placeholders."""
    found: list[str] = []
    for text in texts:
        found += (word[:LONGEST_WORD] for word in _words(PLACEHOLDER.sub(" ", text)))
        found.append(BOUNDARY)
    return " ".join(found[:MOST_WORDS])


def _words(text: str) -> list[str]:
    return _WORDS.findall(text.replace(BOUNDARY, " ").casefold())


def _terms(text: str) -> tuple[list[Term], list[Term]]:
    """Return what a search must find, and what it must not; whatever is typed has a meaning, and none is an error."""
    found: list[Term] = []
    without: list[Term] = []
    for minus, phrase, plain in _TERM.findall(text):
        words = tuple(word[:LONGEST_WORD] for word in _words(phrase or plain))
        if words:
            (without if minus else found).append(Term(words, plain.endswith("*")))
    return list(dict.fromkeys(found))[:MOST_TERMS], list(dict.fromkeys(without))[:MOST_TERMS]


def as_fts5(search: Search) -> str:
    """Return a search as SQLite's FTS5 takes it; words are letters and digits, so that nothing needs escaping."""

    def term(one: Term) -> str:
        return f'"{" ".join(one.words)}"{" *" if one.is_open else ""}'

    parts = [f"facets : ({' OR '.join(_quoted(group))})" for group in search.groups]
    if search.terms:
        parts.append(f"text : ({' AND '.join(map(term, search.terms))})")
    asked = " AND ".join(parts or [f'facets : "{EVERYTHING}"'])
    if search.without:
        asked = f"({asked}) NOT text : ({' OR '.join(map(term, search.without))})"
    return asked


def _quoted(group: Iterable[str]) -> list[str]:
    return [f'"{one}"' for one in group]


def facets_as_tsquery(search: Search) -> str:
    """Return the facets of a search as PostgreSQL's tsquery."""
    return " & ".join(f"({' | '.join(group)})" for group in search.groups)


def terms_as_tsquery(search: Search) -> str:
    """Return the words of a search as PostgreSQL's tsquery."""

    def term(one: Term) -> str:
        words = [f"'{word}'" for word in one.words]
        return f"({' <-> '.join(words)}{':*' if one.is_open else ''})"

    return " & ".join([*map(term, search.terms), *(f"!{term(one)}" for one in search.without)])
