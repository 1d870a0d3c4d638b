"""A database of an earlier version is brought to the newest without losing what was mined."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from learning.adapters.store import Store
from learning.calibration import read_calibration, read_decided
from learning.model import LIVE, Action, Change, GoodTurn, ProposalState, ReleaseKind, Signal
from learning.releasing import live_shares
from tests.learning_builders import make_loop, make_project, upgrade_to

AT = "2024-03-01 09:00:00.000000"
SIGNAL = (
    "INSERT INTO signals (signal_id, turn_id, sender, kind, text, intent, confidence, weight, evidence, at, channel)"
    " VALUES (:id, :turn, 'ann', :kind, 'loyalty points?', 'nlu_fallback', 0.3, :weight, 'e', :at, 'rest')"
)


def old_database(path: Path) -> str:
    """A database at revision 0002 with two failed turns, one of them in a gap."""
    url = f"sqlite:///{path}"
    engine = sa.create_engine(url, future=True)
    with engine.begin() as connection:
        upgrade_to(connection, "0002")
        for number, (turn, kind, weight) in enumerate(
            [("t1", "fallback", 0.5), ("t1", "rephrase", 0.5), ("t2", "backend_failure", 1.0)]
        ):
            row = {"id": f"s{number}", "turn": turn, "kind": kind, "weight": weight, "at": AT}
            connection.execute(sa.text(SIGNAL), row)
        for statement in (
            f"INSERT INTO conversations (sender, turns, failed_turns, last_at) VALUES ('ann', 4, 1, '{AT}')",
            "INSERT INTO good_turns (turn_id, sender, text, label) VALUES ('g1', 'ann', 'hello', 'greet')",
            "INSERT INTO gap_members (turn_id, gap_id) VALUES ('t1', 'gap1')",
            "INSERT INTO gaps (gap_id, kind, intent, name, priority, people, turns, first_seen, last_seen)"
            f" VALUES ('gap1', 'new_need', NULL, 'loyalty points', 'medium', 3, 1, '{AT}', '{AT}')",
            "INSERT INTO meta (key, value) VALUES ('tracker_watermark', '40')",
        ):
            connection.execute(sa.text(statement))
    engine.dispose()
    return url


def test_what_was_mined_before_sessions_is_kept(tmp_path: Path) -> None:
    store = Store(old_database(tmp_path / "learning.db"))

    (turn,) = store.turns_of_gap("gap1")
    assert (turn.turn_id, turn.text, turn.weight) == ("t1", "loyalty points?", 0.75)
    assert turn.signals == (Signal("fallback", 0.5, "e"), Signal("rephrase", 0.5, "e"))
    assert store.fresh_turns(10) == []  # a failed service is no gap
    assert store.gap("gap1").name == "loyalty points"
    assert store.good_turns() == [GoodTurn("g1", "ann", "hello", "greet")]
    assert store.counts() == {"conversations": 1, "turns": 4, "failed_turns": 1}
    # The sender's next message makes the whole history be read again, and cut into sessions.
    assert (store.watermark(), store.last_sessions({"ann": 41})) == (40, {"ann": 0})


def decided_database(path: Path) -> str:
    """A database at revision 0003 with a proposal that was approved, one that was rejected, and one that waits."""
    url = f"sqlite:///{path}"
    engine = sa.create_engine(url, future=True)
    parts = '[{"name": "messages agree", "value": 1.0, "share": 1.0}]'
    with engine.begin() as connection:
        upgrade_to(connection, "0003")
        for number, (state, action) in enumerate((("published", "approve"), ("rejected", "reject"), ("pending", ""))):
            row = {
                "at": AT,
                "gap": f"gap{number}",
                "id": f"p{number}",
                "state": state,
                "action": action,
                "parts": parts,
            }
            for statement in (
                "INSERT INTO gaps (gap_id, kind, name, priority, people, turns, first_seen, last_seen, changed)"
                " VALUES (:gap, 'new_need', 'n', 'low', 3, 3, :at, :at, false)",
                "INSERT INTO proposals (proposal_id, gap_id, kind, label, examples, answer, sources, score,"
                " score_parts, people, turns, state, created_at) VALUES (:id, :gap, 'answer', 'learned/' || :id,"
                " '[\"a b\"]', 'Yes.', '[]', 90, :parts, 3, 3, :state, :at)",
                "INSERT INTO decisions (proposal_id, action, who, at, reason, content)"
                " SELECT :id, :action, 'ann', :at, 'r', '{}' WHERE :action <> ''",
            ):
                connection.execute(sa.text(statement), row)
    engine.dispose()
    return url


def test_nothing_is_learned_from_scores_that_were_made_otherwise(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    (root / "var").mkdir()
    loop = make_loop(root, decided_database(root / "var" / "learning.db"))

    assert read_decided(loop) == []
    assert read_calibration(loop).method == "prior"
    # What was decided, and the score that people saw, are still there; what waits is measured by the next mining.
    assert [one.action for one in loop.store.decisions()] == [Action.APPROVE, Action.REJECT]
    assert {item.state for item in loop.store.proposals()} == {
        ProposalState.PUBLISHED,
        ProposalState.REJECTED,
        ProposalState.PENDING,
    }
    assert [(item.score, item.score_parts) for item in loop.store.proposals()] == [(90, ())] * 3
    assert set(loop.store.gaps(changed=True)) == {"gap0", "gap1", "gap2"}


def released_database(path: Path) -> str:
    """A database at revision 0004: what was published anew, withdrawn, absorbed, and what is only live."""
    url = f"sqlite:///{path}"
    engine = sa.create_engine(url, future=True)
    steps = ["again", "again", "gone", "taken", "live"]
    states = {"again": ("published", 2), "gone": ("withdrawn", 3), "taken": ("absorbed", 4), "live": ("published", 5)}
    with engine.begin() as connection:
        upgrade_to(connection, "0004")
        for number, entry_id in enumerate(steps, start=1):
            connection.execute(
                sa.text("INSERT INTO releases (number, entry_id, who, at) VALUES (:number, :entry, 'ann', :at)"),
                {"number": number, "entry": entry_id, "at": f"2024-03-0{number} 09:00:00.000000"},
            )
        for entry_id, (state, number) in states.items():
            connection.execute(
                sa.text(
                    "INSERT INTO entries (entry_id, proposal_id, kind, label, examples, encoder, release, state)"
                    " VALUES (:entry, :entry, 'examples', 'greet', '[]', 'e', :number, :state)"
                ),
                {"entry": entry_id, "number": number, "state": state},
            )
        for seq, (what, item, reason) in enumerate(
            [("withdraw", "gone", "wrong"), ("absorb", "taken", "evergreen-1.tar.gz understands 90 %")], start=1
        ):
            connection.execute(
                sa.text(
                    'INSERT INTO audit (seq, at, who, what, item, "before", "after", reason, evidence_hash,'
                    " previous_hash, row_hash) VALUES (:seq, :at, 'bob', :what, :item, '', '', :reason, '', '', '')"
                ),
                {"seq": seq, "at": AT, "what": what, "item": item, "reason": reason},
            )
        connection.execute(
            sa.text(
                "INSERT INTO runs (job, started, finished, outcome, summary) VALUES ('retrain', :at, :at, 'ok', :said)"
            ),
            {"at": "2024-03-04 12:00:00.000000", "said": '{"model": "evergreen-1.tar.gz"}'},
        )
    engine.dispose()
    return url


def test_releases_tell_of_withdrawals_and_models_once_upgraded(tmp_path: Path) -> None:
    store = Store(released_database(tmp_path / "learning.db"))
    releases = store.releases()

    assert live_shares(releases) == {entry.entry_id: 100 for entry in store.entries(*LIVE)}
    assert releases[0].changes == (Change("gone", 100, 0),)
    assert (releases[0].number, releases[0].what, releases[0].who, releases[0].reason) == (
        6,
        ReleaseKind.WITHDRAW,
        "bob",
        "wrong",
    )
    (model,) = store.deployed_models()
    assert (model.name, model.replaced, set(model.taught)) == ("evergreen-1.tar.gz", "", {"again", "taken"})
    assert store.running_model() == "evergreen-1.tar.gz"
    assert {entry.entry_id: entry.absorbed_by for entry in store.entries() if entry.absorbed_by} == {
        "taken": "evergreen-1.tar.gz"
    }
