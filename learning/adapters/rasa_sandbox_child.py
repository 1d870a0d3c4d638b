"""The process in which a model is tried: `python -m learning.adapters.rasa_sandbox_child MODEL ENDPOINTS [ACTIONS]`.

It reads one JSON request a line from standard input and writes one JSON answer a line, until its input ends. What is
published for it stands in the database that EVERGREEN_STORE_URL names. Beside `rasa_nlu` this is the one place outside
`components/` that imports Rasa.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from rasa.core.agent import Agent
from rasa.core.channels.channel import CollectingOutputChannel, UserMessage
from rasa.shared.constants import INTENT_MESSAGE_PREFIX
from rasa.shared.core.constants import ACTION_DEFAULT_FALLBACK_NAME, ACTION_LISTEN_NAME
from rasa.shared.core.events import UserUttered
from rasa.utils.endpoints import EndpointConfig, read_endpoint_config

OVERLAY_COMPONENT = "LiveOverlay"
QUIET_ACTIONS = ("validate_", "action_validate_", "action_session_start")  # they say nothing to the customer
CHANNEL = "rest"


class NoActions(EndpointConfig):
    """Stands where the action server is: an action that would run only says so, and changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._ran: set[str] = set()

    def next_turn(self) -> None:
        """Forget which actions would have run: the customer has said something new."""
        self._ran.clear()

    async def request(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Answer for the action server."""
        name = str((options.get("json") or {}).get("next_action") or "action")
        events: list[dict[str, Any]] = []
        if name == ACTION_DEFAULT_FALLBACK_NAME:
            events = [{"event": "rewind"}]  # as Rasa's own does: what was not understood leaves the dialogue alone
        elif name in self._ran:
            # It has not done what the next step waits for, and would be asked for again and again.
            events = [{"event": "followup", "name": ACTION_LISTEN_NAME}]
        is_silent = name.startswith(QUIET_ACTIONS) or name in self._ran
        self._ran.add(name)
        return {"events": events, "responses": [] if is_silent else [{"text": f"({name} would run here)"}]}


class Channel(CollectingOutputChannel):
    """Collects what the bot says as the REST channel does, so that answers written for channels are those of REST."""

    @classmethod
    def name(cls) -> str:
        """Return the name that conditional responses ask for."""
        return CHANNEL


def understood(parsed: dict[str, Any]) -> dict[str, Any]:
    """Return label, confidence and published entry of what Rasa parsed."""
    intent = parsed.get("intent") or {}
    name = intent.get("name") or ""
    selected = (parsed.get("response_selector") or {}).get(name) or {}
    key = (selected.get("response") or {}).get("intent_response_key")
    return {
        "label": key or name,
        "confidence": float(intent.get("confidence") or 0.0),
        "entry": (parsed.get("overlay") or {}).get("entry_id"),
    }


def reply(message: dict[str, Any]) -> dict[str, Any]:
    """Return one message of the bot as text and buttons; what has no text is named by what it is."""
    other = [f"({kind}: {message[kind]})" for kind in ("image", "attachment", "custom") if message.get(kind)]
    buttons = [
        {"title": str(button.get("title") or ""), "payload": str(button.get("payload") or "")}
        for button in message.get("buttons") or []
    ]
    return {"text": str(message.get("text") or " ".join(other)), "buttons": buttons}


class Conversations:
    """Answers requests with one loaded model."""

    def __init__(self, agent: Agent, actions: EndpointConfig) -> None:
        self._agent = agent
        self._actions = actions

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks for."""
        if request["do"] == "understand":
            return {"understood": [await self._understand(text) for text in request["texts"]]}
        if isinstance(self._actions, NoActions):
            self._actions.next_turn()
        channel = Channel()
        message = UserMessage(request["text"], channel, request["conversation"], input_channel=CHANNEL)
        # Rasa's own handler would answer an exception with an empty list: the processor's raises.
        await self._agent.processor.handle_message(message)
        tracker = await self._agent.tracker_store.get_or_create_tracker(request["conversation"])
        # A fallback takes its message out of the dialogue, but not out of what happened.
        said = [event for event in tracker.events if isinstance(event, UserUttered)]
        parsed = said[-1].parse_data if said else {}
        return {"understood": understood(dict(parsed)), "replies": [reply(item) for item in channel.messages]}

    async def _understand(self, text: str) -> dict[str, Any]:
        # A leading slash would be read as an intent, not as a message.
        return understood(await self._agent.parse_message(text.lstrip(INTENT_MESSAGE_PREFIX)))


def load(model: str, endpoints: str, actions: EndpointConfig) -> Agent:
    """Load the model with the project's response generator, and conversations that are kept in memory only."""
    generator = read_endpoint_config(endpoints, "nlg") if Path(endpoints).exists() else None
    agent = Agent.load(model, generator=generator, action_endpoint=actions)
    nodes = agent.processor.model_metadata.predict_schema.nodes.values()
    if not any(node.uses.__name__ == OVERLAY_COMPONENT for node in nodes):
        raise ValueError(
            f"its pipeline has no components.live_overlay.{OVERLAY_COMPONENT}: what is published cannot reach it"
        )
    return agent


def serve(conversations: Conversations, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests line by line until there are no more."""
    loop = asyncio.new_event_loop()
    for line in requests:
        try:
            answer = loop.run_until_complete(conversations.answer(orjson.loads(line)))
        except Exception as error:  # the session goes on: the next message may do better
            answer = {"error": f"{type(error).__name__}: {error}"}
        send(answers, answer)


def send(answers: BinaryIO, answer: dict[str, Any]) -> None:
    """Write one answer."""
    answers.write(orjson.dumps(answer) + b"\n")
    answers.flush()


def main() -> None:
    """Load the model named on the command line, say so, and serve."""
    # Libraries print where they like: the answers get a pipe of their own.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    model, endpoints, *url = sys.argv[1:]
    actions = EndpointConfig(url[0]) if url else NoActions()
    try:
        agent = load(model, endpoints, actions)
    except Exception as error:
        send(answers, {"error": f"{type(error).__name__}: {error}"})
        raise SystemExit(1) from error
    send(answers, {"ready": True})
    serve(Conversations(agent, actions), sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
