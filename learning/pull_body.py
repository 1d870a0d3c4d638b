"""What a pull request says: every text that somebody else wrote stands in it as text and nothing more.

Customers' words stand in fenced blocks, each on a line that begins with ours: no line of theirs can end the block, be a
command of the host (`/close`), mention anybody, close an issue, or become a link. Names stand in code spans.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from learning.evidence import Evidence, Sample
from learning.model import (
    ANSWERING,
    LOW_SCORE,
    MACHINE,
    TEACHING,
    Proposal,
    ProposalKind,
    content_id,
)
from learning.review import is_unsayable

LONGEST = 400  # characters of a line that are shown
TITLE = 120  # characters
JOINER = "\u2060"  # takes no room, and nothing is broken there
MOST = 60_000  # characters of a body; GitHub takes 65,536
BROKEN = 20  # messages shown that would be broken
KINDS = {
    ProposalKind.ANSWER: "a new question and its answer",
    ProposalKind.EXAMPLES: "more examples of a known intent",
    ProposalKind.REWORD: "a better answer",
    ProposalKind.MERGE: "two labels become one",
    ProposalKind.RETIRE: "a label that nobody uses goes",
}
HOW = """## How to decide here

| What you do | What it means |
|---|---|
| merge with the file as it is | approved: live within a second of being read |
| change the file's examples, answer or name, then merge | approved as you changed it |
| remove the file, then merge | rejected |
| close without merging | rejected; your last comment is the reason |
| put the label `defer` on it | put off until twice as many messages ask for it |

