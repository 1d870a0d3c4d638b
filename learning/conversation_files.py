"""The conversations of a filter as a file: CSV, JSON lines, or Rasa's YAML; a page at a time in memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import datetime
from enum import Enum
from typing import Any

from learning.browsing import each
from learning.browsing_records import ConversationItem, Filter, Transcript, Verdict
from learning.errors import NotFound, ReviewError
from learning.loop import Loop
from learning.test_stories import VERSION, quoted, right_intent, spoken, story
from learning.transcripts import read

FORMS = ("csv", "jsonl", "yaml")
# A spreadsheet takes a cell that begins so for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
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
    """Yield a file with two parts; each is a walk of its own, so that neither has to be kept in memory."""
    yield VERSION
    is_first = True
    for transcript in _transcripts(loop, wanted):
        for turn in transcript.turns:
            said = spoken(turn.text)
            judged = [one for one in turn.annotations if one.verdict is not Verdict.NOTE]
            label = right_intent(turn)
            is_known = bool(judged) and (judged[-1].verdict is Verdict.RIGHT or bool(judged[-1].right))
            if said and label and is_known:
                yield "nlu:\n" if is_first else ""
                is_first = False
                # Items of one intent may be many in a file: Rasa unites them.
                yield f"- intent: {quoted(label)}\n  examples:\n  - text: {quoted(said)}\n"
    is_first = True
    for transcript in _transcripts(loop, wanted):
        if transcript.turns:
            yield "stories:\n" if is_first else ""
            is_first = False
            yield story(transcript)


def _transcripts(loop: Loop, wanted: Filter) -> Iterator[Transcript]:
    for item in each(loop, wanted):
        try:
            yield read(loop, item.conversation_id)
        except NotFound:
            continue  # forgotten since the list was read
