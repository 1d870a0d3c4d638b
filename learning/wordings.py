"""Which wording of a response somebody is told: an experiment's, what was published over it, or the bot's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import orjson
import sqlalchemy as sa

from learning.buckets import BUCKETS, bucket
from learning.model import ANSWERING, EVERYBODY, OFF, ON, ExperimentState, ProposalKind, Variant

MOST_NAME = 64  # characters of a variant's name; an arm has room for no more
EXPERIMENTS_QUERY = sa.text(
    f"SELECT * FROM experiments WHERE state = '{ExperimentState.RUNNING.value}' ORDER BY started_at, experiment_id"
)


class Published(Protocol):
    """A live entry, as far as it answers; its fields hold what they hold in a `Proposal` of its kind."""

    @property
    def entry_id(self) -> str:
        """The entry's name in the tracker."""
        ...

    @property
    def kind(self) -> ProposalKind:
        """Only ANSWER and REWORD entries answer."""
        ...

    @property
    def label(self) -> str:
        """An intent, or a full retrieval key."""
        ...

    @property
    def answer(self) -> str | None:
        """What is said."""
        ...

    @property
    def target(self) -> str | None:
        """The response that a REWORD entry rewords."""
        ...

    @property
    def share(self) -> int:
        """Percent of the users that get it."""
        ...


@dataclass(frozen=True)
class LiveAnswer:
    """A published answer of one response."""

    entry_id: str
    kind: ProposalKind
    text: str
    share: int = EVERYBODY

    def admits(self, response: str, sender: str | None) -> bool:
        """Whether a sender gets it; nobody in particular gets what is there for everybody."""
        if self.share >= EVERYBODY or self.kind is ProposalKind.ANSWER:
            return True  # whoever was given the label of a new question needs its answer
        return sender is not None and bucket(response, sender) < self.share


@dataclass(frozen=True)
class LiveExperiment:
    """A running experiment, as the bot needs it."""

    experiment_id: str
    response: str
    variants: tuple[Variant, ...]

    def variant_of(self, sender: str) -> Variant:
        """Return the variant that a sender is told, always the same one; the parts are equal."""
        return self.variants[_place(bucket(self.experiment_id, sender), len(self.variants))]


def _place(number: int, variants: int) -> int:
    return number * variants // BUCKETS


def parts_of(variants: int) -> tuple[float, ...]:
    """Return the share of the users (0..1) that each of so many variants has: equal, as far as 100 can be divided."""
    places = [_place(number, variants) for number in range(BUCKETS)]
    return tuple(places.count(place) / BUCKETS for place in range(variants))


class Wording(NamedTuple):
    """What is told instead of the bot's own text (None: that), and what it was chosen by: (subject, arm) pairs."""

    text: str | None = None
    exposed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Wordings:
    """The published answers of each response, the oldest first, and the experiment that runs on it."""

    answers: Mapping[str, Sequence[LiveAnswer]] = field(default_factory=dict)
    experiments: Mapping[str, LiveExperiment] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[Published], experiments: Iterable[LiveExperiment] = ()) -> Wordings:
        """Sort what is live by response; `entries` come in the order of their release."""
        answers: dict[str, list[LiveAnswer]] = {}
        for entry in entries:
            if entry.kind in ANSWERING and entry.answer:
                live = LiveAnswer(entry.entry_id, entry.kind, entry.answer, entry.share)
                answers.setdefault(response_of(entry), []).append(live)
        return cls(answers, {one.response: one for one in experiments})

    def wording(self, response: str, sender: str | None) -> Wording:
        """Return what `sender` is told: the experiment's variant, else the newest answer that admits them."""
        experiment = self.experiments.get(response)
        if experiment is None or sender is None:
            return self._published(response, sender)
        variant = experiment.variant_of(sender)
        usual = Wording(variant.text) if variant.text is not None else self._published(response, sender)
        return Wording(usual.text, ((experiment.experiment_id, variant.name), *usual.exposed))

    def _published(self, response: str, sender: str | None) -> Wording:
        exposed: list[tuple[str, str]] = []
        for answer in reversed(self.answers.get(response, ())):
            admitted = answer.admits(response, sender)
            if answer.kind is ProposalKind.REWORD and sender is not None:
                exposed.append((answer.entry_id, ON if admitted else OFF))
            if admitted:
                return Wording(answer.text, tuple(exposed))
        return Wording(None, tuple(exposed))


def response_of(entry: Published) -> str:
    """Return the response that an entry answers or rewords."""
    reworded = entry.target if entry.kind is ProposalKind.REWORD else None
    return reworded or f"utter_{entry.label}"


def read_experiments(
    connection: sa.engine.Connection, complain: Callable[[str, str], None]
) -> tuple[LiveExperiment, ...]:
    """Return the running experiments; a broken one is left out and told to `complain` by its id, with the reason.

    A database that is older than the bot has none.
    """
    if not sa.inspect(connection).has_table("experiments"):
        return ()
    found: dict[str, LiveExperiment] = {}
    for row in connection.execute(EXPERIMENTS_QUERY):
        try:
            experiment = LiveExperiment(row.experiment_id, row.response, variants_of(row.variants))
            if not experiment.response:
                raise ValueError("it has no response")
            if experiment.response in found:
                raise ValueError(f"{found[experiment.response].experiment_id} runs on the same response")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            complain(str(row.experiment_id), str(error))
            continue
        found[experiment.response] = experiment
    return tuple(found.values())


def variants_of(stored: str) -> tuple[Variant, ...]:
    """Return the variants of a row.

    Raises:
        ValueError: they are not variants that can be told.

    """
    variants = tuple(Variant(str(one["name"]), one["text"]) for one in orjson.loads(stored))
    if len(variants) < 2 or len({variant.name for variant in variants}) < len(variants):
        raise ValueError("it needs two variants or more, each with a name of its own")
    for variant in variants:
        if not 0 < len(variant.name) <= MOST_NAME:
            raise ValueError("a variant's name is empty or too long")
        if variant.text is not None and not (isinstance(variant.text, str) and variant.text.strip()):
            raise ValueError(f"variant {variant.name!r} has no text")
    return variants
