"""The command line of pull requests: `python -m learning pulls --help`."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import typer

from learning import console
from learning.console import line
from learning.errors import NotFound
from learning.loop import Loop
from learning.model import PullRequest
from learning.pull_requests import UNFINISHED, open_pulls, read_pulls, sync
from learning.pull_upkeep import SyncReport, told
from learning.review_options import AS_JSON, WHO, app_of

pulls_cli = typer.Typer(
    pretty_exceptions_enable=False, help="Proposals as pull requests, decided where they are.", no_args_is_help=True
)
PULL = typer.Argument(..., show_default=False, help="Id of a pull request, its first characters, or its number.")


@pulls_cli.command("open")
def pulls_open(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Open pull requests for what waits and has none."""
    _print(open_pulls(app_of(ctx).loop), json)


@pulls_cli.command()
def read(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Read back what people did in open pull requests, and bring them up to date."""
    _print(read_pulls(app_of(ctx).loop), json)


@pulls_cli.command("sync")
def pulls_sync(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Read back, bring up to date, and open: what the schedule does after mining."""
    _print(sync(app_of(ctx).loop), json)


@pulls_cli.command("list")
def pulls_list(
    ctx: typer.Context,
    everything: bool = typer.Option(False, "--all", help="Finished ones too."),
    json: bool = AS_JSON,
) -> None:
    """List the pull requests that are open, and those with a conflict that somebody must look at."""
    pulls = [
        pull
        for pull in app_of(ctx).loop.store.pull_requests()
        if everything or pull.state in UNFINISHED or pull.conflicts
    ]
    if json:
        console.print_json(pulls)
        return
    if not pulls:
        console.out.print("No pull requests are open. `python -m learning pulls open` makes them of what waits.")
    for pull in pulls:
        _print_pull(pull)


@pulls_cli.command()
def show(ctx: typer.Context, pull: str = PULL, json: bool = AS_JSON) -> None:
    """Show one pull request: its proposals, its conflicts, and the text that it has."""
    loop = app_of(ctx).loop
    found = find_pull(loop, pull)
    proposals = []
    for proposal_id in found.proposals.values():
        try:
            proposals.append(loop.store.proposal(proposal_id))
        except NotFound:
            continue
    title, body = told(loop, proposals) if proposals else ("", "")
    if json:
        console.print_json({"pull": found, "proposals": proposals, "title": title, "body": body})
        return
    _print_pull(found)
    for proposal in proposals:
        console.out.print(f"  {proposal.proposal_id[:8]}  {proposal.state.value}  {line(proposal.label)}")
    for text in body.splitlines():
        console.out.print(line(text))


@pulls_cli.command()
def settle(ctx: typer.Context, pull: str = PULL, who: Optional[str] = WHO) -> None:
    """Say that the conflicts of a pull request were looked at: they are not listed any more."""
    loop = app_of(ctx).loop
    found = find_pull(loop, pull)
    loop.store.save_pull_request(replace(found, conflicts=()), who or console.user(), loop.now())
    console.out.print(f"{len(found.conflicts)} conflicts of {found.pull_id[:8]} are settled.")


def find_pull(loop: Loop, wanted: str) -> PullRequest:
    """Return the pull request with this id, beginning of an id, or number.

    Raises:
        NotFound: none is, or more than one.

    """
    pulls = loop.store.pull_requests()
    found = [pull for pull in pulls if str(pull.number) == wanted.removeprefix("#")]
    found = found or [pull for pull in pulls if wanted and pull.pull_id.startswith(wanted)]
    if len(found) != 1:
        raise NotFound(f"fits {len(found)} pull requests", f"id {wanted!r}", "take one from `pulls list --all`")
    return found[0]


def _print(report: SyncReport, json: bool) -> None:
    if json:
        console.print_json(report)
        return
    console.out.print(
        f"{len(report.opened)} opened, {len(report.updated)} updated, {len(report.finished)} finished;"
        f" {len(report.decided)} proposals decided, {len(report.releases)} live"
    )
    for pull in report.opened:
        console.out.print(f"  {pull.pull_id[:8]}  {line(pull.url)}")
    for pull_id, conflicts in report.conflicts.items():
        for conflict in conflicts:
            console.out.print(f"[yellow]conflict in {pull_id[:8]}: {line(conflict)}[/yellow]")
    for problem in report.problems:
        console.out.print(f"[yellow]warning: {line(problem)}[/yellow]")


def _print_pull(pull: PullRequest) -> None:
    count = f"{len(pull.proposals)} proposal{'s' if len(pull.proposals) != 1 else ''}"
    where = pull.url or "not opened yet"
    console.out.print(f"{pull.pull_id[:8]}  {pull.state:<7}  {count}  {line(pull.branch)}  {line(where)}")
    for conflict in pull.conflicts:
        console.out.print(f"          [yellow]conflict: {line(conflict)}[/yellow]")
