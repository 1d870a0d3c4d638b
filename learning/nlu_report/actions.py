"""What to fix first: the few changes that the numbers ask for, the most urgent on top."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from learning.nlu_report.data import MIN_EXAMPLES, NEAR, DataChecks
from learning.nlu_report.scores import ConfusedPair, IntentScore, Mistake, Scores
from learning.nlu_report.usage import Usage

MOST = 5  # what a person can keep in mind and do before the next report
FROM_MISTAKES = 3  # of them about single intents, so that faults of the data are seen too
MIN_CONFUSED = 2  # messages; a single one may be odd rather than a pattern
WEAK_RECALL = 0.8  # share of an intent's messages; below it customers notice
TOLERATED_REFUSALS = 0.05  # share of messages that an out-of-scope check may refuse by mistake
TOLERATED_CALIBRATION = 0.05  # thresholds on confidence are off by as much


@dataclass(frozen=True)
class Action:
    """One thing to do: what, the numbers that say so, how, the section with the details, and the messages to read."""

    title: str
    why: str
    how: str
    section: str
    mistakes: tuple[Mistake, ...] = ()


def first_actions(scores: Scores | None, data: DataChecks, usage: Usage | None) -> tuple[Action, ...]:
    """Return the most urgent actions.

    In order: what makes the data contradict itself or the numbers lie, the intents that lose the most held-out
    messages, what probably spoils the training, and what should be tidied up.
    """
    mistakes = list(islice(_from_mistakes(scores), FROM_MISTAKES)) if scores else []
    ordered = [*_broken(data), *mistakes, *_spoiled(data), *_untidy(scores, data, usage)]
    return tuple(ordered[:MOST])


def _broken(data: DataChecks) -> Iterator[Action]:
    if data.not_in_domain:
        yield Action(
            f"Enter {_names(data.not_in_domain)} into the domain",
            f"{_count(len(data.not_in_domain), 'intent has', 'intents have')} examples, but the domain doesn't list"
            f" {'it' if len(data.not_in_domain) == 1 else 'them'}: the bot understands and cannot act.",
            "List each under intents and give it a rule, or delete its examples.",
            "domain",
        )
    identical = [twin for twin in data.twins if twin.identical]
    if identical:
        first = identical[0]
        yield Action(
            f"Decide where {_count(len(identical), 'text belongs', 'texts belong')} that two intents claim",
            f"“{first.first.text}” is an example of both {first.first.label} and {first.second.label}"
            f"{'' if len(identical) == 1 else ', and there are more'}: either answer contradicts the data.",
            "Keep each under one intent and delete the other.",
            "twins",
        )
    if data.leaked:
        yield Action(
            f"Take {_count(len(data.leaked), 'held-out message', 'held-out messages')} out of the training data",
            f"“{data.leaked[0].text}” is trained on and tested with: the accuracy looks better than it is.",
            "Delete what is in both from the training data, or write other messages for the hold-out.",
            "leaked",
        )


def _from_mistakes(scores: Scores) -> Iterator[Action]:
    """Yield what loses the most held-out messages; an intent is named once, alone or in a pair."""
    leads: list[tuple[int, int, tuple[str, ...], Callable[[], Action]]] = []
    if scores.unanswered > TOLERATED_REFUSALS * scores.messages:
        leads.append((scores.unanswered, 0, (), lambda: _answer_more(scores)))
    # For the same loss a pair is the better lead: it says what to tell apart.
    for pair in scores.pairs:
        if pair.count >= MIN_CONFUSED:
            leads.append((pair.count, 1, (pair.first, pair.second), partial(_tell_apart, pair, scores)))
    for intent in scores.intents:
        if intent.missed >= MIN_CONFUSED and (intent.recall or 0.0) < WEAK_RECALL:
            leads.append((intent.missed, 2, (intent.label,), partial(_strengthen, intent, scores)))
    named: set[str] = set()
    for _, _, labels, make in sorted(leads, key=lambda lead: (-lead[0], *lead[1:3])):
        if named.isdisjoint(labels):
            named.update(labels)
            yield make()


def _answer_more(scores: Scores) -> Action:
    share = 100 * scores.unanswered / scores.messages
    return Action(
        f"Find out why {scores.unanswered} messages got no answer",
        f"The fallback took {share:.1f} % of the held-out messages although an intent stands for each:"
        f" {scores.unanswered} of the {scores.wrong} mistakes.",
        "Where a message is unlike all examples of its intent, add examples of that kind in other words. Where it is"
        " ordinary, the out-of-scope check is too strict: lower its target_false_alarm_rate (or the threshold of"
        " Rasa's FallbackClassifier) in config.yml.",
        "unanswered",
    )


def _tell_apart(pair: ConfusedPair, scores: Scores) -> Action:
    worst = pair.mistakes[0]
    return Action(
        f"Tell {pair.first} and {pair.second} apart",
        f"{pair.count} of the {scores.wrong} mistakes are between these two, such as “{worst.text}”"
        f" ({worst.label}, taken for {worst.predicted}).",
        "Add examples in the words that only one of the two would use (new ones, never the held-out messages); if the"
        " bot answers both the same way, merge them.",
        "pairs",
        pair.mistakes,
    )


def _strengthen(intent: IntentScore, scores: Scores) -> Action:
    details = []
    if intent.mistaken_for and intent.mistaken >= MIN_CONFUSED:
        details.append(f"{intent.mistaken} were taken for {intent.mistaken_for}")
    elif intent.mistaken_for:
        details.append("their mistakes are scattered")
    if intent.unanswered:
        details.append(f"{intent.unanswered} got no answer")
    return Action(
        f"Widen the examples of {intent.label}",
        f"{intent.missed} of its {intent.support} held-out messages are not understood: {', '.join(details)}.",
        "Add examples of the same kinds in other words (never the held-out messages themselves).",
        "intents",
        tuple(item for item in scores.mistakes if item.label == intent.label),
    )


def _spoiled(data: DataChecks) -> Iterator[Action]:
    if data.label_issues:
        where = Counter(issue.label for issue in data.label_issues).most_common(3)
        most = ", ".join(f"{label} ({count})" for label, count in where)
        yield Action(
            f"Read {_count(len(data.label_issues), 'example that looks', 'examples that look')} mislabeled",
            f"A model trained on all other examples puts them elsewhere, and so do their nearest neighbors; the"
            f" intents with the most: {most}.",
            "Go through the list from the top: move what is wrong, reword what could mean two things, keep the rest.",
            "labels",
        )
    if data.few:
        yield Action(
            f"Write more examples of {_names([size.label for size in data.few])}",
            f"{_count(len(data.few), 'intent has', 'intents have')} fewer than {MIN_EXAMPLES} examples"
            f" ({data.few[0].label}: {data.few[0].examples}), while half of all have {data.median:g} or more.",
            "Add what customers write; proposals from mining (see: python -m learning review list) are a good source.",
            "balance",
        )
    near = [twin for twin in data.twins if not twin.identical]
    if near:
        yield Action(
            f"Check {_count(len(near), 'pair', 'pairs')} of near-duplicates across intents",
            f"“{near[0].first.text}” ({near[0].first.label}) and “{near[0].second.text}” ({near[0].second.label}) are"
            f" {near[0].similarity:.2f} alike (listed from {NEAR:.2f}).",
            "Move those that stand under the wrong intent; keep those that differ in a word that matters.",
            "twins",
        )


def _untidy(scores: Scores | None, data: DataChecks, usage: Usage | None) -> Iterator[Action]:
    if scores and scores.calibration_error > TOLERATED_CALIBRATION:
        direction = "more" if scores.overconfidence > 0 else "less"
        yield Action(
            f"Don't trust the confidence: the model is {direction} sure than right",
            f"Its confidence is off by {100 * scores.calibration_error:.1f} points on average, so thresholds such as"
            " signals.low_confidence mean something else than they say.",
            "Look at the calibration below and set thresholds by the share that was right, not by the promise.",
            "calibration",
        )
    if data.outsized:
        yield Action(
            f"Thin out {_names([size.label for size in data.outsized])}",
            f"{data.outsized[0].label} has {data.outsized[0].examples} examples, the median is {data.median:g}.",
            "Delete examples that repeat each other, or split the intent if it holds two needs.",
            "balance",
        )
    if data.unmeasured:
        yield Action(
            f"Hold out messages of {_names(data.unmeasured)}",
            f"{_count(len(data.unmeasured), 'intent is', 'intents are')} trained and never tested: a fault would"
            " show to customers only.",
            "Have somebody who hasn't read the training examples write about ten messages of each for the hold-out.",
            "domain",
        )
    if data.without_examples:
        yield Action(
            f"Give {_names(data.without_examples)} examples, or delete from the domain",
            f"The domain lists {_count(len(data.without_examples), 'intent', 'intents')} that nothing can trigger.",
            "Write examples, or delete the intent with its rules.",
            "domain",
        )
    if usage and usage.is_firm and (usage.never or usage.stale):
        unused = [*usage.never, *(item.intent for item in usage.stale)]
        yield Action(
            f"Ask whether {_names(unused)} {'is' if len(unused) == 1 else 'are'} still needed",
            f"{_count(len(unused), 'intent was', 'intents were')} not used in the last {usage.stale_days} days"
            f" ({len(usage.never)} never), in {usage.messages:,} messages.",
            "Delete what nobody asks for: fewer intents are easier to tell apart.",
            "usage",
        )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _names(labels: Sequence[str]) -> str:
    """Return up to three names, and how many more there are."""
    shown = list(labels[:3])
    if len(labels) > 3:
        return f"{', '.join(shown)} and {len(labels) - 3} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
