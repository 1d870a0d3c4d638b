"""Training and querying models outside the running server, each in a process of its own.

The process keeps TensorFlow's memory and Rasa's import out of the loop, and lets the running bot be.
Run as `python -m learning.adapters.rasa_nlu MODEL` it reads a JSON list of texts and prints predictions:
this is the one place outside `components/` that imports Rasa.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from learning.adapters.child import command_of
from learning.errors import TrainingError
from learning.model import Prediction
from learning.settings import Settings
from learning.stopping import check_stop

TRAIN_TIMEOUT = 3600  # seconds
PREDICT_TIMEOUT = 600  # seconds
LOOK = 0.5  # seconds between two looks whether somebody wants it to stop
TIDY_UP = 5  # seconds from asking a child to end to making it
VALIDATION_LINES = 15  # of its output that are told
CODE = Path(__file__).resolve().parents[2]
THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("TF_INTRA_OP_PARALLELISM_THREADS", "TF_INTER_OP_PARALLELISM_THREADS"),
)
COLORS = re.compile(r"\x1b\[[0-9;]*m")
MARK = b"\x1epredictions\x1e"  # parts the result from whatever libraries print


class RasaNlu:
    """Runs Rasa in child processes from the project's root; they leave the processor to the running bot."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.root.resolve()
        self._project = settings.project
        self._nice = min(max(settings.retrain.nice, 0), 19)
        self._threads = settings.retrain.threads

    def train(self, training_data: Path, model: Path) -> None:
        """Train on `training_data` with the project's config and domain, and write the archive to `model`.

        Raises:
            TrainingError: Rasa failed; its last words are in the message, all of them in the log beside `model`.

        """
        model.parent.mkdir(parents=True, exist_ok=True)
        log = model.with_suffix(".log")
        command = [
            *(sys.executable, "-m", "rasa", "train"),
            *("--config", self._project.config, "--domain", self._project.domain),
            *("--data", str(training_data.resolve()), "--out", str(model.parent.resolve())),
            *("--fixed-model-name", model.name.removesuffix(".tar.gz")),
        ]
        with log.open("wb") as out:
            code = self._run(command, "rasa train", TRAIN_TIMEOUT, stdout=out, stderr=subprocess.STDOUT).returncode
        if code != 0 or not model.exists():
            lines = log.read_text("utf-8", "replace").strip().splitlines()
            raise TrainingError(
                f"failed with exit code {code} ({lines[-1] if lines else 'no output'})",
                "rasa train",
                f"read {log}; the running model is untouched",
            )

    def validate(self) -> list[str]:
        """Return what `rasa data validate` finds wrong with the project, its last lines; empty if it is sound."""
        command = [
            *(sys.executable, "-m", "rasa", "data", "validate"),
            *("--config", self._project.config, "--domain", self._project.domain, "--data", self._project.data),
        ]
        done = self._run(
            command, "rasa data validate", PREDICT_TIMEOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode == 0:
            return []
        lines = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
        return [COLORS.sub("", line).strip() for line in lines[-VALIDATION_LINES:]] or ["rasa data validate failed"]

    def predict(self, model: Path, texts: Sequence[str]) -> list[Prediction]:
        """Return how `model` by itself, without the overlay, understands each text.

        Raises:
            TrainingError: the model cannot be loaded.

        """
        command = [sys.executable, "-m", "learning.adapters.rasa_nlu", str((self._root / model).resolve())]
        done = self._run(
            command,
            f"model {model.name}",
            PREDICT_TIMEOUT,
            sent=orjson.dumps(list(texts)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _, mark, payload = done.stdout.partition(MARK)
        if done.returncode != 0 or not mark:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise TrainingError(
                f"cannot be loaded ({lines[-1] if lines else 'no output'})", f"model {model}", "train it again"
            )
        return [Prediction(**item) for item in orjson.loads(payload)]

    def _run(
        self, command: list[str], item: str, timeout: int, sent: bytes = b"", **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a child process to its end; it goes with whatever ends this work (`learning.stopping`, a kill)."""
        command = command_of(command, self._nice)
        environment = {**_environment(os.environ), **_threads(self._threads)}
        deadline = time.monotonic() + timeout
        # A file, not a pipe: communicating again after a timeout does not go on writing to one.
        with tempfile.TemporaryFile() as file:
            file.write(sent)
            file.seek(0)
            process = subprocess.Popen(command, cwd=self._root, env=environment, stdin=file, **options)
        try:
            while True:
                try:
                    out, err = process.communicate(timeout=LOOK)
                    return subprocess.CompletedProcess(command, process.returncode, out or b"", err or b"")
                except subprocess.TimeoutExpired:
                    check_stop(item)
                if time.monotonic() > deadline:
                    raise TrainingError(f"took more than {timeout} s and was stopped", item, "look for what hangs")
        except BaseException:
            _end(process)
            raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a child, which gets a moment to tidy up."""
    process.terminate()
    try:
        process.communicate(timeout=TIDY_UP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "SQLALCHEMY_SILENCE_UBER_WARNING": "1", "RASA_TELEMETRY_ENABLED": "false"}
    # The project may be any folder: this package is found where it runs now.
    path = os.pathsep.join(filter(None, (str(CODE), base.get("PYTHONPATH"))))
    return {**base, **quiet, "EVERGREEN_OVERLAY": "off", "PYTHONPATH": path}


def _threads(most: int) -> dict[str, str]:
    """Return what tells the libraries that Rasa computes with how many threads they may use; 0: as they like."""
    return dict.fromkeys(THREADS, str(most)) if most > 0 else {}


def main() -> None:
    """Load the model named on the command line, read texts from standard input, print predictions."""
    import asyncio

    from rasa.core.agent import Agent
    from rasa.shared.constants import INTENT_MESSAGE_PREFIX

    agent = Agent.load(sys.argv[1])
    texts = orjson.loads(sys.stdin.buffer.read())

    async def predict_all() -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for text in texts:
            # A leading slash would be read as an intent, not as a message.
            parsed = await agent.parse_message(text.lstrip(INTENT_MESSAGE_PREFIX))
            intent = parsed.get("intent") or {}
            name = intent.get("name") or ""
            selected = (parsed.get("response_selector") or {}).get(name) or {}
            key = (selected.get("response") or {}).get("intent_response_key")
            found.append({"text": text, "label": key or name, "confidence": float(intent.get("confidence") or 0.0)})
        return found

    predictions = asyncio.run(predict_all())
    sys.stdout.buffer.write(MARK + orjson.dumps(predictions))


if __name__ == "__main__":
    main()
