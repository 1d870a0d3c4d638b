"""The page of one proposal, as every form on it may have to show it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from starlette.requests import Request
from starlette.responses import Response

from hub.context import Hub, hub_of, user_of
from hub.forms import Form
from hub.review.details import read_detail
from hub.review.forms import EVERY
from hub.staff.roles import RIGHTS, Right
from learning.model import Proposal, Replay
from learning.review import MAX_ANSWER

DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Trial:
    """What a changed version would do, and the suggestion as things are now; or why nobody knows."""

    replay: Replay | None = None
    suggested: Replay | None = None
    problem: str = ""


def found_proposal(request: Request) -> Proposal:
    """Return the proposal that the address names.

    Raises:
        NotFound: there is none.

    """
    return hub_of(request).loop.store.proposal(request.path_params["proposal_id"])


def address(found: Proposal) -> str:
    """Return the address of a proposal's page."""
    return f"/proposals/{found.proposal_id}"


def show_proposal(
    request: Request,
    found: Proposal,
    problem: str = "",
    code: int = 200,
    form: Form | None = None,
    wrong: str = "",
    trial: Trial | None = None,
) -> Response:
    """Render a proposal.

    Args:
        request: what is answered.
        found: the proposal.
        problem: what stands in the way of what was asked for.
        code: the status.
        form: what the person had typed.
        wrong: the field that `problem` is about.
        trial: what the version in `form` would do.

    """
    hub, user = hub_of(request), user_of(request)
    detail = read_detail(hub.loop, found)
    ticked = set(form.all("keep")) if form and "more" in form.fields else {EVERY}
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
        ticked=[EVERY in ticked or str(number) in ticked for number in range(len(found.examples))],
        max_answer=MAX_ANSWER,
        tomorrow=tomorrow(hub.loop.now()),
        trial=trial,
        sandbox=hub.sandboxes.view(user, found.proposal_id),
        sandbox_available=hub.sandboxes.is_available,
        reviewers=reviewers(hub, user),
    )


def reviewers(hub: Hub, user: str) -> list[str]:
    """Return the names of all accounts that may decide, the person's own first."""
    able = {one.name for one in hub.accounts.all() if Right.REVIEW in RIGHTS[one.role] and not one.is_disabled}
    return sorted({*able, user}, key=lambda name: (name != user, name))


def tomorrow(now: datetime) -> str:
    """Return the date after today (UTC)."""
    return datetime.fromtimestamp(now.timestamp() + DAY, timezone.utc).strftime("%Y-%m-%d")
