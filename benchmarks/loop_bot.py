"""The running bot of the loop benchmark: Rasa's NLU graph with the live overlay, in a process of its own.

Run as `python -m benchmarks.loop_bot` it reads requests, a JSON object a line: `{"load": MODEL}` or `{"texts": [...]}`,
and answers each with one line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

from rasa_sdk import Tracker

from actions.clarify import candidates
from learning.errors import BotServerError
from learning.model import FALLBACK_INTENT, ServerState

RANKED = 10  # intents of a ranking that are kept, as many as Rasa's own classifiers tell
KEPT = ("intent_ranking", "response_selector", "out_of_scope", "sentiment", "overlay")


class Bot:
    """A bot in the project `root`; it serves as the loop's `BotServer`, and says how it understands messages.

    Args:
        root: the project, whose learning database the overlay reads.
        environ: the child's environment.
    """

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._log = (root / "var" / "bot.log").open("ab")
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.loop_bot"],
            cwd=root,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._model: Path | None = None

    def running_model(self) -> Path:
        """Return the path of the model that answers now."""
        if self._model is None:
            raise BotServerError("runs without a model", "the benchmark's bot", "load one first")
        return self._model

    def load_model(self, model: Path) -> None:
        """Swap the model."""
        self._ask({"load": str(model.resolve())})
        self._model = model

    def states(self) -> tuple[ServerState, ...]:
        """Return what it runs."""
        return (ServerState("the benchmark's bot", self._model.name),) if self._model else ()

    def align(self, model: Path) -> tuple[str, ...]:
        """Load a model if another one runs."""
        if self._model == model:
            return ()
        self.load_model(model)
        return ("the benchmark's bot",)

    def understand(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return the parse data of each text: `intent`, and of the rest what is kept of it."""
        return list(self._ask({"texts": list(texts)}))

    def close(self) -> None:
        """End the process."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        self._child.wait(timeout=60)
        self._log.close()

    def _ask(self, request: Mapping[str, object]) -> Any:
        writer, reader = self._child.stdin, self._child.stdout
        if writer is None or reader is None:
            raise BotServerError("has no pipes", "the benchmark's bot", "start it again")
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            writer.flush()
        except BrokenPipeError:
            pass  # the child is gone: the empty answer below tells
        answer = reader.readline()
        if not answer:
            raise BotServerError("has died", "the benchmark's bot", f"read {self._log.name}")
        return json.loads(answer)


def label_of(parsed: Mapping[str, Any]) -> str:
    """Return how a message was understood: the intent, or the full retrieval key."""
    name = str(parsed["intent"]["name"] or FALLBACK_INTENT)
    selected = (parsed.get("response_selector") or {}).get(name) or {}
    return str((selected.get("response") or {}).get("intent_response_key") or name)


def offered(parsed: Mapping[str, Any]) -> list[str]:
    """Return the labels among which this assistant's own fallback action asks to choose, empty if it does not ask."""
    verdict = parsed.get("out_of_scope") or {}
    labels = [str(entry["name"]) for entry in verdict.get("candidates") or []]
    # What the model ranks is in its domain: it was trained on it.
    domain = {"intents": labels, "responses": {f"utter_{label}": [] for label in labels}}
    return candidates(cast(Tracker, SimpleNamespace(latest_message=parsed)), domain)


def _kept(parsed: Mapping[str, Any]) -> dict[str, Any]:
    kept = {"intent": parsed["intent"], **{key: parsed[key] for key in KEPT if key in parsed}}
    kept["intent_ranking"] = list(kept.get("intent_ranking") or [])[:RANKED]
    # Only the response that was chosen is read; the others are hundreds where much was learned.
    selected = dict(kept.get("response_selector") or {}).get(kept["intent"]["name"])
    chosen = {"response": dict(selected["response"], responses=[]), "ranking": []} if selected else None
    kept["response_selector"] = {kept["intent"]["name"]: chosen} if chosen else {}
    return kept


def _serve(requests: IO[str], answers: IO[str]) -> None:
    import asyncio
    import logging

    from rasa.core.agent import Agent
    from rasa.utils.log_utils import configure_structlog

    configure_structlog(logging.ERROR)
    agent: Any = None

    async def parse(texts: Sequence[str]) -> list[dict[str, Any]]:
        # A leading slash would be read as an intent, not as a message.
        return [_kept(await agent.parse_message(text.lstrip("/"))) for text in texts]

    for line in requests:
        request = json.loads(line)
        if "load" in request:
            agent = Agent.load(request["load"])
            result: Any = "loaded"
        else:
            result = asyncio.run(parse(request["texts"]))
        answers.write(json.dumps(result) + "\n")
        answers.flush()


def main() -> None:
    """Answer requests until standard input ends; what libraries print goes to the log."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
