"""Posted forms turned into decisions."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime, timezone

from hub import texts
from hub.errors import Incomplete
from hub.forms import Form
from learning.model import ANSWERING, LEARNED_INTENT, TEACHING, Action, Decision, Proposal, ProposalKind, content_id
from learning.review import LEARNED_KEY, MAX_ANSWER, content_mark
from learning.second_reading import VERDICTS

EVERY = "every"  # stands for all numbers of examples


def fingerprint(proposal: Proposal) -> str:
    """Return a mark of what a reviewer saw; it changes when the proposal does."""
    return content_id(proposal.state.value, content_mark(proposal))


def approval(
    proposal: Proposal, form: Form, who: str, at: datetime, answered: Collection[str] = frozenset()
) -> Decision:
    """Return the decision of the approval form: an approval, or an edit if the person changed anything.

    A new question with the name of one of the `answered` labels adds its examples to that one, and needs no answer.

    Raises:
        Incomplete: what would be published lacks something.

    """
    examples = _kept_examples(proposal, form) if proposal.kind in TEACHING else proposal.examples
    if not examples and proposal.kind in TEACHING:
        raise Incomplete(texts.NEED_EXAMPLES, "examples", "")
    label = _chosen_label(proposal, form)
    adds = proposal.kind is ProposalKind.ANSWER and label != proposal.label and label in answered
    answer = _typed_answer(form, may_be_empty=adds) if proposal.kind in ANSWERING else None
    changes = {
        "label": label if label != proposal.label else None,
        "answer": answer if answer and answer != (proposal.answer or "").strip() else None,
    }
    changed = examples != proposal.examples or any(value is not None for value in changes.values())
    if not changed:
        return Decision(proposal.proposal_id, Action.APPROVE, who, at)
    return Decision(
        proposal.proposal_id,
        Action.EDIT,
        who,
        at,
        label=changes["label"],
        answer=changes["answer"],
        examples=examples if examples != proposal.examples else None,
    )


def rejection(proposal: Proposal, form: Form, who: str, at: datetime) -> Decision:
    """Return the decision of the rejection form.

    Raises:
        Incomplete: there is no reason.

    """
    reason = form.reason or quick_reason(form)
    if not reason:
        raise Incomplete(texts.NEED_REASON, "reason", "")
    return Decision(proposal.proposal_id, Action.REJECT, who, at, reason=reason)


def without_ticks(form: Form) -> Form:
    """Return what was typed, with every example ticked: which were not belongs to examples that may be others now."""
    return Form({**form.fields, "keep": (EVERY,)})


def quick_reason(form: Form) -> str:
    """Return the frequent reason that was chosen by its number, empty without one."""
    reasons = {str(number): reason for number, reason in enumerate(texts.REJECT_REASONS, 1)}
    return reasons.get(form.get("quick"), "")


def deferral(proposal: Proposal, form: Form, turns: int, who: str, at: datetime) -> Decision:
    """Return the decision of the deferral form; `turns` is how many messages ask for it now.

    Raises:
        Incomplete: there is neither a date after today nor a volume.

    """
    if form.get("until") == "doubled" and turns:
        return Decision(proposal.proposal_id, Action.DEFER, who, at, defer_turns=2 * turns)
    return Decision(proposal.proposal_id, Action.DEFER, who, at, defer_until=later_day(form, at))


def later_day(form: Form, at: datetime) -> datetime:
    """Return the day that was typed.

    Raises:
        Incomplete: there is none after today.

    """
    try:
        until = datetime.strptime(form.get("date"), "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        raise Incomplete(texts.NEED_DEFER, "date", "") from None
    if until <= at:
        raise Incomplete(texts.NEED_FUTURE, "date", "")
    return until


def undoing(proposal: Proposal, form: Form, who: str, at: datetime) -> Decision:
    """Return the decision that takes the last one back; the reason is for the audit log, and may be left out."""
    return Decision(proposal.proposal_id, Action.UNDO, who, at, reason=form.reason)


def verdict(form: Form) -> tuple[Action, str]:
    """Return what a second reader would have decided, and why.

    Raises:
        Incomplete: there is no verdict, or none of the reasons that all but an approval need.

    """
    try:
        action = Action(form.get("verdict"))
    except ValueError:
        raise Incomplete(texts.NEED_VERDICT, "verdict", "") from None
    if action not in VERDICTS:
        raise Incomplete(texts.NEED_VERDICT, "verdict", "")
    if action is not Action.APPROVE and not form.reason:
        raise Incomplete(texts.NEED_VERDICT_REASON, "reason", "")
    return action, form.reason


def _chosen_label(proposal: Proposal, form: Form) -> str:
    """Return the label as the person wants it; only a new question and a merge leave a choice."""
    if proposal.kind is ProposalKind.ANSWER:
        label = f"{LEARNED_INTENT}/{_plain_name(form.get('name'))}"
        if not LEARNED_KEY.fullmatch(label):
            raise Incomplete(texts.NEED_NAME, "name", "")
        return label
    if proposal.kind is ProposalKind.MERGE:
        label = form.get("label")
        if label not in (proposal.label, proposal.target):
            raise Incomplete(texts.NEED_LABEL, "label", "")
        return label
    return proposal.label


def _typed_answer(form: Form, may_be_empty: bool) -> str:
    answer = form.get("answer")
    if not answer and not may_be_empty:
        raise Incomplete(texts.NEED_ANSWER, "answer", "")
    if len(answer) > MAX_ANSWER:
        raise Incomplete(texts.LONG_ANSWER.format(length=len(answer), limit=MAX_ANSWER), "answer", "")
    return answer


def _kept_examples(proposal: Proposal, form: Form) -> tuple[str, ...]:
    """Return the ticked examples in their order, then those added, each once."""
    ticked = set(form.all("keep"))
    kept = [text for number, text in enumerate(proposal.examples) if str(number) in ticked]
    added = [line.strip() for line in form.get("more").split("\n") if line.strip()]
    return tuple(dict.fromkeys([*kept, *added]))


def _plain_name(name: str) -> str:
    """Return what a person typed as a name: `Loyalty points` becomes `loyalty_points`."""
    return re.sub(r"[\s-]+", "_", name.removeprefix(f"{LEARNED_INTENT}/").strip()).lower()
