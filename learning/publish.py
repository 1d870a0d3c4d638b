"""Approved proposals as files: what `data/learned/` holds, written so that a customer's text stays text."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from learning.model import Entry, Proposal, ProposalKind, content_id
from learning.texts import clean_example

# The dash is no ornament: in a file of ASCII alone Rasa would take `\\u000a` in somebody's text for a line break.
HEADER = "# Written by publishing — change it in review, not here.\n"


def entry_id(proposal: Proposal) -> str:
    """Return the id of the entry that publishing `proposal` makes."""
    return content_id("entry", proposal.proposal_id)


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
        # Quoted: in a plain scalar Rasa would look for environment variables such as ${HOME}.
        content["responses"] = {f"utter_{entry.label}": [{"text": DoubleQuotedScalarString(entry.answer)}]}
    writer: Any = YAML()
    writer.default_flow_style = False
    writer.width = 4096  # a folded answer would make unreadable diffs
    out = io.StringIO()
    writer.dump(content, out)
    return HEADER + out.getvalue()


def render_files(entries: Sequence[Entry]) -> Mapping[str, str]:
    """Return the file of each entry by name; one file an entry, so that changes never conflict."""
    return {f"entry-{entry.label.replace('/', '-')}-{entry.entry_id}.yml": render_entry(entry) for entry in entries}
