"""The command line of second readers: `python -m learning review second --help`."""

from __future__ import annotations

from typing import Optional

import typer
from rich.markup import escape

from learning import console, second_reading
from learning.agreement import Agreement
from learning.bootstrap import utc_now
from learning.errors import ReviewError
from learning.model import Action
from learning.review_options import AS_JSON, ID, WHO, app_of

second_cli = typer.Typer(
    pretty_exceptions_enable=False,
    help="Read what colleagues decided, without knowing how: it shows whether the rules are clear.",
    no_args_is_help=True,
)


@second_cli.command("list")
def list_waiting(ctx: typer.Context, who: Optional[str] = WHO, json: bool = AS_JSON) -> None:
    """List what waits for you as a second reader; nothing says what became of it."""
    loop = app_of(ctx).loop
    waiting = second_reading.waiting_for(loop, who or console.user())
    if json:
        console.print_json(waiting)
    elif waiting:
        console.show_proposals(waiting, loop.store.gaps())
    elif loop.settings.review.second_reader_share <= 0:
        console.out.print("Second readings are off: review.second_reader_share in learning.yml is 0.")
    else:
        console.out.print("Nothing waits for you.")


@second_cli.command()
def show(ctx: typer.Context, proposal: str = ID, json: bool = AS_JSON) -> None:
    """Show a proposal as the first reader saw it, without the verdict."""
    store = app_of(ctx).loop.store
    found = second_reading.blind(store.proposal(proposal))
    if json:
        console.print_json(found)
    else:
        console.show_proposal(found, store.gap(found.gap_id))


@second_cli.command()
def read(
    ctx: typer.Context,
    proposal: str = ID,
    approve: bool = typer.Option(False, "--approve", help="It should go live as it was suggested."),
    edit: bool = typer.Option(False, "--edit", help="It should go live with changes."),
    reject: bool = typer.Option(False, "--reject", help="It should not go live."),
    reason: str = typer.Option("", help="Why; --edit and --reject need it.", show_default=False),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Say what you would have decided; what is live stays as it is."""
    chosen = [
        action for action, given in ((Action.APPROVE, approve), (Action.EDIT, edit), (Action.REJECT, reject)) if given
    ]
    if len(chosen) != 1:
        raise ReviewError("needs one verdict", "`review second read`", "give --approve, --edit or --reject")
    loop = app_of(ctx).loop
    reading = second_reading.read(loop, proposal, chosen[0], who or console.user(), utc_now(), reason)
    if json:
        console.print_json(reading)
    else:
        console.out.print(f"{reading.proposal_id[:8]} is read. `review agreement` compares.")


def agreement(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Compare first and second readers: how often they differ, and Cohen's kappa."""
    loop = app_of(ctx).loop
    found, differing = second_reading.measure(loop)
    most = loop.settings.review.max_disagreement
    flagged = found.is_flagged(most)
    if json:
        counts = [{"first": one, "second": two, "count": n} for (one, two), n in sorted(found.counts.items())]
        measured = {
            "readings": found.readings,
            "disagreement": found.disagreement,
            "disagreement_interval": found.disagreement_interval,
            "kappa": found.kappa,
            "kappa_interval": found.kappa_interval,
        }
        console.print_json({**measured, "counts": counts, "flagged": flagged, "differing": differing})
        return
    _print(found)
    if flagged:
        console.out.print(
            f"[yellow]Readers differ about more than {100 * most:.0f} % of what they read: talk it over.[/yellow]"
        )
    for proposal_id in differing:
        console.out.print(f"differ about {escape(proposal_id)}")


def _print(found: Agreement) -> None:
    if not found.readings:
        console.out.print("Nothing was read a second time yet.")
        return
    low, high = (100 * limit for limit in found.disagreement_interval)
    few = ": too few to say much" if found.readings < second_reading.FEW else ""
    console.out.print(f"{found.readings} proposals were read twice{few}")
    console.out.print(f"disagreement  {100 * found.disagreement:.1f} % (95 % interval {low:.1f} to {high:.1f} %)")
    if found.kappa is None or found.kappa_interval is None:
        console.out.print("Cohen's kappa is not defined: both gave every proposal the same verdict")
    else:
        low, high = found.kappa_interval
        console.out.print(f"Cohen's kappa {found.kappa:.2f} (95 % interval {low:.2f} to {high:.2f})")
    for (first, second), count in sorted(found.counts.items()):
        console.out.print(f"  first {first:<7} second {second:<7} {count}")
