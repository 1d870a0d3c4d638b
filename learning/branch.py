"""The review branch: `data/learned/` as it is published, for people to read and merge."""

from __future__ import annotations

from collections.abc import Sequence

from learning.errors import EvergreenError
from learning.loop import Loop
from learning.model import EVERYBODY, LIVE, Entry, ProposalKind
from learning.publish import render_files


def write_branch(loop: Loop) -> str | None:
    """Bring the review branch to what is published; return the new commit, None if it was up to date."""
    waiting = [release for release in loop.store.releases() if release.commit is None]
    numbers = ", ".join(str(release.number) for release in reversed(waiting))
    message = f"Learn from conversations: release {numbers}" if waiting else "Bring learned answers up to date"
    commit = loop.host.propose(learned_files(loop), message)
    if commit or waiting:
        # Without a commit there was nothing to carry: a step of a rollout, or what was taken back at once.
        loop.store.mark_committed(commit or "")
    return commit


def try_branch(loop: Loop) -> tuple[str | None, EvergreenError | None]:
    """Write the branch and return (commit, problem); what is live stays so if git fails, and `publish` tries again."""
    try:
        return write_branch(loop), None
    except EvergreenError as error:
        return None, error


def learned_files(loop: Loop) -> dict[str, str]:
    """Return what `data/learned/` should hold: one file for each entry that is live or absorbed, and for everybody."""
    return dict(render_files(for_everybody(loop.store.entries(*LIVE))))


def for_everybody(live: Sequence[Entry]) -> list[Entry]:
    """Return the live entries that reach all users: what reaches some is neither written to the branch nor trained."""
    partial = {entry.label for entry in live if entry.kind is ProposalKind.ANSWER and entry.share < EVERYBODY}
    return [
        entry
        for entry in live
        # More words for a label are of no use to those who lack its answer.
        if entry.share == EVERYBODY and entry.label not in partial and entry.target not in partial
    ]
