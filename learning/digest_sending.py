"""When a digest is due and to whom it goes: each period's digest once to each target."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

from learning.alert_records import Delivery, Severity
from learning.alert_rules import midnight
from learning.alone import alone
from learning.digest import build_digest
from learning.digest_text import digest_message
from learning.errors import NoticeError, ReviewError, SettingsError
from learning.loop import Loop
from learning.ports import Notifier

logger = logging.getLogger(__name__)

CADENCES = ("daily", "weekly", "critical", "off")
DAY = timedelta(days=1)
WEEK = 7
BUSY = "digest"  # the job of which only one process may be at


@dataclass(frozen=True)
class Due:
    """The newest period that is over: `key` names it, once and for all."""

    key: str
    since: date
    until: date


@dataclass(frozen=True)
class Sent:
    """Whether a digest went out, to whom, or why it did not."""

    sent: bool
    message: str
    key: str = ""
    delivery: Delivery = field(default_factory=Delivery)


def due(cadence: str, now: datetime) -> Due | None:
    """Return the period of which people are to be told: yesterday, or the last week from Monday to Sunday (UTC).

    Raises:
        SettingsError: there is no such cadence.

    """
    if cadence not in CADENCES:
        raise SettingsError(f"is {cadence!r}", "learning.yml: digest: cadence", f"use one of {', '.join(CADENCES)}")
    if cadence == "off":
        return None
    today = now.astimezone(timezone.utc).date()
    until = today - timedelta(days=today.weekday() + 1) if cadence == "weekly" else today - DAY
    since = until - (WEEK - 1) * DAY if cadence == "weekly" else until
    return Due(f"digest:{cadence}:{until}", since, until)


def send_digest(loop: Loop, notifier: Notifier) -> Sent:
    """Send the digest of the newest period to every target that has not got it.

    A second run sends nothing. Killed between sending and noting that, it sends again to the same target: at least
    once, never not at all.

    Raises:
        NoticeError: nobody could be reached; the next run tries again.

    """
    period = due(loop.settings.digest.cadence, loop.now())
    if period is None:
        return Sent(False, "digests are off")
    if not notifier.targets():
        return Sent(False, "nobody is to be told: EVERGREEN_NOTIFY_URLS names no target", period.key)
    try:
        with alone(loop, BUSY):
            return _send(loop, notifier, period)
    except ReviewError:
        return Sent(False, "somebody else sends it at the moment", period.key)


def _send(loop: Loop, notifier: Notifier, period: Due) -> Sent:
    had = loop.store.told(period.key)
    missing = [target for target in notifier.targets() if target.key not in had]
    if not missing:
        return Sent(False, f"the digest of {period.until} was sent before", period.key)
    if loop.settings.digest.cadence == "critical" and not _was_critical(loop, period):
        return Sent(False, f"nothing critical on {period.until}", period.key)
    digest = build_digest(loop, period.since, period.until)
    delivery = Delivery()
    # One after the other, each noted at once: a crash repeats one message, and not all of them.
    for target in missing:
        one = notifier.send(digest_message(digest, loop.settings.digest.hub_url), [target])
        if one.delivered:
            loop.store.note_told(period.key, [target.key], loop.now())
        delivery = Delivery(delivery.delivered + one.delivered, delivery.failed + one.failed)
    if not delivery.delivered:
        raise NoticeError(
            f"reached nobody ({delivery.problems})", f"digest of {period.until}", "correct EVERGREEN_NOTIFY_URLS"
        )
    if delivery.problems:
        logger.warning("some targets did not get the digest: %s", delivery.problems)
    failed = f"; not reached: {delivery.problems}" if delivery.problems else ""
    names = ", ".join(target.name for target in delivery.delivered)
    return Sent(True, f"the digest of {period.until} went to {names}{failed}", period.key, delivery)


def _was_critical(loop: Loop, period: Due) -> bool:
    """Whether a critical alert opened in the time."""
    begin, end = midnight(period.since), midnight(period.until + DAY)
    found = loop.store.alerts(closed_since=begin)
    return any(one.severity is Severity.CRITICAL and begin <= one.opened_at < end for one in found)
