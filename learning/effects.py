"""What a release has changed: the need that it was meant for, before and after, with an interval and its doubts.

The need of an entry is the gap that its proposal came from. Of all conversations, so many in a thousand fail at it: the
ratio of that rate after the release to the rate before is the effect. Both times have the same number of whole days
(UTC), the day of the release left out: the later one ends when the release is taken back, the earlier one does not
begin before anybody talked, and the longer is cut to the shorter. How many conversations about the need are resolved is
told beside it: they are those that fail at it, and those that the entry answered.

No experiment: what else changed at the same time is in it, and a need is noticed while it is asked much, so that some
of a fall would have come by itself. Where an entry went to a share of the users first, those who did not get it yet
are a fair control, and are told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from enum import Enum

from learning.errors import NotFound
from learning.loop import Loop
from learning.metrics_statistics import Estimate, difference, rate_ratio, share_of
from learning.model import OFF, ON, Entry, Exposure, Release, ReleaseKind

LEAST_DAYS = 7  # weekdays differ: a shorter time says little
LEAST_FAILING = 5  # conversations in both times together; with fewer nothing can be told
# Experiments have statistics of their own.
MEASURED = frozenset(ReleaseKind) - {ReleaseKind.EXPERIMENT}


class EffectVerdict(str, Enum):
    """What can be told of a need."""

    FEWER = "fewer"  # conversations fail at it
    MORE = "more"
    UNCLEAR = "unclear"  # the interval holds both
    TOO_EARLY = "too_early"  # too few days have passed
    TOO_SOON = "too_soon"  # it came when too few days were known to compare with
    TOO_FEW = "too_few"  # hardly anybody fails at it
    UNKNOWN = "unknown"  # nothing that failed is known of it


@dataclass(frozen=True)
class Side:
    """One of the two times: `failing` of all `conversations` fail at the need.

    `resolved` of the `ended` ones that were about it, answered or not, went well.
    """

    since: date
    until: date
    conversations: int
    failing: int
    ended: int
    resolved: int

    @property
    def per_thousand(self) -> float:
        """Failing conversations in a thousand."""
        return 1000 * self.failing / self.conversations if self.conversations else 0.0

    @property
    def resolved_share(self) -> float | None:
        """Share of the ended conversations about the need that were resolved, None without any."""
        return self.resolved / self.ended if self.ended else None


@dataclass(frozen=True)
class Arm:
    """What came of the answers to people who got an entry, or would have but for its share: `bad` of `answers`."""

    answers: int
    bad: int


@dataclass(frozen=True)
class NeedEffect:
    """The effect on the need of one entry: `ratio` is that of the rates of failing, `resolved` the gain of that share.

    `on` and `off` are the arms of its rollout, and `control` is the difference of their bad shares, where both have
    answers.
    """

    entry_id: str
    label: str
    gap_id: str
    verdict: EffectVerdict = EffectVerdict.TOO_EARLY
    before: Side | None = None
    after: Side | None = None
    ratio: Estimate | None = None
    resolved: Estimate | None = None
    on: Arm | None = None
    off: Arm | None = None
    control: Estimate | None = None


@dataclass(frozen=True)
class Effect:
    """What a release has changed, one item for each entry in it; `ended` is the day on which it was taken back."""

    number: int
    at: datetime
    needs: tuple[NeedEffect, ...]
    ended: date | None = None


def effect_of_release(loop: Loop, number: int) -> Effect:
    """Return what a release has changed.

    Raises:
        NotFound: there is no such release.

    """
    found = read_effects(loop, (number,))
    if not found:
        raise NotFound("is no release", f"number {number}", "take one from `python -m learning releases list`")
    return found[0]


def read_effects(loop: Loop, numbers: Sequence[int] | None = None) -> list[Effect]:
    """Return what the releases with these numbers have changed, or all, the newest first."""
    store = loop.store
    releases = store.releases()
    wanted = [one for one in releases if one.what in MEASURED and (numbers is None or one.number in numbers)]
    known = [one for one in releases if numbers is not None and one.number in numbers and one not in wanted]
    entries = {entry.entry_id: entry for entry in store.entries()}
    gap_of = {proposal.proposal_id: proposal.gap_id for proposal in store.proposals()}
    totals = store.daily_conversations()
    effects = [Effect(one.number, one.at, ()) for one in known]
    for release in wanted:
        ended = _taken_back(release, releases)
        changed = [entries[change.item_id] for change in release.changes if change.item_id in entries]
        needs = tuple(
            _need_effect(loop, release, entry, gap_of.get(entry.proposal_id, ""), ended, totals) for entry in changed
        )
        effects.append(Effect(release.number, release.at, needs, ended))
    return sorted(effects, key=lambda effect: -effect.number)


def _need_effect(
    loop: Loop, release: Release, entry: Entry, gap_id: str, ended: date | None, totals: Mapping[date, int]
) -> NeedEffect:
    day = release.at.astimezone(timezone.utc).date()
    # Of today not everything has been said, and of what came after the last mining nothing is known.
    today = loop.now().astimezone(timezone.utc).date()
    last = min(today - timedelta(days=1), max((one for one in totals if one <= today), default=day))
    if ended is not None:
        last = min(last, ended - timedelta(days=1))
    passed, known = (last - day).days, (day - min(totals, default=day)).days
    days = min(loop.settings.metrics.effect_days, passed, known)
    effect = _with_arms(NeedEffect(entry.entry_id, entry.label, gap_id), loop.store.exposures(entry.entry_id))
    if days < LEAST_DAYS:
        return replace(effect, verdict=EffectVerdict.TOO_SOON) if known < LEAST_DAYS else effect
    before = _side(loop, gap_id, entry, totals, day - timedelta(days=days), day - timedelta(days=1))
    after = _side(loop, gap_id, entry, totals, day + timedelta(days=1), day + timedelta(days=days))
    ratio = rate_ratio(after.failing, after.conversations, before.failing, before.conversations)
    was, now = share_of(before.resolved, before.ended), share_of(after.resolved, after.ended)
    return replace(
        effect,
        verdict=_verdict(before, after, ratio),
        before=before,
        after=after,
        ratio=ratio,
        resolved=difference(now, was) if now and was else None,
    )


def _verdict(before: Side, after: Side, ratio: Estimate | None) -> EffectVerdict:
    if not before.failing and not after.failing:
        return EffectVerdict.UNKNOWN
    if before.failing + after.failing < LEAST_FAILING or ratio is None:
        return EffectVerdict.TOO_FEW
    if ratio.high < 1:
        return EffectVerdict.FEWER
    return EffectVerdict.MORE if ratio.low > 1 else EffectVerdict.UNCLEAR


def _side(loop: Loop, gap_id: str, entry: Entry, totals: Mapping[date, int], since: date, until: date) -> Side:
    failing, ended, resolved = loop.store.need_counts(gap_id, entry.entry_id, since, until)
    conversations = sum(count for day, count in totals.items() if since <= day <= until)
    return Side(since, until, conversations, failing, ended, resolved)


def _with_arms(effect: NeedEffect, exposures: Sequence[Exposure]) -> NeedEffect:
    """Add what came of an entry's answers, and of those to people who did not get it yet."""
    arms: list[Arm] = []
    for arm in (ON, OFF):
        own = [one for one in exposures if one.arm == arm]
        arms.append(Arm(len(own), sum(one.thumbs_down or one.fallback_after or one.handoff_after for one in own)))
    on, off = (share_of(arm.bad, arm.answers) for arm in arms)
    control = difference(on, off) if on and off else None
    return replace(effect, on=arms[0] if on else None, off=arms[1] if off else None, control=control)


def _taken_back(release: Release, releases: Sequence[Release]) -> date | None:
    """Return the day on which a later release changed all that this one had brought, None if some of it stands."""
    left = {change.item_id for change in release.changes if change.after}
    if not left:
        return None
    for later in sorted(releases, key=lambda one: one.number):
        if later.number > release.number:
            left -= {change.item_id for change in later.changes if not change.after}
            if not left:
                return later.at.astimezone(timezone.utc).date()
    return None
