"""The first run of the README, and what else in the docs needs a running bot: typed as it stands, on a fresh copy."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator

import httpx
import pytest

from deploy.stack import Ports, Stack
from tests.docs_pages import PAGES, ROOT, Block, blocks_of
from tests.docs_shell import Shell, open_shell

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", "results", "__pycache__", "node_modules")
FIRST = "README.md"  # its block comes first: the other pages go on from there


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What `make run` starts, on free ports, in a copy of the project with a repository of its own."""
    project = tmp_path_factory.mktemp("first") / "project"
    shutil.copytree(ROOT, project, ignore=LEFT_OUT)
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "activate").touch()  # the shell has its programs already
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EVERGREEN_")}
    stack = Stack(project, Ports.free(), environ)
    stack.train_if_needed()
    try:
        stack.start(without=("hub", "schedule"))
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def shell(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell with the line that `make run` prints pasted into it."""
    exported = {"EVERGREEN_BOT_TOKEN": stack.token, "EVERGREEN_BOT_URL": stack.bot_url}
    with open_shell(tmp_path_factory.mktemp("sh"), exported) as shell:
        made = shell.run("git init -q && git add -A && git commit -qm 'The project'", stack.root)
        assert made.code == 0, made.said
        yield shell


def needing() -> list[Block]:
    blocks = [block for page in PAGES for block in blocks_of(page) if block.needs == "make run"]
    return sorted(blocks, key=lambda block: block.page != FIRST)


def test_the_first_run_and_what_follows_it(stack: Stack, shell: Shell) -> None:
    address = stack.bot_url.removeprefix("http://")
    order = ask(stack, "visitor-0", "where is order 10342?")
    assert "10342" in order
    blocks = needing()
    assert blocks[0].page == FIRST

    said = ""
    for block in blocks:
        for commands in at_each_id(block):
            waiting = shell.run("python -m learning review list --all --json", stack.root)
            proposals = json.loads(waiting.said) if waiting.code == 0 and waiting.said.startswith("[") else []
            proposal_id = proposals[0]["proposal_id"][:8] if proposals else "none"
            text = commands.replace("localhost:5005", address).replace("ID ", f"{proposal_id} ")
            done = shell.run(text.replace("20f76684", proposal_id), stack.root)
            assert done.code == 0, f"{block.place}\n{text}\n{done.said}"
            said += done.said

    assert "learned" in said
    assert "points" in ask(stack, "visitor-10", "tell me about your points program").lower()


def at_each_id(block: Block) -> list[str]:
    """A block in pieces: one does not know an id before the command that prints it has run."""
    head, found, tail = block.text.partition("python -m learning review list")
    return [head, found + tail] if found and head.strip() else [block.text]


def ask(stack: Stack, sender: str, text: str) -> str:
    answer = httpx.post(f"{stack.bot_url}/webhooks/rest/webhook", json={"sender": sender, "message": text}, timeout=60)
    answer.raise_for_status()
    return "\n".join(str(one.get("text", "")) for one in answer.json())


def test_every_need_is_one_that_a_test_fills() -> None:
    assert {block.needs for page in PAGES for block in blocks_of(page)} - {""} == {"make run"}
