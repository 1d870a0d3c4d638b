"""`learning forget` reaches the desk, too, wherever there is one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from desk import service
from desk.erasure import DeskEraser, open_eraser
from desk.errors import DeskError
from desk.model import Mark
from learning import __main__ as command_line
from learning.adapters.tracker_erasure import SqlTrackerEraser
from learning.forget import Forgotten, forget
from learning.model import sender_key
from learning.privacy import PatternRedactor
from tests.desk_world import DeskWorld, make_desk_world
from tests.learning_builders import FakeEncoder, fresh_database, make_loop, make_project

SECRET = "zyzzyva"


@pytest.fixture
def world(tmp_path: Path) -> DeskWorld:
    make_project(tmp_path)
    return make_desk_world(tmp_path)


def answered(world: DeskWorld, sender: str) -> str:
    """Somebody was handed over and has an answer with a word that nobody else has; return the hand-over's id."""
    world.ask(sender)
    world.worker.step()
    (found,) = world.desk.store.of_sender(sender)
    service.take(world.desk, found.handover_id, "anna", f"join-{sender}")
    service.reply(world.desk, found.handover_id, "anna", f"{SECRET} {sender}", f"reply-{sender}")
    world.worker.step()
    return found.handover_id


def closed(world: DeskWorld, handover_id: str) -> None:
    service.close(world.desk, handover_id, "anna", False, SECRET, 99, f"close-{handover_id}")
    world.worker.step()


def run(tmp_path: Path, world: DeskWorld, **more: object) -> Forgotten:
    database = tmp_path / "var" / "learning.db"
    loop = make_loop(tmp_path, f"sqlite:///{database}" if database.exists() else fresh_database(database))

    def tracker() -> SqlTrackerEraser:
        return SqlTrackerEraser(f"sqlite:///{tmp_path}/var/tracker.db")

    def desk() -> DeskEraser | None:
        return open_eraser(f"sqlite:///{tmp_path}/var/desk.db", world.clock)

    return forget(loop, tracker, "ann", open_desk=desk, **{"sender_id": "zoe", **more})  # type: ignore[arg-type]


def test_hand_overs_go_and_those_of_others_stay(tmp_path: Path, world: DeskWorld) -> None:
    closed(world, answered(world, "zoe"))
    other = answered(world, "bea")

    told = run(tmp_path, world, dry_run=True)
    assert (told.handovers, len(world.desk.store.of_sender("zoe"))) == (1, 1)
    assert run(tmp_path, world).handovers == 1
    assert (world.desk.store.senders(), world.desk.store.message("reply-zoe")) == (["bea"], None)
    assert [one.text for one in world.desk.store.messages(other)][-1] == f"{SECRET} bea"
    stored = b"".join(path.read_bytes() for path in (tmp_path / "var").glob("desk.db*"))
    assert f"{SECRET} zoe".encode() not in stored
    assert run(tmp_path, world).handovers == 0


def test_what_was_forgotten_is_not_read_again_and_what_comes_later_is(tmp_path: Path, world: DeskWorld) -> None:
    closed(world, answered(world, "zoe"))
    world.clock.wait(1)
    run(tmp_path, world, sender_id=None, key=sender_key("zoe"))
    world.desk.store.set_watermark(Mark(0))
    for _ in range(2):
        world.worker.step()
    assert world.desk.store.senders() == []
    world.clock.wait(60)
    world.ask("zoe", 2)
    world.worker.step()
    assert world.desk.store.senders() == ["zoe"]


def test_who_is_at_the_desk_now_is_not_left_alone_with_a_silent_assistant(tmp_path: Path, world: DeskWorld) -> None:
    answered(world, "zoe")
    report = run(tmp_path, world)
    assert (report.handovers, len(world.desk.store.of_sender("zoe"))) == (0, 1)
    assert any("close the chat" in problem for problem in report.problems)


def test_a_project_without_a_desk_gets_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/var/desk.db"
    assert open_eraser(url, lambda: pytest.fail("asked for the time")) is None
    assert not (tmp_path / "var").exists()
    with pytest.raises(DeskError):
        open_eraser("no database", lambda: pytest.fail("asked for the time"))


def test_the_command_line_tells_of_the_desk(
    tmp_path: Path, world: DeskWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed(world, answered(world, "zoe"))
    fresh_database(tmp_path / "var" / "learning.db")
    monkeypatch.setattr("learning.bootstrap.OnnxEncoder", lambda **options: FakeEncoder())
    monkeypatch.setattr("learning.bootstrap.PresidioRedactor", PatternRedactor)
    for name in [name for name in os.environ if name.startswith("EVERGREEN_")]:
        monkeypatch.delenv(name)
    for options, found in ((["--dry-run"], 1), (["--yes"], 1), (["--yes"], 0)):
        monkeypatch.setattr(
            "sys.argv", ["learning", "--project", str(tmp_path), "forget", "zoe", "--who", "ann", "--json", *options]
        )
        with pytest.raises(SystemExit) as ended:
            command_line.run()
        assert ended.value.code in (0, None)
        assert json.loads(capsys.readouterr().out)["handovers"] == found
