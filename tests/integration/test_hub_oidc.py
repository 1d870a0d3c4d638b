"""Logging in by way of an identity provider: a stand-in with real keys, whose tokens a test can spoil."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hub.errors import AccountError
from hub.settings import load_hub_settings
from hub.staff.oidc import Provider, read_oidc
from hub.staff.roles import Role
from hub.texts import staff as texts
from learning.errors import SettingsError
from tests.hub_world import NOW, Page, TestClient, World, serving
from tests.hub_world import project as project
from tests.hub_world import world as world

CLIENT, SECRET = "evergreen-hub", "the client's secret"


@dataclass
class StandIn:
    """An identity provider; `claims` and `sign` are what a test changes."""

    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}))
    issuer: str = ""
    nonce: str = ""
    challenge: str = ""
    codes: int = 0
    claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
    sign: Callable[[dict[str, Any]], str] | None = None
    discovery: dict[str, Any] = field(default_factory=dict)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/keys", lambda request: JSONResponse(KeySet([self.key]).as_dict(private=False))),
                Route("/token", self.token, methods=["POST"]),
            ]
        )

    def configuration(self, request: Request) -> JSONResponse:
        addresses = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        found = {name: f"{self.issuer}/{path}" for name, path in addresses.items()}
        return JSONResponse({"issuer": self.issuer, **found, **self.discovery})

    async def token(self, request: Request) -> JSONResponse:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        expected = "Basic " + base64.b64encode(f"{CLIENT}:{quote_plus(SECRET)}".encode()).decode()
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        is_right = base64.urlsafe_b64encode(digest).decode().rstrip("=") == self.challenge
        self.codes += 1
        if request.headers.get("authorization") != expected or not is_right or form.get("code") != "the-code":
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = self.claims(self.usual())
        signed = self.sign(claims) if self.sign else jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        return JSONResponse({"access_token": "unused", "token_type": "Bearer", "id_token": signed})

    def usual(self) -> dict[str, Any]:
        now = int(time.time())
        said = {"preferred_username": "Ann.Lee", "groups": ["staff", "shop-reviewers"]}
        times = {"iat": now, "exp": now + 300}
        return {"iss": self.issuer, "aud": CLIENT, "sub": "248289761001", "nonce": self.nonce, **times, **said}


@pytest.fixture
def provider(world: World) -> Iterator[StandIn]:
    stand_in = StandIn()
    with serving(stand_in.app()) as address:
        stand_in.issuer = address
        settings = read_oidc(
            {
                "EVERGREEN_HUB_OIDC_ISSUER": address,
                "EVERGREEN_HUB_OIDC_CLIENT_ID": CLIENT,
                "EVERGREEN_HUB_OIDC_CLIENT_SECRET": SECRET,
                "EVERGREEN_HUB_OIDC_ROLES": "shop-reviewers=reviewer, shop-admins=admin",
                "EVERGREEN_HUB_OIDC_LABEL": "Fernway ID",
            }
        )
        assert settings is not None
        hub = world.app.state.hub
        public = replace(hub.settings, public_url="http://hub.test")
        world.app.state.hub = replace(hub, settings=public, provider=Provider(settings))
        yield stand_in


def go(client: TestClient, stand_in: StandIn, onward: str = "/releases") -> dict[str, str]:
    """Go to the provider; return the parameters with which it sends one back."""
    sent = client.get("/login/oidc", params={"next": onward})
    assert sent.status_code == 303
    asked = {name: values[0] for name, values in parse_qs(urlsplit(sent.headers["location"]).query).items()}
    assert sent.headers["location"].startswith(f"{stand_in.issuer}/authorize?")
    assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
    assert (asked["code_challenge_method"], asked["redirect_uri"]) == ("S256", "http://hub.test/login/oidc/back")
    assert "openid" in asked["scope"].split()
    stand_in.nonce, stand_in.challenge = asked["nonce"], asked["code_challenge"]
    return {"code": "the-code", "state": asked["state"]}


def come_back(client: TestClient, stand_in: StandIn, **changes: str) -> Any:
    return client.get("/login/oidc/back", params={**go(client, stand_in), **changes})


def test_somebody_whom_the_provider_vouches_for_is_logged_in(world: World, provider: StandIn) -> None:
    client = world.client(None)
    assert texts.LOGIN_PROVIDER.format(provider="Fernway ID") in client.get("/login").text
    answer = come_back(client, provider)
    assert (answer.status_code, answer.headers["location"]) == (303, "/releases")
    assert "ann.lee" in client.get("/releases").text
    account = world.accounts.known("ann.lee")
    assert (account.role, account.is_external) == (Role.REVIEWER, True)
    row = world.store.audit_rows()[-1]
    assert (row.what, row.item, row.after) == ("account-provider", "ann.lee", "reviewer")
    assert world.client(None).get("/settings").status_code == 303
    assert client.get("/settings").status_code == 403


def test_the_role_follows_the_groups_at_each_login(world: World, provider: StandIn) -> None:
    come_back(world.client(None), provider)
    provider.claims = lambda claims: {**claims, "groups": ["shop-admins", "shop-reviewers"]}
    come_back(world.client(None), provider)
    assert world.accounts.known("ann.lee").role is Role.ADMIN
    provider.claims = lambda claims: {**claims, "groups": []}
    refused = come_back(world.client(None), provider)
    assert (refused.status_code, texts.PROVIDER_NO_ROLE in refused.text) == (403, True)


def spoiled(name: str, value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {key: one for key, one in {**claims, name: value}.items() if one is not None}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", "https://evil.example"),
        ("aud", "another-client"),
        ("aud", [CLIENT, "another-client"]),
        ("nonce", "another-nonce"),
        ("nonce", None),
        ("exp", int(time.time()) - 3600),
        ("exp", None),
        ("iat", int(time.time()) - 7200),
        ("iat", int(time.time()) + 7200),
        ("nbf", int(time.time()) + 7200),
        ("sub", None),
        ("sub", ""),
        ("preferred_username", None),
        ("preferred_username", "<script>"),
        ("preferred_username", "demo"),
    ],
)
def test_a_token_that_is_not_for_this_login_is_refused(
    world: World, provider: StandIn, name: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    provider.claims = spoiled(name, value)
    client = world.client(None)
    with caplog.at_level(logging.DEBUG, "hub"):
        answer = come_back(client, provider)
    assert answer.status_code == 403
    assert client.get("/").status_code == 303
    assert [one.name for one in world.accounts.all()] == []
    for secret in (SECRET, provider.nonce, "248289761001"):
        assert secret not in caplog.text + answer.text


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def unsigned(claims: dict[str, Any]) -> str:
    return f"{encoded(json.dumps({'alg': 'none', 'typ': 'JWT'}).encode())}.{encoded(json.dumps(claims).encode())}."


def with_secret(secret: bytes) -> Callable[[dict[str, Any]], str]:
    def sign(claims: dict[str, Any]) -> str:
        head = encoded(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "one"}).encode())
        body = f"{head}.{encoded(json.dumps(claims).encode())}"
        return f"{body}.{encoded(hmac.new(secret, body.encode(), hashlib.sha256).digest())}"

    return sign


def test_a_token_that_the_provider_did_not_sign_is_refused(world: World, provider: StandIn) -> None:
    stranger = RSAKey.generate_key(2048, {"kid": "one"})
    forgeries: list[Callable[[dict[str, Any]], str]] = [
        unsigned,
        lambda claims: jwt.encode({"alg": "RS256", "kid": "one"}, claims, stranger),
        with_secret(provider.key.as_pem(private=False)),  # the old confusion of algorithms
        with_secret(SECRET.encode()),
        lambda claims: "no token at all",
        lambda claims: "",
    ]
    for forgery in forgeries:
        provider.sign = forgery
        client = world.client(None)
        assert come_back(client, provider).status_code == 403
        assert client.get("/").status_code == 303


def test_a_new_key_of_the_provider_is_found(world: World, provider: StandIn) -> None:
    come_back(world.client(None), provider)
    provider.key = RSAKey.generate_key(2048, {"kid": "two"})
    provider.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": "two"}, claims, provider.key)
    assert come_back(world.client(None), provider).status_code == 303


@pytest.mark.parametrize(
    "changes",
    [{"state": "another"}, {"state": ""}, {"code": "guessed"}, {"code": ""}, {"iss": "https://evil.example"},
     {"error": "access_denied"}],
)  # fmt: skip
def test_an_answer_that_does_not_fit_is_refused(world: World, provider: StandIn, changes: dict[str, str]) -> None:
    client = world.client(None)
    assert come_back(client, provider, **changes).status_code == 403
    assert client.get("/").status_code == 303


def test_an_answer_counts_once_and_in_its_own_browser_only(world: World, provider: StandIn) -> None:
    client, other = world.client(None), world.client(None)
    answer = go(client, provider)
    assert other.get("/login/oidc/back", params=answer).status_code == 403, "a login that somebody else began"
    assert client.get("/login/oidc/back", params=answer).status_code == 303
    assert client.get("/login/oidc/back", params=answer).status_code == 403
    assert provider.codes == 1


def test_names_cannot_be_taken_over(world: World, provider: StandIn) -> None:
    world.accounts.add("ann.lee", NOW, Role.ADMIN)
    refused = come_back(world.client(None), provider)
    assert (refused.status_code, "belongs to somebody else" in refused.text) == (403, True)
    assert world.accounts.known("ann.lee").is_external is False
    world.accounts.add("boss", NOW, Role.ADMIN)
    world.accounts.remove("ann.lee")
    assert come_back(world.client(None), provider).status_code == 303
    provider.claims = spoiled("sub", "another person with the same name")
    assert come_back(world.client(None), provider).status_code == 403


def test_a_closed_account_stays_closed_and_has_no_password(world: World, provider: StandIn) -> None:
    client = world.client(None)
    come_back(client, provider)
    fields = dict(Page(world.client(None).get("/login").text).forms["/login"])
    assert fields
    assert not world.accounts.verify("ann.lee", "!")
    with pytest.raises(AccountError):
        world.accounts.set_password("ann.lee", NOW)
    world.accounts.set_disabled("ann.lee", True)
    assert client.get("/releases").status_code == 303
    assert come_back(world.client(None), provider).status_code == 403


def test_nobody_is_sent_elsewhere(world: World, provider: StandIn) -> None:
    client = world.client(None)
    answer = go(client, provider, "https://evil.example/")
    assert client.get("/login/oidc/back", params=answer).headers["location"] == "/"


@pytest.mark.parametrize("spoil", [{"issuer": "https://evil.example"}, {"token_endpoint": "http://evil.example/token"}])
def test_a_provider_that_is_another_one_is_not_asked(world: World, provider: StandIn, spoil: dict[str, str]) -> None:
    provider.discovery = spoil
    client = world.client(None)
    sent = client.get("/login/oidc")
    refused = sent if sent.status_code != 303 else come_back(client, provider)
    assert refused.status_code == 403


def test_a_provider_that_is_away_leaves_the_password(world: World, provider: StandIn) -> None:
    hub = world.app.state.hub
    gone = replace(hub.provider.settings, issuer="http://127.0.0.1:9")
    world.app.state.hub = replace(hub, provider=Provider(gone))
    answer = world.client(None).get("/login/oidc")
    assert (answer.status_code, texts.PROVIDER_AWAY in answer.text) == (503, True)
    assert world.client("demo").get("/").status_code == 200


def test_without_a_provider_there_is_no_such_page(world: World) -> None:
    assert world.client(None).get("/login/oidc").status_code == 404
    assert world.client(None).get("/login/oidc/back").status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"CLIENT_ID": ""},
        {"CLIENT_SECRET": ""},
        {"ISSUER": "http://id.example"},
        {"ROLES": "staff=boss"},
        {"ROLES": "staff"},
        {"DEFAULT_ROLE": "boss"},
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(changes: dict[str, str], tmp_path: Any) -> None:
    right = {"ISSUER": "https://id.example", "CLIENT_ID": "hub", "CLIENT_SECRET": "s", "ROLES": "staff=viewer"}
    environ = {f"EVERGREEN_HUB_OIDC_{name}": value for name, value in {**right, **changes}.items()}
    with pytest.raises(AccountError, match="EVERGREEN_HUB_OIDC"):
        load_hub_settings(tmp_path, {**environ, "EVERGREEN_HUB_URL": "https://hub.example"})


def test_the_public_address_is_needed_and_makes_the_cookie_secure(tmp_path: Any) -> None:
    environ = {"EVERGREEN_HUB_OIDC_ISSUER": "https://id.example", "EVERGREEN_HUB_OIDC_CLIENT_ID": "hub"}
    environ = {**environ, "EVERGREEN_HUB_OIDC_CLIENT_SECRET": "s"}
    with pytest.raises(SettingsError, match="EVERGREEN_HUB_URL"):
        load_hub_settings(tmp_path, environ)
    settings = load_hub_settings(tmp_path, {**environ, "EVERGREEN_HUB_URL": "https://hub.example"})
    assert settings.secure_cookie
    assert "CLIENT_SECRET" not in repr(settings)
