"""What the hub works with, and what each request carries."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import cast

from anyio import CapacityLimiter
from starlette.requests import Request

from hub.forms import Form
from hub.rendering import Renderer
from hub.review.sandboxes import Sandboxes
from hub.settings import HubSettings
from hub.staff.accounts import Accounts
from hub.staff.login_limit import LoginLimit
from hub.staff.oidc import Provider
from hub.staff.roles import Role
from hub.staff.sessions import Sessions
from learning.loop import Loop

EXPORTS_AT_ONCE = 2  # files of conversations; each reads and redacts them one after the other, and keeps a CPU busy
HASHING_AT_ONCE = 2  # passwords; each takes 64 MB and a CPU for some 50 ms


@dataclass(frozen=True)
class Hub:
    """The built objects of one process."""

    settings: HubSettings
    loop: Loop
    accounts: Accounts
    sessions: Sessions
    limit: LoginLimit
    renderer: Renderer
    provider: Provider | None = None  # an identity provider, where one is set
    # Two people who publish at once would make two commits on one parent, and git refuses the second.
    branch_lock: threading.Lock = field(default_factory=threading.Lock)
    sandboxes: Sandboxes = field(default_factory=Sandboxes)
    exports: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(EXPORTS_AT_ONCE))
    hashing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(HASHING_AT_ONCE))


def hub_of(request: Request) -> Hub:
    """Return the hub that serves `request`."""
    return cast(Hub, request.app.state.hub)


def user_of(request: Request) -> str:
    """Return who is logged in; only routes that the guard lets through ask for it."""
    return cast(str, request.state.user)


def form_of(request: Request) -> Form:
    """Return the posted form, which the guard has read and checked."""
    return cast(Form, request.state.form)


def role_of(request: Request) -> Role | None:
    """Return the role of who is logged in, None for nobody."""
    return cast("Role | None", getattr(request.state, "role", None))
