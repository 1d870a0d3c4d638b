"""Looking through all conversations: lists by filter, a random draw, and what there is to choose from.

Lists go by the last message, the newest first. Turns are annotated in `annotations`, read in `transcripts`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from learning.browsing_records import (
    Choices,
    ConversationItem,
    Draw,
    Filter,
    FilterError,
    Page,
    ReviewMark,
    SavedFilter,
)
from learning.errors import NotFound, ReviewError
from learning.loop import Loop
from learning.model import content_id
from learning.names import check_name
from learning.review import is_unsayable

__all__ = [
    "COUNTED",
    "Choices",
    "ConversationItem",
    "Draw",
    "Filter",
    "FilterError",
    "Page",
    "ReviewMark",
    "SavedFilter",
]

PAGE = 50  # conversations of one page
MOST = 500  # of one page, and of one draw
COUNTED = 10_000  # matches that are counted; who sees more narrows the filter down
DRAWN = 50  # conversations of a spot check
DRAWS_SHOWN = 10
LONGEST_NAME = 80  # characters of a tag, or of a saved filter's name
LAST_PLACE = 2**63  # behind every cursor


def find(loop: Loop, wanted: Filter, after: str | None = None, limit: int = PAGE, before: str | None = None) -> Page:
    """Return a page of the conversations that fit; `after` and `before` are cursors of another page.

    Raises:
        FilterError: a cursor is none.

    """
    limit = max(1, min(limit, MOST))
    newer = before is not None
    beyond = _place("before", before) if before is not None else _place("after", after) if after else None
    store, mood = loop.store, _frustrated_from(loop)
    found = store.find_conversations(wanted, mood, beyond, limit + 1, newer)
    has_more = len(found) > limit
    items = tuple(found[-limit:] if newer else found[:limit])
    older, newest = (True, has_more) if newer else (has_more, False)
    if items and not newer and beyond is not None:
        newest = bool(store.count_conversations(wanted, mood, 1, newer_than=int(items[0].cursor)))
    total = store.count_conversations(wanted, mood, COUNTED + 1)
    return Page(
        items=items,
        next_cursor=items[-1].cursor if items and older else None,
        previous_cursor=items[0].cursor if items and newest else None,
        total=min(total, COUNTED),
        is_more=total > COUNTED,
    )


def count(loop: Loop, wanted: Filter) -> tuple[int, bool]:
    """Return how many conversations fit, counted up to `COUNTED`, and whether there are more."""
    total = loop.store.count_conversations(wanted, _frustrated_from(loop), COUNTED + 1)
    return min(total, COUNTED), total > COUNTED


def count_newer(loop: Loop, wanted: Filter, than: str) -> int:
    """Return how many that fit came after the one with this cursor, counted up to `PAGE`.

    Raises:
        FilterError: the cursor is none.

    """
    return loop.store.count_conversations(wanted, _frustrated_from(loop), PAGE, newer_than=_place("than", than))


def each(loop: Loop, wanted: Filter) -> Iterator[ConversationItem]:
    """Yield every conversation that fits, a page at a time in memory."""
    beyond: int | None = None
    while True:
        items = loop.store.find_conversations(wanted, _frustrated_from(loop), beyond, MOST)
        yield from items
        if len(items) < MOST:
            return
        beyond = int(items[-1].cursor)


def random(loop: Loop, wanted: Filter, n: int = DRAWN, seed: int = 0) -> tuple[ConversationItem, ...]:
    """Return up to `n` of the conversations that fit, each with the same chance; the same seed draws the same."""
    return tuple(loop.store.draw_conversations(wanted, _frustrated_from(loop), max(1, min(n, MOST)), seed))


def item(loop: Loop, conversation_id: str) -> ConversationItem:
    """Return one conversation as lists show it; raise `NotFound` without it."""
    found = loop.store.conversation_items([conversation_id])
    if not found:
        raise NotFound(
            "is not stored: it was never mined, or it was forgotten",
            f"conversation {conversation_id[:16]!r}",
            "take one from `python -m learning conversations list`",
        )
    return found[0]


def items(loop: Loop, conversation_ids: Sequence[str]) -> tuple[ConversationItem, ...]:
    """Return those of the conversations that are stored, in this order."""
    return tuple(loop.store.conversation_items(conversation_ids))


def neighbors(loop: Loop, wanted: Filter, cursor: str) -> tuple[str | None, str | None]:
    """Return the conversations right before and right after a cursor in a list: the newer and the older one.

    Raises:
        FilterError: the cursor is none.

    """
    place, mood = _place("after", cursor), _frustrated_from(loop)
    newer = loop.store.find_conversations(wanted, mood, place, 1, True)
    older = loop.store.find_conversations(wanted, mood, place, 1)
    return (newer[0].conversation_id if newer else None), (older[0].conversation_id if older else None)


def newest(loop: Loop) -> str:
    """Return the cursor of the newest conversation, empty without any: it changes when another one comes."""
    found = loop.store.find_conversations(Filter(), _frustrated_from(loop), None, 1)
    return found[0].cursor if found else ""


def choices(loop: Loop) -> Choices:
    """Return what filters can be set to."""
    return loop.store.filter_choices()


# --- spot checks and saved filters ----------------------------------------------------------------


def draw(loop: Loop, wanted: Filter, who: str, n: int = DRAWN, seed: int | None = None) -> Draw:
    """Draw a set of conversations and keep it for a spot check."""
    check_name(who)
    seed = secrets.randbits(31) if seed is None else seed
    drawn = random(loop, wanted, n, seed)
    at = loop.now()
    made = Draw(
        draw_id=content_id("draw", who, seed, at.isoformat(), *wanted.to_params()),
        who=who,
        at=at,
        filter=wanted,
        seed=seed,
        conversation_ids=tuple(one.conversation_id for one in drawn),
        done=frozenset(one.conversation_id for one in drawn if one.review is ReviewMark.DONE),
    )
    loop.store.save_draw(made)
    return made


def read_draw(loop: Loop, draw_id: str) -> Draw:
    """Return a draw; raise `NotFound` without it. A conversation counts as checked once its review is done."""
    return loop.store.draw(draw_id)


def draws(loop: Loop, who: str) -> tuple[Draw, ...]:
    """Return the newest draws of a person."""
    return tuple(loop.store.draws(who, DRAWS_SHOWN))


def save_filter(loop: Loop, name: str, wanted: Filter, who: str, shared: bool = False) -> SavedFilter:
    """Keep a filter under a name; one of the same name and person is replaced.

    Raises:
        ReviewError: the name is empty, too long, or cannot be shown.

    """
    name = _checked_name(name, "a filter's name")
    saved = SavedFilter(content_id("filter", who, name.casefold()), name, who, shared, wanted, loop.now())
    loop.store.save_filter(saved)
    return saved


def saved_filters(loop: Loop, who: str) -> tuple[SavedFilter, ...]:
    """Return a person's own filters and the shared ones, by name."""
    return tuple(loop.store.saved_filters(who))


