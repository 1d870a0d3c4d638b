"""A loop that can crash between any two of its writes, and what must hold of it whenever it runs again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from learning.adapters.store import Store
from learning.adapters.store_models import line_of
from learning.branch import for_everybody, try_branch, write_branch
from learning.errors import EvergreenError
from learning.fitting import hanging
from learning.model import (
    LIVE,
    Action,
    Change,
    Decision,
    Entry,
    ProposalKind,
    ProposalState,
    Release,
    ReleaseKind,
)
from learning.overlay import OverlayReader
from learning.publish import render_files
from learning.releasing import live_shares
from learning.retrain import retrain
from learning.review import APPROVING, as_decided, content_mark, effective
from learning.reviewing import publish_waiting, review
from learning.rollout_steps import Schedule
from learning.running_model import reconcile, roll_back_model
from tests.learning_builders import Clock, FakeHost, FakeNlu, FakeServer, make_loop, make_project, proposal

S = ProposalState
NEW = "learned/question_1"
PROPOSALS = [
    proposal(1, label=NEW),
    proposal(2, label="learned/question_2", answer="Yes.", examples=("do you wrap gifts", "gift wrapping")),
    proposal(3, kind=ProposalKind.EXAMPLES, label="track_order", answer=None),
    # What hangs on the first answer, and what changes a label that is trained.
    proposal(4, kind=ProposalKind.EXAMPLES, label=NEW, answer=None, examples=("points for a parcel",)),
    proposal(5, kind=ProposalKind.REWORD, label=NEW, target=f"utter_{NEW}", answer="Another one."),
    proposal(6, kind=ProposalKind.MERGE, label=NEW, target="reset_password", answer=None),
    proposal(7, kind=ProposalKind.RETIRE, label="track_order", answer=None),
    proposal(8, kind=ProposalKind.REWORD, label=NEW, target=f"utter_{NEW}", answer="A third one."),
]


class Crash(BaseException):
    """The process is gone; nothing that catches errors catches this."""


class Fuse:
    """Makes the n-th write from now on the last one of this process."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.writes = 0

    def write(self) -> None:
        """Note that something is written next."""
        self.writes += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Crash


class FusedServer(FakeServer):
    """A bot that may load a model although nobody lives to hear of it."""

    def __init__(self, model: Path, fuse: Fuse) -> None:
        super().__init__(model)
        self.fuse = fuse

    def load_model(self, model: Path) -> None:
        self.fuse.write()
        super().load_model(model)
        self.fuse.write()


