from __future__ import annotations

import numpy as np
import pytest

from learning.texts import key_phrase, medoids
from tests.learning_builders import LOYALTY, NLU, FakeEncoder

ENCODER = FakeEncoder()
BACKGROUND = [text for texts in NLU.values() for text in texts]


def test_a_name_holds_the_words_that_its_messages_share() -> None:
    assert key_phrase(LOYALTY, BACKGROUND) == "loyalty points"


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (("is the tire low", "my tires are low", "low tires again"), "tires low"),
        (("i was refunded twice", "refund me", "two refunds"), "refund"),
        (("rollover my 401k", "401k rollover please", "the 401k"), "401k rollover"),
        (("i don't see my cheque", "isn't the cheque there", "cheque"), "cheque"),
        (("what’s today’s weather", "weather"), "weather"),
    ],
)
def test_forms_of_one_word_are_one_word(texts: tuple[str, ...], name: str) -> None:
    assert key_phrase(texts, BACKGROUND) == name


def test_words_that_known_questions_use_too_name_nothing() -> None:
    texts = ["gift wrapping for a parcel", "parcel gift wrapping", "wrap the parcel as a gift"]

    assert set(key_phrase(texts, ["where is my parcel"] * 50).split()[:2]) <= {"gift", "wrapping"}


@pytest.mark.parametrize("texts", [["???", "👍", "<ORDER_1>"], [""], ["how do you do"]])
def test_messages_without_words_get_a_name_too(texts: list[str]) -> None:
    assert key_phrase(texts, BACKGROUND) == "unnamed"


def test_representatives_are_central_and_unlike_each_other() -> None:
    texts = ["loyalty points", "Loyalty points", "loyalty points program", "my loyalty points", "zebra"]
    shown = medoids(texts, ENCODER.encode(texts), 3)

    assert shown[0].casefold() == "loyalty points"
    # The odd one out comes last, and the same again not at all.
    assert "zebra" not in shown[:2]
    assert len({text.casefold() for text in shown}) == len(shown)


def test_representatives_are_as_many_as_there_are() -> None:
    assert medoids([], np.zeros((0, 4)), 3) == []
    assert len(medoids(["a b", "A B"], ENCODER.encode(["a b", "A B"]), 5)) == 1
