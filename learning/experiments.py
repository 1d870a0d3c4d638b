"""A/B tests of answers: who may be told what is a person's decision, who wins is the evidence's.

Nothing of an experiment is told before somebody starts it. Starting and stopping are numbered releases, and the wording
that is adopted goes live as any other reworded answer does: as a proposal, a decision and a release.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from learning.answer_checks import check as check_answer
from learning.current_answers import current_answers
from learning.errors import ReviewError
from learning.loop import Loop
from learning.model import (
    Answer,
    Experiment,
    ExperimentState,
    ReleaseKind,
    Variant,
    content_id,
)
from learning.names import check_name
from learning.review import check_sayable
from learning.reviewing import personal_data
from learning.verdicts import METRICS, Verdict, judge
from learning.wordings import MOST_NAME

CONTROL = "control"
MOST_VARIANTS = 5  # each one more makes the parts smaller and asks for more evidence
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MOST_NAME - 1}}}")
SHOW = "see `python -m learning experiments show {}`"


@dataclass(frozen=True)
class Shown:
    """An experiment with its verdict, and what somebody who reads it should know."""

    experiment: Experiment
    verdict: Verdict
    notes: tuple[str, ...]


def create(
    loop: Loop,
    name: str,
    about: str,
    texts: Sequence[tuple[str, str]],
    metric: str,
    who: str,
    control: str | None = None,
) -> tuple[Experiment, tuple[str, ...]]:
    """Write a draft, which nobody is told anything of; return it with what its author should know.

    Args:
        loop: the loop.
        name: what people call it.
        about: a label, or the name of its response.
        texts: name and text of each variant besides the control.
        metric: what counts as good: a key of `verdicts.METRICS`.
        who: its author.
        control: the text to compare with; without it what the bot says anyway.

    Raises:
        ReviewError: there is no such response, a text cannot be said, or two are the same.

    """
    experiment, notes = draft(loop, name, about, texts, metric, who, control)
    loop.store.save_experiment(None, experiment, who, experiment.created_at)
    return experiment, notes


def draft(
    loop: Loop,
    name: str,
    about: str,
    texts: Sequence[tuple[str, str]],
    metric: str,
    who: str,
    control: str | None = None,
) -> tuple[Experiment, tuple[str, ...]]:
    """Return what `create` would write, and what it would tell; nothing is written."""
    check_name(who)
    item = f"experiment {name!r}"
    if not name.strip() or len(name) > 255:
        raise ReviewError("has no name, or one of more than 255 characters", item, "give it a short one")
    if metric not in METRICS:
        raise ReviewError(f"is measured by {metric!r}", item, f"choose one of {', '.join(METRICS)}")
    answer = answer_to(loop, about, item)
    variants = (Variant(CONTROL, control), *(Variant(key, text) for key, text in texts))
    _check_variants(variants, answer, item)
    now = loop.now()
    experiment = Experiment(
        experiment_id=content_id("experiment", name, answer.response, metric, *variants, now.isoformat()),
        name=name,
        label=answer.label,
        response=answer.response,
        metric=metric,
        variants=variants,
        state=ExperimentState.DRAFT,
        who=who,
        created_at=now,
    )
    return experiment, _notes_on_texts(loop, experiment)


def start(loop: Loop, prefix: str, who: str, reason: str = "") -> Experiment:
    """Let running bots tell the variants, from their next message on.

    Raises:
        ReviewError: it is no draft, or does not fit what is said now.
        StoreError: something else is being tried on the response.

    """
    check_name(who)
    before = loop.store.experiment(prefix)
    item = f"experiment {before.experiment_id}"
    if before.state is not ExperimentState.DRAFT:
        raise ReviewError(f"is {before.state.value}", item, "create a new one: what it had shown would be mixed")
    answer = answer_to(loop, before.label, item)
    if answer.response != before.response:
        raise ReviewError(f"is about {before.response}, which answers nothing any more", item, "create a new one")
    _check_variants(before.variants, answer, item)
    now = loop.now()
    after = replace(before, state=ExperimentState.RUNNING, started_at=now, reason=reason)
    loop.store.save_experiment(before, after, who, now)
    try:
        answer_to(loop, before.label, item)
    except ReviewError:
        # What is withdrawn takes the experiments with it that run by then, and this one did not.
        end(loop, after, who, "what it was about was taken back at the same moment")
        raise
    return after


def stop(loop: Loop, prefix: str, who: str, reason: str) -> Experiment:
    """End an experiment: everybody is told what the bot says anyway.

    Raises:
        ReviewError: it does not run.

    """
    check_name(who)
    before = loop.store.experiment(prefix)
    if before.state is not ExperimentState.RUNNING:
        item = f"experiment {before.experiment_id}"
        raise ReviewError(f"is {before.state.value} and cannot be stopped", item, SHOW.format(before.experiment_id[:8]))
    return end(loop, before, who, reason)


def show(loop: Loop, prefix: str) -> Shown:
    """Return what an experiment has shown so far."""
    experiment = loop.store.experiment(prefix)
    verdict = verdict_of(loop, experiment)
    return Shown(experiment, verdict, _changed_meanwhile(loop, experiment))


def verdict_of(loop: Loop, experiment: Experiment) -> Verdict:
    """Return the verdict on an experiment as it stands."""
    outcomes = loop.store.experiment_outcomes(experiment.experiment_id)
    idle = timedelta(minutes=loop.settings.conversations.idle_minutes)
    return judge(experiment, outcomes, loop.settings.experiments, loop.now(), idle)


# --- checks ----------------------------------------------------------------------------------------


def answer_to(loop: Loop, about: str, item: str) -> Answer:
    """Return what is said now to a label, or by a response."""
    answers = current_answers(loop)
    if about in answers:
        return answers[about]
    found = sorted((one for one in answers.values() if one.response == about), key=lambda one: one.label)
    if not found:
        raise ReviewError(
            f"is about {about!r}, which is no label with an answer, nor the response of one",
            item,
            "take one that a single response answers, such as faq/shipping_cost or utter_faq/shipping_cost",
        )
    return found[0]


def _check_variants(variants: Sequence[Variant], answer: Answer, item: str) -> None:
    if not 2 <= len(variants) <= MOST_VARIANTS:
        raise ReviewError(f"has {len(variants)} variants", item, f"compare 2 to {MOST_VARIANTS}, control included")
    names = [variant.name for variant in variants]
    for variant in variants:
        if not NAME.fullmatch(variant.name) or names.count(variant.name) > 1:
            raise ReviewError(
                f"has a variant named {variant.name!r}", item, f"use {MOST_NAME} letters, digits, _ and -, each once"
            )
        if variant.text is not None:
            check_sayable(variant.text, f"variant {variant.name}")
    said = [" ".join((variant.text if variant.text is not None else answer.text).split()) for variant in variants]
    for place, text in enumerate(said):
        if text in said[:place]:
            first = names[said.index(text)]
            raise ReviewError(f"says the same in {first} and {names[place]}", item, "change one of the texts")


def _notes_on_texts(loop: Loop, experiment: Experiment) -> tuple[str, ...]:
    answers = list(current_answers(loop).values())
    found: list[str] = []
    for variant in experiment.variants:
        if variant.text is None:
            continue
        if kinds := personal_data(loop, variant.text):
            found.append(f"{variant.name} holds what looks like personal data ({kinds}).")
        warnings = check_answer(variant.text, experiment.label, answers, loop.encoder)
        found += [f"{variant.name}: {warning}" for warning in warnings]
    return tuple(found)


def _changed_meanwhile(loop: Loop, experiment: Experiment) -> tuple[str, ...]:
    """Return a note for each release that changed what the control says while the experiment ran."""
    started = experiment.started_at
    if started is None or experiment.variants[0].text is not None:
        return ()
    until = experiment.ended_at or loop.now()
    own = {one.entry_id for one in loop.store.entries() if _answers(one.label, one.target, one.answer, experiment)}
    return tuple(
        f"Release {release.number} changed what {CONTROL} says on {release.at:%Y-%m-%d}: what was counted before and"
        " after is not about the same text. Start a new experiment."
        for release in reversed(loop.store.releases())
        if started < release.at < until and any(change.item_id in own for change in release.changes)
        if release.what is not ReleaseKind.EXPERIMENT
    )


def _answers(label: str, target: str | None, answer: str | None, experiment: Experiment) -> bool:
    return answer is not None and (target == experiment.response or f"utter_{label}" == experiment.response)


# --- ending ----------------------------------------------------------------------------------------


def end(loop: Loop, before: Experiment, who: str, reason: str, winner: str | None = None) -> Experiment:
    """Write that an experiment has ended, and who won."""
    now = loop.now()
    ended_at = before.ended_at or now
    after = replace(before, state=ExperimentState.STOPPED, ended_at=ended_at, winner=winner, reason=reason)
    loop.store.save_experiment(before, after, who, now)
    return after
