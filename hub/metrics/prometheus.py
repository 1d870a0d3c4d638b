"""The numbers for a monitor: with a token of its own, or for whoever may see the metrics pages."""

from __future__ import annotations

import hmac

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from hub.context import hub_of
from hub.routing import may
from hub.staff.roles import Right
from hub.texts import metrics as texts
from learning.exposition import render

BEARER = "bearer "


def numbers(request: Request) -> Response:
    """Send everything as Prometheus reads it."""
    hub = hub_of(request)
    if not _has_token(request, hub.settings.metrics_token) and not may(request, Right.LOOK):
        status = 403 if request.state.user else 401
        return PlainTextResponse(f"{texts.NEED_TOKEN}\n", status, {"WWW-Authenticate": "Bearer"})
    return Response(render(hub.loop), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _has_token(request: Request, token: str) -> bool:
    sent = request.headers.get("authorization", "")
    is_bearer = sent[: len(BEARER)].lower() == BEARER
    return bool(token) and is_bearer and hmac.compare_digest(sent[len(BEARER) :].encode(), token.encode())
