"""What may be set in the hub without touching a file; it is kept in the learning database.

The order is: default, `learning.yml`, what was set in the hub, and above all an environment variable such as
`EVERGREEN_SET_AUTONOMY__LEVEL`, which locks a setting for people who run the assistant in containers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, get_type_hints

import orjson
import yaml

from learning.autonomy import LEVELS
from learning.cadence import at_times
from learning.errors import EvergreenError, ReviewError, SettingsError
from learning.loop import Loop
from learning.opening_times import read_days, read_spans, read_zone
from learning.rollout_steps import Schedule, check_schedule, read_steps
from learning.settings import Settings, load_settings, typed
from learning.topics import read_topics

logger = logging.getLogger(__name__)

LOCK = "EVERGREEN_SET_"  # begins the name of an environment variable that sets one setting
LONGEST_LIST = 200  # names of topics, intents or words
LONGEST_TEXT = 200  # characters of one value

Value = Any  # a number, a text, or a tuple of texts or numbers: what the setting's dataclass declares


@dataclass(frozen=True)
class Settable:
    """A setting that may be set in the hub, with what it may be; `when` it takes effect is `now` or `start`.

    `check` raises an error that says what is wrong where bounds and choices do not say all.
    """

    key: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[Value], object] | None = None
    at_start: bool = False

    @property
    def section(self) -> str:
        """The section of `learning.yml`."""
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        """The name in its section."""
        return self.key.partition(".")[2]

    @property
    def variable(self) -> str:
        """The environment variable that locks it."""
        return LOCK + self.key.replace(".", "__").upper()

    @property
    def kind(self) -> Any:
        """The type that its dataclass declares."""
        return get_type_hints(get_type_hints(Settings)[self.section])[self.name]


class OverrideChanged(ReviewError):
    """Somebody else has set the setting since the person looked at it."""


@dataclass(frozen=True)
class Setting:
    """A setting as it stands: its default, what the file says, what was set in the hub, and what holds.

    `stored` is what the database has, to tell a page that has grown old; `locked` says that the environment decides.
    """

    about: Settable
    default: Value
    in_file: Value
    value: Value
    stored: str | None
    is_locked: bool


def _share(key: str, **more: Any) -> Settable:
    return Settable(key, 0, 1, **more)


def _check_steps(steps: tuple[int, ...]) -> None:
    check_schedule(Schedule(steps, hours=1.0))


def _check_cron(line: str) -> None:
    at_times(line, repr(line))


def _check_topics(topics: tuple[str, ...]) -> None:
    known = sorted(topic.name for topic in read_topics().topics)
    unknown = [topic for topic in topics if topic not in known]
    if unknown:
        raise SettingsError("is no topic", repr(unknown[0]), f"use some of {', '.join(known)}")


def _check_hours(lines: tuple[str, ...]) -> None:
    # A file may say that nobody is ever there; a field that was emptied by mistake must not.
    if not read_spans(lines, "desk.hours"):
        raise SettingsError("is empty", "desk.hours", "write lines such as 'Mon-Fri 08:00-20:00'")


SETTABLE: tuple[Settable, ...] = (
    Settable("autonomy.level", choices=tuple(LEVELS)),
    Settable("autonomy.daily_limit", 0, 1000),
    Settable("autonomy.excluded", check=_check_topics),
    Settable("autonomy.excluded_intents"),
    Settable("autonomy.excluded_words"),
    Settable("rollout.steps", check=_check_steps),
    Settable("rollout.hours", 0.1, 24 * 90),
    Settable("rollout.false_alarms", 0.0001, 0.5),
    Settable("rollout.watch_days", 0, 365),
    _share("review.second_reader_share"),
    _share("review.max_disagreement"),
    _share("signals.low_confidence"),
    Settable("signals.unfamiliar", -1, 1),
    _share("signals.near_tie"),
    _share("signals.frustration"),
    Settable("gaps.min_people", 1, 1000),
    Settable("gaps.max_per_sender", 1, 1000),
    Settable("priority.critical_people", 1, 100_000),
    _share("priority.satisfaction"),
    Settable("proposals.max_examples", 1, 500),
    Settable("proposals.retire_days", 1, 3650),
    Settable("experiments.false_winners", 0.0001, 0.5),
    Settable("experiments.min_people", 1, 1_000_000),
    Settable("experiments.min_days", 0, 365),
    _share("gate.max_accuracy_drop"),
    _share("gate.max_intent_drop"),
    _share("gate.max_suite_drop"),
    Settable("gate.confidence", 0.5, 0.999),
    Settable("gate.least_cases", 1, 10_000),
    Settable("gate.stories", choices=("all", "not_worse", "off")),
    Settable("gate.max_slowdown", 1, 100),
    Settable("evaluation.held_back_share", 0, 0.5),
    Settable("evaluation.cases_per_label", 0, 10_000),
    _share("retrain.absorb_share"),
    Settable("retrain.absorb_examples", 1, 10_000),
    Settable("retrain.keep_models", 1, 1000),
    Settable("watch.hours", 0, 168),
    Settable("watch.false_alarms", 0.0001, 0.5),
    Settable("watch.least_jump", 1, 100),
    Settable("schedule.mine_minutes", 1, 24 * 60),
    Settable("schedule.watch_minutes", 1, 24 * 60),
    Settable("schedule.evaluate_cron", check=_check_cron),
    Settable("schedule.retrain_cron", check=_check_cron),
    Settable("schedule.digest_cron", check=_check_cron),
    Settable("schedule.prune_cron", check=_check_cron),
    Settable("digest.cadence", choices=("daily", "weekly", "critical", "off")),
    Settable("digest.gaps", 1, 50),
    Settable("alerts.false_alarms", 0.01, 30),
    _share("alerts.accuracy_drop"),
    _share("alerts.confidence_drop"),
    Settable("alerts.traffic_change", 0, 10),
    _share("alerts.fallback_rise"),
    _share("alerts.failure_rise"),
    _share("alerts.drift"),
    Settable("alerts.min_conversations", 1, 1_000_000),
    Settable("alerts.model_months", 1, 120),
    Settable("alerts.mine_hours", 0.1, 24 * 30),
    Settable("alerts.failed_jobs", 1, 100),
    Settable("alerts.waiting_hours", 0.1, 24 * 7),
    Settable("alerts.remind_days", 1, 365),
    Settable("alerts.notices_a_day", 1, 100),
    Settable("metrics.ticket_cost", 0, 1_000_000),
    _share("metrics.ticket_share"),
    Settable("metrics.running_cost", 0, 1_000_000_000),
    Settable("metrics.currency"),
    Settable("metrics.min_checked", 1, 1_000_000),
    Settable("desk.hours", check=_check_hours, at_start=True),
    Settable("desk.closed_days", check=lambda days: read_days(days, "desk.closed_days"), at_start=True),
    Settable("desk.time_zone", check=lambda name: read_zone(name, "desk.time_zone"), at_start=True),
    Settable("desk.promise_hours", 0.25, 24 * 7, at_start=True),
    Settable("desk.patience_minutes", 1, 24 * 60, at_start=True),
)
BY_KEY: Mapping[str, Settable] = {one.key: one for one in SETTABLE}


def with_overrides(settings: Settings, stored: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
    """Return the settings with what was set in the hub, and above that in the environment.

    What the database holds and nobody can read (a newer version wrote it) is left out with a warning: it must not keep
    everything from starting.

    Raises:
        SettingsError: an environment variable names no such setting, or a value that it cannot have.

    """
    for key, text in stored.items():
        try:
            about = BY_KEY[key]
            settings = _set(settings, about, checked(about, orjson.loads(text), key))
        except (KeyError, ValueError, EvergreenError) as error:
            logger.warning("the setting %s from the hub is left out: %s", key, error)
    for name in sorted(environ):
        if not name.startswith(LOCK):
            continue
        found = next((one for one in SETTABLE if one.variable == name), None)
        if found is None:
            raise SettingsError("names no setting", name, "write it as EVERGREEN_SET_AUTONOMY__LEVEL")
        try:
            value = yaml.safe_load(environ[name])
        except yaml.YAMLError as error:
            raise SettingsError("is not valid YAML", name, "correct the value") from error
        settings = _set(settings, found, checked(found, value, name))
    return settings


def checked(about: Settable, value: object, where: str) -> Value:
    """Return a value with the setting's own type.

    Raises:
        SettingsError: the setting cannot have it.

    """
    found = typed(about.kind, value, where)
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        low, high = about.low, about.high
        is_outside = (low is not None and found < low) or (high is not None and found > high)
        # A whole number may be too long to be a float, and too long to be shown.
        if is_outside or (isinstance(found, float) and not isfinite(found)):
            raise SettingsError(f"is {shown(found)[:40]}", where, f"use a number from {low:g} to {high:g}")
    parts = found if isinstance(found, tuple) else (found,)
    if len(parts) > LONGEST_LIST or any(isinstance(part, str) and len(part) > LONGEST_TEXT for part in parts):
        raise SettingsError("is too long", where, f"use at most {LONGEST_LIST} names of {LONGEST_TEXT} characters")
    if about.choices and found not in about.choices:
        raise SettingsError(f"is {found!r}", where, f"use one of {', '.join(about.choices)}")
    if about.check:
        about.check(found)
    return found


def read_typed(about: Settable, text: str) -> Value:
    """Return what a person has typed into a field as the setting's value.

    Raises:
        SettingsError: the setting cannot have it.
        ReviewError: rollout steps are none.

    """
    kind, text = about.kind, text.strip()
    if kind == tuple[int, ...]:
        return checked(about, list(read_steps(text)), about.key)
    if kind == tuple[str, ...]:
        parts = [part.strip() for line in text.splitlines() for part in line.split(",")]
        return checked(about, list(dict.fromkeys(part for part in parts if part)), about.key)
    if kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            word = "whole number" if kind is int else "number"
            raise SettingsError(f"is {text[:40]!r}, not a {word}", about.key, "correct the value") from None
        return checked(about, number, about.key)
    if not text:
        raise SettingsError("is empty", about.key, "write a value")
    return checked(about, text, about.key)


def shown(value: Value) -> str:
    """Return a value as a person types it."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_settings(loop: Loop, environ: Mapping[str, str]) -> list[Setting]:
    """Return every setting that may be set in the hub, as it stands."""
    defaults, in_file, stored = Settings(), load_settings(loop.settings.root), loop.store.setting_overrides()
    holds = with_overrides(in_file, stored, environ)

    def read(one: Settable) -> Setting:
        default, file, value = (value_of(settings, one) for settings in (defaults, in_file, holds))
        return Setting(one, default, file, value, stored.get(one.key), one.variable in environ)

    return [read(one) for one in SETTABLE]


