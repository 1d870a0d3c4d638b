from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from rasa.engine.constants import PLACEHOLDER_TRACKER
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from components.live_overlay import LiveOverlay
from components.overlay_source import SWITCH, shared_reader
from components.persistence import ModelFileError
from learning.buckets import bucket
from learning.model import ProposalKind
from learning.overlay import OverlayEntry, OverlaySnapshot, snapshot_of
from tests.unit.components.toys import Workbench, encoder, message


@dataclass
class FakeEntry:
    entry_id: str
    label: str
    examples: tuple[str, ...]
    share: int = 100


def snapshot_at(version: int, *entries: FakeEntry | OverlayEntry) -> OverlaySnapshot:
    rows = []
    for place, one in enumerate(entries):
        if isinstance(one, FakeEntry):
            one = OverlayEntry(
                one.entry_id, ProposalKind.EXAMPLES, one.label, one.examples, None, share=one.share, release=place
            )
        rows.append((one, encoder().encode(list(one.examples)) if one.examples else np.empty((0, 0))))
    return snapshot_of(rows, version)


class FakeReader:
    def __init__(self, snapshot: OverlaySnapshot | Exception) -> None:
        self.current = snapshot

    def snapshot(self) -> Any:
        if isinstance(self.current, Exception):
            raise self.current
        return self.current


def changed(*entries: FakeEntry, **labels: str | None) -> OverlaySnapshot:
    """A snapshot in which each label became another one, or nothing; `faq__a` stands for `faq/a`."""
    steps = [(label.replace("__", "/"), to) for label, to in labels.items()]
    changes = (
        OverlayEntry(f"change {label}", ProposalKind.MERGE, to, (), None, label, release=100 + number)
        if to
        else OverlayEntry(f"change {label}", ProposalKind.RETIRE, label, (), None, release=100 + number)
        for number, (label, to) in enumerate(steps)
    )
    return snapshot_at(9, *entries, *changes)


LOYALTY = FakeEntry(
    "e1",
    "learned/loyalty_points",
    ("do i get loyalty points", "how do i collect loyalty points", "what are my points worth"),
)
PARCEL = FakeEntry("e2", "track_order", ("dude where is my stuff at", "my stuff where is it"))


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader(snapshot_at(7, LOYALTY, PARCEL))


@pytest.fixture
def overlay(bench: Workbench, reader: FakeReader) -> LiveOverlay:
    bench.train(LiveOverlay)
    loaded: LiveOverlay = bench.load(LiveOverlay)
    loaded._open_reader = lambda: reader
    return loaded


def fallen_back(text: str, **data: Any) -> Message:
    one = message(text, **data)
    ranking = [{"name": "nlu_fallback", "confidence": 0.9}, {"name": "greet", "confidence": 0.3}]
    one.set("intent", ranking[0])
    one.set("intent_ranking", ranking)
    return one


def test_a_published_answer_takes_a_new_need(overlay: LiveOverlay) -> None:
    [one] = overlay.process([fallen_back("how many loyalty points do i have to collect")])
    assert one.get("intent")["name"] == "learned"
    assert [entry["name"] for entry in one.get("intent_ranking")] == ["learned", "greet"]
    selected = one.get("response_selector")
    assert selected["all_retrieval_intents"] == ["learned"]
    assert selected["learned"]["response"]["utter_action"] == "utter_learned/loyalty_points"
    assert selected["learned"]["response"]["intent_response_key"] == "learned/loyalty_points"
    mark = one.get("overlay")
    assert (mark["entry_id"], mark["version"]) == ("e1", 7)
    assert 0.5 <= mark["similarity"] <= 1.0
    assert "overlay" in one.output_properties


def test_published_examples_lead_to_their_intent(overlay: LiveOverlay) -> None:
    [one] = overlay.process([fallen_back("dude where is my stuff")])
    assert one.get("intent")["name"] == "track_order"
    assert one.get("response_selector") is None
    assert one.get("overlay")["entry_id"] == "e2"


@pytest.mark.parametrize(
    "text", ["cancel my order please", "hello", "who won the world cup", "what does delivery cost"]
)
def test_other_messages_are_left_alone(overlay: LiveOverlay, text: str) -> None:
    [one] = overlay.process([fallen_back(text)])
    assert one.get("intent")["name"] == "nlu_fallback"
    assert one.get("overlay") is None


