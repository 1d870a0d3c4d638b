"""What a new model makes needless in the overlay, by kind, and how the gate counts changed labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from learning.absorbing import absorb
from learning.loop import Loop
from learning.model import ProposalKind, ProposalState
from learning.retrain import RetrainReport, retrain
from tests.learning_builders import NLU, START, FakeNlu, FakeServer, make_loop, make_project, proposal

S = ProposalState
KEPT, GONE = "track_order", "reset_password"
HOLDOUT = {"my parcel?": KEPT, "lost password": GONE}
LABELS = {text: label for label, texts in NLU.items() for text in texts}


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return make_loop(make_project(tmp_path))


def publish(loop: Loop, kind: ProposalKind, **more: Any) -> None:
    approved = proposal(kind=kind, state=S.APPROVED, **{"label": KEPT, "answer": None, **more})
    loop.store.save_proposals([approved], START)
    live = replace(approved, state=S.PUBLISHED)
    loop.store.publish(approved, live, "entry", loop.encoder.encode(live.examples), "fake-1", "ann", START)


def absorbed(loop: Loop, understands: Callable[[str], str]) -> bool:
    entries = loop.store.entries(S.PUBLISHED)
    done, kept = absorb(loop, FakeNlu(lambda model, text: understands(text)), Path("new.tar.gz"), entries)
    assert len(done) + len(kept) == 1
    return bool(done)


def merged(text: str) -> str:
    return KEPT if LABELS.get(text) in (KEPT, GONE, None) else LABELS[text]


def test_a_merge_is_absorbed_when_the_model_has_made_it(loop: Loop) -> None:
    publish(loop, ProposalKind.MERGE, target=GONE, examples=("new password please",))

    assert absorbed(loop, merged)
    assert loop.store.proposals()[0].state is S.ABSORBED
    assert loop.store.verify_audit() == []


def test_one_message_under_the_old_label_keeps_a_merge(loop: Loop) -> None:
    publish(loop, ProposalKind.MERGE, target=GONE, examples=("new password please",))

    assert not absorbed(loop, lambda text: GONE if text == "password forgotten" else merged(text))


def test_a_merge_stays_while_its_messages_go_elsewhere(loop: Loop) -> None:
    publish(loop, ProposalKind.MERGE, target=GONE, examples=("new password please",))

    assert not absorbed(loop, lambda text: "greet")


def test_a_retirement_is_absorbed_when_the_model_has_lost_the_label(loop: Loop) -> None:
    publish(loop, ProposalKind.RETIRE, label=GONE, examples=())

    assert not absorbed(loop, lambda text: LABELS[text])
    assert absorbed(loop, lambda text: "nlu_fallback")


def test_without_a_message_to_ask_nothing_is_proved(loop: Loop) -> None:
    publish(loop, ProposalKind.RETIRE, label="faq/unheard_of", examples=())

    assert not absorbed(loop, lambda text: "nlu_fallback")


def test_examples_that_are_only_published_are_asked_about(loop: Loop) -> None:
    publish(loop, ProposalKind.ANSWER, label="learned/x", answer="It is x.", examples=("what is x",))
    teaching = loop.store.entries()
    retired = proposal(2, kind=ProposalKind.RETIRE, state=S.APPROVED, label="learned/x", examples=(), answer=None)
    loop.store.save_proposals([retired], START)
    live = replace(retired, state=S.PUBLISHED)
    loop.store.publish(retired, live, "entry2", loop.encoder.encode([]), "fake-1", "ann", START)
    entries = [item for item in loop.store.entries() if item not in teaching]
    nlu = FakeNlu(lambda model, text: "learned/x")

    assert absorb(loop, nlu, Path("new.tar.gz"), entries) == ([], entries)


def test_a_reworded_answer_stays_live(loop: Loop) -> None:
    publish(loop, ProposalKind.REWORD, target="utter_track_order", answer="Better.")

    assert not absorbed(loop, lambda text: KEPT)


# --- the gate ---------------------------------------------------------------------------------------


def run(loop: Loop, understands: Callable[[str, str], str]) -> RetrainReport:
    models = loop.settings.path("models")
    models.mkdir()
    (models / "old.tar.gz").write_bytes(b"old")
    return retrain(loop, FakeNlu(understands), FakeServer(models / "old.tar.gz"))


def test_the_hold_out_is_read_under_the_labels_of_today(loop: Loop) -> None:
    publish(loop, ProposalKind.MERGE, target=GONE)

    def answers(model: str, text: str) -> str:
        return HOLDOUT.get(text, KEPT) if model.startswith("old") else KEPT

    report = run(loop, answers)
    assert report.comparison.passed
    assert (report.comparison.champion.accuracy, report.comparison.challenger.accuracy) == (1, 1)
    assert report.comparison.gained == ()


def test_what_is_retired_is_not_asked_for(loop: Loop) -> None:
    publish(loop, ProposalKind.RETIRE, label=GONE, examples=())
    report = run(loop, lambda model, text: HOLDOUT.get(text, KEPT))

    assert report.comparison.champion.total == 1
    assert report.comparison.passed


def test_a_model_that_takes_more_for_the_retired_label_is_worse(loop: Loop) -> None:
    publish(loop, ProposalKind.RETIRE, label=GONE, examples=())
    report = run(loop, lambda model, text: KEPT if model.startswith("old") else GONE)

    assert not report.comparison.passed
