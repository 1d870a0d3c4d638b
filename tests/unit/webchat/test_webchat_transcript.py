from __future__ import annotations

from typing import Any

from webchat.content import Button, Link
from webchat.transcript import exchange, offered, transcript

T = 1_700_000_000.0


def user(text: str, message_id: str = "u-1", **more: Any) -> dict[str, Any]:
    return {"event": "user", "text": text, "message_id": message_id, "timestamp": T, "metadata": {}, **more}


def bot(text: str | None, timestamp: float = T, **data: Any) -> dict[str, Any]:
    return {"event": "bot", "text": text, "timestamp": timestamp, "data": data, "metadata": {}}


def thumb(message_id: str, value: str) -> dict[str, Any]:
    given = {"message_id": message_id, "value": value, "comment": None}
    return {"event": "slot", "name": "last_feedback", "value": given, "timestamp": T}


def test_what_was_said_comes_in_order() -> None:
    messages = transcript([user("hi"), bot("Hello!"), bot("How can I help?", T + 1)])
    assert [(one.role, one.text) for one in messages] == [
        ("user", "hi"),
        ("bot", "Hello!"),
        ("bot", "How can I help?"),
    ]


def test_a_bot_message_is_named_by_its_event() -> None:
    assert transcript([bot("a", T + 0.123456)])[0].id == "1700000000.123456"


def test_two_answers_in_one_clock_tick_have_two_names() -> None:
    assert [one.id for one in transcript([bot("a"), bot("b"), bot("c")])] == [
        "1700000000.0",
        "1700000000.0~2",
        "1700000000.0~3",
    ]


def test_the_customer_sees_the_choice_not_the_command() -> None:
    shown = transcript([user("/cancel", metadata={"shown_text": "Cancel my order"})])
    assert [one.text for one in shown] == ["Cancel my order"]


def test_what_a_program_sent_is_not_shown() -> None:
    assert transcript([user("/session_start"), user(""), {"event": "user", "timestamp": T}]) == []


def test_a_silent_answer_is_not_shown() -> None:
    assert transcript([bot(None, custom={"x": 1}), bot("")]) == []


def test_buttons_and_quick_replies_are_both_choices() -> None:
    messages = transcript(
        [
            bot("a", buttons=[{"title": "Yes", "payload": "/affirm"}, {"title": "No"}, "odd", {}]),
            bot("b", quick_replies=[{"title": "Maybe", "payload": "/maybe"}]),
        ]
    )
    assert messages[0].buttons == (Button("Yes", "/affirm"), Button("No", "No"))
    assert messages[1].buttons == (Button("Maybe", "/maybe"),)
    assert offered(messages, "/maybe")
    assert not offered(messages, "/restart")


def test_only_web_addresses_become_links() -> None:
    links = [
        one.links for one in transcript([bot("a", image="https://x.example/a.png"), bot("b", image="javascript:1")])
    ]
    assert links == [(Link("https://x.example/a.png", "https://x.example/a.png"),), ()]


def test_the_latest_thumb_counts() -> None:
    events = [bot("a"), bot("b", T + 1), thumb("1700000000.0", "up"), thumb("1700000000.0", "down")]
    assert [one.feedback for one in transcript(events)] == ["down", None]


def test_feedback_that_is_not_ours_is_ignored() -> None:
    odd = {"event": "slot", "name": "last_feedback", "value": None, "timestamp": T}
    assert transcript([bot("a"), odd, {**odd, "value": {"value": "sideways"}}])[0].feedback is None


def test_answers_end_where_the_next_message_begins() -> None:
    said = transcript([user("one", "m-1"), bot("1"), bot("1b"), user("two", "m-2"), bot("2")])
    first, second = exchange(said, "m-1"), exchange(said, "m-2")
    assert first is not None
    assert second is not None
    assert [one.text for one in first] == ["one", "1", "1b"]
    assert [one.text for one in second] == ["two", "2"]


def test_an_unknown_message_has_no_answers_and_a_silent_one_has_none_yet() -> None:
    said = transcript([user("one", "m-1")])
    assert exchange(said, "m-2") is None
    assert exchange(said, "m-1") == said


def test_what_a_customer_pastes_is_shown_though_it_begins_as_what_programs_send() -> None:
    typed = user("EXTERNAL: I want to talk to a human", "u-9")
    sent = user("EXTERNAL: remind", "u-10", metadata={"is_external": True})
    assert [(one.id, one.text) for one in transcript([typed, sent])] == [("u-9", typed["text"])]
    assert exchange(transcript([typed, bot("Sure.")]), "u-9") is not None
