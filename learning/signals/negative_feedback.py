"""The customer said that the answer was no good: a thumbs-down, a low mark, or in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from learning.model import Conversation, Finding
from learning.settings import SignalSettings

EXPLICIT_WEIGHT = 1.0  # a pressed thumb is meant
# On a list that the patterns were not made with they find 26 of 30 rejections, and take none of 30 messages that
# sound alike for one (tests/data/rejections_second.yml); but now and then the phrase is about the shop.
IMPLICIT_WEIGHT = 0.8

_ASKED = r"(ask(ed|ing)?|meant|mean|said|say(ing)?|want(ed)?|need(ed)?|look(ed|ing))"
_THAT = r"(that|this|it)( ?'?s| is| was)?"
REJECTIONS = (
    # "that's not what I asked", "not what I was looking for", but no "not what I ordered"
    rf"\b(not|isn'?t|wasn'?t) (what|the one) (i|i'm|im|i am) ?(\w+ ){{0,2}}{_ASKED}\b(?! (was|is)\b)",
    rf"^(no|nope|sorry|but|and|so|[,. ])*{_THAT} (totally |completely |just )?"
    r"(wrong|incorrect|useless|no help|not (it|right|helpful|correct|my question|the question|my problem|an answer))"
    r"( at all)?\b(?! (without|address|in)\b)[ .!]*($|,| i )",
    r"\b(wrong|useless|same|not an?) (answer|reply|question)\b(?! as)",
    r"^(totally |completely )?(useless|not helpful)( answer)?( at all)?[ .!]*$",
    r"\byou (do|did|have|are)( not|n'?t|n o t) (\w+ )?(understand|get|got|listen|listening|answer|answered)"
    r"( it| me| my question| what| the question)?\b(?! (an?|the|my) (invoice|order|parcel))",
    r"\byou('?re| are) (not listening|repeating)",
    r"\byou (completely |have |totally )*(misunder|missed the|got (that|it|me) wrong)",
    rf"\b{_THAT} (does|did)( not|n'?t) (really )?(help|answer)|^(does|did)( not|n'?t) (help|answer)\b",
    r"\bi (never|did ?n[o']?t|did not) (ask|say|mean) (about|for |that|this)\b",
    r"\byou('ve| have)? ?(just |already )?(said|told me|gave me|keep (saying|repeating|telling)|wrote) "
    r"(that|this|it|the same)\b.*(already|before|again|twice)|\byou('ve| have)? already (said|told|gave)\b",
    r"\byou keep (saying|repeating|telling)|\brepeating (yourself|the same)",
    r"\bsame (answer|thing) again$",
    r"\bi('ve)? (already|just) (told|gave|said|wrote|answered|given) (you\b|that\b)",
    r"^(no|nope)\b[ ,.]*(i (mean|meant|asked)\b|not that|the other one|that'?s not)",
    r"^(but )?i (meant the|(asked|was asking) (about|something|if|when|for the))\b(?!.*\b(last|yesterday)\b)",
    r"^wrong ?[,.!]",
    r"\bnothing to do with (what|my question|it$|that$|this$)|what does (that|this) have to do with",
    r"\b(read|look at) (my|what i) (message|question|wrote|said)( again)?\b|\bread what i\b",
)
REJECTION = re.compile("|".join(f"(?:{pattern})" for pattern in REJECTIONS), re.IGNORECASE)
# The patterns take 40 us a message; without any of these none of them fits, which takes 2 us to see.
TRIGGERS = re.compile(
    r"n.?t (what|the|it|right|correct|my|an|me|that|ask|say|mean|get|got|understand|listen|answer|help|really)\b"
    r"|\bwrong|useless|incorrect|no help|helpful|misunder|missed the|(my|that|same|the) (answer|question|thing|problem)"
    r"|you.{1,5}(not |.n.?t |rep|already|just|said|told|gave|keep)|already |just (said|told|gave|wrote)"
    r"|i (mean|meant|asked)|the other one|was asking|to do with|(my|i) (message|wrote|said)"
)
LONGEST = 200  # characters; who writes more tells a story, and is not talking about the answer only


def detect(conversation: Conversation, settings: SignalSettings) -> Iterator[Finding]:
    """Find turns with a thumbs-down or a low mark, and turns whose answer the next message rejects."""
    for turn in conversation.turns:
        if turn.rating < 0:
            yield Finding(turn, EXPLICIT_WEIGHT, "thumbs-down" if turn.thumbs else f"a mark of {turn.csat} of 5")
    for turn, after in pairwise(conversation.turns):
        if turn.rating >= 0 and rejects(after.text):
            yield Finding(turn, IMPLICIT_WEIGHT, "next message rejects the answer")


def rejects(text: str) -> bool:
    """Return whether a message says that the answer before it was no good."""
    text = text[:LONGEST].lower()
    return TRIGGERS.search(text) is not None and REJECTION.search(text) is not None
