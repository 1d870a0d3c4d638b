"""What people did in a pull request, read back as the decisions that the hub and the command line make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from learning.entry_files import LearnedFile, mark_of, offered_file, read_learned
from learning.errors import NotFound, PullRefused, ReviewError
from learning.fitting import read_labels
from learning.loop import Loop
from learning.model import (
    TEACHING,
    Action,
    Decision,
    Proposal,
    ProposalKind,
    ProposalState,
    PullRequest,
    PullSeen,
    Release,
    content_id,
)
from learning.pipeline import review
from learning.ports import PullRequestHost
from learning.publish import proposal_of
from learning.pull_body import one_line, span
from learning.review import APPROVING, OPEN_STATES, AlreadyDecided, HasChanged, as_decided, content_mark, effective

DEFER = "defer"
CLOSED = "closed in the pull request"
REMOVED = "the file was removed in the pull request"
AFTER_WORD = "nothing was done; decide in the hub, or with `python -m learning review`"
LONGEST_NAME = 200  # characters of a name in the records


@dataclass
class ReadBack:
    """What was read: proposals decided, releases made, and what could not be decided."""

    decided: list[str] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def read_back(loop: Loop, host: PullRequestHost, pull: PullRequest, seen: PullSeen) -> ReadBack:
    """Decide what a pull request has decided; what was decided before is only compared.

    Raises:
        HostError: the host cannot be read.
        StoreError: the learning database cannot be written.

    """
    back = ReadBack()
    if seen.problem:
        back.conflicts.append(f"{seen.problem}; {AFTER_WORD}")
        return back
    if seen.state == "open":
        if DEFER in seen.labels:
            _defer(loop, host, pull, back)
        return back
    texts: Mapping[str, str] = {}
    if seen.state == "merged":
        texts = _merged_texts(host, pull, seen)
        reason = REMOVED
    else:
        reason = _last_word(host, pull) or CLOSED
    who = _name(host, seen.who)
    for name, proposal_id in _answers_first(loop, pull):
        try:
            try:
                _read_one(loop, pull, name, proposal_id, texts.get(name), who, reason, back)
            except AlreadyDecided:  # by somebody at this moment, perhaps another run: compared like what was before
                _read_one(loop, pull, name, proposal_id, texts.get(name), who, reason, back)
        except NotFound:
            if name in texts:
                back.conflicts.append(f"{name}: its proposal was forgotten; take the file out of the base branch")
        except (ReviewError, HasChanged) as error:
            back.conflicts.append(str(error))
    return back


def _merged_texts(host: PullRequestHost, pull: PullRequest, seen: PullSeen) -> dict[str, str]:
    """Return the files as they were merged, by the names that they had; one with another name is its proposal's yet."""
    if not seen.commit:
        raise PullRefused("has no merge commit yet", f"pull request {pull.pull_id}", "the next run reads it")
    texts = host.read(seen.commit, sorted(pull.files))
    missing = {name: proposal_id for name, proposal_id in pull.proposals.items() if name not in texts}
    if not missing:
        return texts
    there = host.names(seen.commit)
    for name, proposal_id in missing.items():
        renamed = [other for other in there if other not in pull.files and proposal_of(other) == proposal_id]
        for text in host.read(seen.commit, renamed).values() if len(renamed) == 1 else ():
            texts[name] = text
        if len(renamed) > 1:
            raise PullRefused("has several files", f"proposal {proposal_id}", AFTER_WORD)
    return texts


def say_once(host: PullRequestHost, pull: PullRequest, sentences: Sequence[str]) -> None:
    """Comment on a pull request, unless just that was said before."""
    text = "\n".join(f"- {span(sentence)}" for sentence in sentences)
    mark = f"<!-- evergreen:{content_id(text)} -->"
    if not any(mark in comment.text for comment in host.comments(pull)):
        host.comment(pull, f"{text}\n\n{mark}")


def _answers_first(loop: Loop, pull: PullRequest) -> list[tuple[str, str]]:
    """Return the files in an order in which more examples for an answer come after it."""
    kinds = {item.proposal_id: item.kind for item in loop.store.proposals()}
    return sorted(pull.proposals.items(), key=lambda item: (kinds.get(item[1]) is not ProposalKind.ANSWER, item))


