"""What nobody needs any more is deleted; what counts for good stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from learning.adapters.store_pruning import STAY
from learning.browsing_records import Draw, Filter
from learning.errors import SettingsError
from learning.jobs import ask
from learning.loop import Loop
from learning.model import Job, JobKind, JobState
from learning.pruning import Pruned, prune
from learning.settings import PruneSettings
from tests.learning_builders import START, Clock, fresh_database, make_loop, make_project

YEAR = timedelta(days=365)
NOTHING = Pruned(0, 0, 0, 0, 0)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
def loop(request: pytest.FixtureRequest, tmp_path: Path) -> Loop:
    url = fresh_database(tmp_path / "var" / "learning.db")
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else url
    return make_loop(make_project(tmp_path), url=url, now=Clock(START + 3 * YEAR))


def ended(loop: Loop, kind: JobKind, days_ago: float) -> None:
    at = loop.now() - timedelta(days=days_ago)
    job = loop.store.add_job(Job(0, kind, JobState.RUNNING, "ann", at, started=at, worker="w"), audited=False)
    assert loop.store.end_job(replace(job, state=JobState.DONE, finished=at), audited=False)


def test_old_rows_go_and_the_newest_stay(loop: Loop) -> None:
    for number in range(STAY + 5):
        ended(loop, JobKind.MINE, 400 - number)
        loop.store.record_run("mine", loop.now() - YEAR, loop.now() - YEAR, "ok", {})
    ended(loop, JobKind.RETRAIN, 900)
    ask(loop, JobKind.MINE, "ann")
    for number in range(STAY + 3):
        drawn = loop.now() - timedelta(days=500 - number)
        loop.store.save_draw(Draw(f"{number:016}", "ann", drawn, Filter(), 1, (), frozenset()))
    loop.store.spend("2020-01-01", 10)
    today = loop.now().date().isoformat()
    loop.store.spend(today, 10)
    audited = len(loop.store.audit_rows())

    assert prune(loop) == Pruned(jobs=6, runs=5, draws=3, evaluations=0, days=1)
    assert prune(loop) == NOTHING
    left = loop.store.jobs(None, JobKind.MINE)
    assert len(left) == STAY
    assert left[0].state is JobState.QUEUED
    assert [job.kind for job in loop.store.jobs(None, JobKind.RETRAIN)] == [JobKind.RETRAIN]
    assert (loop.store.spent(today), loop.store.spent("2020-01-01")) == (10, 0)
    assert len(loop.store.draws("ann", 100)) == STAY
    assert len(loop.store.audit_rows()) == audited


def test_what_is_young_stays_however_much_it_is(loop: Loop) -> None:
    for _ in range(STAY + 5):
        ended(loop, JobKind.MINE, 10)
        loop.store.record_run("mine", loop.now(), loop.now(), "ok", {})

    assert prune(loop) == NOTHING


def test_no_days_are_no_setting(loop: Loop) -> None:
    settings = replace(loop.settings, prune=PruneSettings(runs_days=0))
    with pytest.raises(SettingsError, match=r"learning\.yml: prune: runs_days: is 0"):
        prune(replace(loop, settings=settings))
