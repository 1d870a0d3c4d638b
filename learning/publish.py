"""Approved proposals as files: what `data/learned/` holds, written so that a customer's text stays text."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from learning.model import Entry, Proposal, ProposalKind, content_id

HEADER = "# Written by publishing; change it in review, not here.\n"
MAX_EXAMPLE = 300  # characters; longer messages are stories, not examples


def entry_id(proposal: Proposal) -> str:
    """Return the id of the entry that publishing `proposal` makes."""
    return content_id("entry", proposal.proposal_id)


def clean_example(text: str) -> str:
    r"""Return a customer's text as one line of plain words for a training file.

    Brackets and braces would be read as entity annotations by Rasa, line breaks and a leading dash as new
    examples: a message such as `- x\n- intent: evil` must come out as text.
    """
    visible = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    plain = re.sub(r"[\[\]{}()|`]", " ", visible)
    return " ".join(plain.split()).lstrip("-#/*> ")[:MAX_EXAMPLE].strip()


def render_entry(entry: Entry) -> str:
    """Return the YAML file of an entry in Rasa's own training-data format."""
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
        content["responses"] = {f"utter_{entry.label}": [{"text": entry.answer}]}
    writer: Any = YAML()
    writer.default_flow_style = False
    writer.width = 4096  # a folded answer would make unreadable diffs
    out = io.StringIO()
    writer.dump(content, out)
    return HEADER + out.getvalue()


def render_files(entries: Sequence[Entry]) -> Mapping[str, str]:
    """Return the file of each entry by name; one file an entry, so that changes never conflict."""
    return {f"entry-{entry.label.replace('/', '-')}-{entry.entry_id}.yml": render_entry(entry) for entry in entries}
