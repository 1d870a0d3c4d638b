"""`python -m deploy.sample`: a scratch project with weeks of simulated customers, to try the hub and the commands on.

The customers are simulated, everything else is real: their messages go through the running bot, week by week; mining
runs at the end of each week, and two simulated reviewers decide about some of what it proposes, so that later weeks
meet what was published. Only the times are moved: what is said within seconds is spread over the weeks.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import typer
import yaml
from rich.console import Console
from rich.progress import track

from deploy.demo import scratch_copy
from deploy.stack import Ports, Stack, interrupt_on_terminate
from learning import pipeline
from learning.bootstrap import App, utc_now
from learning.errors import EvergreenError, ReviewError
from learning.events import AGENT, CSAT_SLOT, FEEDBACK_SLOT
from learning.loop import Loop
from learning.model import Action, Decision, Proposal, ProposalKind, ProposalState
from learning.regroup import folded
from learning.settings import load_settings

NEEDS = Path(__file__).with_name("sample_needs.yml")
FOLDER = Path("var/sample")
AT_ONCE = 4  # customers who talk at the same time
CHANNELS = {"webchat": 0.6, "slack": 0.15, "rest": 0.25}  # shares of the customers
REVIEWERS = ("ann", "ben")
AGENTS = ("mia", "jon")
DECIDED_A_WEEK = 4
OPEN_WEEKS = 2  # the last weeks' proposals wait for whoever looks at the hub
FALLBACK_ACTIONS = ("action_fallback", "action_default_fallback")
ORDERS = ("10342", "10017", "10233", "99999")
PAUSE = (8.0, 55.0)  # seconds between an answer and the customer's next message
TIMEOUT = 60.0


@dataclass(frozen=True)
class Need:
    """Something that customers want and the assistant does not know: asked from a week on."""

    name: str
    answer: str
    from_week: int
    messages: tuple[str, ...]


@dataclass(frozen=True)
class Visit:
    """One customer's conversation: what they begin with, and what they want (a label or a need's name)."""

    sender: str
    channel: str
    wants: str
    texts: tuple[str, ...]
    answer: str = ""  # what an agent would say
    seed: int = 0


def read_needs(path: Path = NEEDS) -> tuple[list[Need], list[str]]:
    """Return the unknown needs, and messages that nobody else asks."""
    content = yaml.safe_load(path.read_text("utf-8"))
    needs = [
        Need(item["name"], item["answer"], item["from_week"], tuple(item["messages"])) for item in content["needs"]
    ]
    return needs, list(content["others"])


def plan_week(week: int, people: int, known: Sequence[tuple[str, str]], seed: int) -> list[Visit]:
    """Return the visits of one week: two thirds know what the assistant knows, the rest ask for something else."""
    draw = random.Random(f"{seed} {week}")
    needs, others = read_needs()
    asked = [need for need in needs if need.from_week <= week]
    visits = []
    for number in range(people):
        channel = draw.choices(list(CHANNELS), list(CHANNELS.values()))[0]
        sender = f"sample-{week}-{number}"
        kind = draw.random()
        if kind < 0.65:
            text, label = draw.choice(known)
            more = [draw.choice(known)[0]] if draw.random() < 0.35 else []
            visits.append(Visit(sender, channel, label, (text, *more), seed=draw.randrange(1 << 30)))
        elif kind < 0.93:
            # What has just begun is asked by few, and by more each week.
            need = draw.choices(asked, [2 + week - one.from_week for one in asked])[0]
            again = draw.sample(need.messages, 2 if draw.random() < 0.3 else 1)
            visits.append(Visit(sender, channel, need.name, tuple(again), need.answer, draw.randrange(1 << 30)))
        else:
            visits.append(Visit(sender, channel, "", (draw.choice(others),), seed=draw.randrange(1 << 30)))
    return visits


class Customers:
    """Talks to the running bot as customers do."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._http = httpx.Client(timeout=TIMEOUT)

    def visit(self, visit: Visit) -> None:
        """Have one conversation."""
        draw = random.Random(visit.seed)
        replies: list[dict[str, Any]] = []
        for text in visit.texts:
            replies = self._say(visit, text)
        for _ in range(3):
            wanted = _asked_for(replies, draw)
            if not wanted:
                break
            replies = self._say(visit, wanted)
        failed = self._failed(visit.sender)
        self._react(visit, failed, draw)

    def _react(self, visit: Visit, failed: bool, draw: random.Random) -> None:
        """Rate the answer, leave, or ask for a person, more often so where the bot did not understand."""
        mood = draw.random()
        if mood < (0.35 if failed else 0.12):
            thumb = "down" if failed or draw.random() < 0.3 else "up"
            self._event(visit, event="slot", name=FEEDBACK_SLOT, value={"message_id": "latest", "value": thumb})
        if failed and draw.random() < 0.4:
            self._say(visit, draw.choice(("I want to talk to a person", "human please", "can I speak to someone")))
            if visit.answer and draw.random() < 0.7:
                self._event(visit, event="bot", text=visit.answer, metadata={AGENT: draw.choice(AGENTS)})
                self._say(visit, draw.choice(("thanks", "great, thank you", "ok thx")))
        elif draw.random() < 0.3:
            self._say(visit, draw.choice(("thanks!", "thank you, bye", "ok", "that helped")))
        if draw.random() < 0.2:
            mark = draw.choice((1, 2, 3)) if failed else draw.choice((3, 4, 5, 5))
            self._event(visit, event="slot", name=CSAT_SLOT, value=mark)

    def _say(self, visit: Visit, text: str) -> list[dict[str, Any]]:
        message = {"sender": visit.sender, "message": text, "input_channel": visit.channel}
        answer = self._http.post(f"{self._stack.bot_url}/webhooks/rest/webhook", json=message)
        answer.raise_for_status()
        replies: list[dict[str, Any]] = answer.json()
        return replies

    def _event(self, visit: Visit, **event: Any) -> None:
        address = f"{self._stack.bot_url}/conversations/{visit.sender}/tracker/events"
        self._http.post(address, params={"token": self._stack.token}, json=event).raise_for_status()

    def _failed(self, sender: str) -> bool:
        """Whether the bot did not understand the last message."""
        address = f"{self._stack.bot_url}/conversations/{sender}/tracker"
        answer = self._http.get(address, params={"token": self._stack.token})
        answer.raise_for_status()
        events = answer.json()["events"]
        return any(event["event"] == "action" and event["name"] in FALLBACK_ACTIONS for event in events[-12:])


