"""The command line: `python -m learning --help`."""

from __future__ import annotations

import gc
import logging
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Optional

import typer
from rich.markup import escape

from learning import console, pipeline
from learning.bootstrap import App, build, utc_now
from learning.errors import EvergreenError, ReviewError
from learning.forget_cli import forget_command
from learning.gaps_cli import gaps_cli
from learning.metrics import read_status
from learning.model import Action, Decision, ProposalState
from learning.nlu_cli import nlu_cli
from learning.retrain import retrain as run_retrain
from learning.scheduler import build_scheduler

cli = typer.Typer(
    pretty_exceptions_enable=False,
    help="Evergreen learns from the conversations of a Rasa assistant.",
    no_args_is_help=True,
    add_completion=False,
)
review_cli = typer.Typer(
    pretty_exceptions_enable=False, help="Look at proposals and decide about them.", no_args_is_help=True
)
audit_cli = typer.Typer(
    pretty_exceptions_enable=False, help="The append-only log of who did what.", no_args_is_help=True
)
cli.add_typer(review_cli, name="review")
cli.add_typer(audit_cli, name="audit")
cli.add_typer(gaps_cli, name="gaps")
cli.add_typer(nlu_cli, name="nlu")
cli.command("forget")(forget_command)

AS_JSON = typer.Option(False, "--json", help="Print JSON for programs.")
WHO = typer.Option(None, "--who", help="Reviewer's name in the records.  [default: the user's name]")
ID = typer.Argument(..., help="Id of a proposal, or its first characters.")
OPEN_STATES = (ProposalState.PENDING, ProposalState.DEFERRED)


@cli.callback()
def main(ctx: typer.Context, project: Path = typer.Option(Path("."), help="Folder of the Rasa project.")) -> None:
    """Read the settings of the project."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    ctx.obj = build(project)


def _app(ctx: typer.Context) -> App:
    app = ctx.obj
    assert isinstance(app, App)
    return app


@cli.command()
def mine(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Find what failed in new conversations, group it, and write proposals."""
    _collect_less_often()
    with console.steps(quiet=json) as say:
        report = pipeline.mine(_app(ctx).loop, lambda batch: say(f"read up to event {batch.last_id}"))
    if json:
        console.print_json(report)
        return
    console.out.print(
        f"{report.events} new events in {report.conversations} conversations: {report.new_signals} new signals,"
        f" {report.new_gaps} new gaps, {report.new_proposals} new proposals"
    )
    if report.corrupt_rows:
        shown = ", ".join(str(row) for row in report.corrupt_rows[:10])
        console.out.print(f"skipped {len(report.corrupt_rows)} corrupt event rows (id {shown}); the rest was mined")
    missing = _app(ctx).settings.gaps.min_conversations - report.total_conversations
    if missing > 0:
        console.out.print(f"There is little data: {missing} more conversations make the numbers firm.")


@review_cli.command("list")
def review_list(
    ctx: typer.Context, json: bool = AS_JSON, everything: bool = typer.Option(False, "--all", help="Decided ones too.")
) -> None:
    """List the proposals that wait for a decision, the best first."""
    store = _app(ctx).loop.store
    proposals = [item for item in store.proposals() if everything or item.state in OPEN_STATES]
    if json:
        console.print_json(proposals)
    else:
        console.show_proposals(proposals, store.gaps())


@review_cli.command()
def show(ctx: typer.Context, proposal: str = ID, json: bool = AS_JSON) -> None:
    """Show one proposal with its evidence."""
    store = _app(ctx).loop.store
    found = store.proposal(proposal)
    if json:
        console.print_json(found)
    else:
        console.show_proposal(found, store.gap(found.gap_id))


