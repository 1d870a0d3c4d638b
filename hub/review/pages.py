"""The inbox, one gap, one proposal, and the decisions made there; Starlette runs these functions in its thread pool."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub import texts
from hub.context import Hub, form_of, hub_of, user_of
from hub.errors import Conflict, Incomplete
from hub.forms import Form
from hub.live import Topic
from hub.rendering import leave_notice
from hub.review import bulk_pages, decisions, forms, rearrange_pages, trial_pages
from hub.review.bulk_pages import show_inbox
from hub.review.details import proposal_of, read_gap
from hub.review.proposal_page import address, found_proposal, reviewers, show_proposal
from hub.routing import action, page
from hub.staff.roles import Right
from learning import fitting, reviewing
from learning.errors import NotFound, ReviewError
from learning.model import Decision, Proposal

SEE_OTHER = 303


def inbox(request: Request) -> Response:
    """Show what waits for a decision."""
    return show_inbox(request)


def gap(request: Request) -> Response:
    """Show one gap: with the proposal for it that waits, or the newest one, or by itself."""
    hub, gap_id = hub_of(request), request.path_params["gap_id"]
    found = hub.loop.store.gaps().get(gap_id)
    if found is None:
        raise NotFound("is no gap", f"id {gap_id!r}", "take one from the inbox")
    made = proposal_of(hub.loop, found)
    if made is not None:
        return show_proposal(request, made)
    return hub.renderer.page(request, "gap_alone.html", detail=read_gap(hub.loop, found), gap=found)


def proposal(request: Request) -> Response:
    """Show one proposal with its evidence."""
    return show_proposal(request, found_proposal(request))


def approve(request: Request) -> Response:
    """Approve a proposal, as it is or as the person changed it."""

    def read(hub: Hub, found: Proposal, form: Form, at: datetime) -> Decision:
        answered = fitting.read_labels(hub.loop).known
        return forms.approval(found, form, user_of(request), at, answered)

    return _decide(request, read)


def reject(request: Request) -> Response:
    """Reject a proposal."""
    return _decide(request, lambda hub, found, form, at: forms.rejection(found, form, user_of(request), at))


def defer(request: Request) -> Response:
    """Put a proposal off."""

    def read(hub: Hub, found: Proposal, form: Form, at: datetime) -> Decision:
        turns = hub.loop.store.gap(found.gap_id).turns
        return forms.deferral(found, form, turns, user_of(request), at)

    return _decide(request, read)


def undo(request: Request) -> Response:
    """Take the last decision about a proposal back; it waits again as it was suggested."""
    hub, form, found = hub_of(request), form_of(request), found_proposal(request)
    try:
        decision = forms.undoing(found, form, user_of(request), hub.loop.now())
        warning = decisions.undo(hub, decision, form.get("seen"))
    except Conflict as error:
        return show_proposal(request, hub.loop.store.proposal(found.proposal_id), error.what, 409)
    except ReviewError as error:
        return show_proposal(request, found, texts.NOT_UNDONE.format(what=error.what, next_step=error.next_step), 409)
    warning = texts.WITHDRAWN_BRANCH_PROBLEM.format(problem=warning) if warning else ""
    leave_notice(request, texts.DONE_UNDONE.format(label=found.label), warning)
    return RedirectResponse(address(found), SEE_OTHER)


def assign(request: Request) -> Response:
    """Note who is to decide about a proposal: somebody with an account that may, or anybody."""
    hub, found, user = hub_of(request), found_proposal(request), user_of(request)
    assignee = form_of(request).get("to")
    if assignee and assignee not in reviewers(hub, user):
        return show_proposal(request, found, texts.review.NOT_A_REVIEWER.format(who=assignee), 422, wrong="to")
    try:
        reviewing.assign(hub.loop, found.proposal_id, assignee or None, user)
    except ReviewError:
        return show_proposal(request, found, texts.DECIDED.format(state=texts.STATES[found.state]), 409)
    said = texts.review.DONE_ASSIGNED_TO.format(who=assignee) if assignee else texts.DONE_UNASSIGNED
    leave_notice(request, texts.DONE_ASSIGNED if assignee == user else said)
    return RedirectResponse(address(found), SEE_OTHER)


def _decide(request: Request, read: Callable[[Hub, Proposal, Form, datetime], Decision]) -> Response:
    """Read a decision from the form, carry it out, and go on to the inbox; or show again what stands in its way."""
    hub, form, found = hub_of(request), form_of(request), found_proposal(request)
    try:
        decisions.check_seen(hub, found, form.get("seen"))
        outcome = decisions.decide(hub, read(hub, found, form, hub.loop.now()), found)
    except Conflict as error:
        present = hub.loop.store.proposal(found.proposal_id)
        return show_proposal(request, present, error.what, 409, forms.without_ticks(form))
    except Incomplete as error:
        return show_proposal(request, found, error.what, 422, form, error.item)
    except ReviewError as error:
        return show_proposal(request, found, texts.NOT_ACCEPTED.format(what=error.what), 422, form)
    decisions.leave_outcome(request, outcome)
    # What somebody should know of what they typed stands on the page, with the way back beside it.
    return RedirectResponse(address(found) if outcome.notes else "/", SEE_OTHER)


def _gaps_mark(hub: Hub) -> str:
    """Return what changes with every decision, proposal and reading of conversations."""
    store = hub.loop.store
    mined = store.last_run("mine")
    return f"{store.audit_end()[0]}.{mined['number'] if mined else 0}"


TOPICS = (
    Topic("gaps", _gaps_mark, Right.LOOK),
    Topic("sandbox", lambda hub: hub.sandboxes.mark(), Right.REVIEW),
)
ROUTES = (
    page("/", inbox),
    page("/gaps/{gap_id}", gap),
    page("/proposals/{proposal_id}", proposal),
    *bulk_pages.ROUTES,  # before those of one proposal: no proposal has the id `bulk`
    action("/proposals/{proposal_id}/approve", approve),
    action("/proposals/{proposal_id}/reject", reject),
    action("/proposals/{proposal_id}/defer", defer),
    action("/proposals/{proposal_id}/undo", undo),
    action("/proposals/{proposal_id}/assign", assign),
    *trial_pages.ROUTES,
    *rearrange_pages.ROUTES,
)
