"""Templates to pages: everything is escaped, and every page carries the same frame."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from hub import release_texts, texts

FOLDER = Path(__file__).resolve().parent
CSRF = "csrf"
NOTICE = "notice"


class Renderer:
    """Renders pages of the hub; templates are compiled once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.stylesheet = (folder / "static" / "hub.css").read_bytes()
        self.icon = (folder / "static" / "icon.svg").read_bytes()
        # The address changes with the content, so that browsers may keep it for ever.
        self._version = hashlib.sha256(self.stylesheet + self.icon).hexdigest()[:12]
        self._templates = Environment(
            loader=FileSystemLoader(folder / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["when"] = when
        self._templates.filters["day"] = day

    def page(self, request: Request, template: str, code: int = 200, **content: Any) -> HTMLResponse:
        """Render a page; the notice that the last action left is shown once."""
        frame = {
            "t": texts,
            "r": release_texts,
            "version": self._version,
            "user": getattr(request.state, "user", None),
            "csrf": csrf_token(request),
            "path": request.url.path,
            "notice": request.session.pop(NOTICE, None),
            "problem": None,
        }
        html = self._templates.get_template(template).render({**frame, **content})
        return HTMLResponse(html, code)

    def error(self, request: Request, status: int, text: str | None = None, next_step: str = "") -> HTMLResponse:
        """Render the page that says what went wrong and what to do next."""
        return self.page(
            request,
            "error.html",
            status,
            title=texts.ERROR_TITLES.get(status, texts.ERROR_TITLES[500]),
            text=text or texts.ERROR_TEXTS.get(status, ""),
            next_step=next_step,
        )


def csrf_token(request: Request) -> str:
    """Return the session's token, which every form carries back."""
    if CSRF not in request.session:
        request.session[CSRF] = secrets.token_urlsafe(24)
    return str(request.session[CSRF])


def leave_notice(request: Request, text: str, warning: str = "", undo: tuple[str, str] | None = None) -> None:
    """Have the next page say what was done; `undo` is the proposal and how it was seen, to offer the way back."""
    proposal_id, seen = undo or ("", "")
    request.session[NOTICE] = {"text": text, "warning": warning, "undo": proposal_id, "seen": seen}


def when(at: datetime) -> str:
    """Return a time as people read it: `21 Nov 2025, 16:18 UTC`."""
    utc = at.astimezone(timezone.utc)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


def day(at: datetime) -> str:
    """Return a day as people read it: `21 Nov 2025`."""
    utc = at.astimezone(timezone.utc)
    return f"{utc.day} {utc:%b %Y}"
