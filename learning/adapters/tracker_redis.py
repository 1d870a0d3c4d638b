"""Rasa's Redis tracker store: a JSON text a sender, written anew with each turn."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from learning.errors import TrackerStoreError
from learning.events import read_object
from learning.model import sender_key

logger = logging.getLogger(__name__)

PREFIX = "tracker:"  # Rasa's default, which a prefix of one's own goes before
SECONDS = 10.0  # that a connection or an answer is waited for
RETRIES = 3
SCANNED = 1000  # keys asked for at a time
TAIL = 4096  # bytes at a tracker's end in which its last event mostly begins
# How an event begins in what Rasa writes. Quotes within a text are escaped there, so that no message can pass for it.
BEGINNING = re.compile(rb'\{"event": "[a-z_]+", "timestamp": ([0-9.e+]+)')


class RedisDialogues:
    """The dialogues in the keys that Rasa's `RedisTrackerStore` writes.

    Args:
        client: a redis client that gives bytes.
        prefix: what the keys begin with.
        item: the store as errors name it.

    """

    def __init__(self, client: Any, prefix: str, item: str) -> None:
        self._client = client
        self._prefix = prefix
        self._item = item

    def check(self) -> None:
        """Raise `TrackerStoreError` unless the server answers."""
        with self._asking():
            self._client.ping()

    def changed(self, since: float) -> Iterator[str]:
        """Yield each sender whose last event is not older than `since` seconds.

        All keys are gone through, since Redis knows no other way; of each only the end is fetched.
        """
        for keys in self._chunks():
            ends: list[Any] = [None] * len(keys)
            if since > 0:
                with self._asking():
                    pipeline = self._client.pipeline(transaction=False)
                    for key in keys:
                        pipeline.getrange(key, -TAIL, -1)
                    ends = pipeline.execute(raise_on_error=False)
            for key, end in zip(keys, ends, strict=True):
                begun = BEGINNING.findall(end) if isinstance(end, bytes) else []
                # Where the last event is longer than that, the whole of it is read.
                if not begun or max(map(_seconds, begun)) >= since:
                    yield key[len(self._prefix.encode()) :].decode("utf-8", "surrogateescape")

    def load(self, senders: Sequence[str]) -> Iterator[tuple[str, Sequence[Any]]]:
        """Yield the events of each sender that is there; one that is no JSON is reported and left out."""
        with self._asking():
            pipeline = self._client.pipeline(transaction=False)
            for sender in senders:
                pipeline.get(self._key(sender))
            texts = pipeline.execute(raise_on_error=False)
        for sender, text in zip(senders, texts, strict=True):
            if text is None:  # expired meanwhile
                continue
            try:
                if not isinstance(text, bytes):
                    raise ValueError("no text")
                events = read_object(text).get("events")
            except (ValueError, RecursionError):
                # Rasa 1 and 2 could write pickles, which nobody should load.
                logger.warning("tracker store: the dialogue of %s is no JSON and is skipped", sender_key(sender))
                continue
            yield sender, events if isinstance(events, list) else []

    def delete(self, sender: str) -> None:
        """Remove the key of a sender."""
        with self._asking():
            self._client.delete(self._key(sender))

    def _key(self, sender: str) -> bytes:
        return (self._prefix + sender).encode("utf-8", "surrogateescape")

    def _chunks(self) -> Iterator[list[bytes]]:
        with self._asking():
            # Redis may name a key twice while it rearranges them.
            keys = iter(set(self._client.scan_iter(match=f"{self._prefix}*", count=SCANNED)))
        while chunk := list(islice(keys, SCANNED)):
            yield chunk

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise TrackerStoreError(
                f"cannot be asked ({reason})", self._item, "check that Redis is up and lets this user in"
            ) from error


def _seconds(number: bytes) -> float:
    try:
        return float(number)
    except ValueError:
        return float("inf")  # odd: the whole of it is looked at


def open_redis(options: Mapping[str, Any]) -> RedisDialogues:
    """Open the store that the options of an `endpoints.yml` name, and check that it is there.

    Raises:
        TrackerStoreError: it is not there, or an option is not what Rasa takes.

    """
    host, port, number = options.get("url") or "localhost", options.get("port") or 6379, options.get("db") or 0
    item = f"tracker store redis://{host}:{port}/{number}"
    try:
        client = redis.Redis(
            host=str(host),
            port=int(port),
            db=int(number),
            username=options.get("username"),
            password=options.get("password"),
            ssl=_is_on(options.get("use_ssl")),
            ssl_keyfile=options.get("ssl_keyfile"),
            ssl_certfile=options.get("ssl_certfile"),
            ssl_ca_certs=options.get("ssl_ca_certs"),
            socket_timeout=SECONDS,
            socket_connect_timeout=SECONDS,
            retry=Retry(ExponentialBackoff(cap=1.0, base=0.1), RETRIES),
            retry_on_error=[redis.ConnectionError, redis.TimeoutError],
        )
    except (ValueError, TypeError) as error:
        raise TrackerStoreError("is no address of a Redis", item, "correct tracker_store in endpoints.yml") from error
    own = options.get("key_prefix")
    # Rasa leaves out a prefix that is anything but letters and digits.
    prefix = f"{own}:{PREFIX}" if isinstance(own, str) and own.isalnum() else PREFIX
    dialogues = RedisDialogues(client, prefix, item)
    dialogues.check()
    return dialogues


def _is_on(value: object) -> bool:
    return value.strip().lower() in ("true", "yes", "1") if isinstance(value, str) else bool(value)
