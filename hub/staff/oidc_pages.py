"""Logging in by way of an identity provider."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.context import Hub, hub_of
from hub.errors import AccountError, LoginRefused
from hub.guard import OIDC_BACK, safe_next
from hub.staff.account_pages import noting
from hub.staff.login import after_login, begin_session, login_form
from hub.staff.oidc import Provider, Started
from hub.texts import staff as texts

SEE_OTHER = 303
STARTED = "oidc"  # what is kept in the signed cookie until the person comes back
ROLE = "role"  # what a refusal is about where the groups give none


def start(request: Request) -> Response:
    """Send somebody to the identity provider."""
    hub = hub_of(request)
    provider = _provider(hub)
    onward = safe_next(request.query_params.get("next", "/"))
    try:
        address, started = provider.start(_back(request))
    except LoginRefused as error:
        return _refused(request, error, onward)
    request.session[STARTED] = [started.state, started.nonce, started.verifier, onward]
    return RedirectResponse(address, SEE_OTHER)


def finish(request: Request) -> Response:
    """Log somebody in for whom the identity provider vouches."""
    hub = hub_of(request)
    provider = _provider(hub)
    kept = request.session.pop(STARTED, None)  # once: an answer that is given twice is refused
    onward = kept[3] if kept else "/"
    try:
        if not kept:
            raise LoginRefused("belongs to no login that began in this browser", "answer")
        vouched = provider.finish(Started(*kept[:3]), dict(request.query_params), _back(request))
        name = vouched.name
        account = noting(request, "account-provider", name)
        hub.accounts.admit(name, vouched.subject, vouched.role, hub.loop.now(), account)
    except LoginRefused as error:
        return _refused(request, error, onward)
    except AccountError as error:
        problem = texts.NOT_CHANGED.format(item=error.item, what=error.what, next_step=error.next_step)
        return login_form(request, onward, problem=problem, code=403)
    if not begin_session(request, name):
        raise HTTPException(403)
    return RedirectResponse(after_login(hub, name, onward), SEE_OTHER)


def _provider(hub: Hub) -> Provider:
    if hub.provider is None:
        raise HTTPException(404)
    return hub.provider


def _back(request: Request) -> str:
    """Return where the provider sends people back to: the hub's public address, which a header must not choose."""
    return hub_of(request).settings.public_url.rstrip("/") + OIDC_BACK


def _refused(request: Request, error: LoginRefused, onward: str) -> Response:
    if error.is_away:
        return login_form(request, onward, problem=texts.PROVIDER_AWAY, code=503)
    problem = (
        texts.PROVIDER_NO_ROLE
        if error.item == ROLE
        else texts.PROVIDER_REFUSED.format(why=f"{error.item} {error.what}")
    )
    return login_form(request, onward, problem=problem, code=403)
