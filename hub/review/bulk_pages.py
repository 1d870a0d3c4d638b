"""Decisions made in the inbox: about one proposal by a single key, or about all that are ticked, with one undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub import texts
from hub.context import Hub, form_of, hub_of, user_of
from hub.errors import Conflict, Incomplete
from hub.forms import Form
from hub.rendering import leave_notice
from hub.review import decisions, forms, views
from hub.review.proposal_page import tomorrow
from hub.routing import action
from hub.status_pages import count_open
from learning import bulk
from learning.errors import NotFound, ReviewError
from learning.model import Action, Decision, Proposal
from learning.review import content_mark

SEE_OTHER = 303
BULK = "bulk"  # stands for a proposal's id where all decisions of a batch are taken back
NAMED = 5  # of those that could not be decided
DAYS = {"week": 7, "month": 30}
Decide = Callable[[Proposal], Decision]


def show_inbox(request: Request, problem: str = "", code: int = 200, form: Form | None = None) -> Response:
    """Render the inbox; `form` is what was sent and could not be done."""
    hub = hub_of(request)
    only_mine = request.query_params.get("mine") == "1"
    return hub.renderer.page(
        request,
        "inbox.html",
        code,
        inbox=views.read_inbox(hub.loop, user_of(request), only_mine),
        minutes=hub.loop.settings.schedule.mine_minutes,
        problem=problem,
        ticked=set(form.all("chosen")) if form else set(),
        typed={key: form.get(key) for key in form.fields} if form else {},
        tomorrow=tomorrow(hub.loop.now()),
        alerts=count_open(hub.loop),
    )


def decide(request: Request) -> Response:
    """Carry out one decision about everything that is ticked; what fails does not stop the others."""
    hub, form = hub_of(request), form_of(request)
    tickets = tuple(dict.fromkeys(form.all("chosen")))
    try:
        if not tickets:
            raise Incomplete(texts.review.NEED_TICK, "chosen", "")
        wanted = _wanted(form)
        make = _maker(hub, form, wanted, user_of(request), hub.loop.now())
        found, stale = _found(hub, tickets)
        if len(tickets) == 1:
            return _decide_one(request, hub, make, found)
    except Incomplete as error:
        return show_inbox(request, error.what, 422, form)
    except Conflict as error:
        return show_inbox(request, error.what, 409, form)
    except ReviewError as error:
        return show_inbox(request, texts.NOT_ACCEPTED.format(what=error.what), 422, form)
    batch, done = bulk.decide_all(hub.loop, found, make)
    return _tell(request, hub, wanted, batch, [*done, *stale])


def undo(request: Request) -> Response:
    """Take every decision of a batch back that still counts."""
    hub, batch = hub_of(request), form_of(request).get("seen")
    try:
        done = bulk.undo_all(hub.loop, batch, user_of(request))
    except NotFound:
        return show_inbox(request, texts.review.UNDONE_BEFORE, 409)
    warning = decisions.write_branch(hub)[1]
    left = [one for one in done if one.problem]
    said = texts.review.UNDONE_ALL.format(count=texts.proposals(len(done)))
    if left:
        said = texts.review.UNDONE_PART.format(done=len(done) - len(left), all=len(done), problems=_problems(left))
    leave_notice(request, said, texts.WITHDRAWN_BRANCH_PROBLEM.format(problem=warning) if warning else "")
    return RedirectResponse(_inbox(request), SEE_OTHER)


def _inbox(request: Request) -> str:
    """Return the address of the inbox as the person has it before them."""
    return "/?mine=1" if request.query_params.get("mine") == "1" else "/"


def _wanted(form: Form) -> Action:
    try:
        wanted = Action(form.get("do"))
    except ValueError:
        raise Incomplete(texts.review.NEED_ACTION, "do", "") from None
    if wanted not in (Action.APPROVE, Action.REJECT, Action.DEFER):
        raise Incomplete(texts.review.NEED_ACTION, "do", "")
    return wanted


def _maker(hub: Hub, form: Form, wanted: Action, who: str, at: datetime) -> Decide:
    """Return what makes the decision about each proposal.

    Raises:
        Incomplete: the reason, or the time to wait, is missing.

    """
    if wanted is Action.REJECT:
        reason = form.reason or forms.quick_reason(form)
        if not reason:
            raise Incomplete(texts.NEED_REASON, "reason", "")
        return lambda found: Decision(
            found.proposal_id, Action.REJECT, who, at, reason=reason, seen=content_mark(found)
        )
    if wanted is Action.APPROVE:
        return lambda found: Decision(found.proposal_id, Action.APPROVE, who, at, seen=content_mark(found))
    until = _until(form, at)

    def put_off(found: Proposal) -> Decision:
        turns = 0 if until else hub.loop.store.gap(found.gap_id).turns
        return Decision(
            found.proposal_id,
            Action.DEFER,
            who,
            at,
            defer_until=until,
            # What nobody has asked for cannot double: it is refused, as it would be on its own page.
            defer_turns=2 * turns if turns else None,
            seen=content_mark(found),
        )

    return put_off


def _until(form: Form, at: datetime) -> datetime | None:
    """Return when what is put off waits again, None for when twice as many messages ask for it."""
    chosen = form.get("until")
    if chosen == "doubled":
        return None
    if chosen in DAYS:
        return at + timedelta(days=DAYS[chosen])
    return forms.later_day(form, at)


def _found(hub: Hub, tickets: Sequence[str]) -> tuple[list[Proposal], list[bulk.Done]]:
    """Return the ticked proposals that are as they were seen, and the others with what is said of them.

    Raises:
        Conflict: there is only one, and it is not as it was seen.

    """
    found: list[Proposal] = []
    stale: list[bulk.Done] = []
    for ticket in tickets:
        proposal_id, _, seen = ticket.partition(".")
        try:
            present = hub.loop.store.proposal(proposal_id)
            decisions.check_seen(hub, present, seen)
            found.append(present)
        except NotFound as error:
            stale.append(bulk.Done(proposal_id, proposal_id, problem=error.what))
        except Conflict:
            if len(tickets) == 1:
                raise
            stale.append(bulk.Done(proposal_id, present.label, problem=texts.review.STALE))
    return found, stale


def _decide_one(request: Request, hub: Hub, make: Decide, found: Sequence[Proposal]) -> Response:
    """Decide about one proposal as on its own page; its notes are told at once, since nobody goes there."""
    if not found:
        raise Conflict(texts.review.STALE, "", "")
    outcome = decisions.decide(hub, make(found[0]), found[0])
    decisions.leave_outcome(request, outcome, stays=False)
    return RedirectResponse(_inbox(request), SEE_OTHER)


def _tell(request: Request, hub: Hub, wanted: Action, batch: str, done: Sequence[bulk.Done]) -> Response:
    """Write the branch once, and say what became of each."""
    left = [one for one in done if one.problem]
    made = len(done) - len(left)
    problem = decisions.write_branch(hub)[1] if wanted is Action.APPROVE and made else ""
    words = {"all": len(done), "done": made}
    if not made:
        told = texts.review.NONE_DONE.format(**words, what=texts.review.DID[wanted.value])
    elif left:
        told = texts.review.PART_DONE.format(**words, what=texts.review.DID[wanted.value])
    else:
        told = texts.review.ALL_DONE.format(**words, what=texts.review.CAP_DID[wanted.value])
    warnings = [texts.review.NOT_DONE.format(problems=_problems(left))] if left else []
    warnings += [texts.BRANCH_PROBLEM.format(problem=problem)] if problem else []
    leave_notice(request, told, " ".join(warnings), (BULK, batch) if made else None)
    return RedirectResponse(_inbox(request), SEE_OTHER)


def _problems(left: Sequence[bulk.Done]) -> str:
    """Name the first few; a notice travels in a cookie, which holds no more."""
    said = [f"{one.label} ({(one.problem or '').partition(';')[0]})" for one in left[:NAMED]]
    more = [texts.review.AND_MORE.format(count=len(left) - NAMED)] if len(left) > NAMED else []
    return "; ".join([*said, *more])


ROUTES = (
    action("/proposals/decide", decide),
    action("/proposals/bulk/undo", undo),
)
