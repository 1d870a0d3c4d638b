"""`python -m scripts.settings_page`: the tables of docs/settings.md, made from the code, so that they cannot be wrong.

Names and defaults come from the dataclasses of `learning/settings.py`, what a setting is for from the comments of
`learning.yml`, the environment variable from what `load_settings` does with it, and what the hub may set from
`learning/overrides.py`.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

import typer

from learning.errors import EvergreenError
from learning.overrides import BY_KEY, Settable
from learning.settings import FILE, Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "settings.md"
BEGIN = "<!-- begin: made by python -m scripts.settings_page -->"
END = "<!-- end -->"
VARIABLE = re.compile(r"EVERGREEN_[A-Z0-9_]*[A-Z0-9]")


@dataclass(frozen=True)
class Row:
    """One setting as the page shows it; `default` is None where only the environment may hold the value."""

    key: str
    default: str | None
    meaning: str
    variable: str
    hub: Settable | None


def read_comments(text: str) -> dict[str, str]:
    """Return what `learning.yml` says of each `section` and `section.name`, continued lines joined.

    No value of that file holds a blank and a number sign.
    """
    found: dict[str, str] = {}
    section = key = ""
    for line in text.splitlines():
        code, _, comment = line.partition("#") if line.lstrip().startswith("#") else line.partition(" #")
        comment = comment.strip()
        named = re.match(r"( *)([a-z_]+):", code)
        if named and not named[1]:
            section = key = named[2]
        elif named:
            key = f"{section}.{named[2]}"
        elif not line.startswith(" "):
            section = key = ""  # the file's own words, before the first section and between them
        if key and comment:
            found[key] = f"{found[key]} {comment}" if key in found else comment
    return found


def read_variables() -> dict[str, str]:
    """Return the environment variable of each setting that one overrides, found by trying them on `load_settings`."""
    source = (ROOT / "learning" / "settings.py").read_text("utf-8")
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        plain = load_settings(Path(folder), {})
        for name in sorted(set(VARIABLE.findall(source))):
            changed = load_settings(Path(folder), {name: "sqlite:////probe"})
            found.update({key: name for key, _, _ in _walk() if _value(plain, key) != _value(changed, key)})
    return found


def read_rows() -> list[Row]:
    """Return every setting, in the order of the code."""
    comments, variables = read_comments((ROOT / FILE).read_text("utf-8")), read_variables()
    return [
        Row(
            key=key,
            default=_shown(_value(Settings(), key)) if item.repr else None,
            meaning=comments.get(key, ""),
            variable=variables.get(key, ""),
            hub=BY_KEY.get(key),
        )
        for key, item, _ in _walk()
    ]


def tables(rows: list[Row], about: Mapping[str, str]) -> str:
    """Return a heading and a table for each section; `about` has what `learning.yml` says of it."""
    lines: list[str] = []
    section = ""
    for row in rows:
        name, _, short = row.key.partition(".")
        if name != section:
            section = name
            said = about.get(name, "")
            lines += ["", f"### {name}", "", *([f"{said[0].upper()}{said[1:]}.", ""] if said else [])]
            lines += ["| setting | default | what it is | elsewhere |", "|---|---|---|---|"]
        default = "secret" if row.default is None else f"`{row.default}`"
        meaning = row.meaning or ("Only in the environment." if row.default is None else "")
        lines.append(f"| `{short}` | {default} | {_cell(meaning)} | {_cell(_elsewhere(row))} |")
    return "\n".join(lines).strip() + "\n"


def page(text: str) -> str:
    """Return the page with its tables made anew.

    Raises:
        EvergreenError: the page has lost the marks between which they stand.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise EvergreenError("has lost its marks", str(PAGE), f"put {BEGIN!r} and {END!r} back")
    made = tables(read_rows(), read_comments((ROOT / FILE).read_text("utf-8")))
    return f"{before}{BEGIN}\n\n{made}\n{END}{after}"


def _elsewhere(row: Row) -> str:
    """Say in which other places a setting may be set."""
    parts = [f"`{row.variable}`"] if row.variable else []
    if row.hub is not None:
        what = "hub"
        if row.hub.choices:
            what += f": {', '.join(row.hub.choices)}"
        elif row.hub.low is not None and row.hub.high is not None:
            what += f": {_number(row.hub.low)} to {_number(row.hub.high)}"
        parts.append(what + (" (at the next start)" if row.hub.at_start else ""))
    return "; ".join(parts)


def _walk() -> Iterator[tuple[str, Field[Any], Any]]:
    for section in fields(Settings):
        if section.name == "root":
            continue
        holder = getattr(Settings(), section.name)
        for item in fields(holder):
            yield f"{section.name}.{item.name}", item, getattr(holder, item.name)


def _value(settings: Settings, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)


def _shown(value: Any) -> str:
    """Return a value as one writes it in `learning.yml`."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w./@ +:-]*[\w/]", value) and not value.endswith(" ") else f'"{value}"'
    return str(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main(check: bool = typer.Option(False, "--check", help="Change nothing; exit code 1 if the page is old.")) -> None:
    """Write the tables of docs/settings.md anew."""
    old = PAGE.read_text("utf-8")
    new = page(old)
    if check and new != old:
        sys.stderr.write("error: docs/settings.md is old: run `python -m scripts.settings_page`\n")
        raise typer.Exit(1)
    if new != old:
        PAGE.write_text(new, "utf-8")


if __name__ == "__main__":
    typer.run(main)
