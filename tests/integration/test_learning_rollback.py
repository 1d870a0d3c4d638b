"""Withdrawing, restoring and rolling back; models that come and go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from learning.adapters import schema
from learning.errors import BotServerError, NotFound, ReviewError, StoreError, TrainingError
from learning.fitting import read_labels
from learning.model import LIVE, Action, Change, Entry, ProposalState, ReleaseKind, ServerState
from learning.release_view import read_release, read_releases
from learning.releasing import (
    plan_restore,
    plan_roll_back_to,
    plan_rollback,
    restore,
    roll_back_to,
    rollback,
    withdraw,
)
from learning.retrain import retrain
from learning.running_model import reconcile, roll_back_model
from tests.learning_builders import FakeNlu, proposal
from tests.release_world import PROPOSALS, World, behaviour

S = ProposalState
ANSWER, OTHER, MORE, WORDING, MERGE, RETIRE, NEWER = 0, 1, 3, 4, 5, 6, 7


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def approve(world: World, *numbers: int, share: int = 100) -> None:
    for number in numbers:
        assert world.attempt(lambda number=number: world.decide(number, Action.APPROVE, share), None)  # type: ignore[misc]


def entry_of(world: World, number: int, *states: ProposalState) -> Entry:
    (found,) = [one for one in world.store.entries(*states) if one.proposal_id == PROPOSALS[number].proposal_id]
    return found


def live(world: World) -> list[str]:
    return [entry.proposal_id for entry in world.store.entries(*LIVE)]


def ids(*numbers: int) -> list[str]:
    return [PROPOSALS[number].proposal_id for number in numbers]


# --- withdraw and restore -----------------------------------------------------------------------------


def test_what_hangs_on_an_answer_goes_and_comes_back_with_it_in_one_release(world: World) -> None:
    approve(world, ANSWER, OTHER, MORE, WORDING, MERGE)
    before = behaviour(world.store.entries())
    withdraw(world.loop, entry_of(world, ANSWER).entry_id[:8], "ann", "wrong")

    assert live(world) == ids(OTHER)
    (newest, *_) = world.store.releases()
    assert (newest.what, len(newest.changes), newest.reason) == (ReleaseKind.WITHDRAW, 4, "wrong")
    release = restore(world.loop, entry_of(world, ANSWER).entry_id, "bob", "right")

    assert (release.what, release.who, len(release.changes)) == (ReleaseKind.RESTORE, "bob", 4)
    assert behaviour(world.store.entries()) == before
    rows = [row for row in world.store.audit_rows() if row.what == "restore"]
    assert {(row.before, row.after, row.reason) for row in rows} == {("withdrawn", "published", "release 7: right")}
    assert all(row.evidence_hash for row in rows)


def test_an_entry_comes_back_to_the_users_that_had_it(world: World) -> None:
    approve(world, OTHER, share=25)
    withdraw(world.loop, entry_of(world, OTHER).entry_id, "ann", "wrong")
    assert entry_of(world, OTHER).live_share == 0
    restore(world.loop, entry_of(world, OTHER).entry_id, "ann")

    assert entry_of(world, OTHER, *LIVE).live_share == 25


def test_what_does_not_fit_any_more_is_not_restored(world: World) -> None:
    approve(world, ANSWER, MORE)
    more = entry_of(world, MORE).entry_id
    withdraw(world.loop, entry_of(world, ANSWER).entry_id, "ann", "wrong")

    with pytest.raises(ReviewError, match=r"cannot come back: .* does not know any more"):
        restore(world.loop, more, "ann")
    same_name = proposal(99, label=PROPOSALS[ANSWER].label)
    world.store.save_proposals([same_name], world.clock.now)
    PROPOSALS.append(same_name)
    try:
        approve(world, len(PROPOSALS) - 1)
    finally:
        PROPOSALS.pop()
    with pytest.raises(ReviewError, match=r"has the name learned/question_1, which another answer has"):
        restore(world.loop, entry_of(world, ANSWER).entry_id, "ann")


def test_what_was_undone_is_not_restored_but_approved_again(world: World) -> None:
    approve(world, OTHER)
    world.attempt(lambda: world.decide(OTHER, Action.UNDO), None)

    with pytest.raises(StoreError, match="is pending by now, so that nobody stands behind the entry"):
        restore(world.loop, entry_of(world, OTHER).entry_id, "ann")
    assert live(world) == []


@pytest.mark.parametrize("prefix", ["", "zz", "0000"])
def test_an_id_that_names_no_withdrawn_entry_is_refused(world: World, prefix: str) -> None:
    approve(world, OTHER)

    with pytest.raises(NotFound, match="fits 0 withdrawn entries"):
        plan_restore(world.loop, prefix)


# --- rollback -------------------------------------------------------------------------------------------


def test_a_release_is_taken_back_once_and_exactly(world: World) -> None:
    approve(world, ANSWER, OTHER)
    assert plan_rollback(world.loop, 1).changes == (Change(entry_of(world, ANSWER).entry_id, 100, 0),)
    release = rollback(world.loop, 1, "bob", "wrong")

    assert (release.number, release.undoes, live(world)) == (3, 1, ids(OTHER))
    with pytest.raises(ReviewError, match="was taken back by release 3"):
        rollback(world.loop, 1, "bob")
    rollback(world.loop, 3, "bob")
    assert live(world) == ids(ANSWER, OTHER)
    views = {view.release.number: view for view in read_releases(world.loop)}
    assert (views[1].taken_back_by, views[3].taken_back_by) == (3, 4)


def test_a_release_that_others_build_on_is_not_taken_back_alone(world: World) -> None:
    approve(world, ANSWER, share=25)
    world.set_share(entry_of(world, ANSWER), 100)
    approve(world, MORE)

    with pytest.raises(ReviewError, match=r"release 2 \(rollout, ann\) has changed .* since.*rollback --to 0"):
        rollback(world.loop, 1, "ann")
    rollback(world.loop, 2, "ann")
    assert entry_of(world, ANSWER).share == 25
    with pytest.raises(ReviewError, match=r"hangs on; `python -m learning withdraw"):
        rollback(world.loop, 1, "ann")
    assert live(world) == ids(ANSWER, MORE)


def test_an_undo_that_is_rolled_back_is_a_decision_of_whoever_does_it(world: World) -> None:
    approve(world, OTHER)
    world.attempt(lambda: world.decide(OTHER, Action.UNDO), None)
    assert world.attempt(lambda: rollback(world.loop, 2, "bob", "it was right"), None)

    assert live(world) == ids(OTHER)
    last = world.store.decisions()[-1]
    assert (last.action, last.who, last.reason) == (Action.APPROVE, "bob", "it was right")


def test_an_undo_is_not_rolled_back_where_the_proposal_has_changed(world: World) -> None:
    approve(world, OTHER)
    world.attempt(lambda: world.decide(OTHER, Action.UNDO), None)
    remade = proposal(2, label="learned/question_2", answer="Never read.")
    world.store.save_proposals([remade], world.clock.now)

    with pytest.raises(StoreError, match="what was approved has changed since"):
        rollback(world.loop, 2, "bob")
    assert live(world) == []


def test_everything_since_a_release_goes_back_at_once(world: World) -> None:
    approve(world, ANSWER)
    before = behaviour(world.store.entries())
    world.attempt(lambda: world.decide(ANSWER, Action.UNDO), None)
    world.attempt(lambda: world.decide(ANSWER, Action.EDIT, answer="Edited."), None)
    approve(world, MORE, OTHER)
    assert len(plan_roll_back_to(world.loop, 1).changes) == 4
    assert world.attempt(lambda: roll_back_to(world.loop, 1, "bob", "a bad week"), None)

    assert behaviour(world.store.entries()) == before
    assert world.store.releases()[0].reason == "back to release 1: a bad week"
    with pytest.raises(ReviewError, match="is what is live now"):
        roll_back_to(world.loop, 1, "bob")
    with pytest.raises(NotFound, match="is no release"):
        roll_back_to(world.loop, 77, "bob")


def test_two_texts_of_one_answer_come_back_in_their_order(world: World) -> None:
    """What was approved anew has the last word; going back before that gives it to the other one."""
    approve(world, ANSWER, WORDING, 7)
    before = behaviour(world.store.entries())
    world.attempt(lambda: world.decide(WORDING, Action.UNDO), None)
    approve(world, WORDING)
    assert behaviour(world.store.entries()) != before
    for number in (5, 4):
        rollback(world.loop, number, "ann")

    assert behaviour(world.store.entries()) == before


def test_a_release_shows_its_texts_and_its_files(world: World) -> None:
    approve(world, OTHER)
    withdraw(world.loop, entry_of(world, OTHER).entry_id, "ann", "wrong")
    came, went = read_release(world.loop, 1), read_release(world.loop, 2)

    assert [item.effect for item in (*came.items, *went.items)] == ["went live", "went away"]
    assert "+- intent: learned/question_2" in came.diff
    assert "-- intent: learned/question_2" in went.diff
    assert came.diff.splitlines()[0] == "--- /dev/null"


def test_a_step_that_changes_no_file_is_not_waiting_for_git(world: World) -> None:
    approve(world, OTHER, share=25)

    assert world.host.files == {}
    assert [release.commit for release in world.store.releases()] == [""]
    assert read_release(world.loop, 1).diff == ""
    assert read_release(world.loop, 1).items[0].effect == "went live for 25 % of the users"


def test_words_for_an_answer_that_some_lack_are_not_written_to_the_branch(world: World) -> None:
    approve(world, ANSWER, share=25)
    approve(world, MORE)
    assert world.host.files == {}
    world.attempt(lambda: world.set_share(entry_of(world, ANSWER), 100), None)

    assert len(world.host.files) == 2


# --- models ---------------------------------------------------------------------------------------------


def trained(world: World) -> str:
    assert world.attempt(world.train, None)
    return world.server.model.name


def test_what_a_former_model_does_not_know_is_back_in_the_overlay(world: World) -> None:
    approve(world, OTHER)
    new = trained(world)
    assert entry_of(world, OTHER).state is S.ABSORBED
    assert entry_of(world, OTHER).absorbed_by == new
    done = roll_back_model(world.loop, world.server, None, "ann", "worse")

    assert (done.model, done.before, [one.label for one in done.back]) == ("old.tar.gz", new, ["learned/question_2"])
    assert world.server.model.name == "old.tar.gz"
    assert entry_of(world, OTHER).state is S.PUBLISHED
    assert world.store.audit_rows()[-1].what == "return"
    # A server that restarts takes the newest file.
    files = list(world.server.model.parent.glob("*.tar.gz"))
    assert max(files, key=os.path.getmtime).name == "old.tar.gz"
    world.check()
    assert [one.label for one in roll_back_model(world.loop, world.server, new, "ann").left] == ["learned/question_2"]
    world.check()


def test_a_model_that_somebody_started_by_hand_is_followed(world: World) -> None:
    approve(world, OTHER)
    trained(world)
    unknown = world.server.model.with_name("by-hand.tar.gz")
    unknown.write_bytes(b"a model")
    world.server.model = unknown
    done = reconcile(world.loop, world.server)

    assert done is not None
    assert [one.label for one in done.back] == ["learned/question_2"]
    assert reconcile(world.loop, world.server) is None
    world.check()


def test_nothing_is_concluded_from_a_server_that_is_away(world: World) -> None:
    approve(world, OTHER)
    trained(world)

    class Away:
        def running_model(self) -> Path:
            raise BotServerError("does not answer", "Rasa server", "start it")

        def load_model(self, model: Path) -> None:
            raise AssertionError

        def states(self) -> tuple[ServerState, ...]:
            return (ServerState("http://127.0.0.1:5005", "", "does not answer"),)

        def align(self, model: Path) -> tuple[str, ...]:
            raise AssertionError

    assert reconcile(world.loop, Away()) is None
    assert entry_of(world, OTHER).state is S.ABSORBED


@pytest.mark.parametrize("number", [OTHER, 2])
def test_what_is_withdrawn_from_a_model_is_marked_until_one_without_it_runs(world: World, number: int) -> None:
    approve(world, number)
    new = trained(world)
    withdraw(world.loop, entry_of(world, number).entry_id, "ann", "wrong")
    assert entry_of(world, number).held_by == new
    hidden = set(world.reader.snapshot().withdrawn)
    assert hidden == ({"learned/question_2"} if number == OTHER else set())
    trained(world)

    assert entry_of(world, number).held_by is None
    assert not world.reader.snapshot().withdrawn
    roll_back_model(world.loop, world.server, new, "ann")
    assert entry_of(world, number).held_by == new


def test_a_wording_is_never_trained_so_that_it_can_go_at_once(world: World) -> None:
    approve(world, ANSWER, WORDING)
    trained(world)

    taught = world.store.deployed_models()[0].taught
    assert entry_of(world, ANSWER).entry_id in taught
    assert entry_of(world, WORDING).entry_id not in taught
    assert entry_of(world, WORDING).state is S.PUBLISHED
    withdraw(world.loop, entry_of(world, WORDING).entry_id, "ann", "wrong")
    assert entry_of(world, WORDING).held_by is None


def test_what_goes_to_some_is_not_trained_and_what_is_trained_does_not_go_to_some(world: World) -> None:
    approve(world, ANSWER, share=25)
    approve(world, MORE, OTHER)
    trained(world)

    assert world.store.deployed_models()[0].taught == (entry_of(world, OTHER).entry_id,)
    with pytest.raises(StoreError, match=r"is part of the model .*, which knows no shares"):
        world.set_share(entry_of(world, OTHER), 50)


def test_a_swap_that_nobody_lived_to_write_down_is_repaired(world: World) -> None:
    approve(world, OTHER)
    new = trained(world)
    load = next(
        number for number in range(60) if not world.attempt(world.train, number) and world.server.model.name != new
    )

    assert load > 0
    assert world.store.running_model() == world.server.model.name
    assert entry_of(world, OTHER).state is S.ABSORBED


def test_old_files_go_and_those_that_may_be_needed_stay(world: World) -> None:
    approve(world, OTHER)
    made = [trained(world) for _ in range(world.loop.settings.retrain.keep_models + 2)]

    files = sorted(path.name for path in world.server.model.parent.iterdir())
    assert files == sorted([*made[2:], "old.tar.gz"])
    with pytest.raises(TrainingError, match="has no file any more"):
        roll_back_model(world.loop, world.server, made[0], "ann")
    with pytest.raises(NotFound, match="runs already"):
        roll_back_model(world.loop, world.server, made[-1], "ann")
    with pytest.raises(NotFound, match="fits 0 models"):
        roll_back_model(world.loop, world.server, "../../etc/passwd", "ann")


# --- what is not live by halves -------------------------------------------------------------------------


def test_what_is_taught_cannot_go_to_some_any_more(world: World) -> None:
    world.learns = False
    approve(world, OTHER)
    world.train()
    entry = entry_of(world, OTHER, S.PUBLISHED)
    with pytest.raises(StoreError, match=r"is part of the model .*, which knows no shares"):
        world.set_share(entry, 5)
    withdraw(world.loop, entry.entry_id, "ann", "wrong")
    restore(world.loop, entry.entry_id, "ann")
    world.check()


def test_what_is_retired_for_some_counts_for_the_gate(world: World) -> None:
    approve(world, RETIRE, share=5)
    report = retrain(world.loop, FakeNlu(_forgets_parcels), world.server)
    assert (report.comparison.passed, report.model) == (False, None)
    known = read_labels(world.loop).known
    assert "track_order" in known
    world.set_share(entry_of(world, RETIRE), 100)
    assert "track_order" not in read_labels(world.loop).known


def _forgets_parcels(model: str, text: str) -> str:
    held_out = {"my parcel?": "track_order" if "old" in model else "greet", "lost password": "reset_password"}
    return held_out.get(text, "greet")


def test_a_rollback_that_is_rolled_back_is_exact(world: World) -> None:
    approve(world, ANSWER, WORDING, NEWER)
    world.attempt(lambda: world.decide(WORDING, Action.UNDO), None)
    approve(world, WORDING)  # says more than the other one by now
    before = behaviour(world.store.entries())
    made = rollback(world.loop, 5, "ann")

    rollback(world.loop, made.number, "ann", "oops")

    assert behaviour(world.store.entries()) == before
    world.check()


def test_a_rollback_does_not_bring_back_what_was_undone_since(world: World) -> None:
    approve(world, OTHER)
    withdraw(world.loop, entry_of(world, OTHER).entry_id, "ann", "wrong")
    world.attempt(lambda: world.decide(OTHER, Action.UNDO), None)
    with pytest.raises(StoreError, match="is pending by now"):
        rollback(world.loop, 2, "ann")
    assert live(world) == []


def test_what_nobody_stands_behind_stays_away_when_its_answer_comes_back(world: World) -> None:
    approve(world, ANSWER, MORE)
    withdraw(world.loop, entry_of(world, ANSWER).entry_id, "ann", "wrong")
    world.attempt(lambda: world.decide(MORE, Action.UNDO), None)

    release = restore(world.loop, entry_of(world, ANSWER).entry_id, "ann")

    assert live(world) == ids(ANSWER)
    assert "nobody stands behind it any more" in release.reason


def test_what_has_no_example_left_does_not_come_back(world: World) -> None:
    approve(world, OTHER)
    entry = entry_of(world, OTHER)
    withdraw(world.loop, entry.entry_id, "ann", "wrong")
    with world.store._database.write() as connection:
        connection.execute(sa.update(schema.entries).values(examples=[]))
        connection.execute(sa.update(schema.proposals).values(examples=[]))
    with pytest.raises(StoreError, match="no example left"):
        restore(world.loop, entry.entry_id, "ann")


def test_a_change_that_an_upgrade_made_up_is_nothing_to_take_back(world: World) -> None:
    approve(world, OTHER, ANSWER)
    with world.store._database.write() as connection:
        made_up = {"number": 2, "item_id": entry_of(world, OTHER).entry_id, "before": 100, "after": 100}
        connection.execute(sa.insert(schema.release_changes), made_up)
    assert len(plan_rollback(world.loop, 2).changes) == 1
    rollback(world.loop, 1, "ann")
    assert live(world) == ids(ANSWER)


def test_a_model_that_is_found_running_is_what_a_restarted_server_takes(world: World) -> None:
    approve(world, OTHER)
    former = world.server.model
    world.train()
    os.utime(former, (1, 1))
    world.start_by_hand(former)  # as a rollback that was killed before it was written down
    assert max(former.parent.iterdir(), key=lambda path: path.stat().st_mtime_ns) == former
