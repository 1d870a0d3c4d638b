"""`python -m learning evaluate`: how good a model is on everything there is, and what it is measured by."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import typer
import typer.core
from rich.table import Table
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from learning import console
from learning.bootstrap import App
from learning.branch import for_everybody
from learning.console import line
from learning.errors import NotFound
from learning.evaluation import (
    SUITE_WORDS,
    Compared,
    EvaluationReport,
    compare_models,
    evaluate_model,
    evaluate_running,
    told_row,
)
from learning.exams import CASE, RegressionCase
from learning.gate_rules import NAMES, Rule
from learning.model import LIVE
from learning.names import check_name
from learning.paired import Paired, difference_interval
from learning.regression import grow, split, trained_texts, valid_cases, without_cases
from learning.review_options import AS_JSON, WHO, app_of

BLOCKED = 3  # exit code where the second model would not be let live, as `retrain` has it
SHOWN = 10  # cases of a suite that are printed


class DefaultGroup(typer.core.TyperGroup):
    """Takes what names no command for a model: `evaluate` and `evaluate NAME` measure one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the default command before anything that is none."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["model", *args]
        return super().parse_args(ctx, args)


evaluate_cli = typer.Typer(
    cls=DefaultGroup,
    pretty_exceptions_enable=False,
    help="Measure a model: on the hold-out, the regression set, out of scope, entities and stories.",
)
regression_cli = typer.Typer(
    pretty_exceptions_enable=False,
    help="The messages that people have confirmed, which no model is trained on.",
    no_args_is_help=True,
)
evaluate_cli.add_typer(regression_cli, name="regression")


@evaluate_cli.command("model")
def model_command(
    ctx: typer.Context,
    model: Optional[str] = typer.Argument(
        None, show_default=False, help="A model file, or its name; without it the one that runs, whose result is kept."
    ),
    against: Optional[str] = typer.Option(
        None, show_default=False, help="The model to compare it with, by every rule of the gate."
    ),
    json: bool = AS_JSON,
) -> None:
    """Measure a model, or with --against compare it: exit code 3 if the gate would block it."""
    app = app_of(ctx)
    with console.steps(quiet=json) as say:
        if against is None:
            report = _measure(app, model, say)
        else:
            compared = _compare(app, model, against, say)
    if against is None:
        console.print_json(_plain_report(app, report)) if json else _show_report(app, report)
        return
    console.print_json(_plain_compared(app, compared)) if json else _show_compared(app, compared)
    if not compared.comparison.passed:
        raise typer.Exit(BLOCKED)


@evaluate_cli.command("history")
def history(
    ctx: typer.Context, limit: int = typer.Option(30, min=1, help="Evaluations at most."), json: bool = AS_JSON
) -> None:
    """List how the models that ran did, the newest first."""
    rows = app_of(ctx).loop.store.evaluations(limit)
    if json:
        console.print_json(rows)
        return
    if not rows:
        console.out.print("No model was evaluated yet. `python -m learning evaluate` does it.")
        return
    for row in rows:
        p95 = f"; p95 {row.p95_ms:.1f} ms" if row.p95_ms is not None else ""
        console.out.print(f"{row.at:%Y-%m-%d %H:%M} UTC  {line(told_row(row))}{p95}")


@regression_cli.command("list")
def list_cases(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """List the confirmed messages, and which of them measure nothing since they stand in the training data."""
    app = app_of(ctx)
    cases, unusable = _cases(app)
    why = {case.case_id: reason for case, reason in unusable}
    if json:
        console.print_json([{**_plain_case(case), "unused": why.get(case.case_id)} for case in cases])
        return
    if not cases:
        console.out.print(
            "Nobody has confirmed messages yet: checked turns and approved proposals are where they come from."
        )
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "source", "intent", "message", "not asked because"):
        table.add_column(heading, no_wrap=heading != "message")
    for case in cases:
        table.add_row(case.case_id[:8], case.source, line(case.label), line(case.text, 80), why.get(case.case_id, ""))
    console.out.print(table)
    console.out.print(f"{len(cases) - len(unusable)} of {len(cases)} are asked")


