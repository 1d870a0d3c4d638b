"""`learning.yml` and the environment become frozen settings; unknown keys and wrong types are errors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast, get_origin, get_type_hints

import yaml

from learning.errors import SettingsError

FILE = "learning.yml"
# Where settings of earlier versions stand now.
MOVED = {("RetrainSettings", "max_accuracy_drop"): "gate: max_accuracy_drop"}
# Secrets, and where the project is.
NEVER_IN_FILE = frozenset({"root", "token", "key", "help_desk_token", "help_desk_secret", "urls"})


@dataclass(frozen=True)
class ProjectPaths:
    """Where the parts of the Rasa project are, relative to its root."""

    domain: str = "domain.yml"
    config: str = "config.yml"
    data: str = "data"
    endpoints: str = "endpoints.yml"
    models: str = "models"
    holdout: str = "tests/holdout"
    out_of_scope: str = "tests/holdout_out_of_scope"
    entities: str = "tests/holdout_entities"
    live_stories: str = "tests/live_stories"
    knowledge: str = "data/knowledge"


@dataclass(frozen=True)
class StoreSettings:
    """The learning database."""

    url: str = "sqlite:///var/learning.db"


@dataclass(frozen=True)
class BotSettings:
    """The running Rasa servers; the token comes from the environment only."""

    url: str = "http://127.0.0.1:5005"
    more_urls: tuple[str, ...] = ()
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class ConversationSettings:
    """Where a conversation ends, and what handing over to a person looks like in this project."""

    idle_minutes: int = 60
    person_intents: tuple[str, ...] = ("talk_to_person",)
    closing_intents: tuple[str, ...] = ("thank", "goodbye")
    affirm_intents: tuple[str, ...] = ("affirm",)
    handoff_actions: tuple[str, ...] = ("action_talk_to_person",)


@dataclass(frozen=True)
class SignalSettings:
    """When a turn counts as failed."""

    low_confidence: float = 0.55
    unfamiliar: float = 0.5
    near_tie: float = 0.12
    frustration: float = 0.5
    rephrase_similarity: float = 0.62
    rephrase_window: int = 180
    repeat_similarity: float = 0.8


@dataclass(frozen=True)
class GapSettings:
    """How failed turns are grouped."""

    known_similarity: float = 0.72
    join_distance: float = 0.0
    min_people: int = 3
    max_per_sender: int = 3
    min_conversations: int = 200


@dataclass(frozen=True)
class PrioritySettings:
    """Which gaps come first; costs are relative to a conversation that ended well."""

    critical_people: int = 5
    satisfaction: float = 0.6
    min_ratings: int = 10
    cost_resolved: float = 1.0
    cost_abandoned: float = 2.0
    cost_escalated: float = 5.0


@dataclass(frozen=True)
class ProposalSettings:
    """What a proposal holds, and when labels are proposed for merging or retirement."""

    max_examples: int = 25
    source_similarity: float = 0.35
    confused_share: float = 0.25
    retire_days: int = 180
    rejected_similarity: float = 0.75


@dataclass(frozen=True)
class DrafterSettings:
    """A language model that words answers; off without `url` and `model`. The key comes from the environment only."""

    url: str = ""
    model: str = ""
    key: str = field(default="", repr=False)
    timeout_seconds: float = 20.0
    daily_tokens: int = 50_000
    publish_unread: bool = False


@dataclass(frozen=True)
class ReviewSettings:
    """Where reviewable changes go, and who reads them a second time."""

    branch: str = "evergreen/learned"
    second_reader_share: float = 0.15
    max_disagreement: float = 0.1


@dataclass(frozen=True)
class AutonomySettings:
    """What may go live without a person: the level, and what always needs one."""

    level: str = "conservative"
    daily_limit: int = 10
    excluded: tuple[str, ...] = ("pricing", "legal", "medical", "security", "complaints")
    excluded_intents: tuple[str, ...] = ()
    excluded_words: tuple[str, ...] = ()


@dataclass(frozen=True)
class RolloutSettings:
    """How an approved entry reaches its users, and when it goes back by itself."""

    steps: tuple[int, ...] = (100,)
    hours: float = 24.0
    false_alarms: float = 0.05
    watch_days: int = 14


@dataclass(frozen=True)
class ExperimentSettings:
    """When an experiment may name a winner."""

    false_winners: float = 0.05
    min_people: int = 100
    min_days: int = 7


@dataclass(frozen=True)
class PullRequestSettings:
    """Where proposals are offered as pull requests; off without a host. The token comes from the environment only."""

    host: str = ""
    remote: str = "origin"
    base: str = "main"
    repository: str = ""
    url: str = ""
    per: str = "gap"
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class RetrainSettings:
    """What a new model leaves the overlay with."""

    absorb_share: float = 0.8
    absorb_examples: int = 25
    keep_models: int = 5
    nice: int = 15
    threads: int = 1


@dataclass(frozen=True)
class WatchSettings:
    """For how long a new model is compared with the time before it, and when it goes back by itself."""

    hours: float = 72.0
    false_alarms: float = 0.01
    least_jump: float = 1.25
    weeks: int = 4


@dataclass(frozen=True)
class GateSettings:
    """What a new model must hold against the running one to go live; see `learning.gate_rules`."""

    max_accuracy_drop: float = 0.01
    max_intent_drop: float = 0.02
    max_suite_drop: float = 0.02
    confidence: float = 0.95
    least_cases: int = 30
    stories: str = "all"
    max_slowdown: float = 1.5


@dataclass(frozen=True)
class EvaluationSettings:
    """What the regression set grows from."""

    held_back_share: float = 0.1
    cases_per_label: int = 30


@dataclass(frozen=True)
class MetricsSettings:
    """What numbers are worth, and how long a release is watched before and after it."""

    ticket_cost: float = 8.0
    ticket_share: float = 0.5
    running_cost: float = 0.0
    currency: str = "EUR"
    min_checked: int = 30
    effect_days: int = 28


@dataclass(frozen=True)
class DigestSettings:
    """What is told how often; `urls` name whom (they hold secrets: from the environment only)."""

    cadence: str = "weekly"
    gaps: int = 5
    hub_url: str = "http://127.0.0.1:8080"
    urls: str = field(default="", repr=False)


@dataclass(frozen=True)
class AlertSettings:
    """From when something is wrong enough to be told, and how often people may be told."""

    false_alarms: float = 1.0
    accuracy_drop: float = 0.05
    confidence_drop: float = 0.03
    traffic_change: float = 0.3
    fallback_rise: float = 0.05
    failure_rise: float = 0.02
    drift: float = 0.002
    min_conversations: int = 30
    model_months: int = 6
    mine_hours: float = 6.0
    failed_jobs: int = 2
    waiting_hours: float = 2.0
    remind_days: int = 7
    notices_a_day: int = 4


@dataclass(frozen=True)
class ScheduleSettings:
    """When the loop runs by itself."""

    mine_minutes: int = 15
    watch_minutes: int = 5
    evaluate_cron: str = "30 1 * * *"
    retrain_cron: str = "0 3 * * sun"
    digest_cron: str = "0 7 * * *"
    prune_cron: str = "30 4 * * *"


@dataclass(frozen=True)
class PruneSettings:
    """After how long what nobody needs any more is deleted; the newest of each kind stay however old they are."""

    jobs_days: int = 180
    runs_days: int = 90
    draws_days: int = 365
    evaluations_days: int = 730


@dataclass(frozen=True)
class DeskSettings:
    """The desk, where people answer; `url` is where its process listens. Secrets come from the environment only."""

    database: str = "sqlite:///var/desk.db"
    url: str = "http://127.0.0.1:8082"
    token: str = field(default="", repr=False)
    time_zone: str = "Europe/Dublin"
    hours: tuple[str, ...] = ("Mon-Fri 08:00-20:00", "Sat 09:00-16:00")
    closed_days: tuple[str, ...] = ()
    promise_hours: float = 4.0
    patience_minutes: float = 10.0
    canned: str = "data/desk/canned.yml"
    help_desk: str = ""
    help_desk_url: str = ""
    help_desk_account: str = ""
    help_desk_token: str = field(default="", repr=False)
    help_desk_secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """Everything that can be set, with `root` as the folder that relative paths start from."""

    root: Path = Path(".")
    project: ProjectPaths = ProjectPaths()
    store: StoreSettings = StoreSettings()
    bot: BotSettings = BotSettings()
    conversations: ConversationSettings = ConversationSettings()
    signals: SignalSettings = SignalSettings()
    gaps: GapSettings = GapSettings()
    priority: PrioritySettings = PrioritySettings()
    proposals: ProposalSettings = ProposalSettings()
    drafter: DrafterSettings = DrafterSettings()
    review: ReviewSettings = ReviewSettings()
    autonomy: AutonomySettings = AutonomySettings()
    rollout: RolloutSettings = RolloutSettings()
    experiments: ExperimentSettings = ExperimentSettings()
    pull_requests: PullRequestSettings = PullRequestSettings()
    retrain: RetrainSettings = RetrainSettings()
    gate: GateSettings = GateSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    watch: WatchSettings = WatchSettings()
    metrics: MetricsSettings = MetricsSettings()
    digest: DigestSettings = DigestSettings()
    alerts: AlertSettings = AlertSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    prune: PruneSettings = PruneSettings()
    desk: DeskSettings = DeskSettings()

    def path(self, relative: str) -> Path:
        """Return `relative` below the project's root."""
        return self.root / relative


