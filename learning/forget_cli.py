"""The command `python -m learning forget`."""

from __future__ import annotations

from typing import Optional

import typer
from rich.markup import escape

from learning import console
from learning.bootstrap import App
from learning.forget import Forgotten, forget

NAMES = {
    "conversations": "conversations",
    "failed_turns": "failed messages",
    "signals": "signals",
    "ratings": "ratings",
    "good_turns": "messages that went well",
    "agent_answers": "answers of agents",
    "exposures": "answers by a rollout or an experiment",
    "service_calls": "questions to back ends",
    "conversation_texts": "texts that could be searched",
    "tags": "tags",
    "annotations": "annotations",
}


def forget_command(
    ctx: typer.Context,
    sender: Optional[str] = typer.Argument(None, help="The sender, as the tracker store names it."),
    key: Optional[str] = typer.Option(None, help="The sender's pseudonym, 16 digits, in place of SENDER."),
    tracker: bool = typer.Option(False, "--tracker", help="Delete the events from Rasa's tracker store, too."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would go."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    who: Optional[str] = typer.Option(None, "--who", help="Your name in the audit log.  [default: the user's name]"),
    json: bool = typer.Option(False, "--json", help="Print JSON for programs; needs --yes or --dry-run."),
) -> None:
    """Forget a person: remove a sender from every table and from everything that was learned, and say what went."""
    if (sender is None) == (key is None):
        raise typer.BadParameter("tell either SENDER or --key")
    if json and not (yes or dry_run):
        raise typer.BadParameter("--json cannot ask: add --yes or --dry-run")
    app = ctx.obj
    assert isinstance(app, App)

    def run(dry: bool) -> Forgotten:
        return forget(app.loop, app.open_eraser, who or console.user(), sender, key, tracker, dry, app.open_desk)

    if not (yes or dry_run):
        _show(run(True))
        typer.confirm("Forget this person?", abort=True)
    report = run(dry_run)
    if json:
        console.print_json(report)
    else:
        _show(report)


def _show(report: Forgotten) -> None:
    out, erased = console.out, report.erased
    verb = "would remove" if report.dry_run else "removed"
    counts = [f"{NAMES[name]} {count}" for name, count in erased.rows.items() if count]
    if not erased.found_anything and not report.tracker_events and not report.handovers:
        out.print(f"Nothing is known of sender {erased.sender}. An id counts letter by letter, capitals included.")
    else:
        out.print(f"{verb} of sender {erased.sender}: {', '.join(counts) or 'no rows'}")
    if erased.gaps:
        out.print(f"gaps: {erased.gaps} counted anew, {erased.gaps_removed} of them gone with the person")
    if erased.texts or erased.shared:
        out.print(
            f"learned texts: {len(erased.texts)} dropped; {erased.shared} stay, because somebody else said them, too"
        )
    if erased.proposals or erased.proposals_removed or erased.decisions:
        out.print(
            f"proposals: {erased.proposals} changed, {erased.proposals_removed} gone;"
            f" {erased.decisions} decisions cleaned"
        )
    for label in erased.entries:
        out.print(f"live entry {escape(label)}: " + ("withdrawn" if label in erased.withdrawn else "lost examples"))
    if report.tracker_events is not None:
        out.print(f"tracker store: {report.tracker_events} events")
    if report.handovers:
        out.print(f"desk: {report.handovers} hand-overs with their answers and notes")
    if report.dry_run:
        out.print("Nothing was changed.")
    else:
        out.print(f"Nothing said up to {report.until:%Y-%m-%d %H:%M:%S} UTC will be read again.")
        if not report.compacted:
            out.print(
                "[yellow]warning: the database was in use, so that bytes of what was deleted are still in its files;"
                " run this again later[/yellow]"
            )
    if report.commit:
        out.print(f"branch: {report.commit[:10]}")
    for problem in report.problems:
        out.print(f"[yellow]warning: {escape(problem)}[/yellow]")
    out.print("Out of reach:")
    for sentence in report.out_of_reach:
        out.print(f"  - {escape(sentence)}")
