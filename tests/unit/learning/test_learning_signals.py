from __future__ import annotations

from typing import Any

import pytest

from learning.model import FAILED_WEIGHT, Conversation, Turn
from learning.privacy import PatternRedactor
from learning.settings import SignalSettings
from learning.signals import DETECTORS, Context, find_signals
from tests.learning_builders import FakeEncoder, turn

SETTINGS = SignalSettings()


def kinds(*turns: Turn) -> dict[str, list[str]]:
    """The kinds of signals by the text of their turn."""
    found: dict[str, list[str]] = {}
    for signal in find_signals(Conversation("ann", turns), Context(SETTINGS, FakeEncoder()), PatternRedactor()):
        found.setdefault(signal.text, []).append(signal.kind)
    return found


def fallback(text: str, second: int = 0) -> Turn:
    return turn(text, "nlu_fallback", 0.3, second, reply=("sorry",))


def fine(text: str, second: int = 0, **more: Any) -> Turn:
    return turn(text, "greet", 0.95, second, reply=("hi",), **more)


def test_a_good_turn_gives_no_signal() -> None:
    assert kinds(fine("hello")) == {}
    assert kinds() == {}


def test_fallback_tells_the_best_guess() -> None:
    one = turn("odd", "nlu_fallback", 0.3, ranking=(("nlu_fallback", 0.3), ("greet", 0.25)))
    (signal,) = find_signals(Conversation("ann", (one,)), Context(SETTINGS, FakeEncoder()), PatternRedactor())

    assert (signal.kind, signal.weight, signal.evidence) == (
        "fallback",
        1.0,
        "not understood; best guess greet at 0.25",
    )


def test_a_second_fallback_in_a_row_is_a_signal_of_its_own() -> None:
    assert kinds(fallback("a"), fallback("b", 1)) == {"a": ["fallback"], "b": ["fallback", "repeated_fallback"]}
    assert kinds(fallback("a"), fine("b", 1), fallback("c", 300)) == {"a": ["fallback"], "c": ["fallback"]}


@pytest.mark.parametrize(("confidence", "found"), [(0.54, True), (0.55, False), (0.9, False)])
def test_low_confidence_is_under_its_threshold(confidence: float, found: bool) -> None:
    assert ("low_confidence" in kinds(turn("a", "greet", confidence)).get("a", [])) is found


def test_a_turn_without_an_intent_was_not_understood() -> None:
    assert kinds(turn("a", "", 0.0)) == {"a": ["fallback"]}


@pytest.mark.parametrize(("rival", "found"), [(0.49, True), (0.47, False)])
def test_two_intents_that_are_close_are_ambiguous(rival: float, found: bool) -> None:
    one = turn("a", "greet", 0.6, ranking=(("greet", 0.6), ("bye", rival)))

    assert ("ambiguity" in kinds(one).get("a", [])) is found


def test_a_retrieval_intent_is_not_ambiguous_with_its_own_base() -> None:
    one = turn("a", "faq/hours", 0.9, ranking=(("faq", 0.9), ("bye", 0.1)))

    assert kinds(one) == {}


def test_a_fallback_is_neither_a_guess_nor_a_tie() -> None:
    one = turn("a", "nlu_fallback", 0.3, ranking=(("nlu_fallback", 0.3), ("greet", 0.29)))

    assert kinds(one) == {"a": ["fallback"]}


@pytest.mark.parametrize(
    ("familiarity", "more", "found"),
    [(0.3, {}, True), (0.5, {}, False), (None, {}, False), (0.3, {"overlay_entry": "abc"}, False)],
)
def test_an_answer_to_something_unlike_all_training_is_doubtful(
    familiarity: float | None, more: dict[str, Any], found: bool
) -> None:
    assert ("unfamiliar" in kinds(fine("a", familiarity=familiarity, **more)).get("a", [])) is found


