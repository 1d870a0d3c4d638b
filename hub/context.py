"""What the hub works with, and what each request carries."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request

from hub.accounts import Accounts
from hub.forms import Form
from hub.login_limit import LoginLimit
from hub.rendering import Renderer
from hub.settings import HubSettings
from learning.loop import Loop


@dataclass(frozen=True)
class Hub:
    """The built objects of one process."""

    settings: HubSettings
    loop: Loop
    accounts: Accounts
    limit: LoginLimit
    renderer: Renderer
    # Two people who publish at once would make two commits on one parent, and git refuses the second.
    branch_lock: threading.Lock = field(default_factory=threading.Lock)


def hub_of(request: Request) -> Hub:
    """Return the hub that serves `request`."""
    return cast(Hub, request.app.state.hub)


def user_of(request: Request) -> str:
    """Return who is logged in; only routes that the guard lets through ask for it."""
    return cast(str, request.state.user)


def form_of(request: Request) -> Form:
    """Return the posted form, which the guard has read and checked."""
    return cast(Form, request.state.form)
