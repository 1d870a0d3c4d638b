"""Numbers: what is behind each is exactly what the list of conversations shows; effects, services, accuracy, files."""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from learning.__main__ import cli
from learning.adapters import schema
from learning.adapters.database import insert
from learning.adapters.tracker_sql import SqlTrackerEvents
from learning.browsing import Filter, find
from learning.browsing_records import Annotation, Verdict
from learning.effect_words import details, told
from learning.effects import EffectVerdict, effect_of_release
from learning.errors import NotFound
from learning.loop import Loop
from learning.metrics import METRICS
from learning.metrics import Verdict as ChangeVerdict
from learning.metrics_files import effect_to_plain, write_days, write_report
from learning.metrics_report import Period, read_report
from learning.model import (
    OFF,
    ON,
    Change,
    DeployedModel,
    Exposure,
    Outcome,
    Proposal,
    ProposalState,
    ReleaseKind,
    ServiceCall,
)
from learning.model_card import LabelChange, ModelCard, to_plain
from learning.pipeline import mine
from learning.settings import MetricsSettings
from tests.learning_builders import (
    Clock,
    TrackerFile,
    gap,
    make_loop,
    make_project,
    mined,
    proposal,
    save_members,
    turn,
    user_data,
)

NOW = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)
TODAY = NOW.date()
WEEKS = Period(TODAY - timedelta(days=27), TODAY)
CALLS = (ServiceCall("shop", "balance", "ok", 20.0), ServiceCall("shop", "refund", "unavailable", 5000.0))


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return make_loop(make_project(tmp_path), now=Clock(NOW))


def talk(loop: Loop, number: int, ended: datetime, fails: bool = True, **more):
    """Save one conversation of a person; `more` changes it, or its one turn with `said`."""
    sender = more.pop("sender", f"person{number}")
    said = turn(f"message {number}", **more.pop("said", {}))
    values = {
        "turns": (said,),
        "conversation_id": f"{number:016x}",
        "started": ended - timedelta(minutes=3),
        "last_at": ended,
        "first_row": number,
        "last_row": number,
    }
    reading = mined(sender, f"message {number}", **{**values, **more})
    (item,) = reading.conversations
    if not fails:
        item = replace(item, failed=())
    loop.store.save_batch([replace(reading, conversations=(item,))], [], None)
    return item


def varied(loop: Loop, count: int = 160) -> None:
    """Save conversations of all kinds over two months."""
    draw = random.Random(5)
    for number in range(1, count + 1):
        ended = NOW - timedelta(hours=draw.uniform(0, 24 * 56))
        outcome = draw.choice(list(Outcome))
        reasons = {Outcome.ESCALATED: ["asked", "dissatisfied"], Outcome.ABANDONED: ["rated_down", "not_understood"]}
        fails = draw.random() < 0.3
        said = {
            "channel": draw.choice(["web", "slack"]),
            "intent": "nlu_fallback" if fails else "greet",
            "thumbs": draw.choice([-1, 0, 0, 1]),
            "csat": draw.choice([None, None, 1, 3, 4, 5]),
            "failed_service": draw.choice([None, None, "shop.balance"]),
            "agent_reply": ("Hello, Mia here.",) if outcome is Outcome.ESCALATED and draw.random() < 0.5 else (),
        }
        reason = draw.choice(reasons.get(outcome, [""]))
        people = f"person{draw.randrange(60)}"
        talk(loop, number, ended, sender=people, outcome=outcome, reason=reason, said=said, calls=CALLS[: number % 3])
    table = schema.conversations
    with loop.store._database.write() as connection:
        # Where a person answered stands in the events; here the rows are made without them.
        rows = connection.execute(sa.select(table.c.conversation_id, table.c.last_at, table.c.outcome)).all()
        for row in rows:
            if row.outcome == "escalated" and int(row.conversation_id, 16) % 2:
                answered = {"escalated_at": row.last_at - timedelta(minutes=2), "agent_at": row.last_at}
                mine_ = table.c.conversation_id == row.conversation_id
                connection.execute(sa.update(table).where(mine_).values(**answered))
        connection.execute(sa.update(table).values(indexed=True))


