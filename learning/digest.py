"""What people are told of a time: the numbers beside those before, what is missing, what was fixed, what waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from learning.alert_records import Alert
from learning.alert_words import safe
from learning.alerts import open_alerts
from learning.effect_words import details, told
from learning.effects import EffectVerdict, read_effects
from learning.loop import Loop
from learning.metrics import Link
from learning.metrics_report import Line, MetricsReport, Period, read_report
from learning.metrics_statistics import Estimate
from learning.metrics_words import change_words, interval_words, seconds_words, value_words
from learning.model import Gap, Proposal, ProposalState
from learning.priority import gap_order
from learning.release_view import read_releases
from learning.second_reading import waiting_for
from learning.value import Saving

# Of all metrics those that say how it goes; the others are a click away.
TOLD = ("conversations", "resolution", "escalation", "abandonment", "fallback", "csat", "thumbs", "service_failures")
MOST_RELEASES = 8
MOST_EFFECTS = 5
MOST_ITEMS = 4  # entries of one release that are named
NOT_YET = frozenset({EffectVerdict.TOO_EARLY, EffectVerdict.TOO_SOON, EffectVerdict.UNKNOWN})


@dataclass(frozen=True)
class Number:
    """One number in words, beside the one before it; `link` is a hub's path."""

    name: str
    value: str
    interval: str
    before: str
    change: str
    link: str


@dataclass(frozen=True)
class OpenGap:
    """Something that people need: how many in all and in the last week, and the proposal that waits, if any."""

    name: str
    priority: str
    people: int
    week: int
    trend: float
    score: int | None
    is_back: bool
    link: str


@dataclass(frozen=True)
class Fixed:
    """A release of the time, in words."""

    number: int
    at: datetime
    what: str
    link: str


@dataclass(frozen=True)
class Effected:
    """What a release of the weeks before has changed, in words, with its interval."""

    number: int
    label: str
    said: str
    more: tuple[str, ...]
    link: str


@dataclass(frozen=True)
class Queue:
    """What waits for people: proposals, the oldest since when, second readings; and what was decided in the time."""

    pending: int
    oldest: datetime | None
    second: int
    decided: int
    waited: str


@dataclass(frozen=True)
class ModelState:
    """The running model: since when, what of the hold-out it understands, and of what people have checked."""

    name: str
    since: datetime | None
    holdout: str
    checked: str


@dataclass(frozen=True)
class Digest:
    """Everything that is told of the days from `since` to `until` (UTC, both included); texts are safe to show."""

    since: date
    until: date
    numbers: tuple[Number, ...]
    saved: str
    gaps: tuple[OpenGap, ...]
    gaps_in_all: int
    fixed: tuple[Fixed, ...]
    fixed_in_all: int
    effects: tuple[Effected, ...]
    queue: Queue
    model: ModelState
    alerts: tuple[Alert, ...]
    headline: str
    is_quiet: bool


def build_digest(loop: Loop, since: date, until: date) -> Digest:
    """Return what is to be told of some days, both included (UTC), compared with as many before."""
    period = Period(since, until)
    report = read_report(loop, period, period.before, most=None, with_services=False)
    gaps = _open_gaps(loop)
    fixed, count = _fixed(loop, period)
    queue = _queue(loop, report)
    alerts = open_alerts(loop)
    conversations = report.line("conversations").value.top
    is_quiet = not (conversations or count or queue.decided or alerts)
    return Digest(
        since=since,
        until=until,
        numbers=tuple(_number(report.line(key)) for key in TOLD),
        saved=_saved(report.saving),
        gaps=tuple(gaps[: loop.settings.digest.gaps]),
        gaps_in_all=len(gaps),
        fixed=fixed,
        fixed_in_all=count,
        effects=_effects(loop, period),
        queue=queue,
        model=_model(loop, report),
        alerts=alerts,
        headline=_headline(report, gaps, count, alerts) if not is_quiet else _nothing(period, queue),
        is_quiet=is_quiet,
    )


def days_words(since: date, until: date) -> str:
    """Return days as people read them: `10 to 16 Nov 2025`."""
    last = f"{until.day} {until:%b %Y}"
    if since == until:
        return last
    if (since.year, since.month) == (until.year, until.month):
        return f"{since.day} to {last}"
    return f"{since.day} {since:%b}{'' if since.year == until.year else f' {since.year}'} to {last}"


def _number(line: Line) -> Number:
    before = value_words(line.before) if line.before is not None else ""
    change = change_words(line.metric, line.change) if line.change is not None else ""
    link = _path(line.value.link) if line.value.link else "/metrics"
    return Number(line.metric.name, value_words(line.value), interval_words(line.value), before, change, link)


def _path(link: Link) -> str:
    """Return the path of the list of conversations that are behind a number."""
    # Names and values are ours: metrics' own words and days.
    return "/conversations?" + "&".join(f"{name}={value}" for name, value in link)


def _saved(saved: Saving) -> str:
    net: Estimate | None = saved.net
    if net is None:
        return ""
    return (
        f"{net.value:,.0f} {saved.currency} ({net.low:,.0f} to {net.high:,.0f}): {saved.resolved:,} resolved"
        f" conversations x {saved.ticket_share:g} x {saved.ticket_cost:g}, less {saved.running:,.0f} running cost"
    )


