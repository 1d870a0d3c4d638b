from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learning.gaps import existing_gap_id
from learning.grouping import judge_gaps, read_known
from learning.kept_vectors import KeptVectors
from learning.loop import Loop
from learning.model import (
    GapKind,
    LabelUse,
    Mined,
    MinedSender,
    Priority,
    Proposal,
    ProposalKind,
    ProposalState,
    Signal,
    content_id,
)
from learning.settings import Settings, load_settings
from learning.upkeep import Taught, find_confused, find_unused, find_upkeep
from tests.learning_builders import (
    START,
    Clock,
    FakeEncoder,
    gap,
    make_loop,
    mined,
    nlu_yaml,
    proposal,
    save_members,
    session,
    turn,
)

S = ProposalState
WORDS = ("red", "green", "blue", "round", "square", "heavy", "light", "small")
PAINT = [f"paint {one} {other} wall" for one, other in itertools.combinations(WORDS, 2)]
EXAMPLES = {
    "faq/paint": [*PAINT[::2], "paint wall"],  # these two say the same
    "faq/color": PAINT[1::2],
    "faq/parcel": [f"parcel {word} tracking number" for word in WORDS],
    "greet": [f"good morning {word}" for word in WORDS],
    "affirm": [f"good morning {word} friend" for word in WORDS],
}
RESPONSES = """
responses:
  utter_faq/paint: [{text: "Paint the wall twice."}]
  utter_faq/color: [{text: "Paint the wall twice."}]
  utter_faq/parcel: [{text: "It is on its way."}]
  utter_greet: [{text: "Hello"}]
  utter_affirm: [{text: "Fine"}]
"""
RULES = """
rules:
- {rule: greet, steps: [{intent: greet}, {action: utter_greet}]}
- {rule: affirm, steps: [{intent: affirm}, {action: utter_affirm}]}
"""
NOW = START + timedelta(days=400)


def taught(**examples: Sequence[str]) -> dict[str, Taught]:
    encoder = FakeEncoder()
    return {label: Taught(tuple(texts), encoder.encode(texts)) for label, texts in examples.items()}


