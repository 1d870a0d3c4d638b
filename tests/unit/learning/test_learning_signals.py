from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from learning.model import ANSWER_KINDS, FAILED_WEIGHT, SERVICE_KINDS, Finding, LabelRatings, Outcome, Rating, Turn
from learning.settings import PrioritySettings, SignalSettings
from learning.signals import KINDS, Context, detect, low_satisfaction, ratings
from learning.signals.again import stems
from tests.learning_builders import FakeEncoder, session, turn

SETTINGS = SignalSettings()


def found(*turns: Turn, **more: Any) -> list[tuple[str, Finding]]:
    """What is found in one conversation: (kind, finding)."""
    (findings,) = detect([session(*turns, **more)], Context(SETTINGS, FakeEncoder()))
    return findings


def kinds(*turns: Turn, **more: Any) -> dict[str, list[str]]:
    """The kinds of signals by the text of their turn."""
    by_text: dict[str, list[str]] = {}
    for kind, finding in found(*turns, **more):
        by_text.setdefault(finding.turn.text, []).append(kind)
    return by_text


def fallback(text: str, second: int = 0) -> Turn:
    return turn(text, "nlu_fallback", 0.3, second, reply=("sorry",))


def fine(text: str, second: int = 0, **more: Any) -> Turn:
    return turn(text, "greet", 0.95, second, reply=("hi",), **more)


def test_a_good_turn_gives_no_signal() -> None:
    assert kinds(fine("hello")) == {}
    assert kinds() == {}


def test_fallback_tells_the_best_guess() -> None:
    one = turn("odd", "nlu_fallback", 0.3, ranking=(("nlu_fallback", 0.3), ("greet", 0.25)))
    ((kind, finding),) = found(one)

    assert (kind, finding.weight) == ("fallback", 1.0)
    assert finding.evidence == "not understood; best guess greet at 0.25"


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


@pytest.mark.parametrize(("intent", "confidence", "found"), [("thank", 0.9, 0), ("thank", 0.4, 1), ("greet", 0.9, 1)])
def test_thanks_may_be_worded_like_nothing_else(intent: str, confidence: float, found: int) -> None:
    context = Context(SETTINGS, FakeEncoder(), closing_intents=("thank",))
    (findings,) = detect([session(turn("cu", intent, confidence, familiarity=0.3, reply=("bye",)))], context)
    assert [kind for kind, _ in findings].count("unfamiliar") == found


def test_what_a_form_took_as_its_answer_is_no_guess() -> None:
    doubtful: dict[str, Any] = {"familiarity": 0.1, "ranking": (("greet", 0.3), ("bye", 0.29))}

    assert kinds(turn("the leg fell off", "greet", 0.3, answers_form=True, **doubtful)) == {}
    assert kinds(turn("the leg fell off", "nlu_fallback", 0.3, answers_form=True)) == {}


# --- the same again -------------------------------------------------------------------------------


def test_the_same_again_in_other_words_is_a_rephrasing() -> None:
    first, second = fine("where is the parcel tracking"), fine("parcel tracking please where", 30)

    assert kinds(first, second) == {first.text: ["rephrase"]}
    assert kinds(first, fine("parcel tracking number", 30)) == {first.text: ["rephrase"]}
    assert kinds(first, fine("Where is the parcel tracking??", 30)) == {}  # the same message, sent twice
    assert kinds(fine("where is parcel 10342"), fine("and where is parcel 10399", 30)) == {}


def test_a_rephrasing_is_soon_after_an_answer_and_not_short() -> None:
    again = "parcel tracking number"
    assert kinds(fine("parcel tracking now"), fine(again, 181)) == {}
    assert kinds(turn("parcel tracking now"), fine(again, 30)) == {}  # nothing was answered
    assert kinds(fine("parcel"), fine("parcel?!", 30)) == {}
    assert "rephrase" not in kinds(fallback("parcel tracking now"), fine(again, 30))["parcel tracking now"]
    assert kinds(fine("parcel tracking now", answers_form=True), fine(again, 30)) == {}
    assert kinds(fine("parcel tracking now"), fine(again, 30, answers_form=True)) == {}


