"""Small tools on texts that several stages use: words, key phrases, representatives."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from learning.vectors import Vectors

PLACEHOLDER = re.compile(r"<[A-Z]{1,20}_[0-9]{1,9}>")  # what stands where personal data was
_NAME_WORD = re.compile(r"\d*[^\W\d_]{2,}(?:'[^\W\d_]+)?|\d+[^\W\d_]+")  # 401k is a word, 401 is none
NAME_WORDS = 3
NAME_SHARE = 0.3  # of the messages that must have a word for it to be in the name
CENTRALITY = 0.6  # of a representative, against 0.4 for being unlike the others
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
    """Return up to three words that many of `texts` share and `background` uses less, in the order they are said in.

    Words are weighted by smoothed log odds times the share of texts that have them; forms of one word count as one, and
    the most frequent form stands for it.
    """
    said = [_stems(text) for text in texts]
    inside = Counter(stem for stems in said for stem in stems if stem not in _UNNAMING)
    outside = _counted(tuple(background))

    def weight(stem: str) -> float:
        odds = (inside[stem] / len(texts)) / ((outside[stem] + 1) / (len(background) + 2))
        return inside[stem] / len(texts) * float(np.log(odds))

    ranked = sorted(inside, key=lambda stem: (-weight(stem), stem))
    least = max(2, NAME_SHARE * len(texts))
    chosen = [stem for stem in ranked[:NAME_WORDS] if inside[stem] >= least] or ranked[:1]
    forms = {stem: Counter(stems[stem][1] for stems in said if stem in stems) for stem in chosen}
    ordered = sorted(chosen, key=lambda stem: (-_goes_first(stem, chosen, said), stem))
    return " ".join(min(forms[stem], key=lambda form: (-forms[stem][form], form)) for stem in ordered) or "unnamed"


def _goes_first(stem: str, others: Sequence[str], said: Sequence[Mapping[str, tuple[int, str]]]) -> float:
    """Return how often (0..1) a word stands before the others where it is said together with them."""
    before = [
        stems[stem][0] < stems[other][0]
        for stems in said
        for other in others
        if stem in stems and other in stems and other != stem
    ]
    return sum(before) / len(before) if before else 0.5


@lru_cache(maxsize=2)
def _counted(texts: tuple[str, ...]) -> Counter[str]:
    """Return in how many texts each stem is; every gap is named against the same ones."""
    return Counter(stem for text in texts for stem in _stems(text))


def _stems(text: str) -> dict[str, tuple[int, str]]:
    """Return the words of a text by their stem: where each stands first, and its form there."""
    found: dict[str, tuple[int, str]] = {}
    words = _NAME_WORD.findall(PLACEHOLDER.sub(" ", text).lower().replace("’", "'"))
    for place, word in enumerate(words):
        plain = word.partition("'")[0]
        if word not in STOP_WORDS and plain not in STOP_WORDS and not word.endswith("n't"):
            found.setdefault(_stem(plain), (place, plain))
    return found


def _stem(word: str) -> str:
    """Return a word without the endings of its English forms: refunds, refunded and refunding are one word."""
    for ending, instead in (("ies", "y"), ("ied", "y"), ("ing", ""), ("ed", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + instead
            break
    return word[:-1] if len(word) >= 4 and word.endswith("e") else word


def medoids(texts: Sequence[str], vectors: Vectors, count: int) -> list[str]:
    """Return up to `count` different texts that stand for all: central ones, and each unlike those before it.

    Maximal marginal relevance (Carbonell and Goldstein 1998): the cosine to the center counts against that to what is
    chosen, so that the odd one out, which is unlike all others, comes last and not second.

    Args:
        texts: what was said.
        vectors: its unit vectors (n, d), row for row.
        count: texts wanted at most.

    """
    if not len(texts):
        return []
    center = vectors.mean(axis=0)
    central = vectors @ (center / max(float(np.linalg.norm(center)), 1e-9))
    chosen = [int(np.argmax(central))]
    nearest = vectors @ vectors[chosen[0]]
    taken = {texts[chosen[0]].casefold()}
    while len(chosen) < min(count, len(texts)):
        ranked = np.argsort((1 - CENTRALITY) * nearest - CENTRALITY * central, kind="stable")
        row = next((int(row) for row in ranked if texts[row].casefold() not in taken), None)
        if row is None:
            break
        chosen.append(row)
        taken.add(texts[row].casefold())
        nearest = np.maximum(nearest, vectors @ vectors[row])
    return [texts[row] for row in chosen]


# What names no need by itself.
_UNNAMING = frozenset(
    _stem(word)
    for word in """
    able after again already also always another anything around available back bad before best better case come
    correct day days different do doing else even ever exactly far few find first forward give good got great help here
    hour i'd job keep last later left long look looking lot make makes many maybe minute more most much never
    next now off ok okay old only other over own people person place possible problem question really right
    same say says see seem sent show since someone something soon still such sure take talk thank thanks
    thing things think time today tomorrow try trying under until use used using very wait wanna way week what when
    while within without work working would wrong yes yesterday yet
    """.split()  # noqa: SIM905
)
