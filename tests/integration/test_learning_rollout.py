"""An entry reaches its users step by step, and goes back by itself when it does harm."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from learning import __main__ as command_line
from learning.adapters import schema
from learning.adapters.store import Store
from learning.errors import NotFound, ReviewError
from learning.history import tried_for
from learning.loop import Loop
from learning.model import Action, Change, Decision, Entry, ProposalState, Release, ReleaseKind, sender_key
from learning.pipeline import learned_files, mine, review
from learning.rollout import advance, pause, resume, set_share
from learning.rollout_progress import find_progress, read_progress, stopped_rollouts, why_stopped
from learning.rollout_steps import Schedule
from tests.learning_builders import START, TrackerFile, make_loop, make_project, talk

RELEASED = START + timedelta(hours=1)
SLOWLY = Schedule((25, 50, 100), 24.0)


@pytest.fixture
def tracker(tmp_path: Path) -> TrackerFile:
    return TrackerFile(make_project(tmp_path) / "var" / "tracker.db")


@pytest.fixture
def loop(tracker: TrackerFile, tmp_path: Path) -> Loop:
    """Ten people asked; what answers them goes to a quarter of the users."""
    talk(tracker)
    loop = make_loop(tmp_path)
    mine(loop)
    (waiting,) = loop.store.proposals()
    review(at(loop, 0), Decision(waiting.proposal_id, Action.APPROVE, "ann", RELEASED), schedule=SLOWLY)
    tracker.wait(3600)
    return loop


def at(loop: Loop, hours: float) -> Loop:
    """The loop so many hours after the release."""
    return replace(loop, now=lambda: RELEASED + timedelta(hours=hours))


def entry_of(loop: Loop) -> Entry:
    (found,) = loop.store.entries()
    return found


def shares(releases: Sequence[Release]) -> list[tuple[ReleaseKind, int, int]]:
    return [(one.what, change.before, change.after) for one in releases for change in one.changes]


def ask(tracker: TrackerFile, loop: Loop, people: int, wants_person: int, on: bool = True, name: str = "late") -> None:
    """People ask what the entry answers; the first of them ask for a person then."""
    entry = entry_of(loop)
    for number in range(people):
        sender = f"{name}{'on' if on else 'off'}{number}"
        told: dict[str, Any] = {"overlay": {"entry_id": entry.entry_id, "version": 1, "similarity": 0.9}}
        text, intent, reply = f"loyalty points {number}", "learned", "With every order."
        if not on:
            told, intent, reply = {"overlay_withheld": entry.entry_id}, "nlu_fallback", "Sorry?"
        tracker.say(sender, text, intent, 0.9, reply, parsed=told)
        if number < wants_person:
            tracker.say(sender, "a person please", "talk_to_person", 0.9, "One moment.")
        tracker.wait(600)


def chat(tracker: TrackerFile, people: int) -> None:
    """Others ask what the bot can answer, and are content."""
    for number in range(people):
        tracker.say(f"other{number}", "where is my parcel", "track_order", 0.97, "It comes tomorrow.")
        tracker.wait(60)


# --- the schedule ----------------------------------------------------------------------------------


def test_it_goes_live_for_the_first_step_and_on_when_the_next_one_is_due(loop: Loop) -> None:
    assert (entry_of(loop).share, learned_files(loop)) == (25, {})
    assert advance(at(loop, 23.9)) == []

    assert shares(advance(at(loop, 24))) == [(ReleaseKind.ROLLOUT, 25, 50)]
    assert advance(at(loop, 47)) == []
    assert shares(advance(at(loop, 48))) == [(ReleaseKind.ROLLOUT, 50, 100)]
    assert (entry_of(loop).share, len(learned_files(loop))) == (100, 1)
    assert advance(at(loop, 500)) == []
    assert loop.store.verify_audit() == []
    assert [row.what for row in loop.store.audit_rows()][-2:] == ["rollout", "rollout"]


def test_after_a_pause_of_the_scheduler_only_one_step_is_made(loop: Loop) -> None:
    assert len(advance(at(loop, 1000))) == 1
    assert advance(at(loop, 1001)) == []


def test_mining_makes_the_steps(loop: Loop) -> None:
    mine(at(loop, 25))

    assert entry_of(loop).share == 50


def test_each_step_is_seen_by_running_bots(loop: Loop) -> None:
    before = loop.store.overlay_version()
    advance(at(loop, 24))

    assert loop.store.overlay_version() == before + 1


def test_without_a_schedule_everybody_gets_it_at_once(tracker: TrackerFile, tmp_path: Path) -> None:
    talk(tracker)
    loop = make_loop(tmp_path)
    mine(loop)
    (waiting,) = loop.store.proposals()
    review(loop, Decision(waiting.proposal_id, Action.APPROVE, "ann", RELEASED))

    assert entry_of(loop).share == 100
    (progress,) = read_progress(loop)
    assert (progress.next_share, len(progress.comparisons)) == (None, 3)


def test_a_share_that_is_set_by_hand_ends_the_schedule(loop: Loop) -> None:
    release = set_share(at(loop, 1), entry_of(loop).entry_id[:6], 40, "bob", "looks well")

    assert (release.who, release.reason, shares([release])) == ("bob", "looks well", [(ReleaseKind.ROLLOUT, 25, 40)])
    assert advance(at(loop, 500)) == []
    with pytest.raises(ReviewError, match="40 % already"):
        set_share(loop, entry_of(loop).entry_id, 40, "bob")


def test_a_share_that_is_set_by_hand_can_keep_the_schedule(loop: Loop) -> None:
    set_share(at(loop, 10), entry_of(loop).entry_id, 50, "bob", keep_schedule=True)

    assert advance(at(loop, 33)) == []
    assert shares(advance(at(loop, 34))) == [(ReleaseKind.ROLLOUT, 50, 100)]


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_share_is_a_percentage(loop: Loop, percent: int) -> None:
    with pytest.raises(ReviewError, match="use 1 to 100"):
        set_share(loop, entry_of(loop).entry_id, percent, "bob")


def test_what_is_paused_stays_until_it_is_resumed(loop: Loop) -> None:
    key = entry_of(loop).entry_id
    paused = pause(at(loop, 1), key, "bob", "holidays")

    assert paused.stopped == "paused by bob: holidays"
    assert advance(at(loop, 500)) == []
    with pytest.raises(ReviewError, match="no further step"):
        pause(loop, key, "bob")
    resume(at(loop, 500), key, "bob")
    assert advance(at(loop, 523)) == []
    assert shares(advance(at(loop, 524))) == [(ReleaseKind.ROLLOUT, 25, 50)]
    with pytest.raises(ReviewError, match="is on its way"):
        resume(loop, key, "bob")
    assert [row.what for row in loop.store.audit_rows()][-3:] == ["pause", "resume", "rollout"]


def test_a_pause_while_a_step_is_made_counts(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = Store.release

    def slowly(store: Store, *given: Any, **more: Any) -> Release:
        pause(at(loop, 24), entry_of(loop).entry_id, "bea", "complaints")
        return genuine(store, *given, **more)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Store, "release", slowly)
        assert advance(at(loop, 24)) == []
    assert loop.store.rollouts()[0].stopped == "paused by bea: complaints"
    assert advance(at(loop, 48)) == []
    assert entry_of(loop).share == 25


def test_what_everybody_gets_cannot_go_on(loop: Loop) -> None:
    set_share(loop, entry_of(loop).entry_id, 100, "bob")

    with pytest.raises(ReviewError, match="no step above 100 %"):
        resume(loop, entry_of(loop).entry_id, "bob")


def test_an_id_that_fits_nothing_is_refused(loop: Loop) -> None:
    for wrong in ("", "zz"):
        with pytest.raises(NotFound, match="rollout list"):
            set_share(loop, wrong, 50, "bob")


# --- people whom it has not reached ----------------------------------------------------------------


def test_those_without_it_do_not_reopen_its_gap_and_are_proposed_for_nothing(loop: Loop, tracker: TrackerFile) -> None:
    ask(tracker, loop, 12, 0, on=False)
    report = mine(at(loop, 10))

    (gap,) = loop.store.gaps().values()
    assert (report.new_proposals, gap.is_reopened, gap.people) == (0, False, 9)
    (found,) = {one.arm for one in loop.store.exposures(entry_of(loop).entry_id)}
    assert found == "off"


# --- the stop rule -----------------------------------------------------------------------------------


def test_what_sends_people_to_agents_goes_back_by_itself(loop: Loop, tracker: TrackerFile) -> None:
    chat(tracker, 200)
    ask(tracker, loop, 40, 30)
    mine(at(loop, 20))

    entry = entry_of(loop)
    (stop,) = (one for one in loop.store.releases() if one.what is ReleaseKind.STOP)
    assert shares([stop]) == [(ReleaseKind.STOP, 25, 0)]
    assert "followed by a hand-over to a person: 30 of 40 (75 %) of people" in stop.reason
    assert (entry.state, loop.store.proposal(entry.proposal_id).state) == (ProposalState.WITHDRAWN,) * 2
    ((back, rollout),) = stopped_rollouts(loop)
    assert (back.entry_id, rollout.stopped) == (entry.entry_id, stop.reason)
    assert loop.store.verify_audit() == []


def test_its_gap_is_open_again_and_says_why(loop: Loop, tracker: TrackerFile) -> None:
    chat(tracker, 200)
    ask(tracker, loop, 40, 30)
    mine(at(loop, 20))

    (gap,) = (one for one in loop.store.gaps().values() if one.name.startswith("loyalty"))
    assert gap.is_reopened
    (why,) = why_stopped(loop, [gap.gap_id])[gap.gap_id]
    assert "went back by itself" in why
    assert tried_for(loop, [gap])[gap.gap_id][0].state is ProposalState.WITHDRAWN


def test_those_whom_it_had_not_reached_count_in_the_gap_once_it_is_gone(loop: Loop, tracker: TrackerFile) -> None:
    chat(tracker, 200)
    ask(tracker, loop, 12, 0, on=False)
    ask(tracker, loop, 40, 30)
    report = mine(at(loop, 20))

    (gap,) = (one for one in loop.store.gaps().values() if one.name.startswith("loyalty"))
    assert gap.people == 9 + 12
    assert report.new_proposals == 1
    (waiting,) = (one for one in loop.store.proposals() if one.state is ProposalState.PENDING)
    assert waiting.gap_id == gap.gap_id


def test_what_does_well_goes_on(loop: Loop, tracker: TrackerFile) -> None:
    chat(tracker, 200)
    ask(tracker, loop, 40, 1)
    mine(at(loop, 25))

    assert (entry_of(loop).share, entry_of(loop).state) == (50, ProposalState.PUBLISHED)


def test_what_is_watched_no_more_stays(loop: Loop, tracker: TrackerFile) -> None:
    set_share(at(loop, 0), entry_of(loop).entry_id, 100, "bob")
    chat(tracker, 200)
    ask(tracker, loop, 40, 30)

    mine(at(loop, 15 * 24))
    assert entry_of(loop).share == 100
    assert find_progress(at(loop, 15 * 24), entry_of(loop).entry_id, watch=True).comparisons == ()


def test_what_a_person_brings_back_is_judged_by_what_comes_then(loop: Loop, tracker: TrackerFile) -> None:
    chat(tracker, 200)
    ask(tracker, loop, 40, 30)
    mine(at(loop, 20))
    entry = entry_of(loop)
    restored = at(loop, 21)
    loop.store.release(ReleaseKind.RESTORE, [change_back(entry)], "ann", restored.now(), "it is right")

    mine(at(loop, 22))
    progress = find_progress(at(loop, 22), entry.entry_id, watch=True)
    assert (progress.entry.share, progress.next_share) == (25, None)
    assert [one.mine.of for one in progress.comparisons] == [0, 0, 0]


def change_back(entry: Entry) -> Change:
    return Change(entry.entry_id, 0, entry.share)


def test_mining_again_finds_the_same_and_the_counts_do_not_double(loop: Loop, tracker: TrackerFile) -> None:
    chat(tracker, 5)
    ask(tracker, loop, 6, 1)
    mine(at(loop, 3))
    before = loop.store.exposures(entry_of(loop).entry_id), loop.store.answers_since(START)
    mine(at(loop, 3))

    assert (loop.store.exposures(entry_of(loop).entry_id), loop.store.answers_since(START)) == before
    tracker.say("lateon5", "and another thing", "nlu_fallback", 0.3)
    mine(at(loop, 3))
    found = {one.turn_id: one for one in loop.store.exposures(entry_of(loop).entry_id)}
    assert len(found) == 6
    assert sum(one.fallback_after for one in found.values()) == 1


def test_who_is_forgotten_leaves_no_exposure(loop: Loop, tracker: TrackerFile) -> None:
    ask(tracker, loop, 3, 0)
    mine(at(loop, 3))
    erased = loop.store.erase(sender_key("lateon1"), [], lambda texts: "", RELEASED, "ann", RELEASED)

    assert erased.rows["exposures"] == 1
    assert len(loop.store.exposures(entry_of(loop).entry_id)) == 2


def test_a_conversation_keeps_its_last_thumb_and_mark(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "hello", "greet", 0.9, None)
    stamp = tracker.add("ann", {"event": "bot", "text": "Hello.", "data": {}, "metadata": {}})
    tracker.add("ann", slot("last_feedback", {"message_id": repr(stamp), "value": "down"}))
    tracker.add("ann", slot("csat", 3))
    mine(at(loop, 3))

    with loop.store._database.read() as connection:  # type: ignore[attr-defined]
        table = schema.conversations
        rows = connection.execute(sa.select(table).where(table.c.thumb != 0)).all()
    assert [(row.thumb, row.csat, row.answered, row.thumbs_down) for row in rows] == [(-1, 3, 1, 1)]


def slot(name: str, value: Any) -> dict[str, Any]:
    return {"event": "slot", "name": name, "value": value}


# --- the command line --------------------------------------------------------------------------------


def run(root: Path, *arguments: str) -> str:
    result = CliRunner().invoke(command_line.cli, ["--project", str(root), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_line_tells_and_changes_how_far_it_has_come(loop: Loop, tmp_path: Path) -> None:
    key = entry_of(loop).entry_id

    assert "25 %" in run(tmp_path, "rollout", "list")
    assert "50 %" in run(tmp_path, "rollout", "show", key[:8])
    assert json.loads(run(tmp_path, "rollout", "show", key, "--json"))["next_share"] == 50
    assert "stays at 25 %" in run(tmp_path, "rollout", "pause", key, "--who", "bob", "--reason", "holidays")
    assert "paused by bob: holidays" in run(tmp_path, "rollout", "show", key)
    assert "goes on from 25 %" in run(tmp_path, "rollout", "resume", key)
    assert "No step was due." in run(tmp_path, "rollout", "advance")
    assert "25 % -> 60 %" in run(tmp_path, "rollout", "set", key, "60", "--keep")
    told = json.loads(run(tmp_path, "rollout", "list", "--json"))
    assert [one["rollout"]["steps"] for one in told["live"]] == [[60, 100]]


def test_the_command_line_says_why_something_went_back(loop: Loop, tracker: TrackerFile, tmp_path: Path) -> None:
    chat(tracker, 200)
    ask(tracker, loop, 40, 30)
    mine(at(loop, 20))
    key = entry_of(loop).entry_id

    assert "went back by itself" in run(tmp_path, "rollout", "list")
    shown = run(tmp_path, "rollout", "show", key[:8])
    assert "30 of 40 (75 %) of people" in shown.replace("\n", " ")
    assert "stopped" in json.loads(run(tmp_path, "rollout", "show", key, "--json"))["rollout"]


def test_an_approval_can_bring_its_own_steps(tracker: TrackerFile, tmp_path: Path) -> None:
    talk(tracker)
    loop = make_loop(tmp_path)
    mine(loop)
    (waiting,) = loop.store.proposals()

    run(tmp_path, "review", "approve", waiting.proposal_id, "--rollout", "5,50,100", "--hours", "2", "--who", "ann")
    (progress,) = read_progress(loop)
    assert (progress.entry.share, progress.rollout.steps, progress.rollout.hours) == (5, (5, 50, 100), 2.0)
