"""README and docs/ as the tests of the documentation read them: headings, links and blocks of commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<language>[\w-]*)(?P<more>.*)$")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")  # why no test runs the block that follows
NEEDS = re.compile(r"<!-- needs: (.+?) -->")  # what must be running for it


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language, its lines, and what the comment before it says.

    `not_run` is why no test runs it, `needs` what must be running for it.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str = ""
    needs: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> Iterator[Block]:
    """Every fenced block of a page, with the reason in the comment right before it."""
    lines = page.read_text("utf-8").splitlines()
    number = 0
    while number < len(lines):
        opened = FENCE.match(lines[number])
        if opened is None:
            number += 1
            continue
        end = number + 1
        while lines[end].strip() != opened["ticks"]:
            end += 1
        before = next((line for line in reversed(lines[:number]) if line.strip()), "")
        reason, needs = NOT_RUN.fullmatch(before.strip()), NEEDS.fullmatch(before.strip())
        inside = [line.removeprefix(opened["indent"]) for line in lines[number + 1 : end]]
        yield Block(
            page=name_of(page),
            line=number + 1,
            language=opened["language"],
            text="\n".join(inside) + "\n",
            not_run=reason[1] if reason else "",
            needs=needs[1] if needs else "",
        )
        number = end + 1


def prose_of(page: Path) -> str:
    """The page without its fenced blocks."""
    kept, fence = [], ""
    for line in page.read_text("utf-8").splitlines():
        opened = FENCE.match(line)
        if not fence and opened:
            fence = opened["ticks"]
        elif fence and line.strip() == fence:
            fence = ""
        elif not fence:
            kept.append(line)
    return "\n".join(kept)


def without_code(text: str) -> str:
    return re.sub(r"(`+).+?\1", "", text)


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    found: set[str] = set()
    for line in prose_of(page).splitlines():
        heading = re.match(r"#{1,6} +(.+)", line)
        if heading is None:
            continue
        words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number = 0
        while anchor in found:
            number += 1
            anchor = f"{anchor.removesuffix(f'-{number - 1}')}-{number}"
        found.add(anchor)
    return found
