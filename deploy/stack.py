"""The processes of the assistant: started in order, watched, and stopped cleanly."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from learning.errors import EvergreenError

READY_SECONDS = 180  # a model loads in ten seconds on two cores; slow disks take longer
STOP_SECONDS = 15  # Sanic finishes open requests first
SCHEDULE = "schedule"
SWAP_SECONDS = 50  # that the schedule may take to end: a swap that has begun is finished, for which the bot must be up
TAIL_LINES = 15
HOST = "127.0.0.1"
KEPT_SECRETS = ("EVERGREEN_WEBCHAT_SECRET", "EVERGREEN_WEBCHAT_IDENTITY_SECRET", "EVERGREEN_HUB_SECRET")
PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>


class StackError(EvergreenError):
    """A process of the stack did not start or stopped by itself."""


@dataclass(frozen=True)
class Ports:
    """Where each part listens."""

    shop: int = 8081
    actions: int = 5055
    bot: int = 5005
    hub: int = 8080
    desk: int = 8082

    @classmethod
    def free(cls) -> Ports:
        """Return ports that nothing listens on now."""
        with _bound(5) as numbers:
            return cls(*numbers)


@dataclass(frozen=True)
class Part:
    """One process: its command, and the address that answers once it is ready (None: no address)."""

    name: str
    command: tuple[str, ...]
    ready: str | None


@dataclass
class Stack:
    """All parts of one project, with its state under `state` and its logs under `state`/log."""

    root: Path
    ports: Ports = field(default_factory=Ports)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    say: Callable[[str], None] = print

    def __post_init__(self) -> None:
        self.state = self.root / "var"
        # Hexadecimal: a token that begins with a dash would be taken for an option of `rasa run`, one start in 64.
        self.token = secrets.token_hex(24)
        self.desk_token = secrets.token_hex(24)
        self.demo_password = secrets.token_urlsafe(9)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def shop_url(self) -> str:
        """Address of the shop."""
        return f"http://{HOST}:{self.ports.shop}"

    @property
    def actions_url(self) -> str:
        """Address that the bot calls its actions at."""
        return f"http://{HOST}:{self.ports.actions}/webhook"

    @property
    def bot_url(self) -> str:
        """Address of the Rasa server."""
        return f"http://{HOST}:{self.ports.bot}"

    @property
    def hub_url(self) -> str:
        """Address of the hub."""
        return f"http://{HOST}:{self.ports.hub}"

    @property
    def desk_url(self) -> str:
        """Address of the desk's own interface; people use the hub."""
        return f"http://{HOST}:{self.ports.desk}"

    def environment(self) -> dict[str, str]:
        """Return the environment that every part gets: who is where, and the secrets of this run."""
        chosen = {
            "EVERGREEN_SHOP_URL": self.shop_url,
            "EVERGREEN_BOT_URL": self.bot_url,
            "EVERGREEN_BOT_TOKEN": self.token,
            "EVERGREEN_DESK_URL": self.desk_url,
            "EVERGREEN_ACTIONS_URL": self.actions_url,
            "EVERGREEN_HUB_URL": self.environ.get("EVERGREEN_HUB_URL", self.hub_url),
            "EVERGREEN_DESK_TOKEN": self.desk_token,
            "EVERGREEN_HUB_DEMO_PASSWORD": self.demo_password,
            **self._kept_secrets(),
            "SANIC_HOST": HOST,  # the action server listens on every address otherwise
            "RASA_TELEMETRY_ENABLED": "false",
            "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            # One message is one small product: a second thread costs more in waking up than it computes.
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        return {**self.environ, **chosen}

    def parts(self) -> list[Part]:
        """Return the parts in the order in which they start."""
        python = sys.executable
        ports = self.ports
        bot = (
            *(python, "-m", "rasa", "run", "--enable-api", "--auth-token", self.token),
            *("--interface", HOST, "--port", str(ports.bot), "--model", "models"),
            *("--endpoints", str(self._endpoints()), "--credentials", "credentials.yml"),
        )
        at = ("--host", HOST, "--port")
        return [
            Part("shop", (python, "-m", "shop", *at, str(ports.shop)), f"{self.shop_url}/healthz"),
            Part(
                "actions",
                (python, "-m", "rasa", "run", "actions", "--port", str(ports.actions)),
                f"http://{HOST}:{ports.actions}/health",
            ),
            Part("bot", bot, f"{self.bot_url}/"),
            Part("desk", (python, "-m", "desk", "serve", *at, str(ports.desk)), f"{self.desk_url}/healthz"),
            Part("hub", (python, "-m", "hub", *at, str(ports.hub)), f"{self.hub_url}/login"),
            Part(SCHEDULE, (python, "-m", "learning", "schedule", "run"), None),
        ]

    def train_if_needed(self) -> None:
        """Train a first model where there is none.

        Raises:
            StackError: `rasa train` failed.
        """
        if any((self.root / "models").glob("*.tar.gz")):
            return
        self.say("training the first model (about a minute)")
        log = self._log("train")
        with log.open("wb") as out:
            command = [sys.executable, "-m", "rasa", "train"]
            done = subprocess.run(
                command, cwd=self.root, env=self.environment(), stdout=out, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode:
            raise StackError(f"failed with exit code {done.returncode}:\n{_tail(log)}", "rasa train", f"read {log}")

    def start(self, without: Collection[str] = ()) -> None:
        """Start every part but those named in `without`, and wait until each answers.

        Raises:
            StackError: a port is taken, or a part stopped or did not answer in time.
        """
        for name in ("shop", "actions", "bot", "hub", "desk"):
            port = getattr(self.ports, name)
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    raise StackError(
                        "is taken by another program", f"port {port} ({name})", "stop it, or use `--free-ports`"
                    )
        parts = [part for part in self.parts() if part.name not in without]
        for part in parts:
            self._launch(part)
        for part in parts:
            self._wait_ready(part)

    def restart(self, name: str) -> None:
        """Kill a part, as a crash would, start it anew, and wait until it answers."""
        _signal(self._running[name], signal.SIGKILL)
        self._running[name].wait()
        (part,) = [part for part in self.parts() if part.name == name]
        self._launch(part)
        self._wait_ready(part)

    def check(self) -> None:
        """Raise `StackError` if a part has stopped by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                log = self._log(name)
                raise StackError(f"stopped with exit code {process.returncode}:\n{_tail(log)}", name, f"read {log}")

    def stop(self) -> None:
        """Stop every part, the schedule before all others; one that does not end in time is killed."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of them running
        schedule = self._running.pop(SCHEDULE, None)
        if schedule is not None:
            _end([schedule], SWAP_SECONDS)
        _end(list(reversed(self._running.values())), STOP_SECONDS)
        self._running.clear()

    def _launch(self, part: Part) -> None:
        with self._log(part.name).open("wb") as out:
            self._running[part.name] = subprocess.Popen(
                part.command,
                cwd=self.root,
                env=self.environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops them in order
                preexec_fn=_end_with_parent,
            )

    def _wait_ready(self, part: Part) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            self.check()
            if part.ready is None or _answers(part.ready):
                self.say(f"{part.name} is up")
                return
            if time.monotonic() > deadline:
                log = self._log(part.name)
                raise StackError(f"did not answer within {READY_SECONDS} s:\n{_tail(log)}", part.name, f"read {log}")
            time.sleep(0.2)

    def _kept_secrets(self) -> dict[str, str]:
        """Return the secrets that outlive a restart, so that chats and logins do; made at the first start."""
        path = self.state / "secrets.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        kept: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        missing = [name for name in KEPT_SECRETS if name not in kept]
        if missing:
            kept.update({name: secrets.token_hex(32) for name in missing})
            # Made here with its rights, so that it is never readable by other users.
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump(kept, file)
        return {name: self.environ.get(name) or kept[name] for name in KEPT_SECRETS}

    def _endpoints(self) -> Path:
        """Return the endpoints file: the project's own, or a copy with this run's port of the action server."""
        own = self.root / "endpoints.yml"
        if self.ports.actions == Ports().actions:
            return own
        content = yaml.safe_load(own.read_text("utf-8"))
        content["action_endpoint"]["url"] = f"http://{HOST}:{self.ports.actions}/webhook"
        copy = self.state / "endpoints.yml"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(yaml.safe_dump(content), "utf-8")
        return copy

    def _log(self, name: str) -> Path:
        path = self.state / "log" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        # The hub prints the password of the account that it makes at its first start: nobody else may read it there.
        path.touch(mode=0o600)
        path.chmod(0o600)
        return path


def interrupt_on_terminate() -> None:
    """Make SIGTERM end this process as Ctrl-C does, so that what it started is stopped as well."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, interrupt)


@contextmanager
def _bound(count: int) -> Iterator[list[int]]:
    """Hold `count` free ports open at once, so that no number is given twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind((HOST, 0))
        yield [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code < 500
    except httpx.HTTPError:
        return False


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the whole group: Rasa and uvicorn may have children."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _end(processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    """Tell processes to end, and kill those that have not after so many seconds."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()


def _end_with_parent() -> None:
    """Have the kernel end this process when the supervisor is killed; only Linux can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:])
