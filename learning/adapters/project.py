"""The Rasa project's own files: training examples, hold-out, knowledge articles, and whether it can learn."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from learning.adapters.git_branch import is_entry_file
from learning.errors import ProjectError
from learning.model import LEARNED_INTENT, Example
from learning.settings import Settings

LEARNED_FOLDER = "learned"  # below the data folder; written by publishing
# [10342](order_number) and [fast]{"entity": "speed"}: an annotation stands for its text.
ANNOTATION = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\{[^}]*\})(?:\[[^\]]*\])*")


class Project:
    """Reads a Rasa project; nothing is cached, so that edits count at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def check(self) -> None:
        """Raise `ProjectError` if the project lacks what learned answers need."""
        path = self._settings.path(self._settings.project.domain)
        files = sorted(path.rglob("*.yml")) if path.is_dir() else [path]
        if not files or not files[0].exists():
            raise ProjectError("does not exist", str(path), "run this in the Rasa project's folder")
        intents = [intent for file in files for intent in _mapping(file).get("intents") or ()]
        names = {next(iter(intent)) if isinstance(intent, dict) else intent for intent in intents}
        if LEARNED_INTENT not in names:
            raise ProjectError(
                f"has no intent `{LEARNED_INTENT}`, which learned answers are given under",
                str(path),
                f"add `- {LEARNED_INTENT}` under `intents:` and a rule from it to `utter_{LEARNED_INTENT}`",
            )

    def examples(self) -> list[Example]:
        """Return every training example of the project, labelled with its intent or full retrieval key."""
        return list(_read_nlu(self._settings.path(self._settings.project.data)))

    def holdout(self) -> list[Example]:
        """Return the held-out messages.

        Raises:
            ProjectError: there are none, so that nothing could be compared.

        """
        path = self._settings.path(self._settings.project.holdout)
        found = list(_read_nlu(path))
        if not found:
            raise ProjectError(
                "holds no labelled messages",
                str(path),
                "put NLU files there that are never trained on (project.holdout)",
            )
        return found

    def articles(self) -> list[tuple[str, str]]:
        """Return the knowledge articles as (file name, Markdown)."""
        folder = self._settings.path(self._settings.project.knowledge)
        return [(path.name, path.read_text("utf-8")) for path in sorted(folder.glob("*.md"))]

    def assemble(self, target: Path, learned: Mapping[str, str]) -> Path:
        """Copy the training data to `target` with `learned` as its entry files; return the folder."""
        shutil.copytree(self._settings.path(self._settings.project.data), target, dirs_exist_ok=True)
        folder = target / LEARNED_FOLDER
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            if is_entry_file(file.name):
                file.unlink()
        for name, text in learned.items():
            (folder / name).write_text(text, "utf-8")
        return target


def _read_nlu(path: Path) -> Iterator[Example]:
    files = sorted([*path.rglob("*.yml"), *path.rglob("*.yaml")]) if path.is_dir() else [path]
    for file in files:
        if not file.exists():
            continue
        for item in _mapping(file).get("nlu") or ():
            if isinstance(item, dict) and item.get("intent"):
                for text in _example_texts(item.get("examples")):
                    yield Example(ANNOTATION.sub(r"\1", text), str(item["intent"]))


def _example_texts(examples: Any) -> Iterator[str]:
    if isinstance(examples, str):
        for line in examples.splitlines():
            if line.strip().startswith("- ") and line.strip()[2:].strip():
                yield line.strip()[2:].strip()
    elif isinstance(examples, list):
        for item in examples:
            text = item.get("text") if isinstance(item, dict) else item
            if isinstance(text, str) and text.strip():
                yield text.strip().removeprefix("- ")


def _mapping(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise ProjectError(
            f"is not valid YAML ({reason})", str(file), "correct it, or take it out of the project"
        ) from error
    return content if isinstance(content, dict) else {}
