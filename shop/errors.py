"""Every way the shop says no, each with a code for machines and a next step for people."""

from __future__ import annotations


class ShopProblem(Exception):
    """A request the shop refuses; the web layer turns it into the one error shape."""

    status = 400
    code = "bad_request"

    def __init__(self, message: str, next_step: str) -> None:
        """Say what was wrong, and what to do about it."""
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def body(self) -> dict[str, dict[str, str]]:
        """The JSON body, the same shape for every error."""
        return {"error": {"code": self.code, "message": self.message, "next_step": self.next_step}}


class BadRequest(ShopProblem):
    """The request itself is malformed."""


class NotAuthorized(ShopProblem):
    """The caller's API token is missing or wrong."""

    status = 401
    code = "not_authorized"


class NotVerified(ShopProblem):
    """The email address doesn't belong to the order."""

    status = 403
    code = "not_verified"

    def __init__(self, message: str, next_step: str, guess: tuple[int, str] | None = None) -> None:
        """Say too which order and address were tried, so that guesses can be counted."""
        super().__init__(message, next_step)
        self.guess = guess


class NotFound(ShopProblem):
    """There is no such order, ticket or page."""

    status = 404
    code = "not_found"


class MethodNotAllowed(ShopProblem):
    """The path exists, but not for this method."""

    status = 405
    code = "method_not_allowed"


class Conflict(ShopProblem):
    """The order is in a state that doesn't allow this."""

    status = 409
    code = "not_possible"


class TooLarge(ShopProblem):
    """The body is larger than any real request."""

    status = 413
    code = "too_large"


class Locked(ShopProblem):
    """Too many wrong guesses: nobody gets an answer for a while, not even who is right."""

    status = 423
    code = "locked"


class Broken(ShopProblem):
    """Something failed inside the shop."""

    status = 500
    code = "internal_error"