def set_override(
    loop: Loop, key: str, value: Value | None, seen: str | None, who: str, environ: Mapping[str, str]
) -> None:
    """Set a setting, or go back to what the file says (None), with its row in the audit log.

    Raises:
        OverrideChanged: it is no longer as the person saw it.
        SettingsError: the environment decides about it.

    """
    about = BY_KEY[key]
    before = next(one for one in read_settings(loop, environ) if one.about is about)
    if before.is_locked:
        raise SettingsError("is set in the environment", key, f"change or remove {about.variable}")
    after = before.in_file if value is None else value
    text = None if value is None else orjson.dumps(value).decode()
    if text == before.stored:
        return  # a second click, or somebody else wanted the same
    told = (shown(before.value), shown(after))
    is_set = loop.store.set_override(key, text, seen, who, loop.now(), told)
    if not is_set and loop.store.setting_overrides().get(key) != text:
        raise OverrideChanged("was set by somebody else meanwhile", key, "look at it again")


def current(loop: Loop, environ: Mapping[str, str]) -> Loop:
    """Return the loop with the settings as they are now: for processes that run on while people set things."""
    in_file = load_settings(loop.settings.root)
    return replace(loop, settings=with_overrides(in_file, loop.store.setting_overrides(), environ))


def value_of(settings: Settings, about: Settable) -> Value:
    """Return what a setting is."""
    return getattr(getattr(settings, about.section), about.name)


def _set(settings: Settings, about: Settable, value: Value) -> Settings:
    section = replace(getattr(settings, about.section), **{about.name: value})
    return replace(settings, **{about.section: section})
