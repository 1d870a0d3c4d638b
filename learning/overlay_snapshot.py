"""What is live at one version: entries, who gets them, and which one a message belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

from learning.buckets import bucket
from learning.labels import LabelChanges
from learning.model import EVERYBODY, ProposalKind
from learning.overlay_rows import Rows
from learning.vectors import Vectors
from learning.wordings import Wording, Wordings

MOST_COMBINATIONS = 256  # of rollouts that change labels, remembered for one version


@dataclass(frozen=True)
class CaptureRule:
    """When a message belongs to a published entry; one rule for the live overlay and for replay.

    An entry is as near as the mean cosine to its `entry_neighbors` nearest examples; what is trained is as near as
    the mean to the `training_neighbors` nearest training examples. The defaults were measured on CLINC150: see
    `components.live_overlay.LiveOverlay`.
    """

    min_similarity: float = 0.5
    margin: float = 0.0
    same_text: float = 0.97  # cosine with one example from which a message is that example
    entry_neighbors: int = 2
    training_neighbors: int = 5

    def captures(self, entry: float, closest: float, training: float) -> bool:
        """Decide by the entry's nearness, its closest example, and the nearness of what is trained."""
        if closest >= self.same_text:
            return True
        return entry >= self.min_similarity and entry > training + self.margin

    @property
    def least(self) -> float:
        """The cosine with its closest example below which a message belongs to no entry."""
        return min(self.min_similarity, self.same_text)


@dataclass(frozen=True)
class OverlayEntry:
    """A live entry: its fields hold what they hold in a `Proposal` of its kind, but that only teaching has examples.

    `share` is the percentage of users that it goes to, whatever other entries allow: see `OverlaySnapshot.reach`.
    """

    entry_id: str
    kind: ProposalKind
    label: str
    examples: tuple[str, ...]
    answer: str | None
    target: str | None = None
    share: int = EVERYBODY
    release: int = 0

    @property
    def salt(self) -> str:
        """What deals the users: all entries of one label reach the same ones, and so do all wordings of a response."""
        return self.target or self.label if self.kind is ProposalKind.REWORD else self.label


@dataclass(frozen=True)
class OverlayMatch:
    """The entry whose example is nearest to a message; `similarity` is a cosine in -1..1."""

    entry: OverlayEntry
    similarity: float


@dataclass(frozen=True)
class Nearest:
    """What comes nearest to a message: its `closest` example, and the `label` that is nearest as a whole.

    `label` names the entry of the label's closest example and the mean over its nearest ones.
    """

    closest: OverlayMatch
    label: OverlayMatch


