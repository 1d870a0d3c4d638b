"""The only place where adapters are chosen and wired."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from learning.adapters.encoder import OnnxEncoder
from learning.adapters.endpoints import READABLE, TrackerConfig, kind_of, read_tracker_store, tracker_options
from learning.adapters.git_branch import GitBranch
from learning.adapters.git_objects import export, path_in_repository
from learning.adapters.openai_drafter import OpenAiDrafter
from learning.adapters.presidio_redactor import PresidioRedactor
from learning.adapters.project import LEARNED_FOLDER, Project
from learning.adapters.pull_git import GitRemote
from learning.adapters.rasa_exam import RasaExaminer
from learning.adapters.rasa_sandbox import RasaTrials
from learning.adapters.rasa_server import RasaServer
from learning.adapters.rasa_servers import RasaServers
from learning.adapters.schedule_times import ScheduleTimes
from learning.adapters.store import Store
from learning.adapters.store_settings import read_overrides
from learning.adapters.tracker_documents import DocumentTrackerEraser, DocumentTrackerEvents
from learning.adapters.tracker_erasure import SqlTrackerEraser
from learning.adapters.tracker_open import open_eraser, open_events
from learning.adapters.tracker_sql import SqlTrackerEvents
from learning.attach_findings import StoreSeen
from learning.autonomy import CONSERVATIVE
from learning.errors import ProjectError, SettingsError, TrackerStoreError
from learning.gate import Side
from learning.loop import Loop
from learning.overrides import with_overrides
from learning.ports import DeskEraser, Notifier, PullRequestHost
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
    tracker_root: Path | None = None  # the project whose conversations are read, where it is not this one

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
            host=_review_branch(settings),
            now=utc_now,
            drafter=drafter,
            pulls=_pull_host(settings),
        )

    @cached_property
    def nlu(self) -> RasaExaminer:
        """Rasa in child processes."""
        return RasaExaminer(self.settings)

    @cached_property
    def server(self) -> RasaServers:
        """The running Rasa server, or all of them."""
        bot, models = self.settings.bot, self.settings.path(self.settings.project.models)
        urls = dict.fromkeys(url.rstrip("/") for url in (bot.url, *bot.more_urls))
        return RasaServers([RasaServer(url, bot.token, models) for url in urls])

    @cached_property
    def times(self) -> ScheduleTimes:
        """When scheduled jobs come next."""
        return ScheduleTimes(self.settings.store.url)

    @property
    def side(self) -> Side:
        """The project as the gate compares it, with all training data below the learned folder."""
        folder = self.settings.path(self.settings.project.data) / LEARNED_FOLDER
        files = [path for path in sorted(folder.rglob("*")) if path.suffix in (".yml", ".yaml") and path.is_file()]
        learned = {path.relative_to(folder).as_posix(): path.read_text("utf-8", "replace") for path in files}
        return Side(self.settings, Project(self.settings), self.nlu, learned)

    def export(self, ref: str, target: Path) -> App:
        """Write the project as it is in a commit to `target`; return what is built on that.

        Raises:
            ProjectError: there is no such commit, or the project is not in it.

        """
        return build(export(self.settings.root, ref, target))

    @cached_property
    def notifier(self) -> Notifier:
        """Who is told of alerts and digests.

        Raises:
            SettingsError: `EVERGREEN_NOTIFY_URLS` names something that is no target.

        """
        # Its plug-ins take a third of a second to load, which no other command should wait for.
        from learning.adapters.notify import AppriseNotifier

        return AppriseNotifier(self.settings.digest.urls)

    @cached_property
    def trials(self) -> RasaTrials:
        """The running model in child processes, to try things on."""
        return RasaTrials(self.settings, self.server, self.loop.encoder)

    @cached_property
    def topics(self) -> Topics | None:
        """The topics that need a person, where anything may go live alone: learning to tell them takes seconds."""
        alone = self.settings.autonomy.level != CONSERVATIVE
        return Topics(self.settings.autonomy, self.loop.encoder) if alone else None

    def open_tracker(self) -> SqlTrackerEvents | DocumentTrackerEvents:
        """Open the tracker store that `endpoints.yml` names."""
        return open_events(self._tracker_config(), utc_now)

    def open_eraser(self) -> SqlTrackerEraser | DocumentTrackerEraser:
        """Open the same store to delete a sender's events."""
        return open_eraser(self._tracker_config())

    def open_desk(self) -> DeskEraser | None:
        """Open the desk's database to delete what is kept of a person there, None where there is no desk."""
        # Only here: nothing else of the loop knows the desk, and most commands never need it.
        from desk import erasure

        return erasure.open_eraser(self.settings.desk.database, utc_now)

    def _tracker_config(self) -> TrackerConfig:
        root = self.tracker_root or self.settings.root
        return read_tracker_store(root / self.settings.project.endpoints, root)


