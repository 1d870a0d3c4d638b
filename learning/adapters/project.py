"""The Rasa project's own files: training examples, hold-out, articles, answers, and whether it can learn."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import git
import yaml

from learning.adapters.git_branch import is_entry_file
from learning.adapters.project_exams import ProjectExams, read_entities
from learning.errors import ProjectError
from learning.exams import Marked
from learning.model import LEARNED_INTENT, Answer, Example
from learning.settings import Settings

# libyaml's, where PyYAML was built with it, is ten times as fast: every mining run reads all training data.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
UTTER = "utter_"  # begins a response's name; a retrieval key's is `utter_faq/hours`
LEARNED_FOLDER = "learned"  # below the data folder; written by publishing
# [10342](order_number) and [fast]{"entity": "speed"}: an annotation stands for its text.
ANNOTATION = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\{[^}]*\}|\[[^\]]*\])")


class Project(ProjectExams):
    """Reads a Rasa project; nothing is cached, so that edits count at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def check(self) -> None:
        """Raise `ProjectError` if the project lacks what learned answers need."""
        path = self._settings.path(self._settings.project.domain)
        files = _files(path)
        if not files:
            raise ProjectError("does not exist", str(path), "run this in the Rasa project's folder")
        intents = [intent for file in files for intent in _items(file, "intents")]
        names = {name for intent in intents for name in (intent if isinstance(intent, dict) else [str(intent)])}
        if LEARNED_INTENT not in names:
            raise ProjectError(
                f"has no intent `{LEARNED_INTENT}`, which learned answers are given under",
                str(path),
                f"add `- {LEARNED_INTENT}` under `intents:` and a rule from it to `utter_{LEARNED_INTENT}`",
            )

    def examples(self) -> list[Example]:
        """Return every training example of the project, labelled with its intent or full retrieval key.

        Raises:
            ProjectError: there are none, so that known and new needs could not be told apart.

        """
        path = self._settings.path(self._settings.project.data)
        found = list(_read_nlu(path))
        if not found:
            raise ProjectError("holds no training examples", str(path), "correct project.data in learning.yml")
        return found

    def own_examples(self) -> list[Example]:
        """Return the training examples beside those of published entries, which training writes anew."""
        data = self._settings.path(self._settings.project.data)
        learned = data / LEARNED_FOLDER
        files = [file for file in _files(data) if not (learned in file.parents and is_entry_file(file.name))]
        return [example for file in files for example in _read_nlu(file)]

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

    def out_of_scope(self) -> list[str]:
        """Return the messages that must not be answered; there need not be any."""
        path = self._settings.path(self._settings.project.out_of_scope)
        return [example.text for example in _read_nlu(path)]

    def entities(self) -> list[Marked]:
        """Return the messages whose entities are marked; there need not be any."""
        path = self._settings.path(self._settings.project.entities)
        return read_entities(_raw_texts(path))

    def articles(self) -> list[tuple[str, str]]:
        """Return the knowledge articles as (file name, Markdown)."""
        folder = self._settings.path(self._settings.project.knowledge)
        return [(path.name, _read(path)) for path in sorted(folder.glob("*.md"))]

    def answers(self) -> list[Answer]:
        """Return what the bot answers to each label by one response, sorted by label; learned entries are left out.

        A retrieval key `faq/hours` is answered by the response `utter_faq/hours`, a plain intent by a rule that runs
        one response and nothing else, whatever was said before. The text is that of the first variation.
        """
        data = self._settings.path(self._settings.project.data)
        learned = data / LEARNED_FOLDER
        own = [file for file in _files(data) if learned not in file.parents]
        texts: dict[str, str] = {}
        for file in [*_files(self._settings.path(self._settings.project.domain)), *own]:
            responses = _mapping(file).get("responses")
            for name, variations in (responses if isinstance(responses, dict) else {}).items():
                text = _first_text(variations)
                if text:
                    texts[str(name)] = text
        response_of = {name.removeprefix(UTTER): name for name in texts if name.startswith(UTTER) and "/" in name}
        response_of.update(_answering_rules([rule for file in own for rule in _items(file, "rules")]))
        return [Answer(label, name, texts[name]) for label, name in sorted(response_of.items()) if name in texts]

    def commit(self) -> str:
        """Return the commit that the project's files are at, with a + where they differ; empty outside a repository."""
        try:
            with git.Repo(self._settings.root, search_parent_directories=True) as repository:
                return f"{repository.head.commit.hexsha}{'+' if repository.is_dirty(path=self._settings.root) else ''}"
        except (git.InvalidGitRepositoryError, git.NoSuchPathError, git.GitCommandError, ValueError):
            return ""  # a project need not be in git, nor have a commit yet

    def fingerprint(self, training_data: Path) -> str:
        """Return the SHA-256 of what a model is trained on: these files, the domain and the configuration."""
        total = hashlib.sha256()
        own = (self._settings.project.domain, self._settings.project.config)
        for place in (training_data, *map(self._settings.path, own)):
            for path in _files(place):
                name = path.relative_to(place if place.is_dir() else place.parent).as_posix()
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                total.update(f"{place.name if place != training_data else ''}/{name} {content}\n".encode())
        return total.hexdigest()

    def assemble(self, target: Path, learned: Mapping[str, str]) -> Path:
        """Copy the training data to `target` with `learned` as its entry files; return the folder."""
        data = self._settings.path(self._settings.project.data)
        if not data.is_dir():
            raise ProjectError("is no folder", str(data), "correct project.data in learning.yml")
        shutil.copytree(data, target, dirs_exist_ok=True)
        folder = target / LEARNED_FOLDER
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            if is_entry_file(file.name):
                file.unlink()
        for name, text in learned.items():
            (folder / name).write_text(text, "utf-8")
        return target


