"""The command line: what it prints, and one clear line for everything that can be wrong from outside."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from learning import __main__ as command_line
from learning.adapters.store import Store
from learning.model import ProposalKind, ProposalState
from learning.overlay import OverlayReader
from learning.privacy import PatternRedactor
from tests.learning_builders import (
    CORRUPT_ROWS,
    START,
    FakeEncoder,
    FakeNlu,
    FakeServer,
    TrackerFile,
    fresh_database,
    make_project,
    proposal,
    talk,
)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that a failed command prints."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert self.code != 0
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ")
        assert "Traceback" not in self.out + self.err
        return lines[0]


Run = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_project(tmp_path / "shop")
    fresh_database(root / "var" / "learning.db")
    talk(TrackerFile(root / "var" / "tracker.db"))
    return root


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `python -m learning --project root ...` in this process, with a quick encoder."""
    monkeypatch.setattr("learning.bootstrap.OnnxEncoder", lambda **options: FakeEncoder())
    monkeypatch.setattr("learning.bootstrap.PresidioRedactor", PatternRedactor)
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("EVERGREEN_STORE_URL", "EVERGREEN_BOT_URL", "EVERGREEN_BOT_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["learning", "--project", str(root), *arguments])
        with pytest.raises(SystemExit) as caught:
            command_line.run()
        captured = capsys.readouterr()
        code = caught.value.code
        return Result(code if isinstance(code, int) else (0 if code is None else 1), captured.out, captured.err)

    return call


def store_of(root: Path) -> Store:
    return Store(f"sqlite:///{root / 'var' / 'learning.db'}")


def proposals(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("review", "list", "--json", "--all").out)
    return found


# --- the way of one gap ---------------------------------------------------------------------------


def test_mine_review_publish_withdraw(root: Path, run: Run) -> None:
    mined = run("mine")
    assert mined.code == 0
    assert "56 new events in 14 conversations: 26 new signals, 1 new gaps, 1 new proposals" in mined.out
    assert "186 more conversations make the numbers firm" in mined.out
    assert "0 new signals, 0 new gaps, 0 new proposals" in run("mine").out

    listed = run("review", "list").out
    (waiting,) = proposals(run)
    assert "learned/loyalty_points" in listed
    assert waiting["proposal_id"][:8] in listed
    shown = run("review", "show", waiting["proposal_id"][:6]).out
    assert "answer: You collect loyalty points with every order." in shown
    assert "from loyalty.md" in shown
    assert "replay: fixes" in shown

    approved = run("review", "approve", waiting["proposal_id"][:6], "--who", "ann")
    assert approved.code == 0
    assert "Release 1: learned/loyalty_points is live." in approved.out
    assert "warning:" in approved.out  # no repository here: it is live, and git is told about
    assert "is no git repository" in approved.out

    status = json.loads(run("status", "--json").out)
    assert (status["overlay_version"], len(status["live"]), status["audit_problems"]) == (1, 1, [])
    assert "learned/loyalty_points" in run("status").out

    withdrawn = run("withdraw", status["live"][0]["entry_id"][:6], "--reason", "wrong", "--who", "ann")
    assert (withdrawn.code, "is withdrawn" in withdrawn.out) == (0, True)
    assert run("audit", "verify").out.startswith("The audit log is whole.\n")
    assert [row.what for row in store_of(root).audit_rows()] == ["propose", "approve", "publish", "withdraw"]


def test_ids_are_whole_on_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("mine")
    monkeypatch.setenv("COLUMNS", "60")

    assert proposals(run)[0]["proposal_id"][:8] in run("review", "list").out


def test_json_outputs_are_json_alone(run: Run) -> None:
    assert json.loads(run("mine", "--json").out)["new_proposals"] == 1
    (waiting,) = proposals(run)
    shown = json.loads(run("review", "show", waiting["proposal_id"], "--json").out)
    assert shown.pop("evidence")["people"] == waiting["people"]
    assert len(shown.pop("mark")) == 16
    assert shown == waiting
    decided = json.loads(run("review", "reject", waiting["proposal_id"], "--reason", "no", "--json").out)
    assert (decided["proposal"]["state"], decided["release"]) == ("rejected", None)


def test_the_branch_is_written_in_a_repository(root: Path, run: Run) -> None:
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    for arguments in (("init", "-q", "-b", "main"), ("add", "domain.yml"), ("commit", "-q", "-m", "start")):
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True)
    run("mine")
    approved = run("review", "approve", proposals(run)[0]["proposal_id"])

    assert "Branch evergreen/learned has it as" in approved.out
    assert "warning" not in approved.out
    assert store_of(root).releases()[0].commit
    assert "0 releases made; branch was up to date" in run("publish").out


