"""All conversations can be looked through: what lists show, what they are found by, and what people say of them."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

CHUNK = 10_000  # rows that are given their place at a time
COLUMNS = (
    *("place", "channel", "model", "lowest_confidence", "frustration", "thumbs_up", "fallbacks", "service_failures"),
    *("escalated_at", "agent_at", "opening", "intents", "signals", "entries", "again", "review", "indexed"),
)
SPREAD = 24  # bits of a place that tell conversations of one second apart

# FTS5 keeps no texts of its own; these tell it what came and what went.
SEARCH = "CREATE VIRTUAL TABLE conversation_search USING fts5(text, facets, content='conversation_texts',"
TOKENS = " content_rowid='place', tokenize=\"unicode61 remove_diacritics 2\")"
ADD = "INSERT INTO conversation_search (rowid, text, facets) VALUES (new.place, new.text, new.facets);"
TAKE = (
    "INSERT INTO conversation_search (conversation_search, rowid, text, facets)"
    " VALUES ('delete', old.place, old.text, old.facets);"
)


def upgrade() -> None:
    """Add columns and tables; what is stored already is read again for them by the next mining."""
    _columns()
    _tables()
    _search()
    _places()
    op.create_index("ix_conversations_place", "conversations", ["place"], unique=True)
    op.create_index("ix_conversations_indexed", "conversations", ["indexed", "place"])


def downgrade() -> None:
    """Drop what lists show, the search, and what people have said of conversations."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE conversation_search")
    for name in ("draws", "saved_filters", "annotations", "tags", "conversation_texts"):
        op.drop_table(name)
    for name in ("ix_conversations_indexed", "ix_conversations_place"):
        op.drop_index(name, "conversations")
    with op.batch_alter_table("conversations") as conversations:
        for column in COLUMNS:
            conversations.drop_column(column)


def _search() -> None:
    """Make the inverted index, before there is anything in it: its triggers then see every row."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(SEARCH + TOKENS)
        op.execute(f"CREATE TRIGGER search_added AFTER INSERT ON conversation_texts BEGIN {ADD} END")
        op.execute(f"CREATE TRIGGER search_taken AFTER DELETE ON conversation_texts BEGIN {TAKE} END")
        op.execute(f"CREATE TRIGGER search_changed AFTER UPDATE ON conversation_texts BEGIN {TAKE} {ADD} END")
        return
    op.execute("CREATE INDEX ix_search_text ON conversation_texts USING gin (to_tsvector('simple', text))")
    op.execute(
        "CREATE INDEX ix_search_facets ON conversation_texts"
        " USING gin (array_to_tsvector(string_to_array(facets, ' ')))"
    )


def _columns() -> None:
    for column in (
        sa.Column("place", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("channel", sa.String(64), nullable=False, server_default=""),
        sa.Column("model", sa.String(64), nullable=False, server_default=""),
        sa.Column("lowest_confidence", sa.Float),
        sa.Column("frustration", sa.Float),
        sa.Column("thumbs_up", sa.Integer, nullable=False, server_default="0"),
        sa.Column("fallbacks", sa.Integer, nullable=False, server_default="0"),
        sa.Column("service_failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("escalated_at", sa.DateTime),
        sa.Column("agent_at", sa.DateTime),
        sa.Column("opening", sa.Text, nullable=False, server_default=""),
        sa.Column("intents", sa.Text, nullable=False, server_default="[]"),
        sa.Column("signals", sa.Text, nullable=False, server_default="[]"),
        sa.Column("entries", sa.Text, nullable=False, server_default="[]"),
        sa.Column("again", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("review", sa.String(8), nullable=False, server_default="new"),
        sa.Column("indexed", sa.Boolean, nullable=False, server_default=sa.false()),
    ):
        op.add_column("conversations", column)


def _tables() -> None:
    op.create_table(
        "conversation_texts",
        sa.Column("place", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("conversation_id", sa.String(16), nullable=False, unique=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("facets", sa.Text, nullable=False),
    )
    op.create_table(
        "tags",
        sa.Column("conversation_id", sa.String(16), primary_key=True),
        sa.Column("tag", sa.String(80), primary_key=True, index=True),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "annotations",
        sa.Column("annotation_id", sa.String(16), primary_key=True),
        sa.Column("turn_id", sa.String(16), nullable=False, index=True),
        sa.Column("conversation_id", sa.String(16), nullable=False, index=True),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("turn_at", sa.DateTime, nullable=False, index=True),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("said", sa.String(255), nullable=False),
        sa.Column("right", sa.String(255), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("undone_at", sa.DateTime),
    )
    op.create_table(
        "saved_filters",
        sa.Column("filter_id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("who", sa.String(255), nullable=False, index=True),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("filter", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "draws",
        sa.Column("draw_id", sa.String(16), primary_key=True),
        sa.Column("who", sa.String(255), nullable=False, index=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("filter", sa.Text, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("conversation_ids", sa.Text, nullable=False),
    )


def _places() -> None:
    """Give each conversation its place, and a row to be found by; facets other than `x` come when it is read again."""
    talks = sa.table(
        "conversations",
        *(sa.column(name) for name in ("conversation_id", "place")),
        sa.column("last_at", sa.DateTime),
    )
    texts = sa.table("conversation_texts", *map(sa.column, ("place", "conversation_id", "text", "facets")))
    connection = op.get_bind()
    taken: set[int] = set()
    change = sa.update(talks).where(talks.c.conversation_id == sa.bindparam("talk")).values(place=sa.bindparam("at"))
    rows = connection.execute(sa.select(talks.c.conversation_id, talks.c.last_at)).all()
    for start in range(0, len(rows), CHUNK):
        places = []
        for row in rows[start : start + CHUNK]:
            place = _place(row.last_at, row.conversation_id)
            while place in taken:
                place += 1
            taken.add(place)
            places.append({"talk": row.conversation_id, "at": place})
        connection.execute(change, places)
        found = [{"place": one["at"], "conversation_id": one["talk"], "text": "", "facets": "x"} for one in places]
        connection.execute(sa.insert(texts), found)


def _place(last_at: datetime | None, conversation_id: str) -> int:
    seconds = int(last_at.replace(tzinfo=timezone.utc).timestamp()) if last_at else 0
    return (seconds << SPREAD) | int.from_bytes(hashlib.sha256(conversation_id.encode()).digest()[:3], "big")
