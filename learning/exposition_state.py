"""What a monitor may know of the loop: totals that only grow, and where it stands now."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family

from learning.loop_numbers import LoopNumbers
from learning.metrics import ENDED, MARKS, REASONS
from learning.metrics_days import CALL, SIGNAL
from learning.metrics_services import OUTCOMES
from learning.model import ProposalState

PREFIX = "evergreen_"
# Who writes to the REST channel may name any channel: a label is what looks like a name and is really used.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
MOST_CHANNELS = 20
LEAST_CONVERSATIONS = 20


def shown_channels(totals: Mapping[tuple[str, str], int]) -> list[str]:
    """Return the channels that become labels, the most used first."""
    used = {channel: count for (channel, name), count in totals.items() if name == "conversations"}
    named = [one for one, count in used.items() if count >= LEAST_CONVERSATIONS and NAME.fullmatch(one)]
    return sorted(named, key=lambda one: (-used[one], one))[:MOST_CHANNELS]


def totals(numbers: LoopNumbers, channels: Sequence[str]) -> Iterator[Family]:
    """Yield what only grows; `channels` are those that become labels."""
    total: Counter[str] = Counter()
    for (_, name), count in numbers.totals.items():
        total[name] += count
    yield _counter("messages", "Messages of customers.", total["messages"])
    yield _counter("messages_not_understood", "Messages that the bot did not understand.", total["fallbacks"])
    yield _counted(
        "conversations_ended",
        "Conversations that are over, by how they ended.",
        ("outcome",),
        {(outcome,): total[outcome] for outcome in ENDED}.items(),
    )
    yield _counted(
        "channel_conversations_ended",
        "Conversations that are over, by channel and how they ended.",
        ("channel", "outcome"),
        {(one, outcome): numbers.totals.get((one, outcome), 0) for one in channels for outcome in ENDED}.items(),
    )
    yield _counted(
        "conversation_reasons",
        "Conversations that a person took over or the customer left, by why.",
        ("outcome", "reason"),
        {(outcome, one): total[f"{outcome}:{one}"] for outcome, reasons in REASONS.items() for one in reasons}.items(),
    )
    yield _counted(
        "conversations_failed",
        "Conversations in which something failed, by the kind of failure; one may have several.",
        ("signal",),
        {(name[len(SIGNAL) :],): count for name, count in total.items() if name.startswith(SIGNAL)}.items(),
    )
    yield _counted(
        "conversation_thumbs",
        "Conversations with a thumb, by the last one.",
        ("thumb",),
        {("up",): total["thumb_up"], ("down",): total["thumb_down"]}.items(),
    )
    marks = {(mark.partition(":")[2],): total[mark] for mark in MARKS}
    yield _counted("conversation_marks", "Marks given at the end of a conversation, 1 to 5.", ("mark",), marks.items())
    yield _counted(
        "backend_calls", "Calls to back ends, by what came of them.", ("operation", "outcome"), _calls(total).items()
    )
    whats = {(what,): count for what, count in numbers.releases.items()}
    yield _counted("releases", "Releases, by what they did.", ("what",), whats.items())
    yield _counted("jobs_ended", "Jobs that have ended, by how.", ("job", "state"), numbers.ended_jobs.items())


def _calls(total: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    for name, count in total.items():
        operation, _, outcome = name[len(CALL) :].rpartition(":")
        if name.startswith(CALL) and outcome in OUTCOMES and NAME.fullmatch(operation):
            found[operation, outcome] = count
    return found


def _counter(name: str, told: str, value: float) -> Family:
    return CounterMetricFamily(f"{PREFIX}{name}", told, value=value)


def _counted(name: str, told: str, labels: Sequence[str], samples: Iterable[tuple[tuple[str, ...], int]]) -> Family:
    family = CounterMetricFamily(f"{PREFIX}{name}", told, labels=labels)
    for values, count in sorted(samples):
        family.add_metric(list(values), count)
    return family


# --- where the loop stands ----------------------------------------------------------------------------


def state(numbers: LoopNumbers) -> Iterator[Family]:
    """Yield what there is now, and when things were last done."""
    yield _gauge("overlay_version", "Version of the live overlay; rises with every change.", numbers.overlay_version)
    entries = {pair: count for pair, count in numbers.entries.items() if pair[0] != ProposalState.WITHDRAWN.value}
    yield _gauges(
        "entries",
        "Approved entries: published (answered by the overlay) or absorbed.",
        ("state", "kind"),
        entries.items(),
    )
    yield _gauge("entries_quarantined", "Entries that running bots refuse as damaged.", numbers.quarantined)
    yield _gauges("gaps", "Needs without an answer, by priority.", ("priority",), _alone(numbers.gaps).items())
    yield _gauges("proposals", "Proposals, by state.", ("state",), _alone(numbers.proposals).items())
    yield _gauges("jobs", "Jobs that wait or are at work.", ("job", "state"), numbers.open_jobs.items())
    yield _gauge("workers", "Workers that are there to do jobs.", numbers.workers)
    yield _gauge(
        "days_waiting", "Days that have changed and are not counted yet; mining counts them.", numbers.days_waiting
    )
    succeeded = GaugeMetricFamily(
        f"{PREFIX}job_last_success_timestamp_seconds", "When a job last went well, in Unix time.", labels=["job"]
    )
    for job, at in sorted(numbers.succeeded.items()):
        succeeded.add_metric([job], at.timestamp())
    yield succeeded
    model = GaugeMetricFamily(
        f"{PREFIX}model_live_timestamp_seconds",
        "When the running model went live, in Unix time; its age is time() less it.",
        labels=["model"],
    )
    if numbers.model_since is not None:
        model.add_metric([numbers.model], numbers.model_since.timestamp())
    yield model
    info = GaugeMetricFamily(f"{PREFIX}model_info", "The running model: always 1.", labels=["model"])
    if numbers.model:
        info.add_metric([numbers.model], 1)
    yield info


def _gauge(name: str, told: str, value: float) -> Family:
    return GaugeMetricFamily(f"{PREFIX}{name}", told, value=value)


def _gauges(name: str, told: str, labels: Sequence[str], samples: Iterable[tuple[tuple[str, ...], int]]) -> Family:
    family = GaugeMetricFamily(f"{PREFIX}{name}", told, labels=labels)
    for values, count in sorted(samples):
        family.add_metric(list(values), count)
    return family


def _alone(samples: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    return {(name,): count for name, count in samples.items()}