def test_publish_finishes_what_a_crash_left(root: Path, run: Run) -> None:
    store_of(root).save_proposals([proposal(state=ProposalState.APPROVED)], START)
    run("publish")

    assert len(store_of(root).entries(ProposalState.PUBLISHED)) == 1


def test_a_deferred_proposal_waits_for_its_volume(root: Path, run: Run) -> None:
    run("mine")
    (waiting,) = proposals(run)
    run("review", "defer", waiting["proposal_id"], "--until-doubled")
    (deferred,) = proposals(run)

    assert (deferred["state"], deferred["deferred_turns"]) == ("deferred", 2 * waiting["turns"])
    run("mine")
    assert proposals(run)[0]["state"] == "deferred"


def test_an_edit_in_the_editor_keeps_all_of_the_answer(root: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("mine")
    (waiting,) = proposals(run)
    drafts: list[str] = []

    def edit(draft: str, extension: str) -> str:
        drafts.append(draft)
        return "name: learned/points\nanswer: First line: yes.\nSecond line.\nexamples:\n- one\n- two\n"

    monkeypatch.setattr("typer.edit", edit)
    assert run("review", "edit", waiting["proposal_id"]).code == 0

    assert waiting["answer"] in drafts[0]
    (entry,) = store_of(root).entries()
    assert (entry.label, entry.answer, entry.examples) == (
        "learned/points",
        "First line: yes.\nSecond line.",
        ("one", "two"),
    )


def test_an_edit_of_a_known_intents_examples_keeps_its_name(
    root: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("mine")
    gap_id = proposals(run)[0]["gap_id"]
    more = proposal(5, kind=ProposalKind.EXAMPLES, label="track_order", answer=None, gap_id=gap_id)
    store_of(root).save_proposals([more], START)
    monkeypatch.setattr("typer.edit", lambda draft, extension: draft.replace("- ", "- please "))
    assert run("review", "edit", more.proposal_id).code == 0

    (entry,) = store_of(root).entries()
    assert entry.label == "track_order"
    assert all(example.startswith("please ") for example in entry.examples)


# --- mistakes of the reviewer ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("show", "zzz"), "id 'zzz': is no proposal; take an id from"),
        (("approve", "{id}", "--answer", " "), "has no answer yet"),
        (("approve", "{id}", "--name", "no good"), "has the name 'learned/no good'"),
        (("approve", "{id}", "--name", "about_learning", "--answer", "Yes."), "which another answer has"),
        (("reject", "{id}", "--reason", ""), "needs a reason"),
        (("defer", "{id}"), "needs a date or a volume"),
        (("edit", "{id}", "--drop", "never said"), "'never said': is none of its examples"),
        (("edit", "{id}", "--example", "[]"), "has no examples"),
    ],
)
def test_a_decision_that_cannot_be_is_one_line_and_changes_nothing(
    root: Path, run: Run, arguments: tuple[str, ...], problem: str
) -> None:
    run("mine")
    before = proposals(run)
    identifier = before[0]["proposal_id"]
    error = run("review", *(argument.format(id=identifier) for argument in arguments)).error

    assert problem in error
    assert "; " in error
    assert proposals(run) == before
    assert store_of(root).overlay_version() == 0