def used(label: str, first: int, last: int) -> LabelUse:
    return LabelUse(label, START + timedelta(days=first), START + timedelta(days=last))


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    """A project with two labels that say the same; one conversation is enough for a retirement."""
    files = {
        "domain.yml": 'version: "3.1"\nintents: [greet, affirm, faq, learned]\n' + RESPONSES,
        "learning.yml": "gaps: {min_conversations: 2}\n",
        "data/nlu.yml": nlu_yaml(EXAMPLES),
        "data/rules.yml": RULES,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return make_loop(tmp_path, now=Clock(NOW))


def talk(loop: Loop, day: int, *intents: str, sender: str = "") -> None:
    """One conversation on a day in which these labels were understood."""
    at = START + timedelta(days=day)
    turns = tuple(
        replace(turn(f"words of {intent}", intent), turn_id=content_id(day, intent, sender), at=at)
        for intent in intents
    )
    conversation = session(
        *turns, sender=sender or f"person{day}", conversation_id=content_id("talk", day, sender), started=at, last_at=at
    )
    loop.store.save_batch([MinedSender(conversation.sender, 1, (Mined(conversation, ()),))], (), None)


def upkeep(loop: Loop) -> list[Proposal]:
    known = read_known(loop, KeptVectors(loop.encoder, loop.store))
    return [made for _, made in find_upkeep(loop, known)]


def publish(loop: Loop, number: int, at: datetime = START, **more: Any) -> None:
    approved = proposal(number, state=S.APPROVED, **more)
    loop.store.save_proposals([approved], at)
    live = replace(approved, state=S.PUBLISHED)
    loop.store.publish(approved, live, f"entry{number}", loop.encoder.encode(live.examples), "fake-1", "ann", at)


# --- merges -----------------------------------------------------------------------------------------


def test_labels_whose_examples_are_mixed_are_found() -> None:
    examples = taught(a=EXAMPLES["faq/paint"], b=EXAMPLES["faq/color"], c=EXAMPLES["faq/parcel"])
    (found,) = find_confused(examples, {}, 0.25)

    assert (found.label, found.target) == ("a", "b")  # the one with more examples stays
    assert found.share >= 0.25
    assert 0 < len(found.examples) <= 10
    assert set(found.examples) <= set(EXAMPLES["faq/color"])


def test_of_two_with_as_many_examples_the_one_used_last_stays() -> None:
    examples = taught(a=EXAMPLES["faq/paint"][:14], b=EXAMPLES["faq/color"])

    assert find_confused(examples, {"b": used("b", 0, 5)}, 0.25)[0].label == "b"
    assert find_confused(examples, {"a": used("a", 0, 9), "b": used("b", 0, 5)}, 0.25)[0].label == "a"


def test_it_takes_both_sides_to_be_confused() -> None:
    # All of `narrow` lies among the many of `wide`, most of which lie among themselves.
    wide = [f"parcel {word} {other} tracking" for word in WORDS for other in WORDS]
    examples = taught(wide=wide, narrow=["parcel tracking"] * 8)

    assert find_confused(examples, {}, 0.25) == []


def test_few_examples_say_nothing() -> None:
    examples = taught(a=EXAMPLES["faq/paint"][:7], b=EXAMPLES["faq/color"][:7])

    assert find_confused(examples, {}, 0.0) == []
    assert find_confused(taught(a=EXAMPLES["faq/paint"]), {}, 0.0) == []


def test_a_label_is_in_one_pair_at_most() -> None:
    encoder = np.random.default_rng(3).normal(size=(40, 8))
    vectors = (encoder / np.linalg.norm(encoder, axis=1, keepdims=True)).astype(np.float32)
    texts = tuple(str(number) for number in range(10))
    examples = {name: Taught(texts, vectors[10 * row : 10 * row + 10]) for row, name in enumerate("abcd")}
    found = find_confused(examples, {}, 0.1)

    labels = [label for pair in found for label in (pair.label, pair.target)]
    assert len(found) == 2
    assert len(labels) == len(set(labels))


def test_a_merge_is_proposed_with_its_evidence(loop: Loop) -> None:
    talk(loop, 399, "faq/paint", "faq/color", "faq/parcel", "greet")
    known = read_known(loop, KeptVectors(loop.encoder, loop.store))
    [(found, made)] = find_upkeep(loop, known)

    assert (made.kind, made.label, made.target) == (ProposalKind.MERGE, "faq/paint", "faq/color")
    assert (found.kind, found.turns, found.people, found.priority) == (GapKind.CONFUSED, 0, 0, Priority.LOW)
    assert made.gap_id == found.gap_id
    assert (made.answer, made.warnings) == (None, ())
    assert sum(part.share for part in made.score_parts) == pytest.approx(1)
    assert find_upkeep(loop, known) == [(found, made)]


def test_different_answers_are_told(loop: Loop) -> None:
    domain = loop.settings.path("domain.yml")
    domain.write_text(domain.read_text("utf-8").replace("Paint the wall twice.", "Never do.", 1), "utf-8")
    talk(loop, 399, "faq/paint", "faq/color", "faq/parcel")
    (made,) = upkeep(loop)

    assert made.warnings == ("The two are answered differently; utter_faq/color goes.",)


def test_people_who_were_misunderstood_count(loop: Loop) -> None:
    for number in range(3):
        sender = mined(f"ann{number}", f"paint wall {number}", started=NOW, last_at=NOW)
        ambiguous = Signal("ambiguity", 0.5, "faq/color only 0.02 ahead of greet")
        (talked,) = sender.conversations
        failed = tuple(replace(one, intent="faq/color", signals=(ambiguous,)) for one in talked.failed)
        loop.store.save_batch([replace(sender, conversations=(replace(talked, failed=failed),))], (), None)
    own = existing_gap_id("faq/paint")
    turns = [one.turn_id for one in loop.store.fresh_turns(10)]
    save_members(loop.store, [gap(own, kind=GapKind.EXISTING_INTENT)], dict.fromkeys(turns, own))
    known = read_known(loop, KeptVectors(loop.encoder, loop.store))
    found, made = find_upkeep(loop, known)[0]

    assert (found.turns, found.people, found.priority) == (3, 3, Priority.MEDIUM)
    assert (made.turns, made.people) == (3, 3)


@pytest.mark.parametrize("state", [S.REJECTED, S.DEFERRED, S.WITHDRAWN])
def test_what_was_decided_is_not_proposed_again(loop: Loop, state: ProposalState) -> None:
    talk(loop, 399, "faq/paint", "faq/color", "faq/parcel")
    (made,) = upkeep(loop)
    loop.store.save_proposals([replace(made, state=state)], NOW)

    assert upkeep(loop) == []


def test_what_waits_for_a_decision_is_brought_up_to_date(loop: Loop) -> None:
    talk(loop, 399, "faq/paint", "faq/color", "faq/parcel")
    loop.store.save_proposals(upkeep(loop), NOW)

    assert loop.store.save_proposals(upkeep(loop), NOW) == 0
    assert len(loop.store.proposals()) == 1


def test_what_was_merged_is_done_with(loop: Loop) -> None:
    talk(loop, 399, "faq/paint", "faq/color", "faq/parcel")
    publish(loop, 1, kind=ProposalKind.MERGE, label="faq/paint", target="faq/color", answer=None)
    known = read_known(loop, KeptVectors(loop.encoder, loop.store))

    assert "faq/color" not in known.labels
    assert known.labels.count("faq/paint") == 29
    assert upkeep(loop) == []


def test_what_was_published_but_is_in_no_file_counts(loop: Loop) -> None:
    talk(loop, 399, "faq/paint", "faq/color", "faq/parcel")
    publish(loop, 1, label="learned/track", answer="It is on its way.", examples=tuple(EXAMPLES["faq/parcel"]))
    kinds = {(made.label, made.target) for made in upkeep(loop)}

    assert ("faq/parcel", "learned/track") in {tuple(sorted(str(label) for label in pair)) for pair in kinds}


def test_what_every_dialogue_needs_is_left_alone(loop: Loop) -> None:
    talk(loop, 399, "faq/paint")
    talk(loop, 0, "greet", "affirm", "faq/parcel")
    talk(loop, 398, "faq/paint", "faq/color")

    # Nobody has greeted for as long, and greetings are mixed up with what says yes.
    assert {made.label for made in upkeep(loop)} == {"faq/paint", "faq/parcel"}


def test_an_empty_store_proposes_nothing(loop: Loop) -> None:
    assert upkeep(loop) == []


# --- retirements ------------------------------------------------------------------------------------


def unused(loop: Loop, *labels: str, newest: datetime = NOW) -> list[str]:
    live = loop.store.entries(S.PUBLISHED, S.ABSORBED)
    return [found.label for found in find_unused(loop, labels, loop.store.label_use(), live, newest)]


def test_what_nobody_has_asked_for_long_is_unused(loop: Loop) -> None:
    talk(loop, 0, "faq/parcel", "faq/paint")
    for day in (100, 300):
        talk(loop, day, "faq/paint")

    assert unused(loop, "faq/parcel", "faq/paint") == ["faq/parcel"]
    assert unused(loop, "faq/parcel", newest=START + timedelta(days=179)) == []


def test_too_few_conversations_say_nothing(loop: Loop) -> None:
    talk(loop, 0, "faq/parcel")
    talk(loop, 300, "greet")
    assert unused(loop, "faq/parcel") == ["faq/parcel"]  # its own conversation began when it was used

    strict = replace(loop.settings, gaps=replace(loop.settings.gaps, min_conversations=3))
    assert unused(replace(loop, settings=strict), "faq/parcel") == []


def test_what_was_never_used_counts_from_its_release(loop: Loop) -> None:
    for day in (1, 2, 350):
        talk(loop, day, "greet")
    publish(loop, 1, at=START, label="learned/old")
    publish(loop, 2, at=START + timedelta(days=300), label="learned/fresh")

    assert unused(loop, "learned/old", "learned/fresh", "faq/parcel") == ["learned/old"]


def test_what_a_person_added_to_is_wanted(loop: Loop) -> None:
    for day in (1, 2, 350):
        talk(loop, day, "faq/parcel" if day == 1 else "greet")
    publish(loop, 1, at=START + timedelta(days=300), kind=ProposalKind.EXAMPLES, label="faq/parcel", answer=None)

    assert unused(loop, "faq/parcel") == []


def test_a_retirement_is_proposed_with_its_evidence(loop: Loop) -> None:
    talk(loop, 0, "faq/parcel")
    for day in (100, 399):
        talk(loop, day, "faq/paint", "faq/color")
    known = read_known(loop, KeptVectors(loop.encoder, loop.store))
    found, made = find_upkeep(loop, known)[-1]

    assert (found.kind, made.kind, made.label) == (GapKind.UNUSED, ProposalKind.RETIRE, "faq/parcel")
    assert (found.first_seen, found.last_seen, found.people) == (START, START, 0)
    assert set(made.examples) <= set(EXAMPLES["faq/parcel"])
    assert sum(part.share for part in made.score_parts) == pytest.approx(1)

    publish(loop, 1, kind=ProposalKind.RETIRE, label="faq/parcel", answer=None)
    assert "faq/parcel" not in read_known(loop, KeptVectors(loop.encoder, loop.store)).labels
    assert ProposalKind.RETIRE not in {item.kind for item in upkeep(loop)}


def test_a_clock_that_is_wrong_retires_nothing(loop: Loop) -> None:
    talk(loop, 0, "faq/parcel", "faq/paint", "faq/color")
    for number in range(2):
        talk(loop, 5000, "greet", sender=f"odd{number}")
    early = replace(loop, now=Clock(START + timedelta(days=30)))

    assert ProposalKind.RETIRE not in {made.kind for made in upkeep(early)}


def test_judging_leaves_upkeep_alone(loop: Loop) -> None:
    talk(loop, 399, "faq/paint", "faq/color", "faq/parcel")
    known = read_known(loop, KeptVectors(loop.encoder, loop.store))
    [(found, _)] = find_upkeep(loop, known)
    loop.store.save_upkeep([found])
    judge_gaps(loop, known)

    assert loop.store.gap(found.gap_id) == found


def test_this_projects_own_labels_are_not_confused() -> None:
    from learning.adapters.encoder import OnnxEncoder
    from learning.adapters.project import Project

    examples: dict[str, list[str]] = {}
    project = Project(load_settings(Path(__file__).parents[3], {}))
    answered = {answer.label for answer in project.answers()}
    for example in project.examples():
        if example.label not in answered:
            continue
        examples.setdefault(example.label, []).append(example.text)
    encoder = OnnxEncoder()
    own = {label: Taught(tuple(texts), encoder.encode(texts)) for label, texts in examples.items()}

    assert len(own) >= 20
    assert find_confused(own, {}, Settings().proposals.confused_share) == []
