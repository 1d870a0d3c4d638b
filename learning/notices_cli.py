"""`python -m learning digest`, `alerts` and `notify`: what people are told, and what is wrong now."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Optional

import typer
from rich.table import Table

from learning import console
from learning.alert_records import Alert, Delivery, Message
from learning.alerts import check_alerts, close, open_alerts, snooze, tell_alerts
from learning.digest import build_digest
from learning.digest_sending import Due, due, send_digest
from learning.digest_text import digest_message
from learning.errors import NoticeError, ReviewError
from learning.message_page import render
from learning.review_options import AS_JSON, WHO, app_of

alerts_cli = typer.Typer(
    pretty_exceptions_enable=False, help="What is wrong now, since when, and what to do.", no_args_is_help=True
)
notify_cli = typer.Typer(
    pretty_exceptions_enable=False, help="Whom digests and alerts go to: EVERGREEN_NOTIFY_URLS.", no_args_is_help=True
)
ALERT = typer.Argument(..., show_default=False, help="Id of an open alert, or its first characters.")
REASON = typer.Option("", "--reason", show_default=False, help="Why; it goes into the audit log.")
LOST = 4  # exit code when somebody could not be reached


def digest_command(
    ctx: typer.Context,
    send: bool = typer.Option(False, "--send", help="Send it to whoever has not got that of the newest period."),
    html: Optional[Path] = typer.Option(None, "--html", show_default=False, help="Write it as a page to this file."),
    json: bool = AS_JSON,
) -> None:
    """Show what people are told of the newest period, or send it: once to each target."""
    app = app_of(ctx)
    settings = app.settings.digest
    if send:
        sent = send_digest(app.loop, app.notifier)
        if json:
            console.print_json(sent)
        else:
            console.out.print(console.line(sent.message))
        if sent.delivery.failed:
            raise typer.Exit(LOST)
        return
    # Whoever asks sees one, though none is sent by itself.
    period = due(settings.cadence, app.loop.now()) or due("weekly", app.loop.now())
    assert isinstance(period, Due)
    digest = build_digest(app.loop, period.since, period.until)
    message = digest_message(digest, settings.hub_url)
    if html is not None:
        try:
            html.write_text(message.html, "utf-8")
        except OSError as error:
            raise ReviewError(f"cannot be written ({error.strerror})", str(html), "name another file") from error
    if json:
        console.print_json(digest)
    elif html is not None:
        console.out.print(f"written to {console.line(str(html))}")
    else:
        sys.stdout.write(message.text)


@alerts_cli.command("list")
def list_alerts(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """List what is wrong, as the last look has found it."""
    _show(open_alerts(app_of(ctx).loop), json)


@alerts_cli.command("check")
def check(
    ctx: typer.Context,
    tell: bool = typer.Option(False, "--tell", help="Tell whoever EVERGREEN_NOTIFY_URLS names, as the schedule does."),
    json: bool = AS_JSON,
) -> None:
    """Look now: numbers once for each hour and day that was mined, everything else every time."""
    app = app_of(ctx)
    with console.steps(quiet=json) as say:
        say("looking at the newest hours, the jobs and the audit log")
        found = check_alerts(app.loop)
        told = tell_alerts(app.loop, app.notifier) if tell else None
    _show(found, json)
    if told is not None and not json:
        console.out.print(console.line(told.message))
    if told is not None and told.delivery.failed:
        raise typer.Exit(LOST)


@alerts_cli.command("snooze")
def snooze_alert(
    ctx: typer.Context,
    alert: str = ALERT,
    hours: float = typer.Option(24.0, min=0.1, max=24 * 90, help="How long nobody is told of it."),
    reason: str = REASON,
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Tell nobody of an alert for a while; it stays open."""
    loop = app_of(ctx).loop
    done = snooze(loop, alert, loop.now() + timedelta(hours=hours), who or console.user(), reason)
    if json:
        console.print_json(done)
    else:
        assert done.snoozed_until is not None
        console.out.print(f"nobody is told of {done.alert_id[:8]} until {done.snoozed_until:%Y-%m-%d %H:%M} UTC")


@alerts_cli.command("close")
def close_alert(
    ctx: typer.Context,
    alert: str = ALERT,
    reason: str = REASON,
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Close an alert that is known and lived with; it opens again only after it was calm in between."""
    done = close(app_of(ctx).loop, alert, who or console.user(), reason)
    if json:
        console.print_json(done)
    else:
        console.out.print(f"closed {done.alert_id[:8]}: {console.line(done.title)}")


@notify_cli.command("list")
def list_targets(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """List who is told, by names without secrets."""
    targets = app_of(ctx).notifier.targets()
    if json:
        console.print_json([target.name for target in targets])
    else:
        console.out.print("\n".join(target.name for target in targets) or "Nobody: EVERGREEN_NOTIFY_URLS is empty.")


@notify_cli.command("test")
def try_targets(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Send a short message to everybody, and say who was not reached."""
    app = app_of(ctx)
    targets = app.notifier.targets()
    if not targets:
        raise NoticeError("names no target", "EVERGREEN_NOTIFY_URLS", "set it to one or more URLs: see docs/digest.md")
    url = app.settings.digest.hub_url
    title, line = "Evergreen: a test", "This is a test: digests and alerts arrive here."
    page = render("note.html.j2", title=title, line=line, hub_url=url)
    with console.steps(quiet=json) as say:
        say(f"sending to {len(targets)} targets")
        delivery = app.notifier.send(Message(title, f"{line}\n{url}\n", page, f"{line} [Hub]({url})"), targets)
    _tell(delivery, json)
    if delivery.failed:
        raise typer.Exit(LOST)


def _tell(delivery: Delivery, json: bool) -> None:
    if json:
        console.print_json(delivery)
        return
    for target in delivery.delivered:
        console.out.print(f"{target.name}: sent")
    for target, reason in delivery.failed:
        console.out.print(f"[red]{console.line(target.name)}: {console.line(reason)}[/red]")


def _show(alerts: tuple[Alert, ...], json: bool) -> None:
    if json:
        console.print_json(alerts)
        return
    if not alerts:
        console.out.print("Nothing is wrong that is known of. `python -m learning alerts check` looks now.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "severity", "since (UTC)", "what", "told"):
        table.add_column(heading, no_wrap=heading != "what")
    for alert in alerts:
        told = f"{alert.told_at:%Y-%m-%d %H:%M}" if alert.told_at else "not yet"
        if alert.snoozed_until is not None:
            told = f"snoozed until {alert.snoozed_until:%Y-%m-%d %H:%M}"
        what = f"{console.line(alert.title)}. {console.line(alert.what)} {console.line(alert.next_step)}"
        table.add_row(alert.alert_id[:8], alert.severity.value, f"{alert.since:%Y-%m-%d %H:%M}", what, told)
    console.out.print(table)
