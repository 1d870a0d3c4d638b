"""How well frustration is told from a mere problem, on messages labeled by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasa.shared.nlu.training_data.message import Message

from components.sentiment import Sentiment

DATA = Path(__file__).resolve().parents[2] / "data"


def mood(text: str) -> dict[str, Any]:
    [message] = Sentiment({}).process([Message({"text": text})])
    found: dict[str, Any] = message.get("sentiment")
    return found


def noticed(texts: list[str]) -> list[str]:
    return [text for text in texts if mood(text)["frustrated"]]


def test_frustration_is_noticed_and_a_problem_alone_is_none() -> None:
    labels = yaml.safe_load((DATA / "frustration.yml").read_text("utf-8"))
    right, wrong = noticed(labels["frustrated"]), noticed(labels["not_frustrated"])

    assert wrong == []
    assert len(right) / len(labels["frustrated"]) > 0.85


def test_on_messages_of_somebody_else_few_calm_customers_are_called_frustrated() -> None:
    labels = yaml.safe_load((DATA / "frustration_second.yml").read_text("utf-8"))
    texts = [
        example["text"]
        for path in sorted((DATA.parent / "holdout").glob("*.yml"))
        for example in _examples(path)
        if example["text"] not in labels["unclear"] and path.stem != "nlu_chitchat"  # it holds insults
    ]
    found = noticed(texts)

    assert set(labels["frustrated"]) <= set(texts)
    assert len(set(found) - set(labels["frustrated"])) <= 1
    assert len(set(found) & set(labels["frustrated"])) >= 10


def test_joy_may_be_loud() -> None:
    assert mood("THANK YOU SO MUCH!!! 😍")["signs"] == []
    assert not mood("GREAT SERVICE, LOVE IT!!!")["frustrated"]


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(st.text(max_size=200), st.text(alphabet="AGAIN!? the same answer TIME 3rd", max_size=80)))
@example(text="\ud800!!")
@example(text="WHY!? " * 2000)
@example(text="ask me " * 1500)
def test_any_text_has_a_mood_that_can_be_stored(text: str) -> None:
    found = mood(text)
    assert -1.0 <= found["polarity"] <= 1.0
    assert 0.0 <= found["frustration"] <= 1.0
    assert json.dumps(found)


def _examples(path: Path) -> list[dict[str, str]]:
    from rasa.shared.nlu.training_data.loading import load_data

    return [{"text": str(message.get("text"))} for message in load_data(str(path)).training_examples]
