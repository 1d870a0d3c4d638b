"""What continuous integration calls: `python -m learning gate --base origin/main`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Optional

import typer

from learning import console
from learning.bootstrap import App
from learning.console import line
from learning.gate import GateReport, run_gate
from learning.gate_rules import NAMES
from learning.gate_view import render_gate
from learning.review_options import AS_JSON, app_of

FAILED = 3


def gate_command(
    ctx: typer.Context,
    base: str = typer.Option(..., show_default=False, help="Commit or branch to compare with, such as origin/main."),
    base_model: Optional[Path] = typer.Option(
        None, show_default=False, exists=True, dir_okay=False, help="A model of the base; without it one is trained."
    ),
    allow_retire: bool = typer.Option(
        False, "--allow-retire", help="Let the change retire labels that held-out messages have."
    ),
    out: Optional[Path] = typer.Option(None, show_default=False, help="Write the Markdown to this file, too."),
    markdown: bool = typer.Option(False, "--markdown", help="Print Markdown for a comment."),
    json: bool = AS_JSON,
) -> None:
    """Validate a change of the training data, train with and without it, compare; exit code 3 if it is worse."""
    app = app_of(ctx)
    with tempfile.TemporaryDirectory(prefix="evergreen-gate-") as scratch, console.steps(json or markdown) as say:
        before: App = app.export(base, Path(scratch) / "base")
        work = Path(scratch) / "models"
        report = run_gate(before.side, app.side, app.nlu.validate, work, base_model, allow_retire, say)
    if out:
        out.write_text(render_gate(report), "utf-8")
    if json:
        console.print_json(report)
    elif markdown:
        sys.stdout.write(render_gate(report))
    else:
        _show(report)
    if not report.passed:
        raise typer.Exit(FAILED)


def _show(report: GateReport) -> None:
    console.out.print(f"gate {'passed' if report.passed else 'failed'}: {line(report.reason)}")
    for problem in report.problems:
        console.out.print(f"  {line(problem)}")
    for rule in report.rules:
        console.out.print(f"  {rule.state.value:<13} {NAMES[rule.name]}: {line(rule.sentence)}")
    for item in report.labels:
        console.out.print(f"  {line(item.label)}: {item.before} -> {item.after} of {item.total}")
    for text in report.comparison.lost if report.comparison else ():
        console.out.print(f"  lost: {line(text)}")
