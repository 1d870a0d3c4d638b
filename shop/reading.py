"""Reading requests: every field checked, every complaint naming the field."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from shop.errors import BadRequest, TooLarge

MAX_BODY_BYTES = 16_384  # a ticket is the longest thing a customer sends
MAX_EMAIL = 254  # the longest address that mail servers accept
KEY_HINT = "Send the same key again only to repeat the same request."
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True)
class Fields:
    """A JSON object whose fields are read with a check."""

    values: dict[str, Any]

    def text(self, name: str, longest: int) -> str:
        """A field that must be there."""
        value = self.optional_text(name, longest)
        if value is None:
            raise BadRequest(f"The field '{name}' is missing.", f"Send '{name}' as a text.")
        return value

    def optional_text(self, name: str, longest: int) -> str | None:
        """A field that may be left out."""
        value = self.values.get(name)
        if value is None:
            return None
        # PostgreSQL can't store a null character, and no real text has one.
        if not isinstance(value, str) or not value.strip() or len(value) > longest or "\x00" in value:
            raise BadRequest(f"The field '{name}' isn't a text of 1 to {longest} characters.", f"Correct '{name}'.")
        return value.strip()

    def email(self) -> str:
        """The email address that proves who asks."""
        return _checked_email(self.text("email", MAX_EMAIL))

    def optional_email(self) -> str | None:
        """An email address to answer to."""
        value = self.optional_text("email", MAX_EMAIL)
        return None if value is None else _checked_email(value)

    def optional_order_number(self) -> int | None:
        """The order that this is about."""
        value = self.values.get("order_number")
        return None if value is None else order_number(str(value))


async def read_fields(request: Request) -> Fields:
    """The request's JSON object, refused when it is too large or no object."""
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > MAX_BODY_BYTES:
            raise TooLarge(f"The body is over {MAX_BODY_BYTES} bytes.", "Send a shorter text.")
    try:
        values = json.loads(bytes(chunks) or b"null")
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise BadRequest("The body isn't a JSON object.", "Send a JSON object with its content type.")
    return Fields(values)


def order_number(text: str) -> int:
    """Five digits as a number."""
    if not re.fullmatch(r"[0-9]{5}", text):
        raise BadRequest("That isn't an order number.", "Send the five digits of the order, such as 10342.")
    return int(text)


def path_order_number(request: Request) -> int:
    """The order number in the address."""
    return order_number(str(request.path_params["number"]))


def given_email(request: Request) -> str | None:
    """The email address in the header, or else in the query."""
    value = request.headers.get("x-customer-email") or request.query_params.get("email")
    return _checked_email(value) if value else None


def needed_email(request: Request) -> str:
    """The email address, which this address needs."""
    email = given_email(request)
    if email is None:
        raise BadRequest("The email address is missing.", "Send it as the header X-Customer-Email.")
    return email


def given_key(request: Request) -> str:
    """The key by which a repeated request is known, empty if there is none."""
    key = request.headers.get("idempotency-key", "")
    if key and not 8 <= len(key) <= 100:
        raise BadRequest("The header Idempotency-Key is not 8 to 100 characters long.", KEY_HINT)
    return key


def _checked_email(value: str) -> str:
    cleaned = value.strip().lower()
    if len(cleaned) > MAX_EMAIL or "\x00" in cleaned or not EMAIL.fullmatch(cleaned):
        raise BadRequest("That isn't an email address.", "Send an address such as ann@example.com.")
    return cleaned
