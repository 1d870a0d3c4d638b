"""Mail to customers: taken from the outbox and handed to a mail server, again and again until it takes them."""

from __future__ import annotations

import logging
import smtplib
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from shop.tables import deliveries, outbox

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
EVERY_S = 2.0  # a customer waits for the code
MOST_TRIES = 12  # over about a day
LONGEST_PAUSE = timedelta(hours=4)
AT_ONCE = 50
SUBJECTS = {"password_reset": "Your reset code", "invoice": "Your invoice", "return_label": "Your return label"}


@dataclass(frozen=True)
class MailServer:
    """Where mail goes: `smtp://` (with STARTTLS where the server offers it) or `smtps://`."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    is_tls: bool = False
    sender: str = "help@fernway.example"

    @classmethod
    def parse(cls, address: str, sender: str | None = None) -> MailServer:
        """Read an address such as `smtp://user:password@mail.example.com:587`.

        Raises:
            ValueError: it is none; the text does not repeat it, because it may hold a password.
        """
        parts = urlsplit(address)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("EVERGREEN_SHOP_SMTP is no address such as smtp://user:password@mail.example.com:587")
        is_tls = parts.scheme == "smtps"
        port = parts.port or (465 if is_tls else 587)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname, port, user, password, is_tls, sender or cls.sender)


class Mailer:
    """Sends what lies in the outbox; a mail that was taken is never sent again.

    Each is marked as tried before it is sent: killed in between, it is tried again after the pause, so that a mail
    can come twice and is never lost.
    """

    def __init__(self, engine: Engine, server: MailServer, now: Callable[[], datetime]) -> None:
        """Remember where; nothing is opened yet."""
        self._engine = engine
        self._server = server
        self._now = now
        self._stop = threading.Event()

    def start(self) -> threading.Thread:
        """Send in a thread until `stop`."""
        thread = threading.Thread(target=self._run, name="mailer", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Have the thread end."""
        self._stop.set()

    def send_waiting(self) -> int:
        """Send what waits and is due; return how many were taken."""
        sent = 0
        for outbox_id, tries, kind, recipient, body in self._due():
            self._note(outbox_id, tries + 1, None)
            try:
                self._send(kind, recipient, body)
            except (OSError, smtplib.SMTPException) as error:
                # Only the kind of error: its text may hold the address.
                logger.warning("mail %s not sent (try %s): %s", outbox_id, tries + 1, type(error).__name__)
                continue
            self._note(outbox_id, tries + 1, self._now())
            sent += 1
        return sent

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            try:
                self.send_waiting()
            except SQLAlchemyError as error:
                logger.warning("mail: the database cannot be used (%s)", type(error).__name__)

    def _due(self) -> list[tuple[int, int, str, str, str]]:
        tries = sa.func.coalesce(deliveries.c.tries, 0)
        query = (
            sa.select(outbox, tries.label("tries"), deliveries.c.tried_at)
            .outerjoin(deliveries, deliveries.c.outbox_id == outbox.c.id)
            .where(deliveries.c.sent_at.is_(None), tries < MOST_TRIES)
            .order_by(tries, outbox.c.id)
            .limit(AT_ONCE)
        )
        now = self._now()
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            (row.id, row.tries, row.kind, row.recipient, row.body)
            for row in rows
            if row.tried_at is None or now - _aware(row.tried_at, now) >= _pause(row.tries)
        ]

    def _note(self, outbox_id: int, tries: int, sent_at: datetime | None) -> None:
        values = {"tries": tries, "tried_at": self._now(), "sent_at": sent_at}
        with self._engine.begin() as connection:
            where = deliveries.c.outbox_id == outbox_id
            if connection.execute(deliveries.update().where(where).values(**values)).rowcount == 0:
                connection.execute(deliveries.insert().values(outbox_id=outbox_id, **values))

    def _send(self, kind: str, recipient: str, body: str) -> None:
        server = self._server
        message = EmailMessage()
        message["From"], message["To"] = server.sender, recipient
        message["Subject"] = SUBJECTS.get(kind, "From Fernway")
        message.set_content(f"{body}\n")
        context = ssl.create_default_context()
        plain = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S) if not server.is_tls else None
        with plain or smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context) as smtp:
            if plain is not None and smtp.has_extn("starttls"):
                smtp.starttls(context=context)
            if server.user:
                smtp.login(server.user, server.password)
            smtp.send_message(message)


def _pause(tries: int) -> timedelta:
    """Return how long to wait after so many tries: 10 seconds, doubled each time."""
    return min(LONGEST_PAUSE, timedelta(seconds=10 * 2 ** (tries - 1))) if tries else timedelta(0)


def _aware(moment: datetime, like: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=like.tzinfo)
