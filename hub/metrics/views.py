"""What the metrics pages show of a report: tiles, reasons, and a matrix of confusions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from hub.metrics.charts import sparkline
from hub.texts import metrics as texts
from learning.effect_words import details, told
from learning.effects import Effect, NeedEffect, Side
from learning.metrics import Link, Reason, Unit, Verdict
from learning.metrics_accuracy import Confusion
from learning.metrics_report import Line, MetricsReport
from learning.metrics_words import between_words, interval_words, number_words, range_words, value_words

LIST = "/conversations"
TONES = {Verdict.BETTER: "better", Verdict.WORSE: "worse"}


@dataclass(frozen=True)
class Tile:
    """One number as the pages show it."""

    key: str
    name: str
    value: str
    interval: str
    top: str
    top_href: str
    of: str
    of_href: str
    before: str
    verdict: str
    tone: str
    definition: str
    better: str
    spark: list[str]


@dataclass(frozen=True)
class ReasonRow:
    """One reason with its count and share, and the share before."""

    outcome: str
    words: str
    count: int
    href: str
    share: str
    before: str


@dataclass(frozen=True)
class NeedRow:
    """The effect of a release on one need, in words, with the conversations behind its two times."""

    effect: NeedEffect
    told: str
    details: tuple[str, ...]
    sides: tuple[tuple[str, Side, str], ...]


def address(link: Link | None) -> str:
    """Return the address of the conversations behind a number, empty where no list can show them."""
    return "" if link is None else f"{LIST}?{urlencode(link)}" if link else LIST


def tiles(report: MetricsReport, today: date) -> list[Tile]:
    """Return a tile for each metric."""
    return [tile(report, line, today) for line in report.lines]


def tile(report: MetricsReport, line: Line, today: date) -> Tile:
    """Return one metric as a tile."""
    metric, value, change = line.metric, line.value, line.change
    verdict = ""
    if change is not None:
        verdict, between = texts.VERDICTS[change.verdict], range_words(metric, change)
        verdict = texts.CHANGE.format(verdict=verdict, interval=between) if between else verdict
    return Tile(
        key=metric.key,
        name=metric.name,
        value=value_words(value),
        interval=interval_words(value),
        top=texts.COUNT_AND_WORDS.format(count=value.top, words=metric.top_words),
        top_href=address(value.link),
        of=texts.COUNT_AND_WORDS.format(count=value.of, words=metric.of_words) if metric.of else "",
        of_href=address(value.of_link) if metric.of else "",
        before=_before(line),
        verdict=verdict,
        tone=TONES.get(change.verdict, "") if change else "",
        definition=metric.definition,
        better=texts.BETTER[metric.better],
        spark=sparkline(report.series(metric.key, today)),
    )


def reason_rows(report: MetricsReport) -> list[ReasonRow]:
    """Return why conversations were escalated or abandoned, each reason beside its share before."""
    before = {(one.outcome, one.reason): one for one in report.reasons_before}
    names = {"escalated": texts.ESCALATED, "abandoned": texts.ABANDONED}
    return [
        ReasonRow(
            names[one.outcome],
            one.words,
            one.count,
            address(one.link),
            _share(one),
            _share(before.get((one.outcome, one.reason))),
        )
        for one in report.reasons
    ]


def matrix(confusion: Confusion) -> tuple[list[str], list[tuple[str, list[tuple[int, int]]]]]:
    """Return the labels of a matrix, and its rows: counts with how strongly (0 to 4) they are shaded."""
    labels = confusion.labels()
    most = max((count for _, _, count in confusion.wrong), default=1)
    rows = []
    for right in labels:
        counts = [confusion.count(right, said) for said in labels]
        shades = [
            0 if right == said or not count else 1 + min(3, 3 * count // most)
            for said, count in zip(labels, counts, strict=True)
        ]
        rows.append((right, list(zip(counts, shades, strict=True))))
    return labels, rows


def need_rows(effect: Effect) -> list[NeedRow]:
    """Return what a release has done to each need."""
    return [NeedRow(need, told(need), tuple(details(need)), tuple(_sides(need))) for need in effect.needs]


def _sides(need: NeedEffect) -> Sequence[tuple[str, Side, str]]:
    found = []
    for words, side in ((texts.SIDE_BEFORE, need.before), (texts.SIDE_AFTER, need.after)):
        if side is not None:
            days = (("since", side.since.isoformat()), ("until", side.until.isoformat()))
            found.append((words, side, address((("gap", need.gap_id), *days))))
    return found


def _before(line: Line) -> str:
    if line.before is None:
        return ""
    value, between = value_words(line.before), interval_words(line.before)
    if between:
        return texts.BEFORE_BETWEEN.format(value=value, interval=between)
    return texts.BEFORE.format(value=value)


def _share(reason: Reason | None) -> str:
    if reason is None or reason.estimate is None:
        return ""
    return f"{number_words(Unit.SHARE, reason.estimate.value)} ({between_words(Unit.SHARE, reason.estimate)})"