Section = TypeVar("Section")


def load_settings(root: Path = Path("."), environ: Mapping[str, str] | None = None) -> Settings:
    """Read `learning.yml` in `root` (defaults where it is absent) and apply the environment.

    Raises:
        SettingsError: a key is unknown, a value has the wrong type, or the file is not YAML.

    """
    environ = os.environ if environ is None else environ
    if not root.is_dir():
        raise SettingsError("is no folder", f"project {root}", "name the Rasa project's folder with --project")
    root = root.resolve()
    path = root / FILE
    content: object = {}
    if path.exists():
        try:
            content = yaml.safe_load(path.read_text("utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SettingsError(f"is not valid YAML ({_first_line(error)})", str(path), "correct it") from error
        except OSError as error:
            raise SettingsError(f"cannot be read ({error.strerror})", str(path), "check the file's rights") from error
    settings = replace(_build(Settings, content, str(path)), root=root)
    store, bot, drafter = settings.store, settings.bot, settings.drafter
    return replace(
        settings,
        store=replace(store, url=_absolute(environ.get("EVERGREEN_STORE_URL", store.url), root)),
        bot=replace(
            bot,
            url=environ.get("EVERGREEN_BOT_URL", bot.url),
            more_urls=_listed(environ.get("EVERGREEN_BOT_MORE_URLS"), bot.more_urls),
            token=environ.get("EVERGREEN_BOT_TOKEN", ""),
        ),
        drafter=replace(
            drafter,
            url=environ.get("EVERGREEN_DRAFTER_URL", drafter.url),
            model=environ.get("EVERGREEN_DRAFTER_MODEL", drafter.model),
            key=environ.get("EVERGREEN_DRAFTER_KEY", ""),
        ),
        digest=replace(
            settings.digest,
            hub_url=environ.get("EVERGREEN_HUB_URL", "").strip() or settings.digest.hub_url,
            urls=environ.get("EVERGREEN_NOTIFY_URLS", ""),
        ),
        pull_requests=replace(settings.pull_requests, token=environ.get("EVERGREEN_HOST_TOKEN", "")),
        desk=replace(
            settings.desk,
            database=_absolute(environ.get("EVERGREEN_DESK_DB", settings.desk.database), root),
            url=environ.get("EVERGREEN_DESK_URL", settings.desk.url),
            token=environ.get("EVERGREEN_DESK_TOKEN", ""),
            help_desk_token=environ.get("EVERGREEN_HELP_DESK_TOKEN", ""),
            help_desk_secret=environ.get("EVERGREEN_HELP_DESK_SECRET", ""),
        ),
    )


def _build(section: type[Section], content: object, where: str) -> Section:
    """Make a frozen section from its YAML mapping, checking names and types."""
    if not isinstance(content, dict):
        raise SettingsError("is not a mapping of settings", where, "write `name: value` lines")
    hints = get_type_hints(section)
    names = {item.name for item in fields(section)} - NEVER_IN_FILE  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in content.items():
        if moved := MOVED.get((section.__name__, key)):
            raise SettingsError("is no setting of this section any more", f"{where}: {key}", f"write it as {moved}")
        if key not in names:
            raise SettingsError("is not a setting", f"{where}: {key}", f"use one of {', '.join(sorted(names))}")
        kind = hints[key]
        if is_dataclass(kind):
            values[key] = _build(cast(type, kind), {} if value is None else value, f"{where}: {key}")
        else:
            values[key] = typed(kind, value, f"{where}: {key}")
    return section(**values)


def typed(kind: type, value: object, where: str) -> object:
    """Return a value with the type that its setting declares; raise `SettingsError` for another one."""
    if kind == tuple[int, ...]:
        if isinstance(value, list) and all(isinstance(item, int) and not isinstance(item, bool) for item in value):
            return tuple(value)
        raise SettingsError(f"is {value!r}, not a list of whole numbers", where, "write it as [5, 100]")
    if get_origin(kind) is tuple:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise SettingsError(f"is {value!r}, not a list of names", where, "write it as [one, two]")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and not (kind is not bool and isinstance(value, bool)):
        return value
    raise SettingsError(f"is {value!r}, not a {kind.__name__}", where, "correct the value")


def _listed(said: str | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a variable lists, parted by commas; the default where it is not set."""
    return default if said is None else tuple(one.strip() for one in said.split(",") if one.strip())


def _absolute(url: str, root: Path) -> str:
    """Anchor a relative SQLite path at the project's root, so that every process opens the same file."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith((prefix + "/", prefix + "file:")) and ":memory:" not in url:
        return prefix + str((root / url[len(prefix) :]).resolve())
    return url


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
