"""What is due is put into the queue once, by one process, whatever happens to processes and clocks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from learning.adapters.schedule_times import ScheduleTimes
from learning.cadence import Cadence
from learning.errors import StoreError
from learning.jobs import SCHEDULE, ask
from learning.leading import LEASE
from learning.model import Due, JobKind, JobState, ScheduleMark
from learning.scheduler import SETTINGS
from learning.scheduling import kinds_named, pause, read_schedule, resume, run_now
from tests.schedule_world import DAY, HOUR, MINUTE, MONDAY, TICK, World

TO_SUNDAY = timedelta(days=5, hours=15)  # from Monday noon to Sunday 03:00


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.getfixturevalue("postgres_url") if request.param == "postgres" else "")


def test_each_job_comes_at_its_cadence(any_world: World) -> None:
    world = any_world
    world.go_on(world.scheduler(), timedelta(hours=26))

    assert [round(hour, 2) for hour in world.times(JobKind.MINE)] == list(range(1, 26))
    assert [round(hour, 2) for hour in world.times(JobKind.WATCH)] == [24]
    assert [round(hour, 1) for hour in world.times(JobKind.EVALUATE)] == [13.5]
    assert [round(hour, 1) for hour in world.times(JobKind.PRUNE)] == [16.5]
    assert [round(hour, 1) for hour in world.times(JobKind.DIGEST)] == [19.0]
    assert world.times(JobKind.RETRAIN) == []
    assert {job.who for job in world.loop.store.jobs()} == {SCHEDULE}


def test_next_times_survive_a_restart(world: World) -> None:
    world.go_on(world.scheduler(), 7 * MINUTE)
    before = world.loop.store.schedule_times()
    world.go_on(world.scheduler(), 2 * MINUTE)

    assert world.loop.store.schedule_times() == {**before, "watch": before["watch"]}
    assert before["mine"] == MONDAY + HOUR + TICK


def test_a_run_that_was_missed_is_caught_up_once(world: World) -> None:
    first = world.scheduler()
    world.go_on(first, 10 * MINUTE)
    world.clock.pass_by(20 * DAY)  # the machine is off, over two Sundays
    world.done.clear()
    came = world.go_on(world.scheduler("b"), 2 * MINUTE)

    assert sorted(kind.value for kind, _ in world.done) == ["digest", "evaluate", "mine", "prune", "retrain", "watch"]
    assert [kind for kind, one in came if one is not Due.PUT] == []
    world.go_on(world.scheduler("b"), 3 * HOUR)
    assert len(world.times(JobKind.RETRAIN)) == 1


def test_what_was_done_since_is_not_caught_up(world: World) -> None:
    world.go_on(world.scheduler(), 10 * MINUTE)
    world.clock.pass_by(TO_SUNDAY)
    ask(world.loop, JobKind.RETRAIN, "ann")  # on Sunday at 03:10, where no scheduler runs
    world.work()
    world.clock.pass_by(2 * DAY)
    came = world.go_on(world.scheduler("b"), 2 * MINUTE)

    assert (JobKind.RETRAIN, Due.DONE) in came
    assert len(world.times(JobKind.RETRAIN)) == 1


def test_an_older_run_is_no_reason_to_leave_one_out(world: World) -> None:
    world.go_on(world.scheduler(), 10 * MINUTE)
    ask(world.loop, JobKind.RETRAIN, "ann")
    world.work()
    world.clock.pass_by(TO_SUNDAY)
    world.go_on(world.scheduler(), 2 * MINUTE)

    assert len(world.times(JobKind.RETRAIN)) == 2


def test_what_waits_or_is_at_work_is_not_asked_for_again(world: World) -> None:
    scheduler = world.scheduler()
    scheduler.look()
    ask(world.loop, JobKind.MINE, "ann")
    world.clock.pass_by(61 * MINUTE)
    assert (JobKind.MINE, Due.OPEN) in scheduler.look()
    world.clock.pass_by(HOUR)
    scheduler.look()

    assert len(world.loop.store.jobs(None, JobKind.MINE)) == 1


def test_a_leader_that_dies_after_putting_a_job_leaves_no_second_one(
    any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two transactions: the job is in the queue, and its next time was not planned."""
    world = any_world
    dying = world.scheduler()
    dying.look()
    with monkeypatch.context() as patched:
        patched.setattr(ScheduleTimes, "move_on", _dies)
        world.clock.pass_by(61 * MINUTE)
        with pytest.raises(KeyboardInterrupt):
            dying.look()
    world.work()
    other = world.scheduler("b")
    other.look()
    world.clock.pass_by(timedelta(seconds=LEASE + 5))
    came = dict(other.look())

    done = [kind for kind, _ in world.done]
    assert len(done) == 1
    assert came[done[0]] is Due.SAME


