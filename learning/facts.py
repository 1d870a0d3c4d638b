"""What two sentences state, compared by rules: whether both are about one thing, and whether both can be true.

An encoder tells what sentences are about, but "within 30 days" and "within 14 days" are nearly the same vector, and so
are "can" and "cannot". So numbers are read with their units, and what turns a sentence into its opposite is counted.
docs/answers.md tells how often the rules are right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from learning.ports import Encoder
from learning.quantities import differ, missing, read_numbers, say
from learning.sentences import stem
from learning.texts import STOP_WORDS

SAME_SUBJECT = 0.45  # cosine of two sentences from which they may be about one thing
SAME_MEANING = 0.75  # cosine from which they may say the same
PARAPHRASE = 0.7  # cosine of two words that stand for each other: sofa and couch; delivery and arrival have 0.65
MOST_READ = 600  # characters; a longer sentence is a list

_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|without|cannot|unable|impossible|unavailable|invalid"
    r"|refuse[ds]?|reject(?:s|ed)?|exclud(?:e|ed|es|ing)|forbidden|prohibited|\w+n['’]t)\b"
)
# What opposes without a "not": each pair of patterns is one question, and the first says yes to it.
_AXES = (
    (re.compile(r"\bfree\b"), re.compile(r"\b(?:costs?|fees?|charge[ds]?|pay|paid|surcharge)\b|[€$£]")),
    (re.compile(r"\bopen(?:s|ed)?\b"), re.compile(r"\bclose[ds]?\b")),
    (re.compile(r"\b(?:several|multiple|many|more than one)\b"), re.compile(r"\b(?:only|just|at most) one\b")),
)
_CONDITION = re.compile(r"\b(?:until|unless|except|if|once|before|after|otherwise|when|while)\b")
_CLAUSE = re.compile(r"\b(?:if|unless|when)\b[^,;]*")  # a "not" in a condition negates nothing that is stated
_UNIVERSAL = re.compile(r"\b(?:always|never)\b")  # holds under every condition
_INTERJECTION = re.compile(r"^(?:yes|no)\s*[,.!]\s*")  # answers a question that is not in the sentence
_CALENDAR = re.compile(  # near to each other for the encoder, and never the same
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|weekday|weekend|january|february|march|april|may|june|july|august"
    r"|september|october|november|december|christma|easter"
)
# Words that say nothing of what a sentence is about: they are how it says something, or when.
_EMPTY = STOP_WORDS | frozenset(
    """
    accept accepted after allowed also always aren't available before business calendar can't cannot charge
    charged charges close closed closes come comes cost costs day days doesn't dollar dollars don't each either
    else eur euro euros every except exclude excluded excludes excluding fee fees first free gbp go goes hour
    hours however impossible include included includes including isn't item items just last least less make
    makes many may midnight might minute minutes month months more most much multiple must need needed needs
    never none noon off offered once open opened opens order orders other paid pay per percent possible pound
    pounds product products put puts receive refuse refused reject rejected required send sent several since
    still such sure take takes than time today unable unavailable unless until usd use used usual usually valid
    via week weeks when whole within without won't work working year years yes
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Statement:
    """A sentence as it is compared.

    `words` say what it is about; `proper` are those with a capital that do not begin it. `numbers` are its values by
    unit; `negated` tells whether its negations turn it around, `axes` which side of each opposition it is on.
    """

    words: tuple[str, ...]
    proper: frozenset[str]
    numbers: dict[str, tuple[float, ...]]
    negated: bool
    axes: dict[int, bool]
    conditions: frozenset[str]
    universal: bool


def contradiction(one: str, other: str, similarity: float, encoder: Encoder) -> str | None:
    """Return why two sentences cannot both be true, None if they can or are about different things.

    Args:
        one: a sentence.
        other: another one.
        similarity: the cosine of their vectors.
        encoder: tells whether two words stand for each other.

    """
    if similarity < SAME_SUBJECT:
        return None
    a, b = read(one), read(other)
    if not _same_subject(a, b, encoder):
        return None
    units = [unit for unit in a.numbers if differ(unit, a.numbers[unit], b.numbers.get(unit, ()))]
    if len(units) == 1:  # two that differ are two rows of one table: 5 % from 750, 10 % from 2,500
        return f"{say(units[0], a.numbers[units[0]])} against {say(units[0], b.numbers[units[0]])}"
    if units or (a.conditions != b.conditions and not (a.universal or b.universal)):
        return None
    shared = [axis for axis in a.axes if axis in b.axes]
    if any(a.axes[axis] != b.axes[axis] for axis in shared):
        return "one says the opposite of the other"
    if not shared and a.negated != b.negated:
        return "only one of the two is negated"
    return None


