"""What stands before every page: login, CSRF, a limit on bodies, and security headers.

All of it refuses by default: a new route is closed until its path is put into `PUBLIC`.
"""

from __future__ import annotations

import hmac
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.accounts import Accounts
from hub.forms import BodyTooLarge, Form, read_form
from hub.rendering import CSRF, Renderer
from hub.settings import HubSettings
from learning.errors import EvergreenError

LOGIN = "/login"
STYLESHEET = "/static/hub.css"
ICON = "/static/icon.svg"
HEALTH = "/healthz"
PUBLIC = frozenset({LOGIN, STYLESHEET, ICON, HEALTH})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Headers:
    """Adds the security headers to every response; pages are kept in no cache."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, send_with_headers)


def add_headers(headers: MutableHeaders) -> None:
    """Set the security headers on a response."""
    for name, value in SECURITY_HEADERS.items():
        headers[name] = value
    headers.setdefault("Cache-Control", "no-store")


class Guard:
    """Lets only people who are logged in pass, and only forms that the hub itself made."""

    def __init__(self, app: ASGIApp, accounts: Accounts, renderer: Renderer, settings: HubSettings) -> None:
        self._app = app
        self._accounts = accounts
        self._renderer = renderer
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        refusal = await self._refuse(request)
        await (refusal or self._app)(scope, receive, send)

    async def _refuse(self, request: Request) -> Response | None:
        """Return the answer to a request that may not pass; note the user and the form of one that may."""
        try:
            request.state.user = await run_in_threadpool(self._user, request)
        except EvergreenError as error:
            return self._renderer.error(request, 503, f"{error.item}: {error.what}.", f"{error.next_step}.")
        request.state.form = Form()
        safe = request.method in SAFE_METHODS
        if request.state.user is None and request.url.path not in PUBLIC:
            return RedirectResponse(login_address(request), 303) if safe else self._renderer.error(request, 401)
        return None if safe else await self._check_form(request)

    async def _check_form(self, request: Request) -> Response | None:
        try:
            form = await read_form(request.stream(), self._settings.max_body)
        except BodyTooLarge:
            return self._renderer.error(request, 413)
        except ValueError:
            return self._renderer.error(request, 400)
        expected = str(request.session.get(CSRF, ""))
        if not expected or not hmac.compare_digest(form.get(CSRF).encode(), expected.encode()):
            return self._renderer.error(request, 403)
        request.state.form = form
        return None

    def _user(self, request: Request) -> str | None:
        """Return who is logged in; a session from before a new password counts no more."""
        name, stamp = request.session.get("user"), request.session.get("stamp")
        if not isinstance(name, str) or not isinstance(stamp, str):
            return None
        return name if stamp == self._accounts.stamp(name) else None


def login_address(request: Request) -> str:
    """Return the login page's address, with the page to go on to."""
    path = request.url.path
    return LOGIN if path == "/" else f"{LOGIN}?next={quote(path)}"


def safe_next(address: str) -> str:
    """Return `address` if it is a page of this hub, else the inbox: nobody is sent elsewhere after logging in."""
    inside = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable()
    return address if inside else "/"
