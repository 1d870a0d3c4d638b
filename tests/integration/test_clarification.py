"""A near tie from the question to the loop's label, through Rasa's own formats; only the model's verdict is made up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from rasa.core.actions.action import RemoteAction
from rasa.core.channels.channel import CollectingOutputChannel
from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.core.tracker_store import SQLTrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, BotUttered, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.core.training_data.story_reader.yaml_story_reader import YAMLStoryReader
from rasa.shared.nlu.training_data.message import Message
from rasa_sdk.executor import ActionExecutor

from actions import texts
from actions.dialogue import Fallback
from learning.adapters.tracker_sql import SqlTrackerEvents
from learning.model import Turn
from learning.reading import Reader
from learning.settings import Settings

ROOT = Path(__file__).parents[2]
TIED = [
    {"name": "order_late", "confidence": 0.41},
    {"name": "faq/delivery_time", "confidence": 0.38},
    {"name": "cancel_order", "confidence": 0.05},
]


@dataclass
class Chat:
    """One conversation: Rasa's tracker and formats, the real action, no model."""

    domain: Domain
    database: Path
    messages: list[BotUttered] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = SQLTrackerStore(self.domain, db=str(self.database))
        self.tracker = DialogueStateTracker.from_events("ann", [], self.domain.slots, domain=self.domain)
        self.executor = ActionExecutor()
        self.executor.register_action(Fallback())

    def say(self, text: str, **parsed: Any) -> str | None:
        """Give the tracker a message as the NLU leaves it, and return the intent."""
        data: dict[str, Any] = {"text": text, "intent": {"name": "nlu_fallback", "confidence": 0.59}, "entities": []}
        data |= parsed
        if text.startswith("/"):
            data |= YAMLStoryReader.unpack_regex_message(Message({"text": text}), self.domain, "Regex").as_dict()
        event = UserUttered(text, data["intent"], data["entities"], data, input_channel="rest")
        self.tracker.update_with_events([ActionExecuted("action_listen"), event], self.domain)
        return event.intent_name

    def fallback(self) -> BotUttered:
        """Run the action as Rasa does, over its wire format, and return what the bot says."""

        async def run() -> list[BotUttered]:
            call = RemoteAction("action_fallback", None)._action_call_format(self.tracker, self.domain)
            answer = await self.executor.run(call)
            assert answer is not None
            nlg = TemplatedNaturalLanguageGenerator(self.domain.responses)
            return await RemoteAction._utter_responses(
                answer["responses"], CollectingOutputChannel(), nlg, self.tracker
            )

        (said,) = asyncio.run(run())
        self.tracker.update_with_events([ActionExecuted("action_fallback"), said], self.domain)
        return said

    def mined(self) -> list[Turn]:
        """What the learning loop reads from the tracker store."""
        asyncio.run(self.store.save(self.tracker))
        events = SqlTrackerEvents(f"sqlite:///{self.database}")
        reader = Reader(events, lambda rows: {}, Settings(), datetime.now(timezone.utc))
        return [turn for reading in reader.read(0) for talk in reading.conversations for turn in talk.turns]


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    chat = Chat(Domain.load(str(ROOT / "domain.yml")), tmp_path / "tracker.db")
    yield chat
    chat.store.engine.dispose()


@pytest.fixture
def question(chat: Chat) -> BotUttered:
    """What the bot says to a message that two intents claim."""
    number = {"entity": "order_number", "value": "10342", "start": 0, "end": 5}
    verdict = {"reason": "near_tie", "candidates": TIED}
    chat.say("10342 when does it come", entities=[number], out_of_scope=verdict)
    return chat.fallback()


def payload(question: BotUttered, title: str) -> str:
    return next(button["payload"] for button in question.data["buttons"] if button["title"] == title)


def test_the_button_of_an_intent_is_that_intent_with_the_entities(chat: Chat, question: BotUttered) -> None:
    assert question.text == "Did you mean an order that's late or how long delivery takes?"
    intent = chat.say(payload(question, "An order that's late"))
    latest = chat.tracker.latest_message

    assert intent == "order_late"
    assert latest is not None
    assert [(one["entity"], one["value"]) for one in latest.entities] == [("order_number", "10342")]
    assert [(turn.text, turn.clarified) for turn in chat.mined()] == [("10342 when does it come", "order_late")]


def test_the_button_of_an_answer_gives_that_answer(chat: Chat, question: BotUttered) -> None:
    chat.say(payload(question, "How long delivery takes"))

    assert chat.fallback().text == chat.domain.responses["utter_faq/delivery_time"][0]["text"]
    assert [turn.clarified for turn in chat.mined()] == ["faq/delivery_time"]


def test_something_else_asks_to_rephrase_then_offers_a_person(chat: Chat, question: BotUttered) -> None:
    chat.say(payload(question, "Something else"))
    assert chat.fallback().text == texts.REPHRASE
    chat.say("blorp", out_of_scope={"reason": "unfamiliar", "candidates": TIED})

    assert chat.fallback().text == texts.OFFER_PERSON
    assert [turn.clarified for turn in chat.mined()] == [None, None]


def test_a_typed_answer_is_a_message_of_its_own(chat: Chat, question: BotUttered) -> None:
    chat.say("order_late", intent={"name": "order_late", "confidence": 0.9})

    assert [turn.clarified for turn in chat.mined()] == [None, None]
