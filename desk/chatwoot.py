"""Chatwoot as another help desk: a conversation in an API inbox for each hand-over, messages both ways.

Written after Chatwoot's published application API; tried against local stand-ins only.
"""

from __future__ import annotations

from collections.abc import Sequence

import httpx

from desk.help_desk_http import Json
from desk.help_desk_words import opening_text
from desk.model import Handover, Transcript
from learning.errors import SettingsError

OUTGOING = 1  # message_type of what agents write
SOURCE = "evergreen-"


class Chatwoot:
    """Uses an agent bot's or a user's access token; `account` is `account id/inbox id`."""

    name = "chatwoot"

    def __init__(self, url: str, account: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        number, slash, inbox = account.partition("/")
        if not (slash and number.isdecimal() and inbox.isdecimal()):
            raise SettingsError(
                f"is {account!r}", "learning.yml: desk: help_desk_account", "write it as account id/inbox id, 1/2"
            )
        self._inbox = int(inbox)
        self._base = f"/api/v1/accounts/{number}"
        self._api = Json(self.name, url, transport, headers={"api_access_token": token})

    def open(self, handover: Handover, transcript: Transcript) -> str:
        """Open a conversation of a contact that is named after the hand-over, which finds it again when repeated."""
        contact_id = self._contact(handover)
        found = self._api.call("GET", f"{self._base}/contacts/{contact_id}/conversations")
        for conversation in found.get("payload") or []:
            return str(conversation["id"])
        made = self._api.call(
            "POST",
            f"{self._base}/conversations",
            json={
                "source_id": SOURCE + handover.handover_id,
                "inbox_id": self._inbox,
                "contact_id": contact_id,
                "status": "open",
                "additional_attributes": {"reason": handover.reason.value, "reference": handover.reference},
                "message": {"content": opening_text(handover, transcript)},
            },
        )
        return str(made["id"])

    def add(self, external_id: str, key: str, text: str, from_customer: bool) -> None:
        """Add what was said; what the assistant says is a private note."""
        body = {
            "content": text,
            "message_type": "incoming" if from_customer else "outgoing",
            "private": not from_customer,
            "content_attributes": {"evergreen": key},
        }
        self._api.call("POST", f"{self._base}/conversations/{external_id}/messages", json=body)

    def close(self, external_id: str, note: str) -> None:
        """Mark the conversation as resolved."""
        if note:
            self.add(external_id, "note", note, from_customer=False)
        path = f"{self._base}/conversations/{external_id}/toggle_status"
        self._api.call("POST", path, json={"status": "resolved"})

    def answers(self, external_id: str, after: str) -> Sequence[tuple[str, str, str]]:
        """Return what agents wrote to the customer behind an id."""
        query = {"after": after} if after else None
        found = self._api.call("GET", f"{self._base}/conversations/{external_id}/messages", params=query)
        said = [
            (int(one["id"]), str((one.get("sender") or {}).get("name") or "Agent"), str(one.get("content") or ""))
            for one in found.get("payload") or []
            if one.get("message_type") == OUTGOING and not one.get("private") and int(one["id"]) > int(after or 0)
        ]
        return [(str(number), who, text) for number, who, text in sorted(said)]

    def _contact(self, handover: Handover) -> int:
        identifier = SOURCE + handover.handover_id
        found = self._api.call("GET", f"{self._base}/contacts/search", params={"q": identifier})
        for contact in found.get("payload") or []:
            if contact.get("identifier") == identifier:
                return int(contact["id"])
        body = {"inbox_id": self._inbox, "identifier": identifier, "name": f"Customer {handover.handover_id[:6]}"}
        made = self._api.call("POST", f"{self._base}/contacts", json=body)["payload"]
        return int((made.get("contact") or made)["id"])
