"""A new model's first days: if customers fare worse with it than before, the one before it comes back by itself.

Two things are counted among people, never among messages, so that one angry customer is one:

- of each person one message, drawn by a hash, and whether it was not understood;
- whether the person has rated an answer down.

Of each person the first conversation counts that began with the new model, once it is over. They are compared with the
people of the same hours of the weeks before, who are counted in the same way: weekends and nights differ, and what is
compared must not. Where the former model ran for a week and more, only its own weeks count, else whatever ran.

Some weeks are worse than others without any model's doing. So only a share of more than `watch.least_jump` times that
of before is a jump. The evidence may be looked at at any time (`sequential`): whatever the shares are, a model that is
no worse goes back with a chance of at most `watch.false_alarms`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.alone import RETRAINING, alone
from learning.errors import EvergreenError, ReviewError, SettingsError
from learning.loop import Loop
from learning.model import DeployedModel, Talk, WatchedModel, content_id
from learning.ports import BotServer
from learning.running_model import (
    ENDED,
    GOING_BACK,
    KEPT,
    OPEN,
    ROLLED_BACK,
    WATCH,
    WATCHING,
    Settled,
    reconcile,
    roll_back_model,
)
from learning.sequential import Counts, evidence_path, threshold
from learning.settings import WatchSettings
from learning.stop_rule import People, blocks_of

logger = logging.getLogger(__name__)

OUTCOMES = ("messages that were not understood", "people who rated an answer down")
WEEK = timedelta(days=7)
LONGEST = 7 * 24.0  # hours: the same hours of a former week are compared with one week only
SLACK = timedelta(hours=12)  # a weekly training is not ready at the same minute each time
IDLE, WAITS, FAILED = "idle", "waits", "failed"


@dataclass(frozen=True)
class Check:
    """What one outcome says: hits among people `before` and `after`, and the log evidence of a jump, of `needed`."""

    outcome: str
    before: Counts
    after: Counts
    evidence: float
    needed: float

    @property
    def fires(self) -> bool:
        """Whether the share has jumped."""
        return self.evidence >= self.needed

    def plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "outcome": self.outcome,
            "before": self.before._asdict(),
            "after": self.after._asdict(),
            "evidence": float(self.evidence),
            "needed": float(self.needed),
            "fires": bool(self.fires),
        }

    @property
    def sentence(self) -> str:
        """The figures in words."""
        odds = exp(min(max(self.evidence, -20.0), 20.0))
        return (
            f"{self.outcome}: {_share(self.after)} after, {_share(self.before)} before"
            f" (evidence {odds:,.3g} to 1, needed {exp(self.needed):,.3g} to 1)"
        )


@dataclass(frozen=True)
class WatchOutcome:
    """What a look at the running model has shown.

    `state` is `idle` (nothing to watch), `watching`, `kept` (the time is over), `rolled_back`, `waits` (it has to go
    back, but models are being changed at this moment) or `failed` (it has to go back, and could not).
    """

    state: str
    model: str = ""
    sentence: str = ""
    checks: tuple[Check, ...] = ()
    settled: Settled | None = None

    @property
    def said(self) -> str:
        """The sentence, if something has happened; else empty."""
        return self.sentence if self.state not in (IDLE, WATCHING) else ""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        checks = [one.plain() for one in self.checks]
        back = len(self.settled.back) if self.settled else 0
        told = {"state": self.state, "model": self.model, "sentence": self.sentence}
        return {**told, "checks": checks, "back_in_the_overlay": back}


def watch_model(loop: Loop, server: BotServer) -> WatchOutcome:
    """Look how customers fare with a new model, and make the former one run if they fare worse.

    It may be called as often as anybody likes. A model goes back by itself once at most: if somebody makes it run
    again, that decision stands.

    Raises:
        SettingsError: a setting of `watch` is out of its bounds.

    """
    check_settings(loop.settings.watch)
    reconcile(loop, server)
    watched = _watched_now(loop)
    if watched is None:
        return WatchOutcome(IDLE, loop.store.running_model(), "no new model is watched")
    if watched.state == GOING_BACK:  # a crash has come between
        return _go_back(loop, server, watched, ())
    checks = compare_days(loop, watched)
    if any(one.fires for one in checks):
        said = "; ".join(one.sentence for one in checks if one.fires)
        return _go_back(loop, server, replace(watched, state=GOING_BACK, said=said), checks)
    figures = "; ".join(one.sentence for one in checks)
    if loop.now() - watched.since >= timedelta(hours=loop.settings.watch.hours):
        loop.store.save_watched_model(replace(watched, state=KEPT, said=figures, ended_at=loop.now()))
        return WatchOutcome(KEPT, watched.name, f"{watched.name} stays: {figures}", checks)
    return WatchOutcome(WATCHING, watched.name, f"{watched.name} is watched: {figures}", checks)


def compare_days(loop: Loop, watched: WatchedModel) -> tuple[Check, ...]:
    """Compare people since a model runs with those of the same hours before, outcome by outcome."""
    settings = loop.settings.watch
    mined = loop.store.last_run("mine")
    read_until = mined["started"] if mined else watched.since
    # What a conversation shows is known once nobody can add to it, and it was read.
    over = min(read_until, loop.now()) - timedelta(minutes=loop.settings.conversations.idle_minutes)
    until = min(over, watched.since + timedelta(hours=settings.hours))
    if until <= watched.since:
        after = before = people_of([[]], watched.since)
    else:
        weeks = _weeks(watched.since, _ran_since(loop, watched.replaced), settings.weeks)
        after = people_of([loop.store.talks(watched.since, until)], watched.since)
        before = people_of(
            [loop.store.talks(watched.since - week, until - week) for week in weeks], watched.since, weeks
        )
    return judge(before.between(0.0, until.timestamp()), after.between(0.0, until.timestamp()), settings)


def judge(before: People, after: People, settings: WatchSettings) -> tuple[Check, ...]:
    """Weigh the evidence that a share has jumped; times of `before` are those of the same hours after the swap."""
    needed = threshold(settings.false_alarms, len(OUTCOMES))
    blocks, paths = evidence_of(before, after, settings.least_jump)
    return tuple(
        Check(
            outcome, before.counts(place), after.counts(place), float(paths[place][-1]) if len(blocks) else 0.0, needed
        )
        for place, outcome in enumerate(OUTCOMES)
    )


def evidence_of(
    before: People, after: People, least_jump: float
) -> tuple[NDArray[np.int64], tuple[NDArray[np.float64], ...]]:
    """Return the blocks of both groups (n, 2, 3), and for each outcome the log evidence after each of them (n)."""
    blocks = blocks_of(before, after)
    parts = (blocks[:, :, (place, -1)] for place in range(len(OUTCOMES)))
    return blocks, tuple(evidence_path(part, only_rise=True, margin=least_jump) for part in parts)


def check_settings(settings: WatchSettings) -> None:
    """Raise `SettingsError` if a setting is out of its bounds."""
    for name, low, high in (("hours", 0.0, LONGEST), ("false_alarms", 1e-6, 0.5), ("least_jump", 1.0, 100.0)):
        value = getattr(settings, name)
        if not low <= value <= high:
            where = f"learning.yml: watch: {name}"
            raise SettingsError(f"is {value:g}", where, f"use a number between {low:g} and {high:g}")
    if not 1 <= settings.weeks <= 52:
        raise SettingsError(f"is {settings.weeks}", "learning.yml: watch: weeks", "use a number between 1 and 52")


def _watched_now(loop: Loop) -> WatchedModel | None:
    """Return the model that is watched now, with the records of it and of others brought up to date."""
    running, known = loop.store.running_model(), {one.name: one for one in loop.store.watched_models()}
    for one in known.values():
        if one.state in OPEN and one.name != running:
            # It may be that nobody lived to note that it went back.
            went = one.state == GOING_BACK and running == one.replaced
            loop.store.save_watched_model(replace(one, state=ROLLED_BACK if went else ENDED, ended_at=loop.now()))
    if running in known:
        return known[running] if known[running].state in OPEN else None
    model = next((one for one in loop.store.deployed_models() if one.name == running), None)
    hours = timedelta(hours=loop.settings.watch.hours)
    if model is None or not model.replaced or loop.now() - model.at >= hours:
        return None
    watched = WatchedModel(model.name, model.replaced, model.at, WATCHING, data=str(model.card.get("data", "")))
    loop.store.save_watched_model(watched)
    return watched


def _go_back(loop: Loop, server: BotServer, watched: WatchedModel, checks: Sequence[Check]) -> WatchOutcome:
    """Make the former model run; what goes wrong is told, and tried again at the next look."""
    item, found = watched.name, tuple(checks)
    try:
        with alone(loop, RETRAINING):
            # While it was judged another model may have been made to run: that one was not judged.
            reconcile(loop, server, is_alone=True)
            if loop.store.running_model() != watched.name:
                return WatchOutcome(IDLE, loop.store.running_model(), f"{item} runs no more")
            # It is noted first: after a crash the next look goes on, and does not take it for somebody's decision.
            loop.store.save_watched_model(watched)
            settled = roll_back_model(loop, server, watched.replaced, WATCH, watched.said)
            ended = replace(watched, state=ROLLED_BACK, ended_at=loop.now())
            loop.store.save_watched_model(ended)
    except ReviewError as error:
        return WatchOutcome(WAITS, item, f"{item} has to go back ({watched.said}), but {error}", found)
    except EvergreenError as error:
        logger.error("model %s has to go back, and could not: %s", item, error)
        return WatchOutcome(FAILED, item, f"{item} has to go back ({watched.said}), and could not: {error}", found)
    logger.warning("model %s went back by itself, %s runs: %s", item, settled.model, watched.said)
    return WatchOutcome(
        ROLLED_BACK, item, f"{item} went back by itself, {settled.model} runs: {watched.said}", found, settled
    )


def _ran_since(loop: Loop, name: str) -> datetime | None:
    """Return since when a former model ran, None if that is not known."""
    models: Mapping[str, DeployedModel] = {one.name: one for one in loop.store.deployed_models()}
    return models[name].at if name in models else None


def _weeks(since: datetime, ran_since: datetime | None, most: int) -> list[timedelta]:
    """Return how far back the weeks lie that a model is compared with: the former one's own, if it had any."""
    weeks = [number * WEEK for number in range(1, most + 1)]
    own = [week for week in weeks if ran_since is not None and since - week + SLACK >= ran_since]
    return own or weeks


