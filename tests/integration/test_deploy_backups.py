"""Backups of a project: what is put back is what was there, and a bad archive changes nothing."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.backups import BackupError, check, create, left_out, prune, restore
from hub.staff.accounts import Accounts
from hub.staff.roles import Role
from learning.adapters.store import Store
from learning.model import JobKind
from tests.integration.conftest import POSTGRES
from tests.learning_builders import TrackerFile, make_project, talk, upgrade_to

AT = datetime(2026, 3, 1, 9, tzinfo=timezone.utc)
LATER = AT + timedelta(hours=1)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def environ() -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    return {"EVERGREEN_BOT_URL": nobody, "EVERGREEN_DESK_URL": nobody, "EVERGREEN_HUB_URL": nobody}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with conversations, a learning database, an account, two models and a learned file."""
    root = make_project(tmp_path / "project")
    talk(TrackerFile(root / "var" / "tracker.db"))
    Store(f"sqlite:///{root}/var/learning.db").note(AT, "ann", "approve", "item-1", "pending", "approved")
    Accounts(root / "var" / "hub.db").set_password("ann", AT, role=Role.ADMIN)
    for name in ("models/b-older.tar.gz", "models/a-newer.tar.gz", "data/learned/nlu.yml", "var/secrets.json"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}", "utf-8")
    return root


