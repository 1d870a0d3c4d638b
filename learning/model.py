"""The records that cross the stages: frozen, plain, and free of any library."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple, TypeAlias, Union

LEARNED_INTENT = "learned"
FALLBACK_INTENT = "nlu_fallback"
DEFAULT_FALLBACK_ACTION = "action_default_fallback"  # what Rasa runs when no policy knows what to do
# Signals that the bot understood but a service failed: they are no gap of understanding.
SERVICE_KINDS = frozenset({"backend_failure"})
CORRECTED = "corrected"  # signal of a turn of which a person has said what it should have been understood as
# Signals that the answer was no good; whether the question was understood is another matter.
ANSWER_KINDS = frozenset(
    {
        "negative_feedback",
        "rephrase",
        "repeated_question",
        "frustration",
        "abandonment",
        "low_satisfaction",
        "recommended",
    }
)
# Weight from which a turn counts as failed. A weaker one founds no gap, but joins one that it fits.
FAILED_WEIGHT = 0.5
LOW_CSAT, HIGH_CSAT = 2, 4  # marks of 1..5 that are a no and a yes to the answer; 3 is neither
MACHINE = "machine:"  # begins the drafter of an answer that a language model wrote
AGENTS = "agents"  # the document of a source that is what human agents wrote
# Regroupings as the audit log names them: mining reads there what a person has put somewhere.
SPLIT, MOVED = "split", "move-example"
POLICY = "policy:"  # begins the name of who decided where the autonomy policy did
LOW_SCORE = 60  # a proposal under it carries a warning wherever it is shown
EVERYBODY = 100  # percent of the users, of an entry that is fully live
ON, OFF = "on", "off"  # the arms of a rollout: whoever gets the entry, and whoever would but for the share


def content_id(*parts: object) -> str:
    """Return a 16-digit hex id that depends only on `parts`, so that a second run makes the same one."""
    joined = "\x1f".join(map(str, parts))
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def sender_key(sender_id: str) -> str:
    """Return the pseudonym under which a sender is kept outside the tracker store."""
    return content_id("sender", sender_id)


# Events are named tuples: a store has millions, and a frozen dataclass takes four times as long to make.
# `row_id` is the row's primary key, `at` its time in seconds since 1970, UTC.


class UserEvent(NamedTuple):
    """A message of the customer as the bot understood it; `text` is empty where the message has none."""

    row_id: int
    at: float
    text: str
    intent: str
    confidence: float
    ranking: tuple[tuple[str, float], ...] = ()
    channel: str = ""
    message_id: str = ""
    familiarity: float | None = None
    frustration: float | None = None
    overlay_entry: str | None = None
    withheld: str | None = None  # the entry that would have taken it if its rollout had reached this sender
    model: str = ""  # the id that Rasa gave the model which was running


class BotEvent(NamedTuple):
    """A message of the bot; `stamp` names it in feedback, `choices` are its buttons' payloads and their labels.

    `by_agent` marks what a human agent wrote in the bot's place, `desk_id` names it there. `exposed` are what its
    wording was chosen by: see `Turn`.
    """

    row_id: int
    at: float
    text: str
    stamp: float | None
    choices: Mapping[str, str]
    by_agent: bool = False
    exposed: tuple[tuple[str, str], ...] = ()
    desk_id: str = ""


class ActionEvent(NamedTuple):
    """An action that ran."""

    row_id: int
    at: float
    name: str


class SlotEvent(NamedTuple):
    """A slot that was set, one of those that the loop reads."""

    row_id: int
    at: float
    name: str
    value: object


class FormEvent(NamedTuple):
    """A form that began to ask, or `name` is empty: it ended."""

    row_id: int
    at: float
    name: str


Event: TypeAlias = Union[UserEvent, BotEvent, ActionEvent, SlotEvent, FormEvent]


@dataclass(frozen=True)
class EventBatch:
    """The store's rows up to `last_id`: how many were new, what is read of each sender, and what is corrupt."""

    last_id: int
    events: int
    corrupt: tuple[int, ...]
    rows: Mapping[str, list[Event]]  # by sender_id, in row order
    restarted: bool = False  # the store ended before what was mined: its row ids have begun anew


