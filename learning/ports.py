"""What the stages need from outside, as small Protocols; the adapters fulfil them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from learning.model import (
    AgentAnswer,
    Answer,
    AuditRow,
    Change,
    DayOfSender,
    Decision,
    DeployedModel,
    Entry,
    Erased,
    Event,
    EventBatch,
    Example,
    Experiment,
    ExperimentOutcome,
    Exposure,
    FailedTurn,
    Gap,
    GapFigures,
    GoodTurn,
    LabelRatings,
    LabelUse,
    MinedSender,
    Prediction,
    Proposal,
    ProposalState,
    PullComment,
    PullRequest,
    PullSeen,
    Quarantined,
    Regrouping,
    Release,
    ReleaseKind,
    Rollout,
    SecondReading,
    Signal,
)


class Encoder(Protocol):
    """Sentences to unit vectors; `identity` names the model so that stored vectors stay comparable."""

    @property
    def identity(self) -> str:
        """The model's name and checksum."""
        ...

    @property
    def dimension(self) -> int:
        """How long a sentence's vector is."""
        ...

    def encode(self, texts: Sequence[str]) -> Any:
        """Return float32 vectors of shape (len(texts), dimension), each of length 1."""
        ...

    def encode_deep(self, texts: Sequence[str]) -> Any:
        """Return those vectors followed by whatever else the encoder knows of each text, all of one length."""
        ...


class TrackerEvents(Protocol):
    """The tracker store, read by row id and never written."""

    def batches(self, after_id: int, size: int) -> Iterator[EventBatch]:
        """Yield what lies behind `after_id` in batches of at most `size` rows."""
        ...

    def tails(self, starts: Mapping[str, int], before_row: int, limit: int) -> dict[str, list[Event]]:
        """Return up to `limit` events of each sender from its row in `starts` on, those before `before_row`."""
        ...

    def senders_at(self, rows: Sequence[int]) -> dict[int, str]:
        """Return the sender of each of `rows` that is still there."""
        ...


class TrackerEraser(Protocol):
    """The only way to change the tracker store: a sender's rows can be deleted."""

    def sender_of(self, key: str) -> str | None:
        """Return the sender whose pseudonym is `key`, None if the store has none."""
        ...

    def count(self, sender_id: str) -> int:
        """Return how many rows the sender has."""
        ...

    def newest_other(self, sender_id: str) -> int:
        """Return the id of the last row that is somebody else's, 0 without any."""
        ...

    def erase(self, sender_id: str) -> int:
        """Delete the sender's rows in one transaction; return how many there were."""
        ...


