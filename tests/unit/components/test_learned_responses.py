from __future__ import annotations

import logging
from typing import Any

import pytest
from rasa.core.nlg.generator import NaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.slots import TextSlot
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

from components.learned_responses import LearnedResponses
from components.overlay_source import SWITCH
from tests.unit.components.test_live_overlay import FakeEntry, FakeReader, FakeSnapshot

DOMAIN = Domain.from_yaml(
    """
    version: "3.1"
    intents: [greet]
    slots:
      name:
        type: text
        mappings: [{type: custom}]
    responses:
      utter_greet:
      - text: "Hello {name}"
      - text: "Hello on Slack"
        channel: slack
      utter_learned/known:
      - text: "The old answer"
      utter_faq/rich:
      - text: "Old text"
        buttons: [{title: "Ask {name}", payload: /greet}]
        custom: {color: red}
      - text: "Short text on Slack"
        channel: slack
      utter_faq/conditional:
      - text: "Old text for Ann"
        condition: [{type: slot, name: name, value: Ann}]
      utter_faq/unmet:
      - text: "Old text for Bob"
        condition: [{type: slot, name: name, value: Bob}]
    """
)
ENTRIES = (
    FakeEntry("e1", "learned/known", ("a question",), "The new answer, {name}"),
    FakeEntry("e2", "learned/new", ("another question",), "Quite new"),
    FakeEntry("e3", "faq/rich", (), "New text, {name}"),
    FakeEntry("e4", "faq/conditional", (), "New text"),
    FakeEntry("e5", "faq/unmet", (), "New text"),
)


def generator(reader: FakeReader | None = None) -> LearnedResponses:
    chosen = reader or FakeReader(FakeSnapshot(1, *ENTRIES))
    return LearnedResponses(EndpointConfig(type="x"), DOMAIN, open_reader=lambda: chosen)  # type: ignore[arg-type,return-value]


async def say(nlg: NaturalLanguageGenerator, name: str, channel: str = "rest") -> dict[str, Any] | None:
    tracker = DialogueStateTracker("sender", [TextSlot("name", mappings=[{}], initial_value="Ann")])
    return await nlg.generate(name, tracker, channel)


@pytest.mark.asyncio
async def test_a_published_answer_comes_first_with_its_slots_filled() -> None:
    assert await say(generator(), "utter_learned/known") == {"text": "The new answer, Ann"}


@pytest.mark.asyncio
async def test_an_answer_that_the_domain_never_heard_of() -> None:
    assert await say(generator(), "utter_learned/new") == {"text": "Quite new"}


@pytest.mark.asyncio
async def test_only_the_text_of_a_response_is_replaced() -> None:
    assert await say(generator(), "utter_faq/rich") == {
        "text": "New text, Ann",
        "buttons": [{"title": "Ask Ann", "payload": "/greet"}],
        "custom": {"color": "red"},
    }


@pytest.mark.asyncio
async def test_what_was_written_for_a_channel_or_a_condition_stays() -> None:
    on_slack = await say(generator(), "utter_faq/rich", "slack")
    assert on_slack is not None
    assert on_slack["text"] == "Short text on Slack"
    of_ann = await say(generator(), "utter_faq/conditional")
    assert of_ann is not None
    assert of_ann["text"] == "Old text for Ann"
    assert await say(generator(), "utter_faq/unmet") == {"text": "New text"}


@pytest.mark.asyncio
async def test_the_domain_itself_is_not_changed() -> None:
    await say(generator(), "utter_faq/rich")
    assert DOMAIN.responses["utter_faq/rich"][0]["text"] == "Old text"


@pytest.mark.asyncio
async def test_other_responses_are_the_domains() -> None:
    assert await say(generator(), "utter_greet") == {"text": "Hello Ann"}
    on_slack = await say(generator(), "utter_greet", "slack")
    assert on_slack is not None
    assert on_slack["text"] == "Hello on Slack"
    assert await say(generator(), "utter_unheard_of") is None


@pytest.mark.asyncio
async def test_an_unreadable_overlay_leaves_the_domain(caplog: pytest.LogCaptureFixture) -> None:
    nlg = generator(FakeReader(RuntimeError("gone")))
    with caplog.at_level(logging.WARNING):
        answers = [await say(nlg, "utter_learned/known") for _ in range(2)]
    assert answers == [{"text": "The old answer"}] * 2
    assert caplog.text.count("published answers cannot be read") == 1


@pytest.mark.asyncio
async def test_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    assert await say(generator(), "utter_learned/known") == {"text": "The old answer"}


def test_rasa_finds_it_by_the_name_in_endpoints_yml() -> None:
    config = EndpointConfig(type="components.learned_responses.LearnedResponses")
    assert isinstance(NaturalLanguageGenerator.create(config, DOMAIN), LearnedResponses)
