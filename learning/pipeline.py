"""The whole flow in order: mine -> signals -> gaps -> proposals -> review -> publish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from learning.grouping import find_gaps, judge_gaps, read_known
from learning.kept_vectors import KeptVectors
from learning.loop import Loop
from learning.mining import read_conversations
from learning.model import MiningReport
from learning.proposing import write_proposals
from learning.reading import Reading
from learning.rearranging import merge, move_example, split
from learning.reviewing import LIVE, learned_files, publish, publish_waiting, review, try_branch, withdraw, write_branch

__all__ = [
    "LIVE",
    "learned_files",
    "merge",
    "mine",
    "move_example",
    "publish",
    "publish_waiting",
    "review",
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
    encoder = KeptVectors(loop.encoder, loop.store)
    known = read_known(loop, encoder)
    report = replace(report, new_gaps=find_gaps(loop, known))
    judge_gaps(loop, known)
    report = replace(report, new_proposals=write_proposals(loop, known, encoder))
    summary = {"events": report.events, "signals": report.new_signals, "proposals": report.new_proposals}
    loop.store.record_run("mine", started, loop.now(), "ok", summary)
    return report
