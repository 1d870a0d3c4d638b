"""The tables of the learning database."""

from __future__ import annotations

import sqlalchemy as sa

from learning.sql import Json, UtcTime

Id = sa.String(16)
metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
conversations = sa.Table(
    "conversations",
    metadata,
    sa.Column("conversation_id", Id, primary_key=True),
    sa.Column("sender", Id, nullable=False, index=True),
    sa.Column("started", UtcTime),
    sa.Column("last_at", UtcTime),
    sa.Column("first_row", sa.BigInteger, nullable=False),
    sa.Column("last_row", sa.BigInteger, nullable=False),
    sa.Column("turns", sa.Integer, nullable=False),
    sa.Column("failed_turns", sa.Integer, nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False, index=True),
    sa.Column("reason", sa.String(255), nullable=False),
    # What the stop rule compares a rollout with: the bot's answers in it, and what came of them.
    sa.Column("answered", sa.Integer, nullable=False, server_default="0"),
    sa.Column("thumbs_down", sa.Integer, nullable=False, server_default="0"),
    sa.Column("fallback_after", sa.Integer, nullable=False, server_default="0"),
    sa.Column("handoff_after", sa.Integer, nullable=False, server_default="0"),
    sa.Column("thumb", sa.Integer, nullable=False, server_default="0"),  # the last one: -1, 0 without any, 1
    sa.Column("csat", sa.Integer),  # the last mark, 1 to 5
    # What lists show and metrics count. `place` is where it stands in every list: see `facets.place_of`.
    sa.Column("place", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("channel", sa.String(64), nullable=False, server_default=""),  # of its first turn
    sa.Column("model", sa.String(64), nullable=False, server_default=""),  # that answered last
    sa.Column("lowest_confidence", sa.Float),
    sa.Column("frustration", sa.Float),  # the highest
    sa.Column("thumbs_up", sa.Integer, nullable=False, server_default="0"),
    sa.Column("fallbacks", sa.Integer, nullable=False, server_default="0"),  # turns
    sa.Column("service_failures", sa.Integer, nullable=False, server_default="0"),  # turns
    sa.Column("escalated_at", UtcTime),
    sa.Column("agent_at", UtcTime),  # a person's first message
    sa.Column("opening", sa.Text, nullable=False, server_default=""),  # its first message, redacted, cut
    sa.Column("intents", Json, nullable=False, server_default="[]"),
    sa.Column("signals", Json, nullable=False, server_default="[]"),
    sa.Column("entries", Json, nullable=False, server_default="[]"),  # of the overlay that answered
    sa.Column("again", sa.Boolean, nullable=False, server_default=sa.false()),  # its sender was back within a week
    sa.Column("review", sa.String(8), nullable=False, server_default="new"),
    # Whether its messages can be searched; those that were read again since cannot yet.
    sa.Column("indexed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_conversations_place", "place", unique=True),
    sa.Index("ix_conversations_indexed", "indexed", "place"),
    sa.Index("ix_conversations_started", "started"),
    # The conversations of a gap are scattered over the whole table: what filters ask of them is found in here.
    sa.Index("ix_conversations_of_gap", "conversation_id", "place", "frustration", "lowest_confidence"),
)
# One row a conversation under its place: what customers said in it, redacted, in plain lower-case words, and what it
# can be found by. On SQLite triggers keep the virtual table `conversation_search` (FTS5) in step, on PostgreSQL two
# GIN indexes search it: see migration 0008.
conversation_texts = sa.Table(
    "conversation_texts",
    metadata,
    sa.Column("place", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("conversation_id", Id, nullable=False, unique=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("facets", sa.Text, nullable=False),
)
tags = sa.Table(
    "tags",
    metadata,
    sa.Column("conversation_id", Id, primary_key=True),
    sa.Column("tag", sa.String(80), primary_key=True, index=True),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
)
turn_annotations = sa.Table(
    "annotations",
    metadata,
    sa.Column("annotation_id", Id, primary_key=True),
    sa.Column("turn_id", Id, nullable=False, index=True),
    sa.Column("conversation_id", Id, nullable=False, index=True),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("turn_at", UtcTime, nullable=False, index=True),
    sa.Column("verdict", sa.String(8), nullable=False),
    sa.Column("said", sa.String(255), nullable=False),
    sa.Column("right", sa.String(255), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("undone_at", UtcTime),
)
saved_filters = sa.Table(
    "saved_filters",
    metadata,
    sa.Column("filter_id", Id, primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("who", sa.String(255), nullable=False, index=True),
    sa.Column("shared", sa.Boolean, nullable=False),
    sa.Column("filter", Json, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
)
draws = sa.Table(
    "draws",
    metadata,
    sa.Column("draw_id", Id, primary_key=True),
    sa.Column("who", sa.String(255), nullable=False, index=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("filter", Json, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("conversation_ids", Json, nullable=False),
)
exposures = sa.Table(
    "exposures",
    metadata,
    sa.Column("turn_id", Id, primary_key=True),
    sa.Column("subject", Id, primary_key=True),
    sa.Column("conversation_id", Id, nullable=False, index=True),
    sa.Column("sender", Id, nullable=False),
    sa.Column("arm", sa.String(64), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("thumbs_down", sa.Boolean, nullable=False),
    sa.Column("fallback_after", sa.Boolean, nullable=False),
    sa.Column("handoff_after", sa.Boolean, nullable=False),
    sa.Index("ix_exposures_subject", "subject", "at"),
)
failed_turns = sa.Table(
    "failed_turns",
    metadata,
    sa.Column("turn_id", Id, primary_key=True),
    sa.Column("conversation_id", Id, nullable=False, index=True),
    sa.Column("sender", Id, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("intent", sa.String(255), nullable=False),
    sa.Column("confidence", sa.Float, nullable=False),
    sa.Column("at", UtcTime, nullable=False, index=True),
    sa.Column("channel", sa.String(64), nullable=False),
    sa.Column("weight", sa.Float, nullable=False),
    sa.Column("clarified", sa.String(255)),
    sa.Column("stage", sa.String(8), nullable=False),
    sa.Column("gap_id", Id),
    sa.Column("vector", sa.LargeBinary),
    # Grouping takes the oldest fresh ones, a thousand at a time.
    sa.Index("ix_failed_turns_order", "stage", "at", "turn_id"),
    sa.Index("ix_failed_turns_gap", "gap_id", "conversation_id"),
)
signals = sa.Table(
    "signals",
    metadata,
    sa.Column("turn_id", Id, primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("weight", sa.Float, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
)
ratings = sa.Table(
    "ratings",
    metadata,
    sa.Column("turn_id", Id, primary_key=True),
    sa.Column("conversation_id", Id, nullable=False, index=True),
    sa.Column("sender", Id, nullable=False),
    sa.Column("label", sa.String(255), nullable=False),
    sa.Column("score", sa.Float, nullable=False),
)
agent_answers = sa.Table(
    "agent_answers",
    metadata,
    sa.Column("turn_id", Id, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("conversation_id", Id, nullable=False, index=True),
    sa.Column("sender", Id, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("recommended", sa.Boolean, nullable=False, server_default=sa.false()),
)
label_use = sa.Table(
    "label_use",
    metadata,
    sa.Column("label", sa.String(255), primary_key=True),
    sa.Column("first_at", UtcTime, nullable=False),
    sa.Column("last_at", UtcTime, nullable=False),
)
service_calls = sa.Table(
    "service_calls",
    metadata,
    sa.Column("conversation_id", Id, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("service", sa.String(64), nullable=False),
    sa.Column("operation", sa.String(64), nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("ms", sa.Float, nullable=False),
)
# What conversations add up to by the day (UTC) of their last message, and the days on which some have changed since:
# triggers on `conversations` note those, whoever writes.
metric_days = sa.Table(
    "metric_days",
    metadata,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("channel", sa.String(64), primary_key=True),
    sa.Column("figures", Json, nullable=False),
)
metric_dirty = sa.Table("metric_dirty", metadata, sa.Column("day", sa.String(10), primary_key=True))
# Sums over all days that never fall, by channel; what has none (jobs) stands under an empty one.
metric_totals = sa.Table(
    "metric_totals",
    metadata,
    sa.Column("channel", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
)
good_turns = sa.Table(
    "good_turns",
    metadata,
    sa.Column("turn_id", Id, primary_key=True),
    sa.Column("conversation_id", Id, nullable=False, index=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("label", sa.String(255), nullable=False),
)
gaps = sa.Table(
    "gaps",
    metadata,
    sa.Column("gap_id", Id, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("intent", sa.String(255)),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("priority", sa.String(16), nullable=False),
    sa.Column("people", sa.Integer, nullable=False),
    sa.Column("turns", sa.Integer, nullable=False),
    sa.Column("first_seen", UtcTime, nullable=False),
    sa.Column("last_seen", UtcTime, nullable=False),
    sa.Column("week", sa.Integer, nullable=False, server_default="0"),
    sa.Column("trend", sa.Float, nullable=False, server_default="1"),
    sa.Column("cost", sa.Float, nullable=False, server_default="1"),
    sa.Column("satisfaction", sa.Float),
    sa.Column("rank", sa.Float, nullable=False, server_default="0"),
    sa.Column("handled_at", UtcTime),
    sa.Column("reopened_at", UtcTime),
    # What grouping keeps of the members, and what has changed since the gap was last described and proposed for.
    sa.Column("mean", sa.LargeBinary),
    sa.Column("mean_of", sa.Integer, nullable=False, server_default="0"),
    sa.Column("metric", sa.String(64), nullable=False, server_default=""),
    sa.Column("changed", sa.Boolean, nullable=False, server_default=sa.true()),
)
vectors = sa.Table(
    "vectors",
    metadata,
    sa.Column("key", Id, primary_key=True),
    sa.Column("vector", sa.LargeBinary, nullable=False),
)
forgotten = sa.Table(
    "forgotten",
    metadata,
    sa.Column("sender", Id, primary_key=True),
    sa.Column("until", UtcTime, nullable=False),
)
proposals = sa.Table(
    "proposals",
    metadata,
    sa.Column("proposal_id", Id, primary_key=True),
    sa.Column("gap_id", Id, nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("label", sa.String(255), nullable=False),
    sa.Column("examples", Json, nullable=False),
    sa.Column("answer", sa.Text),
    sa.Column("sources", Json, nullable=False),
    sa.Column("score", sa.Integer, nullable=False),
    sa.Column("score_parts", Json, nullable=False),
    sa.Column("people", sa.Integer, nullable=False),
    sa.Column("turns", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("deferred_until", UtcTime),
    sa.Column("deferred_turns", sa.Integer),
    sa.Column("replay", Json),
    sa.Column("target", sa.String(255)),
    sa.Column("drafter", sa.String(128), nullable=False, server_default=""),
    sa.Column("warnings", Json, nullable=False, server_default="[]"),
    sa.Column("assignee", sa.String(255)),
)
second_readings = sa.Table(
    "second_readings",
    metadata,
    sa.Column("proposal_id", Id, primary_key=True),
    sa.Column("who", sa.String(255), primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("proposal_id", Id, nullable=False, index=True),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("content", Json, nullable=False),
)
entries = sa.Table(
    "entries",
    metadata,
    sa.Column("entry_id", Id, primary_key=True),
    sa.Column("proposal_id", Id, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("label", sa.String(255), nullable=False),
    sa.Column("examples", Json, nullable=False),
    sa.Column("answer", sa.Text),
    sa.Column("vectors", sa.LargeBinary),
    sa.Column("encoder", sa.String(255), nullable=False),
    sa.Column("release", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("target", sa.String(255)),
    sa.Column("share", sa.Integer, nullable=False, server_default="100"),
    sa.Column("absorbed_by", sa.String(255)),
    sa.Column("held_by", sa.String(255)),
    # The overlay's version that brought the row to what it is: running bots read what is newer than theirs.
    sa.Column("changed", sa.BigInteger, nullable=False, server_default="0", index=True),
)
quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("entry_id", Id, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
)
releases = sa.Table(
    "releases",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("what", sa.String(16), nullable=False, server_default="publish"),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("undoes", sa.Integer),
    sa.Column("commit", sa.String(64)),
)
release_changes = sa.Table(
    "release_changes",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("item_id", Id, primary_key=True),
    sa.Column("before", sa.Integer, nullable=False),
    sa.Column("after", sa.Integer, nullable=False),
)
rollouts = sa.Table(
    "rollouts",
    metadata,
    sa.Column("entry_id", Id, primary_key=True),
    sa.Column("steps", Json, nullable=False),
    sa.Column("at_step", sa.Integer, nullable=False),
    sa.Column("hours", sa.Float, nullable=False),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("stopped", sa.Text, nullable=False, server_default=""),
)
experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("experiment_id", Id, primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("label", sa.String(255), nullable=False),
    sa.Column("response", sa.String(255), nullable=False),
    sa.Column("metric", sa.String(16), nullable=False),
    sa.Column("variants", Json, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("started_at", UtcTime),
    sa.Column("ended_at", UtcTime),
    sa.Column("winner", sa.String(64)),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
)
pull_requests = sa.Table(
    "pull_requests",
    metadata,
    sa.Column("pull_id", Id, primary_key=True),
    sa.Column("branch", sa.String(255), nullable=False),
    sa.Column("proposals", Json, nullable=False),
    sa.Column("files", Json, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("opened_at", UtcTime, nullable=False),
    sa.Column("number", sa.Integer),
    sa.Column("url", sa.Text, nullable=False, server_default=""),
    sa.Column("read_at", UtcTime),
    sa.Column("conflicts", Json, nullable=False, server_default="[]"),
)
deployed_models = sa.Table(
    "deployed_models",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("replaced", sa.String(255), nullable=False),
    sa.Column("rolled_back_at", UtcTime),
    sa.Column("taught", Json, nullable=False, server_default="[]"),
    sa.Column("card", Json, nullable=False, server_default="{}"),
)
# New models in their first days: whether customers fare worse with one than with the one before it.
watched_models = sa.Table(
    "watched_models",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("replaced", sa.String(255), nullable=False),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("data", sa.String(64), nullable=False, server_default=""),
    sa.Column("said", sa.Text, nullable=False, server_default=""),
    sa.Column("ended_at", UtcTime),
)
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("asked", Json, nullable=False, server_default="{}"),
    sa.Column("started", UtcTime),
    sa.Column("finished", UtcTime),
    sa.Column("worker", sa.String(255), nullable=False, server_default=""),
    sa.Column("heartbeat", UtcTime),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("step", sa.String(32), nullable=False, server_default=""),
    sa.Column("step_at", UtcTime),
    sa.Column("timings", Json, nullable=False, server_default="[]"),
    sa.Column("message", sa.Text, nullable=False, server_default=""),
    sa.Column("report", Json, nullable=False, server_default="{}"),
    sa.Column("cancelled_by", sa.String(255), nullable=False, server_default=""),
)
workers = sa.Table(
    "workers",
    metadata,
    sa.Column("worker", sa.String(255), primary_key=True),
    sa.Column("kinds", sa.String(255), nullable=False),
    sa.Column("heartbeat", UtcTime, nullable=False),
)
# What is wrong: one row for each time that it was. `subject` says of what, such as a gap or an operation.
alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("alert_id", Id, primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False, server_default=""),
    sa.Column("severity", sa.String(16), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("next_step", sa.Text, nullable=False),
    sa.Column("link", sa.Text, nullable=False),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("opened_at", UtcTime, nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
    sa.Column("calm", sa.Integer, nullable=False, server_default="0"),
    sa.Column("told_at", UtcTime),
    sa.Column("closed_at", UtcTime, index=True),
    sa.Column("closed_by", sa.String(255), nullable=False, server_default=""),
    sa.Column("closing_told", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("armed", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("snoozed_until", UtcTime),
    sa.Column("snoozed_by", sa.String(255), nullable=False, server_default=""),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
)
# Who was told: a digest of a period goes to each target once. Targets are hashes, their addresses hold secrets.
notices = sa.Table(
    "notices",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("target", Id, primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
)
# Messages that people have confirmed, redacted: models are measured by them and never trained on them. One that was
# dropped keeps its id without its words, so that it does not come back.
regression_cases = sa.Table(
    "regression_cases",
    metadata,
    sa.Column("case_id", Id, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("label", sa.String(255), nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("item", Id, nullable=False),  # the annotation or entry that it comes from
    sa.Column("sender", Id, nullable=False, index=True),
    sa.Column("added_at", UtcTime, nullable=False),
    sa.Column("dropped_at", UtcTime),
)
evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", UtcTime, nullable=False, index=True),
    sa.Column("model", sa.String(255), nullable=False),
    sa.Column("suites", Json, nullable=False),  # counts by suite, see `exams.SuiteCount`
    sa.Column("p50_ms", sa.Float),
    sa.Column("p95_ms", sa.Float),
)
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("what", sa.String(64), nullable=False),
    sa.Column("item", sa.String(255), nullable=False),
    sa.Column("before", sa.String(32), nullable=False),
    sa.Column("after", sa.String(32), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence_hash", sa.String(64), nullable=False),
    sa.Column("previous_hash", sa.String(64), nullable=False),
    sa.Column("row_hash", sa.String(64), nullable=False),
    sa.Index("ix_audit_item", "item", "seq", postgresql_ops={"item": "text_pattern_ops"}),
)
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job", sa.String(32), nullable=False),
    sa.Column("started", UtcTime, nullable=False),
    sa.Column("finished", UtcTime, nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("summary", Json, nullable=False),
)