@dataclass(frozen=True, slots=True)
class Turn:
    """What a customer said once, how it was understood, and what the bot did until the next message."""

    turn_id: str
    text: str
    at: datetime
    intent: str
    confidence: float
    ranking: tuple[tuple[str, float], ...] = ()
    reply: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    channel: str = ""
    familiarity: float | None = None  # mean cosine to the nearest training examples, where the NLU tells it
    frustration: float | None = None  # 0 calm to 1, where the NLU tells it
    overlay_entry: str | None = None
    thumbs: int = 0
    failed_service: str | None = None
    clarified: str | None = None  # the label that the customer chose when the bot asked what was meant
    csat: int | None = None  # 1 (bad) to 5, where the customer gave a mark after this turn's answer
    answers_form: bool = False  # a form took it as the answer to its question, whatever its intent
    led_to_person: bool = False  # the customer's next step was to ask for a person, or to accept one
    agent_reply: tuple[str, ...] = ()  # what a human agent wrote until the customer's next message
    recommended: tuple[int, ...] = ()  # places in `agent_reply` of what an agent said the bot should have said
    # What its answer was chosen by: an entry that is being rolled out with ON or OFF, an experiment with its variant.
    exposed: tuple[tuple[str, str], ...] = ()
    model: str = ""  # the id that Rasa gave the model which answered

    @property
    def is_fallback(self) -> bool:
        """Whether the bot did not understand, by its NLU's or its policies' own account."""
        unknown = self.intent in ("", FALLBACK_INTENT) and not self.answers_form
        return unknown or DEFAULT_FALLBACK_ACTION in self.actions

    @property
    def rating(self) -> int:
        """What the customer thought of the answer: 1 good, -1 bad, 0 unsaid or in between."""
        if self.thumbs or self.csat is None:
            return self.thumbs
        return -1 if self.csat <= LOW_CSAT else int(self.csat >= HIGH_CSAT)

    @property
    def runner_up(self) -> tuple[str, float] | None:
        """The best intent other than the one chosen, with its confidence."""
        # A retrieval intent stands in the ranking by its base: `faq` is no rival of `faq/shipping_cost`.
        own = (self.intent, self.intent.partition("/")[0], FALLBACK_INTENT)
        others = [entry for entry in self.ranking if entry[0] not in own]
        return others[0] if others else None


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """One question to a back end: `ms` is how long it took, `outcome` ok, not_found, refused or unavailable."""

    service: str
    operation: str
    outcome: str
    ms: float


class Outcome(str, Enum):
    """How a conversation ended, judged as a whole."""

    OPEN = "open"
    RESOLVED = "resolved"
    ESCALATED = "escalated"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Conversation:
    """One session of a sender: its turns in order, the rows that it was read from, and how it ended.

    It has at least one turn; `last_at` is the time of the last message of either side.
    """

    conversation_id: str
    sender: str
    turns: tuple[Turn, ...]
    started: datetime
    last_at: datetime
    first_row: int
    last_row: int
    outcome: Outcome = Outcome.OPEN
    reason: str = ""  # why it was escalated or abandoned, see `conversations.judge`
    escalated_at: datetime | None = None
    agent_at: datetime | None = None  # when a human agent first wrote
    calls: tuple[ServiceCall, ...] = ()  # what back ends were asked in it


@dataclass(frozen=True)
class Rating:
    """What a customer thought of an answer to `label`: one thumb, or a mark that is not in the middle."""

    turn_id: str
    sender: str
    label: str
    good: bool


@dataclass(frozen=True)
class LabelRatings:
    """What the ratings of one label's answer add up to: the share of good ones, how many, and of how many people."""

    label: str
    share: float
    ratings: int
    people: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A detector's verdict on one turn; `weight` in 0..1 is how surely it means a failure."""

    turn: Turn
    weight: float
    evidence: str


