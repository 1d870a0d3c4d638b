"""Routes that say which right they need, so that none can be forgotten."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.context import hub_of
from hub.rendering import rights_of
from hub.staff.roles import Right

Endpoint = Callable[[Request], Any]


class SerialConvertor(Convertor[int]):
    """A number in an address that a database can hold; whatever is longer is no page."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        """Return the number."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Return it as it stands in the address."""
        return str(value)


register_url_convertor("serial", SerialConvertor())


class StaffRoute(Route):
    """A route for people who are logged in and have a `right` (None: all); others get the page for status 403."""

    def __init__(self, path: str, endpoint: Endpoint, method: str, right: Right | None) -> None:
        super().__init__(path, _checked(endpoint, right), methods=[method])
        self.right = right


def page(path: str, endpoint: Endpoint, right: Right = Right.LOOK) -> StaffRoute:
    """Return a route that shows something and changes nothing."""
    return StaffRoute(path, endpoint, "GET", right)


def action(path: str, endpoint: Endpoint, right: Right = Right.REVIEW) -> StaffRoute:
    """Return a route that does something."""
    return StaffRoute(path, endpoint, "POST", right)


def anybody(path: str, endpoint: Endpoint, method: str = "GET") -> StaffRoute:
    """Return a route for everybody who is logged in: their own account, what pages share."""
    return StaffRoute(path, endpoint, method, None)


def may(request: Request, right: Right | None) -> bool:
    """Whether the person who asks has a right; None is had by everybody."""
    return right is None or right in rights_of(request)


def _checked(endpoint: Endpoint, right: Right | None) -> Endpoint:
    def refusal(request: Request) -> Response | None:
        return None if may(request, right) else hub_of(request).renderer.error(request, 403, is_role=True)

    if inspect.iscoroutinefunction(endpoint):

        @functools.wraps(endpoint)
        async def answer_later(request: Request) -> Response:
            found: Response = refusal(request) or await endpoint(request)
            return found

        return answer_later

    @functools.wraps(endpoint)
    def answer(request: Request) -> Response:
        found: Response = refusal(request) or endpoint(request)
        return found

    return answer
