"""Releases, what is live, and one release with its ways back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub import texts
from hub.context import Hub, form_of, hub_of, user_of
from hub.errors import Conflict
from hub.live import Topic
from hub.releases import decisions as release_decisions
from hub.releases.views import ratio_place, read_release, read_releases
from hub.rendering import leave_notice
from hub.review import decisions
from hub.routing import action, page
from hub.staff.roles import Right
from hub.texts import releases as release_texts
from learning import rollout
from learning.effect_words import DOUBTS, details, told
from learning.errors import ReviewError
from learning.loop import Loop
from learning.model import EVERYBODY, Release, Rollout

SEE_OTHER = 303
MAX_FIND = 200  # characters


def releases(request: Request) -> Response:
    """Show what is live, what was taken back, and what was released."""
    return _page(request)


def release(request: Request) -> Response:
    """Show one release, and what taking it back would do."""
    return _release_page(request)


def withdraw(request: Request) -> Response:
    """Take a published entry back."""
    hub, reason = hub_of(request), form_of(request).reason
    entry_id = request.path_params["entry_id"]
    if not reason:
        return _page(request, texts.NEED_WITHDRAW_REASON, 422, entry_id)
    try:
        label, warning = decisions.withdraw(hub, entry_id, user_of(request), reason)
    except Conflict as error:
        return _page(request, error.what, 409)
    warning = texts.WITHDRAWN_BRANCH_PROBLEM.format(problem=warning) if warning else ""
    leave_notice(request, texts.DONE_WITHDRAWN.format(label=label), warning)
    return RedirectResponse("/releases", SEE_OTHER)


def restore(request: Request) -> Response:
    """Bring back an entry that was taken back."""
    hub, entry_id = hub_of(request), request.path_params["entry_id"]
    try:
        made, warning = release_decisions.restore(hub, entry_id, user_of(request), form_of(request).reason)
    except (Conflict, ReviewError) as error:
        return _page(request, release_decisions.said(error), 409)
    _leave(request, release_texts.DONE_RESTORED.format(number=made.number, label=_label(hub, entry_id)), warning)
    return RedirectResponse("/releases", SEE_OTHER)


def share(request: Request) -> Response:
    """Bring a live entry to another share of the users."""
    hub, form, entry_id = hub_of(request), form_of(request), request.path_params["entry_id"]
    percent = _percent(form.get("share"))
    if not 1 <= percent <= EVERYBODY:
        return _page(request, release_texts.NEED_SHARE, 422, f"share-{entry_id}")
    keep = form.get("keep") == "1"
    try:
        made, warning = release_decisions.set_share(hub, entry_id, percent, user_of(request), form.reason, keep)
    except (Conflict, ReviewError) as error:
        return _page(request, release_decisions.said(error), 409)
    done = release_texts.DONE_SHARE.format(number=made.number, label=_label(hub, entry_id), share=percent)
    _leave(request, done, warning)
    return RedirectResponse("/releases", SEE_OTHER)


def step(request: Request) -> Response:
    """Bring a live entry to the next step of its schedule, before it is due."""
    hub, form, entry_id = hub_of(request), form_of(request), request.path_params["entry_id"]
    percent = _percent(form.get("share"))
    if not 1 <= percent <= EVERYBODY:
        return _page(request, release_texts.NEED_SHARE, 422)
    try:
        made, warning = release_decisions.step(hub, entry_id, percent, user_of(request), form.reason)
    except (Conflict, ReviewError) as error:
        return _page(request, release_decisions.said(error), 409)
    done = release_texts.DONE_SHARE.format(number=made.number, label=_label(hub, entry_id), share=percent)
    _leave(request, done, warning)
    return RedirectResponse("/releases", SEE_OTHER)


def pause(request: Request) -> Response:
    """Let a live entry stay at its share."""
    return _schedule(request, rollout.pause, release_texts.DONE_PAUSED)


def resume(request: Request) -> Response:
    """Let a live entry go on with its schedule."""
    return _schedule(request, rollout.resume, release_texts.DONE_RESUMED)


def _schedule(request: Request, act: Callable[[Loop, str, str, str], Rollout], done: str) -> Response:
    hub, entry_id = hub_of(request), request.path_params["entry_id"]
    try:
        release_decisions.change_schedule(hub, act, entry_id, user_of(request), form_of(request).reason)
    except (Conflict, ReviewError) as error:
        return _page(request, release_decisions.said(error), 409)
    leave_notice(request, done.format(label=_label(hub, entry_id)))
    return RedirectResponse("/releases", SEE_OTHER)


def rollback(request: Request) -> Response:
    """Take one release back."""
    done = release_texts.DONE_ROLLED_BACK
    return _back(request, "rollback", release_decisions.rollback, lambda made, to: done.format(number=made, undone=to))


def roll_back_to(request: Request) -> Response:
    """Take back all that came after a release."""
    done = release_texts.DONE_BACK_TO
    return _back(
        request, "back-to", release_decisions.roll_back_to, lambda made, to: done.format(number=made, target=to)
    )


def finish_publishing(request: Request) -> Response:
    """Publish what got stuck, and bring the branch up to date."""
    made = decisions.finish_publishing(hub_of(request))
    leave_notice(request, texts.DONE_PUBLISHED.format(releases=texts.count_releases(len(made)).capitalize()))
    return RedirectResponse("/releases", SEE_OTHER)


def _back(
    request: Request,
    name: str,
    act: Callable[[Hub, int, str, str, str], tuple[Release, str]],
    done: Callable[[int, int], str],
) -> Response:
    hub, form, number = hub_of(request), form_of(request), request.path_params["number"]
    if not form.reason:
        return _release_page(request, texts.NEED_WITHDRAW_REASON, 422, name)
    try:
        made, warning = act(hub, number, user_of(request), form.reason, form.get("seen"))
    except (Conflict, ReviewError) as error:
        return _release_page(request, release_decisions.said(error), 409)
    _leave(request, done(made.number, number), warning)
    return RedirectResponse("/releases", SEE_OTHER)


def _leave(request: Request, done: str, warning: str) -> None:
    leave_notice(request, done, release_texts.BRANCH_PROBLEM.format(problem=warning) if warning else "")


def _label(hub: Hub, entry_id: str) -> str:
    return next((entry.label for entry in hub.loop.store.entries() if entry.entry_id.startswith(entry_id)), entry_id)


def _percent(typed: str) -> int:
    """Return the share that was typed, 0 where it is none."""
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= 3 else 0


def _page(request: Request, problem: str = "", code: int = 200, wrong: str = "") -> Response:
    hub = hub_of(request)
    find = request.query_params.get("find", "")[:MAX_FIND].strip()
    return hub.renderer.page(
        request,
        "releases.html",
        code,
        releases=read_releases(hub.loop, find, _number(request.query_params.get("before", ""))),
        find=find,
        is_newest="before" not in request.query_params,
        branch=hub.loop.settings.review.branch,
        problem=problem,
        wrong=wrong,
    )


def _release_page(request: Request, problem: str = "", code: int = 200, wrong: str = "") -> Response:
    hub = hub_of(request)
    detail = read_release(hub.loop, request.path_params["number"])
    words: dict[str, Any] = {"told": told, "details": details, "doubts": DOUBTS, "place": ratio_place}
    return hub.renderer.page(request, "release.html", code, detail=detail, problem=problem, wrong=wrong, **words)


def _mark(hub: Hub) -> str:
    """Return what changes with every release."""
    return str(hub.loop.store.overlay_version())


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


ROUTES = (
    page("/releases", releases),
    action("/releases/publish", finish_publishing),
    page("/releases/{number:serial}", release),
    action("/releases/{number:serial}/rollback", rollback),
    action("/releases/{number:serial}/back-to", roll_back_to),
    action("/entries/{entry_id}/withdraw", withdraw),
    action("/entries/{entry_id}/restore", restore),
    action("/entries/{entry_id}/share", share),
    action("/entries/{entry_id}/step", step),
    action("/entries/{entry_id}/pause", pause),
    action("/entries/{entry_id}/resume", resume),
)
TOPICS = (Topic("releases", _mark, Right.LOOK),)