def test_of_two_answers_with_one_name_the_second_needs_another(root: Path, run: Run) -> None:
    store_of(root).save_proposals([proposal(1, label="learned/a"), proposal(2, label="learned/a")], START)
    assert run("review", "approve", proposal(1).proposal_id).code == 0

    refused = run("review", "approve", proposal(2).proposal_id).error
    assert "which another answer has; give it another one with --name" in refused
    assert run("review", "approve", proposal(2).proposal_id, "--name", "b").code == 0


def test_a_question_that_has_an_answer_already_adds_its_examples_to_that(root: Path, run: Run) -> None:
    store_of(root).save_proposals([proposal(1, label="learned/a"), proposal(2, label="learned/b")], START)
    run("review", "approve", proposal(1).proposal_id)
    said = run("review", "approve", proposal(2).proposal_id, "--name", "a").out

    assert "learned/a has an answer already: the examples were added to it" in said
    entries = {entry.proposal_id: entry for entry in store_of(root).entries(ProposalState.PUBLISHED)}
    added = entries[proposal(2).proposal_id]
    assert (added.kind, added.label, added.answer) == (ProposalKind.EXAMPLES, "learned/a", None)
    assert run("review", "undo", proposal(2).proposal_id).code == 0
    assert store_of(root).proposal(proposal(2).proposal_id) == proposal(2, label="learned/b")


def test_deciding_twice_is_refused(run: Run) -> None:
    run("mine")
    identifier = proposals(run)[0]["proposal_id"]
    run("review", "reject", identifier, "--reason", "no")

    assert "is rejected and cannot become approved" in run("review", "approve", identifier).error


@pytest.mark.parametrize("entry", ["zzz", ""])
def test_withdrawing_what_is_not_there_is_refused(run: Run, entry: str) -> None:
    assert "fits 0 published entries" in run("withdraw", entry, "--reason", "x").error


# --- bad input ------------------------------------------------------------------------------------


def break_tracker_missing(root: Path) -> None:
    (root / "var" / "tracker.db").unlink()


def break_tracker_foreign(root: Path) -> None:
    (root / "var" / "tracker.db").unlink()
    with sqlite3.connect(root / "var" / "tracker.db") as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")


def break_tracker_text(root: Path) -> None:
    (root / "var" / "tracker.db").write_text("hello " * 500)


def break_endpoints(root: Path) -> None:
    (root / "endpoints.yml").write_text("action_endpoint:\n  url: http://localhost:5055/webhook\n")


def break_domain(root: Path) -> None:
    (root / "domain.yml").write_text("intents:\n- greet\n")


def break_data(root: Path) -> None:
    (root / "data" / "nlu" / "nlu.yml").write_text("nlu: [")


def break_store_url(root: Path) -> None:
    (root / "learning.yml").write_text("store:\n  url: foo://bar\n")


def break_store_down(root: Path) -> None:
    (root / "learning.yml").write_text("store:\n  url: postgresql://me:secret@127.0.0.1:1/learning\n")


def break_store_read_only(root: Path) -> None:
    file = root / "var" / "learning.db"
    (root / "learning.yml").write_text(f"store:\n  url: sqlite:///file:{file}?mode=ro&uri=true\n")


def break_settings(root: Path) -> None:
    (root / "learning.yml").write_text("gaps:\n  min_peple: 3\n")


BROKEN: list[tuple[Callable[[Path], None], str, str]] = [
    (break_tracker_missing, "var/tracker.db: does not exist", "talk to the bot once"),
    (break_tracker_foreign, "var/tracker.db: has no table `events`", "point tracker_store"),
    (break_tracker_text, "var/tracker.db: cannot be opened (file is not a database)", "check that it is the database"),
    (break_endpoints, "endpoints.yml: names no tracker_store", "add `tracker_store:"),
    (break_domain, "domain.yml: has no intent `learned`", "add `- learned` under `intents:`"),
    (break_data, "nlu.yml: is not valid YAML", "correct it"),
    (break_store_url, "learning database foo://bar: is no database", "correct store.url"),
    (break_store_down, "learning database postgresql://me:***@127.0.0.1:1/learning: failed", "check that the database"),
    (break_store_read_only, "is read-only", "give this user the right to write it; nothing was changed"),
    (break_settings, "learning.yml: gaps: min_peple: is not a setting", "use one of"),
]


