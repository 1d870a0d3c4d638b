from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from learning.gaps import Known, Metric, cap_senders, describe, existing_gap_id, group_turns
from learning.model import Example, FailedTurn, GapKind, Priority
from learning.settings import GapSettings
from tests.learning_builders import LOYALTY, NLU, NOISE, FakeEncoder, failed_turn, failed_turns

SETTINGS = GapSettings()
ENCODER = FakeEncoder()


def known_from(examples: dict[str, Sequence[str]]) -> Known:
    return Known.from_examples([Example(text, label) for label, texts in examples.items() for text in texts], ENCODER)


KNOWN = known_from(dict(NLU))


def group(
    fresh: Sequence[FailedTurn],
    standing: dict[str, Sequence[FailedTurn]] | None = None,
    known: Known = KNOWN,
    settings: GapSettings = SETTINGS,
) -> dict[str, str]:
    return dict(group_turns(fresh, standing or {}, known, ENCODER, settings).members)


def test_messages_about_one_new_need_are_one_gap_and_noise_is_none() -> None:
    need, noise = failed_turns(LOYALTY), failed_turns(NOISE, start=50)
    members = group([*need, *noise])

    assert set(members) <= {turn.turn_id for turn in need}
    assert len(members) >= 8
    assert len(set(members.values())) == 1


def test_two_needs_are_two_gaps() -> None:
    wrapping = failed_turns([f"gift wrapping {word}" for word in ("price", "possible", "ribbon", "paper")], start=50)
    members = group([*failed_turns(LOYALTY), *wrapping])

    assert len(set(members.values())) == 2


def test_the_order_of_turns_does_not_matter() -> None:
    turns = [*failed_turns(LOYALTY), *failed_turns(NOISE, start=50)]
    expected = group(turns)
    for seed in range(5):
        shuffled = list(turns)
        random.Random(seed).shuffle(shuffled)
        assert group(shuffled) == expected


def test_no_turns_make_no_gap() -> None:
    assert group([]) == {}


def test_unknown_words_for_a_known_intent_join_the_gap_of_that_intent() -> None:
    turn = failed_turn("password reset new please", "ann")

    assert group([turn]) == {turn.turn_id: existing_gap_id("reset_password")}


def test_neighbours_that_disagree_name_no_intent() -> None:
    known = known_from({"one": ("loyalty points", "loyalty points yes"), "two": ("loyalty points no", "loyalty")})

    assert known.intent_of(ENCODER.encode(["loyalty points"])[0], 0.3) is None


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


def test_a_late_message_joins_the_standing_gap() -> None:
    first = failed_turns(LOYALTY[:6])
    late = failed_turn("loyalty points please", "late", 900)

    assert group([late], {"standing": first}) == {late.turn_id: "standing"}
    assert group([failed_turn(NOISE[0], "late", 900)], {"standing": first}) == {}
    assert group([late], {"standing": []}) == {}


def test_many_open_turns_are_clustered_in_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning.gaps.MAX_CLUSTERED", 4)

    members = group(failed_turns(LOYALTY))

    # The window founds the gap, and what lies outside joins it.
    assert len(members) > 4
    assert len(set(members.values())) == 1


# --- the metric -----------------------------------------------------------------------------------


def test_whitening_with_one_example_an_intent_leaves_distances_as_they_are() -> None:
    vectors = ENCODER.encode(["parcel", "password", "hello"])
    metric = Metric(vectors, ["a", "b", "c"])

    assert np.allclose(metric(vectors), vectors, atol=1e-6)


def test_one_intent_with_many_examples_and_one_with_one_stay_finite() -> None:
    known = known_from({"a": NLU["track_order"], "b": ("password",)})

    assert np.isfinite(known.metric(ENCODER.encode(LOYALTY))).all()


def test_whitening_shrinks_what_does_not_tell_intents_apart() -> None:
    rng = np.random.default_rng(7)
    means = rng.normal(size=(6, 8))
    labels = [str(row % 6) for row in range(600)]
    noise = np.zeros((600, 8))
    noise[:, 0] = rng.normal(size=600) * 3  # a direction that only varies within intents
    vectors = means[np.arange(600) % 6] + noise + 0.1 * rng.normal(size=(600, 8))
    metric = Metric(vectors, labels)

    raw = np.linalg.norm(vectors[0] - vectors[6]) / np.linalg.norm(means[0] - means[1])
    white = metric(vectors)
    assert np.allclose(np.linalg.norm(white, axis=1), 1)
    assert np.linalg.norm(white[0] - white[6]) / np.linalg.norm(white[0] - white[1]) < raw


# --- describing -----------------------------------------------------------------------------------


def test_a_gap_is_named_by_the_words_that_its_messages_share() -> None:
    gap = describe("g", GapKind.NEW_NEED, None, failed_turns(LOYALTY), KNOWN, SETTINGS)

    assert gap.name == "loyalty points"
    assert (gap.people, gap.priority) == (10, Priority.CRITICAL)
    assert gap.first_seen < gap.last_seen


def test_priorities_follow_the_number_of_people() -> None:
    few = describe("g", GapKind.NEW_NEED, None, failed_turns(LOYALTY[:4]), KNOWN, SETTINGS)
    variations = describe("g", GapKind.EXISTING_INTENT, "greet", failed_turns(LOYALTY), KNOWN, SETTINGS)

    assert few.priority is Priority.MEDIUM
    assert (variations.priority, variations.name) == (Priority.LOW, "variations of greet")


def test_messages_without_words_get_a_name_too() -> None:
    gap = describe("g", GapKind.NEW_NEED, None, failed_turns(["???", "👍", "<ORDER_1>"]), KNOWN, SETTINGS)

    assert gap.name == "unnamed"


def test_nobody_makes_a_gap_look_big() -> None:
    flood = [failed_turn(f"loyalty points {number}", "ann", number) for number in range(50)]
    kept = cap_senders([*flood, failed_turn("loyalty points", "bob", 99)], 3)

    assert [turn.sender for turn in kept] == ["ann", "ann", "ann", "bob"]
