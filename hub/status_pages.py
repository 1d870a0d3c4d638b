"""Where the loop stands: what is wrong, what runs when, how the running model does, and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.context import Hub, form_of, hub_of, user_of
from hub.errors import Incomplete
from hub.live import Topic
from hub.rendering import leave_notice
from hub.retraining.views import compared_with
from hub.routing import StaffRoute, action, page
from hub.staff.roles import Right
from hub.texts import status as texts
from learning import alerts, scheduling
from learning.alert_records import Alert
from learning.errors import EvergreenError, NotFound, ReviewError, StoreError
from learning.exams import EvaluationRow
from learning.loop import Loop
from learning.scheduling import Schedule
from learning.status import Status, read_status

SEE_OTHER = 303
HOME = "/status"
SNOOZES = (1, 7, 30)  # days
EVALUATIONS = 3


@dataclass(frozen=True)
class View:
    """Everything that the page shows; `quiet` are alerts that nobody wants to be told of for now."""

    status: Status
    alerts: tuple[Alert, ...]
    quiet: tuple[Alert, ...]
    schedule: Schedule
    evaluations: tuple[EvaluationRow, ...]


def status(request: Request) -> Response:
    """Show where the loop stands."""
    return _page(request)


def snooze(request: Request) -> Response:
    """Let nobody be told of an alert for some days."""
    return _about_alert(request, is_closing=False)


def close(request: Request) -> Response:
    """Close an alert."""
    return _about_alert(request, is_closing=True)


def pause(request: Request) -> Response:
    """Let a job not run by itself."""
    loop, form = hub_of(request).loop, form_of(request)
    kind = scheduling.kind_named(request.path_params["name"])
    scheduling.pause(loop, kind, user_of(request), form.reason)
    return _done(request, texts.DONE_PAUSED.format(job=texts.name_of(kind)), "schedule")


def resume(request: Request) -> Response:
    """Let a job run by itself again."""
    kind = scheduling.kind_named(request.path_params["name"])
    scheduling.resume(hub_of(request).loop, kind, user_of(request))
    return _done(request, texts.DONE_RESUMED.format(job=texts.name_of(kind)), "schedule")


def run_now(request: Request) -> Response:
    """Put a job into the queue at once."""
    loop = hub_of(request).loop
    kind = scheduling.kind_named(request.path_params["name"])
    try:
        scheduling.run_now(loop, kind, user_of(request))
    except StoreError as error:
        if not error.item.startswith("job"):  # the database itself
            raise
        return _page(request, texts.ASKED_ALREADY.format(job=texts.name_of(kind)), 409)
    return _done(request, texts.DONE_ASKED.format(job=texts.name_of(kind)), "schedule")


def count_open(loop: Loop) -> int:
    """Return how many alerts are open that somebody should look at now."""
    now = loop.now()
    return sum(not alert.is_snoozed(now) for alert in alerts.open_alerts(loop))


def _about_alert(request: Request, is_closing: bool) -> Response:
    hub, form, user = hub_of(request), form_of(request), user_of(request)
    try:
        alert = _open_alert(hub.loop, request.path_params["alert_id"])
        if is_closing:
            if not form.reason:
                raise Incomplete(texts.NEED_REASON, "reason", "")
            alerts.close(hub.loop, alert.alert_id, user, form.reason)
            return _done(request, texts.DONE_CLOSED.format(title=alert.title))
        days = _days(form.get("days"))
        alerts.snooze(hub.loop, alert.alert_id, hub.loop.now() + timedelta(days=days), user, form.reason)
        return _done(request, texts.DONE_SNOOZED.format(title=alert.title, days=texts.days(days)))
    except Incomplete as error:
        return _page(request, error.what, 422)
    except NotFound:
        raise
    except ReviewError as error:  # somebody was first
        return _page(request, _told(error), 409)


def _open_alert(loop: Loop, alert_id: str) -> Alert:
    """Return an open alert as people are told of it; the store knows those that are closed."""
    found = next((one for one in alerts.open_alerts(loop) if one.alert_id == alert_id), None)
    return found or loop.store.alert(alert_id)


def _days(text: str) -> int:
    if text not in {str(days) for days in SNOOZES}:
        raise Incomplete(texts.NEED_DAYS, "days", "")
    return int(text)


def _done(request: Request, text: str, place: str = "alerts") -> Response:
    leave_notice(request, text)
    return RedirectResponse(f"{HOME}#{place}", SEE_OTHER)


def _told(error: EvergreenError) -> str:
    return f"{error.item[:1].upper()}{error.item[1:]} {error.what}."


def _page(request: Request, problem: str = "", code: int = 200) -> Response:
    hub = hub_of(request)
    return hub.renderer.page(
        request,
        "status.html",
        code,
        view=_read(hub.loop),
        snoozes=SNOOZES,
        compared_with=compared_with,
        problem=problem,
    )


def _read(loop: Loop) -> View:
    now, found = loop.now(), alerts.open_alerts(loop)
    return View(
        read_status(loop),
        tuple(one for one in found if not one.is_snoozed(now)),
        tuple(one for one in found if one.is_snoozed(now)),
        scheduling.read_schedule(loop),
        tuple(loop.store.evaluations(EVALUATIONS)),
    )


def _mark(hub: Hub) -> str:
    """Return what changes with every decision, release, run of a job, and alert."""
    store = hub.loop.store
    runs = (store.last_run(job) for job in ("mine", "retrain"))
    found = (f"{alert.alert_id} {alert.what} {alert.snoozed_until}" for alert in store.alerts())
    return " ".join(
        (str(store.audit_end()[0]), *(run["finished"].isoformat() if run else "" for run in runs), *sorted(found))
    )


TOPICS = (Topic("status", _mark, Right.LOOK),)
ROUTES: tuple[StaffRoute, ...] = (
    page(HOME, status),
    action(f"{HOME}/alerts/{{alert_id}}/snooze", snooze),
    action(f"{HOME}/alerts/{{alert_id}}/close", close),
    action(f"{HOME}/schedule/{{name}}/pause", pause, Right.RETRAIN),
    action(f"{HOME}/schedule/{{name}}/resume", resume, Right.RETRAIN),
    action(f"{HOME}/schedule/{{name}}/run", run_now, Right.RETRAIN),
)
