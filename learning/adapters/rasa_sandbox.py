"""The running model once more, in a child process that customers do not reach: see `rasa_sandbox_child`."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from learning.adapters.overlay_copy import OverlayCopy
from learning.errors import BotServerError, TrainingError
from learning.model import Entry
from learning.ports import BotServer, Encoder
from learning.sandbox import Button, Exchange, Reply, Understood
from learning.settings import Settings

CHILD = "learning.adapters.rasa_sandbox_child"
CODE = Path(__file__).resolve().parents[2]  # the folder that holds the package `learning`
START_TIMEOUT = 180.0  # seconds; a model with word vectors takes a minute to load
ANSWER_TIMEOUT = 60.0  # seconds; an action server may take its ten, several times in a turn
TEXT_TIMEOUT = 0.5  # seconds more for each text of a list: a hundred times what one takes
CHUNK = 100  # texts in one request
STOP_TIMEOUT = 3.0  # seconds that a child may take to end before it is killed


class RasaTrials:
    """Starts trial bots with the model that the running server answers with, or the newest one if it is down."""

    def __init__(self, settings: Settings, server: BotServer, encoder: Encoder) -> None:
        self._settings = settings
        self._server = server
        self._encoder = encoder

    def start(self, actions: str | None = None) -> RasaTrialBot:
        """Start one; `actions` is the URL of an action server, without it custom actions only say that they would run.

        Raises:
            TrainingError: there is no model, or it cannot be loaded.

        """
        return RasaTrialBot(self._settings, self._model(), self._encoder, actions)

    def _model(self) -> Path:
        models = self._settings.path(self._settings.project.models)
        try:
            running = self._server.running_model()
            if running.is_file():
                return running
        except BotServerError:
            pass  # nobody answers now: what would answer after a restart is tried
        found = sorted(models.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise TrainingError("holds no model to try anything on", f"folder {models}", "run `rasa train`")
        return found[-1]


class RasaTrialBot:
    """One child process with one model, its conversations in memory, and a database of entries that is its own."""

    def __init__(self, settings: Settings, model: Path, encoder: Encoder, actions: str | None = None) -> None:
        self.model = model.name
        self._turn = threading.Lock()
        folder = Path(tempfile.mkdtemp(prefix="evergreen-sandbox-"))
        self._log = folder / "log.txt"
        try:
            self._copy = OverlayCopy(folder, encoder)
            endpoints = settings.path(settings.project.endpoints)
            command = [
                sys.executable,
                "-m",
                CHILD,
                str(model.resolve()),
                str(endpoints),
                *([actions] if actions else []),
            ]
            with self._log.open("wb") as log:
                self._child = subprocess.Popen(
                    command,
                    cwd=settings.root.resolve(),
                    env=_environment(os.environ, self._copy.url),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for the person who types, not for the process that answers
                )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        # Whatever happens to this object, neither the process nor what it was told outlives it.
        self._end = weakref.finalize(self, _end, self._child, self._copy, folder)
        self._lines = _Lines(self._child.stdout)
        try:
            self._receive(START_TIMEOUT)
        except BaseException:
            self.close()
            raise

    def use(self, entries: Sequence[Entry]) -> None:
        """Make exactly these entries live for it, from its next message on."""
        with self._turn:
            self._copy.use(entries)

    def understand(self, texts: Sequence[str]) -> list[Understood]:
        """Return how it understands each text, outside of any conversation.

        Raises:
            TrainingError: the process has ended or does not answer.

        """
        found: list[Understood] = []
        for start in range(0, len(texts), CHUNK):
            part = list(texts[start : start + CHUNK])
            timeout = ANSWER_TIMEOUT + TEXT_TIMEOUT * len(part)
            answer = self._ask({"do": "understand", "texts": part}, timeout)
            found += [Understood(**item) for item in answer["understood"]]
        return found

    def say(self, conversation: str, text: str) -> Exchange:
        """Send a customer's message in the named conversation and return what is answered.

        Raises:
            TrainingError: the process has ended, does not answer, or Rasa failed at the message.

        """
        answer = self._ask({"do": "say", "conversation": conversation, "text": text}, ANSWER_TIMEOUT)
        replies = tuple(
            Reply(item["text"], tuple(Button(**button) for button in item["buttons"])) for item in answer["replies"]
        )
        return Exchange(text, Understood(**answer["understood"]), replies)

    def close(self) -> None:
        """End the process and remove what it kept."""
        self._end()

    def _ask(self, request: Mapping[str, object], timeout: float) -> dict[str, Any]:
        with self._turn:
            if not self._end.alive:
                raise TrainingError("has been closed", f"sandbox of {self.model}", "open another one")
            assert self._child.stdin is not None
            try:
                self._child.stdin.write(orjson.dumps(request) + b"\n")
                self._child.stdin.flush()
            except OSError as error:
                raise self._ended() from error
            return self._receive(timeout)

    def _receive(self, timeout: float) -> dict[str, Any]:
        try:
            line = self._lines.next(timeout)
        except TimeoutError as error:
            self.close()  # an answer that comes late would be taken for the next one's
            raise TrainingError(
                f"did not answer within {timeout:.0f} s and was stopped", f"model {self.model}", "try it again"
            ) from error
        if line is None:
            raise self._ended()
        answer: dict[str, Any] = orjson.loads(line)
        if "error" in answer:
            reason = str(answer["error"]).strip().splitlines()[0]
            raise TrainingError(
                f"cannot be tried ({reason})", f"model {self.model}", "look at the model and the actions"
            )
        return answer

    def _ended(self) -> TrainingError:
        log = self._log.read_text("utf-8", "replace").strip().splitlines() if self._log.exists() else []
        reason = log[-1] if log else "no output"
        self.close()
        return TrainingError(f"ended by itself ({reason})", f"model {self.model}", "try it again, or train another one")


class _Lines:
    """Reads whole lines of a pipe, none later than it may be."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        self._pipe = pipe
        self._buffer = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipe, selectors.EVENT_READ)

    def next(self, timeout: float) -> bytes | None:
        """Return the next line, None at the end; raise TimeoutError if there is none within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            part = os.read(self._pipe.fileno(), 1 << 16)
            if not part:
                return None
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


def _end(child: subprocess.Popen[bytes], copy: OverlayCopy, folder: Path) -> None:
    """End a child: it goes when its input ends, or is made to."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # it has ended already, with something still to write
                pipe.close()
    try:
        child.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    copy.close()
    shutil.rmtree(folder, ignore_errors=True)


def _environment(base: Mapping[str, str], store_url: str) -> dict[str, str]:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "SQLALCHEMY_SILENCE_UBER_WARNING": "1", "RASA_TELEMETRY_ENABLED": "false"}
    # The project may be any folder: this package is found where it runs now.
    path = os.pathsep.join(filter(None, (str(CODE), base.get("PYTHONPATH"))))
    # What it is told counts from the very next message on.
    overlay = {"EVERGREEN_OVERLAY": "on", "EVERGREEN_OVERLAY_POLL": "0"}
    return {**base, **quiet, **overlay, "PYTHONPATH": path, "EVERGREEN_STORE_URL": store_url}
