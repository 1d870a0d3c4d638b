"""A conversation becomes a test story, as `rasa test` reads it: what the customer says, and what the bot then does.

Where redaction has put a placeholder, the story has a made-up value of the same kind, so that the story can be run:
what it stands for was never in it. What would mean something to Rasa's story reader (brackets, braces, a leading slash)
is taken out of texts, and what would mean something to YAML is quoted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from learning.browsing_records import HIDDEN, Step, StepKind, Transcript, TranscriptTurn, Verdict
from learning.errors import NotFound
from learning.texts import PLACEHOLDER, clean_example

FOLDER = Path("tests") / "stories" / "from_conversations"
VERSION = 'version: "3.1"\n'
FILLED = "filled"  # stands for a value that may not be told, as Rasa's own stories have it
# What stands for a placeholder of each kind; %d is its number.
MADE_UP = {
    "EMAIL": "person%d@example.com",
    "ORDER": "1000%d",
    "TICKET": "T-1000%d",
    "PHONE": "555 010%d",
    "NAME": "Alex",
    "ADDRESS": "%d Main Street",
    "ACCOUNT": "2000%d",
    "CARD": "4111111111111111",
    "IBAN": "DE89370400440532013000",
    "BIRTHDATE": "1 January 1990",
    "SECRET": "example-%d",
    "URL": "https://example.com/%d",
}


def test_story(transcript: Transcript) -> str:
    """Return a conversation as a file of one end-to-end test story, valid YAML whatever was said.

    A turn that a person has corrected has the intent that it should have been: the story passes once it is.

    Raises:
        NotFound: the tracker store does not have the conversation any more.

    """
    if not transcript.turns:
        item = f"conversation {transcript.item.conversation_id}"
        raise NotFound(transcript.note.rstrip(".") or "has no messages", item, "choose a newer one")
    return f"{VERSION}stories:\n{story(transcript)}"


def story(transcript: Transcript) -> str:
    """Return a conversation as one item of a list of stories."""
    lines = [f"- story: {quoted(f'conversation {transcript.item.conversation_id}')}", "  steps:"]
    for turn in transcript.turns:
        lines += _turn_lines(turn)
    return "\n".join(lines) + "\n"


def write_story(root: Path, transcript: Transcript) -> Path:
    """Write the test story of a conversation into the project; return the file, which another time writes anew.

    Raises:
        NotFound: the tracker store does not have the conversation any more.
        OSError: it cannot be written.

    """
    text = test_story(transcript)
    path = root / FOLDER / f"test_{transcript.item.conversation_id}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _turn_lines(turn: TranscriptTurn) -> Iterator[str]:
    # The whole label of a retrieval intent: its base alone would let any of its answers pass.
    intent = right_intent(turn)
    said = _with_entities(spoken(turn.text), turn)
    if said and intent:
        yield f"  - user: {quoted(said)}"
        yield f"    intent: {quoted(intent)}"
    for step in turn.steps:
        yield from _step_lines(step)


def _step_lines(step: Step) -> Iterator[str]:
    if step.kind is StepKind.ACTION:
        yield f"  - action: {quoted(step.name)}"
    elif step.kind is StepKind.LOOP:
        yield f"  - active_loop: {quoted(step.name) if step.name else 'null'}"
    elif step.kind is StepKind.PRESSED:
        yield f"  - user: {quoted(f'/{step.name}')}"
        yield f"    intent: {quoted(step.name.partition('/')[0])}"
    else:
        yield "  - slot_was_set:"
        value = FILLED if step.value == HIDDEN else step.value
        yield f"    - {quoted(step.name)}: {json.dumps(value)}"


def right_intent(turn: TranscriptTurn) -> str:
    """Return the label that a turn should have: what people last said, or else what it was understood as."""
    judged = [one for one in turn.annotations if one.verdict is not Verdict.NOTE]
    if judged and judged[-1].verdict is Verdict.WRONG and judged[-1].right:
        return judged[-1].right
    return turn.intent


def spoken(text: str) -> str:
    """Return a redacted message as words that a story or an example may hold, with made-up values in it."""
    return clean_example(PLACEHOLDER.sub(_made_up, text))


def _made_up(found: re.Match[str]) -> str:
    kind, _, number = found.group().strip("<>").rpartition("_")
    value = MADE_UP.get(kind, kind.lower())
    return value % int(number) if "%d" in value else value


def _with_entities(said: str, turn: TranscriptTurn) -> str:
    """Return a message with its entities marked as Rasa writes them, where it can be told where they stand."""
    hidden = [one for one in turn.entities if one.value == HIDDEN]
    placeholders = [_made_up(found) for found in PLACEHOLDER.finditer(turn.text)]
    pairs = [(one.value, one.name) for one in turn.entities if one.value not in ("", HIDDEN)]
    if len(hidden) == len(placeholders):
        pairs += [(value, one.name) for value, one in zip(placeholders, hidden, strict=True)]
    spans: list[tuple[int, int, str]] = []
    for value, name in pairs:
        found = re.search(rf"(?<!\w){re.escape(clean_example(value))}(?!\w)", said, re.IGNORECASE)
        if found and found.group() and all(found.end() <= begin or found.start() >= end for begin, end, _ in spans):
            spans.append((found.start(), found.end(), re.sub(r"[^\w-]", "_", name)))
    for begin, end, name in sorted(spans, reverse=True):
        said = f"{said[:begin]}[{said[begin:end]}]({name}){said[end:]}"
    return said


def quoted(text: str) -> str:
    """Return a text as a YAML string: JSON's strings are YAML's, and ASCII holds nothing that YAML refuses."""
    return json.dumps(text, ensure_ascii=True)