def _dies(times: ScheduleTimes, name: str, now: object) -> None:
    raise KeyboardInterrupt


def test_a_database_that_is_away_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = world.scheduler()
    scheduler.look()
    store = world.loop.store
    with monkeypatch.context() as patched:
        patched.setattr(type(store), "put_due", _away)
        world.clock.pass_by(61 * MINUTE)
        with pytest.raises(StoreError):
            scheduler.look()
    world.clock.pass_by(MINUTE)

    assert (JobKind.MINE, Due.PUT) in scheduler.look()


def _away(*args: object) -> Due:
    raise StoreError("failed (gone)", "learning database", "check that the database is up")


# --- clocks -------------------------------------------------------------------------------------------


def test_a_clock_set_back_an_hour_neither_stops_nor_doubles(tmp_path: Path) -> None:
    world = World(tmp_path, mine_minutes=15)
    scheduler = world.scheduler()
    world.go_on(scheduler, HOUR)
    world.clock.at -= HOUR
    world.go_on(scheduler, HOUR)

    # At a quarter of an hour from one to the next, the longest gap is that of two.
    assert [round(60 * hour) for hour in world.times(JobKind.MINE)] == [15, 30, 45, 75, 90, 105]


def test_a_clock_set_back_over_a_run_does_not_repeat_it(world: World) -> None:
    scheduler = world.scheduler()
    world.go_on(scheduler, 10 * MINUTE)
    world.clock.pass_by(TO_SUNDAY)
    world.go_on(scheduler, MINUTE)
    assert len(world.times(JobKind.RETRAIN)) == 1
    world.clock.at -= HOUR  # 02:11 again, and 03:00 comes a second time
    world.go_on(scheduler, 2 * HOUR)
    assert len(world.times(JobKind.RETRAIN)) == 1
    world.clock.pass_by(7 * DAY)
    world.go_on(scheduler, MINUTE)
    assert len(world.times(JobKind.RETRAIN)) == 2


def test_a_clock_set_forward_runs_no_storm(tmp_path: Path) -> None:
    world = World(tmp_path, mine_minutes=15)
    scheduler = world.scheduler()
    world.go_on(scheduler, 20 * MINUTE)
    world.clock.at += 3 * HOUR
    world.go_on(scheduler, 20 * MINUTE)

    # The third was due at 30 minutes, and is overdue at once; the fourth comes at its time.
    assert [round(60 * hour) for hour in world.times(JobKind.MINE)] == [15, 20, 30]


def test_a_clock_that_was_a_year_ahead_for_a_while(world: World) -> None:
    scheduler = world.scheduler()
    world.go_on(scheduler, MINUTE)
    planned = world.loop.store.schedule_times()
    world.clock.at += 365 * DAY
    world.go_on(scheduler, MINUTE)
    assert len(world.times(JobKind.RETRAIN)) == 1  # it looks missed
    world.clock.at -= 365 * DAY
    world.go_on(scheduler, MINUTE)
    found = world.loop.store.schedule_times()

    assert {name: found[name] for name in ("evaluate", "retrain", "digest", "prune")} == {
        name: planned[name] for name in ("evaluate", "retrain", "digest", "prune")
    }
    assert found["mine"] - world.clock() <= HOUR


# --- one leader ---------------------------------------------------------------------------------------


def test_one_leads_and_the_other_takes_over_when_it_falls_silent(any_world: World) -> None:
    world = any_world
    first, second = world.scheduler("a"), world.scheduler("b")
    first.look()
    for _ in range(20):
        world.clock.pass_by(MINUTE / 12)
        first.look()
        assert second.look() == []
    leader = world.loop.store.leader()
    assert leader is not None
    assert leader.holder == "a"
    waited = 0.0
    while (leader := world.loop.store.leader()) is not None and leader.holder == "a":
        world.clock.pass_by(MINUTE / 12)
        waited += 5
        second.look()
        assert waited < 60
    assert waited >= LEASE
    assert leader is not None
    assert (leader.holder, leader.term) == ("b", 2)


