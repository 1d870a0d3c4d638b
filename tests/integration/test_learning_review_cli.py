"""The review's command line: what each command says, and what programs read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from learning.adapters.store import Store
from learning.bootstrap import App
from learning.errors import EvergreenError, NotFound, ReviewError
from learning.loop import Loop
from learning.model import Action, Decision, ProposalKind, ProposalState
from learning.pipeline import mine, review
from learning.review import AlreadyDecided, HasChanged, content_mark
from learning.review_cli import review_cli
from tests.learning_builders import (
    LOYALTY,
    START,
    TrackerFile,
    gap,
    make_loop,
    make_project,
    proposal,
    save_members,
    talk,
)

S = ProposalState
Run = Callable[..., Result]
SHARE_ALL = "review:\n  second_reader_share: 1.0\n"


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    """Ten people asked for loyalty points, which is proposed; every decision is read twice."""
    root = make_project(tmp_path, SHARE_ALL)
    talk(TrackerFile(root / "var" / "tracker.db"))
    loop = make_loop(root)
    mine(loop)
    return loop


@pytest.fixture
def run(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `review ...` as ann; what it raises, it raises."""
    app = App(loop.settings)
    app.__dict__["loop"] = loop  # in place of the one that the project would get
    monkeypatch.setattr("learning.console.user", lambda: "ann")
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: str, code: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(review_cli, arguments, obj=app, input=stdin)
        if isinstance(result.exception, EvergreenError):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return call


def read(result: Result) -> Any:
    return json.loads(result.stdout)


@pytest.mark.parametrize("given", [("--who", "a\udcff"), ("--reason", "r\udcff"), ("--reason", "half \ud83d")])
def test_what_no_record_can_hold_is_refused_where_it_is_typed(run: Run, loop: Loop, given: tuple[str, str]) -> None:
    said = run("reject", only(loop), "--reason", "no", *given, code=2).output

    assert f"'{given[0]}'" in said
    assert "is no UTF-8" in said
    assert loop.store.decisions() == []


def only(loop: Loop) -> str:
    (waiting,) = (item for item in loop.store.proposals() if item.state is S.PENDING)
    return waiting.proposal_id


def add(loop: Loop, number: int, **more: Any) -> str:
    """Add a proposal with a gap of its own."""
    one = proposal(number, **more)
    assert isinstance(loop.store, Store)
    save_members(loop.store, [gap(one.gap_id)], {})
    loop.store.save_proposals([one], START)
    return one.proposal_id


def commands() -> list[tuple[str, ...]]:
    """Every command of the group, with the groups below it."""
    found: list[tuple[str, ...]] = []

    def walk(command: click.Command, path: tuple[str, ...]) -> None:
        found.append(path)
        for name, below in getattr(command, "commands", {}).items():
            walk(below, (*path, name))

    walk(typer.main.get_command(review_cli), ())
    return found


@pytest.mark.parametrize("path", commands()[1:], ids=" ".join)
def test_help_says_defaults_once_and_only_where_there_are_any(run: Run, path: tuple[str, ...]) -> None:
    shown = run(*path, "--help").output

    assert "Usage:" in shown
    assert not re.search(r"default[^\n]*default|default: (None)?\]", shown), shown


def test_what_an_edit_made_live_is_undone_with_its_file(run: Run, loop: Loop) -> None:
    one = only(loop)
    edited = run("edit", one, "--name", "points", "--answer", "Yes.", "--example", LOYALTY[0])
    shown = run("show", one).output
    undone = run("undo", one, "--reason", "too early").output

    assert "Release 1: learned/points is live." in edited.output
    assert "Branch evergreen/learned has it as commit1" in edited.output
    assert "ann: edit (name learned/points; 1 examples; answer: Yes.; " not in shown
    assert "ann: edit (name learned/points; 1 examples; answer: Yes.)" in shown
    assert f"{one[:8]} (learned/loyalty_points) is pending. What was live of it is withdrawn." in undone
    assert "Branch evergreen/learned has it as commit2" in undone
    assert "undo (too early)" in run("show", one).output
    again = read(run("approve", one, "--json"))
    assert (again["release"]["number"], again["entry"]["label"]) == (3, "learned/loyalty_points")
    assert again["proposal"]["state"] == "published"


