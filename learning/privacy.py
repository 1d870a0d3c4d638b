"""Personal data is replaced by placeholders before a text leaves the tracker store.

Structured kinds (emails, cards, IBANs, phones, order numbers, URLs) by their own form and check digits,
people's names where they introduce themselves. The same value is the same placeholder within a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
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


def _phone(text: str) -> bool:
    return 7 <= sum(char.isdigit() for char in text) <= 15


def _always(text: str) -> bool:
    return True


@dataclass(frozen=True)
class Recognizer:
    """A kind of personal data: its pattern (group 'value' if only a part is personal) and a check."""

    kind: str
    pattern: re.Pattern[str]
    check: Callable[[str], bool] = _always


# Order matters: what is found first is not looked at again (an IBAN is not a phone number).
RECOGNIZERS = (
    Recognizer("URL", re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)),
    Recognizer("EMAIL", re.compile(r"[\w.+'-]+\s?@\s?[\w-]+(?:\.[\w-]+)+")),
    Recognizer("IBAN", re.compile(r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{2,4}){3,8}\b", re.IGNORECASE), _iban),
    Recognizer("CARD", re.compile(r"\b\d(?:[ -]?\d){12,18}\b"), _luhn),
    Recognizer("SSN", re.compile(r"\b\d{3}-\d{2}-\d{4}\b")),
    Recognizer("PHONE", re.compile(r"(?<![\w#])(?:\+|00)?\(?\d[\d ()./-]{6,}\d\b"), _phone),
    Recognizer("TICKET", re.compile(r"\bT-\d{3,}\b", re.IGNORECASE)),
    Recognizer("ORDER", re.compile(r"(?<!\w)#?\d{5,12}\b")),
    Recognizer(
        "NAME",
        re.compile(
            r"\b(?:[Mm]y name(?:'s| is)|[Tt]his is|I am|I'm|[Rr]egards,?|[Mm]r\.?|[Mm]rs\.?|[Mm]s\.?|[Dd]r\.?)\s+"
            r"(?P<value>[A-Z][\w'-]+(?:\s+[A-Z][\w'-]+){0,2})"
        ),
    ),
)


class PatternRedactor:
    """Redacts by form and check digits; fast enough for every message of a store."""

    def redact(self, text: str) -> str:
        """Return `text` with each personal value replaced by `<KIND_n>`, one number a distinct value."""
        for recognizer in RECOGNIZERS:
            text = self._apply(recognizer, text)
        return text

    @staticmethod
    def _apply(recognizer: Recognizer, text: str) -> str:
        numbers: dict[str, int] = {}

        def replace(match: re.Match[str]) -> str:
            whole = match.group(0)
            value = match.groupdict().get("value") or whole
            if not recognizer.check(value):
                return whole
            number = numbers.setdefault(re.sub(r"[\s#-]", "", value).lower(), len(numbers) + 1)
            return whole.replace(value, f"<{recognizer.kind}_{number}>")

        return recognizer.pattern.sub(replace, text)
