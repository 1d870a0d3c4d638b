"""Whatever waits, and however often the policy runs and is swept: only what it may publish is ever live alone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from learning.autonomy import MIN_DECISIONS, automatic, decide_alone, sweep
from learning.model import POLICY, Action, Decision, Proposal, ProposalKind, ProposalState, Replay
from learning.pipeline import review
from learning.settings import AutonomySettings
from learning.topic_words import WordList, read
from learning.topics import Topics
from tests.learning_builders import START, Clock, FakeEncoder, make_loop, make_project, proposal

S = ProposalState
PROPOSALS = st.lists(
    st.builds(
        dict,
        score=st.integers(70, 100),
        kind=st.sampled_from([ProposalKind.ANSWER, ProposalKind.REWORD, ProposalKind.RETIRE]),
        assignee=st.sampled_from([None, None, "bob"]),
        warnings=st.sampled_from([(), (), ("odd",)]),
        drafter=st.sampled_from(["extractive", "machine:m"]),
        replay=st.builds(
            Replay,
            failures=st.just(5),
            fixed=st.integers(0, 5),
            successes=st.sampled_from([0, 9, 9]),
            broken=st.sampled_from([0, 0, 1]),
        )
        | st.none(),
    ),
    min_size=1,
    max_size=6,
)
STEPS = st.lists(st.sampled_from(["run", "sweep", "tomorrow", "reject", "undo"]), min_size=1, max_size=6)
LEVELS = [("conservative", 1000), ("moderate", 90), ("advanced", 80)]
WORDS = WordList(["refund*", "lawyer*", "password*", "doctor*", "complain*"])


def may_go_alone(item: Proposal, least: int) -> bool:
    replayed = item.replay
    return (
        item.score > least
        and item.kind is ProposalKind.ANSWER
        and item.assignee is None
        and not item.warnings
        and item.drafter == "extractive"
        and replayed is not None
        and replayed.fixed > 0
        and replayed.broken == 0
        and replayed.successes > 0
    )


@given(
    PROPOSALS, STEPS, st.sampled_from([("conservative", 1000), ("moderate", 90), ("advanced", 80)]), st.integers(0, 3)
)
@settings(max_examples=25, deadline=None)
def test_only_what_may_go_live_alone_does_and_never_more_than_a_days_limit(
    contents: Sequence[dict[str, object]], steps: Sequence[str], level: tuple[str, int], limit: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        loop = make_loop(make_project(Path(folder)), now=clock)
        autonomy = replace(AutonomySettings(), level=level[0], daily_limit=limit, excluded=())
        loop = replace(loop, settings=replace(loop.settings, autonomy=autonomy))
        topics = Topics(autonomy, FakeEncoder())
        items = [proposal(number, **content) for number, content in enumerate(contents)]
        by_hand = [proposal(100 + number) for number in range(MIN_DECISIONS)]
        loop.store.save_proposals([*items, *by_hand], START)
        for item in by_hand:
            review(loop, Decision(item.proposal_id, Action.REJECT, "ann", START, reason="no"))
        swept: set[str] = set()
        for step in steps:
            if step == "run":
                decide_alone(loop, topics)
            elif step == "sweep":
                swept |= {one.proposal_id for one in sweep(loop, "ann")}
                assert automatic(loop) == []
            elif step == "tomorrow":
                clock.now += timedelta(days=1)
            elif step == "reject" and loop.store.proposal(items[0].proposal_id).state is S.PENDING:
                review(loop, Decision(items[0].proposal_id, Action.REJECT, "ann", clock.now, reason="no"))
            elif step == "undo" and loop.store.proposal(items[0].proposal_id).state is S.REJECTED:
                review(loop, Decision(items[0].proposal_id, Action.UNDO, "ann", clock.now))

            live = {entry.proposal_id for entry in loop.store.entries(S.PUBLISHED)}
            allowed = {item.proposal_id for item in items if may_go_alone(item, level[1])}
            days = [one.at.date() for one in loop.store.decisions() if one.who.startswith(POLICY)]
            assert live <= allowed
            assert live.isdisjoint(swept)
            assert all(days.count(day) <= limit for day in days)


@given(
    st.sampled_from(["refund", "lawyer", "password", "doctor", "complaint"]),
    st.sampled_from(["", ".", "-", " ", "\u200b", "_", "·"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["{}", "where is my {} now", "{} please", "about the {}"]),
)
def test_a_listed_word_is_found_however_its_letters_are_set_apart(
    word: str, between: str, upper: bool, wide: bool, sentence: str
) -> None:
    written = between.join(word.upper() if upper else word)
    if wide:
        written = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in written)

    assert WORDS.find(read(sentence.format(written))) is not None


@given(st.text(max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    WORDS.find(read(text, {"der", "die"}))
