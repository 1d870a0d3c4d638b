"""The command line of the audit log: `python -m learning audit --help`."""

from __future__ import annotations

import sys
import textwrap
from datetime import datetime, timezone
from pathlib import Path
from typing import Optional

import typer
from rich.markup import escape

from learning import console
from learning.audit import GENESIS, Anchor, AuditError, Verdict, verify
from learning.audit_files import Format, verify_file, write_file, write_rows
from learning.model import AuditRow
from learning.review_options import AS_JSON, app_of

WIDTH = 80  # columns
INDENT = " " * 7
TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
ANCHOR = typer.Option(
    None,
    "--anchor",
    help="What `audit head` printed once and you kept elsewhere; may be repeated.",
    metavar="SEQ:HASH",
    show_default=False,
)

audit_cli = typer.Typer(
    pretty_exceptions_enable=False, help="The append-only log of who did what.", no_args_is_help=True
)


@audit_cli.command()
def show(
    ctx: typer.Context,
    item: str = typer.Option("", help="Id of a proposal, entry or other item, or its first characters."),
    who: str = typer.Option("", help="Only what this person, policy or job did."),
    what: str = typer.Option("", help="Only one kind of row, such as publish or withdraw."),
    since: Optional[datetime] = typer.Option(None, formats=TIMES, help="From this time on (UTC)."),
    until: Optional[datetime] = typer.Option(None, formats=TIMES, help="Before this time (UTC)."),
    limit: int = typer.Option(50, min=1, help="At most so many rows."),
    json: bool = AS_JSON,
) -> None:
    """Show what was done, the newest first; times are UTC."""
    found = app_of(ctx).loop.store.read_audit(
        item=item, who=who, what=what, since=_utc(since), until=_utc(until), newest_first=True, limit=limit + 1
    )
    rows = list(found)
    if json:
        console.print_json(rows[:limit])
        return
    for row in rows[:limit]:
        _print_row(row)
    if not rows:
        console.out.print("No row fits.")
    elif len(rows) > limit:
        console.out.print(f"Older rows are not shown; --limit {2 * limit} shows more.")


@audit_cli.command("export")
def export_command(
    ctx: typer.Context,
    output: Path = typer.Option(..., "--output", "-o", help="Where to write; - is standard output."),
    format: Format = typer.Option(Format.JSONL, "--format", help="JSON lines, or CSV that no spreadsheet runs."),
) -> None:
    """Write the whole log to a file, from which `audit verify --file` can tell whether it is whole."""
    store = app_of(ctx).loop.store
    last, _ = store.audit_end()  # what comes in meanwhile is left for the next export
    rows = store.read_audit(before=last + 1)
    if str(output) == "-":
        write_rows(rows, sys.stdout, format)
        return
    count = write_file(output, lambda out: write_rows(rows, out, format))
    console.out.print(f"{count:,} rows are in {escape(str(output))}")


@audit_cli.command()
def head(ctx: typer.Context) -> None:
    """Print the newest row's number and hash: kept elsewhere, they vouch for everything up to it."""
    store = app_of(ctx).loop.store
    last, _ = store.audit_end()
    newest = next(store.read_audit(before=last + 1, newest_first=True, limit=1), None)
    typer.echo(str(Anchor(newest.seq, newest.row_hash) if newest else Anchor(0, GENESIS)))


@audit_cli.command("verify")
def verify_command(
    ctx: typer.Context,
    anchor: Optional[list[str]] = ANCHOR,
    file: Optional[Path] = typer.Option(None, "--file", help="Check a file that `audit export` wrote."),
    alone: bool = typer.Option(
        False, "--alone", help="Only the file; without it also whether this log still begins with it."
    ),
    json: bool = AS_JSON,
) -> None:
    """Check the hash chain of the log: exit code 1 if a row was altered, removed, added or moved."""
    anchors = [Anchor.parse(text) for text in anchor or ()]
    store = app_of(ctx).loop.store
    if file is None:
        if alone:
            raise AuditError("is about a file", "--alone", "name one with --file")
        verdict = verify(store, anchors)
        _tell(verdict, "The audit log", json)
    else:
        verdict = verify_file(file, anchors)
        if verdict.newest and not alone:
            verdict = _with_log(verdict, verify(store, [verdict.newest]))
        _tell(verdict, str(file), json)
    raise typer.Exit(0 if verdict.is_whole else 1)


def _with_log(file: Verdict, log: Verdict) -> Verdict:
    """Return the verdict on a file with what is wrong with the log that it was written from."""
    found = tuple(f"the log here: {problem}" for problem in log.problems)
    return Verdict(file.rows, file.newest, file.problems + found, file.unnamed + log.unnamed)


def _tell(verdict: Verdict, what: str, json: bool) -> None:
    newest = str(verdict.newest) if verdict.newest else None
    if json:
        console.print_json(
            {
                "whole": verdict.is_whole,
                "problems": verdict.sentences,
                "rows": verdict.rows,
                "newest": newest,
            }
        )
        return
    for problem in verdict.sentences:
        console.out.print(escape(problem))
    console.out.print(f"{escape(what)} is {'whole' if verdict.is_whole else 'broken'}.")
    console.out.print(f"{verdict.rows:,} rows, the newest {newest}" if newest else "It has no row.")


def _print_row(row: AuditRow) -> None:
    move = f"{row.before} -> {row.after}" if row.before or row.after else ""
    first = f"{row.seq:>5}  {row.at:%Y-%m-%d %H:%M}  {row.what:<14} {row.item:<16}  {move}"
    console.out.print(escape(" ".join(console.visible(first).splitlines()).rstrip()[:WIDTH]))
    said = f"{row.who}: {row.reason}" if row.reason else row.who
    for part in textwrap.wrap(" ".join(console.visible(said).split()), WIDTH - len(INDENT)):
        console.out.print(f"{INDENT}{escape(part)}")


def _utc(at: Optional[datetime]) -> Optional[datetime]:
    return at.replace(tzinfo=timezone.utc) if at else None