def test_a_published_example_itself_always_wins(bench: Workbench) -> None:
    # Even among training examples that are as near: a person decided after they were written.
    entry = FakeEntry("e3", "learned/new_answer", ("cancel my order", "something else"))
    bench.train(LiveOverlay)
    overlay = bench.load(LiveOverlay)
    overlay._open_reader = lambda: FakeReader(snapshot_at(1, entry))
    [one] = overlay.process([fallen_back("Cancel my order")])
    assert one.get("overlay")["entry_id"] == "e3"


def test_the_margin_protects_what_is_trained(bench: Workbench) -> None:
    bench.train(LiveOverlay)
    overlay = bench.load(LiveOverlay, margin=0.9)
    overlay._open_reader = lambda: FakeReader(snapshot_at(1, LOYALTY))
    [one] = overlay.process([fallen_back("how many loyalty points do i have to collect")])
    assert one.get("overlay") is None


def test_the_newest_snapshot_is_used(overlay: LiveOverlay, reader: FakeReader) -> None:
    reader.current = snapshot_at(8, PARCEL)
    [one] = overlay.process([fallen_back("how many loyalty points do i have to collect")])
    assert one.get("overlay") is None


@pytest.mark.parametrize("text", ["", "😀", "10342"])
def test_nothing_to_compare_is_left_alone(overlay: LiveOverlay, text: str) -> None:
    entities = [{"entity": "order_number", "start": 0, "end": len(text), "value": text}] if text else []
    [one] = overlay.process([fallen_back(text, entities=entities)])
    assert one.get("overlay") is None


