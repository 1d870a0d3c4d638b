"""Texts as sentences, which is what answers are made of and compared by."""

from __future__ import annotations

import re

_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|approx|incl|nr|vs|st|mr|mrs|ms|dr)\.$", re.IGNORECASE)
_END = re.compile(r"""(?:(?<=[.!?])|(?<=[.!?]["')]))\s+(?=["'(]?[A-Z0-9<€$£])|\n+""")
SHORTEST = 15  # characters; less is a greeting or the end of a list


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text, in order."""
    found: list[str] = []
    for part in _END.split(text):
        part = " ".join(part.split())
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] = f"{found[-1]} {part}".strip()
        elif part:
            found.append(part)
    return found


def stem(word: str) -> str:
    """Return a lower-case word without its ending: refunds, refunded and refunding are one."""
    for ending, instead in (("ies", "y"), ("ing", ""), ("ed", ""), ("'s", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)] + instead
    return word
