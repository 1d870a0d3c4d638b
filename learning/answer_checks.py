"""What a reviewer should know of an answer before it goes live: another response says the same, or contradicts it."""

from __future__ import annotations

from collections.abc import Sequence

from learning.facts import contradiction, says_same
from learning.model import Answer
from learning.ports import Encoder
from learning.sentences import split_sentences

MOST_WARNINGS = 5  # a reviewer reads no more


def check(answer: str, label: str, existing: Sequence[Answer], encoder: Encoder) -> tuple[str, ...]:
    """Return warnings about an answer, a sentence each: another response says the same, or contradicts it.

    Args:
        answer: what would be said.
        label: what it would be said to; what is said to it now is not compared, the answer would replace it.
        existing: what is said to all labels.
        encoder: places sentences and words.

    """
    mine = split_sentences(answer)
    others = [other for other in existing if other.label != label and split_sentences(other.text)]
    if not mine or not others:
        return ()
    vectors = encoder.encode(mine)
    repeats: list[str] = []
    contradictions: list[str] = []
    for other in others:
        sentences = split_sentences(other.text)
        similarity = vectors @ encoder.encode(sentences).T
        said = min(
            max(
                float(cosine) if says_same(text, one, float(cosine), encoder) else 0.0
                for one, cosine in zip(sentences, row, strict=True)
            )
            for text, row in zip(mine, similarity, strict=True)
        )
        if said:
            repeats.append(f"{other.response} already says this ({said:.2f}).")
        for text, row in zip(mine, similarity, strict=True):
            for one, cosine in zip(sentences, row, strict=True):
                why = contradiction(text, one, float(cosine), encoder)
                if why:
                    contradictions.append(f'{other.response} may contradict this ({why}): "{one}"')
    return tuple([*contradictions, *repeats][:MOST_WARNINGS])
