"""Second readings: what a colleague decided is read again, without a word about the verdict."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub import texts
from hub.context import form_of, hub_of, user_of
from hub.errors import Incomplete
from hub.rendering import leave_notice
from hub.review import forms, views
from hub.review.details import read_blind
from hub.routing import action, page
from hub.staff.roles import Right
from learning import second_reading
from learning.errors import ReviewError
from learning.model import Proposal

SEE_OTHER = 303


def waiting(request: Request) -> Response:
    """List what waits for this person as a second reader."""
    return _list_page(request)


def proposal(request: Request) -> Response:
    """Show one proposal as the first reader met it."""
    found = _drawn(request)
    return _page(request, found) if found else _list_page(request, texts.NOT_FOR_YOU, 404)


def read(request: Request) -> Response:
    """Record what the second reader would have decided; nothing that is live changes."""
    hub, form, found = hub_of(request), form_of(request), _drawn(request)
    if found is None:
        return _list_page(request, texts.NOT_FOR_YOU, 409)
    try:
        action, reason = forms.verdict(form)
        second_reading.read(hub.loop, found.proposal_id, action, user_of(request), hub.loop.now(), reason)
    except Incomplete as error:
        typed = {key: form.get(key) for key in form.fields}
        return _page(request, found, error.what, 422, typed, error.item)
    except ReviewError:  # its first verdict was undone in between
        return _list_page(request, texts.NOT_FOR_YOU, 409)
    leave_notice(request, texts.DONE_READ)
    return RedirectResponse("/second", SEE_OTHER)


def _drawn(request: Request) -> Proposal | None:
    """Return the proposal if this person may read it a second time."""
    prefix = request.path_params["proposal_id"]
    found = second_reading.waiting_for(hub_of(request).loop, user_of(request))
    return next((item for item in found if item.proposal_id == prefix), None)


def _list_page(request: Request, problem: str = "", code: int = 200) -> Response:
    hub = hub_of(request)
    return hub.renderer.page(
        request,
        "second_list.html",
        code,
        items=views.read_second(hub.loop, user_of(request)),
        is_on=hub.loop.settings.review.second_reader_share > 0,
        problem=problem,
    )


def _page(
    request: Request,
    found: Proposal,
    problem: str = "",
    code: int = 200,
    typed: dict[str, str] | None = None,
    wrong: str = "",
) -> Response:
    """Render a proposal without its verdict; `typed` is what the person had put in."""
    hub = hub_of(request)
    detail = read_blind(hub.loop, found)
    return hub.renderer.page(
        request,
        "second.html",
        code,
        detail=detail,
        proposal=detail.item.proposal,
        gap=detail.item.gap,
        problem=problem,
        typed=typed or {},
        wrong=wrong,
    )


ROUTES = (
    page("/second", waiting, Right.REVIEW),
    page("/second/{proposal_id}", proposal, Right.REVIEW),
    action("/second/{proposal_id}/read", read),
)