@dataclass(frozen=True)
class Signal:
    """One thing that went wrong with a turn: its kind, how surely it means a failure (0..1), and why."""

    kind: str
    weight: float
    evidence: str


def joint_weight(signals: Iterable[Signal]) -> float:
    """Return the weight of independent signals together, 1 - (1 - a)(1 - b); a service that failed is no gap."""
    doubt = 1.0
    for signal in signals:
        if signal.kind not in SERVICE_KINDS:
            doubt *= 1 - signal.weight
    return 1 - doubt


@dataclass(frozen=True)
class FailedTurn:
    """A turn with signals, redacted; `weight` is that of all its signals about understanding and answers together."""

    turn_id: str
    conversation_id: str
    sender: str
    text: str
    intent: str
    confidence: float
    at: datetime
    channel: str
    weight: float
    clarified: str | None = None
    signals: tuple[Signal, ...] = ()


@dataclass(frozen=True)
class AgentAnswer:
    """What a human agent wrote about a failed turn, redacted; `recommended`: "the assistant should have said this"."""

    turn_id: str
    conversation_id: str
    sender: str
    text: str
    at: datetime
    recommended: bool = False


@dataclass(frozen=True)
class Exposure:
    """What became of one answer that an entry or an experiment has changed, or would have: one row a turn and subject.

    `subject` is the id of an entry or an experiment, `arm` is ON, OFF or the name of a variant.
    """

    turn_id: str
    conversation_id: str
    sender: str
    subject: str
    arm: str
    at: datetime
    thumbs_down: bool
    fallback_after: bool
    handoff_after: bool


@dataclass(frozen=True)
class LabelUse:
    """When a label was understood first and last."""

    label: str
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class GoodTurn:
    """A turn that went well, redacted: what a proposal must not break."""

    turn_id: str
    conversation_id: str
    text: str
    label: str


@dataclass(frozen=True)
class Mined:
    """A conversation with what was found in it, redacted."""

    conversation: Conversation
    failed: tuple[FailedTurn, ...]
    ratings: tuple[Rating, ...] = ()
    agent_answers: tuple[AgentAnswer, ...] = ()
    exposures: tuple[Exposure, ...] = ()


@dataclass(frozen=True)
class MinedSender:
    """What was found of a sender from row `since_row` on: it replaces everything that was known from there."""

    sender: str
    since_row: int
    conversations: tuple[Mined, ...]


class GapKind(str, Enum):
    """Whether the need is new to the bot, a variation of an intent it has, or understood but answered badly.

    Two kinds have no failed turns as members: a pair of labels that are confused, and a label that nobody uses.
    """

    NEW_NEED = "new_need"
    EXISTING_INTENT = "existing_intent"
    WEAK_ANSWER = "weak_answer"
    CONFUSED = "confused"
    UNUSED = "unused"


# Gaps that are no group of failed turns: their figures are written by whoever found them.
UPKEEP_GAPS = frozenset({GapKind.CONFUSED, GapKind.UNUSED})


class Priority(str, Enum):
    """How much a gap matters; the rules stand in `learning.yml`."""

    CRITICAL = "critical"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True)
class Gap:
    """A group of failed turns about one need; it keeps its id while it grows.

    `week` counts the people of the last seven days, `trend` compares them with the four weeks before (1 is steady),
    `cost` is the mean cost of its conversations, `satisfaction` the share of good ratings of the answer, if it has any.
    `rank` orders the gaps of one priority. A gap is handled by a release and reopened when it comes back after it.
    """

    gap_id: str
    kind: GapKind
    name: str
    intent: str | None
    priority: Priority
    turns: int
    people: int
    first_seen: datetime
    last_seen: datetime
    week: int = 0
    trend: float = 1.0
    cost: float = 1.0
    satisfaction: float | None = None
    rank: float = 0.0
    handled_at: datetime | None = None
    reopened_at: datetime | None = None

    @property
    def is_reopened(self) -> bool:
        """Whether it came back after it was handled."""
        return self.reopened_at is not None and (self.handled_at is None or self.reopened_at > self.handled_at)


