"""The conversations of a filter as a file: CSV, JSON lines, or Rasa's YAML; a page at a time in memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime
from enum import Enum
from tempfile import SpooledTemporaryFile
from typing import Any

from learning.browsing import each
from learning.browsing_records import ConversationItem, Filter, Transcript, Verdict
from learning.errors import EvergreenError, ReviewError
from learning.loop import Loop
from learning.ports import TrackerEvents
from learning.test_stories import VERSION, quoted, right_intent, spoken, story
from learning.transcripts import read_item

FORMS = ("csv", "jsonl", "yaml")
# A spreadsheet takes a cell that begins so for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
IN_MEMORY = 4_000_000  # characters of stories that wait in memory; more wait in a file without a name
PIECE = 64_000  # characters that are sent at once
COLUMNS = tuple(item.name for item in fields(ConversationItem) if item.name != "cursor")


def export(loop: Loop, wanted: Filter, form: str) -> Iterator[str]:
    """Yield the conversations that fit, in pieces of a file.

    CSV has a row a conversation; JSON lines have its turns, too, redacted; YAML is training data and test stories as
    Rasa reads them: examples of the turns that people have checked, and a story of each conversation.

    Args:
        loop: the loop.
        wanted: the filter.
        form: one of `FORMS`.

    Raises:
        ReviewError: there is no such form.

    """
    writers = {"csv": _csv, "jsonl": _json_lines, "yaml": _yaml}
    if form not in writers:
        raise ReviewError("is no form of a file", f"{form[:20]!r}", f"take one of {', '.join(FORMS)}")
    return writers[form](loop, wanted)


def _csv(loop: Loop, wanted: Filter) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for item in each(loop, wanted):
        writer.writerow(_cell(getattr(item, name)) for name in COLUMNS)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    if buffer.getvalue():
        yield buffer.getvalue()


def _cell(value: object) -> str:
    """Return a cell that no spreadsheet calculates; an apostrophe in front makes it text."""
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return str(value)
    text = " ".join(map(str, value)) if isinstance(value, tuple) else str(_plain(value))
    return f"'{text}" if text.startswith(FORMULA) else text


def _json_lines(loop: Loop, wanted: Filter) -> Iterator[str]:
    for transcript in _transcripts(loop, wanted):
        data = {**_record(transcript.item), "turns": [_record(turn) for turn in transcript.turns]}
        data["note"] = transcript.note
        yield json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n"


def _record(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = _plain(asdict(value))
    found.pop("cursor", None)
    found.pop("mark", None)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, datetime) else value


def _yaml(loop: Loop, wanted: Filter) -> Iterator[str]:
    """Yield a file with two parts; the second waits on the disk, so that no conversation is read twice."""
    yield VERSION
    is_first = True
    with SpooledTemporaryFile(IN_MEMORY, "w+", encoding="utf-8") as stories:
        for transcript in _transcripts(loop, wanted):
            for example in _examples(transcript):
                yield "nlu:\n" if is_first else ""
                is_first = False
                yield example
            if transcript.turns:
                stories.write(story(transcript))
        if stories.tell():
            stories.seek(0)
            yield "stories:\n"
            yield from iter(lambda: stories.read(PIECE), "")


def _examples(transcript: Transcript) -> Iterator[str]:
    """Yield an example of each turn that people have checked; of one intent there may be many items in a file."""
    for turn in transcript.turns:
        said = spoken(turn.text)
        judged = [one for one in turn.annotations if one.verdict is not Verdict.NOTE]
        label = right_intent(turn)
        is_known = bool(judged) and (judged[-1].verdict is Verdict.RIGHT or bool(judged[-1].right))
        if said and label and is_known:
            yield f"- intent: {quoted(label)}\n  examples:\n  - text: {quoted(said)}\n"


def _transcripts(loop: Loop, wanted: Filter) -> Iterator[Transcript]:
    """Yield what is left of each conversation: a tracker store that is away leaves a note in each."""
    tracker: TrackerEvents | None = None
    for item in each(loop, wanted):
        with suppress(EvergreenError):  # said of each conversation where it is read
            tracker = tracker or loop.open_tracker()
        transcript = read_item(loop, item, tracker, with_proposals=False)
        if transcript.turns or loop.store.conversation_items([item.conversation_id]):  # else forgotten meanwhile
            yield transcript
