from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasa.core.actions.action import ActionRetrieveResponse, create_bot_utterance
from rasa.core.channels.channel import CollectingOutputChannel
from rasa.core.nlg.generator import NaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import UserUttered
from rasa.shared.core.slots import TextSlot
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

from components.learned_responses import EXPOSED_KEY, LearnedResponses
from components.overlay_source import SWITCH
from components.rewording import fill
from learning.buckets import bucket
from learning.model import ProposalKind, Variant
from learning.wordings import LiveExperiment, Wording, Wordings

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


@dataclass(frozen=True)
class Live:
    entry_id: str
    label: str
    answer: str | None
    target: str | None = None
    share: int = 100
    kind: ProposalKind = ProposalKind.ANSWER


def reword(entry_id: str, label: str, answer: str, share: int = 100) -> Live:
    return Live(entry_id, label, answer, f"utter_{label}", share, ProposalKind.REWORD)


ENTRIES = (
    Live("e1", "learned/known", "The new answer, {name}"),
    Live("e2", "learned/new", "Quite new"),
    reword("e3", "faq/rich", "New text, {name}"),
    reword("e4", "faq/conditional", "New text"),
    reword("e5", "faq/unmet", "New text"),
)


class FakeSnapshot:
    def __init__(self, *entries: Live, experiments: tuple[LiveExperiment, ...] = ()) -> None:
        self._wordings = Wordings.of(entries, experiments)

    def wording(self, utter_action: str, sender: str | None = None) -> Wording:
        return self._wordings.wording(utter_action, sender)


class FakeReader:
    def __init__(self, snapshot: FakeSnapshot | Exception) -> None:
        self.current = snapshot

    def snapshot(self) -> Any:
        if isinstance(self.current, Exception):
            raise self.current
        return self.current


def generator(*entries: Live, experiments: tuple[LiveExperiment, ...] = ()) -> LearnedResponses:
    return reading(FakeReader(FakeSnapshot(*(entries or ENTRIES), experiments=experiments)))


def reading(reader: FakeReader) -> LearnedResponses:
    return LearnedResponses(EndpointConfig(type="x"), DOMAIN, open_reader=lambda: reader)  # type: ignore[arg-type,return-value]


def tracker_of(sender: str = "sender", name: str = "Ann") -> DialogueStateTracker:
    return DialogueStateTracker(sender, [TextSlot("name", mappings=[{}], initial_value=name)])


async def say(
    nlg: NaturalLanguageGenerator, name: str, channel: str = "rest", sender: str = "sender"
) -> dict[str, Any] | None:
    message = await nlg.generate(name, tracker_of(sender), channel)
    if message is not None:
        message.pop(EXPOSED_KEY, None)
    return message


async def exposed(nlg: NaturalLanguageGenerator, name: str, channel: str = "rest", sender: str = "sender") -> Any:
    message = await nlg.generate(name, tracker_of(sender), channel)
    assert message is not None
    return message.get(EXPOSED_KEY)


def somebody(salt: str, low: int, high: int) -> str:
    """A sender whose bucket is in [low, high)."""
    return next(f"s{n}" for n in range(10_000) if low <= bucket(salt, f"s{n}") < high)


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
    nlg = reading(FakeReader(RuntimeError("gone")))
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


@pytest.mark.asyncio
async def test_a_rewording_tells_who_gets_it_and_from_whom_it_is_withheld() -> None:
    nlg = generator(reword("old", "faq/rich", "Older text"), reword("new", "faq/rich", "Newest text", share=25))
    inside, outside = somebody("utter_faq/rich", 0, 25), somebody("utter_faq/rich", 25, 100)
    first, second = await say(nlg, "utter_faq/rich", sender=inside), await say(nlg, "utter_faq/rich", sender=outside)
    assert first is not None
    assert second is not None
    assert (first["text"], second["text"]) == ("Newest text", "Older text")
    assert await exposed(nlg, "utter_faq/rich", sender=inside) == [["new", "on"]]
    assert await exposed(nlg, "utter_faq/rich", sender=outside) == [["new", "off"], ["old", "on"]]


@pytest.mark.asyncio
async def test_where_the_new_text_is_withheld_the_domains_is_told() -> None:
    nlg = generator(reword("e", "greet", "Hi!", share=25))
    outside = somebody("utter_greet", 25, 100)
    assert await say(nlg, "utter_greet", sender=outside) == {"text": "Hello Ann"}
    assert await exposed(nlg, "utter_greet", sender=outside) == [["e", "off"]]


@pytest.mark.asyncio
async def test_a_new_question_tells_nothing_here_the_overlay_has_told_it() -> None:
    assert await exposed(generator(), "utter_learned/new") is None


@pytest.mark.asyncio
async def test_an_answer_for_a_channel_or_a_condition_exposes_nobody() -> None:
    assert await exposed(generator(), "utter_faq/rich", "slack") is None
    assert await exposed(generator(), "utter_faq/conditional") is None
    test = LiveExperiment("x", "utter_faq/rich", (Variant("control", None), Variant("b", "B")))
    assert await exposed(generator(experiments=(test,)), "utter_faq/rich", "slack") is None


