"""The loop benchmark keeps messages apart, its reviewer decides by the truth, its figures are what they say."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from benchmarks import loop_data
from benchmarks.loop import is_complete
from benchmarks.loop_bot import label_of
from benchmarks.loop_customers import THUMB_WRONG, WEEK, Customers, append
from benchmarks.loop_data import Message, Scenario
from benchmarks.loop_project import article_of, merge_learned, write_project
from benchmarks.loop_reviewer import judge
from benchmarks.loop_scores import Decided, acceptance, alone, calibration_error, error_by_chance, read
from benchmarks.loop_tables import measured, tables
from benchmarks.nlu_data import OUT_OF_SCOPE
from benchmarks.tracker_talk import REJECTIONS
from learning.adapters.project import Project
from learning.adapters.tracker_sql import SqlTrackerEvents
from learning.conversations import build, split
from learning.model import FALLBACK_INTENT, Action, ProposalKind, Source, sender_key
from learning.review import decide
from learning.settings import load_settings
from tests.learning_builders import proposal

DATA = Path(__file__).parents[3] / "shared" / "datasets"
NOW = datetime(2026, 1, 12, tzinfo=timezone.utc)


def scenario(**more: Any) -> Scenario:
    values: dict[str, Any] = {
        "dataset": "clinc150",
        "seed": 0,
        "hidden": frozenset({"loyalty"}),
        "known": frozenset({"greet", "parcel"}),
        "training": (Message("hi [there]", "greet"), Message("good day", "greet"), Message("my parcel", "parcel")),
        "holdout": (Message("hullo", "greet"),),
        "weeks": ((Message("points?", "loyalty"),),),
        "test": (Message("hey", "greet"), Message("my points", "loyalty"), Message("moon", OUT_OF_SCOPE)),
        "articles": {"loyalty": "# Loyalty\n\nThis is what to know about loyalty: points.\n"},
    }
    return Scenario(**{**values, **more})


# --- what is said ---------------------------------------------------------------------------------


@pytest.mark.skipif(not DATA.exists(), reason="the data sets are not beside the project")
@pytest.mark.parametrize("dataset", loop_data.DATASETS)
def test_every_message_is_used_once(dataset: str) -> None:
    drawn = loop_data.build(dataset, DATA, 0)
    parts = [drawn.training, drawn.holdout, *drawn.weeks, drawn.test]
    texts = [message.text.casefold() for part in parts for message in part]

    assert len(set(texts)) == len(texts)
    assert len(drawn.hidden) == loop_data.FULL.hidden[dataset]
    assert {message.truth for message in (*drawn.training, *drawn.holdout)} == drawn.known
    asked = Counter(message.truth for week in drawn.weeks for message in week)
    assert drawn.hidden <= set(asked)
    assert {message.truth for message in drawn.test} == {*drawn.hidden, *drawn.known, OUT_OF_SCOPE}
    quoted = {article.split('"')[1].casefold() for article in drawn.articles.values()}
    assert not quoted & set(texts)


@pytest.mark.skipif(not DATA.exists(), reason="the data sets are not beside the project")
def test_a_scenario_is_the_same_every_time_and_another_for_another_seed() -> None:
    assert loop_data.build("banking77", DATA, 3) == loop_data.build("banking77", DATA, 3)
    assert loop_data.build("banking77", DATA, 3).hidden != loop_data.build("banking77", DATA, 4).hidden


def test_the_project_is_one_that_the_loop_reads(tmp_path: Path) -> None:
    write_project(tmp_path, scenario())
    project = Project(load_settings(tmp_path, {}))
    project.check()

    assert [example.label for example in project.examples()] == ["greet", "greet", "parcel"]
    assert [example.text for example in project.holdout()] == ["hullo"]
    assert [name for name, _ in project.articles()] == [article_of("loyalty")]


def test_merging_replaces_what_was_learned(tmp_path: Path) -> None:
    write_project(tmp_path, scenario())
    for name in ("old.yml", "new.yml"):
        merge_learned(tmp_path, {name: 'version: "3.1"\nnlu:\n- intent: learned/x\n  examples: |\n    - points\n'})
    learned = [item.label for item in Project(load_settings(tmp_path, {})).examples() if item.label == "learned/x"]

    assert learned == ["learned/x"]


# --- customers ------------------------------------------------------------------------------------


def parsed(label: str) -> dict[str, Any]:
    base = label.partition("/")[0]
    found: dict[str, Any] = {
        "intent": {"name": base, "confidence": 0.9},
        "intent_ranking": [{"name": base, "confidence": 0.9}],
        "response_selector": {},
        "out_of_scope": {"similarity": 0.7},
    }
    if base != label:
        found["response_selector"] = {base: {"response": {"intent_response_key": label}, "ranking": []}}
    return found


def talks(
    path: Path,
    customers: Customers,
    said: list[Message],
    labels: dict[str, str],
    understood: dict[str, dict[str, Any]] | None = None,
) -> list[Any]:
    """Play a week, store it, and read it as mining does; return (turn, its truth)."""
    if understood is None:
        understood = {text: parsed(FALLBACK_INTENT) for text in REJECTIONS}
        understood |= {message.text: parsed(labels[message.truth]) for message in said}
    meanings = {"greet": "greet", "learned/points": "loyalty"}
    append(path, customers.week(NOW.timestamp(), said, understood, meanings))
    settings = load_settings(path.parent, {})
    (batch,) = SqlTrackerEvents(f"sqlite:///{path}").batches(0, 100_000)
    assert not batch.corrupt
    return [
        (turn, customers.truths[sender_key(sender), turn.at])
        for sender, events in batch.rows.items()
        for session in split(events, settings.conversations)
        for turn in build(sender_key(sender), session, NOW, settings).turns
    ]


def test_each_message_of_a_week_is_said_once_and_its_truth_is_known(tmp_path: Path) -> None:
    said = [Message(f"text {number}", random.Random(number).choice(("greet", "loyalty"))) for number in range(300)]
    labels = {"greet": "greet", "loyalty": FALLBACK_INTENT}
    found = talks(tmp_path / "tracker.db", Customers("seed"), said, labels)
    turns = [turn for turn, _ in found]

    assert Counter(turn.text for turn in turns) == Counter(message.text for message in said)
    assert {turn.text: truth for turn, truth in found} == {message.text: message.truth for message in said}
    assert {turn.intent for turn in turns} == {"greet", FALLBACK_INTENT}
    assert min(turn.at for turn in turns) >= NOW
    assert max(turn.at for turn in turns).timestamp() < NOW.timestamp() + WEEK


def test_wrong_answers_are_disliked_and_right_ones_are_not(tmp_path: Path) -> None:
    said = [Message(f"text {number}", "loyalty") for number in range(500)]
    wrong = talks(tmp_path / "wrong.db", Customers("one"), said, {"loyalty": "greet"})
    right = talks(tmp_path / "right.db", Customers("two"), said, {"loyalty": "learned/points"})
    down = sum(turn.thumbs < 0 for turn, _ in wrong) / 500
    rejections = sum(turn.text in REJECTIONS for turn, _ in wrong)

    assert {turn.intent for turn, _ in right} == {"learned/points"}
    assert THUMB_WRONG / 2 < down < THUMB_WRONG + 0.03  # of visits, some of which have two messages
    assert rejections > 20
    assert sum(turn.thumbs < 0 for turn, _ in right) < 10 < sum(turn.thumbs > 0 for turn, _ in right)


def asked_back(*labels: str) -> dict[str, Any]:
    found = parsed(FALLBACK_INTENT)
    shares = [{"name": label, "confidence": 0.4} for label in labels]
    return {**found, "out_of_scope": {"reason": "near_tie", "similarity": 0.6, "candidates": shares}}


def test_who_is_asked_back_presses_the_right_button(tmp_path: Path) -> None:
    said = [Message(f"text {number}", "loyalty") for number in range(200)]
    understood = {text: parsed(FALLBACK_INTENT) for text in REJECTIONS}
    understood |= {message.text: asked_back("greet", "learned/points") for message in said}
    found = talks(tmp_path / "tracker.db", Customers("seed"), said, {}, understood)
    clarified = Counter(turn.clarified for turn, _ in found)

    assert set(clarified) == {None, "learned/points"}
    assert clarified["learned/points"] > 100


def test_a_question_back_counts_apart() -> None:
    drawn = scenario(test=(Message("one", "loyalty"), Message("two", "loyalty")))
    understood = [asked_back("greet", "learned/points"), asked_back("greet", "parcel")]
    found = read(drawn, understood, {**MEANINGS, "learned/points": "loyalty"}, frozenset({"loyalty"}))

    assert (found.covered, found.covered_asked, found.covered_lost) == (0, 0.5, 0.5)


def test_the_same_people_come_back(tmp_path: Path) -> None:
    customers = Customers("seed")
    said = [Message(f"text {number}", "greet") for number in range(200)]
    talks(tmp_path / "tracker.db", customers, said, {"greet": "greet"})

    assert 120 < len(customers.senders) < 190


def test_a_retrieval_intent_is_read_by_its_key() -> None:
    assert label_of(parsed("learned/points")) == "learned/points"
    assert label_of(parsed("greet")) == "greet"
    assert label_of({"intent": {"name": None}}) == FALLBACK_INTENT


# --- the reviewer ---------------------------------------------------------------------------------

MEANINGS = {"greet": "greet", "parcel": "parcel"}
EXAMPLES = tuple(f"example {number}" for number in range(10))


def truths(**counts: int) -> Any:
    """Return the truth of EXAMPLES: so many of each intent, in order."""
    kinds = [intent for intent, count in counts.items() for _ in range(count)]
    return dict(zip(EXAMPLES, kinds, strict=True)).__getitem__


def answer_proposal(**more: Any) -> Any:
    values: dict[str, Any] = {
        "kind": ProposalKind.ANSWER,
        "label": "learned/points",
        "examples": EXAMPLES,
        "answer": "Points.",
        "sources": (Source(article_of("loyalty"), "Points.", 0.6),),
    }
    return proposal(**{**values, **more})


def test_a_right_proposal_is_approved_untouched() -> None:
    verdict = judge(answer_proposal(), truths(loyalty=8, oos=2), scenario(), MEANINGS)

    assert (verdict.action, verdict.meant, verdict.share, verdict.harmful) == (Action.APPROVE, "loyalty", 0.8, False)
    assert (verdict.examples, verdict.answer, verdict.label) == (None, None, None)


def test_strangers_are_edited_out_of_a_nearly_right_one() -> None:
    suggested = answer_proposal()
    verdict = judge(suggested, truths(loyalty=6, oos=4), scenario(), MEANINGS)
    decided = decide(suggested, verdict.decision(suggested, NOW))

    assert verdict.action is Action.EDIT
    assert decided.examples == EXAMPLES[:6]
    assert decided.answer == "Points."


@pytest.mark.parametrize("more", [{"answer": None, "sources": ()}, {"sources": (Source("other.md", "Points.", 0.6),)}])
def test_a_missing_or_wrong_answer_is_typed(more: dict[str, Any]) -> None:
    suggested = answer_proposal(**more)
    verdict = judge(suggested, truths(loyalty=10), scenario(), MEANINGS)
    decided = decide(suggested, verdict.decision(suggested, NOW))

    assert (verdict.action, verdict.fault) == (Action.EDIT, "wrong or no answer")
    assert decided.answer == "This is what to know about loyalty: points."
    assert verdict.harmful is (suggested.answer is not None)


def test_a_name_that_is_taken_is_changed() -> None:
    verdict = judge(answer_proposal(), truths(loyalty=10), scenario(), {**MEANINGS, "learned/points": "parcel"})

    assert (verdict.action, verdict.label) == (Action.EDIT, "learned/loyalty")


@pytest.mark.parametrize(
    ("counts", "label"), [({"loyalty": 7, "oos": 3}, "learned/other"), ({"greet": 7, "oos": 3}, "greet")]
)
def test_what_the_bot_knows_becomes_examples_of_it(counts: dict[str, int], label: str) -> None:
    verdict = judge(answer_proposal(), truths(**counts), scenario(), {**MEANINGS, "learned/other": "loyalty"})

    assert (verdict.action, verdict.label, verdict.examples) == (Action.EDIT, label, EXAMPLES[:7])
    assert (verdict.teaches_anew, verdict.harmful) == (False, True)


@pytest.mark.parametrize(
    ("counts", "fault"),
    [
        ({"loyalty": 5, "greet": 5}, "several needs in one"),
        ({"oos": 10}, "nothing that we answer"),
    ],
)
def test_a_wrong_new_question_is_rejected(counts: dict[str, int], fault: str) -> None:
    suggested = answer_proposal()
    verdict = judge(suggested, truths(**counts), scenario(), MEANINGS)

    assert (verdict.action, verdict.fault, verdict.harmful) == (Action.REJECT, fault, True)
    assert verdict.decision(suggested, NOW).reason == fault


@pytest.mark.parametrize(
    ("count", "action"), [(8, Action.APPROVE), (7, Action.EDIT), (6, Action.EDIT), (5, Action.REJECT)]
)
def test_examples_are_judged_by_what_their_label_means(count: int, action: Action) -> None:
    suggested = proposal(kind=ProposalKind.EXAMPLES, label="learned/points", examples=EXAMPLES, answer=None)
    meanings = {**MEANINGS, "learned/points": "loyalty"}
    verdict = judge(suggested, truths(loyalty=count, greet=10 - count), scenario(), meanings)

    assert (verdict.action, verdict.share) == (action, count / 10)
    assert verdict.harmful is (action is Action.REJECT)


def test_upkeep_is_right_only_where_labels_mean_the_same() -> None:
    meanings = {**MEANINGS, "learned/points": "loyalty", "learned/more_points": "loyalty"}

    def action(**more: Any) -> Action:
        return judge(proposal(**more), truths(oos=10), scenario(), meanings).action

    assert action(kind=ProposalKind.MERGE, label="learned/points", target="learned/more_points") is Action.APPROVE
    assert action(kind=ProposalKind.MERGE, label="greet", target="parcel") is Action.REJECT
    assert action(kind=ProposalKind.RETIRE, label="greet") is Action.REJECT
    right = (Source(article_of("loyalty"), "Points.", 0.6),)
    assert action(kind=ProposalKind.REWORD, label="learned/points", answer="A", sources=right) is Action.APPROVE
    assert action(kind=ProposalKind.REWORD, label="greet", answer="A", sources=right) is Action.REJECT


# --- figures --------------------------------------------------------------------------------------


def decided(score: int, accepted: bool, **more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "week": 1,
        "kind": "answer",
        "score": score,
        "accepted": accepted,
        "action": "approve" if accepted else "reject",
        "fault": "",
        "harmful": not accepted,
        "share": 1.0,
        "clean": True,
        "warned": False,
        "alone": (),
        "people": 5,
        "examples": 9,
        "parts": {},
    }
    return Decided(**{**values, **more}).row


def test_the_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    always = [decided(95, True)] * 3 + [decided(95, False)]
    seldom = [decided(15, True)] + [decided(15, False)] * 3

    assert acceptance([*always, *seldom]) == 0.5
    assert calibration_error([decided(100, True), decided(0, False)]) == 0
    assert calibration_error([*always, *seldom]) == pytest.approx((4 * 0.2 + 4 * 0.1) / 8)


def test_few_decisions_have_an_error_by_chance() -> None:
    few = [decided(50, number % 2 == 0) for number in range(10)]

    assert calibration_error(few) == 0
    assert error_by_chance(few) == pytest.approx(0.123, abs=0.01)  # mean deviation of Binomial(10, 0.5) / 10
    assert error_by_chance(few * 100) < 0.02


def test_alone_goes_what_scores_high_and_breaks_nothing() -> None:
    rows = [
        decided(91, True),
        decided(95, False, alone=("moderate", "advanced")),
        decided(85, False),
        decided(80, False),
        decided(99, False, clean=False),
        decided(99, False, warned=True),
        decided(99, False, kind="merge"),
    ]

    assert alone(rows, "moderate") == (1, 1, 2, 1)
    assert alone(rows, "advanced") == (1, 1, 3, 2)


def test_resolved_is_the_right_answer_only() -> None:
    said = [("greet", "greet"), ("greet", "parcel"), ("loyalty", "learned/points"), ("loyalty", FALLBACK_INTENT)]
    said += [(OUT_OF_SCOPE, FALLBACK_INTENT), (OUT_OF_SCOPE, "learned/points"), ("parcel", "learned/points")]
    drawn = scenario(test=tuple(Message(str(number), truth) for number, (truth, _) in enumerate(said)))
    meanings = {**MEANINGS, "learned/points": "loyalty"}
    found = read(drawn, [parsed(label) for _, label in said], meanings, frozenset({"loyalty"}))

    assert (found.hidden, found.covered, found.known) == pytest.approx((0.5, 0.5, 1 / 3))
    assert (found.outside_answered, found.outside_learned, found.known_learned) == pytest.approx((0.5, 0.5, 1 / 3))
    assert found.by_intent == {"loyalty": 0.5}


def test_tables_hold_what_was_measured() -> None:
    reading = {"hidden": 0.0, "covered": 0.0, "known": 0.9, "outside_answered": 0.1, "covered_asked": 0.02}
    cycle = {
        "covered_intents": 3,
        "hidden_intents": 4,
        "before": reading,
        "overlay": {**reading, "covered": 0.8, "hidden": 0.6},
        "after": {**reading, "covered": 0.95, "hidden": 0.7},
        "as_asked": 0.85,
        "ripe_intents": 2,
        "ripe": 0.96,
        "accepted": 6,
        "decided": 7,
    }
    items = [decided(90, True)] * 6 + [decided(40, False)]
    run = {"weeks_wanted": 6, "first": reading, "cycles": [cycle], "decided": items, "left": []}
    runs = {"clinc150/0/retrained weekly": run, "clinc150/0/overlay only": run}
    runs["clinc150/0/all labelled by hand"] = {"weeks": {"1": {**reading, "hidden": 0.99}}}
    weekly, summary, judged, which, _ = tables(runs)

    assert "| clinc150 | 1 | 3.0 of 4 | 0.0 | 80.0 | 95.0 | 97.0 | 85.0 | 96.0 | 70.0 | 70.0 | 0.0 | 99.0 |" in weekly
    assert "| 85.7 | 0.10 |" in weekly
    assert summary.splitlines()[-1].startswith(
        "| clinc150 | 7 | 85.7 | 0.0 | 0.0 | 14.3 | 0 | 0.143 | 0.161 | 0.143 | 0.10 | 0, 0 (0, 0) | 0, 0 (6, 0) |"
    )
    assert "clinc150 seed 0 retrained weekly, 1 of 6 weeks" in which
    assert "Not measured" not in which
    assert "not enough weeks" in judged  # the third is what counts

    judged = tables({**runs, "clinc150/0/retrained weekly": {**run, "cycles": [cycle] * 3}})[2]
    assert judged.count(": met") == 3
    assert "score ECE under 0.08: not met (0.143)" in judged


def test_what_was_not_measured_is_said() -> None:
    which = measured({"banking77/1/retrained weekly": {"weeks_wanted": 6, "cycles": [{}] * 5}})

    assert which == (
        "Runs: banking77 seed 1 retrained weekly, 5 of 6 weeks. Not measured: overlay only, all labelled by hand."
    )


def test_a_run_that_was_stopped_is_played_again() -> None:
    assert not is_complete(None)
    assert not is_complete({"weeks_wanted": 6, "cycles": [{}] * 5})
    assert is_complete({"weeks_wanted": 6, "cycles": [{}] * 6})
    assert is_complete({"weeks": {"3": {}}})
