"""OpenID Connect: who somebody is, as their identity provider vouches for it.

Authorization code flow with PKCE (RFC 7636), state and nonce. What comes back is believed only if the ID token carries
a signature of one of the provider's keys, and issuer, audience, time and nonce are right (OpenID Connect Core 1.0,
section 3.1.3.7).
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import httpx
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from hub.errors import AccountError, LoginRefused
from hub.staff.accounts import NAME
from hub.staff.roles import Role

logger = logging.getLogger(__name__)

DISCOVERY = "/.well-known/openid-configuration"
# Those with a public key. One that could be checked with the client's secret, or not at all, is no proof.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
TIMEOUT = 10.0  # seconds for one answer of the provider
LEEWAY = 60  # seconds by which two clocks may differ
OLDEST = 600  # seconds since the token was made: logging in takes no longer
KEPT = 3600.0  # seconds for which the provider's addresses are remembered
LONGEST = 512  # characters of a subject
BY_RANK = (Role.ADMIN, Role.REVIEWER, Role.AGENT, Role.VIEWER)  # of several roles the first is given


@dataclass(frozen=True)
class OidcSettings:
    """An identity provider: `roles` tells which group has which role, `default_role` what everybody else is."""

    issuer: str
    client_id: str
    secret: str = field(repr=False)
    roles: Mapping[str, Role]
    default_role: Role | None = None
    name_claim: str = "preferred_username"
    groups_claim: str = "groups"
    scope: str = "openid profile email"
    label: str = "OpenID Connect"


@dataclass(frozen=True)
class Started:
    """What the hub keeps of somebody whom it has sent to the provider, until they come back."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Vouched:
    """Whom the provider vouches for: the account's name, who it is there for good, and the role of the groups."""

    name: str
    subject: str
    role: Role


