"""The digest: what is in it, that it goes out once, and that nothing of a customer can do harm in it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from learning.__main__ import cli
from learning.adapters import schema
from learning.alert_records import Alert, AlertKind, Delivery, Severity
from learning.digest import build_digest, days_words
from learning.digest_sending import due, send_digest
from learning.digest_text import digest_message
from learning.errors import NoticeError, SettingsError
from learning.loop import Loop
from learning.metrics_report import Period, read_report
from learning.metrics_words import value_words
from learning.model import Outcome, Priority, ProposalState
from learning.settings import DigestSettings
from tests.learning_builders import (
    Clock,
    FakeNotifier,
    gap,
    make_loop,
    make_project,
    mined,
    proposal,
    save_members,
    turn,
)

NOW = datetime(2025, 11, 19, 7, tzinfo=timezone.utc)  # a Wednesday
DAY = timedelta(days=1)
LAST_WEEK = (date(2025, 11, 10), date(2025, 11, 16))
HUB = "https://hub.example"
HOSTILE = "<script>alert(1)</script> [pay](http://evil.example) <!channel> @here"


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    made = make_loop(make_project(tmp_path), now=Clock(NOW))
    settings = replace(made.settings, digest=DigestSettings(hub_url=HUB))
    return replace(made, settings=settings)


def with_cadence(loop: Loop, cadence: str) -> Loop:
    return replace(loop, settings=replace(loop.settings, digest=DigestSettings(cadence=cadence, hub_url=HUB)))


def talk(loop: Loop, number: int, ended: datetime) -> None:
    said = turn(f"message {number}", csat=1 + number % 5)
    values = {
        "turns": (said,),
        "conversation_id": f"{number:016x}",
        "started": ended - timedelta(minutes=3),
        "last_at": ended,
        "first_row": number,
        "last_row": number,
        "outcome": list(Outcome)[1 + number % 3],
    }
    loop.store.save_batch([mined(f"person{number}", f"message {number}", **values)], [], None)


def fill(loop: Loop, name: str = "loyalty points") -> None:
    for number in range(1, 61):
        talk(loop, number, NOW - timedelta(days=number % 16, hours=2))
    gaps = [
        gap("a" * 16, people=12, week=7, name=name, priority=Priority.CRITICAL, rank=9.0),
        gap("b" * 16, people=5, week=1, name="gift cards"),
        gap("c" * 16, people=50, week=9, name="handled need", handled_at=NOW - DAY),
    ]
    loop.store.save_grouping(gaps, {}, "m", {}, {}, {}, (), "")
    waiting = proposal(1, gap_id="a" * 16, score=83, created_at=NOW - 5 * DAY)
    released = proposal(2, gap_id="c" * 16, state=ProposalState.APPROVED, label=f"learned/{name}"[:60])
    loop.store.save_proposals([waiting, released], NOW - 5 * DAY)
    after = replace(released, state=ProposalState.PUBLISHED)
    loop.store.publish(
        released, after, "e" * 16, loop.encoder.encode(released.examples), "fake-1", "ann", NOW - 4 * DAY
    )


class Links(HTMLParser):
    """The links, headings and tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")


def test_it_tells_the_same_numbers_as_the_metrics_page(loop) -> None:
    fill(loop)
    digest = build_digest(loop, *LAST_WEEK)
    period = Period(*LAST_WEEK)
    report = read_report(loop, period, period.before, with_services=False)
    told = {number.name: number for number in digest.numbers}
    for key in ("conversations", "resolution", "csat"):
        line = report.line(key)
        assert told[line.metric.name].value == value_words(line.value)
        assert told[line.metric.name].before == value_words(line.before)
    assert digest.saved.startswith(f"{report.saving.net.value:,.0f} EUR")
    assert f"{report.saving.resolved:,} resolved" in digest.saved


def test_it_lists_what_is_missing_what_was_changed_and_what_waits(loop) -> None:
    fill(loop)
    digest = build_digest(loop, *LAST_WEEK)
    assert [(one.name, one.priority, one.people, one.week, one.score) for one in digest.gaps] == [
        ("loyalty points", "critical", 12, 7, 83),
        ("gift cards", "medium", 5, 1, None),
    ]
    assert digest.gaps[0].link.startswith("/proposals/")
    assert digest.gaps[1].link == f"/gaps/{'b' * 16}"
    assert [(one.number, "went live" in one.what) for one in digest.fixed] == [(1, True)]
    assert (digest.queue.pending, digest.queue.oldest) == (1, NOW - 5 * DAY)
    assert "1 critical gap" in digest.headline
    assert "1 release" in digest.headline
    assert build_digest(loop, date(2025, 11, 3), date(2025, 11, 9)).fixed == ()


