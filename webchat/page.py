"""The chat page and its files, read once and served from memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from webchat.settings import WebchatSettings

WEBCHAT_DIRECTORY = Path(__file__).resolve().parent

# Only these can be served: a request path never reaches the file system.
STATIC_FILES: Mapping[str, str] = {
    "chat.css": "text/css; charset=utf-8",
    "chat.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """One file as it goes over the wire."""

    body: bytes
    content_type: str
    etag: str


def load_page(settings: WebchatSettings, directory: Path = WEBCHAT_DIRECTORY) -> Asset:
    """Render the page for these settings."""
    environment = Environment(
        loader=FileSystemLoader(directory / "templates"), autoescape=True, undefined=StrictUndefined
    )
    html = environment.get_template("index.html").render(settings=settings)
    return _asset(html.encode(), "text/html; charset=utf-8")


def load_static(directory: Path = WEBCHAT_DIRECTORY) -> dict[str, Asset]:
    """Read the files the page needs."""
    return {
        name: _asset((directory / "static" / name).read_bytes(), content_type)
        for name, content_type in STATIC_FILES.items()
    }


def security_headers(frame_ancestors: str) -> dict[str, str]:
    """Return the headers that keep foreign scripts, styles and frames out of the page."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors {frame_ancestors}"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }


def _asset(body: bytes, content_type: str) -> Asset:
    return Asset(body, content_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