class Redactor(Protocol):
    """Takes personal data out of a text."""

    def redact(self, text: str) -> str:
        """Return `text` with personal data replaced by placeholders."""
        ...

    def redact_conversations(self, groups: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return the texts of each conversation redacted: the same person is the same placeholder within one."""
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


class PullRequestHost(Protocol):
    """Where proposals are offered as pull requests: a plain git remote, GitHub or GitLab.

    Files are named as in `data/learned/`. Every method may raise `HostError`, and can be called again after it.
    """

    @property
    def name(self) -> str:
        """What names of its people begin with in the records, such as `github`."""
        ...

    def refresh(self) -> None:
        """Look anew; what is told afterwards is not older than this call."""
        ...

    def base(self) -> str:
        """Return the commit that pull requests are to be merged into."""
        ...

    def read(self, commit: str, names: Collection[str]) -> dict[str, str]:
        """Return the texts of those files that exist in a commit; one that cannot be read is never taken for gone."""
        ...

    def names(self, commit: str) -> list[str]:
        """Return the names of all files in the folder in a commit."""
        ...

    def tip(self, branch: str) -> str:
        """Return the newest commit of a branch, empty without one."""
        ...

    def write(self, branch: str, files: Mapping[str, str | None], message: str, body: str) -> str:
        """Commit `files` (None: without it) on a branch, which starts at the base; return its tip.

        Nothing is committed where all is so already. `body` is for hosts that have no other place for it.
        """
        ...

    def open(self, branch: str, title: str, body: str, since: datetime) -> tuple[int | None, str]:
        """Return number and address of the pull request of a branch; one made after `since` is not made again."""
        ...

    def look(self, pull: PullRequest) -> PullSeen:
        """Return what became of a pull request."""
        ...

    def describe(self, pull: PullRequest, title: str, body: str) -> None:
        """Give it another title and text."""
        ...

    def comments(self, pull: PullRequest) -> list[PullComment]:
        """Return what people said of it, the oldest first."""
        ...

    def comment(self, pull: PullRequest, text: str) -> None:
        """Say something about it, where that can be said."""
        ...

    def labeled_by(self, pull: PullRequest, label: str) -> str:
        """Return who has put a label on it, empty if that is not told."""
        ...

    def unlabel(self, pull: PullRequest, label: str) -> None:
        """Take a label off."""
        ...

    def close(self, pull: PullRequest) -> None:
        """Close it unmerged and delete its branch; nothing happens where both is done."""
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

    def answers(self) -> list[Answer]:
        """Return what the bot answers to each label by one response: without learned entries."""
        ...

    def assemble(self, target: Path, learned: Mapping[str, str]) -> Path:
        """Copy the training data to `target` with `learned` as its entry files; return the folder."""
        ...


class ConversationStore(Protocol):
    """What was mined."""

    def watermark(self) -> int: ...
    def last_sessions(self, rows: Mapping[str, int]) -> dict[str, int]: ...
    def idle_conversations(self, before: datetime) -> list[int]: ...
    def give_up(self, before: datetime) -> None: ...
    def forgotten_until(self) -> dict[str, float]: ...
    def save_batch(
        self,
        senders: Sequence[MinedSender],
        good_turns: Sequence[GoodTurn],
        watermark: int | None,
        restarted: bool = False,
    ) -> tuple[int, int]: ...
    def good_turns(self) -> list[GoodTurn]: ...
    def good_turn_limit(self) -> str: ...
    def agent_answers(self, gap_id: str) -> list[AgentAnswer]: ...
    def conversation_rows(self, conversation_ids: Sequence[str]) -> dict[str, tuple[int, int]]: ...
    def label_use(self) -> dict[str, LabelUse]: ...
    def label_ratings(self) -> list[LabelRatings]: ...
    def satisfaction(self) -> dict[str, tuple[float, int]]: ...
    def replace_overall(self, kind: str, found: Mapping[str, Signal]) -> int: ...
    def newest_turn(self) -> datetime | None: ...
    def counts(self) -> dict[str, int]: ...
    def conversations_since(self, at: datetime) -> int: ...
    def outcome_counts(self) -> dict[str, int]: ...
    def signal_counts(self) -> dict[str, int]: ...


class GapStore(Protocol):
    """Which failed turns belong together."""

    def fresh_turns(self, limit: int) -> list[FailedTurn]: ...
    def pooled_turns(self) -> tuple[list[FailedTurn], dict[str, Any]]: ...
    def turns_of_gap(
        self, gap_id: str, newest: int | None = None, after: datetime | None = None, per_sender: int | None = None
    ) -> list[FailedTurn]: ...
    def turns_by_id(self, turn_ids: Collection[str]) -> dict[str, tuple[str | None, FailedTurn]]: ...
    def turns_by_sender(self, gap_ids: Collection[str]) -> dict[tuple[str, str], int]: ...
    def use_encoder(self, identity: str) -> None: ...
    def gaps(self, changed: bool = False) -> dict[str, Gap]: ...
    def gap(self, gap_id: str) -> Gap: ...
    def gap_means(self, metric: str) -> dict[str, tuple[int, Any]]: ...
    def gap_vectors(self, gap_id: str, newest: int) -> list[Any]: ...
    def turn_vectors(self, turn_ids: Sequence[str]) -> dict[str, Any]: ...
    def gap_figures(self, gap_ids: Sequence[str], costs: Mapping[str, float]) -> dict[str, GapFigures]: ...
    def recent_people(self, newest: datetime) -> dict[str, tuple[int, float]]: ...
    def grouping_state(self) -> str: ...
    def save_grouping(
        self,
        gaps: Sequence[Gap],
        means: Mapping[str, tuple[int, Any]],
        metric: str,
        members: Mapping[str, str],
        pool: Mapping[str, Any],
        vectors: Mapping[str, Any],
        noise: Sequence[str],
        state: str,
    ) -> int: ...
    def save_upkeep(self, gaps: Sequence[Gap]) -> None: ...
    def update_gaps(self, gaps: Sequence[Gap]) -> None: ...
    def known_vectors(self, keys: Sequence[str]) -> dict[str, Any]: ...
    def replace_vectors(self, vectors: Mapping[str, Any]) -> None: ...


class ProposalStore(Protocol):
    """What was suggested, and what people said of it."""

    def proposals(self) -> list[Proposal]: ...
    def proposal(self, prefix: str) -> Proposal: ...
    def save_proposals(
        self,
        proposals: Sequence[Proposal],
        at: datetime,
        scores: Mapping[str, int] = ...,
        settled: Sequence[str] = (),
        regroupings: int | None = None,
    ) -> int: ...
    def regroupings(self) -> int: ...
    def split_gaps(self) -> set[str]: ...
    def save_decision(self, before: Proposal, after: Proposal, decision: Decision) -> None: ...
    def decisions(self) -> list[Decision]: ...
    def decisions_about(self, proposal_id: str) -> list[Decision]: ...
    def save_undo(
        self,
        before: Proposal,
        after: Proposal,
        decision: Decision,
        choose: Callable[[Sequence[Entry]], Sequence[Change]],
    ) -> Release | None: ...
    def assign(self, proposal: Proposal, assignee: str | None, who: str, at: datetime) -> None: ...
    def second_readings(self) -> list[SecondReading]: ...
    def save_second_reading(self, reading: SecondReading) -> None: ...
    def regroup(self, regrouping: Regrouping, vectors: Mapping[str, Any]) -> None: ...
    def reopen_deferred(self, before: Proposal, after: Proposal, at: datetime) -> None: ...


class ReleaseStore(Protocol):
    """What went live."""

    def publish(
        self,
        before: Proposal,
        after: Proposal,
        entry_id: str,
        vectors: Any,
        encoder: str,
        who: str,
        at: datetime,
        decided: tuple[Proposal, Decision] | None = None,
        check: Callable[[Sequence[Entry]], None] | None = None,
        rollout: Rollout | None = None,
    ) -> Release: ...
    def release(
        self,
        what: ReleaseKind,
        changes: Sequence[Change] | Callable[[Sequence[Entry]], Sequence[Change]],
        who: str,
        at: datetime,
        reason: str = "",
        undoes: int | None = None,
        check: Callable[[Sequence[Entry]], None] | None = None,
        rollouts: Sequence[Rollout] = (),
        back_to: int | None = None,
        seen: Sequence[Rollout] = (),
    ) -> Release: ...
    def entries(self, *states: ProposalState) -> list[Entry]: ...
    def releases(self) -> list[Release]: ...
    def mark_committed(self, commit: str) -> None: ...
    def overlay_version(self) -> int: ...
    def quarantined(self) -> list[Quarantined]: ...


class RolloutStore(Protocol):
    """How far entries have come, and what their answers led to."""

    def rollouts(self) -> list[Rollout]: ...
    def save_rollout(self, rollout: Rollout, what: str, who: str, reason: str, at: datetime) -> None: ...
    def exposures(self, subject: str, since: datetime | None = None) -> list[Exposure]: ...
    def answers_since(self, since: datetime) -> list[DayOfSender]: ...


class ExperimentStore(Protocol):
    """The A/B tests."""

    def experiments(self) -> list[Experiment]: ...
    def experiment(self, prefix: str) -> Experiment: ...
    def save_experiment(self, before: Experiment | None, after: Experiment, who: str, at: datetime) -> None: ...
    def experiment_outcomes(self, experiment_id: str) -> list[ExperimentOutcome]: ...


class PullStore(Protocol):
    """The pull requests that were opened."""

    def pull_requests(self, *states: str) -> list[PullRequest]: ...
    def save_pull_request(self, pull: PullRequest, who: str, at: datetime) -> None: ...


class ModelStore(Protocol):
    """Which models went live."""

    def deployed_models(self) -> list[DeployedModel]: ...
    def save_deployed_model(self, model: DeployedModel) -> None: ...
    def running_model(self) -> str: ...
    def settle_model(self, running: str, who: str, at: datetime, reason: str = "") -> tuple[list[str], list[str]]: ...
    def absorb(self, entries: Sequence[tuple[Entry, str]], model: str, who: str, at: datetime) -> list[str]: ...


class LearningStore(
    ConversationStore,
    GapStore,
    ProposalStore,
    ReleaseStore,
    RolloutStore,
    ExperimentStore,
    PullStore,
    ModelStore,
    Protocol,
):
    """Everything that the loop remembers; see `adapters.store.Store` for what each method promises."""

    def erase(
        self,
        sender: str,
        said: Collection[str],
        describe: Callable[[Sequence[str]], str],
        until: datetime,
        who: str,
        at: datetime,
        newest_other: int | None = None,
        dry_run: bool = False,
    ) -> Erased: ...
    def compact(self) -> bool: ...
    def record_run(
        self, job: str, started: datetime, finished: datetime, outcome: str, summary: Mapping[str, Any]
    ) -> None: ...
    def spent(self, day: str) -> int: ...
    def spend(self, day: str, tokens: int) -> None: ...
    def claim(
        self, job: str, holder: str, at: datetime, dead_before: datetime, instead_of: str | None = None
    ) -> str | None: ...
    def unclaim(self, job: str, holder: str) -> None: ...
    def last_run(self, job: str) -> Mapping[str, Any] | None: ...
    def audit_end(self) -> tuple[int, str | None]: ...
    def read_audit(
        self,
        *,
        item: str = "",
        who: str = "",
        what: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[AuditRow]: ...
    def audit_rows(self) -> list[AuditRow]: ...
    def verify_audit(self) -> list[str]: ...
