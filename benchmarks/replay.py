"""`python -m benchmarks.replay`: does the quick replay say what the running model does, and how long do both take?

Some intents are hidden from a model that Rasa trains on the others. Each becomes a proposal with a dozen examples; half
of the hidden intents are live while the others are tried. The same failures and the same messages that went well go
through `learning.replay` and through Rasa.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from benchmarks import results
from benchmarks.nlu_cell import pipelines, write_project
from benchmarks.nlu_data import Dataset, load
from learning.adapters.encoder import OnnxEncoder
from learning.adapters.rasa_nlu import RasaNlu
from learning.adapters.rasa_sandbox import RasaTrials
from learning.errors import BotServerError
from learning.exact_replay import ExactReplay, replay_on
from learning.known import Known
from learning.model import Entry, FailedTurn, GoodTurn, Proposal, ProposalKind, ProposalState, ServerState
from learning.replay import Live, Messages, replay
from learning.sandbox import TrialBot, candidate
from learning.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
TAUGHT = 12  # examples of a proposal
FAILURES = 42  # messages of a gap, those examples among them
GOOD = 500  # messages that went well
NOW = datetime(2024, 1, 1, tzinfo=timezone.utc)
COLUMNS = {
    "data": lambda row: row["data"],
    "proposals": lambda row: str(row["proposals"]),
    "failures agree": lambda row: f"{row['failures_same']} of {row['failures']}",
    "went well agree": lambda row: f"{row['good_same']} of {row['good']}",
    "fixed: quick, exact": lambda row: f"{row['quick_fixed']}, {row['exact_fixed']}",
    "broken: quick, exact": lambda row: f"{row['quick_broken']}, {row['exact_broken']}",
    "load s": lambda row: f"{row['load_seconds']:.1f}",
    "exact s a proposal": lambda row: f"{row['exact_seconds'] / row['proposals']:.1f}",
    "quick ms a proposal": lambda row: f"{1000 * row['quick_seconds'] / row['proposals']:.0f}",
}


class NoServer:
    """No bot server runs here: the newest model is tried."""

    def running_model(self) -> Path:
        """Say that nobody answers."""
        raise BotServerError("is not used", "bot server", "the newest model is tried")

    def load_model(self, model: Path) -> None:
        """Refuse."""
        raise BotServerError("is not used", "bot server", "the newest model is tried")

    def states(self) -> tuple[ServerState, ...]:
        """Return nothing: there is no server."""
        return ()

    def align(self, model: Path) -> tuple[str, ...]:
        """Return nothing: there is no server."""
        return ()


@dataclass
class Tally:
    """What one data set adds up to."""

    data: str
    load_seconds: float
    proposals: int = 0
    failures: int = 0
    failures_same: int = 0
    good: int = 0
    good_same: int = 0
    quick_fixed: int = 0
    exact_fixed: int = 0
    quick_broken: int = 0
    exact_broken: int = 0
    quick_seconds: float = 0.0
    exact_seconds: float = 0.0


def measure(name: str, dataset: Dataset, hidden: int, seed: int) -> Tally:
    """Train without some intents, propose each of them, and compare the two replays message by message."""
    draw = random.Random(seed)
    labels = sorted({label for _, label in dataset.train})
    chosen = draw.sample(labels, hidden)
    known = tuple((text, label) for text, label in dataset.train if label not in chosen)
    encoder = OnnxEncoder(cache_size=50_000)
    with tempfile.TemporaryDirectory() as scratch:
        settings = _project(Path(scratch), Dataset(name, known, ()))
        started = time.monotonic()
        bot = RasaTrials(settings, NoServer(), encoder).start()
        try:
            tally = Tally(name, time.monotonic() - started)
            said = {label: [text for text, other in dataset.train if other == label] for label in chosen}
            proposals = [_proposal(number, label, said[label]) for number, label in enumerate(chosen)]
            live = [candidate(item, []) for item in proposals[: hidden // 2]]
            texts = [text for text, label in dataset.test if label not in chosen]
            good = _went_well(bot, live, draw.sample(texts, min(GOOD, len(texts))))
            space = Known.from_examples(
                [label for _, label in known], [text for text, _ in known], encoder.encode([text for text, _ in known])
            )
            for item in proposals:
                failures = _failures(item, said[item.label.partition("/")[2]][:FAILURES])
                others = [entry for entry in live if entry.proposal_id != item.proposal_id]
                _compare(tally, bot, item, others, failures, good, space, encoder)
        finally:
            bot.close()
    return tally


def _project(folder: Path, dataset: Dataset) -> Settings:
    write_project(folder, dataset, pipelines(ROOT)["evergreen"])
    data = folder / "data"
    data.mkdir()
    (folder / "nlu.yml").rename(data / "nlu.yml")
    settings = load_settings(folder, {})
    RasaNlu(settings).train(data, folder / "models/replay.tar.gz")
    return settings


def _proposal(number: int, label: str, said: Sequence[str]) -> Proposal:
    return Proposal(
        proposal_id=f"{number:016}",
        gap_id=f"{number:016}",
        kind=ProposalKind.ANSWER,
        label=f"learned/{label}",
        examples=tuple(said[:TAUGHT]),
        answer="An answer.",
        sources=(),
        score=0,
        score_parts=(),
        people=FAILURES,
        turns=FAILURES,
        state=ProposalState.PENDING,
        created_at=NOW,
    )


def _failures(item: Proposal, texts: Sequence[str]) -> list[FailedTurn]:
    return [
        FailedTurn(f"{item.gap_id}{row}", str(row), str(row), text, "nlu_fallback", 0.3, NOW, "", 1.0)
        for row, text in enumerate(texts)
    ]


def _went_well(bot: TrialBot, live: Sequence[Entry], texts: Sequence[str]) -> list[GoodTurn]:
    """Return messages with what the bot understands: what went well is what it does today."""
    bot.use(live)
    return [
        GoodTurn(f"{row:016}", str(row), text, understood.label)
        for row, (text, understood) in enumerate(zip(texts, bot.understand(texts), strict=True))
    ]


def _compare(
    tally: Tally,
    bot: TrialBot,
    item: Proposal,
    others: Sequence[Entry],
    failures: Sequence[FailedTurn],
    good: Sequence[GoodTurn],
    space: Known,
    encoder: OnnxEncoder,
) -> None:
    # What a proposal of an intent that is live was understood as is measured without its own entry.
    bot.use(others)
    before = bot.understand([turn.text for turn in failures])
    good = _went_well(bot, others, [turn.text for turn in good])
    started = time.monotonic()
    exact: ExactReplay = replay_on(bot, item, others, failures, good)
    tally.exact_seconds += time.monotonic() - started
    live = Live.of(others, encoder)
    failed = Messages.of([turn.text for turn in failures], space, encoder, [one.label for one in before], live)
    well = Messages.of([turn.text for turn in good], space, encoder, [turn.label for turn in good], live)
    started = time.monotonic()
    quick = replay(item, failed, well, encoder)
    tally.quick_seconds += time.monotonic() - started
    missed, broken = {change.text for change in exact.missed}, {change.text for change in exact.broken}
    nothing = well.take([])
    for row, turn in enumerate(failures):
        is_fixed = bool(replay(item, failed.take([row]), nothing, encoder).fixed)
        tally.failures_same += is_fixed == (turn.text not in missed)
    for row, went_well in enumerate(good):
        is_broken = bool(replay(item, nothing, well.take([row]), encoder).broken)
        tally.good_same += is_broken == (went_well.text in broken)
    tally.proposals += 1
    tally.failures += len(failures)
    tally.good += len(good)
    tally.quick_fixed += quick.fixed
    tally.exact_fixed += exact.replay.fixed
    tally.quick_broken += quick.broken
    tally.exact_broken += exact.replay.broken


def main() -> None:
    """Measure the data sets that the command line names and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/datasets"), help="folder with banking77/, clinc150/"
    )
    parser.add_argument("--datasets", nargs="+", default=["banking77", "clinc150"])
    parser.add_argument("--hidden", type=int, default=12, help="intents that the model does not know")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    rows = [measure(name, load(name, options.data), options.hidden, options.seed) for name in options.datasets]
    print(results.table([asdict(row) for row in rows], COLUMNS))


if __name__ == "__main__":
    main()
