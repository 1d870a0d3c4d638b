"""The only place where the desk is wired."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path

from desk.chatwoot import Chatwoot
from desk.desk import Audit, Desk, unaudited
from desk.hours import opening_hours
from desk.mirror import PAUSE, RARE, Mirror
from desk.ports import HelpDesk
from desk.rasa_bot import RasaBot
from desk.store import Store
from desk.tracker import SqlTracker
from desk.worker import Worker
from desk.zendesk import Zendesk
from learning.adapters.endpoints import tracker_url
from learning.adapters.store_settings import read_overrides
from learning.errors import SettingsError
from learning.overrides import with_overrides
from learning.settings import Settings, load_settings


def utc_now() -> datetime:
    """Return the time as aware UTC."""
    return datetime.now(timezone.utc)


def read_settings(root: Path) -> Settings:
    """Read the settings of a project with what was set in the hub."""
    settings = load_settings(root)
    return with_overrides(settings, read_overrides(settings.store.url), os.environ)


def build_desk(settings: Settings, now: Callable[[], datetime] = utc_now, audit: Audit = unaudited) -> Desk:
    """Open the desk of a project.

    Args:
        settings: of the project.
        now: the clock.
        audit: is told what people do.

    Raises:
        SettingsError: the opening hours cannot be read.
        DeskError: its database cannot be opened.
    """
    return Desk(
        settings=settings.desk,
        store=_store(settings.desk.database),
        tracker=_tracker(settings.path(settings.project.endpoints), settings.root),
        hours=opening_hours(settings.desk),
        canned=_canned(settings),
        now=now,
        audit=audit,
    )


def build_worker(settings: Settings) -> Worker:
    """Build what reads new events and delivers messages."""
    other = _help_desk(settings)
    pause = RARE if settings.desk.help_desk_secret else PAUSE
    mirror = Mirror(other, pause) if other else None
    return Worker(build_desk(settings), RasaBot(settings.bot.url, settings.desk.token), mirror)


def _help_desk(settings: Settings) -> HelpDesk | None:
    desk = settings.desk
    if not desk.help_desk:
        return None
    made: dict[str, Callable[[str, str, str], HelpDesk]] = {"zendesk": Zendesk, "chatwoot": Chatwoot}
    if desk.help_desk not in made:
        raise SettingsError(f"is {desk.help_desk!r}", "learning.yml: desk: help_desk", "write zendesk or chatwoot")
    if not desk.help_desk_token:
        raise SettingsError("is not set", "EVERGREEN_HELP_DESK_TOKEN", f"set it to the API token of {desk.help_desk}")
    return made[desk.help_desk](desk.help_desk_url, desk.help_desk_account, desk.help_desk_token)


def _canned(settings: Settings) -> Path:
    return settings.path(settings.desk.canned)


# A hub asks for its desk with every request; connections are opened once.
@lru_cache(maxsize=8)
def _store(url: str) -> Store:
    return Store(url)


@lru_cache(maxsize=8)
def _tracker(endpoints: Path, root: Path) -> SqlTracker:
    # Found at its first use: the queue can be shown while nobody has set the tracker store right yet.
    return SqlTracker(lambda: tracker_url(endpoints, root))
