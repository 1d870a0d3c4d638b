"""Listed words in a text, also where they are misspelled or disguised: pr1ce, r e f u n d, docter, law·yer, tnuocsid.

A text is read in several ways at once, and a word counts if one of them has it. What no reading makes sense of is said
to be unreadable: whoever has to decide without a person must not decide about what could not be read.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from learning.texts import PLACEHOLDER, STOP_WORDS

LEET = str.maketrans("013456789@$!|€£+(¢", "oieasgtbgasileltcc")
LEET_L = str.maketrans("1", "l")  # a 1 is an i or an l
LETTERS_OF_OTHERS = str.maketrans(
    # Cyrillic and Greek letters that look like Latin ones (Unicode's confusables, the lower-case ones).
    "авекмнорстухіјѕԁһӏԛԝүёіαβεικνορτυχωγηρς",
    "abekmhopctyxijsdhlqwyeiabeiknoptuxwynps",
)
_NAMED = re.compile(r"\bLETTER (?:SMALL CAPITAL |TURNED |REVERSED |OPEN |SMALL )*([A-Z])\b")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_MASKED = re.compile(r"(?<!\S)\W?([^\W\d_]+(?:[*#~%^?=]{1,3}[^\W\d_]+)+)")
_VOWELS = frozenset("aeiouy")
MISSPELLED = 5  # letters from which a word may be one letter off; shorter ones have too many neighbors
PIECES = 3  # parts that a word may be torn into
SPELLED_OUT = 4  # single letters in a row: nobody writes so who has nothing to hide from a filter
BURIED = 12  # letters of a token from which words are looked for inside it: howmuchdoesitcost
READABLE = 0.5  # share of letters in what is said, and of words that can be spoken


@dataclass(frozen=True)
class Reading:
    """What a text may say: its words as they stand, what it says once disguises are off, and its symbols.

    `joined` are words made of neighbors, `spelled` what single letters in a row make, `masked` words with hidden
    letters, as regular expressions. `doubt` says why the text cannot be trusted to say what it seems to, empty if it
    can.
    """

    words: tuple[str, ...]
    variants: frozenset[str]
    joined: tuple[tuple[str, tuple[int, ...]], ...]
    spelled: tuple[str, ...]
    masked: tuple[re.Pattern[str], ...]
    symbols: frozenset[str]
    doubt: str

    @property
    def plain(self) -> str:
        """The words as they stand, or those that stand behind single letters and digits, as one text."""
        return " ".join(self.words)


def plain_letters(text: str) -> str:
    """Return a text in lower-case Latin letters wherever its letters are, or look like, such."""
    folded = unicodedata.normalize("NFKC", text).replace("’", "'").casefold().translate(LETTERS_OF_OTHERS)
    shown = (char for char in unicodedata.normalize("NFD", folded) if unicodedata.category(char) not in ("Mn", "Cf"))
    return "".join(map(_plain_letter, shown))


@lru_cache(maxsize=2000)
def _plain_letter(char: str) -> str:
    """Return the Latin letter that a character is a drawing of, as ⓟ, 🅿 and ᴘ are of p."""
    if char.isascii() or char in "€£¥₹":
        return char
    named = _NAMED.search(unicodedata.name(char, ""))
    return named[1].lower() if named and ("LATIN" in unicodedata.name(char) or not char.isalpha()) else char


def read(text: str, other_languages: Collection[str] = ()) -> Reading:
    """Read a text in every way that a person could; `other_languages` are function words of languages not spoken."""
    shown = plain_letters(PLACEHOLDER.sub(" ", text))
    chunks = shown.split()
    words = tuple(_WORD.findall(" ".join(_unmask(chunk) for chunk in chunks)))
    variants = set(words) | set(_WORD.findall(shown))
    for word in _WORD.findall(" ".join(_unmask(chunk).translate(LEET_L) for chunk in chunks)):
        variants.add(word)
    variants |= {word.partition("'")[0] for word in words}
    stretched = {word for word in variants if re.search(r"(.)\1\1", word)}
    variants |= {re.sub(r"(.)\1{2,}", r"\1" * times, word) for word in stretched for times in (1, 2)}
    spelled = tuple(_spelled_out(shown))
    masked = tuple(
        re.compile("".join("." if char in "*#~%^?=" else re.escape(char) for char in match[1]))
        for match in _MASKED.finditer(shown)
    )
    return Reading(
        words=words,
        variants=frozenset(variants),
        joined=tuple(_joined(_WORD.findall(shown))),
        spelled=spelled,
        masked=masked,
        symbols=frozenset(char for char in shown if not char.isalnum() and not char.isspace()),
        doubt=_doubt(shown, words, spelled, other_languages),
    )


def _unmask(chunk: str) -> str:
    """Return what a chunk without spaces says if digits and signs in it stand for letters."""
    core = chunk.strip(".,;:!?\"'()-")
    letters = sum(char.isalpha() for char in core)
    # Two letters at least: 5th, 2x and 10am are no words in disguise.
    if letters < 2 or core.isalpha() or re.fullmatch(r"\W*\d+\W*[a-z]{1,3}", core):
        return chunk
    return core.translate(LEET)


def _spelled_out(shown: str) -> Iterator[str]:
    """Yield what single letters in a row make, whatever stands between them."""
    for match in re.finditer(r"(?<![^\W_])[^\W_](?:[\W_]+[^\W_](?![^\W_])){2,}", shown):
        letters = re.sub(r"[\W_]", "", match[0])
        if 2 * sum(char.isalpha() for char in letters) > len(letters):  # dates and numbers are none
            yield letters.translate(LEET)


def _joined(words: Sequence[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield neighbors as one word, with the places where they meet."""
    for start in range(len(words)):
        for end in range(start + 2, min(start + PIECES, len(words)) + 1):
            ends, length = [], 0
            for word in words[start : end - 1]:
                length += len(word)
                ends.append(length)
            yield "".join(words[start:end]), tuple(ends)


