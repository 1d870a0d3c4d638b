"""A model whose first days go badly goes back by itself: on a real database, with a bot that is a fake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from learning import watching
from learning.adapters.store import Store
from learning.alone import RETRAINING
from learning.errors import SettingsError
from learning.loop import Loop
from learning.model import DeployedModel, Job, JobKind, JobState, Mined, MinedSender, Talk, WatchedModel, content_id
from learning.running_model import GOING_BACK, roll_back_model, settle
from learning.watching import ENDED, IDLE, KEPT, ROLLED_BACK, WATCHING, WEEK, compare_days, people_of, watch_model
from learning.working import Outcome, Tell, do_now
from tests.learning_builders import START, Clock, FakeServer, fresh_database, make_loop, make_project, session, turn

SWAP = START + timedelta(days=60)
OLD, NEW = "old.tar.gz", "evergreen-new.tar.gz"
HOUR = timedelta(hours=1)


class World:
    """A bot whose model was just swapped, and four weeks of conversations before that."""

    def __init__(self, root: Path, store: Store) -> None:
        self.clock = Clock(SWAP)
        made = make_loop(make_project(root), now=self.clock)
        self.loop: Loop = replace(made, store=store)
        self.store = store
        self.models = self.loop.settings.path("models")
        self.models.mkdir()
        for name in (OLD, NEW):
            (self.models / name).write_bytes(b"a model")
        self.server = FakeServer(self.models / NEW)
        self.rows = 0
        self.waiting: list[MinedSender] = []
        settle(self.loop, OLD, "ann")
        self.deploy(NEW, OLD)

    def deploy(self, name: str, replaced: str, at: datetime = SWAP) -> None:
        self.clock.now = at
        self.store.save_deployed_model(DeployedModel(name, at, replaced, card={"data": f"data of {name}"}))
        self.server.model = self.models / name
        settle(self.loop, name, "ann")

    def talk(self, people: int, at: datetime, failed: int = 0, down: int = 0, name: str = "") -> None:
        """Let people talk for two minutes each; `failed` of ten are not understood, `down` of ten rate down."""
        self.waiting += self._senders(people, at, failed, down, name)

    def save(self) -> None:
        """Write down what was said."""
        self.store.save_batch(self.waiting, [], self.rows)
        self.waiting.clear()

    def _senders(self, people: int, at: datetime, failed: int, down: int, name: str) -> list[MinedSender]:
        senders = []
        for number in range(people):
            sender, start = content_id(name or at.isoformat(), number), at + timedelta(seconds=number)
            turns = tuple(
                replace(turn("hi", "nlu_fallback" if number % 10 < failed else "greet", reply=("yes",)), **more)
                for more in self._times(start, number, -1 if number % 10 < down else 0)
            )
            self.rows += 1
            talk = session(
                *turns,
                sender=sender,
                conversation_id=f"{self.rows:016}",
                first_row=self.rows,
                last_row=self.rows,
                started=start,
                last_at=turns[-1].at,
            )
            senders.append(MinedSender(sender, self.rows, (Mined(talk, ()),)))
        return senders

    def _times(self, start: datetime, number: int, thumbs: int) -> Iterator[dict[str, Any]]:
        for place in range(2):
            at = start + place * timedelta(minutes=2)
            yield {"turn_id": f"t{self.rows}-{number}-{place}", "at": at, "thumbs": thumbs if place else 0}

    def weeks_before(self, people: int = 30, failed: int = 1) -> None:
        for week in range(1, 5):
            for hour in range(1, 13):
                self.talk(people, SWAP - week * WEEK + hour * HOUR, failed)

    def hours_after(self, first: int, last: int, people: int = 40, failed: int = 1, down: int = 0) -> None:
        """Let the hours from `first` to just before `last` go by, and mine at their end."""
        for hour in range(first, last):
            self.talk(people, SWAP + hour * HOUR, failed, down)
        self.save()
        self.clock.now = SWAP + last * HOUR + timedelta(hours=1)
        self.store.record_run("mine", self.clock.now, self.clock.now, "ok", {})


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, Store(fresh_database(tmp_path / "watched.db")))


@pytest.mark.service
def test_it_is_the_same_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    world = World(tmp_path, Store(postgres_url))
    world.weeks_before()
    world.hours_after(1, 10, failed=6)

    assert watch_model(world.loop, world.server).state == ROLLED_BACK
    assert states(world) == {NEW: ROLLED_BACK}


def states(world: World) -> dict[str, str]:
    return {one.name: one.state for one in world.store.watched_models()}


def test_a_model_that_understands_less_goes_back_once(world: World) -> None:
    world.weeks_before()
    world.hours_after(1, 3)
    assert watch_model(world.loop, world.server).state == WATCHING
    world.hours_after(3, 12, failed=5)
    done = watch_model(world.loop, world.server)

    assert (done.state, done.model, world.server.model.name) == (ROLLED_BACK, NEW, OLD)
    assert "messages that were not understood" in done.said
    assert world.store.running_model() == OLD
    last = [row for row in world.store.audit_rows() if row.what == "run model"][-1]
    assert (last.who, last.item) == ("watch", OLD)
    assert "evidence" in last.reason
    assert states(world) == {NEW: ROLLED_BACK}
    assert watch_model(world.loop, world.server).state == IDLE
    # Somebody makes it run again all the same: that decision stands.
    roll_back_model(world.loop, world.server, NEW, "ann")
    world.hours_after(12, 15, failed=9)
    assert watch_model(world.loop, world.server).state == IDLE
    assert world.server.model.name == NEW


def test_a_model_that_people_rate_down_goes_back(world: World) -> None:
    world.weeks_before()
    world.hours_after(1, 12, down=3)
    done = watch_model(world.loop, world.server)

    assert done.state == ROLLED_BACK
    assert [one.outcome for one in done.checks if one.fires] == ["people who rated an answer down"]
    assert "not understood" not in done.said


def test_a_model_that_is_as_good_stays_and_is_watched_no_more(world: World) -> None:
    world.weeks_before()
    world.hours_after(1, 12)
    assert watch_model(world.loop, world.server).state == WATCHING
    world.clock.now = SWAP + timedelta(hours=72)
    done = watch_model(world.loop, world.server)

    assert (done.state, states(world)) == (KEPT, {NEW: KEPT})
    assert done.said.startswith(f"{NEW} stays")
    world.hours_after(73, 80, failed=9)
    assert watch_model(world.loop, world.server).state == IDLE


def test_what_was_found_stands_on_the_job(world: World) -> None:
    world.weeks_before()
    world.hours_after(1, 12)

    def watch(job: Job, say: Tell) -> Outcome:
        done = watch_model(world.loop, world.server)
        return Outcome(JobState.DONE, done.sentence, {"model": done.plain()})

    do_now(world.loop, JobKind.WATCH, "ann", watch, lambda step, words: None)
    (job,) = world.store.jobs(1)

    assert job.state is JobState.DONE
    assert [one["before"]["of"] > 0 for one in job.report["model"]["checks"]] == [True, True]


def test_one_angry_customer_is_one_customer(world: World) -> None:
    world.weeks_before()
    for hour in range(1, 12):
        world.talk(40, SWAP + hour * HOUR, failed=1)
        for minute in range(40):  # of whom every conversation failed
            world.talk(1, SWAP + hour * HOUR + timedelta(minutes=minute), failed=10, down=10, name="angry")
    world.hours_after(12, 12)
    done = watch_model(world.loop, world.server)

    assert done.state == WATCHING
    assert [one.after.of for one in done.checks] == [441, 441]


def test_nothing_is_compared_with_nothing(world: World) -> None:
    """A bot in its first week has no weeks before."""
    world.hours_after(1, 12, failed=9)
    done = watch_model(world.loop, world.server)

    assert done.state == WATCHING
    assert [one.before.of for one in done.checks] == [0, 0]


def test_a_bad_time_of_the_week_is_compared_with_the_same_time(world: World) -> None:
    """At this hour half of the messages are never understood; over the whole week one in ten is not."""
    for week in range(1, 5):
        for hour in range(-15, 15):
            world.talk(30, SWAP - week * WEEK + hour * HOUR, failed=5 if 0 <= hour < 12 else 1)
    world.hours_after(1, 12, failed=5)
    assert watch_model(world.loop, world.server).state == WATCHING


def test_what_is_not_over_or_not_read_is_not_judged(world: World) -> None:
    world.weeks_before()
    for hour in range(1, 12):
        world.talk(40, SWAP + hour * HOUR, failed=9)
    world.save()
    world.clock.now = SWAP + 12 * HOUR
    world.store.record_run("mine", SWAP + 2 * HOUR, SWAP + 2 * HOUR, "ok", {})
    done = watch_model(world.loop, world.server)

    assert done.state == WATCHING  # those of the first hour end within the idle minutes before the mining
    assert [one.after.of for one in done.checks] == [0, 0]


def test_while_models_are_changed_it_waits(world: World) -> None:
    world.weeks_before()
    world.hours_after(1, 12, failed=9)
    world.store.claim(RETRAINING, "elsewhere:1", world.clock.now, SWAP)
    waits = watch_model(world.loop, world.server)
    assert (waits.state, world.server.model.name) == ("waits", NEW)
    assert "is at work already" in waits.said
    world.store.unclaim(RETRAINING, "elsewhere:1")

    assert watch_model(world.loop, world.server).state == ROLLED_BACK


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_model_that_came_while_another_was_judged_stays(
    world: World, monkeypatch: pytest.MonkeyPatch, is_noted: bool
) -> None:
    world.weeks_before()
    world.hours_after(1, 12, failed=9)
    newer = world.models / "evergreen-newer.tar.gz"
    newer.write_bytes(b"a model")

    def swapped_meanwhile(*args: Any) -> Any:
        found = compare_days(*args)
        if is_noted:
            world.deploy(newer.name, NEW, world.clock.now)
        world.server.model = newer
        return found

    monkeypatch.setattr(watching, "compare_days", swapped_meanwhile)
    outcome = watch_model(world.loop, world.server)

    assert (outcome.state, outcome.said, world.server.model.name) == (IDLE, "", newer.name)
    assert states(world) == {NEW: WATCHING}
    monkeypatch.undo()
    watch_model(world.loop, world.server)
    assert (states(world)[NEW], world.server.model.name) == (ENDED, newer.name)


def test_what_cannot_go_back_is_told_and_tried_again(world: World) -> None:
    world.weeks_before()
    world.hours_after(1, 12, failed=9)
    (world.models / OLD).unlink()
    failed = watch_model(world.loop, world.server)
    assert (failed.state, world.server.model.name) == ("failed", NEW)
    assert "has no file any more" in failed.said
    (world.models / OLD).write_bytes(b"a model")

    assert watch_model(world.loop, world.server).state == ROLLED_BACK


def test_a_crash_between_the_swap_and_the_note_is_no_decision_of_somebody(world: World) -> None:
    world.weeks_before()
    world.hours_after(1, 4)
    watch_model(world.loop, world.server)
    (watched,) = world.store.watched_models()
    world.store.save_watched_model(replace(watched, state=GOING_BACK, said="worse"))
    world.server.model = world.models / OLD
    settle(world.loop, OLD, "watch", "worse")

    assert watch_model(world.loop, world.server).state == IDLE
    assert states(world) == {NEW: ROLLED_BACK}


def test_a_crash_before_the_swap_is_made_good(world: World) -> None:
    world.weeks_before()
    world.hours_after(1, 4)
    watch_model(world.loop, world.server)
    (watched,) = world.store.watched_models()
    world.store.save_watched_model(replace(watched, state=GOING_BACK, said="worse"))
    done = watch_model(world.loop, world.server)

    assert (done.state, world.server.model.name) == (ROLLED_BACK, OLD)


def test_a_model_that_somebody_replaces_is_watched_no_more(world: World) -> None:
    world.hours_after(1, 2)
    watch_model(world.loop, world.server)
    (world.models / "evergreen-newer.tar.gz").write_bytes(b"a model")
    world.deploy("evergreen-newer.tar.gz", NEW, SWAP + 3 * HOUR)
    outcome = watch_model(world.loop, world.server)

    assert (outcome.state, outcome.model) == (WATCHING, "evergreen-newer.tar.gz")
    assert states(world) == {NEW: ENDED, "evergreen-newer.tar.gz": WATCHING}


def test_models_of_old_and_models_by_hand_are_not_watched(world: World) -> None:
    world.clock.now = SWAP + timedelta(days=30)
    assert watch_model(world.loop, world.server).state == IDLE
    by_hand = world.models / "by-hand.tar.gz"
    by_hand.write_bytes(b"a model")
    world.server.model = by_hand
    assert watch_model(world.loop, world.server).state == IDLE
    assert states(world) == {}


def test_it_can_be_switched_off(world: World) -> None:
    world.weeks_before(10)
    world.hours_after(1, 12, failed=9)
    off = replace(world.loop.settings, watch=replace(world.loop.settings.watch, hours=0.0))
    assert watch_model(replace(world.loop, settings=off), world.server).state == IDLE


@pytest.mark.parametrize(
    ("name", "value"), [("hours", 169.0), ("false_alarms", 0.0), ("least_jump", 0.9), ("weeks", 0)]
)
def test_settings_out_of_bounds_are_refused(world: World, name: str, value: float) -> None:
    wrong = replace(world.loop.settings, watch=replace(world.loop.settings.watch, **{name: value}))
    with pytest.raises(SettingsError, match=f"watch: {name}"):
        watch_model(replace(world.loop, settings=wrong), world.server)


def test_the_former_model_is_compared_by_its_own_weeks_where_it_ran_for_some(world: World) -> None:
    world.store.save_deployed_model(DeployedModel(OLD, SWAP - 2 * WEEK - HOUR, "older.tar.gz"))
    for week in range(1, 5):
        world.talk(10, SWAP - week * WEEK + HOUR, failed=1)
    world.hours_after(1, 3)
    watched = WatchedModel(NEW, OLD, SWAP, WATCHING)
    assert [one.before.of for one in compare_days(world.loop, watched)] == [20, 20]
    world.store.save_deployed_model(DeployedModel(OLD, SWAP - 3 * HOUR, "older.tar.gz"))
    assert [one.before.of for one in compare_days(world.loop, watched)] == [40, 40]


def test_of_a_person_the_first_conversation_counts_and_what_is_read_later_changes_no_other(world: World) -> None:
    def at(hours: float) -> datetime:
        return SWAP + timedelta(hours=hours)

    talks = [Talk("ann", at(1), at(1), 1, 1, 0), Talk("bob", at(2), at(2), 1, 0, 1), Talk("ann", at(3), at(3), 1, 0, 1)]
    people = people_of([talks], SWAP)
    assert people.hits.tolist() == [[True, False], [False, True]]
    more = people_of([[*talks, Talk("eve", at(4), at(4), 1, 1, 1)]], SWAP)
    assert more.hits[:2].tolist() == people.hits.tolist()
    # The same week after week is one person.
    weeks = [WEEK, 2 * WEEK]
    both = people_of([[Talk("ann", at(5) - week, at(5) - week, 1, 0, 0)] for week in weeks], SWAP, weeks)
    assert both.times.tolist() == [at(5).timestamp()]
