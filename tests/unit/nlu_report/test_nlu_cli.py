from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import typer
from nlu_fakes import FixedModel, WordEncoder, no_log, shop_examples
from typer.testing import CliRunner

from learning.adapters.tracker_sql import SqlTrackerEvents
from learning.bootstrap import App
from learning.errors import ProjectError
from learning.model import Example
from learning.nlu_cli import domain_intents, newest_model, nlu_cli
from learning.settings import Settings

HOLDOUT = [Example("where has it got to", "track_order"), Example("my money please", "refund_status")]
MODEL = FixedModel({"where has it got to": ("track_order", 0.9), "my money please": ("refund_status", 0.9)})


class FakeProject:
    def examples(self) -> list[Example]:
        return shop_examples()

    def holdout(self) -> list[Example]:
        return HOLDOUT


@dataclass
class FakeLoop:
    project: Any = field(default_factory=FakeProject)
    encoder: Any = field(default_factory=WordEncoder)


class FakeApp(App):
    """An app whose parts are in memory; only the domain and the models are files."""

    loop: Any = FakeLoop()
    nlu: Any = MODEL

    def open_tracker(self) -> Any:
        return no_log()


@pytest.fixture
def app(tmp_path):
    (tmp_path / "domain.yml").write_text("intents:\n- track_order\n- refund_status:\n    use_entities: []\n")
    (tmp_path / "models").mkdir()
    return FakeApp(Settings(root=tmp_path))


def run(app, *arguments):
    return CliRunner(mix_stderr=False).invoke(nlu_cli, ["report", *arguments], obj=app)


def add_model(app, name, at):
    path = app.settings.root / "models" / name
    path.write_bytes(b"")
    os.utime(path, (at, at))
    return path


def test_the_newest_model_is_measured_and_the_page_written(app):
    add_model(app, "z-old.tar.gz", 1000)
    newest = add_model(app, "a-new.tar.gz", 2000)
    result = run(app)
    assert result.exit_code == 0, result.output
    assert MODEL.asked[-1] == newest
    assert "accuracy     100.0 %" in result.stdout
    assert "a-new.tar.gz" in (app.settings.root / "var/reports/nlu.html").read_text()


def test_json_is_one_document_and_nothing_else(app, tmp_path):
    model = add_model(app, "m.tar.gz", 1000)
    result = run(app, "--json", "--model", str(model), "--out", str(tmp_path / "page.html"))
    content = json.loads(result.stdout)
    assert content["report"]["scores"]["accuracy"] == 1.0
    assert content["report"]["model"] == "m.tar.gz"
    assert Path(content["page"]).exists()


def test_without_any_model_the_error_names_the_ways_on(app):
    result = run(app)
    assert isinstance(result.exception, ProjectError)
    assert "--data-only" in str(result.exception)
    assert run(app, "--data-only").exit_code == 0


def test_a_model_that_is_not_there_is_named(app):
    result = run(app, "--model", "models/nope.tar.gz")
    assert isinstance(result.exception, ProjectError)
    assert "models/nope.tar.gz" in str(result.exception)


def test_a_damaged_domain_is_named(app):
    (app.settings.root / "domain.yml").write_text("intents: [")
    with pytest.raises(ProjectError) as caught:
        domain_intents(app.settings)
    assert "domain.yml" in str(caught.value)


def test_a_domain_may_be_a_folder(tmp_path):
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "one.yml").write_text("intents: [greet]")
    (tmp_path / "domain" / "two.yaml").write_text("intents:\n- faq\nslots: {}\n")
    settings = Settings(root=tmp_path)
    settings = type(settings)(root=tmp_path, project=type(settings.project)(domain="domain"))
    assert domain_intents(settings) == ["greet", "faq"]


def test_the_newest_model_of_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(ProjectError):
        newest_model(Settings(root=tmp_path))


def test_the_command_can_be_mounted(app):
    root = typer.Typer()
    root.add_typer(nlu_cli, name="nlu")
    root.command("other")(lambda: None)
    assert "What to fix first" not in CliRunner().invoke(root, ["nlu", "report", "--help"]).stdout
    assert "--data-only" in CliRunner().invoke(root, ["nlu", "report", "--help"]).stdout


def test_the_tracker_store_says_when_each_intent_was_last_seen(tmp_path):
    path = tmp_path / "tracker.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE events (id INTEGER PRIMARY KEY, sender_id, type_name, timestamp FLOAT, intent_name,"
            " action_name, data)"
        )
        rows = [("user", 100.0, "greet"), ("user", 300.5, "greet"), ("user", 200.0, "faq"), ("user", 1.0, None)]
        rows += [("action", 900.0, "greet"), ("user", "damaged", "greet"), ("user", 1e300, "far_future")]
        connection.executemany(
            "INSERT INTO events (sender_id, type_name, timestamp, intent_name, data) VALUES ('s', ?, ?, ?, '{}')", rows
        )
    connection.close()
    seen = SqlTrackerEvents(f"sqlite:///{path}").intent_last_seen()
    assert seen == {
        "greet": (3, datetime.fromtimestamp(300.5, tz=timezone.utc)),
        "faq": (1, datetime.fromtimestamp(200.0, tz=timezone.utc)),
    }
