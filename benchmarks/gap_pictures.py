"""Pictures of what mining finds among hidden needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

PANELS = (("purity", "purity of the gaps", 0.9), ("noise", "share of the noise in gaps", 0.1))
MARKERS = "osv^D<>Pph"


def draw(rows: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """Draw what each method finds against what it gets wrong; return the picture as Markdown."""
    from matplotlib.figure import Figure

    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    figure = Figure(figsize=(11, 8))
    axes = figure.subplots(len(PANELS), len(datasets), squeeze=False, sharey=True)
    for line, (figure_name, title, target) in enumerate(PANELS):
        for column, dataset in enumerate(datasets):
            axis = axes[line][column]
            for number, method in enumerate(methods):
                own = [row for row in rows if row["dataset"] == dataset and row["method"] == method]
                ours = method.startswith("Evergreen")
                axis.scatter(
                    float(np.nanmean([row[figure_name] for row in own])),
                    float(np.nanmean([row["found5"] for row in own])),
                    s=140 if ours else 45,
                    marker="*" if ours else MARKERS[number % len(MARKERS)],
                    color=f"C{number % 10}",
                    label=method,
                    zorder=3,
                )
            axis.axvline(target, color="0.7", linestyle="--")
            axis.set_xlim(-0.02, 1.0)
            axis.set_ylim(0.3, 0.95)
            axis.set_xlabel(title)
            axis.set_title(dataset)
        axes[line][0].set_ylabel("needs found (5 messages or more)")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=4, fontsize=8)
    figure.tight_layout(rect=(0, 0.09, 1, 1))
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / "gaps-methods.png", dpi=100)
    return [
        "The dashed lines are the targets: right of it for purity, left of it for noise.\n\n"
        "![Hidden needs found against purity and noise, by method](results/gaps-methods.png)"
    ]
