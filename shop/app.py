"""The shop's JSON API: addresses, who may call them, and the one error shape."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from importlib import resources
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher
from sqlalchemy.engine import Connection, Engine
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shop import store
from shop.errors import (
    BadRequest,
    Broken,
    Locked,
    MethodNotAllowed,
    NotAuthorized,
    NotFound,
    NotVerified,
    ShopProblem,
)
from shop.guesses import Guesses
from shop.reading import (
    KEY_HINT,
    given_email,
    given_key,
    needed_email,
    order_number,
    path_order_number,
    read_fields,
)

logger = logging.getLogger(__name__)

REFERENCE_DIGITS = 8  # digits are easy to say; eight make guessing pointless and never look like an order
OPEN_PATHS = frozenset({"/healthz", "/openapi.json"})
MIN_PASSWORD, MAX_PASSWORD = 10, 200  # characters
MAX_TEXT = 4_000  # one long complaint, not a book

Handler = Callable[[Request], Awaitable[Response]]


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(timezone.utc)


def random_reference(prefix: str) -> str:
    """A reference that can't be guessed from the one before."""
    return f"{prefix}{secrets.randbelow(10**REFERENCE_DIGITS):0{REFERENCE_DIGITS}d}"


def random_code() -> str:
    """A password reset code."""
    return f"{secrets.randbelow(10**8):08d}"


