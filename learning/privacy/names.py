"""People's names: after words that introduce them, by lists of names, and where a statistical recognizer says so.

Customers write in lower case and in capitals, where a recognizer that was trained on newspapers finds little: so
each word is looked up, and what stands before and behind it decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from learning.privacy.introductions import (
    ADDRESSED,
    CLAUSE_END,
    DEALT,
    HERE,
    INITIALS,
    NAMED,
    RELATED,
    SAYS,
    SELF,
    SENTENCE,
    SIGNED,
    STRONG,
    TITLE,
    WEAK,
    WHERE,
)
from learning.privacy.lexicon import PLURALS, Lexicon, bases
from learning.privacy.placeholders import NAME
from learning.privacy.spans import Span
from learning.privacy.words import BRANDS, FUNCTION, MORE_GIVEN, NO_NAME, OF_PLACES, PARTICLES, PERSONAL, WORD_NAMES

_TOKEN = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_POSSESSIVE = re.compile(r"['’][sS]$")
_ABBREVIATIONS = ("e.g", "i.e", "p.s", "u.s", "p.m", "a.m")
_LETTERS = re.compile(r"(?<![\w-])[^\W\d_](?:-[^\W\d_]){3,30}(?![\w-])")
_THE = frozenset(["the", "a", "an", "your", "this", "that", "these", "those", "another"])
LONGEST_INITIAL = 2  # letters of a short form before a full stop that ends no sentence
MOST_WORDS = 4  # of one person's name


class _Token(NamedTuple):  # half as dear to make as a frozen dataclass; there is one for each word of a store
    start: int
    end: int
    word: str  # in lower case, without the possessive
    capital: bool  # begins with a capital, and is not written in capitals all through
    opens: bool  # is the first word of a sentence


@lru_cache(maxsize=16)  # the same text is asked about several times in a row
def tokens_of(text: str) -> tuple[_Token, ...]:
    """Return the words of a text with where they stand."""
    tokens = []
    for match in _TOKEN.finditer(text):
        shown = match.group()
        if shown[-2:-1] in ("'", "’"):
            shown = _POSSESSIVE.sub("", shown)
        start = match.start()
        capital = shown[0].isupper() and not (len(shown) > 1 and shown.isupper())
        opens = bool(SENTENCE.search(text, max(0, start - 4), start)) if start else True
        tokens.append(_Token(start, start + len(shown), _plain(shown), capital, opens))
    return tuple(tokens)


def _plain(shown: str) -> str:
    """Return a word in lower case; of "I'd" or "we'll" only the pronoun, which is in the lists."""
    word = shown.lower().replace("’", "'")
    if "'" in word:
        head = word.split("'", 1)[0]
        if head in FUNCTION:
            return head
    return word


class NameFinder:
    """Finds people's names in a text by its lexicon and by what a statistical recognizer takes for a person."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def worth_asking(self, text: str) -> bool:
        """Whether a statistical recognizer may know more: a capitalized word within a sentence that no list decides."""
        return any(
            token.capital
            and not token.opens
            and len(token.word) > 1
            and token.word not in FUNCTION
            and token.word not in BRANDS
            and (token.word in WORD_NAMES or not self._lexicon.is_word(token.word))
            and not self._lexicon.is_plain_name(token.word)
            for token in tokens_of(text)
        )

    def may_hold(self, text: str) -> bool:
        """Whether the text has a word that may be a name: cheap, and never wrong when it says no."""
        return NAMED.search(text) is not None or any(self._may_be_name(token) for token in tokens_of(text))

    def _may_be_name(self, token: _Token) -> bool:
        word = token.word
        if word in WORD_NAMES or word in PERSONAL or word in MORE_GIVEN:
            return True
        return (
            word not in FUNCTION and (token.capital or word in self._lexicon.given) and not self._lexicon.is_word(word)
        )

    def find(self, text: str, people: Sequence[tuple[int, int]] = ()) -> list[Span]:
        """Return the names in `text`; `people` are (start, end) of what a recognizer takes for persons."""
        tokens = tokens_of(text)
        places = {token.start: place for place, token in enumerate(tokens)}
        spans = [
            *self._introduced(text, tokens, places),
            *self._by_list(text, tokens),
            *self._spelled(text),
            *(span for start, end in people if (span := self._confirmed(text, tokens, start, end))),
        ]
        return _joined(spans)

    def _introduced(self, text: str, tokens: Sequence[_Token], places: dict[int, int]) -> list[Span]:
        spans = []
        for pattern, strong in ((STRONG, True), (WEAK, False)):
            for match in pattern.finditer(text):
                place = places.get(match.end())
                if place is not None and self._is_name(text, tokens, place, strong, match.group().lower()):
                    itself = SELF.search(match.group()) is not None
                    spans.append(self._extended(text, tokens, place, strong or itself))
        return spans

    def _spelled(self, text: str) -> list[Span]:
        """Return names that are spelled out letter by letter, and surnames behind initials."""
        letters = [Span(*match.span(), NAME) for match in _LETTERS.finditer(text)]
        return letters + [Span(*match.span(), NAME) for match in INITIALS.finditer(text) if self._is_initialed(match)]

    def _is_initialed(self, match: re.Match[str]) -> bool:
        shown = match["surname"]
        word = shown.lower()
        if word in FUNCTION or word in BRANDS or match.group().lower().startswith(_ABBREVIATIONS):
            return False
        if shown[0].isupper():
            return match.group()[0].isupper() and (word in self._lexicon.surnames or not self._lexicon.is_word(word))
        return self._lexicon.is_surname(word) and not self._lexicon.is_word(word)

    def _is_name(self, text: str, tokens: Sequence[_Token], place: int, strong: bool, intro: str) -> bool:
        token, lexicon = tokens[place], self._lexicon
        if strong and (token.word in PARTICLES or _is_initial(text, token)):
            return self._name_follows(text, tokens, place)
        if token.word in FUNCTION and token.word not in WORD_NAMES:
            return False
        if lexicon.is_plain_name(token.word):
            return True
        behind = tokens[place + 1] if place + 1 < len(tokens) else None
        surname = behind is not None and _adjacent(text, token, behind) and lexicon.is_surname(behind.word)
        known = token.word in lexicon.given or token.word in lexicon.surnames
        titled = TITLE.match(intro) is not None
        if token.capital and token.word not in BRANDS and token.word not in FUNCTION and len(token.word) > 1:
            if titled or (RELATED.search(intro) and not lexicon.is_other_than_noun(token.word)):
                return True
            if DEALT.search(intro) and not lexicon.is_word(token.word):
                return True
        ends = CLAUSE_END.match(text, token.end) is not None
        if strong:
            if token.word in BRANDS or len(token.word) < 2:
                return False
            word = lexicon.is_word(token.word)
            return (not word) or (known and (token.capital or titled or surname or (ends and "call me" not in intro)))
        if token.word in BRANDS:
            return False
        if token.word in WORD_NAMES or (known and titled):
            addressed = titled or ADDRESSED.search(text, max(0, token.start - 14), token.start) is not None
            return surname or (addressed and ends and (token.word in WORD_NAMES or token.capital))
        addressed = ADDRESSED.search(text, max(0, token.start - 14), token.start) is not None
        return addressed and token.capital and not lexicon.is_word(token.word) and (ends or known or surname)

    def _name_follows(self, text: str, tokens: Sequence[_Token], place: int) -> bool:
        """Whether a name's next full word stands behind an initial or a particle."""
        for left, right in zip(tokens[place : place + 2], tokens[place + 1 : place + 3], strict=False):
            if not _adjacent(text, left, right) or right.word in FUNCTION:
                return False
            if right.word not in PARTICLES:
                return right.capital or not self._lexicon.is_no_name(right.word)
        return False

    def _by_list(self, text: str, tokens: Sequence[_Token]) -> list[Span]:
        spans = []
        done = -1
        for place, token in enumerate(tokens):
            if place <= done or (place and tokens[place - 1].word in OF_PLACES and not token.opens):
                continue
            if self._is_thing(text, tokens, place):
                continue
            here = token.opens and token.word in self._lexicon.given and HERE.match(text, token.end)
            said = (
                token.capital
                and SAYS.match(text, token.end)
                and not self._lexicon.is_no_name(token.word)
                and token.word not in NO_NAME
            )
            if (here or said or self._lexicon.is_plain_name(token.word)) and not _in_compound(text, token):
                spans.append(self._extended(text, tokens, place, strong=False))
            elif token.word in WORD_NAMES and place + 1 < len(tokens):
                behind = tokens[place + 1]
                cased = token.capital and behind.capital
                if _adjacent(text, token, behind) and self._lexicon.is_surname(behind.word) and (
                    cased or not self._lexicon.is_word(behind.word)
                ) and not (token.word in FUNCTION and not cased):  # fmt: skip
                    spans.append(Span(token.start, behind.end, NAME))
                    done = place + 1
            if (
                token.word in WORD_NAMES
                and token.capital
                and SIGNED.search(text, max(0, token.start - 16), token.start)
                and not text[token.end :].strip(" .!\n")
            ):
                spans.append(Span(token.start, token.end, NAME))
        return spans

    def _is_thing(self, text: str, tokens: Sequence[_Token], place: int) -> bool:
        """Whether the word is part of a thing's name: "the Charlotte vase"."""
        behind = tokens[place + 1] if place + 1 < len(tokens) else None
        return (
            place > 0
            and tokens[place - 1].word in _THE
            and behind is not None
            and _adjacent(text, tokens[place], behind)
            and behind.word not in FUNCTION
            and not behind.capital
            and behind.word not in self._lexicon.surnames
            and any(form in self._lexicon.nouns for form in bases(behind.word, PLURALS))
        )

    def _confirmed(self, text: str, tokens: Sequence[_Token], start: int, end: int) -> Span | None:
        """Return the part of what a recognizer takes for a person that can be a name."""
        inside = [token for token in tokens if start <= token.start and token.end <= end + 2]
        while inside and (self._lexicon.is_no_name(inside[0].word) or not inside[0].capital):
            inside.pop(0)
        kept: list[_Token] = []
        for token in inside:
            if kept and not _adjacent(text, kept[-1], token):
                break
            if token.word in FUNCTION or token.word in BRANDS or (not token.capital and token.word not in PARTICLES):
                break
            kept.append(token)
        if len(kept) == 1 and not self._may_stand_alone(text, tokens, tokens.index(kept[0])):
            return None
        return Span(kept[0].start, kept[-1].end, NAME) if kept else None

    def _may_stand_alone(self, text: str, tokens: Sequence[_Token], place: int) -> bool:
        """Whether one word that a recognizer takes for a person is one, not a place, a thing or an odd start."""
        token = tokens[place]
        if token.opens or len(token.word) < 3 or token.word in NO_NAME or self._is_thing(text, tokens, place):
            return False
        known = token.word in self._lexicon.given and token.word not in WORD_NAMES
        return known or WHERE.search(text, max(0, token.start - 24), token.start) is None

    def _extended(self, text: str, tokens: Sequence[_Token], place: int, strong: bool) -> Span:
        """Return the name that begins at a token with the surnames behind it."""
        first = last = tokens[place]
        particle = first.word in PARTICLES
        for ahead in range(place + 1, min(place + MOST_WORDS, len(tokens))):
            token = tokens[ahead]
            if not _adjacent(text, tokens[ahead - 1], token):
                break
            if token.word in PARTICLES:
                particle = True
            elif _is_initial(text, token):
                last = token
            elif self._continues(token, first.capital, strong or particle or self._ends_clause(text, first, token)):
                last = token
                particle = False
            else:
                break
        return Span(first.start, last.end, NAME)

    def _ends_clause(self, text: str, first: _Token, token: _Token) -> bool:
        """Whether an unknown word behind a plain name in lower case is the surname: nothing else is said then."""
        return (
            not first.capital
            and len(token.word) > LONGEST_INITIAL + 1
            and CLAUSE_END.match(text, token.end) is not None
        )

    def _continues(self, token: _Token, capital: bool, strong: bool) -> bool:
        lexicon, word = self._lexicon, token.word
        if word in FUNCTION or word in BRANDS:
            return False
        if lexicon.is_surname(word) or lexicon.is_plain_name(word):
            return True
        if capital and token.capital and not token.opens:
            return not lexicon.is_word(word) or word in lexicon.surnames
        return strong and not lexicon.is_word(word)


def _is_initial(text: str, token: _Token) -> bool:
    shown = text[token.start : token.end]
    return (
        len(shown) == 1 and token.word not in ("i", "a") and (shown.isupper() or text[token.end : token.end + 1] == ".")
    )


def _adjacent(text: str, left: _Token, right: _Token) -> bool:
    between = text[left.end : right.start]
    return between in (" ", "-", "  ") or (between == ". " and len(left.word) <= LONGEST_INITIAL)


def _in_compound(text: str, token: _Token) -> bool:
    """Whether the word is part of something longer, such as a user name or a file's name."""
    return text[token.end : token.end + 1] in ("_", "@") or text[token.start - 1 : token.start] in ("_", "@", "/")


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Return the spans, those that overlap as one."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start < joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end), NAME)
        else:
            joined.append(span)
    return joined
