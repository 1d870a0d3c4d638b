"""The only place where adapters are chosen and wired."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from learning.adapters.encoder import OnnxEncoder
from learning.adapters.git_branch import GitBranch
from learning.adapters.openai_drafter import OpenAiDrafter
from learning.adapters.presidio_redactor import PresidioRedactor
from learning.adapters.project import LEARNED_FOLDER, Project
from learning.adapters.rasa_nlu import RasaNlu
from learning.adapters.rasa_sandbox import RasaTrials
from learning.adapters.rasa_server import RasaServer
from learning.adapters.store import Store
from learning.adapters.tracker_erasure import SqlTrackerEraser
from learning.adapters.tracker_sql import SqlTrackerEvents, tracker_url
from learning.autonomy import CONSERVATIVE
from learning.loop import Loop
from learning.settings import Settings, load_settings
from learning.topics import Topics

# Texts whose vectors are kept in memory (4.6 kB each): every proposal is replayed on the same messages.
ENCODED_KEPT = 3000


def utc_now() -> datetime:
    """Return the time as aware UTC."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class App:
    """The built objects of one process."""

    settings: Settings

    @cached_property
    def loop(self) -> Loop:
        """The learning loop on this project's database, tracker store and files."""
        settings = self.settings
        store, redactor = Store(settings.store.url), PresidioRedactor()
        drafter = None
        if settings.drafter.url and settings.drafter.model:
            drafter = OpenAiDrafter(settings.drafter, redactor, store, utc_now)
        return Loop(
            settings=settings,
            store=store,
            open_tracker=self.open_tracker,
            encoder=OnnxEncoder(cache_size=ENCODED_KEPT),
            redactor=redactor,
            project=Project(settings),
            host=GitBranch(settings.root, settings.review.branch, f"{settings.project.data}/{LEARNED_FOLDER}"),
            now=utc_now,
            drafter=drafter,
        )

    @cached_property
    def nlu(self) -> RasaNlu:
        """Rasa in child processes."""
        return RasaNlu(self.settings)

    @cached_property
    def server(self) -> RasaServer:
        """The running Rasa server."""
        return RasaServer(
            self.settings.bot.url, self.settings.bot.token, self.settings.path(self.settings.project.models)
        )

    @cached_property
    def trials(self) -> RasaTrials:
        """The running model in child processes, to try things on."""
        return RasaTrials(self.settings, self.server, self.loop.encoder)

    @cached_property
    def topics(self) -> Topics | None:
        """The topics that need a person, where anything may go live alone: learning to tell them takes seconds."""
        alone = self.settings.autonomy.level != CONSERVATIVE
        return Topics(self.settings.autonomy, self.loop.encoder) if alone else None

    def open_tracker(self) -> SqlTrackerEvents:
        """Open the tracker store that `endpoints.yml` names."""
        return SqlTrackerEvents(self._tracker_url())

    def open_eraser(self) -> SqlTrackerEraser:
        """Open the same store to delete a sender's events."""
        return SqlTrackerEraser(self._tracker_url())

    def _tracker_url(self) -> str:
        return tracker_url(self.settings.path(self.settings.project.endpoints), self.settings.root)


def build(root: Path = Path(".")) -> App:
    """Read the settings in `root`; nothing is opened before it is used."""
    return App(load_settings(root))