def test_a_question_that_comes_back_was_not_settled() -> None:
    first, between = fine("which colors has the big sofa"), fine("thanks", 20)

    assert kinds(first, between, fine("which colors has the big sofa?", 40)) == {first.text: ["repeated_question"]}
    assert kinds(first, between, fine("sofa big colors which again", 40)) == {first.text: ["repeated_question"]}
    assert kinds(first, between, fine("which sofa is the softest", 40)) == {}
    assert kinds(first, between, fine("which colors has the big sofa?", 40, answers_form=True)) == {}
    assert kinds(turn(first.text), between, fine(first.text, 40)) == {}  # nothing was answered
    assert kinds(fine("thanks"), fine("bye", 20), fine("thanks", 40)) == {}


def test_the_same_question_about_another_order_is_another_question() -> None:
    first, second = fine("where is order number 10342"), fine("where is order number 10399", 40)

    assert kinds(first, fine("thanks", 20), second) == {}
    assert kinds(first, fine("thanks", 20), fine(first.text, 40)) == {first.text: ["repeated_question"]}


def test_a_question_that_comes_back_twice_is_one_signal_a_turn() -> None:
    texts = [
        "which colors has the big sofa",
        "thanks",
        "which colors has the big sofa",
        "ok",
        "big sofa which colors has",
    ]
    turns = [fine(text, 200 * number) for number, text in enumerate(texts)]

    assert [(kind, finding.turn) for kind, finding in found(*turns)] == [
        ("repeated_question", turns[0]),
        ("repeated_question", turns[2]),
    ]


def test_sentences_are_encoded_once_for_all_conversations_and_only_where_words_do_not_tell() -> None:
    encoder = FakeEncoder()
    said: list[str] = []
    encode = encoder.encode
    encoder.encode = lambda texts: (said.extend(texts), encode(texts))[1]  # type: ignore[method-assign]
    unsure = [fine("where is my big parcel today"), fine("parcel not here today, lost?", 30)]
    sure = [fine("track my big red parcel today"), fine("please track the big red parcel", 30)]
    other = [fine("where is my parcel"), fine("do you sell lamps", 30)]
    detect(
        [session(*unsure, sender=name) for name in "abc"] + [session(*sure), session(*other)],
        Context(SETTINGS, encoder),
    )

    assert said == [one.text for one in unsure]
    assert encoder.calls == 1


def test_words_of_one_family_have_one_stem() -> None:
    assert stems("Refunds?") == stems("refunded") == {"refun"}
    assert stems("the and of") == frozenset()


# --- feedback -------------------------------------------------------------------------------------


def test_a_thumbs_down_is_negative_feedback_and_a_thumbs_up_none() -> None:
    assert kinds(fine("a", thumbs=-1)) == {"a": ["negative_feedback"]}
    assert kinds(fine("a", thumbs=1)) == {}


def test_a_low_mark_is_negative_feedback() -> None:
    ((kind, finding),) = found(fine("a", csat=2))

    assert (kind, finding.weight, finding.evidence) == ("negative_feedback", 1.0, "a mark of 2 of 5")
    assert kinds(fine("a", csat=3)) == kinds(fine("a", csat=5)) == {}


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


def test_words_and_a_thumb_are_one_signal() -> None:
    assert kinds(fine("a", thumbs=-1), fine("wrong answer", 300)) == {"a": ["negative_feedback"]}
    assert kinds(fine("a", thumbs=1), fine("wrong answer", 300)) == {"a": ["negative_feedback"]}


def test_asking_for_a_person_after_a_fallback_is_a_handoff_of_that_fallback() -> None:
    assert kinds(turn("a", "nlu_fallback", 0.3, led_to_person=True)) == {"a": ["fallback", "handoff"]}
    assert kinds(fine("a", led_to_person=True)) == {}


@pytest.mark.parametrize(
    ("reason", "weight"),
    [("not_understood", 0.5), ("doubtful_answer", 0.4), ("rated_down", 0.3), ("unanswered_question", 0.3)],
)
def test_leaving_counts_for_the_last_turn(reason: str, weight: float) -> None:
    ((kind, finding),) = found(fine("a"), fine("b", 300), outcome=Outcome.ABANDONED, reason=reason)

    assert (kind, finding.turn.text, finding.weight) == ("abandonment", "b", weight)
    assert finding.evidence == f"left after it: {reason.replace('_', ' ')}"


def test_leaving_over_a_failed_service_or_with_a_person_says_nothing_of_the_answer() -> None:
    assert kinds(fine("a"), outcome=Outcome.ABANDONED, reason="service_failed") == {}
    assert kinds(fine("a"), outcome=Outcome.ESCALATED, reason="asked") == {}
    assert kinds(fine("a"), outcome=Outcome.OPEN) == {}