def test_the_effect_of_a_release_is_told_with_its_interval_once_it_can_be(loop) -> None:
    fill(loop)
    for number in range(100, 500):
        talk(loop, number, NOW - timedelta(days=number % 40 - 14, hours=3))
    loop.now.now = NOW + 14 * DAY
    failing = [turn_id for turn_id, (_, one) in _turns(loop).items() if one < NOW - 4 * DAY]
    save_members(loop.store, [gap("c" * 16, handled_at=NOW - DAY)], dict.fromkeys(failing[:120], "c" * 16))
    digest = build_digest(loop, date(2025, 11, 24), date(2025, 11, 30))
    (effect,) = digest.effects
    assert effect.number == 1
    assert "Fewer conversations fail at it" in effect.said
    assert "95 % interval" in effect.said
    assert effect.said in digest_message(digest, HUB).text


def _turns(loop: Loop) -> dict[str, tuple[str, datetime]]:
    turns, talks = schema.failed_turns, schema.conversations
    query = sa.select(turns.c.turn_id, talks.c.last_at).join(talks, talks.c.conversation_id == turns.c.conversation_id)
    with loop.store._database.read() as connection:
        return {row.turn_id: (row.turn_id, row.last_at) for row in connection.execute(query)}


def test_every_item_has_a_link_into_the_hub_and_the_page_is_plain(loop) -> None:
    fill(loop)
    message = digest_message(build_digest(loop, *LAST_WEEK), HUB)
    page = Links(message.html)
    assert all(link.startswith(f"{HUB}/") for link in page.links)
    for path in ("/proposals/", "/gaps/", "/releases/1", "/conversations?", "/metrics", "/retraining", "/settings"):
        assert any(link.startswith(HUB + path) for link in page.links), path
    assert not {"script", "img", "link", "form", "iframe"} & set(page.tags)
    assert page.tags.count("h1") == page.tags.count("main") == 1
    assert page.tags.count("caption") == page.tags.count("table")
    assert "prefers-color-scheme: dark" in message.html
    for form in (message.text, message.markdown):
        assert f"{HUB}/proposals/" in form
    assert len(message.markdown) < 2000


def test_words_of_customers_can_do_no_harm(loop) -> None:
    fill(loop, name=HOSTILE)
    message = digest_message(build_digest(loop, *LAST_WEEK), HUB)
    assert "script" not in Links(message.html).tags
    for form in (message.text, message.html, message.markdown):
        assert "alert 1" in form
        assert "evil.example" not in form
        assert "<!channel>" not in form
        assert "@here" not in form
    assert all(link.startswith(HUB) for link in Links(message.html).links)


def test_a_week_in_which_nothing_happened_is_one_line(loop) -> None:
    digest = build_digest(loop, *LAST_WEEK)
    message = digest_message(digest, HUB)
    assert digest.is_quiet
    assert message.text == (
        "Nothing happened (10 to 16 Nov 2025): no conversations, no releases, no decisions;"
        " nothing waits for a decision.\n"
    )
    assert message.markdown + "\n" == message.text
    assert "table" not in Links(message.html).tags


@pytest.mark.parametrize(
    ("cadence", "since", "until"),
    [("weekly", *LAST_WEEK), ("daily", date(2025, 11, 18), date(2025, 11, 18))],
)
def test_the_period_is_the_newest_that_is_over(cadence, since, until) -> None:
    found = due(cadence, NOW)
    assert (found.since, found.until, found.key) == (since, until, f"digest:{cadence}:{until}")


def test_a_week_begins_on_monday_whatever_the_hour() -> None:
    monday = datetime(2025, 11, 17, 0, 0, tzinfo=timezone.utc)
    assert due("weekly", monday).until == date(2025, 11, 16)
    assert due("weekly", monday - timedelta(seconds=1)).until == date(2025, 11, 9)
    assert due("weekly", monday.astimezone(timezone(timedelta(hours=9)))).until == date(2025, 11, 16)
    assert due("off", NOW) is None
    with pytest.raises(SettingsError, match="'hourly'"):
        due("hourly", NOW)


