"""What nobody needs any more is deleted: jobs that ended long ago, notes of runs, old samples and evaluations.

Conversations, decisions, releases, models that went live and the audit log stay for good; what is to be forgotten of
a person is `learning.forget`'s business.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta

from learning.errors import SettingsError
from learning.loop import Loop


@dataclass(frozen=True)
class Pruned:
    """How many rows were deleted: jobs, notes of runs, samples, evaluations, and days of a language model's tokens."""

    jobs: int
    runs: int
    draws: int
    evaluations: int
    days: int

    @property
    def words(self) -> str:
        """What people read."""
        return f"{self.jobs} jobs, {self.runs} notes of runs, {self.draws} samples, {self.evaluations} evaluations"

    def plain(self) -> dict[str, int]:
        """Return it as JSON can hold it."""
        return asdict(self)


def prune(loop: Loop) -> Pruned:
    """Delete what is older than the settings of `prune` say; the newest ones of each kind stay, whatever their age.

    So a clock that is wrong by a year cannot delete all that a page shows.

    Raises:
        SettingsError: a setting is no number of days.
        StoreError: the learning database is away.

    """
    settings, now = loop.settings.prune, loop.now()
    for name, days in asdict(settings).items():
        if days < 1:
            raise SettingsError(f"is {days}", f"learning.yml: prune: {name}", "use a number of days, 1 or more")
    return Pruned(
        jobs=loop.store.prune_jobs(now - timedelta(days=settings.jobs_days)),
        runs=loop.store.prune_runs(now - timedelta(days=settings.runs_days)),
        draws=loop.store.prune_draws(now - timedelta(days=settings.draws_days)),
        evaluations=loop.store.prune_evaluations(now - timedelta(days=settings.evaluations_days)),
        days=loop.store.prune_tokens(now - timedelta(days=settings.runs_days)),
    )
