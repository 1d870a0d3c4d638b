"""The commands of a documentation page, taken apart as a shell would, and held against the real command lines."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import click
import typer.main

ROOT = Path(__file__).parents[1]
SEPARATORS = frozenset({";", "|", "||", "&&", "&", ";;", "(", ")"})
OPENERS = frozenset({"do", "then", "else", "if", "while", "!", "{", "time"})
REDIRECTION = re.compile(r"[0-9]*(>>?|<|>&)")
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")

# Where the command lines of `python -m MODULE` are.
TYPER = {
    "learning": ("learning.__main__", "cli"),
    "desk": ("desk.__main__", "cli"),
    "hub": ("hub.__main__", "cli"),
    "deploy.run": ("deploy.run", "app"),
    "deploy.demo": ("deploy.demo", "app"),
    "deploy.backup": ("deploy.backup", "app"),
}
PLAIN = {"deploy.sample": ("deploy.sample", "main"), "scripts.settings_page": ("scripts.settings_page", "main")}
ARGPARSE = {"shop": ("shop.__main__", "_parser")}
NO_OPTIONS = re.compile(
    r"benchmarks\.\w+|webchat\.identity"
)  # each is tried by its own test or by hand; here only that it is there

# Programs that are not ours, in the blocks of commands.
OTHERS = frozenset(
    {
        ".",
        "cd",
        "cp",
        "curl",
        "createdb",
        "echo",
        "export",
        "for",
        "git",
        "kill",
        "ls",
        "mkdir",
        "mv",
        "openssl",
        "psql",
    }
    | {"source", "tail", "tar", "done", "umask", "pg_dump", "pg_restore", "pip", "uv", "rm", "cat", "test", "set"}
)


def commands_of(block: str) -> list[list[str]]:
    """Every simple command of a block, without assignments and redirections before and behind it."""
    found: list[list[str]] = []
    for line in _logical_lines(block):
        command: list[str] = []
        skip = False
        for word in _words(line):
            if skip:
                skip = False
            elif word in SEPARATORS or (not command and word in OPENERS):
                found, command = [*found, command], []
            elif REDIRECTION.fullmatch(word):
                skip = True
                if command and command[-1].isdigit():
                    command.pop()
            elif not command and ASSIGNMENT.match(word):
                continue
            else:
                command.append(word)
        found.append(command)
    return [command for command in found if command]


def problem_of(command: Sequence[str]) -> str:
    """What is wrong with a command, "" if nothing is."""
    head, rest = command[0], list(command[1:])
    if head in ("python", ".venv/bin/python", "python3") and rest[:1] == ["-m"]:
        return _module_problem(rest[1], rest[2:])
    if head == "make":
        unknown = [word for word in rest if "=" not in word and word not in make_targets()]
        return f"make has no target {unknown[0]}" if unknown else ""
    if head == "rasa":
        return _argparse_problem(rasa_parser(), rest)
    if head == "python" and rest[:1] == ["-c"]:
        return ""
    return "" if head in OTHERS or head.startswith("scripts/") else f"{head} is no command that the docs may use"


def _module_problem(module: str, arguments: list[str]) -> str:
    if module in TYPER or module in PLAIN:
        return _click_problem(click_command(module), arguments)
    if module in ARGPARSE:
        source, name = ARGPARSE[module]
        return _argparse_problem(getattr(importlib.import_module(source), name)(), arguments)
    if module == "rasa":
        return _argparse_problem(rasa_parser(), arguments)
    if NO_OPTIONS.fullmatch(module):
        return "" if (ROOT / f"{module.replace('.', '/')}.py").exists() else f"there is no {module}"
    return "" if module == "pytest" else f"there is no python -m {module}"


def _click_problem(command: click.Command, arguments: list[str]) -> str:
    """Parse as the program would, subcommand by subcommand; nothing is run."""
    try:
        context = command.make_context(command.name or "", list(arguments))
        while isinstance(command, click.MultiCommand):
            left = [*context.protected_args, *context.args]
            if not left:
                return "" if command.invoke_without_command else "a command is missing"
            name, found, left = command.resolve_command(context, left)
            assert found is not None
            command, context = found, found.make_context(name, left, parent=context)
    except click.exceptions.Exit as end:
        return "" if end.exit_code == 0 else "it ends at once"
    except click.ClickException as error:
        return error.format_message()
    return ""


class _Refused(Exception):
    """What argparse would have printed before it ended the program."""


def _argparse_problem(parser: argparse.ArgumentParser, arguments: list[str]) -> str:
    def refuse(message: str) -> None:
        raise _Refused(message)

    for one in _with_subparsers(parser):
        one.error = refuse  # type: ignore[method-assign, assignment]
    try:
        parser.parse_args(arguments)
    except _Refused as error:
        return str(error)
    except SystemExit as end:
        return "" if not end.code else "it is refused"
    return ""


def _with_subparsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _with_subparsers(one)


@cache
def click_command(module: str) -> click.Command:
    """The click command of a module that typer describes."""
    if module in PLAIN:
        source, name = PLAIN[module]
        single = typer.Typer(add_completion=False)
        single.command()(getattr(importlib.import_module(source), name))
        return typer.main.get_command(single)
    source, name = TYPER[module]
    return typer.main.get_command(getattr(importlib.import_module(source), name))


@cache
def rasa_parser() -> argparse.ArgumentParser:
    from rasa.__main__ import create_argument_parser

    return create_argument_parser()


@cache
def make_targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@cache
def all_options() -> frozenset[str]:
    """Every option that any of our commands has."""
    options: set[str] = set()
    waiting = [click_command(module) for module in (*TYPER, *PLAIN)]
    while waiting:
        command = waiting.pop()
        for parameter in command.params:
            options.update([*parameter.opts, *parameter.secondary_opts])
        if isinstance(command, click.Group):
            waiting += command.commands.values()
    for source, name in ARGPARSE.values():
        options.update(getattr(importlib.import_module(source), name)()._option_string_actions)
    return frozenset({*options, "--help"})


def _logical_lines(block: str) -> Iterator[str]:
    """Lines with what a backslash or an open quote continues, without here-documents."""
    waiting = until = ""
    for line in block.splitlines():
        if until:
            until = "" if line == until else until
            continue
        here = re.search(r"<<'?(\w+)'?", line)
        until = here[1] if here else ""
        waiting += line.replace(here[0], "") if here else line
        if waiting.endswith("\\"):
            waiting = waiting[:-1] + " "
            continue
        try:
            shlex.split(waiting, comments=True)
        except ValueError:
            waiting += "\n"
            continue
        yield waiting
        waiting = ""
    assert not waiting, f"never closed: {waiting}"


def _words(line: str) -> list[str]:
    line = re.sub(r"\$\(\(.*?\)\)", "0", line)  # arithmetic, whose signs are no separators
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)
