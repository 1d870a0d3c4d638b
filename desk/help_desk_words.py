"""What another help desk is told when a hand-over is opened there."""

from __future__ import annotations

from desk.model import Handover, Transcript

LONGEST = 60_000  # characters; Zendesk takes 65,535 a comment
NAMES = {"customer": "Customer", "assistant": "Assistant", "desk": "Desk"}


def opening_text(handover: Handover, transcript: Transcript) -> str:
    """Return reason, card and conversation as plain text, of a very long one the newest part."""
    facts = [
        f"Reason: {handover.reason.value.replace('_', ' ')}",
        f"About: {handover.about}" if handover.about else "",
        f"Ticket: {handover.reference}" if handover.reference else "",
        f"Mood: {handover.mood:.1f} of 1",
    ]
    verified = [f"Signed in as {name}: {value}" for name, value in transcript.verified]
    told = [f"Told by the customer, {name}: {value}" for name, value in transcript.slots]
    said = [line for line in transcript.lines if line.who != "event"]
    lines = [f"{NAMES.get(line.who) or line.name or 'Agent'}: {line.text}" for line in said]
    head = "\n".join(filter(None, [*facts, *verified, *told]))
    return f"{head}\n\n" + "\n".join(lines)[-(LONGEST - len(head)) :]
