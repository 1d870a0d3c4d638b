"""The hub as an ASGI application: its route table, and how errors are answered."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hub import status_pages, system_pages, texts
from hub.audit import pages as audit_pages
from hub.context import Hub, hub_of
from hub.conversations import pages as conversation_pages
from hub.desk import pages as desk_pages
from hub.errors import Conflict
from hub.experiments import pages as experiment_pages
from hub.guard import HEALTH, ICON, LIVE, LOGIN, OIDC, OIDC_BACK, PROMETHEUS, STYLESHEET, Guard, Headers, add_headers
from hub.live import Live, Topic, stream
from hub.metrics import pages as metrics_pages
from hub.metrics import prometheus
from hub.releases import pages as release_pages
from hub.rendering import Renderer
from hub.retraining import pages as retraining_pages
from hub.review import pages as review_pages
from hub.review import second_pages
from hub.review.sandboxes import Sandboxes
from hub.routing import StaffRoute, anybody
from hub.settings import HubSettings
from hub.staff import login, oidc_pages
from hub.staff import pages as staff_pages
from hub.staff.accounts import Accounts
from hub.staff.login_limit import LoginLimit
from hub.staff.oidc import Provider
from hub.staff.sessions import Sessions
from learning.bootstrap import utc_now
from learning.errors import EvergreenError, NotFound, PublishError, ReviewError
from learning.loop import Loop
from learning.sandbox import TrialBots

logger = logging.getLogger(__name__)

COOKIE = "evergreen_hub"
AREAS = (
    review_pages,
    second_pages,
    conversation_pages,
    release_pages,
    experiment_pages,
    metrics_pages,
    desk_pages,
    retraining_pages,
    audit_pages,
    staff_pages,
    status_pages,
)
STAFF_ROUTES: tuple[StaffRoute, ...] = (
    *(route for area in AREAS for route in area.ROUTES),
    anybody(LIVE, stream),
)
TOPICS: tuple[Topic, ...] = tuple(topic for area in AREAS for topic in getattr(area, "TOPICS", ()))
# These need no right: logging in and out, and what a browser or a monitor asks for before anybody has logged in.
OPEN_ROUTES = (
    Route(LOGIN, login.login, methods=["GET", "POST"]),
    Route(OIDC, oidc_pages.start, methods=["GET"]),
    Route(OIDC_BACK, oidc_pages.finish, methods=["GET"]),
    Route("/logout", login.logout, methods=["POST"]),
    Route(HEALTH, system_pages.healthz, methods=["GET"]),
    Route(PROMETHEUS, prometheus.numbers, methods=["GET"]),
    Route(STYLESHEET, system_pages.stylesheet, methods=["GET"]),
    Route(ICON, system_pages.icon, methods=["GET"]),
    Route("/static/js/{name}", system_pages.script, methods=["GET"]),
)
ROUTES = (*STAFF_ROUTES, *OPEN_ROUTES)
# What the errors of the loop mean over HTTP, the most special first; all others are a service that is away.
STATUS_OF: tuple[tuple[type[EvergreenError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (ReviewError, 422),
    (PublishError, 503),
    (EvergreenError, 503),
)


def create_app(
    settings: HubSettings,
    loop: Loop,
    accounts: Accounts,
    trials: TrialBots | None = None,
    session_clock: Callable[[], datetime] = utc_now,
) -> Starlette:
    """Build the application; nothing is opened that was not handed in. Sandboxes need `trials`."""
    renderer = Renderer()
    sessions = Sessions(accounts, settings, session_clock)
    app = Starlette(
        routes=ROUTES,
        lifespan=_until_shutdown,
        middleware=[
            Middleware(Headers),
            Middleware(
                SessionMiddleware,
                secret_key=settings.secret,
                # Browsers take a name that begins like this over HTTPS only, and from this very host.
                session_cookie=f"__Host-{COOKIE}" if settings.secure_cookie else COOKIE,
                max_age=settings.session_seconds,
                same_site="lax",
                https_only=settings.secure_cookie,
            ),
            Middleware(Guard, sessions=sessions, renderer=renderer, settings=settings),
        ],
        exception_handlers={
            EvergreenError: _known_problem,
            HTTPException: _refused,
            Exception: _unknown_problem,
        },
    )
    limit = LoginLimit(settings, loop.now)
    provider = Provider(settings.oidc) if settings.oidc else None
    app.state.hub = Hub(settings, loop, accounts, sessions, limit, renderer, provider, sandboxes=Sandboxes(trials))
    app.state.live = Live(app.state.hub, TOPICS)
    return app


@asynccontextmanager
async def _until_shutdown(app: Starlette) -> AsyncIterator[None]:
    """Leave no model behind that somebody was trying something on."""
    yield
    await run_in_threadpool(app.state.hub.sandboxes.stop_all)


def _known_problem(request: Request, error: Exception) -> Response:
    """Show a problem that says what failed, which item, and what to do next."""
    assert isinstance(error, EvergreenError)
    status = next(status for kind, status in STATUS_OF if isinstance(error, kind))
    if status == 503:
        logger.error("%s failed: %s", request.url.path, error)
    next_step = "" if status == 404 else f"{error.next_step[:1].upper()}{error.next_step[1:]}."
    return hub_of(request).renderer.error(request, status, f"{error.item} {error.what}.", next_step)


def _refused(request: Request, error: Exception) -> Response:
    """Show a page for an unknown address or a wrong method."""
    assert isinstance(error, HTTPException)
    response = hub_of(request).renderer.error(request, error.status_code)
    response.headers.update(error.headers or {})
    return response


def _unknown_problem(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw: the details stand in the log, where Starlette leaves them, never on the page."""
    text = f"{texts.ERROR_TITLES[500]}. {texts.ERROR_TEXTS[500]}\n"
    response = PlainTextResponse(text, 500)
    add_headers(response.headers)  # this handler runs outside of the middleware
    return response
