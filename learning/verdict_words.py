"""What an experiment's verdict says, in one or two sentences for people."""

from __future__ import annotations

from math import ceil

from learning.verdicts import MOST_MISSING, WORTH_WHILE, VariantFigures, Verdict


def sentence(verdict: Verdict) -> str:
    """Return who wins, or what is missing to say so."""
    control = verdict.variants[0]
    if verdict.uneven:
        told = ", ".join(f"{one.name} {one.people}" for one in verdict.variants)
        return (
            f"Nothing can be concluded: the variants should have equal parts of the people and have not ({told})."
            " Look for a channel or a client that loses messages of one of them."
        )
    if verdict.winner == control.name:
        return f"{control.name} wins: no variant is better, and all of them are worse."
    if verdict.winner is not None:
        best = next(one for one in verdict.variants if one.name == verdict.winner)
        said = f"{best.name} wins: {_percent(best)} against {_percent(control)} of {control.name}."
        return said + _harm(verdict)
    lacks = []
    if verdict.missing_people:
        lacks.append(f"{verdict.missing_people} more people in the smallest variant")
    if verdict.missing_days:
        lacks.append(f"{verdict.missing_days} more full days")
    if lacks:
        return f"There is too little to name a winner: it takes at least {' and '.join(lacks)}." + _harm(verdict)
    return _undecided(verdict) + _harm(verdict)


def _undecided(verdict: Verdict) -> str:
    open_ones = [one for one in verdict.comparisons if one.better is None]
    if not open_ones:
        return "The variants differ, but none is better than the control."
    control = verdict.variants[0].name
    chosen = min(
        (one for one in open_ones if control in (one.first, one.second)),
        key=lambda one: one.missing if one.missing is not None else MOST_MISSING,
        default=open_ones[0],
    )
    if chosen.missing is None:
        said = f"No difference is shown, and between {chosen.first} and {chosen.second} there is none to speak of."
    else:
        said = (
            f"No difference is shown yet: if today's between {chosen.first} and {chosen.second} is the true one, about"
            f" {chosen.missing:,} more people in each variant are missing{_days(chosen.missing, verdict)}."
        )
    many = chosen.missing_worth_while
    if chosen.missing is None or many < chosen.missing:
        said += f" A difference of {100 * WORTH_WHILE:.0f} points would take about {many:,}{_days(many, verdict)}."
    return said


def _days(people: int, verdict: Verdict) -> str:
    return f" ({ceil(people / verdict.per_day):,} days)" if verdict.per_day else ""


def _harm(verdict: Verdict) -> str:
    if not verdict.harmful or verdict.winner == verdict.variants[0].name:
        return ""
    many = len(verdict.harmful) > 1
    named = " and ".join(verdict.harmful)
    return f" {named} {'do' if many else 'does'} harm: stop the experiment."


def _percent(figures: VariantFigures) -> str:
    return f"{100 * figures.share:.1f} % of {figures.people:,}"