@dataclass(frozen=True)
class GapFigures:
    """What the members of a gap add up to; `since_handled` counts the people who came after it was handled."""

    turns: int
    people: int
    first_seen: datetime
    last_seen: datetime
    cost: float
    since_handled: int


class ProposalKind(str, Enum):
    """What a proposal would change: see `Proposal` for what each kind holds."""

    EXAMPLES = "examples"
    ANSWER = "answer"
    REWORD = "reword"
    MERGE = "merge"
    RETIRE = "retire"


# Kinds whose entries catch messages by their examples. The others change what happens to a label.
TEACHING = frozenset({ProposalKind.EXAMPLES, ProposalKind.ANSWER})
# Kinds that bring an answer which customers will read.
ANSWERING = frozenset({ProposalKind.ANSWER, ProposalKind.REWORD})


class ProposalState(str, Enum):
    """Where a proposal stands; the allowed moves are in `review.MOVES`."""

    PENDING = "pending"
    APPROVED = "approved"
    EDITED = "edited"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    PUBLISHED = "published"
    ABSORBED = "absorbed"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"  # its turns went to another proposal


# States of what is live: in the overlay, or in the model.
LIVE = (ProposalState.PUBLISHED, ProposalState.ABSORBED)


@dataclass(frozen=True)
class Source:
    """Where a sentence of a drafted answer comes from; `similarity` is a cosine in -1..1.

    `document` is an article's file name, `agents` for what human agents wrote, or the name of a response.
    """

    document: str
    sentence: str
    similarity: float


@dataclass(frozen=True)
class Draft:
    """A drafted answer, None where nothing fits: its sources, who drafted it, and what a reviewer should look at.

    `drafter` is `extractive`, or `machine:` and the model's name where a language model wrote it.
    """

    answer: str | None = None
    sources: tuple[Source, ...] = ()
    drafter: str = "extractive"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """An answer that the bot gives now: the label it answers, its response (`utter_...`), and its text."""

    label: str
    response: str
    text: str


@dataclass(frozen=True)
class ScorePart:
    """One term of a score: its name, its value in 0..1, and its share of the total."""

    name: str
    value: float
    share: float


@dataclass(frozen=True)
class Replay:
    """What a proposal would fix and break: counts of turns, the texts that it would break, and their labels.

    `changed` counts messages that went well and would get another wording: they are not broken.
    """

    failures: int
    fixed: int
    successes: int
    broken: int
    broken_texts: tuple[str, ...] = ()
    broken_labels: tuple[str, ...] = ()
    changed: int = 0


@dataclass(frozen=True)
class Proposal:
    """What the machine suggests for a gap; what people say of it is a `Decision`, never a field here.

    By kind: EXAMPLES adds `examples` to `label`; ANSWER makes the new question `label` with `examples` and `answer`;
    REWORD gives the response `target` of `label` the text `answer`; MERGE makes one of two labels, `target` becomes
    `label`; RETIRE takes `label` away. The examples of the last three are evidence and teach nothing.

    `drafter` says who drafted the answer (see `Draft`), `warnings` what a reviewer should look at.
    """

    proposal_id: str
    gap_id: str
    kind: ProposalKind
    label: str
    examples: tuple[str, ...]
    answer: str | None
    sources: tuple[Source, ...]
    score: int
    score_parts: tuple[ScorePart, ...]
    people: int
    turns: int
    state: ProposalState
    created_at: datetime
    deferred_until: datetime | None = None
    deferred_turns: int | None = None
    replay: Replay | None = None
    target: str | None = None
    drafter: str = ""
    warnings: tuple[str, ...] = ()
    assignee: str | None = None

    @property
    def is_machine_written(self) -> bool:
        """Whether a language model wrote the answer."""
        return self.drafter.startswith(MACHINE)


