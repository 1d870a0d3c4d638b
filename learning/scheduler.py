"""When the loop runs by itself; no logic of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable

from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from learning.errors import EvergreenError, SettingsError
from learning.settings import ScheduleSettings

logger = logging.getLogger(__name__)

GRACE = 3600  # seconds that a job may start late (a sleeping laptop) and still run


def build_scheduler(
    settings: ScheduleSettings, mine: Callable[[], object], retrain: Callable[[], object]
) -> BlockingScheduler:
    """Return a scheduler with the cadence of `learning.yml`; a job that fails is logged and tried again next time.

    Raises:
        SettingsError: `schedule.retrain_cron` is not a cron line, or `schedule.mine_minutes` no number of minutes.

    """
    try:
        cron = CronTrigger.from_crontab(settings.retrain_cron, timezone="UTC")
    except ValueError as error:
        raise SettingsError(
            f"is no cron line ({error})",
            "learning.yml: schedule: retrain_cron",
            'write five fields such as "0 3 * * sun"',
        ) from error
    if settings.mine_minutes < 1:
        raise SettingsError(
            f"is {settings.mine_minutes}, not a number of minutes",
            "learning.yml: schedule: mine_minutes",
            "use 1 or more",
        )
    scheduler = BlockingScheduler(
        timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": GRACE}
    )
    every = IntervalTrigger(minutes=settings.mine_minutes, timezone="UTC")
    scheduler.add_job(_guarded("mine", mine), every, id="mine")
    scheduler.add_job(_guarded("retrain", retrain), cron, id="retrain")
    return scheduler


def _guarded(name: str, job: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        try:
            job()
        except EvergreenError as error:
            logger.error("%s failed: %s", name, error)

    return run
