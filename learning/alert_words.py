"""Alerts as messages to people, and texts made safe for mail and chats."""

from __future__ import annotations

import re
from collections.abc import Sequence

from learning.alert_lifecycle import News
from learning.alert_records import Alert, Message, Severity
from learning.message_page import render

MOST_TOLD = 15  # alerts of one message; the others are counted
# What mail programs and chats would take for a link, a mention or markup.
_MARKUP = re.compile(r"[<>\[\](){}*_~`|#@\\]|://")
_LOUD = re.compile(r"[<>\[\]{}*~`|@\\]|://")  # the same, but for what numbers and names of files have, too
_DOMAIN = re.compile(r"(?<=\w)\.(?=\w)")
LEADS = {"opened": "New", "reminded": "Still open", "closed": "Over"}


def safe(text: str) -> str:
    """Return a text that holds words of customers as one line that no mail program or chat takes for anything else."""
    visible = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(_DOMAIN.sub(" ", _MARKUP.sub(" ", visible)).split())


def news_message(news: News, hub_url: str, last_today: bool = False) -> Message:
    """Return what is new about alerts in one message.

    Args:
        news: what is to be told.
        hub_url: the hub as readers reach it.
        last_today: whether what comes later has to wait until tomorrow.

    """
    parts = [(lead, tuple(getattr(news, name))) for name, lead in LEADS.items() if getattr(news, name)]
    shown: list[tuple[str, Alert]] = [(lead, alert) for lead, alerts in parts for alert in alerts]
    more = max(0, len(shown) - MOST_TOLD)
    shown = shown[:MOST_TOLD]
    title = _title(news)
    closing = "This was the last message about alerts today." if last_today else ""
    text = "\n\n".join(
        [
            title,
            *(_plain(lead, alert, hub_url) for lead, alert in shown),
            *([f"And {more} more: {hub_url}/status"] if more else []),
            *([closing] if closing else []),
        ]
    )
    markdown = "\n\n".join(
        [
            *(_markdown(lead, alert, hub_url) for lead, alert in shown),
            *([f"And [{more} more]({hub_url}/status)"] if more else []),
            *([closing] if closing else []),
        ]
    )
    html = render("alerts.html.j2", title=title, shown=shown, more=more, closing=closing, hub_url=hub_url)
    return Message(title, text + "\n", html, markdown)


def _title(news: News) -> str:
    counts = []
    if news.opened:
        critical = sum(alert.severity is Severity.CRITICAL for alert in news.opened)
        counts.append(f"{len(news.opened)} new" + (f", {critical} critical" if critical else ""))
    if news.reminded:
        counts.append(f"{len(news.reminded)} still open")
    if news.closed:
        counts.append(f"{len(news.closed)} over")
    only = _only(news)
    return f"Evergreen: {only}" if only else f"Evergreen alerts: {', '.join(counts)}"


def _only(news: News) -> str:
    """Return what a message of a single alert is called by."""
    found: Sequence[Alert] = news.alerts
    if len(found) != 1:
        return ""
    lead = "over: " if news.closed else "still: " if news.reminded else ""
    return f"{lead}{found[0].title}"


def _plain(lead: str, alert: Alert, hub_url: str) -> str:
    mark = ", critical" if alert.severity is Severity.CRITICAL else ""
    lines = [f"{lead}{mark}: {alert.title}", safe_what(alert)]
    if alert.is_open:
        lines += [f"Since {alert.since:%Y-%m-%d %H:%M} UTC.", f"Do: {alert.next_step}"]
    return "\n".join([*lines, hub_url + alert.link])


def _markdown(lead: str, alert: Alert, hub_url: str) -> str:
    mark = ", critical" if alert.severity is Severity.CRITICAL else ""
    told = f"**{lead}{mark}: {alert.title}**\n{safe_what(alert)}"
    link = f"[Open in the hub]({hub_url}{alert.link})"
    if not alert.is_open:
        return f"{told}\n{link}"
    return f"{told}\nSince {alert.since:%Y-%m-%d %H:%M} UTC. {alert.next_step}\n{link}"


def safe_what(alert: Alert) -> str:
    """Return what an alert says in numbers, with the words of customers in it made safe."""
    visible = "".join(char if char.isprintable() else " " for char in alert.what)
    return " ".join(_LOUD.sub(" ", visible).split())
