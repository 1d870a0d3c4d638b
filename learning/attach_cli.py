"""The command `python -m learning attach`."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

import typer
from rich.markup import escape

from learning import console, pipeline
from learning.adapters.attach_branch import BRANCH, as_patch, commit_steps, is_in_git, write_files
from learning.attach_findings import Finding, Level
from learning.attach_plan import FileChange, Plan, Step, make_plan
from learning.attach_survey import LARGEST, SKIPPED, Survey, find_project, survey
from learning.bootstrap import App, build, build_preview, tracker_seen
from learning.errors import EvergreenError
from learning.model import MiningReport
from learning.review_options import AS_JSON
from learning.status import Status, read_status

CODE = Path(__file__).resolve().parents[1]  # the folder that Python must find the components in
GAPS_SHOWN = 10
MESSAGES = {
    Step.ATTACH: "Let the assistant learn from its conversations\n\nWritten by `python -m learning attach`.",
    Step.HOLDOUT: (
        "Hold out examples that models are compared with\n\nThey move from the training data to tests/holdout."
    ),
}
MARKS = {
    Level.FOUND: "[green]found[/green]  ",
    Level.MISSING: "[yellow]missing[/yellow]",
    Level.WARNING: "[yellow]warning[/yellow]",
    Level.BLOCKED: "[red]blocked[/red]",
}


@dataclass(frozen=True)
class FirstLook:
    """What mining found in the conversations that are there; `problem` says why nothing could be mined."""

    report: Optional[MiningReport] = None
    status: Optional[Status] = None
    problem: str = ""


def attach_command(
    path: Path = typer.Argument(..., help="Folder of a Rasa project, or one with a single project below it."),
    apply: bool = typer.Option(False, "--apply", help="Write the change into the project's files."),
    diff: bool = typer.Option(False, "--diff", help="Print the change as a patch, and do nothing else."),
    holdout: bool = typer.Option(True, help="Whether examples may move to a hold-out, where there is none."),
    mine: bool = typer.Option(True, help="Whether to look at the conversations at once."),
    json: bool = AS_JSON,
) -> None:
    """Read a Rasa project, add what learning needs as a branch to review, and mine what is there.

    Without --apply nothing in the project's folder changes: the change is on the git branch evergreen/attach, and
    mining works on a copy that is thrown away. Exit code 3 if something must be done by hand first.
    """
    if apply and diff:
        raise typer.BadParameter("take --apply or --diff")
    root = find_project(path)
    with console.steps(quiet=json or diff) as say:
        say(f"reading {root}")
        project = survey(root)
        plan = make_plan(project, tracker_seen(root / (project.endpoints or "endpoints.yml"), root))
        steps = _steps(plan, holdout)
        if diff and not plan.is_blocked:
            sys.stdout.write(as_patch(root, steps))
            return
        done, look = "", None
        commits: list[str] = []
        if not plan.is_blocked:
            done, commits = _carry_out(root, steps, apply)
            look = _look(root, plan, steps, apply, say) if mine else None
    if json:
        console.print_json(_plain(plan, done, commits, look, holdout))
    else:
        _show(plan, steps, done, commits, look, holdout)
    if plan.is_blocked:
        raise typer.Exit(3)


def _steps(plan: Plan, holdout: bool) -> list[tuple[str, dict[str, tuple[str | None, str]]]]:
    wanted = [Step.ATTACH, *([Step.HOLDOUT] if holdout else [])]
    steps = [(MESSAGES[step], {one.path: (one.before, one.after) for one in plan.changes_of(step)}) for step in wanted]
    return [(message, texts) for message, texts in steps if texts]


def _carry_out(root: Path, steps: Sequence[tuple[str, Any]], apply: bool) -> tuple[str, list[str]]:
    """Return what became of the change (applied, branch, patch or nothing), and the commits that were made."""
    if not steps:
        return "nothing", []
    if apply:
        write_files(root, steps)
        return "applied", []
    if not is_in_git(root):
        return "patch", []
    return "branch", commit_steps(root, steps)


def _look(root: Path, plan: Plan, steps: Sequence[tuple[str, Any]], apply: bool, say: Any) -> FirstLook:
    """Mine: for good where the change is in the project's files, else in a copy that is thrown away."""
    seen = tracker_seen(root / (plan.project.endpoints or "endpoints.yml"), root)
    if not seen.kind or seen.problem:
        return FirstLook(problem=seen.problem or "there is no tracker store yet: conversations are kept from now on")
    say("reading the conversations")
    if apply or not steps:
        return _mine(build(root), say)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "project"
        shutil.copytree(root, copy, ignore=_not_copied)
        write_files(copy, steps)
        return _mine(build_preview(copy, root), say)


def _mine(app: App, say: Any) -> FirstLook:
    try:
        report = pipeline.mine(app.loop, lambda batch: say(f"read {batch.events} events"))
        return FirstLook(report, read_status(app.loop))
    except EvergreenError as error:
        return FirstLook(problem=str(error))


