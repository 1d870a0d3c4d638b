"""What agents do, and what happens to those who come second."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from desk import service
from desk.errors import NotSaid, Taken
from desk.model import LONGEST_REPLY, MARKS, Delivery, Kind, Mark, Reason, State
from learning.errors import NotFound
from tests.desk_world import FRIDAY_NOON, DeskWorld, make_desk_world


@pytest.fixture
def world(tmp_path: Path) -> DeskWorld:
    return make_desk_world(tmp_path)


def handed_over(world: DeskWorld, sender: str = "ann") -> str:
    world.ask(sender)
    world.worker.step()
    return world.only()


def test_a_hand_over_in_the_tracker_waits_at_the_desk_once(world: DeskWorld) -> None:
    world.ask("ann", reason="service_failed", topic="track_order", reference="T-1", mood=0.7)
    world.worker.step()
    world.worker.step()

    (found,) = world.desk.store.open_handovers()
    assert (found.reason, found.state, found.live, found.paused) == (Reason.SERVICE_FAILED, State.WAITING, True, True)
    assert (found.topic, found.reference, found.mood) == ("track_order", "T-1", 0.7)


def test_of_two_agents_one_gets_it_and_the_other_is_told(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    with pytest.raises(Taken, match="is with anna"):
        service.take(world.desk, handover_id, "bert", "j2")
    assert service.take(world.desk, handover_id, "anna", "j3").agent == "anna"  # a second click
    assert [one.kind for one in world.desk.store.messages(handover_id)] == [Kind.JOINED]
    with pytest.raises(Taken, match="is with anna"):
        service.reply(world.desk, handover_id, "bert", "hello", "r1")


def test_the_customer_sees_that_an_answer_is_written_and_nothing_of_it_is_kept(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    with pytest.raises(Taken):
        service.note_typing(world.desk, handover_id, "anna")
    service.take(world.desk, handover_id, "anna", "j1")
    service.note_typing(world.desk, handover_id, "anna")
    service.note_typing(world.desk, handover_id, "anna")
    world.worker.step()
    world.worker.step()
    assert world.bot.typing == ["ann"]
    service.note_typing(world.desk, handover_id, "anna")
    world.clock.wait(4)  # nobody led the desk meanwhile
    world.worker.step()
    assert world.bot.typing == ["ann"]


def test_two_who_saw_the_same_state_cannot_both_change_it(world: DeskWorld) -> None:
    seen = world.desk.store.handover(handed_over(world))
    world.desk.store.change(seen, seen, None)
    with pytest.raises(Taken):
        world.desk.store.change(seen, seen, None)


def test_an_answer_arrives_once_and_in_order(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    service.reply(world.desk, handover_id, "anna", "one", "r1")
    service.reply(world.desk, handover_id, "anna", "one", "r1")  # a double click
    service.reply(world.desk, handover_id, "anna", "two", "r2")
    world.bot.fail = ["before", "after"]
    for _ in range(6):
        world.worker.step()
        world.clock.wait(60)

    assert [one.text for one in world.bot.stored if one.kind is Kind.REPLY] == ["one", "two"]
    assert {one.state for one in world.desk.store.messages(handover_id)} == {Delivery.DELIVERED}
    lines = service.chat(world.desk, handover_id, "anna").transcript.lines
    assert [(line.who, line.text) for line in lines if line.who == "agent"] == [("agent", "one"), ("agent", "two")]


def test_a_later_message_never_overtakes_one_that_is_stuck(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    world.bot.fail = ["before"] * 3
    for number in range(3):
        service.reply(world.desk, handover_id, "anna", f"text {number}", f"r{number}")
        world.worker.step()
    assert world.bot.stored == []
    (stuck, *_) = service.chat(world.desk, handover_id, "anna").pending
    assert stuck.problem == "The assistant does not answer"
    for _ in range(3):
        world.clock.wait(60)
        world.worker.step()
    assert [one.text for one in world.bot.stored][1:] == ["text 0", "text 1", "text 2"]


def test_what_can_never_arrive_is_said_and_does_not_block(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    world.bot.gone.add("ann")
    service.take(world.desk, handover_id, "anna", "j1")
    world.worker.step()
    (message,) = world.desk.store.messages(handover_id)
    assert (message.state, message.problem) == (Delivery.FAILED, "is gone")


@pytest.mark.parametrize("text", ["", "   ", "x" * (LONGEST_REPLY + 1)])
def test_nothing_and_too_much_are_not_sent(world: DeskWorld, text: str) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    with pytest.raises(NotSaid):
        service.reply(world.desk, handover_id, "anna", text, "r1")


def test_the_same_id_with_other_words_is_refused(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    service.reply(world.desk, handover_id, "anna", "one", "r1")
    with pytest.raises(NotSaid, match="other words"):
        service.reply(world.desk, handover_id, "anna", "two", "r1")


def test_nobody_closes_over_a_message_that_they_have_not_seen(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    seen = service.chat(world.desk, handover_id, "anna").transcript.last_customer_row
    world.say("ann", "one more thing")
    with pytest.raises(Taken, match="new message"):
        service.close(world.desk, handover_id, "anna", False, "", seen, "c1")
    seen = service.chat(world.desk, handover_id, "anna").transcript.last_customer_row
    closed = service.close(world.desk, handover_id, "anna", True, "sent a label", seen, "c1")
    assert (closed.state, closed.note) == (State.RETURNED, "sent a label")
    world.worker.step()
    world.worker.step()
    assert not world.desk.store.handover(handover_id).paused


def test_what_comes_in_before_the_assistant_is_back_waits_again(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    seen = service.chat(world.desk, handover_id, "anna").transcript.last_customer_row
    service.close(world.desk, handover_id, "anna", False, "", seen, "c1")
    world.bot.fail = ["before"]
    world.worker.step()
    world.say("ann", "are you still there?")  # Rasa is paused: nobody answers this
    world.clock.wait(60)
    world.worker.step()
    world.worker.step()

    (again,) = world.desk.store.open_handovers()
    assert (again.reason, again.live) == (Reason.WROTE_AGAIN, True)
    world.say("ann", "hello assistant")  # now it answers by itself
    world.worker.step()
    assert len(world.desk.store.open_handovers()) == 1


def test_a_chat_goes_to_a_colleague_on_duty_only(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    with pytest.raises(NotSaid, match="not on duty"):
        service.transfer(world.desk, handover_id, "anna", "bert", "t1")
    service.set_duty(world.desk, "bert", True)
    assert service.transfer(world.desk, handover_id, "anna", "bert", "t1").agent == "bert"
    service.reply(world.desk, handover_id, "bert", "hello", "r1")
    released = service.release(world.desk, handover_id, "bert")
    assert (released.state, released.agent) == (State.WAITING, None)


def test_who_waits_in_silence_gets_the_assistant_back_with_a_promise(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    world.clock.wait(60)
    world.worker.step()
    assert world.bot.stored == []
    world.clock.wait(61)  # nobody is on duty
    world.worker.step()
    world.worker.step()
    world.worker.step()

    (told,) = world.bot.stored
    assert told.kind is Kind.AWAY
    assert "Friday 16:0" in told.text
    found = world.desk.store.handover(handover_id)
    assert (found.state, found.live, found.paused) == (State.WAITING, False, False)
    assert not found.is_overdue(world.clock())
    world.clock.wait(5 * 3600)
    assert found.is_overdue(world.clock())


def test_with_somebody_on_duty_patience_lasts_longer(world: DeskWorld) -> None:
    handed_over(world)
    for _ in range(9):
        service.set_duty(world.desk, "anna", True)
        world.clock.wait(60)
        world.worker.step()
    assert world.bot.stored == []
    service.set_duty(world.desk, "anna", True)
    world.clock.wait(61)
    world.worker.step()
    assert [one.kind for one in world.bot.stored] == [Kind.AWAY]


def test_what_an_agent_left_with_an_unread_message_goes_back_into_the_queue(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    service.reply(world.desk, handover_id, "anna", "hello", "r1")
    service.chat(world.desk, handover_id, "anna")
    world.clock.wait(400)
    world.worker.step()
    assert world.desk.store.handover(handover_id).state is State.TAKEN  # it is the customer's turn
    world.say("ann", "and now?")
    world.worker.step()
    world.worker.step()
    assert world.desk.store.handover(handover_id).state is State.WAITING


def test_asking_again_is_the_same_hand_over(world: DeskWorld) -> None:
    world.ask("ann", 1, live=False)
    world.worker.step()
    world.ask("ann", 2, live=True, reason="frustrated")
    world.worker.step()
    (found,) = world.desk.store.open_handovers()
    assert (found.reason, found.live) == (Reason.FRUSTRATED, True)
    assert [step.what for step in world.desk.store.steps(found.handover_id)] == ["asked", "asked"]


def test_a_project_that_only_pauses_hands_over_too(world: DeskWorld) -> None:
    world.say("ann", "a person")
    world.tracker.add("ann", {"event": "pause"})
    world.worker.step()
    world.worker.step()
    (found,) = world.desk.store.open_handovers()
    assert (found.reason, found.paused) == (Reason.ASKED, True)


def test_an_emptied_tracker_store_is_read_from_its_start(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.close(world.desk, handover_id, "anna", False, "", 99, "c1")
    world.worker.step()
    world.worker.step()
    world.tracker.execute("DELETE FROM events")
    world.ask("bea")
    world.worker.step()
    world.worker.step()
    assert [one.sender_id for one in world.desk.store.open_handovers()] == ["bea"]


def test_one_worker_leads_until_it_dies(world: DeskWorld) -> None:
    other = type(world.worker)(world.desk, world.bot)
    assert world.worker.step()
    assert not other.step()
    world.clock.wait(11)
    assert other.step()
    assert not world.worker.step()


def test_the_outlook_counts_those_who_wait_for_somebody_now(world: DeskWorld) -> None:
    assert not service.outlook(world.desk).is_live
    service.set_duty(world.desk, "anna", True)
    world.ask("ann")
    world.ask("bea", live=False)
    world.worker.step()
    found = service.outlook(world.desk)
    assert (found.is_live, found.agents, found.ahead, found.due) == (True, 1, 1, "Friday 16:00")
    world.clock.at = FRIDAY_NOON.replace(hour=21)
    assert service.outlook(world.desk).opens == "Saturday 09:00"


def test_a_message_is_marked_as_what_the_assistant_should_have_said(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    service.reply(world.desk, handover_id, "anna", "Points never expire.", "r1")
    assert service.teach(world.desk, handover_id, "anna", "r1", True)
    assert not service.teach(world.desk, handover_id, "bert", "r1", True)  # a second click
    assert [one.text for one in world.desk.store.taught()] == ["Points never expire."]
    for message_id in ("j1", "unknown"):
        with pytest.raises(NotFound):
            service.teach(world.desk, handover_id, "anna", message_id, True)


def test_a_mark_goes_into_the_conversation_once_each_time_and_nobody_sees_it(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    service.reply(world.desk, handover_id, "anna", "Points never expire.", "r1")
    for taught in (True, True, False, True):
        service.teach(world.desk, handover_id, "anna", "r1", taught)
    assert [one.kind for one in service.chat(world.desk, handover_id, "anna").pending] == [Kind.JOINED, Kind.REPLY]
    world.bot.fail = ["", "after", "after", "before"]
    for _ in range(9):
        world.worker.step()
        world.clock.wait(60)
        world.desk.store.touch("anna", world.clock())
    marks = [(one.kind, one.note, one.agent, one.text) for one in world.bot.stored if one.kind in MARKS]
    assert marks == [(kind, "r1", "anna", "") for kind in (Kind.RECOMMENDED, Kind.UNRECOMMENDED, Kind.RECOMMENDED)]
    shown = service.chat(world.desk, handover_id, "anna").transcript
    assert [line.text for line in shown.lines if line.who == "agent"] == ["Points never expire."]
    assert shown.slots == ()


def test_what_people_do_is_told_to_the_audit_log_once_and_without_words(world: DeskWorld) -> None:
    told: list[tuple[str, str, str, str]] = []
    desk = replace(world.desk, audit=lambda who, what, item, detail: told.append((who, what, item.sender_id, detail)))
    handover_id = handed_over(world)
    service.set_duty(desk, "bert", True)
    for _ in range(2):
        service.take(desk, handover_id, "anna", "j1")
    for _ in range(2):
        service.reply(desk, handover_id, "anna", "Points never expire.", "r1")
        service.teach(desk, handover_id, "anna", "r1", True)
    service.transfer(desk, handover_id, "anna", "bert", "t1")
    service.release(desk, handover_id, "bert")
    for _ in range(2):
        service.close(desk, handover_id, "bert", True, "all done", 99, "c1")
    assert told == [
        ("anna", "take", "ann", ""),
        ("anna", "reply", "ann", "r1"),
        ("anna", "recommend", "ann", "r1"),
        ("anna", "transfer", "ann", "bert"),
        ("bert", "release", "ann", ""),
        ("bert", "return", "ann", ""),
    ]


def test_a_person_is_forgotten(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    assert world.desk.store.forget("ann", world.clock()) == 1
    with pytest.raises(NotFound):
        world.desk.store.handover(handover_id)
    assert world.desk.store.message("j1") is None


def wait(world: DeskWorld, minutes: float, present: str = "") -> None:
    """Let the worker work on while time passes; an agent's open page says so meanwhile."""
    for _ in range(int(minutes * 2)):
        world.clock.wait(30)
        if present:
            world.desk.store.touch(present, world.clock())
        world.worker.step()


