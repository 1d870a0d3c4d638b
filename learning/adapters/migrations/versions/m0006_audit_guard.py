"""The database itself refuses to change the audit log, and takes rows at its end only."""

from alembic import op

revision = "0006"
down_revision = "0005"

# A row that replaces another one by INSERT OR REPLACE sets off no trigger for deletions, but this one.
FOLLOWS = (
    "NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit) OR"
    " NEW.previous_hash <> COALESCE((SELECT row_hash FROM audit WHERE seq = NEW.seq - 1), '{genesis}')"
).format(genesis="0" * 64)
REFUSED = "the audit log is append-only"


def upgrade() -> None:
    """Set the triggers; whoever owns the tables can take them away, and what then happens `audit verify` finds."""
    if op.get_bind().dialect.name == "sqlite":
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{event.lower()} BEFORE {event} ON audit"
                f" BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
            )
        op.execute(
            f"CREATE TRIGGER audit_follows BEFORE INSERT ON audit WHEN {FOLLOWS}"
            f" BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
        )
        return
    op.execute(
        "CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{REFUSED}'; END $$"
    )
    op.execute(
        f"CREATE FUNCTION audit_follows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {FOLLOWS}"
        f" THEN RAISE EXCEPTION '{REFUSED}'; END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_guard()"
    )
    op.execute("CREATE TRIGGER audit_follows BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_follows()")


def downgrade() -> None:
    """Take the triggers away; the rows stay as they are."""
    if op.get_bind().dialect.name == "sqlite":
        for name in ("audit_follows", "audit_no_delete", "audit_no_update"):
            op.execute(f"DROP TRIGGER IF EXISTS {name}")
        return
    op.execute("DROP TRIGGER IF EXISTS audit_follows ON audit")
    op.execute("DROP TRIGGER IF EXISTS audit_no_change ON audit")
    op.execute("DROP FUNCTION audit_follows()")
    op.execute("DROP FUNCTION audit_guard()")
