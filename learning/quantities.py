"""Numbers in texts with what they count: amounts of money, shares, durations, times of day, and things."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from learning.sentences import stem
from learning.texts import STOP_WORDS

TOLERANCE = 0.05  # share by which two durations may differ: 30 days are a month

_MINUTES = {"minute": 1, "hour": 60, "day": 1440, "week": 10_080, "month": 43_800, "year": 525_600}
_NUMBERS_IN_WORDS = {
    word: str(value)
    for value, word in enumerate(
        """
        two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
        eighteen nineteen twenty
        """.split(),  # noqa: SIM905
        start=2,
    )
}
_NUMBER_WORD = re.compile(r"\b[a-z]+\b")
# Compared as words: there are too many ways to put them together.
_BIG_NUMBER = re.compile(
    r"\b(?:zero|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?|trillions?"
    r"|dozens?|hal(?:f|ves)|thirds?|quarters?|(?:four|fif|six|seven|eigh|nin|ten|twentie|hundred|thousand)ths?"
    r"|twice|thrice|double|triple|treble|quadruple"
    r"|(?:two|three|four|five|six|seven|eight|nine|ten|hundred|thousand)fold)\b"
)
_CURRENCY = {"€": "eur", "$": "usd", "£": "gbp", "euro": "eur", "dollar": "usd", "pound": "gbp"}
_MEASURES = frozenset({"time", "duration", "%", "eur", "usd", "gbp"})
_AMOUNT = r"(?<![\d.,])\d{1,15}(?:[,.]\d{1,15}){0,5}"  # bounded: a text of digits would take forever
_UNIT = r"(minute|hour|day|week|month|year)s?"
_WORKING = r"(?:(?:working|business|calendar)[\s-])?"
_CLOCK = re.compile(r"\b(\d{1,2})(?:[:.](\d{2}))?\s?([ap])\.?m\b\.?|\b(\d{1,2}):(\d{2})\b|\b(noon|midnight)\b")
_MONEY = re.compile(
    rf"(€|\$|£|\b(?:eur|usd|gbp)\b)\s?({_AMOUNT})|({_AMOUNT})\s?(€|\$|£|(?:euro|dollar|pound)(?=s?\b)|(?:eur|usd|gbp)\b)"
)
_PERCENT = re.compile(rf"({_AMOUNT})\s?(?:%|percent\b)")
_DURATION = re.compile(rf"({_AMOUNT})(?:\s?(?:-|–|to|or|and)\s?({_AMOUNT}))?[\s-]?{_WORKING}{_UNIT}\b")
_ONE = re.compile(rf"\b(?:within|in|after|for|takes|of) (?:an?|one) {_WORKING}{_UNIT}\b")
_COUNT = re.compile(rf"({_AMOUNT})\s?(°\s?c\b|[a-z]{{1,}})")


def unsupported_numbers(text: str, sources: Sequence[str]) -> list[str]:
    """Return the numbers of a text that no source has, or has of another unit only: 5 hours where it says 5 days."""
    named = [_NUMBER_WORD.sub(_as_digits, one.lower()) for one in (text, *sources)]
    values = [{_value(amount) for amount in re.findall(_AMOUNT, one)} for one in named]
    found = [f"{value:g}" for value in sorted(values[0].difference(*values[1:]))]
    words = [set(_BIG_NUMBER.findall(one)) for one in named]
    found += sorted(words[0].difference(*words[1:]))
    signs = [set(filter(_is_numeral, one)) for one in named]
    found += sorted(signs[0].difference(*signs[1:]))
    read_sources = [read_numbers(source)[0] for source in named[1:]]
    for unit, told in read_numbers(named[0])[0].items():
        if unit in _MEASURES:
            known = [value for numbers in read_sources for value in numbers.get(unit, ())]
            found += [f"{value:g} {unit}" for value in missing(unit, told, known)]
    return found


def read_numbers(text: str) -> tuple[dict[str, tuple[float, ...]], str]:
    """Return the numbers of a lower-case text by unit, and what is left of it.

    Units are `time` (minutes of the day), `duration` (minutes), `%`, currencies, and else the word behind the number.
    """
    found: dict[str, list[float]] = {}
    text = _NUMBER_WORD.sub(_as_digits, text)

    def clock(match: re.Match[str]) -> str:
        hour, minute = int(match[1] or match[4] or 12), int(match[2] or match[5] or 0)
        if match[3]:
            hour = hour % 12 + (12 if match[3] == "p" else 0)
        found.setdefault("time", []).append((0 if match[6] == "midnight" else hour) * 60 + minute)
        return " "

    def money(match: re.Match[str]) -> str:
        unit = match[1] or match[4]
        found.setdefault(_CURRENCY.get(unit, unit), []).append(_value(match[2] or match[3]))
        return " "

    def percent(match: re.Match[str]) -> str:
        found.setdefault("%", []).append(_value(match[1]))
        return " "

    def duration(match: re.Match[str]) -> str:
        values = [_value(amount) for amount in match.group(1, 2) if amount]
        found.setdefault("duration", []).extend(value * _MINUTES[match[3]] for value in values)
        return " "

    def one(match: re.Match[str]) -> str:
        found.setdefault("duration", []).append(_MINUTES[match[1]])
        return " "

    def count(match: re.Match[str]) -> str:
        if match[2] in STOP_WORDS:
            return match[0]
        found.setdefault(stem(match[2]), []).append(_value(match[1]))
        return f" {match[2]} "

    for pattern, note in (
        (_CLOCK, clock),
        (_MONEY, money),
        (_PERCENT, percent),
        (_DURATION, duration),
        (_ONE, one),
        (_COUNT, count),
    ):
        text = pattern.sub(note, text)
    return {unit: tuple(values) for unit, values in found.items()}, text


def _is_numeral(char: str) -> bool:
    """Return whether a character is a number without being a decimal digit: a fraction, or a numeral of some script."""
    return char == "\u2044" or (unicodedata.numeric(char, None) is not None and not char.isdecimal())


def _as_digits(match: re.Match[str]) -> str:
    return _NUMBERS_IN_WORDS.get(match[0], match[0])


def _value(amount: str) -> float:
    """Return the number that is written, with a thousands separator or a decimal comma."""
    amount = re.sub(r"[.,](?=\d{3}\b)", "", amount)
    whole, _, decimals = amount.replace(",", ".").partition(".")
    return float(f"{whole}.{decimals.replace('.', '') or 0}")


def missing(unit: str, values: Sequence[float], among: Sequence[float]) -> list[float]:
    """Return those values that are not among others of their unit."""
    tolerance = TOLERANCE if unit == "duration" else 0.0
    return [value for value in values if not any(abs(value - one) <= tolerance * max(value, one) for one in among)]


def differ(unit: str, values: Sequence[float], others: Sequence[float]) -> bool:
    """Return whether each of the two has a number that the other lacks; one that tells more contradicts nothing."""
    return bool(missing(unit, values, others)) and bool(missing(unit, others, values))


def say(unit: str, values: Sequence[float]) -> str:
    """Return numbers of a unit as a person would read them."""
    if unit == "time":
        return " to ".join(f"{int(value) // 60}:{int(value) % 60:02}" for value in values)
    if unit == "duration":
        fitting = [name for name in _MINUTES if name != "week" and not any(value % _MINUTES[name] for value in values)]
        name = fitting[-1] if fitting else "minute"
        return " to ".join(f"{value / _MINUTES[name]:g}" for value in values) + (
            f" {name}" if values[-1] == _MINUTES[name] else f" {name}s"
        )
    numbers = ", ".join(f"{value:g}" if value == int(value) else f"{value:.2f}" for value in values)
    return f"{unit.upper()} {numbers}" if unit in _CURRENCY.values() else f"{numbers} {unit}"