def promise(world: DeskWorld, hours: float = 4) -> str:
    world.ask("ann", live=False, due_at=(world.clock() + timedelta(hours=hours)).isoformat())
    world.worker.step()
    return world.only()


@pytest.mark.parametrize("answers", [False, True])
def test_who_is_put_back_into_the_queue_does_not_wait_in_silence(world: DeskWorld, answers: bool) -> None:
    handover_id = promise(world)
    service.take(world.desk, handover_id, "anna", "j1")
    world.worker.step()
    if answers:
        service.reply(world.desk, handover_id, "anna", "Which order?", "r1")
    service.release(world.desk, handover_id, "anna")
    world.say("ann", "hello? anybody?")
    wait(world, 20, present="anna")
    assert world.bot.stored[-1].kind is Kind.AWAY
    found = world.desk.store.handover(handover_id)
    assert (found.state, found.paused) == (State.WAITING, False)


def test_what_is_promised_is_always_still_to_come_and_turns_red(world: DeskWorld) -> None:
    handover_id = promise(world, hours=1)
    service.take(world.desk, handover_id, "anna", "j1")
    service.reply(world.desk, handover_id, "anna", "hi", "r1")
    wait(world, 120, present="anna")
    assert not world.desk.store.handover(handover_id).is_overdue(world.clock())  # it was kept
    world.say("ann", "and now?")
    wait(world, 10)
    found = world.desk.store.handover(handover_id)
    assert world.bot.stored[-1].kind is Kind.AWAY
    assert found.due_at is not None
    assert found.due_at > world.clock()
    world.clock.wait(24 * 3600)
    assert found.is_overdue(world.clock())
    service.take(world.desk, handover_id, "anna", "j2")
    service.reply(world.desk, handover_id, "anna", "here I am", "r2")
    assert not world.desk.store.handover(handover_id).is_overdue(world.clock())


