from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest
import typer
from typer.testing import CliRunner

from learning.bootstrap import App
from learning.calibration import (
    CURVES,
    ISOTONIC_EACH,
    ISOTONIC_FROM,
    Calibration,
    Decided,
    judge,
    prior_logit,
    read_calibration,
    read_decided,
)
from learning.calibration_cli import calibration_command
from learning.calibration_report import CalibrationReport, calibration_error, report
from learning.intervals import wilson
from learning.model import (
    Action,
    Change,
    Decision,
    Entry,
    Gap,
    GapKind,
    Proposal,
    ProposalKind,
    ProposalState,
    Release,
    ReleaseKind,
    ScorePart,
)
from learning.pipeline import review
from learning.settings import Settings
from tests.learning_builders import START, entry, gap, make_loop, make_project, proposal

ANSWER, EXAMPLES = ProposalKind.ANSWER, ProposalKind.EXAMPLES
NOW = START + timedelta(days=60)
PARTS = (ScorePart("one", 0.9, 0.5), ScorePart("two", 0.5, 0.5))  # a raw score of 0.7


def decided(raw: float, accepted: bool, kind: ProposalKind = ANSWER, shown: int = 50) -> Decided:
    return Decided("p", kind, raw, accepted, shown)


def decision(action: Action, who: str = "ann", **more: Any) -> Decision:
    return Decision("p", action, who, START, **more)


def truth(raw: float) -> float:
    """A reviewer who accepts far less than the prior expects, and in steps."""
    return 0.05 if raw < 0.5 else 0.3 if raw < 0.8 else 0.85


def sampled(count: int, seed: int) -> list[Decided]:
    rng = np.random.default_rng(seed)
    raws = rng.uniform(0.2, 1.0, count)
    return [decided(float(raw), bool(rng.random() < truth(raw))) for raw in raws]


# --- the curve ------------------------------------------------------------------------------------


def test_without_decisions_the_prior_holds() -> None:
    slope, half = CURVES[ANSWER]

    assert Calibration.fit([]) == Calibration()
    assert Calibration().probability(half, ANSWER) == pytest.approx(0.5)
    assert Calibration().probability(half + 1 / slope, ANSWER) == pytest.approx(0.7311, abs=1e-3)


@pytest.mark.parametrize("raw", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("accepted", [True, False])
def test_one_decision_does_not_swing_the_score(raw: float, accepted: bool) -> None:
    fitted = Calibration.fit([decided(raw, accepted)])
    moved = [fitted.probability(at, ANSWER) - Calibration().probability(at, ANSWER) for at in np.linspace(0, 1, 21)]

    assert max(map(abs, moved)) < 0.1
    assert (fitted.probability(raw, ANSWER) > Calibration().probability(raw, ANSWER)) is accepted


def test_the_scores_come_to_mean_what_reviewers_do() -> None:
    seen, unseen = sampled(150, 1), sampled(2000, 2)

    def error(calibration: Calibration) -> float:
        shown = [replace(item, shown=round(100 * calibration.probability(item.raw, item.kind))) for item in unseen]
        return calibration_error(shown)

    few, many = Calibration.fit(seen), Calibration.fit(sampled(1500, 3))

    assert (few.method, many.method) == ("platt", "isotonic")
    assert error(Calibration()) > 0.12
    assert error(few) < 0.1  # steps are no logistic curve
    assert error(many) < 0.05
    assert error(many) < error(few)


def test_the_shape_is_learned_only_from_enough_of_both() -> None:
    accepting = [decided(0.9, True)] * (ISOTONIC_FROM - ISOTONIC_EACH)

    assert Calibration.fit([*accepting, *[decided(0.4, False)] * ISOTONIC_EACH]).method == "isotonic"
    assert Calibration.fit([*accepting, *[decided(0.4, False)] * (ISOTONIC_EACH - 1)]).method == "platt"
    assert Calibration.fit([decided(0.9, True)] * 1000).method == "platt"


@pytest.mark.parametrize("raw", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("accepted", [True, False])
def test_one_decision_does_not_swing_the_learned_shape(raw: float, accepted: bool) -> None:
    history = sampled(300, 4)
    before, after = Calibration.fit(history), Calibration.fit([*history, decided(raw, accepted)])

    assert after.method == "isotonic"
    for at in np.linspace(0, 1, 21):
        assert after.probability(at, ANSWER) == pytest.approx(before.probability(at, ANSWER), abs=0.1)


@pytest.mark.parametrize("count", [1000, 100_000])
def test_a_reviewer_who_accepts_everything_makes_no_certainty_of_it(count: int) -> None:
    probability = Calibration.fit([decided(0.9, True)] * count).probability(0.9, ANSWER)

    assert 0.95 < probability < 1


def test_kinds_are_told_apart_and_share_what_they_have_in_common() -> None:
    rejected = Calibration.fit([decided(0.7, False, EXAMPLES)] * 30)

    def drop(kind: ProposalKind) -> float:
        return prior_logit(0.7, kind) - float(np.log(1 / (1 / rejected.probability(0.7, kind) - 1)))

    assert drop(EXAMPLES) > drop(ANSWER) > 0.2


# --- what counts as accepted ----------------------------------------------------------------------

SUGGESTED = proposal(examples=tuple("abcde"), answer="Points never expire.")
POLICY_YES = decision(Action.APPROVE, "policy:moderate")
YES, NO, LATER, UNDO = (decision(action) for action in (Action.APPROVE, Action.REJECT, Action.DEFER, Action.UNDO))


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([], None),
        ([YES], True),
        ([NO], False),
        ([LATER], None),
        ([LATER, YES], True),
        ([YES, UNDO], False),
        ([YES, UNDO, YES], True),
        ([YES, UNDO, LATER, UNDO], False),
        ([NO, UNDO], None),
        ([NO, UNDO, YES], True),
        ([LATER, UNDO], None),
        ([POLICY_YES], None),
        ([POLICY_YES, UNDO], None),
        ([POLICY_YES, UNDO, NO], False),
        ([POLICY_YES, UNDO, YES], True),
        ([YES, UNDO, POLICY_YES], None),
    ],
)
def test_the_last_word_of_a_person_counts(decisions: Sequence[Decision], expected: bool | None) -> None:
    assert judge(SUGGESTED, decisions) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"examples": tuple("abcd")}, True),
        ({"examples": tuple("ABCDE")}, True),
        ({"examples": (*"abcd", "new", "newer")}, True),
        ({"examples": tuple("abc")}, False),
        ({"label": SUGGESTED.label}, True),
        ({"label": "learned/other"}, False),
        ({"answer": "Points  never expire."}, True),
        ({"answer": "Good news! Points never expire. Shop on."}, True),
        ({"answer": "Points expire after a year."}, False),
        ({"answer": ""}, False),
    ],
)
def test_an_edit_accepts_what_it_leaves_as_it_was(changes: dict[str, Any], expected: bool) -> None:
    assert judge(SUGGESTED, [decision(Action.EDIT, **changes)]) is expected