@pytest.mark.parametrize(("break_it", "problem", "next_step"), BROKEN, ids=[case[0].__name__ for case in BROKEN])
def test_what_is_broken_outside_is_one_line_with_the_item_and_the_next_step(
    root: Path, run: Run, break_it: Callable[[Path], None], problem: str, next_step: str
) -> None:
    store_of(root).save_proposals([proposal()], START)
    break_it(root)
    error = run("mine").error

    assert problem in error
    assert next_step in error
    assert "secret" not in error
    assert store_of(root).proposals() == [proposal()]

    make_project(root)
    (root / "var" / "tracker.db").unlink(missing_ok=True)
    talk(TrackerFile(root / "var" / "tracker.db"))
    assert "1 new proposals" in run("mine").out  # once it is mended, nothing is missing


def test_corrupt_rows_are_reported_and_the_rest_is_mined(root: Path, run: Run) -> None:
    with sqlite3.connect(root / "var" / "tracker.db") as connection:
        columns = "sender_id, type_name, timestamp, intent_name, action_name, data"
        for row in CORRUPT_ROWS:
            connection.execute(f"INSERT INTO events ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)
    mined = run("mine")

    assert mined.code == 0
    assert f"skipped {len(CORRUPT_ROWS)} corrupt event rows (id 57, 58" in mined.out
    assert "1 new proposals" in mined.out


def test_a_project_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["learning", "--project", str(tmp_path / "typo"), "status"])
    with pytest.raises(SystemExit) as caught:
        command_line.run()

    assert caught.value.code == 1
    assert "is no folder; name the Rasa project's folder with --project" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()


def test_a_read_only_database_can_still_be_looked_at(root: Path, run: Run) -> None:
    run("mine")
    break_store_read_only(root)

    assert "learned/loyalty_points" in run("review", "list").out
    assert run("status").code == 0
    identifier = proposals(run)[0]["proposal_id"]
    assert "is read-only" in run("review", "approve", identifier).error
    assert store_of(root).overlay_version() == 0


def test_status_tells_what_running_bots_leave_out(root: Path, run: Run) -> None:
    run("mine")
    run("review", "approve", proposals(run)[0]["proposal_id"], "--answer", "Points.")
    with sqlite3.connect(root / "var" / "learning.db") as connection:
        connection.execute("UPDATE entries SET answer = NULL")
        entry_id = connection.execute("SELECT entry_id FROM entries").fetchone()[0]
    encoder = FakeEncoder()
    OverlayReader(f"sqlite:///{root / 'var' / 'learning.db'}", encoder.encode, encoder.identity).snapshot()

    assert f"{entry_id[:8]}  left out by running bots: it has no answer" in run("status").out
    [broken] = json.loads(run("status", "--json").out)["quarantined"]
    assert (broken["entry_id"], broken["reason"]) == (entry_id, "it has no answer")


def test_an_altered_audit_log_is_told_and_fails(root: Path, run: Run) -> None:
    run("mine")
    with sqlite3.connect(root / "var" / "learning.db") as connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("UPDATE audit SET who = 'eve'")
    verified = run("audit", "verify")

    assert verified.code == 1
    assert "row 1 was altered" in verified.out
    assert "row 1 was altered" in run("status").out


# --- retraining -----------------------------------------------------------------------------------


