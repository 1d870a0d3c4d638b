"""What is wrong now: rules look, alerts open and close, people are told.

Rules that look at numbers do so once for each whole hour or day that has been mined, so that the chance of a false
alarm does not depend on how often somebody checks. The others look every time.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import numpy as np

from learning import alert_health, alert_rules
from learning.alert_lifecycle import News, by_weight, news, settle, spoiled
from learning.alert_lifecycle import told as as_told
from learning.alert_records import Alert, AlertKind, Check, Delivery
from learning.alert_rules import BASELINE_DAYS, DAILY, DAY, HOURLY, PATTERN_DAYS, History, midnight
from learning.alert_words import news_message, safe
from learning.alone import alone
from learning.drift import BEFORE_DAYS, PER_DAY, RECENT_DAYS, Drift, measure, words_said_more
from learning.errors import ReviewError
from learning.loop import Loop
from learning.metrics_accuracy import read_accuracy
from learning.metrics_days import Figures
from learning.metrics_services import read_services
from learning.model import content_id
from learning.names import check_name
from learning.ports import Notifier

logger = logging.getLogger(__name__)

LOOKED_BACK = timedelta(days=PATTERN_DAYS)  # at closed alerts: what they were about is no example of what is usual
LONGEST_SPOILED = timedelta(days=7)  # after which what was wrong is the usual
LAST_HOUR, LAST_DAY = "hour", "day"
NOTICES = "alerts:"  # begins the keys of notices
BUSY = "notices"  # the job of which only one process may be at
LONGEST_SNOOZE = timedelta(days=90)
GONE = "(no longer there)"


@dataclass(frozen=True)
class Told:
    """What people were told: of how many alerts, to whom, and how many `waiting` ones did not fit into the day."""

    news: News = field(default_factory=News)
    delivery: Delivery = field(default_factory=Delivery)
    waiting: int = 0
    message: str = "nothing to tell"


def check_alerts(loop: Loop) -> tuple[Alert, ...]:
    """Look at everything, open and close alerts, and return the open ones, the worst first.

    A second look at the same hours changes nothing.
    """
    now = loop.now()
    former = loop.store.alerts(closed_since=now - LOOKED_BACK)
    times = spoiled(former, LONGEST_SPOILED, now)
    checks = list(_health(loop))
    seen: dict[str, str] = {}
    until = _mined_until(loop)
    if until is not None:
        checks += _numbers(loop, until, times, seen)
    looked = {check.kind for check in checks} | _looked_anyway(seen)
    found = loop.store.update_alerts(
        lambda alerts: settle(alerts, checks, looked, now), closed_since=now - LOOKED_BACK, seen=seen
    )
    return _named(loop, found)


def open_alerts(loop: Loop) -> tuple[Alert, ...]:
    """Return what is wrong, as far as is known, the worst first; those that are snoozed are among it."""
    return _named(loop, loop.store.alerts())


def tell_alerts(loop: Loop, notifier: Notifier) -> Told:
    """Tell people what they do not know yet, all in one message, and at most so many messages a day.

    The last message of a day is kept for what is critical. What reached at least one target counts as told. Killed
    between sending and noting that, it tells again: at least once, never not at all.
    """
    if not notifier.targets():
        return Told(message="nobody is to be told: EVERGREEN_NOTIFY_URLS names no target")
    try:
        with alone(loop, BUSY):
            return _tell(loop, notifier)
    except ReviewError:
        return Told(message="somebody else tells at the moment")


def snooze(loop: Loop, alert_id: str, until: datetime, who: str, reason: str = "") -> Alert:
    """Let nobody be told of an open alert until a time; it stays open, and what it says goes on.

    Raises:
        NotFound: there is no such alert.
        ReviewError: it is closed, or the time is none that can be.

    """
    check_name(who)
    alert, now = loop.store.alert(alert_id), loop.now()
    _check_open(alert)
    if not now < until <= now + LONGEST_SNOOZE:
        raise ReviewError("cannot be snoozed until then", f"alert {alert.alert_id}", "name a time in the next 90 days")
    after = replace(alert, snoozed_until=until, snoozed_by=who, reason=reason)
    loop.store.change_alert(alert, after, "snooze alert", who, now)
    return after


def close(loop: Loop, alert_id: str, who: str, reason: str = "") -> Alert:
    """Close an alert though it may still be wrong; it opens again only after it has been calm in between.

    Raises:
        NotFound: there is no such alert.
        ReviewError: it is closed already.

    """
    check_name(who)
    alert, now = loop.store.alert(alert_id), loop.now()
    _check_open(alert)
    after = replace(alert, closed_at=now, closed_by=who, armed=False, reason=reason)
    loop.store.change_alert(alert, after, "close alert", who, now)
    return after


def _check_open(alert: Alert) -> None:
    if not alert.is_open:
        by = f"by {alert.closed_by}" if alert.closed_by else "by itself"
        raise ReviewError(f"was closed {by}", f"alert {alert.alert_id}", "see `python -m learning alerts list`")


def _tell(loop: Loop, notifier: Notifier) -> Told:
    settings, now = loop.settings.alerts, loop.now()
    found = news(_named(loop, loop.store.alerts(closed_since=now - DAY * 2)), settings, now)
    if not found.alerts:
        return Told()
    today = midnight(now.astimezone(timezone.utc).date())
    sent = loop.store.notices_between(NOTICES, today, today + DAY)
    # Something critical late in the day finds room, whatever there was before.
    room = settings.notices_a_day - (0 if found.is_critical or settings.notices_a_day == 1 else 1)
    if sent >= room:
        waiting = len(found.alerts)
        return Told(waiting=waiting, message=f"{waiting} wait until tomorrow: {sent} messages went out today")
    message = news_message(found, loop.settings.digest.hub_url, last_today=sent + 1 >= settings.notices_a_day)
    delivery = notifier.send(message, notifier.targets())
    if delivery.problems:
        logger.warning("some targets were not reached: %s", delivery.problems)
    if not delivery.delivered:
        return Told(found, delivery, len(found.alerts), f"nobody was reached: {delivery.problems}")
    ids = {alert.alert_id: alert.is_open for alert in found.alerts}
    key = NOTICES + content_id(*sorted(ids), now.isoformat())
    loop.store.note_told(key, [target.key for target in delivery.delivered], now)
    loop.store.update_alerts(
        lambda alerts: [as_told(one, now, ids[one.alert_id]) for one in alerts if one.alert_id in ids],
        closed_since=now - DAY * 2,
        seen={},
    )
    failed = f"; not reached: {delivery.problems}" if delivery.problems else ""
    return Told(found, delivery, 0, f"{len(ids)} alerts told to {len(delivery.delivered)} targets{failed}")


def _health(loop: Loop) -> Iterator[Check]:
    yield alert_health.model_age(loop)
    yield alert_health.mining(loop)
    yield from alert_health.failing_jobs(loop)
    yield from alert_health.waiting_jobs(loop)
    yield from alert_health.critical_gaps(loop)


def _looked_anyway(seen: Mapping[str, str]) -> set[AlertKind]:
    """Return the kinds that have looked though they may have found nothing to tell of."""
    always = {AlertKind.JOBS, AlertKind.WAITING, AlertKind.GAP}
    hourly = HOURLY if LAST_HOUR in seen else frozenset()
    daily = DAILY | {AlertKind.AUDIT} if LAST_DAY in seen else frozenset()
    return {*always, *hourly, *daily}


def _mined_until(loop: Loop) -> datetime | None:
    """Return up to when all conversations are known, None where nothing was mined."""
    last = loop.store.last_run("mine")
    started: datetime | None = last["started"] if last else None
    return min(started, loop.now()) if started else None


def _numbers(loop: Loop, mined: datetime, times: Mapping[AlertKind, Any], seen: dict[str, str]) -> Iterator[Check]:
    """Yield what the rules that look at numbers find in the newest hour and day that they have not looked at yet."""
    hour = mined.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
    # A conversation ends when nobody has said anything for so long: only then its day is complete.
    settled = mined - timedelta(minutes=loop.settings.conversations.idle_minutes)
    day = settled.astimezone(timezone.utc).date() - DAY
    now = loop.now().astimezone(timezone.utc)
    is_new_hour = _is_new(hour.isoformat(), loop.store.alerts_seen(LAST_HOUR), now.isoformat())
    is_new_day = _is_new(day.isoformat(), loop.store.alerts_seen(LAST_DAY), now.date().isoformat())
    if not is_new_hour and not is_new_day:
        return
    history = History.of(loop.store.hours(midnight(day) - PATTERN_DAYS * DAY, hour))
    settings = loop.settings.alerts
    if is_new_hour and history is not None:
        seen[LAST_HOUR] = hour.isoformat()
        yield alert_rules.silence(history, hour, settings, times.get(AlertKind.SILENCE, ()))
        yield alert_rules.fallback(history, hour, settings, times.get(AlertKind.FALLBACK, ()))
        spoiled_times = times.get(AlertKind.BACKEND, ())
        yield alert_rules.backend(history, hour, settings, spoiled_times, _worst_service(loop, hour))
    if is_new_day:
        seen[LAST_DAY] = day.isoformat()
        yield alert_health.audit(loop)
        if history is not None:
            yield alert_rules.traffic(history, day, settings, times.get(AlertKind.TRAFFIC, ()))
            yield alert_rules.confidence(history, day, settings, times.get(AlertKind.CONFIDENCE, ()))
        yield _accuracy(loop, day)
        yield alert_rules.drift(read_drift(loop, day), day, settings)


def _is_new(found: str, seen: str, now: str) -> bool:
    """Whether an hour or a day is new; one that was `seen` in the future was seen by a clock that was wrong."""
    return found > seen or seen > now


def _accuracy(loop: Loop, day: date) -> Check:
    found = read_accuracy(loop, day - (BASELINE_DAYS + RECENT_DAYS) * DAY, day)
    days = {one: (right, checked) for one, right, checked in found.days}
    return alert_rules.accuracy(days, day, loop.settings.alerts, loop.settings.metrics.min_checked)


def read_drift(loop: Loop, day: date) -> Drift | None:
    """Return how far the week that ends with a day is from the four before, None where there is too little.

    What is compared are first messages of conversations, as they are kept: redacted, each person's first of a day.
    """
    since = midnight(day) - (RECENT_DAYS + BEFORE_DAYS - 1) * DAY
    said = loop.store.openings(since, midnight(day) + DAY, PER_DAY)
    if len(said) < loop.settings.alerts.min_conversations:
        return None
    vectors = np.asarray(loop.encoder.encode([one.text for one in said]), dtype=np.float64)
    found = measure(vectors, [one.day for one in said], day, seed=day.toordinal())
    if found is None:
        return None
    first = day - (RECENT_DAYS - 1) * DAY
    recent = [(one.sender, one.text) for one in said if one.day >= first]
    before = [one.text for one in said if one.day < first]
    return Drift(*found, words=words_said_more(recent, before))


def _worst_service(loop: Loop, hour: datetime) -> str:
    """Return the operation that failed most today, in words, empty if none did."""
    day = (hour - timedelta(hours=1)).date()
    total = Figures()
    for _, _, figures in loop.store.metric_days(day, day):
        total.add(figures)
    for health in read_services(total):
        missing = health.counts["unavailable"]
        return f"{safe(health.name)} ({missing:,} of {health.calls:,} calls that day)" if missing else ""
    return ""


def _named(loop: Loop, alerts: Collection[Alert]) -> tuple[Alert, ...]:
    """Return alerts in order, those about a gap with its name: it goes when somebody is forgotten, and is not kept."""
    names: dict[str, str] = {}
    if any(alert.kind is AlertKind.GAP for alert in alerts):
        names = {gap_id: gap.name for gap_id, gap in loop.store.gaps().items()}

    def named(alert: Alert) -> Alert:
        if alert.kind is not AlertKind.GAP:
            return alert
        name = safe(loop.redactor.redact(names.get(alert.subject, GONE)))
        return replace(alert, what=f"“{name}”: {alert.what}")

    return tuple(sorted(map(named, alerts), key=by_weight))