def _doubt(shown: str, words: Sequence[str], spelled: Sequence[str], other_languages: Collection[str]) -> str:
    """Return why a text cannot be read, empty if it can."""
    said = [char for char in shown if not char.isspace()]
    if any(char.isalpha() and not char.isascii() for char in said):
        return "letters of another script"
    if any(len(run) >= SPELLED_OUT for run in spelled):
        return "words spelled out letter by letter"
    signs = sum(not char.isalnum() for char in said)
    if signs > READABLE * len(said):
        return "hardly any letters"
    # What counts is the majority of function words: "die" and "am" are words of two languages.
    others = sum(word in other_languages for word in words)
    if others > max(sum(word in STOP_WORDS for word in words), 1 if len(words) < 3 else 0):
        return "another language"
    long = [word for word in words if len(word) >= 3]
    if len(long) > 1 and sum(bool(_VOWELS & set(word)) for word in long) < READABLE * len(long):
        return "words without vowels"
    return ""


class WordList:
    """Words to look for: `refund*` is every word that begins so, `fee` that word alone, `how_much` a phrase.

    `innocent` are words that look like a misspelling of a listed one and are none; `foreign` are words of other
    languages, for which misspellings are not looked for: they are words of this one too often.
    """

    def __init__(self, patterns: Iterable[str], innocent: Collection[str] = (), foreign: Iterable[str] = ()) -> None:
        self._innocent = frozenset(innocent)
        self._whole: set[str] = set()
        self._stems: set[str] = set()
        self._phrases: set[tuple[str, ...]] = set()
        self._symbols: set[str] = set()
        for pattern in patterns:
            self._add(pattern)
        self._phonetic = {_sound(word): word for word in self._whole | self._stems if len(word) >= 4}
        self._near: dict[str, set[str]] = defaultdict(set)
        for word in self._whole | self._stems:
            if len(word) >= MISSPELLED:
                for variant in _without_one(_sound(word)):
                    self._near[variant].add(word)
        self._skeletons = {
            bones: word
            for word in self._whole | self._stems
            if len(bones := _skeleton(word)) >= 3 and len(bones) < len(word)
        }
        for pattern in foreign:
            self._add(pattern)
        self._longest = max(map(len, self._stems), default=0)

    def _add(self, pattern: str) -> None:
        shown = plain_letters(pattern)
        parts = tuple(_WORD.findall(shown))
        if not parts:
            self._symbols.add(shown)
        elif len(parts) > 1:
            self._phrases.add(parts)
        else:
            (self._stems if pattern.endswith("*") else self._whole).add(parts[0])

    def find(self, reading: Reading) -> str | None:
        """Return the listed word that a text has, in whatever disguise; None if it has none."""
        for symbol in reading.symbols & self._symbols:
            return symbol
        for word in sorted(reading.variants):
            if found := self._listed(word) or self._disguised(word):
                return found
        return self._phrase(reading) or self._torn(reading) or self._hidden(reading)

    def _listed(self, word: str) -> str | None:
        if word in self._whole:
            return word
        return next(
            (word[:end] for end in range(2, min(self._longest, len(word)) + 1) if word[:end] in self._stems), None
        )

    def _disguised(self, word: str) -> str | None:
        """Return the listed word that a word sounds like, is one letter off, is reversed, or has buried inside."""
        if word in STOP_WORDS or any(form in self._innocent for form in _without_ending(word)):
            return None
        if len(word) >= MISSPELLED and (found := self._listed(word[::-1])) and len(found) >= MISSPELLED:
            return found
        if not _VOWELS & set(word) and len(word) >= 3 and word in self._skeletons:
            return self._skeletons[word]
        if len(word) >= BURIED:
            inside = (stem for stem in self._stems | self._whole if len(stem) >= MISSPELLED and stem in word)
            if found := next(inside, None):
                return found
        return self._misspelled(word)

    def _misspelled(self, word: str) -> str | None:
        if len(word) < 4:
            return None
        sound = _sound(word)
        if sound in self._phonetic:
            return self._phonetic[sound]
        if len(word) < MISSPELLED:
            return None
        # A listed stem stands at the beginning of the word, one letter shorter or longer than it should be.
        for end in range(MISSPELLED - 1, len(sound) + 1):
            head = sound[:end]
            for variant in _without_one(head):
                for listed in self._near.get(variant, ()):
                    right = _sound(listed)
                    whole = end == len(sound)
                    begun = listed in self._stems and len(sound) - end <= max(len(right) - MISSPELLED + 1, 2)
                    if (whole or begun) and head[0] == right[0] and _one_off(head, right):
                        return listed
        return None

    def _phrase(self, reading: Reading) -> str | None:
        words = reading.words
        for phrase in self._phrases:
            size = len(phrase)
            if any(words[place : place + size] == phrase for place in range(len(words) - size + 1)):
                return " ".join(phrase)
        return None

    def _torn(self, reading: Reading) -> str | None:
        """Return a listed word that stands in the text in two or three parts."""
        for word, ends in reading.joined:
            found = self._listed(word)
            if found and len(found) >= MISSPELLED and ends[-1] < len(found) and word not in self._innocent:
                return found
        return None

    def _hidden(self, reading: Reading) -> str | None:
        """Return a listed word that is spelled out in single letters, or has letters masked."""
        everything = self._whole | self._stems
        for run in reading.spelled:
            for word in everything:
                if (len(word) >= 4 and word in run) or word == run:
                    return word
        for mask in reading.masked:
            for word in everything:
                if len(mask.pattern) - mask.pattern.count(".") >= 2 and mask.match(word + "s" * 3):
                    return word
        return None


