"""The desk's own small HTTP interface: what customers can expect, webhooks of other help desks, its health."""

from __future__ import annotations

import hmac

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from desk import service
from desk.desk import Desk
from desk.webhooks import LONGEST_BODY, is_genuine
from learning.errors import EvergreenError


def create_api(desk: Desk) -> Starlette:
    """Build the interface; all but the health check and webhooks, which are signed, wants the desk's token."""

    def outlook(request: Request) -> JSONResponse:
        """Answer what a customer can expect; with POST, a conversation that is handed over gets its place."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not desk.settings.token or not hmac.compare_digest(given.encode(), desk.settings.token.encode()):
            return JSONResponse({"error": "wrong_token"}, 401)
        conversation = request.path_params.get("conversation")
        found = service.announce(desk, conversation) if conversation else service.outlook(desk)
        return JSONResponse(
            {
                "is_live": found.is_live and desk.store.has_worker(desk.now()),
                "is_open": found.is_open,
                "ahead": found.ahead,
                "opens": found.opens,
                "due": found.due,
                "due_at": found.due_at.isoformat(),
            }
        )

    async def bell(request: Request) -> Response:
        """Take another help desk's webhook: a sign to look now. What is in it is not read, but asked for."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LONGEST_BODY:
                return JSONResponse({"error": "too_large"}, 413)
        settings = desk.settings
        if not is_genuine(settings.help_desk, request.headers, body, settings.help_desk_secret, desk.now()):
            return JSONResponse({"error": "wrong_signature"}, 401)
        await run_in_threadpool(desk.store.ring, desk.now())
        return Response(status_code=204)

    def healthz(request: Request) -> JSONResponse:
        has_worker = desk.store.has_worker(desk.now())
        return JSONResponse({"status": "ok" if has_worker else "no worker"}, 200 if has_worker else 503)

    def problem(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "unavailable"}, 503)

    return Starlette(
        routes=[
            Route("/outlook", outlook),
            Route("/outlook/{conversation:path}", outlook, methods=["POST"]),
            Route("/help-desk", bell, methods=["POST"]),
            Route("/healthz", healthz),
        ],
        exception_handlers={EvergreenError: problem},
    )
