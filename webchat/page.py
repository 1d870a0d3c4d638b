"""The chat page and its files, read once and served from memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from webchat.settings import WebchatSettings

WEBCHAT_DIRECTORY = Path(__file__).resolve().parent

# Only these can be served: a request path never reaches the file system.
SCRIPT, SHEET = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
STATIC_FILES: Mapping[str, str] = {
    "chat.css": SHEET,
    "chat.js": SCRIPT,
    "api.js": SCRIPT,
    "stream.js": SCRIPT,
    "outbox.js": SCRIPT,
    "draw.js": SCRIPT,
    "log.js": SCRIPT,
    "standing.js": SCRIPT,
    "rating.js": SCRIPT,
    "theme.js": SCRIPT,
    "embed.js": SCRIPT,
    "widget.js": SCRIPT,
    "demo.css": SHEET,
    "demo.js": SCRIPT,
    "icon.svg": "image/svg+xml",
}
PAGES = ("index.html", "demo.html")


@dataclass(frozen=True)
class Asset:
    """One file as it goes over the wire."""

    body: bytes
    content_type: str
    etag: str


def load_pages(settings: WebchatSettings, directory: Path = WEBCHAT_DIRECTORY) -> dict[str, Asset]:
    """Render the pages for these settings."""
    environment = Environment(
        loader=FileSystemLoader(directory / "templates"), autoescape=True, undefined=StrictUndefined
    )
    return {
        name: _asset(environment.get_template(name).render(settings=settings).encode(), "text/html; charset=utf-8")
        for name in PAGES
    }


def load_static(directory: Path = WEBCHAT_DIRECTORY) -> dict[str, Asset]:
    """Read the files the page needs."""
    return {
        name: _asset((directory / "static" / name).read_bytes(), content_type)
        for name, content_type in STATIC_FILES.items()
    }


def security_headers(frame_ancestors: str, image_hosts: Iterable[str] = ()) -> dict[str, str]:
    """Return the headers that keep foreign scripts, styles, pictures and frames out of the page."""
    pictures = " ".join(("'self'", *image_hosts))
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {pictures}; connect-src 'self'; "
        f"frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {frame_ancestors}"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }


def _asset(body: bytes, content_type: str) -> Asset:
    return Asset(body, content_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
