"""Where Rasa's `endpoints.yml` says that conversations are kept."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from learning.errors import ProjectError

SQL, MONGO, REDIS, DYNAMO = "sql", "mongod", "redis", "dynamo"
READABLE = (SQL, MONGO, REDIS)
# Rasa takes the path of a class, too, and these are its own.
CLASSES = {
    "rasa.core.tracker_store.SQLTrackerStore": SQL,
    "rasa.core.tracker_store.MongoTrackerStore": MONGO,
    "rasa.core.tracker_store.RedisTrackerStore": REDIS,
    "rasa.core.tracker_store.DynamoTrackerStore": DYNAMO,
}
# Whatever driver Rasa writes with, the loop reads with the one that it brings along.
DRIVERS = {"mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
SCHEMA_VARIABLE = "POSTGRESQL_SCHEMA"  # Rasa's: the schema that the events table is in
ADD_STORE = "add `tracker_store: {type: SQL, dialect: sqlite, db: var/tracker.db}`"


@dataclass(frozen=True)
class TrackerConfig:
    """What `tracker_store` of an `endpoints.yml` says: its kind as Rasa names it, and its options filled in.

    `url` is the SQLAlchemy URL of an SQL store, and empty for the others.
    """

    kind: str
    options: Mapping[str, Any]
    url: str = ""


def read_tracker_store(endpoints: Path, root: Path) -> TrackerConfig:
    """Return which tracker store `endpoints.yml` names, with the variables of the environment filled in.

    Raises:
        ProjectError: the file or its `tracker_store` is missing or odd, or nothing here can read such a store.

    """
    options = tracker_options(endpoints)
    if options is None:
        raise ProjectError(
            "names no tracker_store, so that Rasa forgets conversations when it stops", str(endpoints), ADD_STORE
        )
    options = {key: _from_environment(value, endpoints) for key, value in options.items()}
    kind = kind_of(options)
    if kind not in READABLE:
        raise ProjectError(f"has a tracker_store of type {options.get('type')!r}", str(endpoints), _advice(kind))
    return TrackerConfig(kind, options, _sql_url(options, endpoints, root) if kind == SQL else "")


def tracker_url(endpoints: Path, root: Path) -> str:
    """Return the SQLAlchemy URL of the tracker store that `endpoints.yml` names.

    Raises:
        ProjectError: the file or its `tracker_store` is missing, or the store is not an SQL one.

    """
    config = read_tracker_store(endpoints, root)
    if config.kind != SQL:
        raise ProjectError(
            f"has a tracker_store of type {config.options.get('type')!r}",
            str(endpoints),
            "use `type: SQL`: this part reads SQL only",
        )
    return config.url


def tracker_options(endpoints: Path) -> dict[str, Any] | None:
    """Return the options of `tracker_store` as they stand in the file, None if it has none.

    Raises:
        ProjectError: the file is missing, unreadable or no YAML.

    """
    try:
        content = yaml.safe_load(endpoints.read_text("utf-8")) or {}
    except FileNotFoundError as error:
        raise ProjectError("does not exist", str(endpoints), "run this in the Rasa project's folder") from error
    except OSError as error:
        raise ProjectError(f"cannot be read ({error.strerror})", str(endpoints), "check the file's rights") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProjectError("is not valid YAML", str(endpoints), "correct it") from error
    store = content.get("tracker_store") if isinstance(content, dict) else None
    return store if isinstance(store, dict) else None


def kind_of(options: Mapping[str, Any]) -> str:
    """Return the kind of store as Rasa reads it: lower-case for its own, the class path for another, '' for none."""
    named = str(options.get("type") or "")
    return CLASSES.get(named) or (named.lower() if named.lower() in (*READABLE, DYNAMO) else named)


def _advice(kind: str) -> str:
    if kind == DYNAMO:
        return "use SQL, mongod or redis: DynamoDB cannot be read here"
    if not kind:
        return "write `type: SQL`; without a type Rasa keeps conversations in memory, and forgets them"
    return "use SQL, mongod or redis: what a class of your own writes cannot be known here"


def _sql_url(store: Mapping[str, Any], endpoints: Path, root: Path) -> str:
    host = str(store.get("url") or store.get("host") or "")
    if "://" in host:
        return host
    dialect = str(store.get("dialect", "sqlite"))
    database = str(store.get("db", "rasa.db"))
    if dialect.startswith("sqlite"):
        return f"sqlite:///{(root / database).resolve()}"
    name, _, port = host.partition(":")  # Rasa takes a port from either place
    port = port or str(store.get("port") or "")
    if port and not port.isdecimal():
        raise ProjectError(f"is {port!r}, not a number", f"{endpoints}: tracker_store: port", "correct it")
    query = dict(store.get("query") or {})
    schema = os.environ.get(SCHEMA_VARIABLE)
    if schema and dialect == "postgresql":  # as Rasa does, for this spelling only
        query["options"] = f"-csearch_path={schema}"
    url = sa.engine.URL.create(
        dialect,
        username=store.get("username"),
        password=store.get("password"),
        host=name or None,
        port=int(port) if port else None,
        database=database,
        query=query,
    )
    return url.render_as_string(hide_password=False)


def readable_url(url: sa.engine.URL) -> sa.engine.URL:
    """Return a URL with a driver that is installed, where the dialect has one."""
    backend = url.get_backend_name()
    return url.set(drivername=DRIVERS[backend]) if backend in DRIVERS else url


def _from_environment(value: Any, endpoints: Path) -> Any:
    """Fill in `${NAME}` as Rasa does; a name that is not set is an error, not an empty password."""
    if isinstance(value, dict):
        return {key: _from_environment(item, endpoints) for key, item in value.items()}
    if not isinstance(value, str):
        return value

    def lookup(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise ProjectError("is not set", f"{endpoints}: ${{{name}}}", "set the environment variable")
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", lookup, value)
