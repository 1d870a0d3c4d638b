"""When the policy brings a person in, and when it stays out of the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, ActiveLoop, Event, SessionStarted, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException

from components.escalation_policy import EscalationPolicy

ANY = "{type: any, influence_conversation: false, mappings: [{type: custom}]}"
DOMAIN = Domain.from_yaml(f"""
intents: [track_order, nlu_fallback]
slots: {{handover: {ANY}, escalate: {ANY}, offer: {ANY}}}
actions: [action_talk_to_person, action_offer_person, action_track_order, action_form]
""")
TOPICS = {"legal action": ["lawyer*", "small claims"]}


@pytest.fixture
def policy(tmp_path: Path) -> EscalationPolicy:
    return make(tmp_path, excluded_topics=TOPICS)


def make(folder: Path, **config: Any) -> EscalationPolicy:
    context = ExecutionContext(GraphSchema({}))
    return EscalationPolicy.load(config, LocalModelStorage(folder), Resource("policy"), context)


def said(text: str, confidence: float = 0.9, intent: str = "track_order", frustrated: bool = False) -> UserUttered:
    parsed = {"intent": {"name": intent, "confidence": confidence}, "sentiment": {"frustrated": frustrated}}
    return UserUttered(text, parsed["intent"], parse_data={**parsed, "text": text, "entities": []})


def decided(policy: EscalationPolicy, *events: Event) -> tuple[str | None, Any]:
    tracker = DialogueStateTracker.from_events("ann", list(events), slots=DOMAIN.slots)
    found = policy.predict_action_probabilities(tracker, DOMAIN)
    if found.max_confidence == 0:
        return None, None
    why = next((event.value for event in found.optional_events if isinstance(event, SlotSet)), None)
    return DOMAIN.action_names_or_texts[found.max_confidence_index], why


@pytest.mark.parametrize("text", ["my LAWYERS will write", "then it's small claims for you"])
def test_a_topic_for_people_goes_to_one(policy: EscalationPolicy, text: str) -> None:
    assert decided(policy, said(text)) == (
        "action_talk_to_person",
        {"reason": "excluded_topic", "topic": "legal action"},
    )


@pytest.mark.parametrize("text", ["where is my order", "clawyers", "/track_order"])
def test_everything_else_is_left_to_the_rules(policy: EscalationPolicy, text: str) -> None:
    assert decided(policy, said(text)) == (None, None)


def test_the_third_guess_of_a_session_goes_to_a_person(policy: EscalationPolicy) -> None:
    guess = [said("hm", 0.4), ActionExecuted("action_track_order"), ActionExecuted("action_listen")]
    assert decided(policy, *guess, said("hm", 0.4)) == (None, None)
    assert decided(policy, *guess, *guess, said("sure", 0.9)) == (None, None)
    action, why = decided(policy, *guess, *guess, said("hm", 0.4))
    assert (action, why["reason"]) == ("action_talk_to_person", "low_confidence")
    assert decided(policy, *guess, *guess, SessionStarted(), said("hm", 0.4)) == (None, None)


def test_what_was_not_understood_is_no_guess(policy: EscalationPolicy) -> None:
    assert decided(policy, *[said("x", 0.2, "nlu_fallback") for _ in range(4)]) == (None, None)


def test_a_frustrated_customer_gets_the_answer_and_then_an_offer_once(policy: EscalationPolicy) -> None:
    angry = said("this is ridiculous", frustrated=True)
    answered = ActionExecuted("action_track_order")
    assert decided(policy, angry) == (None, None)
    assert decided(policy, angry, answered) == ("action_offer_person", None)
    offered = (angry, answered, ActionExecuted("action_offer_person"))
    assert decided(policy, *offered) == ("action_listen", None)
    assert decided(policy, *offered, ActionExecuted("action_listen"), angry, answered) == (None, None)


def test_no_offer_comes_between_a_form_and_what_it_collected_for(policy: EscalationPolicy) -> None:
    angry = said("this is ridiculous", frustrated=True)
    form = (ActiveLoop("action_form"), ActionExecuted("action_form"), ActiveLoop(None))
    assert decided(policy, angry, *form) == (None, None)


def test_a_conversation_that_is_with_a_person_is_left_alone(policy: EscalationPolicy) -> None:
    assert decided(policy, SlotSet("handover", {"reason": "asked"}), said("my lawyer")) == (None, None)
    assert decided(policy, said("my lawyer"), ActionExecuted("action_talk_to_person")) == ("action_listen", None)


@pytest.mark.parametrize("topics", [["lawyer"], {"legal": "lawyer"}, {"legal": []}, {"legal": [1]}])
def test_topics_that_cannot_be_read_are_said(tmp_path: Path, topics: Any) -> None:
    with pytest.raises(InvalidConfigException, match="excluded_topics"):
        make(tmp_path, excluded_topics=topics)