class Action(str, Enum):
    """What a reviewer may do."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    DEFER = "defer"
    UNDO = "undo"


@dataclass(frozen=True)
class SecondReading:
    """What a second reader would have decided: `action` is APPROVE, EDIT or REJECT."""

    proposal_id: str
    who: str
    at: datetime
    action: Action
    reason: str = ""


@dataclass(frozen=True)
class Decision:
    """What a person said of a proposal; the changed fields are set only where they edited them.

    `kind` is EXAMPLES where a new question was given the label of one that has an answer: then it adds to that.
    `seen` is `review.content_mark` of the proposal as the person saw it: the decision is refused if it has changed
    since. It is only compared, and not kept.
    """

    proposal_id: str
    action: Action
    who: str
    at: datetime
    reason: str = ""
    label: str | None = None
    examples: tuple[str, ...] | None = None
    answer: str | None = None
    defer_until: datetime | None = None
    defer_turns: int | None = None
    kind: ProposalKind | None = None
    seen: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class RegroupNote:
    """One row of the audit log about a regrouping; `text` is an example that was put there by hand."""

    item: str
    before: str
    after: str
    reason: str
    text: str = ""


@dataclass(frozen=True)
class Regrouping:
    """What a person moves: turn ids by the gap that they go to, and the proposals that change with it.

    `gaps` are founded where they do not exist, `touched` are all gaps that lose or win turns, `changed` are pairs of
    a proposal before and after, `made` are new ones.
    """

    what: str
    who: str
    at: datetime
    members: Mapping[str, Sequence[str]]
    touched: frozenset[str]
    notes: Sequence[RegroupNote]
    gaps: Sequence[Gap] = ()
    changed: Sequence[tuple[Proposal, Proposal]] = ()
    made: Sequence[Proposal] = ()


@dataclass(frozen=True)
class Entry:
    """A published piece of knowledge; its fields hold what they hold in a `Proposal` of its kind.

    Its content never changes, but for what somebody who is forgotten said. `share` is the percentage of users that get
    it, or got it before it was withdrawn; `absorbed_by` names the model that has taken it in. `held_by` is set on a
    withdrawn one only: the running model that was trained with it.
    """

    entry_id: str
    proposal_id: str
    kind: ProposalKind
    label: str
    examples: tuple[str, ...]
    answer: str | None
    release: int
    state: ProposalState
    target: str | None = None
    share: int = EVERYBODY
    absorbed_by: str | None = None
    held_by: str | None = None

    @property
    def live_share(self) -> int:
        """The percentage of users that get it now, 0 if it is withdrawn."""
        return self.share if self.state in LIVE else 0


class ReleaseKind(str, Enum):
    """Why something else is live than before."""

    PUBLISH = "publish"
    WITHDRAW = "withdraw"
    RESTORE = "restore"
    ROLLBACK = "rollback"
    UNDO = "undo"  # of the decision
    ROLLOUT = "rollout"  # to more users, or to fewer
    STOP = "stop"  # by the stop rule
    EXPERIMENT = "experiment"  # begun or ended


@dataclass(frozen=True)
class Change:
    """What a release did to an entry or an experiment: the percentage of users that got it before and get it now."""

    item_id: str
    before: int
    after: int


@dataclass(frozen=True)
class Release:
    """One numbered step of what is live; `undoes` is the release that it takes back, `commit` carries it in git.

    What is live is the sum of all changes, in the order of their numbers; none is ever rewritten.
    """

    number: int
    what: ReleaseKind
    who: str
    at: datetime
    changes: tuple[Change, ...]
    reason: str = ""
    undoes: int | None = None
    commit: str | None = None


@dataclass(frozen=True)
class Rollout:
    """How an entry reaches its users: `steps` are percentages, of which `at_step` is the one it stands at.

    It goes on to the next one `hours` after `since`. `stopped` says why it went back, empty while it goes well.
    """

    entry_id: str
    steps: tuple[int, ...]
    at_step: int
    hours: float
    since: datetime
    stopped: str = ""


class ExperimentState(str, Enum):
    """Where an experiment stands."""

    DRAFT = "draft"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Variant:
    """One wording in an experiment; without `text` it is what the bot says anyway."""

    name: str
    text: str | None


@dataclass(frozen=True)
class Experiment:
    """Wordings of one response, each told to an equal share of the users, until one is better or somebody stops it.

    `metric` is `resolved`, `thumbs`, `csat` or `escalated`; the first of `variants` is the control.
    """

    experiment_id: str
    name: str
    label: str
    response: str
    metric: str
    variants: tuple[Variant, ...]
    state: ExperimentState
    who: str
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    winner: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class ExperimentOutcome:
    """How the first conversation of a sender in an experiment went: one a sender, since people are not independent.

    `at` is the time of the first exposure, `thumb` -1, 0 or 1, `csat` the mark (1 to 5), if any.
    """

    sender: str
    variant: str
    at: datetime
    outcome: Outcome
    thumb: int = 0
    csat: int | None = None


@dataclass(frozen=True)
class AnswerCounts:
    """The bot's answers in a time, and how many of them were rated down, or followed by a fallback or a hand-over."""

    answered: int = 0
    thumbs_down: int = 0
    fallback_after: int = 0
    handoff_after: int = 0