def shown(loop: Loop, link) -> int:
    """How many conversations the hub lists behind a link, counted page by page."""
    wanted, count, after = Filter.from_params(link), 0, None
    assert dict(link).keys() <= {name for name, _ in wanted.to_params()}, "a parameter that the list does not know"
    while True:
        page = find(loop, wanted, after=after)
        count, after = count + len(page.items), page.next_cursor
        if after is None:
            assert page.total == count
            return count


@pytest.mark.parametrize("channel", [None, "web"])
def test_every_number_links_to_exactly_the_conversations_behind_it(loop, channel):
    varied(loop)
    make_findable(loop)
    report = read_report(loop, WEEKS, WEEKS.before, channel, most=None)
    looked = 0
    for line in report.lines:
        for value in (line.value, line.before):
            assert value.top > 0, f"{line.metric.key} is not tried by this test"
            for link, count in ((value.link, value.top), (value.of_link, value.of)):
                if link is not None:
                    assert shown(loop, link) == count, (line.metric.key, link)
                    looked += 1
    assert looked >= 2 * len(METRICS)
    assert {reason.outcome for reason in report.reasons} == {"escalated", "abandoned"}
    for reason in report.reasons:
        assert shown(loop, reason.link) == reason.count


def make_findable(loop: Loop) -> None:
    """Bring the index of lists up to what was written past it."""
    from learning.adapters.conversation_index import refresh

    with loop.store._database.write() as connection:
        ids = connection.execute(sa.select(schema.conversations.c.conversation_id)).scalars().all()
        refresh(connection, ids)


def test_equal_times_do_not_differ_and_a_clear_change_is_told(loop):
    for number in range(1, 401):
        is_now = number % 2 == 0
        good = number % 10 < (8 if is_now else 4)
        ended = NOW - timedelta(days=number % 27, hours=1) - (timedelta(0) if is_now else timedelta(days=28))
        outcome = Outcome.RESOLVED if good else Outcome.ESCALATED
        talk(loop, number, ended, outcome=outcome, reason="" if good else "asked")
    report = read_report(loop, WEEKS, WEEKS.before, most=None)
    assert report.line("resolution").change.verdict is ChangeVerdict.BETTER
    assert report.line("escalation").change.verdict is ChangeVerdict.WORSE or (
        report.line("escalation").change.estimate.value < 0
    )
    assert report.line("conversations").change.verdict is ChangeVerdict.UNCLEAR
    assert report.line("csat").change.verdict is ChangeVerdict.UNKNOWN


def test_what_is_saved_follows_from_the_settings(loop):
    for number in range(1, 11):
        outcome = Outcome.RESOLVED if number <= 8 else Outcome.ABANDONED
        talk(loop, number, NOW - timedelta(days=2), outcome=outcome, reason="")
    settings = MetricsSettings(ticket_cost=10.0, ticket_share=0.5, running_cost=365.25 / 12, currency="USD")
    loop = replace(loop, settings=replace(loop.settings, metrics=settings))
    saved = read_report(loop, WEEKS, most=None).saving
    # Neither the days before the first conversation cost something nor those that have not come.
    assert saved.net.value == pytest.approx(8 * 0.5 * 10 - 3)
    assert saved.net.low < saved.net.value < saved.net.high <= 10 * 0.5 * 10 - 3
    ahead = Period(WEEKS.since, TODAY + timedelta(days=1826))
    assert read_report(loop, ahead, WEEKS.before, most=None).saving.running == pytest.approx(3)
    assert read_report(loop, ahead, WEEKS.before, most=None).saving_before.running == 0


# --- effects ---------------------------------------------------------------------------------------