@dataclass(frozen=True)
class Shop:
    """What the handlers need: the database, the clock, and where references come from."""

    engine: Engine
    now: Callable[[], datetime] = utc_now
    new_reference: Callable[[str], str] = random_reference
    new_code: Callable[[], str] = random_code
    hasher: PasswordHasher = field(default_factory=PasswordHasher)
    guesses: Guesses = field(default_factory=Guesses)

    def today(self) -> date:
        """The present day."""
        return self.now().date()

    async def run(self, work: Callable[[Connection], Any]) -> Any:
        """Do the work in one transaction, off the event loop."""

        def in_transaction() -> Any:
            with self.engine.begin() as connection:
                return work(connection)

        try:
            return await run_in_threadpool(in_transaction)
        except NotVerified as error:
            # What was refused was rolled back with its transaction; that somebody guessed must stay.
            if error.guess is not None:
                await run_in_threadpool(self._count_guess, *error.guess)
            raise

    def _count_guess(self, number: int, email: str) -> None:
        with self.engine.begin() as connection:
            store.note_wrong_guess(connection, number, email, self.now())

    async def healthz(self, request: Request) -> Response:
        """Say whether the database answers."""
        await self.run(lambda connection: connection.execute(sa.text("SELECT 1")).scalar_one())
        return JSONResponse({"status": "ok"})

    async def openapi(self, request: Request) -> Response:
        """Serve the description of this API."""
        return JSONResponse(load_openapi())

    async def get_order(self, request: Request) -> Response:
        """The public view by number; the full one with the customer's email address."""
        number, email = path_order_number(request), given_email(request)
        if email is None:
            order = await self.run(lambda connection: store.find_order(connection, number))
            return JSONResponse(order.public_json(self.today()))
        order = await self.run(lambda connection: store.find_own_order(connection, number, email, self.now()))
        return JSONResponse(order.full_json(self.today()))

    async def list_orders(self, request: Request) -> Response:
        """All orders of the customer who proves one of them."""
        number = order_number(request.query_params.get("order_number", ""))
        email = needed_email(request)

        def work(connection: Connection) -> list[dict[str, Any]]:
            proven = store.find_own_order(connection, number, email, self.now())
            orders = store.orders_of_customer(connection, proven.customer_id)
            return [order.full_json(self.today()) for order in orders]

        return JSONResponse({"orders": await self.run(work)})

    async def cancel_order(self, request: Request) -> Response:
        """Cancel an order that hasn't left."""
        number, fields = path_order_number(request), await read_fields(request)
        email = fields.email()

        def work(connection: Connection) -> dict[str, Any]:
            order = store.find_own_order(connection, number, email, self.now())
            return store.cancel(connection, order, self.now()).full_json(self.today())

        return JSONResponse(await self.run(work))

    async def change_address(self, request: Request) -> Response:
        """Change where an order goes, before it leaves."""
        number, fields = path_order_number(request), await read_fields(request)
        email, address = fields.email(), fields.text("address", 300)

        def work(connection: Connection) -> dict[str, Any]:
            order = store.find_own_order(connection, number, email, self.now())
            return store.change_address(connection, order, address).full_json(self.today())

        return JSONResponse(await self.run(work))

    async def request_return(self, request: Request) -> Response:
        """Open a return within 30 days of the delivery."""
        number, fields = path_order_number(request), await read_fields(request)
        email, reason = fields.email(), fields.optional_text("reason", 500) or "not given"

        def work(connection: Connection) -> tuple[dict[str, Any], bool]:
            order = store.find_own_order(connection, number, email, self.now())
            reference = self.new_reference("R-")
            made, new = store.request_return(connection, order, reason, reference, self.now())
            return made.as_json(), new

        body, new = await self.run(work)
        return JSONResponse(body, status_code=201 if new else 200)

    async def get_refund(self, request: Request) -> Response:
        """How far the refund of an order is."""
        number, email = path_order_number(request), needed_email(request)

        def work(connection: Connection) -> dict[str, Any]:
            order = store.find_own_order(connection, number, email, self.now())
            return store.refund_of(connection, order).as_json()

        return JSONResponse(await self.run(work))

    async def send_invoice(self, request: Request) -> Response:
        """Mail the invoice to the order's own address."""
        number, fields = path_order_number(request), await read_fields(request)
        email, key = fields.email(), given_key(request)

        def work(connection: Connection) -> None:
            order = store.find_own_order(connection, number, email, self.now())
            if store.once(connection, key, f"invoice {number}", self.now()):
                store.send_invoice(connection, order, self.now())

        await self.run(work)
        return JSONResponse({"status": "accepted"}, status_code=202)

    async def get_balance(self, request: Request) -> Response:
        """The store credit of the customer who proves an order."""
        number = order_number(request.query_params.get("order_number", ""))
        email = needed_email(request)

        def work(connection: Connection) -> dict[str, Any]:
            order = store.find_own_order(connection, number, email, self.now())
            return {"balance": store.balance_of(connection, order.customer_id).as_json()}

        return JSONResponse(await self.run(work))

    async def reset_password(self, request: Request) -> Response:
        """Mail a reset code; the answer is the same whether or not there is an account."""
        email, key = (await read_fields(request)).email(), given_key(request)
        code = self.new_code()

        def work(connection: Connection) -> None:
            if store.once(connection, key, "password reset", self.now()):
                store.request_password_reset(connection, email, code, self.now())

        await self.run(work)
        return JSONResponse({"status": "accepted"}, status_code=202)

    async def redeem_reset(self, request: Request) -> Response:
        """Set a new password with a mailed code."""
        fields = await read_fields(request)
        email, code, password = fields.email(), fields.text("code", 20), fields.text("password", MAX_PASSWORD)
        if len(password) < MIN_PASSWORD:
            raise BadRequest(f"The password has fewer than {MIN_PASSWORD} characters.", "Choose a longer one.")
        wait = self.guesses.wait(email, self.now())
        if wait:
            raise Locked("There were too many wrong codes.", f"Try again in {wait} minutes, or ask for a new code.")
        hashed = await run_in_threadpool(self.hasher.hash, password)
        done = await self.run(lambda connection: store.redeem_reset(connection, email, code, hashed, self.now()))
        if not done:
            self.guesses.note(email, self.now())
            raise NotVerified("That code isn't good, or not any more.", "Ask for a new one.")
        return JSONResponse({"status": "accepted"})

    async def open_ticket(self, request: Request) -> Response:
        """Open a ticket once per idempotency key."""
        fields = await read_fields(request)
        key = given_key(request)
        if not key:
            raise BadRequest("The header Idempotency-Key is missing.", KEY_HINT)
        topic, body = fields.text("topic", 40), fields.text("body", MAX_TEXT)
        email, number = fields.optional_email(), fields.optional_order_number()

        def work(connection: Connection) -> tuple[dict[str, Any], bool]:
            ticket, new = store.open_ticket(
                connection,
                key=key,
                reference=self.new_reference("T-"),
                topic=topic,
                body=body,
                email=email,
                order_number=number,
                now=self.now(),
            )
            return ticket.as_json(), new

        answer, new = await self.run(work)
        return JSONResponse(answer, status_code=201 if new else 200)

    async def get_ticket(self, request: Request) -> Response:
        """The state of a ticket, without its text."""
        reference = str(request.path_params["reference"])
        if "\x00" in reference or len(reference) > 20:
            raise BadRequest("That isn't a ticket reference.", "Send a reference such as T-48291307.")
        ticket = await self.run(lambda connection: store.find_ticket(connection, reference))
        return JSONResponse(ticket.as_json())


