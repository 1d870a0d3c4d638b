"""The regression set, evaluations and the gate over a whole loop, with fakes in place of Rasa."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from ruamel.yaml import YAML
from typer.testing import CliRunner

from learning.adapters import schema
from learning.adapters.project import Project
from learning.adapters.store import Store
from learning.annotations import annotate
from learning.bootstrap import App
from learning.branch import for_everybody
from learning.browsing_records import Filter, Verdict
from learning.errors import NotFound, ProjectError
from learning.evaluate_cli import evaluate_cli, render_cases
from learning.evaluation import compare_models, evaluate_model, evaluate_running, read_exam
from learning.exams import CASE, EvaluationRow, RegressionCase, Suite, SuiteCount
from learning.loop import Loop
from learning.model import LIVE, Action, Decision, DeployedModel, Entry, ProposalState, content_id, sender_key
from learning.pipeline import mine, review
from learning.regression import (
    EVIDENCE,
    EXAMPLE,
    VERDICT,
    grow,
    is_held_back,
    trained_texts,
    valid_cases,
    without_cases,
)
from learning.regroup import folded
from learning.releasing import withdraw
from learning.retrain import retrain
from learning.transcripts import read
from tests.learning_builders import (
    LOYALTY,
    START,
    FakeNlu,
    FakeServer,
    TrackerFile,
    make_loop,
    make_project,
    nlu_yaml,
    proposal,
    talk,
)

HOLDOUT = {"my parcel?": "track_order", "lost password": "reset_password"}
LABEL = "learned/loyalty_points"
SOON = timedelta(seconds=1)
HALF = "retrain:\n  absorb_examples: 3\nevaluation:\n  held_back_share: 0.5\n"
OUTSIDE = ("what is the capital of France", "who won the football")
STORY = """
- name: hello
  steps:
  - {user: hello, bot: "hi|hello", not: "sorry"}
- name: an order of its own
  order: late
  steps:
  - {user: "where is {order}", bot: "late"}
