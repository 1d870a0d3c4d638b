"""Rasa's MongoDB tracker store: a document a sender, to which each turn appends its events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError

from learning.errors import TrackerStoreError

DATABASE, COLLECTION, HOST = "rasa", "conversations", "mongodb://localhost:27017"  # Rasa's defaults
CONNECT_MS = 5_000  # how long a server is looked for
READ_MS = 60_000


class MongoDialogues:
    """The dialogues in a collection that Rasa's `MongoTrackerStore` writes.

    Args:
        collection: pymongo's collection; nothing is asked of it before a method is called.
        item: the store as errors name it, without its password.

    """

    def __init__(self, collection: Any, item: str) -> None:
        self._collection = collection
        self._item = item

    def check(self) -> None:
        """Raise `TrackerStoreError` unless the server answers and has the collection."""
        with self._asking():
            names = self._collection.database.list_collection_names()
        if self._collection.name not in names:
            raise TrackerStoreError(
                f"has no collection {self._collection.name!r}",
                self._item,
                "talk to the bot once, or correct tracker_store in endpoints.yml",
            )

    def changed(self, since: float) -> Iterator[str]:
        """Yield each sender whose last event is not older than `since` seconds; the server goes through all."""
        # What Rasa saves with every turn. A document without it was written by something else, and is looked at.
        recent = {"$or": [{"latest_event_time": {"$gte": since}}, {"latest_event_time": {"$exists": False}}]}
        seen: set[str] = set()
        with self._asking():
            for document in self._collection.find(recent if since > 0 else {}, {"sender_id": 1}):
                sender = document.get("sender_id")
                if sender is not None and str(sender) not in seen:
                    seen.add(str(sender))
                    yield str(sender)

    def load(self, senders: Sequence[str]) -> Iterator[tuple[str, Sequence[Any]]]:
        """Yield the events of each sender; where two workers have made two documents, those of both."""
        found: dict[str, list[Any]] = {}
        with self._asking():
            for document in self._collection.find(_of(senders), {"sender_id": 1, "events": 1}).sort("_id", 1):
                events = document.get("events")
                found.setdefault(str(document["sender_id"]), []).extend(events if isinstance(events, list) else [])
        yield from found.items()

    def delete(self, sender: str) -> None:
        """Remove the documents of a sender."""
        with self._asking():
            self._collection.delete_many(_of([sender]))

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except (PyMongoError, BSONError, UnicodeError) as error:
            reason = str(error).splitlines()[0][:200]
            raise TrackerStoreError(
                f"cannot be asked ({reason})", self._item, "check that MongoDB is up and lets this user in"
            ) from error


def _of(senders: Sequence[str]) -> dict[str, Any]:
    """Return the query for senders; old versions of Rasa wrote those that are digits as numbers."""
    numbers = [int(sender) for sender in senders if sender.isascii() and sender.isdigit() and len(sender) < 19]
    return {"sender_id": {"$in": [*senders, *numbers]}}


def open_mongo(options: Mapping[str, Any]) -> MongoDialogues:
    """Open the store that the options of an `endpoints.yml` name, and check that it is there.

    Raises:
        TrackerStoreError: it is not there, or the options are no address.

    """
    host = str(options.get("url") or HOST)
    database, collection = str(options.get("db") or DATABASE), str(options.get("collection") or COLLECTION)
    # An address may hold a password; what stands behind the last @ does not.
    item = f"tracker store mongodb://{host.split('://')[-1].split('@')[-1].split('?')[0]}/{database}/{collection}"
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(
            host,
            username=options.get("username"),
            password=options.get("password"),
            authSource=options.get("auth_source") or "admin",
            serverSelectionTimeoutMS=CONNECT_MS,
            connectTimeoutMS=CONNECT_MS,
            socketTimeoutMS=READ_MS,
            unicode_decode_error_handler="replace",  # one message that is no UTF-8 spoils itself only
        )
        dialogues = MongoDialogues(client[database][collection], item)
    except (InvalidURI, ConfigurationError, ValueError, TypeError, PyMongoError) as error:
        raise TrackerStoreError("is no address of a MongoDB", item, "correct tracker_store in endpoints.yml") from error
    dialogues.check()
    return dialogues