def says_same(one: str, other: str, similarity: float, encoder: Encoder) -> bool:
    """Return whether the first sentence says nothing that the second, at this cosine to it, does not say."""
    if similarity < SAME_MEANING:
        return False
    a, b = read(one), read(other)
    told = all(not missing(unit, values, b.numbers.get(unit, ())) for unit, values in a.numbers.items())
    if not told or not _same_subject(a, b, encoder) or _unshared(a, b, encoder)[0]:
        return False
    shared = [axis for axis in a.axes if axis in b.axes]
    same_sense = all(a.axes[axis] == b.axes[axis] for axis in shared) if shared else a.negated == b.negated
    return same_sense and a.conditions <= b.conditions


@lru_cache(maxsize=4096)
def read(sentence: str) -> Statement:
    """Read what a sentence states."""
    sentence = sentence[:MOST_READ]
    text = sentence.lower().replace("’", "'").replace("free of charge", "free")
    text = _INTERJECTION.sub("", text)
    numbers, rest = read_numbers(text)
    bare = re.sub(r"\bper \w+\b", " ", rest)
    words = dict.fromkeys(
        stem(word) for word in re.findall(r"[a-z][a-z'-]+", bare) if word not in _EMPTY and not word.endswith("n't")
    )
    capitals = {stem(word.lower()) for word in re.findall(r"(?<=[\w,:(] )[A-Z][\w'’-]+", sentence)}
    stated = _CLAUSE.sub(" ", text)
    negated = len(_NEGATION.findall(stated)) % 2 == 1
    axes: dict[int, bool] = {}
    for number, (yes, no) in enumerate(_AXES):
        if bool(yes.search(stated)) != bool(no.search(stated)):  # with both, it tells two things
            axes[number] = bool(yes.search(stated)) != negated
    return Statement(
        tuple(words),
        frozenset(capitals & set(words)),
        numbers,
        negated,
        axes,
        frozenset(_CONDITION.findall(text)),
        bool(_UNIVERSAL.search(text)),
    )


def _same_subject(a: Statement, b: Statement, encoder: Encoder) -> bool:
    """Return whether two statements are about one thing.

    Standard and express delivery are two things: each names what the other does not. A statement that only adds words
    is about the same thing, unless it adds a name: what is so in Cork may be otherwise in Dublin.
    """
    only_a, only_b = _unshared(a, b, encoder)
    if (only_a and only_b) or len(only_a) == len(a.words) or len(only_b) == len(b.words):
        return False
    return not (a.proper.intersection(only_a) or b.proper.intersection(only_b))


def _unshared(a: Statement, b: Statement, encoder: Encoder) -> tuple[list[str], list[str]]:
    """Return the words of each of two statements that stand for nothing in the other."""
    only_a = [word for word in a.words if not any(_same_word(word, one) for one in b.words)]
    only_b = [word for word in b.words if not any(_same_word(word, one) for one in a.words)]
    if not only_a or not only_b:
        return only_a, only_b
    near = encoder.encode(only_a) @ encoder.encode(only_b).T >= PARAPHRASE
    # The encoder has Monday near Friday and Cork near Dublin: names stand for nothing but themselves.
    near[[word in a.proper or bool(_CALENDAR.fullmatch(word)) for word in only_a]] = False
    return (
        [word for word, row in zip(only_a, near, strict=True) if not row.any()],
        [word for word, column in zip(only_b, near.T, strict=True) if not column.any()],
    )


def _same_word(one: str, other: str) -> bool:
    """Return whether two words are forms of one: delivery and deliver, return and returning."""
    shortest = min(len(one), len(other))
    return one == other or (shortest >= 4 and one[: max(4, shortest - 1)] == other[: max(4, shortest - 1)])
