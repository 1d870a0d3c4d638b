"""What the effect of a release says, in a sentence, with what it does not say."""

from __future__ import annotations

from collections.abc import Iterator
from math import isinf

from learning.effects import LEAST_DAYS, LEAST_FAILING, EffectVerdict, NeedEffect, Side
from learning.metrics_statistics import Estimate

DOUBTS = (
    "This is no experiment: what else changed at the same time (a new model, other releases, a sale, the season) is in"
    " it. Needs are noticed while they are asked much, so that some of a fall would have come by itself."
)


def told(need: NeedEffect) -> str:
    """Return the verdict in a sentence."""
    if need.verdict is EffectVerdict.TOO_EARLY:
        return f"Cannot tell yet: fewer than {LEAST_DAYS} whole days have passed and been mined since."
    if need.verdict is EffectVerdict.TOO_SOON:
        return f"Cannot tell: fewer than {LEAST_DAYS} days of conversations are known from before it."
    if need.verdict is EffectVerdict.UNKNOWN or need.before is None or need.after is None:
        return "Cannot tell: no conversation that failed at this need is known, before or after."
    rates = f"{_rate(need.before)} before, {_rate(need.after)} after"
    if need.verdict is EffectVerdict.TOO_FEW or need.ratio is None:
        return f"Cannot tell: {rates}; at least {LEAST_FAILING} failing conversations before and after are needed."
    if need.verdict is EffectVerdict.UNCLEAR:
        return f"No clear difference: {rates}. {_ratio(need.ratio)}, which chance explains."
    direction = "Fewer" if need.verdict is EffectVerdict.FEWER else "More"
    return f"{direction} conversations fail at it: {rates}. {_ratio(need.ratio)}."


def details(need: NeedEffect) -> Iterator[str]:
    """Yield what else is known: how such conversations end, and the arms of the rollout."""
    before, after = need.before, need.after
    if before is not None and after is not None and need.resolved is not None:
        verdict = _sure(need.resolved, "a clear gain", "a clear loss", "chance explains it")
        yield (
            f"Resolved, of all about this need: {_of(before.resolved, before.ended)} before,"
            f" {_of(after.resolved, after.ended)} after: {_points(need.resolved)}; {verdict}."
        )
    if need.on is not None and need.off is not None and need.control is not None:
        verdict = _sure(need.control, "clearly worse with it", "clearly better with it", "no clear difference")
        yield (
            f"During the rollout, answers that did not go well: {_of(need.on.bad, need.on.answers)} with it,"
            f" {_of(need.off.bad, need.off.answers)} for those who did not have it yet: {_points(need.control)};"
            f" {verdict}."
        )


def _rate(side: Side) -> str:
    return f"{side.failing:,} of {side.conversations:,} ({side.per_thousand:.1f} in 1,000)"


def _ratio(ratio: Estimate) -> str:
    """Return a ratio as a change in percent."""
    if isinf(ratio.value):
        return f"None failed before: a change of {100 * (ratio.low - 1):+.0f} % or more (95 % interval)"
    ends = sorted(100 * (bound - 1) for bound in (ratio.low, ratio.high))
    return f"That is {100 * (ratio.value - 1):+.0f} % (95 % interval: {ends[0]:+.0f} to {ends[1]:+.0f} %)"


def _points(change: Estimate) -> str:
    low, high = 100 * change.low, 100 * change.high
    return f"{100 * change.value:+.1f} points (95 % interval: {low:+.1f} to {high:+.1f})"


def _of(hits: int, total: int) -> str:
    return f"{hits:,} of {total:,} ({100 * hits / total:.0f} %)"


def _sure(change: Estimate, more: str, less: str, neither: str) -> str:
    if change.low > 0:
        return more
    return less if change.high < 0 else neither
