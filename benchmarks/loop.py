"""`make bench-loop`: the whole learning loop on CLINC150 and BANKING77, with a reviewer who knows the truth.

A part of the intents is hidden from the bot, which Rasa trains with this project's pipeline on the rest. Every week
customers write, the conversations are mined, the reviewer decides what is proposed, what was approved goes live through
the overlay, and a gated retraining ends the week. After each step the bot is asked test messages that nobody ever sent.
Runs that were measured before are kept unless `--again` is given.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.loop_data import DATASETS, FULL, QUICK
from benchmarks.loop_project import ROOT
from benchmarks.loop_run import ceiling, play
from benchmarks.loop_tables import CEILING, MODES, OURS, tables
from benchmarks.nlu import ONE_CORE, QUIET

SEEDS, DEVELOPMENT_SEEDS = (1, 2), (0, 10, 11)


def main() -> None:
    """Play the runs that the command line asks for, print the tables, and store them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "datasets", help="the data sets' folder")
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=None)
    parser.add_argument("--development", action="store_true", help="other seeds, whose figures are not stored")
    parser.add_argument("--quick", action="store_true", help="30 intents and two weeks; not stored")
    parser.add_argument("--weeks", type=int, default=None, help="fewer weeks; not stored")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=None)
    parser.add_argument("--again", action="store_true", help="measure again what was measured before")
    parser.add_argument("--dump-decisions", type=Path, metavar="FILE", help="write every decided proposal, as JSON")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the projects here, to look at")
    options = parser.parse_args()
    _quiet()
    size = QUICK if options.quick else FULL
    if options.weeks:
        size = replace(size, weeks=options.weeks)
    stored = not (options.quick or options.development or options.weeks)
    seeds = options.seeds or ((DEVELOPMENT_SEEDS if options.development else SEEDS)[: 1 if options.quick else None])
    modes = options.modes or ([OURS] if options.quick or options.development else list(MODES))
    runs: dict[str, Any] = dict(results.read("loop").get("runs", {})) if stored else {}
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)

    def keep(name: str, found: dict[str, Any]) -> None:
        """Note a run's figures: a long run that is stopped leaves the weeks that it has played."""
        runs.update(results.read("loop").get("runs", {}) if stored else {})
        runs[name] = found
        if stored:
            results.write("loop", "make bench-loop", {"tables": tables(runs), "runs": runs})
        if options.dump_decisions:
            options.dump_decisions.write_text(json.dumps(_decisions(runs), indent=1), "utf-8")

    for dataset in options.datasets:
        for seed in seeds:
            for mode in modes:
                name = f"{dataset}/{seed}/{mode}"
                if is_complete(runs.get(name)) and not options.again:
                    continue
                results.say(name)
                if mode == CEILING:
                    keep(name, ceiling(dataset, options.data, seed, size, options.keep))
                else:
                    play(dataset, options.data, seed, size, mode == OURS, partial(keep, name), options.keep)
    for text in tables(runs):
        results.say(text)


def is_complete(run: Mapping[str, Any] | None) -> bool:
    """Whether a stored run has all its weeks."""
    return run is not None and len(run.get("cycles", ())) == run.get("weeks_wanted", 0)


def _decisions(runs: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return every proposal that was decided, and those that were left unread at the end."""
    return [
        {"run": name, "read": part == "decided", **item}
        for name, run in runs.items()
        for part in ("decided", "left")
        for item in run.get(part, ())
    ]


def _quiet() -> None:
    """Make the child processes find this code, be quiet, and use one core each; forget the caller's own settings."""
    for name in [name for name in os.environ if name.startswith("EVERGREEN_") and name != "EVERGREEN_CACHE"]:
        del os.environ[name]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    os.environ.update(QUIET, **ONE_CORE, PYTHONPATH=path)


if __name__ == "__main__":
    main()
