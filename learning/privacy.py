"""Personal data is replaced by placeholders before a text leaves the tracker store.

Structured kinds (emails, cards, IBANs, phones, order numbers, URLs) by their own form and check digits,
people's names where they introduce themselves. The same value is the same placeholder within a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


def _luhn(text: str) -> bool:
    """Whether the digits pass the check-digit formula of payment cards (ISO/IEC 7812-1)."""
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and sum(doubled) % 10 == 0


def _iban(text: str) -> bool:
    """Whether the text passes the mod-97 check of ISO 13616."""
    compact = re.sub(r"\s", "", text).upper()
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def _capitalized(text: str) -> bool:
    return all(word[0].isupper() for word in text.split())


def _always(text: str) -> bool:
    return True


@dataclass(frozen=True)
class Recognizer:
    """A kind of personal data: its pattern (group 'value' if only a part is personal) and a check."""

    kind: str
    pattern: re.Pattern[str]
    check: Callable[[str], bool] = _always


LONGEST = 4000  # characters that are kept of a message; what it is about has been said by then

# Order matters: what is found first is not looked at again (an IBAN is not a phone number). Each pattern is bounded
# or starts at the edge of a word, so that no message takes longer than its length.
RECOGNIZERS = (
    Recognizer("URL", re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)),
    Recognizer("EMAIL", re.compile(r"(?<![\w.+'-])[\w.+'-]+\s?@\s?[\w-]+(?:\.[\w-]+)+")),
    Recognizer(
        "IBAN",
        re.compile(r"\b[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?:\s[A-Z0-9]{4}){2,7}(?:\s[A-Z0-9]{1,3})?)\b", re.IGNORECASE),
        _iban,
    ),
    Recognizer("CARD", re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)"), _luhn),
    Recognizer("SSN", re.compile(r"\b\d{3}-\d{2}-\d{4}\b")),
    Recognizer("PHONE", re.compile(r"(?<![\w#])(?:\+|00)?\(?\d(?:[ ()./-]{0,3}\d){6,14}(?!\d)")),
    Recognizer("TICKET", re.compile(r"\bT-\d{3,}\b", re.IGNORECASE)),
    Recognizer("ORDER", re.compile(r"(?<!\d)#?\d{5,}(?!\d)")),
    Recognizer(
        "NAME",
        re.compile(
            r"\b(?:[Mm]y name(?:['’]s| is)|[Tt]his is|I am|I['’]m|[Rr]egards,?|[Mm]r\.?|[Mm]rs\.?|[Mm]s\.?|[Dd]r\.?)\s+"
            r"(?P<value>[^\W\d_][\w'’-]{1,40}(?:\s+[^\W\d_][\w'’-]{1,40}){0,2})"
        ),
        _capitalized,
    ),
)


class PatternRedactor:
    """Redacts by form and check digits; fast enough for every message of a store."""

    def redact(self, text: str) -> str:
        """Return `text` with each personal value replaced by `<KIND_n>`, one number a distinct value."""
        text = text[:LONGEST]
        for recognizer in RECOGNIZERS:
            text = self._apply(recognizer, text)
        return text

    @staticmethod
    def _apply(recognizer: Recognizer, text: str) -> str:
        numbers: dict[str, int] = {}
        parts: list[str] = []
        done = 0
        for start, end in _spans(recognizer, text):
            number = numbers.setdefault(re.sub(r"[\s#-]", "", text[start:end]).lower(), len(numbers) + 1)
            parts += [text[done:start], f"<{recognizer.kind}_{number}>"]
            done = end
        return "".join([*parts, text[done:]])


def _spans(recognizer: Recognizer, text: str) -> Iterator[tuple[int, int]]:
    """Yield where the values stand that pass the check.

    A pattern takes as much as it can, such as the expiry date behind a card's number: what fails the check is
    tried with less at its end, then from the next character on.
    """
    group = "value" if "value" in recognizer.pattern.groupindex else 0
    position = 0
    while match := recognizer.pattern.search(text, position):
        position = match.start() + 1
        while match:
            start, end = match.span(group)
            if recognizer.check(match.group(group)):
                yield start, end
                position = end
                break
            match = _shorter(recognizer.pattern, text, match)


def _shorter(pattern: re.Pattern[str], text: str, match: re.Match[str]) -> re.Match[str] | None:
    """Return the longest match at the same place that ends earlier, at the edge of a word."""
    for end in range(match.end() - 1, match.start(), -1):
        if not (text[end - 1].isalnum() and text[end].isalnum()):
            found = pattern.fullmatch(text, match.start(), end)
            if found:
                return found
    return None
