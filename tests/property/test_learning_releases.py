"""Whatever is approved, published, rolled out, withdrawn, restored, rolled back, trained, and wherever it crashes.

Overlay, files in git, models, proposals, releases and audit log tell the same story afterwards, and nothing that nobody
stands behind is live.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from learning.model import ANSWERING, LIVE, TEACHING, Action, Entry, ProposalState
from learning.releasing import restore, roll_back_to, rollback, withdraw
from tests.release_world import PROPOSALS, World, behaviour

NUMBERS = st.integers(0, len(PROPOSALS) - 1)
PLACES = st.integers(0, 30)
SHARES = st.sampled_from([100, 100, 25])
CRASHES = st.one_of(st.none(), st.none(), st.integers(0, 30))
ONCE = settings(
    max_examples=10, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


class Releases(RuleBasedStateMachine):
    """Everything that people, jobs and crashes do to what is live."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = self.new_world()

    def new_world(self) -> World:
        """Return a world of its own."""
        return World(Path(self.folder.name))

    def teardown(self) -> None:
        """Close and remove everything."""
        self.world.close()
        self.folder.cleanup()

    def entry(self, place: int, *states: ProposalState) -> Entry | None:
        found = self.world.store.entries(*states)
        return found[place % len(found)] if found else None

    @initialize(numbers=st.permutations(range(2, len(PROPOSALS))), most=st.integers(0, 5), shares=st.lists(SHARES))
    def begin(self, numbers: list[int], most: int, shares: list[int]) -> None:
        """Two answers are live, and some of what hangs on them or changes what is trained."""
        for place, number in enumerate([0, 1, *numbers[:most]]):
            share = shares[place] if place < len(shares) else 100
            self.world.attempt(partial(self.world.decide, number, Action.APPROVE, share), None)

    @rule(number=NUMBERS, share=SHARES, crash=CRASHES)
    def approve(self, number: int, share: int, crash: int | None) -> None:
        self.world.attempt(lambda: self.world.decide(number, Action.APPROVE, share), crash)

    @rule(number=NUMBERS, version=st.integers(1, 2), share=SHARES, crash=CRASHES)
    def edit(self, number: int, version: int, share: int, crash: int | None) -> None:
        kind, more = PROPOSALS[number].kind, dict[str, Any]()
        if kind in ANSWERING:
            more["answer"] = f"Edited {version}."
        if kind in TEACHING:
            more["examples"] = (f"edited {number} {version}", *PROPOSALS[number].examples)
        self.world.attempt(lambda: self.world.decide(number, Action.EDIT, share, **more), crash)

    @rule(place=PLACES, crash=CRASHES)
    def undo(self, place: int, crash: int | None) -> None:
        if entry := self.entry(place):
            number = [one.proposal_id for one in PROPOSALS].index(entry.proposal_id)
            self.world.attempt(lambda: self.world.decide(number, Action.UNDO), crash)

    @rule(number=NUMBERS, version=st.integers(1, 2), crash=CRASHES)
    def mine_again(self, number: int, version: int, crash: int | None) -> None:
        made = replace(PROPOSALS[number], examples=(*PROPOSALS[number].examples, f"mined {version}"))
        self.world.attempt(lambda: self.world.store.save_proposals([made], self.world.clock.now), crash)

    @rule(place=PLACES, crash=CRASHES)
    def withdraw(self, place: int, crash: int | None) -> None:
        if entry := self.entry(place, *LIVE):
            entry_id = entry.entry_id
            self.world.attempt(lambda: withdraw(self.world.loop, entry_id, "ann", "wrong"), crash)

    @rule(place=PLACES, crash=CRASHES)
    def restore(self, place: int, crash: int | None) -> None:
        if entry := self.entry(place, ProposalState.WITHDRAWN):
            entry_id = entry.entry_id
            self.world.attempt(lambda: restore(self.world.loop, entry_id, "ann", "right"), crash)

    @rule(place=PLACES, share=st.sampled_from([0, 5, 50, 100]), crash=CRASHES)
    def roll_out(self, place: int, share: int, crash: int | None) -> None:
        entry = self.entry(place, *LIVE)
        if entry is not None and share:
            self.world.attempt(lambda: self.world.set_share(entry, share), crash)

    @rule(place=PLACES, crash=CRASHES)
    def roll_back_any(self, place: int, crash: int | None) -> None:
        if self.world.history:
            number = self.world.history[place % len(self.world.history)].number
            self.world.attempt(lambda: rollback(self.world.loop, number, "ann", "wrong"), crash)

    @precondition(lambda self: self.world.history)
    @rule()
    def roll_back_the_newest(self) -> None:
        """The newest release taken back leaves exactly what was live before it."""
        number = len(self.world.history)
        done = self.world.attempt(lambda: rollback(self.world.loop, number, "ann", "wrong"), None)
        if done:
            assert behaviour(self.world.store.entries()) == self.world.after[number - 1]

    @rule(place=PLACES, crash=CRASHES)
    def roll_back_to_any(self, place: int, crash: int | None) -> None:
        """All releases since one taken back leave exactly what was live after that one."""
        number = place % (len(self.world.history) + 1)
        done = self.world.attempt(lambda: roll_back_to(self.world.loop, number, "ann", "wrong"), crash)
        if done and crash is None:
            assert behaviour(self.world.store.entries()) == self.world.after[number]

    @rule(learns=st.sampled_from([True, True, False]), crash=st.one_of(st.none(), st.integers(0, 60)))
    def retrain(self, learns: bool, crash: int | None) -> None:
        self.world.learns = learns
        self.world.attempt(self.world.train, crash)

    @precondition(lambda self: len(self.world.store.deployed_models()) > 1)
    @rule(place=st.one_of(st.none(), PLACES), crash=CRASHES)
    def run_a_former_model(self, place: int | None, crash: int | None) -> None:
        models = self.world.store.deployed_models()
        name = None if place is None or not models else models[place % len(models)].name
        self.world.attempt(lambda: self.world.go_back_to_model(name), crash)

    @precondition(lambda self: len(self.world.store.deployed_models()) > 1)
    @rule(place=PLACES, crash=CRASHES)
    def an_operator_starts_a_model(self, place: int, crash: int | None) -> None:
        files = sorted(self.world.server.model.parent.glob("*.tar.gz"))
        self.world.attempt(lambda: self.world.start_by_hand(files[place % len(files)]), crash)

    @invariant()
    def nothing_is_left_to_recover(self) -> None:
        """A second look at what every job does first finds nothing more to do."""
        before = (self.world.store.overlay_version(), len(self.world.host.messages))
        self.world.recover()
        assert (self.world.store.overlay_version(), len(self.world.host.messages)) == before


def test_every_interleaving_with_crashes_leaves_one_story() -> None:
    run_state_machine_as_test(Releases, settings=ONCE)
