"""Nothing that nobody approved goes live, whatever reviewers, recovery and withdrawals do in whatever order."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from learning.adapters.store import Store
from learning.errors import EvergreenError
from learning.gaps import Known
from learning.grouping import read_known
from learning.kept_vectors import KeptVectors
from learning.loop import Loop
from learning.model import ANSWERING, TEACHING, Action, Decision, Proposal, ProposalKind, ProposalState
from learning.overlay import OverlayReader
from learning.pipeline import LIVE, learned_files, publish_waiting, review, withdraw, write_branch
from learning.proposing import write_proposals
from learning.review import decide, effective
from tests.learning_builders import START, make_loop, make_project, proposal

S = ProposalState
NEW = "learned/question_1"
PROPOSALS = [
    proposal(1, label=NEW),
    proposal(2, answer=None),
    proposal(3, kind=ProposalKind.EXAMPLES, label="track_order", answer=None),
    proposal(4, examples=("[]",)),
    # What hangs on the first answer, and what changes a label that is trained.
    proposal(5, kind=ProposalKind.EXAMPLES, label=NEW, answer=None),
    proposal(6, kind=ProposalKind.REWORD, label=NEW, target=f"utter_{NEW}", answer="Another one."),
    proposal(7, kind=ProposalKind.MERGE, label=NEW, target="track_order", answer=None),
    proposal(8, kind=ProposalKind.RETIRE, label="track_order", answer=None),
]
SUGGESTED = {one.proposal_id: one for one in PROPOSALS}
NUMBERS = st.integers(0, len(PROPOSALS) - 1)
STEPS = st.one_of(
    st.tuples(st.sampled_from([action.value for action in Action]), NUMBERS),
    st.tuples(st.sampled_from(["crash", "withdraw", "absorb", "recover", "mine", "branch"]), NUMBERS),
)
# Without these little hangs on anything.
FIRST = st.sampled_from([(), (0,), (0, 4), (0, 4, 5), (0, 6), (2, 7)]).map(
    lambda numbers: [("approve", number) for number in numbers]
)
DECIDED_STATES = {
    Action.APPROVE: {S.APPROVED, S.PUBLISHED, S.ABSORBED, S.WITHDRAWN},
    Action.EDIT: {S.EDITED, S.PUBLISHED, S.ABSORBED, S.WITHDRAWN},
    Action.REJECT: {S.REJECTED},
    Action.DEFER: {S.DEFERRED, S.PENDING},  # mining puts it back
}


def decision(action: Action, number: int) -> Decision:
    one = PROPOSALS[number]
    changes: dict[str, Any] = {}
    if action is Action.EDIT and one.kind in ANSWERING:
        changes["answer"] = "Edited."
    if action is Action.EDIT and one.kind in TEACHING:
        changes["examples"] = ("edited",)
    return Decision(one.proposal_id, action, "ann", START, reason="because", defer_until=START, **changes)


def crash_while_approving(loop: Loop, number: int) -> None:
    """Record a decision without its release, as an earlier version did when it crashed in between."""
    made = decision(Action.APPROVE, number)
    before = loop.store.proposal(made.proposal_id)
    loop.store.save_decision(before, decide(before, made), made)


def act(loop: Loop, step: str, number: int, known: Known) -> None:
    if step == "crash":
        crash_while_approving(loop, number)
    elif step in ("withdraw", "absorb"):
        for entry in loop.store.entries(S.PUBLISHED):
            if entry.proposal_id == PROPOSALS[number].proposal_id:
                if step == "withdraw":
                    withdraw(loop, entry.entry_id, "ann", "wrong")
                else:
                    loop.store.absorb([(entry, "understood")], "m", "retrain", START)
    elif step == "recover":
        publish_waiting(loop)
    elif step == "mine":
        write_proposals(loop, known, KeptVectors(loop.encoder, loop.store))
    elif step == "branch":
        write_branch(loop)
    else:
        review(loop, decision(Action(step), number))


@given(FIRST, st.lists(STEPS, min_size=1, max_size=10))
@settings(max_examples=30, deadline=None)
def test_only_what_somebody_approved_is_ever_live(
    first: Sequence[tuple[str, int]], steps: Sequence[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        loop = make_loop(make_project(Path(folder)))
        store = loop.store
        assert isinstance(store, Store)
        store.save_proposals(PROPOSALS, START)
        known = read_known(loop, KeptVectors(loop.encoder, loop.store))
        reader = OverlayReader(
            f"sqlite:///{folder}/var/learning.db", loop.encoder.encode, loop.encoder.identity, lambda: 0.0
        )
        version = 0
        for step, number in (*first, *steps):
            # What is refused is no failure here: the invariants say what must not have happened.
            with contextlib.suppress(EvergreenError):
                act(loop, step, number, known)
            check_live(loop, reader)
            check_decisions(store)
            assert store.overlay_version() >= version
            version = store.overlay_version()


def check_live(loop: Loop, reader: OverlayReader) -> None:
    """What is live was approved, has what it needs, and is what the bot and the files say."""
    store = loop.store
    assert isinstance(store, Store)
    approved = {row.item for row in store.audit_rows() if row.what in ("approve", "edit")}
    entries = store.entries()
    live = [entry for entry in entries if entry.state in LIVE]
    states = {one.proposal_id: one.state for one in store.proposals()}

    assert {entry.proposal_id for entry in entries} <= approved
    assert {entry.proposal_id: entry.state for entry in live} == {
        proposal_id: state for proposal_id, state in states.items() if state in LIVE
    }
    assert {entry.state for entry in entries} <= {*LIVE, S.WITHDRAWN}
    in_overlay = {entry.entry_id for entry in entries if entry.state is S.PUBLISHED and entry.kind in TEACHING}
    assert {entry.entry_id for entry in reader.snapshot().entries if entry.kind in TEACHING} == in_overlay
    assert len(learned_files(loop)) == len(live)
    assert all(entry.examples for entry in live if entry.kind in TEACHING)
    assert all(bool(entry.answer) is (entry.kind in ANSWERING) for entry in live)
    answered = {entry.label for entry in live if entry.kind is ProposalKind.ANSWER} | {"track_order"}
    assert {entry.label for entry in live} <= answered


def check_decisions(store: Store) -> None:
    """Each proposal is what was suggested, stands where its last decision put it, and every step is in the log."""
    counting = effective(store.decisions())
    for one in store.proposals():
        suggested = SUGGESTED[one.proposal_id]
        assert content(one) == content(suggested)
        if one.proposal_id in counting:
            assert one.state in DECIDED_STATES[counting[one.proposal_id].action]
        else:
            assert one.state is S.PENDING
    numbers = sorted(release.number for release in store.releases())
    assert numbers == list(range(1, len(numbers) + 1))
    rows = store.audit_rows()
    decided = [row for row in rows if row.what in {action.value for action in Action}]
    assert len(decided) == len(store.decisions())
    assert store.verify_audit() == []


def content(one: Proposal) -> tuple[object, ...]:
    return one.kind, one.label, one.examples, one.answer, one.target
