"""Signed tokens: the only key to a conversation."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from webchat.errors import WebchatConfigError

SECRET_VARIABLE = "EVERGREEN_WEBCHAT_SECRET"
MIN_SECRET_CHARS = 32  # shorter secrets can be guessed offline from one token
CONVERSATION_PREFIX = "web-"  # keeps these conversations apart from every other channel's

_TOKEN = re.compile(r"(web-[0-9a-f]{32})\.([0-9]{1,12})\.([0-9a-f]{64})")


def new_conversation_id() -> str:
    """Return an id with 128 random bits, which nobody can guess."""
    return CONVERSATION_PREFIX + secrets.token_hex(16)


def secret_from(environ: Mapping[str, str]) -> bytes | None:
    """Return the configured signing secret, or None when there is none."""
    value = environ.get(SECRET_VARIABLE, "")
    if not value:
        return None
    if len(value) < MIN_SECRET_CHARS:
        raise WebchatConfigError(
            f"{SECRET_VARIABLE} has {len(value)} characters; use {MIN_SECRET_CHARS} or more random ones"
        )
    return value.encode()


@dataclass(frozen=True)
class TokenSigner:
    """Issues and checks tokens of the form `conversation.issued.signature`."""

    secret: bytes = field(repr=False)
    max_age_s: int

    def issue(self, conversation_id: str, now: float) -> str:
        """Return a token that opens this conversation until it is too old."""
        issued = int(now)
        return f"{conversation_id}.{issued}.{self._signature(conversation_id, issued)}"

    def conversation_of(self, token: str | None, now: float) -> str | None:
        """Return the conversation a token opens, or None for anything but a valid token."""
        match = _TOKEN.fullmatch(token or "")
        if match is None:
            return None
        conversation_id, issued, signature = match[1], int(match[2]), match[3]
        if not hmac.compare_digest(signature, self._signature(conversation_id, issued)):
            return None
        return conversation_id if now - issued <= self.max_age_s else None

    def _signature(self, conversation_id: str, issued: int) -> str:
        # The leading purpose keeps signatures made for something else with the same secret from fitting.
        text = f"webchat-conversation:{conversation_id}:{issued}"
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()
