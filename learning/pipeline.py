"""The whole flow in order: mine -> signals -> gaps -> proposals -> review -> publish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from learning.branch import learned_files, try_branch, write_branch
from learning.grouping import find_gaps, judge_gaps, read_known
from learning.kept_vectors import KeptVectors
from learning.loop import Loop
from learning.mining import read_conversations
from learning.model import LIVE, MiningReport
from learning.proposing import write_proposals
from learning.reading import Reading
from learning.rearranging import merge, move_example, split
from learning.releasing import (
    Plan,
    plan_restore,
    plan_roll_back_to,
    plan_rollback,
    restore,
    roll_back_to,
    rollback,
    withdraw,
)
from learning.reviewing import publish, publish_waiting, review
from learning.rollout import advance
from learning.searchable import make_searchable

__all__ = [
    "LIVE",
    "Plan",
    "learned_files",
    "merge",
    "mine",
    "move_example",
    "plan_restore",
    "plan_roll_back_to",
    "plan_rollback",
    "publish",
    "publish_waiting",
    "restore",
    "review",
    "roll_back_to",
    "rollback",
    "split",
    "try_branch",
    "withdraw",
    "write_branch",
]


def mine(loop: Loop, on_batch: Callable[[Reading], None] = lambda batch: None) -> MiningReport:
    """Find what failed since the last run, group it, and write proposals; a second run changes nothing.

    Every batch is saved with its watermark, and each later step starts from what is saved: killed anywhere,
    the next run goes on to the same result. What people then do with the proposals stands in `reviewing` (decisions,
    releases, undo) and `rearranging` (split, merge, move).
    """
    loop.project.check()
    started = loop.now()
    report = read_conversations(loop, on_batch)
    advance(loop)  # what it takes back is proposed for again at once
    encoder = KeptVectors(loop.encoder, loop.store)
    known = read_known(loop, encoder)
    report = replace(report, new_gaps=find_gaps(loop, known))
    judge_gaps(loop, known)
    report = replace(report, new_proposals=write_proposals(loop, known, encoder))
    summary = {"events": report.events, "signals": report.new_signals, "proposals": report.new_proposals}
    make_searchable(loop)
    loop.store.count_days()
    loop.store.record_run("mine", started, loop.now(), "ok", summary)
    return report
