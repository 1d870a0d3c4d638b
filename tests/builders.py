"""Short ways to build what tests need: conversations as the actions see them."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Tracker


def user(text: str, intent: str | None = None, entities: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "event": "user",
        "text": text,
        "parse_data": {
            "text": text,
            "message_id": f"message of {text}",
            "intent": {"name": intent, "confidence": 0.9},
            "entities": [{"entity": name, "value": value} for name, value in (entities or {}).items()],
        },
    }


def action(name: str) -> dict[str, Any]:
    return {"event": "action", "name": name}


def slot(name: str, value: Any) -> dict[str, Any]:
    return {"event": "slot", "name": name, "value": value}


def tracker(*events: dict[str, Any], loop: str | None = None, **slots: Any) -> Tracker:
    """A conversation made of these events; slots given by name win over slot events."""
    values: dict[str, Any] = {event["name"]: event["value"] for event in events if event["event"] == "slot"}
    values.update(slots)
    users = [event for event in events if event["event"] == "user"]
    latest = users[-1]["parse_data"] if users else {}
    return Tracker(
        sender_id="conversation-1",
        slots=values,
        latest_message=latest,
        events=list(events),
        paused=False,
        followup_action=None,
        active_loop={"name": loop} if loop else {},
        latest_action_name=None,
    )