The same can be decided in the hub; this pull request then closes by itself. A conflict is told here and never guessed.
"""


def title_of(proposals: Sequence[Proposal]) -> str:
    """Return a title of plain words: it becomes the message of a squashed commit, where `Fixes #1` would act."""
    if len(proposals) != 1:
        return f"Learn from conversations: {len(proposals)} proposals"
    proposal = proposals[0]
    words = _plain(proposal.label.rpartition("/")[2].replace("_", " "))
    return f"Learn from conversations: {words} ({KINDS[proposal.kind]})"[:TITLE].strip()


def summary_of(proposals: Sequence[Proposal]) -> str:
    """Return the figures alone, for a commit's message: that stays for ever, and nobody's words belong there."""
    lines = []
    for item in proposals:
        warning = f" (under {LOW_SCORE}: read it closely)" if item.score < LOW_SCORE else ""
        lines.append(f"{item.proposal_id}: {KINDS[item.kind]}")
        lines.append(f"  asked in {item.turns} messages of {item.people} people; score {item.score} of 100{warning}")
        if item.replay:
            played = item.replay
            lines.append(
                f"  fixes {played.fixed} of {played.failures}, breaks {played.broken} of {played.successes} in replay"
            )
    return "\n".join(lines)


def mark_of_body(proposals: Sequence[Proposal]) -> str:
    """Return a hidden mark of what a body is made of: it is written anew when that has changed, and only then."""
    seen = [(item.proposal_id, item.score, item.people, item.turns, item.warnings, item.replay) for item in proposals]
    said = [(item.kind.value, item.label, item.target, item.answer, item.examples) for item in proposals]
    return f"<!-- evergreen:{content_id(repr(seen), repr(said))} -->"


def render_body(proposals: Sequence[Proposal], evidence: Mapping[str, Evidence]) -> str:
    """Return the body of a pull request for proposals, with what speaks for and against each.

    Args:
        proposals: in the order of their importance.
        evidence: by proposal id, redacted; without it the figures are left out.

    """
    parts, length = [], len(HOW) + 200
    for number, proposal in enumerate(proposals):
        part = _section(proposal, evidence.get(proposal.proposal_id))
        if length + len(part) > MOST:
            parts.append(f"{len(proposals) - number} more proposals are in the files; `review show` tells of them.\n")
            break
        parts.append(part)
        length += len(part) + 1
    return "\n".join([*parts, HOW, mark_of_body(proposals)])


def _section(proposal: Proposal, evidence: Evidence | None) -> str:
    about = f" {span(proposal.target)}" if proposal.target else ""
    lines = [f"## {span(proposal.label)}: {KINDS[proposal.kind]}{about}", "", f"Proposal `{proposal.proposal_id}`", ""]
    if proposal.score < LOW_SCORE:
        lines += [f"**Warning: the score is under {LOW_SCORE}. Read the examples closely.**", ""]
    lines += [*_figures(proposal, evidence), *_score(proposal), *_replay(proposal)]
    for warning in proposal.warnings:
        lines += ["- Warning: " + span(warning)]
    lines.append("")
    lines += fenced("It would teach" if proposal.kind in TEACHING else "Typical messages", proposal.examples)
    if proposal.kind in ANSWERING:
        lines += _answer(proposal)
    if evidence:
        lines += _talk(evidence)
    return "\n".join(lines) + "\n"


def _figures(proposal: Proposal, evidence: Evidence | None) -> list[str]:
    if evidence is None:
        return [f"- Asked: {proposal.turns} messages of {proposal.people} people"]
    lines = [
        f"- Asked: {evidence.turns} messages of {evidence.people} people,"
        f" {evidence.since:%Y-%m-%d} to {evidence.until:%Y-%m-%d} (UTC)"
    ]
    for what, counts in (
        ("Channels", evidence.channels),
        ("Signals", evidence.signals),
        ("Understood as", evidence.understood_as),
    ):
        if counts:
            lines.append(f"- {what}: " + ", ".join(f"{span(name)} {count}" for name, count in counts.items()))
    return lines


def _score(proposal: Proposal) -> list[str]:
    lines = [f"- Score: {proposal.score} of 100, the chance that it is accepted at first sight"]
    if proposal.score_parts:
        parts = (f"{span(part.name)} {part.value:.2f} x {part.share:.2f}" for part in proposal.score_parts)
        lines.append(f"- Made of: {', '.join(parts)}")
    return lines


def _replay(proposal: Proposal) -> list[str]:
    replay = proposal.replay
    if replay is None:
        return ["- Replay: not played yet"]
    changed = f", changes the wording of {replay.changed}" if replay.changed else ""
    lines = [
        f"- Replay: fixes {replay.fixed} of {replay.failures}, breaks {replay.broken} of {replay.successes}{changed}"
    ]
    if replay.broken_texts:
        labels = replay.broken_labels or ("",) * len(replay.broken_texts)
        shown = [
            f"{text} (now {label})" if label else text for text, label in zip(replay.broken_texts, labels, strict=True)
        ]
        lines += ["", *fenced("It would break", shown[:BROKEN])]
    return lines


def _answer(proposal: Proposal) -> list[str]:
    if not proposal.answer:
        return ["There is no answer yet: write one into the file (`text:`) before you merge.", ""]
    by = f", worded by {span(proposal.drafter.removeprefix(MACHINE))}" if proposal.is_machine_written else ""
    lines = fenced(f"Answer{by}", proposal.answer.splitlines(), sign="|")
    sources = [f"{item.document} ({item.similarity:.2f}): {item.sentence}" for item in proposal.sources]
    return lines + (fenced("From", sources) if sources else [])


def _talk(evidence: Evidence) -> list[str]:
    lines: list[str] = []
    for answer in evidence.answers:
        lines += fenced(f"The bot answers {span(answer.label)} now with", answer.text.splitlines(), sign="|")
    if evidence.agent_replies:
        replies = [
            f"{reply.text} ({reply.times} times{', recommended by an agent' if reply.recommended else ''})"
            for reply in evidence.agent_replies
        ]
        lines += fenced("People at the desk answered", replies)
    for number, sample in enumerate(evidence.samples, start=1):
        lines += fenced(f"Conversation {number}, {sample.at:%Y-%m-%d %H:%M} (UTC)", _said(sample), sign="")
    return [*lines, span(evidence.note), ""] if evidence.note and not evidence.samples else lines


def _said(sample: Sample) -> list[str]:
    return [f"{item.speaker.value}: {item.text}{' <- failed' if item.failed else ''}" for item in sample.lines]


def fenced(heading: str, texts: Sequence[str], sign: str = "-") -> list[str]:
    """Return texts as lines of a code block, each on one line that begins with `sign` or the text's own speaker."""
    start = f"{sign} " if sign else ""
    return [f"{heading}:", "", "```text", *(f"{start}{_dull(_one_line(text))}" for text in texts), "```", ""]


def span(text: str | None) -> str:
    """Return a text as a code span, in which nothing means anything."""
    shown = _dull(_one_line(text or "").replace("`", "'"))
    return f"`{shown}`" if shown else "(none)"


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return what somebody wrote as one line without what a screen obeys."""
    return _one_line(text)[:longest]


def _one_line(text: str) -> str:
    shown = " ".join("".join(" " if is_unsayable(char) else char for char in text).split())
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def _plain(text: str) -> str:
    """Return the words of a text: no sign that a host gives a meaning to."""
    return " ".join(re.findall(r"[^\W_]+", text)) or "unnamed"


def _dull(text: str) -> str:
    """Return a text in which no `#7`, `!7` or address is one: GitLab closes issues by them even within code."""
    return re.sub(r"([#!])(?=\w)", rf"\1{JOINER}", text.replace("://", f":{JOINER}//"))
