"""The pages and the forms on them; Starlette runs these plain functions in its thread pool."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from hub import decisions, forms, texts, views
from hub.context import Hub, form_of, hub_of, user_of
from hub.details import read_detail
from hub.errors import Conflict, Incomplete
from hub.forms import Form
from hub.guard import LOGIN, safe_next
from hub.rendering import leave_notice
from learning import fitting, reviewing
from learning.errors import ReviewError
from learning.metrics import read_status
from learning.model import Decision, Proposal
from learning.review import MAX_ANSWER

SEE_OTHER = 303


def healthz(request: Request) -> Response:
    """Say that the hub is up."""
    return PlainTextResponse("ok\n")


def stylesheet(request: Request) -> Response:
    """Serve the style sheet."""
    return _static(hub_of(request).renderer.stylesheet, "text/css")


def icon(request: Request) -> Response:
    """Serve the icon."""
    return _static(hub_of(request).renderer.icon, "image/svg+xml")


def login(request: Request) -> Response:
    """Show the login form, and log people in."""
    hub = hub_of(request)
    if request.method != "POST":
        if request.state.user:
            return RedirectResponse("/", SEE_OTHER)
        return _login_form(request, safe_next(request.query_params.get("next", "/")))
    form = form_of(request)
    name, onward = form.get("name").lower(), safe_next(form.get("next"))
    address = request.client.host if request.client else ""
    if not hub.limit.attempt(name, address):
        wait = hub.settings.login_wait
        problem = texts.LOGIN_WAIT.format(minutes=-(-wait // 60))
        response = _login_form(request, onward, name, problem, 429)
        response.headers["Retry-After"] = str(wait)
        return response
    password = form.all("password")[0] if form.all("password") else ""
    if not hub.accounts.verify(name, password):
        return _login_form(request, onward, name, texts.LOGIN_WRONG, 401)
    hub.limit.succeeded(name, address)
    request.session.clear()  # a session that somebody else may have prepared ends here
    request.session["user"] = name
    request.session["stamp"] = hub.accounts.stamp(name)
    return RedirectResponse(onward, SEE_OTHER)


def logout(request: Request) -> Response:
    """End the session."""
    request.session.clear()
    return RedirectResponse(LOGIN, SEE_OTHER)


def inbox(request: Request) -> Response:
    """Show what waits for a decision."""
    hub = hub_of(request)
    minutes = hub.loop.settings.schedule.mine_minutes
    only_mine = request.query_params.get("mine") == "1"
    found = views.read_inbox(hub.loop, user_of(request), only_mine)
    return hub.renderer.page(request, "inbox.html", inbox=found, minutes=minutes)


def proposal(request: Request) -> Response:
    """Show one proposal with its evidence."""
    return _proposal_page(request, _proposal(request))


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
    hub, form, found = hub_of(request), form_of(request), _proposal(request)
    try:
        decision = forms.undoing(found, form, user_of(request), hub.loop.now())
        warning = decisions.undo(hub, decision, form.get("seen"))
    except Conflict as error:
        return _proposal_page(request, hub.loop.store.proposal(found.proposal_id), error.what, 409)
    except ReviewError as error:
        return _proposal_page(request, found, texts.NOT_UNDONE.format(what=error.what, next_step=error.next_step), 409)
    warning = texts.WITHDRAWN_BRANCH_PROBLEM.format(problem=warning) if warning else ""
    leave_notice(request, texts.DONE_UNDONE.format(label=found.label), warning)
    return RedirectResponse(_address(found), SEE_OTHER)


def assign(request: Request) -> Response:
    """Note who is to decide about a proposal: the person who asks, or anybody."""
    hub, found, user = hub_of(request), _proposal(request), user_of(request)
    assignee = user if form_of(request).get("to") == "me" else None
    try:
        reviewing.assign(hub.loop, found.proposal_id, assignee, user)
    except ReviewError:
        return _proposal_page(request, found, texts.DECIDED.format(state=texts.STATES[found.state]), 409)
    leave_notice(request, texts.DONE_ASSIGNED if assignee else texts.DONE_UNASSIGNED)
    return RedirectResponse(_address(found), SEE_OTHER)


def status(request: Request) -> Response:
    """Show where the loop stands."""
    hub = hub_of(request)
    return hub.renderer.page(request, "status.html", status=read_status(hub.loop))


def _decide(request: Request, read: Callable[[Hub, Proposal, Form, datetime], Decision]) -> Response:
    """Read a decision from the form, carry it out, and go on to the inbox; or show again what stands in its way."""
    hub, form, found = hub_of(request), form_of(request), _proposal(request)
    try:
        decisions.check_seen(hub, found, form.get("seen"))
        outcome = decisions.decide(hub, read(hub, found, form, hub.loop.now()), found)
    except Conflict as error:
        present = hub.loop.store.proposal(found.proposal_id)
        return _proposal_page(request, present, error.what, 409)
    except Incomplete as error:
        return _proposal_page(request, found, error.what, 422, form, error.item)
    except ReviewError as error:
        return _proposal_page(request, found, texts.NOT_ACCEPTED.format(what=error.what), 422, form)
    _leave_outcome(request, outcome)
    # What somebody should know of what they typed stands on the page, with the way back beside it.
    return RedirectResponse(_address(found) if outcome.notes else "/", SEE_OTHER)


def _leave_outcome(request: Request, outcome: decisions.Outcome) -> None:
    label = outcome.proposal.label
    undo = None if outcome.notes else (outcome.proposal.proposal_id, outcome.seen)  # else the next page offers it
    if outcome.release is None:
        done = {"rejected": texts.DONE_REJECTED, "deferred": texts.DONE_DEFERRED}[outcome.proposal.state.value]
        leave_notice(request, done.format(label=label), undo=undo)
        return
    said = texts.DONE_LIVE[outcome.proposal.kind].format(
        number=outcome.release.number, label=label, target=outcome.proposal.target
    )
    if outcome.commit:
        branch = hub_of(request).loop.settings.review.branch
        said = f"{said} {texts.DONE_BRANCH.format(branch=branch, commit=outcome.commit[:10])}"
    warning = texts.BRANCH_PROBLEM.format(problem=outcome.warning) if outcome.warning else ""
    leave_notice(request, said, warning, undo)


def _address(found: Proposal) -> str:
    return f"/proposals/{found.proposal_id}"


def _proposal(request: Request) -> Proposal:
    return hub_of(request).loop.store.proposal(request.path_params["proposal_id"])


def _proposal_page(
    request: Request, found: Proposal, problem: str = "", code: int = 200, form: Form | None = None, wrong: str = ""
) -> Response:
    """Render a proposal; `form` is what the person had typed, `wrong` the field that `problem` is about."""
    hub = hub_of(request)
    detail = read_detail(hub.loop, found)
    ticked = set(form.all("keep")) if form and "more" in form.fields else None
    return hub.renderer.page(
        request,
        "proposal.html",
        code,
        detail=detail,
        proposal=found,
        gap=detail.item.gap,
        problem=problem,
        wrong=wrong,
        typed={key: form.get(key) for key in form.fields} if form else {},
        ticked=[ticked is None or str(number) in ticked for number in range(len(found.examples))],
        max_answer=MAX_ANSWER,
        tomorrow=_tomorrow(hub.loop.now()),
    )


def _login_form(request: Request, onward: str, name: str = "", problem: str = "", code: int = 200) -> Response:
    return hub_of(request).renderer.page(request, "login.html", code, onward=onward, name=name, problem=problem)


def _static(body: bytes, content_type: str) -> Response:
    keep = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(body, media_type=content_type, headers=keep)


def _tomorrow(now: datetime) -> str:
    return datetime.fromtimestamp(now.timestamp() + 24 * 60 * 60, timezone.utc).strftime("%Y-%m-%d")