"""


def make(root: Path, learning: str = HALF) -> Loop:
    """A loop with one published answer; what ten people said is its evidence."""
    make_project(root, learning)
    talk(TrackerFile(root / "var" / "tracker.db"))
    loop = make_loop(root)
    mine(loop)
    (waiting,) = loop.store.proposals()
    review(loop, Decision(waiting.proposal_id, Action.APPROVE, "ann", loop.now()))
    return loop


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return make(tmp_path)


@pytest.fixture
def server(loop: Loop) -> FakeServer:
    models = loop.settings.path("models")
    models.mkdir()
    (models / "old.tar.gz").write_bytes(b"old")
    return FakeServer(models / "old.tar.gz")


def live(loop: Loop) -> list[Entry]:
    return for_everybody(loop.store.entries(*LIVE))


def add_exams(loop: Loop) -> None:
    """Write out-of-scope messages, marked entities, and conversations into the project."""
    files = {
        "tests/holdout_out_of_scope/nlu.yml": nlu_yaml({"nlu_fallback": OUTSIDE}),
        "tests/holdout_entities/nlu.yml": nlu_yaml({"any": ("where is [10342](order_number)",)}),
        "tests/live_stories/talk.yml": STORY,
    }
    for name, text in files.items():
        path = loop.settings.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def knows(model: str, text: str) -> str:
    return HOLDOUT.get(text) or ("nlu_fallback" if text in OUTSIDE else LABEL)


# --- the set ------------------------------------------------------------------------------------------


def test_a_share_of_what_was_approved_is_held_back_and_never_trained_on(loop: Loop, server: FakeServer) -> None:
    assert grow(loop, live(loop)) > 0
    cases = loop.store.regression_cases()
    assert {case.source for case in cases} == {EXAMPLE}
    assert {case.text for case in cases} == {text for text in LOYALTY if is_held_back(text, 0.5)} & {
        text for entry in live(loop) for text in entry.examples
    }
    assert {case.label for case in cases} == {LABEL}
    nlu = FakeNlu(knows)
    report = retrain(loop, nlu, server)
    trained = "\n".join(nlu.trained_on.values())

    assert all(f"- {case.text}\n" not in trained for case in cases)
    assert "- loyalty points program?\n" in trained or is_held_back("loyalty points program?", 0.5)
    # They are live in the overlay all the same.
    assert {case.text for case in cases} <= {text for entry in loop.store.entries() for text in entry.examples}
    assert report.card is not None
    rule = next(rule for rule in report.card.rules if rule.name == "regression")
    assert (rule.total, rule.after) == (len(cases), len(cases))


def test_growing_again_adds_nothing_and_what_was_dropped_stays_out(loop: Loop) -> None:
    added = grow(loop, live(loop))
    assert grow(loop, live(loop)) == 0
    case = loop.store.regression_cases()[0]
    dropped = loop.store.drop_regression_case(case.case_id[:8], "ann", loop.now(), "its label is wrong")
    assert (dropped.text, grow(loop, live(loop))) == (case.text, 0)
    assert len(loop.store.regression_cases()) == added - 1
    row = loop.store.audit_rows()[-1]
    assert (row.what, row.who, row.item, row.reason) == ("drop case", "ann", case.case_id, "its label is wrong")
    assert case.text not in str(row)
    with pytest.raises(NotFound):
        loop.store.drop_regression_case(case.case_id, "ann", loop.now(), "again")
    with pytest.raises(NotFound):
        loop.store.drop_regression_case("", "ann", loop.now(), "all of them")


def test_messages_of_the_gap_beyond_the_examples_are_confirmed_with_it(tmp_path: Path) -> None:
    loop = make(tmp_path, "proposals:\n  max_examples: 4\n")
    (entry,) = live(loop)
    grow(loop, live(loop))
    cases = loop.store.regression_cases()

    assert {case.source for case in cases} == {EVIDENCE}
    gap_id = loop.store.proposals()[0].gap_id
    said = {folded(turn.text) for turn in loop.store.turns_of_gap(gap_id)}
    assert len(cases) == len(said) - 4 > 0
    assert not {folded(case.text) for case in cases} & {folded(text) for text in entry.examples}


def test_nobody_has_confirmed_what_came_after_the_decision(tmp_path: Path) -> None:
    loop = make(tmp_path, "proposals:\n  max_examples: 4\n")
    table = schema.decisions
    with loop.store._database.write() as connection:  # type: ignore[attr-defined]
        connection.execute(sa.update(table).values(at=START - timedelta(days=1)))
    assert grow(loop, live(loop)) == 0


def test_one_label_fills_the_set_only_so_far(tmp_path: Path) -> None:
    loop = make(tmp_path, "proposals:\n  max_examples: 4\nevaluation:\n  cases_per_label: 2\n")
    assert grow(loop, live(loop)) == 2
    assert grow(loop, live(loop)) == 0


def test_checked_turns_are_cases_until_somebody_changes_his_mind(loop: Loop) -> None:
    (talked,) = (
        one for one in loop.store.find_conversations(Filter(), 1.0, None, 50) if one.sender == sender_key("happy")
    )
    (turn,) = read(loop, talked.conversation_id).turns
    right = annotate(loop, talked.conversation_id, turn.turn_id, "ann", Verdict.RIGHT)
    grow(loop, live(loop))
    found = [case for case in loop.store.regression_cases() if case.source == VERDICT]
    assert [(case.text, case.label, case.sender) for case in found] == [
        ("where is my parcel", "track_order", sender_key("happy"))
    ]
    # The training data has it word by word: it would measure nothing.
    exam = read_exam(loop, live(loop))
    assert found[0] not in [case for case, _ in exam.regression]
    assert "1 confirmed messages stand in the training data" in exam.notes[Suite.REGRESSION]
    loop.store.undo_annotation(right.annotation.annotation_id, "ann", loop.now())
    assert found[0] not in valid_cases(loop, live(loop))
    annotate(loop, talked.conversation_id, turn.turn_id, "bob", Verdict.RIGHT)
    assert grow(loop, live(loop)) == 1
    assert found[0].case_id in {case.case_id for case in valid_cases(loop, live(loop))}


def test_cases_of_what_is_withdrawn_are_not_asked(loop: Loop) -> None:
    grow(loop, live(loop))
    (entry,) = live(loop)
    assert read_exam(loop, live(loop)).regression
    withdraw(loop, entry.entry_id, "ann", "wrong")

    assert valid_cases(loop, live(loop)) == []
    assert read_exam(loop, live(loop)).regression == ()


def test_whoever_is_forgotten_takes_his_words_along(loop: Loop) -> None:
    grow(loop, live(loop))
    case = loop.store.regression_cases()[0]
    other = RegressionCase("f" * 16, case.text.upper(), LABEL, EVIDENCE, case.item, "somebodyelse0000", START)
    kept = RegressionCase("e" * 16, "what nobody else says", LABEL, EVIDENCE, case.item, "somebodyelse0000", START)
    loop.store.add_regression_cases([other, kept])
    erased = loop.store.erase(case.sender, (), lambda texts: "", START, "ann", START)
    left = {one.case_id for one in loop.store.regression_cases()}

    # The same words of another go, too: they come back with that person's own turns, if there are any.
    assert erased.rows["regression_cases"] == 2
    assert not left & {case.case_id, other.case_id}
    assert kept.case_id in left


def test_an_entry_is_never_emptied_and_few_examples_are_all_taught() -> None:
    one = Entry(**{**_entry(("only this",)), "kind": proposal().kind})
    case = RegressionCase("a" * 16, "Only this!", LABEL, EXAMPLE, one.entry_id, "s", START)

    assert without_cases([one], [replace(case, text="only this")])[0].examples == ("only this",)
    two = replace(one, examples=("only this", "and that"))
    assert without_cases([two], [replace(case, text="only this")])[0].examples == ("and that",)


def _entry(examples: tuple[str, ...]) -> dict[str, object]:
    return {
        "entry_id": content_id("e"),
        "proposal_id": content_id("p"),
        "label": LABEL,
        "examples": examples,
        "answer": "yes",
        "release": 1,
        "state": ProposalState.PUBLISHED,
    }


def test_training_data_and_the_set_never_share_a_message(loop: Loop) -> None:
    grow(loop, live(loop))
    valid = valid_cases(loop, live(loop))
    trained = trained_texts(loop, without_cases(live(loop), valid))

    assert valid
    assert not {folded(case.text) for case, _ in read_exam(loop, live(loop)).regression} & trained


def test_a_model_that_was_trained_on_what_is_held_back_now_is_not_asked_for_it(loop: Loop, server: FakeServer) -> None:
    (entry,) = live(loop)
    loop.store.save_deployed_model(_deployed(loop, entry))
    grow(loop, live(loop))
    compared = compare_models(loop, FakeNlu(knows), server.model, server.model, live(loop))

    assert compared.after[Suite.REGRESSION].total == 0


def test_what_is_confirmed_while_a_model_is_trained_on_it_is_not_asked(loop: Loop, server: FakeServer) -> None:
    (entry,) = live(loop)
    nlu = FakeNlu(knows)

    def confirmed_meanwhile() -> None:
        taught = next(text for text in entry.examples if f"- {text}\n" in "".join(nlu.trained_on.values()))
        late = RegressionCase("c" * 16, taught, LABEL, EVIDENCE, entry.entry_id, "s", loop.now() + SOON)
        assert loop.store.add_regression_cases([late]) == 1

    nlu.on_train = confirmed_meanwhile
    asked: list[str] = []
    genuine = nlu.examine
    nlu.examine = lambda models, texts, stories=(): (  # type: ignore[method-assign]
        asked.extend(texts),
        genuine(models, texts, stories),
    )[1]
    retrain(loop, nlu, server)

    trained = "".join(nlu.trained_on.values())
    cases = [text for text in asked if text not in HOLDOUT]
    assert cases  # those that were held back before
    assert not [text for text in cases if f"- {text}\n" in trained]


def _deployed(loop: Loop, entry: Entry) -> DeployedModel:
    return DeployedModel("old.tar.gz", loop.now() - timedelta(days=1), "", taught=(entry.entry_id,))


# --- measuring ----------------------------------------------------------------------------------------


def test_the_running_model_is_measured_on_everything_and_kept(loop: Loop, server: FakeServer) -> None:
    add_exams(loop)
    nlu = FakeNlu(lambda model, text: "faq/opening_hours" if text == OUTSIDE[0] else knows(model, text))
    nlu.marks = lambda model, text: frozenset({(9, 14, "order_number"), (0, 5, "of_no_matter")})
    nlu.ms = lambda model: 4.0
    said: list[str] = []
    report = evaluate_running(loop, nlu, server, lambda step, words: said.append(step))
    (row,) = loop.store.evaluations()

    assert row == report.row
    counts = {one.suite: (one.passed, one.total) for one in row.suites}
    regression = counts.pop("regression")
    assert regression[0] == regression[1] > 0
    assert counts == {"holdout": (2, 2), "out_of_scope": (1, 2), "entities": (1, 1), "stories": (1, 1)}
    assert (row.model, row.p50_ms, row.p95_ms) == ("old.tar.gz", 4.0, 4.0)
    assert row.suites[-1].note == "1 conversations need data of their own and were left out"
    assert "hold-out 100.0 % (2 of 2)" in report.sentence
    last = loop.store.last_run("evaluate")
    assert last is not None
    assert last["outcome"] == "ok"
    # No customer's words leave the one table that erasure knows.
    texts = [case.text for case in loop.store.regression_cases()]
    assert not any(text in str(report.plain()) for text in texts)
    assert set(said) == {"compare"}


def test_the_same_cases_have_the_same_mark_and_others_another(loop: Loop, server: FakeServer) -> None:
    first = evaluate_running(loop, FakeNlu(knows), server).row.suite("holdout")
    again = evaluate_running(loop, FakeNlu(lambda model, text: "greet"), server).row.suite("holdout")
    (loop.settings.root / "tests/holdout/more.yml").write_text(nlu_yaml({"greet": ("hi you",)}))
    other = evaluate_running(loop, FakeNlu(knows), server).row.suite("holdout")

    assert first is not None
    assert again is not None
    assert other is not None
    assert (first.exam == again.exam, first.exam == other.exam) == (True, False)


def test_old_evaluations_go_and_the_newest_stays(loop: Loop) -> None:
    for days in (40, 30, 20):
        at = loop.now() - timedelta(days=days)
        loop.store.save_evaluation(EvaluationRow(0, at, "m", (SuiteCount("holdout", 1, 2),)))
    assert loop.store.prune_evaluations(loop.now()) == 2
    assert [row.at for row in loop.store.evaluations()] == [loop.now() - timedelta(days=20)]
    assert loop.store.prune_evaluations(loop.now()) == 0


def test_without_exams_of_its_own_a_project_is_measured_on_what_there_is(loop: Loop, server: FakeServer) -> None:
    report = evaluate_model(loop, FakeNlu(knows), server.model)
    notes = {suite: found.note for suite, found in report.suites.items()}

    assert notes[Suite.OUT_OF_SCOPE] == "tests/holdout_out_of_scope holds no messages"
    assert notes[Suite.STORIES] == "tests/live_stories holds no conversations to play"
    assert report.row.p95_ms is None
    assert loop.store.evaluations() == []


# --- the gate -----------------------------------------------------------------------------------------


def spoil(nlu: FakeNlu, what: str) -> None:
    """Make the new model worse in one suite; there are enough cases to say so."""
    if what == "out_of_scope":
        nlu.understands = lambda model, text: (
            "greet" if text in OUTSIDE and model.startswith("evergreen") else knows(model, text)
        )
    elif what == "entities":
        marks = nlu.marks
        nlu.marks = lambda model, text: frozenset() if model.startswith("evergreen") else marks(model, text)
    elif what == "stories":
        nlu.plays = lambda model, story: "message 1: nothing was answered" if model.startswith("evergreen") else ""
    elif what == "latency":
        nlu.ms = lambda model: 9.0 if model.startswith("evergreen") else 3.0
    elif what == "regression":
        nlu.understands = lambda model, text: (
            "greet" if model.startswith("evergreen") and text in LOYALTY else knows(model, text)
        )


@pytest.mark.parametrize("what", ["out_of_scope", "entities", "stories", "latency", "regression"])
def test_each_rule_can_block_a_retraining(
    loop: Loop, server: FakeServer, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    add_exams(loop)
    loop = replace(loop, settings=replace(loop.settings, gate=replace(loop.settings.gate, least_cases=1)))
    many = nlu_yaml({"any": tuple(f"where is [{number}](order_number)" for number in range(10000, 10040))})
    (loop.settings.root / "tests/holdout_entities/nlu.yml").write_text(many)
    nlu = FakeNlu(knows)
    nlu.marks = lambda model, text: frozenset({(9, 14, "order_number")})
    nlu.ms = lambda model: 3.0
    spoil(nlu, what)
    old = server.model
    report = retrain(loop, nlu, server)

    assert report.card is not None
    assert {rule.name for rule in report.card.rules if rule.state.value == "blocked"} >= {what}
    assert (report.model, server.model, report.comparison.passed) == (None, old, False)
    assert report.comparison.reason == report.card.reason
    if what == "regression":
        (rule,) = (rule for rule in report.card.rules if rule.name == what)
        assert all(one.key.startswith(CASE) for one in rule.examples)


def test_a_model_that_is_as_good_passes_every_rule(loop: Loop, server: FakeServer) -> None:
    add_exams(loop)
    nlu = FakeNlu(knows)
    nlu.marks = lambda model, text: frozenset({(9, 14, "order_number")})
    report = retrain(loop, nlu, server)

    assert report.comparison.passed
    assert report.card is not None
    assert {rule.state.value for rule in report.card.rules} <= {"passed", "not decidable"}
    assert report.card.interval is not None


def test_an_action_server_that_is_away_decides_nothing(loop: Loop, server: FakeServer) -> None:
    add_exams(loop)
    nlu = FakeNlu(knows)
    nlu.examine = _unplayed(nlu.examine)  # type: ignore[method-assign]
    report = retrain(loop, nlu, server)

    assert report.card is not None
    (rule,) = (rule for rule in report.card.rules if rule.name == "stories")
    assert (rule.state.value, rule.sentence) == ("not decidable", "not run: the action server does not answer")
    assert report.comparison.passed


def _unplayed(examine: Callable[..., object]) -> Callable[..., list[object]]:
    def ask(models: object, texts: object, stories: object = ()) -> list[object]:
        found = examine(models, texts, ())
        return [replace(one, not_played="not run: the action server does not answer") for one in found]  # type: ignore

    return ask


def test_an_exam_that_cannot_be_read_is_told_before_the_training(loop: Loop, server: FakeServer) -> None:
    folder = loop.settings.root / "tests/live_stories"
    folder.mkdir()
    (folder / "broken.yml").write_text("- steps: [")
    nlu = FakeNlu(knows)
    with pytest.raises(ProjectError, match=r"broken\.yml"):
        retrain(loop, nlu, server)

    assert nlu.trained_on == {}


# --- the command line ---------------------------------------------------------------------------------


@pytest.fixture
def app(loop: Loop, server: FakeServer) -> App:
    found = App(loop.settings)
    found.__dict__.update(loop=loop, nlu=FakeNlu(knows), server=server)
    return found


def run(app: App, *arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(evaluate_cli, arguments, obj=app, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return str(done.output)


def test_the_command_measures_compares_and_lists(app: App) -> None:
    add_exams(app.loop)
    assert "hold-out        100.0 % (2 of 2)" in run(app)
    assert '"passed": 2' in run(app, "--json")
    assert len(app.loop.store.evaluations()) == 2
    models = app.settings.path("models")
    (models / "bad.tar.gz").write_bytes(b"bad")
    app.nlu.understands = lambda model, text: "greet" if model.startswith("bad") else knows(model, text)  # type: ignore
    said = run(app, "bad", "--against", "old", code=3)
    assert "would be blocked" in said
    assert "blocked       understanding overall" in said
    assert '"passed": false' in run(app, "bad.tar.gz", "--against", "old.tar.gz", "--json", code=3)
    assert "would go live" in run(app, "old", "--against", "old")
    assert "wanted track_order, got greet" in run(app, "bad")
    assert len(app.loop.store.evaluations()) == 2  # only what runs is kept
    assert "old" in run(app, "history")


def test_the_commands_of_the_set(app: App, tmp_path: Path) -> None:
    assert "Nobody has confirmed" in run(app, "regression", "list")
    assert "messages added" in run(app, "regression", "grow")
    case = app.loop.store.regression_cases()[0]
    assert case.case_id[:8] in run(app, "regression", "list")
    out = tmp_path / "out.yml"
    run(app, "regression", "export", "--out", str(out))
    project = replace(app.settings, project=replace(app.settings.project, holdout=str(out)))
    assert {(one.text, one.label) for one in Project(project).holdout()} == {
        (case.text, case.label) for case in app.loop.store.regression_cases()
    }
    run(app, "regression", "drop", case.case_id[:8], "--reason", "wrong", "--who", "ann")
    assert case.case_id not in {one.case_id for one in app.loop.store.regression_cases()}


def test_hostile_words_stay_words_in_the_export() -> None:
    texts = ["a: b #c", "'quoted' \"twice\"", "%percent @at", "- not a list? no, plain_text takes the dash away"]
    cases = [RegressionCase("a" * 16, text, "faq/x", VERDICT, "b" * 16, "s", START) for text in texts]
    content = YAML(typ="safe").load(render_cases(cases))

    assert content["nlu"] == [{"intent": "faq/x", "examples": "".join(f"- {text}\n" for text in texts)}]


@pytest.mark.service
def test_the_tables_on_postgresql(postgres_url: str) -> None:
    store = Store(postgres_url)
    case = RegressionCase("a" * 16, "hello % there", "greet", VERDICT, "b" * 16, "s" * 16, START)
    assert (store.add_regression_cases([case, case]), store.add_regression_cases([case])) == (1, 0)
    assert store.regression_cases() == [case]
    row = store.save_evaluation(EvaluationRow(0, START, "m", (SuiteCount("holdout", 1, 2, "x", "n"),), 1.0, 2.0))
    assert store.evaluations() == [row]
    store.drop_regression_case("aaaa", "ann", START, "wrong")
    assert (store.regression_cases(), store.dropped_cases()) == ([], {"a" * 16})