def test_switched_off_by_the_environment(overlay: LiveOverlay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    [one] = overlay.process([fallen_back("how do i collect loyalty points")])
    assert one.get("overlay") is None


def test_switched_off_by_option(bench: Workbench, reader: FakeReader) -> None:
    bench.train(LiveOverlay)
    overlay = bench.load(LiveOverlay, enabled=False)
    overlay._open_reader = lambda: reader
    [one] = overlay.process([fallen_back("how do i collect loyalty points")])
    assert one.get("overlay") is None


def test_an_unreadable_overlay_is_logged_once_and_the_bot_goes_on(
    overlay: LiveOverlay, reader: FakeReader, caplog: pytest.LogCaptureFixture
) -> None:
    good = reader.current
    reader.current = OSError("no such database")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            [one] = overlay.process([fallen_back("how do i collect loyalty points")])
    assert one.get("intent")["name"] == "nlu_fallback"
    assert caplog.text.count("published entries cannot be read") == 1
    reader.current = good
    [one] = overlay.process([fallen_back("how do i collect loyalty points")])
    assert one.get("overlay")["entry_id"] == "e1"


def test_vectors_of_another_encoder_are_not_compared(
    overlay: LiveOverlay, reader: FakeReader, caplog: pytest.LogCaptureFixture
) -> None:
    [entry] = snapshot_at(7, LOYALTY).entries
    reader.current = snapshot_of([(entry, np.eye(3, 100, dtype=np.float32))])
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            [one] = overlay.process([fallen_back("how do i collect loyalty points")])
    assert one.get("overlay") is None
    assert caplog.text.count("entries have vectors of 100 numbers") == 1


def test_works_without_training_examples(bench: Workbench, reader: FakeReader) -> None:
    bench.train(LiveOverlay, TrainingData([]))
    overlay = bench.load(LiveOverlay)
    overlay._open_reader = lambda: reader
    [one] = overlay.process([fallen_back("how do i collect loyalty points")])
    assert one.get("overlay")["entry_id"] == "e1"


def test_a_corrupt_file_is_a_clear_error(bench: Workbench) -> None:
    bench.train(LiveOverlay)
    path = bench.file("live_overlay.npz")
    path.write_bytes(b"PK" + path.read_bytes()[2:200])
    with pytest.raises(ModelFileError) as caught:
        bench.load(LiveOverlay)
    assert "LiveOverlay: its file 'live_overlay.npz'" in str(caught.value)


def test_a_learning_database_that_is_not_there_is_no_reason_to_fail(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERGREEN_STORE_URL", "sqlite:////nowhere/at/all/learning.db")
    shared_reader.cache_clear()
    bench.train(LiveOverlay)
    [one] = bench.load(LiveOverlay).process([fallen_back("how do i collect loyalty points")])
    shared_reader.cache_clear()
    assert one.get("overlay") is None
    assert one.get("intent")["name"] == "nlu_fallback"


# --- entries that go to a part of the users -----------------------------------------------------

ASKED = "how many loyalty points do i have to collect"


def of(sender: str) -> DialogueStateTracker:
    return DialogueStateTracker(sender, [])


def senders(label: str, share: int) -> tuple[str, str]:
    """Somebody whom an entry of this label reaches at this share, and somebody else."""
    names = [f"sender {number}" for number in range(200)]
    inside = next(name for name in names if bucket(label, name) < share)
    return inside, next(name for name in names if bucket(label, name) >= share)


def test_an_entry_reaches_its_share_of_the_senders(overlay: LiveOverlay, reader: FakeReader) -> None:
    reader.current = snapshot_at(7, replace(LOYALTY, share=25), PARCEL)
    inside, outside = senders(LOYALTY.label, 25)
    [one] = overlay.process([fallen_back(ASKED)], of(inside))
    [other] = overlay.process([fallen_back(ASKED)], of(outside))

    assert (one.get("overlay")["entry_id"], one.get("overlay_withheld")) == ("e1", None)
    assert (other.get("overlay"), other.get("overlay_withheld")) == (None, "e1")
    assert "overlay_withheld" in other.output_properties
    assert other.get("intent")["name"] == "nlu_fallback"


def test_without_a_sender_only_what_goes_to_everybody_counts(overlay: LiveOverlay, reader: FakeReader) -> None:
    reader.current = snapshot_at(7, replace(LOYALTY, share=99), PARCEL)
    [one] = overlay.process([fallen_back(ASKED)])
    [parcel] = overlay.process([fallen_back("dude where is my stuff")])

    assert (one.get("overlay"), one.get("overlay_withheld")) == (None, "e1")
    assert (parcel.get("overlay")["entry_id"], parcel.get("overlay_withheld")) == ("e2", None)


def test_who_does_not_get_an_entry_may_get_the_one_behind_it(overlay: LiveOverlay, reader: FakeReader) -> None:
    newer = FakeEntry("e9", "learned/points_newer", (ASKED, "how many points must i have"), share=10)
    reader.current = snapshot_at(7, LOYALTY, newer)
    inside, outside = senders(newer.label, 10)
    [one] = overlay.process([fallen_back(ASKED)], of(inside))
    [other] = overlay.process([fallen_back(ASKED)], of(outside))

    assert one.get("overlay")["entry_id"] == "e9"
    assert (other.get("overlay")["entry_id"], other.get("overlay_withheld")) == ("e1", "e9")


@pytest.mark.parametrize("kind", [ProposalKind.MERGE, ProposalKind.RETIRE])
def test_changes_of_labels_reach_their_share_too(overlay: LiveOverlay, reader: FakeReader, kind: ProposalKind) -> None:
    label, target = ("faq/new", "old") if kind is ProposalKind.MERGE else ("old", None)
    change = OverlayEntry("c1", kind, label, (), None, target, share=50)
    reader.current = snapshot_at(7, change)
    inside, outside = senders(label, 50)
    found = {}
    for sender in (inside, outside):
        one = message("something old")
        one.set("intent", {"name": "old", "confidence": 0.8})
        one.set("intent_ranking", [{"name": "old", "confidence": 0.8}])
        [found[sender]] = overlay.process([one], of(sender))

    assert found[inside].get("overlay")["entry_id"] == "c1"
    assert found[inside].get("overlay_withheld") is None
    assert found[outside].get("intent")["name"] == "old"
    assert (found[outside].get("overlay"), found[outside].get("overlay_withheld")) == (None, "c1")


def test_rasa_hands_over_the_tracker() -> None:
    needs = DefaultV1Recipe()._get_needs_from_args(LiveOverlay, "process")
    assert needs["tracker"] == PLACEHOLDER_TRACKER


def test_whatever_goes_wrong_the_model_has_answered(
    overlay: LiveOverlay, reader: FakeReader, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        version, dimensions, partial, has_partial_changes = 1, encoder().dimension, False, False

        def find(self, *arguments: object) -> None:
            raise IndexError("out of order")

    reader.current = Broken()  # type: ignore[assignment]
    with caplog.at_level(logging.WARNING):
        [one] = overlay.process([fallen_back(ASKED)])
    assert one.get("intent")["name"] == "nlu_fallback"
    assert "IndexError" in caplog.text
