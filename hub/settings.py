"""The environment becomes frozen settings of the hub."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hub.staff.oidc import OidcSettings, read_oidc
from learning.errors import SettingsError

DEFAULT_DATABASE = "var/hub.db"
SQLITE_PREFIX = "sqlite:///"
MIN_SECRET = 32  # characters; a shorter secret can be guessed, and with it any session
YES = frozenset({"1", "true", "yes"})


@dataclass(frozen=True)
class HubSettings:
    """How the hub runs."""

    database: Path
    secret: str = field(repr=False)
    demo_password: str | None = field(default=None, repr=False)
    secure_cookie: bool = False  # true behind HTTPS; on plain HTTP a browser would never send the cookie back
    session_seconds: int = 10 * 60 * 60  # a working day; then one logs in again, whatever one does
    idle_seconds: int = 2 * 60 * 60  # without doing anything
    max_body: int = 256 * 1024  # bytes; a full proposal with 25 long examples has about 20 KB
    form_seconds: float = 30.0  # in which a form has to arrive; nobody keeps one half sent for ever
    login_failures: int = 5  # wrong passwords for one name from one address until it has to wait
    login_failures_address: int = 30  # the same for all names together, against trying one password on many
    login_wait: int = 300  # seconds in which failures are counted
    public_url: str = "http://127.0.0.1:8080"  # as browsers see the hub; where an identity provider sends people back
    oidc: OidcSettings | None = None
    metrics_token: str = field(default="", repr=False)  # of whoever collects the numbers; without it nobody can


def load_hub_settings(root: Path, environ: Mapping[str, str] | None = None) -> HubSettings:
    """Read the `EVERGREEN_HUB_*` variables; without a secret, sessions end when the hub stops.

    Raises:
        SettingsError: a secret is too short, or what is said of an identity provider incomplete.

    """
    environ = os.environ if environ is None else environ
    secret = _secret(environ, "EVERGREEN_HUB_SECRET")
    oidc, public_url = read_oidc(environ), environ.get("EVERGREEN_HUB_URL", "").strip()
    if oidc and not public_url:
        raise SettingsError(
            "is missing", "EVERGREEN_HUB_URL", "set the address that browsers use, https://hub.example.com"
        )
    secure = environ.get("EVERGREEN_HUB_SECURE_COOKIE", "").lower()
    return HubSettings(
        database=root / (environ.get("EVERGREEN_HUB_DB") or DEFAULT_DATABASE).removeprefix(SQLITE_PREFIX),
        secret=secret or secrets.token_hex(32),
        demo_password=environ.get("EVERGREEN_HUB_DEMO_PASSWORD") or None,
        secure_cookie=secure in YES or (not secure and public_url.startswith("https://")),
        public_url=public_url or HubSettings.public_url,
        oidc=oidc,
        metrics_token=_secret(environ, "EVERGREEN_METRICS_TOKEN"),
    )


def _secret(environ: Mapping[str, str], name: str) -> str:
    """Return a secret that nobody can guess, or none."""
    secret = environ.get(name, "")
    if secret and len(secret) < MIN_SECRET:
        raise SettingsError(
            f"has fewer than {MIN_SECRET} characters",
            name,
            "make one with `python -c 'import secrets; print(secrets.token_hex(32))'`",
        )
    return secret
