"""Where Rasa's `endpoints.yml` says that conversations are kept."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from learning.errors import ProjectError


def tracker_url(endpoints: Path, root: Path) -> str:
    """Return the SQLAlchemy URL of the tracker store that `endpoints.yml` names.

    Raises:
        ProjectError: the file or its `tracker_store` is missing, or the store is not an SQL one.

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
    if not isinstance(store, dict):
        raise ProjectError(
            "names no tracker_store, so that Rasa forgets conversations when it stops",
            str(endpoints),
            "add `tracker_store: {type: SQL, dialect: sqlite, db: var/tracker.db}`",
        )
    store = {key: _from_environment(value, endpoints) for key, value in store.items()}
    if str(store.get("type", "")).lower() != "sql":
        raise ProjectError(
            f"has a tracker_store of type {store.get('type')!r}",
            str(endpoints),
            "use `type: SQL`: mining reads SQL only",
        )
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
    url = sa.engine.URL.create(
        dialect,
        username=store.get("username"),
        password=store.get("password"),
        host=name or None,
        port=int(port) if port else None,
        database=database,
        query=store.get("query") or {},
    )
    return url.render_as_string(hide_password=False)


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
