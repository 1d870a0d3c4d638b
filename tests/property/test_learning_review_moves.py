"""Nothing that nobody approved goes live, whatever reviewers, recovery and withdrawals do in whatever order."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
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
from learning.model import Action, Decision, ProposalKind, ProposalState
from learning.overlay import OverlayReader
from learning.pipeline import learned_files, publish_waiting, review, withdraw, write_branch
from learning.proposing import write_proposals
from tests.learning_builders import START, make_loop, make_project, proposal

S = ProposalState
PROPOSALS = [
    proposal(1),
    proposal(2, answer=None),
    proposal(3, kind=ProposalKind.EXAMPLES, label="track_order", answer=None),
    proposal(4, examples=("[]",)),
]
NUMBERS = st.integers(0, len(PROPOSALS) - 1)
STEPS = st.one_of(
    st.tuples(st.sampled_from([action.value for action in Action]), NUMBERS),
    st.tuples(st.sampled_from(["crash", "withdraw", "recover", "mine", "branch"]), NUMBERS),
)


class Crash(BaseException):
    """The process ends between a decision and its release."""


def decision(action: Action, number: int) -> Decision:
    changes: dict[str, Any] = {"answer": "Edited.", "examples": ("edited",)} if action is Action.EDIT else {}
    return Decision(PROPOSALS[number].proposal_id, action, "ann", START, reason="because", defer_until=START, **changes)


def crash_while_approving(loop: Loop, number: int) -> None:
    class Crashing:
        def __getattr__(self, name: str) -> Any:
            if name == "publish":
                raise Crash
            return getattr(loop.store, name)

    with contextlib.suppress(Crash):
        review(replace(loop, store=Crashing()), decision(Action.APPROVE, number))  # type: ignore[arg-type]


def act(loop: Loop, step: str, number: int, known: Known) -> None:
    if step == "crash":
        crash_while_approving(loop, number)
    elif step == "withdraw":
        for entry in loop.store.entries(S.PUBLISHED):
            if entry.proposal_id == PROPOSALS[number].proposal_id:
                withdraw(loop, entry.entry_id, "ann", "wrong")
    elif step == "recover":
        publish_waiting(loop)
    elif step == "mine":
        write_proposals(loop, known, KeptVectors(loop.encoder, loop.store))
    elif step == "branch":
        write_branch(loop)
    else:
        review(loop, decision(Action(step), number))


@given(st.lists(STEPS, min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_only_what_somebody_approved_is_ever_live(steps: Sequence[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        loop = make_loop(make_project(Path(folder)))
        store = loop.store
        assert isinstance(store, Store)
        store.save_proposals(PROPOSALS, START)
        known = read_known(loop, KeptVectors(loop.encoder, loop.store))
        reader = OverlayReader(
            f"sqlite:///{folder}/var/learning.db", loop.encoder.encode, loop.encoder.identity, lambda: 0.0
        )
        for step, number in steps:
            # What is refused is no failure here: the invariants say what must not have happened.
            with contextlib.suppress(EvergreenError):
                act(loop, step, number, known)
            check(loop, reader)


def check(loop: Loop, reader: OverlayReader) -> None:
    store = loop.store
    assert isinstance(store, Store)
    approved = {row.item for row in store.audit_rows() if row.what in ("approve", "edit")}
    states = {one.proposal_id: one.state for one in store.proposals()}
    entries = store.entries()
    live = [entry for entry in entries if entry.state is S.PUBLISHED]

    assert {entry.proposal_id for entry in entries} <= approved
    assert all(states[entry.proposal_id] is entry.state for entry in entries)
    assert {entry.entry_id for entry in reader.snapshot().entries} == {entry.entry_id for entry in live}
    assert len(learned_files(loop)) == len(live)
    assert all(entry.examples and (entry.answer or entry.kind is ProposalKind.EXAMPLES) for entry in entries)
    assert store.verify_audit() == []
    for proposal_id, state in states.items():
        if state not in (S.PUBLISHED, S.ABSORBED, S.WITHDRAWN):
            assert proposal_id not in {entry.proposal_id for entry in entries}
