"""Approved proposals as files: what `data/learned/` holds, written so that a customer's text stays text."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from learning.labels import CHANGE_KEY
from learning.model import ANSWERING, TEACHING, Entry, Proposal, ProposalKind, content_id
from learning.texts import clean_example

# The dash is no ornament: in a file of ASCII alone Rasa would take `\\u000a` in somebody's text for a line break.
MOST_NAME = 120  # bytes of a file's name that are its label; file systems allow 255, and letters have up to four
FILE_NAME = re.compile(r"entry-.*-([0-9a-f]{16})\.yml", re.DOTALL)
HEADER = "# Written by publishing — change it in review: in a pull request with this file, or in the hub.\n"


def entry_id(proposal: Proposal) -> str:
    """Return the id of the entry that publishing `proposal` makes, as it was decided: other content, another entry."""
    answer = proposal.answer if proposal.kind in ANSWERING else None
    said = (proposal.kind.value, proposal.label, proposal.target, answer)
    return content_id("entry", proposal.proposal_id, *said, len(proposal.examples), *proposal.examples)


def render_entry(entry: Entry) -> str:
    """Return the YAML file of an entry: Rasa's own training data, or what `components.learned_importer` reads."""
    content = _training_data(entry) if entry.kind in TEACHING else {"version": "3.1", CHANGE_KEY: _change(entry)}
    writer: Any = YAML()
    writer.default_flow_style = False
    writer.width = 1_000_000  # a folded answer would make unreadable diffs
    out = io.StringIO()
    writer.dump(content, out)
    return HEADER + out.getvalue()


def _training_data(entry: Entry) -> dict[str, object]:
    examples = list(dict.fromkeys(filter(None, map(clean_example, entry.examples))))
    content: dict[str, object] = {
        "version": "3.1",
        "nlu": [
            {
                "intent": entry.label,
                "examples": LiteralScalarString("".join(f"- {example}\n" for example in examples)),
            }
        ],
    }
    if entry.kind is ProposalKind.ANSWER and entry.answer:
        # Quoted: in a plain scalar Rasa would look for environment variables such as ${HOME}.
        content["responses"] = {f"utter_{entry.label}": [{"text": DoubleQuotedScalarString(entry.answer)}]}
    return content


def _change(entry: Entry) -> dict[str, object]:
    """Return what an entry changes; its examples are evidence, and a customer's words have no business in a file."""
    parts = {"entry": entry.entry_id, "kind": entry.kind.value, "label": entry.label, "target": entry.target}
    if entry.kind is ProposalKind.REWORD:
        parts["answer"] = entry.answer
    quoted = {name: DoubleQuotedScalarString(value) for name, value in parts.items() if value}
    return {**quoted, "release": entry.release}


def render_files(entries: Sequence[Entry]) -> Mapping[str, str]:
    """Return the file of each entry by name; one file an entry, so that changes never conflict."""
    return {file_name(entry): render_entry(entry) for entry in entries}


def file_name(entry: Entry) -> str:
    """Return the name of an entry's file: its label for people, cut if it is long, and its proposal's id.

    A proposal has one live entry at most, and its file keeps its name whatever is edited but the label.
    """
    label = entry.label.replace("/", "-").encode()[:MOST_NAME].decode(errors="ignore")
    return f"entry-{label}-{entry.proposal_id}.yml"


def proposal_of(name: str) -> str | None:
    """Return the id of the proposal that a file of `data/learned/` came from, None if the name is none of those."""
    found = FILE_NAME.fullmatch(name)
    return found.group(1) if found else None
