"""The process in which models are measured: it reads one JSON request from standard input and writes one answer.

Like `rasa_nlu` and `rasa_sandbox_child` it imports Rasa, and runs outside of the loop's own process.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from rasa.core.agent import Agent
from rasa.core.channels.channel import CollectingOutputChannel, UserMessage
from rasa.shared.constants import INTENT_MESSAGE_PREFIX
from rasa.shared.core.constants import ACTION_LISTEN_NAME, ACTION_SESSION_START_NAME
from rasa.shared.core.events import ActionExecuted
from rasa.utils.endpoints import EndpointConfig, read_endpoint_config

MARK = b"\x1epredictions\x1e"  # as `rasa_nlu` has it: parts the answer from whatever libraries print
WARM_UP = 10  # messages that are not timed: lazy imports and caches
CHANNEL = "rest"
SENDER = "evaluation-"  # begins the names of those who play: logs of the action server tell them from customers
SHOWN = 200  # characters of an answer that a problem quotes
UNTOLD = (ACTION_LISTEN_NAME, ACTION_SESSION_START_NAME)  # actions that no story is about


class Channel(CollectingOutputChannel):
    """Collects what the bot says as the REST channel does, so that answers written for channels are those of REST."""

    @classmethod
    def name(cls) -> str:
        """Return the name that conditional responses ask for."""
        return CHANNEL


async def parse(agent: Agent, text: str) -> dict[str, Any]:
    """Return how a model understands a message, and how long that took."""
    begun = time.perf_counter()
    # A leading slash would be read as an intent, not as a message.
    parsed = await agent.parse_message(text.lstrip(INTENT_MESSAGE_PREFIX))
    ms = 1000 * (time.perf_counter() - begun)
    intent = parsed.get("intent") or {}
    name = intent.get("name") or ""
    selected = (parsed.get("response_selector") or {}).get(name) or {}
    key = (selected.get("response") or {}).get("intent_response_key")
    spans = [
        (int(one["start"]), int(one["end"]), str(one["entity"]))
        for one in parsed.get("entities") or []
        if one.get("start") is not None and one.get("end") is not None
    ]
    confidence = float(intent.get("confidence") or 0.0)
    return {"label": key or name, "confidence": confidence, "spans": spans, "ms": ms}


async def play(agent: Agent, story: dict[str, Any]) -> dict[str, str]:
    """Play a conversation to its end, or to where it does not go as written."""
    sender = f"{SENDER}{uuid4().hex}"
    for number, step in enumerate(story["steps"], start=1):
        channel = Channel()
        before = len((await agent.tracker_store.get_or_create_tracker(sender)).events)
        try:
            # Rasa's own handler would answer an exception with an empty list: the processor's raises.
            await agent.processor.handle_message(UserMessage(step["user"], channel, sender, input_channel=CHANNEL))
        except Exception as error:  # one conversation that fails is a result, and the next one is played
            return {"name": story["name"], "problem": f"message {number}: {type(error).__name__}: {error}"[:SHOWN]}
        tracker = await agent.tracker_store.get_or_create_tracker(sender)
        ran = [event.action_name for event in list(tracker.events)[before:] if isinstance(event, ActionExecuted)]
        said = "\n".join(str(message.get("text") or "") for message in channel.messages)
        problem = what_is_wrong(step, said, [name for name in ran if name and name not in UNTOLD])
        if problem:
            return {"name": story["name"], "problem": f"message {number}: {problem}"}
    return {"name": story["name"], "problem": ""}


def what_is_wrong(step: dict[str, Any], said: str, ran: list[str]) -> str:
    """Return what an answer lacks of what is written, or has against it; empty if it is as it must be."""
    answer = " ".join(said.split())[:SHOWN]
    wanted = step["actions"]
    if wanted is not None:
        return "" if ran == wanted else f"ran {', '.join(ran) or 'nothing'} instead of {', '.join(wanted) or 'nothing'}"
    for pattern in step["says"]:
        if not re.search(pattern, said, re.IGNORECASE):
            return f"{pattern!r} is not in {answer!r}"
    for pattern in step["never"]:
        if re.search(pattern, said, re.IGNORECASE):
            return f"{pattern!r} is in {answer!r}"
    return "" if said.strip() else "nothing was answered"


def load(model: str, request: dict[str, Any]) -> Agent:
    """Load a model; where conversations are played with the project's responses and its action server."""
    if not request["stories"]:
        return Agent.load(model)
    endpoints = request["endpoints"]
    known = bool(endpoints) and Path(endpoints).exists()
    generator = read_endpoint_config(endpoints, "nlg") if known else None
    actions = (read_endpoint_config(endpoints, "action_endpoint") if known else None) or EndpointConfig()
    actions.url = request["actions"]
    return Agent.load(model, generator=generator, action_endpoint=actions)


async def examine(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask all models the same, one message after the other; who is asked first takes turns."""
    agents = [load(model, request) for model in request["models"]]
    found: list[dict[str, Any]] = [{"parsed": [], "played": []} for _ in agents]
    order = list(zip(agents, found, strict=True))
    for text in request["texts"][:WARM_UP]:
        for agent in agents:
            await parse(agent, text)
    for number, text in enumerate(request["texts"]):
        for agent, answers in order if number % 2 else reversed(order):
            answers["parsed"].append(await parse(agent, text))
    for story in request["stories"]:
        for agent, answers in order:
            answers["played"].append(await play(agent, story))
    return found


def main() -> None:
    """Answer the request on standard input."""
    # Libraries print where they like: the answer gets a pipe of its own.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    request = orjson.loads(sys.stdin.buffer.read())
    payload = orjson.dumps(asyncio.run(examine(request)))
    answers.write(MARK + payload)
    answers.flush()


if __name__ == "__main__":
    main()
