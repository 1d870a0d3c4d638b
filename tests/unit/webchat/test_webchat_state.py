from __future__ import annotations

from typing import Any

import pytest

from webchat.settings import WebchatSettings
from webchat.state import ChatState, chat_state

T = 1_700_000_000.0
SETTINGS = WebchatSettings(csat_idle_minutes=5)


def user(text: str, message_id: str = "u-1", intent: str = "inform", at: float = T) -> dict[str, Any]:
    parsed = {"intent": {"name": intent}}
    return {"event": "user", "text": text, "message_id": message_id, "timestamp": at, "parse_data": parsed}


def bot(text: str = "ok", at: float = T, **metadata: Any) -> dict[str, Any]:
    return {"event": "bot", "text": text, "timestamp": at, "data": {}, "metadata": metadata}


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"event": kind, "timestamp": T, **more}


def state(*events: dict[str, Any], now: float = T) -> ChatState:
    return chat_state(events, now, SETTINGS)


def test_a_conversation_begins_with_the_bot() -> None:
    assert state() == ChatState("bot", None, None)


def test_a_paused_one_waits_for_a_person_and_then_has_one() -> None:
    paused = [user("a person"), event("pause")]
    assert state(*paused).speaker == "waiting"
    assert state(*paused, bot("Please wait")).speaker == "waiting"
    assert state(*paused, bot("Anna is here", desk="joined", by="Anna")) == ChatState("person", "Anna")
    assert state(*paused, bot("Hi", agent="Ben")) == ChatState("person", "Ben")
    assert state(*paused, bot("Hi", agent="Ben"), bot("Hi", agent="Anna")).name == "Anna"


def test_the_bot_is_back_after_the_resume() -> None:
    back = state(user("a person"), event("pause"), bot("Hi", agent="Ben"), event("resume"))
    assert back == ChatState("bot", None, f"person-{T}")


@pytest.mark.parametrize("kind", ["session_started", "restart"])
def test_a_new_session_ends_the_pause_as_it_does_in_rasa(kind: str) -> None:
    assert state(user("a person"), event("pause"), event(kind)) == ChatState()


def test_a_person_who_writes_without_a_pause_is_no_state() -> None:
    assert state(user("hello"), bot("Hi", agent="Ben")).speaker == "bot"


def test_a_resume_without_a_pause_is_no_end() -> None:
    assert state(user("hello"), user("again"), event("resume")).rate is None


def test_a_goodbye_may_be_rated_until_the_customer_goes_on() -> None:
    talk = [user("one"), bot(), user("bye", "u-2", "goodbye"), bot()]
    assert state(*talk).rate == "goodbye-u-2"
    assert state(*talk, event("slot", name="csat", value=4)).rate is None
    assert state(*talk, event("slot", name="last_feedback", value={})).rate == "goodbye-u-2"
    assert state(*talk, user("wait", "u-3")).rate is None
    assert state(user("bye", "u-1", "goodbye")).rate is None


def test_silence_of_both_sides_is_an_end() -> None:
    talk = [user("one", "u-1"), bot(), user("two", "u-2", at=T + 10), bot(at=T + 12)]
    assert state(*talk, now=T + 12 + 299).rate is None
    assert state(*talk, now=T + 12 + 300).rate == "idle-u-2"
    assert state(user("one"), bot(), now=T + 9999).rate is None


def test_with_a_person_nothing_is_rated() -> None:
    talk = [user("one"), user("bye", "u-2", "goodbye"), event("pause")]
    assert state(*talk, now=T + 9999).rate is None


def test_what_a_program_sends_is_no_message_of_the_customer() -> None:
    reminder = {**user("EXTERNAL: remind"), "metadata": {"is_external": True}}
    assert state(user("one"), reminder, user("/remind"), bot(), now=T + 9999).rate is None