@dataclass(frozen=True)
class OverlaySnapshot:
    """All live entries at one version; nothing that is published later changes it.

    `slots` may hold entries that are gone or came later; `places` says by id where the live ones are. `changing` are
    the merges and retirements, the oldest first. `withdrawn` are labels that the trained model still knows though
    their answer was taken back: each with its entry and the percentage of users that get another answer.
    `answer_shares` are the labels whose answer goes to a part of the users.
    """

    version: int = 0
    slots: Sequence[OverlayEntry] = ()
    places: Mapping[str, int] = field(default_factory=dict)
    rows: Rows = field(default_factory=Rows)
    changing: tuple[OverlayEntry, ...] = ()
    withdrawn: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    answer_shares: Mapping[str, int] = field(default_factory=dict)
    partial: bool = False  # whether anything goes to a part of the users
    wordings: Wordings = field(default_factory=Wordings)  # what is told to whom
    _combinations: dict[frozenset[str], LabelChanges] = field(default_factory=dict, compare=False, repr=False)

    # --- entries -------------------------------------------------------------------------------

    @cached_property
    def entries(self) -> tuple[OverlayEntry, ...]:
        """All live entries, the oldest release first."""
        live = (self.slots[place] for place in self.places.values())
        return tuple(sorted(live, key=age))

    def entry(self, entry_id: str) -> OverlayEntry | None:
        """Return a live entry by its id."""
        place = self.places.get(entry_id)
        return None if place is None else self.slots[place]

    def wording(self, utter_action: str, sender: str | None = None) -> Wording:
        """Return what a sender is told for a response name such as `utter_learned/loyalty_points`."""
        return self.wordings.wording(utter_action, sender)

    def answer_for(self, utter_action: str) -> str | None:
        """Return the published answer of a response that goes to everybody, if any."""
        return self.wording(utter_action).text

    # --- who gets what -------------------------------------------------------------------------

    def reach(self, entry: OverlayEntry) -> int:
        """Return the percentage of users that get an entry: nobody gets a label without its answer."""
        if entry.kind is ProposalKind.ANSWER:
            return entry.share
        return min(entry.share, self.answer_shares.get(entry.label, EVERYBODY))

    def admits(self, entry: OverlayEntry, sender: str | None) -> bool:
        """Whether an entry goes to a sender; one who is unknown gets what goes to everybody."""
        return _reaches(entry.salt, self.reach(entry), sender)

    def is_hidden(self, entry_id: str, sender: str | None) -> bool:
        """Whether an entry is live, but does not go to a sender."""
        entry = self.entry(entry_id)
        return entry is not None and not self.admits(entry, sender)

    # --- messages ------------------------------------------------------------------------------

    @property
    def dimensions(self) -> int:
        """The length of the vectors of examples, 0 if there are none."""
        return int(self.rows.vectors.shape[1]) if self.rows.live else 0

    def find(self, vector: Vectors, rule: CaptureRule, sender: str | None = None) -> Nearest | None:
        """Return what comes nearest to a unit vector (d,) of what `sender` gets, None if nothing comes near enough."""
        return self._find(vector, rule, lambda slot: self.admits(self.slots[slot], sender))

    def find_for_all(self, vector: Vectors, rule: CaptureRule) -> Nearest | None:
        """Return what would come nearest to a unit vector (d,) if all that is live went to everybody."""
        return self._find(vector, rule, None)

    def _find(self, vector: Vectors, rule: CaptureRule, admits: Callable[[int], bool] | None) -> Nearest | None:
        found = self.rows.find(
            vector, rule.least, rule.same_text, rule.entry_neighbors, admits if self.partial else None, self._name
        )
        if found is None:
            return None
        (closest, similarity), (place, mean) = found
        return Nearest(OverlayMatch(self.slots[closest], similarity), OverlayMatch(self.slots[place], mean))

    def _name(self, slot: int) -> str:
        return self.slots[slot].entry_id

    def nearest(self, vector: Vectors) -> OverlayMatch | None:
        """Return the entry nearest to a unit vector of shape (d,), or None if nothing is live."""
        found = self.find_for_all(vector, CaptureRule(min_similarity=-2.0, same_text=-2.0))
        return found.closest if found else None

    # --- labels --------------------------------------------------------------------------------

    @property
    def changes(self) -> LabelChanges:
        """What became of labels that were merged, retired or withdrawn, for everybody."""
        return self.changes_for(None)

    def changes_for(self, sender: str | None) -> LabelChanges:
        """Return what became of labels for a sender."""
        return self._changes([entry for entry in self.changing if self.admits(entry, sender)], sender)

    def changes_for_all(self, sender: str | None) -> LabelChanges:
        """Return what would become of labels if all that is live went to everybody, but for withdrawn ones."""
        return self._changes(self.changing, sender)

    @property
    def has_partial_changes(self) -> bool:
        """Whether some labels change for a part of the users only."""
        return self.partial and any(self.reach(entry) < EVERYBODY for entry in self.changing)

    def _changes(self, entries: Sequence[OverlayEntry], sender: str | None) -> LabelChanges:
        gone = {
            entry_id: label for label, (entry_id, share) in self.withdrawn.items() if not _reaches(label, share, sender)
        }
        key = frozenset((*gone, *(entry.entry_id for entry in entries)))
        known = self._combinations.get(key)
        if known is None:
            retired = [
                OverlayEntry(entry_id, ProposalKind.RETIRE, gone[entry_id], (), None) for entry_id in sorted(gone)
            ]
            known = LabelChanges.of([*retired, *entries])
            if len(self._combinations) < MOST_COMBINATIONS:
                self._combinations[key] = known
        return known

    @property
    def renamed(self) -> Mapping[str, str]:
        """The labels that became another one, with what they are now."""
        return self.changes.renamed

    @property
    def retired(self) -> frozenset[str]:
        """The labels that are answered no more."""
        return self.changes.retired

    def with_rows(self, rows: Rows) -> OverlaySnapshot:
        """Return the same with other rows; nothing that was worked out is worked out again."""
        other = copy(self)
        object.__setattr__(other, "rows", rows)
        return other

    def without_index(self) -> OverlaySnapshot:
        """Return the same, compared row by row."""
        return self.with_rows(replace(self.rows, index=None, indexed=0))


def age(entry: OverlayEntry) -> tuple[int, str]:
    """Return what sorts entries, the oldest release first."""
    return entry.release, entry.entry_id


def _reaches(salt: str, share: int, sender: str | None) -> bool:
    return share >= EVERYBODY or (sender is not None and bucket(salt, sender) < share)
