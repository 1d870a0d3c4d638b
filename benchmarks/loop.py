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
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from benchmarks import loop_customers, loop_data, results
from benchmarks.loop_bot import Bot
from benchmarks.loop_customers import WEEK, Customers
from benchmarks.loop_data import DATASETS, FULL, QUICK, Scenario, Size
from benchmarks.loop_project import ROOT, TRACKER, merge_learned, write_project
from benchmarks.loop_reviewer import WHO, Verdict, judge
from benchmarks.loop_scores import LEVELS, Decided, Reading, acceptance, alone, calibration_error, error_by_chance, read
from benchmarks.nlu import ONE_CORE, QUIET
from benchmarks.tracker_talk import REJECTIONS
from learning.autonomy import autonomy_status
from learning.bootstrap import App, build
from learning.loop import Loop
from learning.model import LOW_SCORE, Action, Proposal, ProposalKind, ProposalState
from learning.pipeline import learned_files, merge, mine, review
from learning.retrain import retrain
from learning.texts import plain_text
from learning.topics import Topics

START = datetime(2026, 1, 5, tzinfo=timezone.utc)
SEEDS, DEVELOPMENT_SEEDS = (0, 1), (10, 11, 12)
OURS, OVERLAY_ONLY, CEILING = "retrained weekly", "overlay only", "all labelled by hand"
MODES = (OURS, OVERLAY_ONLY, CEILING)
CEILING_WEEKS = (3, 6)  # after which a bot is trained with everything that was said
MANY = 1000  # newest turns of a gap whose truth is looked up
POOLED = "both"
MERGED = "merge"  # what became of a proposal that the reviewer put together with a better one
READ_FROM = LOW_SCORE  # the reviewer leaves what scores less: it may grow until next week


