"""Which gaps matter most, by rules that stand in `learning.yml`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from learning.model import Gap, GapFigures, GapKind, Priority
from learning.settings import PrioritySettings

ORDER = {Priority.CRITICAL: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


def gap_order(gap: Gap) -> tuple[int, float, str]:
    """Return the key that sorts gaps by what matters most: class, then rank."""
    return (ORDER[gap.priority], -gap.rank, gap.gap_id)


def judge(
    gap: Gap,
    figures: GapFigures,
    recent: tuple[int, float],
    satisfaction: tuple[float, int] | None,
    settings: PrioritySettings,
    least_people: int,
    now: datetime,
) -> Gap:
    """Return the gap with its figures, its class and its rank.

    Args:
        gap: as it was.
        figures: what its members add up to.
        recent: people in the last week, and mean people a week in the four weeks before.
        satisfaction: share of the raters who like its answer and how many rated it, None without any.
        settings: the rules.
        least_people: people who must come after a release for a handled gap to be reopened.
        now: no gap is reopened later.

    """
    week, prior = recent
    share = satisfaction[0] if satisfaction and satisfaction[1] >= settings.min_ratings else None
    # One person more or less is no trend: both sides are smoothed by one.
    trend, cost = round((week + 1) / (prior + 1), 3), round(figures.cost, 3)
    came_back = gap.handled_at is not None and figures.since_handled >= least_people
    judged = replace(
        gap,
        turns=figures.turns,
        people=figures.people,
        first_seen=figures.first_seen,
        last_seen=figures.last_seen,
        week=week,
        trend=trend,
        cost=cost,
        satisfaction=None if share is None else round(share, 3),
        rank=round(figures.people * cost * trend, 3),
    )
    if came_back and not gap.is_reopened:
        judged = replace(judged, reopened_at=min(figures.last_seen, now))
    return replace(judged, priority=priority_of(judged, settings))


def priority_of(gap: Gap, settings: PrioritySettings) -> Priority:
    """Return the class of a gap.

    Critical: a need without any answer that `critical_people` or more had in a week. Medium: a rarer one, or an answer
    that fewer than `satisfaction` of its raters liked, or that nobody has rated enough. Low: a known question in
    unknown words, an answer that most liked, and what was handled and has not come back.
    """
    if gap.handled_at is not None and not gap.is_reopened:
        return Priority.LOW
    if gap.kind is GapKind.EXISTING_INTENT:
        return Priority.LOW
    if gap.kind is GapKind.WEAK_ANSWER:
        liked = gap.satisfaction is not None and gap.satisfaction >= settings.satisfaction
        return Priority.LOW if liked else Priority.MEDIUM
    return Priority.CRITICAL if gap.week >= settings.critical_people else Priority.MEDIUM
