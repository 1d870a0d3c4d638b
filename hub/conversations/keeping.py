"""Filters that are kept under a name, spot checks, and files of what a filter finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from threading import Semaphore
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hub.context import form_of, hub_of, user_of
from hub.conversations import filters
from hub.conversations.blank import is_blank
from hub.conversations.filters import LIST, address
from hub.conversations.lists import SEE_OTHER, clean, list_page, told
from hub.rendering import leave_notice
from hub.routing import action, may, page
from hub.staff.roles import Right
from hub.texts import conversations as words
from learning import annotations as turn_annotations
from learning import browsing, conversation_files
from learning.browsing import ConversationItem, Draw
from learning.browsing_records import Verdict
from learning.errors import ReviewError
from learning.intervals import wilson
from learning.loop import Loop

CHECKS = f"{LIST}/checks"
EXPORT_WAIT = 60  # seconds after which a browser may ask again
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "yaml": "application/yaml; charset=utf-8",
}


@dataclass(frozen=True)
class Check:
    """A spot check: its conversations in the order of the draw, and what the checked messages of them say.

    `talks` are conversations with checked messages, `good` those of them where every checked one is right: messages of
    one conversation are too much alike for an interval of their own.
    """

    draw: Draw
    items: tuple[ConversationItem, ...]
    checked: int
    right: int
    talks: int
    good: int
    what: str

    @property
    def next_id(self) -> str:
        """The first conversation that is not done, empty if all are."""
        return next((one.conversation_id for one in self.items if one.conversation_id not in self.draw.done), "")

    @property
    def interval(self) -> tuple[float, float]:
        """Between which shares of all conversations that of the good ones lies, 95 in 100 times."""
        return wilson(self.good, self.talks)


def save(request: Request) -> Response:
    """Keep the filter under a name."""
    form, user = form_of(request), user_of(request)
    here = clean(form.get("here"))
    wanted = filters.read_query(here)
    try:
        saved = browsing.save_filter(hub_of(request).loop, form.get("name"), wanted, user, form.get("shared") == "1")
    except ReviewError as error:
        return list_page(request, filters.as_params(here), told(error), 422, "name", form)
    leave_notice(request, words.DONE_SAVED.format(name=saved.name))
    return RedirectResponse(address(LIST, here), SEE_OTHER)


def delete(request: Request) -> Response:
    """Delete a saved filter: one's own, or as an admin anybody's."""
    filter_id, any_owner = request.path_params["filter_id"], may(request, Right.MANAGE)
    browsing.delete_filter(hub_of(request).loop, filter_id, user_of(request), any_owner)
    leave_notice(request, words.DONE_DELETED)
    return RedirectResponse(address(LIST, clean(form_of(request).get("here"))), SEE_OTHER)


def draw(request: Request) -> Response:
    """Draw a set of conversations for a spot check, and begin with it."""
    query = clean(form_of(request).get("from"))
    drawn = browsing.draw(hub_of(request).loop, filters.read_query(query), user_of(request))
    if not drawn.conversation_ids:
        return list_page(request, filters.as_params(query), words.EMPTY_DRAW, 422)
    return RedirectResponse(f"{LIST}/{drawn.conversation_ids[0]}?draw={drawn.draw_id}", SEE_OTHER)


def check(request: Request) -> Response:
    """Show how far a spot check is, and what came of it."""
    hub = hub_of(request)
    found = _read_check(hub.loop, request.path_params["draw_id"])
    return hub.renderer.page(request, "conversations_check.html", check=found, is_blank=is_blank)


def export(request: Request) -> Response:
    """Send everything that fits the filter as a file, a piece at a time."""
    form = request.path_params["form"]
    if form not in MEDIA_TYPES:
        raise HTTPException(404)
    asked = filters.read(request.query_params)
    if asked.problem:  # a file of something else than was asked for would mislead
        return list_page(request, request.query_params)
    hub = hub_of(request)
    pieces = conversation_files.export(hub.loop, asked.filter, form)
    headers = {"Content-Disposition": f'attachment; filename="conversations.{form}"'}
    if not hub.exports.acquire(blocking=False):
        busy = hub.renderer.error(request, 503, words.EXPORTS_BUSY, words.EXPORTS_BUSY_NEXT)
        busy.headers["Retry-After"] = str(EXPORT_WAIT)
        return busy
    return _Export(pieces, hub.exports, media_type=MEDIA_TYPES[form], headers=headers)


class _Export(StreamingResponse):
    """A file of which only so many are made at once; its place is free again however the sending ends."""

    def __init__(self, pieces: Iterator[str], place: Semaphore, **more: Any) -> None:
        super().__init__(pieces, **more)
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._place.release()


def _read_check(loop: Loop, draw_id: str) -> Check:
    found = browsing.read_draw(loop, draw_id)
    items = browsing.items(loop, found.conversation_ids)
    said = turn_annotations.checked_in(loop, found.conversation_ids)
    if not found.done.issuperset(found.conversation_ids):
        # Until all are done, only those count that somebody has come to in this check: what was marked before it was
        # often marked because something had failed there.
        come_to = {one.conversation_id for one in said if one.at >= found.at}
        said = [one for one in said if one.conversation_id in come_to]
    right = sum(one.verdict is Verdict.RIGHT for one in said)
    talks = {one.conversation_id for one in said}
    bad = {one.conversation_id for one in said if one.verdict is Verdict.WRONG}
    what = filters.sentence(found.filter)
    return Check(found, items, len(said), right, len(talks), len(talks - bad), what)


ROUTES = (
    action(f"{LIST}/filters", save),
    action(f"{LIST}/filters/{{filter_id}}/delete", delete),
    action(CHECKS, draw),
    page(f"{CHECKS}/{{draw_id}}", check),
    page(f"{LIST}/export/{{form}}", export),
)
