"""The command line of rollouts: `python -m learning rollout --help`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Optional

import typer
from rich.markup import escape
from rich.table import Table

from learning import console
from learning.model import EVERYBODY, Release, ReleaseKind, Rollout
from learning.pipeline import try_branch
from learning.review_options import AS_JSON, WHO, app_of, branch_json, print_branch
from learning.rollout import advance, pause, resume, set_share
from learning.rollout_progress import Progress, find_progress, read_progress, stopped_rollouts

rollout_cli = typer.Typer(
    pretty_exceptions_enable=False,
    help="How far what went live has come on its way to everybody, and what came of it.",
    no_args_is_help=True,
)
ENTRY = typer.Argument(..., show_default=False, help="Id of a live entry, or its first characters.")
REASON = typer.Option("", show_default=False, help="Why; it goes into the audit log.")


@rollout_cli.command("list")
def list_rollouts(
    ctx: typer.Context,
    everything: bool = typer.Option(False, "--all", help="Also what everybody has got for a long time."),
    json: bool = AS_JSON,
) -> None:
    """List what is on its way or still watched, and what went back by itself."""
    loop = app_of(ctx).loop
    found = [one for one in read_progress(loop) if everything or one.comparisons]
    stopped = stopped_rollouts(loop)
    if json:
        back = [{"entry": entry, "rollout": rollout} for entry, rollout in stopped]
        console.print_json({"live": [_told(one) for one in found], "stopped": back})
        return
    if not found and not stopped:
        console.out.print("Nothing is on its way; `--all` lists what everybody gets.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "users", "next", "people", "what"):
        table.add_column(heading, justify="right" if heading in ("users", "people") else "left", no_wrap=True)
    for one in found:
        people = str(one.comparisons[0].mine.of) if one.comparisons else ""
        table.add_row(one.entry.entry_id[:8], f"{one.entry.share} %", _next(one), people, escape(one.entry.label))
    for entry, _ in stopped:
        table.add_row(entry.entry_id[:8], "0 %", "went back by itself", "", escape(entry.label))
    console.out.print(table)


@rollout_cli.command()
def show(ctx: typer.Context, entry: str = ENTRY, json: bool = AS_JSON) -> None:
    """Show one entry: its schedule, what came of its answers, and why it went back if it did."""
    loop = app_of(ctx).loop
    gone = [(one, why) for one, why in stopped_rollouts(loop) if entry and one.entry_id.startswith(entry)]
    if len(gone) == 1:
        back, rollout = gone[0]
        if json:
            console.print_json({"entry": back, "rollout": rollout})
            return
        console.out.print(f"[bold]{back.entry_id}[/bold]  {escape(back.label)}  went back by itself")
        console.out.print(escape(rollout.stopped))
        console.out.print(
            f"`python -m learning review undo {back.proposal_id[:8]}` lets its proposal wait again,"
            f" `python -m learning restore {back.entry_id[:8]}` brings it back as it was."
        )
        return
    found = find_progress(loop, entry, watch=True)
    if json:
        console.print_json(_told(found))
        return
    _print_progress(found)


@rollout_cli.command("set")
def set_command(
    ctx: typer.Context,
    entry: str = ENTRY,
    percent: int = typer.Argument(..., show_default=False, help="Percentage of the users, 1 to 100."),
    keep: bool = typer.Option(False, "--keep", help="Go on from there by the schedule, which ends otherwise."),
    reason: str = REASON,
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Bring an entry to another share of the users at once."""
    release = set_share(app_of(ctx).loop, entry, percent, who or console.user(), reason, keep)
    _print_releases(ctx, [release], json)


@rollout_cli.command("pause")
def pause_command(
    ctx: typer.Context, entry: str = ENTRY, reason: str = REASON, who: Optional[str] = WHO, json: bool = AS_JSON
) -> None:
    """Let an entry stay at its share; the stop rule looks at it all the same."""
    _print_rollout(pause(app_of(ctx).loop, entry, who or console.user(), reason), "stays at", json)


@rollout_cli.command("resume")
def resume_command(
    ctx: typer.Context, entry: str = ENTRY, reason: str = REASON, who: Optional[str] = WHO, json: bool = AS_JSON
) -> None:
    """Let an entry go on from the share that it has."""
    _print_rollout(resume(app_of(ctx).loop, entry, who or console.user(), reason), "goes on from", json)


@rollout_cli.command("advance")
def advance_command(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Take back what does harm and make the steps that are due, as each mining does."""
    _print_releases(ctx, advance(app_of(ctx).loop), json)


def _told(one: Progress) -> dict[str, Any]:
    compared = [
        {
            "outcome": item.outcome,
            "people": item.mine,
            "baseline": item.baseline,
            "without": item.without,
            "against": "other answers" if item.others else "people without it",
            "log_evidence": item.evidence,
            "log_needed": item.needed,
            "fires": item.fires,
            "sentence": item.sentence,
        }
        for item in one.comparisons
    ]
    plan = {"next_share": one.next_share, "next_at": one.next_at}
    since = {"live_since": one.live_since, "full_since": one.full_since}
    return {"entry": one.entry, "rollout": one.rollout, **since, **plan, "comparisons": compared}


def _next(one: Progress) -> str:
    if one.next_at is not None:
        return f"{one.next_share} % at {_when(one.next_at)}"
    if one.rollout.stopped:
        return "paused"
    return "watched" if one.comparisons else ""


def _print_progress(one: Progress) -> None:
    entry = one.entry
    console.out.print(f"[bold]{entry.entry_id}[/bold]  {escape(entry.label)}  ({entry.kind.value})")
    steps = ", ".join(f"{step} %" for step in one.rollout.steps)
    console.out.print(f"{entry.share} % of the users, live since {_when(one.live_since)}")
    console.out.print(f"steps {steps}, {one.rollout.hours:g} hours each")
    if one.next_at is not None:
        console.out.print(f"next: {one.next_share} % at {_when(one.next_at)}")
    if one.rollout.stopped:
        console.out.print(escape(one.rollout.stopped))
    if not one.comparisons:
        console.out.print("The stop rule does not look at it any more.")
    for item in one.comparisons:
        console.out.print(f"  - {escape(item.sentence)}")
        if item.harmless and item.evidence >= item.needed:
            console.out.print(f"    it stays: without it, {item.without.hits} of {item.without.of} fared so")


def _print_releases(ctx: typer.Context, releases: list[Release], json: bool) -> None:
    app = app_of(ctx)
    commit, problem = try_branch(app.loop) if releases else (None, None)
    if json:
        console.print_json({"releases": releases, **branch_json(commit, problem)})
        return
    if not releases:
        console.out.print("No step was due.")
    for release in releases:
        for change in release.changes:
            back = " by the stop rule" if release.what is ReleaseKind.STOP else ""
            told = f"release {release.number}: {change.item_id[:8]} {change.before} % -> {change.after} %{back}"
            console.out.print(told)
        if release.what is ReleaseKind.STOP:
            console.out.print(f"  {escape(release.reason)}")
    if any(EVERYBODY in (change.before, change.after) for release in releases for change in release.changes):
        print_branch(app.settings.review.branch, commit, problem)


def _print_rollout(rollout: Rollout, what: str, json: bool) -> None:
    if json:
        console.print_json(rollout)
    else:
        share = rollout.steps[rollout.at_step]
        console.out.print(f"{rollout.entry_id[:8]} {what} {share} %.")


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
