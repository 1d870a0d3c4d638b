"""Every relative link of README and docs/ leads to a file and a heading that are there; every page is in the index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs_pages import LINK, PAGES, ROOT, anchors_of, blocks_of, name_of, prose_of, without_code

INDEX = ROOT / "docs" / "README.md"
LANGUAGES = {"bash", "yaml", "python", "html", "json", "mermaid", "text", "sql", "css", "nginx", "ini"}


def broken_links(page: Path) -> list[str]:
    found = []
    for target in LINK.findall(without_code(prose_of(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        is_wrong = not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors_of(file))
        found += [target] if is_wrong else []
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = (
        "# One two\n[a](#one-two) [b](#three) [c](gone.md) [d](page.md#one-two) `[e](code.md)`\n```text\n[f](x)\n```\n"
    )
    page.write_text(text, "utf-8")

    assert broken_links(page) == ["#three", "gone.md"]


def test_the_index_names_every_page() -> None:
    linked = {(INDEX.parent / target.partition("#")[0]).resolve() for target in LINK.findall(prose_of(INDEX))}

    assert {page for page in PAGES if page.parent == INDEX.parent} - {INDEX} <= linked


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_say_what_they_are(page: Path) -> None:
    """A block of commands without a language would be tried by no test."""
    unknown = [f"{block.place}: {block.language!r}" for block in blocks_of(page) if block.language not in LANGUAGES]

    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_stand_in_fences(page: Path) -> None:
    """Indented commands would be tried by no test."""
    lines = [line for line in prose_of(page).splitlines() if re.match(r" {4,}(\$ |python |make |rasa )", line)]

    assert lines == []
