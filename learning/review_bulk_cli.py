"""The command line for many decisions at once: `python -m learning review bulk --help`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from enum import Enum
from typing import Optional

import typer
from rich.markup import escape

from learning import console, pipeline
from learning.bootstrap import App, utc_now
from learning.bulk import Done, decide_all, undo_all
from learning.errors import NotFound, ReviewError
from learning.loop import Loop
from learning.model import Action, Decision, Proposal, ProposalKind, ProposalState
from learning.review import content_mark
from learning.review_options import AS_JSON, WHO, app_of, branch_json, print_branch


class BulkAction(str, Enum):
    """What can be done with many proposals at once."""

    APPROVE = "approve"
    REJECT = "reject"
    DEFER = "defer"


def bulk(
    ctx: typer.Context,
    action: BulkAction = typer.Argument(..., show_default=False, help="What to do with each of them."),
    proposals: Optional[list[str]] = typer.Argument(None, show_default=False, help="Ids, or their first characters."),
    min_score: Optional[int] = typer.Option(None, show_default=False, help="Only those with at least this score."),
    kind: Optional[ProposalKind] = typer.Option(None, show_default=False, help="Only those of this kind."),
    reason: str = typer.Option("", help="Why; a rejection needs it.", show_default=False),
    until: Optional[datetime] = typer.Option(
        None, show_default=False, formats=["%Y-%m-%d"], help="Date (UTC) when they come back."
    ),
    until_doubled: bool = typer.Option(
        False, "--until-doubled", help="Each comes back when twice as many messages ask for it."
    ),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be decided, and what would fail."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Decide about many proposals, each on its own: by id, or all that wait with --min-score or --kind.

    One that fails does not stop the others; the exit code is 1 then. `review undo --last-bulk` takes all back.
    """
    app = app_of(ctx)
    chosen, missing = _choose(app.loop, proposals or [], min_score, kind)
    if not (yes or dry_run):
        if json:
            raise ReviewError("asks before it decides", "`review bulk --json`", "add --yes or --dry-run")
        for proposal in chosen:
            console.out.print(f"{proposal.proposal_id[:8]}  {proposal.score:>3}  {escape(proposal.label)}")
        typer.confirm(f"{action.value} {len(chosen)} proposals?", abort=True)

    def decide(proposal: Proposal) -> Decision:
        turns = app.loop.store.gap(proposal.gap_id).turns
        return Decision(
            proposal_id=proposal.proposal_id,
            action=Action(action.value),
            who=who or console.user(),
            at=utc_now(),
            reason=reason,
            defer_until=until.replace(tzinfo=timezone.utc) if until else None,
            defer_turns=2 * turns if until_doubled else None,
            seen=content_mark(proposal),  # what is mined anew while the person reads the list is left to wait
        )

    batch, done = decide_all(app.loop, chosen, decide, dry_run)
    what = "a bulk" if dry_run else f"bulk {batch}"
    _finish(
        app, what, [*done, *missing], json, files=action is BulkAction.APPROVE and not dry_run, was_done=not dry_run
    )


def undo_bulk(ctx: typer.Context, batch: str, who: str, json: bool) -> None:
    """Take every decision of a batch back and say what became of each."""
    app = app_of(ctx)
    _finish(app, f"undo of bulk {batch}", undo_all(app.loop, batch, who), json, files=True)


def _choose(
    loop: Loop, prefixes: Sequence[str], min_score: Optional[int], kind: Optional[ProposalKind]
) -> tuple[list[Proposal], list[Done]]:
    """Return the proposals that are meant, each once, and what was named but is not there."""
    if not prefixes and min_score is None and kind is None:
        raise ReviewError("names nothing", "`review bulk`", "give ids, --min-score or --kind")
    found: dict[str, Proposal] = {}
    missing: list[Done] = []
    for prefix in prefixes:
        try:
            proposal = loop.store.proposal(prefix)
            found[proposal.proposal_id] = proposal
        except NotFound as error:
            missing.append(Done(prefix, "", problem=f"{error.what}; {error.next_step}"))
    if not prefixes:
        found = {item.proposal_id: item for item in loop.store.proposals() if item.state is ProposalState.PENDING}
    chosen = [
        item
        for item in found.values()
        if (min_score is None or item.score >= min_score) and (kind is None or item.kind is kind)
    ]
    return chosen, missing


def _finish(app: App, what: str, done: Sequence[Done], json: bool, files: bool, was_done: bool = True) -> None:
    """Write the branch once, say what became of each, and end with code 1 if any failed."""
    failed = [one for one in done if one.problem]
    commit, problem = pipeline.try_branch(app.loop) if files and len(failed) < len(done) else (None, None)
    if json:
        console.print_json({"what": what, "done": list(done), **branch_json(commit, problem)})
    else:
        for one in done:
            said = f"[red]{escape(one.problem)}[/red]" if one.problem else "done" if was_done else "would be done"
            said = f"release {one.release}" if one.release is not None else said
            console.out.print(f"{escape(one.proposal_id[:8])}  {escape(one.label)}  {said}")
        console.out.print(f"{what}: {len(done) - len(failed)} of {len(done)} {'done' if was_done else 'could be done'}")
        if commit or problem:
            print_branch(app.settings.review.branch, commit, problem)
    if failed:
        raise typer.Exit(1)