def _asked_for(replies: Sequence[Mapping[str, Any]], draw: random.Random) -> str:
    """Return what a customer says to the bot's question, empty where it asks none or they leave it there."""
    said = " ".join(str(reply.get("text", "")) for reply in replies).lower()
    if "?" not in said or draw.random() < 0.2:
        return ""
    if "order number" in said:
        return draw.choice(ORDERS)
    if "email" in said or "e-mail" in said:
        return "alex.doe@example.com"
    if any(reply.get("buttons") for reply in replies):
        return str(next(reply for reply in replies if reply.get("buttons"))["buttons"][0]["payload"])
    return draw.choice(("yes", "no", "yes please"))


def spread(tracker: Path, after: int, begins: datetime, seed: int) -> int:
    """Move what was said since row `after` into the week that begins at `begins`; return the last row."""
    draw = random.Random(seed)
    with closing(sqlite3.connect(tracker, timeout=30)) as database, database:
        rows = database.execute(
            "SELECT id, sender_id, type_name, timestamp, data FROM events WHERE id > ? ORDER BY id", (after,)
        ).fetchall()
        starts: dict[str, tuple[float, float]] = {}
        waited: dict[str, float] = defaultdict(float)
        for row_id, sender, kind, at, data in rows:
            if sender not in starts:
                hour = min(23.0, max(0.0, draw.gauss(14, 4)))
                day = draw.choices(range(7), (5, 5, 5, 5, 5, 3, 2))[0]
                starts[sender] = (at, (begins + timedelta(days=day, hours=hour)).timestamp())
            if kind == "user":
                waited[sender] += draw.uniform(*PAUSE)
            began, start = starts[sender]
            moved = start + (at - began) + waited[sender]
            event = {**orjson.loads(data), "timestamp": moved}
            database.execute(
                "UPDATE events SET timestamp = ?, data = ? WHERE id = ?", (moved, orjson.dumps(event).decode(), row_id)
            )
    return max((row[0] for row in rows), default=after)


