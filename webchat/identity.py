"""Who a customer is, by a signed word of the page that the chat stands on.

The page's server signs a JSON Web Token with a secret that it shares with the bot: algorithm HS256 and no other,
audience `webchat`, `sub` with the customer's id, `iat` and `exp` a few minutes apart; `name` and `email` if it likes.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from webchat.errors import WebchatConfigError

SECRET_VARIABLE = "EVERGREEN_WEBCHAT_IDENTITY_SECRET"
MIN_SECRET_CHARS = 32  # shorter secrets can be guessed offline from one token
ALGORITHM = "HS256"  # pinned: a token that names another, or none, is refused
AUDIENCE = "webchat"  # a token that the page's server made for something else does not fit
LEEWAY_S = 30  # clocks of two servers may differ by this much
MAX_TOKEN_CHARS = 4096
MAX_ID_CHARS = 128
MAX_NAME_CHARS = 100
EMAIL = re.compile(r"[^\s@<>\"',;:\\]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
MAX_EMAIL_CHARS = 254  # RFC 5321


class IdentityRefused(Exception):
    """A token that proves nothing; the text says why in words for the log, without anything of the token."""


@dataclass(frozen=True)
class Customer:
    """A customer whom the host page has vouched for."""

    id: str
    name: str | None = None
    email: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Return the customer as tokens and slots hold it."""
        return {"id": self.id, "name": self.name, "email": self.email}


@dataclass(frozen=True)
class IdentityChecker:
    """Reads identity tokens; without a secret it refuses all."""

    secret: bytes | None = field(repr=False)
    longest_s: int

    def customer(self, token: object, now: float) -> Customer:
        """Return whom a token names.

        Raises:
            IdentityRefused: the token is not one that the host page's server has just made.
        """
        if self.secret is None:
            raise IdentityRefused(f"{SECRET_VARIABLE} is not set")
        if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARS:
            raise IdentityRefused("no token")
        try:
            claims = jwt.decode(
                token,
                self.secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                # Times are checked below, against the clock that is passed in.
                options={
                    "require": ["sub", "iat", "exp", "aud"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_sub": False,
                },
            )
        except jwt.PyJWTError as error:
            raise IdentityRefused(type(error).__name__) from None
        self._check_times(claims, now)
        return read_customer(claims, "sub")

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        issued, expires, begins = claims["iat"], claims["exp"], claims.get("nbf", 0)
        if not all(type(one) in (int, float) for one in (issued, expires, begins)):
            raise IdentityRefused("a time is no number")
        if not 0 < expires - issued <= self.longest_s:
            raise IdentityRefused(f"valid for longer than {self.longest_s} s, or not at all")
        if expires + LEEWAY_S <= now:
            raise IdentityRefused("expired")
        if max(issued, begins) - LEEWAY_S > now:
            raise IdentityRefused("not valid yet")


def read_customer(claims: Mapping[str, Any], id_claim: str = "id") -> Customer:
    """Return the customer of a checked token's claims.

    Raises:
        IdentityRefused: a claim is not what it should be.
    """
    customer_id, name, email = claims.get(id_claim), claims.get("name"), claims.get("email")
    if not isinstance(customer_id, str) or not 0 < len(customer_id) <= MAX_ID_CHARS or not customer_id.isprintable():
        raise IdentityRefused("the customer's id is no text of 1 to 128 characters")
    if name is not None and not (isinstance(name, str) and len(name) <= MAX_NAME_CHARS and name.isprintable()):
        raise IdentityRefused("the name is no text of up to 100 characters")
    if email is not None and not (isinstance(email, str) and len(email) <= MAX_EMAIL_CHARS and EMAIL.fullmatch(email)):
        raise IdentityRefused("the email address is none")
    return Customer(customer_id, name or None, email.lower() if email else None)


def identity_secret_from(environ: Mapping[str, str], session_secret: bytes) -> bytes | None:
    """Return the secret shared with the host page, or None when there is none."""
    value = environ.get(SECRET_VARIABLE, "")
    if not value:
        return None
    if len(value) < MIN_SECRET_CHARS:
        raise WebchatConfigError(
            f"{SECRET_VARIABLE} has {len(value)} characters; use {MIN_SECRET_CHARS} or more random ones"
        )
    if value.encode() == session_secret:
        raise WebchatConfigError(
            f"{SECRET_VARIABLE} is the same as the chat's own secret; the host page must not know that one: use another"
        )
    return value.encode()


def make_token(secret: bytes, customer: Customer, now: float, valid_s: int) -> str:
    """Return a token as a host page's server makes it."""
    named = {key: value for key, value in (("name", customer.name), ("email", customer.email)) if value}
    claims = {"sub": customer.id, "aud": AUDIENCE, "iat": int(now), "exp": int(now) + valid_s, **named}
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def main(arguments: list[str] | None = None) -> int:
    """Print a token, to try the widget without a host page's server."""
    parser = argparse.ArgumentParser(prog="python -m webchat.identity", description=main.__doc__)
    parser.add_argument("customer", help="the customer's id")
    parser.add_argument("--name")
    parser.add_argument("--email")
    parser.add_argument("--seconds", type=int, default=300, help="how long it is valid (300)")
    given = parser.parse_args(arguments)
    secret = identity_secret_from(os.environ, b"")
    if secret is None:
        sys.stderr.write(f"error: {SECRET_VARIABLE} is not set; export the same secret that the bot has\n")
        return 1
    customer = read_customer({"id": given.customer, "name": given.name, "email": given.email})
    print(make_token(secret, customer, time.time(), given.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
