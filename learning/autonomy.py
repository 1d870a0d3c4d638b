"""What goes live without a person: which proposals may, how many a day, and taking all of it back at once.

Everything else is done by the review itself: an automatic decision is a `Decision` like any other, checked, audited
and published in the same way. It is told by its author, `policy:` and the level. `docs/autonomy.md` has the reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import MappingProxyType

from learning.current_answers import current_answers
from learning.errors import EvergreenError, ReviewError, SettingsError
from learning.fitting import hanging_on
from learning.loop import Loop
from learning.model import (
    LIVE,
    POLICY,
    TEACHING,
    Action,
    Answer,
    Decision,
    Proposal,
    ProposalKind,
    ProposalState,
    Release,
    Replay,
)
from learning.names import check_name
from learning.releasing import withdraw
from learning.review import effective
from learning.reviewing import review
from learning.topics import Topics

CONSERVATIVE = "conservative"
# A score must be over this; None is nothing at all.
LEVELS: Mapping[str, int | None] = MappingProxyType({CONSERVATIVE: None, "moderate": 90, "advanced": 80})
# Decisions of people before the score is trusted. With fewer it is mostly its prior; and even if all 30 were approved,
# up to 10 % of such proposals may be wrong (rule of three: 3 / 30, at 95 %).
MIN_DECISIONS = 30
READ = 300  # newest messages of the gap that are looked at: as many as a proposal is made from
JUDGING = frozenset({Action.APPROVE, Action.EDIT, Action.REJECT})
TAKEN_BACK = frozenset({ProposalState.REJECTED, ProposalState.WITHDRAWN})


@dataclass(frozen=True)
class Verdict:
    """Whether a waiting proposal may go live alone: it may if nothing stands in its way."""

    proposal_id: str
    label: str
    score: int
    obstacles: tuple[str, ...]

    @property
    def goes_live(self) -> bool:
        """Whether nothing stands in its way."""
        return not self.obstacles


@dataclass(frozen=True)
class AutonomyReport:
    """What may go live alone, and what did: `today` counts the automatic decisions of this day (UTC)."""

    level: str
    least_score: int | None
    today: int
    daily_limit: int
    decisions: int
    needed_decisions: int
    verdicts: tuple[Verdict, ...]
    releases: tuple[Release, ...] = ()


@dataclass(frozen=True)
class Swept:
    """An automatic release that was taken back, and what went with it; `waits` if its proposal waits for a person now.

    `problem` says why it could not be taken back, empty if it was.
    """

    proposal_id: str
    label: str
    at: datetime
    waits: bool
    also: tuple[str, ...] = ()
    was_trained: bool = False
    problem: str = ""


def autonomy_status(loop: Loop, topics: Topics | None = None) -> AutonomyReport:
    """Return what would go live alone now, and why everything else would not; nothing is changed.

    Raises:
        SettingsError: `autonomy` in learning.yml names a level or a topic that there is not.

    """
    least = least_score(loop)
    return _report(loop, least, _verdicts(loop, least, _topics(loop, least, topics)))


def decide_alone(loop: Loop, topics: Topics | None = None) -> AutonomyReport:
    """Publish what may go live without a person, the best score first, up to the day's limit.

    Each is read and judged once more just before it goes live, and what changes even after that is refused: others
    are at work meanwhile. A proposal that the review refuses is reported with the reason, and the others go on.

    Raises:
        SettingsError: `autonomy` in learning.yml names a level or a topic that there is not.

    """
    least = least_score(loop)
    topics = _topics(loop, least, topics)
    verdicts, releases = [], []
    for verdict in _verdicts(loop, least, topics):
        if verdict.goes_live:
            try:
                verdict, release = _decide_one(loop, verdict, least, topics)
            except EvergreenError as error:
                verdict = _stopped(verdict, str(error))
            else:
                releases += [release] if release else []
        verdicts.append(verdict)
    return _report(loop, least, verdicts, releases)


def _decide_one(
    loop: Loop, verdict: Verdict, least: int | None, topics: Topics | None
) -> tuple[Verdict, Release | None]:
    """Judge a proposal as it is now, and publish it if nothing stands in its way."""
    item = loop.store.proposal(verdict.proposal_id)
    if item.state is not ProposalState.PENDING:
        return _stopped(verdict, f"it is {item.state.value} by now"), None
    (verdict,) = _judged(loop, [item], least, topics)
    return verdict, review(loop, _decision(loop, item), judged=item) if verdict.goes_live else None


def sweep(loop: Loop, who: str, since: datetime | None = None, reason: str = "") -> list[Swept]:
    """Take back every automatic release (made at `since` or later); a second sweep finds nothing to do.

    Each is undone: its entry is withdrawn, its gap is open again, and its proposal waits for a person, since what was
    undone never goes live alone again. What is in the trained model by now, or has a successor that waits, is
    withdrawn instead.
    """
    check_name(who)
    reason = reason or "swept: automatic releases taken back"
    return [_take_back(loop, decision, who, reason) for decision in automatic(loop, since)]


def automatic(loop: Loop, since: datetime | None = None) -> list[Decision]:
    """Return the automatic decisions whose proposals are live, or on their way there after a crash."""
    going = {ProposalState.APPROVED, *LIVE}
    states = {item.proposal_id: item.state for item in loop.store.proposals()}
    decisions = effective(loop.store.decisions()).values()
    return [
        decision
        for decision in decisions
        if decision.who.startswith(POLICY)
        and states.get(decision.proposal_id) in going
        and (since is None or decision.at >= since)
    ]


def least_score(loop: Loop) -> int | None:
    """Return the score that a proposal must be over to go live alone, None where nothing does.

    Raises:
        SettingsError: the level is none of those that there are.

    """
    level = loop.settings.autonomy.level
    if level not in LEVELS:
        raise SettingsError(
            f"is {level!r}, which is no level", "learning.yml: autonomy: level", f"use one of {', '.join(LEVELS)}"
        )
    return LEVELS[level]


# --- what stands in the way -----------------------------------------------------------------------


def _topics(loop: Loop, least: int | None, topics: Topics | None) -> Topics | None:
    """Return the excluded topics; None where the level lets nothing go live, and nothing is read."""
    return None if least is None else topics or Topics(loop.settings.autonomy, loop.encoder)


def _verdicts(loop: Loop, least: int | None, topics: Topics | None) -> list[Verdict]:
    """Judge every proposal that waits, the best score first."""
    waiting = [item for item in loop.store.proposals() if item.state is ProposalState.PENDING]
    return _judged(loop, waiting, least, topics)


def _judged(loop: Loop, waiting: Sequence[Proposal], least: int | None, topics: Topics | None) -> list[Verdict]:
    """Judge proposals that wait by what people have decided until now, and by what has gone live today."""
    if least is None or topics is None:
        why = (f"the level is {CONSERVATIVE}: a person decides about everything",)
        return [Verdict(item.proposal_id, item.label, item.score, why) for item in waiting]
    overall = _overall(loop)
    refused = [item for item in loop.store.proposals() if item.state in TAKEN_BACK]
    handled = {one.proposal_id: one.action for one in loop.store.decisions() if not one.who.startswith(POLICY)}
    answers = cache(lambda: current_answers(loop))
    found = []
    for item in waiting:
        obstacles = (*overall, *_own_obstacles(loop, item, least), *_earlier(item, refused, handled))
        if not obstacles:  # the costly question comes last
            obstacles = _topic(loop, item, topics, answers)
        found.append(Verdict(item.proposal_id, item.label, item.score, obstacles))
    return found


def _overall(loop: Loop) -> tuple[str, ...]:
    """Return what keeps everything from going live."""
    found = []
    if (made := _people_decided(loop)) < MIN_DECISIONS:
        found.append(f"people have made {made} of {MIN_DECISIONS} decisions that the score is trusted from")
    if _today(loop) >= loop.settings.autonomy.daily_limit:
        found.append(_limit_reached(loop))
    return tuple(found)


def _own_obstacles(loop: Loop, item: Proposal, least: int) -> tuple[str, ...]:
    checks = {
        f"its score {item.score} is not over {least}": item.score <= least,
        f"a proposal to {item.kind.value} needs a person": item.kind not in TEACHING,
        f"it is assigned to {item.assignee}": item.assignee is not None,
        "it carries a warning": bool(item.warnings),
        "a language model wrote its answer": item.is_machine_written and not loop.settings.drafter.publish_unread,
    }
    return (*(why for why, holds in checks.items() if holds), *_replay_obstacles(item.replay))


def _replay_obstacles(replay: Replay | None) -> tuple[str, ...]:
    if replay is None:
        return ("it was not replayed",)
    checks = {
        f"its replay breaks {replay.broken} of {replay.successes}": replay.broken > 0,
        f"its replay fixes none of {replay.failures}": replay.fixed == 0,
        "there is no conversation that went well to replay it on": replay.successes == 0,
    }
    return tuple(why for why, holds in checks.items() if holds)


def _earlier(item: Proposal, refused: Sequence[Proposal], handled: Mapping[str, Action]) -> tuple[str, ...]:
    """Return what people did to it, or to another proposal for its gap or label: they took it into their hands.

    `handled` is what a person last decided about a proposal, by its id: also one who put it off has looked at it.
    """
    found = []
    if (action := handled.get(item.proposal_id)) is not None:
        taken_back = action is Action.UNDO
        found.append("it was taken back before" if taken_back else f"a person decided about it ({action.value})")
    for other in refused:
        if other.gap_id == item.gap_id or other.label == item.label:
            found.append(f"{other.proposal_id[:8]} was {other.state.value} for the same need")
            break
    return tuple(found)


def _topic(loop: Loop, item: Proposal, topics: Topics, answers: Callable[[], Mapping[str, Answer]]) -> tuple[str, ...]:
    turns = loop.store.turns_of_gap(item.gap_id, newest=READ)
    texts = [*item.examples, *(turn.text for turn in turns)]
    answer = item.answer
    if item.kind is ProposalKind.EXAMPLES:  # it teaches one more way to ask for what is answered already
        given = answers().get(item.label)
        answer = given.text if given else None
    excluded = topics.find(item.label, texts, answer)
    return (f"it is about an excluded topic: {excluded}",) if excluded else ()


# --- counting, deciding, taking back ----------------------------------------------------------------


def _people_decided(loop: Loop) -> int:
    decisions = effective(loop.store.decisions()).values()
    return sum(decision.action in JUDGING and not decision.who.startswith(POLICY) for decision in decisions)


def _today(loop: Loop) -> int:
    """Return how many automatic decisions this day (UTC) has, those that were undone included."""
    today = loop.now().date()
    return sum(
        decision.who.startswith(POLICY) and decision.action is Action.APPROVE and decision.at.date() == today
        for decision in loop.store.decisions()
    )


def _limit_reached(loop: Loop) -> str:
    return f"today's limit of {loop.settings.autonomy.daily_limit} automatic releases is reached"


def _stopped(verdict: Verdict, why: str) -> Verdict:
    return Verdict(verdict.proposal_id, verdict.label, verdict.score, (why,))


def _report(
    loop: Loop, least: int | None, verdicts: Sequence[Verdict], releases: Sequence[Release] = ()
) -> AutonomyReport:
    settings = loop.settings.autonomy
    return AutonomyReport(
        level=settings.level,
        least_score=least,
        today=_today(loop),
        daily_limit=settings.daily_limit,
        decisions=_people_decided(loop),
        needed_decisions=MIN_DECISIONS,
        verdicts=tuple(verdicts),
        releases=tuple(releases),
    )


def _decision(loop: Loop, item: Proposal) -> Decision:
    replay = item.replay
    if replay is None:
        raise ReviewError("was not replayed", f"proposal {item.proposal_id}", "decide about it yourself")
    reason = (
        f"score {item.score}, replay {replay.fixed} of {replay.failures} fixed,"
        f" {replay.broken} of {replay.successes} broken"
    )
    who = f"{POLICY}{loop.settings.autonomy.level}"
    return Decision(item.proposal_id, Action.APPROVE, who, loop.now(), reason=reason)


def _take_back(loop: Loop, decision: Decision, who: str, reason: str) -> Swept:
    before = loop.store.entries(*LIVE)
    proposal = loop.store.proposal(decision.proposal_id)
    own = next((entry for entry in before if entry.proposal_id == decision.proposal_id), None)
    hanging = tuple(other.label for other in hanging_on(loop, own, before)) if own else ()
    trained = own is not None and own.state is ProposalState.ABSORBED
    problem, waits = "", False
    try:
        if trained and own:
            withdraw(loop, own.entry_id, who, reason)
        elif proposal.state in (ProposalState.APPROVED, ProposalState.PUBLISHED):
            waits = _undo_or_withdraw(loop, proposal, own.entry_id if own else None, who, reason)
    except EvergreenError as error:
        problem = str(error)
    return Swept(decision.proposal_id, proposal.label, decision.at, waits, hanging, trained, problem)


def _undo_or_withdraw(loop: Loop, proposal: Proposal, entry: str | None, who: str, reason: str) -> bool:
    """Take a release back; return whether its proposal waits again, which it cannot beside another for its gap."""
    try:
        review(loop, Decision(proposal.proposal_id, Action.UNDO, who, loop.now(), reason=reason))
    except ReviewError:
        if entry is None:
            raise
        withdraw(loop, entry, who, reason)
        return False
    return True
