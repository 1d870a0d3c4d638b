"""The command line of the gaps: `python -m learning gaps --help`."""

from __future__ import annotations

from collections import Counter

import typer
from rich.markup import escape
from rich.table import Table

from learning import console
from learning.bootstrap import App
from learning.errors import NotFound
from learning.history import Tried, tried_for
from learning.loop import Loop
from learning.model import Gap, GapKind, ProposalState
from learning.priority import gap_order
from learning.rollout_progress import why_stopped
from learning.texts import medoids

SHOWN = 30
READ = 500  # newest messages that `show` looks at
REPRESENTATIVES = 6
KINDS = {
    GapKind.NEW_NEED: "new need",
    GapKind.EXISTING_INTENT: "unrecognized variation",
    GapKind.WEAK_ANSWER: "weak answer",
    GapKind.CONFUSED: "confused intents",
    GapKind.UNUSED: "unused intent",
}

gaps_cli = typer.Typer(
    pretty_exceptions_enable=False, help="What customers need and the assistant cannot do.", no_args_is_help=True
)


@gaps_cli.command("list")
def list_gaps(
    ctx: typer.Context,
    everything: bool = typer.Option(False, "--all", help=f"All of them, not only the first {SHOWN}."),
    json: bool = typer.Option(False, "--json", help="Print JSON for programs."),
) -> None:
    """List the gaps, what matters most first."""
    loop = _loop(ctx)
    gaps = sorted(loop.store.gaps().values(), key=gap_order)
    if json:
        console.print_json(gaps)
        return
    if not gaps:
        console.out.print("No gaps are known. `python -m learning mine` looks for them.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "priority", "people", "week", "trend", "kind", "what"):
        # Only what is read, not typed, gives way on a narrow terminal: an id that is cut off is of no use.
        right = heading in ("people", "week", "trend")
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading not in ("kind", "what"))
    for gap in gaps if everything else gaps[:SHOWN]:
        state = " (came back)" if gap.is_reopened else " (handled)" if gap.handled_at else ""
        table.add_row(
            *(gap.gap_id[:8], gap.priority.value, str(gap.people), str(gap.week), _trend(gap)),
            *(KINDS[gap.kind], escape(gap.name) + state),
        )
    console.out.print(table)
    if not everything and len(gaps) > SHOWN:
        console.out.print(f"and {len(gaps) - SHOWN} more; --all shows them")


def _trend(gap: Gap) -> str:
    """Return how a gap grows; what nobody asked before this week has nothing to be compared with."""
    return "new" if gap.people <= gap.week else f"x{gap.trend:.1f}"


@gaps_cli.command()
def show(
    ctx: typer.Context,
    gap: str = typer.Argument(..., help="Id of a gap, or its first characters."),
    json: bool = typer.Option(False, "--json", help="Print JSON for programs."),
) -> None:
    """Show one gap: its figures, typical messages, what went wrong, and what was tried."""
    loop = _loop(ctx)
    found = find_gap(loop, gap)
    # What a release has answered since is history: what people ask now is what matters.
    since = found.handled_at if found.is_reopened else None
    turns = loop.store.turns_of_gap(found.gap_id, newest=READ, after=since)
    texts = list(dict.fromkeys(turn.text for turn in turns))
    typical = list(medoids(texts, loop.encoder.encode(texts), REPRESENTATIVES)) if texts else []
    kinds = Counter(signal.kind for turn in turns for signal in turn.signals)
    tried = tried_for(loop, [found])[found.gap_id]
    stopped = why_stopped(loop, [found.gap_id])[found.gap_id]
    waiting = [
        item.proposal_id
        for item in loop.store.proposals()
        if item.gap_id == found.gap_id and item.state in (ProposalState.PENDING, ProposalState.DEFERRED)
    ]
    if json:
        shown = {"gap": found, "typical": typical, "signals": dict(kinds), "tried": tried, "proposals": waiting}
        shown["stopped"] = stopped
        console.print_json(shown)
        return
    _print_gap(found, typical, kinds, tried)
    for sentence in stopped:
        console.out.print(f"[yellow]{escape(sentence)}[/yellow]")
    for proposal_id in waiting:
        console.out.print(f"proposal {proposal_id[:8]} waits: `python -m learning review show {proposal_id[:8]}`")


def _print_gap(gap: Gap, typical: list[str], kinds: Counter[str], tried: tuple[Tried, ...]) -> None:
    console.out.print(f"[bold]{gap.gap_id}[/bold]  {escape(gap.name)}  ({KINDS[gap.kind]}, {gap.priority.value})")
    console.out.print(
        f"{gap.turns} messages of {gap.people} people between {gap.first_seen:%Y-%m-%d} and {gap.last_seen:%Y-%m-%d};"
        f" {gap.week} people in the last week, trend x{gap.trend:.2f}"
    )
    liked = "not rated enough" if gap.satisfaction is None else f"{100 * gap.satisfaction:.0f} % good ratings"
    console.out.print(
        f"rank {gap.rank:.1f} = {gap.people} people x cost {gap.cost:.2f} x trend {gap.trend:.2f}; answer: {liked}"
    )
    console.out.print("typical messages:")
    for text in typical:
        console.out.print(f"  - {escape(text)}")
    console.out.print("signals: " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    if gap.is_reopened:
        console.out.print("[yellow]It was handled and came back; these are the messages since.[/yellow]")
    for one in tried:
        console.out.print(f"tried: {escape(one.sentence)}")


def find_gap(loop: Loop, prefix: str) -> Gap:
    """Return the gap whose id starts with `prefix`.

    Raises:
        NotFound: none does, or more than one.

    """
    found = [gap for gap_id, gap in loop.store.gaps().items() if prefix and gap_id.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    what = f"fits {len(found)} gaps" if found else "is no gap"
    raise NotFound(what, f"id {prefix!r}", "take an id from `python -m learning gaps list`")


def _loop(ctx: typer.Context) -> Loop:
    app = ctx.obj
    assert isinstance(app, App)
    return app.loop
