"""The command line of the review: `python -m learning review --help`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import Optional

import typer
from rich.markup import escape

from learning import console, pipeline, reviewing
from learning.bootstrap import utc_now
from learning.bulk import last_batch
from learning.errors import ReviewError
from learning.evidence import read_evidence
from learning.evidence_view import show_evidence
from learning.loop import Loop
from learning.model import ANSWERING, EVERYBODY, TEACHING, Action, Decision, Proposal, ProposalKind
from learning.review import OPEN_STATES, HasChanged, already_decided, content_mark
from learning.review_bulk_cli import bulk, undo_bulk
from learning.review_options import AS_JSON, ID, app_of, branch_json
from learning.review_options import WHO as WHO
from learning.review_options import print_branch as print_branch  # `withdraw` takes and says the same
from learning.review_regroup_cli import merge, move_example, split
from learning.rollout_steps import Schedule, check_schedule, read_steps
from learning.second_cli import agreement, second_cli

MARK = 8  # characters of a mark that are shown, and at least wanted
SEEN = typer.Option(
    None,
    "--seen",
    show_default=False,
    help="The mark that `review show` printed: refused if the proposal has changed since.",
)
ROLLOUT = typer.Option(
    None,
    show_default=False,
    help="Percentages of the users that get it one after the other, such as 5,25,50,100; else as learning.yml says.",
)
HOURS = typer.Option(None, show_default=False, help="Hours from one of them to the next.")
review_cli = typer.Typer(
    pretty_exceptions_enable=False, help="Look at proposals and decide about them.", no_args_is_help=True
)
# What a release of these kinds did; of the others the label went live.
RELEASED = {
    ProposalKind.REWORD: "{label} has a new answer",
    ProposalKind.MERGE: "{target} is answered as {label} now",
    ProposalKind.RETIRE: "{label} is no longer answered",
}
review_cli.add_typer(second_cli, name="second")
for command, name in ((bulk, "bulk"), (split, "split"), (merge, "merge"), (move_example, "move-example")):
    review_cli.command(name)(command)
review_cli.command()(agreement)


@review_cli.command("list")
def review_list(
    ctx: typer.Context,
    everything: bool = typer.Option(False, "--all", help="Decided ones too."),
    mine: bool = typer.Option(False, "--mine", help="Only what is assigned to you."),
    assignee: Optional[str] = typer.Option(None, show_default=False, help="Only what is assigned to this person."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """List the proposals that wait for a decision, the best first."""
    store = app_of(ctx).loop.store
    wanted = (who or console.user()) if mine else assignee
    proposals = [
        item
        for item in store.proposals()
        if (everything or item.state in OPEN_STATES) and (wanted is None or item.assignee == wanted)
    ]
    if json:
        console.print_json(proposals)
    else:
        console.show_proposals(proposals, store.gaps())


@review_cli.command()
def show(ctx: typer.Context, proposal: str = ID, json: bool = AS_JSON) -> None:
    """Show one proposal with its evidence, and what was decided about it."""
    loop = app_of(ctx).loop
    store = loop.store
    found = store.proposal(proposal)
    evidence = read_evidence(loop, found)
    mark = content_mark(found)
    if json:
        console.print_json({**asdict(found), "mark": mark, "evidence": evidence})
        return
    console.show_proposal(found, store.gap(found.gap_id))
    if found.state in OPEN_STATES:
        console.out.print(f"mark: {mark[:MARK]}, to approve just this with --seen {mark[:MARK]}")
    show_evidence(evidence)
    for decision in store.decisions_about(found.proposal_id):
        _print_decision(decision)


@review_cli.command()
def approve(
    ctx: typer.Context,
    proposal: str = ID,
    answer: Optional[str] = typer.Option(None, show_default=False, help="Answer in place of the drafted one."),
    name: Optional[str] = typer.Option(
        None,
        show_default=False,
        help="Name of a new question, such as loyalty_points; of a merge, the label that stays.",
    ),
    seen: Optional[str] = SEEN,
    rollout: Optional[str] = ROLLOUT,
    hours: Optional[float] = HOURS,
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Approve a proposal; it is live with the next message."""
    found = app_of(ctx).loop.store.proposal(proposal)
    _check_seen(found, seen)
    schedule = _schedule(ctx, rollout, hours)
    _decide(ctx, _approval(found, who, answer, _label(found, name), None), json, schedule)