@dataclass(frozen=True)
class DayOfSender:
    """What came of all answers that a sender got in conversations of one day (UTC); `at` is when the first began."""

    sender: str
    at: datetime
    counts: AnswerCounts


@dataclass(frozen=True)
class PullRequest:
    """A change of `data/learned/` that waits for people elsewhere, and what was proposed in it.

    `files` are marks (`entry_files.mark_of`) of what the machine wrote, by name: texts of customers are not kept
    twice. `proposals` are the ids behind them, by file name. `number` and `url` are empty on a plain git remote, where
    the branch is all there is.
    """

    pull_id: str
    branch: str
    proposals: Mapping[str, str]
    files: Mapping[str, str]
    state: str  # open; closing, from when it is known that it shall be closed until it is; merged, closed
    opened_at: datetime
    number: int | None = None
    url: str = ""
    read_at: datetime | None = None
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class PullSeen:
    """What a host tells of a pull request: `state` is open, merged or closed, `commit` is where its files are read.

    `commit` is the merge, or the tip of the branch while it is open, empty where neither is there. `who` merged or
    closed it. `problem` is why nothing may be decided by it, such as that it was closed by a program.
    """

    state: str
    commit: str = ""
    who: str = ""
    labels: frozenset[str] = frozenset()
    body: str = ""
    problem: str = ""


@dataclass(frozen=True)
class PullComment:
    """What somebody said of a pull request; `by_team` if it is a person who may decide there."""

    who: str
    text: str
    by_team: bool


@dataclass(frozen=True)
class DeployedModel:
    """A model that passed the gate and went live; `replaced` is the one before it, `rolled_back_at` when it went.

    `taught` are the ids of the entries that it was trained with, and `card` says what else it was made of and how it
    compared (a `model_card.ModelCard` as plain data). Of a model that somebody started by hand nothing is known but
    its name.
    """

    name: str
    at: datetime
    replaced: str
    rolled_back_at: datetime | None = None
    taught: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WatchedModel:
    """A model in its first days: whether customers fare worse with it than with the one before it.

    `state` is `watching`, then `kept`, `ended` (another model runs), or `going_back` and `rolled_back`. `data` is the
    fingerprint of what it was trained on, `said` the figures that decided, in words.
    """

    name: str
    replaced: str
    since: datetime
    state: str
    data: str = ""
    said: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Talk:
    """What a conversation says of the model that answered in it: `turns` messages, `fallbacks` not understood."""

    sender: str
    started: datetime
    last_at: datetime
    turns: int
    fallbacks: int
    thumbs_down: int


@dataclass(frozen=True)
class ServerState:
    """A Rasa server: its address, and the name of the model that it runs; empty if unknown, `problem` says why."""

    address: str
    model: str
    problem: str = ""


