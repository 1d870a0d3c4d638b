"""Which values are the same, and the placeholder that each of them gets within a conversation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from learning.privacy.spans import Span
from learning.texts import PLACEHOLDER

NAME = "NAME"
_SAME_PHONE = 9  # last digits by which two telephone numbers are the same, with or without the country's code


def redact_group(texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[str]:
    """Return the texts of one conversation with `<KIND_n>` for each span, numbered in order of first appearance."""
    numbers = Numbers(texts)
    redacted = []
    for text, places in zip(texts, spans, strict=True):
        parts: list[str] = []
        done = 0
        for span in places:
            parts += [text[done : span.start], numbers.placeholder(span.kind, text[span.start : span.end])]
            done = span.end
        redacted.append("".join([*parts, text[done:]]))
    return redacted


@dataclass
class Numbers:
    """Numbers of the values of one conversation; the same value, or person, keeps its number."""

    texts: Sequence[str]
    _taken: dict[str, int] = field(init=False)
    _values: dict[tuple[str, str], int] = field(init=False, default_factory=dict)
    _people: dict[int, list[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._taken = {}
        for text in self.texts:
            for match in PLACEHOLDER.finditer(text):  # what was redacted before keeps its number
                kind, number = match.group()[1:-1].rsplit("_", 1)
                self._taken[kind] = max(self._taken.get(kind, 0), int(number))

    def placeholder(self, kind: str, value: str) -> str:
        """Return the placeholder of a value: a new one if this conversation has not named it yet."""
        key = (kind, canonical(kind, value))
        if key not in self._values:
            self._values[key] = self._person(value) if kind == NAME else self._next(kind)
        return f"<{kind}_{self._values[key]}>"

    def _next(self, kind: str) -> int:
        self._taken[kind] = self._taken.get(kind, 0) + 1
        return self._taken[kind]

    def _person(self, value: str) -> int:
        """Return the number of the one person whom the name may mean; a new one if there is none or more than one."""
        words = name_words(value)
        same = [number for number, known in self._people.items() if _may_be(words, known)]
        if len(same) != 1:
            number = self._next(NAME)
            self._people[number] = words
            return number
        self._people[same[0]] = max(self._people[same[0]], words, key=lambda known: (len(known), sum(map(len, known))))
        return same[0]


def canonical(kind: str, value: str) -> str:
    """Return what two ways to write the same value have in common."""
    if kind == NAME:
        return " ".join(name_words(value))
    if kind == "PHONE":
        return re.sub(r"\D", "", value)[-_SAME_PHONE:]
    if kind in ("SECRET", "URL"):
        return value
    return re.sub(r"[\W_]", "", value).casefold()


def name_words(value: str) -> list[str]:
    """Return the words of a name in lower case, without accents and the possessive."""
    plain = unicodedata.normalize("NFKD", re.sub(r"['’]s\b", "", value.casefold()))
    return re.findall(r"[^\W\d_]+", "".join(char for char in plain if not unicodedata.combining(char)))


def _may_be(words: Sequence[str], known: Sequence[str]) -> bool:
    """Whether each word of the shorter name is, or begins as an initial, a word of the longer one."""
    few, many = sorted((words, known), key=len)
    return bool(few) and all(
        any(word == other or (1 in (len(word), len(other)) and word[0] == other[0]) for other in many) for word in few
    )
