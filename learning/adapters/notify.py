"""Messages to people through Apprise: mail, Slack, Teams, and any other of its services by their URLs.

The URLs hold secrets. They come from `EVERGREEN_NOTIFY_URLS`, and never stand in a name, an error or a log.
"""

from __future__ import annotations

import logging
import re
import smtplib
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr, formatdate, make_msgid
from typing import Any

import apprise
from apprise.exception import AppriseException
from apprise.plugins.email.base import NotifyEmail
from apprise.plugins.email.smtp import AppriseSMTPController
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from learning.alert_records import Delivery, Message, Target
from learning.errors import SettingsError
from learning.model import content_id

VARIABLE = "EVERGREEN_NOTIFY_URLS"
TIMEOUT = 10.0  # seconds to connect, and to wait for an answer
ATTEMPTS = 3
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 20.0  # seconds between them, at random up to twice as long each time
# Answers of HTTP that will not change: who asks again is only refused again. 408, 425 and 429 mean "later".
FINAL = re.compile(r"error=(4(?!08|25|29)\d\d)\b")
STATUS = re.compile(r"error=(\d{3})\b")
APP = "Evergreen"
ASCII = SMTP.clone(cte_type="7bit")  # old servers know nothing else
# Apprise's own names for what people call otherwise.
NAMES = {"NotifyWorkflows": "Teams", "NotifyEmail": "email", "NotifyJSON": "webhook", "NotifyForm": "form webhook"}


class _Refused(Exception):
    """A target that will refuse again."""


class _Failed(Exception):
    """A target that may be there later."""


@dataclass(frozen=True)
class _Reached:
    """One URL, opened."""

    target: Target
    service: Any


class AppriseNotifier:
    """Sends messages to the targets of `EVERGREEN_NOTIFY_URLS`, URLs of Apprise with blanks between them.

    Raises:
        SettingsError: one of them is no such URL; the error says which by its place.

    """

    def __init__(self, urls: str, sleep: Callable[[float], None] = time.sleep, timeout: float = TIMEOUT) -> None:
        self._sleep = sleep
        self._reached = _open(urls.split(), timeout)

    def targets(self) -> tuple[Target, ...]:
        """Return who can be told."""
        return tuple(one.target for one in self._reached)

    def send(self, message: Message, to: Collection[Target]) -> Delivery:
        """Send a message to some of the targets, each in the form that it takes; a failing one stops no other."""
        delivered: list[Target] = []
        failed: list[tuple[Target, str]] = []
        keys = {target.key for target in to}
        for one in self._reached:
            if one.target.key not in keys:
                continue
            try:
                self._send(one, message)
                delivered.append(one.target)
            except (_Refused, _Failed) as error:
                failed.append((one.target, str(error)))
        return Delivery(tuple(delivered), tuple(failed))

    def _send(self, one: _Reached, message: Message) -> None:
        jittered = wait_random_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE)

        def wait(state: RetryCallState) -> float:
            return float(jittered(state))

        attempts = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            retry=retry_if_exception_type(_Failed),
            wait=wait,
            sleep=self._sleep,
            reraise=True,
        )
        # Of several people on one mail target those who have it do not get it again.
        done: set[str] = set()
        attempts(_mail if isinstance(one.service, NotifyEmail) else _post, one.service, message, done)


def _open(urls: list[str], timeout: float) -> tuple[_Reached, ...]:
    """Return the targets of some URLs; one that stands there twice is one."""
    _quiet()
    asset = apprise.AppriseAsset(
        app_id=APP,
        app_desc=APP,
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        http_redirects=False,  # a redirect would carry the message, and maybe a secret, to another host
    )
    counts: Counter[str] = Counter()
    found: dict[str, _Reached] = {}
    for place, url in enumerate(urls, start=1):
        service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if service is None:
            raise SettingsError(
                f"is no URL of a notification service at place {place} of {len(urls)}",
                VARIABLE,
                "write it as https://appriseit.com/services/ shows, such as mailto://user:password@example.com",
            )
        key = content_id("target", url)
        if key in found:
            continue
        service.socket_connect_timeout = service.socket_read_timeout = timeout
        name = NAMES.get(type(service).__name__) or str(service.service_name)
        counts[name] += 1
        found[key] = _Reached(Target(f"{name} #{counts[name]}", key), service)
    return tuple(found.values())


def _quiet() -> None:
    """Keep Apprise from logging addresses and texts: what went wrong is told by the error."""
    logging.getLogger("apprise").propagate = False


def _post(service: Any, message: Message, done: set[str]) -> None:
    """Send a message to a chat or a program once.

    Raises:
        _Refused: it will not take it.
        _Failed: it may take it later.

    """
    sender = apprise.Apprise(asset=service.asset)
    sender.add(service)
    capture: Any = apprise.LogCapture
    with capture(level=logging.WARNING) as log:
        ok = sender.notify(body=message.markdown, title=message.title, body_format=apprise.NotifyFormat.MARKDOWN)
        said = log.getvalue()
    if ok:
        return
    status = STATUS.search(said)
    reason = f"answered with {status.group(1)}" if status else "did not answer"
    raise (_Refused if FINAL.search(said) else _Failed)(reason)


def _mail(service: Any, message: Message, done: set[str]) -> None:
    """Send a message by mail once, as HTML with the plain text beside it, which Apprise would make without its links.

    Raises:
        _Refused: the server will not take it.
        _Failed: it may take it later.

    """
    try:
        with AppriseSMTPController(
            host=service.smtp_host,
            port=service.port,
            secure_mode=service.secure_mode,
            user=service.user,
            password=service.password,
            verify_certificate=service.verify_certificate,
            socket_connect_timeout=service.socket_connect_timeout,
        ) as smtp:
            for name, address in service.targets:
                if address in done:
                    continue
                mail = _mail_of(service, message, name, address)
                if not smtp.sendmail(service.from_addr[1], [address, *service.cc, *service.bcc], mail.as_string()):
                    raise _Failed("did not take it")
                done.add(address)
    except smtplib.SMTPAuthenticationError:
        raise _Refused("refused the password") from None
    except smtplib.SMTPRecipientsRefused:
        raise _Refused("does not know the recipient") from None
    except smtplib.SMTPResponseException as error:
        kind = _Refused if 500 <= error.smtp_code < 600 else _Failed
        raise kind(f"answered with {error.smtp_code}") from None
    except UnicodeError:
        raise _Refused("has an address that is no ASCII") from None
    except (OSError, smtplib.SMTPException, AppriseException, RuntimeError):
        raise _Failed("did not answer") from None


def _mail_of(service: Any, message: Message, name: str, address: str) -> EmailMessage:
    mail = EmailMessage(policy=ASCII)
    mail["Subject"] = " ".join(message.title.split())
    sender = service.from_addr[1]
    mail["From"] = formataddr((service.from_addr[0] or APP, sender))
    mail["To"] = formataddr((name or "", address))
    if service.cc:
        mail["Cc"] = ", ".join(sorted(service.cc))
    if service.reply_to:
        mail["Reply-To"] = ", ".join(sorted(service.reply_to))
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or None)
    # Mail that a program writes: no out-of-office answers, please (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail
