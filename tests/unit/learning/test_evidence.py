"""What a reviewer is shown of a proposal: figures, answers, and redacted conversations around what failed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from learning import console
from learning.adapters.store import Store
from learning.errors import TrackerStoreError
from learning.evidence import AGENT_REPLIES, Evidence, Line, Speaker, read_evidence
from learning.evidence_view import show_evidence
from learning.loop import Loop
from learning.mining import read_conversations
from learning.model import (
    Action,
    AgentAnswer,
    Conversation,
    Decision,
    FailedTurn,
    Gap,
    GapKind,
    LabelUse,
    Mined,
    MinedSender,
    Proposal,
    ProposalKind,
    ProposalState,
    Replay,
    Signal,
    Source,
    content_id,
)
from tests.learning_builders import (
    START,
    TrackerFile,
    entry,
    gap,
    make_loop,
    make_project,
    proposal,
    save_members,
    turn,
)

GAP = "a" * 16


@pytest.fixture
def tracker(tmp_path: Path) -> TrackerFile:
    make_project(tmp_path)
    return TrackerFile(tmp_path / "var" / "tracker.db")


@pytest.fixture
def loop(tmp_path: Path, tracker: TrackerFile) -> Loop:
    return make_loop(tmp_path)


def mine_into_gap(loop: Loop, wanted: str = "points", **more: Any) -> Gap:
    """Read the tracker store, and put the failed turns that hold a word into one gap."""
    read_conversations(loop, lambda batch: None)
    turns = [turn for turn in loop.store.fresh_turns(100) if wanted in turn.text]
    made = gap(GAP, people=len({turn.sender for turn in turns}), turns=turns, **more)
    assert isinstance(loop.store, Store)
    save_members(loop.store, [made], {turn.turn_id: GAP for turn in turns})
    return made


def live(loop: Loop, number: int, at: datetime = START, **more: Any) -> None:
    """Make an entry live, which handles its gap."""
    made = proposal(number, **more)
    loop.store.save_proposals([made], START)
    before = loop.store.proposal(made.proposal_id)
    approved = replace(before, state=ProposalState.APPROVED)
    loop.store.save_decision(before, approved, Decision(made.proposal_id, Action.APPROVE, "kim", at))
    vectors = loop.encoder.encode(made.examples)
    published = replace(approved, state=ProposalState.PUBLISHED)
    loop.store.publish(approved, published, entry(number).entry_id, vectors, "fake-1", "kim", at)


def evidence_of(loop: Loop, **more: Any) -> Evidence:
    shown = more.pop("shown", 5)
    return read_evidence(loop, proposal(1, gap_id=GAP, **more), shown)


def texts(lines: tuple[Line, ...]) -> list[tuple[str, str]]:
    return [(line.speaker.value, line.text) for line in lines]


def test_the_turns_before_and_after_are_shown_with_the_failed_one_marked(loop: Loop, tracker: TrackerFile) -> None:
    for number in range(3):
        tracker.say("ann", f"where is my parcel {number}", "track_order", 0.97, f"Soon {number}.")
    tracker.say("ann", "do you have points")
    for number in range(3):
        tracker.say("ann", f"reset password {number}", "reset_password", 0.97, f"Done {number}.")
    mine_into_gap(loop)
    (sample,) = evidence_of(loop).samples
    assert texts(sample.lines) == [
        ("customer", "where is my parcel 1"),
        ("bot", "Soon 1."),
        ("customer", "where is my parcel 2"),
        ("bot", "Soon 2."),
        ("customer", "do you have points"),
        ("bot", "Sorry, I did not get that."),
        ("customer", "reset password 0"),
        ("bot", "Done 0."),
        ("customer", "reset password 1"),
        ("bot", "Done 1."),
    ]
    assert [line.text for line in sample.lines if line.failed] == ["do you have points"]
    assert "fallback" in sample.signals


def test_everything_is_redacted_with_one_placeholder_a_person(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "my name is Zelda Quimby", "greet", 0.97, "Hello Zelda Quimby, mail to zq@example.com?")
    tracker.say("ann", "points of Zelda and of zq@example.com")
    mine_into_gap(loop)
    (sample,) = evidence_of(loop).samples
    shown = orjson.dumps([line.text for line in sample.lines]).decode()
    assert "Zelda" not in shown
    assert "zq@" not in shown
    hello, points = sample.lines[0].text, sample.lines[2].text
    placeholder = hello.removeprefix("my name is ")
    assert placeholder.startswith("<")
    assert placeholder in points
    assert placeholder in sample.lines[1].text


def test_the_placeholder_of_the_failed_turn_is_the_one_that_was_mined(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "hello there friend", "greet", 0.97, "Mail us at help@example.com.")
    tracker.say("ann", "points for zq@example.com")
    mine_into_gap(loop)
    (sample,) = evidence_of(loop).samples
    (stored,) = loop.store.turns_of_gap(GAP)
    assert next(line.text for line in sample.lines if line.failed) == stored.text


def test_agents_are_told_apart_from_the_bot(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "how do points work")
    tracker.add("ann", {"event": "bot", "text": "You get one a euro.", "data": {}, "metadata": {"agent": "kim"}})
    mine_into_gap(loop)
    evidence = evidence_of(loop)
    assert [line.speaker for line in evidence.samples[0].lines] == [Speaker.CUSTOMER, Speaker.BOT, Speaker.AGENT]
    (reply,) = evidence.agent_replies
    assert (reply.text, reply.times) == ("You get one a euro.", 1)


def test_each_person_is_shown_once_and_the_newest_first(loop: Loop, tracker: TrackerFile) -> None:
    for number in range(4):
        tracker.say(f"person{number}", f"points {number}")
        tracker.say(f"person{number}", f"points again {number}")
    mine_into_gap(loop)
    evidence = evidence_of(loop, shown=3)
    marked = [line.text for sample in evidence.samples for line in sample.lines if line.failed]
    assert marked == ["points again 3", "points again 2", "points again 1"]
    assert (evidence.people, evidence.turns, evidence.counted, evidence.missing) == (4, 8, 8, 0)


def test_figures_count_channels_signals_and_what_was_understood(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "points a", input_channel="webchat")
    tracker.say("ben", "points b", input_channel="webchat")
    tracker.say("eve", "points c", "track_order", 0.4, input_channel="slack")
    mine_into_gap(loop)
    evidence = evidence_of(loop)
    assert evidence.channels == {"webchat": 2, "slack": 1}
    assert list(evidence.channels) == ["webchat", "slack"]
    assert evidence.understood_as == {"nlu_fallback": 2, "track_order": 1}
    assert evidence.signals["fallback"] == 2
    assert evidence.since == START
    assert evidence.until > evidence.since


def test_what_went_live_since_is_history(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "points a")
    tracker.wait(3600)
    tracker.say("ben", "points b")
    handled = START + timedelta(minutes=30)
    made = mine_into_gap(loop)
    live(loop, 2, handled, gap_id=GAP)
    loop.store.update_gaps([replace(made, handled_at=handled, reopened_at=handled + timedelta(hours=1))])
    evidence = evidence_of(loop)
    assert (evidence.people, evidence.turns) == (1, 1)
    assert evidence.since > handled


def test_a_conversation_that_left_the_tracker_store_is_counted(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "points a")
    tracker.say("ben", "points b")
    mine_into_gap(loop)
    tracker.execute("DELETE FROM events WHERE sender_id = 'ann'")
    evidence = evidence_of(loop)
    assert (len(evidence.samples), evidence.missing, evidence.note) == (1, 1, "")
    tracker.execute("DELETE FROM events")
    evidence = evidence_of(loop)
    assert (len(evidence.samples), evidence.missing) == (0, 2)
    assert evidence.note == "None of the conversations is in the tracker store any more."


def test_rows_that_are_somebody_elses_by_now_are_never_shown(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "points a")
    mine_into_gap(loop)
    tracker.execute("UPDATE events SET sender_id = 'stranger'")
    evidence = evidence_of(loop)
    assert (evidence.samples, evidence.missing) == ((), 1)


def test_only_the_conversation_itself_is_read(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "points a")
    tracker.wait(7 * 86_400)
    tracker.say("ann", "a secret of another day", "greet", 0.97)
    mine_into_gap(loop)
    (sample,) = evidence_of(loop).samples
    assert [line.text for line in sample.lines if line.speaker is Speaker.CUSTOMER] == ["points a"]


def test_a_tracker_store_that_is_down_is_told(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "points a")
    mine_into_gap(loop)

    def down() -> Any:
        raise TrackerStoreError("cannot be opened", "tracker store x", "check that it is up")

    evidence = evidence_of(replace(loop, open_tracker=down))
    assert evidence.samples == ()
    assert evidence.turns == 1
    assert "check that it is up" in evidence.note


def test_nothing_is_read_where_nothing_is_to_be_shown(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "points a")
    mine_into_gap(loop)

    def unwanted() -> Any:
        raise AssertionError("was opened")

    assert evidence_of(replace(loop, open_tracker=unwanted), shown=0).samples == ()


@pytest.mark.parametrize("kind", [GapKind.CONFUSED, GapKind.UNUSED])
def test_a_gap_of_labels_has_figures_and_says_why_there_are_no_conversations(loop: Loop, kind: GapKind) -> None:
    loop.store.save_upkeep([gap(GAP, people=7, kind=kind, intent="faq/opening_hours")])
    evidence = evidence_of(loop, kind=ProposalKind.RETIRE, label="faq/opening_hours", answer=None)
    assert evidence.people == 7
    assert evidence.samples == ()
    assert "about labels" in evidence.note


def test_the_answer_that_customers_get_now_is_shown(loop: Loop, tracker: TrackerFile) -> None:
    loop.store.save_upkeep([gap(GAP), gap("b" * 16)])
    live(loop, 2, gap_id="b" * 16, label="learned/points", answer="One a euro.")
    examples = evidence_of(loop, kind=ProposalKind.EXAMPLES, label="learned/points", answer=None)
    assert [answer.text for answer in examples.answers] == ["One a euro."]
    new = evidence_of(loop, kind=ProposalKind.ANSWER, label="learned/points")
    assert new.answers == ()
    merge = evidence_of(loop, kind=ProposalKind.MERGE, label="learned/points", target="track_order", answer=None)
    assert [answer.label for answer in merge.answers] == ["learned/points"]


RECOMMENDED = "You get one point a euro."


def keep_agent_answers(loop: Loop, answers: list[tuple[str, int]]) -> None:
    """Store what agents wrote to one failed turn: (text, second)."""
    turn_id, talk_id = content_id("turn"), content_id("talk")
    failed = FailedTurn(
        turn_id=turn_id,
        conversation_id=talk_id,
        sender="s",
        text="points",
        intent="nlu_fallback",
        confidence=0.3,
        at=START,
        channel="rest",
        weight=1.0,
        signals=(Signal("fallback", 1.0, "test"),),
    )
    talk = Conversation(talk_id, "s", (turn("points", second=99),), START, START, 1, 1)
    wrote = tuple(
        AgentAnswer(turn_id, talk_id, "s", text, START + timedelta(seconds=second), text == RECOMMENDED)
        for text, second in answers
    )
    loop.store.save_batch([MinedSender("s", 1, (Mined(talk, (failed,), (), wrote),))], [], None)
    assert isinstance(loop.store, Store)
    save_members(loop.store, [gap(GAP, turns=[failed])], {turn_id: GAP})


def test_what_agents_answered_is_counted_once_for_each_wording(loop: Loop) -> None:
    keep_agent_answers(
        loop, [("One a euro.", 1), ("one  a EURO.", 5), ("Ask us.", 9), *((f"x{n}", 0) for n in range(9))]
    )
    replies = evidence_of(loop).agent_replies
    assert [(reply.text, reply.times) for reply in replies[:2]] == [("one  a EURO.", 2), ("Ask us.", 1)]
    assert replies[0].last_at == START + timedelta(seconds=5)
    assert len(replies) == AGENT_REPLIES


def test_what_an_agent_recommends_comes_first_and_is_named(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_agent_answers(loop, [("One a euro.", 1), ("One a euro.", 2), (RECOMMENDED, 3)])
    evidence = evidence_of(loop)
    assert [(reply.text, reply.recommended) for reply in evidence.agent_replies] == [
        (RECOMMENDED, True),
        ("One a euro.", False),
    ]
    shown = printed(lambda: show_evidence(evidence), monkeypatch)
    assert shown.count("the assistant should have said this") == 1


def printed(show: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> str:
    recorder = Console(record=True, width=200, highlight=False, soft_wrap=True)
    monkeypatch.setattr(console, "out", recorder)
    show()
    return recorder.export_text()


def test_the_console_shows_it_and_obeys_nothing_in_it(
    loop: Loop, tracker: TrackerFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.say("ann", "points [bold red]now[/bold red] \x1b[31m[/] back\\")
    mine_into_gap(loop)
    evidence = evidence_of(loop)
    use = LabelUse("track_order", START, START)
    text = printed(lambda: show_evidence(replace(evidence, uses=(use,))), monkeypatch)
    assert "points [bold red]now[/bold red]" in text
    assert "[/] back" in text
    assert "\x1b" not in text
    assert "<- failed" in text
    assert "1 messages of 1 people" in text
    assert "track_order was last understood on 2024-03-01" in text


def test_long_lines_are_cut_on_the_console(loop: Loop, tracker: TrackerFile, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker.say("ann", "points " + "x" * 3000)
    mine_into_gap(loop)
    evidence = evidence_of(loop)
    text = printed(lambda: show_evidence(evidence), monkeypatch)
    assert max(map(len, text.splitlines())) < 500
    assert "…" in text


def test_a_hostile_proposal_neither_moves_the_cursor_nor_adds_a_line(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\x1b]0;pwn\x07 \x9b31m \u202e [red]x[/red]\nscore: 100"
    said = proposal(
        label=f"learned/{evil}",
        examples=(evil,),
        answer=f"First.\n{evil}",
        sources=(Source(evil, evil, 0.5),),
        warnings=(evil,),
        assignee=evil,
        drafter=f"machine:{evil}",
        replay=Replay(2, 1, 2, 1, broken_texts=(evil,), broken_labels=(evil,)),
    )
    text = printed(lambda: console.show_proposal(said, gap(said.gap_id, name=evil)), monkeypatch)
    text += printed(lambda: console.show_proposals([said], {said.gap_id: gap(said.gap_id)}), monkeypatch)
    assert not {char for char in text if not char.isprintable()} - {"\n"}
    assert "would break: ]0;pwn 31m [red]x[/red] score: 100 (now ]0;pwn" in text
    assert "answer: First.\n        ]0;pwn 31m [red]x[/red]\n        score: 100 (worded by ]0;pwn" in text
    assert sum(one.startswith("score: ") for one in text.splitlines()) == 1


def test_whatever_is_printed_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    console.out.print("[bold]a[/bold] \x1b[2J \x9b \ud83d\tb\nc \u200d")
    assert capsys.readouterr().out == "a  [2J     b\nc \u200d\n"


def test_half_an_emoji_is_told_to_programs_as_unreadable(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"a\udcff": ["half \ud83d", "\ud83d\ude00", Path("x")]})
    assert orjson.loads(capsys.readouterr().out) == {"a\ufffd": ["half \ufffd", "\U0001f600", "x"]}


def test_programs_get_it_as_json(loop: Loop, tracker: TrackerFile, capsys: pytest.CaptureFixture[str]) -> None:
    tracker.say("ann", "points a")
    mine_into_gap(loop)
    console.print_json(evidence_of(loop))
    told = orjson.loads(capsys.readouterr().out)
    assert told["samples"][0]["lines"][0] == {
        "speaker": "customer",
        "text": "points a",
        "at": START.isoformat(),
        "failed": True,
    }
    assert told["turns"] == 1


def test_reading_evidence_stores_nothing(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "points a")
    mine_into_gap(loop)
    before = _rows(loop)
    evidence_of(loop)
    assert _rows(loop) == before


def _rows(loop: Loop) -> list[str]:
    database = loop.settings.root / "var" / "learning.db"
    with sqlite3.connect(database) as connection:
        return list(connection.iterdump())


def test_the_proposal_in_any_state_has_evidence(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "points a")
    mine_into_gap(loop)
    rejected: Proposal = proposal(1, gap_id=GAP, state=ProposalState.REJECTED)
    assert len(read_evidence(loop, rejected).samples) == 1
