"""New rows become whole conversations, whatever the batches, and however often the miner is ended."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning import reading
from learning.adapters.tracker_sql import SqlTrackerEvents
from learning.conversations import LONGEST_SESSION
from learning.model import Conversation, Event, EventBatch, Outcome, sender_key
from learning.reading import KEPT_EVENTS, Reader, Reading, _Tails
from learning.settings import Settings
from tests.learning_builders import START, TrackerFile, raw_events, user_data

Data = dict[str, Any]
LATER = START + timedelta(days=9)


class Stored:
    """What a store would keep of readings: conversations by sender, and how far was read."""

    def __init__(self) -> None:
        self.conversations: dict[str, list[Conversation]] = {}
        self.watermark = 0

    def first_rows(self, rows: Mapping[str, int]) -> dict[str, int]:
        known = {
            sender: [one.first_row for one in self.conversations.get(sender, []) if one.first_row <= row]
            for sender, row in rows.items()
        }
        return {sender: max(firsts) for sender, firsts in known.items() if firsts}

    def save(self, found: Reading) -> None:
        for sender in found.senders:
            before = [one for one in self.conversations.get(sender.sender, []) if one.last_row < sender.since_row]
            self.conversations[sender.sender] = [*before, *sender.conversations]
        self.watermark = found.last_id

    def texts(self, sender: str) -> list[list[str]]:
        return [[turn.text for turn in one.turns] for one in self.conversations.get(sender_key(sender), [])]


class Watched:
    """A tracker store that notes which rows are read again."""

    def __init__(self, tracker: SqlTrackerEvents) -> None:
        self._tracker = tracker
        self.again: dict[str, int] = {}

    def batches(self, after_id: int, size: int) -> Iterator[EventBatch]:
        return self._tracker.batches(after_id, size)

    def tails(self, starts: Mapping[str, int], before_row: int, limit: int) -> dict[str, list[Event]]:
        self.again.update(starts)
        return self._tracker.tails(starts, before_row, limit)

    def senders_at(self, rows: Sequence[int]) -> dict[int, str]:
        return self._tracker.senders_at(rows)


@pytest.fixture
def tracker(tmp_path: Path) -> TrackerFile:
    return TrackerFile(tmp_path / "tracker.db")


def source(tracker: TrackerFile) -> SqlTrackerEvents:
    return SqlTrackerEvents(f"sqlite:///{tracker.path}")


def read(tracker: TrackerFile, stored: Stored, size: int = 100, now: datetime = LATER) -> Watched:
    """Read everything that is new into `stored`."""
    watched = Watched(source(tracker))
    for found in Reader(watched, stored.first_rows, Settings(), now).read(stored.watermark, size):
        stored.save(found)
    return watched


def start(tracker: TrackerFile, sender: str) -> None:
    tracker.add(sender, {"event": "action", "name": "action_session_start"})
    tracker.add(sender, {"event": "session_started"})
    tracker.add(sender, {"event": "action", "name": "action_listen"})


# --- one run --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_conversations_that_are_interleaved_come_out_whole(tracker: TrackerFile, size: int) -> None:
    for text in ("one", "two", "three"):
        for sender in ("ann", "bob"):
            tracker.say(sender, f"{sender} {text}")
    stored = Stored()
    read(tracker, stored, size)

    assert stored.texts("ann") == [["ann one", "ann two", "ann three"]]
    assert stored.texts("bob") == [["bob one", "bob two", "bob three"]]


def answered(tracker: TrackerFile, sender: str, desk_id: str) -> None:
    metadata = {"desk": "reply", "agent": "Anna", "desk_id": desk_id}
    tracker.add(sender, {"event": "bot", "text": f"answer {desk_id}", "data": {}, "metadata": metadata})


def marked(tracker: TrackerFile, sender: str, desk_id: str, **more: Any) -> None:
    tracker.add(sender, {"event": "slot", "name": "recommended_answer", "value": {"desk_id": desk_id, **more}})


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("is_back", [True, False])
def test_a_mark_reaches_the_session_of_its_answer(tracker: TrackerFile, size: int, is_back: bool) -> None:
    for text in ("first", "second"):
        start(tracker, "ann")
        tracker.say("ann", text)
        answered(tracker, "ann", f"to the {text}")
    start(tracker, "ann")
    if is_back:
        tracker.say("ann", "third")
    stored = Stored()
    read(tracker, stored, size)
    before = stored.conversations[sender_key("ann")]
    assert [turn.recommended for one in before for turn in one.turns] == [(), (), ()][: 2 + is_back]

    marked(tracker, "ann", "to the second")
    read(tracker, stored, size)
    after = stored.conversations[sender_key("ann")]
    assert [turn.recommended for one in after for turn in one.turns] == [(), (0,), ()][: 2 + is_back]
    if not is_back:
        assert [(one.first_row, one.last_row) for one in after] == [(one.first_row, one.last_row) for one in before]

    marked(tracker, "ann", "to the second", taken_back=True)
    marked(tracker, "ann", "to nothing that was said")
    read(tracker, stored, size)
    assert not any(turn.recommended for one in stored.conversations[sender_key("ann")] for turn in one.turns)


def test_what_is_kept_in_memory_is_not_read_again(tracker: TrackerFile) -> None:
    start(tracker, "ann")
    for number in range(9):
        tracker.say("ann", f"text {number}")

    assert read(tracker, Stored(), size=5).again == {}


def test_what_memory_could_not_keep_is_read_again_from_its_first_row(
    tracker: TrackerFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "KEPT_EVENTS", 4)
    for sender in ("ann", "bob", "cat", "ann", "bob"):
        tracker.say(sender, f"{sender} says")
    stored = Stored()
    watched = read(tracker, stored, size=4)

    assert watched.again == {"ann": 1, "bob": 5}
    assert stored.texts("ann") == [["ann says", "ann says"]]
    assert stored.texts("bob") == [["bob says", "bob says"]]


def test_who_only_pressed_buttons_is_not_stored(tracker: TrackerFile) -> None:
    for _ in range(3):
        tracker.say("ann", "/greet")
    readings = list(Reader(source(tracker), lambda rows: {}, Settings(), LATER).read(0))

    assert [(one.last_id, one.events, one.senders) for one in readings] == [(12, 12, ())]


def test_an_endless_conversation_is_read_in_pieces(tracker: TrackerFile) -> None:
    count = LONGEST_SESSION // 3 + 10
    data = user_data("again", "greet")
    for number in range(count):
        tracker.add("ann", {**data, "message_id": str(number)})
        tracker.add("ann", {"event": "bot", "text": "hi", "data": {}, "metadata": {}})
        tracker.add("ann", {"event": "action", "name": "utter_greet"})
    whole, pieces = Stored(), Stored()
    read(tracker, whole, size=10**6)
    read(tracker, pieces, size=777)

    assert len(whole.texts("ann")) == 2
    assert pieces.conversations == whole.conversations


# --- one run after another --------------------------------------------------------------------------


def test_a_later_run_reads_only_the_last_conversation_again(tracker: TrackerFile) -> None:
    stored = Stored()
    for text in ("one", "two"):
        start(tracker, "ann")
        tracker.say("ann", text)
    tracker.say("bob", "hello")
    read(tracker, stored)
    tracker.say("ann", "three")
    start(tracker, "bob")
    tracker.say("bob", "it is me again")
    watched = read(tracker, stored)

    assert watched.again == {"ann": 11}  # bob begins anew: nothing before matters
    assert stored.texts("ann") == [["one"], ["two", "three"]]
    assert stored.texts("bob") == [["hello"], ["it is me again"]]


def test_a_run_without_news_reads_nothing(tracker: TrackerFile) -> None:
    stored = Stored()
    tracker.say("ann", "one")
    read(tracker, stored)

    assert list(Reader(source(tracker), stored.first_rows, Settings(), LATER).read(stored.watermark)) == []


def test_a_store_that_began_anew_is_not_taken_for_the_old_one(tracker: TrackerFile) -> None:
    tracker.say("ann", "new")
    readings = list(Reader(source(tracker), lambda rows: dict.fromkeys(rows, 1), Settings(), LATER).read(5000, size=2))

    assert [(one.last_id, one.events, one.restarted) for one in readings] == [(2, 2, True), (4, 2, False)]
    assert [turn.text for turn in readings[0].conversations[0].turns] == ["new"]


def test_time_ends_an_open_conversation(tracker: TrackerFile) -> None:
    stored = Stored()
    for sender in ("ann", "bob"):
        start(tracker, sender)
        tracker.say(sender, "odd")
    read(tracker, stored, now=START + timedelta(minutes=1))
    open_rows = [one.first_row for ones in stored.conversations.values() for one in ones]
    assert {one.outcome for ones in stored.conversations.values() for one in ones} == {Outcome.OPEN}

    reader = Reader(source(tracker), stored.first_rows, Settings(), LATER)
    for found in reader.reread([*open_rows, 10**6], stored.watermark):
        assert (found.events, found.last_id) == (0, stored.watermark)
        stored.save(found)
    assert {one.outcome for ones in stored.conversations.values() for one in ones} == {Outcome.ABANDONED}
    assert stored.texts("ann") == stored.texts("bob") == [["odd"]]


def test_what_came_after_the_last_reading_is_left_for_the_next(tracker: TrackerFile) -> None:
    stored = Stored()
    tracker.say("ann", "odd")
    read(tracker, stored)
    tracker.say("ann", "new")
    ((again,),) = [one.conversations for one in Reader(source(tracker), dict, Settings(), LATER).reread([1], 4)]

    assert [turn.text for turn in again.turns] == ["odd"]


# --- any talk, any batches, any kills -----------------------------------------------------------------

ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["one", "two", "/greet", "bot", "session", "slot", "listen"]),
        st.sampled_from([0, 1, 3700]),
    ),
    max_size=60,
)


def write(tracker: TrackerFile, rows: Sequence[tuple[str, str, int]]) -> None:
    second = START.timestamp()
    for sender, what, gap in rows:
        second += gap
        data: Data = {
            "bot": {"event": "bot", "text": "hi", "data": {}, "metadata": {}},
            "session": {"event": "action", "name": "action_session_start"},
            "slot": {"event": "slot", "name": "offer", "value": "person"},
            "listen": {"event": "action", "name": "action_listen"},
        }.get(what) or user_data(what, "greet")
        tracker.add(sender, {**data, "timestamp": second})


@given(ROWS, st.integers(1, 20), st.integers(0, 5), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_batches_memory_and_kills_change_nothing(
    rows: Sequence[tuple[str, str, int]], size: int, killed_after: int, kept: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        tracker = TrackerFile(Path(folder) / "tracker.db")
        write(tracker, rows)
        whole, pieces = Stored(), Stored()
        read(tracker, whole, size=1000)
        patch.setattr(reading, "KEPT_EVENTS", kept)
        run = Reader(source(tracker), pieces.first_rows, Settings(), LATER).read(0, size)
        for _, found in zip(range(killed_after), run, strict=False):
            pieces.save(found)
        read(tracker, pieces, size)

        assert pieces.conversations == whole.conversations
        assert pieces.watermark == whole.watermark


def test_a_session_start_that_was_committed_late_takes_nothing_away(tracker: TrackerFile) -> None:
    stored = Stored()
    for text in ("one", "two", "three"):
        tracker.add("ann", user_data(text, "greet"))
    tracker.execute("UPDATE events SET id = 4 WHERE id = 3")
    read(tracker, stored)
    late = {"event": "action", "name": "action_session_start"}
    tracker.execute(
        "INSERT INTO events VALUES (3, 'ann', 'action', ?, NULL, ?, ?)",
        (START.timestamp() + 2, late["name"], json.dumps(late)),
    )
    (batch,) = source(tracker).batches(2, 100)
    for found in Reader(Overlapping(source(tracker), batch), stored.first_rows, Settings(), LATER).read(4):
        stored.save(found)

    assert stored.texts("ann") == [["one", "two"], ["three"]]


def test_what_is_kept_of_conversations_is_bounded_and_given_back() -> None:
    tails = _Tails()
    events = raw_events(*(user_data("hi", "greet") for _ in range(LONGEST_SESSION + 1)))
    for sender in range(2 * KEPT_EVENTS // LONGEST_SESSION):
        tails.keep(str(sender), events)
        assert len(tails.pop(str(sender)) or ()) == LONGEST_SESSION
        tails.keep(str(sender), events)
    kept = [len(tails.pop(str(sender)) or ()) for sender in range(2 * KEPT_EVENTS // LONGEST_SESSION)]

    assert kept == [0] * (len(kept) // 2) + [LONGEST_SESSION] * (len(kept) // 2)


class Overlapping(Watched):
    """A tracker store that gives one batch, with rows that were read before."""

    def __init__(self, tracker: SqlTrackerEvents, batch: EventBatch) -> None:
        super().__init__(tracker)
        self._batch = batch

    def batches(self, after_id: int, size: int) -> Iterator[EventBatch]:
        yield self._batch


@given(ROWS, st.integers(1, 59))
@settings(max_examples=30, deadline=None)
def test_rows_that_are_read_twice_change_nothing(rows: Sequence[tuple[str, str, int]], again_from: int) -> None:
    """As on PostgreSQL, where the last rows of a run are read again by the next."""
    with tempfile.TemporaryDirectory() as folder:
        tracker = TrackerFile(Path(folder) / "tracker.db")
        write(tracker, rows)
        stored = Stored()
        read(tracker, stored)
        before = dict(stored.conversations)
        (batch,) = list(source(tracker).batches(min(again_from, len(rows)) - 1, 100)) or [None]
        if batch is None:
            return

        reader = Reader(Overlapping(source(tracker), batch), stored.first_rows, Settings(), LATER)
        for found in reader.read(stored.watermark):
            stored.save(found)
        assert {key: ones for key, ones in stored.conversations.items() if ones} == {
            key: ones for key, ones in before.items() if ones
        }