def test_a_promise_that_was_broken_before_is_made_anew(world: DeskWorld) -> None:
    handover_id = promise(world, hours=1)
    world.clock.wait(2 * 3600)
    assert world.desk.store.handover(handover_id).is_overdue(world.clock())
    service.take(world.desk, handover_id, "anna", "j1")
    world.worker.step()
    service.release(world.desk, handover_id, "anna")
    wait(world, 11, present="anna")
    due_at = world.desk.store.handover(handover_id).due_at
    assert due_at is not None
    assert due_at > world.clock()


def closed_chat(world: DeskWorld, sender: str) -> None:
    """A chat with a person that was settled, and in which the customer has written."""
    handover_id = handed_over(world, sender)
    service.take(world.desk, handover_id, "anna", f"{sender}-j")
    world.worker.step()
    world.say(sender, "details")
    world.worker.step()
    seen = service.chat(world.desk, handover_id, "anna").transcript.last_customer_row
    service.close(world.desk, handover_id, "anna", False, "ok", seen, f"{sender}-c")
    world.worker.step()
    world.worker.step()


def test_forgetting_the_newest_conversation_opens_no_settled_one_again(world: DeskWorld) -> None:
    closed_chat(world, "ann")
    world.say("bea", "hello")
    world.worker.step()
    world.tracker.execute("DELETE FROM events WHERE sender_id = 'bea'")
    world.worker.step()
    world.worker.step()
    assert world.desk.store.open_handovers() == []


