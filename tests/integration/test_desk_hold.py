"""What a customer writes to a person goes to the person, also in a new session: with Rasa's own processor and store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rasa.core.channels.channel import CollectingOutputChannel, UserMessage
from rasa.core.lock_store import InMemoryLockStore
from rasa.core.nlg import TemplatedNaturalLanguageGenerator
from rasa.core.policies.ensemble import DefaultPolicyPredictionEnsemble
from rasa.core.policies.policy import PolicyPrediction
from rasa.core.processor import MessageProcessor
from rasa.core.tracker_store import SQLTrackerStore
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    BotUttered,
    ConversationPaused,
    Event,
    SessionStarted,
    SlotSet,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.data import TrainingType

from components.chat_events import vouch_for
from components.desk_channel import DeskMessage
from components.escalation_policy import EscalationPolicy
from webchat.settings import WebchatSettings
from webchat.state import ChatState, chat_state

HOURS = 3_600.0
DOMAIN = Domain.from_yaml("""
intents: [cancel_order, restart]
slots:
  handover: {type: any, influence_conversation: false, mappings: [{type: custom}]}
  settled: {type: any, influence_conversation: false, mappings: [{type: custom}]}
  verified_customer: {type: any, influence_conversation: false, mappings: [{type: custom}]}
responses: {utter_answer: [{text: Sure.}]}
session_config: {session_expiration_time: 60, carry_over_slots_to_new_session: false}
""")


class Processor(MessageProcessor):
    """Rasa's processor without a trained model: a rule answers each message, and our policy stands above it."""

    def __init__(self, folder: Path, store: SQLTrackerStore) -> None:
        self.domain, self.tracker_store, self.lock_store = DOMAIN, store, InMemoryLockStore()
        self.nlg = TemplatedNaturalLanguageGenerator(DOMAIN.responses)
        self.max_number_of_predictions, self.on_circuit_break, self.action_endpoint = 10, None, None
        self.model_metadata = SimpleNamespace(training_type=TrainingType.BOTH, assistant_id="a", model_id="m")
        context, storage = ExecutionContext(GraphSchema({})), LocalModelStorage(folder)
        self._policy = EscalationPolicy.load({}, storage, Resource("policy"), context)
        self._ensemble = DefaultPolicyPredictionEnsemble()

    async def parse_message(self, message: UserMessage, *args: Any, **more: Any) -> dict[str, Any]:
        intent = {"name": "restart" if message.text == "/restart" else "cancel_order", "confidence": 0.99}
        return {"text": message.text, "intent": intent, "entities": []}

    def _predict_next_with_tracker(self, tracker: DialogueStateTracker) -> PolicyPrediction:
        name = "action_listen" if tracker.latest_action_name == "utter_answer" else "utter_answer"
        rule = PolicyPrediction.for_action_name(DOMAIN, name, "rule", confidence=1.0)
        rule.policy_priority = 6
        ours = self._policy.predict_action_probabilities(tracker, DOMAIN)
        return self._ensemble.combine_predictions_from_kwargs(tracker, DOMAIN, rule=rule, ours=ours)


class Chat:
    def __init__(self, folder: Path) -> None:
        self.store = SQLTrackerStore(DOMAIN, db=str(folder / "tracker.db"))
        self.processor = Processor(folder, self.store)
        self.agent = SimpleNamespace(
            processor=self.processor, tracker_store=self.store, lock_store=self.processor.lock_store, model_id="m"
        )

    def before(self, hours_ago: float, *events: Event) -> None:
        tracker = asyncio.run(self.store.get_or_create_tracker("ann"))
        for event in events:
            event.timestamp = time.time() - hours_ago * HOURS
            tracker.update(event, DOMAIN)
        asyncio.run(self.store.save(tracker))

    def desk(self, kind: str, text: str) -> None:
        tracker = asyncio.run(self.store.get_or_create_tracker("ann"))
        said = DeskMessage(f"{kind}-{text}", "ann", kind, "Anna", text, "")
        for event in said.events(tracker):
            tracker.update(event, DOMAIN)
        asyncio.run(self.store.save(tracker))

    def say(self, text: str, is_known: bool = False) -> list[str]:
        """What the assistant answers."""
        if is_known:
            asyncio.run(vouch_for(self.agent, "ann", {"id": "7", "name": "Ann", "email": None}))
        output = CollectingOutputChannel()
        asyncio.run(self.processor.handle_message(UserMessage(text, output, "ann")))
        return [message["text"] for message in output.messages]

    def events(self) -> list[Event]:
        tracker = asyncio.run(self.store.retrieve_full_tracker("ann"))
        assert tracker is not None
        return list(tracker.events)

    def page(self) -> ChatState:
        return chat_state([event.as_dict() for event in self.events()], time.time(), WebchatSettings())


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    one = Chat(tmp_path)
    yield one
    one.store.engine.dispose()


def promised() -> list[Event]:
    """Somebody has asked for a person who could not come at once."""
    return [
        ActionExecuted("action_session_start"),
        SessionStarted(),
        ActionExecuted("action_listen"),
        UserUttered("a person please", {"name": "cancel_order"}),
        SlotSet("handover", {"reason": "asked", "live": False}),
        BotUttered("They'll answer by 16:00."),
        ActionExecuted("action_listen"),
    ]


@pytest.mark.parametrize("is_known", [False, True])
def test_who_answers_a_person_after_hours_is_not_talked_over(chat: Chat, is_known: bool) -> None:
    chat.before(2, *promised())
    chat.desk("joined", "Anna is here now.")
    chat.desk("reply", "What went wrong with your order?")
    assert chat.say("I want to cancel it", is_known) == []
    assert chat.say("order 10003", is_known) == []
    assert sum(isinstance(event, SessionStarted) for event in chat.events()) == 2
    assert (chat.page().speaker, chat.page().name) == ("person", "Anna")
    chat.desk("resolved", "Anna has closed this chat.")
    assert chat.say("and now?", is_known) == ["Sure."]


def test_it_holds_over_every_further_session(chat: Chat) -> None:
    chat.before(6, *promised())
    chat.before(5, ConversationPaused(metadata={"desk": "joined", "by": "Anna"}), BotUttered("Hello."))
    chat.before(3, SessionStarted(), UserUttered("one"), ConversationPaused(metadata={"desk": "kept", "by": "Anna"}))
    assert chat.say("two") == []


def test_who_waits_for_somebody_now_waits_on(chat: Chat) -> None:
    chat.before(2, *promised(), SlotSet("handover", {"reason": "asked", "live": True}), ConversationPaused())
    assert chat.say("hello?") == []


def test_without_a_person_a_new_session_is_the_assistants(chat: Chat) -> None:
    chat.before(2, *promised())
    assert chat.say("cancel my order") == ["Sure."]


def test_a_pause_that_nobody_at_the_desk_knows_of_ends_as_ever(chat: Chat) -> None:
    first = [SessionStarted(), UserUttered("hello"), ConversationPaused(), ActionExecuted("action_listen")]
    chat.before(2, *first)
    assert chat.say("cancel my order") == ["Sure."]


def test_a_chat_that_was_closed_stays_closed(chat: Chat) -> None:
    chat.before(2, *promised())
    chat.desk("joined", "Anna is here now.")
    chat.desk("resolved", "Anna has closed this chat.")
    assert chat.say("cancel my order") == ["Sure."]


def test_a_restart_is_the_customers_own_decision(chat: Chat) -> None:
    chat.before(2, *promised())
    chat.desk("joined", "Anna is here now.")
    assert chat.say("/restart") != []