def released(loop: Loop, days_ago: int, failing_before: int, failing_after: int, of: int = 200) -> str:
    """Save a need that fails before a release and after it, and release an entry for it; return the entry's id."""
    at = NOW - timedelta(days=days_ago)
    number, turn_ids = 0, []
    for side, failing in ((-1, failing_before), (1, failing_after)):
        for place in range(of):
            number += 1
            ended = at + side * timedelta(days=1 + place % max(1, days_ago - 1), minutes=place)
            item = talk(loop, number, ended, fails=place < failing, outcome=Outcome.RESOLVED)
            turn_ids += [one.turn_id for one in item.failed]
    need = gap("gap0000000000001", people=9)
    save_members(loop.store, [need], dict.fromkeys(turn_ids, need.gap_id))
    before: Proposal = proposal(1, gap_id=need.gap_id)
    loop.store.save_proposals([before], at)
    approved = replace(before, state=ProposalState.PUBLISHED)
    import numpy as np

    vectors = np.ones((len(before.examples), 4), dtype=np.float32)
    loop.store.publish(before, approved, "entry00000000001", vectors, "fake", "ann", at)
    return "entry00000000001"


def test_a_release_after_which_fewer_fail_says_so_with_its_interval(loop):
    released(loop, 20, failing_before=40, failing_after=6)
    (need,) = effect_of_release(loop, 1).needs
    assert need.verdict is EffectVerdict.FEWER
    assert need.ratio.high < 1
    assert need.before.failing == 40
    assert need.after.failing == 6
    assert "Fewer conversations fail at it: 40 of" in told(need)
    assert need.after.since == (NOW - timedelta(days=19)).date()
    for side in (need.before, need.after):
        days = (("since", side.since.isoformat()), ("until", side.until.isoformat()))
        assert shown(loop, (("gap", need.gap_id), *days)) == side.failing


@pytest.mark.parametrize(
    ("days_ago", "before", "after", "verdict"),
    [
        (5, 40, 1, EffectVerdict.TOO_EARLY),
        (20, 20, 18, EffectVerdict.UNCLEAR),
        (20, 5, 40, EffectVerdict.MORE),
        (20, 2, 1, EffectVerdict.TOO_FEW),
        (20, 0, 0, EffectVerdict.UNKNOWN),
        (20, 0, 40, EffectVerdict.MORE),
        (20, 0, 4, EffectVerdict.TOO_FEW),
    ],
)
def test_what_cannot_be_told_is_not_told(loop, days_ago, before, after, verdict):
    talk(loop, 9999, NOW - timedelta(days=60), fails=False)
    released(loop, days_ago, before, after)
    (need,) = effect_of_release(loop, 1).needs
    assert need.verdict is verdict
    assert told(need)


def test_none_that_failed_before_is_told_as_that(loop):
    released(loop, 20, 0, 40)
    (need,) = effect_of_release(loop, 1).needs
    assert told(need).startswith("More conversations fail at it: 0 of")
    assert "None failed before: a change of +" in told(need)


def test_an_effect_is_told_to_programs_and_has_no_number_that_json_lacks(loop):
    released(loop, 20, 0, 40)
    (plain,) = effect_to_plain(effect_of_release(loop, 1))
    assert (plain["verdict"], plain["after"]["failing"], plain["gap"]) == ("more", 40, "gap0000000000001")
    assert plain["ratio"]["value"] is None, "nobody failed before: the ratio has a lower end only"
    assert plain["ratio"]["low"] > 1


