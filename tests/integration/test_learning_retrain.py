"""The gated retraining, with fakes in place of Rasa."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learning.errors import BotServerError, ProjectError, TrainingError
from learning.jobs import STEPS
from learning.loop import Loop
from learning.model import (
    Action,
    Change,
    Decision,
    Entry,
    JobKind,
    ProposalState,
    ReleaseKind,
    content_id,
)
from learning.pipeline import mine, review
from learning.retrain import RetrainReport, retrain
from learning.review import move
from tests.learning_builders import (
    START,
    FakeNlu,
    FakeServer,
    TrackerFile,
    make_loop,
    make_project,
    proposal,
    talk,
)

S = ProposalState
LEARNED = "learned/loyalty_points"
HOLDOUT = {"my parcel?": "track_order", "lost password": "reset_password"}


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    """A loop with one published answer."""
    root = make_project(tmp_path, "retrain:\n  absorb_examples: 3\n")
    talk(TrackerFile(root / "var" / "tracker.db"))
    loop = make_loop(root)
    mine(loop)
    (waiting,) = loop.store.proposals()
    review(loop, Decision(waiting.proposal_id, Action.APPROVE, "ann", START))
    return loop


@pytest.fixture
def server(loop: Loop) -> FakeServer:
    models = loop.settings.path("models")
    models.mkdir()
    (models / "old.tar.gz").write_bytes(b"old")
    return FakeServer(models / "old.tar.gz")


def understands_all(model: str, text: str) -> str:
    if text in HOLDOUT:
        return HOLDOUT[text]
    return "nlu_fallback" if model.startswith("old") else LEARNED


def models_of(loop: Loop) -> list[str]:
    return sorted(path.name for path in loop.settings.path("models").iterdir())


def run(loop: Loop, server: FakeServer, understands: Callable[[str, str], str] = understands_all) -> RetrainReport:
    return retrain(loop, FakeNlu(understands), server)


def test_a_model_that_is_not_worse_goes_live_and_absorbs(loop: Loop, server: FakeServer) -> None:
    nlu = FakeNlu(understands_all)
    steps: list[str] = []
    report = retrain(loop, nlu, server, lambda step, words: steps.append(step))

    assert report.comparison.passed
    assert report.model == server.model
    assert server.model.parent == loop.settings.path("models")
    assert [entry.label for entry in report.absorbed] == [LEARNED]
    assert (loop.store.entries(S.PUBLISHED), len(loop.store.entries(S.ABSORBED))) == ([], 1)
    assert loop.store.proposals()[0].state is S.ABSORBED
    assert loop.store.verify_audit() == []
    last = loop.store.last_run("retrain")
    assert last is not None
    assert (last["outcome"], last["summary"]["absorbed"]) == ("ok", 1)
    assert tuple(steps) == STEPS[JobKind.RETRAIN]
    assert not list(loop.settings.path("var/training").iterdir())


def test_training_sees_the_project_and_what_is_published(loop: Loop, server: FakeServer) -> None:
    nlu = FakeNlu(understands_all)
    retrain(loop, nlu, server)

    learned = [text for name, text in nlu.trained_on.items() if name.startswith("learned/entry-")]
    assert len(learned) == 1
    assert f"utter_{LEARNED}" in learned[0]
    assert "nlu/nlu.yml" in nlu.trained_on


def test_the_gate_blocks_a_worse_model(loop: Loop, server: FakeServer) -> None:
    def worse(model: str, text: str) -> str:
        return understands_all(model, text) if model.startswith("old") else "track_order"

    old = server.model
    report = run(loop, server, worse)

    assert not report.comparison.passed
    assert (report.model, server.model) == (None, old)
    assert report.comparison.lost == ("lost password",)
    assert models_of(loop) == ["old.tar.gz"]
    assert len(loop.store.entries(S.PUBLISHED)) == 1
    last = loop.store.last_run("retrain")
    assert last is not None
    assert last["outcome"] == "blocked"
    assert list(loop.settings.path("var/training").rglob("*.tar.gz"))  # kept to look at


def test_a_model_that_fails_to_load_leaves_no_file_and_the_entry_live(loop: Loop, server: FakeServer) -> None:
    server.refuses = True
    old = server.model
    with pytest.raises(BotServerError, match="PUT /model"):
        run(loop, server)

    assert server.model == old
    assert models_of(loop) == ["old.tar.gz"]
    assert len(loop.store.entries(S.PUBLISHED)) == 1


def test_training_that_fails_changes_nothing(loop: Loop, server: FakeServer) -> None:
    nlu = FakeNlu(understands_all)

    def fail() -> None:
        raise TrainingError("failed with exit code 1", "rasa train", "read the log")

    nlu.on_train = fail
    with pytest.raises(TrainingError):
        retrain(loop, nlu, server)

    assert models_of(loop) == ["old.tar.gz"]
    assert len(loop.store.entries(S.PUBLISHED)) == 1


@pytest.mark.parametrize(("share", "absorbed"), [(0.79, 0), (0.81, 1)])
def test_an_entry_is_absorbed_from_the_share_of_the_settings(
    loop: Loop, server: FakeServer, share: float, absorbed: int
) -> None:
    (entry,) = loop.store.entries(S.PUBLISHED)
    turns = [turn.text for gap_id in loop.store.gaps() for turn in loop.store.turns_of_gap(gap_id)]
    texts = sorted({*entry.examples, *turns})
    known = set(texts[: round(share * 100 * len(texts) / 100 + (0.5 if absorbed else -0.5))])

    def some(model: str, text: str) -> str:
        return HOLDOUT.get(text) or (LEARNED if text in known else "nlu_fallback")

    report = run(loop, server, some)
    assert (len(report.absorbed), len(report.kept)) == (absorbed, 1 - absorbed)
    assert len(loop.store.entries(S.PUBLISHED)) == 1 - absorbed


def test_an_entry_of_few_examples_stays_in_the_overlay(loop: Loop, server: FakeServer) -> None:
    few = replace(loop.settings.retrain, absorb_examples=25)
    report = run(replace(loop, settings=replace(loop.settings, retrain=few)), server)

    assert report.model is not None
    assert (report.absorbed, len(report.kept)) == ((), 1)


def test_what_is_withdrawn_while_training_is_not_absorbed(loop: Loop, server: FakeServer) -> None:
    second = proposal(7, state=S.APPROVED, label=LEARNED)
    loop.store.save_proposals([second], START)
    loop.store.publish(second, move(second, S.PUBLISHED), content_id("e7"), np.zeros((3, 4)), "f", "ann", START)
    nlu = FakeNlu(understands_all)

    def withdraw() -> None:
        gone: Entry = loop.store.entries(S.PUBLISHED)[0]
        loop.store.release(ReleaseKind.WITHDRAW, [Change(gone.entry_id, 100, 0)], "ann", START)

    nlu.on_train = withdraw
    report = retrain(loop, nlu, server)

    assert [entry.entry_id for entry in report.absorbed] == [content_id("e7")]
    assert len(loop.store.entries(S.WITHDRAWN)) == 1


def test_what_is_published_while_training_stays_live(loop: Loop, server: FakeServer) -> None:
    late = proposal(8, state=S.APPROVED, label=LEARNED)
    loop.store.save_proposals([late], START)
    nlu = FakeNlu(understands_all)
    nlu.on_train = lambda: loop.store.publish(
        late, move(late, S.PUBLISHED), content_id("e8"), np.zeros((3, 4)), "f", "ann", START
    )
    retrain(loop, nlu, server)

    assert [entry.entry_id for entry in loop.store.entries(S.PUBLISHED)] == [content_id("e8")]


def test_without_entries_a_retraining_still_compares_and_swaps(tmp_path: Path) -> None:
    loop = make_loop(make_project(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "old.tar.gz").write_bytes(b"old")
    server = FakeServer(tmp_path / "models" / "old.tar.gz")
    report = run(loop, server)

    assert (report.absorbed, report.kept) == ((), ())
    assert server.model.name.startswith("evergreen-")


def test_without_a_holdout_nothing_is_trained(loop: Loop, server: FakeServer) -> None:
    loop.settings.path("tests/holdout/nlu.yml").unlink()
    nlu = FakeNlu(understands_all)
    with pytest.raises(ProjectError, match="holds no labelled messages"):
        retrain(loop, nlu, server)

    assert nlu.trained_on == {}
