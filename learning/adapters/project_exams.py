"""What a project is measured by beside its hold-out: out-of-scope messages, marked entities, conversations to play."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

from learning.errors import ProjectError
from learning.exams import LiveStories, LiveStory, Marked, Span, StoryStep
from learning.settings import Settings

# [10342](order_number) and [fast]{"entity": "speed", "value": "quick"}, as Rasa writes them.
MARKED = re.compile(r"\[(?P<text>[^\]]+)\](?:\((?P<kind>[^)]*)\)|\{(?P<more>[^}]*)\})")
ENTITY = re.compile(r'"entity"\s*:\s*"([^"]+)"')
LISTEN = "action_listen"


def read_marked(text: str) -> Marked:
    """Return an annotated message as plain text with the places of its entities."""
    plain, spans, end = "", set[Span](), 0
    for found in MARKED.finditer(text):
        plain += text[end : found.start()]
        kind = found["kind"] or (ENTITY.search(found["more"] or "") or [None, ""])[1]
        # A synonym stands behind a colon: [tomorrow](date:2024-03-02).
        kind = str(kind).partition(":")[0].strip()
        start, plain = len(plain), plain + found["text"]
        if kind:
            spans.add((start, len(plain), kind))
        end = found.end()
    return Marked(plain + text[end:], frozenset(spans))


def read_entities(messages: Iterable[str]) -> list[Marked]:
    """Return annotated messages with their entities."""
    return [read_marked(text) for text in messages]


def read_live_stories(folder: Path) -> LiveStories:
    """Return the conversations in the YAML files of a folder that can be played as they are.

    A file is a list of conversations as in `tests/conversations` (`name`, `steps` of `user`, `bot`, `not`), or has
    `stories:` as Rasa's test stories. What needs data of its own (an `order`, a name in braces) is left out.

    Raises:
        ProjectError: a file is no YAML, or a conversation has no name or no steps.

    """
    stories: list[LiveStory] = []
    left_out: list[str] = []
    files = sorted([*folder.rglob("*.yml"), *folder.rglob("*.yaml")]) if folder.is_dir() else []
    for file in files:
        content = _load(file)
        items = content.get("stories") if isinstance(content, dict) else content
        for item in items if isinstance(items, list) else []:
            if not isinstance(item, dict) or not isinstance(item.get("steps"), list):
                raise ProjectError("holds a conversation without steps", str(file), "write `name` and `steps`")
            name = str(item.get("name") or item.get("story") or "")
            if not name:
                raise ProjectError("holds a conversation without a name", str(file), "give each one a `name`")
            story = _story(name, item["steps"]) if "story" in item else _conversation(name, item)
            if story is None:
                left_out.append(name)
            else:
                stories.append(story)
    names = [story.name for story in stories]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ProjectError(f"has two conversations named {twice[0]!r}", str(folder), "give each a name of its own")
    return LiveStories(tuple(stories), tuple(left_out))


class ProjectExams:
    """The part of a project's files that models are measured by."""

    _settings: Settings

    def live_stories(self) -> LiveStories:
        """Return the conversations that are played with the running action server.

        Raises:
            ProjectError: one of them cannot be read.

        """
        return read_live_stories(self._settings.path(self._settings.project.live_stories))


def _conversation(name: str, item: Mapping[str, Any]) -> LiveStory | None:
    steps = []
    for step in item["steps"]:
        user = str(step.get("user") or "") if isinstance(step, dict) else ""
        if not user:
            raise ProjectError(f"has a step of {name!r} without `user`", "live stories", "write what the customer says")
        texts = (user, *_patterns(step, "bot"), *_patterns(step, "not"))
        if "order" in item or any(field is not None for text in texts for field in _fields(text)):
            return None
        said, says, never = (user, _patterns(step, "bot"), _patterns(step, "not"))
        steps.append(
            StoryStep(said.format(), tuple(one.format() for one in says), tuple(one.format() for one in never))
        )
    return LiveStory(name, tuple(steps))


def _fields(text: str) -> list[str | None]:
    """Return the names in braces of a text; doubled braces are braces."""
    try:
        return [field for _, field, _, _ in Formatter().parse(text)]
    except ValueError:
        return [text]


def _patterns(step: Mapping[str, Any], name: str) -> tuple[str, ...]:
    given = step.get(name) or ()
    return (given,) if isinstance(given, str) else tuple(str(one) for one in given)


def _story(name: str, given: list[Any]) -> LiveStory | None:
    """Return one of Rasa's test stories: what is said, and the actions that follow; None for one with alternatives."""
    said: list[tuple[str, list[str]]] = []
    for step in given:
        if not isinstance(step, dict) or "or" in step or "checkpoint" in step:
            return None
        if "user" in step or "intent" in step:
            text = str(step.get("user") or "").strip() or f"/{step['intent']}"
            said.append((read_marked(text).text, []))
        elif "action" in step and said and step["action"] != LISTEN:
            said[-1][1].append(str(step["action"]))
    return LiveStory(name, tuple(StoryStep(text, actions=tuple(actions)) for text, actions in said))


def _load(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"cannot be read ({error})", str(file), "save it as UTF-8 text") from error
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise ProjectError(f"is not valid YAML ({reason})", str(file), "correct it") from error
