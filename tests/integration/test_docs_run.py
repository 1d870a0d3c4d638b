"""The commands of README and docs/ run as they stand, page by page, each page on a copy of a project with data in it.

What a page leaves out of this says why in a comment before the block. What needs a running bot (`needs: make run`) is
run by `tests/e2e/test_docs_first_run.py`.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.demo import scratch_copy
from tests.docs_pages import NOT_RUN, PAGES, ROOT, Block, blocks_of, name_of
from tests.docs_shell import Shell, open_shell
from tests.learning_builders import TrackerFile, make_project, talk

pytestmark = pytest.mark.timeout(600)

NEEDS = {
    "loyalty": (
        "do you have loyalty points?",
        "how do i collect points",
        "is there a bonus points program",
        "what are my loyalty points worth",
        "do my loyalty points expire",
        "do you have a points scheme",
        "can i join the rewards program",
        "where do i see my reward points",
    ),
    "assembly": (
        "do you assemble the furniture?",
        "can somebody put the wardrobe together for me",
        "is there an assembly service for furniture",
        "how much is furniture assembly",
        "can i book someone to assemble my bed",
        "do your people assemble a wardrobe at home",
    ),
    "vouchers": (
        "do you sell gift cards",
        "can i buy a gift card for a friend",
        "where can i get a gift card",
        "i want to give a gift card as a present",
        "are there gift cards for your shop",
        "how much can i put on a gift card",
    ),
}
AGENT_SAYS = {
    "event": "bot",
    "text": "We put furniture together for 40 euros.",
    "data": {},
    "metadata": {"agent": "mia"},
}


@dataclass(frozen=True)
class World:
    """A project with conversations that were mined, something live, and something that waits."""

    root: Path
    words: Mapping[str, str]

    def fill_in(self, block: str, more: Mapping[str, str]) -> str:
        """Put what is there in the place of what the page only names."""
        for word, value in {**more, **self.words}.items():
            block = re.sub(rf"(?<![\w/-]){re.escape(word)}(?![\w/-])", value, block)
        return block


NEWEST_EXPERIMENT = "$(python -m learning experiments list --json | grep -o '[0-9a-f]\\{16\\}' | tail -1)"

# What pages name that is called otherwise in this project: numbers of releases, beginnings of ids.
CALLED: Mapping[str, Mapping[str, str]] = {
    "docs/audit.md": {"/elsewhere/anchors": "anchors"},
    "docs/conversations.md": {"show ID": "show CONVERSATION"},
    "docs/erasure.md": {"SENDER --tracker": "SENDER --tracker --yes", "998b9969fbe8139f": "998b9969fbe8139f --yes"},
    "docs/experiments.md": {"4f2a": NEWEST_EXPERIMENT},
    "docs/publish.md": {"approve ID --rollout": "approve OTHER --rollout"},
    "docs/releases.md": {
        "show 12": "show 1",
        "3f2a": "ENTRY",
        "rollback 12 --dry-run": "rollback 5 --dry-run",
        "rollback 12": "rollback 3",
        "--to 9": "--to 1",
    },
}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with open_shell(tmp_path_factory.mktemp("sh")) as shell:
        yield shell


@pytest.fixture(scope="module")
def world(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three needs: one is answered and live, the others wait."""
    root = scratch_copy(ROOT, tmp_path_factory.mktemp("docs"))
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "activate").touch()  # the shell has its programs already
    tracker = TrackerFile(root / "var" / "tracker.db")
    for need, texts in NEEDS.items():
        for number, text in enumerate(texts):
            tracker.say(f"{need}-{number}", text)
    tracker.add("assembly-0", AGENT_SAYS)
    tracker.say("happy", "where is order 10342?", "track_order", 0.97, "It comes tomorrow.")
    tracker.say("slack_U1", "thanks", "thank", 0.99, "You're welcome!", input_channel="slack")

    def run(block: str) -> str:
        done = shell.run(block, root)
        assert done.code == 0, done.said
        return done.said

    run("python -m learning mine")
    first, second, third = json.loads(run("python -m learning review list --json"))
    run(f'python -m learning review approve {first["proposal_id"]} --answer "Yes, for 40 euros."')
    assert json.loads(run("python -m learning mine --json"))["events"] == 0
    (entry,) = json.loads(run("python -m learning status --json"))["live"]
    with sqlite3.connect(root / "var" / "learning.db") as database:
        ((conversation,),) = database.execute(
            "SELECT conversation_id FROM conversations WHERE outcome = 'resolved' AND channel = 'rest'"
        )
    words = {
        "ENTRY": entry["entry_id"][:8],
        "ID": second["proposal_id"],
        "OTHER": third["proposal_id"],
        "SENDER": "loyalty-0",
    }
    return World(root, {**words, "CONVERSATION": conversation, "GAP": second["gap_id"][:8]})


def runnable(block: Block) -> bool:
    return block.language == "bash" and not block.not_run and not block.needs


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(runnable, blocks_of(page)))], ids=name_of)
def test_the_commands_of_a_page_run_as_they_stand(page: Path, world: World, shell: Shell, tmp_path: Path) -> None:
    root = tmp_path / "project"
    shutil.copytree(world.root, root, symlinks=True)
    if "../your-bot" in page.read_text("utf-8"):
        talk(TrackerFile(make_project(tmp_path / "your-bot") / "var" / "tracker.db"))
        made = shell.run("git init -q && git add -A && git commit -qm Bot", tmp_path / "your-bot")
        assert made.code == 0, made.said

    for block in filter(runnable, blocks_of(page)):
        commands = world.fill_in(block.text, CALLED.get(block.page, {}))
        done = shell.run(commands, root)
        assert done.code == 0, f"{block.place}\n{commands}\n{done.said}"


def test_what_is_not_run_has_a_reason() -> None:
    reasons = [block.not_run for page in PAGES for block in blocks_of(page) if block.not_run]

    assert all(len(reason.split()) > 3 for reason in reasons)
    assert len(reasons) <= MOST_NOT_RUN, "run some of them"


MOST_NOT_RUN = 20  # blocks; each of them is a promise that nobody checks


def test_the_comment_is_read() -> None:
    assert NOT_RUN.fullmatch("<!-- not run: it serves until it is stopped -->")
