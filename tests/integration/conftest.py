"""What integration tests share: a schema of their own on a real PostgreSQL, where there is one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

POSTGRES = "postgresql://postgres@127.0.0.1/test?connect_timeout=2"


@contextmanager
def _schema() -> Iterator[str]:
    """Make an empty schema, give the URL that leads into it, and drop it."""
    admin = sa.create_engine(POSTGRES, future=True, isolation_level="AUTOCOMMIT")
    name = f"evergreen_{uuid.uuid4().hex[:12]}"
    try:
        with admin.connect() as connection:
            connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    except sa.exc.OperationalError:
        pytest.skip("PostgreSQL is not there")
    yield f"{POSTGRES}&options=-csearch_path%3D{name}"
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {name} CASCADE"))
    admin.dispose()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """The URL of an empty schema of the test's own."""
    with _schema() as url:
        yield url


@pytest.fixture(scope="module")
def shared_postgres_url() -> Iterator[str]:
    """The URL of a schema that the tests of a module share: making the tables takes a second."""
    with _schema() as url:
        yield url
