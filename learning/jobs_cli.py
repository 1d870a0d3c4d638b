"""`python -m learning jobs`: what is done in the background, and the worker that does it."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import NoReturn, Optional

import typer
from rich.table import Table

from learning import console
from learning.autonomy import AutonomyReport
from learning.jobs import MODEL_JOBS, cancel, view, worker_is_there
from learning.model import MiningReport
from learning.retrain import RetrainReport
from learning.review_options import AS_JSON, WHO, app_of
from learning.tasks import workers

jobs_cli = typer.Typer(
    pretty_exceptions_enable=False,
    help="What is done in the background: trainings, models, mining.",
    no_args_is_help=True,
)


@jobs_cli.command("list")
def list_jobs(
    ctx: typer.Context,
    limit: int = typer.Option(20, min=1, help="How many of the newest are shown."),
    json: bool = AS_JSON,
) -> None:
    """List the jobs, the newest first."""
    loop = app_of(ctx).loop
    jobs = loop.store.jobs(limit)
    if json:
        console.print_json({"worker": worker_is_there(loop), "jobs": jobs})
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("no.", "what", "state", "asked for (UTC)", "by", "how far"):
        table.add_column(heading, justify="right" if heading == "no." else "left", no_wrap=heading != "how far")
    for job in jobs:
        seen = view(loop, job)
        far = (
            f"{100 * seen.share:.0f} %, {job.step}" if job.step and job.finished is None else console.line(job.message)
        )
        state = "stopping" if job.cancelled_by and job.finished is None else job.state.value
        table.add_row(
            *(str(job.number), job.kind.value, state, f"{job.at:%Y-%m-%d %H:%M}", console.line(job.who, 20), far)
        )
    console.out.print(table if jobs else "Nothing was asked for yet.")
    if not worker_is_there(loop, MODEL_JOBS):
        console.out.print("No worker is there: start `python -m learning schedule` or `python -m learning jobs work`.")


@jobs_cli.command("cancel")
def cancel_job(
    ctx: typer.Context,
    number: int = typer.Argument(..., show_default=False, help="Number of a job."),
    reason: str = typer.Option("", "--reason", show_default=False, help="Why; it goes into the audit log."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Take a job out of the queue, or have its worker stop; what it began leaves nothing behind."""
    job = cancel(app_of(ctx).loop, number, who or console.user(), reason)
    if json:
        console.print_json(job)
    else:
        console.out.print(f"job {number} {'is cancelled' if job.finished else 'is told to stop'}")


@jobs_cli.command()
def work(ctx: typer.Context) -> None:
    """Do what people ask for in the hub, until stopped; `python -m learning schedule` does so, too."""
    app = app_of(ctx)
    end_on_terminate()
    console.out.print("working; Ctrl-C ends it")
    try:
        with workers(app, tell_report):
            threading.Event().wait()
    except (KeyboardInterrupt, SystemExit):
        console.out.print("worker stopped")


def tell_report(report: object) -> None:
    """Print what a mining or a retraining did, or the sentence that another job has left."""
    if isinstance(report, RetrainReport):
        console.show_retrain(report)
    elif isinstance(report, str):
        console.out.print(console.line(report))
    elif isinstance(report, tuple):
        mined, alone = report
        assert isinstance(mined, MiningReport)
        assert isinstance(alone, AutonomyReport)
        console.out.print(
            f"mined {mined.events} events, {mined.new_proposals} new proposals, {len(alone.releases)} live alone"
        )


def end_on_terminate() -> None:
    """Make SIGTERM end this process as Ctrl-C does, so that what it has begun is stopped and told."""

    def end(number: int, frame: Optional[FrameType]) -> NoReturn:
        raise SystemExit(128 + number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