def _files(path: Path) -> list[Path]:
    """Return the YAML files of a folder in order, or the file that `path` is, if it exists."""
    files = sorted([*path.rglob("*.yml"), *path.rglob("*.yaml")]) if path.is_dir() else [path]
    return [file for file in files if file.is_file()]


def _first_text(variations: Any) -> str:
    """Return the text of a response's first variation that has one; what is said on a condition only comes last."""
    items = [item for item in variations if isinstance(item, dict)] if isinstance(variations, list) else []
    items.sort(key=lambda item: bool(item.get("condition") or item.get("channel")))
    texts = [item["text"].strip() for item in items if isinstance(item.get("text"), str)]
    return next(filter(None, texts), "")


def _answering_rules(rules: Sequence[Any]) -> dict[str, str]:
    """Return intent -> response for rules that answer an intent with one response, always and with nothing else."""
    found: dict[str, set[str]] = {}
    for rule in rules:
        if not isinstance(rule, dict) or set(rule) - {"rule", "steps"}:
            continue  # with a condition, or at a conversation's start only
        steps = rule.get("steps")
        match steps:
            case [{"intent": str(intent), **first}, {"action": str(action), **second}] if not first and not second:
                if action.startswith(UTTER):
                    found.setdefault(intent, set()).add(action)
    return {intent: actions.pop() for intent, actions in found.items() if len(actions) == 1}


def _read_nlu(path: Path) -> Iterator[Example]:
    for text, intent in _annotated(path):
        yield Example(ANNOTATION.sub(r"\1", text), intent)


def _raw_texts(path: Path) -> Iterator[str]:
    """Return examples with the annotations of their entities."""
    return (text for text, _ in _annotated(path))


def _annotated(path: Path) -> Iterator[tuple[str, str]]:
    for file in _files(path):
        for item in _items(file, "nlu"):
            if isinstance(item, dict) and item.get("intent"):
                for text in _example_texts(item.get("examples")):
                    yield text, str(item["intent"])


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


def _items(file: Path, key: str) -> list[Any]:
    items = _mapping(file).get(key)
    return items if isinstance(items, list) else []


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(
            f"cannot be read ({error})", str(file), "save it as UTF-8 text, or take it out of the project"
        ) from error


def _mapping(file: Path) -> dict[str, Any]:
    text = _read(file)
    try:
        content = yaml.load(text, Loader=LOADER)
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise ProjectError(
            f"is not valid YAML ({reason})", str(file), "correct it, or take it out of the project"
        ) from error
    return content if isinstance(content, dict) else {}