def routes(shop: Shop) -> list[tuple[str, str, Handler]]:
    """Every address: method, path and handler, as the description must list them."""
    return [
        ("GET", "/healthz", shop.healthz),
        ("GET", "/openapi.json", shop.openapi),
        ("GET", "/api/v1/orders", shop.list_orders),
        ("GET", "/api/v1/orders/{number}", shop.get_order),
        ("POST", "/api/v1/orders/{number}/cancel", shop.cancel_order),
        ("PUT", "/api/v1/orders/{number}/address", shop.change_address),
        ("POST", "/api/v1/orders/{number}/returns", shop.request_return),
        ("GET", "/api/v1/orders/{number}/refund", shop.get_refund),
        ("POST", "/api/v1/orders/{number}/invoice", shop.send_invoice),
        ("GET", "/api/v1/account/balance", shop.get_balance),
        ("POST", "/api/v1/password-resets", shop.reset_password),
        ("POST", "/api/v1/password-resets/redeem", shop.redeem_reset),
        ("POST", "/api/v1/tickets", shop.open_ticket),
        ("GET", "/api/v1/tickets/{reference}", shop.get_ticket),
    ]


def create_app(shop: Shop, token: str | None = None) -> Starlette:
    """Build the application; with a token, everything but health and description needs it."""

    def guarded(handler: Handler, path: str) -> Handler:
        async def guard(request: Request) -> Response:
            if token and path not in OPEN_PATHS:
                _check_token(request, token)
            return await handler(request)

        return guard

    return Starlette(
        routes=[Route(path, guarded(handler, path), methods=[method]) for method, path, handler in routes(shop)],
        exception_handlers={
            ShopProblem: _problem,
            HTTPException: _http_problem,
            Exception: _broken,
        },
    )


def load_openapi() -> dict[str, Any]:
    """Read the hand-kept OpenAPI description."""
    text = resources.files("shop").joinpath("openapi.json").read_text(encoding="utf-8")
    description: dict[str, Any] = json.loads(text)
    return description


def _check_token(request: Request, token: str) -> None:
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise NotAuthorized(
            "The API token is missing or wrong.", "Send 'Authorization: Bearer' with EVERGREEN_SHOP_TOKEN."
        )


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ShopProblem)
    return JSONResponse(error.body(), status_code=error.status)


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem: ShopProblem
    if error.status_code == 405:
        problem = MethodNotAllowed("This address doesn't take that method.", "See /openapi.json.")
    elif error.status_code == 404:
        problem = NotFound("There is nothing at this address.", "See /openapi.json.")
    else:
        problem = BadRequest(error.detail, "See /openapi.json.")
    return JSONResponse(problem.body(), status_code=error.status_code, headers=error.headers)


async def _broken(request: Request, error: Exception) -> Response:
    # The traceback goes to the server's own log; the caller learns nothing about the inside.
    logger.error("shop: %s failed with %s", request.scope.get("path"), type(error).__name__)
    problem = Broken("The shop couldn't do that just now.", "Try again in a minute.")
    return JSONResponse(problem.body(), status_code=problem.status)
