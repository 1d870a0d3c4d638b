"""What the command line prints: tables for people, JSON for programs."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from learning.model import ANSWERING, LOW_SCORE, MACHINE, TEACHING, Gap, Proposal, ProposalKind
from learning.model_card import told as card_lines
from learning.retrain import RetrainReport
from learning.review import is_unsayable
from learning.status import Status


class _Console(Console):
    """Obeys nothing in what it prints: what would move the cursor or turn a text around is a space."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text with its markup rendered."""
        return super().render_str(visible(text), **options)


out = _Console(highlight=False, soft_wrap=True)
KINDS = {
    ProposalKind.ANSWER: "a new question",
    ProposalKind.EXAMPLES: "more examples of a known intent",
    ProposalKind.REWORD: "a better answer",
    ProposalKind.MERGE: "two labels become one",
    ProposalKind.RETIRE: "a label that nobody uses",
}
TARGETS = {ProposalKind.REWORD: "response:", ProposalKind.MERGE: "which takes over"}


def user() -> str:
    """Return the name of whoever runs this, for the records."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        return f"uid-{os.getuid()}"


def print_json(value: object) -> None:
    """Print a record, or a list of records, as JSON."""
    sys.stdout.write(orjson.dumps(_plain(value), option=orjson.OPT_INDENT_2).decode() + "\n")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    value = str(value) if isinstance(value, Path) else value
    # Half an emoji, which some customer's client has sent, is no JSON.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(value, str) else value


def visible(text: str) -> str:
    """Return a text with a space for each character that a terminal would obey, line breaks excepted."""
    return "".join(" " if is_unsayable(char) or char in "\t\r\u2028\u2029" else char for char in text)


def line(text: str, longest: int | None = None) -> str:
    """Return a text as markup that shows it on one line, cut to so many characters."""
    shown = " ".join(visible(text).split())
    return escape(shown if longest is None or len(shown) <= longest else shown[: longest - 1] + "…")


def block(text: str, indent: int) -> str:
    """Return a text as markup that shows its lines, from the second on indented: none can pass for another output."""
    return f"\n{' ' * indent}".join(line(one) for one in text.splitlines())


def indented(text: str) -> str:
    """Return a line as markup with its spaces as they are."""
    return escape(visible(text))


@contextmanager
def steps(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Give a function that shows the step at work: a spinner on a terminal, plain lines elsewhere."""
    if quiet:
        yield lambda step: None
    elif out.is_terminal:
        with out.status("starting") as spinner:
            yield lambda step: spinner.update(escape(step))
    else:
        yield lambda step: out.print(escape(step))


