"""Whether a webhook was sent by the help desk that it says: signatures as Zendesk and Chatwoot make them.

Both use HMAC-SHA256. Zendesk signs time and body together (base64; its page "Verifying webhook authenticity"), Chatwoot
`time.body` (hexadecimal; its pull request 13573).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

LONGEST_BODY = 1_000_000  # bytes; Zendesk and Chatwoot send a few thousand
OLDEST = timedelta(minutes=5)  # a request that somebody has kept is worth nothing later


def is_genuine(help_desk: str, headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> bool:
    """Tell whether a webhook has a valid, recent signature.

    Args:
        help_desk: `zendesk` or `chatwoot`.
        headers: of the request, found in any case.
        body: as it came.
        secret: that the help desk shows for this webhook; nothing is genuine without one.
        now: the time.

    """
    if help_desk == "zendesk":
        stamp = headers.get("x-zendesk-webhook-signature-timestamp", "")
        given = headers.get("x-zendesk-webhook-signature", "")
        expected = base64.b64encode(_signed(secret, stamp.encode() + body)).decode()
    elif help_desk == "chatwoot":
        stamp, given = headers.get("x-chatwoot-timestamp", ""), headers.get("x-chatwoot-signature", "")
        expected = "sha256=" + _signed(secret, f"{stamp}.".encode() + body).hex()
    else:
        return False
    at = _time(stamp)
    is_recent = at is not None and abs(now - at) <= OLDEST
    return bool(secret) and is_recent and hmac.compare_digest(given.encode(), expected.encode())


def _signed(secret: str, content: bytes) -> bytes:
    return hmac.new(secret.encode(), content, hashlib.sha256).digest()


def _time(stamp: str) -> datetime | None:
    """Read a time as Zendesk (ISO 8601) or Chatwoot (seconds since 1970) writes it."""
    try:
        if stamp.isdecimal():
            return datetime.fromtimestamp(int(stamp), timezone.utc)
        found = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else None
