"""Answers that are ready, from a file that the team keeps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from learning.errors import SettingsError


@dataclass(frozen=True)
class Canned:
    """An answer with the short key that brings it."""

    key: str
    title: str
    text: str


def load_canned(path: Path) -> tuple[Canned, ...]:
    """Read the canned answers; none where there is no file. A changed file is read again.

    Raises:
        SettingsError: the file is not what it should be.

    """
    try:
        changed = path.stat().st_mtime_ns
    except FileNotFoundError:
        return ()
    return _read(path, changed)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> tuple[Canned, ...]:
    try:
        content = yaml.safe_load(path.read_text("utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError("is not valid YAML", str(path), "correct it") from error
    answers = content.get("answers") if isinstance(content, dict) else None
    if not isinstance(answers, list):
        raise SettingsError("has no list `answers`", str(path), "write `answers:` with key, title and text")
    found: dict[str, Canned] = {}
    for number, item in enumerate(answers, start=1):
        fields = [item.get(name) for name in ("key", "title", "text")] if isinstance(item, dict) else [None]
        if not all(isinstance(value, str) and value.strip() for value in fields):
            raise SettingsError("lacks key, title or text", f"{path}: answer {number}", "write all three as text")
        key, title, text = (str(value).strip() for value in fields)
        if key in found:
            raise SettingsError(f"has the key {key!r} a second time", f"{path}: answer {number}", "choose another key")
        found[key] = Canned(key, title, text)
    return tuple(found.values())
