"""Whatever a customer types, the pipeline answers with an intent and never with an exception."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rasa.shared.nlu.training_data.message import Message

from components.intent_classifier import IntentClassifier
from components.live_overlay import LiveOverlay
from components.ngrams import normalize
from components.out_of_scope import FALLBACKS, OutOfScopeDetector
from components.sentence_encoder import SentenceEncoder
from tests.unit.components.test_live_overlay import LOYALTY, PARCEL, FakeReader, snapshot_at
from tests.unit.components.toys import Workbench

Pipeline = Callable[[str], Message]

ANY_TEXT = st.one_of(
    st.text(max_size=200),
    st.text(alphabet=st.characters(categories=["Cc", "Cf", "Cs", "So", "Zs"]), max_size=20),
    st.text(alphabet=st.characters(categories=["Lo", "Nd"]), max_size=60),
    st.text(alphabet="abc #@.1234567890!?", max_size=60),
)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("pipeline")
    encoder = Workbench(folder / "encoder").create(SentenceEncoder)
    parts = []
    for kind in (IntentClassifier, OutOfScopeDetector, LiveOverlay):
        bench = Workbench(folder / kind.__name__)
        bench.train(kind)
        parts.append(bench.load(kind))
    parts[2]._open_reader = lambda: FakeReader(snapshot_at(1, LOYALTY, PARCEL))

    def process(text: str) -> Message:
        messages = encoder.process([Message({"text": text})])
        for part in parts:
            messages = part.process(messages)
        [message] = messages
        return message

    return process


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY_TEXT)
@example(text="")
@example(text="x" * 10_000)
@example(text="where is my order " * 600)
@example(text="😀" * 50)
@example(text="\x00\x1b[31m\x07")
@example(text="\ud800 broken")
@example(text="订单在哪里")
@example(text="أين طلبي")
@example(text="где мой заказ")
@example(text="/restart{")
def test_every_text_gets_a_sound_result(pipeline: Pipeline, text: str) -> None:
    message = pipeline(text)
    intent, ranking = message.get("intent"), message.get("intent_ranking")
    assert intent == ranking[0]
    assert isinstance(intent["name"], str)
    assert all(0.0 <= entry["confidence"] <= 1.0 for entry in ranking)
    assert len({entry["name"] for entry in ranking}) == len(ranking)
    verdict = message.get("out_of_scope")
    fallback = intent["name"] == "nlu_fallback"
    assert fallback == (verdict["reason"] in FALLBACKS and message.get("overlay") is None)
    assert json.dumps(message.as_dict(only_output_properties=True))


@settings(max_examples=100, deadline=None)
@given(text=ANY_TEXT)
def test_normalized_text_can_be_hashed_and_names_nobody(text: str) -> None:
    once = normalize(text)
    once.encode("utf-8")
    assert not any(character.isdecimal() and character != "0" for character in once)
