"""What a customer chose when the bot asked back: read from the events, labelled, grouped by the label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actions.conversation import CLARIFIES as WRITTEN
from learning.events import CLARIFIES
from learning.gaps import Grouping, Known, Standing, existing_gap_id, group_turns
from learning.model import FailedTurn, GapKind, Turn
from learning.pipeline import Loop, mine
from learning.settings import GapSettings, SignalSettings
from learning.signals import Context, detect
from tests.learning_builders import (
    LOYALTY,
    NLU,
    FakeEncoder,
    TrackerFile,
    failed_turn,
    make_loop,
    make_project,
    session,
    turn,
    turns_of,
    user_data,
)

Data = dict[str, Any]
TRACK, FAQ = '/track_order{"order_number": "10342"}', '/nlu_fallback{"answer": "faq/opening_hours"}'
NONE = "/nlu_fallback"


def question(*payloads: str, labels: object = ("track_order", "faq/opening_hours")) -> Data:
    buttons = [{"title": payload, "payload": payload} for payload in payloads or (TRACK, FAQ, NONE)]
    metadata = {CLARIFIES: list(labels) if isinstance(labels, tuple) else labels}
    return {"event": "bot", "text": "Did you mean ...?", "data": {"buttons": buttons}, "metadata": metadata}


def asked(text: str = "parcel") -> Data:
    return user_data(text, "nlu_fallback", 0.6)


def pressed(payload: str) -> Data:
    return user_data(payload, "track_order", 1.0)


def test_the_actions_write_what_mining_reads() -> None:
    assert WRITTEN == CLARIFIES


# --- from the events ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "label"), [(TRACK, "track_order"), (f" {FAQ} ", "faq/opening_hours"), (NONE, None), ("/greet", None)]
)
def test_a_pressed_button_labels_the_message_that_was_asked_about(payload: str, label: str | None) -> None:
    (one,) = turns_of(asked(), question(), pressed(payload), {"event": "bot", "text": "here"})

    assert one.clarified == label


def test_the_forms_own_question_in_between_does_not_matter() -> None:
    again = {"event": "bot", "text": "Which order?", "data": {"buttons": None}, "metadata": {}}
    (one,) = turns_of(asked(), question(), again, {"event": "action", "name": "action_listen"}, pressed(TRACK))

    assert one.clarified == "track_order"


def test_only_the_very_next_message_is_the_answer() -> None:
    turns = turns_of(asked(), question(), user_data("never mind", "never_mind"), pressed(TRACK))
    assert [one.clarified for one in turns] == [None, None]

    (one,) = turns_of(asked(), question(), pressed("/greet"), pressed(TRACK))
    assert one.clarified is None


def test_a_new_session_leaves_the_question_open() -> None:
    (one,) = turns_of(asked(), question(), {"event": "action", "name": "action_session_start"}, pressed(TRACK))

    assert one.clarified is None


def test_buttons_of_other_messages_label_nothing() -> None:
    greeting = question()
    greeting["metadata"] = {"utter_action": "utter_greet"}
    (one,) = turns_of(user_data("hello", "greet"), greeting, pressed(TRACK))

    assert one.clarified is None


@pytest.mark.parametrize("labels", [None, "track_order", {"a": 1}, [], [5, None]])
def test_odd_labels_label_nothing(labels: object) -> None:
    (one,) = turns_of(asked(), question(labels=labels), pressed(TRACK))

    assert one.clarified is None


@pytest.mark.parametrize("data", [None, [], {"buttons": "x"}, {"buttons": [None, {"payload": 5}]}])
def test_odd_buttons_label_nothing(data: object) -> None:
    (one,) = turns_of(asked(), {**question(), "data": data}, pressed(TRACK))

    assert one.clarified is None


# --- signals --------------------------------------------------------------------------------------


def signals_of(*turns: Turn) -> dict[str, list[str]]:
    (found,) = detect([session(*turns)], Context(SignalSettings(), FakeEncoder()))
    kinds: dict[str, list[str]] = {}
    for kind, finding in found:
        kinds.setdefault(finding.turn.text, []).append(kind)
    return kinds


def test_a_choice_is_a_signal_of_its_own_and_something_else_a_plain_fallback() -> None:
    chosen = turn("parcel please", "nlu_fallback", 0.6, 0, clarified="track_order")
    declined = turn("moon cheese", "nlu_fallback", 0.6, 100)

    assert signals_of(chosen) == {"parcel please": ["fallback", "clarification"]}
    assert signals_of(declined) == {"moon cheese": ["fallback"]}


def test_what_a_button_cleared_up_is_no_first_failure_of_two() -> None:
    first = turn("parcel please", "nlu_fallback", 0.6, 0)
    second = turn("moon cheese", "nlu_fallback", 0.6, 100)

    assert "repeated_fallback" in signals_of(first, second)["moon cheese"]
    assert "repeated_fallback" not in signals_of(replace(first, clarified="track_order"), second)["moon cheese"]


# --- gaps -----------------------------------------------------------------------------------------


ENCODER = FakeEncoder()
PAIRS = [(label, text) for label, texts in NLU.items() for text in texts]
LABELS, EXAMPLES = [label for label, _ in PAIRS], [text for _, text in PAIRS]
KNOWN = Known.from_examples(LABELS, EXAMPLES, ENCODER.encode(EXAMPLES))


def grouped(turns: Sequence[FailedTurn], standing: Sequence[FailedTurn] = ()) -> Grouping:
    vectors = ENCODER.encode([one.text for one in turns])
    gaps = {"standing": Standing.of(ENCODER.encode([one.text for one in standing]), KNOWN.metric)} if standing else {}
    return group_turns(turns, vectors, gaps, KNOWN, GapSettings())


def chosen(text: str, sender: str, label: str) -> FailedTurn:
    return replace(failed_turn(text, sender), clarified=label)


def test_a_choice_decides_the_gap_whatever_the_neighbours_say() -> None:
    near_password = chosen("password reset new please", "ann", "track_order")
    far = chosen("moon cheese", "bob", "faq/opening_hours")
    grouping = grouped([near_password, far])

    assert dict(grouping.members) == {
        near_password.turn_id: existing_gap_id("track_order"),
        far.turn_id: existing_gap_id("faq/opening_hours"),
    }
    assert set(grouping.founded.values()) == {GapKind.EXISTING_INTENT}


def test_a_choice_keeps_a_message_out_of_a_new_need() -> None:
    standing = [failed_turn(text, f"person{number}", number) for number, text in enumerate(LOYALTY)]
    one = chosen("loyalty points please", "ann", "track_order")

    assert dict(grouped([one], standing).members) == {one.turn_id: existing_gap_id("track_order")}


def test_a_choice_that_the_bot_no_longer_knows_decides_nothing() -> None:
    assert dict(grouped([chosen("moon cheese", "ann", "learned/retired")]).members) == {}


# --- the whole loop -------------------------------------------------------------------------------

TEXTS = ("the box is not here yet", "no box so far", "still waiting for my box")


def ask(tracker: TrackerFile, sender: str, text: str) -> None:
    tracker.say(sender, text, "nlu_fallback", 0.6, reply=None)
    tracker.add(sender, question())


def press(tracker: TrackerFile, sender: str, payload: str) -> None:
    tracker.say(sender, payload, "track_order", 1.0, "It comes tomorrow.")


@pytest.fixture
def tracker(tmp_path: Path) -> TrackerFile:
    return TrackerFile(make_project(tmp_path) / "var" / "tracker.db")


@pytest.fixture
def loop(tmp_path: Path, tracker: TrackerFile) -> Loop:
    return make_loop(tmp_path)


def test_choices_of_enough_people_become_examples_of_the_chosen_intent(tracker: TrackerFile, loop: Loop) -> None:
    for number, text in enumerate(TEXTS):
        ask(tracker, f"person{number}", text)
        press(tracker, f"person{number}", TRACK)
    report = mine(loop)
    (proposal,) = loop.store.proposals()

    assert (report.new_gaps, report.new_proposals) == (1, 1)
    assert (proposal.label, set(proposal.examples)) == ("track_order", set(TEXTS))
    assert (mine(loop).new_signals, loop.store.proposals()) == (0, [proposal])


def test_one_person_poisons_nothing(tracker: TrackerFile, loop: Loop) -> None:
    for text in TEXTS * 4:
        ask(tracker, "mallory", text)
        press(tracker, "mallory", TRACK)
    mine(loop)
    (gap,) = loop.store.gaps().values()

    assert (gap.intent, gap.people) == ("track_order", 1)
    assert loop.store.proposals() == []


def test_a_button_that_is_pressed_after_mining_still_counts(tracker: TrackerFile, loop: Loop) -> None:
    ask(tracker, "ann", TEXTS[0])
    mine(loop)
    assert loop.store.gaps() == {}
    press(tracker, "ann", TRACK)
    mine(loop)
    (gap,) = loop.store.gaps().values()

    assert gap.intent == "track_order"
