from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from learning.gaps import Grouping, Known, Learned, Standing, answer_gap_id, existing_gap_id, group_turns
from learning.model import FailedTurn, GapKind, Signal
from learning.settings import GapSettings
from tests.learning_builders import LOYALTY, NLU, NOISE, FakeEncoder, failed_turn, failed_turns

SETTINGS = GapSettings()
ENCODER = FakeEncoder()
WRAPPING = tuple(f"gift wrapping {word}" for word in ("price", "possible", "ribbon", "paper"))


def known_from(examples: dict[str, Sequence[str]]) -> Known:
    pairs = [(label, text) for label, texts in examples.items() for text in texts]
    texts = [text for _, text in pairs]
    return Known.from_examples([label for label, _ in pairs], texts, ENCODER.encode(texts))


KNOWN = known_from(dict(NLU))


def grouping(
    fresh: Sequence[FailedTurn],
    standing: dict[str, Standing] | None = None,
    known: Known = KNOWN,
    settings: GapSettings = SETTINGS,
) -> Grouping:
    return group_turns(fresh, ENCODER.encode([turn.text for turn in fresh]), standing or {}, known, settings)


def group(fresh: Sequence[FailedTurn], standing: dict[str, Standing] | None = None, **more: object) -> dict[str, str]:
    return dict(grouping(fresh, standing, **more).members)  # type: ignore[arg-type]


def standing_of(turns: Sequence[FailedTurn], known: Known = KNOWN) -> Standing:
    return Standing.of(ENCODER.encode([turn.text for turn in turns]), known.metric)


# --- new needs ------------------------------------------------------------------------------------


def test_messages_about_one_new_need_are_one_gap_and_noise_is_none() -> None:
    need, noise = failed_turns(LOYALTY), failed_turns(NOISE, start=50)
    members = group([*need, *noise])

    assert set(members) <= {turn.turn_id for turn in need}
    assert len(members) >= 8
    assert len(set(members.values())) == 1


def test_two_needs_are_two_gaps() -> None:
    members = group([*failed_turns(LOYALTY), *failed_turns(WRAPPING, start=50)])

    assert len(set(members.values())) == 2


def test_the_order_of_turns_does_not_matter() -> None:
    turns = [*failed_turns(LOYALTY), *failed_turns(NOISE, start=50)]
    expected = group(turns)
    for seed in range(5):
        shuffled = list(turns)
        random.Random(seed).shuffle(shuffled)
        assert group(shuffled) == expected


def test_no_turns_make_no_gap() -> None:
    assert grouping([]) == Grouping({}, {})


def test_one_person_cannot_found_a_gap() -> None:
    turns = [failed_turn(text, "ann", second) for second, text in enumerate(LOYALTY)]

    assert group(turns) == {}


@pytest.mark.parametrize(("people", "founded"), [(2, False), (3, True)])
def test_a_gap_needs_as_many_people_as_the_settings_say(people: int, founded: bool) -> None:
    turns = [failed_turn(text, f"person{second % people}", second) for second, text in enumerate(LOYALTY)]

    assert bool(group(turns)) is founded


def test_few_people_are_enough_where_the_settings_say_so() -> None:
    settings = replace(SETTINGS, min_people=1)

    assert group(failed_turns(LOYALTY[:1]), settings=settings) == {}
    assert len(group(failed_turns(LOYALTY[:2]), settings=settings)) == 2


def test_doubtful_turns_found_nothing_but_join() -> None:
    doubtful = [failed_turn(text, f"doubt{number}", number, weight=0.3) for number, text in enumerate(LOYALTY[5:])]

    assert group(doubtful) == {}
    members = group([*failed_turns(LOYALTY[:5], start=20), *doubtful])
    assert len(members) >= 8
    assert len(set(members.values())) == 1


def test_two_clear_failures_and_a_doubtful_one_are_three_people() -> None:
    clear = failed_turns(LOYALTY[:2])
    doubtful = failed_turn(LOYALTY[2], "doubt", 50, weight=0.3)

    assert group(clear) == {}
    assert len(group([*clear, doubtful])) == 3


def test_one_person_who_repeats_himself_does_not_shape_a_gap() -> None:
    need = failed_turns(LOYALTY)
    flood = [failed_turn("loyalty points", "flood", 100 + number) for number in range(200)]
    alone, flooded = group(need), group([*need, *flood])

    # Said again is said once: the gap is founded by what ten people said, and the repeats join it.
    assert set(alone) <= set(flooded)
    assert len({flooded[turn.turn_id] for turn in [*need, *flood] if turn.turn_id in flooded}) == 1