def test_writing_the_answer_that_was_missing_completes_a_proposal() -> None:
    assert judge(replace(SUGGESTED, answer=None), [decision(Action.EDIT, answer="Points never expire.")]) is True


# --- reading and reporting ------------------------------------------------------------------------


@dataclass
class FakeStore:
    items: list[Proposal] = field(default_factory=list)
    made: list[Decision] = field(default_factory=list)
    of_gaps: dict[str, Gap] = field(default_factory=dict)
    live: list[Entry] = field(default_factory=list)
    went: list[Release] = field(default_factory=list)

    def proposals(self) -> list[Proposal]:
        return self.items

    def decisions(self) -> list[Decision]:
        return self.made

    def gaps(self) -> dict[str, Gap]:
        return self.of_gaps

    def entries(self) -> list[Entry]:
        return self.live

    def releases(self) -> list[Release]:
        return self.went

    def add(self, number: int, action: Action, score: int, **more: Any) -> Proposal:
        item = proposal(number, score=score, score_parts=PARTS, **more)
        self.items.append(item)
        self.made.append(Decision(item.proposal_id, action, "ann", START, reason="because"))
        return item

    def release(self, item: Proposal, number: int, at: datetime, state: ProposalState, **gap_more: Any) -> None:
        self.of_gaps.setdefault(item.gap_id, gap(item.gap_id, handled_at=at, **gap_more))
        self.live.append(entry(number, proposal_id=item.proposal_id, release=number, state=state))
        self.went.append(Release(number, ReleaseKind.PUBLISH, "ann", at, (Change(f"entry{number}", 0, 100),)))


def loop_of(store: FakeStore) -> Any:
    return SimpleNamespace(store=store, now=lambda: NOW)


def test_the_raw_score_is_that_of_the_parts_and_never_the_calibrated_one() -> None:
    store = FakeStore()
    store.add(1, Action.APPROVE, score=12)
    store.add(2, Action.REJECT, score=99)
    store.add(3, Action.DEFER, score=50)
    store.items.append(proposal(4))
    store.made.append(Decision("gone", Action.REJECT, "ann", START))

    found = read_decided(loop_of(store))

    assert [(item.raw, item.accepted, item.shown) for item in found] == [
        (pytest.approx(0.7), True, 12),
        (pytest.approx(0.7), False, 99),
    ]


def test_what_was_decided_in_a_real_store_is_learned_from(tmp_path: Path) -> None:
    loop = make_loop(make_project(tmp_path))
    loop.store.save_proposals([proposal(number, score_parts=PARTS) for number in range(8)], START)
    for item in loop.store.proposals():
        review(loop, Decision(item.proposal_id, Action.REJECT, "ann", START, reason="no need"))

    learned = read_calibration(loop)

    assert (learned.method, learned.decided) == ("platt", 8)
    assert learned.probability(0.7, ANSWER) < Calibration().probability(0.7, ANSWER) - 0.1