def test_a_decided_proposal_is_refused_before_the_editor_opens(
    run: Run, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("typer.edit", lambda draft, extension: opened.append(draft))
    one = only(loop)
    review(loop, Decision(one, Action.REJECT, "bob", START, reason="no"))
    with pytest.raises(AlreadyDecided, match="is rejected and cannot become edited: bob decided"):
        run("edit", one)

    assert opened == []


def test_an_edit_that_changes_nothing_is_an_approval(run: Run, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.edit", lambda draft, extension: draft)
    run("edit", only(loop))

    assert [decision.action for decision in loop.store.decisions()] == [Action.APPROVE]


def test_the_editor_shows_what_the_kind_has(run: Run, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts: list[str] = []

    def keep(draft: str, extension: str) -> str:
        drafts.append(draft)
        return draft.replace("track_order", "reset_password")

    monkeypatch.setattr("typer.edit", keep)
    merge = add(loop, 4, kind=ProposalKind.MERGE, label="track_order", target="reset_password", answer=None)
    run("edit", merge)

    assert drafts == ["name: track_order\n"]
    (entry,) = loop.store.entries()
    assert (entry.label, entry.target) == ("reset_password", "track_order")


def test_what_is_assigned_is_found_and_told(run: Run, loop: Loop) -> None:
    one = only(loop)
    run("assign", one, "bob")

    assert read(run("list", "--mine", "--json")) == []
    (mine_of_bob,) = read(run("list", "--mine", "--who", "bob", "--json"))
    assert mine_of_bob == read(run("list", "--assignee", "bob", "--json"))[0]
    assert "assigned to bob" in run("show", one).output
    assert "It was assigned to bob." in run("reject", one, "--reason", "no").output
    run("undo", one)
    assert "is anybody's" in run("assign", one, "--nobody").output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("undo",), "names nothing, or too much"),
        (("undo", "x", "--last-bulk"), "names nothing, or too much"),
        (("undo", "--last-bulk"), "a bulk decision: was not made"),
        (("assign", "{id}"), "names nobody"),
        (("assign", "{id}", "bob", "--nobody"), "names nobody"),
        (("split", "{id}"), "names nothing"),
        (("split", "{id}", "--auto", "--example", "x"), "names nothing"),
        (("bulk", "approve"), "give ids, --min-score or --kind"),
        (("bulk", "approve", "{id}", "--json"), "asks before it decides"),
        (("second", "read", "{id}"), "needs one verdict"),
        (("second", "read", "{id}", "--approve", "--reject"), "needs one verdict"),
        (("second", "read", "{id}", "--approve"), "is not to be read a second time"),
    ],
)
def test_a_command_that_says_too_little_or_too_much_changes_nothing(
    run: Run, loop: Loop, arguments: tuple[str, ...], problem: str
) -> None:
    one = only(loop)
    with pytest.raises((ReviewError, NotFound), match=re.escape(problem)):
        run(*(argument.format(id=one) for argument in arguments))

    assert loop.store.decisions() == []


# --- many at once ---------------------------------------------------------------------------------


def test_a_bulk_says_what_became_of_each_and_fails_if_one_did(run: Run, loop: Loop) -> None:
    ready, unready = only(loop), add(loop, 5, answer=None)
    tried = run("bulk", "approve", ready, unready, "zzz", "--dry-run", "--json", code=1)
    assert [bool(one["problem"]) for one in read(tried)["done"]] == [False, True, True]
    assert loop.store.decisions() == []
    done = run("bulk", "approve", ready, unready, "zzz", "--yes", code=1).output

    assert "release 1" in done
    assert "has no answer yet" in done
    assert "is no proposal" in done
    assert "1 of 3 done" in done
    undone = run("undo", "--last-bulk").output
    assert "1 of 1 done" in undone
    assert loop.store.entries(S.PUBLISHED) == []


def refresh(loop: Loop, proposal_id: str, **change: Any) -> None:
    """Mine a proposal anew, to something else."""
    loop.store.save_proposals([replace(loop.store.proposal(proposal_id), **change)], START)


@pytest.mark.parametrize("command", ["approve", "edit"])
def test_what_changed_since_it_was_shown_is_refused_by_its_mark(run: Run, loop: Loop, command: str) -> None:
    one = only(loop)
    mark = read(run("show", one, "--json"))["mark"]
    assert f"--seen {mark[:8]}" in run("show", one).output
    refresh(loop, one, answer="Never read.")
    changed = ["--example", LOYALTY[0]] if command == "edit" else []
    for seen in (mark, mark[:8]):
        with pytest.raises(HasChanged, match="look at it again"):
            run(command, one, *changed, "--seen", seen)
    with pytest.raises(ReviewError, match="is no mark"):
        run(command, one, *changed, "--seen", mark[:7])
    assert loop.store.decisions() == []
    run(command, one, *changed, "--seen", content_mark(loop.store.proposal(one))[:8])

    assert len(loop.store.entries(S.PUBLISHED)) == 1
    assert "--seen" not in run("show", one).output


