"""What the review's commands share: their options, and how they say what happened."""

from __future__ import annotations

import re
from typing import Optional

import typer
from rich.markup import escape

from learning import console
from learning.bootstrap import App
from learning.errors import EvergreenError
from learning.model import Proposal

AS_JSON = typer.Option(False, "--json", help="Print JSON for programs.")
WHO = typer.Option(None, "--who", show_default=False, help="Your name in the records; without it your user name.")
SURROGATE = re.compile("[\ud800-\udfff]")  # how Python reads a byte that is no UTF-8
ID = typer.Argument(..., show_default=False, help="Id of a proposal, or its first characters.")


def app_of(ctx: typer.Context) -> App:
    """Return the application that the command line was started on.

    Raises:
        typer.BadParameter: something was typed in another encoding, and no record could hold it.

    """
    for param in ctx.command.params:
        given = ctx.params.get(str(param.name))
        for text in given if isinstance(given, (list, tuple)) else (given,):
            if isinstance(text, str) and SURROGATE.search(text):
                raise typer.BadParameter("holds a character that is no UTF-8; type it again", ctx=ctx, param=param)
    app = ctx.obj
    assert isinstance(app, App)
    return app


def print_branch(branch: str, commit: Optional[str], problem: Optional[EvergreenError]) -> None:
    """Say what became of the review branch."""
    if problem:
        console.out.print(f"[yellow]warning: {escape(str(problem))}[/yellow]")
    elif commit:
        console.out.print(f"Branch {branch} has it as {commit[:10]}, to review and merge.")
    else:
        console.out.print(f"Branch {branch} was up to date.")


def branch_json(commit: Optional[str], problem: Optional[EvergreenError]) -> dict[str, Optional[str]]:
    """Return what became of the review branch, for programs."""
    return {"commit": commit, "problem": str(problem) if problem else None}


def print_proposal(proposal: Proposal, said: str = "") -> None:
    """Print one line about a proposal: its id, its label, how much it holds, and what else is to be said."""
    counts = f"{proposal.turns} messages of {proposal.people} people, {len(proposal.examples)} examples"
    console.out.print(f"{proposal.proposal_id[:8]}  {console.line(proposal.label)}  ({counts}){said}")