@regression_cli.command("grow")
def grow_set(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Add what people have confirmed since the last evaluation; evaluations and retrainings do so by themselves."""
    app = app_of(ctx)
    added = grow(app.loop, for_everybody(app.loop.store.entries(*LIVE)))
    if json:
        console.print_json({"added": added, "cases": len(app.loop.store.regression_cases())})
    else:
        console.out.print(f"{added} messages added")


@regression_cli.command("export")
def export(
    ctx: typer.Context,
    out: Optional[Path] = typer.Option(None, show_default=False, help="Write to this file instead of printing."),
) -> None:
    """Write the messages that are asked as Rasa NLU data, for `rasa test nlu --nlu FILE`."""
    app = app_of(ctx)
    cases, unusable = _cases(app)
    left_out = {case.case_id for case, _ in unusable}
    text = render_cases([case for case in cases if case.case_id not in left_out])
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")
        console.out.print(f"{len(cases) - len(unusable)} messages written to {line(str(out))}")


@regression_cli.command("drop")
def drop(
    ctx: typer.Context,
    case: str = typer.Argument(..., show_default=False, help="Id of a case, or its first characters."),
    reason: str = typer.Option(..., show_default=False, help="Why; it goes into the audit log."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Take a message out for good, such as one whose label is wrong."""
    loop = app_of(ctx).loop
    name = who or console.user()
    check_name(name)
    dropped = loop.store.drop_regression_case(case, name, loop.now(), reason)
    if json:
        console.print_json(_plain_case(dropped))
    else:
        console.out.print(f"dropped {dropped.case_id[:8]} ({line(dropped.label)}); it does not come back")


def render_cases(cases: Sequence[RegressionCase]) -> str:
    """Return cases as a file of Rasa NLU data, by label; their words are plain already."""
    labels: dict[str, list[str]] = {}
    for case in cases:
        labels.setdefault(case.label, []).append(case.text)
    nlu = [
        {"intent": label, "examples": LiteralScalarString("".join(f"- {text}\n" for text in texts))}
        for label, texts in sorted(labels.items())
    ]
    writer: Any = YAML()
    writer.width = 1_000_000
    out = io.StringIO()
    writer.dump({"version": "3.1", "nlu": nlu}, out)
    return out.getvalue()


def _cases(app: App) -> tuple[list[RegressionCase], list[tuple[RegressionCase, str]]]:
    """Return all cases, and those that are not asked with the reason."""
    loop = app.loop
    live = for_everybody(loop.store.entries(*LIVE))
    cases, valid = loop.store.regression_cases(), valid_cases(loop, live)
    _, overlapping = split(valid, trained_texts(loop, without_cases(live, valid)))
    current, taught = {case.case_id for case in valid}, {case.case_id for case in overlapping}
    unused = [(case, "taken back") for case in cases if case.case_id not in current]
    return cases, unused + [(case, "it is trained on") for case in cases if case.case_id in taught]


def _measure(app: App, model: str | None, say: Any) -> EvaluationReport:
    def told(step: str, words: str) -> None:
        say(words)

    if model is None:
        return evaluate_running(app.loop, app.nlu, app.server, told)
    grow(app.loop, for_everybody(app.loop.store.entries(*LIVE)))
    return evaluate_model(app.loop, app.nlu, _path(app, model), told)


def _compare(app: App, model: str | None, against: str, say: Any) -> Compared:
    challenger = app.server.running_model() if model is None else _path(app, model)
    live = for_everybody(app.loop.store.entries(*LIVE))
    champion = _path(app, against)
    return compare_models(app.loop, app.nlu, champion, challenger, live, lambda step, words: say(words))


def _path(app: App, name: str) -> Path:
    """Return the file of a model that is named by its path, or by its name in the models folder.

    Raises:
        NotFound: there is no such file.

    """
    models = app.settings.path(app.settings.project.models)
    for path in (Path(name), models / name, models / f"{name}.tar.gz"):
        if path.is_file():
            return path.resolve()
    raise NotFound("is no file", f"model {name}", f"name a file, or one of {models}")


def _texts(app: App) -> Mapping[str, str]:
    return {case.key: case.text for case in app.loop.store.regression_cases()}


def _named(key: str, texts: Mapping[str, str]) -> str:
    """Return the words of a case."""
    return texts.get(key, "forgotten since") if key.startswith(CASE) else key


def _show_report(app: App, report: EvaluationReport) -> None:
    texts = _texts(app)
    console.out.print(f"[bold]{line(report.row.model)}[/bold]")
    for suite, found in report.suites.items():
        name = SUITE_WORDS[suite.value]
        share = (
            f"{100 * found.passed / found.total:.1f} % ({found.passed} of {found.total})" if found.total else "not run"
        )
        note = f"  {line(found.note.removeprefix('not run: '))}" if found.note else ""
        console.out.print(f"{name:<15} {share}{note}")
        failed = [one for one in found.results if not one.passed]
        for one in failed[:SHOWN]:
            got = f"wanted {line(one.expected)}, got {line(one.got)}"
            console.out.print(f"  {line(_named(one.key, texts), 100)}: {got}")
        if len(failed) > SHOWN:
            console.out.print(f"  and {len(failed) - SHOWN} more")
    if report.row.p50_ms is not None:
        console.out.print(f"{'time a message':<15} {report.row.p50_ms:.1f} ms (p50), {report.row.p95_ms:.1f} ms (p95)")


def _show_compared(app: App, compared: Compared) -> None:
    texts = _texts(app)
    verdict = "would go live" if compared.comparison.passed else "would be blocked"
    console.out.print(f"[bold]{verdict}[/bold]")
    low, high = compared.figures["interval"]
    console.out.print(f"accuracy on the hold-out changes by {100 * low:+.1f} to {100 * high:+.1f} points (95 %)")
    for rule in compared.verdict.rules:
        console.out.print(f"{rule.state.value:<13} {NAMES[rule.name]}: {line(rule.sentence)}")
        for one in rule.examples:
            was = f"wanted {line(one.expected)}, {line(one.before)} -> {line(one.after)}"
            console.out.print(f"  {line(_named(one.key, texts), 100)}: {was}")


def _plain_report(app: App, report: EvaluationReport) -> dict[str, object]:
    texts = _texts(app)
    failed = {
        suite.value: [
            {"case": _named(one.key, texts), "expected": one.expected, "got": one.got}
            for one in found.results
            if not one.passed
        ]
        for suite, found in report.suites.items()
    }
    times = {"p50_ms": report.row.p50_ms, "p95_ms": report.row.p95_ms}
    return {**report.plain(), "at": report.row.at, **times, "failed": failed}


def _plain_compared(app: App, compared: Compared) -> dict[str, object]:
    texts = _texts(app)
    suites = {}
    for suite, after in compared.after.items():
        pair = Paired.of([one.passed for one in compared.before[suite].results], [one.passed for one in after.results])
        change = difference_interval(pair) if pair.total else None
        suites[suite.value] = {
            "total": pair.total,
            "before": pair.before,
            "after": pair.after,
            "lost": pair.lost,
            "gained": pair.gained,
            "change_95": change,
            "note": after.note,
        }
    return {
        "passed": compared.comparison.passed,
        "reason": compared.comparison.reason,
        "rules": [_plain_rule(rule, texts) for rule in compared.verdict.rules],
        "suites": suites,
    }


def _plain_rule(rule: Rule, texts: Mapping[str, str]) -> dict[str, object]:
    examples = [
        {"case": _named(one.key, texts), "expected": one.expected, "before": one.before, "after": one.after}
        for one in rule.examples
    ]
    return {"rule": rule.name, "state": rule.state.value, "sentence": rule.sentence, "examples": examples}


def _plain_case(case: RegressionCase) -> dict[str, object]:
    return {
        "id": case.case_id,
        "text": case.text,
        "label": case.label,
        "source": case.source,
        "item": case.item,
        "added_at": case.added_at,
    }
