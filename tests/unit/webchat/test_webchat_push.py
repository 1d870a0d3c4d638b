from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webchat.errors import ChatError
from webchat.push import Position, Streams, server_sent
from webchat.state import ChatState
from webchat.transcript import ChatMessage

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def said(*ids: str) -> list[ChatMessage]:
    return [ChatMessage(one, "bot", f"text {one}", NOW) for one in ids]


def sent(raw: bytes) -> list[tuple[str, str]]:
    """Return kind and id of each event."""
    blocks = [block.split("\n") for block in raw.decode().split("\n\n") if block]
    fields = [dict(line.split(": ", 1) for line in block) for block in blocks]
    return [(one["event"], one.get("id", "")) for one in fields]


def test_everything_once_and_then_only_what_is_new() -> None:
    position = Position("")
    state = ("state", "")
    assert sent(position.news(said("1", "2"), ChatState(), False)) == [("message", "1"), ("message", "2"), state]
    assert position.news(said("1", "2"), ChatState(), False) == b""
    assert sent(position.news(said("1", "2", "3"), ChatState(), False)) == [("message", "3")]
    assert sent(position.news(said("1", "2", "3"), ChatState("waiting"), False)) == [state]
    assert sent(position.news(said("1", "2", "3"), ChatState("waiting"), True)) == [state]


def test_only_a_person_is_seen_writing() -> None:
    position = Position("")
    anna = ChatState("person", "Anna")
    position.news([], anna, False)
    assert b'"typing": true' in position.news([], anna, False, person_writes=True)
    assert b"typing" not in position.news([], anna, False)
    assert b"typing" not in position.news([], ChatState("waiting"), False, person_writes=True)


def test_a_cursor_goes_on_behind_it() -> None:
    assert sent(Position("2").news(said("1", "2", "3"), ChatState(), False)) == [("message", "3"), ("state", "")]


def test_an_unknown_cursor_begins_anew() -> None:
    assert sent(Position("9").news(said("1"), ChatState(), False)) == [("reset", ""), ("message", "1"), ("state", "")]
    assert sent(Position("9").news([], ChatState(), False)) == [("reset", ""), ("state", "")]


def test_a_message_that_becomes_visible_late_is_not_lost() -> None:
    # On PostgreSQL a row with a smaller id may appear after one with a larger.
    position = Position("")
    position.news(said("1", "3"), ChatState(), False)
    assert sent(position.news(said("1", "2", "3"), ChatState(), False)) == [("message", "2")]


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=30))
def test_whoever_reconnects_at_any_time_gets_every_message_once(steps: list[tuple[int, bool]]) -> None:
    written: list[str] = []
    got: list[str] = []
    position = Position("")
    for count, reconnects in steps:
        written += [str(len(written) + number) for number in range(count)]
        if reconnects:
            position = Position(got[-1] if got else "")
        news = sent(position.news(said(*written), ChatState(), False))
        assert ("reset", "") not in news
        got += [event_id for kind, event_id in news if kind == "message"]
    assert got == written


@given(st.text(), st.text(max_size=20))
def test_no_text_can_forge_an_event(text: str, event_id: str) -> None:
    raw = server_sent("message", {"text": text}, event_id).decode()
    body = raw.removesuffix("\n\n")
    assert "\n\n" not in body
    lines = body.split("\n")
    assert [line for line in lines if line.startswith("event: ")] == ["event: message"]
    assert json.loads(lines[-1].removeprefix("data: ")) == {"text": text}
    assert len(lines) <= 3


def test_bells_ring_for_their_conversation() -> None:
    async def check() -> None:
        streams = Streams(2, 3)
        with streams.listen("a") as first, streams.listen("a") as second, streams.listen("b") as other:
            streams.ring(["a", "nobody"])
            assert (first.is_set(), second.is_set(), other.is_set()) == (True, True, False)
            assert set(streams.conversations) == {"a", "b"}
            streams.close()
            assert other.is_set()
        assert (len(streams), list(streams.conversations)) == (0, [])

    asyncio.run(check())


@pytest.mark.parametrize(("each", "most"), [(1, 9), (9, 1)])
def test_too_many_streams_are_refused_and_closed_ones_make_room(each: int, most: int) -> None:
    async def check() -> None:
        streams = Streams(each, most)
        with streams.listen("a"), pytest.raises(ChatError) as raised, streams.listen("a"):
            pass
        assert raised.value.status == 429
        with streams.listen("a"):
            assert len(streams) == 1

    asyncio.run(check())
