"""The hub as an ASGI application: its route table, and how errors are answered."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hub import audit_pages, pages, release_pages, second_pages, texts
from hub.accounts import Accounts
from hub.context import Hub, hub_of
from hub.errors import Conflict
from hub.guard import HEALTH, ICON, LOGIN, STYLESHEET, Guard, Headers, add_headers
from hub.login_limit import LoginLimit
from hub.rendering import Renderer
from hub.settings import HubSettings
from learning.errors import EvergreenError, NotFound, PublishError, ReviewError
from learning.loop import Loop

logger = logging.getLogger(__name__)

COOKIE = "evergreen_hub"
ROUTES = (
    Route("/", pages.inbox, methods=["GET"]),
    Route("/proposals/{proposal_id}", pages.proposal, methods=["GET"]),
    Route("/proposals/{proposal_id}/approve", pages.approve, methods=["POST"]),
    Route("/proposals/{proposal_id}/reject", pages.reject, methods=["POST"]),
    Route("/proposals/{proposal_id}/defer", pages.defer, methods=["POST"]),
    Route("/proposals/{proposal_id}/undo", pages.undo, methods=["POST"]),
    Route("/proposals/{proposal_id}/assign", pages.assign, methods=["POST"]),
    Route("/second", second_pages.waiting, methods=["GET"]),
    Route("/second/{proposal_id}", second_pages.proposal, methods=["GET"]),
    Route("/second/{proposal_id}/read", second_pages.read, methods=["POST"]),
    Route("/releases", release_pages.releases, methods=["GET"]),
    Route("/releases/publish", release_pages.finish_publishing, methods=["POST"]),
    Route("/releases/{number:int}", release_pages.release, methods=["GET"]),
    Route("/releases/{number:int}/rollback", release_pages.rollback, methods=["POST"]),
    Route("/releases/{number:int}/back-to", release_pages.roll_back_to, methods=["POST"]),
    Route("/entries/{entry_id}/withdraw", release_pages.withdraw, methods=["POST"]),
    Route("/entries/{entry_id}/restore", release_pages.restore, methods=["POST"]),
    Route("/entries/{entry_id}/share", release_pages.share, methods=["POST"]),
    Route("/experiments", release_pages.experiments, methods=["GET"]),
    Route("/audit", audit_pages.audit, methods=["GET"]),
    Route("/audit/export/{format}", audit_pages.export, methods=["GET"]),
    Route("/status", pages.status, methods=["GET"]),
    Route("/logout", pages.logout, methods=["POST"]),
    Route(LOGIN, pages.login, methods=["GET", "POST"]),
    Route(HEALTH, pages.healthz, methods=["GET"]),
    Route(STYLESHEET, pages.stylesheet, methods=["GET"]),
    Route(ICON, pages.icon, methods=["GET"]),
)
# What the errors of the loop mean over HTTP, the most special first; all others are a service that is away.
STATUS_OF: tuple[tuple[type[EvergreenError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (ReviewError, 422),
    (PublishError, 503),
    (EvergreenError, 503),
)


def create_app(settings: HubSettings, loop: Loop, accounts: Accounts) -> Starlette:
    """Build the application; nothing is opened that was not handed in."""
    renderer = Renderer()
    app = Starlette(
        routes=ROUTES,
        middleware=[
            Middleware(Headers),
            Middleware(
                SessionMiddleware,
                secret_key=settings.secret,
                session_cookie=COOKIE,
                max_age=settings.session_seconds,
                same_site="lax",
                https_only=settings.secure_cookie,
            ),
            Middleware(Guard, accounts=accounts, renderer=renderer, settings=settings),
        ],
        exception_handlers={
            EvergreenError: _known_problem,
            HTTPException: _refused,
            Exception: _unknown_problem,
        },
    )
    app.state.hub = Hub(settings, loop, accounts, LoginLimit(settings, loop.now), renderer)
    return app


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
