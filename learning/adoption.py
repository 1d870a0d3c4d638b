"""Adopting what an experiment has shown: its wording becomes the answer for everybody, as any reworded answer does."""

from __future__ import annotations

from learning.errors import ReviewError
from learning.experiments import SHOW, answer_to, end, verdict_of
from learning.loop import Loop
from learning.model import (
    EVERYBODY,
    Action,
    Decision,
    Experiment,
    ExperimentState,
    Gap,
    GapKind,
    Priority,
    Proposal,
    ProposalKind,
    ProposalState,
    Release,
    ScorePart,
    Variant,
    content_id,
)
from learning.names import check_name
from learning.reviewing import review, would_do
from learning.rollout_steps import Schedule
from learning.verdict_words import sentence
from learning.verdicts import Verdict


def adopt(
    loop: Loop, prefix: str, variant: str, who: str, reason: str = "", anyway: bool = False
) -> tuple[Experiment, Release | None]:
    """Make a variant the answer for everybody, and end the experiment; return both.

    The release is None where the bot says that text anyway. The experiment ends first, so that of two people who adopt
    at once one is refused; interrupted before the release, it can be run again.

    Args:
        loop: the loop.
        prefix: id of the experiment, or its first characters.
        variant: name of the wording.
        who: who decides.
        reason: why; needed with `anyway`.
        anyway: even if the evidence does not name it the winner.

    Raises:
        ReviewError: it is not the winner, or the experiment was never started or is settled.

    """
    check_name(who)
    experiment = loop.store.experiment(prefix)
    item = f"experiment {experiment.experiment_id}"
    chosen = next((one for one in experiment.variants if one.name == variant), None)
    if chosen is None:
        names = ", ".join(one.name for one in experiment.variants)
        raise ReviewError(f"has no variant {variant!r}", item, f"choose one of {names}")
    settled = f"was settled: {experiment.winner} was adopted"
    if experiment.state is ExperimentState.DRAFT or experiment.winner not in (None, variant):
        what = "was never started" if experiment.winner is None else settled
        raise ReviewError(what, item, SHOW.format(experiment.experiment_id[:8]))
    verdict = verdict_of(loop, experiment)
    if experiment.winner is not None:
        decision = _decision(loop, experiment, chosen, verdict, who, experiment.reason)
        if decision is None:
            raise ReviewError(settled, item, SHOW.format(experiment.experiment_id[:8]))
        return experiment, _publish(loop, decision)
    if verdict.winner != variant and not (anyway and reason.strip()):
        raise ReviewError(
            f"does not name {variant} the winner: {sentence(verdict)}",
            item,
            "let it run, or decide against the evidence with --anyway and a --reason",
        )
    told = sentence(verdict) if verdict.winner == variant else f"against the evidence: {reason} ({sentence(verdict)})"
    decision = _decision(loop, experiment, chosen, verdict, who, told)
    if decision is not None:
        would_do(loop, decision)  # what cannot go live ends nothing
    ended = end(loop, experiment, who, told, variant)
    return ended, None if decision is None else _publish(loop, decision)


def _decision(
    loop: Loop, experiment: Experiment, chosen: Variant, verdict: Verdict, who: str, reason: str
) -> Decision | None:
    """Propose a variant's text as a reworded answer; return the decision for it, None where it is said anyway."""
    if chosen.text is None:
        return None
    item = f"experiment {experiment.experiment_id}"
    answer = answer_to(loop, experiment.label, item)
    if answer.response == experiment.response and answer.text.split() == chosen.text.split():
        return None
    gap, proposal = _proposal(loop, experiment, chosen, verdict)
    loop.store.save_upkeep([gap])
    loop.store.save_proposals([proposal], loop.now())
    present = loop.store.proposal(proposal.proposal_id)
    if present.state is not ProposalState.PENDING:
        raise ReviewError(
            f"cannot adopt {chosen.name}: its proposal {present.proposal_id} is {present.state.value}",
            item,
            "see `python -m learning review show`",
        )
    return Decision(proposal.proposal_id, Action.APPROVE, who, loop.now(), reason)


def _publish(loop: Loop, decision: Decision) -> Release | None:
    # It was tried on people already: no rollout in steps.
    return review(loop, decision, schedule=Schedule((EVERYBODY,), loop.settings.rollout.hours))


def _proposal(loop: Loop, experiment: Experiment, chosen: Variant, verdict: Verdict) -> tuple[Gap, Proposal]:
    people = sum(one.people for one in verdict.variants)
    gap = Gap(
        gap_id=content_id("experiment", experiment.experiment_id, chosen.name),
        kind=GapKind.WEAK_ANSWER,
        name=f"answer to {experiment.label}: experiment {experiment.name}",
        intent=experiment.label,
        priority=Priority.MEDIUM,
        turns=people,
        people=people,
        first_seen=experiment.started_at or loop.now(),
        last_seen=experiment.ended_at or loop.now(),
        rank=float(people),
    )
    share = next(one.share for one in verdict.variants if one.name == chosen.name)
    part = ScorePart("good outcomes in the experiment", round(share, 3), 1.0)
    return gap, Proposal(
        proposal_id=content_id("proposal", gap.gap_id),
        gap_id=gap.gap_id,
        kind=ProposalKind.REWORD,
        label=experiment.label,
        examples=(),
        answer=chosen.text,
        sources=(),
        score=round(100 * share),
        score_parts=(part,),
        people=people,
        turns=people,
        state=ProposalState.PENDING,
        created_at=loop.now(),
        target=experiment.response,
    )
