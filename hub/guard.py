"""What stands before every page: login, CSRF, a limit on bodies, and security headers.

All of it refuses by default: a new route is closed until its path is put into `PUBLIC`.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from anyio import fail_after
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.forms import BodyTooLarge, Form, read_form
from hub.rendering import AGAIN, CSRF, SESSION, Renderer
from hub.settings import HubSettings
from hub.staff.sessions import Person, Sessions
from learning.errors import EvergreenError

LOGIN = "/login"
STYLESHEET = "/static/hub.css"
ICON = "/static/icon.svg"
HEALTH = "/healthz"
STATIC = "/static/"
OIDC = "/login/oidc"  # where somebody is sent to the identity provider from, and below it where they come back to
OIDC_BACK = "/login/oidc/back"
LIVE = "/live"
PROMETHEUS = "/metrics/prometheus"  # checks a token of its own
PUBLIC = frozenset({LOGIN, HEALTH, OIDC, OIDC_BACK, PROMETHEUS})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
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

    def __init__(self, app: ASGIApp, sessions: Sessions, renderer: Renderer, settings: HubSettings) -> None:
        self._app = app
        self._sessions = sessions
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
            person = await run_in_threadpool(self._person, request)
        except EvergreenError as error:
            return self._renderer.error(request, 503, f"{error.item}: {error.what}.", f"{error.next_step}.")
        request.state.user = person.name if person else None
        request.state.role = person.role if person else None
        request.state.notice = person.notice if person else ""
        # What a page shows is read after this, so that it is never older than the marks that it carries.
        request.state.marks = marks_of(request)
        request.state.form = Form()
        safe = request.method in SAFE_METHODS
        if request.state.user is None and not is_public(request.url.path):
            if request.url.path == LIVE:
                return Response(status_code=204)  # which tells a browser not to try again by itself
            return RedirectResponse(login_address(request), 303) if safe else self._ended(request)
        return None if safe else await self._check_form(request)

    def _ended(self, request: Request) -> Response:
        """Return the page for a form that came after the end of its session; logging in leads back to the form."""
        came_from = urlsplit(request.headers.get("referer", ""))
        is_own = came_from.netloc == request.url.netloc
        onward = safe_next(came_from._replace(scheme="", netloc="", fragment="").geturl()) if is_own else "/"
        return self._renderer.error(request, 401, onward=onward)

    async def _check_form(self, request: Request) -> Response | None:
        try:
            with fail_after(self._settings.form_seconds):
                form = await read_form(request.stream(), self._settings.max_body)
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody reads any more
        except TimeoutError:
            late = self._renderer.error(request, 408)
            late.headers["Connection"] = "close"
            return late
        except BodyTooLarge:
            return self._renderer.error(request, 413)
        except ValueError:
            return self._renderer.error(request, 400)
        expected = str(request.session.get(CSRF, ""))
        if not expected or not hmac.compare_digest(form.get(CSRF).encode(), expected.encode()):
            return self._renderer.error(request, 403)
        request.state.form = form
        return None

    def _person(self, request: Request) -> Person | None:
        """Return who is logged in."""
        is_active = request.url.path != LIVE and AGAIN not in request.headers
        return self._sessions.find(request.session.get(SESSION), is_active)


def marks_of(request: Request) -> Mapping[str, str]:
    """Return the marks of all topics as they were last read."""
    marks: Mapping[str, str] = request.app.state.live.marks
    return marks


def is_public(path: str) -> bool:
    """Whether a path is for people who are not logged in, too."""
    return path in PUBLIC or path.startswith(STATIC)


def login_address(request: Request) -> str:
    """Return the login page's address, with the page to go on to."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return LOGIN if asked == "/" else f"{LOGIN}?next={quote(asked, safe='/')}"


def safe_next(address: str) -> str:
    """Return `address` if it is a page of this hub, else the inbox: nobody is sent elsewhere after logging in."""
    inside = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable()
    return address if inside else "/"