def test_the_same_again_in_other_words_is_a_rephrasing() -> None:
    first, second = fine("where is the parcel tracking"), fine("parcel tracking please where", 30)

    assert kinds(first, second) == {}  # the same words are the same message sent twice
    assert kinds(first, fine("parcel tracking number", 30)) == {first.text: ["rephrase"]}


def test_a_rephrasing_is_soon_after_an_answer_and_not_short() -> None:
    again = "parcel tracking number"
    assert kinds(fine("parcel tracking now"), fine(again, 181)) == {}
    assert kinds(turn("parcel tracking now"), fine(again, 30)) == {}  # nothing was answered
    assert kinds(fine("parcel"), fine("parcel?!", 30)) == {}
    assert "rephrase" not in kinds(fallback("parcel tracking now"), fine(again, 30))["parcel tracking now"]


def test_a_thumbs_down_is_negative_feedback_and_a_thumbs_up_none() -> None:
    assert kinds(fine("a", thumbs=-1)) == {"a": ["negative_feedback"]}
    assert kinds(fine("a", thumbs=1)) == {}


@pytest.mark.parametrize(
    "words",
    [
        "that's not what I asked",
        "thats wrong",
        "you don't understand",
        "That does not help!",
        "wrong answer",
        "I didnt ask for that",
    ],
)
def test_words_that_reject_an_answer_count_for_the_turn_before(words: str) -> None:
    assert kinds(fine("a"), fine(words, 300)) == {"a": ["negative_feedback"]}


@pytest.mark.parametrize("words", ["the wrong size arrived", "thanks, that helps", "what do you understand by return?"])
def test_other_words_do_not(words: str) -> None:
    assert kinds(fine("a"), fine(words, 300)) == {}


def test_asking_for_a_person_after_a_fallback_is_a_handoff_of_that_fallback() -> None:
    person = turn("a human please", "talk_to_person", 0.95, 400, reply=("ok",))

    assert kinds(fallback("a"), person) == {"a": ["fallback", "handoff"]}
    assert kinds(fine("a"), person) == {}


def test_a_failed_service_is_a_signal_but_no_gap_of_understanding() -> None:
    assert kinds(fine("a", failed_service="shop.orders")) == {"a": ["backend_failure"]}


def test_signals_carry_redacted_text_stable_ids_and_weights_in_range() -> None:
    turns = (fallback("my mail is ann@example.com"), fallback("again", 1))
    context = Context(SETTINGS, FakeEncoder())
    first = find_signals(Conversation("ann", turns), context, PatternRedactor())

    assert first == find_signals(Conversation("ann", turns), context, PatternRedactor())
    assert first[0].text == "my mail is <EMAIL_1>"
    assert len({signal.signal_id for signal in first}) == len(first)
    assert all(0 < signal.weight <= 1 for signal in first)
    assert {signal.kind for signal in first} <= set(DETECTORS)


@pytest.mark.parametrize(("mood", "found"), [(0.5, True), (0.9, True), (0.49, False), (None, False)])
def test_an_answer_that_makes_frustrated_is_in_doubt(mood: float | None, found: bool) -> None:
    after = fine("b", 30, frustration=mood)

    assert kinds(fine("a", frustration=0.1), after) == ({"a": ["frustration"]} if found else {})
    assert kinds(fine("a"), after) == ({"a": ["frustration"]} if found else {})


def test_who_comes_angry_or_stays_so_says_nothing_about_the_answer() -> None:
    assert kinds(fine("a", frustration=0.9)) == {}
    assert kinds(fine("a", frustration=0.6), fine("b", 30, frustration=0.9)) == {}
    assert kinds(turn("a"), fine("b", 30, frustration=0.9)).get("a") is None  # nothing was answered


def test_frustration_alone_founds_no_gap() -> None:
    turns = (fine("a"), fine("b", 30, frustration=0.9))
    (signal,) = find_signals(Conversation("ann", turns), Context(SETTINGS, FakeEncoder()), PatternRedactor())

    assert signal.weight < FAILED_WEIGHT
    assert signal.evidence == "next message is frustrated at 0.90, this one at 0.00"
