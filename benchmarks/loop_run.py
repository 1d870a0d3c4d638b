"""One run of the loop benchmark: customers, mining, review, release, retraining, measured after each step."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from benchmarks import loop_customers, loop_data, results
from benchmarks.loop_bot import Bot
from benchmarks.loop_customers import WEEK, Customers
from benchmarks.loop_data import Scenario, Size
from benchmarks.loop_project import TRACKER, merge_learned, write_project
from benchmarks.loop_reviewer import WHO, Verdict, judge
from benchmarks.loop_scores import LEVELS, Decided, Reading, read
from benchmarks.tracker_talk import REJECTIONS
from learning.autonomy import autonomy_status
from learning.bootstrap import App, build
from learning.loop import Loop
from learning.model import LOW_SCORE, Action, Proposal, ProposalKind, ProposalState
from learning.overlay import POLL_VARIABLE
from learning.pipeline import learned_files, merge, mine, review
from learning.retrain import retrain
from learning.texts import plain_text
from learning.topics import Topics

START = datetime(2026, 1, 5, tzinfo=timezone.utc)
CEILING_WEEKS = (3, 6)  # after which a bot is trained with everything that was said
MANY = 1000  # newest turns of a gap whose truth is looked up
MERGED = "merge"  # what became of a proposal that the reviewer put together with a better one
RIPE = 3  # cycles after which a need is looked at apart: the one in which it was taught, and two more
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
    taught: dict[str, int] = field(default_factory=dict)  # hidden intent -> week in which it was taught
    decided: list[Decided] = field(default_factory=list)
    left: list[Decided] = field(default_factory=list)
    cycles: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Wire the loop to the run's own clock."""
        self.loop: Loop = replace(self.app.loop, now=lambda: self.now)
        self.topics = Topics(self.app.settings.autonomy, self.loop.encoder)
        self.customers = Customers(f"{self.scenario.dataset} {self.scenario.seed}")
        self.meanings = {intent: intent for intent in self.scenario.known}

    def play(self, on_week: Callable[[dict[str, Any]], None]) -> None:
        """Train the first bot, and play all weeks; `on_week` gets the figures so far after each."""
        model = self.folder / "models" / "first.tar.gz"
        began = time.perf_counter()
        self.app.nlu.train(self.folder / "data", model)
        self.bot.load_model(model)
        results.say(f"  trained in {time.perf_counter() - began:.0f} s")
        before = self._read()
        self.first = before
        for number in range(len(self.scenario.weeks)):
            before = self._cycle(number, before)
            on_week(self.figures())

    def figures(self) -> dict[str, Any]:
        """Return what was measured so far."""
        return {
            "weeks_wanted": len(self.scenario.weeks),
            "first": asdict(self.first),
            "cycles": self.cycles,
            "decided": [item.row for item in self.decided],
            "left": [item.row for item in self.left],
            "meanings": {label: meant for label, meant in self.meanings.items() if label != meant},
        }

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
        taught = frozenset(self.taught)
        ripe = frozenset(intent for intent, week in self.taught.items() if week <= number - RIPE + 1)
        cycle = {
            "cycle": number + 1,
            "covered_intents": len(taught),
            "hidden_intents": len(self.scenario.hidden),
            # What was covered by this week's end, before it: of the same intents, so that the two can be compared.
            "before": asdict(replace(before, covered=_of(before, taught))),
            "overlay": asdict(overlay),
            "after": asdict(after),
            "as_asked": _as_asked(after, taught, self.scenario),
            "ripe_intents": len(ripe),
            "ripe": _of(after, ripe),
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
                self.taught[verdict.meant] = number
        self.decided += decided
        return decided

    def _unite_twins(self, number: int, may: Mapping[str, tuple[str, ...]]) -> list[Decided]:
        """Merge new questions about the same need into the best of them; return those that are gone."""
        gone: list[Decided] = []
        twins: dict[str, list[tuple[Proposal, Verdict]]] = {}
        for proposal in self._waiting():
            verdict = judge(proposal, self._truth(proposal), self.scenario, self.meanings)
            if proposal.score >= READ_FROM and proposal.kind is ProposalKind.ANSWER and verdict.teaches_anew:
                twins.setdefault(verdict.meant, []).append((proposal, verdict))
        for (first, _), *others in twins.values():
            if not others:
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
        return read(self.scenario, self.bot.understand(texts), self.meanings, frozenset(self.taught))


def _of(reading: Reading, intents: frozenset[str]) -> float:
    """Return the resolution rate on `intents`; what had no label at the time was never resolved."""
    return statistics.fmean(reading.by_intent.get(intent, 0.0) for intent in intents) if intents else 0.0


def _as_asked(reading: Reading, intents: frozenset[str], scenario: Scenario) -> float:
    """Return the resolution rate on `intents`, each weighted by how many messages on it customers send in all weeks."""
    said = Counter(message.truth for week in scenario.weeks for message in week if message.truth in intents)
    total = sum(said.values())
    return sum(count * reading.by_intent.get(intent, 0.0) for intent, count in said.items()) / total if total else 0.0


def line_of(cycle: Mapping[str, Any]) -> str:
    """Return a cycle in one line."""
    before, overlay, after = cycle["before"], cycle["overlay"], cycle["after"]
    faults = ", ".join(f"{count} {fault}" for fault, count in sorted(cycle["faults"].items()))
    return (
        f"week {cycle['cycle']}: {cycle['covered_intents']} of {cycle['hidden_intents']} covered,"
        f" {100 * before['covered']:.1f} % -> overlay {100 * overlay['covered']:.1f} %"
        f" -> retrained {100 * after['covered']:.1f} % ({100 * after['covered_asked']:.1f} % asked back,"
        f" {100 * after['covered_lost']:.1f} % not understood;"
        f" as asked {100 * cycle['as_asked']:.1f} %;"
        f" taught for {RIPE} cycles {100 * cycle['ripe']:.1f} %; all hidden {100 * after['hidden']:.1f} %),"
        f" known {100 * before['known']:.1f} -> {100 * after['known']:.1f} %,"
        f" outside answered {100 * after['outside_answered']:.1f} %;"
        f" {cycle['accepted']} of {cycle['decided']} accepted at first sight ({faults or 'no fault'}),"
        f" {cycle['actions'].get(MERGED, 0)} merged, {cycle['left']} left;"
        f" {cycle['seconds']} s; {cycle['gate']}"
    )


def play(
    dataset: str,
    data: Path,
    seed: int,
    size: Size,
    retrains: bool,
    on_week: Callable[[dict[str, Any]], None],
    keep: Path | None = None,
) -> None:
    """Play one run in a project of its own; `on_week` gets its figures after each week."""
    scenario = loop_data.build(dataset, data, seed, size)
    folder = Path(tempfile.mkdtemp(prefix=f"loop-{dataset}-{seed}-", dir=keep))
    try:
        write_project(folder, scenario)
        app = build(folder)
        bot = Bot(folder, {**os.environ, POLL_VARIABLE: "0"})
        try:
            Run(scenario, folder.resolve(), app, bot, retrains).play(on_week)
        finally:
            bot.close()
    finally:
        if keep is None:
            shutil.rmtree(folder)


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
            bot = Bot(folder, {**os.environ, POLL_VARIABLE: "0"})
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
