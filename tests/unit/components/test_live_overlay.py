from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from components.live_overlay import LiveOverlay, _nearest_label
from components.overlay_source import SWITCH, shared_reader
from components.persistence import ModelFileError
from learning.labels import LabelChanges
from learning.model import Entry, ProposalKind
from tests.learning_builders import entry
from tests.unit.components.toys import Workbench, encoder, message


@dataclass
class FakeEntry:
    entry_id: str
    label: str
    examples: tuple[str, ...]
    answer: str | None = None


class FakeSnapshot:
    def __init__(self, version: int, *entries: FakeEntry) -> None:
        self.version = version
        self.entries = entries
        self.changing: tuple[Entry, ...] = ()
        texts = [text for entry in entries for text in entry.examples]
        self.vectors = encoder().encode(texts) if texts else np.empty((0, 0), dtype=np.float32)
        self.owners = np.repeat(np.arange(len(entries)), [len(entry.examples) for entry in entries])
        labels = [entry.label for entry in entries]
        self.groups = np.array([labels.index(labels[owner]) for owner in self.owners], dtype=np.int64)

    @property
    def changes(self) -> LabelChanges:
        return LabelChanges.of(self.changing)

    def answer_for(self, utter_action: str) -> str | None:
        answers = {f"utter_{entry.label}": entry.answer for entry in self.entries}
        return answers.get(utter_action)


class FakeReader:
    def __init__(self, snapshot: FakeSnapshot | Exception) -> None:
        self.current = snapshot

    def snapshot(self) -> Any:
        if isinstance(self.current, Exception):
            raise self.current
        return self.current


def changed(*entries: FakeEntry, **labels: str | None) -> FakeSnapshot:
    """A snapshot in which each label became another one, or nothing; `faq__a` stands for `faq/a`."""
    snapshot = FakeSnapshot(9, *entries)
    steps = [(label.replace("__", "/"), to) for label, to in labels.items()]
    snapshot.changing = tuple(
        entry(number, entry_id=f"change {label}", kind=ProposalKind.MERGE, label=to, target=label)
        if to
        else entry(number, entry_id=f"change {label}", kind=ProposalKind.RETIRE, label=label)
        for number, (label, to) in enumerate(steps)
    )
    return snapshot


LOYALTY = FakeEntry(
    "e1",
    "learned/loyalty_points",
    ("do i get loyalty points", "how do i collect loyalty points", "what are my points worth"),
    "One point for every dollar.",
)
PARCEL = FakeEntry("e2", "track_order", ("dude where is my stuff at", "my stuff where is it"))


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader(FakeSnapshot(7, LOYALTY, PARCEL))


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


def test_the_examples_of_all_entries_of_a_label_count_together() -> None:
    similarities = np.array([0.9, 0.1, 0.3, 0.8, 0.7, 0.65])
    apart, together = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 0, 0])

    assert _nearest_label(similarities, apart, 2) == (4, pytest.approx(0.675))
    assert _nearest_label(similarities, together, 2) == (0, pytest.approx(0.8))


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
    overlay._open_reader = lambda: FakeReader(FakeSnapshot(1, entry))
    [one] = overlay.process([fallen_back("Cancel my order")])
    assert one.get("overlay")["entry_id"] == "e3"


def test_the_margin_protects_what_is_trained(bench: Workbench) -> None:
    bench.train(LiveOverlay)
    overlay = bench.load(LiveOverlay, margin=0.9)
    overlay._open_reader = lambda: FakeReader(FakeSnapshot(1, LOYALTY))
    [one] = overlay.process([fallen_back("how many loyalty points do i have to collect")])
    assert one.get("overlay") is None


def test_the_newest_snapshot_is_used(overlay: LiveOverlay, reader: FakeReader) -> None:
    reader.current = FakeSnapshot(8, PARCEL)
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
    snapshot = FakeSnapshot(7, LOYALTY)
    snapshot.vectors = snapshot.vectors[:, :100]
    reader.current = snapshot
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
