"""The pictures of docs/architecture.md say what the code says, and so do the lists of commands."""

from __future__ import annotations

import re

import click
import pytest
from typer.main import get_command

from deploy.stack import Ports
from desk.__main__ import cli as desk_cli
from learning.__main__ import cli as learning_cli
from learning.review import MOVES
from tests.docs_pages import PAGES, ROOT, blocks_of, prose_of

ARCHITECTURE = ROOT / "docs" / "architecture.md"
COMMANDS = ROOT / "docs" / "commands.md"


def diagrams(kind: str) -> list[str]:
    found = [block.text for block in blocks_of(ARCHITECTURE) if block.language == "mermaid"]
    return [text for text in found if text.startswith(kind)]


def test_the_states_of_a_proposal_are_those_of_the_code() -> None:
    (picture,) = diagrams("stateDiagram-v2")
    drawn = {tuple(pair) for pair in re.findall(r"^ +([a-z]+) --> ([a-z]+)", picture, re.MULTILINE)}

    assert drawn == {(start.value, end.value) for start, ends in MOVES.items() for end in ends}


@pytest.mark.parametrize(("part", "port"), [(name, getattr(Ports(), name)) for name in ("shop", "bot", "hub", "desk")])
def test_the_ports_are_those_of_make_run(part: str, port: int) -> None:
    (picture,) = [text for text in diagrams("flowchart") if "shopdb" in text]

    assert re.search(rf'^ +(?:.*-- )?.*\b{part}\["[^"]*:{port}\b', picture, re.MULTILINE)


def test_diagrams_open_and_close_their_parts() -> None:
    """Only mermaid itself knows its grammar; what a hand most often forgets is found here."""
    for page in PAGES:
        for block in blocks_of(page):
            if block.language == "mermaid":
                bare = re.sub(r'"[^"\n]*"', "", block.text)
                assert block.text.count('"') % 2 == 0, block.place
                for opened, closed in ("[]", "()", "{}"):
                    assert bare.count(opened) == bare.count(closed), block.place
                opening = len(re.findall(r"^ *subgraph ", bare, re.MULTILINE))
                assert opening == len(re.findall(r"^ *end$", bare, re.MULTILINE)), block.place


def test_the_list_of_commands_is_complete() -> None:
    """docs/commands.md names every command of the loop with its subcommands."""
    text = prose_of(COMMANDS)
    command = get_command(learning_cli)
    assert isinstance(command, click.Group)
    rows = [row for row in text.splitlines() if row.startswith("| `learning ")]
    missing = []
    for name, found in command.commands.items():
        below = sorted(found.commands) if isinstance(found, click.Group) else []
        said = " ".join(row.split("|")[1] for row in rows if re.search(rf"`(?:learning )?{name}\b", row.split("|")[1]))
        if not said:
            missing.append(name)
        missing += [f"{name} {sub}" for sub in below if not re.search(rf"(?<![\w-]){re.escape(sub)}(?![\w-])", said)]

    assert missing == []


def test_the_commands_of_the_desk_are_named_somewhere() -> None:
    command = get_command(desk_cli)
    assert isinstance(command, click.Group)
    text = "".join(page.read_text("utf-8") for page in PAGES)

    assert [name for name in command.commands if f"python -m desk {name}" not in text] == []