@dataclass
class Run:
    """One run of the loop: a bot that learns, its customers, and what came of it."""

    scenario: Scenario
    folder: Path
    app: App
    bot: Bot
    retrains: bool
    now: datetime = START
    meanings: dict[str, str] = field(default_factory=dict)
    covered: set[str] = field(default_factory=set)
    decided: list[Decided] = field(default_factory=list)
    left: list[Decided] = field(default_factory=list)
    cycles: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Wire the loop to the run's own clock."""
        self.loop: Loop = replace(self.app.loop, now=lambda: self.now)
        self.topics = Topics(self.app.settings.autonomy, self.loop.encoder)
        self.customers = Customers(f"{self.scenario.dataset} {self.scenario.seed}")
        self.meanings = {intent: intent for intent in self.scenario.known}

    def play(self) -> None:
        """Train the first bot, and play all weeks."""
        model = self.folder / "models" / "first.tar.gz"
        began = time.perf_counter()
        self.app.nlu.train(self.folder / "data", model)
        self.bot.load_model(model)
        results.say(f"  trained in {time.perf_counter() - began:.0f} s")
        before = self._read()
        self.first = before
        for number in range(len(self.scenario.weeks)):
            before = self._cycle(number, before)

    def _cycle(self, number: int, before: Reading) -> Reading:
        began = time.perf_counter()
        self._talk(number)
        self.now = START + timedelta(seconds=WEEK * (number + 1))
        mined = mine(self.loop)
        decided = self._review(number)
        overlay = self._read()
        merge_learned(self.folder, learned_files(self.loop))
        gate = ""
        after = overlay
        if self.retrains:
            report = retrain(self.loop, self.app.nlu, self.bot)
            gate = report.comparison.reason
            after = self._read()
        taught = frozenset(self.covered)
        cycle = {
            "cycle": number + 1,
            "covered_intents": len(taught),
            "hidden_intents": len(self.scenario.hidden),
            # What was covered by this week's end, before it: of the same intents, so that the two can be compared.
            "before": asdict(replace(before, covered=_of(before, taught))),
            "overlay": asdict(overlay),
            "after": asdict(after),
            "failed_turns": mined.new_signals,
            "actions": Counter(item.action for item in decided),
            "kinds": Counter(item.kind for item in decided),
            "faults": Counter(item.fault for item in decided if item.fault),
            "accepted": sum(item.accepted for item in decided),
            "decided": len(decided),
            "left": len(self.left),
            "gate": gate,
            "seconds": round(time.perf_counter() - began),
        }
        self.cycles.append(cycle)
        results.say("  " + line_of(cycle))
        return after

    def _talk(self, number: int) -> None:
        """Let the week's customers write, and store what they leave."""
        said = self.scenario.weeks[number]
        texts = [*dict.fromkeys(message.text for message in said), *REJECTIONS]
        parsed = dict(zip(texts, self.bot.understand(texts), strict=True))
        began = (START + timedelta(seconds=WEEK * number)).timestamp()
        rows = self.customers.week(began, said, parsed, self.meanings)
        loop_customers.append(self.folder / TRACKER, rows)

    def _review(self, number: int) -> list[Decided]:
        """Decide what is worth reading, the highest score first, as a reviewer's list shows it; the rest may grow."""
        may = self._may_go_alone()
        decided = self._unite_twins(number, may)
        self.left = []
        for proposal in self._waiting():
            verdict = judge(proposal, self._truth(proposal), self.scenario, self.meanings)
            record = self._record(number, proposal, verdict, may)
            if proposal.score < READ_FROM:
                self.left.append(record)
                continue
            decided.append(record)
            review(self.loop, verdict.decision(proposal, self.now))
            if verdict.teaches_anew and proposal.kind is ProposalKind.ANSWER:
                self.meanings[verdict.label or proposal.label] = verdict.meant
                self.covered.add(verdict.meant)
        self.decided += decided
        return decided

    def _unite_twins(self, number: int, may: Mapping[str, tuple[str, ...]]) -> list[Decided]:
        """Merge new questions about the same need into the best of them; return those that are gone."""
        gone: list[Decided] = []
        twins: dict[str, list[tuple[Proposal, Verdict]]] = {}
        for proposal in self._waiting():
            verdict = judge(proposal, self._truth(proposal), self.scenario, self.meanings)
            if proposal.kind is ProposalKind.ANSWER and verdict.teaches_anew:
                twins.setdefault(verdict.meant, []).append((proposal, verdict))
        for (first, _), *others in twins.values():
            if not others or first.score < READ_FROM:
                continue
            merge(self.loop, [first.proposal_id, *(other.proposal_id for other, _ in others)], WHO, self.now)
            for other, verdict in others:
                gone.append(replace(self._record(number, other, verdict, may), accepted=False, action=MERGED))
        return gone

    def _waiting(self) -> list[Proposal]:
        waiting = [item for item in self.loop.store.proposals() if item.state is ProposalState.PENDING]
        return sorted(waiting, key=lambda item: (-item.score, item.proposal_id))

    def _may_go_alone(self) -> dict[str, tuple[str, ...]]:
        """Return at which levels of autonomy each proposal would go live now, by its id."""
        found: dict[str, list[str]] = {}
        for level in LEVELS:
            settings = self.loop.settings
            daring = replace(settings, autonomy=replace(settings.autonomy, level=level))
            for verdict in autonomy_status(replace(self.loop, settings=daring), self.topics).verdicts:
                if verdict.goes_live:
                    found.setdefault(verdict.proposal_id, []).append(level)
        return {proposal_id: tuple(levels) for proposal_id, levels in found.items()}

    def _record(self, number: int, proposal: Proposal, verdict: Verdict, may: Mapping[str, tuple[str, ...]]) -> Decided:
        replayed = proposal.replay
        return Decided(
            week=number + 1,
            kind=proposal.kind.value,
            score=proposal.score,
            accepted=verdict.action is Action.APPROVE,
            action=verdict.action.value,
            fault=verdict.fault,
            harmful=verdict.harmful,
            share=round(verdict.share, 3),
            clean=replayed is not None and replayed.fixed > 0 and replayed.broken == 0,
            warned=bool(proposal.warnings),
            alone=may.get(proposal.proposal_id, ()),
            people=proposal.people,
            examples=len(proposal.examples),
            parts={part.name: part.value for part in proposal.score_parts},
        )

    def _truth(self, proposal: Proposal) -> Callable[[str], str]:
        """Return what tells an example's intent: the example is a turn of the gap, as redaction left it."""
        found: dict[str, str] = {}
        for turn in self.loop.store.turns_of_gap(proposal.gap_id, newest=MANY):
            found[plain_text(turn.text).casefold()] = self.customers.truths.get((turn.sender, turn.at), "")
        return lambda text: found.get(text.casefold(), "")

    def _read(self) -> Reading:
        texts = [message.text for message in self.scenario.test]
        return read(self.scenario, self.bot.understand(texts), self.meanings, frozenset(self.covered))


def _of(before: Reading, intents: frozenset[str]) -> float:
    """Return the earlier resolution rate on `intents`; what had no label then was never resolved."""
    return statistics.fmean(before.by_intent.get(intent, 0.0) for intent in intents) if intents else 0.0