EXPERIMENT = LiveExperiment(
    "x1", "utter_greet", (Variant("control", None), Variant("short", "Hi {name}"), Variant("long", "Good day"))
)


@pytest.mark.asyncio
async def test_an_experiment_tells_each_sender_one_variant_and_always_the_same() -> None:
    nlg = generator(experiments=(EXPERIMENT,))
    texts = {"control": "Hello Ann", "short": "Hi Ann", "long": "Good day"}
    counts = dict.fromkeys(texts, 0)
    for number in range(600):
        sender = f"sender-{number}"
        [[subject, arm]] = await exposed(nlg, "utter_greet", sender=sender)
        assert subject == "x1"
        counts[arm] += 1
        for _ in range(2):
            assert await say(nlg, "utter_greet", sender=sender) == {"text": texts[arm]}
    assert all(150 < count < 250 for count in counts.values())


@pytest.mark.asyncio
async def test_the_control_is_told_what_is_published() -> None:
    nlg = generator(reword("e", "greet", "Published"), experiments=(EXPERIMENT,))
    sender = next(f"s{n}" for n in range(1000) if EXPERIMENT.variant_of(f"s{n}").name == "control")
    assert await say(nlg, "utter_greet", sender=sender) == {"text": "Published"}
    assert await exposed(nlg, "utter_greet", sender=sender) == [["x1", "control"], ["e", "on"]]


@pytest.mark.asyncio
async def test_a_variant_keeps_buttons_and_fills_slots() -> None:
    test = LiveExperiment("x", "utter_faq/rich", (Variant("a", "A, {name}"), Variant("b", "B, {name}")))
    message = await say(generator(experiments=(test,)), "utter_faq/rich")
    assert message is not None
    assert message["text"] in ("A, Ann", "B, Ann")
    assert message["buttons"] == [{"title": "Ask Ann", "payload": "/greet"}]
    assert message["custom"] == {"color": "red"}


def test_nobody_in_particular_is_in_no_experiment_and_in_no_rollout() -> None:
    nlg = generator(reword("e", "greet", "Hi!", share=99), experiments=(EXPERIMENT,))
    assert nlg.generate_from_slots("utter_greet", {"name": "Ann"}, "rest") == {"text": "Hello Ann"}


@pytest.mark.asyncio
async def test_what_was_told_ends_in_the_metadata_of_the_bots_event() -> None:
    message = await generator().generate("utter_faq/rich", tracker_of(), "rest")
    assert message is not None
    event = create_bot_utterance(message)
    assert event.metadata[EXPOSED_KEY] == [["e3", "on"]]
    assert event.text == "New text, Ann"
    assert event.data["buttons"] == [{"title": "Ask Ann", "payload": "/greet"}]


@pytest.mark.asyncio
async def test_a_response_selectors_answer_is_reworded_too() -> None:
    tracker = tracker_of()
    selected = {"faq": {"response": {"utter_action": "utter_faq/rich", "intent_response_key": "faq/rich"}}}
    tracker.update(
        UserUttered(
            "?", {"name": "faq"}, parse_data={"intent": {"name": "faq"}, "text": "?", "response_selector": selected}
        )
    )
    events = await ActionRetrieveResponse("utter_faq").run(CollectingOutputChannel(), generator(), tracker, DOMAIN)
    assert events[0].text == "New text, Ann"
    assert events[0].metadata == {"utter_action": "utter_faq/rich", EXPOSED_KEY: [["e3", "on"]]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Brace { alone", "Brace { alone"),
        ("Brace } alone", "Brace } alone"),
        ("Empty {} pair", "Empty {} pair"),
        ("{nothing} for {name}", "{nothing} for Ann"),
        ("{name.real} {name[0]} {0} {name!r} {name:>9}", "{name.real} {name[0]} {0} {name!r} {name:>9}"),
        ("{{name}} is a slot", "{name} is a slot"),
        ("{{{name}}}", "{Ann}"),
        ("a \\1 and \\g<0> %s {name}", "a \\1 and \\g<0> %s Ann"),
    ],
)
@pytest.mark.asyncio
async def test_braces_in_a_published_text_break_nothing(text: str, told: str) -> None:
    assert await say(generator(reword("e", "faq/rich", text)), "utter_faq/rich") == {
        "text": told,
        "buttons": [{"title": "Ask Ann", "payload": "/greet"}],
        "custom": {"color": "red"},
    }


@given(st.text(max_size=40) | st.text("{}[]!:.name0 ", max_size=20), st.text("{}name", max_size=10))
def test_whatever_is_published_and_whatever_a_slot_holds_it_is_told(text: str, held: str) -> None:
    nlg = generator(reword("e", "greet", text or "x"))
    message = asyncio.run(nlg.generate("utter_greet", tracker_of(name=held), "rest"))
    assert message is not None
    assert isinstance(message["text"], str)
    if "{" not in text and "}" not in text:
        assert message["text"] == (text or "x")


def test_what_stands_in_a_slot_is_not_filled_again() -> None:
    assert fill("Hello {name}", {"name": "{secret}", "secret": "42"}) == "Hello {secret}"
