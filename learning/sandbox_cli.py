"""Trying a proposal on the command line: `python -m learning replay --help` and `python -m learning sandbox --help`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

import typer

from learning import console
from learning.console import block, line
from learning.exact_replay import Change, ExactReplay, exact_replay
from learning.model import Proposal, ProposalKind
from learning.review_options import app_of
from learning.sandbox import Comparison, Exchange, Sandbox, as_it_stands

SHOWN = 5
END = ("/stop", "/quit", "/exit")

PROPOSAL = typer.Argument(..., help="Id of a proposal, or its first characters.")


def replay_command(
    ctx: typer.Context,
    proposal: str = PROPOSAL,
    json: bool = typer.Option(False, "--json", help="Print JSON for programs."),
) -> None:
    """Replay a proposal through the running model: what it fixes, and what it breaks of what went well."""
    app = app_of(ctx)
    found = as_it_stands(app.loop, app.loop.store.proposal(proposal))
    with console.steps(quiet=json) as say:
        result = exact_replay(app.loop, app.trials, found, say)
    if json:
        console.print_json(result)
    else:
        show_replay(result)


def sandbox_command(
    ctx: typer.Context,
    proposal: str = PROPOSAL,
    message: Optional[list[str]] = typer.Option(None, help="Say this and end; repeat it for a conversation."),
    without: bool = typer.Option(False, "--without", help="Show what the bot answers without the proposal, too."),
    answer: Optional[str] = typer.Option(None, help="Answer to try in place of the proposed one."),
    label: Optional[str] = typer.Option(None, help="Label to try in place of the proposed one."),
    example: Optional[list[str]] = typer.Option(None, help="Examples to try in place of the proposed ones; repeat it."),
    actions: Optional[str] = typer.Option(
        None, help="URL of an action server. It really runs custom actions: without it they only say that they would."
    ),
    json: bool = typer.Option(False, "--json", help="Print one JSON list for programs; needs --message."),
) -> None:
    """Talk to the bot with a proposal applied; what is live stays as it is."""
    if json and not message:
        raise typer.BadParameter("nobody types into JSON: say something with --message", param_hint="--json")
    app = app_of(ctx)
    found = as_it_stands(app.loop, app.loop.store.proposal(proposal))
    found = with_edits(found, label, example, answer)
    with console.steps(quiet=json) as say:
        say("loading the running model")
        session = Sandbox.open(app.loop, app.trials, found, actions)
    with session:
        if json:
            console.print_json([_ask(session, text, without) for text in message or ()])
        elif message:
            for text in message:
                console.out.print(f"[bold]you[/bold]      {line(text)}")
                show_exchange(_ask(session, text, without))
        else:
            _talk(session, found, without)


def with_edits(
    proposal: Proposal, label: str | None = None, examples: Sequence[str] | None = None, answer: str | None = None
) -> Proposal:
    """Return a proposal with what is given in place of what it says."""
    return replace(
        proposal,
        label=label or proposal.label,
        examples=tuple(examples) if examples else proposal.examples,
        answer=answer or proposal.answer,
    )


def show_replay(result: ExactReplay) -> None:
    """Print what a replay has found."""
    counted = result.replay
    verb = "reaches" if result.kind is ProposalKind.REWORD else "fixes"
    console.out.print(
        f"{result.proposal_id[:8]} {verb} {counted.fixed} of {counted.failures},"
        f" breaks {counted.broken} of {counted.successes}."
    )
    if result.known:
        console.out.print(f"{result.known} of the failures are understood so already; their answer may be the problem.")
    if counted.changed:
        console.out.print(f"{counted.changed} messages that went well get the new words, too.")
    _show_changes("breaks:", result.broken)
    _show_changes("does not fix:", result.missed)
    if result.drifted:
        console.out.print(
            f"{result.drifted} messages of the sample are understood otherwise today than when they went well,"
            " and count as unbroken."
        )
    console.out.print(
        f"model {line(result.model)}: {result.loading_seconds:.1f} s to load, {result.replay_seconds:.1f} s to replay"
    )


def show_exchange(exchange: Exchange | Comparison) -> None:
    """Print what the bot answers, on both sides where there are two."""
    if isinstance(exchange, Comparison):
        _show_side("without", exchange.without)
        _show_side("with", exchange.applied)
        if not exchange.differs:
            console.out.print("[dim]         the same on both sides[/dim]")
    else:
        _show_side("bot", exchange)


def _show_changes(title: str, changes: Sequence[Change]) -> None:
    if not changes:
        return
    console.out.print(title)
    for change in changes[:SHOWN]:
        became = change.before if change.before == change.after else f"{change.before} -> {change.after}"
        console.out.print(f"  - {line(change.text)}  [dim]{line(became)}[/dim]")
    if len(changes) > SHOWN:
        console.out.print(f"  and {len(changes) - SHOWN} more; --json has them")


def _show_side(name: str, exchange: Exchange) -> None:
    for reply in exchange.replies:
        console.out.print(f"[bold]{name:8}[/bold] {block(reply.text, 9)}")
        for button in reply.buttons:
            console.out.print(f"         {line(f'[{button.title}] {button.payload}')}")
    if not exchange.replies:
        console.out.print(f"[bold]{name:8}[/bold] [dim](nothing)[/dim]")
    understood = exchange.understood
    taken = f", by entry {understood.entry[:8]}" if understood.entry else ""
    console.out.print(f"[dim]         {line(understood.label)} {understood.confidence:.2f}{taken}[/dim]")


def _ask(session: Sandbox, text: str, without: bool) -> Exchange | Comparison:
    return session.compare(text) if without else session.say(text)


def _talk(session: Sandbox, proposal: Proposal, without: bool) -> None:
    console.out.print(f"{line(proposal.label)} is applied here and nowhere else. An empty line or /stop ends it.")
    while True:
        try:
            text = console.out.input("[bold]you[/bold]      ").strip()
        except (EOFError, KeyboardInterrupt):
            console.out.print()
            return
        if not text or text in END:
            return
        show_exchange(_ask(session, text, without))
