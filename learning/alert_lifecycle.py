"""When alerts open, stay, close and come back, and which of them are to be told: no storms.

One that flickers is one alert: it closes only after its rule was calm at two looks, and what comes back within a day
is the same alert again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from learning.alert_records import Alert, AlertKind, Check, Level, Severity
from learning.model import content_id
from learning.settings import AlertSettings

CALM_LOOKS = 2  # in a row until an alert closes
SAME = timedelta(hours=24)  # within which one that comes back is the same

Key = tuple[AlertKind, str]
Span = tuple[datetime, datetime]


def settle(
    alerts: Sequence[Alert], checks: Sequence[Check], looked: Collection[AlertKind], now: datetime
) -> list[Alert]:
    """Return the alerts that are new or have changed.

    Args:
        alerts: the open ones and those closed lately.
        checks: what the rules found; a subject that a rule does not mention any more is calm.
        looked: the kinds whose rules have looked.
        now: the time.

    """
    newest: dict[Key, Alert] = {}
    for alert in sorted(alerts, key=lambda one: (one.is_open, one.opened_at, one.alert_id)):
        newest[alert.kind, alert.subject] = alert  # an open one, else the newest
    found: dict[Key, Check] = {(check.kind, check.subject): check for check in checks}
    changed = []
    for key in dict.fromkeys([*newest, *found]):
        if key[0] not in looked:
            continue
        check = found.get(key, Check(key[0], Level.CALM, key[1]))
        after = _after(newest.get(key), check, now)
        if after is not None and after != newest.get(key):
            changed.append(after)
    return changed


def _after(alert: Alert | None, check: Check, now: datetime) -> Alert | None:
    """Return an alert after one look of its rule, None where there is none."""
    if check.level is Level.UNKNOWN:
        return alert
    if alert is not None and alert.is_open:
        if check.level is Level.CALM:
            calm = alert.calm + 1
            return replace(alert, calm=calm, closed_at=now if calm >= CALM_LOOKS else None)
        return replace(_told_anew(alert, check), seen_at=now, calm=0)
    if check.level is Level.CALM:
        return alert if alert is None or alert.armed else replace(alert, armed=True)
    if check.level is Level.HELD:
        return alert
    if alert is not None and not alert.armed:
        return alert
    if alert is not None and not alert.closed_by and alert.closed_at is not None and now - alert.closed_at < SAME:
        # Whoever was told that it is over must hear that it is not.
        told_at = None if alert.closing_told else alert.told_at
        again = replace(alert, closed_at=None, closing_told=False, told_at=told_at, calm=0, seen_at=now)
        return _told_anew(again, check)
    return Alert(
        alert_id=content_id("alert", check.kind.value, check.subject, now.isoformat()),
        kind=check.kind,
        subject=check.subject,
        severity=check.severity,
        title=check.title,
        what=check.what,
        next_step=check.next_step,
        link=check.link,
        since=check.since or now,
        opened_at=now,
        seen_at=now,
    )


def _told_anew(alert: Alert, check: Check) -> Alert:
    """Return an alert with the figures of now; what is worse than it was told is told again.

    What was critical stays so until it is over: one that goes up and down is told once.
    """
    worse = check.severity is Severity.CRITICAL and alert.severity is not Severity.CRITICAL
    return replace(
        alert,
        severity=Severity.CRITICAL if Severity.CRITICAL in (alert.severity, check.severity) else check.severity,
        title=check.title,
        what=check.what,
        next_step=check.next_step,
        link=check.link,
        told_at=None if worse else alert.told_at,
    )


@dataclass(frozen=True)
class News:
    """What people do not know yet: alerts that opened, that stay open for long, and that closed by themselves."""

    opened: tuple[Alert, ...] = ()
    reminded: tuple[Alert, ...] = ()
    closed: tuple[Alert, ...] = ()

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """All of them."""
        return (*self.opened, *self.reminded, *self.closed)

    @property
    def is_critical(self) -> bool:
        """Whether something among it must be looked at now."""
        return any(alert.severity is Severity.CRITICAL for alert in (*self.opened, *self.reminded))


def news(alerts: Sequence[Alert], settings: AlertSettings, now: datetime) -> News:
    """Return what is to be told of alerts, the worst first."""
    heard = sorted((one for one in alerts if not one.is_snoozed(now)), key=by_weight)
    open_ones = [one for one in heard if one.is_open]
    return News(
        opened=tuple(one for one in open_ones if one.told_at is None),
        reminded=tuple(one for one in open_ones if one.told_at is not None and _is_due(one, settings, now)),
        closed=tuple(
            one
            for one in heard
            if not one.is_open and not one.closed_by and one.told_at is not None and not one.closing_told
        ),
    )


def told(alert: Alert, now: datetime, was_open: bool | None = None) -> Alert:
    """Return an alert as it is after people were told of it; `was_open` says as what, where it may have changed since.

    Of what has changed while the message went out they have yet to hear.
    """
    if alert.is_open if was_open is None else was_open:
        return replace(alert, told_at=now)
    return replace(alert, told_at=None) if alert.is_open else replace(alert, closing_told=True)


def by_weight(alert: Alert) -> tuple[bool, float, str]:
    """Return the key that sorts alerts by what matters most."""
    return (alert.severity is not Severity.CRITICAL, alert.opened_at.timestamp(), alert.alert_id)


def _is_due(alert: Alert, settings: AlertSettings, now: datetime) -> bool:
    assert alert.told_at is not None
    is_back = alert.snoozed_until is not None and alert.told_at < alert.snoozed_until <= now
    return is_back or now - alert.told_at >= timedelta(days=settings.remind_days)


def spoiled(alerts: Sequence[Alert], longest: timedelta, now: datetime) -> Mapping[AlertKind, list[Span]]:
    """Return the times in which each rule found something wrong: they are no example of what is usual.

    Only the first `longest` of each: what stays that way becomes the usual.
    """
    found: dict[AlertKind, list[Span]] = {}
    for alert in alerts:
        end = min(alert.closed_at or now, alert.since + longest)
        found.setdefault(alert.kind, []).append((alert.since, end))
    return found