def test_it_goes_out_once_a_period_to_everybody(loop) -> None:
    people = FakeNotifier("email #1", "Slack #1")
    assert send_digest(loop, people).sent
    again = send_digest(loop, people)
    assert (again.sent, again.message) == (False, "the digest of 2025-11-16 was sent before")
    assert [name for name, _ in people.sent] == ["email #1", "Slack #1"]
    loop.now.now += 5 * DAY  # Monday
    assert send_digest(loop, people).sent
    assert len(people.sent) == 4


def test_who_was_not_reached_gets_it_with_the_next_run_and_nobody_else_again(loop) -> None:
    people = FakeNotifier("email #1", "Slack #1")
    people.away = {"Slack #1"}
    first = send_digest(loop, people)
    assert first.message == "the digest of 2025-11-16 went to email #1; not reached: Slack #1 did not answer"
    people.away = set()
    assert send_digest(loop, people).message == "the digest of 2025-11-16 went to Slack #1"
    assert [name for name, _ in people.sent] == ["email #1", "Slack #1"]


def test_what_reaches_nobody_is_an_error_and_tried_again(loop) -> None:
    people = FakeNotifier()
    people.away = {"email #1"}
    with pytest.raises(NoticeError, match="reached nobody"):
        send_digest(loop, people)
    people.away = set()
    assert send_digest(loop, people).sent


def test_a_crash_while_sending_repeats_one_message_at_most(loop) -> None:
    class Dies(FakeNotifier):
        def send(self, message, to):
            super().send(message, to)
            if len(self.sent) == 2:
                raise KeyboardInterrupt
            return Delivery(tuple(to))

    people = Dies("a", "b", "c")
    with pytest.raises(KeyboardInterrupt):
        send_digest(loop, people)
    after = FakeNotifier("a", "b", "c")
    send_digest(loop, after)
    assert [name for name, _ in people.sent] == ["a", "b"]
    assert [name for name, _ in after.sent] == ["b", "c"]


def test_only_a_day_with_a_critical_alert_is_told_where_that_is_wanted(loop) -> None:
    critical, people = with_cadence(loop, "critical"), FakeNotifier()
    assert send_digest(critical, people).message == "nothing critical on 2025-11-18"
    at = NOW - DAY
    alert = Alert("f" * 16, AlertKind.AUDIT, "", Severity.CRITICAL, "t", "w", "n", "/audit", at, at, at)
    loop.store.update_alerts(lambda alerts: [alert], at, {})
    assert send_digest(critical, people).sent
    assert "t" in people.sent[0][1].text
    assert not send_digest(critical, people).sent


def test_off_is_off_and_without_targets_nothing_is_taken_for_sent(loop) -> None:
    assert send_digest(with_cadence(loop, "off"), FakeNotifier()).message == "digests are off"
    nobody = FakeNotifier()
    nobody.people = ()
    assert not send_digest(loop, nobody).sent
    assert send_digest(loop, FakeNotifier()).sent


def test_days_are_told_as_people_write_them() -> None:
    assert days_words(date(2025, 11, 16), date(2025, 11, 16)) == "16 Nov 2025"
    assert days_words(*LAST_WEEK) == "10 to 16 Nov 2025"
    assert days_words(date(2025, 10, 27), date(2025, 11, 2)) == "27 Oct to 2 Nov 2025"
    assert days_words(date(2025, 12, 29), date(2026, 1, 4)) == "29 Dec 2025 to 4 Jan 2026"


def test_the_command_line_shows_writes_and_sends(loop, monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("EVERGREEN_NOTIFY_URLS", raising=False)
    page = tmp_path / "digest.html"

    def call(*arguments: str):
        return CliRunner().invoke(cli, ["--project", str(loop.settings.root), "digest", *arguments])

    assert call().stdout.startswith("Nothing happened")
    assert json.loads(call("--json").stdout)["is_quiet"] is True
    assert call("--html", str(page)).exit_code == 0
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert call("--html", str(tmp_path / "no" / "folder.html")).exit_code == 1
    assert "EVERGREEN_NOTIFY_URLS" in call("--send").stdout