@pytest.mark.parametrize("first", ["carl", "bea"])
def test_a_hand_over_that_gets_the_ids_of_forgotten_events_is_seen(world: DeskWorld, first: str) -> None:
    closed_chat(world, "ann")
    closed_chat(world, "bea")
    for number in range(6):
        world.say("bea", f"x{number}")
    world.worker.step()
    world.clock.wait(120)
    world.tracker.execute("DELETE FROM events WHERE sender_id = 'bea'")
    world.ask(first, 7)  # before the worker looks: a restart, or a slow delivery
    for _ in range(12):
        world.say(first, "y")
    world.worker.step()
    world.worker.step()
    assert [one.sender_id for one in world.desk.store.open_handovers()] == [first]


def test_a_watermark_of_an_earlier_version_is_read_on_from(world: DeskWorld) -> None:
    closed_chat(world, "ann")
    world.desk.store.set_watermark(Mark(world.desk.store.watermark().row_id))
    world.ask("bea")
    world.worker.step()
    assert [one.sender_id for one in world.desk.store.open_handovers()] == ["bea"]
    assert world.desk.store.watermark().key


def test_a_clock_that_is_set_back_leaves_the_newest_hand_over_the_newest(world: DeskWorld) -> None:
    closed_chat(world, "ann")
    world.clock.wait(-600)
    world.ask("ann", 2)
    world.worker.step()
    world.say("ann", "hello?")
    world.worker.step()
    (found,) = world.desk.store.open_handovers()
    assert (found.reason, found.live) == (Reason.ASKED, True)
    wait(world, 20)
    assert world.bot.stored[-1].kind is Kind.AWAY