def test_a_leader_that_wakes_up_late_puts_nothing(any_world: World, caplog: pytest.LogCaptureFixture) -> None:
    """It was suspended right before it put what was due; the other one has done so meanwhile."""
    world = any_world
    sleeper, second = world.scheduler("a"), world.scheduler("b")
    sleeper.look()
    second.look()
    lead = world.loop.store.leader()
    assert lead is not None
    world.clock.pass_by(61 * MINUTE)
    assert (JobKind.MINE, Due.PUT) in second.look()
    world.work()
    assert sleeper._put("mine", MONDAY + HOUR, MONDAY + HOUR, lead) == [(JobKind.MINE, Due.LOST)]
    with caplog.at_level(logging.WARNING):
        assert sleeper.look() == []
    assert "stands by" in caplog.text
    assert len(world.times(JobKind.MINE)) == 1


def test_who_ends_in_order_leaves_the_lead_at_once(world: World) -> None:
    first, second = world.scheduler("a"), world.scheduler("b")
    first.look()
    second.look()
    first._leadership.leave()
    world.clock.pass_by(MINUTE / 12)
    second.look()
    leader = world.loop.store.leader()

    assert leader is not None
    assert (leader.holder, leader.term) == ("b", 2)


def test_a_machine_whose_clock_stands_gives_the_lead_away(world: World, caplog: pytest.LogCaptureFixture) -> None:
    standing, second = world.scheduler("a"), world.scheduler("b")
    standing.look()
    stopped = world.clock.at
    for _ in range(10):
        world.clock.passed += 5
        world.clock.at = stopped
        standing.look()
        world.clock.at = stopped + timedelta(seconds=world.clock.passed)
        second.look()
        world.clock.at = stopped
    leader = world.loop.store.leader()

    assert leader is not None
    assert leader.holder == "b"
    assert "the clock of this machine stands" in caplog.text


def test_a_clock_that_is_set_does_not_make_a_leader_look_dead(world: World) -> None:
    first, second = world.scheduler("a"), world.scheduler("b")
    first.look()
    second.look()
    for jump in (5 * HOUR, -9 * HOUR, 400 * DAY):
        world.clock.at += jump
        world.clock.pass_by(MINUTE / 12)
        first.look()
        second.look()
    leader = world.loop.store.leader()

    assert leader is not None
    assert (leader.holder, leader.term) == ("a", 1)


# --- what people do -----------------------------------------------------------------------------------


def test_a_paused_job_does_not_run_and_its_missed_runs_are_not_made_up_for(any_world: World) -> None:
    world = any_world
    scheduler = world.scheduler()
    scheduler.look()
    mark = pause(world.loop, JobKind.RETRAIN, "ann", "a fair this weekend")
    assert pause(world.loop, JobKind.RETRAIN, "bob", "me too") == mark
    world.clock.pass_by(TO_SUNDAY + HOUR)
    assert (JobKind.RETRAIN, Due.PAUSED) in scheduler.look()
    assert resume(world.loop, JobKind.RETRAIN, "bob")
    assert not resume(world.loop, JobKind.RETRAIN, "bob")
    world.go_on(scheduler, 2 * HOUR)
    assert world.times(JobKind.RETRAIN) == []
    world.clock.pass_by(7 * DAY)
    world.go_on(scheduler, MINUTE)
    assert len(world.times(JobKind.RETRAIN)) == 1
    rows = [(row.who, row.what, row.item, row.reason) for row in world.loop.store.audit_rows()]
    assert rows[:2] == [
        ("ann", "pause schedule", "retrain", "a fair this weekend"),
        ("bob", "resume schedule", "retrain", ""),
    ]
    assert world.loop.store.verify_audit() == []