def line_of(cycle: Mapping[str, Any]) -> str:
    """Return a cycle in one line."""
    before, overlay, after = cycle["before"], cycle["overlay"], cycle["after"]
    faults = ", ".join(f"{count} {fault}" for fault, count in sorted(cycle["faults"].items()))
    return (
        f"week {cycle['cycle']}: {cycle['covered_intents']} of {cycle['hidden_intents']} covered,"
        f" {100 * before['covered']:.1f} % -> overlay {100 * overlay['covered']:.1f} %"
        f" -> retrained {100 * after['covered']:.1f} % ({100 * after['covered_asked']:.1f} % asked back,"
        f" {100 * after['covered_lost']:.1f} % not understood;"
        f" all hidden {100 * after['hidden']:.1f} %),"
        f" known {100 * before['known']:.1f} -> {100 * after['known']:.1f} %,"
        f" outside answered {100 * after['outside_answered']:.1f} %;"
        f" {cycle['accepted']} of {cycle['decided']} accepted at first sight ({faults or 'no fault'}),"
        f" {cycle['actions'].get(MERGED, 0)} merged, {cycle['left']} left;"
        f" {cycle['seconds']} s; {cycle['gate']}"
    )


def play(dataset: str, data: Path, seed: int, size: Size, retrains: bool, keep: Path | None = None) -> dict[str, Any]:
    """Play one run in a project of its own; return its figures."""
    scenario = loop_data.build(dataset, data, seed, size)
    folder = Path(tempfile.mkdtemp(prefix=f"loop-{dataset}-{seed}-", dir=keep))
    try:
        write_project(folder, scenario)
        app = build(folder)
        bot = Bot(folder, os.environ)
        try:
            run = Run(scenario, folder.resolve(), app, bot, retrains)
            run.play()
        finally:
            bot.close()
    finally:
        if keep is None:
            shutil.rmtree(folder)
    return {
        "first": asdict(run.first),
        "cycles": run.cycles,
        "decided": [item.row for item in run.decided],
        "left": [item.row for item in run.left],
        "meanings": {label: meant for label, meant in run.meanings.items() if label != meant},
    }


def ceiling(dataset: str, data: Path, seed: int, size: Size, keep: Path | None = None) -> dict[str, Any]:
    """Train the bot with every message on hidden intents of the first weeks, labelled by hand; return how it does."""
    scenario = loop_data.build(dataset, data, seed, size)
    intents = scenario.known | scenario.hidden
    found: dict[str, Any] = {}
    for week in (week for week in CEILING_WEEKS if week <= size.weeks):
        said = [
            message for messages in scenario.weeks[:week] for message in messages if message.truth in scenario.hidden
        ]
        folder = Path(tempfile.mkdtemp(prefix=f"ceiling-{dataset}-{seed}-", dir=keep))
        try:
            write_project(folder, replace(scenario, training=(*scenario.training, *said), known=intents))
            model = folder / "models" / "ceiling.tar.gz"
            build(folder).nlu.train(folder / "data", model)
            bot = Bot(folder, os.environ)
            try:
                bot.load_model(model)
                parsed = bot.understand([message.text for message in scenario.test])
            finally:
                bot.close()
        finally:
            if keep is None:
                shutil.rmtree(folder)
        reading = read(scenario, parsed, {intent: intent for intent in intents}, scenario.hidden)
        found[str(week)] = asdict(reading)
        results.say(f"  {week} weeks: {100 * reading.hidden:.1f} %, known {100 * reading.known:.1f} %")
    return {"weeks": found}


# --- tables ---------------------------------------------------------------------------------------


