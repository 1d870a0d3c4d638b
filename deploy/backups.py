"""Backups of what a running assistant knows: its databases, its models, and what it has learned.

A backup is taken while everything runs. Each database is copied as it is at one moment; the tracker store comes last,
so that nothing that was mined, answered or handed over lacks its conversation: what the others do not know yet of it is
mined again. Secrets are in no backup. Customers' words are: an archive is readable by its owner only.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from components import slack_inbox
from hub.settings import load_hub_settings
from learning.adapters import schema
from learning.adapters.endpoints import SQL, TrackerConfig, read_tracker_store
from learning.adapters.project import LEARNED_FOLDER, Project
from learning.adapters.store import Store
from learning.errors import EvergreenError
from learning.settings import Settings, load_settings
from shop.database import DEFAULT_URL as SHOP_URL

PREFIX, ENDING = "evergreen-", ".tar.gz"
NAME = re.compile(rf"{re.escape(PREFIX)}\d{{8}}-\d{{6}}{re.escape(ENDING)}")
MANIFEST = "manifest.json"
FORMAT = 1
SQLITE, POSTGRESQL = "sqlite", "postgresql"
DUMP_SECONDS = 3600
BEATING = timedelta(seconds=20)  # a worker gives a sign of life every five seconds
BLOCK = 1 << 20
TRIGGERED = sa.text(
    "SELECT DISTINCT quote_ident(proname) FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid"
    " JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal AND relname = ANY(:tables)"
    " AND relnamespace = current_schema()::regnamespace"
)


class BackupError(EvergreenError):
    """A backup could not be made, is damaged, or does not fit."""


@dataclass(frozen=True)
class Database:
    """One database of the assistant."""

    name: str
    url: str

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return str(sa.engine.make_url(self.url).get_backend_name())

    @property
    def path(self) -> Path:
        """The file of an SQLite database."""
        return Path(str(sa.engine.make_url(self.url).database))


@dataclass(frozen=True)
class Item:
    """One file of a backup; `kind` is that of its database, or `file`."""

    name: str
    kind: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup holds: `commit` is that of the project, whose files git keeps."""

    made_at: str
    commit: str
    items: tuple[Item, ...]
    format: int = FORMAT


@dataclass(frozen=True)
class Restored:
    """What a restoration did; `former` is the backup of what was there before, None where nothing was."""

    items: tuple[str, ...]
    former: Path | None
    problems: tuple[str, ...]


def databases(settings: Settings, environ: Mapping[str, str]) -> tuple[Database, ...]:
    """Return the databases of a project in the order in which they are copied: the tracker store is the last.

    One that is kept in something else (`left_out`) has tools of its own.
    """
    found = [Database(name, url) for name, url in _addresses(settings, environ).items()]
    return tuple(one for one in found if one.kind == POSTGRESQL or (one.kind == SQLITE and one.path.is_file()))


def left_out(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the databases that no backup holds, with what keeps them."""
    settings = load_settings(root, environ)
    kinds = {name: Database(name, url).kind for name, url in _addresses(settings, environ).items()}
    store = _tracker(settings)
    if store.kind != SQL:
        kinds["tracker"] = store.kind
    return {name: kind for name, kind in kinds.items() if kind not in (SQLITE, POSTGRESQL)}


def create(root: Path, folder: Path, environ: Mapping[str, str], now: datetime) -> Path:
    """Make a backup of the project in `root` in `folder`; return the archive.

    Raises:
        BackupError: a database cannot be copied, or the disk is full; no half archive is left.

    """
    settings = load_settings(root, environ)
    target = folder / f"{PREFIX}{now:%Y%m%d-%H%M%S}{ENDING}"
    if target.exists():
        raise BackupError("exists already", str(target), "wait a second")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=folder) as scratch:
            part = Path(scratch) / target.name  # of its own: another backup may be made in the same second
            items = list(_collect(settings, environ, Path(scratch)))
            manifest = Manifest(now.isoformat(), Project(settings).commit(), tuple(item for item, _ in items))
            _pack(part, manifest, items)
            part.replace(target)
    except OSError as error:
        raise BackupError(f"cannot be written ({error.strerror})", str(target), "look at the disk") from error
    return target


def check(archive: Path) -> Manifest:
    """Read a whole backup; return what it holds.

    Raises:
        BackupError: it is no backup, was made by a newer version, or is damaged.

    """
    with _opened(archive) as tar:
        with gzip.open(archive) as whole:  # to its end, where its own checksum is
            while whole.read(BLOCK):
                pass
        manifest = _manifest(tar, archive)
        for item in manifest.items:
            digest, size = hashlib.sha256(), 0
            for block in _blocks(tar, item, archive):
                digest.update(block)
                size += len(block)
            if (size, digest.hexdigest()) != (item.size, item.sha256):
                raise BackupError(f"is damaged: {item.name} is not what was written", str(archive), "take another one")
    return manifest


def restore(archive: Path, root: Path, environ: Mapping[str, str], now: datetime) -> Restored:
    """Put back what a backup holds, after a backup of what is there; nothing may be running.

    What is interrupted can be started again: it begins anew from the archive.

    Raises:
        BackupError: it is damaged or does not fit the project's databases, or the assistant runs.

    """
    settings = load_settings(root, environ)
    manifest = check(archive)
    _check_stopped(settings, databases(settings, environ), now)
    targets = {one.name: one for one in _targets(settings, environ, manifest)}
    former = create(root, archive.parent, environ, now) if _holds_anything(settings, environ) else None
    with _opened(archive) as tar, tempfile.TemporaryDirectory(prefix=".restore-", dir=archive.parent) as scratch:
        for item in manifest.items:
            copy = Path(scratch) / hashlib.sha256(item.name.encode()).hexdigest()
            with copy.open("wb") as out:
                for block in _blocks(tar, item, archive):
                    out.write(block)
            if item.kind == "file":
                _put_file(copy, settings, item)
            else:
                _put_database(copy, targets[Path(item.name).stem])
    _forget_learned(settings, manifest)
    problems = tuple(Store(settings.store.url).verify_audit())
    return Restored(tuple(item.name for item in manifest.items), former, problems)


def _holds_anything(settings: Settings, environ: Mapping[str, str]) -> bool:
    files = (
        path for folder in (settings.path(settings.project.models), _learned(settings)) for path in folder.rglob("*")
    )
    return bool(databases(settings, environ)) or any(path.is_file() for path in files)


def prune(folder: Path, keep: int) -> list[Path]:
    """Delete all but the newest `keep` backups of a folder; return those that went."""
    # By its whole name: somebody else's `evergreen-before-the-move.tar.gz` is neither counted nor deleted.
    made = sorted(path for path in folder.glob(f"{PREFIX}*{ENDING}") if NAME.fullmatch(path.name))
    gone = made[: max(0, len(made) - keep)]
    for path in gone:
        path.unlink()
    return gone


# --- making one


def _collect(settings: Settings, environ: Mapping[str, str], scratch: Path) -> Iterator[tuple[Item, Path]]:
    """Yield the files of a backup with where their content is; databases are copied into `scratch`."""
    for database in databases(settings, environ):
        copy = scratch / f"{database.name}.copy"
        _copy_sqlite(database, copy) if database.kind == SQLITE else _dump(database, copy)
        yield _item(f"databases/{database.name}", database.kind, copy), copy
    # A server takes the newest model by the time of its file: they are put back in this order.
    models = sorted(settings.path(settings.project.models).glob("*.tar.gz"), key=lambda path: path.stat().st_ctime_ns)
    for path in (*models, *sorted(_learned(settings).rglob("*"))):
        if path.is_file() and not path.is_symlink():
            # Not resolved: a folder may be a link to another disk.
            yield _item(Path(os.path.relpath(path.absolute(), settings.root.absolute())).as_posix(), "file", path), path


def _copy_sqlite(database: Database, copy: Path) -> None:
    """Copy a database that others write to: SQLite's own backup sees one moment of it."""
    try:
        with (
            closing(sqlite3.connect(f"{database.path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            (verdict,) = target.execute("PRAGMA quick_check").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"cannot be copied ({error})", f"database {database.name}", "look at its file") from error
    if verdict != "ok":
        raise BackupError(f"is damaged ({verdict})", f"database {database.name}", "restore an earlier backup")


def _dump(database: Database, copy: Path) -> None:
    _run_postgresql(database, ["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={copy}"])


def _run_postgresql(database: Database, command: Sequence[str]) -> str:
    """Run one of PostgreSQL's tools, return what it prints.

    The password goes by the environment, where no list of processes shows it.
    """
    url = sa.engine.make_url(database.url)
    given = {"PGHOST": url.host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password}
    environment = {**os.environ, **{name: str(value) for name, value in given.items() if value}}
    item = f"database {database.name}"
    try:
        done = subprocess.run(
            [*command, f"--dbname={url.database}"],
            env={**environment, "PGCONNECT_TIMEOUT": "10"},
            capture_output=True,
            timeout=DUMP_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise BackupError(f"needs {command[0]}", item, "install PostgreSQL's client programs") from error
    except subprocess.TimeoutExpired as error:
        raise BackupError(f"{command[0]} took over {DUMP_SECONDS} s", item, "look for what holds its tables") from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise BackupError(f"{command[0]} failed ({lines[-1] if lines else done.returncode})", item, "see its message")
    return done.stdout.decode("utf-8", "replace")


def _item(name: str, kind: str, path: Path) -> Item:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(BLOCK), b""):
            digest.update(block)
    return Item(name, kind, path.stat().st_size, digest.hexdigest())


def _pack(part: Path, manifest: Manifest, items: Sequence[tuple[Item, Path]]) -> None:
    content = json.dumps(
        {**manifest.__dict__, "items": [item.__dict__ for item in manifest.items]}, indent=1, sort_keys=True
    ).encode()
    handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=3) as tar:
            about = tarfile.TarInfo(MANIFEST)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
            for item, path in items:
                one = tarfile.TarInfo(item.name)
                one.size, one.mtime = item.size, int(path.stat().st_mtime)
                with path.open("rb") as source:
                    tar.addfile(one, source)
        file.flush()
        os.fsync(file.fileno())


# --- reading one


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, "r:gz") as tar:
            yield tar
    except FileNotFoundError as error:
        raise BackupError("does not exist", str(archive), "name a backup") from error
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise BackupError(f"cannot be read ({type(error).__name__})", str(archive), "take another one") from error


def _manifest(tar: tarfile.TarFile, archive: Path) -> Manifest:
    try:
        file = tar.extractfile(MANIFEST)
        plain: dict[str, Any] = json.load(file) if file else {}
        manifest = Manifest(**{**plain, "items": tuple(Item(**one) for one in plain["items"])})
    except (KeyError, TypeError, ValueError) as error:
        raise BackupError("is no backup", str(archive), "name an archive that `create` has made") from error
    if manifest.format != FORMAT:
        raise BackupError(f"has format {manifest.format}", str(archive), "update Evergreen, or take an older backup")
    return manifest


def _blocks(tar: tarfile.TarFile, item: Item, archive: Path) -> Iterator[bytes]:
    try:
        file = tar.extractfile(item.name)
    except KeyError:
        file = None
    if file is None:
        raise BackupError(f"is damaged: {item.name} is missing", str(archive), "take another one")
    yield from iter(lambda: file.read(BLOCK), b"")


# --- putting it back


def _targets(settings: Settings, environ: Mapping[str, str], manifest: Manifest) -> Iterator[Database]:
    """Yield where each database goes.

    Raises:
        BackupError: a database was of another kind, or a file does not belong to the project's folders.

    """
    own = _addresses(settings, environ)
    for item in manifest.items:
        if item.kind == "file":
            _place(settings, item)
            continue
        name = item.name.removeprefix("databases/")
        if name not in own:
            raise BackupError("is not known here", f"database {name}", "update Evergreen")
        target = Database(name, own[name])
        if target.kind != item.kind:
            raise BackupError(
                f"was {item.kind} and is {target.kind} here", f"database {name}", "restore it where it came from"
            )
        yield target


def _place(settings: Settings, item: Item) -> Path:
    """Return where a file goes: below the models or the learned folder, wherever its name would lead."""
    path = (settings.root / item.name).resolve()
    folders = (settings.path(settings.project.models).resolve(), _learned(settings).resolve())
    if not any(folder in path.parents for folder in folders):
        raise BackupError("does not belong into the project", item.name, "take a backup of this project")
    return path


def _put_file(copy: Path, settings: Settings, item: Item) -> None:
    path = _place(settings, item)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    shutil.copyfile(copy, part)
    part.replace(path)


def _put_database(copy: Path, target: Database) -> None:
    if target.kind == POSTGRESQL:
        _drop_newer(copy, target)
        _run_postgresql(
            target,
            ["pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", str(copy)],
        )
        return
    target.path.parent.mkdir(parents=True, exist_ok=True)
    part = target.path.with_name(target.path.name + ".part")
    shutil.copyfile(copy, part)
    part.chmod(0o600)
    for ending in ("-wal", "-shm"):  # of the file that goes: they would be played into the new one
        target.path.with_name(target.path.name + ending).unlink(missing_ok=True)
    part.replace(target.path)


def _drop_newer(copy: Path, target: Database) -> None:
    """Drop tables of the loop, and functions of their triggers, that a dump of an earlier version lacks.

    Bringing the database up to date makes them anew, and would fail where they are.
    """
    # "218; 1259 16401 TABLE public jobs postgres"; what a table holds is listed as TABLE DATA.
    listed = [line.split() for line in _run_postgresql(target, ["pg_restore", "--list", str(copy)]).splitlines()]
    dumped = {one[5] for one in listed if len(one) > 5 and one[3] in ("TABLE", "FUNCTION") and one[4] != "DATA"}
    if not dumped & set(schema.metadata.tables):
        return
    engine = sa.create_engine(target.url, future=True)
    try:
        with engine.begin() as connection:
            triggered = [
                f"{name}()" for name in connection.execute(TRIGGERED, {"tables": [*schema.metadata.tables]}).scalars()
            ]
            newer = set(sa.inspect(connection).get_table_names()) & set(schema.metadata.tables) - dumped
            for name in sorted(newer):
                connection.execute(sa.schema.DropTable(schema.metadata.tables[name]))
            for name in triggered:
                if name not in dumped:
                    connection.exec_driver_sql(f"DROP FUNCTION {name} CASCADE")
    except sa.exc.SQLAlchemyError as error:
        raise BackupError(
            "cannot be cleared", f"database {target.name}", "stop what uses it, and begin anew"
        ) from error
    finally:
        engine.dispose()


def _forget_learned(settings: Settings, manifest: Manifest) -> None:
    """Delete learned files that the backup does not know: they would be trained on."""
    kept = {_place(settings, item) for item in manifest.items if item.kind == "file"}
    for path in _learned(settings).rglob("*"):
        if path.is_file() and path.resolve() not in kept:
            path.unlink()


def _check_stopped(settings: Settings, there: Sequence[Database], now: datetime) -> None:
    """Refuse while anything runs: it would write into what is put back, or into a file that is gone."""
    parts_of_it = {"bot": settings.bot.url, "desk": settings.desk.url, "hub": settings.digest.hub_url}
    for name, url in parts_of_it.items():
        parts = urlsplit(url)
        try:
            with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=2):
                pass
        except OSError:
            continue
        raise BackupError(f"answers at {url}", name, "stop everything first: it would write into what is put back")
    if any(one.name == "learning" for one in there):
        for worker in Store(settings.store.url).workers(now - BEATING):
            raise BackupError("is at work", f"worker {worker}", "stop everything first; of a killed one wait 20 s")


def _learned(settings: Settings) -> Path:
    return settings.path(settings.project.data) / LEARNED_FOLDER


def _addresses(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return where each database is, in the order in which they are copied."""
    root = settings.root
    slack = environ.get(slack_inbox.VARIABLE) or str(slack_inbox.DEFAULT)
    tracker = _tracker(settings)
    return {
        "learning": _below(root, settings.store.url),
        "desk": _below(root, settings.desk.database),
        "hub": _below(root, f"sqlite:///{load_hub_settings(root, environ).database}"),
        "slack": _below(root, f"sqlite:///{slack}"),
        "shop": _below(root, environ.get("EVERGREEN_SHOP_DB") or SHOP_URL),
        **({"tracker": tracker.url} if tracker.kind == SQL else {}),
    }


def _tracker(settings: Settings) -> TrackerConfig:
    return read_tracker_store(settings.path(settings.project.endpoints), settings.root)


def _below(root: Path, url: str) -> str:
    """Return a database's address with a relative SQLite path made absolute."""
    parsed = sa.engine.make_url(url)
    if parsed.get_backend_name() != SQLITE or not parsed.database:
        return url
    return f"sqlite:///{(root / parsed.database).resolve()}"


def utc_now() -> datetime:
    """Return the time as aware UTC."""
    return datetime.now(timezone.utc)