def test_a_failed_service_is_a_signal_but_no_gap_of_understanding() -> None:
    assert kinds(fine("a", failed_service="shop.orders")) == {"a": ["backend_failure"]}


def recommended(*turns: Turn) -> list[str]:
    """The texts of the turns that an agent's mark alone makes a signal of."""
    (findings,) = detect([session(*turns)], Context(SETTINGS, FakeEncoder(), ("talk_to_person",)))
    return [finding.turn.text for kind, finding in findings if kind == "recommended"]


def answered(text: str, second: int = 0, **more: Any) -> Turn:
    return fine(text, second, agent_reply=("No, cards only.",), recommended=(0,), **more)


PERSON = replace(turn("a person", "talk_to_person", 0.99, 5), agent_reply=("No, cards only.",), recommended=(0,))


def test_an_answer_that_an_agent_recommends_is_a_signal_of_what_it_was_about() -> None:
    assert recommended(fine("hello"), answered("can i pay by cheque", 1)) == ["can i pay by cheque"]
    assert recommended(fine("cheques?", led_to_person=True), PERSON) == ["cheques?"]
    assert recommended(fine("hello"), fine("yes", 1, agent_reply=("Hi.",))) == []
    # A failure of before the request for a person was about something else.
    turns = fallback("moon cheese"), fine("hello", 1, led_to_person=True), replace(PERSON, recommended=())
    assert recommended(*turns, answered("cheques?", 9)) == ["cheques?"]


def test_it_is_none_where_something_else_tells_of_the_failure_or_nothing_of_the_need() -> None:
    lost = replace(fallback("cheques?"), led_to_person=True)
    assert recommended(lost, PERSON) == []
    assert recommended(lost, replace(PERSON, recommended=()), answered("my name is bob", 9)) == []
    assert recommended(PERSON) == []


def test_findings_have_weights_in_range_known_kinds_and_no_words_of_the_customer() -> None:
    secret = "my pin is tangerine please"
    turns = [
        fallback(secret),
        replace(fallback(f"{secret} now", 10), led_to_person=True, clarified="greet", failed_service="shop"),
        turn(secret, "greet", 0.3, 20, ranking=(("greet", 0.3), ("bye", 0.29)), reply=("hi",), familiarity=0.1),
        fine("tangerine pin code please", 30, frustration=0.9),
        turn("that is not what I asked", "greet", 0.9, 40, reply=("hi",)),
        fine(f"{secret} ok", 50),
    ]
    findings = found(*turns, outcome=Outcome.ABANDONED, reason="doubtful_answer")

    assert all(0 < finding.weight <= 1 for _, finding in findings)
    assert {kind for kind, _ in findings} == set(KINDS) - {"low_satisfaction", "recommended"}
    assert all("tangerine" not in finding.evidence for _, finding in findings)
    assert set(KINDS) > ANSWER_KINDS | SERVICE_KINDS


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
    ((_, finding),) = found(*turns)

    assert finding.weight < FAILED_WEIGHT
    assert finding.evidence == "next message is frustrated at 0.90, this one at 0.00"


# --- satisfaction over all conversations ------------------------------------------------------------


def test_ratings_are_thumbs_and_marks_of_understood_turns() -> None:
    turns = (
        fine("a", thumbs=1),
        fine("b", 1, csat=1),
        fine("c", 2, csat=3),
        turn("d", "nlu_fallback", 0.3, 3, thumbs=-1),
    )

    assert ratings(session(*turns)) == [
        Rating(turns[0].turn_id, "ann", "greet", True),
        Rating(turns[1].turn_id, "ann", "greet", False),
    ]


@pytest.mark.parametrize(
    ("share", "number", "people", "weak"),
    [(0.5, 10, 5, True), (0.6, 10, 5, False), (0.4, 9, 5, False), (0.0, 20, 5, True), (0.0, 20, 4, False)],
)
def test_an_answer_that_few_like_is_weak(share: float, number: int, people: int, weak: bool) -> None:
    given = [LabelRatings("faq/hours", share, number, people), LabelRatings("faq/shipping", 1.0, 10, 5)]
    found = low_satisfaction.weak_answers(given, PrioritySettings())

    assert set(found) == ({"faq/hours"} if weak else set())
    assert all(signal.evidence == "under 60% of the ratings of faq/hours are good" for signal in found.values())
