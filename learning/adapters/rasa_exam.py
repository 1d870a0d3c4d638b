"""Asking models what they are measured by, in a child process that loads them side by side: see `rasa_exam_child`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import orjson
import yaml

from learning.adapters.rasa_nlu import MARK, RasaNlu
from learning.errors import TrainingError
from learning.exams import Examined, LiveStory, Parsed, Played
from learning.settings import Settings

CHILD = "learning.adapters.rasa_exam_child"
EXAM_TIMEOUT = 1800  # seconds; a thousand messages take two models ten, a hundred conversations a minute
LOOK_TIMEOUT = 3.0  # seconds that an action server may take to say that it is there
ACTIONS = "EVERGREEN_ACTIONS_URL"  # the action server's address, where it is another than that of endpoints.yml


class RasaExaminer(RasaNlu):
    """Trains and asks models in child processes, and plays conversations with the running action server."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._endpoints = settings.path(settings.project.endpoints).resolve()

    def examine(
        self, models: Sequence[Path], texts: Sequence[str], stories: Sequence[LiveStory] = ()
    ) -> list[Examined]:
        """Return what each model by itself, without the overlay, makes of the same messages and conversations.

        All models are asked the first message, then all the second, so that they are timed under the same load.

        Args:
            models: paths, absolute or below the project's folder.
            texts: the messages.
            stories: the conversations; they are played where the action server answers.

        Raises:
            TrainingError: a model cannot be loaded.

        """
        actions, problem = self._actions() if stories else ("", "")
        request = {
            "models": [str((self._root / model).resolve()) for model in models],
            "texts": list(texts),
            "stories": [asdict(story) for story in stories] if actions else [],
            "endpoints": str(self._endpoints) if self._endpoints.exists() else "",
            "actions": actions,
        }
        names = " and ".join(model.name for model in models)
        done = self._run(
            [sys.executable, "-m", CHILD],
            f"model {names}",
            EXAM_TIMEOUT,
            sent=orjson.dumps(request),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _, mark, payload = done.stdout.partition(MARK)
        if done.returncode != 0 or not mark:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise TrainingError(
                f"cannot be asked ({lines[-1] if lines else 'no output'})", f"model {names}", "train it again"
            )
        return [_examined(item, problem) for item in orjson.loads(payload)]

    def _actions(self) -> tuple[str, str]:
        """Return the address of the action server that answers, or why no conversation can be played."""
        url = action_server(self._endpoints, os.environ)
        if not url:
            return "", f"not run: {self._endpoints.name} names no action server"
        health = f"{url.rpartition('/webhook')[0] or url}/health"
        try:
            httpx.get(health, timeout=LOOK_TIMEOUT)
        except (httpx.HTTPError, httpx.InvalidURL):
            return "", "not run: the action server does not answer"
        return url, ""


def action_server(endpoints: Path, environ: Mapping[str, str]) -> str:
    """Return the action server's address as the environment or `endpoints.yml` has it, empty without one."""
    if environ.get(ACTIONS):
        return environ[ACTIONS]
    try:
        content = yaml.safe_load(endpoints.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return ""
    found = content.get("action_endpoint") if isinstance(content, dict) else None
    url = str(found.get("url") or "") if isinstance(found, dict) else ""
    return re.sub(r"\$\{(\w+)\}", lambda match: environ.get(match.group(1), ""), url)


def _examined(item: Mapping[str, Any], problem: str) -> Examined:
    parsed = tuple(
        Parsed(one["label"], one["confidence"], frozenset((a, b, str(kind)) for a, b, kind in one["spans"]), one["ms"])
        for one in item["parsed"]
    )
    return Examined(parsed, tuple(Played(**one) for one in item["played"]), problem)
