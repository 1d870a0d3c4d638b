"""Proposals as pull requests on a host in memory: opened once, kept up, read back as decisions, conflicts shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from learning.entry_files import mark_of, offered_file
from learning.errors import HostError, PullRefused, SettingsError
from learning.loop import Loop
from learning.model import Action, Decision, Proposal, ProposalKind, ProposalState, PullRequest
from learning.pipeline import learned_files, mine, review
from learning.pull_requests import open_pulls, sync, try_sync
from learning.pull_upkeep import SyncReport
from tests.forge import BASE, FakePulls, Forge
from tests.learning_builders import START, TrackerFile, gap, make_loop, make_project, proposal, save_members, talk

S = ProposalState


@pytest.fixture
def forge() -> Forge:
    return Forge()


@pytest.fixture
def tracker(tmp_path: Path) -> TrackerFile:
    return TrackerFile(make_project(tmp_path) / "var" / "tracker.db")


@pytest.fixture
def loop(tracker: TrackerFile, tmp_path: Path, forge: Forge) -> Loop:
    """Ten people asked for loyalty points: one new question is proposed."""
    talk(tracker)
    loop = make_loop(tmp_path, pulls=FakePulls(forge))
    mine(loop)
    return loop


def only(loop: Loop) -> Proposal:
    (found,) = loop.store.proposals()
    return found


def pull_of(loop: Loop) -> PullRequest:
    return loop.store.pull_requests()[-1]


def opened(loop: Loop) -> tuple[str, str]:
    """The branch and the file of a pull request that is open now."""
    sync(loop)
    pull = pull_of(loop)
    return pull.branch, next(iter(pull.files))


def decisions(loop: Loop) -> list[Decision]:
    return loop.store.decisions()


def decide(loop: Loop, action: Action, who: str = "ann", **more: Any) -> None:
    review(loop, Decision(only(loop).proposal_id, action, who, loop.now(), reason="because", **more))


def test_what_waits_is_opened_once_with_its_file_and_its_evidence(loop: Loop, forge: Forge) -> None:
    report = sync(loop)
    (pull,) = report.opened
    waits = only(loop)

    assert pull.branch == f"evergreen/gap-{waits.gap_id}"
    assert pull.proposals == dict.fromkeys(pull.files, waits.proposal_id)
    (text,) = forge.files(pull.branch).values()
    assert yaml.safe_load(text)["nlu"][0]["intent"] == waits.label
    body = forge.pulls[0].body
    for said in (
        f"score: {waits.score} of 100",
        f"{waits.people} people",
        "replay",
        "loyalty points expire",
        "how to decide",
    ):
        assert said in body.lower()
    calls = list(forge.calls)

    assert sync(loop) == SyncReport()
    assert forge.calls == calls


def test_nothing_waits_nothing_happens(tmp_path: Path, forge: Forge) -> None:
    loop = make_loop(make_project(tmp_path), pulls=FakePulls(forge))

    assert sync(loop) == SyncReport()
    assert forge.calls == []


def test_without_a_host_it_says_which_setting(tmp_path: Path) -> None:
    loop = make_loop(make_project(tmp_path))
    assert try_sync(loop) is None
    with pytest.raises(SettingsError, match="pull_requests: host: names no host"):
        sync(loop)


def test_merged_as_it_is_approves_and_is_live(loop: Loop, forge: Forge) -> None:
    branch, name = opened(loop)
    forge.merge(branch, "rita")
    report = sync(loop)

    (decision,) = decisions(loop)
    assert (decision.action, decision.who, decision.proposal_id) == (
        Action.APPROVE,
        "fake:rita",
        only(loop).proposal_id,
    )
    assert only(loop).state is S.PUBLISHED
    assert [release.who for release in report.releases] == ["fake:rita"]
    assert learned_files(loop) == {name: forge.files(BASE)[name]}
    assert pull_of(loop).state == "merged"
    assert loop.store.verify_audit() == []
    assert sync(loop) == SyncReport()
    assert len(decisions(loop)) == 1


def test_changed_lines_are_an_edit(loop: Loop, forge: Forge) -> None:
    branch, name = opened(loop)
    content = yaml.safe_load(forge.files(branch)[name])
    label = content["nlu"][0]["intent"]
    content["nlu"][0]["examples"] = "- one way to ask\n- loyalty points expire\n"
    content["responses"][f"utter_{label}"][0]["text"] = "They never expire."
    forge.edit(branch, name, yaml.safe_dump(content))
    forge.merge(branch)
    sync(loop)

    (decision,) = decisions(loop)
    assert decision.action is Action.EDIT
    assert decision.examples == ("one way to ask", "loyalty points expire")
    assert (decision.answer, decision.label) == ("They never expire.", None)
    (entry,) = loop.store.entries(S.PUBLISHED)
    assert (entry.examples, entry.answer) == (decision.examples, decision.answer)


def test_a_renamed_question_is_an_edit_of_its_name(loop: Loop, forge: Forge) -> None:
    branch, name = opened(loop)
    text = forge.files(branch)[name].replace(only(loop).label, "learned/points")
    forge.edit(branch, name, text)
    forge.merge(branch)
    sync(loop)

    assert decisions(loop)[0].label == "learned/points"
    assert loop.store.entries(S.PUBLISHED)[0].label == "learned/points"


def test_named_like_an_answered_question_adds_examples_to_that(loop: Loop, forge: Forge) -> None:
    branch, name = opened(loop)
    content = yaml.safe_load(forge.files(branch)[name])
    content["nlu"][0]["intent"] = "track_order"
    del content["responses"]
    forge.edit(branch, name, yaml.safe_dump(content))
    forge.merge(branch)
    sync(loop)

    (entry,) = loop.store.entries(S.PUBLISHED)
    assert (entry.kind, entry.label, entry.answer) == (ProposalKind.EXAMPLES, "track_order", None)


def test_another_layout_of_the_file_is_no_edit(loop: Loop, forge: Forge) -> None:
    branch, name = opened(loop)
    forge.edit(branch, name, yaml.safe_dump(yaml.safe_load(forge.files(branch)[name])))
    forge.merge(branch)
    sync(loop)

    assert decisions(loop)[0].action is Action.APPROVE


def test_a_removed_file_is_a_rejection(loop: Loop, forge: Forge) -> None:
    branch, name = opened(loop)
    forge.edit(branch, name, None)
    forge.merge(branch)
    sync(loop)

    (decision,) = decisions(loop)
    assert (decision.action, only(loop).state) == (Action.REJECT, S.REJECTED)
    assert "the file was removed" in decision.reason
    assert sync(loop) == SyncReport()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ((), "closed in the pull request"),
        ((("tom", "first", True), ("rita", "not ours\nto answer", True), ("x", "spam", False)), "not ours to answer"),
        ((("evergreen", "- `told` <!-- evergreen:1 -->", True),), "closed in the pull request"),
    ],
)
def test_closed_is_a_rejection_with_the_last_comment(loop: Loop, forge: Forge, said: Any, reason: str) -> None:
    branch, _ = opened(loop)
    for comment in said:
        forge.say(branch, *comment)
    forge.close_it(branch)
    sync(loop)

    (decision,) = decisions(loop)
    assert (decision.action, decision.who) == (Action.REJECT, "fake:rita")
    assert decision.reason.startswith(f"{reason} (")
    assert pull_of(loop).state == "closed"
    assert sync(loop) == SyncReport()


def test_the_label_defer_puts_off_once_and_comes_off_when_it_is_due(loop: Loop, forge: Forge) -> None:
    branch, _ = opened(loop)
    forge.label(branch, "defer", "tom")
    sync(loop)
    sync(loop)

    (decision,) = decisions(loop)
    waits = only(loop)
    assert (decision.who, waits.state, waits.deferred_turns) == ("fake:tom", S.DEFERRED, 2 * waits.turns)
    due = replace(waits, state=S.PENDING, deferred_turns=None)
    loop.store.reopen_deferred(waits, due, loop.now())
    sync(loop)
    assert forge.pulls[0].labels == []
    assert "waits again" in forge.pulls[0].comments[-1][1]
    assert len(decisions(loop)) == 1

    forge.merge(branch)
    sync(loop)
    assert only(loop).state is S.PUBLISHED


# --- decided elsewhere ------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [Action.APPROVE, Action.REJECT])
def test_decided_in_the_hub_the_pull_request_is_closed_with_a_comment(loop: Loop, forge: Forge, action: Action) -> None:
    branch, _ = opened(loop)
    decide(loop, action)
    report = sync(loop)

    assert report.finished == [pull_of(loop).pull_id]
    assert (forge.pulls[0].state, pull_of(loop).state) == ("closed", "closed")
    ((_, text, _),) = forge.pulls[0].comments
    assert "ann" in text
    assert only(loop).state.value in text
    assert branch not in forge.branches
    assert sync(loop) == SyncReport()
    assert len(decisions(loop)) == 1


def test_decided_both_ways_alike_is_no_conflict(loop: Loop, forge: Forge) -> None:
    branch, _ = opened(loop)
    decide(loop, Action.APPROVE)
    forge.merge(branch)
    sync(loop)

    assert (pull_of(loop).state, pull_of(loop).conflicts) == ("merged", ())
    assert [decision.who for decision in decisions(loop)] == ["ann"]


@pytest.mark.parametrize(("action", "then"), [(Action.REJECT, Forge.merge), (Action.APPROVE, Forge.close_it)])
def test_decided_differently_is_a_conflict_that_is_shown_once(
    loop: Loop, forge: Forge, action: Action, then: Callable[[Forge, str], None]
) -> None:
    branch, _ = opened(loop)
    decide(loop, action)
    state = only(loop).state
    then(forge, branch)
    report = sync(loop)

    (conflict,) = pull_of(loop).conflicts
    assert "ann" in conflict
    assert report.conflicts == {pull_of(loop).pull_id: (conflict,)}
    assert only(loop).state is state
    assert len(decisions(loop)) == 1
    assert len(forge.pulls[0].comments) == 1
    sync(loop)
    assert len(forge.pulls[0].comments) == 1


def test_worked_on_here_and_decided_elsewhere_stays_open_as_a_conflict(loop: Loop, forge: Forge) -> None:
    branch, name = opened(loop)
    edited = forge.files(branch)[name].replace("expire", "vanish")
    forge.edit(branch, name, edited)
    decide(loop, Action.APPROVE)
    sync(loop)
    sync(loop)

    assert forge.pulls[0].state == "open"
    assert forge.files(branch)[name] == edited
    assert "was changed here" in pull_of(loop).conflicts[0]
    assert len(forge.pulls[0].comments) == 1


# --- mined anew -------------------------------------------------------------------------------------------


def mined_anew(loop: Loop, **changes: Any) -> Proposal:
    changed = replace(only(loop), **changes)
    loop.store.save_proposals([changed], loop.now())
    return changed


def test_a_proposal_that_changes_changes_its_pull_request(loop: Loop, forge: Forge) -> None:
    branch, _ = opened(loop)
    changed = mined_anew(loop, examples=("something new", *only(loop).examples), turns=77)
    report = sync(loop)

    assert report.updated == [pull_of(loop).pull_id]
    (text,) = forge.files(branch).values()
    assert "something new" in text
    assert "something new" in forge.pulls[0].body
    assert sync(loop) == SyncReport()
    forge.merge(branch)
    sync(loop)
    assert loop.store.entries(S.PUBLISHED)[0].examples == changed.examples


def test_a_proposal_that_gets_another_name_moves_its_file(loop: Loop, forge: Forge) -> None:
    branch, name = opened(loop)
    mined_anew(loop, label="learned/other")
    sync(loop)

    (new,) = forge.files(branch)
    assert new != name
    assert list(pull_of(loop).files) == [new]
    forge.merge(branch)
    sync(loop)
    assert loop.store.entries(S.PUBLISHED)[0].label == "learned/other"


def test_changed_here_and_mined_anew_is_a_conflict_and_nothing_is_overwritten(loop: Loop, forge: Forge) -> None:
    branch, name = opened(loop)
    edited = forge.files(branch)[name].replace("expire", "vanish")
    forge.edit(branch, name, edited)
    mined_anew(loop, examples=("something new",))
    sync(loop)

    assert forge.files(branch)[name] == edited
    assert "mined anew" in pull_of(loop).conflicts[0]


def test_merged_after_it_was_mined_anew_is_a_conflict(loop: Loop, forge: Forge) -> None:
    branch, _ = opened(loop)
    mined_anew(loop, examples=("something that nobody read",))
    forge.merge(branch)
    sync(loop)

    assert "has changed since it was offered" in pull_of(loop).conflicts[0]
    assert (only(loop).state, decisions(loop), loop.store.entries()) == (S.PENDING, [], [])
    assert sync(loop).opened == []  # until somebody has looked at it


def test_a_new_round_after_an_undo_waits_until_the_base_is_without_it(loop: Loop, forge: Forge) -> None:
    branch, name = opened(loop)
    forge.merge(branch)
    sync(loop)
    decide(loop, Action.UNDO)
    assert sync(loop) == SyncReport()

    forge.edit(BASE, name, None)
    (again,) = sync(loop).opened
    assert again.branch == f"{branch}-2"
    forge.close_it(again.branch)
    sync(loop)
    assert only(loop).state is S.REJECTED


# --- files that say too little, or too much -----------------------------------------------------------------

GOOD = 'nlu:\n- intent: learned/x\n  examples: |\n    - a\nresponses:\n  utter_learned/x:\n  - text: "b"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nlu: [", "is not valid YAML"),
        ("- a\n", "is no mapping"),
        (GOOD.replace("responses", "stories"), "holds more than one entry"),
        (GOOD.replace("utter_learned/x", "utter_learned/y"), "does not hold one response"),
        (GOOD.replace('text: "b"', 'text: "b"\n    image: x'), "is not one text"),
        (GOOD.replace('"b"', '""'), "has no answer yet"),
        (GOOD.replace("    - a\n", ""), "has no examples"),
        (GOOD.replace("- a", "- [a](city)"), "brackets"),
        (GOOD.replace("- a", "a"), "begin with a dash"),
        (GOOD.replace("  examples: |\n    - a\n", '  examples: ""\n'), "no examples"),
        (GOOD.partition("responses")[0], "of the kind examples"),
        (GOOD.replace("learned/x", "other/x"), "has the name 'other/x'"),
        ("learned_change:\n  kind: retire\n  label: track_order\n  release: 1\n", "of the kind retire"),
    ],
)
def test_a_file_that_lost_what_its_kind_needs_is_a_conflict(loop: Loop, forge: Forge, text: str, said: str) -> None:
    branch, name = opened(loop)
    forge.edit(branch, name, text)
    forge.merge(branch)
    sync(loop)

    assert said in pull_of(loop).conflicts[0]
    assert (only(loop).state, decisions(loop)) == (S.PENDING, [])


def test_a_question_without_an_answer_can_get_one_in_its_file(loop: Loop, forge: Forge) -> None:
    mined_anew(loop, answer=None)
    branch, name = opened(loop)
    assert "There is no answer yet" in forge.pulls[0].body
    forge.edit(branch, name, forge.files(branch)[name].replace('text: ""', 'text: "Ask us."'))
    forge.merge(branch)
    sync(loop)

    assert loop.store.entries(S.PUBLISHED)[0].answer == "Ask us."


KINDS = [
    proposal(1, kind=ProposalKind.EXAMPLES, label="track_order", answer=None),
    proposal(2, kind=ProposalKind.REWORD, label="greet", target="utter_greet", answer="Hi: 'there'"),
    proposal(3, kind=ProposalKind.MERGE, label="greet", target="track_order", answer=None),
    proposal(4, kind=ProposalKind.RETIRE, label="greet", answer=None),
    proposal(5),
]


@pytest.mark.parametrize("one", KINDS, ids=[item.kind.value for item in KINDS])
def test_every_kind_has_a_file_that_says_what_it_is(one: Proposal) -> None:
    from learning.entry_files import read_learned

    name, text = offered_file(one, 7)
    file = read_learned(text)

    assert name.endswith(f"-{one.proposal_id}.yml")
    assert (file.kind, file.label, file.target) == (one.kind, one.label, one.target)
    assert mark_of(text) == mark_of(offered_file(one, 8)[1])
    if one.kind in (ProposalKind.EXAMPLES, ProposalKind.ANSWER):
        assert file.examples == one.examples


def with_proposal(loop: Loop, forge: Forge, one: Proposal) -> tuple[str, str]:
    save_members(loop.store, [gap(one.gap_id)], {})
    loop.store.save_proposals([one], START)
    sync(loop)
    pull = next(pull for pull in loop.store.pull_requests() if one.proposal_id in pull.proposals.values())
    return pull.branch, next(iter(pull.files))


@pytest.mark.parametrize("swap", [False, True])
def test_a_merge_of_labels_can_be_turned_around_in_its_file(loop: Loop, forge: Forge, swap: bool) -> None:
    branch, name = with_proposal(loop, forge, KINDS[2])
    if swap:
        text = forge.files(branch)[name]
        forge.edit(
            branch,
            name,
            text.replace('"greet"', '"x"').replace('"track_order"', '"greet"').replace('"x"', '"track_order"'),
        )
    forge.merge(branch)
    sync(loop)

    (entry,) = loop.store.entries(S.PUBLISHED)
    assert (entry.label, entry.target) == (("track_order", "greet") if swap else ("greet", "track_order"))


# --- one for all, crashes, failures -----------------------------------------------------------------------


def test_one_pull_request_for_all_that_wait(loop: Loop, forge: Forge) -> None:
    settings = replace(loop.settings, pull_requests=replace(loop.settings.pull_requests, per="batch"))
    loop = replace(loop, settings=settings)
    (batch,) = sync(loop).opened
    assert batch.branch == "evergreen/batch-1"
    with_proposal(loop, forge, KINDS[0])

    assert len(forge.pulls) == 1
    assert len(forge.files(batch.branch)) == 2
    assert sync(loop) == SyncReport()
    names = {proposal_id: name for name, proposal_id in pull_of(loop).proposals.items()}
    forge.edit(batch.branch, names[KINDS[0].proposal_id], None)
    forge.merge(batch.branch)
    sync(loop)
    states = {item.proposal_id: item.state for item in loop.store.proposals()}
    assert states.pop(KINDS[0].proposal_id) is S.REJECTED
    assert list(states.values()) == [S.PUBLISHED]

    with_proposal(loop, forge, KINDS[4])
    assert {pull.branch for pull in loop.store.pull_requests("open")} == {"evergreen/batch-2"}


def test_what_is_decided_elsewhere_leaves_the_batch(loop: Loop, forge: Forge) -> None:
    settings = replace(loop.settings, pull_requests=replace(loop.settings.pull_requests, per="batch"))
    loop = replace(loop, settings=settings)
    with_proposal(loop, forge, KINDS[0])
    review(loop, Decision(KINDS[0].proposal_id, Action.REJECT, "ann", loop.now(), reason="no"))
    sync(loop)

    assert len(forge.files("evergreen/batch-1")) == 1
    assert KINDS[0].proposal_id not in pull_of(loop).proposals.values()


class Crash(BaseException):
    pass


def crash_at(number: int) -> Callable[[str], None]:
    """Fail at one of the calls that change something: half of the time the host has done it."""
    calls = iter(range(10_000))

    def fail(call: str) -> None:
        if next(calls) == number:
            raise Crash(call)

    return fail


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("after", [False, True])
def test_killed_anywhere_it_goes_on_and_nothing_is_done_twice(
    loop: Loop, forge: Forge, monkeypatch: pytest.MonkeyPatch, number: int, after: bool
) -> None:
    host = loop.pulls
    assert isinstance(host, FakePulls)
    saves = crash_at(number)
    if after:  # between the host and the database
        real = type(loop.store).save_pull_request

        def save(store: Any, *arguments: Any) -> None:
            saves("save")
            real(store, *arguments)

        monkeypatch.setattr(type(loop.store), "save_pull_request", save)
    else:
        host.fails = saves

    def until_quiet() -> None:
        for _ in range(4):
            try:
                sync(loop)
            except Crash:
                continue

    until_quiet()
    assert [pull.state for pull in forge.pulls] == ["open"]
    branch = forge.pulls[0].branch
    mined_anew(loop, examples=("something new", *only(loop).examples))
    until_quiet()
    forge.label(branch, "defer")
    until_quiet()
    decide(loop, Action.APPROVE)
    until_quiet()

    assert [(pull.state, pull.branch) for pull in forge.pulls] == [("closed", branch)]
    assert [pull.state for pull in loop.store.pull_requests()] == ["closed"]
    assert [pull.conflicts for pull in loop.store.pull_requests()] == [()]
    assert len([text for _, text, _ in forge.pulls[0].comments if "decided elsewhere" in text]) == 1
    assert [decision.action for decision in decisions(loop)] == [Action.DEFER, Action.APPROVE]
    assert loop.store.verify_audit() == []


def test_killed_between_the_decision_and_the_note_it_decides_once(
    loop: Loop, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    branch, _ = opened(loop)
    forge.merge(branch)

    def fail(*arguments: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(type(loop.store), "save_pull_request", fail)
        with pytest.raises(Crash):
            sync(loop)
    decide(loop, Action.UNDO)
    sync(loop)

    assert [decision.action for decision in decisions(loop)] == [Action.APPROVE, Action.UNDO]
    assert only(loop).state is S.PENDING


def test_one_refusal_does_not_stop_the_others_and_a_dead_host_is_logged(
    loop: Loop, forge: Forge, caplog: pytest.LogCaptureFixture
) -> None:
    with_proposal(loop, forge, KINDS[0])
    host = loop.pulls
    assert isinstance(host, FakePulls)
    first, second = loop.store.pull_requests()
    real, look = host.look, {first.pull_id: PullRefused("is gone", "pull 1", "look")}

    def refusing(pull: PullRequest) -> Any:
        if pull.pull_id in look:
            raise look[pull.pull_id]
        return real(pull)

    host.look = refusing  # type: ignore[method-assign]
    forge.close_it(second.branch)
    report = sync(loop)
    assert (len(report.problems), len(report.decided)) == (1, 1)

    look[first.pull_id] = HostError("did not answer", "host", "wait")  # type: ignore[assignment]
    assert try_sync(loop) is None
    assert "did not answer" in caplog.text
    assert "loyalty" not in caplog.text


def test_what_somebody_forgotten_said_goes_from_an_open_pull_request(loop: Loop, forge: Forge) -> None:
    branch, _ = opened(loop)
    kept = tuple(text for text in only(loop).examples if text != "loyalty points expire")
    mined_anew(loop, examples=kept)  # as erasure leaves it
    sync(loop)

    assert "loyalty points expire" not in "".join(forge.files(branch).values())
    stored = loop.store.pull_requests()
    assert "loyalty" not in str([pull.files.values() for pull in stored])


def test_reading_later_does_not_matter(loop: Loop, forge: Forge) -> None:
    open_pulls(loop)
    loop.now.now += timedelta(days=3)  # type: ignore[attr-defined]
    forge.merge(pull_of(loop).branch)

    assert len(sync(loop).releases) == 1


def test_one_that_cannot_be_read_does_not_stop_the_others(loop: Loop, forge: Forge) -> None:
    opened(loop)
    found, host = pull_of(loop), loop.pulls
    assert isinstance(host, FakePulls)
    host.look = lambda pull: {}["x"]  # type: ignore[method-assign,assignment]
    report = sync(loop)

    assert report.conflicts[found.pull_id][0].startswith("could not be read (KeyError)")
    assert decisions(loop) == []


@pytest.mark.parametrize("line", ["version: 2024-13-45", "version: !!int x", "nlu: []", "more: &a [x]"])
def test_a_poisoned_file_is_a_conflict(loop: Loop, forge: Forge, line: str) -> None:
    branch, name = opened(loop)
    text = forge.files(branch)[name]
    forge.edit(branch, name, f"{line}\n{text.replace('version:', '# ')}")
    forge.merge(branch)
    sync(loop)

    # What a version says makes no difference; all else is told.
    assert bool(pull_of(loop).conflicts) is not line.startswith("version")
    assert (decisions(loop) == []) is not line.startswith("version")


def test_a_renamed_file_is_not_a_removed_one(loop: Loop, forge: Forge) -> None:
    branch, name = opened(loop)
    text = forge.files(branch)[name]
    forge.edit(branch, name, None)
    forge.edit(branch, name.replace("entry-", "entry-better-"), text)
    forge.merge(branch)
    sync(loop)

    assert [item.action for item in decisions(loop)] == [Action.APPROVE]


def test_merged_while_it_was_to_be_closed_it_is_read(loop: Loop, forge: Forge) -> None:
    branch, _ = opened(loop)
    decide(loop, Action.REJECT)
    loop.store.save_pull_request(replace(pull_of(loop), state="closing"), "pulls", loop.now())
    forge.merge(branch)
    sync(loop)

    assert pull_of(loop).state == "merged"
    assert "is merged here and rejected elsewhere" in pull_of(loop).conflicts[0]


def test_two_readers_at_once_decide_once_and_say_nothing(
    loop: Loop, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    branch, _ = opened(loop)
    forge.merge(branch)
    raced: list[int] = []

    def racing(here: Loop, decision: Decision) -> Any:
        if not raced:
            raced.append(1)
            sync(here)  # another process does all of it in between
        return review(here, decision)

    monkeypatch.setattr("learning.pull_reading.review", racing)
    sync(loop)

    assert len(decisions(loop)) == 1
    assert pull_of(loop).conflicts == ()
    assert forge.pulls[0].comments == []
