"""The command line of the schedule: `python -m learning schedule --help`."""

from __future__ import annotations

import gc
import logging
import threading
from datetime import datetime
from typing import Optional

import typer
from rich.markup import escape
from rich.table import Table

from learning import console
from learning.jobs import worker_is_there
from learning.jobs_cli import end_on_terminate, tell_report
from learning.leading import Leadership, leader_name
from learning.model import JobState
from learning.review_options import AS_JSON, WHO, app_of
from learning.scheduler import Scheduler
from learning.scheduling import Schedule, ScheduledJob, kind_named, kinds_named, read_schedule, run_now
from learning.scheduling import pause as pause_job
from learning.scheduling import resume as resume_job
from learning.tasks import workers

schedule_cli = typer.Typer(
    pretty_exceptions_enable=False,
    help="What runs by itself, and when; without a command it keeps running it, as `schedule run` does.",
    invoke_without_command=True,
)
NAME = typer.Argument(..., show_default=False, help="Name of a scheduled job (see `schedule list`), or `all`.")
ONE = typer.Argument(..., show_default=False, help="Name of a scheduled job (see `schedule list`).")
REASON = typer.Option("", "--reason", show_default=False, help="Why; it goes into the audit log.")
QUIET_LOGGERS = ("httpx", "apscheduler")  # the former would log each address, and with it the token of the bot's API
OUTCOMES = {
    JobState.DONE: "[green]done[/green]",
    JobState.BLOCKED: "[yellow]blocked[/yellow]",
    JobState.FAILED: "[red]failed[/red]",
    JobState.CANCELLED: "cancelled",
}


@schedule_cli.callback()
def schedule(ctx: typer.Context) -> None:
    """Keep running what is due, and do what people ask for in the hub, until stopped."""
    if ctx.invoked_subcommand is None:
        run(ctx)


@schedule_cli.command()
def run(ctx: typer.Context) -> None:
    """Keep running what is due, and do what people ask for in the hub, until stopped.

    Several may run, on several machines: one leads, and another takes over when it falls silent.
    """
    app = app_of(ctx)
    logging.getLogger().setLevel(logging.INFO)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    collect_less_often()
    scheduler = Scheduler(app.loop, app.times, Leadership(app.loop.store, leader_name(), app.loop.now))
    for job in read_schedule(app.loop).jobs:
        console.out.print(f"{job.name} runs {job.cadence}{' (paused)' if job.is_paused else ''}")
    end_on_terminate()
    try:
        with workers(app, tell_report):
            scheduler.run(threading.Event())
    except (KeyboardInterrupt, SystemExit):
        console.out.print("schedule stopped")


@schedule_cli.command("list")
def list_jobs(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """List what runs by itself: how often, what came of it last, when it comes next, and which process leads."""
    loop = app_of(ctx).loop
    found, now = read_schedule(loop), loop.now()
    without = [job.name for job in found.jobs if not worker_is_there(loop, (job.kind,))]
    if json:
        console.print_json({"schedule": found, "without_worker": without})
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("job", "runs", "last (UTC)", "outcome", "next (UTC)"):
        table.add_column(heading, no_wrap=True)
    for job in found.jobs:
        outcome = OUTCOMES.get(job.last_outcome, "") if job.last_outcome else ""
        table.add_row(job.name, job.cadence, _at(job.last_at), outcome, _next(job, now))
    console.out.print(table)
    _say_leader(found)
    if without:
        console.out.print(f"No worker does {', '.join(without)}: start `python -m learning schedule`.")


@schedule_cli.command()
def pause(
    ctx: typer.Context, name: str = NAME, reason: str = REASON, who: Optional[str] = WHO, json: bool = AS_JSON
) -> None:
    """Let a job not run by itself until it is resumed; what is at work goes on, and people can still ask for it."""
    loop = app_of(ctx).loop
    marks = {kind.value: pause_job(loop, kind, who or console.user(), reason) for kind in kinds_named(name)}
    if json:
        console.print_json(marks)
        return
    for job, mark in marks.items():
        console.out.print(f"{job} is paused (by {console.line(mark.paused_by, 40)}, {_at(mark.paused_at)} UTC)")


@schedule_cli.command()
def resume(
    ctx: typer.Context, name: str = NAME, reason: str = REASON, who: Optional[str] = WHO, json: bool = AS_JSON
) -> None:
    """Let a job run by itself again from its next time on; what it has missed is not made up for."""
    loop = app_of(ctx).loop
    resumed = {kind.value: resume_job(loop, kind, who or console.user(), reason) for kind in kinds_named(name)}
    if json:
        console.print_json(resumed)
        return
    for job, was_paused in resumed.items():
        console.out.print(f"{job} runs again" if was_paused else f"{job} was not paused")


@schedule_cli.command()
def now(
    ctx: typer.Context, name: str = ONE, reason: str = REASON, who: Optional[str] = WHO, json: bool = AS_JSON
) -> None:
    """Put a job into the queue at once, also a paused one; its next time stays as it is."""
    loop = app_of(ctx).loop
    job = run_now(loop, kind_named(name), who or console.user(), reason)
    if json:
        console.print_json(job)
        return
    console.out.print(f"{job.kind.value} waits as job {job.number}; `python -m learning jobs list` shows how it goes")
    if not worker_is_there(loop, (job.kind,)):
        console.out.print("No worker is there: start `python -m learning schedule`.")


def collect_less_often() -> None:
    """Tell Python's garbage collector that millions of small records are no garbage: a fifth of reading's time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _say_leader(found: Schedule) -> None:
    since = _at(found.since)
    if found.is_led:
        console.out.print(f"{escape(found.leader)} leads since {since} UTC.")
    elif found.leader:
        console.out.print(f"[yellow]Nobody leads:[/yellow] {escape(found.leader)}, which led since {since}, is silent.")
    else:
        console.out.print("[yellow]Nobody leads:[/yellow] start `python -m learning schedule`.")


def _next(job: ScheduledJob, now: datetime) -> str:
    if job.is_paused:
        return f"[yellow]paused[/yellow] by {console.line(job.paused_by, 20)}"
    if job.is_open:
        return f"at work; {_at(job.next_at)}"
    if job.next_at is not None and job.next_at < now:
        return f"overdue since {_at(job.next_at)}"
    return _at(job.next_at)


def _at(time: Optional[datetime]) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else "-"