class JobKind(str, Enum):
    """What is done in the background, by a worker."""

    MINE = "mine"
    RETRAIN = "retrain"
    DEPLOY = "deploy"  # a model that a retraining made, and that did not go live with it
    MODEL_BACK = "model_back"  # a former model runs again
    EVALUATE = "evaluate"  # the running model on all that it is measured by
    WATCH = "watch"  # what the alerts look at, and whether a new model does harm
    DIGEST = "digest"
    PRUNE = "prune"  # what nobody needs any more is deleted


class JobState(str, Enum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    BLOCKED = "blocked"  # a retraining whose model is not good enough
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Job:
    """Something that somebody has asked for, and that a worker does.

    `asked` says what exactly and `report` what came of it, both by the kind. `timings` are the steps that have ended,
    with their seconds. `heartbeat` is the last sign of life of its worker, and `cancelled_by` who wants it to stop.
    """

    number: int
    kind: JobKind
    state: JobState
    who: str
    at: datetime
    reason: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)
    started: datetime | None = None
    finished: datetime | None = None
    worker: str = ""
    heartbeat: datetime | None = None
    attempts: int = 0
    step: str = ""
    step_at: datetime | None = None
    timings: tuple[tuple[str, float], ...] = ()
    message: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)
    cancelled_by: str = ""


@dataclass(frozen=True)
class Leader:
    """The one scheduler process that puts what is due into the queue.

    `term` counts the leaders and `beat` the signs of life of this one: followers watch the count change by their own
    clock, and never compare the times `since` and `at`, which another machine's clock gave.
    """

    holder: str
    term: int
    beat: int
    since: datetime
    at: datetime


@dataclass(frozen=True)
class ScheduleMark:
    """What is kept of a scheduled job besides its next time: whether it is paused, and what was due last.

    `job` is the number of the newest background job, of any kind, when it was due last.
    """

    paused_at: datetime | None = None
    paused_by: str = ""
    paused_why: str = ""
    resumed_at: datetime | None = None
    due: datetime | None = None
    job: int = 0


class Due(str, Enum):
    """What came of a scheduled job that was due."""

    PUT = "was put into the queue"
    SAME = "was put into the queue before"
    PAUSED = "is paused"
    OPEN = "waits or is at work already"
    DONE = "was done since"
    LOST = "is put by another process, which leads now"


@dataclass(frozen=True)
class Quarantined:
    """An entry, or an experiment, that running bots leave out since `at`, and why."""

    entry_id: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class AuditRow:
    """One step of the hash-chained log."""

    seq: int
    at: datetime
    who: str
    what: str
    item: str
    before: str
    after: str
    reason: str
    evidence_hash: str
    previous_hash: str
    row_hash: str


@dataclass(frozen=True)
class Example:
    """One labelled training example; `label` is the intent or the full retrieval key."""

    text: str
    label: str


@dataclass(frozen=True)
class Prediction:
    """How a model understood one text; `label` is the intent or the full retrieval key."""

    text: str
    label: str
    confidence: float


@dataclass(frozen=True)
class MiningReport:
    """What one mining run did, in counts."""

    events: int = 0
    conversations: int = 0
    signals: int = 0
    new_signals: int = 0
    new_gaps: int = 0
    new_proposals: int = 0
    corrupt_rows: tuple[int, ...] = field(default=())
    total_conversations: int = 0


@dataclass(frozen=True)
class Erased:
    """What went when a sender was forgotten, in counts; `sender` is the pseudonym.

    `texts` are those that were dropped from proposals, decisions and entries, folded, and `shared` counts those that
    stay there because somebody else said them, too. `entries` and `withdrawn` are labels of entries that lost
    examples, the latter all of them. `named` are labels that hold a word which only this person used, or whose answer
    repeats what agents told only this person.
    """

    sender: str
    rows: Mapping[str, int]  # removed, by table
    gaps: int = 0  # that the person was in, those that were removed with it included
    gaps_removed: int = 0
    texts: tuple[str, ...] = ()
    shared: int = 0
    proposals: int = 0
    proposals_removed: int = 0
    decisions: int = 0
    entries: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def found_anything(self) -> bool:
        """Whether there was anything to forget."""
        return any(self.rows.values()) or bool(self.texts or self.proposals or self.proposals_removed)