def with_rasa(root: Path, monkeypatch: pytest.MonkeyPatch, challenger: str, refuses: bool = False) -> None:
    """Put fakes in place of Rasa; the challenger labels every message with `challenger`."""
    models = root / "models"
    models.mkdir()
    (models / "old.tar.gz").write_bytes(b"old")
    nlu = FakeNlu(lambda model, text: "track_order" if model.startswith("old") else challenger)
    monkeypatch.setattr("learning.bootstrap.App.nlu", nlu)
    monkeypatch.setattr("learning.bootstrap.App.server", FakeServer(models / "old.tar.gz", refuses))


def test_a_blocked_model_is_told_and_exits_with_3(root: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with_rasa(root, monkeypatch, "nlu_fallback")
    result = run("retrain")

    assert result.code == 3
    assert "The gate blocked the new model; the old one goes on running." in result.out
    assert "lost:   my parcel?" in result.out


def test_a_model_that_is_not_worse_is_told_with_what_it_absorbed(
    root: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_rasa(root, monkeypatch, "track_order")
    result = run("retrain")

    assert result.code == 0
    assert "now running: evergreen-" in result.out


def test_a_model_that_fails_to_load_is_one_line(root: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with_rasa(root, monkeypatch, "track_order", refuses=True)

    assert "answered PUT /model with 400; look at its log" in run("retrain").error
    assert [path.name for path in (root / "models").iterdir()] == ["old.tar.gz"]


def test_a_server_that_is_down_is_one_line_before_anything_is_trained(
    root: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learning.adapters.rasa_server.ATTEMPTS", 1)
    (root / "learning.yml").write_text("bot:\n  url: http://127.0.0.1:1\n")

    assert "Rasa server http://127.0.0.1:1: does not answer" in run("retrain").error
    assert not (root / "var" / "training").exists()


# --- gaps -----------------------------------------------------------------------------------------


def test_gaps_are_listed_and_shown(root: Path, run: Run) -> None:
    assert "No gaps are known" in run("gaps", "list").out
    run("mine")
    (gap,) = json.loads(run("gaps", "list", "--json").out)

    listed = run("gaps", "list").out
    assert gap["gap_id"][:8] in listed
    assert "critical" in listed
    assert "loyalty points" in listed
    shown = run("gaps", "show", gap["gap_id"][:6]).out
    assert f"{gap['turns']} messages of {gap['people']} people" in shown
    assert "  - " in shown
    assert "signals: " in shown
    (waiting,) = proposals(run)
    assert f"proposal {waiting['proposal_id'][:8]} waits" in shown
    assert "fallback" in shown
    assert set(json.loads(run("gaps", "show", gap["gap_id"], "--json").out)) == {
        *("gap", "typical", "signals", "tried", "proposals", "stopped")
    }


def test_a_gap_tells_what_was_tried(root: Path, run: Run) -> None:
    run("mine")
    (waiting,) = proposals(run)
    run("review", "approve", waiting["proposal_id"])

    assert "(handled)" in run("gaps", "list").out or "(came back)" in run("gaps", "list").out
    run("mine")
    assert "tried: " in run("gaps", "show", waiting["gap_id"]).out
    assert "learned/loyalty_points, release 1, published" in run("gaps", "show", waiting["gap_id"]).out


@pytest.mark.parametrize("prefix", ["zzz", ""])
def test_a_gap_that_is_not_there_is_one_line(root: Path, run: Run, prefix: str) -> None:
    run("mine")

    assert "take an id from `python -m learning gaps list`" in run("gaps", "show", prefix).error


# --- a real process -------------------------------------------------------------------------------


def test_a_real_process_ends_with_one_line_and_code_1(root: Path) -> None:
    break_tracker_missing(root)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EVERGREEN_STORE")}
    done = subprocess.run(
        [sys.executable, "-m", "learning", "--project", str(root), "mine"],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert Result(done.returncode, done.stdout, done.stderr).error.endswith(
        "does not exist; talk to the bot once, or correct tracker_store in endpoints.yml"
    )
    assert done.returncode == 1


# --- releases -----------------------------------------------------------------------------------------


@pytest.fixture
def released(root: Path, run: Run) -> dict[str, Any]:
    """Release 1 is an answer with a hostile text, release 2 more examples of it; the first as JSON."""
    answer = "Yes.\n[bold]No[/bold]\x1b[2J"
    more = proposal(2, kind=ProposalKind.EXAMPLES, label="learned/a", answer=None, examples=("point me",))
    store_of(root).save_proposals([proposal(1, label="learned/a", answer=answer.replace("\x1b", "")), more], START)
    for number in (1, 2):
        assert run("review", "approve", proposal(number).proposal_id).code == 0
    return dict(json.loads(run("releases", "show", "1", "--json").out))


def test_releases_are_listed_and_shown_with_their_diff(run: Run, released: dict[str, Any]) -> None:
    listed = json.loads(run("releases", "list", "--json").out)
    assert [one["release"] for one in listed] == [2, 1]
    assert released["changes"][0]["label"] == "learned/a"
    assert "+- intent: learned/a" in released["diff"]
    shown = run("releases", "show", "1").out
    assert "effect on learned/a: Cannot tell" in " ".join(shown.split())

    assert "learned/a" in shown
    assert "[bold]No[/bold]" in shown
    assert "+- intent: learned/a" in shown
    assert "1 older ones" in run("releases", "list", "--limit", "1").out
    assert "is no release" in run("releases", "show", "7").error


def test_withdraw_restore_and_rollback(root: Path, run: Run, released: dict[str, Any]) -> None:
    entry = released["changes"][0]["item"]
    assert "takes both back" in run("rollback", "1").error
    done = json.loads(run("withdraw", entry[:6], "--reason", "wrong", "--who", "ann", "--json").out)
    assert (done["withdrawn"], done["in_the_model"], len(done["changes"])) == ("learned/a", False, 2)
    planned = run("restore", entry, "--dry-run").out
    assert planned.count("would bring learned/a") == 2
    assert store_of(root).entries(ProposalState.PUBLISHED) == []

    assert run("restore", entry, "--reason", "right").code == 0
    assert json.loads(run("rollback", "4", "--who", "bob", "--json").out)["undoes"] == 4
    assert "was taken back by release 5" in run("rollback", "4").error
    assert run("rollback", "--to", "1").code == 0
    (left,) = store_of(root).entries(ProposalState.PUBLISHED)
    assert left.entry_id == entry
    assert "taken back by" in run("releases", "list").out
    assert run("audit", "verify").code == 0


@pytest.mark.parametrize("arguments", [("rollback",), ("rollback", "1", "--to", "0")])
def test_a_rollback_names_one_release_or_one_to_go_back_to(run: Run, arguments: tuple[str, ...]) -> None:
    refused = run(*arguments)
    assert refused.code == 2
    assert "name one release to take back" in refused.err.replace("\n", " ")


def test_models_are_listed_and_rolled_back(root: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeServer(root / "models" / "old.tar.gz")
    monkeypatch.setattr("learning.bootstrap.RasaServers", lambda *options: server)
    server.model.parent.mkdir()
    server.model.write_bytes(b"old")
    assert "No model went live" in run("models", "list").out
    assert "running: old.tar.gz" in run("models", "check").out
    assert "came after none that is known" in run("models", "rollback").error
    new = server.model.with_name("new.tar.gz")
    new.write_bytes(b"new")
    server.model = new
    assert json.loads(run("models", "check", "--json").out)["running"] == "new.tar.gz"
    listed = json.loads(run("models", "list", "--json").out)
    assert {one["name"]: one["running"] for one in listed["models"]} == {"new.tar.gz": True, "old.tar.gz": False}

    assert "now running: old.tar.gz" in run("models", "rollback", "old", "--reason", "worse").out
    assert server.model.name == "old.tar.gz"
    assert "fits 0 models" in run("models", "rollback", "nothing").error
