"""The confusion matrix as a picture that can be read with fifty intents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from warnings import catch_warnings, simplefilter

from learning.model import FALLBACK_INTENT
from learning.nlu_report.scores import Scores

MOST_INTENTS = 60  # in one picture; beyond, cells and names grow too small to read
CELL = 0.25  # inches
MARGIN = 2.7  # inches for the names on one side
DOTS = 110  # an inch: a name of eight points is twelve pixels high
NO_ANSWER = "no answer"


@dataclass(frozen=True)
class Theme:
    """The colors of a picture: two that cells blend into, and three to draw with."""

    paper: str
    ink: str
    lines: str
    right: str
    wrong: str


LIGHT = Theme(paper="#ffffff", ink="#1c2430", lines="#e3e7ec", right="#3f7fbf", wrong="#d1342f")
DARK = Theme(paper="#171c24", ink="#e4e8ee", lines="#2b323d", right="#4f8fd0", wrong="#f0605a")


def shown_intents(scores: Scores, order: Sequence[str]) -> list[str]:
    """Return the intents that the picture has room for: all, or those with the most mistakes, in `order`."""
    lost: Counter[str] = Counter()
    for cell in scores.cells:
        lost[cell.label] += 0 if cell.label == cell.predicted else cell.messages
        lost[cell.predicted] += 0 if cell.label == cell.predicted else cell.messages
    del lost[FALLBACK_INTENT]
    place = {label: number for number, label in enumerate(order)}
    worst = sorted(lost, key=lambda label: (-lost[label], label))[:MOST_INTENTS]
    return sorted(worst, key=lambda label: (place.get(label, len(place)), label))


def draw_confusion(scores: Scores, order: Sequence[str], theme: Theme) -> bytes:
    """Return a PNG: a row for each intent that was meant, a column for each that was understood."""
    from matplotlib.figure import Figure

    labels = shown_intents(scores, order)
    columns = [*labels, FALLBACK_INTENT]
    # A hold-out may have messages that nothing should answer.
    rows = columns if any(cell.label == FALLBACK_INTENT for cell in scores.cells) else labels
    side = CELL * len(labels) + MARGIN
    figure = Figure(figsize=(side + CELL, side + MARGIN / 2), dpi=DOTS, facecolor=theme.paper, layout="constrained")
    axes = figure.add_subplot(facecolor=theme.paper)
    counts = {(cell.label, cell.predicted): cell.messages for cell in scores.cells}
    support = Counter[str]()
    for (label, _), messages in counts.items():
        support[label] += messages
    axes.imshow([[_color(row, column, counts, support, theme) for column in columns] for row in rows], aspect="equal")
    for down, row in enumerate(rows):
        for across, column in enumerate(columns):
            messages = counts.get((row, column), 0)
            if messages:
                strong = messages / support[row] > 0.45
                color = "#ffffff" if strong else theme.ink
                axes.text(across, down, str(messages), ha="center", va="center", fontsize=8, color=color)
    _label_axes(axes, rows, columns, [f"{counts.get((row, row), 0)}/{support[row]}" for row in rows], theme)
    out = BytesIO()
    with catch_warnings():
        # Names in a script that the font lacks become boxes; the tables have them in full.
        simplefilter("ignore", UserWarning)
        figure.savefig(out, format="png", facecolor=theme.paper, metadata={"Software": None})
    return out.getvalue()


def _label_axes(axes: Any, rows: Sequence[str], columns: Sequence[str], shares: Sequence[str], theme: Theme) -> None:
    style = {"fontsize": 8, "color": theme.ink, "parse_math": False}
    axes.set_yticks(
        range(len(rows)), [f"{_name(row)}  {text}" for row, text in zip(rows, shares, strict=True)], **style
    )
    axes.set_xticks(range(len(columns)), [_name(column) for column in columns], rotation=90, **style)
    axes.tick_params(length=0, labeltop=True, labelbottom=True)
    axes.set_ylabel("meant  (understood / held out)", color=theme.ink, fontsize=9)
    axes.set_xlabel("understood as", color=theme.ink, fontsize=9)
    # Lines between the cells lead the eye from a cell to its two names.
    axes.set_yticks([place - 0.5 for place in range(1, len(rows))], minor=True)
    axes.set_xticks([place - 0.5 for place in range(1, len(columns))], minor=True)
    axes.grid(which="minor", color=theme.lines, linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    axes.axvline(len(columns) - 1.5, color=theme.ink, linewidth=1.0)
    for spine in axes.spines.values():
        spine.set_color(theme.lines)


def _name(label: str) -> str:
    return NO_ANSWER if label == FALLBACK_INTENT else label


def _color(
    row: str, column: str, counts: dict[tuple[str, str], int], support: Counter[str], theme: Theme
) -> tuple[float, float, float]:
    """Return the cell's color: stronger, the larger its share of the intent's messages."""
    from matplotlib.colors import to_rgb

    messages = counts.get((row, column), 0)
    share = messages / support[row] if messages else 0.0
    # A single mistake of ten must still be seen.
    weight = 0.25 + 0.75 * share if row == column else min(1.0, 0.3 + 1.2 * share)
    weight = weight if messages else 0.0
    full = to_rgb(theme.right if row == column else theme.wrong)
    red, green, blue = (base + weight * (top - base) for base, top in zip(to_rgb(theme.paper), full, strict=True))
    return red, green, blue
