"""The evidence for a proposal, printed for people."""

from __future__ import annotations

from collections.abc import Mapping

from learning import console
from learning.console import line
from learning.evidence import Evidence, Sample, Speaker

NAMES = {Speaker.CUSTOMER: "customer", Speaker.BOT: "bot", Speaker.AGENT: "agent"}
LONGEST = 400  # characters of a line that are shown


def show_evidence(evidence: Evidence) -> None:
    """Print the evidence: figures, what is answered now, what agents answered, and conversations."""
    out = console.out.print
    out(
        f"evidence: {evidence.turns} messages of {evidence.people} people,"
        f" {evidence.since:%Y-%m-%d %H:%M} to {evidence.until:%Y-%m-%d %H:%M} UTC"
    )
    for what, counts in (
        ("channels", evidence.channels),
        ("signals", evidence.signals),
        ("understood as", evidence.understood_as),
    ):
        if counts:
            out(f"  {what}: {_counts(counts)}")
    if 0 < evidence.counted < evidence.turns:
        out(f"  (counted over the newest {evidence.counted} messages)")
    for use in evidence.uses:
        out(f"  {line(use.label)} was last understood on {use.last_at:%Y-%m-%d %H:%M} UTC")
    for answer in evidence.answers:
        out(f"the bot answers {line(answer.label)} now with: {line(answer.text, LONGEST)}")
    if evidence.agent_replies:
        out("people at the desk answered:")
    for reply in evidence.agent_replies:
        times = f"{reply.times} times, last on" if reply.times > 1 else "on"
        marked = "; an agent said: the assistant should have said this" if reply.recommended else ""
        out(f"  - {line(reply.text, LONGEST)} ({times} {reply.last_at:%Y-%m-%d}{marked})")
    for number, sample in enumerate(evidence.samples, start=1):
        _show_sample(number, sample)
    if evidence.missing and evidence.samples:
        out(f"({evidence.missing} more are no longer in the tracker store)")
    if evidence.note:
        out(line(evidence.note))


def _show_sample(number: int, sample: Sample) -> None:
    where = f" on {line(sample.channel)}" if sample.channel else ""
    what = f": {', '.join(sample.signals)}" if sample.signals else ""
    console.out.print(f"conversation {number}, {sample.at:%Y-%m-%d %H:%M} UTC{where}{what}")
    for said in sample.lines:
        text = f"{NAMES[said.speaker]:>10}: {line(said.text, LONGEST)}"
        console.out.print(f"[bold]{text}[/bold]  <- failed" if said.failed else text)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{line(name)} {count}" for name, count in counts.items())
