"""The command line of all conversations: `python -m learning conversations --help`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Optional

import typer
from rich.table import Table

from learning import browsing, console
from learning.browsing_records import ConversationItem, Filter, Transcript, TranscriptTurn
from learning.conversation_files import FORMS, export
from learning.review_options import AS_JSON, app_of
from learning.test_stories import test_story, write_story
from learning.transcripts import read

conversations_cli = typer.Typer(
    pretty_exceptions_enable=False, help="All conversations: found, read, exported.", no_args_is_help=True
)
FILTER = typer.Argument(
    None,
    metavar="[FIELD=VALUE]...",
    help="What they must fit: since, until, channel, intent, min_conf, max_conf, mood, outcome, reason, signal,"
    " feedback, text, model, state, tag, person, gap, release, again, agent. The same field again is an alternative.",
)
ID = typer.Argument(..., show_default=False, help="Id of a conversation, all 16 digits.")


@conversations_cli.command("list")
def list_conversations(
    ctx: typer.Context,
    wanted: Optional[list[str]] = FILTER,
    limit: int = typer.Option(20, min=1, max=browsing.MOST, help="How many."),
    after: Optional[str] = typer.Option(None, help="Go on behind the list that ended with this cursor."),
    json: bool = AS_JSON,
) -> None:
    """List conversations, the newest first."""
    page = browsing.find(app_of(ctx).loop, _filter(wanted), after=after, limit=limit)
    if json:
        console.print_json(page)
        return
    _table(page.items)
    total = f"{page.total:,}{'+' if page.is_more else ''}"
    more = f"; --after {page.next_cursor} goes on" if page.next_cursor else ""
    console.out.print(f"{total} conversations{more}")


@conversations_cli.command("random")
def random_conversations(
    ctx: typer.Context,
    wanted: Optional[list[str]] = FILTER,
    n: int = typer.Option(browsing.DRAWN, "-n", min=1, max=browsing.MOST, help="How many."),
    seed: int = typer.Option(0, min=0, help="The same seed draws the same ones."),
    json: bool = AS_JSON,
) -> None:
    """Draw conversations for a spot check, each with the same chance."""
    drawn = browsing.random(app_of(ctx).loop, _filter(wanted), n, seed)
    if json:
        console.print_json(drawn)
    else:
        _table(drawn)


@conversations_cli.command()
def show(
    ctx: typer.Context,
    conversation: str = ID,
    story: bool = typer.Option(False, "--story", help="Print it as a test story."),
    write: bool = typer.Option(False, "--write", help="Write the test story into the project."),
    json: bool = AS_JSON,
) -> None:
    """Show a conversation: what was said, how it was understood, what the bot did."""
    app = app_of(ctx)
    transcript = read(app.loop, conversation)
    if write:
        console.out.print(f"wrote {console.line(str(write_story(app.settings.root, transcript)))}")
    elif story:
        sys.stdout.write(test_story(transcript))
    elif json:
        console.print_json(transcript)
    else:
        _show(transcript)


@conversations_cli.command("export")
def export_conversations(
    ctx: typer.Context,
    wanted: Optional[list[str]] = FILTER,
    form: str = typer.Option("csv", help=f"One of {', '.join(FORMS)}."),
    to: Optional[Path] = typer.Option(None, help="File to write; without it they are printed."),
) -> None:
    """Write conversations to a file: CSV, JSON lines with their turns, or Rasa's YAML."""
    pieces = export(app_of(ctx).loop, _filter(wanted), form)
    if to is None:
        sys.stdout.writelines(pieces)
        return
    with to.open("w", encoding="utf-8", newline="") as file:
        file.writelines(pieces)
    console.out.print(f"wrote {console.line(str(to))}")


def _filter(wanted: Optional[list[str]]) -> Filter:
    """Return what was typed as a filter; raise `BadParameter` for what is none."""
    known = set(Filter.__dataclass_fields__)
    pairs = []
    for text in wanted or ():
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise typer.BadParameter(f"{text!r} is no filter; write FIELD=VALUE with one of {', '.join(sorted(known))}")
        pairs.append((name, value))
    return Filter.from_params(pairs)


def _table(items: tuple[ConversationItem, ...]) -> None:
    if not items:
        console.out.print("No conversation fits.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "last message", "channel", "turns", "outcome", "lowest", "state", "begins with"):
        right = heading in ("turns", "lowest")
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading != "begins with")
    for item in items:
        lowest = "" if item.lowest_confidence is None else f"{item.lowest_confidence:.2f}"
        when = f"{item.last_at:%Y-%m-%d %H:%M}" if item.last_at else ""
        reason = f" ({item.reason})" if item.reason else ""
        table.add_row(
            *(item.conversation_id, when, console.line(item.channel), str(item.turns)),
            *(console.line(item.outcome + reason), lowest, item.review.value, console.line(item.opening, 60)),
        )
    console.out.print(table)


def _show(transcript: Transcript) -> None:
    item = transcript.item
    when = f"{item.last_at:%Y-%m-%d %H:%M} UTC" if item.last_at else "at an unknown time"
    reason = f", {console.line(item.reason)}" if item.reason else ""
    console.out.print(f"[bold]{item.conversation_id}[/bold]  {item.outcome}{reason}; {item.turns} turns until {when}")
    console.out.print(f"channel {console.line(item.channel)}, model {console.line(item.model) or 'unknown'}")
    if item.tags:
        console.out.print(f"tags: {console.line(', '.join(item.tags))}")
    if transcript.note:
        console.out.print(f"[yellow]{console.line(transcript.note)}[/yellow]")
    for turn in transcript.turns:
        _show_turn(turn)


def _show_turn(turn: TranscriptTurn) -> None:
    out = console.out
    out.print(f"\n{turn.at:%H:%M:%S}  customer: {console.block(turn.text, 10)}")
    understood = f"{turn.intent or 'nothing'} {turn.confidence:.2f}"
    entities = "".join(f", {one.name} {one.value}" for one in turn.entities)
    went_wrong = "".join(f", {signal.kind}" for signal in turn.signals)
    out.print(f"          [dim]{console.line(understood + entities + went_wrong)}[/dim]")
    for text in turn.reply:
        out.print(f"          bot: {console.block(text, 10)}")
    for text in turn.agent_reply:
        out.print(f"          person: {console.block(text, 10)}")
    for one in turn.annotations:
        right = f" -> {one.right}" if one.right else ""
        out.print(f"          {console.line(f'{one.who}: {one.verdict.value}{right} {one.note}')}")