def weekly(runs: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each data set and week: means over the seeds, and half the range of the main figure."""
    rows = []
    for dataset in DATASETS:
        ours = _runs(runs, dataset, OURS)
        overlay = _runs(runs, dataset, OVERLAY_ONLY)
        ceilings = _runs(runs, dataset, CEILING)
        for place in range(max((len(run["cycles"]) for run in ours), default=0)):
            cycles = [run["cycles"][place] for run in ours if len(run["cycles"]) > place]
            after = [cycle["after"]["covered"] for cycle in cycles]
            peers = [run["cycles"][place] for run in overlay if len(run["cycles"]) > place]
            best = [run["weeks"][str(place + 1)] for run in ceilings if str(place + 1) in run["weeks"]]

            def mean(of: Callable[[Any], float], chosen: Sequence[Any] = cycles) -> float:
                return statistics.fmean(map(of, chosen))

            rows.append(
                {
                    "dataset": dataset,
                    "week": place + 1,
                    "seeds": len(cycles),
                    "taught": mean(lambda cycle: cycle["covered_intents"]),
                    "hidden_intents": cycles[0]["hidden_intents"],
                    "before": mean(lambda cycle: cycle["before"]["covered"]),
                    "overlay": mean(lambda cycle: cycle["overlay"]["covered"]),
                    "after": statistics.fmean(after),
                    "spread": (max(after) - min(after)) / 2,
                    "asked": mean(lambda cycle: cycle["after"]["covered"] + cycle["after"]["covered_asked"]),
                    "hidden": mean(lambda cycle: cycle["after"]["hidden"]),
                    "known": mean(lambda cycle: cycle["after"]["known"]),
                    "outside": mean(lambda cycle: cycle["after"]["outside_answered"]),
                    "decided": mean(lambda cycle: cycle["decided"]),
                    "accepted": sum(c["accepted"] for c in cycles) / max(sum(c["decided"] for c in cycles), 1),
                    "per_point": mean(_actions_per_point),
                    "peer": mean(lambda cycle: cycle["after"]["hidden"], peers) if peers else None,
                    "first": statistics.fmean(run["first"]["hidden"] for run in ours),
                    "ceiling": mean(lambda reading: reading["hidden"], best) if best else None,
                }
            )
    return rows


def _actions_per_point(cycle: Mapping[str, Any]) -> float:
    """Return the decisions of a week for each percentage point of resolution on all hidden intents that they gained."""
    gained = 100 * (cycle["after"]["hidden"] - cycle["before"]["hidden"])
    return cycle["decided"] / gained if gained > 0 else float("inf")


def _runs(runs: Mapping[str, Mapping[str, Any]], dataset: str, mode: str) -> list[Mapping[str, Any]]:
    return [run for name, run in sorted(runs.items()) if name.startswith(f"{dataset}/") and name.endswith(f"/{mode}")]


def summary(runs: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each data set: what was decided over all weeks and seeds, and how good the scores were."""
    rows = []
    for dataset in (*DATASETS, POOLED):
        chosen = [run for name in DATASETS for run in _runs(runs, name, OURS) if dataset in (name, POOLED)]
        decided = [item for run in chosen for item in run["decided"]]
        left = [item for run in chosen for item in run["left"]]
        if not decided or (dataset == POOLED and len({name.partition("/")[0] for name in runs}) == 1):
            continue
        gained = [100 * (run["cycles"][-1]["after"]["hidden"] - run["first"]["hidden"]) for run in chosen]
        actions = Counter(item["action"] for item in decided)
        row = {
            "dataset": dataset,
            "decided": len(decided),
            "accepted": acceptance(decided),
            "edited": actions["edit"] / len(decided),
            "merged": actions[MERGED] / len(decided),
            "rejected": actions["reject"] / len(decided),
            "left": len(left),
            "ece": calibration_error(decided),
            "ece_all": calibration_error([*decided, *left]),
            "ece_chance": error_by_chance(decided),
            "per_point": len(decided) / sum(gained) if sum(gained) > 0 else float("inf"),
            "known_first": statistics.fmean(run["first"]["known"] for run in chosen),
            "known_last": statistics.fmean(run["cycles"][-1]["after"]["known"] for run in chosen),
            "outside_first": statistics.fmean(run["first"]["outside_answered"] for run in chosen),
            "outside_last": statistics.fmean(run["cycles"][-1]["after"]["outside_answered"] for run in chosen),
        }
        for level in LEVELS:
            row[level] = alone(decided, level)
        rows.append(row)
    return rows


def _percent(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: "-" if row[name] is None else f"{100 * row[name]:.1f}"


WEEKLY_COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "data": lambda row: row["dataset"],
    "week": lambda row: str(row["week"]),
    "taught intents": lambda row: f"{row['taught']:.1f} of {row['hidden_intents']}",
    "resolved before %": _percent("before"),
    "overlay %": _percent("overlay"),
    "retrained %": lambda row: f"{100 * row['after']:.1f} (±{100 * row['spread']:.1f})",
    "with a question back %": _percent("asked"),
    "all hidden %": _percent("hidden"),
    "overlay only %": _percent("peer"),
    "not learning %": _percent("first"),
    "all labelled by hand %": _percent("ceiling"),
    "known %": _percent("known"),
    "outside answered %": _percent("outside"),
    "decisions": lambda row: f"{row['decided']:.1f}",
    "accepted at first sight %": _percent("accepted"),
    "decisions a point": lambda row: f"{row['per_point']:.2f}" if row["per_point"] < 1e6 else "-",
}
SUMMARY_COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "data": lambda row: row["dataset"],
    "proposals": lambda row: str(row["decided"]),
    "accepted at first sight %": _percent("accepted"),
    "edited %": _percent("edited"),
    "merged %": _percent("merged"),
    "rejected %": _percent("rejected"),
    "left unread": lambda row: str(row["left"]),
    "score ECE": lambda row: f"{row['ece']:.3f}",
    "by chance alone": lambda row: f"{row['ece_chance']:.3f}",
    "with unread": lambda row: f"{row['ece_all']:.3f}",
    "decisions a point": lambda row: f"{row['per_point']:.2f}",
    **{
        f"{level}: alone, wrong (without topics)": (
            lambda row, level=level: "{}, {} ({}, {})".format(*row[level])  # type: ignore[misc]
        )
        for level in LEVELS
    },
    "known before, after %": lambda row: f"{100 * row['known_first']:.1f}, {100 * row['known_last']:.1f}",
    "outside answered before, after %": lambda row: (
        f"{100 * row['outside_first']:.1f}, {100 * row['outside_last']:.1f}"
    ),
}
NOTES = """\
Resolved: a message that was never sent before, trained on or looked at gets the one right answer at once; "with a
question back" also counts those where the bot asks what was meant and the truth is one of the two or three buttons.
The rates in the first columns are those on the hidden intents that were taught so far, "before" on the same intents
as after; "all hidden" counts the others as unresolved. "Overlay only" learns without retraining, on all hidden
intents; "not learning" is the bot as it was trained first; "all labelled by hand" is that bot trained with every
message on hidden intents that was sent so far, as if somebody had read and labelled them all: more than that cannot
be learned. Outside are messages that no intent covers: any answer is wrong. Means over the seeds, with half the
range.

The reviewer knows what every message meant, and reads each week what scores 60 or more; the rest may grow ("left
unread" is what still waits at the end). Two new questions about one need are merged, what is right is approved (four
of five examples mean it, and the answer comes from the right article), what is nearly right is edited (three of five,
or the answer is typed), and the rest rejected; each is one decision. Accepted at first sight: approved with nothing
changed. Each hidden intent has a short article made from a template, its name and words of eight messages that are
used nowhere else. The score's ECE is over ten bins, of scores as they were shown; "by chance alone" is what a
perfectly calibrated score of the same values would have on average, since there are few decisions. Alone: what
`learning.autonomy` would have published without a person, and how much of that the reviewer rejects or gives another
answer; in parentheses by score (over 90, over 80), warnings and a clean replay only, without excluded topics and from
the first decision on. Customers whose first message is answered beside the point press thumbs-down (20 %), say so (10
%), ask again (20 %) or nothing; those asked what they meant press the right button if it is there (70 %); those not
understood ask again (30 %) or leave; one in ten rates a right answer, 5 % of them badly.
"""


