"""Numbers over time, each with its definition and the conversations behind it."""

from __future__ import annotations

import io
from datetime import date, timezone

from starlette.requests import Request
from starlette.responses import Response

from hub.context import hub_of
from hub.live import Topic
from hub.metrics import charts, views
from hub.metrics.query import PRESETS, Asked, read_query
from hub.routing import StaffRoute, page
from hub.staff.roles import Right
from hub.texts import metrics as texts
from learning.effect_words import DOUBTS
from learning.effects import read_effects
from learning.loop import Loop
from learning.metrics_accuracy import read_accuracy
from learning.metrics_files import write_days, write_report
from learning.metrics_report import MetricsReport, read_report
from learning.metrics_words import ms_words, seconds_words

OVERVIEW = "/metrics"
PATHS = {
    OVERVIEW: texts.OVERVIEW,
    "/metrics/releases": texts.RELEASES,
    "/metrics/confusion": texts.CONFUSION,
    "/metrics/services": texts.SERVICES,
    "/metrics/report": texts.REPORT,
}
TROUBLE = ("fallback", "escalation", "abandonment")


def overview(request: Request) -> Response:
    """Show how the assistant is doing: numbers, charts, reasons."""
    asked, report, today = _read(request, with_services=False)
    drawn = [
        charts.metric_chart(report, texts.SHARES_CHART, ("resolution",), today, band=True),
        charts.outcome_chart(report, today),
        charts.metric_chart(report, texts.TROUBLE_CHART, TROUBLE, today),
        charts.metric_chart(report, texts.RATINGS_CHART, ("csat", "thumbs"), today),
        charts.metric_chart(report, texts.TIMES_CHART, ("resolution_time", "first_answer"), today),
    ]
    if report.accuracy.checked:
        drawn.append(charts.accuracy_chart(report.accuracy))
    return _page(
        request,
        "metrics.html",
        asked,
        report=report,
        tiles=views.tiles(report, today),
        charts=drawn,
        reasons=views.reason_rows(report),
    )


def services(request: Request) -> Response:
    """Show how the back ends are doing."""
    asked, report, _ = _read(request)
    drawn = charts.service_charts(report.services) if report.services else ()
    return _page(request, "metrics_services.html", asked, report=report, charts=drawn)


def printed(request: Request) -> Response:
    """Show all numbers for paper."""
    asked, report, today = _read(request)
    return _page(
        request,
        "metrics_report.html",
        asked,
        report=report,
        tiles=views.tiles(report, today),
        reasons=views.reason_rows(report),
        now=hub_of(request).loop.now(),
    )


def confusion(request: Request) -> Response:
    """Show which intents are taken for which."""
    loop = hub_of(request).loop
    asked = read_query(request.query_params, _today(loop))
    accuracy = read_accuracy(loop, asked.period.since, asked.period.until)
    return _page(
        request,
        "metrics_confusion.html",
        asked,
        accuracy=accuracy,
        checked=views.matrix(accuracy.confusion),
        holdout=views.matrix(accuracy.holdout) if accuracy.holdout else None,
    )


def releases(request: Request) -> Response:
    """Show what each release has changed."""
    hub = hub_of(request)
    effects = [(effect, views.need_rows(effect)) for effect in read_effects(hub.loop)]
    asked = read_query(request.query_params, _today(hub.loop))
    return _page(request, "metrics_releases.html", asked, effects=effects, doubts=DOUBTS)


def numbers(request: Request) -> Response:
    """Send every number as CSV."""
    asked, report, _ = _read(request)
    out = io.StringIO(newline="")
    write_report(report, out)
    return _csv(out, f"metrics-{asked.period.since}-{asked.period.until}.csv")


def days(request: Request) -> Response:
    """Send the course of every number as CSV."""
    asked, report, today = _read(request, with_services=False)
    out = io.StringIO(newline="")
    write_days(report, today, out)
    return _csv(out, f"metrics-days-{asked.period.since}-{asked.period.until}.csv")


def _read(request: Request, with_services: bool = True) -> tuple[Asked, MetricsReport, date]:
    loop = hub_of(request).loop
    today = _today(loop)
    asked = read_query(request.query_params, today)
    return asked, read_report(loop, asked.period, asked.before, asked.channel, with_services=with_services), today


def _today(loop: Loop) -> date:
    return loop.now().astimezone(timezone.utc).date()


def _page(request: Request, template: str, asked: Asked, **content: object) -> Response:
    path = request.url.path
    tabs = [(asked.address(address), label, address == path) for address, label in PATHS.items()]
    presets = [(asked.address(path, days=str(count)), count, asked.days == count) for count in PRESETS]
    code = 422 if asked.problem else 200
    frame = {"asked": asked, "tabs": tabs, "presets": presets, "problem": asked.problem}
    words = {"ms": ms_words, "lasting": seconds_words}
    return hub_of(request).renderer.page(request, template, code, **frame, **words, **content)


def _csv(out: io.StringIO, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


ROUTES: tuple[StaffRoute, ...] = (
    page(OVERVIEW, overview),
    page("/metrics/releases", releases),
    page("/metrics/confusion", confusion),
    page("/metrics/services", services),
    page("/metrics/report", printed),
    page("/metrics/report.csv", numbers),
    page("/metrics/days.csv", days),
)
TOPICS = (Topic("metrics", lambda hub: _mark(hub.loop), Right.LOOK),)


def _mark(loop: Loop) -> str:
    """Return what changes once mining has counted again."""
    run = loop.store.last_run("mine")
    return str(run["number"]) if run else ""