def _sound(word: str) -> str:
    """Return a word as it is spoken, roughly: the same for cost and kost, physician and fisician."""
    for written, spoken in (("ph", "f"), ("ck", "k"), ("qu", "kw"), ("q", "k"), ("x", "ks"), ("y", "i"), ("z", "s")):
        word = word.replace(written, spoken)
    word = re.sub("c(?=[ei])", "s", word).replace("c", "k")
    return re.sub(r"(.)\1+", r"\1", word)


def _without_ending(word: str) -> list[str]:
    """Return a word, and what it is without the ending of an inflected form."""
    return [word, *(word[: -len(ending)] for ending in ("s", "es", "ed", "ing") if word.endswith(ending))]


def _skeleton(word: str) -> str:
    """Return a word without its vowels."""
    return "".join(char for char in word if char not in _VOWELS)


def _without_one(word: str) -> set[str]:
    """Return the word, and what is left of it without each of its letters (Garbe's symmetric deletes)."""
    return {word} | {word[:place] + word[place + 1 :] for place in range(len(word))}


def _one_off(word: str, right: str) -> bool:
    """Whether a word has one letter too many, too few, wrong, or two swapped."""
    if abs(len(word) - len(right)) > 1:
        return False
    start = 0
    while start < min(len(word), len(right)) and word[start] == right[start]:
        start += 1
    one, other = word[start:], right[start:]
    swapped = len(one) > 1 and len(other) > 1 and one[0] == other[1] and one[1] == other[0] and one[2:] == other[2:]
    return swapped or one[1:] == other[1:] or one[1:] == other or one == other[1:]
