"""What the stages need from outside, as small Protocols; the adapters fulfil them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from learning.model import (
    Conversation,
    Decision,
    Entry,
    EventBatch,
    Example,
    FailedTurn,
    Gap,
    GoodTurn,
    Prediction,
    Proposal,
    ProposalState,
    RawEvent,
    Release,
    Signal,
)


class Encoder(Protocol):
    """Sentences to unit vectors; `identity` names the model so that stored vectors stay comparable."""

    @property
    def identity(self) -> str:
        """The model's name and checksum."""
        ...

    def encode(self, texts: Sequence[str]) -> Any:
        """Return float32 vectors of shape (len(texts), dimensions), each of length 1."""
        ...


class TrackerEvents(Protocol):
    """The tracker store, read by row id and never written."""

    def batches(self, after_id: int, size: int) -> Iterator[EventBatch]:
        """Yield what lies behind `after_id` in batches of at most `size` rows."""
        ...

    def events_of(self, senders: Sequence[str]) -> Iterator[tuple[str, list[RawEvent]]]:
        """Yield each sender with all of its readable events in row order."""
        ...


class Redactor(Protocol):
    """Takes personal data out of a text."""

    def redact(self, text: str) -> str:
        """Return `text` with personal data replaced by placeholders."""
        ...


class BotServer(Protocol):
    """The running Rasa server."""

    def running_model(self) -> Path:
        """Return the path of the model that answers now."""
        ...

    def load_model(self, model: Path) -> None:
        """Swap the running model; raise `BotServerError` and leave the old one if it cannot be loaded."""
        ...


class NluRunner(Protocol):
    """Trains and queries models outside the running server."""

    def train(self, training_data: Path, model: Path) -> None:
        """Train on `training_data` and write the model archive to `model`."""
        ...

    def predict(self, model: Path, texts: Sequence[str]) -> list[Prediction]:
        """Return how `model` by itself, without the overlay, understands each text."""
        ...


class ReviewHost(Protocol):
    """Where reviewable changes of `data/learned/` go: a git branch or a hosted pull request."""

    def propose(self, files: Mapping[str, str], message: str) -> str | None:
        """Make `files` (path -> text) the content of `data/learned/`; return the commit, None if unchanged."""
        ...


class ProjectFiles(Protocol):
    """The Rasa project's own files."""

    def check(self) -> None:
        """Raise `ProjectError` if the project lacks what learned answers need."""
        ...

    def examples(self) -> list[Example]:
        """Return every training example, labelled with its intent or full retrieval key."""
        ...

    def holdout(self) -> list[Example]:
        """Return the labelled messages that are never trained on."""
        ...

    def articles(self) -> list[tuple[str, str]]:
        """Return the knowledge articles as (name, Markdown)."""
        ...

    def assemble(self, target: Path, learned: Mapping[str, str]) -> Path:
        """Copy the training data to `target` with `learned` as its entry files; return the folder."""
        ...


class ConversationStore(Protocol):
    """What was mined."""

    def watermark(self) -> int: ...
    def save_batch(
        self,
        conversations: Sequence[tuple[Conversation, Sequence[Signal]]],
        good_turns: Sequence[GoodTurn],
        watermark: int,
    ) -> tuple[int, int]: ...
    def good_turns(self) -> list[GoodTurn]: ...
    def counts(self) -> dict[str, int]: ...
    def signal_counts(self) -> dict[str, int]: ...


class GapStore(Protocol):
    """Which failed turns belong together."""

    def ungrouped_turns(self) -> list[FailedTurn]: ...
    def turns_of_gaps(self) -> dict[str, list[FailedTurn]]: ...
    def gaps(self) -> dict[str, Gap]: ...
    def grouping_state(self) -> str: ...
    def save_gaps(self, gaps: Sequence[Gap], members: Mapping[str, str], state: str) -> int: ...


class ProposalStore(Protocol):
    """What was suggested, and what people said of it."""

    def proposals(self) -> list[Proposal]: ...
    def proposal(self, prefix: str) -> Proposal: ...
    def save_proposals(self, proposals: Sequence[Proposal], at: datetime) -> int: ...
    def save_decision(self, before: Proposal, after: Proposal, decision: Decision) -> None: ...
    def reopen_deferred(self, before: Proposal, after: Proposal, at: datetime) -> None: ...


class ReleaseStore(Protocol):
    """What went live."""

    def publish(
        self, before: Proposal, after: Proposal, entry_id: str, vectors: Any, encoder: str, who: str, at: datetime
    ) -> Release: ...
    def move_entry(self, entry: Entry, to: ProposalState, who: str, what: str, reason: str, at: datetime) -> None: ...
    def entries(self, *states: ProposalState) -> list[Entry]: ...
    def releases(self) -> list[Release]: ...
    def mark_committed(self, commit: str) -> None: ...
    def overlay_version(self) -> int: ...


class LearningStore(ConversationStore, GapStore, ProposalStore, ReleaseStore, Protocol):
    """Everything that the loop remembers; see `adapters.store.Store` for what each method promises."""

    def record_run(
        self, job: str, started: datetime, finished: datetime, outcome: str, summary: Mapping[str, Any]
    ) -> None: ...
    def last_run(self, job: str) -> Mapping[str, Any] | None: ...
    def verify_audit(self) -> list[str]: ...