def test_many_open_turns_are_clustered_in_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning.gaps.MAX_CLUSTERED", 4)

    members = group(failed_turns(LOYALTY))

    # The window founds the gap, and what lies outside joins it.
    assert len(members) > 4
    assert len(set(members.values())) == 1


def test_a_distance_in_the_settings_takes_the_place_of_the_learned_one() -> None:
    assert group(failed_turns(LOYALTY), settings=replace(SETTINGS, join_distance=0.2)) == {}


# --- gaps that stand ------------------------------------------------------------------------------


def test_a_late_message_joins_the_standing_gap() -> None:
    late = failed_turn("loyalty points please", "late", 900)
    standing = {"standing": standing_of(failed_turns(LOYALTY[:6]))}

    found = grouping([late], standing)
    assert found.members == {late.turn_id: "standing"}
    assert found.founded == {}
    assert group([failed_turn(NOISE[0], "late", 900)], standing) == {}
    assert group([late]) == {}


def test_a_gap_keeps_its_id_while_it_grows() -> None:
    first = failed_turns(LOYALTY[:6])
    gap_id = group(first)[first[0].turn_id]
    later = failed_turns(LOYALTY[6:], start=500)
    members = group(later, {gap_id: standing_of(first)})

    assert set(members.values()) == {gap_id}


def test_what_is_kept_of_two_parts_is_what_is_kept_of_the_whole() -> None:
    turns = failed_turns(LOYALTY)
    joined = standing_of(turns[:3]).joined(standing_of(turns[3:]))
    whole = standing_of(turns)

    assert joined.count == whole.count
    assert np.allclose(joined.mean, whole.mean, atol=1e-6)


WORDS = ("loyalty", "points", "gift", "wrapping", "vegan", "menu", "parcel", "password", "zebra", "quartz")


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), st.integers(0, 6), st.sampled_from((0.3, 1.0))
        ),
        max_size=25,
    )
)
def test_grouping_what_is_left_again_changes_nothing(said: list[tuple[list[str], int, float]]) -> None:
    turns = [
        failed_turn(" ".join(words), f"person{sender}", number, weight)
        for number, (words, sender, weight) in enumerate(said)
    ]
    found = grouping(turns)
    needs: dict[str, list[FailedTurn]] = {}
    for turn in turns:
        gap_id = found.members.get(turn.turn_id, "")
        if found.founded.get(gap_id) is GapKind.NEW_NEED:
            needs.setdefault(gap_id, []).append(turn)
    left = [turn for turn in turns if turn.turn_id not in found.members]

    assert all(len({turn.sender for turn in members}) >= SETTINGS.min_people for members in needs.values())
    assert group(list(reversed(turns))) == dict(found.members)
    assert group(left, {gap_id: standing_of(members) for gap_id, members in needs.items()}) == {}


# --- known intents --------------------------------------------------------------------------------


def test_unknown_words_for_a_known_intent_join_the_gap_of_that_intent() -> None:
    turn = failed_turn("password reset new please", "ann")
    found = grouping([turn])

    assert found.members == {turn.turn_id: existing_gap_id("reset_password")}
    assert found.founded == {existing_gap_id("reset_password"): GapKind.EXISTING_INTENT}


def test_what_others_fail_at_too_is_a_need_of_its_own_however_near_an_intent() -> None:
    turns = failed_turns([f"password reset loyalty {word}" for word in ("card", "tablet", "laptop", "phone", "watch")])
    members = group(turns)

    assert existing_gap_id("reset_password") not in members.values()
    assert len(set(members.values())) == 1


def test_an_intent_that_the_bot_named_needs_no_near_example() -> None:
    turn = failed_turn("password loyalty", "ann", weight=0.5)
    own = replace(turn, intent="reset_password", confidence=0.4)
    settings = replace(SETTINGS, known_similarity=0.95)

    assert group([turn], settings=settings) == {}
    assert group([own], settings=settings) == {own.turn_id: existing_gap_id("reset_password")}


def test_a_question_between_two_intents_belongs_to_none() -> None:
    turn = failed_turn("password parcel", "ann")

    assert group([turn], settings=replace(SETTINGS, known_similarity=0.3)) == {}


def test_what_the_customer_chose_needs_no_vote() -> None:
    turn = replace(failed_turn("purple monkey", "ann"), clarified="track_order")

    assert group([turn]) == {turn.turn_id: existing_gap_id("track_order")}
    assert group([replace(turn, clarified="no_such_intent")]) == {}


