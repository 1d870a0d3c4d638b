"""Fifty customers at once: the whole stack through the web chat, against plain Rasa through its REST channel.

Each customer says what the shop's hold-out holds, waits for the answer, thinks for a while, and goes on; after a few
messages the next one comes. Both bots are trained on the same data and have the same action server and shop.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import yaml

from benchmarks import results
from deploy.demo import scratch_copy
from deploy.stack import Ports, Stack
from learning.adapters.project import Project
from learning.settings import load_settings

COMMAND = "make bench-chat"
THINKS = (2.0, 5.0)  # seconds between an answer and the next message; the web chat takes 20 messages a minute
TALK = (3, 7)  # messages of one customer
TIMEOUT = 60.0
# What `rasa init` writes, with the epochs that it writes.
PLAIN: dict[str, Any] = {
    "recipe": "default.v1",
    "assistant_id": "plain",
    "language": "en",
    "pipeline": [
        {"name": "WhitespaceTokenizer"},
        {"name": "RegexFeaturizer"},
        {"name": "LexicalSyntacticFeaturizer"},
        {"name": "CountVectorsFeaturizer"},
        {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
        {"name": "DIETClassifier", "epochs": 100, "constrain_similarities": True},
        {"name": "EntitySynonymMapper"},
        {"name": "ResponseSelector", "epochs": 100, "constrain_similarities": True},
        {"name": "FallbackClassifier", "threshold": 0.3, "ambiguity_threshold": 0.1},
    ],
    "policies": [
        {"name": "MemoizationPolicy"},
        {"name": "RulePolicy"},
        {"name": "UnexpecTEDIntentPolicy", "max_history": 5, "epochs": 100},
        {"name": "TEDPolicy", "max_history": 5, "epochs": 100, "constrain_similarities": True},
    ],
}


@dataclass
class Seen:
    """What the customers met: seconds by message, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    silent: int = 0  # answered with nothing
    talks: int = 0
    lost: int = 0  # sent, and not in the conversation afterwards
    doubled: int = 0  # in it more than once

    def failed(self, kind: str) -> None:
        """Count an error."""
        self.errors[kind] = self.errors.get(kind, 0) + 1


Talk = Callable[[httpx.AsyncClient, Sequence[str], random.Random, Seen, float], Awaitable[None]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--customers", type=int, default=50, help="customers at the same time")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long they talk to each bot")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("evergreen", "rasa"), help="measure one of the two")
    parser.add_argument("--models", type=Path, help="folder to keep trained models in, and to take them from")
    options = parser.parse_args(arguments)
    rows = [_measure(name, options) for name in ("evergreen", "rasa") if options.only in (None, name)]
    table = _table(rows)
    results.say("\n" + table)
    if options.only is None:
        results.write("chat", COMMAND, {"rows": rows, "tables": [table, NOTES.format(**vars(options))]})


NOTES = """{customers} customers for {minutes:g} minutes each; they and the servers share the machine. A customer thinks
2 to 5 seconds between an answer and the next message, so that the rate is what they ask for, not the most that is
possible. *Web chat* is the whole stack: shop, action server, bot, hub, desk and learning scheduler, with a stream open
for each customer. *REST* is Rasa with what `rasa init` writes as pipeline and policies, trained on the same data, with
the same action server and shop, and its own REST channel. *Lost* and *doubled* are messages that the conversation, read
back afterwards, holds not at all or more than once."""


def _measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix=f"chat-{name}-") as folder:
        project = scratch_copy(Path.cwd(), Path(folder), _make_plain if name == "rasa" else lambda target: None)
        texts = [example.text for example in Project(load_settings(project)).holdout()]
        stack = Stack(project, Ports.free(), say=lambda line: results.say(f"  {line}"))
        try:
            results.say(f"{name}: starting")
            _train(stack, options.models / name if options.models else None)
            stack.start(without=("hub", "schedule", "desk") if name == "rasa" else ())
            seen = asyncio.run(_all_customers(stack, name, texts, options))
        finally:
            stack.stop()
    total = len(seen.seconds)
    p50, p95, p99 = np.percentile(seen.seconds or [0.0], (50, 95, 99))
    return {
        "name": name,
        "messages": total,
        "talks": seen.talks,
        "per_second": round(total / (60 * options.minutes), 2),
        "p50_ms": round(1000 * float(p50)),
        "p95_ms": round(1000 * float(p95)),
        "p99_ms": round(1000 * float(p99)),
        "errors": seen.errors,
        "silent": seen.silent,
        "lost": seen.lost,
        "doubled": seen.doubled,
    }


def _train(stack: Stack, kept: Path | None) -> None:
    """Train where no model is kept: plain Rasa's takes a quarter of an hour on two cores."""
    models = stack.root / "models"
    if kept is not None and kept.is_dir():
        shutil.copytree(kept, models, dirs_exist_ok=True)
    stack.train_if_needed()
    if kept is not None:
        shutil.copytree(models, kept, dirs_exist_ok=True)


def _make_plain(project: Path) -> None:
    """Make the copy a project that knows nothing of this one's components."""
    (project / "config.yml").write_text(yaml.safe_dump(PLAIN), "utf-8")
    (project / "credentials.yml").write_text("rest:\n", "utf-8")
    endpoints = yaml.safe_load((project / "endpoints.yml").read_text("utf-8"))
    endpoints.pop("nlg", None)
    (project / "endpoints.yml").write_text(yaml.safe_dump(endpoints), "utf-8")
    shutil.rmtree(project / "models", ignore_errors=True)
    shutil.rmtree(project / ".rasa", ignore_errors=True)