@pytest.mark.parametrize(("known", "days"), [(3, None), (9, 9), (40, 19)])
def test_both_times_have_the_same_days_and_a_week_at_least(loop, known, days):
    day = (NOW - timedelta(days=20)).date()
    for number in range(known * 4):
        talk(loop, number + 1, NOW - timedelta(days=21 + number // 4), fails=number % 2 == 0)
    talk(loop, 9999, NOW - timedelta(days=1))
    released(loop, 20, 0, 0, of=0)
    (need,) = effect_of_release(loop, 1).needs
    if days is None:
        assert need.verdict is EffectVerdict.TOO_SOON
        assert "known from before it" in told(need)
    else:
        assert (day - need.before.since).days == (need.before.until - need.before.since).days + 1 == days
        assert (need.after.until - need.after.since).days + 1 == days


def test_the_time_after_ends_where_the_release_was_taken_back(loop):
    entry = released(loop, 20, 40, 6)
    back = NOW - timedelta(days=10)
    loop.store.release(ReleaseKind.WITHDRAW, [Change(entry, 100, 0)], "ann", back, "no good")
    effect = effect_of_release(loop, 1)
    assert effect.ended == back.date()
    assert effect.needs[0].after.until < back.date()
    assert effect_of_release(loop, 2).needs[0].verdict is not EffectVerdict.TOO_EARLY


def test_the_arms_of_a_rollout_are_told_as_a_control(loop):
    entry = released(loop, 20, 40, 6)
    with loop.store._database.write() as connection:
        for number in range(80):
            arm, bad = (ON, False) if number % 2 else (OFF, number % 4 == 0)
            one = Exposure(f"t{number}", "c", "s", entry, arm, NOW - timedelta(days=3), bad, False, False)
            insert(connection, schema.exposures, [vars(one)])
    (need,) = effect_of_release(loop, 1).needs
    assert (need.on.answers, need.on.bad, need.off.answers, need.off.bad) == (40, 0, 40, 20)
    assert need.control.high < 0
    assert any("clearly better with it" in line for line in details(need))


def test_a_release_that_is_none_is_not_found(loop):
    with pytest.raises(NotFound):
        effect_of_release(loop, 77)


# --- back ends, from the tracker store ---------------------------------------------------------------


def test_calls_of_back_ends_are_read_from_events_once_however_often_mined(tmp_path):
    root = make_project(tmp_path)
    tracker = TrackerFile(root / "var" / "tracker.db")
    called = [{"service": "shop", "operation": "balance", "ms": 40, "outcome": "ok"}]
    hostile = [{"service": 3}, "x", None, {"service": "s", "operation": "o", "outcome": "bad", "ms": 1}]
    for sender in ("ann", "bob"):
        tracker.add(sender, user_data("my balance", "account_balance"))
        tracker.add(sender, {"event": "slot", "name": "service_calls", "value": [*called, *hostile]})
        tracker.add(sender, {"event": "bot", "text": "It is 5.", "data": {}, "metadata": {}})
        # A new session sets the slots again that are carried over: that is no new call.
        tracker.add(sender, {"event": "action", "name": "action_session_start"})
        tracker.add(sender, {"event": "slot", "name": "service_calls", "value": called})
    loop = make_loop(root, open_tracker=lambda: SqlTrackerEvents(f"sqlite:///{root / 'var' / 'tracker.db'}"))
    for _ in range(2):
        mine(loop)
        period = Period(date(2020, 1, 1), date(2026, 1, 1))
        (service,) = read_report(loop, period, most=None).services
        assert (service.name, service.calls, service.counts["ok"]) == ("shop.balance", 2, 2)
        assert service.median.value == pytest.approx(40, rel=0.03)
    tracker.add("ann", user_data("and now?", "account_balance"))
    tracker.add("ann", {"event": "slot", "name": "service_calls", "value": called})
    mine(loop)
    assert read_report(loop, period, most=None).services[0].calls == 3


# --- accuracy ----------------------------------------------------------------------------------------


def checked(loop: Loop, right: int, wrong: int) -> None:
    notes = []
    for number in range(right + wrong):
        verdict = Verdict.RIGHT if number < right else Verdict.WRONG
        said, meant = ("refund", "refund") if number < right else ("refund", "return")
        at = NOW - timedelta(days=number % 9, minutes=1)
        note = Annotation(f"n{number}", f"t{number}", "c", "ann", at, at, verdict, said, meant, "")
        notes.append({**vars(note), "verdict": verdict.value, "undone_at": None})
    with loop.store._database.write() as connection:
        insert(connection, schema.metadata.tables["annotations"], notes)


def test_accuracy_is_told_from_enough_messages_on_and_beside_the_baseline(loop):
    checked(loop, 20, 5)
    few = read_report(loop, WEEKS).accuracy
    assert not few.is_enough
    assert few.gap is None
    card = ModelCard(
        "a", "b.tar.gz", "", "", 0, 200, 190, 196, True, "", labels=(LabelChange("refund", 200, 190, 196),)
    )
    card = replace(card, wrong=(("refund", "return", 4),))
    loop.store.save_deployed_model(DeployedModel("b.tar.gz", NOW, "a", card=to_plain(card)))
    loop.store.settle_model("b.tar.gz", "ann", NOW)
    with loop.store._database.write() as connection:
        connection.execute(sa.delete(schema.metadata.tables["annotations"]))
    checked(loop, 80, 20)
    accuracy = read_report(loop, WEEKS).accuracy
    assert (accuracy.right, accuracy.checked, accuracy.is_enough) == (80, 100, True)
    assert accuracy.baseline.value == pytest.approx(0.98)
    assert accuracy.gap.high < 0
    assert accuracy.confusion.wrong == (("return", "refund", 20),)
    assert accuracy.confusion.count("refund", "refund") == 80
    assert accuracy.holdout.wrong == (("refund", "return", 4),)
    assert sum(one for _, _, one in accuracy.days) == 100


def test_of_two_verdicts_about_a_message_the_last_one_counts(loop):
    checked(loop, 1, 0)
    note = Annotation("n9", "t0", "c", "bob", NOW, NOW - timedelta(minutes=1), Verdict.WRONG, "refund", "return", "")
    with loop.store._database.write() as connection:
        row = {**vars(note), "verdict": "wrong", "undone_at": None}
        insert(connection, schema.metadata.tables["annotations"], [row])
    accuracy = read_report(loop, WEEKS).accuracy
    assert (accuracy.right, accuracy.checked) == (0, 1)


# --- files and the command line ----------------------------------------------------------------------


def test_a_file_has_every_number_and_nothing_that_a_spreadsheet_runs(loop):
    varied(loop)
    talk(loop, 900, NOW, said={"channel": "=cmd()"}, outcome=Outcome.ESCALATED, reason="@evil")
    out = io.StringIO(newline="")
    write_report(read_report(loop, WEEKS, WEEKS.before, "=cmd()", most=None), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert {row["key"] for row in rows if row["section"] == "metric"} == {metric.key for metric in METRICS}
    assert {row["channel"] for row in rows} == {"'=cmd()"}
    out = io.StringIO(newline="")
    write_days(read_report(loop, WEEKS, most=None), TODAY, out)
    days = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert len(days) == 28 * len(METRICS)
    total = sum(int(row["top"]) for row in days if row["metric"] == "conversations")
    assert total == read_report(loop, WEEKS).line("conversations").value.top


def test_the_command_tells_the_same_as_json(tmp_path):
    root = make_project(tmp_path)
    loop = make_loop(root)
    talk(loop, 1, datetime.now(timezone.utc) - timedelta(hours=3), outcome=Outcome.RESOLVED)
    run = CliRunner().invoke(cli, ["--project", str(root), "metrics", "--json"])
    assert run.exit_code == 0, run.output
    told_ = json.loads(run.stdout)
    resolution = next(one for one in told_["metrics"] if one["key"] == "resolution")
    assert (resolution["top"], resolution["of"], resolution["value"]["value"]) == (1, 1, 1.0)
    for wrong in (["--compare", "soon"], ["--since", "2025-02-01", "--until", "2025-01-01"]):
        assert CliRunner().invoke(cli, ["--project", str(root), "metrics", *wrong]).exit_code == 2
    assert CliRunner().invoke(cli, ["--project", str(root), "metrics", "--channel", "fax"]).exit_code != 0
