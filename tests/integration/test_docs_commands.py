"""Every command that README and docs/ show exists, with these options and as many arguments."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from tests.docs_commands import TYPER, all_options, click_command, commands_of, make_targets, problem_of
from tests.docs_pages import PAGES, blocks_of, name_of, prose_of

INLINE = re.compile(r"`([^`\n]+)`")
# Options in the text that belong to other programs.
FOREIGN = frozenset(
    {"--runs", "--changes", "--days", "--auth-token", "--enable-api", "--debug", "--nlu", "--email", "--free-ports"}
)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_blocks_can_be_typed_as_they_stand(page: Path) -> None:
    wrong = [
        f"{block.place}: {' '.join(command)}: {problem}"
        for block in blocks_of(page)
        if block.language == "bash"
        for command in commands_of(block.text)
        if (problem := problem_of(command))
    ]

    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_the_text_exist(page: Path) -> None:
    wrong = [f"{code}: {problem}" for code in INLINE.findall(prose_of(page)) if (problem := inline_problem(code))]

    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_in_the_text_exist(page: Path) -> None:
    named = {option for code in INLINE.findall(prose_of(page)) for option in re.findall(r"(?<!\S)--[a-z][a-z-]+", code)}

    assert named - all_options() - FOREIGN == set()


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("python -m learning review list --al", "--al"),
        ("python -m learning review shwo 12", "shwo"),
        ("python -m learning review show", "Missing argument"),
        ("python -m learning rollback twelve", "twelve"),
        ("python -m desk serv", "serv"),
        ("python -m benchmarks.gone", "there is no benchmarks.gone"),
        ("make bench-nothing", "no target bench-nothing"),
        ("rasa train --nul", "--nul"),
        ("python -m shop --prt 1", "--prt"),
        ("sudo make run", "sudo is no command"),
    ],
)
def test_a_wrong_command_is_found(command: str, problem: str) -> None:
    (words,) = commands_of(command + "\n")

    assert problem in problem_of(words)


def test_a_block_is_taken_apart_as_a_shell_does() -> None:
    block = 'cat > f <<END\nx=$(date)\nEND\nn=0; for x in "a b" \\\n  c; do A=1 curl -d "{$x}" host > out 2>&1; done\n'
    block += 'git log | tail -1 && echo "x\ny"  # all\n'

    assert commands_of(block) == [
        ["cat"],
        ["for", "x", "in", "a b", "c"],
        ["curl", "-d", "{$x}", "host"],
        ["done"],
        ["git", "log"],
        ["tail", "-1"],
        ["echo", "x\ny"],
    ]


def inline_problem(code: str) -> str:
    """What is wrong with a command in the text: there a list of subcommands with commas may stand, and no arguments."""
    words = code.split("(")[0].split()
    if words[:1] == ["make"] and len(words) > 1:
        return "" if words[1] in make_targets() else f"make has no target {words[1]}"
    if words[:2] == ["python", "-m"] and len(words) > 2 and words[2] in TYPER:
        module, rest = words[2], words[3:]
    elif words[:1] == ["learning"] and len(words) > 1:
        module, rest = "learning", words[1:]
    else:
        return ""
    command = click_command(module)
    for word in rest:
        if not isinstance(command, click.Group) or word.startswith("-"):
            break
        names = [name for name in re.split(r"[,|]|\\\|", word) if name]
        unknown = [name for name in names if name not in command.commands and name not in ("...", "…")]
        if unknown:
            return f"there is no {unknown[0]}"
        if not word.endswith(",") and len(names) == 1 and names[0] in command.commands:
            command = command.commands[names[0]]
    return ""