def people_of(talks: Sequence[Iterable[Talk]], since: datetime, weeks: Sequence[timedelta] = (timedelta(0),)) -> People:
    """Return the people of conversations, each with the first one, at the times at which they ended.

    Times of former weeks are moved to the same hours after `since`. Of one person who came in several weeks only the
    first in that order counts: people must not depend on each other, and what counts must not change later.
    """
    moved = [(talk.last_at + week, talk) for some, week in zip(talks, weeks, strict=True) for talk in some]
    first: dict[str, tuple[datetime, Talk]] = {}
    for at, talk in sorted(moved, key=lambda item: (item[0], item[1].sender)):
        first.setdefault(talk.sender, (at, talk))
    times = np.array([at.timestamp() for at, _ in first.values()], dtype=float)
    hits = np.array([_hits(talk, since) for _, talk in first.values()], dtype=bool)
    return People(times, hits.reshape(-1, len(OUTCOMES)))


def _hits(talk: Talk, since: datetime) -> tuple[bool, bool]:
    """Return what befell a person: a drawn message was not understood, an answer was rated down."""
    drawn = int(content_id("watched", talk.sender, since.isoformat())[:8], 16) % talk.turns
    return drawn < talk.fallbacks, talk.thumbs_down > 0


def _share(counts: Counts) -> str:
    return f"{counts.hits} of {counts.of} people" + (f" ({100 * counts.hits / counts.of:.0f} %)" if counts.of else "")
