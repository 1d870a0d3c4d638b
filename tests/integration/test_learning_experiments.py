"""Experiments from draft to adoption, on real databases: what is told, what is released, what is refused."""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from learning import __main__ as command_line
from learning.adapters import schema
from learning.adapters.experiment_rows import stop_experiment
from learning.adapters.store import Store
from learning.adoption import adopt
from learning.errors import EvergreenError, NotFound, ReviewError, StoreError
from learning.experiments import create, show, start, stop
from learning.loop import Loop
from learning.model import (
    Action,
    Change,
    Decision,
    Experiment,
    ExperimentState,
    Outcome,
    Proposal,
    ProposalKind,
    ProposalState,
    ReleaseKind,
    Variant,
    sender_key,
)
from learning.overlay import OverlayReader
from learning.pipeline import mine, plan_rollback, review, roll_back_to, rollback, withdraw
from learning.privacy import PatternRedactor
from learning.rollout import set_share
from learning.rollout_steps import Schedule
from learning.verdict_words import sentence
from learning.wordings import LiveExperiment
from tests.learning_builders import (
    START,
    Clock,
    FakeEncoder,
    TrackerFile,
    fresh_database,
    make_loop,
    make_project,
    proposal,
    user_data,
)

RESPONSES = """
responses:
  utter_faq/shipping:
  - text: It takes three days.
  utter_faq/returns:
  - text: You may return it within a month.
"""
RESPONSE = "utter_faq/shipping"
SHORT = [("short", "Three days.")]
DAY = timedelta(days=1)

PLACES = itertools.count(1)  # of conversations in lists: each its own


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return fresh_database(tmp_path / "var" / "learning.db")
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_project(tmp_path, "experiments: {min_people: 20, min_days: 3}\n")
    (root / "domain.yml").write_text((root / "domain.yml").read_text("utf-8") + RESPONSES, "utf-8")
    nlu = root / "data/nlu/faq.yml"
    lines = ["nlu:", "- intent: faq/shipping", "  examples: |", "    - how long does it take"]
    lines += ["- intent: faq/returns", "  examples: |", "    - may I send it back", ""]
    nlu.write_text("\n".join(lines), "utf-8")
    return root


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def loop(root: Path, clock: Clock) -> Loop:
    return make_loop(root, now=clock)


def draft(loop: Loop, **more: Any) -> Experiment:
    values: dict[str, Any] = {"name": "shorter", "about": "faq/shipping", "texts": SHORT, "metric": "resolved"}
    return create(loop, **{**values, **more}, who="ann")[0]


def reader_of(loop: Loop) -> OverlayReader:
    return OverlayReader(database_of(loop), FakeEncoder().encode, "fake-1")


def told(loop: Loop, sender: str = "anybody") -> Any:
    return reader_of(loop).snapshot().wording(RESPONSE, sender)


def database_of(loop: Loop) -> str:
    assert isinstance(loop.store, Store)
    return str(loop.store._database._engine.url.render_as_string(hide_password=False))


def meet(loop: Loop, experiment: Experiment, people: dict[str, tuple[int, int]], day: int, **more: Any) -> None:
    """Write conversations of new people as mining would: {variant: (resolved, of)}."""
    assert isinstance(loop.store, Store)
    with loop.store._database.write() as connection:
        for variant, (good, of) in people.items():
            for number in range(of):
                name = f"{variant}-{day}-{number}"
                outcome = Outcome.RESOLVED if number < good else Outcome.ABANDONED
                write(connection, experiment, name, variant, START + day * DAY, outcome, **more)


def write(
    connection: Any, experiment: Experiment, name: str, arm: str, at: datetime, outcome: Outcome, **more: Any
) -> None:
    row = {
        "conversation_id": f"c{name}"[:16],
        "sender": f"s{name}"[:16],
        "started": at,
        "last_at": at,
        "first_row": 1,
        "last_row": 2,
        "place": next(PLACES),
        "turns": 1,
        "failed_turns": 0,
        "outcome": outcome.value,
        "reason": "",
        **more,
    }
    connection.execute(sa.insert(schema.conversations), row)
    exposure = {
        "turn_id": f"t{name}"[:16],
        "subject": experiment.experiment_id,
        "conversation_id": row["conversation_id"],
        "sender": row["sender"],
        "arm": arm,
        "at": at,
        "thumbs_down": False,
        "fallback_after": False,
        "handoff_after": False,
    }
    connection.execute(sa.insert(schema.exposures), exposure)


