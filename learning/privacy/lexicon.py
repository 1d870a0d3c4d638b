"""What a word may be: a given name, a surname, a word of the language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learning.privacy.words import BRANDS, FUNCTION, MORE_GIVEN, NO_NAME, PERSONAL, WORD_NAMES, WORD_SURNAMES

PLURALS = (("s", ("",)), ("es", ("",)), ("ies", ("y",)))
_ENDINGS = (*PLURALS, ("ed", ("", "e")), ("ing", ("", "e")), ("ly", ("",)), ("er", ("", "e")))


def bases(word: str, endings: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Return the word and what it may be an inflected form of."""
    forms = [word]
    for ending, replacements in endings:
        if len(word) > len(ending) + 2 and word.endswith(ending):
            forms += [word[: -len(ending)] + replacement for replacement in replacements]
    return forms


@dataclass(frozen=True)
class Lexicon:
    """What a word may be: given names, surnames, the dictionary's nouns and its other words, all in lower case."""

    given: frozenset[str]
    surnames: frozenset[str]
    nouns: frozenset[str]
    words: frozenset[str]

    def is_word(self, word: str) -> bool:
        """Whether the dictionary knows the word, or what it is an inflected form of."""
        return any(form in self.nouns for form in bases(word, PLURALS)) or self.is_other_than_noun(word)

    def is_other_than_noun(self, word: str) -> bool:
        """Whether the word can be a verb, an adjective or an adverb."""
        return any(form in self.words for form in bases(word, _ENDINGS))

    def is_plain_name(self, word: str) -> bool:
        """Whether the word is somebody's given name wherever it stands, written in capitals or not."""
        if word in PERSONAL or word in MORE_GIVEN:
            return True
        if len(word) < 3 or word not in self.given or word in NO_NAME or word in WORD_NAMES:
            return False
        return word not in FUNCTION and word not in BRANDS and not self.is_word(word)

    def is_surname(self, word: str) -> bool:
        """Whether the word behind a given name is a surname."""
        if word in FUNCTION or word in BRANDS:
            return False
        return word in self.surnames and (word in WORD_SURNAMES or not self.is_other_than_noun(word))

    def is_no_name(self, word: str) -> bool:
        """Whether the word is one of the language or a brand rather than a name."""
        return (
            word in FUNCTION
            or word in BRANDS
            or (self.is_word(word) and word not in PERSONAL and word not in WORD_NAMES)
        )
