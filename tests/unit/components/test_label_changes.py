from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasa.shared.nlu.training_data.message import Message

from components.label_changes import chosen_label, follow_changes
from components.live_overlay import LiveOverlay
from components.messages import full_ranking, set_intents, set_response
from components.overlay_source import SWITCH
from tests.unit.components.test_live_overlay import LOYALTY, PARCEL, FakeReader, changed
from tests.unit.components.toys import Workbench, message


def run(bench: Workbench, one: Message, *entries: Any, **labels: str | None) -> Message:
    """The message after an overlay in which each label became another one, or nothing."""
    bench.train(LiveOverlay)
    overlay = bench.load(LiveOverlay)
    overlay._open_reader = lambda: FakeReader(changed(*entries, **labels))
    [processed] = overlay.process([one])
    return processed


def understood(*ranking: tuple[str, float], key: str = "", text: str = "a question", **data: Any) -> Message:
    one = message(text, **data)
    set_intents(one, [{"name": name, "confidence": confidence} for name, confidence in ranking])
    if key:
        set_response(one, key, [(key, 0.9), ("faq/other", 0.1)], [{"text": "an answer"}], ["faq"])
    return one


def tie(*candidates: tuple[str, float]) -> Message:
    """A message that the out-of-scope detector found to lie between labels."""
    one = understood(("nlu_fallback", 0.6), ("faq", 0.8), ("greet", 0.1))
    ranked = [{"name": name, "confidence": confidence} for name, confidence in candidates]
    one.set("out_of_scope", {"reason": "near_tie", "score": 1.0, "candidates": ranked})
    return one


def names(one: Message) -> list[str]:
    return [entry["name"] for entry in one.get("intent_ranking")]


def test_a_renamed_intent_is_the_other_one(bench: Workbench) -> None:
    one = run(bench, understood(("old", 0.5), ("new", 0.3), ("greet", 0.2)), old="new")

    assert one.get("intent") == {"name": "new", "confidence": 0.8}
    assert names(one) == ["new", "greet"]
    assert one.get("overlay") == {"entry_id": "change old", "version": 9, "was": "old"}


def test_a_renamed_key_gets_the_other_response(bench: Workbench) -> None:
    one = run(bench, understood(("faq", 0.9), ("greet", 0.1), key="faq/a"), faq__a="faq/b")

    assert one.get("intent") == {"name": "faq", "confidence": 0.9}
    selected = one.get("response_selector")["faq"]["response"]
    assert (selected["intent_response_key"], selected["utter_action"]) == ("faq/b", "utter_faq/b")
    assert selected["responses"] == []
    assert chosen_label(one) == "faq/b"


@pytest.mark.parametrize("to", ["greet", "learned/b"])
def test_a_key_may_become_something_of_another_intent(bench: Workbench, to: str) -> None:
    one = run(bench, understood(("faq", 0.7), ("greet", 0.2), ("deny", 0.1), key="faq/a"), faq__a=to)

    assert chosen_label(one) == to
    assert "faq" not in names(one)
    assert one.get("intent")["confidence"] == 0.7


def test_an_intent_may_become_a_key(bench: Workbench) -> None:
    one = run(bench, understood(("old", 0.7), ("faq", 0.2), ("deny", 0.1)), old="faq/b")

    assert (chosen_label(one), names(one)) == ("faq/b", ["faq", "deny"])
    assert "faq" in one.get("response_selector")["all_retrieval_intents"]


@pytest.mark.parametrize("key", ["", "faq/a"])
def test_a_retired_label_is_a_fallback_and_nothing_is_guessed(bench: Workbench, key: str) -> None:
    label = key or "faq"
    one = run(bench, understood(("faq", 0.8), ("greet", 0.2), key=key), **{label.replace("/", "__"): None})

    assert one.get("intent") == {"name": "nlu_fallback", "confidence": 0.8}
    assert names(one) == ["nlu_fallback", "greet"]
    assert one.get("overlay")["entry_id"] == f"change {label}"
    assert one.get("overlay")["was"] == label
    assert "overlay" in one.output_properties


def test_what_an_entry_caught_is_followed_too(bench: Workbench) -> None:
    question = message("how many loyalty points do i have to collect")
    one = run(bench, question, LOYALTY, PARCEL, learned__loyalty_points="learned/rewards")

    assert chosen_label(one) == "learned/rewards"
    assert one.get("overlay")["entry_id"] == "change learned/loyalty_points"
    assert one.get("overlay")["similarity"] >= 0.5


def test_a_retired_answer_that_is_still_published_is_not_given(bench: Workbench) -> None:
    question = message("how many loyalty points do i have to collect")
    one = run(bench, question, LOYALTY, learned__loyalty_points=None)

    assert one.get("intent")["name"] == "nlu_fallback"


