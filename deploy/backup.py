"""`python -m deploy.backup`: make, check and restore backups."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path

import typer

from deploy.backups import check, create, left_out, prune, restore, utc_now
from learning import console
from learning.errors import EvergreenError
from learning.review_options import AS_JSON

app = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="Backups of databases, models and what was learned. They hold customers' words: keep them safe.",
)
PROJECT = typer.Option(Path("."), help="Folder of the Rasa project.")
ARCHIVE = typer.Argument(..., show_default=False, help="A backup.")


@app.command("create")
def create_command(
    to: Path = typer.Option(Path("var/backups"), help="Folder that it goes into."),
    keep: int = typer.Option(0, min=0, help="Delete all but so many of the newest there; 0 keeps all."),
    project: Path = PROJECT,
    json: bool = AS_JSON,
) -> None:
    """Make a backup while everything runs."""
    archive = create(project, to, os.environ, utc_now())
    gone = prune(to, keep) if keep else []
    missing = left_out(project, os.environ)
    if json:
        found = {"archive": archive, "bytes": archive.stat().st_size, "deleted": gone, "left_out": missing}
        console.print_json(found)
        return
    console.out.print(f"{archive} ({archive.stat().st_size / 1e6:,.1f} MB)")
    for name, kind in missing.items():
        console.out.print(f"not in it: {name}, which is kept in {kind}; back it up with its own tools")
    for path in gone:
        console.out.print(f"deleted {path}")


@app.command("check")
def check_command(archive: Path = ARCHIVE, json: bool = AS_JSON) -> None:
    """Read a whole backup, and say what is in it."""
    manifest = check(archive)
    if json:
        console.print_json(asdict(manifest))
        return
    console.out.print(f"made {manifest.made_at}, project at {manifest.commit[:10] or 'no commit'}; sound")
    for item in manifest.items:
        console.out.print(f"  {console.line(item.name)}  {item.size:,} bytes")


@app.command("restore")
def restore_command(archive: Path = ARCHIVE, project: Path = PROJECT, json: bool = AS_JSON) -> None:
    """Put back what a backup holds; stop everything first. What is there now is backed up beside it."""
    done = restore(archive, project, os.environ, utc_now())
    if json:
        console.print_json(done)
    else:
        console.out.print(f"{len(done.items)} files are back; start everything again")
        if done.former:
            console.out.print(f"what was there before is in {done.former}")
        for problem in done.problems:
            console.out.print(f"the audit log is not sound: {console.line(problem)}")
    if done.problems:
        raise typer.Exit(3)


def run() -> None:
    """Run the command line; a known problem is one line on standard error and exit code 1."""
    try:
        app()
    except EvergreenError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    run()
