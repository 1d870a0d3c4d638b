"""Run the shop: open and seed the database, then serve the API."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from datetime import date

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from shop.app import Shop, create_app, utc_now
from shop.database import DEFAULT_URL, open_database
from shop.mailer import Mailer, MailServer
from shop.seed import seed


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and serve until stopped."""
    options = _parser().parse_args(arguments)
    today: date = options.today or utc_now().date()
    try:
        engine = open_database(options.db)
        fresh = seed(engine, today)
    except SQLAlchemyError as error:
        # The address may carry a password, so only the kind of error is printed.
        print(f"shop: the database can't be used ({type(error).__name__}); check --db or EVERGREEN_SHOP_DB")
        return 1
    try:
        mail = _mail_server()
    except ValueError as error:
        print(f"shop: {error}")
        return 1
    print(f"shop: {'seeded a new' if fresh else 'using the existing'} database", flush=True)
    app = create_app(Shop(engine), token=os.environ.get("EVERGREEN_SHOP_TOKEN") or None)
    if mail is not None:
        Mailer(engine, mail, utc_now).start()
    # The API has no websockets, and uvicorn's newest code for them needs a newer package than Rasa allows.
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", ws="none")
    return 0


def _mail_server() -> MailServer | None:
    address = os.environ.get("EVERGREEN_SHOP_SMTP")
    return MailServer.parse(address, os.environ.get("EVERGREEN_SHOP_MAIL_FROM")) if address else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shop",
        description="The reference shop: orders, accounts and tickets as a JSON API. "
        "Set EVERGREEN_SHOP_TOKEN to ask callers for a bearer token, and EVERGREEN_SHOP_SMTP "
        "(smtp://user:password@host:587) to send mail, which otherwise stays in the table outbox.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8081, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--db",
        default=os.environ.get("EVERGREEN_SHOP_DB", DEFAULT_URL),
        help=f"database address (default: EVERGREEN_SHOP_DB or {DEFAULT_URL})",
    )
    parser.add_argument(
        "--today",
        type=date.fromisoformat,
        help="day that a new database's orders are dated around (default: today)",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
