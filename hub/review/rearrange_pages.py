"""Rearranging: split a gap, merge two, move an example; what was chosen stays when it cannot be done."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub import texts
from hub.context import Hub, form_of, hub_of, user_of
from hub.errors import Conflict, Incomplete
from hub.forms import Form
from hub.rendering import leave_notice
from hub.review import decisions
from hub.review.forms import fingerprint
from hub.review.proposal_page import address, found_proposal
from hub.review.rearranging import can_rearrange, read_rearranging
from hub.review.views import Item
from hub.routing import action, page
from hub.staff.roles import Right
from learning import pipeline
from learning.errors import EvergreenError
from learning.model import Proposal

SEE_OTHER = 303
MAX_SEARCH = 100  # characters


def rearrange(request: Request) -> Response:
    """Show what can be done with what belongs to a proposal, or does not."""
    return _show(request, found_proposal(request))


def split(request: Request) -> Response:
    """Put messages into a gap of their own."""

    def carry_out(hub: Hub, found: Proposal, form: Form, who: str) -> Proposal:
        said = () if form.get("how") == "auto" else form.all("text")
        if not said and form.get("how") != "auto":
            raise Incomplete(texts.review.SPLIT_NEED, "text", "")
        stays, leaves = pipeline.split(hub.loop, found.proposal_id, said, who, hub.loop.now())
        if leaves is None:
            leave_notice(request, texts.review.DONE_SPLIT_SMALL)
        else:
            name = hub.loop.store.gap(leaves.gap_id).name
            leave_notice(request, texts.review.DONE_SPLIT.format(count=texts.messages(leaves.turns), name=name))
        return stays

    return _do(request, carry_out)


def merge(request: Request) -> Response:
    """Take the messages of another proposal into this one."""

    def carry_out(hub: Hub, found: Proposal, form: Form, who: str) -> Proposal:
        other_id, _, seen = form.get("other").partition(".")
        if not other_id:
            raise Incomplete(texts.review.MERGE_NEED, "other", "")
        other = hub.loop.store.proposal(other_id)
        decisions.check_seen(hub, other, seen)
        kept = pipeline.merge(hub.loop, [found.proposal_id, other.proposal_id], who, hub.loop.now())
        leave_notice(request, texts.review.DONE_MERGED.format(count=texts.messages(kept.turns)))
        return kept

    return _do(request, carry_out)


def move(request: Request) -> Response:
    """Take an example to the intent that it belongs to."""

    def carry_out(hub: Hub, found: Proposal, form: Form, who: str) -> Proposal:
        example, label = form.get("example"), form.get("to")
        if not example or not label:
            raise Incomplete(texts.review.MOVE_NEED, "to" if example else "example", "")
        has_it = pipeline.move_example(hub.loop, found.proposal_id, example, label, who, hub.loop.now())
        leave_notice(request, texts.review.DONE_MOVED.format(label=label))
        left = hub.loop.store.proposal(found.proposal_id)
        return left if can_rearrange(left) else has_it  # its last example has gone: what has it now is shown

    return _do(request, carry_out)


def _do(request: Request, carry_out: Callable[[Hub, Proposal, Form, str], Proposal]) -> Response:
    hub, form, found = hub_of(request), form_of(request), found_proposal(request)
    try:
        decisions.check_seen(hub, found, form.get("seen"))
        shown = carry_out(hub, found, form, user_of(request))
    except Conflict as error:
        return _show(request, hub.loop.store.proposal(found.proposal_id), error.what, 409, form)
    except Incomplete as error:
        return _show(request, found, error.what, 422, form, error.item)
    except EvergreenError as error:
        present = hub.loop.store.proposal(found.proposal_id)
        return _show(request, present, f"{error.item} {error.what}; {error.next_step}.", 422, form)
    return RedirectResponse(address(shown), SEE_OTHER)


def _show(
    request: Request, found: Proposal, problem: str = "", code: int = 200, form: Form | None = None, wrong: str = ""
) -> Response:
    hub = hub_of(request)
    search = (form.get("q") if form else request.query_params.get("q", ""))[:MAX_SEARCH]
    is_possible = can_rearrange(found)
    return hub.renderer.page(
        request,
        "review_rearrange.html",
        code,
        proposal=found,
        item=Item(found, hub.loop.store.gap(found.gap_id)),
        offer=read_rearranging(hub.loop, found, search) if is_possible else None,
        seen=fingerprint(found),
        search=search,
        problem=problem,
        wrong=wrong,
        chosen=set(form.all("text")) if form else set(),
        typed={key: form.get(key) for key in form.fields} if form else {},
    )


ROUTES = (
    page("/proposals/{proposal_id}/rearrange", rearrange, Right.REVIEW),
    action("/proposals/{proposal_id}/split", split),
    action("/proposals/{proposal_id}/merge", merge),
    action("/proposals/{proposal_id}/move", move),
)
