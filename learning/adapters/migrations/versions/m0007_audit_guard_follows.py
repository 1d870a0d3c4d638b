"""The guard of the audit log looks at the log itself, whatever a session calls `audit`."""

from alembic import op

revision = "0007"
down_revision = "0006"

GENESIS = "0" * 64
REFUSED = "the audit log is append-only"
FORMER = (
    "NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit) OR"
    f" NEW.previous_hash <> COALESCE((SELECT row_hash FROM audit WHERE seq = NEW.seq - 1), '{GENESIS}')"
)


def upgrade() -> None:
    """Replace what checks new rows: on PostgreSQL a temporary table of the same name would have been asked instead."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER IF EXISTS audit_follows")
        # A hash that is no text equals none, so that no row could follow it.
        op.execute(
            "CREATE TRIGGER audit_follows BEFORE INSERT ON audit WHEN typeof(NEW.row_hash) <> 'text'"
            " OR NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit) OR NEW.previous_hash <>"
            f" COALESCE((SELECT row_hash FROM audit WHERE seq = NEW.seq - 1), '{GENESIS}')"
            f" BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
        )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION audit_follows() RETURNS trigger LANGUAGE plpgsql"
        " SET search_path = pg_catalog, pg_temp AS $$"
        " DECLARE newest record; BEGIN"
        " EXECUTE format('SELECT seq, row_hash FROM %I.%I ORDER BY seq DESC LIMIT 1', TG_TABLE_SCHEMA, TG_TABLE_NAME)"
        " INTO newest;"
        " IF NEW.seq <> COALESCE(newest.seq, 0) + 1"
        f" OR NEW.previous_hash <> COALESCE(newest.row_hash, '{GENESIS}')"
        f" THEN RAISE EXCEPTION '{REFUSED}'; END IF; RETURN NEW; END $$"
    )


def downgrade() -> None:
    """Put back what checked new rows before."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER IF EXISTS audit_follows")
        op.execute(
            f"CREATE TRIGGER audit_follows BEFORE INSERT ON audit WHEN {FORMER}"
            f" BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
        )
        return
    op.execute(
        f"CREATE OR REPLACE FUNCTION audit_follows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {FORMER}"
        f" THEN RAISE EXCEPTION '{REFUSED}'; END IF; RETURN NEW; END $$"
    )
