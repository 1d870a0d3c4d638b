"""The figures of the loop benchmark."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.loop_bot import label_of, offered
from benchmarks.loop_data import Message, Scenario
from benchmarks.nlu_data import OUT_OF_SCOPE
from learning.model import FALLBACK_INTENT, LEARNED_INTENT

BINS = 10
LEVELS = {"moderate": 90, "advanced": 80}  # score above which a proposal goes live alone


@dataclass(frozen=True)
class Reading:
    """How the bot does on the test messages at one point: shares in 0..1.

    `hidden` and `covered` are resolution rates on all hidden intents and on those that were taught so far,
    `covered_asked` the share of the latter where the bot asks "Did you mean ...?" and the truth is among the
    buttons, `covered_lost` where it did not understand without that (the rest was taken for something else),
    `known` the rate on what was trained; `outside_answered` is the share of messages beyond all intents that got an
    answer, `outside_learned` those among them that a learned entry caught, `known_learned` the trained intents'
    messages that one did.
    """

    hidden: float
    covered: float
    covered_asked: float
    covered_lost: float
    known: float
    outside_answered: float
    outside_learned: float
    known_learned: float
    by_intent: Mapping[str, float] = field(default_factory=dict)


def read(
    scenario: Scenario, found: Sequence[Mapping[str, Any]], meanings: Mapping[str, str], covered: frozenset[str]
) -> Reading:
    """Measure how the test messages were understood; `found` are their parse data, row for row."""
    pairs = [(message, label_of(parsed)) for message, parsed in zip(scenario.test, found, strict=True)]
    asked = [
        message.truth in {meanings.get(choice) for choice in offered(parsed)} and label_of(parsed) == FALLBACK_INTENT
        for message, parsed in zip(scenario.test, found, strict=True)
    ]

    def share(chosen: Sequence[bool]) -> float:
        return sum(chosen) / len(chosen) if chosen else 0.0

    def resolved(intents: frozenset[str]) -> float:
        return share([meanings.get(label) == message.truth for message, label in pairs if message.truth in intents])

    def learned(wanted: frozenset[str]) -> float:
        return share(
            [is_wrongly_learned(message, label, meanings) for message, label in pairs if message.truth in wanted]
        )

    outside = frozenset({OUT_OF_SCOPE})
    return Reading(
        hidden=resolved(scenario.hidden),
        covered=resolved(covered),
        covered_asked=share(
            [right for (message, _), right in zip(pairs, asked, strict=True) if message.truth in covered]
        ),
        covered_lost=share(
            [
                label == FALLBACK_INTENT and not right
                for (message, label), right in zip(pairs, asked, strict=True)
                if message.truth in covered
            ]
        ),
        known=resolved(scenario.known),
        outside_answered=share([label != FALLBACK_INTENT for message, label in pairs if message.truth == OUT_OF_SCOPE]),
        outside_learned=learned(outside),
        known_learned=learned(scenario.known),
        by_intent={intent: round(resolved(frozenset({intent})), 3) for intent in sorted(covered)},
    )


def is_wrongly_learned(message: Message, label: str, meanings: Mapping[str, str]) -> bool:
    """Whether a learned label took a message that means something else."""
    return label.startswith(f"{LEARNED_INTENT}/") and meanings.get(label) != message.truth


@dataclass(frozen=True)
class Decided:
    """A proposal that was decided: its score as it was shown, what the reviewer said, and what it was made of."""

    week: int
    kind: str
    score: int
    accepted: bool  # approved without a change
    action: str
    fault: str
    harmful: bool  # must not go live as proposed
    share: float
    clean: bool  # its replay fixes something and breaks nothing
    warned: bool
    alone: tuple[str, ...]  # levels of autonomy that would have published it
    people: int
    examples: int
    parts: Mapping[str, float]

    @property
    def row(self) -> dict[str, Any]:
        """The fields as JSON takes them."""
        return asdict(self)


def acceptance(decided: Sequence[Mapping[str, Any]]) -> float:
    """Return the share of proposals approved without a change, 0..1."""
    return sum(bool(item["accepted"]) for item in decided) / len(decided) if decided else 0.0


def calibration_error(decided: Sequence[Mapping[str, Any]]) -> float:
    """Return the expected calibration error of the scores over ten equal bins (Naeini et al. 2015)."""
    bins: dict[int, list[Mapping[str, Any]]] = {}
    for item in decided:
        bins.setdefault(min(int(item["score"]) * BINS // 100, BINS - 1), []).append(item)
    gaps = [
        len(members) * abs(acceptance(members) - sum(item["score"] for item in members) / (100 * len(members)))
        for members in bins.values()
    ]
    return sum(gaps) / len(decided) if decided else 0.0


def error_by_chance(decided: Sequence[Mapping[str, Any]], draws: int = 1000) -> float:
    """Return the mean calibration error if each proposal were accepted with just the probability of its score."""
    rng = random.Random(0)
    drawn = [
        calibration_error(
            [{"score": item["score"], "accepted": 100 * rng.random() < item["score"]} for item in decided]
        )
        for _ in range(draws)
    ]
    return sum(drawn) / len(drawn)


def alone(decided: Sequence[Mapping[str, Any]], level: str) -> tuple[int, int, int, int]:
    """Return how many proposals autonomy would have published at a level, and how many of them are harmful.

    First as the policy decides, with its excluded topics and the decisions that it waits for; then by score, warnings
    and a clean replay alone, which is harder.
    """
    allowed = [item for item in decided if level in item["alone"]]
    by_score = [
        item
        for item in decided
        if item["score"] > LEVELS[level]
        and item["clean"]
        and not item["warned"]
        and item["kind"] in ("examples", "answer")
    ]
    return len(allowed), _harmful(allowed), len(by_score), _harmful(by_score)


def _harmful(decided: Sequence[Mapping[str, Any]]) -> int:
    return sum(bool(item["harmful"]) for item in decided)
