"""How the assistant speaks, as far as it can be told and matched mechanically: nothing here changes what is said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from learning.sentences import split_sentences

FEWEST_ANSWERS = 5  # from which there is a habit to speak of
EXCLAIMING = 0.1  # share of sentences with an exclamation mark under which one sticks out
MUCH_LONGER = 1.5  # times the longest answer there is
_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}
_CODE = re.compile(r"\b(EUR|USD|GBP)\s?(?=\d)")
_ABOUT_CUSTOMERS = re.compile(r"\b(?:the|a|each|every) customer\b|\bcustomers\b", re.IGNORECASE)
_YOU = re.compile(r"\byour?\b", re.IGNORECASE)


@dataclass(frozen=True)
class Tone:
    """The habits of answers: exclamation marks, currency signs, "you", and how many characters the longest has.

    Without enough answers nothing is a habit, and nothing is changed or warned about.
    """

    exclaims: bool = True
    signs: frozenset[str] = frozenset()
    says_you: bool = False
    longest: int | None = None

    @classmethod
    def of(cls, texts: Sequence[str]) -> Tone:
        """Return the habits of these answers."""
        if len(texts) < FEWEST_ANSWERS:
            return cls()
        joined = " ".join(texts)
        sentences = [sentence for text in texts for sentence in split_sentences(text)]
        return cls(
            exclaims=sum(sentence.endswith("!") for sentence in sentences) >= EXCLAIMING * len(sentences),
            signs=frozenset(code for code, sign in _SIGNS.items() if sign in joined and f"{code} " not in joined),
            says_you=sum(bool(_YOU.search(text)) for text in texts) * 2 > len(texts),
            longest=max(map(len, texts)),
        )

    def adapt(self, sentence: str) -> str:
        """Return a sentence as the assistant would write it: `EUR 5` is `€5` where it says so, and calm where it is."""
        if not self.exclaims:
            sentence = re.sub(r"!+$", ".", sentence)
        return _CODE.sub(lambda match: _SIGNS[match[1]] if match[1] in self.signs else match[0], sentence)

    def warnings(self, answer: str) -> list[str]:
        """Return what sounds unlike the other answers, and only a person can put right."""
        found = []
        if self.longest is not None and len(answer) > MUCH_LONGER * self.longest:
            found.append(f"It has {len(answer)} characters; the longest of the other answers has {self.longest}.")
        if self.says_you and _ABOUT_CUSTOMERS.search(answer) and not _YOU.search(answer):
            found.append('It speaks about customers; the other answers say "you".')
        return found
