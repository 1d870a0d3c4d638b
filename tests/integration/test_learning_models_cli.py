"""`learning models`: what there is, what was said of it, and the ways to another model."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from learning.alone import RETRAINING
from learning.bootstrap import App
from learning.candidates import STATE, candidates
from learning.errors import EvergreenError
from learning.jobs import ask
from learning.loop import Loop
from learning.model import JobKind, WatchedModel
from learning.models_cli import models_cli
from learning.retrain import retrain
from learning.running_model import prune_models, reconcile
from learning.tasks import tasks_of
from learning.working import Worker
from tests.learning_builders import START, Clock, FakeNlu, FakeServer, make_loop, make_project

HOLDOUT = {"my parcel?": "track_order", "lost password": "reset_password"}


class World:
    """A project whose models are fakes, and its command line."""

    def __init__(self, root: Path) -> None:
        self.clock = Clock(START)
        self.loop: Loop = make_loop(make_project(root), now=self.clock)
        self.models = self.loop.settings.path("models")
        self.models.mkdir()
        (self.models / "old.tar.gz").write_bytes(b"old")
        self.server = FakeServer(self.models / "old.tar.gz")
        self.worse: Callable[[str], bool] = lambda model: False
        self.nlu = FakeNlu(lambda model, text: "greet" if self.worse(model) else HOLDOUT.get(text, "nlu_fallback"))
        self.app = App(self.loop.settings)
        self.app.__dict__.update(loop=self.loop, nlu=self.nlu, server=self.server)
        reconcile(self.loop, self.server)

    def train(self, deploy: bool = True) -> str:
        """Train a model; return its name."""
        self.clock.now += timedelta(minutes=1)
        report = retrain(self.loop, self.nlu, self.server, deploy=deploy)
        found = report.model or report.candidate
        assert found is not None
        return found.name

    def run(self, *arguments: str) -> Any:
        """Run a command; return what it prints as JSON, or its text."""
        result = CliRunner().invoke(_group(), ["models", *arguments], obj=self.app, catch_exceptions=True)
        if isinstance(result.exception, EvergreenError):
            raise result.exception
        assert result.exit_code == 0, (result.output, result.exception)
        return json.loads(result.output) if "--json" in arguments else result.output


def _group() -> typer.Typer:
    """The command line without what opens a project."""
    group = typer.Typer()
    group.add_typer(models_cli, name="models")

    @group.callback()
    def start() -> None:
        """Nothing is opened."""

    return group


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_models_that_ran_and_those_that_could_are_listed(world: World) -> None:
    live = world.train()
    world.worse = lambda model: model.startswith("evergreen-") and model != live
    left = world.train()
    listed = world.run("list", "--json")

    assert listed["running"] == live
    assert listed["servers"] == [{"address": "fake", "model": live, "problem": ""}]
    assert [(one["name"], one["running"]) for one in listed["models"]] == [(live, True), ("old.tar.gz", False)]
    assert [(one["name"], one["state"]) for one in listed["candidates"]] == [(left, "blocked")]
    shown = world.run("list")
    assert "candidate, blocked" in shown
    assert "runs" in shown


def test_a_candidate_that_passed_is_deployed_by_name(world: World) -> None:
    left = world.train(deploy=False)
    assert world.server.model.name == "old.tar.gz"
    assert world.run("deploy", left.removesuffix(".tar.gz"), "--json") == {"running": left}

    assert world.server.model == world.models / left
    assert candidates(world.loop) == []
    assert world.loop.store.audit_rows()[-1].what == "run model"


def test_one_that_did_not_pass_needs_an_override_and_a_reason(world: World) -> None:
    world.worse = lambda model: model.startswith("evergreen-")
    left = world.train()
    for arguments in ((), ("--override",), ("--reason", "the hold-out is wrong")):
        with pytest.raises(EvergreenError, match=r"did not pass the gate: .*use --override with a --reason"):
            world.run("deploy", left, *arguments)
    assert world.server.model.name == "old.tar.gz"
    world.run("deploy", left, "--override", "--reason", "the hold-out is wrong", "--who", "ann")

    assert world.server.model.name == left
    last = world.loop.store.audit_rows()[-1]
    assert (last.who, last.item) == ("ann", left)
    assert "against the gate (" in last.reason
    assert last.reason.endswith("): the hold-out is wrong")


def test_what_went_back_by_itself_is_against_the_gate(world: World) -> None:
    left = world.train(deploy=False)
    (candidate,) = candidates(world.loop)
    gone = WatchedModel("evergreen-gone.tar.gz", "old.tar.gz", START, "rolled_back", candidate.data, "30 %")
    world.loop.store.save_watched_model(gone)

    with pytest.raises(EvergreenError, match="went back by itself"):
        world.run("deploy", left)


@pytest.mark.parametrize("path", [False, True])
def test_a_file_in_the_folder_of_models_is_compared_first(world: World, path: bool) -> None:
    own = world.models / "by-hand.tar.gz"
    own.write_bytes(b"a model")
    world.worse = lambda model: model.startswith("by-hand")
    with pytest.raises(EvergreenError, match="did not pass the gate"):
        world.run("deploy", "models/by-hand.tar.gz" if path else "by-hand")
    assert own.exists()
    world.worse = lambda model: False
    assert "now running: by-hand.tar.gz" in world.run("deploy", str(own) if path else "by-hand")
    assert own.read_bytes() == b"a model"


def test_a_file_that_a_server_refuses_is_not_deleted_and_not_the_newest(world: World) -> None:
    own = world.models / "by-hand.tar.gz"
    own.write_bytes(b"a model")
    world.server.refuses = True
    os.utime(own, (1, 1))
    with pytest.raises(EvergreenError, match="PUT /model"):
        world.run("deploy", "by-hand")

    assert own.exists()
    newest = max(world.models.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert newest.name == "old.tar.gz"


@pytest.mark.parametrize("name", ["nothing", "", "../../etc/passwd", "/etc/passwd", "learning.yml"])
def test_what_is_no_model_is_not_deployed(world: World, name: str) -> None:
    with pytest.raises(EvergreenError, match="fits 0 models"):
        world.run("deploy", name)


def test_what_ran_before_or_runs_is_not_deployed(world: World) -> None:
    live = world.train()
    with pytest.raises(EvergreenError, match="runs already"):
        world.run("deploy", live)
    with pytest.raises(EvergreenError, match=r"went live before; use .*models rollback"):
        world.run("deploy", "old")


def test_a_damaged_candidate_is_not_deployed(world: World) -> None:
    left = world.train(deploy=False)
    candidates(world.loop)[0].path.write_bytes(b"half of")
    with pytest.raises(EvergreenError, match="is damaged; train again"):
        world.run("deploy", left)


def test_nothing_is_swapped_while_somebody_else_is_at_it(world: World) -> None:
    left = world.train(deploy=False)
    world.loop.store.claim(RETRAINING, "elsewhere:1", world.clock.now, START)
    for arguments in (("deploy", left), ("rollback",)):
        with pytest.raises(EvergreenError, match="is at work already"):
            world.run(*arguments)


def test_a_model_is_shown_with_what_the_gate_said(world: World) -> None:
    live = world.train()
    world.loop.store.save_watched_model(WatchedModel(live, "old.tar.gz", START, "kept", said="10 of 100"))
    shown = world.run("show", live[:14])
    assert f"name           {live}" in shown
    assert "compared with  old.tar.gz on 2 held-out messages" in shown
    assert "kept: 10 of 100" in shown
    plain = world.run("show", live, "--json")
    assert (plain["state"], plain["card"]["champion"], plain["data"]) == ("runs", "old.tar.gz", plain["card"]["data"])
    assert "Nothing is known of how it compared" in world.run("show", "old")
    with pytest.raises(EvergreenError, match="fits 0 models"):
        world.run("show", "nothing")


def test_old_models_go_and_foreign_files_stay(world: World) -> None:
    keep = world.loop.settings.retrain.keep_models
    made = [world.train() for _ in range(keep)]
    for number in range(4):
        path = world.models / f"evergreen-2000{number}.tar.gz"
        path.write_bytes(b"not of this database")
    (world.models / "evergreen-dead.tar.gz").symlink_to(world.models / "old.tar.gz")
    more = [world.train() for _ in range(2)]
    files = {path.name for path in world.models.iterdir()}

    assert files >= {"old.tar.gz", "evergreen-dead.tar.gz", *(f"evergreen-2000{number}.tar.gz" for number in range(4))}
    assert {name for name in files if name in made} == set(made[2:])
    assert set(more) <= files


def test_pruning_keeps_the_running_model_its_predecessor_and_what_is_watched(world: World) -> None:
    made = [world.train() for _ in range(4)]
    settings = world.loop.settings
    few = replace(world.loop, settings=replace(settings, retrain=replace(settings.retrain, keep_models=1)))
    world.loop.store.save_watched_model(WatchedModel(made[1], made[0], START, "watching"))
    assert prune_models(few, dry_run=True) == ()
    world.loop.store.save_watched_model(WatchedModel(made[1], made[0], START, "ended"))
    assert prune_models(few, dry_run=True) == tuple(made[:2])
    assert (world.models / made[0]).exists()
    assert prune_models(few) == tuple(made[:2])
    assert {path.name for path in world.models.iterdir()} == {"old.tar.gz", *made[2:]}
    assert world.run("prune", "--json") == {"deleted": [], "would_be_deleted": []}


def test_pruning_keeps_what_somebody_started_by_hand(world: World) -> None:
    made = [world.train() for _ in range(4)]
    settings = world.loop.settings
    world.app.__dict__["loop"] = replace(
        world.loop, settings=replace(settings, retrain=replace(settings.retrain, keep_models=1))
    )
    world.server.model = world.models / made[0]
    world.run("prune")

    assert (world.models / made[0]).exists()
    assert not (world.models / made[1]).exists()


def test_while_models_are_changed_nothing_is_pruned(world: World) -> None:
    for number in range(4):
        (world.loop.settings.path("var/training") / f"2030010{number}-000000").mkdir(parents=True)
    world.loop.store.claim(RETRAINING, "elsewhere:1", world.clock.now, START - timedelta(days=1))
    assert len(world.run("prune", "--dry-run", "--json")["would_be_deleted"]) == 1
    with pytest.raises(EvergreenError, match="is at work already"):
        world.run("prune")
    ask(world.loop, JobKind.PRUNE, "ann")
    assert Worker(world.loop, tasks_of(world.app), threading.Event(), "w").work_once()

    assert "deleted 0 models" in world.loop.store.job(1).message
    assert len(list(world.loop.settings.path("var/training").iterdir())) == 4


def test_pruning_leaves_what_is_no_training(world: World, tmp_path: Path) -> None:
    work = world.loop.settings.path("var/training")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("0-notes", *(f"2030010{number}-000000" for number in range(4))):
        (work / name).mkdir(parents=True)
    (work / "20290101-000000").symlink_to(elsewhere)

    assert prune_models(world.loop) == ("20300100-000000",)
    assert (work / "0-notes").is_dir()
    assert elsewhere.is_dir()


def test_old_trainings_are_pruned(world: World) -> None:
    made = [world.train(deploy=False)]
    for number in range(4):  # other data, so that none is reused
        (world.loop.settings.path("data/nlu") / f"more{number}.yml").write_text('version: "3.1"\n', "utf-8")
        made.append(world.train(deploy=False))
    left = world.loop.settings.path("var/training")

    assert sorted(path.parent.name for path in left.glob(f"*/{STATE}")) == sorted(
        one.path.parent.name for one in candidates(world.loop)
    )
    assert [one.name for one in candidates(world.loop)] == made[:1:-1]
