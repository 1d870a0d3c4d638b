"""What human agents write in a conversation, reduced to the sentences that a bot could say to any customer.

Most of it cannot be repeated: greetings, questions back, promises in the first person, and what is true of one order or
one day only. What is left counts as an answer where agents said it to several customers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from learning.facts import contradiction
from learning.model import AgentAnswer
from learning.ports import Encoder
from learning.sentences import SHORTEST, split_sentences
from learning.texts import PLACEHOLDER
from learning.vectors import Vectors

AGREED = 2  # customers to whom agents must have said it: one may have been a special case
SAME = 0.75  # cosine of two sentences of agents from which they say the same, if their numbers do not differ
FEWEST_WORDS = 4
LONGEST = 300  # characters of a sentence; a longer one is a list or a pasted text
MOST_READ = 4000  # characters of a message
MOST_COMPARED = 150  # sentences, those that most customers were told; each is compared with each

_GREETING = re.compile(
    r"""^(?:
    (?:hi|hello|hey|dear|good[ ](?:morning|afternoon|evening|day)) (?:[ ](?:there|customer|sir|madam|<\w+>))*
    |yes|no|sure|certainly|absolutely|of[ ]course|no[ ](?:problem|worries)|(?:great|good)[ ]question|ok|okay
    |unfortunately
    |(?:thanks|thank[ ]you)[ ]for[ ](?:asking|your[ ](?:message|question))
    )\s*[,!.:]+\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_SMALL_TALK = re.compile(
    r"""^(?:thanks?|thank[ ]you|you'?re[ ]welcome|welcome|sorry|apologies|please[ ](?:hold|wait|see|stay|give)
    |one[ ](?:moment|second)|just[ ]a|give[ ](?:me|us)|let[ ](?:me|us)|let's|bear|hold|glad|happy|great|perfect|enjoy
    |have[ ]an?|take[ ]care|bye|goodbye|no[ ](?:worries|problem)|not[ ]at|anything|congrat\w*
    |(?:best|kind)[ ](?:wishes|regards)|hello|hi|hey)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_QUESTION = re.compile(
    r"""\?|^(?:can|could|would|will|do|does|did|have|has|is|are|may|what|which|when|where|who|how|why)
    [ ](?:you|i|we|your|it)\b""",
    re.IGNORECASE | re.VERBOSE,
)
# An agent's own deed, what is true of one customer only, or on one day only.
_PERSONAL = re.compile(r"\b(?:i|i['’]\w+|me|my(?! account\b)|mine|colleagues?)\b", re.IGNORECASE)
_ONE_CASE = re.compile(
    r"""\byour[ ]\w+(?:[ ]\w+)?[ ](?:was|were|has|have|had|is[ ]on|is[ ]being|is[ ]now|are[ ]on)\b
    |\b(?:we|they|someone)(?:[ ]have)?(?:[ ](?:just|already|now))?
    [ ](?:sent|refunded|cancell?ed|added|changed|updated|booked|shipped|received|found|told|will[ ]call)\b
    |\bwe['’]ve\b""",
    re.IGNORECASE | re.VERBOSE,
)
_ONE_DAY = re.compile(
    r"""\b(?:today|tomorrow|yesterday|tonight|(?:just|right)[ ]now|at[ ]the[ ]moment|currently
    |this[ ](?:morning|afternoon|evening|week|month|year)|last[ ](?:week|month|year|night)|next[ ](?:week|month))\b""",
    re.IGNORECASE | re.VERBOSE,
)
# What it is about stands in another sentence, or in the customer's question.
_DANGLING = re.compile(
    r"^(?:it|that|this|these|those|they|he|she|so|then|also|but|and|or|because|not)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Said:
    """A sentence that agents said, and to how many customers they said the same; `disputed` is what contradicts it.

    `recommended` is what an agent has marked as the assistant's answer, `place` where it stood among all that was said.
    """

    text: str
    vector: Vectors
    customers: int
    disputed: str | None = None
    recommended: bool = False
    place: int = 0


def usable(text: str) -> list[str]:
    """Return those sentences of an agent's message that a bot could say to any customer, without greetings."""
    short = [sentence for sentence in split_sentences(text[:MOST_READ]) if len(sentence) <= LONGEST]
    found = [_without_greeting(sentence) for sentence in short]
    return [sentence for sentence in found if _is_general(sentence)]


def agreed(answers: Sequence[AgentAnswer], encoder: Encoder) -> list[Said]:
    """Return what agents said to customers, the same once: what most customers were told stands for it and comes first.

    A customer who was told something twice counts once. Of sentences that contradict each other the one that more
    customers were told is kept, and the other is named in it. What an agent has recommended comes before all others,
    whatever the number of customers: a person has said that it is true of everybody.
    """
    told: dict[str, set[str]] = {}
    marked: set[str] = set()
    for answer in answers:
        sentences = usable(answer.text)
        for sentence in sentences:
            told.setdefault(sentence, set()).add(answer.sender)
        marked.update(sentences if answer.recommended else ())
    places = {text: place for place, text in enumerate(told)}
    texts = sorted(told, key=lambda text: (text not in marked, -len(told[text]), text))[:MOST_COMPARED]
    if not texts:
        return []
    vectors = encoder.encode(texts)
    similarity = vectors @ vectors.T
    against: dict[int, list[int]] = {row: [] for row in range(len(texts))}
    near: dict[int, list[int]] = {row: [row] for row in range(len(texts))}
    for row in range(len(texts)):
        for other in range(row):
            cosine = float(similarity[row, other])
            if contradiction(texts[row], texts[other], cosine, encoder):
                against[row].append(other)
                against[other].append(row)
            elif cosine >= SAME:
                near[row].append(other)
                near[other].append(row)
    customers = {row: len(set().union(*(told[texts[one]] for one in rows))) for row, rows in near.items()}
    found: list[Said] = []
    left = set(near)

    def rank(row: int) -> tuple[bool, int, float, str]:
        return texts[row] not in marked, -customers[row], -float(similarity[row, near[row]].mean()), texts[row]

    for row in sorted(near, key=rank):
        if row in left:
            left -= {*near[row], *against[row]}
            rival = max(against[row], key=lambda one: customers[one], default=None)
            text, disputed = texts[row], None if rival is None else texts[rival]
            found.append(Said(text, vectors[row], customers[row], disputed, text in marked, places[text]))
    return found


def _without_greeting(sentence: str) -> str:
    stripped = sentence
    while match := _GREETING.match(stripped):
        stripped = stripped[match.end() :]
    return stripped[:1].upper() + stripped[1:]


def _is_general(sentence: str) -> bool:
    if not sentence.isprintable() or PLACEHOLDER.search(sentence):
        return False
    if len(sentence) < SHORTEST or len(sentence.split()) < FEWEST_WORDS:
        return False
    patterns = (_SMALL_TALK, _QUESTION, _PERSONAL, _ONE_CASE, _ONE_DAY, _DANGLING)
    return not any(pattern.search(sentence) for pattern in patterns)
