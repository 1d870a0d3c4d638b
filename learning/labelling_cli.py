"""The command line of labelling: `python -m learning labels --help`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Optional

import typer
from rich.markup import escape

from learning import console
from learning.bootstrap import App
from learning.label_files import LabelFileError, labeling_config, write_csv, write_label_studio
from learning.label_tasks import What, labels_to_choose, tasks_to_label
from learning.labelling import Imported, import_labels
from learning.loop import Loop

SHOWN = 20  # conflicts and mistaken examples that are printed

labels_cli = typer.Typer(
    pretty_exceptions_enable=False,
    help="Label messages with Label Studio or a spreadsheet, and turn the labels into proposals.",
    no_args_is_help=True,
)


class Format(str, Enum):
    """How messages to label are written."""

    LABEL_STUDIO = "label-studio"
    CSV = "csv"


@labels_cli.command("export")
def export_command(
    ctx: typer.Context,
    file: Path = typer.Argument(..., help="Where to write.", show_default=False),
    format: Format = typer.Option(
        Format.LABEL_STUDIO, "--format", help="Label Studio's JSON, or CSV for spreadsheets."
    ),
    what: What = typer.Option(
        What.GAPS, "--what", help="Messages that failed, examples that are proposed, or what is trained and live."
    ),
) -> None:
    """Write messages to label, redacted, each with what the machine makes of it."""
    loop = _loop(ctx)
    tasks = tasks_to_label(loop, what)
    # Whole or not at all: half a file would look like a small one.
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as out:
            count = (write_csv if format is Format.CSV else write_label_studio)(tasks, out)
        part.replace(file)
    except OSError as error:
        raise LabelFileError(f"cannot be written ({error.strerror})", str(file), "name another file") from error
    finally:
        part.unlink(missing_ok=True)
    console.out.print(f"{count} messages to label are in {escape(str(file))}")
    if format is Format.LABEL_STUDIO:
        console.out.print("Label Studio shows them with the interface that `python -m learning labels config` prints.")


@labels_cli.command("config")
def config_command(ctx: typer.Context) -> None:
    """Print the labeling interface for Label Studio's project settings (Labeling Interface, Code)."""
    typer.echo(labeling_config(labels_to_choose(_loop(ctx))), nl=False)


@labels_cli.command("import")
def import_command(
    ctx: typer.Context,
    file: Path = typer.Argument(
        ..., help="What Label Studio exported (JSON, JSON-MIN, CSV, TSV), or the filled-in CSV.", show_default=False
    ),
    skip_conflicts: bool = typer.Option(
        False,
        "--skip-conflicts",
        help="Leave out messages that people label differently, instead of refusing the file.",
    ),
    skip_unknown: bool = typer.Option(
        False, "--skip-unknown", help="Leave out messages that are not known any more, instead of refusing the file."
    ),
    who: Optional[str] = typer.Option(None, "--who", help="Your name in the audit log.  [default: the user's name]"),
    json: bool = typer.Option(False, "--json", help="Print JSON for programs."),
) -> None:
    """Turn labels into proposals that wait for a review: all of the file, or nothing where anything is wrong."""
    loop = _loop(ctx)
    imported = import_labels(loop, file, who or console.user(), loop.now(), skip_conflicts, skip_unknown)
    if json:
        console.print_json(imported)
    else:
        _show(imported)


def _show(imported: Imported) -> None:
    out = console.out.print
    out(
        f"{imported.rows} rows: {imported.moved} messages go to another label, {imported.confirmed} stay where they"
        f" are, {imported.dropped} teach nothing, {imported.waiting} have no label yet"
    )
    if imported.unknown:
        out(f"{imported.unknown} are not known any more, and were left out")
    if imported.decided:
        out(f"{imported.decided} have the label of a proposal that was decided meanwhile, and change nothing")
    for number, conflict in enumerate(imported.conflicts):
        if number == SHOWN:
            out(f"and {len(imported.conflicts) - SHOWN} more conflicts; --json names them all")
            break
        out(f"[yellow]left out, people disagree:[/yellow] {escape(conflict)}")
    if imported.mistaken:
        out("Examples that are trained or live, and that people label otherwise; correct them where they are:")
    for mistaken in imported.mistaken[:SHOWN]:
        out(f"  {escape(mistaken.label)} -> {escape(mistaken.should_be)}: {escape(mistaken.text)}")
    if len(imported.mistaken) > SHOWN:
        out(f"  and {len(imported.mistaken) - SHOWN} more; --json names them all")
    for proposal_id in imported.proposals:
        out(f"proposal {proposal_id[:8]} waits: `python -m learning review show {proposal_id[:8]}`")


def _loop(ctx: typer.Context) -> Loop:
    app = ctx.obj
    assert isinstance(app, App)
    return app.loop