def _not_copied(folder: str, names: list[str]) -> set[str]:
    """Return what a preview does not need: models, environments, databases, and whatever is hidden."""
    skipped = {name for name in names if name in SKIPPED or name.startswith(".") or name.endswith((".db", ".gz"))}
    return skipped | {name for name in names if not _is_copied(Path(folder) / name)}


def _is_copied(path: Path) -> bool:
    """Whether it is a folder or a file that can be read: a pipe would be waited for, a huge one says nothing here."""
    if path.is_symlink() or not os.access(path, os.R_OK):
        return False
    return path.is_dir() or (path.is_file() and path.stat().st_size <= LARGEST)


# --- what is printed ------------------------------------------------------------------------------


def _show(
    plan: Plan,
    steps: Sequence[tuple[str, Any]],
    done: str,
    commits: Sequence[str],
    look: FirstLook | None,
    holdout: bool,
) -> None:
    out = console.out
    out.print(f"[bold]{escape(str(plan.project.root))}[/bold]")
    for finding in plan.findings:
        step = f"\n         {escape(finding.next_step)}" if finding.next_step else ""
        out.print(f"{MARKS[finding.level]} {escape(finding.what)}{step}")
    if plan.is_blocked:
        out.print("\nNothing was changed: do what is blocked by hand, and attach again.")
        return
    for change in _shown(plan, holdout):
        out.print(f"{'new    ' if change.before is None else 'changed'} {escape(change.path)}: {escape(change.why)}")
    out.print(_what_became_of_it(plan.project.root, done, commits))
    if look:
        _show_look(look)
    if done != "nothing":
        out.print("\nThen:")
        for line in _next_steps(plan, done):
            out.print(f"  {escape(line)}")


def _shown(plan: Plan, holdout: bool) -> list[FileChange]:
    return [change for change in plan.changes if holdout or change.step is Step.ATTACH]


def _what_became_of_it(root: Path, done: str, commits: Sequence[str]) -> str:
    if done == "nothing":
        return "The project has all that learning needs; nothing was changed."
    if done == "applied":
        return "Written into the project's files."
    if done == "patch":
        return "This is no git repository: `--diff` prints the change, `--apply` writes it."
    where = f"git -C {escape(str(root))} log -p HEAD..{BRANCH}"
    if not commits:
        return f"Branch {BRANCH} has it already: {where}"
    return f"Branch {BRANCH} has it in {len(commits)} commits: {where}"


def _show_look(look: FirstLook) -> None:
    out = console.out
    if look.problem or look.report is None or look.status is None:
        out.print(f"\nNothing was mined: {escape(look.problem)}")
        return
    out.print(
        f"\n{look.report.events} events in {look.report.conversations} conversations: {look.status.failed_turns} of"
        f" {look.status.turns} messages failed, {len(look.status.gaps)} gaps, {look.report.new_proposals} proposals"
    )
    for gap in look.status.gaps[:GAPS_SHOWN]:
        out.print(f"  {gap.priority.value:<8} {gap.people:>3} people  {console.line(gap.name)}")
    if look.status.missing_conversations:
        out.print(f"  {look.status.missing_conversations} more conversations make the numbers firm")


def _next_steps(plan: Plan, done: str) -> list[str]:
    endpoints = plan.project.endpoints or "endpoints.yml"
    merge = {"branch": [f"cd {plan.project.root} && git merge {BRANCH}"], "applied": [f"cd {plan.project.root}"]}
    return [
        *merge.get(done, []),
        f"export PYTHONPATH={CODE}    # where Rasa finds the components; see docs/attach.md",
        " ".join(["rasa train", *_train_options(plan.project)]),
        f"rasa run --enable-api --endpoints {endpoints}",
        "python -m learning mine && python -m learning review list",
    ]


def _train_options(project: Survey) -> list[str]:
    """Return what `rasa train` must be told, since it stands elsewhere than Rasa looks for it."""
    usual = {
        "config": ("config.yml", project.config),
        "domain": ("domain.yml", project.domain),
        "data": ("data", project.data),
    }
    return [f"--{option} {shlex.quote(found)}" for option, (expected, found) in usual.items() if found != expected]


def _plain(plan: Plan, done: str, commits: Sequence[str], look: FirstLook | None, holdout: bool) -> dict[str, Any]:
    def told(finding: Finding) -> dict[str, str]:
        return {"level": finding.level.value, "what": finding.what, "next_step": finding.next_step}

    return {
        "project": str(plan.project.root),
        "blocked": plan.is_blocked,
        "findings": [told(finding) for finding in plan.findings],
        "roles": asdict(plan.roles),
        "changes": [
            {"path": one.path, "new": one.before is None, "why": one.why, "step": one.step.value}
            for one in _shown(plan, holdout)
        ],
        "done": done,
        "branch": BRANCH if done == "branch" else None,
        "commits": list(commits),
        "mined": asdict(look.report) if look and look.report else None,
        "problem": look.problem if look else "",
        "gaps": [
            {"priority": gap.priority.value, "people": gap.people, "turns": gap.turns, "name": gap.name}
            for gap in (look.status.gaps if look and look.status else [])
        ],
        "next": _next_steps(plan, done) if done not in ("", "nothing") else [],
    }
