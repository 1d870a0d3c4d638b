"""What the browser tests of the hub are built from: a real hub process and Debian's chromium.

`tests/e2e/conftest.py` brings the fixtures: `hub` (one process a module, with an empty learning database that a test
fills through `hub.store`) and `tab`, which opens a page for a person of a role, already logged in:

    def test_something(hub: Served, tab: OpenTab) -> None:
        fill(hub.store, a_proposal(1))
        page = tab("reviewer")
        page.goto(f"{hub.url}/")
        check_accessible(page)
        shot(page, "inbox")

Whatever a page complains about in its console (an error in a script, something that the content policy forbids) fails
the test at its end, and so does a static file that is missing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.staff.accounts import Accounts
from hub.staff.roles import Role
from learning.adapters.store import Store
from tests.hub_world import FAST, make_project

CHROMIUM = Path("/usr/bin/chromium")
REPOSITORY = Path(__file__).resolve().parents[1]
START_SECONDS = 60.0  # a busy machine; it takes three
STOP_SECONDS = 10.0
WAIT_MS = 30_000  # for anything that a page is to show, on a busy machine, too
DESKTOP, PHONE = 1280, 390  # CSS pixels
SHOTS = "EVERGREEN_SHOTS"  # names the folder that `shot` writes to
PEOPLE: Mapping[str, Role] = {
    "viewer": Role.VIEWER,
    "reviewer": Role.REVIEWER,
    "reviewer2": Role.REVIEWER,
    "agent": Role.AGENT,
    "agent2": Role.AGENT,
    "admin": Role.ADMIN,
}

OpenTab = Callable[..., Any]


@dataclass
class Served:
    """A running hub: `store` is its learning database, opened by the test's own process, too."""

    root: Path
    port: int
    store: Store
    passwords: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the process has printed so far."""
        return (self.root / "hub.log").read_text("utf-8")

    @property
    def accounts(self) -> Accounts:
        return Accounts(self.root / "var/hub.db", hasher=FAST)

    def start(self) -> None:
        """Start the process and wait until it answers."""
        with open(self.root / "hub.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hub", "--project", str(self.root), "--port", str(self.port)],
                cwd=REPOSITORY,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/healthz").status_code == 200:
                    return
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"the hub did not start:\n{self.log}")

    def stop(self) -> float:
        """Stop the process as Ctrl-C does; return how many seconds it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the hub did not stop within {STOP_SECONDS} s:\n{self.log}") from None
        return time.monotonic() - began


def prepare(root: Path, **environment: str) -> Served:
    """Return a hub over a new project in `root`, with an account for everybody of `PEOPLE`; it is not started yet."""
    make_project(root)
    served = Served(root, _free_port(), Store(f"sqlite:///{root}/var/learning.db"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EVERGREEN_")}
    # Sessions outlive a restart, as they do where the hub is run for real.
    served.environment = {**clean, "EVERGREEN_HUB_SECRET": "s" * 32, "EVERGREEN_HUB_SECURE_COOKIE": "0", **environment}
    now = datetime.now(timezone.utc)
    for name, role in PEOPLE.items():
        served.passwords[name] = served.accounts.set_password(name, now, role)
    return served


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a running hub with an empty learning database, shared by the tests of a module."""
    served = prepare(tmp_path_factory.mktemp("hub"))
    served.start()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return chromium, started once for a module.

    While it is open an event loop runs in this thread: no test of another module could run one of its own.
    """
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: install Debian's chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM))
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser: Any, hub: Served) -> Iterator[OpenTab]:
    """Return a function that opens a page: `tab("reviewer")`, `tab("agent", dark=True, width=PHONE)`, `tab(None)`.

    Each page has a session of its own. `script=False` switches JavaScript off; further arguments are Playwright's of
    `new_context`.
    """
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_tab(
        who: str | None = "reviewer", dark: bool = False, width: int = DESKTOP, script: bool = True, **context: Any
    ) -> Any:
        scheme = "dark" if dark else "light"
        options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "java_script_enabled": script}
        contexts.append(browser.new_context(**{**options, "reduced_motion": "reduce", **context}))
        contexts[-1].set_default_timeout(WAIT_MS)
        page = contexts[-1].new_page()
        _watch(page, complaints)
        if who:
            login(page, hub, who)
        return page

    yield open_tab
    for context in contexts:
        context.close()
    assert complaints == [], complaints


def login(page: Any, hub: Served, who: str, password: str | None = None) -> None:
    """Log a person in through the form."""
    page.goto(f"{hub.url}/login")
    page.fill("#name", who)
    page.fill("#password", password or hub.passwords[who])
    page.click("main button.primary")
    page.wait_for_url(lambda url: "/login" not in url)


def check_accessible(page: Any) -> None:
    """Assert that axe finds nothing serious on the page as it is now."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    grave = [
        f"{one['impact']}: {one['id']} ({one['help']}) at {node['target']}: {node.get('failureSummary', '')}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert grave == [], "\n".join(grave)


def check_fits(page: Any) -> None:
    """Assert that nothing stands out to the right of the window."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} pixels wider than the window"


def shot(page: Any, name: str, whole: bool = True) -> None:
    """Write a picture of the page where EVERGREEN_SHOTS names a folder for them."""
    folder = os.environ.get(SHOTS)
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=whole)


def _watch(page: Any, complaints: list[str]) -> None:
    def on_console(message: Any) -> None:
        # An answer such as 409 is what a test asks for, and a hub that was stopped cannot be reached.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            complaints.append(f"{page.url}: {message.text}")

    def on_response(response: Any) -> None:
        if "/static/" in response.url and response.status >= 400:
            complaints.append(f"{page.url}: {response.url} is answered with {response.status}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on("response", on_response)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
