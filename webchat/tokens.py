"""Signed tokens: the only key to a conversation."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from webchat.errors import WebchatConfigError
from webchat.identity import Customer, IdentityRefused, read_customer

SECRET_VARIABLE = "EVERGREEN_WEBCHAT_SECRET"
MIN_SECRET_CHARS = 32  # shorter secrets can be guessed offline from one token
CONVERSATION_PREFIX = "web-"  # keeps these conversations apart from every other channel's

# The customer's part is there for those only whom the host page has vouched for.
_TOKEN = re.compile(r"(web-[0-9a-f]{32})\.([0-9]{1,12})(?:\.c([A-Za-z0-9_-]{1,3000}))?\.([0-9a-f]{64})")


@dataclass(frozen=True)
class Caller:
    """Whom a valid token belongs to: a conversation, and the customer if known."""

    conversation_id: str
    customer: Customer | None = None


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
    """Issues and checks tokens of the form `conversation.issued[.ccustomer].signature`."""

    secret: bytes = field(repr=False)
    max_age_s: int
    customer_age_s: int  # a known customer's token opens personal data: it lives shorter

    def issue(self, conversation_id: str, now: float, customer: Customer | None = None) -> str:
        """Return a token that opens this conversation until it is too old."""
        signed = f"{conversation_id}.{int(now)}"
        if customer is not None:
            content = json.dumps(customer.as_json(), ensure_ascii=False, separators=(",", ":")).encode()
            signed += ".c" + base64.urlsafe_b64encode(content).rstrip(b"=").decode()
        return f"{signed}.{self._signature(signed)}"

    def caller(self, token: str | None, now: float) -> Caller | None:
        """Return whom a token belongs to, or None for anything but a valid token."""
        read = self._read(token)
        if read is None:
            return None
        caller, issued = read
        limit = self.max_age_s if caller.customer is None else self.customer_age_s
        return caller if now - issued <= limit else None

    def resumed(self, token: object, customer: Customer, now: float) -> str | None:
        """Return the conversation that this customer may go on with, once the host page has vouched for them again.

        An anonymous conversation never becomes a known customer's: whoever began it may have kept its token.
        """
        read = self._read(token)
        if read is None:
            return None
        caller, issued = read
        same = caller.customer is not None and caller.customer.id == customer.id
        return caller.conversation_id if same and now - issued <= self.max_age_s else None

    def _read(self, token: object) -> tuple[Caller, int] | None:
        match = _TOKEN.fullmatch(token) if isinstance(token, str) else None
        if match is None:
            return None
        conversation_id, issued, content, signature = match.groups()
        signed = token[: -len(signature) - 1] if isinstance(token, str) else ""
        if not hmac.compare_digest(signature, self._signature(signed)):
            return None
        if content is None:
            return Caller(conversation_id), int(issued)
        try:
            claims = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
            return Caller(conversation_id, read_customer(claims)), int(issued)
        except (ValueError, IdentityRefused):  # signed by a version that wrote customers in another way
            return None

    def _signature(self, signed: str) -> str:
        # The leading purpose keeps signatures made for something else with the same secret from fitting.
        text = f"webchat-conversation:{signed.replace('.', ':')}"
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()
