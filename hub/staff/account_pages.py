"""Accounts: an admin's page of all, and everybody's own."""

from __future__ import annotations

from collections.abc import Callable

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.context import form_of, hub_of, role_of, user_of
from hub.errors import AccountError
from hub.rendering import SESSION, leave_notice
from hub.routing import action, anybody, page
from hub.staff.accounts import DEMO, MAX_PASSWORD, MIN_PASSWORD, Note
from hub.staff.login import begin_session
from hub.staff.roles import Right, Role
from hub.texts import staff as texts

SEE_OTHER = 303
LIST = "/settings/accounts"
OWN = "/account"


def accounts(request: Request) -> Response:
    """Show all accounts."""
    return _list(request)


def add(request: Request) -> Response:
    """Make an account, and show its password this once."""
    hub, form = hub_of(request), form_of(request)
    name, role = form.get("name").lower(), _read_role(form.get("role"))
    if role is None:
        return _list(request, texts.NEED_ROLE, 422, "role")
    try:
        password = hub.accounts.add(name, hub.loop.now(), role, noting(request, "account-add", name))
    except AccountError as error:
        return _list(request, _said(error), 422, "name")
    return _list(request, password=(name, password))


def new_password(request: Request) -> Response:
    """Give an account a new password, and show it this once."""
    hub, name = hub_of(request), request.path_params["name"]
    try:
        hub.accounts.known(name)  # an unknown one would be made
        password = hub.accounts.set_password(name, hub.loop.now(), note=noting(request, "account-password", name))
    except AccountError as error:
        return _list(request, _said(error), 422)
    return _list(request, password=(name, password))


def set_role(request: Request) -> Response:
    """Give an account another role."""
    role = _read_role(form_of(request).get("role"))
    if role is None:
        return _list(request, texts.NEED_ROLE, 422)
    done = texts.DONE_ROLE.format(name=request.path_params["name"], role=texts.ROLES[role])
    return _change(
        request, "account-role", done, lambda name, note: hub_of(request).accounts.set_role(name, role, note)
    )


def close(request: Request) -> Response:
    """Close an account."""
    accounts = hub_of(request).accounts
    done = texts.DONE_CLOSED.format(name=request.path_params["name"])
    return _change(request, "account-close", done, lambda name, note: accounts.set_disabled(name, True, note))


def open_again(request: Request) -> Response:
    """Open an account that was closed."""
    accounts = hub_of(request).accounts
    done = texts.DONE_OPENED.format(name=request.path_params["name"])
    return _change(request, "account-open", done, lambda name, note: accounts.set_disabled(name, False, note))


def remove(request: Request) -> Response:
    """Delete an account."""
    done = texts.DONE_REMOVED.format(name=request.path_params["name"])
    return _change(request, "account-remove", done, lambda name, note: hub_of(request).accounts.remove(name, note))


def own(request: Request) -> Response:
    """Show a person's own account."""
    return _own(request)


async def change_password(request: Request) -> Response:
    """Give the person the password that they chose; every other session of theirs ends."""
    return await to_thread.run_sync(_change_password, request, limiter=hub_of(request).hashing)


def _change_password(request: Request) -> Response:
    hub, form, user = hub_of(request), form_of(request), user_of(request)
    old, new, again = ((form.all(field) or ("",))[0] for field in ("old", "new", "again"))
    if new != again:
        return _own(request, texts.NOT_THE_SAME, "again")
    if not MIN_PASSWORD <= len(new) <= MAX_PASSWORD:
        return _own(request, texts.SHORT_PASSWORD.format(least=MIN_PASSWORD, most=MAX_PASSWORD), "new")
    address = request.client.host if request.client else ""
    # A session that somebody left open is not to be used for guessing the password.
    if not hub.limit.attempt(user, address):
        return _own(request, texts.WRONG_PASSWORD, "old", 429)
    try:
        is_changed = hub.accounts.change_password(user, old, new, noting(request, "account-password", user))
    except AccountError as error:
        return _own(request, _said(error), "new")
    if not is_changed:
        return _own(request, texts.WRONG_PASSWORD, "old")
    hub.limit.succeeded(user, address)
    begin_session(request, user)
    leave_notice(request, texts.DONE_PASSWORD)
    return RedirectResponse(OWN, SEE_OTHER)


def end_others(request: Request) -> Response:
    """Log the person out everywhere else."""
    ended = hub_of(request).sessions.end_others(user_of(request), request.session.get(SESSION))
    leave_notice(request, texts.DONE_ENDED.format(count=ended))
    return RedirectResponse(OWN, SEE_OTHER)


def noting(request: Request, what: str, name: str) -> Note:
    """Return what notes a change of an account in the audit log."""
    hub, who = hub_of(request), getattr(request.state, "user", None) or name
    return lambda before, after: hub.loop.store.note(hub.loop.now(), who, what, name, before, after)


def _change(request: Request, what: str, done: str, change: Callable[[str, Note], None]) -> Response:
    name = request.path_params["name"]
    try:
        change(name, noting(request, what, name))
    except AccountError as error:
        return _list(request, _said(error), 422)
    leave_notice(request, done)
    return RedirectResponse(LIST, SEE_OTHER)


def _list(
    request: Request, problem: str = "", code: int = 200, wrong: str = "", password: tuple[str, str] | None = None
) -> Response:
    hub, form = hub_of(request), form_of(request)
    return hub.renderer.page(
        request,
        "staff_accounts.html",
        code,
        accounts=hub.accounts.all(),
        roles=list(Role),
        password=password,
        problem=problem,
        wrong=wrong,
        typed={"name": form.get("name"), "role": form.get("role")} if wrong else {},
    )


def _own(request: Request, problem: str = "", wrong: str = "", code: int = 422) -> Response:
    hub, user = hub_of(request), user_of(request)
    is_external = user != DEMO and hub.accounts.known(user).is_external
    return hub.renderer.page(
        request,
        "staff_own.html",
        code if problem else 200,
        role=role_of(request),
        no_password=texts.NO_PASSWORD if is_external else texts.DEMO_PASSWORD if user == DEMO else "",
        least=MIN_PASSWORD,
        problem=problem,
        wrong=wrong,
    )


def _read_role(text: str) -> Role | None:
    return Role(text) if text in {role.value for role in Role} else None


def _said(error: AccountError) -> str:
    return texts.NOT_CHANGED.format(item=error.item, what=error.what, next_step=error.next_step)


ROUTES = (
    page(LIST, accounts, Right.MANAGE),
    action(LIST, add, Right.MANAGE),
    action(LIST + "/{name}/password", new_password, Right.MANAGE),
    action(LIST + "/{name}/role", set_role, Right.MANAGE),
    action(LIST + "/{name}/close", close, Right.MANAGE),
    action(LIST + "/{name}/open", open_again, Right.MANAGE),
    action(LIST + "/{name}/remove", remove, Right.MANAGE),
    anybody(OWN, own),
    anybody(OWN + "/password", change_password, "POST"),
    anybody(OWN + "/sessions", end_others, "POST"),
)