@review_cli.command()
def approve(
    ctx: typer.Context,
    proposal: str = ID,
    answer: Optional[str] = typer.Option(None, help="Answer in place of the drafted one."),
    name: Optional[str] = typer.Option(None, help="Name of a new question, such as loyalty_points."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Approve a proposal; it is live with the next message."""
    edited = answer is not None or name is not None
    decision = Decision(
        proposal_id=proposal,
        action=Action.EDIT if edited else Action.APPROVE,
        who=who or console.user(),
        at=utc_now(),
        answer=answer,
        label=_label(name),
    )
    _decide(ctx, decision, json)


@review_cli.command()
def edit(
    ctx: typer.Context,
    proposal: str = ID,
    answer: Optional[str] = typer.Option(None, help="The answer as it should be."),
    name: Optional[str] = typer.Option(None, help="Name of a new question, such as loyalty_points."),
    example: Optional[list[str]] = typer.Option(
        None, help="An example to keep or add; repeat it. Replaces all examples."
    ),
    drop: Optional[list[str]] = typer.Option(None, help="An example to leave out, as shown; repeat it."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Change a proposal and approve it so; without options it opens your $EDITOR."""
    found = _app(ctx).loop.store.proposal(proposal)
    examples = tuple(example) if example else found.examples
    if drop:
        unknown = [text for text in drop if text not in examples]
        if unknown:
            raise ReviewError("is none of its examples", f"{unknown[0]!r}", "copy it from `review show`")
        examples = tuple(text for text in examples if text not in drop)
    if not (answer or name or example or drop):
        name, answer, examples = _edit_in_editor(found.label, found.answer, found.examples)
    decision = Decision(
        proposal_id=found.proposal_id,
        action=Action.EDIT,
        who=who or console.user(),
        at=utc_now(),
        answer=answer,
        label=None if name == found.label else _label(name),
        examples=examples,
    )
    _decide(ctx, decision, json)


@review_cli.command()
def reject(
    ctx: typer.Context,
    proposal: str = ID,
    reason: str = typer.Option(..., help="Why; it is kept, and the same is not proposed again."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Reject a proposal; it does not come back."""
    _decide(ctx, Decision(proposal, Action.REJECT, who or console.user(), utc_now(), reason=reason), json)


@review_cli.command()
def defer(
    ctx: typer.Context,
    proposal: str = ID,
    until: Optional[datetime] = typer.Option(None, formats=["%Y-%m-%d"], help="Date (UTC) when it comes back."),
    until_doubled: bool = typer.Option(
        False, "--until-doubled", help="Come back when twice as many messages ask for it."
    ),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Put a proposal off until a date or until its volume doubles."""
    app = _app(ctx)
    found = app.loop.store.proposal(proposal)
    turns = app.loop.store.gap(found.gap_id).turns
    decision = Decision(
        proposal_id=found.proposal_id,
        action=Action.DEFER,
        who=who or console.user(),
        at=utc_now(),
        defer_until=until.replace(tzinfo=timezone.utc) if until else None,
        defer_turns=2 * turns if until_doubled else None,
    )
    _decide(ctx, decision, json)


def _decide(ctx: typer.Context, decision: Decision, json: bool) -> None:
    app = _app(ctx)
    release = pipeline.review(app.loop, decision)
    after = app.loop.store.proposal(decision.proposal_id)
    if release is None:
        if json:
            console.print_json({"proposal": after, "release": None, "commit": None})
        else:
            console.out.print(f"{after.proposal_id[:8]} is {after.state.value}.")
        return
    commit, problem = _write_branch(app)
    if json:
        console.print_json({"proposal": after, "release": release, "commit": commit, "problem": problem})
        return
    console.out.print(f"Release {release.number}: {after.label} is live.")
    if commit:
        console.out.print(f"Branch {app.settings.review.branch} has it as {commit[:10]}, to review and merge.")
    if problem:
        console.out.print(f"[yellow]warning: {escape(problem)}[/yellow]")


def _write_branch(app: App) -> tuple[Optional[str], Optional[str]]:
    """Write the branch; what is live stays so if git fails, and `publish` tries again."""
    try:
        return pipeline.write_branch(app.loop), None
    except EvergreenError as error:
        return None, str(error)


@cli.command()
def publish(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Publish what a crash left approved, and bring the review branch up to date."""
    app = _app(ctx)
    releases = pipeline.publish_waiting(app.loop)
    commit = pipeline.write_branch(app.loop)
    if json:
        console.print_json({"releases": releases, "commit": commit})
    else:
        console.out.print(f"{len(releases)} releases made; branch {commit[:10] if commit else 'was up to date'}")


@cli.command()
def withdraw(
    ctx: typer.Context,
    entry: str = typer.Argument(..., help="Id of a live or absorbed entry, or its first characters."),
    reason: str = typer.Option(..., help="Why; it goes into the audit log."),
    who: Optional[str] = WHO,
) -> None:
    """Take a published entry back at once: its examples, its answer and its file on the branch."""
    app = _app(ctx)
    absorbed = app.loop.store.entries(ProposalState.ABSORBED)
    was_absorbed = any(one.entry_id.startswith(entry) for one in absorbed)
    label = pipeline.withdraw(app.loop, entry, who or console.user(), reason)
    console.out.print(f"{label} is withdrawn.")
    if was_absorbed:
        console.out.print("The running model still knows it: `python -m learning retrain` makes one without.")
    commit, problem = _write_branch(app)
    if problem:
        console.out.print(f"[yellow]warning: {escape(problem)}[/yellow]")
    else:
        console.out.print(f"branch: {commit or 'was up to date'}")


@cli.command()
def retrain(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Train with what was published, compare on the hold-out, swap the model, absorb the overlay."""
    app = _app(ctx)
    with console.steps(quiet=json) as say:
        report = run_retrain(app.loop, app.nlu, app.server, say)
    if json:
        console.print_json(report)
    else:
        console.show_retrain(report)
    if report.model is None:
        raise typer.Exit(3)


@cli.command()
def schedule(ctx: typer.Context) -> None:
    """Mine and retrain at the cadence of learning.yml until stopped."""
    app = _app(ctx)
    logging.getLogger().setLevel(logging.INFO)
    _collect_less_often()

    def scheduled_mine() -> None:
        report = pipeline.mine(app.loop)
        pipeline.publish_waiting(app.loop)
        _write_branch(app)
        console.out.print(f"mined {report.events} events, {report.new_proposals} new proposals")

    def scheduled_retrain() -> None:
        console.show_retrain(run_retrain(app.loop, app.nlu, app.server))

    settings = app.settings.schedule
    scheduler = build_scheduler(settings, scheduled_mine, scheduled_retrain)
    console.out.print(f"mining every {settings.mine_minutes} minutes, retraining at {settings.retrain_cron} UTC")
    try:
        scheduler.start()
    except (KeyboardInterrupt, SystemExit):
        console.out.print("schedule stopped")


@cli.command()
def status(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Say where things stand."""
    found = read_status(_app(ctx).loop)
    if json:
        console.print_json(found)
    else:
        console.show_status(found)


@audit_cli.command()
def verify(ctx: typer.Context) -> None:
    """Check the hash chain of the log."""
    problems = _app(ctx).loop.store.verify_audit()
    for problem in problems:
        console.out.print(problem)
    console.out.print("The audit log is broken." if problems else "The audit log is whole.")
    raise typer.Exit(1 if problems else 0)


def _collect_less_often() -> None:
    """Tell Python's garbage collector that millions of small records are no garbage: a fifth of reading's time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _label(name: Optional[str]) -> Optional[str]:
    if name is None:
        return None
    return name if "/" in name else f"learned/{name}"


def _edit_in_editor(
    label: str, answer: Optional[str], examples: tuple[str, ...]
) -> tuple[str, Optional[str], tuple[str, ...]]:
    """Let the person change the proposal as text; raise `ReviewError` if nothing was saved."""
    draft = f"name: {label}\nanswer: {answer or ''}\nexamples:\n" + "".join(f"- {text}\n" for text in examples)
    saved = typer.edit(draft, extension=".txt")
    if saved is None:
        raise ReviewError("was not saved", "the edit", "save the file in the editor, or use --answer and --example")
    head, _, tail = saved.partition("\nexamples:\n")
    name, _, given = head.partition("\nanswer:")
    kept = tuple(line[2:].strip() for line in tail.splitlines() if line.startswith("- ") and line[2:].strip())
    return name.removeprefix("name:").strip() or label, given.strip() or None, kept


def run() -> None:
    """Run the command line; a known problem is one line on standard error and exit code 1."""
    try:
        cli()
    except EvergreenError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    run()
