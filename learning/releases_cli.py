"""`python -m learning releases`, `withdraw`, `restore`, `rollback`: what went live, and taking it back."""

from __future__ import annotations

from typing import Optional

import typer
from rich.table import Table

from learning import console, pipeline
from learning.bootstrap import App
from learning.effect_words import DOUBTS, details, told
from learning.effects import Effect, effect_of_release
from learning.metrics_files import effect_to_plain
from learning.model import Entry, ProposalKind, ProposalState, Release
from learning.release_view import Item, ReleaseView, items_of, read_release, read_releases
from learning.releasing import withdraw_entry
from learning.review_options import AS_JSON, WHO, app_of, branch_json, print_branch

releases_cli = typer.Typer(
    pretty_exceptions_enable=False, help="What went live and away, one numbered release a step.", no_args_is_help=True
)
REASON = typer.Option("", "--reason", show_default=False, help="Why; it goes into the audit log.")
DRY_RUN = typer.Option(False, "--dry-run", help="Say what would happen, and change nothing.")


@releases_cli.command("list")
def list_releases(
    ctx: typer.Context,
    limit: int = typer.Option(20, min=1, help="How many of the newest are shown."),
    json: bool = AS_JSON,
) -> None:
    """List the releases, the newest first."""
    views = read_releases(app_of(ctx).loop)
    if json:
        console.print_json([_plain(view) for view in views[:limit]])
        return
    if not views:
        console.out.print("Nothing was released yet.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("no.", "when (UTC)", "what", "who", "changes"):
        table.add_column(heading, justify="right" if heading == "no." else "left", no_wrap=heading != "changes")
    for view in views[:limit]:
        release, told = view.release, "; ".join(f"{console.line(item.label)} {item.effect}" for item in view.items[:3])
        more = f"; and {len(view.items) - 3} more" if len(view.items) > 3 else ""
        back = f" (taken back by {view.taken_back_by})" if view.taken_back_by else ""
        table.add_row(
            str(release.number),
            f"{release.at:%Y-%m-%d %H:%M}",
            _what(release),
            console.line(release.who, 20),
            f"{told}{more}{back}",
        )
    console.out.print(table)
    if len(views) > limit:
        console.out.print(f"{len(views) - limit} older ones: `releases list --limit {len(views)}`")


@releases_cli.command()
def show(
    ctx: typer.Context,
    number: int = typer.Argument(..., show_default=False, help="Number of a release."),
    json: bool = AS_JSON,
) -> None:
    """Show what a release changed, what came of it before and after, and the diff of its files."""
    loop = app_of(ctx).loop
    view, effect = read_release(loop, number), effect_of_release(loop, number)
    if json:
        console.print_json({**_plain(view), "diff": view.diff, "effect": effect_to_plain(effect)})
        return
    release = view.release
    console.out.print(
        f"[bold]release {release.number}[/bold]  {_what(release)}, by {console.line(release.who)}"
        f" on {release.at:%Y-%m-%d at %H:%M} UTC"
    )
    if release.reason:
        console.out.print(f"why: {console.line(release.reason)}")
    if view.taken_back_by:
        console.out.print(f"It was taken back by release {view.taken_back_by}.")
    for item in view.items:
        _show_item(item)
    _show_effect(effect)
    carried = {
        None: "not written to the branch yet: `python -m learning publish`",
        "": "nothing to write: the base has it already, or it is not for everybody yet",
    }
    console.out.print(f"git: {carried.get(release.commit) or f'commit {str(release.commit)[:10]}'}")
    if view.diff:
        console.out.print("")
        for line in view.diff.splitlines():
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
            shown = console.line(line) if not line.startswith((" ", "+ ", "- ")) else console.indented(line)
            console.out.print(f"[{style}]{shown}[/{style}]" if style else shown)


def withdraw(
    ctx: typer.Context,
    entry: str = typer.Argument(..., help="Id of a live or absorbed entry, or its first characters."),
    reason: str = typer.Option(..., help="Why; it goes into the audit log."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Take a published entry back at once: its examples, its answer, what hangs on it, and its file on the branch."""
    app = app_of(ctx)
    taken, release = withdraw_entry(app.loop, entry, who or console.user(), reason)
    label = taken.label
    _tell(app, release, json, {"withdrawn": label}, f"{console.line(label)} is withdrawn.")


def restore(
    ctx: typer.Context,
    entry: str = typer.Argument(..., show_default=False, help="Id of a withdrawn entry, or its first characters."),
    reason: str = REASON,
    who: Optional[str] = WHO,
    dry_run: bool = DRY_RUN,
    json: bool = AS_JSON,
) -> None:
    """Bring a withdrawn entry back at once, to the users that had it, with what hung on it."""
    app = app_of(ctx)
    if dry_run:
        _tell_plan(app, pipeline.plan_restore(app.loop, entry), json)
        return
    release = pipeline.restore(app.loop, entry, who or console.user(), reason)
    _tell(app, release, json, {}, "It is live again.")


def rollback(
    ctx: typer.Context,
    release: Optional[int] = typer.Argument(None, show_default=False, help="Number of the release to take back."),
    to: Optional[int] = typer.Option(
        None, "--to", show_default=False, help="Take back all that came after this release; 0 is before the first."
    ),
    reason: str = REASON,
    who: Optional[str] = WHO,
    dry_run: bool = DRY_RUN,
    json: bool = AS_JSON,
) -> None:
    """Take one release back at once, exactly its changes; or all since a release. It becomes a release of its own."""
    if (release is None) == (to is None):
        raise typer.BadParameter("name one release to take back, or one to go back to with --to")
    app, name = app_of(ctx), who or console.user()
    if dry_run:
        plan = (
            pipeline.plan_rollback(app.loop, release)
            if release is not None
            else pipeline.plan_roll_back_to(app.loop, to or 0)
        )
        _tell_plan(app, plan, json)
        return
    if release is not None:
        made = pipeline.rollback(app.loop, release, name, reason)
        _tell(app, made, json, {"undoes": release}, f"Release {release} is taken back.")
    else:
        made = pipeline.roll_back_to(app.loop, to or 0, name, reason)
        _tell(app, made, json, {"to": to}, f"What is live is what was live after release {to}.")


# --- telling ------------------------------------------------------------------------------------------


def _tell(app: App, release: Release, json: bool, more: dict[str, object], headline: str) -> None:
    """Write the branch and say what a release did."""
    commit, problem = pipeline.try_branch(app.loop)
    view = read_release(app.loop, release.number)
    held = [item.entry for item in view.items if item.entry is not None and item.entry.held_by]
    if json:
        in_model = bool(held)
        console.print_json({**more, "in_the_model": in_model, **_plain(view), **branch_json(commit, problem)})
        return
    console.out.print(headline)
    console.out.print(f"release {release.number}: {'; '.join(_sentence(item) for item in view.items)}")
    for entry in held:
        console.out.print(f"[yellow]{_still_known(entry)}[/yellow]")
    print_branch(app.settings.review.branch, commit, problem)


def _tell_plan(app: App, plan: pipeline.Plan, json: bool) -> None:
    items = items_of(app.loop, plan.changes)
    if json:
        console.print_json({"would_change": [_plain_item(item) for item in items], "left_out": list(plan.left_out)})
        return
    for item in items:
        label, change = console.line(item.label), item.change
        console.out.print(f"would bring {label} ({change.item_id[:8]}) from {change.before} to {change.after} %")
    for left_out in plan.left_out:
        console.out.print(console.line(left_out))


def _still_known(entry: Entry) -> str:
    """Return what the running model still does with a withdrawn entry, and what ends that."""
    label, ends = console.line(entry.label), "until `python -m learning retrain` or `models rollback`"
    if entry.kind is ProposalKind.ANSWER:
        return f"{label} is answered no more; the running model still takes messages for it {ends}."
    if entry.kind is ProposalKind.EXAMPLES:
        return f"The running model was trained with the examples of {label} and goes on understanding them {ends}."
    return f"The running model was trained with the change of {label} and keeps to it {ends}."


def _show_item(item: Item) -> None:
    console.out.print(f"  {_sentence(item)}")
    entry = item.entry
    if entry is None:
        return
    state = entry.state.value
    if entry.state is not ProposalState.WITHDRAWN and entry.share < 100:
        state += f", {entry.share} % of the users"
    console.out.print(f"    entry {entry.entry_id}, {console.KINDS[entry.kind]}; now {state}")
    if entry.target:
        console.out.print(f"    {console.TARGETS[entry.kind]} {console.line(entry.target)}")
    if entry.answer:
        console.out.print(f"    answer: {console.block(entry.answer, 12)}")
    for example in entry.examples[:5]:
        console.out.print(f"    - {console.line(example, 100)}")
    if len(entry.examples) > 5:
        console.out.print(f"    and {len(entry.examples) - 5} more examples")


def _show_effect(effect: Effect) -> None:
    for need in effect.needs:
        console.out.print(f"  effect on {console.line(need.label)}: {told(need)}")
        for detail in details(need):
            console.out.print(f"    {detail}")
    if any(need.ratio is not None for need in effect.needs):
        console.out.print(f"  [dim]{DOUBTS}[/dim]")


def _sentence(item: Item) -> str:
    return f"{console.line(item.label)} ({item.change.item_id[:8]}) {item.effect}"


def _what(release: Release) -> str:
    return f"{release.what.value} of {release.undoes}" if release.undoes else release.what.value


def _plain(view: ReleaseView) -> dict[str, object]:
    release = view.release
    return {
        "release": release.number,
        "what": release.what.value,
        "who": release.who,
        "at": release.at,
        "reason": release.reason,
        "undoes": release.undoes,
        "taken_back_by": view.taken_back_by,
        "commit": release.commit,
        "changes": [_plain_item(item) for item in view.items],
    }


def _plain_item(item: Item) -> dict[str, object]:
    kind = item.entry.kind.value if item.entry else "experiment" if item.experiment else ""
    told = {"item": item.change.item_id, "kind": kind, "label": item.label}
    return {**told, "before": item.change.before, "after": item.change.after}