class FusedHost(FakeHost):
    """A branch that may be written although nobody lives to hear of it."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self.fuse = fuse

    def propose(self, files: Mapping[str, str], message: str) -> str | None:
        self.fuse.write()
        commit = super().propose(files, message)
        self.fuse.write()
        return commit


def fused_store(url: str, fuse: Fuse) -> Store:
    """Open the learning database, with a fuse before each statement that writes, and before and after each commit."""
    store = Store(url)
    engine = store._database._engine

    def before(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
            fuse.write()

    sa.event.listen(engine, "before_cursor_execute", before)
    genuine = store._database.write

    @contextmanager
    def write() -> Iterator[Any]:
        with genuine() as connection:
            yield connection
            fuse.write()
        fuse.write()

    store._database.write = write  # type: ignore[method-assign]
    return store


def behaviour(entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    """Return what users get of the live entries: the order counts where two say something about the same."""
    live = sorted((entry for entry in entries if entry.state in LIVE), key=lambda one: (one.release, one.entry_id))
    return [(one.entry_id, one.share, one.kind, one.label, one.target, one.answer, one.examples) for one in live]


class World:
    """A project with proposals, a bot, a branch, and a model that learns everything or nothing."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        root = make_project(folder, "retrain:\n  absorb_examples: 1\n")
        self.fuse, self.clock = Fuse(), Clock()
        models = root / "models"
        models.mkdir()
        (models / "old.tar.gz").write_bytes(b"old")
        self.server = FusedServer(models / "old.tar.gz", self.fuse)
        self.host = FusedHost(self.fuse)
        self.learns = True
        self.loop = make_loop(root, url, host=self.host, now=self.clock)
        self.url = url or f"sqlite:///{root / 'var' / 'learning.db'}"
        self.loop.store.save_proposals(PROPOSALS, self.clock.now)
        self.restart()
        encoder = self.loop.encoder
        self.reader = OverlayReader(self.url, encoder.encode, encoder.identity)
        self.after: dict[int, list[tuple[object, ...]]] = {0: []}  # what was live, by release
        self.history: list[Release] = []

    @property
    def store(self) -> Store:
        """The learning database."""
        assert isinstance(self.loop.store, Store)
        return self.loop.store

    def close(self) -> None:
        """Close what is open."""
        self.reader.close()
        self.store._database._engine.dispose()

    def restart(self) -> None:
        """Begin anew with what is on disk, and do what every start of a job does."""
        self.store._database._engine.dispose()
        self.loop = replace(self.loop, store=fused_store(self.url, self.fuse))
        self.recover()

    def recover(self) -> None:
        """Do what every job does first."""
        reconcile(self.loop, self.server)
        publish_waiting(self.loop)
        write_branch(self.loop)

    def attempt(self, act: Callable[[], object], crash_at: int | None) -> bool:
        """Do something as a command would, or crash at its n-th write and start again; return whether it was done.

        What is refused is no failure here: the invariants say what must not have happened.
        """
        self.clock.now += timedelta(minutes=1)
        self.fuse.left = crash_at
        done = False
        try:
            with contextlib.suppress(EvergreenError):
                act()
                done = True
            try_branch(self.loop)
        except Crash:
            self.restart()
        finally:
            self.fuse.left = None
        self.check()
        return done

    # --- what people and jobs do -----------------------------------------------------------------

    def decide(self, number: int, action: Action, share: int = 100, **more: Any) -> None:
        """Decide about a proposal."""
        one = self.store.proposal(PROPOSALS[number].proposal_id)
        decision = Decision(one.proposal_id, action, "ann", self.clock.now, "because", seen=content_mark(one), **more)
        review(self.loop, decision, schedule=Schedule((share,), 24.0))

    def set_share(self, entry: Entry, share: int) -> None:
        """Bring a live entry to another part of the users."""
        self.store.release(
            ReleaseKind.ROLLOUT, [Change(entry.entry_id, entry.live_share, share)], "ann", self.clock.now
        )

    def train(self) -> None:
        """Retrain with a model that understands all that it was taught, or nothing."""
        retrain(self.loop, FakeNlu(self._understands), self.server)

    def _understands(self, model: str, text: str) -> str:
        held_out = {"my parcel?": "track_order", "lost password": "reset_password"}
        if text in held_out or not self.learns:
            return held_out.get(text, "nlu_fallback")
        taught = [item for item in self.store.entries() if text in item.examples]
        return taught[0].label if taught else "nlu_fallback"

    def start_by_hand(self, path: Path) -> None:
        """Let an operator start some model; the next job finds out."""
        self.server.model = path
        reconcile(self.loop, self.server)

    def go_back_to_model(self, name: str | None) -> None:
        """Make the bot run a former model."""
        roll_back_model(self.loop, self.server, name, "ann", "worse")

    # --- what must hold ----------------------------------------------------------------------------

    def check(self) -> None:
        """Check that overlay, files, models, proposals, releases and audit log tell the same story."""
        entries, releases = self.store.entries(), self.store.releases()
        live = [entry for entry in entries if entry.state in LIVE]
        self._check_history(releases, live)
        self._check_approved(entries, live)
        self._check_overlay(entries)
        self._check_models(entries)
        assert self.host.files == dict(render_files(for_everybody(live)))
        assert self.store.verify_audit() == []
        self.after.setdefault(len(releases), behaviour(live))

    def _check_history(self, releases: Sequence[Release], live: Sequence[Entry]) -> None:
        told = [replace(release, commit=None) for release in reversed(releases)]
        assert told[: len(self.history)] == self.history
        assert [release.number for release in told] == list(range(1, len(told) + 1))
        assert live_shares(releases) == {entry.entry_id: entry.share for entry in live}
        self.history = told

    def _check_approved(self, entries: Sequence[Entry], live: Sequence[Entry]) -> None:
        proposals = {one.proposal_id: one for one in self.store.proposals()}
        counting = effective(self.store.decisions())
        assert len({entry.proposal_id for entry in live}) == len(live)
        for entry in live:
            one, decision = proposals[entry.proposal_id], counting[entry.proposal_id]
            assert one.state is entry.state
            assert decision.action in APPROVING
            decided = as_decided(one, decision)
            assert (decided.label, decided.examples, decided.target) == (entry.label, entry.examples, entry.target)
            assert decided.answer == entry.answer
            assert not any(entry in hanging(gone, live, {"track_order", "reset_password"}) for gone in _gone(entries))
        stand = {one.proposal_id for one in proposals.values() if one.state in LIVE}
        assert stand == {entry.proposal_id for entry in live}

    def _check_overlay(self, entries: Sequence[Entry]) -> None:
        """The bot that has followed every step sees what one sees that begins now, and that is what was published."""
        fresh = OverlayReader(self.url, self.loop.encoder.encode, self.loop.encoder.identity)
        seen = [(one.entry_id, one.share, one.label, one.answer) for one in self.reader.snapshot().entries]
        assert seen == [(one.entry_id, one.share, one.label, one.answer) for one in fresh.snapshot().entries]
        assert self.reader.snapshot().withdrawn.keys() == fresh.snapshot().withdrawn.keys()
        fresh.close()
        published = {entry.entry_id: entry.share for entry in entries if entry.state is S.PUBLISHED}
        assert {entry_id: share for entry_id, share, _, _ in seen} == published

    def _check_models(self, entries: Sequence[Entry]) -> None:
        running = self.server.model.name
        models = {model.name: model for model in self.store.deployed_models()}
        assert self.store.running_model() == running
        line = line_of(running, {name: model.replaced for name, model in models.items()})
        taught = models[running].taught
        assert self.server.model.is_file()
        for entry in entries:
            if entry.state is S.ABSORBED:
                assert entry.absorbed_by in line
                assert entry.entry_id in taught
            if entry.state is S.WITHDRAWN:
                assert entry.held_by == (running if entry.entry_id in taught else None)
            else:
                assert entry.held_by is None


def _gone(entries: Sequence[Entry]) -> list[Entry]:
    """Return withdrawn answers whose label no live one has."""
    taught = {entry.label for entry in entries if entry.state in LIVE and entry.kind is ProposalKind.ANSWER}
    return [entry for entry in entries if entry.state is S.WITHDRAWN and entry.label not in taught]
