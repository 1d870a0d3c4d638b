from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from learning.adapters import schema
from learning.model import Action, Decision, FailedTurn, LabelUse, Proposal, ProposalKind, ProposalState, content_id
from learning.pipeline import mine, review
from learning.rejections import NEWCOMERS, Rejected
from learning.settings import ProposalSettings
from tests.learning_builders import (
    LOYALTY,
    START,
    FakeEncoder,
    TrackerFile,
    failed_turns,
    make_loop,
    make_project,
    proposal,
    talk,
)

EXAMPLES, REWORD, MERGE, RETIRE = (
    ProposalKind.EXAMPLES,
    ProposalKind.REWORD,
    ProposalKind.MERGE,
    ProposalKind.RETIRE,
)
SETTINGS = ProposalSettings(rejected_similarity=0.75)
PARCELS = ("where is my parcel", "parcel tracking please", "when does the parcel arrive", "track parcel")
OTHER_ANSWER = "Write to the team."
DAY = timedelta(days=1)


@dataclass
class FakeStore:
    items: list[Proposal]
    uses: dict[str, LabelUse] = field(default_factory=dict)

    def proposals(self) -> list[Proposal]:
        return self.items

    def decisions(self) -> list[Decision]:
        rejected = [item for item in self.items if item.state is ProposalState.REJECTED]
        return [Decision(item.proposal_id, Action.REJECT, "ann", START + DAY, "no") for item in rejected]

    def label_use(self) -> dict[str, LabelUse]:
        return self.uses


def rejected(number: int = 1, **more: Any) -> Proposal:
    return proposal(number, **{"state": ProposalState.REJECTED, "examples": LOYALTY[:5], **more})


def memory(*items: Proposal, uses: dict[str, LabelUse] | None = None) -> Rejected:
    return Rejected.of(FakeStore(list(items), uses or {}), FakeEncoder(), SETTINGS)


def asked_since(count: int, days: int = 2) -> list[FailedTurn]:
    turns = failed_turns(LOYALTY[:count])
    return [replace(turn, at=START + days * DAY) for turn in turns]


def fresh(number: int = 2, **more: Any) -> Proposal:
    return proposal(number, **{"examples": LOYALTY[5:], **more})


# --- needs ----------------------------------------------------------------------------------------


def test_without_rejections_everything_may_be_proposed() -> None:
    for state in set(ProposalState) - {ProposalState.REJECTED}:
        assert memory(replace(rejected(), state=state)).nearest(fresh()) is None


def test_the_same_need_in_other_words_and_another_gap_does_not_come_back() -> None:
    before = rejected()

    assert memory(before).nearest(fresh()) == before
    assert memory(before).nearest(fresh(examples=PARCELS)) is None


def test_one_message_said_again_is_enough_where_there_is_only_one() -> None:
    assert memory(rejected(examples=("quantum flux",))).nearest(fresh(examples=("Quantum flux?",))) is not None


def test_a_gap_that_grew_is_still_rejected() -> None:
    before = rejected(examples=("quantum flux",))

    assert memory(before).nearest(fresh(gap_id=before.gap_id, people=40, turns=90)) == before


def test_the_nearest_of_several_is_told() -> None:
    parcels, loyalty = rejected(1, examples=PARCELS), rejected(3)

    assert memory(parcels, loyalty).nearest(fresh()) == loyalty


def test_a_heap_of_noise_is_not_like_everything() -> None:
    noise = rejected(examples=("purple monkey dishwasher", "the moon is made of cheese", "asdf qwer zxcv", "goat"))

    assert memory(noise).nearest(fresh()) is None
    assert memory(noise).nearest(fresh(examples=PARCELS)) is None


def test_what_is_rather_about_something_accepted_may_be_proposed() -> None:
    # Both are about points; the new one is about the same points as the one that was accepted.
    wrong = rejected(1, examples=("points travel airline", "airline points", "points airline travel miles"))
    right = proposal(3, examples=("points airline bonus", "bonus points airline"), state=ProposalState.PUBLISHED)
    new = fresh(examples=("airline bonus points please", "bonus airline points today"))
    loose = ProposalSettings(rejected_similarity=0.3)

    assert Rejected.of(FakeStore([wrong]), FakeEncoder(), loose).nearest(new) == wrong
    assert Rejected.of(FakeStore([wrong, right]), FakeEncoder(), loose).nearest(new) is None
    undecided = replace(right, state=ProposalState.PENDING)
    assert Rejected.of(FakeStore([wrong, undecided]), FakeEncoder(), loose).nearest(new) == wrong


