"""The tracker store of an `endpoints.yml`, opened with whatever reads its kind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from learning.adapters.endpoints import MONGO, SQL, TrackerConfig
from learning.adapters.tracker_documents import Dialogues, DocumentTrackerEraser, DocumentTrackerEvents
from learning.adapters.tracker_erasure import SqlTrackerEraser
from learning.adapters.tracker_sql import SqlTrackerEvents


def open_events(config: TrackerConfig, now: Callable[[], datetime]) -> SqlTrackerEvents | DocumentTrackerEvents:
    """Open a tracker store for reading.

    Raises:
        TrackerStoreError: it is not there, or is not one that Rasa writes.

    """
    if config.kind == SQL:
        return SqlTrackerEvents(config.url)
    return DocumentTrackerEvents(_open_dialogues(config), now)


def open_eraser(config: TrackerConfig) -> SqlTrackerEraser | DocumentTrackerEraser:
    """Open a tracker store to delete a sender's events.

    Raises:
        TrackerStoreError: it is not there.

    """
    if config.kind == SQL:
        return SqlTrackerEraser(config.url)
    return DocumentTrackerEraser(_open_dialogues(config))


def _open_dialogues(config: TrackerConfig) -> Dialogues:
    # Their clients take a tenth of a second to load, which no project on SQL should wait for.
    if config.kind == MONGO:
        from learning.adapters.tracker_mongo import open_mongo

        return open_mongo(config.options)
    from learning.adapters.tracker_redis import open_redis

    return open_redis(config.options)