def _open_gaps(loop: Loop) -> list[OpenGap]:
    """Return the gaps that nobody has handled, the most urgent first."""
    best: dict[str, Proposal] = {}
    for proposal in loop.store.proposals():
        if proposal.state is ProposalState.PENDING:
            known = best.get(proposal.gap_id)
            if known is None or proposal.score > known.score:
                best[proposal.gap_id] = proposal
    waiting = [gap for gap in loop.store.gaps().values() if gap.handled_at is None or gap.is_reopened]
    return [_open_gap(loop, gap, best.get(gap.gap_id)) for gap in sorted(waiting, key=gap_order)]


def _open_gap(loop: Loop, gap: Gap, proposal: Proposal | None) -> OpenGap:
    return OpenGap(
        name=safe(loop.redactor.redact(gap.name)),
        priority=gap.priority.value,
        people=gap.people,
        week=gap.week,
        trend=gap.trend,
        score=proposal.score if proposal else None,
        is_back=gap.is_reopened,
        link=f"/proposals/{proposal.proposal_id}" if proposal else f"/gaps/{gap.gap_id}",
    )


def _fixed(loop: Loop, period: Period) -> tuple[tuple[Fixed, ...], int]:
    """Return the newest releases of a time, and how many there were."""
    views = [view for view in read_releases(loop) if period.since <= _day(view.release.at) <= period.until]
    found = []
    for view in views[:MOST_RELEASES]:
        told_items = [f"{safe(item.label)} {item.effect}" for item in view.items[:MOST_ITEMS]]
        more = len(view.items) - MOST_ITEMS
        back = [f"taken back by release {view.taken_back_by}"] if view.taken_back_by else []
        what = "; ".join([*told_items, *([f"and {more} more"] if more > 0 else []), *back])
        number = view.release.number
        found.append(Fixed(number, view.release.at, what, f"/releases/{number}"))
    return tuple(found), len(views)


def _effects(loop: Loop, period: Period) -> tuple[Effected, ...]:
    """Return the effects that can be told of what was released before or in the time, the newest first."""
    first = period.until - timedelta(days=loop.settings.metrics.effect_days + period.days)
    numbers = [one.number for one in loop.store.releases() if first <= _day(one.at) <= period.until]
    found = [
        Effected(effect.number, safe(need.label), told(need), tuple(details(need)), f"/releases/{effect.number}")
        for effect in (read_effects(loop, numbers) if numbers else ())
        for need in effect.needs
        if need.verdict not in NOT_YET and effect.ended is None
    ]
    return tuple(found[:MOST_EFFECTS])


def _queue(loop: Loop, report: MetricsReport) -> Queue:
    pending = [one for one in loop.store.proposals() if one.state is ProposalState.PENDING]
    work = report.work
    return Queue(
        pending=len(pending),
        oldest=min((one.created_at for one in pending), default=None),
        second=len(waiting_for(loop, "")),
        decided=work.decided,
        waited=seconds_words(work.waited.value) if work.waited else "",
    )


def _model(loop: Loop, report: MetricsReport) -> ModelState:
    running = loop.store.running_model()
    known = next((one for one in loop.store.deployed_models() if one.name == running), None)
    accuracy = report.accuracy
    return ModelState(
        name=safe_name(running),
        since=known.at if known else None,
        holdout=_share(accuracy.baseline) if accuracy.baseline else "",
        checked=f"{_share(accuracy.estimate)} of {accuracy.checked:,} checked messages"
        if accuracy.estimate and accuracy.is_enough
        else "",
    )


def safe_name(name: str) -> str:
    """Return the name of a model's file without its ending."""
    return name.removesuffix(".tar.gz")


def _share(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f} to {100 * estimate.high:.1f} %)"


def _headline(report: MetricsReport, gaps: Sequence[OpenGap], fixed: int, alerts: Sequence[Alert]) -> str:
    conversations = report.line("conversations").value.top
    resolved = report.line("resolution")
    parts = [f"{conversations:,} conversations"]
    if resolved.value.estimate is not None:
        parts.append(f"{value_words(resolved.value)} of those that are over resolved")
    critical = sum(gap.priority == "critical" for gap in gaps)
    if critical:
        parts.append(f"{critical} critical {'gap' if critical == 1 else 'gaps'}")
    parts.append(f"{fixed} {'release' if fixed == 1 else 'releases'}" if fixed else "no release")
    if alerts:
        parts.append(f"{len(alerts)} open {'alert' if len(alerts) == 1 else 'alerts'}")
    return ", ".join(parts) + "."


def _nothing(period: Period, queue: Queue) -> str:
    waits = f"{queue.pending} {'proposal waits' if queue.pending == 1 else 'proposals wait'}" if queue.pending else ""
    return (
        f"Nothing happened ({days_words(period.since, period.until)}): no conversations, no releases, no decisions;"
        f" {waits or 'nothing waits'} for a decision."
    )


def _day(at: datetime) -> date:
    return at.astimezone(timezone.utc).date()