def test_the_report_counts_by_band_what_was_accepted_and_what_it_fixed() -> None:
    store = FakeStore()
    old, fresh = NOW - timedelta(days=20), NOW - timedelta(days=2)
    live, gone = ProposalState.PUBLISHED, ProposalState.WITHDRAWN
    store.release(store.add(1, Action.APPROVE, 95), 1, old, live)
    store.release(store.add(2, Action.APPROVE, 92), 2, old, gone)
    store.release(store.add(3, Action.APPROVE, 91), 3, old, live, reopened_at=old + timedelta(days=3))
    store.release(store.add(4, Action.APPROVE, 100), 4, fresh, live)  # too early to say
    store.release(store.add(5, Action.APPROVE, 99), 5, old, live, kind=GapKind.UNUSED)  # nobody's need
    store.add(6, Action.REJECT, 90)
    store.add(7, Action.REJECT, 19)
    first = store.add(8, Action.APPROVE, 65, gap_id="g" * 16)
    second = store.add(9, Action.APPROVE, 65, gap_id="g" * 16)
    store.release(first, 8, old, live)
    store.release(second, 9, old + timedelta(days=1), live)  # so the first did not do

    found = report(loop_of(store))
    top = found.bands[-1]

    assert (found.decided, found.accepted, found.method) == (9, 7, "platt")
    assert [band.decided for band in found.bands] == [1, 0, 0, 2, 0, 6]
    assert (top.low, top.high, top.accepted, top.released, top.fixed) == (90, 100, 5, 3, 1)
    assert (top.rate, top.fix_rate) == (pytest.approx(5 / 6), pytest.approx(1 / 3))
    assert (found.bands[3].released, found.bands[3].fixed) == (2, 1)
    assert (found.bands[1].rate, found.bands[1].fix_rate, found.bands[1].mean_score) == (None, None, None)
    assert "41 more decisions" in found.outlook


def test_a_report_on_nothing_says_so() -> None:
    found = report(loop_of(FakeStore()))

    assert (found.decided, found.ece, found.brier, found.method) == (0, None, None, "prior")
    assert "50 more decisions" in found.outlook


@pytest.mark.parametrize(
    ("accepted", "rejected", "expected"),
    [
        (60, 10, "130 more decisions"),
        (300, 5, "15 more rejections"),
        (3, 300, "17 more acceptances"),
        (150, 150, "enough decisions"),
    ],
)
def test_the_outlook_says_what_is_missing(accepted: int, rejected: int, expected: str) -> None:
    store = FakeStore()
    for number in range(accepted + rejected):
        store.add(number, Action.APPROVE if number < accepted else Action.REJECT, 60)

    assert expected in report(loop_of(store)).outlook


def test_the_calibration_error_is_the_gap_between_score_and_acceptance() -> None:
    sure = [decided(0.9, True, shown=90)] * 9 + [decided(0.9, False, shown=90)]

    assert calibration_error(sure) == pytest.approx(0.0)
    assert calibration_error([*sure, *[decided(0.1, True, shown=10)] * 10]) == pytest.approx(0.45)
    assert calibration_error([decided(1, False, shown=100)]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    # Brown, Cai and DasGupta (2001) and R's prop.test(correct = FALSE).
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662), (0, 0, 0, 1)],
)
def test_wilsons_interval(hits: int, count: int, low: float, high: float) -> None:
    assert wilson(hits, count) == (pytest.approx(low, abs=2e-4), pytest.approx(high, abs=2e-4))


# --- the command ----------------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, store: FakeStore, *arguments: str) -> str:
    app = App(Settings())
    monkeypatch.setitem(app.__dict__, "loop", loop_of(store))
    cli = typer.Typer()
    cli.command()(calibration_command)
    result = CliRunner().invoke(cli, arguments, obj=app)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_prints_a_row_for_each_band(monkeypatch: pytest.MonkeyPatch) -> None:
    store = FakeStore()
    store.release(store.add(1, Action.APPROVE, 95), 1, NOW - timedelta(days=20), ProposalState.PUBLISHED)
    store.add(2, Action.REJECT, 95)

    lines = run(monkeypatch, store).splitlines()
    (row,) = [line.split() for line in lines if line.startswith("90-100")]

    assert row == ["90-100", "2", "1", "50", "%", "9-91", "%", "95", "100", "%", "of", "1"]
    assert any("mostly chance" in line for line in lines)


def test_the_command_prints_json(monkeypatch: pytest.MonkeyPatch) -> None:
    store = FakeStore()
    store.add(1, Action.APPROVE, 95)
    found = orjson.loads(run(monkeypatch, store, "--json"))

    assert set(found) == set(CalibrationReport.__dataclass_fields__)
    assert [band["decided"] for band in found["bands"]] == [0, 0, 0, 0, 0, 1]


def test_nothing_decided_is_told_without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    output = run(monkeypatch, FakeStore())

    assert "0 proposals were judged" in output
    assert "calibration error" not in output
