"""The command `python -m learning calibration`."""

from __future__ import annotations

import typer
from rich.table import Table

from learning import console
from learning.bootstrap import App
from learning.calibration_report import FIRM, SETTLED, Band, CalibrationReport, report

METHODS = {
    "prior": "the prior alone (nothing was decided yet)",
    "platt": "the prior's curve, moved by the decisions (Platt scaling)",
    "isotonic": "a curve learned from the decisions (isotonic regression)",
}


def calibration_command(
    ctx: typer.Context, json: bool = typer.Option(False, "--json", help="Print JSON for programs.")
) -> None:
    """Show whether scores mean what they say: how many proposals of each band were accepted, and fixed their gap.

    Accepted is what a person approved at first sight, or edited but little: the label stayed, four in five examples
    did, and the answer was at most completed. What was taken back counts as rejected; deferrals and what a policy
    decided do not count. The fix rate is the share of accepted proposals that, a week or more after they went live,
    are still live and whose gap has not come back.
    """
    app = ctx.obj
    assert isinstance(app, App)
    found = report(app.loop)
    if json:
        console.print_json(found)
    else:
        _show(found)


def _show(found: CalibrationReport) -> None:
    out = console.out
    out.print(f"{found.decided} proposals were judged, {found.accepted} of them accepted at first sight")
    out.print(f"scores come from {METHODS[found.method]}")
    table = Table(box=None, pad_edge=False)
    for heading in ("score", "judged", "accepted", "rate", "95 % interval", "mean score", "fix rate"):
        table.add_column(heading, justify="left" if heading == "score" else "right", no_wrap=True)
    for band in found.bands:
        table.add_row(*_cells(band))
    out.print(table)
    if found.ece is not None and found.brier is not None:
        few = "" if found.decided >= FIRM else f" (of {found.decided} decisions: mostly chance)"
        out.print(f"expected calibration error {found.ece:.3f}, Brier score {found.brier:.3f}{few}")
    out.print(f"fix rate: of what has been live for {SETTLED.days} days, the share whose gap has not come back")
    out.print(found.outlook)


def _cells(band: Band) -> tuple[str, ...]:
    name = f"{band.low}-{band.high}"
    if band.rate is None:
        return name, "0", "0", "-", "-", "-", "-"
    low, high = band.interval
    fixed = "-" if band.fix_rate is None else f"{100 * band.fix_rate:.0f} % of {band.released}"
    return (
        name,
        str(band.decided),
        str(band.accepted),
        f"{100 * band.rate:.0f} %",
        f"{100 * low:.0f}-{100 * high:.0f} %",
        f"{band.mean_score:.0f}",
        fixed,
    )
