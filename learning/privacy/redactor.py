"""Redactors: what finds personal data, with the cache and the placeholders around it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from learning.privacy.addresses import find_addresses
from learning.privacy.placeholders import NAME, name_words, redact_group
from learning.privacy.spans import Find, Span, cut, first_come, settle, view_of
from learning.privacy.structured import find_structured
from learning.privacy.words import FUNCTION, WORD_NAMES

# Where two recognizers want the same characters, the kind that stands first gets them.
RANKS = {
    kind: rank
    for rank, kind in enumerate(
        (
            "URL",
            "EMAIL",
            "SECRET",
            "IBAN",
            "IP",
            "BIRTHDATE",
            "CARD",
            "SSN",
            "ID",
            "TICKET",
            "ADDRESS",
            "ACCOUNT",
            "PHONE",
            "ORDER",
            NAME,
        )
    )
}
CACHED = 50_000  # texts whose spans are kept: customers say the same things; some 10 MB

SHORTEST_NAME = 3  # letters; shorter ones are too often something else
_CAPITALIZED = re.compile(r"(?<![\w'’-])(?!\d)[^\W\d_a-zà-ÿ][^\W\d_]+(?![\w])")
_INTRODUCED = re.compile(
    r"\b(?:[Mm]y name(?:['’]s| is)|[Tt]his is|I am|I['’]m|[Rr]egards,?|[Mm]r\.?|[Mm]rs\.?|[Mm]s\.?|[Dd]r\.?)\s+"
    r"(?P<value>[^\W\d_][\w'’-]{1,40}(?:\s+[^\W\d_][\w'’-]{1,40}){0,2})"
)


class ConversationRedactor:
    """Redacts with a function that finds spans; what it found in a text is remembered.

    Placeholders are `<KIND_n>`, numbered in order of first appearance within a conversation, the same for the same
    value. Redacting what is redacted already changes nothing.
    """

    def __init__(self, find: Find) -> None:
        self.find = find
        self._known: dict[str, tuple[Span, ...]] = {}

    def redact(self, text: str) -> str:
        """Return `text` with each personal value replaced, as a conversation of its own."""
        return self.redact_conversations([[text]])[0][0]

    def redact_conversations(self, groups: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return the texts of each conversation with each personal value replaced."""
        kept = [[cut(text) for text in group] for group in groups]
        spans = self.spans(list(dict.fromkeys(text for group in kept for text in group)))
        return [redact_group(group, spread(group, [spans[text] for text in group])) for group in kept]

    def spans(self, texts: Sequence[str]) -> dict[str, tuple[Span, ...]]:
        """Return the spans of each text, which must not be longer than `LONGEST`."""
        fresh = [text for text in texts if text not in self._known]
        found = {text: self._known[text] for text in texts if text in self._known}
        found.update(zip(fresh, settle(fresh, self.find), strict=True))
        if len(self._known) + len(fresh) > CACHED:
            self._known.clear()
        self._known.update((text, found[text]) for text in fresh[:CACHED])
        return found


def spread(texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[Sequence[Span]]:
    """Return the spans with those of names added that other messages of the conversation gave away.

    "Smith" alone is hard to tell from a word; once somebody has said "I'm Ann Smith" it is a name, if in capitals.
    """
    named = {
        word
        for text, places in zip(texts, spans, strict=True)
        for span in places
        if span.kind == NAME
        for word in name_words(text[span.start : span.end])
        if len(word) >= SHORTEST_NAME and word not in FUNCTION and word not in WORD_NAMES
    }
    if not named:
        return list(spans)
    return [_with_names(text, places, named) for text, places in zip(texts, spans, strict=True)]


def _with_names(text: str, spans: Sequence[Span], named: set[str]) -> Sequence[Span]:
    view = view_of(text, spans)
    more = [
        view.origin(Span(*match.span(), NAME))
        for match in _CAPITALIZED.finditer(view.text)
        if named.intersection(name_words(match.group()))
    ]
    return sorted([*spans, *more]) if more else spans


class PatternRedactor(ConversationRedactor):
    """Redacts by form and check digits, and names where they introduce themselves; needs nothing to be loaded."""

    def __init__(self) -> None:
        super().__init__(lambda texts: [find_patterns(text) for text in texts])


def find_patterns(text: str) -> list[Span]:
    """Return what has a form of its own, and names in capitals after words that introduce them."""
    names = []
    for match in _INTRODUCED.finditer(text):
        if all(word[0].isupper() for word in match.group("value").split()):
            names.append(Span(*match.span("value"), NAME))
        else:
            names += _capitals(match)
    spans = [*find_structured(text), *find_addresses(text), *names]
    return first_come(sorted(spans, key=lambda span: (RANKS[span.kind], span.start, -span.end)), text)


def _capitals(match: re.Match[str]) -> list[Span]:
    """Return the words in capitals with which the value of the match begins."""
    start, end = match.start("value"), match.start("value")
    for word in re.finditer(r"\S+", match.group("value")):
        if not word.group()[0].isupper():
            break
        end = start + word.end()
    return [Span(start, end, NAME)] if end > start else []
