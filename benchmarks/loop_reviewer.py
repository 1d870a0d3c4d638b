"""The simulated reviewer of the loop benchmark: knows what every message meant, and decides by that alone.

A proposal is right if at least `RIGHT` of its examples mean what it is about; the few strangers among them go live
unnoticed. From `NEARLY` on the reviewer takes the strangers out (an edit), below that it is rejected. A new question
must also be new and have the right article's answer: a wrong or missing answer is typed, and a need that the bot
knows gets its label's name, which makes the messages examples of it (edits, too). What nobody wants answered is
rejected. Merges and retirements are right only where the labels mean the same, or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from benchmarks.loop_data import Scenario
from benchmarks.loop_project import article_of
from benchmarks.nlu_data import OUT_OF_SCOPE
from learning.model import LEARNED_INTENT, Action, Decision, Proposal, ProposalKind
from learning.texts import clean_example

WHO = "reviewer"
KNOWN = "the bot knows it"
RIGHT, NEARLY = 0.8, 0.6  # share of the examples that mean what the proposal is about


@dataclass(frozen=True)
class Verdict:
    """What the reviewer decides, what the proposal is really about, and what was wrong with it, if anything.

    `share` (0..1) of the examples mean `meant`; `harmful` says that it must not go live as it was proposed.
    """

    action: Action
    meant: str
    share: float
    fault: str = ""
    harmful: bool = False
    examples: tuple[str, ...] | None = None
    answer: str | None = None
    label: str | None = None

    @property
    def teaches_anew(self) -> bool:
        """Whether the proposal goes live as what it is, rather than under a label that there is already."""
        return self.action is not Action.REJECT and self.fault != KNOWN

    def decision(self, proposal: Proposal, at: datetime) -> Decision:
        """Return it as the loop takes it."""
        return Decision(
            proposal.proposal_id,
            self.action,
            WHO,
            at,
            reason=self.fault if self.action is Action.REJECT else "",
            label=self.label,
            examples=self.examples,
            answer=self.answer,
        )


def judge(proposal: Proposal, truth: Callable[[str], str], scenario: Scenario, meanings: Mapping[str, str]) -> Verdict:
    """Decide about a proposal.

    Args:
        proposal: what the loop suggests.
        truth: the intent of an example's text.
        scenario: the run's intents and articles.
        meanings: the intent that each label of the bot answers, learned ones included.
    """
    if proposal.kind is ProposalKind.ANSWER:
        return _judge_answer(proposal, truth, scenario, meanings)
    if proposal.kind is ProposalKind.EXAMPLES:
        meant = meanings.get(proposal.label, "")
        return _by_examples(proposal, truth, meant)
    meant = meanings.get(proposal.label, "")
    if proposal.kind is ProposalKind.MERGE and meant and meant == meanings.get(proposal.target or "", "-"):
        return Verdict(Action.APPROVE, meant, 1.0)
    if proposal.kind is ProposalKind.REWORD and _has_right_answer(proposal, meant):
        return Verdict(Action.APPROVE, meant, 1.0)
    fault = {
        ProposalKind.MERGE: "the two mean different things",
        ProposalKind.RETIRE: "people still need it",
        ProposalKind.REWORD: "the answer is about something else",
    }[proposal.kind]
    return Verdict(Action.REJECT, meant, 0.0, fault, harmful=True)


def _judge_answer(
    proposal: Proposal, truth: Callable[[str], str], scenario: Scenario, meanings: Mapping[str, str]
) -> Verdict:
    (meant, count), *_ = Counter(map(truth, proposal.examples)).most_common(1) or [("", 0)]
    share = count / max(len(proposal.examples), 1)
    fault = ""
    if share < NEARLY:
        fault = "several needs in one"
    elif meant == OUT_OF_SCOPE or not meant:
        fault = "nothing that we answer"
    if fault:
        return Verdict(Action.REJECT, meant, share, fault, harmful=True)
    by_examples = _by_examples(proposal, truth, meant)
    known = sorted(label for label, intent in meanings.items() if intent == meant)
    if known:
        return Verdict(Action.EDIT, meant, share, KNOWN, harmful=True, examples=by_examples.examples, label=known[0])
    answer = None if _has_right_answer(proposal, meant) else _typed_answer(scenario, meant)
    name = f"{LEARNED_INTENT}/{meant.lower()}" if proposal.label in meanings else None
    faults = [by_examples.fault, "wrong or no answer" if answer else "", "name is taken" if name else ""]
    return Verdict(
        Action.EDIT if any(faults) else Action.APPROVE,
        meant,
        share,
        fault=", ".join(filter(None, faults)),
        harmful=bool(proposal.answer and answer),
        examples=by_examples.examples,
        answer=answer,
        label=name,
    )


def _by_examples(proposal: Proposal, truth: Callable[[str], str], meant: str) -> Verdict:
    """Judge by the share of examples that mean `meant`."""
    own = tuple(text for text in proposal.examples if meant and truth(text) == meant)
    share = len(own) / max(len(proposal.examples), 1)
    if share >= RIGHT:
        return Verdict(Action.APPROVE, meant, share)
    if share >= NEARLY:
        return Verdict(Action.EDIT, meant, share, "strangers among the examples", examples=own)
    return Verdict(Action.REJECT, meant, share, "examples of something else", harmful=True)


def _has_right_answer(proposal: Proposal, meant: str) -> bool:
    """Whether there is an answer, and every sentence of it is from the article on what is meant."""
    documents = {source.document for source in proposal.sources}
    return bool(proposal.answer) and documents == {article_of(meant)}


def _typed_answer(scenario: Scenario, meant: str) -> str:
    """Return what the reviewer types: the article's first sentence."""
    return clean_example(scenario.articles[meant].splitlines()[2])