def test_other_messages_are_left_as_they_are(bench: Workbench) -> None:
    plain = understood(("faq", 0.9), ("greet", 0.1), key="faq/c")
    before = plain.as_dict()
    one = run(bench, plain, faq__a="faq/b", faq__d=None)

    assert one.as_dict() == before


def test_a_runner_up_counts_for_what_it_is_today(bench: Workbench) -> None:
    one = run(bench, understood(("new", 0.5), ("old", 0.4), ("deny", 0.1)), old="new", deny=None)

    assert full_ranking(one) == [("new", 0.9)]
    assert one.get("intent") == {"name": "new", "confidence": 0.9}
    assert one.get("overlay") is None


def test_a_tie_between_labels_that_are_one_is_none(bench: Workbench) -> None:
    one = run(bench, tie(("faq/a", 0.41), ("faq/b", 0.39), ("greet", 0.1)), faq__a="faq/b")

    assert chosen_label(one) == "faq/b"
    assert one.get("intent")["confidence"] == pytest.approx(0.8)
    assert one.get("overlay")["was"] == "faq/a"


def test_a_tie_of_others_is_asked_about_under_the_names_of_today(bench: Workbench) -> None:
    one = run(bench, tie(("faq/a", 0.41), ("greet", 0.39), ("faq/b", 0.1)), faq__a="faq/b")

    assert one.get("intent")["name"] == "nlu_fallback"
    offered = one.get("out_of_scope")["candidates"]
    assert [entry["name"] for entry in offered] == ["faq/b", "greet"]
    assert one.get("overlay") is None


def test_a_tie_with_a_retired_label_offers_nothing(bench: Workbench) -> None:
    one = run(bench, tie(("faq/a", 0.41), ("faq/b", 0.39), ("greet", 0.1)), faq__a=None)

    assert one.get("intent")["name"] == "nlu_fallback"
    assert one.get("out_of_scope")["candidates"] == []


def test_a_retired_label_is_no_question_between_others(bench: Workbench) -> None:
    question = message("how many loyalty points do i have to collect")
    ranked = [{"name": "greet", "confidence": 0.4}, {"name": "deny", "confidence": 0.39}]
    question.set("out_of_scope", {"reason": "near_tie", "candidates": ranked})
    one = run(bench, question, LOYALTY, learned__loyalty_points=None)

    assert one.get("intent")["name"] == "nlu_fallback"
    assert one.get("out_of_scope")["candidates"] == []


def test_a_pressed_button_means_what_it_says(bench: Workbench) -> None:
    one = run(bench, understood(("old", 0.9), text="/old"), old=None)

    assert one.get("intent")["name"] == "old"


def test_works_for_rasas_own_response_selector(bench: Workbench) -> None:
    one = understood(("faq", 0.9), ("greet", 0.1))
    prediction = {"response": {"intent_response_key": "faq/a", "utter_action": "utter_faq/a"}}
    one.set("response_selector", {"all_retrieval_intents": ["faq"], "default": prediction})

    assert chosen_label(run(bench, one, faq__a="faq/b")) == "faq/b"


def test_switched_off_by_the_environment(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    one = run(bench, understood(("old", 0.9)), old="new")

    assert one.get("intent")["name"] == "old"


NAMES = st.sampled_from(["old", "new", "greet", "faq", "nlu_fallback"])
SHARES = st.floats(0, 1, allow_nan=False)


@given(
    ranking=st.dictionaries(NAMES, SHARES, min_size=1),
    key=st.sampled_from(["", "faq/a", "faq/b"]),
    candidates=st.dictionaries(st.sampled_from(["old", "new", "faq/a", "faq/b"]), SHARES),
    became=st.dictionaries(
        st.sampled_from(["old", "faq/a", "greet"]), st.sampled_from([None, "new", "faq/b", "learned/x"])
    ),
)
def test_whatever_was_understood_the_result_is_sound(
    ranking: dict[str, float], key: str, candidates: dict[str, float], became: dict[str, str | None]
) -> None:
    ordered = sorted(ranking.items(), key=lambda item: -item[1])
    one = understood(*ordered, key=key if "faq" in ranking else "")
    tied = [{"name": name, "confidence": share} for name, share in candidates.items()]
    one.set("out_of_scope", {"reason": "near_tie", "candidates": tied})
    changes = changed(**{label.replace("/", "__"): to for label, to in became.items()}).changes
    follow_changes(one, changes, 9)

    assert one.get("intent") == one.get("intent_ranking")[0]
    assert len(set(names(one))) == len(names(one))
    assert all(0 <= entry["confidence"] <= 1 for entry in one.get("intent_ranking"))
    assert not changes.concern(chosen_label(one))
    if chosen_label(one) == "nlu_fallback":
        assert not any(changes.concern(entry["name"]) for entry in one.get("out_of_scope")["candidates"])
