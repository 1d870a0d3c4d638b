"""Settings that may be set without touching a file."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from itertools import groupby

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.context import form_of, hub_of, user_of
from hub.rendering import leave_notice
from hub.routing import action, page
from hub.staff.roles import Right
from hub.texts import staff as texts
from learning import overrides
from learning.errors import ReviewError, SettingsError
from learning.overrides import BY_KEY, OverrideChanged, Settable

SEE_OTHER = 303
ALL = "/settings"
_READING = threading.Lock()  # who reads the settings last is the last to put them in place


def settings(request: Request) -> Response:
    """Show every setting with its default, what the file says, and what was set here."""
    return _page(request)


def save(request: Request) -> Response:
    """Set a setting."""
    about = _about(request)
    try:
        value = overrides.read_typed(about, form_of(request).get("value"))
        _set(request, about, value)
    except OverrideChanged:
        return _page(request, about, texts.SET_MEANWHILE, 409)
    except (SettingsError, ReviewError) as error:
        problem = texts.NOT_ACCEPTED.format(what=f"{error.item} {error.what}", next_step=error.next_step)
        return _page(request, about, problem, 422, form_of(request).get("value"))
    done = texts.DONE_SET.format(label=texts.LABELS[about.key][0], value=overrides.shown(value) or texts.NOTHING)
    return _done(request, about, done)


def reset(request: Request) -> Response:
    """Go back to what the file says."""
    about = _about(request)
    try:
        _set(request, about, None)
    except OverrideChanged:
        return _page(request, about, texts.SET_MEANWHILE, 409)
    except SettingsError as error:
        return _page(request, about, f"{error.item} {error.what}; {error.next_step}.", 422)
    holds = overrides.value_of(hub_of(request).loop.settings, about)
    done = texts.DONE_RESET.format(label=texts.LABELS[about.key][0], value=overrides.shown(holds) or texts.NOTHING)
    return _done(request, about, done)


def _about(request: Request) -> Settable:
    about = BY_KEY.get(request.path_params["key"])
    if about is None:
        raise HTTPException(404)
    return about


def _set(request: Request, about: Settable, value: overrides.Value | None) -> None:
    hub = hub_of(request)
    seen = form_of(request).get("seen") or None
    overrides.set_override(hub.loop, about.key, value, seen, user_of(request), os.environ)
    # This process goes on with it at once; others read it when their next job begins.
    with _READING:
        hub = hub_of(request)
        request.app.state.hub = replace(hub, loop=overrides.current(hub.loop, os.environ))


def _done(request: Request, about: Settable, text: str) -> Response:
    leave_notice(request, text)
    return RedirectResponse(f"{ALL}#{about.key}", SEE_OTHER)


def _page(
    request: Request, wrong: Settable | None = None, problem: str = "", code: int = 200, typed: str | None = None
) -> Response:
    hub = hub_of(request)
    rows = overrides.read_settings(hub.loop, os.environ)
    return hub.renderer.page(
        request,
        "staff_settings.html",
        code,
        sections=[(name, list(of)) for name, of in groupby(rows, lambda row: row.about.section)],
        shown=overrides.shown,
        wrong=wrong.key if wrong else "",
        wrong_text=problem,
        typed=typed,
    )


ROUTES = (
    page(ALL, settings, Right.MANAGE),
    action(ALL + "/{key}/set", save, Right.MANAGE),
    action(ALL + "/{key}/reset", reset, Right.MANAGE),
)
