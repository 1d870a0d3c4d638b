"""Templates to pages: everything is escaped, and every page carries the same frame."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from hub import texts
from hub.navigation import AREAS
from hub.staff.roles import RIGHTS, Right

FOLDER = Path(__file__).resolve().parent
CSRF = "csrf"
SESSION = "session"  # the token of the session in the cookie
AGAIN = "x-live"  # a header of requests that a script makes to show a page anew: nobody did anything


class Renderer:
    """Renders pages of the hub; templates are compiled once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        static = folder / "static"
        sheets = [static / "hub.css", *sorted((static / "css").glob("*.css"))]
        self.stylesheet = b"\n".join(sheet.read_bytes() for sheet in sheets)
        self.icon = (static / "icon.svg").read_bytes()
        scripts = [*sorted((static / "js").glob("*.js")), *sorted((static / "vendor").glob("*.js"))]
        self.scripts = {script.name: script.read_bytes() for script in scripts}
        # The address changes with the content, so that browsers may keep it for ever.
        content = b"".join((self.stylesheet, self.icon, *self.scripts.values()))
        self.version = hashlib.sha256(content).hexdigest()[:12]
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
            "version": self.version,
            "user": getattr(request.state, "user", None),
            "rights": {right.value for right in rights_of(request)},
            "csrf": csrf_token(request),
            "path": request.url.path,
            "areas": AREAS,
            "home": home_of(rights_of(request)),
            "notice": _take_notice(request),
            "marks": _marks(request),
            "problem": None,
        }
        html = self._templates.get_template(template).render({**frame, **content})
        return HTMLResponse(html, code)

    def error(
        self,
        request: Request,
        status: int,
        text: str | None = None,
        next_step: str = "",
        is_role: bool = False,
        onward: str = "/",
    ) -> HTMLResponse:
        """Render the page that says what went wrong and what to do next.

        Args:
            request: what is answered.
            status: of HTTP.
            text: what went wrong; without it what the status usually means.
            next_step: what to do about it.
            is_role: the person lacks a right.
            onward: the page that logging in leads to.

        """
        if is_role:
            text = texts.FORBIDDEN
        return self.page(
            request,
            "error.html",
            status,
            title=texts.FORBIDDEN_TITLE if is_role else texts.ERROR_TITLES.get(status, texts.ERROR_TITLES[500]),
            text=text or texts.ERROR_TEXTS.get(status, ""),
            next_step=next_step,
            onward=onward,
        )


def csrf_token(request: Request) -> str:
    """Return the session's token, which every form carries back."""
    if CSRF not in request.session:
        request.session[CSRF] = secrets.token_urlsafe(24)
    return str(request.session[CSRF])


def leave_notice(request: Request, text: str, warning: str = "", undo: tuple[str, str] | None = None) -> None:
    """Have the next page say what was done; `undo` is the proposal and how it was seen, to offer the way back."""
    proposal_id, seen = undo or ("", "")
    notice = {"text": text, "warning": warning, "undo": proposal_id, "seen": seen}
    # Kept on the server: browsers drop a cookie that has grown over 4 KB, and with it the session.
    request.app.state.hub.sessions.leave(request.session.get(SESSION), orjson.dumps(notice).decode())


def _take_notice(request: Request) -> Mapping[str, str] | None:
    """Return what the last action left, once; a script that shows a page anew leaves it to the person."""
    if not getattr(request.state, "notice", "") or AGAIN in request.headers:
        return None
    request.app.state.hub.sessions.leave(request.session.get(SESSION), "")
    notice: Mapping[str, str] = orjson.loads(request.state.notice)
    return notice


def _marks(request: Request) -> str:
    """Return the marks of what the person may see, as JSON for the page's script."""
    marks = getattr(request.state, "marks", {})
    visible = request.app.state.live.visible(getattr(request.state, "role", None), marks)
    return orjson.dumps({name: marks[name] for name in sorted(visible)}).decode()


def home_of(rights: frozenset[Right]) -> str:
    """Return where somebody works: an agent sees nothing of the inbox."""
    return next((area.address for area in AREAS if area.right in rights), "/")


def when(at: datetime) -> str:
    """Return a time as people read it: `21 Nov 2025, 16:18 UTC`."""
    utc = at.astimezone(timezone.utc)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


def day(at: datetime) -> str:
    """Return a day as people read it: `21 Nov 2025`."""
    utc = at.astimezone(timezone.utc)
    return f"{utc.day} {utc:%b %Y}"


def rights_of(request: Request) -> frozenset[Right]:
    """Return what the person who asks may do."""
    role = getattr(request.state, "role", None)
    return RIGHTS[role] if role else frozenset()