async def _all_customers(stack: Stack, name: str, texts: Sequence[str], options: argparse.Namespace) -> Seen:
    """Let the customers talk until the time is over; the first one comes alone and does not count."""
    seen, talk = Seen(), _WebChat(stack).talk if name == "evergreen" else _Rest(stack).talk
    limits = httpx.Limits(max_connections=4 * options.customers)
    async with httpx.AsyncClient(timeout=TIMEOUT, limits=limits) as http:
        await talk(http, texts, random.Random("warm"), Seen(), time.monotonic() + 10)
        end = time.monotonic() + 60 * options.minutes

        async def customers(number: int) -> None:
            draw = random.Random(f"{options.seed} {number}")
            await asyncio.sleep(draw.uniform(0, THINKS[1]))  # nobody comes at the same moment
            while time.monotonic() < end:
                await talk(http, texts, draw, seen, end)

        await asyncio.gather(*(customers(number) for number in range(options.customers)))
    return seen


class _WebChat:
    """A customer of the web chat: a session, an open stream, messages, and at the end the history."""

    def __init__(self, stack: Stack) -> None:
        self._url = f"{stack.bot_url}/webhooks/webchat"

    async def talk(
        self, http: httpx.AsyncClient, texts: Sequence[str], draw: random.Random, seen: Seen, end: float
    ) -> None:
        seen.talks += 1
        try:
            made = await http.post(f"{self._url}/session")
            made.raise_for_status()
        except httpx.HTTPError as error:
            seen.failed(type(error).__name__)
            return
        headers = {"Authorization": f"Bearer {made.json()['token']}"}
        stream = asyncio.create_task(self._listen(http, headers))
        sent: list[str] = []
        try:
            for _ in range(draw.randint(*TALK)):
                if time.monotonic() >= end:
                    break
                key = uuid4().hex
                body = {"text": draw.choice(texts), "client_message_id": key}
                started = time.monotonic()
                try:
                    answer = await http.post(f"{self._url}/messages", json=body, headers=headers)
                    answer.raise_for_status()
                except httpx.HTTPError as error:
                    seen.failed(type(error).__name__)
                else:
                    seen.seconds.append(time.monotonic() - started)
                    seen.silent += not answer.json()["messages"]
                    sent.append(body["text"])
                await asyncio.sleep(draw.uniform(*THINKS))
            await self._compare(http, headers, sent, seen)
        finally:
            stream.cancel()

    async def _listen(self, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
        try:
            async with http.stream("GET", f"{self._url}/stream", headers=headers, timeout=None) as stream:
                async for _ in stream.aiter_bytes():
                    pass
        except httpx.HTTPError:
            return  # what it would have brought is in the history, too

    async def _compare(self, http: httpx.AsyncClient, headers: dict[str, str], sent: Sequence[str], seen: Seen) -> None:
        try:
            answer = await http.get(f"{self._url}/history", headers=headers)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            seen.failed(type(error).__name__)
            return
        _count(sent, [one["text"] for one in answer.json()["messages"] if one["role"] == "user"], seen)


class _Rest:
    """A customer of Rasa's REST channel; the tracker tells at the end what has arrived."""

    def __init__(self, stack: Stack) -> None:
        self._url, self._token = stack.bot_url, stack.token

    async def talk(
        self, http: httpx.AsyncClient, texts: Sequence[str], draw: random.Random, seen: Seen, end: float
    ) -> None:
        seen.talks += 1
        sender, sent = uuid4().hex, []
        for _ in range(draw.randint(*TALK)):
            if time.monotonic() >= end:
                break
            text = draw.choice(texts)
            started = time.monotonic()
            try:
                answer = await http.post(f"{self._url}/webhooks/rest/webhook", json={"sender": sender, "message": text})
                answer.raise_for_status()
            except httpx.HTTPError as error:
                seen.failed(type(error).__name__)
            else:
                seen.seconds.append(time.monotonic() - started)
                seen.silent += not answer.json()
                sent.append(text)
            await asyncio.sleep(draw.uniform(*THINKS))
        if not sent:
            return
        try:
            tracker = await http.get(f"{self._url}/conversations/{sender}/tracker", params={"token": self._token})
            tracker.raise_for_status()
        except httpx.HTTPError as error:
            seen.failed(type(error).__name__)
            return
        _count(sent, [one["text"] for one in tracker.json()["events"] if one["event"] == "user"], seen)


def _count(sent: Sequence[str], found: Sequence[str], seen: Seen) -> None:
    """Compare what was sent and acknowledged with what the conversation holds."""
    for text in set(sent):
        difference = found.count(text) - sent.count(text)
        seen.lost += max(0, -difference)
        seen.doubled += max(0, difference)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    names = {"evergreen": "Evergreen, web chat", "rasa": "plain Rasa, REST"}
    return results.table(
        rows,
        {
            "bot": lambda row: names[row["name"]],
            "messages": lambda row: f"{row['messages']:,}",
            "messages/s": lambda row: f"{row['per_second']:.1f}",
            "p50 ms": lambda row: f"{row['p50_ms']:,}",
            "p95 ms": lambda row: f"{row['p95_ms']:,}",
            "p99 ms": lambda row: f"{row['p99_ms']:,}",
            "errors": lambda row: ", ".join(f"{kind} {count}" for kind, count in row["errors"].items()) or "0",
            "lost": lambda row: str(row["lost"]),
            "doubled": lambda row: str(row["doubled"]),
            "no answer": lambda row: str(row["silent"]),
        },
    )


if __name__ == "__main__":
    main()