def _review_branch(settings: Settings) -> GitBranch:
    """Return the branch of what was approved; where pull requests go to a remote, from that one's base on."""
    pulls, folder = settings.pull_requests, f"{settings.project.data}/{LEARNED_FOLDER}"
    upstream = f"refs/remotes/{pulls.remote}/{pulls.base}" if pulls.host else None
    return GitBranch(settings.root, settings.review.branch, folder, upstream)


def _pull_host(settings: Settings) -> PullRequestHost | None:
    """Return where proposals are offered as pull requests, None where they are not.

    Raises:
        SettingsError: the settings name no such host, or a hosted one without a repository.

    """
    pulls, folder = settings.pull_requests, f"{settings.project.data}/{LEARNED_FOLDER}"
    if pulls.per not in ("gap", "batch"):
        raise SettingsError(f"is {pulls.per!r}", "learning.yml: pull_requests: per", "write gap or batch")
    if pulls.host not in ("", "git", "github", "gitlab"):
        raise SettingsError(f"is {pulls.host!r}", "learning.yml: pull_requests: host", "write git, github or gitlab")
    if not pulls.host:
        return None
    if pulls.host == "git":
        return GitRemote(settings.root, folder, pulls.remote, pulls.base)
    if "/" not in pulls.repository.strip("/"):
        raise SettingsError(
            f"is {pulls.repository!r}", "learning.yml: pull_requests: repository", "write it as owner/name"
        )
    # Their clients take half a second to load, which no other command should wait for.
    from learning.adapters.pull_github import GitHub
    from learning.adapters.pull_gitlab import GitLab

    made = GitHub if pulls.host == "github" else GitLab
    return made(pulls.repository, pulls.token, pulls.base, path_in_repository(settings.root, folder), pulls.url)


def build(root: Path = Path(".")) -> App:
    """Read the settings in `root` with what was set in the hub; nothing else is opened before it is used."""
    settings = load_settings(root)
    return App(with_overrides(settings, read_overrides(settings.store.url), os.environ))


def build_preview(copy: Path, original: Path) -> App:
    """Build on a copy of a project that reads the conversations of the original.

    What the environment says is for the running loop; a preview keeps to its copy.
    """
    return App(load_settings(copy, {}), tracker_root=original)


def tracker_seen(endpoints: Path, root: Path) -> StoreSeen:
    """Return what can be said of the tracker store that an `endpoints.yml` names; opens it, and reads nothing."""
    kind = ""
    try:
        options = tracker_options(endpoints) if endpoints.is_file() else None
        if options is None:
            return StoreSeen()
        kind = kind_of(options)
        config = read_tracker_store(endpoints, root)
    except ProjectError as error:
        kind = kind if kind in READABLE else ""
        return StoreSeen(kind, True, f"{error.item}: {error.what}", error.next_step)
    try:
        open_events(config, utc_now)
    except TrackerStoreError as error:
        return StoreSeen(config.kind, True, f"{error.item}: {error.what}", error.next_step)
    return StoreSeen(config.kind, True)
