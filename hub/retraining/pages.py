"""Trainings and models: start one, watch it, compare, deploy, and go back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.context import Hub, form_of, hub_of, user_of
from hub.live import Topic
from hub.rendering import leave_notice
from hub.retraining.views import compared_with, job_state, read_comparison, read_retraining, rule_state
from hub.routing import action, may, page
from hub.staff.roles import Right
from hub.texts import retraining as retraining_texts
from learning.errors import StoreError
from learning.jobs import ask, cancel, view, worker_is_there
from learning.model import Job, JobKind

SEE_OTHER = 303
DATABASE = "learning database"  # begins the item of what failed there; other store errors say that somebody was first
HOME = "/retraining"
START, BACK = "start", "back"  # the forms that may be wrong
STATES: Mapping[str, Any] = {"state_of": job_state, "rule_state": rule_state}  # what templates mark things by


def retraining(request: Request) -> Response:
    """Show what is at work, what runs, and what was compared."""
    return _page(request)


def training(request: Request) -> Response:
    """Show one job with what came of it."""
    return _job_page(request)


def start(request: Request) -> Response:
    """Ask for a training."""
    form = form_of(request)
    return _ask(request, JobKind.RETRAIN, {"deploy": form.get("deploy") == "1"})


def mine(request: Request) -> Response:
    """Ask for new conversations to be read now."""
    return _ask(request, JobKind.MINE, {}, retraining_texts.MINE_ASKED)


def back(request: Request) -> Response:
    """Ask for a former model to run again."""
    form = form_of(request)
    if not form.reason:
        return _page(request, retraining_texts.NEED_REASON, 422, f"{BACK}-{form.get('model')}")
    return _ask(request, JobKind.MODEL_BACK, {"model": form.get("model")})


def deploy(request: Request) -> Response:
    """Ask for a model that a training has left to go live; against the comparison only an admin may, with a reason."""
    hub, form, number = hub_of(request), form_of(request), request.path_params["number"]
    found = read_comparison(hub.loop, hub.loop.store.job(number))
    if found is None or found.candidate is None or not found.candidate.may_go_live:
        return _job_page(request, retraining_texts.CANDIDATE_LATE, 409)
    if found.candidate.is_against_gate:
        if not may(request, Right.MANAGE):
            return hub.renderer.error(request, 403, is_role=True)
        if not form.reason:
            return _job_page(request, retraining_texts.NEED_REASON, 422, "deploy")
    return _ask(request, JobKind.DEPLOY, {"job": number})


def stop(request: Request) -> Response:
    """Cancel a job."""
    hub, number = hub_of(request), request.path_params["number"]
    try:
        job = cancel(hub.loop, number, user_of(request), form_of(request).reason)
    except StoreError as error:
        return _page(request, _said(error), 409)
    text = retraining_texts.CANCELLED if job.finished else retraining_texts.STOPS
    leave_notice(request, text.format(kind=retraining_texts.KINDS[job.kind], number=number))
    return RedirectResponse(HOME, SEE_OTHER)


def _ask(request: Request, kind: JobKind, asked: Mapping[str, Any], done: str = retraining_texts.ASKED) -> Response:
    hub = hub_of(request)
    try:
        job = ask(hub.loop, kind, user_of(request), form_of(request).reason, asked)
    except StoreError as error:
        return _page(request, _said(error), 409)
    warning = "" if worker_is_there(hub.loop, (kind,)) else retraining_texts.NO_WORKER
    leave_notice(request, done.format(kind=retraining_texts.KINDS[job.kind], number=job.number), warning)
    return RedirectResponse(HOME, SEE_OTHER)


def _said(error: StoreError) -> str:
    """Return what to tell somebody who was not the first; raise what is a broken database."""
    if error.item.startswith(DATABASE):
        raise error
    return retraining_texts.NOT_DONE.format(what=f"{error.item} {error.what}", next_step=error.next_step)


def _page(request: Request, problem: str = "", code: int = 200, wrong: str = "") -> Response:
    hub = hub_of(request)
    found = read_retraining(hub.loop)
    content: dict[str, Any] = {"found": found, "problem": problem, "wrong": wrong, **STATES}
    return hub.renderer.page(request, "retraining_page.html", code, **content, compared_with=compared_with)


def _job_page(request: Request, problem: str = "", code: int = 200, wrong: str = "") -> Response:
    hub = hub_of(request)
    job: Job = hub.loop.store.job(request.path_params["number"])
    return hub.renderer.page(
        request,
        "retraining_job.html",
        code,
        seen=view(hub.loop, job),
        comparison=read_comparison(hub.loop, job),
        problem=problem,
        wrong=wrong,
        **STATES,
    )


def _mark(hub: Hub) -> str:
    """Return what changes whenever a job, a worker or a model does."""
    store = hub.loop.store
    return f"{store.jobs_mark()} {worker_is_there(hub.loop)} {store.running_model()}"


ROUTES = (
    page(HOME, retraining),
    action("/retraining/start", start, Right.RETRAIN),
    action("/retraining/back", back, Right.RETRAIN),
    page("/retraining/{number:serial}", training),
    action("/retraining/{number:serial}/deploy", deploy, Right.RETRAIN),
    action("/jobs/{number:serial}/cancel", stop, Right.RETRAIN),
    action("/jobs/mine", mine),
)
TOPICS = (Topic("jobs", _mark, Right.LOOK),)
