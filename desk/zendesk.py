"""Zendesk Support as another help desk: a ticket for each hand-over, its comments both ways.

Written after Zendesk's published API reference (Tickets, Ticket Comments, Users); tried against local stand-ins only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from desk.help_desk_http import Json
from desk.help_desk_words import opening_text
from desk.model import Handover, Transcript


class Zendesk:
    """Signs in as an agent with an API token."""

    name = "zendesk"

    def __init__(self, url: str, email: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self._api = Json(self.name, url, transport, auth=(f"{email}/token", token))
        self._names: dict[int, str] = {}

    def open(self, handover: Handover, transcript: Transcript) -> str:
        """Open a ticket; the key makes Zendesk return the first one when this is repeated."""
        found = self._api.call("GET", "/api/v2/tickets.json", params={"external_id": handover.handover_id})
        for ticket in found.get("tickets") or []:
            return str(ticket["id"])
        ticket = {
            "subject": f"Chat: {handover.reason.value.replace('_', ' ')}",
            "external_id": handover.handover_id,
            "comment": {"body": opening_text(handover, transcript), "public": False},
            "tags": ["evergreen", handover.reason.value],
            "priority": "high" if handover.mood >= 0.5 else "normal",
        }
        made = self._api.call(
            "POST",
            "/api/v2/tickets.json",
            json={"ticket": ticket},
            headers={"Idempotency-Key": f"evergreen-{handover.handover_id}"},
        )
        return str(made["ticket"]["id"])

    def add(self, external_id: str, key: str, text: str, from_customer: bool) -> None:
        """Add what was said as an internal comment: only what agents write publicly goes to the customer."""
        who = "Customer" if from_customer else "Assistant"
        comment = {"body": f"{who}: {text}", "public": False}
        self._api.call("PUT", f"/api/v2/tickets/{external_id}.json", json={"ticket": {"comment": comment}})

    def close(self, external_id: str, note: str) -> None:
        """Mark the ticket as solved."""
        ticket: dict[str, Any] = {"status": "solved"}
        if note:
            ticket["comment"] = {"body": note, "public": False}
        self._api.call("PUT", f"/api/v2/tickets/{external_id}.json", json={"ticket": ticket})

    def answers(self, external_id: str, after: str) -> Sequence[tuple[str, str, str]]:
        """Return the public comments behind an id."""
        found = self._api.call("GET", f"/api/v2/tickets/{external_id}/comments.json", params={"sort_order": "asc"})
        return [
            (str(one["id"]), self._name_of(one["author_id"]), str(one.get("plain_body") or one.get("body") or ""))
            for one in found.get("comments") or []
            if one.get("public") and int(one["id"]) > int(after or 0)
        ]

    def _name_of(self, user_id: int) -> str:
        if user_id not in self._names:
            user = self._api.call("GET", f"/api/v2/users/{user_id}.json")["user"]
            self._names[user_id] = str(user.get("alias") or user["name"])
        return self._names[user_id]