def test_what_was_missed_while_paused_and_off_is_not_made_up_for(world: World) -> None:
    world.go_on(world.scheduler(), 10 * MINUTE)
    pause(world.loop, JobKind.RETRAIN, "ann")
    world.clock.pass_by(TO_SUNDAY + HOUR)  # no scheduler runs
    resume(world.loop, JobKind.RETRAIN, "ann")
    world.clock.pass_by(HOUR)
    came = world.go_on(world.scheduler("b"), 2 * MINUTE)

    assert (JobKind.RETRAIN, Due.PAUSED) in came


def test_a_new_cadence_holds_within_a_minute_and_leaves_the_pause(world: World) -> None:
    scheduler = world.scheduler()
    world.go_on(scheduler, 10 * MINUTE)
    pause(world.loop, JobKind.RETRAIN, "ann")
    for key, text in (("schedule.mine_minutes", "3"), ("schedule.retrain_cron", '"0 13 * * *"')):
        world.loop.store.set_override(key, text, None, "ann", world.clock(), ("", ""))
    for _ in range(SETTINGS):
        world.clock.pass_by(TICK)
        scheduler.look()
    world.go_on(scheduler, 10 * MINUTE)

    assert len(world.times(JobKind.MINE)) == 3
    assert world.loop.store.schedule_times()["retrain"] == MONDAY + HOUR
    assert world.loop.store.schedule_marks()["retrain"].paused_by == "ann"


def test_settings_that_nobody_can_read_leave_the_schedule_as_it_is(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = world.scheduler()
    scheduler.look()
    (world.loop.settings.root / "learning.yml").write_text("schedule:\n  mine_minutes: 0\n", "utf-8")
    for _ in range(SETTINGS):
        world.clock.pass_by(TICK)
        scheduler.look()
    world.go_on(scheduler, HOUR)

    assert len(world.times(JobKind.MINE)) == 1
    assert "the former schedule holds: learning.yml: schedule: mine_minutes: is 0" in caplog.text


def test_a_job_of_another_version_is_dropped(world: World) -> None:
    scheduler = world.scheduler()
    ScheduleTimes(world.url).plan("tidy", Cadence(minutes=5), world.clock())
    scheduler.look()

    assert "tidy" not in world.loop.store.schedule_times()


def test_the_schedule_as_people_see_it(world: World) -> None:
    fresh = read_schedule(world.loop)
    assert (fresh.leader, fresh.is_led, {job.next_at for job in fresh.jobs}) == ("", False, {None})
    scheduler = world.scheduler("host:1:abc")
    world.go_on(scheduler, 65 * MINUTE)
    pause(world.loop, JobKind.DIGEST, "ann", "too many mails")
    job = run_now(world.loop, JobKind.RETRAIN, "ann", "new answers")
    found = read_schedule(world.loop)
    jobs = {one.name: one for one in found.jobs}

    assert list(jobs) == ["mine", "watch", "evaluate", "retrain", "digest", "prune"]
    assert (found.leader, found.is_led, found.since) == ("host:1:abc", True, MONDAY + TICK)
    assert (jobs["mine"].cadence, jobs["mine"].last_outcome) == ("every hour", JobState.DONE)
    began = MONDAY + HOUR + TICK
    assert (jobs["mine"].last_at, jobs["mine"].next_at) == (began, began + HOUR)
    assert (jobs["digest"].is_paused, jobs["digest"].paused_why, jobs["digest"].next_at) == (
        True,
        "too many mails",
        None,
    )
    assert (jobs["retrain"].is_open, jobs["retrain"].last_at, job.state) == (True, None, JobState.QUEUED)
    world.clock.pass_by(HOUR)
    assert not read_schedule(world.loop).is_led


def test_names_of_jobs() -> None:
    assert len(kinds_named("all")) == 6
    assert kinds_named("mine") == (JobKind.MINE,)


def test_marks_of_jobs_that_nobody_touched_are_empty(world: World) -> None:
    assert world.loop.store.schedule_marks() == {}
    assert ScheduleMark() == ScheduleMark(None, "", "", None, None, 0)


@pytest.mark.parametrize("read", [ScheduleTimes.planned, lambda times: times.due(MONDAY)])
def test_a_database_that_cannot_be_read_is_told(read: Callable[[ScheduleTimes], object], tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="check that the database is up"):
        read(ScheduleTimes(f"sqlite:///{tmp_path / 'nowhere' / 'learning.db'}"))