def test_all_forms_of_one_page_are_messages_of_their_own(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "m1")
    seen = service.chat(world.desk, handover_id, "anna").transcript.last_customer_row
    service.reply(world.desk, handover_id, "anna", "done", "m1")
    service.close(world.desk, handover_id, "anna", False, "", seen, "m1")
    world.worker.step()
    world.worker.step()
    assert [one.kind for one in world.bot.stored] == [Kind.JOINED, Kind.REPLY, Kind.RESOLVED]
    assert not world.desk.store.handover(handover_id).paused


def test_a_message_whose_id_is_taken_is_refused_and_nothing_changes(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    service.reply(world.desk, handover_id, "anna", "one", "r1")
    before = world.desk.store.handover(handover_id)
    (*_, sent) = world.desk.store.messages(handover_id)
    with pytest.raises(NotSaid, match="other words"):
        world.desk.store.change(before, replace(before, note="x"), None, replace(sent, text="two"))
    assert world.desk.store.handover(handover_id) == before


def test_who_writes_while_a_chat_is_being_closed_gets_a_promise(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    world.worker.step()
    seen = service.chat(world.desk, handover_id, "anna").transcript.last_customer_row
    service.close(world.desk, handover_id, "anna", False, "", seen, "c1")
    world.say("ann", "wait, one more thing")
    wait(world, 20)
    assert [one.kind for one in world.bot.stored] == [Kind.JOINED, Kind.RESOLVED, Kind.AWAY]
    world.clock.wait(24 * 3600)
    (found,) = world.desk.store.open_handovers()
    assert found.is_overdue(world.clock())


def test_a_colleague_who_is_gone_does_not_keep_a_chat(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.set_duty(world.desk, "bert", True)
    service.take(world.desk, handover_id, "anna", "j1")
    service.reply(world.desk, handover_id, "anna", "bert knows more", "r1")
    world.clock.wait(60)
    service.transfer(world.desk, handover_id, "anna", "bert", "t1")
    wait(world, 20)
    assert world.bot.stored[-1].kind is Kind.AWAY
    assert world.desk.store.handover(handover_id).state is State.WAITING


def test_what_was_only_looked_at_is_not_answered(world: DeskWorld) -> None:
    handover_id = handed_over(world)
    service.take(world.desk, handover_id, "anna", "j1")
    service.reply(world.desk, handover_id, "anna", "hello", "r1")
    world.clock.wait(60)
    world.say("ann", "and now?")
    world.worker.step()
    service.chat(world.desk, handover_id, "anna")
    wait(world, 20)
    assert world.desk.store.handover(handover_id).state is State.WAITING


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_pause_that_was_kept_for_nobody_waits_again(world: DeskWorld, forgotten: bool) -> None:
    closed_chat(world, "ann")
    if forgotten:
        world.desk.store.forget("ann", world.clock())
        world.clock.wait(1)
    world.tracker.add("ann", {"event": "session_started"})
    world.say("ann", "still there?")
    world.tracker.add("ann", {"event": "pause", "metadata": {"desk": "kept", "by": "anna"}})
    world.worker.step()
    (found,) = world.desk.store.open_handovers()
    assert (found.reason, found.live) == (Reason.WROTE_AGAIN, True)
    wait(world, 20)
    assert world.bot.stored[-1].kind is Kind.AWAY
