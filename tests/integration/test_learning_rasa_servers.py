"""Several Rasa servers of one bot: all are swapped, or none; one that was away is brought in line."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tenacity import wait_none

from learning.adapters import rasa_server
from learning.adapters.rasa_server import RasaServer
from learning.adapters.rasa_servers import RasaServers
from learning.alone import RETRAINING
from learning.bootstrap import App
from learning.deployment import make_live
from learning.errors import BotServerError, TrainingError
from learning.loop import Loop
from learning.model import DeployedModel
from learning.running_model import reconcile
from learning.settings import load_settings
from tests.learning_builders import START, make_loop, make_project

OLD, NEW = "old.tar.gz", "new.tar.gz"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasa_server, "wait_random_exponential", lambda **kwargs: wait_none())
    monkeypatch.setattr(rasa_server, "PAUSE", 0)


class Bot:
    """One Rasa server: `fails` says what goes wrong with a new model, and is `away` while it is down."""

    def __init__(self, port: int, log: list[str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.model = OLD
        self.log = log
        self.away = False
        self.fails = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused")
        if request.method == "PUT":
            return self.load(Path(json.loads(request.content)["model_file"]).name)
        if request.method == "POST":
            mute = self.fails == "mute" and self.model == NEW
            return httpx.Response(200, json={} if mute else {"intent": {"name": "greet"}})
        if self.fails == "starts":
            return httpx.Response(409, json={"message": "No agent loaded."})
        if self.fails == "token":
            return httpx.Response(401)
        return httpx.Response(200, json={"model_file": self.model})

    def load(self, name: str) -> httpx.Response:
        self.log.append(f"{self.port} loads {name}")
        if self.fails == "refuses" and name == NEW:
            return httpx.Response(400, json={"message": "Agent could not be loaded."})
        if self.fails == "dies" and name == NEW:
            self.away = True
            raise httpx.ReadError("reset")
        self.model = name
        return httpx.Response(204)


class Fleet:
    """Three servers, and what asks and tells them."""

    def __init__(self, models: Path) -> None:
        self.log: list[str] = []
        self.bots = [Bot(5005 + number, self.log) for number in range(3)]
        self.servers = RasaServers([RasaServer(bot.url, "", models, httpx.MockTransport(bot)) for bot in self.bots])

    @property
    def models(self) -> list[str]:
        return [bot.model for bot in self.bots]


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path / "models")


def test_a_swap_reaches_all_one_after_the_other(fleet: Fleet) -> None:
    fleet.servers.load_model(Path(NEW))

    assert fleet.models == [NEW] * 3
    assert fleet.log == [f"{port} loads {NEW}" for port in (5005, 5006, 5007)]


@pytest.mark.parametrize(
    ("fails", "problem"),
    [
        ("refuses", r"could not be swapped everywhere \(Rasa server .*:5006: .*Agent could not be loaded"),
        ("dies", r":5006: does not answer \(ReadError\)\); all servers that answer run again what they ran before"),
        ("mute", r":5006: reads no message with new\.tar\.gz\)"),
    ],
)
def test_where_one_cannot_all_go_back(fleet: Fleet, fails: str, problem: str) -> None:
    fleet.bots[1].fails = fails
    with pytest.raises(BotServerError, match=problem):
        fleet.servers.load_model(Path(NEW))

    assert fleet.models == [OLD] * 3
    assert f"5007 loads {NEW}" not in fleet.log


def test_who_cannot_go_back_is_named(fleet: Fleet) -> None:
    fleet.bots[1].fails = "refuses"
    genuine = fleet.bots[0].load

    def only_new(name: str) -> httpx.Response:
        return genuine(name) if name == NEW else httpx.Response(400, json={"message": "no such file"})

    fleet.bots[0].load = only_new  # type: ignore[method-assign]
    with pytest.raises(BotServerError, match=r"http://127\.0\.0\.1:5005 may still run it: look there"):
        fleet.servers.load_model(Path(NEW))


def test_one_that_is_away_is_left_out_and_one_that_refuses_the_token_is_not(fleet: Fleet) -> None:
    fleet.bots[0].away = True
    fleet.servers.load_model(Path(NEW))
    assert fleet.models == [OLD, NEW, NEW]
    assert fleet.servers.running_model().name == NEW

    fleet.bots[0].away, fleet.bots[0].fails = False, "token"
    with pytest.raises(BotServerError, match="refuses the token"):
        fleet.servers.load_model(Path(OLD))
    assert fleet.models == [OLD, NEW, NEW]


@pytest.mark.parametrize("number", [0, 2])
def test_one_that_has_no_model_yet_does_not_stop_a_swap(fleet: Fleet, number: int) -> None:
    fleet.bots[number].fails = "starts"
    fleet.servers.load_model(Path(NEW))

    assert fleet.models.count(NEW) == 2
    assert fleet.servers.running_model().name == NEW


def test_without_any_server_nothing_is_swapped(fleet: Fleet) -> None:
    for bot in fleet.bots:
        bot.away = True
    with pytest.raises(BotServerError, match=r"5007: does not answer"):
        fleet.servers.load_model(Path(NEW))
    assert {one.model for one in fleet.servers.states()} == {""}
    assert all("does not answer" in one.problem for one in fleet.servers.states())


# --- in line with the learning database -----------------------------------------------------------------


@pytest.fixture
def loop(tmp_path: Path, fleet: Fleet) -> Loop:
    made = make_loop(make_project(tmp_path))
    (tmp_path / "models").mkdir()
    for name in (OLD, "new.tar.gz.candidate"):
        (tmp_path / "models" / name).write_bytes(b"a model")
    (tmp_path / "models" / "new.tar.gz.candidate").rename(tmp_path / NEW)
    reconcile(made, fleet.servers)
    return made


def swap(loop: Loop, fleet: Fleet) -> None:
    deployed = DeployedModel(NEW, START, OLD)
    make_live(loop, loop.settings.root / NEW, deployed, fleet.servers, "ann", "better")


def test_one_that_comes_back_with_the_older_model_is_brought_in_line(loop: Loop, fleet: Fleet) -> None:
    fleet.bots[0].away = True
    swap(loop, fleet)
    fleet.bots[0].away = False
    fleet.log.clear()

    assert reconcile(loop, fleet.servers) is None
    assert (fleet.models, fleet.log) == ([NEW] * 3, [f"5005 loads {NEW}"])
    assert loop.store.running_model() == NEW


def test_a_swap_that_nobody_lived_to_end_is_taken_back(loop: Loop, fleet: Fleet) -> None:
    """The worker was killed after the first of three."""
    fleet.bots[0].model = NEW

    assert reconcile(loop, fleet.servers) is None
    assert fleet.models == [OLD] * 3


def test_while_a_swap_goes_on_nobody_is_brought_in_line(loop: Loop, fleet: Fleet) -> None:
    fleet.bots[0].model = NEW
    loop.store.claim(RETRAINING, "elsewhere:1", loop.now(), loop.now() - timedelta(hours=1))
    assert reconcile(loop, fleet.servers) is None
    assert fleet.models == [NEW, OLD, OLD]

    loop.store.unclaim(RETRAINING, "elsewhere:1")
    reconcile(loop, fleet.servers)
    assert fleet.models == [OLD] * 3


def test_what_somebody_starts_everywhere_by_hand_is_followed(loop: Loop, fleet: Fleet) -> None:
    for bot in fleet.bots:
        bot.model = "by-hand.tar.gz"
    done = reconcile(loop, fleet.servers)

    assert done is not None
    assert (done.model, done.before) == ("by-hand.tar.gz", OLD)
    assert fleet.models == ["by-hand.tar.gz"] * 3


def test_one_that_refuses_to_come_in_line_stops_nothing(loop: Loop, fleet: Fleet) -> None:
    fleet.bots[0].away = True
    swap(loop, fleet)
    fleet.bots[0].away, fleet.bots[0].fails = False, "refuses"

    assert reconcile(loop, fleet.servers) is None
    assert fleet.models == [OLD, NEW, NEW]


def test_a_refused_model_leaves_no_file_that_a_restart_would_take(loop: Loop, fleet: Fleet) -> None:
    fleet.bots[2].fails = "refuses"
    with pytest.raises(BotServerError):
        swap(loop, fleet)

    assert [path.name for path in loop.settings.path("models").iterdir()] == [OLD]
    assert loop.store.running_model() == OLD


def test_a_folder_that_takes_no_model_stops_the_swap(loop: Loop, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("learning.deployment.shutil.copyfile", full)
    with pytest.raises(TrainingError, match=r"cannot be put into .*No space left on device.*nothing was swapped"):
        swap(loop, fleet)
    assert fleet.models == [OLD] * 3


def test_all_servers_come_from_settings_and_environment(tmp_path: Path) -> None:
    root = make_project(tmp_path, "bot:\n  more_urls: [http://127.0.0.1:5006/, http://127.0.0.1:5005]\n")
    of_file = App(load_settings(root, {})).server
    of_environment = App(load_settings(root, {"EVERGREEN_BOT_MORE_URLS": "http://a:1, http://b:2,"})).server

    assert [one.address for one in of_file.states()] == ["http://127.0.0.1:5005", "http://127.0.0.1:5006"]
    assert load_settings(root, {"EVERGREEN_BOT_MORE_URLS": ""}).bot.more_urls == ()
    assert [one.address for one in of_environment._servers] == ["http://127.0.0.1:5005", "http://a:1", "http://b:2"]