def tables(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what is printed and stored."""
    return [results.table(weekly(runs), WEEKLY_COLUMNS), results.table(summary(runs), SUMMARY_COLUMNS), NOTES]


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
    for dataset in options.datasets:
        for seed in seeds:
            for mode in modes:
                name = f"{dataset}/{seed}/{mode}"
                if name in runs and not options.again:
                    continue
                results.say(name)
                if mode == CEILING:
                    found = ceiling(dataset, options.data, seed, size, options.keep)
                else:
                    found = play(dataset, options.data, seed, size, mode == OURS, options.keep)
                runs = {**(results.read("loop").get("runs", {}) if stored else runs), name: found}
                if stored:
                    results.write("loop", "make bench-loop", {"tables": tables(runs), "runs": runs})
                if options.dump_decisions:
                    rows = [{"run": name, **item} for name, run in runs.items() for item in run.get("decided", ())]
                    options.dump_decisions.write_text(json.dumps(rows, indent=1), "utf-8")
    for text in tables(runs):
        results.say(text)


def _quiet() -> None:
    """Make the child processes find this code, be quiet, and use one core each; forget the caller's own settings."""
    for name in [name for name in os.environ if name.startswith("EVERGREEN_") and name != "EVERGREEN_CACHE"]:
        del os.environ[name]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    os.environ.update(QUIET, **ONE_CORE, PYTHONPATH=path)


if __name__ == "__main__":
    main()
