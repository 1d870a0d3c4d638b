"""Releases, experiments and retraining in a real browser: every action, live progress, phone, dark, no script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from hub.texts import experiments as experiment_texts
from hub.texts import releases as release_texts
from hub.texts import retraining as retraining_texts
from learning import bootstrap
from learning.adapters import schema
from learning.bootstrap import App
from learning.exams import EvaluationRow, SuiteCount
from learning.loop import Loop
from learning.model import Action, Decision, ExperimentState, JobState, Outcome
from learning.privacy import PatternRedactor
from learning.reviewing import review
from learning.rollout_steps import Schedule
from learning.stopping import check_stop
from learning.tasks import tasks_of
from learning.working import Worker
from tests.hub_browser import PHONE, OpenTab, Served, check_accessible, check_fits, shot
from tests.hub_world import HOSTILE, FakeEncoder, a_proposal, fill
from tests.learning_builders import FakeNlu, FakeServer, make_project, mined

pytestmark = pytest.mark.e2e
HOLDOUT = {"my parcel?": "track_order", "lost password": "reset_password"}
PATIENCE = 20.0  # seconds; a busy machine


def loop_of(hub: Served) -> Loop:
    loop = bootstrap.build(hub.root).loop
    return replace(loop, store=hub.store, encoder=FakeEncoder(), redactor=PatternRedactor())


def publish(hub: Served, number: int, *steps: int, **changes: Any) -> str:
    """Approve a proposal; return the id of its entry."""
    proposal = a_proposal(number, **changes)
    fill(hub.store, proposal)
    loop = loop_of(hub)
    decision = Decision(proposal.proposal_id, Action.APPROVE, "ann", loop.now())
    review(loop, decision, schedule=Schedule(steps or (100,), 24.0))
    return next(one.entry_id for one in hub.store.entries() if one.proposal_id == proposal.proposal_id)


def share_of(hub: Served, entry_id: str) -> int:
    return next(one.live_share for one in hub.store.entries() if one.entry_id == entry_id)


def seen_everywhere(tab: OpenTab, address: str, name: str) -> None:
    """Look at a page light and dark, wide and on a phone."""
    for dark in (False, True):
        for width in (1280, PHONE):
            page = tab("admin", dark=dark, width=width)
            page.goto(address)
            check_accessible(page)
            check_fits(page)
            shot(page, f"{name}-{'dark' if dark else 'light'}-{width}")
            page.context.close()


def test_a_rollout_is_steered_by_keyboard(hub: Served, tab: OpenTab) -> None:
    entry_id = publish(hub, 1, 5, 25, 100, answer=f"One point for each dollar. {HOSTILE[:40]}")
    page = tab("reviewer")
    page.goto(f"{hub.url}/releases")
    card = page.locator(f"#entry-{entry_id}")
    card.get_by_text(release_texts.SHARE_SUMMARY).click()
    slider = card.locator('input[type="range"]')
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert card.locator('input[type="number"]').input_value() == "6"
    card.locator('input[type="number"]').fill("30")
    assert slider.input_value() == "30"
    card.get_by_role("button", name=release_texts.SHARE_BUTTON).click()
    page.wait_for_selector(".box.done")
    assert share_of(hub, entry_id) == 30

    plain = tab("reviewer", script=False)
    plain.goto(f"{hub.url}/releases")
    card = plain.locator(f"#entry-{entry_id}")
    card.get_by_text(release_texts.SHARE_SUMMARY).click()
    assert card.locator('input[type="range"]').count() == 0
    card.get_by_role("button", name=release_texts.RESUME).click()
    plain.wait_for_selector(".box.done")
    card.get_by_text(release_texts.SHARE_SUMMARY).click()
    card.get_by_role("button", name=release_texts.STEP_NOW.format(share=100)).click()
    plain.wait_for_selector(".box.done")
    assert share_of(hub, entry_id) == 100


def test_a_release_is_looked_at_and_taken_back(hub: Served, tab: OpenTab) -> None:
    entry_id = publish(hub, 2)
    page = tab("reviewer")
    page.goto(f"{hub.url}/releases/{hub.store.releases()[0].number}")
    assert page.locator(".diff .add").count() > 3
    assert page.get_by_text("Cannot tell yet").is_visible()
    page.fill("#rollback-reason", "wrong answer")
    page.locator("#rollback-reason").press("Enter")
    page.wait_for_selector(".box.done")

    assert share_of(hub, entry_id) == 0


def test_the_pages_of_releases_are_seen_everywhere(hub: Served, tab: OpenTab) -> None:
    publish(hub, 3, 5, 25, 50, 100)
    seen_everywhere(tab, f"{hub.url}/releases", "releases")
    seen_everywhere(tab, f"{hub.url}/releases/1", "release")


def met(hub: Served, experiment_id: str, people: int, good: dict[str, float]) -> None:
    """Let people have met an experiment over the last twelve days, and some of their conversations have ended well."""
    start = datetime.now(timezone.utc) - timedelta(days=12)
    readings, rows = [], []
    for name, share in good.items():
        for number in range(people):
            at = start + timedelta(days=number % 12, minutes=number % 60)
            ended = Outcome.RESOLVED if (number * 617) % people < share * people else Outcome.ABANDONED
            reading = mined(f"{name}{number:04d}", "hi", outcome=ended, started=at, last_at=at)
            (talk,) = reading.conversations
            readings.append(reading)
            turn = talk.conversation.turns[0]
            told = {"turn_id": turn.turn_id, "subject": experiment_id, "arm": name, "at": at}
            where = {"conversation_id": talk.conversation.conversation_id, "sender": talk.conversation.sender}
            rows.append({**told, **where, "thumbs_down": False, "fallback_after": False, "handoff_after": False})
    hub.store.save_batch(readings, [], len(readings))
    with hub.store._database.write() as connection:
        connection.execute(sa.insert(schema.exposures), rows)
        connection.execute(sa.update(schema.experiments).values(started_at=start))


def test_an_experiment_from_the_first_word_to_the_answer_for_everybody(hub: Served, tab: OpenTab) -> None:
    entry_id = publish(hub, 4)
    page = tab("reviewer")
    page.goto(f"{hub.url}/experiments")
    page.get_by_role("link", name=experiment_texts.NEW).click()
    check_accessible(page)
    page.select_option("#about", "learned/question_4")
    page.get_by_role("button", name=experiment_texts.CHOOSE_BUTTON).click()
    page.fill("#name", "Shorter, please")
    page.fill("#name-1", "short")
    page.fill("#text-1", "A point a dollar.")
    page.get_by_role("button", name=experiment_texts.PREVIEW_BUTTON).click()
    page.wait_for_selector("#preview")
    assert page.locator("#text-1").input_value() == "A point a dollar."
    check_accessible(page)
    shot(page, "experiment-new")
    page.get_by_role("button", name=experiment_texts.CREATE).click()
    page.get_by_role("button", name=experiment_texts.START, exact=True).click()
    page.wait_for_selector(f"text={experiment_texts.STATE_MEANS[ExperimentState.RUNNING]}")
    (experiment,) = hub.store.experiments()
    met(hub, experiment.experiment_id, 420, {"control": 0.5, "short": 0.68})
    address = f"{hub.url}/experiments/{experiment.experiment_id}"
    page.goto(address)
    assert page.locator(".interval").count() == 2
    assert page.get_by_text("short wins").is_visible()
    seen_everywhere(tab, address, "experiment")
    seen_everywhere(tab, f"{hub.url}/experiments", "experiments")
    page.get_by_role("button", name=experiment_texts.ADOPT).click()
    page.wait_for_selector(".box.done")

    assert "A point a dollar." in [one.answer for one in hub.store.entries() if one.live_share]
    assert share_of(hub, entry_id) == 100


class Bench:
    """A worker in this process, whose trainings wait for the test."""

    def __init__(self, hub: Served) -> None:
        make_project(hub.root)
        models = hub.root / "models"
        models.mkdir()
        (models / "old.tar.gz").write_bytes(b"old")
        self.go_on, self.stop = threading.Event(), threading.Event()
        self.nlu = FakeNlu(lambda model, text: HOLDOUT.get(text, "nlu_fallback"))
        self.nlu.on_train = self._wait
        app = App(bootstrap.build(hub.root).settings)
        app.__dict__.update(loop=loop_of(hub), nlu=self.nlu, server=FakeServer(models / "old.tar.gz"))
        self._thread = threading.Thread(target=Worker(app.loop, tasks_of(app), self.stop, "bench").run)
        self._thread.start()

    def _wait(self) -> None:
        while not self.go_on.wait(0.1):
            check_stop("rasa train")

    def end(self) -> None:
        self.go_on.set()
        self.stop.set()
        self._thread.join(PATIENCE)


@pytest.fixture
def bench(hub: Served) -> Iterator[Bench]:
    made = Bench(hub)
    yield made
    made.end()


def test_a_training_is_watched_cancelled_done_and_overruled(hub: Served, tab: OpenTab, bench: Bench) -> None:
    page = tab("admin")
    for passed in (470, 468):
        counts = (SuiteCount("holdout", passed, 488, "x"), SuiteCount("stories", 0, 0, "", "not run: nobody answers"))
        hub.store.save_evaluation(EvaluationRow(0, datetime.now(timezone.utc), f"{'a' * 40}.tar.gz", counts, 5.0, 9.4))
    page.goto(f"{hub.url}/retraining")

    def start() -> None:
        page.get_by_role("button", name=retraining_texts.START_BUTTON).click()
        page.wait_for_selector(".box.done")
        page.wait_for_selector("progress")  # by itself: nobody reloads

    def until(is_so: Callable[[], bool]) -> None:
        page.wait_for_timeout(100)
        for _ in range(int(PATIENCE * 10)):
            if is_so():
                return
            page.wait_for_timeout(100)
        raise AssertionError("it did not come about in time")

    start()
    page.wait_for_selector(".steps .current")
    check_accessible(page)
    seen_everywhere(tab, f"{hub.url}/retraining", "retraining-at-work")
    page.get_by_role("button", name=retraining_texts.CANCEL).click()
    until(lambda: hub.store.job(1).state is JobState.CANCELLED)
    page.wait_for_selector(f"text={retraining_texts.STATES[JobState.CANCELLED]}")
    bench.nlu.understands = lambda model, text: HOLDOUT.get(text, "") if model.startswith("old") else HOSTILE
    start()
    bench.go_on.set()
    page.wait_for_selector(f"text={retraining_texts.BLOCKED}")
    assert page.locator(".rules .tag.critical").count() >= 1
    assert page.get_by_text("not run: nobody answers").first.is_visible()
    seen_everywhere(tab, f"{hub.url}/retraining", "retraining-blocked")
    page.fill("#deploy-reason", "the hold-out is out of date")
    page.get_by_role("button", name=retraining_texts.OVERRIDE).click()
    page.wait_for_selector(f"text={retraining_texts.RUNS}")
    until(lambda: hub.store.job(3).state is JobState.DONE)
    page.goto(f"{hub.url}/retraining/2")
    check_accessible(page)
    shot(page, "retraining-job")

    assert page.get_by_text(retraining_texts.WENT_LIVE).is_visible()
