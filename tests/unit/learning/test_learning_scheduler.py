from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone

import pytest

from learning.errors import SettingsError, TrackerStoreError
from learning.scheduler import build_scheduler
from learning.settings import ScheduleSettings

SUNDAY = datetime(2024, 3, 3, tzinfo=timezone.utc)


def nothing() -> None:
    pass


def test_jobs_run_at_the_cadence_of_the_settings_in_utc() -> None:
    jobs = {job.id: job for job in build_scheduler(ScheduleSettings(), nothing, nothing).get_jobs()}
    due = jobs["retrain"].trigger.get_next_fire_time(None, SUNDAY)

    assert due == SUNDAY.replace(hour=3)
    assert jobs["mine"].trigger.interval == timedelta(minutes=15)


@pytest.mark.parametrize("cron", ["", "every sunday", "0 3 * *", "99 3 * * sun", "0 3 * * funday"])
def test_a_bad_cron_line_names_the_setting(cron: str) -> None:
    with pytest.raises(SettingsError, match="retrain_cron: is no cron line"):
        build_scheduler(ScheduleSettings(retrain_cron=cron), nothing, nothing)


@pytest.mark.parametrize("minutes", [0, -5])
def test_mining_all_the_time_is_refused(minutes: int) -> None:
    with pytest.raises(SettingsError, match="mine_minutes"):
        build_scheduler(ScheduleSettings(mine_minutes=minutes), nothing, nothing)


def test_a_job_that_fails_is_logged_and_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise TrackerStoreError("does not exist", "tracker store x", "talk to the bot once")

    scheduler = build_scheduler(ScheduleSettings(), fail, nothing)
    jobs = {job.id: job for job in scheduler.get_jobs()}
    with caplog.at_level(logging.ERROR):
        jobs["mine"].func()

    assert "mine failed: tracker store x: does not exist; talk to the bot once" in caplog.text
    assert {job.id for job in scheduler.get_jobs()} == {"mine", "retrain"}


def test_a_job_never_runs_twice_at_once_and_missed_runs_are_one() -> None:
    defaults = build_scheduler(ScheduleSettings(), nothing, nothing)._job_defaults

    assert (defaults["coalesce"], defaults["max_instances"]) == (True, 1)