def rows(path: Path, table: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
    finally:
        connection.close()


def content(root: Path) -> dict[str, Any]:
    files = [path for folder in ("models", "data/learned") for path in sorted((root / folder).rglob("*"))]
    return {
        "events": rows(root / "var" / "tracker.db", "events"),
        "audit": rows(root / "var" / "learning.db", "audit"),
        "accounts": rows(root / "var" / "hub.db", "accounts"),
        "files": {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in files if path.is_file()},
    }


def spoil(root: Path) -> None:
    """Change all that a backup holds."""
    with sqlite3.connect(root / "var" / "tracker.db") as connection:
        connection.execute("DELETE FROM events")
    Store(f"sqlite:///{root}/var/learning.db").note(LATER, "eve", "reject", "item-2", "pending", "rejected")
    (root / "var" / "hub.db").unlink()
    Accounts(root / "var" / "hub.db").set_password("eve", LATER, role=Role.ADMIN)
    (root / "models" / "a-newer.tar.gz").unlink()
    (root / "data" / "learned" / "evil.yml").write_text("taught by nobody", "utf-8")


def test_what_was_there_is_back(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    before = content(project)
    archive = create(project, tmp_path / "kept", environ, AT)
    spoil(project)
    spoiled = content(project)

    done = restore(archive, project, environ, LATER)

    assert content(project) == before
    assert done.problems == ()
    newest = max((project / "models").glob("*.tar.gz"), key=os.path.getctime)
    assert newest.name == "a-newer.tar.gz", "a server takes the newest by this time"
    assert done.former is not None
    assert check(done.former).items
    restore(done.former, project, environ, LATER + timedelta(hours=1))
    back = content(project)
    assert {name: back[name] for name in ("events", "audit", "accounts")} == {
        name: spoiled[name] for name in ("events", "audit", "accounts")
    }
    assert "data/learned/evil.yml" in back["files"]


def test_an_archive_is_its_owners_and_holds_no_secret(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    archive = create(project, tmp_path / "kept", {**environ, "EVERGREEN_BOT_TOKEN": "t0ken-of-the-bot"}, AT)
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        texts = b"".join(tar.extractfile(name).read() for name in names)  # type: ignore[union-attr]

    assert archive.stat().st_mode & 0o777 == 0o600
    assert "databases/tracker" in names
    assert not [name for name in names if "secrets" in name]
    assert b"t0ken-of-the-bot" not in texts


def test_a_project_that_is_new_takes_a_backup(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    archive = create(project, tmp_path / "kept", environ, AT)
    other = make_project(tmp_path / "other")

    done = restore(archive, other, environ, LATER)

    assert content(other) == content(project)
    assert done.former is None or not [one for one in check(done.former).items if one.kind != "file"]


def test_a_backup_beside_writers_is_of_one_piece(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    """A writer counts events in the learning database after it has written them: no backup may know more than was."""
    over = threading.Event()
    store = Store(f"sqlite:///{project}/var/learning.db")

    def write() -> None:
        tracker = sqlite3.connect(project / "var" / "tracker.db", timeout=30)
        while not over.is_set():
            number = tracker.execute("INSERT INTO events (sender_id, type_name) VALUES ('zoe', 'user')").lastrowid
            tracker.commit()
            store.note(LATER, "zoe", "mined", str(number), "", "")
        tracker.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        archives = [create(project, tmp_path / "kept", environ, AT + timedelta(minutes=n)) for n in range(3)]
    finally:
        over.set()
        writer.join()
    for number, archive in enumerate(archives):
        other = make_project(tmp_path / f"other{number}")
        assert restore(archive, other, environ, LATER + timedelta(hours=number)).problems == ()
        mined = [int(row[4]) for row in rows(other / "var" / "learning.db", "audit") if row[2] == "zoe"]
        there = {row[0] for row in rows(other / "var" / "tracker.db", "events")}
        assert set(mined) <= there


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_damaged_archive_changes_nothing(
    project: Path, tmp_path: Path, environ: dict[str, str], share: float
) -> None:
    archive = create(project, tmp_path / "kept", environ, AT)
    spoil(project)
    spoiled = content(project)
    raw = bytearray(archive.read_bytes())
    raw[int(share * len(raw))] ^= 0xFF
    archive.write_bytes(raw)

    with pytest.raises(BackupError):
        restore(archive, project, environ, LATER)
    archive.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(BackupError):
        restore(archive, project, environ, LATER)

    assert content(project) == spoiled


def rewritten(archive: Path, change: dict[str, str]) -> None:
    """Give items other names, as somebody does who wants a file elsewhere."""
    with tarfile.open(archive) as tar:
        members = [(one, tar.extractfile(one).read()) for one in tar.getmembers()]  # type: ignore[union-attr]
    with tarfile.open(archive, "w:gz") as tar:
        for member, data in members:
            if member.name == "manifest.json":
                for old, new in change.items():
                    data = data.replace(json.dumps(old).encode(), json.dumps(new).encode())
            member.name, member.size = change.get(member.name, member.name), len(data)

            tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil-of-a-backup", "models/../../evil", "learning.yml", "databases/x"]
)
def test_a_file_goes_nowhere_else(project: Path, tmp_path: Path, environ: dict[str, str], name: str) -> None:
    archive = create(project, tmp_path / "kept", environ, AT)
    rewritten(archive, {"data/learned/nlu.yml": name})
    before = content(project)

    with pytest.raises(BackupError, match="does not belong"):
        restore(archive, project, environ, LATER)

    assert content(project) == before
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/evil-of-a-backup").exists()


def test_nothing_is_put_back_under_a_running_bot(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    archive = create(project, tmp_path / "kept", environ, AT)
    with socket.create_server(("127.0.0.1", 0)) as bot:
        running = {**environ, "EVERGREEN_BOT_URL": f"http://127.0.0.1:{bot.getsockname()[1]}"}
        with pytest.raises(BackupError, match="stop everything first"):
            restore(archive, project, running, LATER)


def test_nothing_is_put_back_under_a_worker(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    archive = create(project, tmp_path / "kept", environ, AT)
    Store(f"sqlite:///{project}/var/learning.db").beat_worker("here:1:light", (JobKind.MINE,), LATER, AT)

    with pytest.raises(BackupError, match=r"worker here:1:light: is at work"):
        restore(archive, project, environ, LATER + timedelta(seconds=5))
    assert restore(archive, project, environ, LATER + timedelta(minutes=5)).problems == ()


def test_what_other_tools_back_up_is_named(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    (project / "endpoints.yml").write_text("tracker_store:\n  type: redis\n  url: 127.0.0.1\n", "utf-8")
    archive = create(project, tmp_path / "kept", environ, AT)

    assert left_out(project, environ) == {"tracker": "redis"}
    assert "databases/tracker" not in [item.name for item in check(archive).items]


def test_a_full_disk_leaves_no_half_archive(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run(
        [sys.executable, "-m", "deploy.backup", "create", "--project", str(project), "--to", str(tmp_path / "kept")],
        cwd=ROOT,
        env={**os.environ, **environ},
        preexec_fn=little_room,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert "error: " in done.stderr
    assert list((tmp_path / "kept").iterdir()) == []


def test_only_the_newest_are_kept(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    made = [create(project, tmp_path / "kept", environ, AT + timedelta(minutes=n)) for n in range(3)]
    (tmp_path / "kept" / "notes.txt").write_text("mine")

    assert prune(tmp_path / "kept", 2) == made[:1]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == sorted(
        [*(path.name for path in made[1:]), "notes.txt"]
    )


@pytest.fixture
def postgres_database() -> Iterator[str]:
    admin = sa.create_engine(POSTGRES, future=True, isolation_level="AUTOCOMMIT")
    name = f"evergreen_{uuid.uuid4().hex[:12]}"
    try:
        with admin.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
    except sa.exc.OperationalError:
        pytest.skip("PostgreSQL is not there")
    yield POSTGRES.replace("/test?", f"/{name}?")
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.mark.service
def test_postgresql_is_dumped_and_put_back(
    project: Path, tmp_path: Path, environ: dict[str, str], postgres_database: str
) -> None:
    environ = {**environ, "EVERGREEN_STORE_URL": postgres_database}
    store = Store(postgres_database)
    store.note(AT, "ann", "approve", "item-1", "pending", "approved")
    archive = create(project, tmp_path / "kept", environ, AT)
    store.note(LATER, "eve", "reject", "item-2", "pending", "rejected")
    store._database._engine.dispose()

    done = restore(archive, project, environ, LATER)

    assert done.problems == ()
    assert [row.who for row in Store(postgres_database).audit_rows()] == ["ann"]
    with pytest.raises(BackupError, match="was postgresql and is sqlite here"):
        restore(archive, project, {**environ, "EVERGREEN_STORE_URL": f"sqlite:///{tmp_path}/x.db"}, LATER)


@pytest.mark.service
@pytest.mark.parametrize("revision", ["0005", "0009"])
def test_a_backup_of_an_earlier_version_is_put_back_on_postgresql(
    project: Path, tmp_path: Path, environ: dict[str, str], postgres_database: str, revision: str
) -> None:
    environ = {**environ, "EVERGREEN_STORE_URL": postgres_database}
    engine = sa.create_engine(postgres_database, future=True)
    with engine.connect() as connection:
        upgrade_to(connection, revision)
        connection.commit()
        tables = set(sa.inspect(connection).get_table_names())
    archive = create(project, tmp_path / "kept", environ, AT)
    store = Store(postgres_database)  # brings it up to date
    store.note(AT, "ann", "approve", "item-1", "pending", "approved")
    store._database._engine.dispose()
    with engine.connect() as connection:
        assert tables < set(sa.inspect(connection).get_table_names())
    engine.dispose()

    restore(archive, project, environ, LATER)  # and opens it, which brings it up to date again

    store = Store(postgres_database)
    assert store.audit_rows() == []
    store.note(AT, "bob", "approve", "item-2", "pending", "approved")
    assert store.verify_audit() == []
    store._database._engine.dispose()


def test_a_folder_of_models_may_be_a_link(project: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    (project / "models").rename(tmp_path / "other-disk")
    (project / "models").symlink_to(tmp_path / "other-disk")
    archive = create(project, tmp_path / "kept", environ, AT)
    (project / "models" / "a-newer.tar.gz").write_text("spoiled", "utf-8")

    restore(archive, project, environ, LATER)

    assert (tmp_path / "other-disk" / "a-newer.tar.gz").read_text("utf-8") == "content of models/a-newer.tar.gz"


def test_two_backups_of_one_second_do_not_spoil_each_other(
    project: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    ready = threading.Barrier(2)

    def make(_: int) -> str:
        ready.wait(10)
        try:
            return create(project, tmp_path / "kept", environ, AT).name
        except BackupError as error:
            return error.what

    with ThreadPoolExecutor(2) as both:
        ended = sorted(both.map(make, range(2)))

    assert ended[-1] == "evergreen-20260301-090000.tar.gz"
    assert ended[0] in (ended[-1], "exists already")
    assert check(tmp_path / "kept" / ended[-1]).items
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_an_archive_that_somebody_named_is_not_pruned(tmp_path: Path) -> None:
    names = ["evergreen-before-the-move.tar.gz", "evergreen-20260301-090000.tar.gz", "evergreen-20260302-090000.tar.gz"]
    for name in names:
        (tmp_path / name).touch()

    assert [path.name for path in prune(tmp_path, 1)] == [names[1]]


def test_learned_files_are_kept_even_where_there_is_no_database(
    project: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    archive = create(project, tmp_path / "kept", environ, AT)
    shutil.rmtree(project / "var")
    (project / "data" / "learned" / "later.yml").write_text("nlu: []", "utf-8")

    former = restore(archive, project, environ, LATER).former

    assert former is not None
    assert "data/learned/later.yml" in [item.name for item in check(former).items]