def delete_filter(loop: Loop, filter_id: str, who: str, any_owner: bool = False) -> None:
    """Delete one's own filter, or with `any_owner` anybody's; raise `NotFound` without it."""
    if not loop.store.delete_filter(filter_id, None if any_owner else who):
        raise NotFound("is not there, or is somebody else's", f"filter {filter_id[:16]}", "reload the list")


# --- marks on whole conversations -----------------------------------------------------------------


def set_review(loop: Loop, conversation_ids: Sequence[str], state: ReviewMark, who: str) -> int:
    """Set how far the review of these conversations is; return how many changed."""
    check_name(who)
    return len(loop.store.set_review_marks(conversation_ids, state, who, loop.now()))


def add_tag(loop: Loop, conversation_ids: Sequence[str], tag: str, who: str) -> int:
    """Put a tag on conversations; return how many did not have it.

    Raises:
        ReviewError: the tag is empty, too long, or cannot be shown.

    """
    check_name(who)
    return len(loop.store.add_tags(conversation_ids, _checked_name(tag, "a tag"), who, loop.now()))


def remove_tag(loop: Loop, conversation_ids: Sequence[str], tag: str, who: str) -> int:
    """Take a tag off conversations; return how many had it."""
    check_name(who)
    return len(loop.store.remove_tags(conversation_ids, " ".join(tag.split()), who, loop.now()))


def _checked_name(name: str, what: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or any(is_unsayable(char) for char in name):
        remedy = f"write 1 to {LONGEST_NAME} visible characters"
        raise ReviewError("cannot be used", f"{what} {name[:LONGEST_NAME]!r}", remedy)
    return name


def _frustrated_from(loop: Loop) -> float:
    return loop.settings.signals.frustration


def _place(name: str, cursor: str) -> int:
    is_number = cursor.isascii() and cursor.isdigit() and len(cursor) < 20
    if not is_number or int(cursor) >= LAST_PLACE:
        raise FilterError(name, "is no place in a list", f"cursor {cursor[:20]!r}", "begin the list anew")
    return int(cursor)
