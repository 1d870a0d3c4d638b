"""Logging in and out."""

from __future__ import annotations

from anyio import to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub import texts
from hub.context import Hub, form_of, hub_of
from hub.guard import LOGIN, safe_next
from hub.rendering import SESSION, home_of, rights_of
from hub.staff.accounts import MAX_NAME, NAME
from hub.staff.roles import RIGHTS

SEE_OTHER = 303


async def login(request: Request) -> Response:
    """Show the login form, and log people in, few at once."""
    if request.method != "POST":
        return await run_in_threadpool(_show, request)
    # Those who wait for their turn wait here, not in the threads that serve everybody's pages.
    return await to_thread.run_sync(_log_in, request, limiter=hub_of(request).hashing)


def _show(request: Request) -> Response:
    if request.state.user:
        return RedirectResponse(home_of(rights_of(request)), SEE_OTHER)
    return login_form(request, safe_next(request.query_params.get("next", "/")))


def _log_in(request: Request) -> Response:
    hub, form = hub_of(request), form_of(request)
    # No account has a longer name, and nobody is to have the hub keep or show whatever was sent as one.
    name, onward = form.get("name").lower()[: MAX_NAME + 1], safe_next(form.get("next"))
    address = request.client.host if request.client else ""
    if not hub.limit.attempt(name, address):
        wait = hub.settings.login_wait
        problem = texts.LOGIN_WAIT.format(minutes=-(-wait // 60))
        response = login_form(request, onward, name, problem, 429)
        response.headers["Retry-After"] = str(wait)
        return response
    password = form.all("password")[0] if form.all("password") else ""
    if not NAME.fullmatch(name) or not hub.accounts.verify(name, password) or not begin_session(request, name):
        return login_form(request, onward, name, texts.LOGIN_WRONG, 401)
    hub.limit.succeeded(name, address)
    return RedirectResponse(after_login(hub, name, onward), SEE_OTHER)


def logout(request: Request) -> Response:
    """End the session, on the server too: its cookie opens nothing any more."""
    hub_of(request).sessions.end(request.session.get(SESSION))
    request.session.clear()
    return RedirectResponse(LOGIN, SEE_OTHER)


def begin_session(request: Request, name: str) -> bool:
    """Log somebody in; return whether their account lets them."""
    sessions = hub_of(request).sessions
    token = sessions.begin(name)
    if token is None:
        return False
    sessions.end(request.session.get(SESSION))
    request.session.clear()  # a session that somebody else may have prepared ends here
    request.session[SESSION] = token
    return True


def after_login(hub: Hub, name: str, onward: str) -> str:
    """Return where somebody goes who has just logged in."""
    standing = hub.accounts.standing(name)
    return home_of(RIGHTS[standing.role]) if standing and onward == "/" else onward


def login_form(request: Request, onward: str, name: str = "", problem: str = "", code: int = 200) -> Response:
    """Show the login form."""
    hub = hub_of(request)
    provider = hub.provider.settings.label if hub.provider else ""
    return hub.renderer.page(request, "login.html", code, onward=onward, name=name, problem=problem, provider=provider)
