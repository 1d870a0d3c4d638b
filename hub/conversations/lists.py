"""The list of conversations: found by filters, and marked many at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.context import Hub, form_of, hub_of, user_of
from hub.conversations import filters
from hub.conversations.blank import is_blank
from hub.conversations.filters import LIST, Asked, Chip, address
from hub.errors import Incomplete
from hub.forms import Form
from hub.rendering import leave_notice
from hub.routing import action, page
from hub.texts import conversations as words
from learning import browsing
from learning.browsing import Choices, Draw, FilterError, Page, ReviewMark, SavedFilter
from learning.errors import EvergreenError, ReviewError

SEE_OTHER = 303
CURSORS = ("after", "before")
ROW = "talk-"  # begins the id of a conversation's row
WEEK = timedelta(days=6)  # with today, seven days


@dataclass(frozen=True)
class View:
    """What the list shows; `here` is its own query string, and `week` that of the last seven days."""

    asked: Asked
    found: Page
    chips: list[Chip]
    choices: Choices
    saved: tuple[SavedFilter, ...]
    draws: tuple[Draw, ...]
    here: str
    week: str
    newer_than: str

    @property
    def is_first(self) -> bool:
        """Whether this is the first page."""
        return self.found.previous_cursor is None

    @property
    def newer_query(self) -> str:
        """The query string that asks how many have come since."""
        return filters.query_of(self.asked.filter, ("than", self.newer_than))

    def page_address(self, cursor: str, value: str) -> str:
        """Return the address of another page of the same list."""
        return address(LIST, filters.query_of(self.asked.filter, (cursor, value)))


def conversations(request: Request) -> Response:
    """Show the conversations that fit the filter, the newest first."""
    return list_page(request, request.query_params)


def newer(request: Request) -> Response:
    """Show how many have come since a list was opened: a piece of the page, for its script."""
    hub, asked = hub_of(request), filters.read(request.query_params)
    try:
        number = browsing.count_newer(hub.loop, asked.filter, request.query_params.get("than", ""))
    except FilterError:
        number = 0
    return hub.renderer.page(
        request,
        "conversations_newer.html",
        number=number,
        address=address(LIST, asked.query),
        source=request.url.path + "?" + request.url.query,
    )


def bulk(request: Request) -> Response:
    """Mark or tag the selected conversations."""
    hub, form, user = hub_of(request), form_of(request), user_of(request)
    here = clean(form.get("here"))
    try:
        said = _carry_out(hub, form, user)
    except Incomplete as error:
        return list_page(request, filters.as_params(here), error.what, 422, error.item, form)
    except ReviewError as error:
        return list_page(
            request, filters.as_params(here), f"{error.item} {error.what}; {error.next_step}.", 422, "tag", form
        )
    leave_notice(request, said)
    ids = form.all("id")
    return RedirectResponse(address(LIST, here, f"{ROW}{ids[0]}" if ids[0].isalnum() else ""), SEE_OTHER)


def _carry_out(hub: Hub, form: Form, user: str) -> str:
    ids, what, tag = form.all("id"), form.get("do"), form.get("tag")
    if not ids:
        raise Incomplete(words.NEED_SELECTION, "id", "")
    if what in ("tag", "untag"):
        if not tag:
            raise Incomplete(words.NEED_TAG, "tag", "")
        changed = (browsing.add_tag if what == "tag" else browsing.remove_tag)(hub.loop, ids, tag, user)
        said = words.DONE_TAGGED if what == "tag" else words.DONE_UNTAGGED
        return said.format(count=words.conversations(changed), tag=tag)
    state = read_state(what)
    changed = browsing.set_review(hub.loop, ids, state, user)
    return words.DONE_MARKED.format(count=words.conversations(changed), state=words.STATES[state])


def told(error: EvergreenError) -> str:
    """Return what stands in the way of something, and what helps."""
    return f"{error.item[:1].upper()}{error.item[1:]} {error.what}; {error.next_step}."


def read_state(text: str) -> ReviewMark:
    """Return the review state that a button names; one that there is not is no choice of the page."""
    try:
        return ReviewMark(text)
    except ValueError:
        raise Incomplete(words.NEED_STATE, "do", "") from None


def clean(query: str) -> str:
    """Return a query string that a form has sent back, with what a list knows only."""
    params = filters.as_params(query)
    cursors = [(name, params[name]) for name in CURSORS if params.get(name)]
    return filters.query_of(filters.read(params).filter, *cursors)


def list_page(
    request: Request, params: QueryParams, problem: str = "", code: int = 200, wrong: str = "", form: Form | None = None
) -> Response:
    """Render a list; `problem` is about the field `wrong`, and `form` what the person had typed."""
    hub = hub_of(request)
    asked = filters.read(params)
    if asked.problem and not problem:
        problem, code, wrong = asked.problem, 422, asked.wrong
    return hub.renderer.page(
        request,
        "conversations.html",
        code,
        view=_view(hub, asked, params, user_of(request)),
        problem=problem,
        wrong=wrong,
        form=form or Form(),
        drawn=browsing.DRAWN,
        hidden=filters.hidden,
        in_words=filters.in_words,
        sentence=filters.sentence,
        is_blank=is_blank,
        frustration=hub.loop.settings.signals.frustration,
    )


def _view(hub: Hub, asked: Asked, params: QueryParams, user: str) -> View:
    loop = hub.loop
    cursors = {name: params[name] for name in CURSORS if params.get(name)}
    try:
        found = browsing.find(loop, asked.filter, after=cursors.get("after"), before=cursors.get("before"))
    except FilterError:  # a cursor that is none: the list begins anew
        cursors, found = {}, browsing.find(loop, asked.filter)
    today = loop.now().date()
    return View(
        asked,
        found,
        filters.chips(asked.filter),
        browsing.choices(loop),
        browsing.saved_filters(loop, user),
        browsing.draws(loop, user),
        here=filters.query_of(asked.filter, *cursors.items()),
        week=filters.query_of(browsing.Filter(since=today - WEEK, until=today)),
        newer_than=found.items[0].cursor if found.items and not cursors else "",
    )


ROUTES = (
    page(LIST, conversations),
    page(f"{LIST}/newer", newer),
    action(f"{LIST}/bulk", bulk),
)