def test_the_setting_says_how_near_is_the_same() -> None:
    half = (*LOYALTY[5:8], *PARCELS[:2])
    store = FakeStore([rejected()])

    assert Rejected.of(store, FakeEncoder(), ProposalSettings(rejected_similarity=0.4)).nearest(fresh(examples=half))
    strict = Rejected.of(store, FakeEncoder(), ProposalSettings(rejected_similarity=0.99))
    assert strict.nearest(fresh(examples=half)) is None


def test_small_samples_of_one_need_are_as_near_as_large_ones() -> None:
    """The plain cosine of the centers of three and three messages would miss them."""
    rng = np.random.default_rng(0)
    need = rng.normal(size=64)

    class Sampled(FakeEncoder):
        def encode(self, texts: Sequence[str]) -> Any:
            rows = [need + np.random.default_rng(int(text.split()[1])).normal(size=64) for text in texts]
            return np.array([row / np.linalg.norm(row) for row in rows])

    texts = [f"message {number}" for number in range(6)]
    one, two = (Sampled().encode(part).mean(axis=0) for part in (texts[:3], texts[3:]))
    assert one @ two / np.linalg.norm(one) / np.linalg.norm(two) < 0.85

    found = Rejected.of(FakeStore([rejected(examples=tuple(texts[:3]))]), Sampled(), SETTINGS)
    assert found.nearest(fresh(examples=tuple(texts[3:]))) is not None


def test_kinds_and_labels_are_different_suggestions() -> None:
    before = rejected(kind=EXAMPLES, label="track_order", answer=None)

    assert memory(before).nearest(fresh(kind=EXAMPLES, label="track_order", answer=None)) == before
    assert memory(before).nearest(fresh(kind=EXAMPLES, label="reset_password", answer=None)) is None
    assert memory(before).nearest(fresh()) is None


# --- another answer -------------------------------------------------------------------------------


def test_another_answer_gets_one_more_chance_if_enough_people_asked_since() -> None:
    before = rejected()
    known, other = memory(before), fresh(answer=OTHER_ANSWER)

    assert known.nearest(other, asked_since(NEWCOMERS)) is None
    assert known.nearest(other, asked_since(NEWCOMERS - 1)) == before
    assert known.nearest(other, asked_since(NEWCOMERS, days=0)) == before  # they had asked by then
    assert known.nearest(fresh(), asked_since(NEWCOMERS)) == before  # the same answer
    assert known.nearest(fresh(answer=None), asked_since(NEWCOMERS)) == before
    flood = [replace(turn, sender="one person") for turn in asked_since(9)]
    assert known.nearest(other, flood) == before


def test_what_had_no_answer_was_not_rejected_for_its_answer() -> None:
    before = rejected(answer=None)

    assert memory(before).nearest(fresh(answer=OTHER_ANSWER), asked_since(9)) == before


def test_a_need_that_was_rejected_twice_is_not_wanted() -> None:
    twice = memory(rejected(1), rejected(3, answer="Ask the manager about vouchers."))

    assert twice.nearest(fresh(answer=OTHER_ANSWER), asked_since(9)) is not None


# --- kinds that teach nothing ---------------------------------------------------------------------


def test_a_better_answer_comes_back_only_if_it_says_something_else_to_new_people() -> None:
    before = rejected(kind=REWORD, label="faq/points", target="utter_faq/points")
    again = fresh(kind=REWORD, label="faq/points", target="utter_faq/points")

    assert memory(before).nearest(again, asked_since(9)) == before
    assert memory(before).nearest(replace(again, answer=OTHER_ANSWER), asked_since(9)) is None
    assert memory(before).nearest(replace(again, answer=OTHER_ANSWER)) == before
    assert memory(before).nearest(replace(again, label="faq/b", target="utter_faq/b"), asked_since(9)) is None