class Provider:
    """An identity provider, asked over HTTPS; its addresses are remembered for an hour, its keys until one is unknown.

    Raises:
        LoginRefused: the provider is away, or what it says is not to be believed.

    """

    def __init__(
        self,
        settings: OidcSettings,
        now: Callable[[], float] = time.time,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.settings = settings
        self._now = now
        self._transport = transport
        self._lock = threading.Lock()
        self._found: tuple[float, Mapping[str, Any]] | None = None
        self._keys: KeySet | None = None

    def start(self, back: str) -> tuple[str, Started]:
        """Return the address to send somebody to, and what to keep until they come to `back`."""
        started = Started(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48))
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": back,
            "scope": self.settings.scope,
            "state": started.state,
            "nonce": started.nonce,
            "code_challenge": create_s256_code_challenge(started.verifier),
            "code_challenge_method": "S256",
        }
        return str(httpx.URL(self._address("authorization_endpoint")).copy_merge_params(asked)), started

    def finish(self, started: Started, answer: Mapping[str, str], back: str) -> Vouched:
        """Return whom the provider vouches for, from the parameters with which they came back."""
        if not hmac.compare_digest(answer.get("state", "").encode(), started.state.encode()):
            raise LoginRefused("belongs to no login that began here", "state")
        # RFC 9207: an answer of another provider, given to this one's address, is not taken for this one's.
        if answer.get("iss", self.settings.issuer) != self.settings.issuer:
            raise LoginRefused("names another issuer", "answer")
        if "error" in answer or not answer.get("code"):
            raise LoginRefused("was not given", "consent")
        return self._vouched(self._claims(self._id_token(started, answer["code"], back), started.nonce))

    def _id_token(self, started: Started, code: str, back: str) -> str:
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": started.verifier}
        # RFC 6749, section 2.3.1: both are encoded before they are joined.
        client = quote_plus(self.settings.client_id), quote_plus(self.settings.secret)
        token = self._read(self._address("token_endpoint"), {**form, "redirect_uri": back}, client)
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise LoginRefused("is missing", "ID token")
        return id_token

    def _claims(self, id_token: str, nonce: str) -> Mapping[str, Any]:
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._now()),
            leeway=LEEWAY,
            iss={"essential": True, "value": self.settings.issuer},
            aud={"essential": True, "value": self.settings.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            claims: Mapping[str, Any] = self._decoded(id_token).claims
            registry.validate(dict(claims))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            logger.warning("an ID token was refused: %s", type(error).__name__)
            raise LoginRefused("is not valid", "ID token") from error
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if len(audiences) > 1 and claims.get("azp") != self.settings.client_id:
            raise LoginRefused("was made for somebody else", "ID token")
        if self._now() - float(claims["iat"]) > OLDEST + LEEWAY:
            raise LoginRefused("is too old", "ID token")
        return claims

    def _decoded(self, id_token: str) -> jwt.Token:
        """Check the signature; keys are read anew once, as providers change theirs."""
        for is_last in (False, True):
            try:
                return jwt.decode(id_token, self._key_set(is_anew=is_last), algorithms=list(ALGORITHMS))
            except (JoseError, ValueError):
                if is_last:
                    raise
        raise AssertionError("the second attempt returns or raises")

    def _vouched(self, claims: Mapping[str, Any]) -> Vouched:
        subject = str(claims["sub"])
        name = str(claims.get(self.settings.name_claim) or "").strip().lower()
        # An email address is no name here; what stands before the @ would not be one person's for sure.
        name = name.replace("@", "-at-")
        if not subject or len(subject) > LONGEST or not NAME.fullmatch(name):
            raise LoginRefused(f"gives no name that can be used ({self.settings.name_claim})", "ID token")
        role = self._role(claims.get(self.settings.groups_claim))
        if role is None:
            raise LoginRefused("", "role")
        return Vouched(name, f"{self.settings.issuer}|{subject}", role)

    def _role(self, groups: object) -> Role | None:
        named = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        roles = {
            self.settings.roles[group] for group in named if isinstance(group, str) and group in self.settings.roles
        }
        return next((role for role in BY_RANK if role in roles), self.settings.default_role)

    def _address(self, name: str) -> str:
        address = self._configuration().get(name)
        if not isinstance(address, str) or not _is_safe(address):
            raise LoginRefused(f"names no {name} with https", "identity provider")
        return address

    def _configuration(self) -> Mapping[str, Any]:
        with self._lock:
            if self._found is None or self._now() - self._found[0] > KEPT:
                found = self._read(self.settings.issuer.rstrip("/") + DISCOVERY)
                if found.get("issuer") != self.settings.issuer:
                    raise LoginRefused("is another issuer than EVERGREEN_HUB_OIDC_ISSUER", "identity provider")
                self._found = (self._now(), found)
            return self._found[1]

    def _key_set(self, is_anew: bool) -> KeySet:
        if self._keys is None or is_anew:
            self._keys = KeySet.import_key_set(self._read(self._address("jwks_uri")))  # type: ignore[arg-type]
        return self._keys

    def _read(
        self, address: str, form: Mapping[str, str] | None = None, client: tuple[str, str] | None = None
    ) -> dict[str, Any]:
        """Return what the provider answers; no redirect is followed, which could carry the secret elsewhere."""
        try:
            with httpx.Client(timeout=TIMEOUT, transport=self._transport) as http:
                answer = http.post(address, data=form, auth=client or ("", "")) if form else http.get(address)
                if form and 400 <= answer.status_code < 500:
                    logger.warning("the identity provider gave no token: status %s", answer.status_code)
                    raise LoginRefused("was not exchanged for a token", "code")
                answer.raise_for_status()
                found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._away(error) from error
        if not isinstance(found, dict):
            raise LoginRefused("answers nonsense", "identity provider", is_away=True)
        return found

    def _away(self, error: Exception) -> LoginRefused:
        logger.error("the identity provider cannot be reached: %s", type(error).__name__)
        return LoginRefused("cannot be reached", "identity provider", is_away=True)


def _is_safe(address: str) -> bool:
    """Whether an address is encrypted, or on this machine."""
    url = httpx.URL(address)
    return url.scheme == "https" or (url.scheme == "http" and url.host in ("127.0.0.1", "localhost", "::1"))


def read_oidc(environ: Mapping[str, str]) -> OidcSettings | None:
    """Read `EVERGREEN_HUB_OIDC_*`; None where no issuer is named.

    Raises:
        AccountError: something is missing or no role.

    """
    named = {name: environ.get(f"EVERGREEN_HUB_OIDC_{name}", "").strip() for name in NAMES}
    if not named["ISSUER"]:
        return None
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        if not named[name]:
            raise AccountError(
                "is missing", f"EVERGREEN_HUB_OIDC_{name}", "set it, or remove EVERGREEN_HUB_OIDC_ISSUER"
            )
    if not _is_safe(named["ISSUER"]):
        raise AccountError("is not https", "EVERGREEN_HUB_OIDC_ISSUER", "use the provider's https address")
    roles = {}
    for pair in filter(None, (part.strip() for part in named["ROLES"].split(","))):
        group, _, role = pair.rpartition("=")
        roles[group.strip()] = _read_role(role, "EVERGREEN_HUB_OIDC_ROLES")
    default = named["DEFAULT_ROLE"]
    usual = OidcSettings("", "", "", {})
    return OidcSettings(
        named["ISSUER"],
        named["CLIENT_ID"],
        named["CLIENT_SECRET"],
        roles,
        _read_role(default, "EVERGREEN_HUB_OIDC_DEFAULT_ROLE") if default else None,
        named["NAME_CLAIM"] or usual.name_claim,
        named["GROUPS_CLAIM"] or usual.groups_claim,
        named["SCOPE"] or usual.scope,
        named["LABEL"] or usual.label,
    )


NAMES = (
    "ISSUER",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "ROLES",
    "DEFAULT_ROLE",
    "NAME_CLAIM",
    "GROUPS_CLAIM",
    "SCOPE",
    "LABEL",
)


def _read_role(text: str, where: str) -> Role:
    try:
        return Role(text.strip().lower())
    except ValueError:
        known = ", ".join(role.value for role in Role)
        raise AccountError(f"names the role {text.strip()!r}", where, f"write group=role with one of {known}") from None