def test_what_changes_in_the_editor_is_refused(run: Run, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    one = only(loop)

    def slowly(draft: str, extension: str) -> str:
        refresh(loop, one, warnings=("contradicts an article",))
        return draft.replace("answer:", "answer: Really:")

    monkeypatch.setattr("typer.edit", slowly)
    with pytest.raises(HasChanged):
        run("edit", one)
    assert loop.store.entries() == []


def test_a_bulk_leaves_what_changes_while_it_asks(run: Run, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = only(loop), add(loop, 5)
    monkeypatch.setattr("typer.confirm", lambda *said, **how: refresh(loop, one, answer="Never read."))
    said = run("bulk", "approve", one, other, code=1).output

    assert "has changed" in said
    assert [entry.proposal_id for entry in loop.store.entries()] == [other]


def test_a_bulk_asks_first_and_takes_what_fits(run: Run, loop: Loop) -> None:
    low, other = add(loop, 6, score=10), add(loop, 7, score=99, kind=ProposalKind.EXAMPLES, label="greet")
    declined = run("bulk", "reject", "--min-score", "90", "--reason", "no", code=1, stdin="n\n").output
    assert other[:8] in declined
    assert low[:8] not in declined
    assert loop.store.decisions() == []
    run("bulk", "reject", "--kind", "examples", "--reason", "no", stdin="y\n")
    run("bulk", "defer", low, "--until-doubled", "--yes")

    assert [(one.proposal_id, one.action) for one in loop.store.decisions()] == [
        (other, Action.REJECT),
        (low, Action.DEFER),
    ]
    assert loop.store.decisions()[0].reason.startswith("no [bulk ")


# --- split, merge, move ---------------------------------------------------------------------------


def test_messages_are_rearranged(run: Run, loop: Loop) -> None:
    one = only(loop)
    example = loop.store.proposal(one).examples[0]
    moved = read(run("move-example", one, "--example", example, "--to", "track_order", "--json"))
    assert (moved["label"], moved["examples"]) == ("track_order", [example])
    said = run("split", one, "--auto").output
    assert one[:8] in said
    result = read(run("merge", one, moved["proposal_id"], "--json"))

    assert result["proposal_id"] == one
    assert example in result["examples"]
    assert loop.store.proposal(moved["proposal_id"]).state is S.SUPERSEDED
    assert "has it now" in run("move-example", one, "--example", example, "--to", "greet").output


# --- second readers -------------------------------------------------------------------------------


def test_a_second_reader_reads_blind_and_the_readers_are_compared(run: Run, loop: Loop) -> None:
    one = only(loop)
    assert "Nothing was read a second time yet." in run("agreement").output
    run("reject", one, "--reason", "nobody asks that")
    assert "Nothing waits for you." in run("second", "list").output
    listed = read(run("second", "list", "--who", "bob", "--json"))
    shown = run("second", "show", one).output

    assert [item["proposal_id"] for item in listed] == [one]
    assert listed[0]["state"] == "pending"
    assert "reject" not in shown
    assert "nobody asks" not in shown
    run("second", "read", one, "--approve", "--who", "bob")
    said = run("agreement").output
    assert "1 proposals were read twice: too few to say much" in said
    assert "disagreement  100.0 %" in said
    assert "Cohen's kappa 0.00" in said
    assert "differ about more than 10 %" in said
    assert f"differ about {one}" in said
    measured = read(run("agreement", "--json"))
    assert (measured["readings"], measured["flagged"], measured["differing"]) == (1, True, [one])
    assert measured["counts"] == [{"first": "reject", "second": "approve", "count": 1}]


def test_agreement_without_a_choice_has_no_kappa(run: Run, loop: Loop) -> None:
    one = only(loop)
    run("approve", one)
    run("second", "read", one, "--approve", "--who", "bob")

    assert "is not defined: both gave every proposal the same verdict" in run("agreement").output
    assert read(run("agreement", "--json"))["kappa"] is None