@review_cli.command()
def edit(
    ctx: typer.Context,
    proposal: str = ID,
    answer: Optional[str] = typer.Option(None, show_default=False, help="The answer as it should be."),
    name: Optional[str] = typer.Option(
        None,
        show_default=False,
        help="Name of a new question, such as loyalty_points; of a merge, the label that stays.",
    ),
    example: Optional[list[str]] = typer.Option(
        None, show_default=False, help="An example to keep or add; repeat it. Replaces all examples."
    ),
    drop: Optional[list[str]] = typer.Option(
        None, show_default=False, help="An example to leave out, as shown; repeat it."
    ),
    seen: Optional[str] = SEEN,
    rollout: Optional[str] = ROLLOUT,
    hours: Optional[float] = HOURS,
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Change a proposal and approve it so; without options it opens your $EDITOR."""
    schedule = _schedule(ctx, rollout, hours)
    store = app_of(ctx).loop.store
    found = store.proposal(proposal)
    if found.state not in OPEN_STATES:  # nobody types for nothing
        decided = store.decisions_about(found.proposal_id)
        raise already_decided(found, decided[-1] if decided else None, Action.EDIT)
    _check_seen(found, seen)
    examples = tuple(example) if example else found.examples
    unknown = [text for text in drop or () if text not in examples]
    if unknown:
        raise ReviewError("is none of its examples", f"{unknown[0]!r}", "copy it from `review show`")
    examples = tuple(text for text in examples if text not in (drop or ()))
    label = _label(found, name)
    if not (answer or name or example or drop):
        label, answer, examples = _edit_in_editor(found)
    _decide(ctx, _approval(found, who, answer, label, examples), json, schedule)


@review_cli.command()
def reject(
    ctx: typer.Context,
    proposal: str = ID,
    reason: str = typer.Option(..., show_default=False, help="Why; it is kept, and the same is not proposed again."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Reject a proposal; it does not come back."""
    _decide(ctx, Decision(proposal, Action.REJECT, who or console.user(), utc_now(), reason=reason), json)


@review_cli.command()
def defer(
    ctx: typer.Context,
    proposal: str = ID,
    until: Optional[datetime] = typer.Option(
        None, show_default=False, formats=["%Y-%m-%d"], help="Date (UTC) when it comes back."
    ),
    until_doubled: bool = typer.Option(
        False, "--until-doubled", help="Come back when twice as many messages ask for it."
    ),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Put a proposal off until a date or until its volume doubles."""
    loop = app_of(ctx).loop
    found = loop.store.proposal(proposal)
    _decide(ctx, _deferral(loop, found, until, until_doubled, who), json)


@review_cli.command()
def undo(
    ctx: typer.Context,
    proposal: Optional[str] = typer.Argument(
        None, show_default=False, help="Id of a proposal, or its first characters."
    ),
    bulk: Optional[str] = typer.Option(
        None, show_default=False, help="Every decision of the bulk with this id instead."
    ),
    last_bulk: bool = typer.Option(False, "--last-bulk", help="Every decision of the newest bulk instead."),
    reason: str = typer.Option("", help="Why; it goes into the audit log.", show_default=False),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Take a decision back: the proposal waits again as it was suggested, and what went live is withdrawn."""
    if sum((proposal is not None, bulk is not None, last_bulk)) != 1:
        raise ReviewError("names nothing, or too much", "`review undo`", "give one proposal, --bulk ID, or --last-bulk")
    if proposal is None:
        loop = app_of(ctx).loop
        undo_bulk(ctx, bulk or last_batch(loop), who or console.user(), json)
        return
    _decide(ctx, Decision(proposal, Action.UNDO, who or console.user(), utc_now(), reason=reason), json)


@review_cli.command()
def assign(
    ctx: typer.Context,
    proposal: str = ID,
    name: Optional[str] = typer.Argument(None, show_default=False, help="Who is to decide about it."),
    nobody: bool = typer.Option(False, "--nobody", help="Anybody may."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Say who is to decide about a proposal."""
    if (name is None) != nobody:
        raise ReviewError("names nobody, or both", "`review assign`", "give a name or --nobody")
    found = reviewing.assign(app_of(ctx).loop, proposal, name, who or console.user())
    if json:
        console.print_json(found)
    else:
        whose = f"assigned to {escape(name)}" if name else "anybody's"
        console.out.print(f"{found.proposal_id[:8]} is {whose}.")


# --- decisions ------------------------------------------------------------------------------------


def _schedule(ctx: typer.Context, rollout: Optional[str], hours: Optional[float]) -> Optional[Schedule]:
    """Return how somebody wants an entry to reach its users, None for what the settings say."""
    if rollout is None and hours is None:
        return None
    settings = app_of(ctx).settings.rollout
    steps = settings.steps if rollout is None else read_steps(rollout)
    return check_schedule(Schedule(steps, settings.hours if hours is None else hours))


def _decide(ctx: typer.Context, decision: Decision, json: bool, schedule: Optional[Schedule] = None) -> None:
    app = app_of(ctx)
    before = app.loop.store.proposal(decision.proposal_id)
    release = pipeline.review(app.loop, decision, schedule=schedule)
    after = app.loop.store.proposal(before.proposal_id)
    notes = reviewing.notes_on(app.loop, decision)
    changes_files = release is not None or before.state in pipeline.LIVE
    commit, problem = pipeline.try_branch(app.loop) if changes_files else (None, None)
    live = app.loop.store.entries(*pipeline.LIVE)
    entry = next((one for one in live if one.proposal_id == after.proposal_id), None)
    if json:
        outcome = {"proposal": after, "release": release, "entry": entry if release else None, "notes": notes}
        console.print_json({**outcome, **branch_json(commit, problem)})
        return
    if release is not None and entry is not None:
        done = RELEASED.get(entry.kind, "{label} is live").format(label=entry.label, target=entry.target)
        whom = "" if entry.share == EVERYBODY else f" for {entry.share} % of the users"
        console.out.print(f"Release {release.number}: {escape(done)}{whom}.")
        if entry.share < EVERYBODY:
            name = entry.entry_id[:8]
            console.out.print(
                f"It is entry {name}: `python -m learning rollout show {name}`. Its file waits for everybody."
            )
    else:
        gone = " What was live of it is withdrawn." if before.state in pipeline.LIVE else ""
        console.out.print(f"{after.proposal_id[:8]} ({escape(after.label)}) is {after.state.value}.{gone}")
    for note in notes:
        console.out.print(f"[yellow]{escape(note)}[/yellow]")
    if changes_files and not (entry is not None and entry.share < EVERYBODY):
        print_branch(app.settings.review.branch, commit, problem)


def _check_seen(found: Proposal, seen: Optional[str]) -> None:
    """Raise if a mark that the person gives is not that of the proposal as it is now."""
    if seen is None or found.state not in OPEN_STATES:  # who decided first is told by the decision itself
        return
    if len(seen) < MARK:
        raise ReviewError("is no mark", f"{seen!r}", f"give at least {MARK} characters, as `review show` prints them")
    if not content_mark(found).startswith(seen):
        raise HasChanged(found.proposal_id)


def _approval(
    found: Proposal,
    who: Optional[str],
    answer: Optional[str],
    label: Optional[str],
    examples: Optional[tuple[str, ...]],
) -> Decision:
    """Return an approval, or an edit that names only what differs from the suggestion."""
    changes = {
        "label": label if label != found.label else None,
        "answer": answer if answer != found.answer else None,
        "examples": examples if examples != found.examples else None,
    }
    changed = any(value is not None for value in changes.values())
    action = Action.EDIT if changed else Action.APPROVE
    who, mark = who or console.user(), content_mark(found)
    return Decision(found.proposal_id, action, who, utc_now(), seen=mark, **changes)  # type: ignore[arg-type]


def _deferral(
    loop: Loop, found: Proposal, until: Optional[datetime], until_doubled: bool, who: Optional[str]
) -> Decision:
    return Decision(
        proposal_id=found.proposal_id,
        action=Action.DEFER,
        who=who or console.user(),
        at=utc_now(),
        defer_until=until.replace(tzinfo=timezone.utc) if until else None,
        defer_turns=2 * loop.store.gap(found.gap_id).turns if until_doubled else None,
    )


def _print_decision(decision: Decision) -> None:
    changed = [f"name {decision.label}"] if decision.label else []
    changed += [f"{len(decision.examples)} examples"] if decision.examples is not None else []
    changed += [f"answer: {decision.answer}"] if decision.answer else []
    said = "; ".join([*changed, *([decision.reason] if decision.reason else [])])
    console.out.print(
        f"{decision.at:%Y-%m-%d %H:%M} UTC  {escape(decision.who)}: {decision.action.value}"
        f"{' (' + escape(said) + ')' if said else ''}"
    )


def _label(found: Proposal, name: Optional[str]) -> Optional[str]:
    """Return the label that a person means by a name; a new question's stands under `learned/`."""
    if name is None or found.kind is not ProposalKind.ANSWER:
        return name
    return name if "/" in name else f"learned/{name}"


def _edit_in_editor(found: Proposal) -> tuple[Optional[str], Optional[str], tuple[str, ...]]:
    """Let the person change what a proposal of its kind holds as text; raise `ReviewError` if nothing was saved."""
    draft = f"name: {found.label}\n"
    if found.kind in ANSWERING:
        draft += f"answer: {found.answer or ''}\n"
    if found.kind in TEACHING:
        draft += "examples:\n" + "".join(f"- {text}\n" for text in found.examples)
    saved = typer.edit(draft, extension=".txt")
    if saved is None:
        raise ReviewError("was not saved", "the edit", "save the file in the editor, or use --answer and --example")
    head, _, tail = saved.partition("\nexamples:\n")
    name, _, given = head.partition("\nanswer:")
    kept = tuple(line[2:].strip() for line in tail.splitlines() if line.startswith("- ") and line[2:].strip())
    label = _label(found, name.removeprefix("name:").strip()) or found.label
    return label, given.strip() or None, kept if found.kind in TEACHING else found.examples