def test_an_understood_question_with_a_disliked_answer_is_a_weak_answer() -> None:
    turn = replace(
        failed_turn("where is my parcel", "ann"),
        intent="track_order",
        signals=(Signal("negative_feedback", 1.0, "thumbs-down"),),
    )
    found = grouping([turn])

    assert found.members == {turn.turn_id: answer_gap_id("track_order")}
    assert found.founded == {answer_gap_id("track_order"): GapKind.WEAK_ANSWER}


@pytest.mark.parametrize(
    "change",
    [
        {"intent": "greet"},  # taken for another intent
        {"signals": ()},
        {"signals": (Signal("negative_feedback", 1.0, "no"), Signal("low_confidence", 0.5, "unsure"))},
    ],
)
def test_a_doubtful_understanding_is_no_weak_answer(change: dict[str, object]) -> None:
    turn = replace(
        failed_turn("where is my parcel", "ann"),
        intent="track_order",
        signals=(Signal("negative_feedback", 1.0, "thumbs-down"),),
    )

    assert answer_gap_id("track_order") not in group([replace(turn, **change)]).values()  # type: ignore[arg-type]


def test_a_retrieval_intent_stands_for_its_answers() -> None:
    turn = replace(
        failed_turn("shop opening hours", "ann"), intent="faq", signals=(Signal("rephrase", 0.7, "asked again"),)
    )

    assert group([turn]) == {turn.turn_id: answer_gap_id("faq/opening_hours")}


def test_a_bot_that_knows_nothing_has_needs_too() -> None:
    empty = Known.from_examples([], [], np.zeros((0, ENCODER.dimension), dtype=np.float32))

    assert len(group(failed_turns(LOYALTY), known=empty)) >= 8


# --- needs that were learned -----------------------------------------------------------------------


def test_a_message_near_to_what_was_learned_joins_its_gap_though_its_members_are_unlike_it() -> None:
    turns = failed_turns(["do you have loyalty points there"])
    vectors = ENCODER.encode([turn.text for turn in turns])
    far = Standing.of(ENCODER.encode(["quite another thing", "unlike anything else"]), KNOWN.metric)
    examples = KNOWN.metric(ENCODER.encode(["loyalty points", "have loyalty points"]))
    learned = {"g": Learned("learned/loyalty_points", examples)}

    assert group_turns(turns, vectors, {"g": far}, KNOWN, SETTINGS).members == {}
    assert group_turns(turns, vectors, {"g": far}, KNOWN, SETTINGS, learned).members == {turns[0].turn_id: "g"}


def test_it_does_not_where_something_trained_is_as_near() -> None:
    turns = failed_turns([KNOWN.texts[0]])
    vectors = ENCODER.encode([turn.text for turn in turns])
    learned = {"g": Learned("learned/other", KNOWN.metric(ENCODER.encode([f"{KNOWN.texts[0]} loyalty"])))}

    assert "g" not in group_turns(turns, vectors, {}, KNOWN, SETTINGS, learned).members.values()


def test_it_does_not_where_others_who_mean_another_need_fail_at_just_that() -> None:
    learned = {name: Learned(f"learned/{name}", KNOWN.metric(ENCODER.encode([name]))) for name in ("alpine", "glacier")}
    turns = failed_turns(["alpine trekking pole rental", *["glacier trekking pole rental"] * 3])
    vectors = ENCODER.encode([turn.text for turn in turns])

    alone = group_turns(turns[:1], vectors[:1], {}, KNOWN, SETTINGS, learned).members
    among = group_turns(turns, vectors, {}, KNOWN, SETTINGS, learned).members
    assert alone == {turns[0].turn_id: "alpine"}
    assert among.get(turns[0].turn_id) != "alpine"


def test_a_disliked_answer_to_a_stranger_of_the_label_is_no_weak_answer() -> None:
    label = "track_order"
    texts = [f"where is my parcel {word}" for word in ("now", "today", "please", "then", "here", "again")]
    known = Known.from_examples([label] * len(texts), texts, ENCODER.encode(texts))
    down = Signal("negative_feedback", 0.9, "thumbs down")
    near, stranger = (
        replace(failed_turn(text, "ann"), intent=label, signals=(down,))
        for text in ("where is my parcel", "parcel insurance abroad for paintings")
    )
    for turn, is_weak in ((near, True), (stranger, False)):
        found = group_turns([turn], ENCODER.encode([turn.text]), {}, known, SETTINGS)
        assert (answer_gap_id(label) in found.members.values()) is is_weak