def show_proposals(proposals: list[Proposal], gaps: dict[str, Gap]) -> None:
    """Print a table of proposals."""
    if not proposals:
        out.print("No proposals wait. `python -m learning mine` looks for new ones.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "state", "score", "people", "priority", "what", "first example"):
        # Only what is read, not typed, gives way on a narrow terminal: an id that is cut off is of no use.
        narrow = heading in ("what", "first example")
        table.add_column(heading, justify="right" if heading in ("score", "people") else "left", no_wrap=not narrow)
    for proposal in proposals:
        gap = gaps[proposal.gap_id]
        score = f"{proposal.score}{' !' if proposal.score < LOW_SCORE else ''}"
        example = proposal.examples[0] if proposal.examples else ""
        state = f"{proposal.state.value}{f', {proposal.assignee}' if proposal.assignee else ''}"
        table.add_row(
            *(proposal.proposal_id[:8], line(state), score, str(proposal.people), gap.priority.value),
            *(line(proposal.label), line(example, 60)),
        )
    out.print(table)


def show_proposal(proposal: Proposal, gap: Gap) -> None:
    """Print one proposal with its evidence."""
    label, assigned = line(proposal.label), f", assigned to {proposal.assignee}" if proposal.assignee else ""
    state = f"{proposal.state.value}{line(assigned)}"
    out.print(f"[bold]{proposal.proposal_id}[/bold]  {label}  ({KINDS[proposal.kind]}, {state})")
    if proposal.target:
        out.print(f"{TARGETS[proposal.kind]} {line(proposal.target)}")
    out.print(
        f"gap: {line(gap.name)}, {gap.priority.value}; {proposal.turns} messages of {proposal.people} people"
        f" between {gap.first_seen:%Y-%m-%d %H:%M} and {gap.last_seen:%Y-%m-%d %H:%M} UTC"
    )
    parts = ", ".join(f"{part.name} {part.value:.2f} x {part.share:.2f}" for part in proposal.score_parts)
    out.print(f"score: {proposal.score} of 100, the chance that it is accepted at first sight ({parts})")
    if proposal.score < LOW_SCORE:
        out.print(f"[yellow]warning: the score is under {LOW_SCORE}; read the examples closely[/yellow]")
    if proposal.replay:
        result = proposal.replay
        changed = f", changes the wording of {result.changed}" if result.changed else ""
        out.print(
            f"replay: fixes {result.fixed} of {result.failures}, breaks {result.broken} of {result.successes}{changed}"
        )
        labels = result.broken_labels or ("",) * len(result.broken_texts)
        for text, was in zip(result.broken_texts, labels, strict=True):
            out.print(f"  would break: {line(text)}{f' (now {line(was)})' if was else ''}")
    for warning in proposal.warnings:
        out.print(f"[yellow]warning: {line(warning)}[/yellow]")
    out.print("examples:" if proposal.kind in TEACHING else "typical messages:")
    for example in proposal.examples:
        out.print(f"  - {line(example)}")
    if proposal.kind in ANSWERING:
        by = f" (worded by {line(proposal.drafter.removeprefix(MACHINE))})" if proposal.is_machine_written else ""
        answer = f"{block(proposal.answer, 8)}{by}" if proposal.answer else "none yet; write one with --answer"
        out.print(f"answer: {answer}")
        for source in proposal.sources:
            out.print(f"  from {line(source.document)} ({source.similarity:.2f}): {line(source.sentence)}")


def show_retrain(report: RetrainReport) -> None:
    """Print how a retraining ended."""
    out.print(escape(report.comparison.reason))
    for told in card_lines(report.card) if report.card and report.card.rules else ():
        out.print(f"  {indented(told)}")
    for text in report.comparison.lost:
        out.print(f"  lost:   {line(text)}")
    for text in report.comparison.gained:
        out.print(f"  gained: {line(text)}")
    if report.model is None and report.comparison.passed:
        name = report.candidate.name if report.candidate else ""
        out.print(f"The old one goes on running; `models deploy {line(name)}` makes the new one live.")
        return
    if report.model is None:
        out.print("The gate blocked the new model; the old one goes on running.")
        return
    out.print(f"now running: {report.model.name}")
    for entry in report.absorbed:
        out.print(f"absorbed: {escape(entry.label)} ({entry.entry_id[:8]})")
    for entry in report.kept:
        out.print(f"stays in the overlay: {escape(entry.label)} ({entry.entry_id[:8]})")


def show_status(status: Status) -> None:
    """Print where the loop stands."""
    out.print(
        f"conversations  {status.conversations} ({status.turns} messages, {status.failed_turns} failed,"
        f" {100 * status.failure_rate:.1f} %)"
    )
    if status.missing_conversations:
        out.print(
            f"               little data yet: {status.missing_conversations} conversations are missing for firm numbers"
        )
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(status.outcomes.items()))
    if outcomes:
        out.print(f"               {outcomes}")
    signals = ", ".join(f"{kind} {count}" for kind, count in sorted(status.signals.items()))
    out.print(f"signals        {signals or 'none'}")
    out.print(f"gaps           {len(status.gaps)}")
    for gap in status.gaps[:10]:
        came_back = "  came back" if gap.is_reopened else "  handled" if gap.handled_at else ""
        out.print(f"               {gap.priority.value:<8} {gap.people:>3} people  {line(gap.name)}{came_back}")
    proposals = ", ".join(f"{state} {count}" for state, count in sorted(status.proposals.items()))
    out.print(f"proposals      {proposals or 'none'}")
    out.print(
        f"live overlay   {len(status.live)} entries, version {status.overlay_version}; absorbed {len(status.absorbed)}"
    )
    for entry in (*status.live, *status.absorbed):
        out.print(f"               {entry.entry_id[:8]}  {entry.state.value:<9}  {escape(entry.label)}")
    for broken in status.quarantined:
        reason = f"{line(broken.entry_id[:8])}  left out by running bots: {line(broken.reason)}"
        out.print(f"[red]               {reason}[/red]")
    for name, run in (("mined", status.last_mine), ("retrained", status.last_retrain)):
        out.print(
            f"last {name:<9} {run['finished']:%Y-%m-%d %H:%M} UTC, {run['outcome']}" if run else f"last {name:<9} never"
        )
    if status.audit_problems:
        out.print(f"[red]audit          {'; '.join(status.audit_problems)}[/red]")
    else:
        out.print("audit          whole")
