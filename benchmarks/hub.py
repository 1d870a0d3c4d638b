"""How long the hub's lists take over a million conversations on SQLite: every filter, searches, deep pages, draws.

Each list is asked for as the page does it: fifty conversations and the count. Beside it stands what the same question
takes in plain SQL over the same tables, where the same list can be had so: `WHERE` on the columns, `LIKE` on the texts,
`ORDER BY` the time, and an exact count.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from benchmarks import results
from benchmarks.hub_data import END, RELEASE, fill, gap_of, person_of
from learning import browsing
from learning.adapters.store import Store
from learning.browsing_records import Filter
from learning.loop import Loop
from learning.metrics_report import Period, read_report
from learning.settings import Settings

COMMAND = "make bench-hub"
LIMIT = 200.0  # milliseconds
CALLS = 30
PEER_CALLS = 3  # a full scan takes seconds
WEEK = (END - timedelta(days=7)).date()
YEAR = (END - timedelta(days=364)).date()
FRUSTRATED = 0.5
PLAIN = (
    "SELECT c.* FROM conversations c JOIN conversation_texts t ON t.conversation_id = c.conversation_id"
    " WHERE {where} ORDER BY c.last_at DESC LIMIT 50"
)
COUNT = (
    "SELECT count(*) FROM conversations c JOIN conversation_texts t ON t.conversation_id = c.conversation_id"
    " WHERE {where}"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill, measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("/work/shared/datasets"), help="folder of CLINC150")
    parser.add_argument("--conversations", type=int, default=1_000_000, help="how many")
    parser.add_argument("--no-peer", action="store_true", help="leave plain SQL out")
    parser.add_argument("--keep", type=Path, help="folder of the database; one that is there is taken as it is")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="hub-benchmark-") as temporary:
        folder = options.keep or Path(temporary)
        path = folder / "learning.db"
        started = time.perf_counter()
        is_there = path.exists()
        store = Store(f"sqlite:///{path}") if is_there else fill(path, options.conversations, options.data)
        results.say(f"filled in {time.perf_counter() - started:.0f} s")
        started = time.perf_counter()
        store.count_days()
        counted = time.perf_counter() - started
        rows = _measure(_loop(store), path, not options.no_peer)
        size = path.stat().st_size / 2**20
    table = _table(rows)
    results.say("\n" + table)
    for clock in ("p95", "own_p95"):
        slow = [row["list"] for row in rows if row[clock] > LIMIT]
        results.say(f"{clock} over {LIMIT:.0f} ms: {', '.join(slow) or 'none'}")
    notes = NOTES.format(count=options.conversations, size=size, counted=counted, calls=CALLS, peers=PEER_CALLS)
    results.write("hub", COMMAND, {"limit_ms": LIMIT, "rows": rows, "tables": [table, notes]})


NOTES = """{count:,} conversations of a year in one SQLite file of {size:,.0f} MB; texts are messages of CLINC150,
intents follow Zipf's law. A list is its first fifty conversations and the count up to 10,000 (`browsing.find`),
{calls} calls each, one after the other, in one process. *Own work* is the thread's CPU time, without what other
programs of the machine took meanwhile. *Plain SQL* is the same question to the same tables without the inverted index
(`WHERE`, `LIKE`, `ORDER BY`, `count(*)`), {peers} calls. Counting all days for the metrics pages took {counted:.0f} s,
once; later only days that have changed are counted."""


def _loop(store: Store) -> Loop:
    """Return as much of a loop as lists and metrics need."""
    return cast(Loop, SimpleNamespace(store=store, settings=Settings(), now=lambda: END))


def _measure(loop: Loop, path: Path, with_peer: bool) -> list[dict[str, Any]]:
    connection = sqlite3.connect(path)
    rows = []
    for name, wanted, where in _lists(loop):
        row = _timed(name, lambda wanted=wanted: browsing.find(loop, wanted))  # type: ignore[misc]
        page = browsing.find(loop, wanted)
        row["found"] = f"{page.total:,}{'+' if page.is_more else ''}"
        if with_peer and where:
            times = _times(lambda where=where: _plain(connection, where), PEER_CALLS)  # type: ignore[misc]
            row["plain"], row["own_plain"] = (float(np.quantile([pair[n] for pair in times], 0.5)) for n in (0, 1))
        rows.append(row)
        results.say(f"{name}: {row}")
    for name, call in _others(loop):
        rows.append(_timed(name, call))
        results.say(f"{name}: {rows[-1]}")
    connection.close()
    return rows


def _lists(loop: Loop) -> list[tuple[str, Filter, str]]:
    """Return what is asked for: its name, the filter, and the same in plain SQL where that is a simple thing."""
    choices = browsing.choices(loop)
    common, rare = choices.intents[0], choices.intents[-1]
    model = choices.models[0]
    month = f"c.last_at >= '{(END - timedelta(days=30)).date()}'"
    return [
        ("everything", Filter(), "1"),
        ("this week", Filter(since=WEEK), f"c.last_at >= '{WEEK}'"),
        ("channel, common", Filter(channel=("webchat",)), "c.channel = 'webchat'"),
        ("channel, rare", Filter(channel=("rest",)), "c.channel = 'rest'"),
        ("intent, common", Filter(intent=(common,)), f"c.intents LIKE '%\"{common}\"%'"),
        ("intent, rare", Filter(intent=(rare,)), f"c.intents LIKE '%\"{rare}\"%'"),
        ("confidence 0.2 to 0.4", Filter(min_conf=0.2, max_conf=0.4), "c.lowest_confidence BETWEEN 0.2 AND 0.4"),
        ("confidence up to 0.93", Filter(max_conf=0.93), "c.lowest_confidence <= 0.93"),
        ("frustrated", Filter(mood="frustrated"), f"c.frustration >= {FRUSTRATED}"),
        ("outcome", Filter(outcome=("escalated",)), "c.outcome = 'escalated'"),
        ("reason", Filter(reason=("rated_down",)), "c.reason = 'rated_down'"),
        ("failure kind", Filter(signal=("rephrase",)), "c.signals LIKE '%\"rephrase\"%'"),
        ("thumbs down", Filter(feedback=("down",)), "c.thumb < 0"),
        ("low mark", Filter(feedback=("csat_low",)), "c.csat <= 2"),
        ("model", Filter(model=(model,)), f"c.model = '{model}'"),
        ("not reviewed", Filter(state=("new",)), "c.review = 'new'"),
        ("flagged", Filter(state=("flagged",)), "c.review = 'flagged'"),
        ("tag", Filter(tag=("vip",)), "EXISTS (SELECT 1 FROM tags g WHERE g.conversation_id = c.conversation_id"
         " AND g.tag = 'vip')"),
        ("person", Filter(person=person_of(5)), f"c.sender = '{person_of(5)}'"),
        ("gap, the largest", Filter(gap=gap_of(0)), "c.conversation_id IN (SELECT conversation_id FROM failed_turns"
         f" WHERE gap_id = '{gap_of(0)}')"),
        ("release", Filter(release=RELEASE), ""),
        ("came back within a week", Filter(again="week"), ""),
        ("escalated, nobody answered", Filter(agent="waiting"), "c.outcome = 'escalated' AND c.agent_at IS NULL"),
        ("resolved and frustrated", Filter(outcome=("resolved",), mood="frustrated"),
         f"c.outcome = 'resolved' AND c.frustration >= {FRUSTRATED}"),
        ("resolved and rated_down: none", Filter(outcome=("resolved",), reason=("rated_down",)),
         "c.outcome = 'resolved' AND c.reason = 'rated_down'"),
        ("intent, escalated, webchat, this month", Filter(
            intent=(common,), outcome=("escalated",), channel=("webchat",), since=(END - timedelta(days=30)).date()),
         f"c.intents LIKE '%\"{common}\"%' AND c.outcome = 'escalated' AND c.channel = 'webchat' AND {month}"),
        ("frustrated and gap", Filter(mood="frustrated", gap=gap_of(0)), ""),
        ("search: a common word", Filter(text="my"), "t.text LIKE '%my%'"),
        ("search: two common words", Filter(text="what the"), "t.text LIKE '%what%' AND t.text LIKE '%the%'"),
        ("search: a rare word", Filter(text="guatemala"), "t.text LIKE '%guatemala%'"),
        ("search: a phrase", Filter(text='"credit card"'), "t.text LIKE '%credit card%'"),
        ("search: what is not there", Filter(text="zyzzyva"), "t.text LIKE '%zyzzyva%'"),
        ("search: without a common word", Filter(text="-my"), "t.text NOT LIKE '%my%'"),
        ("search: beginnings", Filter(text="car* insur*"), "t.text LIKE '%car%' AND t.text LIKE '%insur%'"),
        ("search: common word, escalated, rare channel", Filter(
            text="my", outcome=("escalated",), channel=("rest",)),
         "t.text LIKE '%my%' AND c.outcome = 'escalated' AND c.channel = 'rest'"),
    ]  # fmt: skip


def _others(loop: Loop) -> list[tuple[str, Callable[[], object]]]:
    """Return what pages ask for besides lists."""
    days = Period(YEAR, END.date())
    deep = browsing.find(loop, Filter(until=YEAR + timedelta(days=30)), limit=1).items[0].cursor
    one = browsing.find(loop, Filter(), limit=1).items[0].conversation_id
    week, last = Filter(since=WEEK), Period((END - timedelta(days=27)).date(), END.date())
    return [
        ("a page 900,000 conversations deep", lambda: browsing.find(loop, Filter(), after=deep)),
        ("the page before it", lambda: browsing.find(loop, Filter(), before=deep)),
        ("a deep page of a search", lambda: browsing.find(loop, Filter(text="my"), after=deep)),
        ("newer than a cursor", lambda: browsing.count_newer(loop, Filter(), deep)),
        ("50 random ones of this week", lambda: browsing.random(loop, week, 50, 3)),
        ("50 random ones of all", lambda: browsing.random(loop, Filter(), 50, 3)),
        ("50 random escalated ones", lambda: browsing.random(loop, Filter(outcome=("escalated",)), 50, 3)),
        ("one conversation's row", lambda: browsing.item(loop, one)),
        ("what filters can be set to", lambda: browsing.choices(loop)),
        ("metrics, four weeks", lambda: read_report(loop, last)),
        ("metrics, the whole year", lambda: read_report(loop, days)),
    ]


def _plain(connection: sqlite3.Connection, where: str) -> None:
    connection.execute(PLAIN.format(where=where)).fetchall()
    connection.execute(COUNT.format(where=where)).fetchone()


def _timed(name: str, call: Callable[[], object]) -> dict[str, Any]:
    times = _times(call, CALLS)
    row: dict[str, Any] = {"list": name}
    for clock, place in (("", 0), ("own_", 1)):
        for share in (50, 95):
            row[f"{clock}p{share}"] = float(np.quantile([pair[place] for pair in times], share / 100))
    return row


def _times(call: Callable[[], object], calls: int) -> list[tuple[float, float]]:
    """Return what each call takes in milliseconds: by the wall clock, and the thread's own work."""
    found = []
    for _ in range(calls):
        wall, own = time.perf_counter(), time.thread_time()
        call()
        found.append((1_000 * (time.perf_counter() - wall), 1_000 * (time.thread_time() - own)))
    return found


def _table(rows: Sequence[dict[str, Any]]) -> str:
    return results.table(
        rows,
        {
            "list": lambda one: one["list"],
            "found": lambda one: one.get("found", ""),
            "ms, p50 / p95": lambda one: f"{one['p50']:.1f} / {one['p95']:.1f}",
            "own work": lambda one: f"{one['own_p50']:.1f} / {one['own_p95']:.1f}",
            "plain SQL ms": lambda one: f"{one['plain']:,.0f}" if "plain" in one else "",
            "own work of it": lambda one: f"{one['own_plain']:,.0f}" if "plain" in one else "",
        },
    )


if __name__ == "__main__":
    main()