def _read_one(
    loop: Loop,
    pull: PullRequest,
    name: str,
    proposal_id: str,
    text: str | None,
    who: str,
    reason: str,
    back: ReadBack,
) -> None:
    """Make the decision that a file stands for: None where it is not there."""
    proposal = loop.store.proposal(proposal_id)
    address = pull.url or pull.branch
    made = loop.store.decisions_about(proposal_id)
    last = effective(made).get(proposal_id)
    if any(decision.action is not Action.DEFER and _is_from(decision, address) for decision in made):
        return  # by a run that was killed before it could note so
    if proposal.state not in OPEN_STATES:
        if not _agrees(proposal, last, text):
            back.conflicts.append(_told_otherwise(proposal, last, text))
        return
    said = f"{reason if text is None else 'merged'} ({address})"
    decision = Decision(proposal_id, Action.REJECT, who, loop.now(), reason=said)
    if text is not None:
        if mark_of(offered_file(proposal, 0)[1]) != pull.files[name]:
            raise ReviewError("has changed since it was offered here", f"proposal {proposal_id}", AFTER_WORD)
        decision = replace(decision, action=Action.APPROVE, seen=content_mark(proposal))
        if mark_of(text) != pull.files[name]:
            decision = _edit(loop, proposal, read_learned(text, name), decision, name)
    release = review(loop, decision)
    back.decided.append(proposal_id)
    back.releases += [release] if release else []


def _edit(loop: Loop, proposal: Proposal, file: LearnedFile, decision: Decision, name: str) -> Decision:
    """Return the decision that a changed file stands for; raise `ReviewError` if it is none that can be made."""
    shown = as_decided(proposal, None)
    edit = replace(decision, action=Action.EDIT)
    if file.kind is not proposal.kind:
        known = proposal.kind is ProposalKind.ANSWER and file.kind is ProposalKind.EXAMPLES
        if not (known and file.label in read_labels(loop).known):
            raise ReviewError(f"is of the kind {file.kind.value}, not {proposal.kind.value} any more", name, AFTER_WORD)
    if proposal.kind is ProposalKind.MERGE and (file.label, file.target) == (proposal.target, proposal.label):
        return replace(edit, label=file.label)
    if file.target != proposal.target:
        raise ReviewError("names another target than the proposal", name, AFTER_WORD)
    return replace(
        edit,
        label=file.label if file.label != shown.label else None,
        examples=file.examples if proposal.kind in TEACHING and file.examples != shown.examples else None,
        answer=(file.answer or "") if file.kind is proposal.kind and file.answer != shown.answer else None,
    )


def _defer(loop: Loop, host: PullRequestHost, pull: PullRequest, back: ReadBack) -> None:
    """Put off what waits, once for each time that the label is put on."""
    address = pull.url or pull.branch
    who = ""
    for name, proposal_id in sorted(pull.proposals.items()):
        try:
            proposal = loop.store.proposal(proposal_id)
            if proposal.state is not ProposalState.PENDING:
                continue
            decisions = loop.store.decisions_about(proposal_id)
            if decisions and decisions[-1].action is Action.DEFER and _is_from(decisions[-1], address):
                host.unlabel(pull, DEFER)
                say_once(
                    host, pull, [f"Proposal {proposal_id} waits again since {decisions[-1].at:%Y-%m-%d}: it is due."]
                )
                continue
            who = who or _name(host, host.labeled_by(pull, DEFER))
            turns = 2 * loop.store.gap(proposal.gap_id).turns
            reason = f"label {DEFER} ({address})"
            review(loop, Decision(proposal_id, Action.DEFER, who, loop.now(), reason=reason, defer_turns=turns))
            back.decided.append(proposal_id)
        except (NotFound, HasChanged, ReviewError) as error:
            if isinstance(error, AlreadyDecided) and any(
                _is_from(one, address) for one in loop.store.decisions_about(proposal_id)
            ):
                continue  # by another run at this moment
            back.conflicts.append(f"{name}: {error}")


def _last_word(host: PullRequestHost, pull: PullRequest) -> str:
    said = [item.text for item in host.comments(pull) if item.by_team and "<!-- evergreen:" not in item.text]
    return one_line(said[-1]) if said else ""


def _name(host: PullRequestHost, who: str) -> str:
    return f"{host.name}:{one_line(who, LONGEST_NAME) or 'somebody'}"


def _is_from(decision: Decision, address: str) -> bool:
    return decision.reason.endswith(f"({address})")


def _agrees(proposal: Proposal, last: Decision | None, text: str | None) -> bool:
    """Whether a decision that was made elsewhere is what the pull request says, too."""
    if text is None:
        return last is not None and last.action is Action.REJECT
    if last is None or last.action not in APPROVING:
        return False
    return mark_of(offered_file(as_decided(proposal, last), 0)[1]) == mark_of(text)


def _told_otherwise(proposal: Proposal, last: Decision | None, text: str | None) -> str:
    wanted = "rejected" if text is None else "merged"
    by = f" by {last.who} on {last.at:%Y-%m-%d at %H:%M} UTC" if last else ""
    return (
        f"proposal {proposal.proposal_id}: is {wanted} here and {proposal.state.value} elsewhere{by};"
        " that stays, `python -m learning review undo` takes it back"
    )
