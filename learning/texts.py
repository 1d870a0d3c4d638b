"""Small tools on texts that several stages use: words, key phrases, representatives."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np

from learning.vectors import Vectors

PLACEHOLDER = re.compile(r"<[A-Z]+_\d+>")  # what stands where personal data was
NAME_WORDS = 3
NAME_LENGTH = 60  # characters; names become parts of file names
MAX_EXAMPLE = 300  # characters; longer messages are stories, not examples
STOP_WORDS = frozenset(
    """
    a about all am an and any are as at be been being but by can could did do does for from get give go got
    had has have hello hey hi how i if im in is it its just know let like me my need no not of on one or our
    out please should so some tell than thanks that the their them then there they this to too up us want was
    we were what when where which who why will with would you your youre u r pls plz s t re ve ll d m
    """.split()  # noqa: SIM905
)


def words_of(text: str) -> list[str]:
    """Return the lower-case words of a text without placeholders."""
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", PLACEHOLDER.sub(" ", text).lower())


def name_of(text: str) -> str:
    """Return the words of a text as one name such as `loyalty_points`, empty where it has none."""
    return "_".join(word.replace("'", "") for word in words_of(text))[:NAME_LENGTH].strip("_")


def plain_text(text: str) -> str:
    """Return a redacted message as an example: without placeholders, and clean."""
    return clean_example(PLACEHOLDER.sub(" ", text))


def clean_example(text: str) -> str:
    r"""Return a customer's text as one line of plain words for a training file.

    Brackets and braces would be read as entity annotations by Rasa, line breaks and a leading dash as new
    examples, a backslash as the start of a character's code: a message such as `- x\n- intent: evil` must come
    out as text.
    """
    visible = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    plain = re.sub(r"[\[\]{}()|`\\]", " ", visible)
    return " ".join(plain.split()).lstrip("-#/*> ")[:MAX_EXAMPLE].strip()


def key_phrase(texts: Sequence[str], background: Sequence[str]) -> str:
    """Return up to three words that most of `texts` share and `background` uses less (smoothed log odds)."""
    inside = Counter(word for text in texts for word in set(words_of(text)) - STOP_WORDS)
    outside = Counter(word for text in background for word in set(words_of(text)))

    def weight(word: str) -> float:
        odds = (inside[word] / len(texts)) / ((outside[word] + 1) / (len(background) + 2))
        return inside[word] / len(texts) * float(np.log(odds))

    ranked = sorted(inside, key=lambda word: (-weight(word), word))
    chosen = [word for word in ranked[:NAME_WORDS] if inside[word] >= max(2, 0.25 * len(texts))] or ranked[:1]
    joined = " ".join(texts).lower()
    return " ".join(sorted(chosen, key=lambda word: joined.find(word))) or "unnamed"


def medoids(texts: Sequence[str], vectors: Vectors, count: int) -> list[str]:
    """Return up to `count` different texts: the most central first, then each farthest from those chosen."""
    if not len(texts):
        return []
    chosen = [int(np.argmax(vectors @ vectors.mean(axis=0)))]
    nearest = vectors @ vectors[chosen[0]]
    taken = {texts[chosen[0]].casefold()}
    while len(chosen) < len(texts):
        candidates = [row for row in np.argsort(nearest, kind="stable") if texts[row].casefold() not in taken]
        if not candidates or len(chosen) >= count:
            break
        row = int(candidates[0])
        chosen.append(row)
        taken.add(texts[row].casefold())
        nearest = np.maximum(nearest, vectors @ vectors[row])
    return [texts[row] for row in chosen]
