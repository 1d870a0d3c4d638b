"""The gate's verdict as Markdown, for a comment on the change."""

from __future__ import annotations

from collections.abc import Sequence

from learning.evaluate import Evaluation
from learning.gate import SHOWN, GateReport
from learning.gate_rules import NAMES, State
from learning.pull_body import fenced, span

MARK = "<!-- evergreen:gate -->"  # by which a comment is found again and replaced


def render_gate(report: GateReport) -> str:
    """Return the verdict with what has changed; texts of others stand in it as text."""
    verdict = "passed" if report.passed else "failed"
    lines = [MARK, f"## Gate {verdict}", "", span(report.reason), ""]
    if report.problems:
        lines += fenced("Problems", _cut(report.problems))
    if report.comparison:
        before, after = report.comparison.champion, report.comparison.challenger
        lines += ["| | without the change | with it |", "|---|---|---|"]
        lines += [f"| accuracy on the hold-out | {_share(before)} | {_share(after)} |", ""]
    if report.rules:
        lines += ["| rule | came out | why |", "|---|---|---|"]
        lines += [f"| {NAMES[rule.name]} | {rule.state.value} | {_cell(rule.sentence)} |" for rule in report.rules]
        lines.append("")
        for rule in report.rules:
            if rule.state is State.BLOCKED and rule.examples and rule.name != "overall":
                shown = [f"{one.key}: wanted {one.expected}, got {one.after}" for one in rule.examples]
                lines += fenced(f"Lost ({NAMES[rule.name]})", _cut(shown))
    if report.retired:
        gone = [f"{label}: {count} held-out messages" for label, count in report.retired.items()]
        lines += fenced("Taken out of the exam, since their labels are retired", _cut(gone))
    if report.labels:
        lines += ["| label | held out | understood before | now |", "|---|---|---|---|"]
        for item in report.labels[:SHOWN]:
            name = _cell(item.label)
            lines.append(f"| {name} | {item.total} | {item.before} | {item.after} |")
        lines.append("")
    if report.comparison:
        for heading, texts in (("Lost", report.comparison.lost), ("Gained", report.comparison.gained)):
            lines += fenced(heading, _cut(texts)) if texts else []
    if report.changed:
        lines += ["Learned files that differ: " + ", ".join(span(name) for name in report.changed[:SHOWN]), ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Return a text for a cell of a table."""
    return span(text.replace("|", "/"))


def _share(found: Evaluation) -> str:
    return f"{100 * found.accuracy:.2f} % ({found.correct} of {found.total})"


def _cut(texts: Sequence[str]) -> list[str]:
    more = [f"and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else []
    return [*texts[:SHOWN], *more]
