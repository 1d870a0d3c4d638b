from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from tests.fakes import FakeShop, details

Ran = tuple[list[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def shop() -> FakeShop:
    return FakeShop(
        orders={
            "10342": details("10342", "in_transit"),
            "10017": details("10017", "processing"),
            "10025": details("10025", "delivered"),
            "10007": details("10007", "delivered", can_return=False),
        }
    )


@pytest.fixture
def run() -> Callable[[Any, Tracker], Ran]:
    """Run an action; gives its messages, and the slots that it set."""

    def run_action(action: Any, tracker: Tracker, domain: dict[str, Any] | None = None) -> Ran:
        dispatcher = CollectingDispatcher()
        events = asyncio.run(action.run(dispatcher, tracker, domain or {})) or []
        # What was asked of the shop is told behind each action; it has tests of its own.
        told = [event for event in events if event["event"] == "slot" and event["name"] != "service_calls"]
        return dispatcher.messages, {event["name"]: event["value"] for event in told}

    return run_action