def decide_some(loop: Loop, week: int, truth: Mapping[str, str]) -> list[str]:
    """Have the reviewers decide about the first proposals; return what they did."""
    needs = {need.name: need for need in read_needs()[0]}
    waiting = [item for item in loop.store.proposals() if item.state is ProposalState.PENDING]
    done = []
    for number, item in enumerate(sorted(waiting, key=lambda one: -one.score)[:DECIDED_A_WEEK]):
        decision = _judged(item, truth, needs, REVIEWERS[(week + number) % 2], loop.now())
        if decision is None:
            continue
        try:
            pipeline.review(loop, decision)
        except ReviewError as error:
            done.append(f"{item.label}: not possible ({error.what})")
        else:
            done.append(f"{item.label}: {decision.action.value}")
    return done


def _judged(
    item: Proposal, truth: Mapping[str, str], needs: Mapping[str, Need], who: str, at: datetime
) -> Decision | None:
    """Return what somebody decides who knows what the customers meant; None: they leave it for later."""
    meant = Counter(truth.get(folded(text), "") for text in item.examples).most_common(1)
    name = meant[0][0] if meant else ""
    if item.kind is ProposalKind.ANSWER and name in needs:
        return Decision(item.proposal_id, Action.EDIT, who, at, label=f"learned/{name}", answer=needs[name].answer)
    if item.kind is ProposalKind.EXAMPLES:
        if name == item.label:
            return Decision(item.proposal_id, Action.APPROVE, who, at)
        return Decision(item.proposal_id, Action.REJECT, who, at, reason="These mean something else.")
    return None


def play(stack: Stack, app: App, weeks: int, people: int, seed: int) -> None:
    """Let the weeks pass."""
    customers = Customers(stack)
    known = [(example.text, example.label) for example in app.loop.project.holdout()]
    truth = {folded(text): label for text, label in known}
    truth |= {folded(text): need.name for need in read_needs()[0] for text in need.messages}
    today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    terminal = Console()
    is_shown = terminal.is_terminal
    last = 0
    for week in range(weeks):
        begins = today - timedelta(days=7 * (weeks - week))
        visits = plan_week(week, people, known, seed)
        print(f"week {week + 1} of {weeks}: {len(visits)} customers", flush=True)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            talks = pool.map(customers.visit, visits)
            for _ in track(talks, "  talking", len(visits), console=terminal, transient=True, disable=not is_shown):
                pass
        last = spread(stack.state / "tracker.db", last, begins, seed + week)
        ends = min(begins + timedelta(days=7), utc_now())
        loop = replace(app.loop, now=lambda at=ends: at)  # type: ignore[misc]
        report = pipeline.mine(loop)
        done = decide_some(loop, week, truth) if week < weeks - OPEN_WEEKS else []
        print(
            f"  {report.new_gaps} new gaps, {report.new_proposals} new proposals; {'; '.join(done) or 'none decided'}"
        )


cli = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@cli.command()
def main(
    weeks: int = typer.Option(8, min=1, max=52, help="Weeks that pass; the last one ends today."),
    people: int = typer.Option(120, min=1, help="Customers a week, each with one conversation."),
    seed: int = typer.Option(0, help="Which customers come."),
) -> None:
    """Fill a scratch copy of the project, under var/sample, with weeks of simulated customers."""
    interrupt_on_terminate()
    started = time.monotonic()
    try:
        project = scratch_copy(Path.cwd(), FOLDER)
        stack = Stack(project, Ports.free(), say=lambda line: print(f"  {line}", flush=True))
        os.environ.update(stack.environment())
        try:
            stack.train_if_needed()
            stack.start(without=("hub", "schedule"))
            play(stack, App(load_settings(project)), weeks, people, seed)
        finally:
            stack.stop()
    except EvergreenError as error:
        sys.stderr.write(f"error: {error}\n")
        raise typer.Exit(1) from None
    print(f"{weeks * people} conversations in {time.monotonic() - started:.0f} s. Look at them with")
    print(f"  EVERGREEN_HUB_DEMO_PASSWORD=demo python -m hub --project {project}")
    print(f"  python -m learning --project {project} status")


if __name__ == "__main__":
    cli()
