"""What is no page for people: health and static files."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from hub.context import hub_of


def healthz(request: Request) -> Response:
    """Say that the hub is up."""
    return PlainTextResponse("ok\n")


def stylesheet(request: Request) -> Response:
    """Serve the style sheet."""
    return _static(request, hub_of(request).renderer.stylesheet, "text/css")


def script(request: Request) -> Response:
    """Serve a script."""
    body = hub_of(request).renderer.scripts.get(request.path_params["name"])
    if body is None:
        raise HTTPException(404)
    return _static(request, body, "text/javascript")


def icon(request: Request) -> Response:
    """Serve the icon."""
    return _static(request, hub_of(request).renderer.icon, "image/svg+xml")


def _static(request: Request, body: bytes, content_type: str) -> Response:
    """Serve a file: for ever under the address with its version; scripts that scripts import are asked for again."""
    version = hub_of(request).renderer.version
    if request.query_params.get("v") == version:
        return Response(body, media_type=content_type, headers={"Cache-Control": "public, max-age=31536000, immutable"})
    keep = {"Cache-Control": "no-cache", "ETag": f'"{version}"'}
    if request.headers.get("if-none-match") == keep["ETag"]:
        return Response(status_code=304, headers=keep)
    return Response(body, media_type=content_type, headers=keep)