def run_well(loop: Loop, clock: Clock, short: int = 28, days: int = 6) -> Experiment:
    """An experiment of some days in which the short answer does as it is told to: `short` of 30 are resolved."""
    one = start(loop, draft(loop).experiment_id, "ann")
    for day in range(days):
        meet(loop, one, {"control": (15, 30), "short": (short, 30)}, day)
    clock.now = START + days * DAY + timedelta(hours=2)
    return one


# --- the store -------------------------------------------------------------------------------------


def test_it_is_kept_as_it_was_written(root: Path, url: str) -> None:
    loop = make_loop(root, url, now=Clock(START))
    one = draft(loop, control="It takes 3 days.", texts=[("b", "Üb {name}"), ("c", "C")], metric="csat")

    assert loop.store.experiments() == [one]
    assert loop.store.experiment(one.experiment_id[:5]) == one
    assert one.variants == (Variant("control", "It takes 3 days."), Variant("b", "Üb {name}"), Variant("c", "C"))
    for prefix in ("", "nothing", "%"):
        with pytest.raises(NotFound):
            loop.store.experiment(prefix)


def test_starting_and_stopping_are_releases_and_stand_in_the_log(root: Path, url: str) -> None:
    clock = Clock(START)
    loop = make_loop(root, url, now=clock)
    one = draft(loop)
    assert loop.store.releases() == []
    version = loop.store.overlay_version()

    begun = start(loop, one.experiment_id, "ann", "let us see")
    clock.now += DAY
    ended = stop(loop, one.experiment_id, "ben", "enough")

    assert (begun.state, begun.started_at) == (ExperimentState.RUNNING, START)
    assert (ended.state, ended.ended_at, ended.reason) == (ExperimentState.STOPPED, START + DAY, "enough")
    second, first = loop.store.releases()
    assert (first.what, first.who, first.changes) == (
        ReleaseKind.EXPERIMENT,
        "ann",
        (Change(one.experiment_id, 0, 100),),
    )
    assert (second.what, second.who, second.changes) == (
        ReleaseKind.EXPERIMENT,
        "ben",
        (Change(one.experiment_id, 100, 0),),
    )
    assert loop.store.overlay_version() == version + 2
    assert [row.what for row in loop.store.audit_rows()] == ["create experiment", "experiment", "experiment"]
    assert loop.store.verify_audit() == []


def test_who_was_quicker_wins(loop: Loop) -> None:
    one = draft(loop)
    seen = loop.store.experiment(one.experiment_id)
    start(loop, one.experiment_id, "ann")

    late = replace(seen, state=ExperimentState.RUNNING, started_at=START)
    with pytest.raises(StoreError, match="somebody else was quicker"):
        loop.store.save_experiment(seen, late, "ben", START)
    assert len(loop.store.releases()) == 1


def test_one_outcome_a_person_that_of_the_first_conversation(root: Path, url: str) -> None:
    loop = make_loop(root, url, now=Clock(START))
    one = start(loop, draft(loop).experiment_id, "ann")
    assert isinstance(loop.store, Store)
    with loop.store._database.write() as connection:
        write(connection, one, "a1", "short", START + DAY, Outcome.ESCALATED, sender="ann", thumb=-1, csat=2)
        write(connection, one, "a0", "short", START, Outcome.RESOLVED, sender="ann", thumb=1, csat=5)
        write(connection, one, "b0", "control", START, Outcome.OPEN, sender="ben")
        connection.execute(sa.update(schema.exposures).where(schema.exposures.c.turn_id == "ta0").values(sender="ann"))
        connection.execute(sa.update(schema.exposures).where(schema.exposures.c.turn_id == "ta1").values(sender="ann"))

    found = loop.store.experiment_outcomes(one.experiment_id)

    assert [(item.variant, item.outcome, item.thumb, item.csat) for item in found] == [
        ("short", Outcome.RESOLVED, 1, 5),
        ("control", Outcome.OPEN, 0, None),
    ]
    assert loop.store.experiment_outcomes("another") == []


def test_a_release_that_is_taken_back_ends_it(loop: Loop) -> None:
    one = start(loop, draft(loop).experiment_id, "ann")
    assert isinstance(loop.store, Store)
    with loop.store._database.write() as connection:
        stop_experiment(connection, one.experiment_id, START + DAY, "release 1 was taken back")
    stopped = loop.store.experiment(one.experiment_id)
    assert (stopped.state, stopped.ended_at) == (ExperimentState.STOPPED, START + DAY)
    with loop.store._database.write() as connection, pytest.raises(StoreError, match="does not run"):
        stop_experiment(connection, one.experiment_id, START + DAY, "again")


