"""Runs blocks of the documentation in a real bash, quickly.

Starting one of our programs takes three seconds of imports, and the pages have a hundred commands. So one process
imports everything once and is forked for each command; `python` in the blocks is a small client that hands over its
arguments, its folder, its environment and its standard streams. All else (git, pipes, variables, loops) is bash's own.

    python -m tests.docs_shell SOCKET       # the server, until its standard input is closed
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVED = ("learning", "desk", "hub")
MOST = 65536  # bytes of a request; an environment has a few thousand
START_SECONDS = 120
GIT = {
    f"GIT_{role}_{what}": said
    for role in ("AUTHOR", "COMMITTER")
    for what, said in (("NAME", "Docs"), ("EMAIL", "d@x"))
}
BLOCK_SECONDS = 400  # a model that is loaded twice, on a machine that others use as well

CLIENT = """\
#!{python} -IS
import json, os, socket, sys
arguments = sys.argv[1:]
if arguments[:1] != ["-m"] or arguments[1] not in {served}:
    os.execv({python!r}, [{python!r}, *arguments])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = dict(module=arguments[1], arguments=arguments[2:], folder=os.getcwd(), environ=dict(os.environ))
    socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
    sys.exit(int(server.recv(16) or b"70"))
"""


@dataclass(frozen=True)
class Outcome:
    """What a block did: its exit code, and what it printed on both streams."""

    code: int
    said: str


@dataclass(frozen=True)
class Shell:
    """A folder with `python`, `make` and `rasa` that blocks find before all others."""

    programs: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def run(self, block: str, folder: Path) -> Outcome:
        """Run a block in `folder`; the first command that fails ends it."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("EVERGREEN_")}
        environ |= {"PATH": f"{self.programs}:{environ['PATH']}", "COLUMNS": "120", **GIT, **self.environ}
        done = subprocess.run(
            ["bash", "-e", "-u", "-o", "pipefail", "-c", block],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BLOCK_SECONDS,
            check=False,
        )
        return Outcome(done.returncode, done.stdout)


@contextmanager
def open_shell(folder: Path, environ: Mapping[str, str] | None = None) -> Iterator[Shell]:
    """Start the server, and stop it at the end. `folder` must have a short path: addresses of sockets do."""
    folder.mkdir(parents=True, exist_ok=True)
    address = folder / "socket"
    client = folder / "python"
    client.write_text(CLIENT.format(python=sys.executable, served=SERVED, address=str(address)), "utf-8")
    client.chmod(0o755)
    quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.docs_shell", str(address)],
        cwd=ROOT,
        env={**os.environ, **quiet},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == b"ready\n", "the server of the commands did not start"
        yield Shell(folder, {"PYTHONPATH": str(ROOT), **(environ or {})})
    finally:
        server.stdin.close()
        server.wait(timeout=START_SECONDS)


def serve(address: str) -> None:
    """Fork for each request until standard input is closed."""
    for name in SERVED:
        importlib.import_module(f"{name}.__main__")

    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _wait_and_tell(connection)
        connection.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _wait_and_tell(connection: socket.socket) -> None:
    """Run the request in a child of its own, and tell the client how it ended, however it did."""
    message, streams, _, _ = socket.recv_fds(connection, MOST, 3)
    child = os.fork()
    if child == 0:
        connection.close()
        _become(json.loads(message), streams)
    for stream in streams:
        os.close(stream)
    _, status = os.waitpid(child, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status) % 256).encode())
    os._exit(0)


def _become(request: Mapping[str, object], streams: list[int]) -> None:
    """Be the program that was asked for; never returns."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    code = 1
    try:
        os.chdir(str(request["folder"]))
        os.environ.clear()
        os.environ.update(request["environ"])  # type: ignore[arg-type]
        sys.argv = [str(request["module"]), *request["arguments"]]  # type: ignore[misc]
        sys.modules[f"{request['module']}.__main__"].run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