@pytest.mark.parametrize(("label", "target", "known"), [("a", "b", True), ("b", "a", True), ("a", "c", False)])
def test_a_merge_is_the_same_whichever_label_stays(label: str, target: str, known: bool) -> None:
    before = rejected(kind=MERGE, label="a", target="b", answer=None)
    found = memory(before).nearest(fresh(kind=MERGE, label=label, target=target, answer=None))

    assert (found == before) is known


@pytest.mark.parametrize(("days", "known"), [(-100, True), (0, True), (1, True), (2, False)])
def test_a_retirement_is_the_same_until_the_label_is_used_again(days: int, known: bool) -> None:
    before = rejected(kind=RETIRE, label="faq/old", answer=None)
    use = LabelUse("faq/old", START - 400 * DAY, START + days * DAY)
    again = fresh(kind=RETIRE, label="faq/old", answer=None)

    assert (memory(before, uses={"faq/old": use}).nearest(again) == before) is known
    assert memory(before).nearest(again) == before
    assert memory(before).nearest(replace(again, label="faq/older")) is None


# --- a real store ---------------------------------------------------------------------------------


def test_a_rejection_that_was_taken_back_is_forgotten(tmp_path: Path) -> None:
    loop = make_loop(make_project(tmp_path))
    loop.store.save_proposals([proposal(1, examples=LOYALTY[:5])], START)
    (item,) = loop.store.proposals()

    def found() -> Proposal | None:
        return Rejected.of(loop.store, loop.encoder, SETTINGS).nearest(fresh())

    assert found() is None
    review(loop, Decision(item.proposal_id, Action.REJECT, "ann", START, "no need"))
    assert found() is not None
    review(loop, Decision(item.proposal_id, Action.UNDO, "ann", START))
    assert found() is None


def test_the_words_of_what_was_rejected_are_not_kept_as_vectors(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    tracker = TrackerFile(root / "var" / "tracker.db")
    talk(tracker)
    loop = make_loop(root)
    mine(loop)
    (item,) = loop.store.proposals()
    review(loop, Decision(item.proposal_id, Action.REJECT, "ann", START, "no need"))
    tracker.say("late", "loyalty points for students")
    mine(loop)

    keys = [content_id("vector", loop.encoder.identity, text) for text in item.examples]
    assert loop.store.known_vectors(keys) == {}
    assert Rejected.of(loop.store, loop.encoder, SETTINGS).nearest(fresh()) == loop.store.proposal(item.proposal_id)


def test_nothing_is_encoded_until_something_is_compared() -> None:
    encoder = FakeEncoder()
    accepted = proposal(3, state=ProposalState.PUBLISHED)
    known = Rejected.of(FakeStore([rejected(), accepted], {}), encoder, SETTINGS)
    assert encoder.calls == 0
    known.nearest(fresh())
    once = encoder.calls
    known.nearest(fresh())

    assert (once, encoder.calls) == (3, 4)  # the two that were decided about are encoded once


PARAPHRASES = ("loyalty points please", "my loyalty points", "points for loyalty", "loyalty points balance")


@pytest.mark.parametrize("is_rejected", [True, False])
def test_mining_the_same_need_anew_proposes_nothing_after_a_rejection(tmp_path: Path, is_rejected: bool) -> None:
    root = make_project(tmp_path)
    tracker = TrackerFile(root / "var" / "tracker.db")
    talk(tracker)
    loop = make_loop(root)
    assert mine(loop).new_proposals == 1
    (item,) = loop.store.proposals()
    if is_rejected:
        review(loop, Decision(item.proposal_id, Action.REJECT, "ann", START, "no need"))
    _forget_gaps(loop.store)  # so that what comes founds another one, with another id
    for number, text in enumerate(PARAPHRASES):
        tracker.say(f"newcomer{number}", text)

    report = mine(loop)

    assert (report.new_gaps, report.new_proposals) == (1, 0 if is_rejected else 1)
    assert len(loop.store.gaps()) == 1
    assert item.gap_id not in loop.store.gaps()


def _forget_gaps(store: Any) -> None:
    with store._database.write() as connection:
        connection.execute(sa.delete(schema.gaps))
        connection.execute(sa.update(schema.failed_turns).values(gap_id=None, stage="noise"))