# --- creating ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"about": "faq/nothing"}, "no label with an answer"),
        ({"about": ""}, "no label with an answer"),
        ({"metric": "sales"}, "is measured by 'sales'"),
        ({"name": " "}, "has no name"),
        ({"texts": []}, "has 1 variants"),
        ({"texts": [(f"v{number}", f"text {number}") for number in range(5)]}, "has 6 variants"),
        ({"texts": [("short", "It takes  three days.")]}, "says the same in control and short"),
        ({"texts": [("a", "One."), ("b", "One. ")]}, "says the same in a and b"),
        ({"texts": [("control", "One.")]}, "has a variant named 'control'"),
        ({"texts": [("a b", "One.")]}, "has a variant named 'a b'"),
        ({"texts": [("a" * 65, "One.")]}, "has a variant named"),
        ({"texts": [("a", " ")]}, "has no answer yet"),
        ({"texts": [("a", "A { brace")]}, "lone brace"),
        ({"texts": [("a", "turned \u202e round")]}, "cannot be shown"),
        ({"texts": [("a", "x" * 2001)]}, "more than 2000 characters"),
    ],
)
def test_what_cannot_be_compared_is_refused(loop: Loop, changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(ReviewError, match=problem):
        draft(loop, **changed)
    assert loop.store.experiments() == []


def test_a_response_may_be_named_and_policies_may_not_start_anything(loop: Loop) -> None:
    one = draft(loop, about=RESPONSE)
    assert (one.label, one.response) == ("faq/shipping", RESPONSE)
    with pytest.raises(ReviewError, match="policy:"):
        start(loop, one.experiment_id, "policy:advanced")


def test_its_author_is_told_what_speaks_against_a_text(loop: Loop) -> None:
    texts = [("mail", "Write to ann.miller@example.com."), ("twice", "You may return it within a month.")]
    _, notes = create(loop, "n", "faq/shipping", texts, "resolved", "ann")
    assert any(note.startswith("mail holds what looks like personal data (email)") for note in notes)
    assert any(note.startswith("twice: utter_faq/returns already says this") for note in notes)


# --- being told -------------------------------------------------------------------------------------


def test_a_draft_is_never_told_and_what_is_stopped_no_more(loop: Loop) -> None:
    one = draft(loop)
    senders = [f"sender {number}" for number in range(20)]
    reader = reader_of(loop)

    def all_told() -> list[Any]:
        snapshot = reader.snapshot()
        return [snapshot.wording(RESPONSE, sender) for sender in senders]

    assert set(all_told()) == {(None, ())}

    start(loop, one.experiment_id, "ann")
    live = LiveExperiment(one.experiment_id, RESPONSE, one.variants)
    variants = [live.variant_of(sender) for sender in senders]
    assert all_told() == [(variant.text, ((one.experiment_id, variant.name),)) for variant in variants]
    assert {variant.name for variant in variants} == {"control", "short"}

    stop(loop, one.experiment_id, "ann", "enough")
    assert set(all_told()) == {(None, ())}


def test_a_broken_experiment_is_quarantined_and_the_other_one_is_told(loop: Loop) -> None:
    broken = start(loop, draft(loop, about="faq/returns").experiment_id, "ann")
    start(loop, draft(loop).experiment_id, "ann")
    assert isinstance(loop.store, Store)
    with loop.store._database.write() as connection:
        own = schema.experiments.c.experiment_id == broken.experiment_id
        connection.execute(sa.update(schema.experiments).where(own).values(variants=[{"name": "control"}]))

    snapshot = reader_of(loop).snapshot()

    assert snapshot.wording("utter_faq/returns", "anybody") == (None, ())
    assert snapshot.wording(RESPONSE, "anybody").exposed != ()
    with loop.store._database.read() as connection:
        assert [row.entry_id for row in connection.execute(sa.select(schema.quarantine))] == [broken.experiment_id]


def test_taking_the_release_back_that_began_it_stops_it(loop: Loop) -> None:
    one = start(loop, draft(loop).experiment_id, "ann")
    rollback(loop, 1, "ben", "wrong text")
    assert loop.store.experiment(one.experiment_id).state is ExperimentState.STOPPED
    assert told(loop) == (None, ())
    with pytest.raises(EvergreenError, match="start a new one"):
        rollback(loop, 2, "ben", "right after all")


def test_an_experiment_is_started_once(loop: Loop) -> None:
    one = draft(loop)
    with pytest.raises(ReviewError, match="cannot be stopped"):
        stop(loop, one.experiment_id, "ann", "why not")
    start(loop, one.experiment_id, "ann")
    with pytest.raises(ReviewError, match="is running"):
        start(loop, one.experiment_id, "ann")
    stop(loop, one.experiment_id, "ann", "enough")
    with pytest.raises(ReviewError, match="is stopped"):
        start(loop, one.experiment_id, "ann")


def test_one_experiment_at_a_time_on_a_response(loop: Loop) -> None:
    first, second = draft(loop), draft(loop, name="second")
    elsewhere = draft(loop, about="faq/returns")
    start(loop, first.experiment_id, "ann")
    start(loop, elsewhere.experiment_id, "ann")
    with pytest.raises(StoreError, match=f"experiment {first.experiment_id} runs on utter_faq/shipping"):
        start(loop, second.experiment_id, "ann")
    stop(loop, first.experiment_id, "ann", "enough")
    start(loop, second.experiment_id, "ann")


def reword(loop: Loop, text: str, number: int, steps: tuple[int, ...]) -> Proposal:
    one = proposal(
        number, kind=ProposalKind.REWORD, label="faq/shipping", target=RESPONSE, answer=text, examples=(), sources=()
    )
    loop.store.save_proposals([one], START)
    decision = Decision(one.proposal_id, Action.APPROVE, "ann", loop.now())
    assert review(loop, decision, schedule=Schedule(steps, 24.0)) is not None
    return one


def test_not_while_another_wording_is_being_rolled_out(loop: Loop) -> None:
    reword(loop, "About three days.", 7, (25, 100))
    one = draft(loop)
    with pytest.raises(StoreError, match="is being rolled out on utter_faq/shipping"):
        start(loop, one.experiment_id, "ann")
    assert loop.store.experiment(one.experiment_id).state is ExperimentState.DRAFT


def test_a_text_that_has_become_the_answer_is_no_variant_any_more(loop: Loop) -> None:
    one = draft(loop)
    reword(loop, "Three days.", 7, (100,))
    with pytest.raises(ReviewError, match="says the same in control and short"):
        start(loop, one.experiment_id, "ann")


def test_somebody_is_told_that_the_control_has_changed_meanwhile(loop: Loop, clock: Clock) -> None:
    one = start(loop, draft(loop).experiment_id, "ann")
    clock.now += DAY
    reword(loop, "About three days.", 7, (100,))
    clock.now += DAY
    [note] = show(loop, one.experiment_id).notes
    assert note.startswith("Release 2 changed what control says on 2024-03-02")
    assert show(loop, draft(loop).experiment_id).notes == ()


# --- adopting ---------------------------------------------------------------------------------------


def test_the_winner_becomes_the_answer_in_the_ordinary_way(loop: Loop, clock: Clock) -> None:
    one = run_well(loop, clock)
    shown = show(loop, one.experiment_id)
    assert shown.verdict.winner == "short"

    ended, release = adopt(loop, one.experiment_id, "short", "ben")

    assert (ended.state, ended.winner) == (ExperimentState.STOPPED, "short")
    assert release is not None
    [entry] = loop.store.entries(ProposalState.PUBLISHED)
    assert (entry.kind, entry.target, entry.answer, entry.share) == (ProposalKind.REWORD, RESPONSE, "Three days.", 100)
    assert release.changes == (Change(entry.entry_id, 0, 100),)
    assert told(loop) == ("Three days.", ((entry.entry_id, "on"),))
    [decision] = loop.store.decisions()
    assert (decision.who, decision.reason) == ("ben", sentence(shown.verdict))
    assert loop.store.releases()[1].reason == f"winner short: {decision.reason}"
    assert loop.store.verify_audit() == []
    with pytest.raises(ReviewError, match="was settled: short was adopted"):
        adopt(loop, one.experiment_id, "control", "ben", "why not", anyway=True)


def test_nothing_is_adopted_without_a_winner_unless_somebody_says_why(loop: Loop, clock: Clock) -> None:
    one = run_well(loop, clock, short=16)
    for anyway, reason in ((False, ""), (False, "I like it"), (True, " ")):
        with pytest.raises(ReviewError, match="does not name short the winner"):
            adopt(loop, one.experiment_id, "short", "ben", reason, anyway)
    assert loop.store.proposals() == []

    adopt(loop, one.experiment_id, "short", "ben", "the shop wants it", anyway=True)

    assert loop.store.decisions()[0].reason.startswith("against the evidence: the shop wants it (")
    assert told(loop).text == "Three days."


def test_adopting_the_control_ends_it_and_publishes_nothing(loop: Loop, clock: Clock) -> None:
    one = run_well(loop, clock, short=3)
    ended, release = adopt(loop, one.experiment_id, "control", "ben")
    assert (ended.winner, release, loop.store.entries()) == ("control", None, [])
    assert told(loop) == (None, ())


def test_what_was_stopped_may_still_be_adopted(loop: Loop, clock: Clock) -> None:
    one = run_well(loop, clock)
    stop(loop, one.experiment_id, "ann", "holidays")
    ended, release = adopt(loop, one.experiment_id, "short", "ben")
    assert (ended.winner, ended.ended_at) == ("short", clock.now)
    assert release is not None
    assert "settle experiment" in [row.what for row in loop.store.audit_rows()]
    assert loop.store.verify_audit() == []


def test_a_draft_and_an_unknown_variant_are_not_adopted(loop: Loop) -> None:
    one = draft(loop)
    with pytest.raises(ReviewError, match="was never started"):
        adopt(loop, one.experiment_id, "short", "ben", "why not", anyway=True)
    with pytest.raises(ReviewError, match="choose one of control, short"):
        adopt(loop, one.experiment_id, "longer", "ben")


def test_interrupted_before_the_release_it_is_finished_by_a_second_call(
    loop: Loop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = run_well(loop, clock)

    def fail(*_: Any) -> None:
        raise StoreError("failed (disk)", "learning database", "free some room")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "publish", fail)
        with pytest.raises(StoreError):
            adopt(loop, one.experiment_id, "short", "ben")
    assert loop.store.experiment(one.experiment_id).winner == "short"

    ended, release = adopt(loop, one.experiment_id, "short", "ben")
    assert (ended.winner, release is not None) == ("short", True)
    assert told(loop).text == "Three days."
    with pytest.raises(ReviewError, match="was settled"):
        adopt(loop, one.experiment_id, "short", "ben")


def test_of_two_who_adopt_at_once_one_is_refused(loop: Loop, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    one = run_well(loop, clock)
    genuine = Store.save_experiment

    def quicker(store: Store, *given: Any) -> None:
        monkeypatch.setattr(Store, "save_experiment", genuine)
        adopt(loop, one.experiment_id, "control", "bea", "as it was", anyway=True)
        genuine(store, *given)

    monkeypatch.setattr(Store, "save_experiment", quicker)
    with pytest.raises(StoreError, match="somebody else was quicker"):
        adopt(loop, one.experiment_id, "short", "ben")
    assert loop.store.experiment(one.experiment_id).winner == "control"
    assert told(loop) == (None, ())


def test_what_it_was_about_takes_it_along(loop: Loop) -> None:
    reword(loop, "About three days.", 7, (100,))
    one = start(loop, draft(loop).experiment_id, "ann")
    [entry] = loop.store.entries(ProposalState.PUBLISHED)
    with pytest.raises(StoreError, match="runs on utter_faq/shipping"):
        set_share(loop, entry.entry_id, 50, "ann")

    withdraw(loop, entry.entry_id, "ann", "wrong")

    assert loop.store.experiment(one.experiment_id).state is ExperimentState.STOPPED
    assert told(loop) == (None, ())
    [newest, *_] = loop.store.releases()
    assert {change.item_id for change in newest.changes} == {entry.entry_id, one.experiment_id}
    plan = plan_rollback(loop, newest.number)
    assert [change.item_id for change in plan.changes] == [entry.entry_id]
    assert plan.left_out[0].startswith(f"experiment {one.experiment_id[:8]} ")
    assert "stays ended" in rollback(loop, newest.number, "ann").reason
    assert loop.store.experiment(one.experiment_id).state is ExperimentState.STOPPED


def test_a_rollback_leads_past_an_experiment_that_has_ended(loop: Loop) -> None:
    one = start(loop, draft(loop).experiment_id, "ann")
    stop(loop, one.experiment_id, "ann", "enough")
    reword(loop, "About three days.", 7, (100,))

    roll_back_to(loop, 1, "ann")

    assert loop.store.entries(ProposalState.PUBLISHED) == []
    assert loop.store.experiment(one.experiment_id).state is ExperimentState.STOPPED


# --- from the tracker to the verdict ------------------------------------------------------------------


def test_what_the_bot_wrote_into_the_tracker_is_counted(loop: Loop, root: Path, clock: Clock) -> None:
    one = start(loop, draft(loop, metric="thumbs").experiment_id, "ann")
    live = LiveExperiment(one.experiment_id, RESPONSE, one.variants)
    tracker = TrackerFile(root / "var" / "tracker.db")
    for number in range(12):
        sender = f"sender {number}"
        arm = live.variant_of(sender).name
        tracker.add(sender, user_data("how long does it take", "faq", message_id=f"m{number}"))
        tracker.add(sender, {"event": "action", "name": "utter_faq", "policy": "RulePolicy", "confidence": 1.0})
        metadata = {"utter_action": RESPONSE, "evergreen": [[one.experiment_id, arm]]}
        stamp = tracker.add(sender, {"event": "bot", "text": "…", "data": {}, "metadata": metadata})
        tracker.add(sender, {"event": "action", "name": "action_listen"})
        if number < 9:
            value = {"message_id": repr(stamp), "value": "up" if arm == "short" else "down", "comment": ""}
            tracker.add(sender, {"event": "slot", "name": "last_feedback", "value": value})
    clock.now = START + 2 * DAY
    mine(loop)

    found = {item.sender: item for item in loop.store.experiment_outcomes(one.experiment_id)}
    assert set(found) == {sender_key(f"sender {number}") for number in range(12)}
    for number in range(12):
        item = found[sender_key(f"sender {number}")]
        assert item.variant == live.variant_of(f"sender {number}").name
        assert item.thumb == (0 if number >= 9 else 1 if item.variant == "short" else -1)
    control, short = show(loop, one.experiment_id).verdict.variants
    assert (control.good, short.good) == (0, short.people)
    assert control.people + short.people == 9


# --- the command line -----------------------------------------------------------------------------------


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    fresh_database(root / "var" / "learning.db")
    monkeypatch.setattr("learning.bootstrap.OnnxEncoder", lambda **options: FakeEncoder())
    monkeypatch.setattr("learning.bootstrap.PresidioRedactor", PatternRedactor)
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("EVERGREEN_STORE_URL", "EVERGREEN_BOT_URL", "EVERGREEN_BOT_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["learning", "--project", str(root), "experiments", *arguments])
        with pytest.raises(SystemExit) as caught:
            command_line.run()
        captured = capsys.readouterr()
        assert (caught.value.code or 0) == code, captured.err
        return captured.out if code == 0 else captured.err

    return call


def test_the_command_line(run: Any, root: Path) -> None:
    assert "There are no experiments" in run("list")
    said = run("create", "[bold]n", "faq/shipping", "--variant", "short=Three [red]days[/red]. a=b", "--who", "ann")
    assert "is a draft about utter_faq/shipping, measured by conversations that ended well." in said
    [one] = json.loads(run("list", "--json"))
    short = one["experiment_id"][:8]
    assert one["variants"][1] == {"name": "short", "text": "Three [red]days[/red]. a=b"}
    assert "It is a draft" in run("show", short)
    assert f"{short} runs" in run("start", short, "--who", "ann")
    shown = run("show", short)
    assert "Three [red]days[/red]. a=b" in shown
    assert "(what the bot says anyway)" in shown
    assert "0 finished days are counted" in shown
    assert "There is too little to name a winner: it takes at least 20 more people" in shown
    told = json.loads(run("show", short, "--json"))
    assert told["sentence"].startswith("There is too little")
    assert (told["verdict"]["winner"], told["experiment"]["state"]) == (None, "running")
    assert "[bold]n" in run("list")
    assert "error:" in run("adopt", short, "short", code=1)
    assert "is no NAME=TEXT" in run("create", "n", "faq/shipping", "--variant", "nothing", code=1)
    ended = json.loads(run("stop", short, "--reason", "enough", "--who", "ann", "--json"))
    assert (ended["state"], ended["reason"]) == ("stopped", "enough")
    adopted = json.loads(run("adopt", short, "short", "--anyway", "--reason", "it is nicer", "--who", "ann", "--json"))
    assert adopted["release"]["changes"][0]["after"] == 100
    assert "short adopted" in run("list")
