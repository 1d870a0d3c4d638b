"""What every request to the web chat shares: bodies, answers, files, and Rasa's agent."""

from __future__ import annotations

import json
from typing import Any

from sanic import Blueprint, response
from sanic.request import Request
from sanic.response import HTTPResponse

from webchat import errors
from webchat.errors import ChatError
from webchat.page import Asset, load_pages, load_static, security_headers
from webchat.settings import WebchatSettings

MAX_BODY_BYTES = 32_768  # a message of 1,000 characters, each escaped, with room to spare


def agent_of(request: Request) -> Any:
    """Return Rasa's agent, which is exchanged when a new model is loaded: never keep it."""
    agent = getattr(request.app.ctx, "agent", None)
    if agent is None:
        raise errors.bot_not_ready()
    return agent


def body_of(request: Request) -> dict[str, Any]:
    """Return a request's JSON object."""
    if len(request.body) > MAX_BODY_BYTES:
        raise errors.request_too_large()
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        raise errors.bad_request("the body is not JSON") from None
    if not isinstance(body, dict):
        raise errors.bad_request("the body is not a JSON object")
    return body


def json_answer(body: dict[str, Any], status: int = 200) -> HTTPResponse:
    """Return an answer that nothing on the way may keep: conversations are personal."""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return response.json(body, status=status, headers=headers)


def refusal(error: ChatError) -> HTTPResponse:
    """Return the answer to a refused request."""
    answer = json_answer(error.as_json(), error.status)
    if error.retry_after_s is not None:
        answer.headers["Retry-After"] = str(error.retry_after_s)
    return answer


def serve_files(blueprint: Blueprint, settings: WebchatSettings) -> None:
    """Add the pages, the widget's script, and the files that they need."""
    pages, static = load_pages(settings), load_static()
    headers = security_headers(settings.frame_ancestors, settings.image_hosts)

    def page(request: Request, name: str) -> HTTPResponse:
        if not request.path.endswith("/"):
            # The pages' links are relative, so that they work behind any proxy prefix.
            return response.empty(308, {"Location": f"{request.path.rsplit('/', 1)[-1]}/"})
        return _asset_answer(request, pages[name], headers)

    @blueprint.get("/")
    async def chat_page(request: Request) -> HTTPResponse:
        return page(request, "index.html")

    @blueprint.get("/static/<name:str>")
    async def static_file(request: Request, name: str) -> HTTPResponse:
        asset = static.get(name)
        return response.empty(404, headers) if asset is None else _asset_answer(request, asset, headers)

    @blueprint.get("/widget.js")
    async def widget(request: Request) -> HTTPResponse:
        # Other sites load it: a policy of theirs that wants it said finds it said.
        shared = {**headers, "Cross-Origin-Resource-Policy": "cross-origin"}
        return _asset_answer(request, static["widget.js"], shared)

    if settings.demo_page:

        @blueprint.get("/demo/")
        async def demo_page(request: Request) -> HTTPResponse:
            return page(request, "demo.html")


def _asset_answer(request: Request, asset: Asset, headers: dict[str, str]) -> HTTPResponse:
    validated = {**headers, "ETag": asset.etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == asset.etag:
        return response.empty(304, validated)
    return response.raw(asset.body, headers=validated, content_type=asset.content_type)
