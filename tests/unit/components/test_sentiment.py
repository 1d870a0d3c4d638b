from __future__ import annotations

from typing import Any

import pytest
from rasa.shared.nlu.training_data.message import Message

from components.sentiment import Sentiment
from tests.unit.components.toys import Workbench


def mood(bench: Workbench, text: str, **options: Any) -> dict[str, Any]:
    [message] = bench.create(Sentiment, **options).process([Message({"text": text})])
    assert "sentiment" in message.output_properties
    result: dict[str, Any] = message.get("sentiment")
    return result


@pytest.mark.parametrize(
    "text",
    [
        "this is ridiculous, where is my order",
        "THIS IS NOT OKAY, third time i ask",
        "tried 3 different cards, none works 😡",
        "still waiting for my parcel!!",
        "you are the worst shop ever, i hate this",
    ],
)
def test_frustration_is_noticed(bench: Workbench, text: str) -> None:
    assert mood(bench, text)["frustrated"]


@pytest.mark.parametrize(
    "text",
    [
        "my parcel arrived damaged and an item is missing",
        "i want to cancel order 10342, wrong address, sorry",
        "I forgot my password and got locked out",
        "my payment failed, what is the problem",
        "hi",
        "PS5",
    ],
)
def test_having_a_problem_is_not_frustration(bench: Workbench, text: str) -> None:
    assert not mood(bench, text)["frustrated"]


def test_signs_are_named(bench: Workbench) -> None:
    assert mood(bench, "third time already told you!! 😡")["signs"] == ["punctuation", "repetition", "angry emoji"]


def test_polarity_has_a_direction(bench: Workbench) -> None:
    assert mood(bench, "thank you, that was great")["polarity"] > 0.5
    assert mood(bench, "that was awful")["polarity"] < -0.3


@pytest.mark.parametrize("text", ["", "   ", "😀", "\x00", "\ud800", "x" * 10_000, "WHY!? " * 2000, "где мой заказ"])
def test_any_text_has_a_mood(bench: Workbench, text: str) -> None:
    result = mood(bench, text)
    assert -1.0 <= result["polarity"] <= 1.0
    assert 0.0 <= result["frustration"] <= 1.0


def test_words_of_the_business_can_be_made_neutral(bench: Workbench) -> None:
    assert mood(bench, "is this poison")["polarity"] < 0
    assert mood(bench, "is this poison", topic_words=["Poison"])["polarity"] == 0


def test_the_bar_can_be_moved(bench: Workbench) -> None:
    assert not mood(bench, "this is ridiculous", frustrated_from=0.95)["frustrated"]
