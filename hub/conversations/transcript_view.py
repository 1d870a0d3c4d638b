"""What the page of one conversation shows: each turn with what came of it, and the way to the next conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.datastructures import QueryParams

from hub.conversations import filters
from hub.conversations.filters import LIST, address
from learning import annotations as turn_annotations
from learning import browsing, transcripts
from learning.browsing import ConversationItem, Draw
from learning.browsing_records import Annotation, Transcript, TranscriptTurn, Verdict
from learning.errors import NotFound
from learning.loop import Loop
from learning.model import Entry, content_id

DRAW = "draw"  # the query parameter that names the spot check one is in


@dataclass(frozen=True)
class Learned:
    """The learned answer that replied, with the release that it came with."""

    label: str
    release: int


@dataclass(frozen=True)
class TurnView:
    """A turn with its place; `is_new_day` begins another day, `learned` is the entry that answered if it is known."""

    number: int
    turn: TranscriptTurn
    is_new_day: bool
    learned: Learned | None
    proposal_id: str

    @property
    def verdict(self) -> Annotation | None:
        """What was said last of how it was understood."""
        said = [one for one in self.turn.annotations if one.verdict is not Verdict.NOTE]
        return max(said, key=lambda one: one.at, default=None)


@dataclass(frozen=True)
class Neighbors:
    """The list that a conversation is read in: `query` goes on with every link and form, `back` leads to the list.

    Of a spot check, `place`, `total` and `done` tell how far one is.
    """

    query: str
    back: str
    previous: str = ""
    next: str = ""
    draw: Draw | None = None
    place: int = 0

    def address(self, conversation_id: str, fragment: str = "") -> str:
        """Return the address of a conversation in the same list."""
        return address(f"{LIST}/{conversation_id}", self.query, fragment)


@dataclass(frozen=True)
class View:
    """One conversation as it is shown; `seen` marks all of its verdicts."""

    item: ConversationItem
    turns: tuple[TurnView, ...]
    note: str
    around: Neighbors
    labels: tuple[str, ...]

    @property
    def seen(self) -> str:
        """A mark that changes with every annotation."""
        return content_id(*(view.turn.mark for view in self.turns))

    @property
    def unmarked(self) -> tuple[TurnView, ...]:
        """The turns without a verdict."""
        return tuple(view for view in self.turns if view.verdict is None)


def read(loop: Loop, conversation_id: str, params: QueryParams) -> View:
    """Return a conversation, read in the list or the spot check that `params` name; raise `NotFound` without it."""
    found = transcripts.read(loop, conversation_id)
    return View(
        found.item,
        _turns(loop, found),
        found.note,
        neighbors(loop, found.item, params),
        turn_annotations.labels(loop),
    )


def neighbors(loop: Loop, item: ConversationItem, params: QueryParams) -> Neighbors:
    """Return what comes before and after a conversation in the list or the spot check that one is in."""
    if params.get(DRAW):
        try:
            return _in_draw(browsing.read_draw(loop, params[DRAW]), item.conversation_id)
        except NotFound:
            pass  # a draw that is no more: the list of all
    wanted = filters.read(params).filter
    newer, older = browsing.neighbors(loop, wanted, item.cursor)
    query = filters.query_of(wanted)
    return Neighbors(query, address(LIST, query, f"talk-{item.conversation_id}"), newer or "", older or "")


def _in_draw(draw: Draw, conversation_id: str) -> Neighbors:
    ids = draw.conversation_ids
    place = ids.index(conversation_id) if conversation_id in ids else -1
    return Neighbors(
        f"{DRAW}={draw.draw_id}",
        f"{LIST}/checks/{draw.draw_id}",
        previous=ids[place - 1] if place > 0 else "",
        next=ids[place + 1] if place + 1 < len(ids) else "",
        draw=draw,
        place=place + 1,
    )


def _turns(loop: Loop, found: Transcript) -> tuple[TurnView, ...]:
    entries = _entries(loop, found.turns)
    views: list[TurnView] = []
    last: datetime | None = None
    for number, turn in enumerate(found.turns, start=1):
        entry = entries.get(turn.overlay_entry or "")
        views.append(
            TurnView(
                number,
                turn,
                is_new_day=last is not None and turn.at.date() != last.date(),
                learned=Learned(entry.label, entry.release) if entry else None,
                proposal_id=(found.proposals or {}).get(turn.gap_id or "", ""),
            )
        )
        last = turn.at
    return tuple(views)


def _entries(loop: Loop, turns: Sequence[TranscriptTurn]) -> dict[str, Entry]:
    """Return the learned answers that replied in a conversation, by id."""
    named = {turn.overlay_entry for turn in turns if turn.overlay_entry}
    return {entry.entry_id: entry for entry in loop.store.entries() if entry.entry_id in named} if named else {}
