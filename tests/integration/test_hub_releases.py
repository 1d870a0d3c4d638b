"""Releases and the audit log in the hub, over a real learning database and a real git repository."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from hub import texts
from hub.audit import pages as audit_pages
from hub.releases import views as release_views
from hub.texts import releases as release_texts
from learning import pipeline
from learning.adapters.audit_log import append_row
from learning.audit import verify
from learning.effect_words import DOUBTS
from learning.model import Change, ReleaseKind, Rollout
from learning.release_view import read_release as read_view
from learning.release_view import read_releases as read_views
from learning.rollout import set_share
from tests.hub_world import HOSTILE, NOW, Page, TestClient, World, a_proposal, branch_tip, fill, post
from tests.hub_world import project as project
from tests.hub_world import world as world


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with world.client() as client:
        yield client


def publish(world: World, client: TestClient, number: int = 1, **changes: object) -> str:
    """Approve a new proposal in the hub; return the id of its entry."""
    proposal = a_proposal(number, **changes)
    fill(world.store, proposal)
    page = f"/proposals/{proposal.proposal_id}"
    assert post(client, page, f"{page}/approve", {"answer": proposal.answer or ""}).status_code == 303
    (entry,) = [one for one in world.store.entries() if one.proposal_id == proposal.proposal_id]
    return entry.entry_id


def live_shares(world: World) -> dict[str, int]:
    return {one.entry_id: one.share for one in world.store.entries() if one.live_share}


def test_every_release_tells_what_it_changed_and_why(world: World, client: TestClient) -> None:
    entry_id = publish(world, client)
    set_share(world.loop, entry_id, 25, "ann", "let us be careful")
    pipeline.withdraw(world.loop, entry_id, "bob", HOSTILE)
    html = client.get("/releases").text

    for said in ("Published", "Rollout", "Withdrawn", "let us be careful", "nobody → everybody", "25 % → nobody"):
        assert said in html
    assert "<script>alert" not in html
    assert {"script", "img"}.isdisjoint(Page(html).tags - {"img"})
    assert "alert(1)&gt;" in html
    assert client.get("/releases/2").text.count("everybody → 25 %") == 1
    assert client.get("/releases/99").status_code == 404


def test_a_release_is_taken_back_after_a_look_at_what_that_does(world: World, client: TestClient) -> None:
    first, second = publish(world, client, 1), publish(world, client, 2)
    page, action = "/releases/1", "/releases/1/rollback"
    html = client.get(page).text
    assert "everybody → nobody" in html
    silent = post(client, page, action)
    assert (silent.status_code, texts.NEED_WITHDRAW_REASON in silent.text) == (422, True)
    assert post(client, page, action, {"reason": "wrong answer"}).status_code == 303

    assert live_shares(world) == {second: 100}
    newest = world.store.releases()[0]
    assert (newest.what, newest.undoes, newest.reason, newest.who) == (ReleaseKind.ROLLBACK, 1, "wrong answer", "demo")
    assert first not in branch_tip(world)
    shown = client.get("/releases").text
    assert release_texts.DONE_ROLLED_BACK.format(number=3, undone=1) in shown
    assert release_texts.UNDONE_BY.format(number=3) in shown
    assert action not in Page(client.get(page).text).forms  # there is nothing left to take back
    assert verify(world.store).is_whole


def test_everything_after_a_release_is_taken_back_at_once(world: World, client: TestClient) -> None:
    first = publish(world, client, 1)
    publish(world, client, 2)
    set_share(world.loop, first, 10, "ann")
    assert post(client, "/releases/1", "/releases/1/back-to", {"reason": "start again"}).status_code == 303

    assert live_shares(world) == {first: 100}
    assert world.store.releases()[0].number == 4


def test_what_changed_since_the_page_was_opened_is_not_taken_back_unseen(world: World, client: TestClient) -> None:
    first = publish(world, client, 1)
    action = "/releases/1/back-to"
    publish(world, client, 2)
    fields = dict(Page(client.get("/releases/1").text).forms[action])
    third = publish(world, client, 3)
    answer = client.post(action, data={**fields, "reason": "start again"})

    assert (answer.status_code, release_texts.CHANGED_MEANWHILE in answer.text) == (409, True)
    assert {first, third} <= set(live_shares(world))


def test_a_way_back_that_is_none_says_what_helps(world: World, client: TestClient) -> None:
    entry_id = publish(world, client)
    fields = dict(Page(client.get("/releases/1").text).forms["/releases/1/rollback"])
    set_share(world.loop, entry_id, 25, "ann")
    html = client.get("/releases/1").text

    assert "/releases/1/rollback" not in Page(html).forms
    assert "release 2 (rollout, ann) has changed" in html
    refused = client.post("/releases/1/rollback", data={**fields, "reason": "x"})
    assert (refused.status_code, "has changed" in refused.text) == (409, True)
    assert live_shares(world) == {entry_id: 25}


def test_what_was_withdrawn_is_restored_to_the_share_that_it_had(world: World, client: TestClient) -> None:
    entry_id = publish(world, client)
    set_share(world.loop, entry_id, 25, "ann")
    assert post(client, "/releases", f"/entries/{entry_id}/withdraw", {"reason": "prices changed"}).status_code == 303
    html = client.get("/releases").text
    assert release_texts.GONE in html
    assert "prices changed" in html
    action = f"/entries/{entry_id}/restore"
    fields = dict(Page(html).forms[action])
    assert client.post(action, data={**fields, "reason": "they are back"}).status_code == 303
    again = client.post(action, data=fields)

    assert live_shares(world) == {entry_id: 25}
    assert again.status_code in (404, 409)
    assert world.store.releases()[0].what is ReleaseKind.RESTORE


def test_the_share_of_users_is_set_by_hand(world: World, client: TestClient) -> None:
    entry_id = publish(world, client)
    action = f"/entries/{entry_id}/share"
    wrong = [post(client, "/releases", action, {"share": typed}) for typed in ("", "0", "101", "x", "-5", "٣", "1e1")]
    assert {answer.status_code for answer in wrong} == {422}
    assert release_texts.NEED_SHARE in wrong[0].text
    assert post(client, "/releases", action, {"share": "25", "reason": "careful"}).status_code == 303
    same = post(client, "/releases", action, {"share": "25"})

    assert live_shares(world) == {entry_id: 25}
    assert (same.status_code, "goes to 25 % already" in same.text) == (409, True)
    assert release_texts.SHARE_TAG.format(share=25) in client.get("/releases").text


def test_a_schedule_and_a_stop_are_shown(world: World, client: TestClient) -> None:
    entry_id = publish(world, client)
    rollout = Rollout(entry_id, (5, 25, 100), 0, 24.0, NOW)
    set_share(world.loop, entry_id, 5, "ann")
    world.store.save_rollout(rollout, "resume", "ann", "", NOW)
    assert release_texts.NEXT_STEP.format(share=25, at="22 Nov 2025, 12:00 UTC") in client.get("/releases").text

    stopped = replace(rollout, stopped="thumbs down: 9 of 20")
    world.store.release(ReleaseKind.STOP, [Change(entry_id, 5, 0)], "rollout", NOW, stopped.stopped, rollouts=[stopped])
    html = client.get("/releases").text
    assert release_texts.STOPPED_BY_ITSELF in html
    assert "thumbs down: 9 of 20" in html


def test_many_live_entries_are_found_by_name(world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_views, "LIVE_SHOWN", 2)
    monkeypatch.setattr(release_views, "HISTORY_SHOWN", 2)
    for number in range(1, 5):
        publish(world, client, number)
    html = client.get("/releases").text
    found = client.get("/releases?find=QUESTION_1").text
    older = client.get("/releases?before=3").text

    assert release_texts.MORE_LIVE.format(count=2) in html
    assert "/releases?before=3#history" in html
    assert [name in found for name in ("/entries/", "learned/question_1</bdi></h3>")] == [True, True]
    assert "learned/question_2</bdi></h3>" not in found
    assert '<a href="/releases/2">' in older
    assert release_texts.NEWER in older
    assert release_texts.NOTHING_FOUND in client.get("/releases?find=nothing").text
    assert client.get("/releases?before=x").status_code == 200


# --- rollouts, files, effects -----------------------------------------------------------------------


def on_its_way(world: World, client: TestClient) -> str:
    """An entry at 5 %, that goes to 25 % and to everybody."""
    entry_id = publish(world, client)
    set_share(world.loop, entry_id, 5, "ann")
    world.store.save_rollout(Rollout(entry_id, (5, 25, 100), 0, 24.0, NOW), "resume", "ann", "", NOW)
    return entry_id


def test_a_rollout_is_paused_goes_on_and_makes_its_next_step(world: World, client: TestClient) -> None:
    entry_id = on_its_way(world, client)
    html = client.get("/releases").text
    assert html.count('aria-current="step"') == 1
    assert release_texts.EVERY.format(hours="24") in html
    assert "data-slider" in html
    assert post(client, "/releases", f"/entries/{entry_id}/pause").status_code == 303
    html = client.get("/releases").text
    assert "paused by demo" in html
    assert f"/entries/{entry_id}/step" not in Page(html).forms
    assert post(client, "/releases", f"/entries/{entry_id}/resume").status_code == 303
    fields = dict(Page(client.get("/releases").text).forms[f"/entries/{entry_id}/step"])
    assert client.post(f"/entries/{entry_id}/step", data=fields).status_code == 303
    assert live_shares(world) == {entry_id: 25}
    assert release_texts.NEXT_STEP.format(share=100, at="22 Nov 2025, 12:00 UTC") in client.get("/releases").text

    again = client.post(f"/entries/{entry_id}/step", data=fields)  # a second click, with what the page said then
    assert (again.status_code, release_texts.CHANGED_MEANWHILE in again.text) == (409, True)
    assert live_shares(world) == {entry_id: 25}
    wrong = client.post(f"/entries/{entry_id}/step", data={**fields, "share": "x"})
    assert wrong.status_code == 422
    csrf = {"csrf": fields["csrf"]}
    assert client.post(f"/entries/{entry_id}/resume", data=csrf).status_code == 409
    for action in ("step", "pause", "resume"):
        assert client.post(f"/entries/{'0' * 16}/{action}", data={**csrf, "share": "25"}).status_code == 404


def test_a_release_shows_the_same_diff_as_the_command_line(world: World, client: TestClient) -> None:
    publish(world, client, 1, answer="One point.\n<b>two</b>")
    (view,) = read_views(world.loop)
    diff = read_view(world.loop, 1).diff
    html = client.get("/releases/1").text

    assert view.release.number == 1
    shown = [line for line in diff.splitlines() if line.startswith("+")]
    assert html.count('<span class="add">') == len(shown)
    assert "&lt;b&gt;two&lt;/b&gt;" in html
    assert "<b>two" not in html


def test_a_long_diff_is_cut(world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(world, client)
    monkeypatch.setattr(release_views, "DIFF_SHOWN", 3)
    monkeypatch.setattr(release_views, "DIFF_OPEN", 2)
    lines = len(read_view(world.loop, 1).diff.splitlines())

    assert release_texts.DIFF_MORE.format(count=lines - 3, number=1) in client.get("/releases/1").text


def test_what_followed_from_a_release_is_told_with_its_doubts(world: World, client: TestClient) -> None:
    publish(world, client)
    html = client.get("/releases/1").text

    assert release_texts.EFFECT in html
    assert "Cannot tell: fewer than 7 days of conversations are known from before it." in html
    assert DOUBTS in html
    assert "/conversations?release=1" in html


@pytest.mark.parametrize(("ratio", "place"), [(1.0, 50.0), (0.1, 0.0), (10.0, 100.0), (0.0, 0.0), (1e9, 100.0)])
def test_a_ratio_has_its_place_in_the_drawing(ratio: float, place: float) -> None:
    assert release_views.ratio_place(ratio) == place


def test_a_viewer_may_look_and_change_nothing(world: World, client: TestClient) -> None:
    on_its_way(world, client)
    viewer = world.client(role="viewer")
    for page in ("/releases", "/releases/1"):
        forms = Page(viewer.get(page).text).forms
        assert not [action for action in forms if action.startswith(("/entries", "/releases/"))]


# --- the audit log --------------------------------------------------------------------------------


def test_the_log_is_shown_filtered_and_page_by_page(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_pages, "ROWS_SHOWN", 3)
    with world.store._database.write() as connection:
        for number in range(1, 8):
            at = NOW + timedelta(days=number)
            who, item = "ann" if number % 2 else "bob", f"item-{number}"
            append_row(connection, at, who, "approve", item, "", "", f"{HOSTILE} {number}", "")

    def shown(query: str) -> list[int]:
        html = client.get(f"/audit{query}").text
        assert "<script>alert" not in html
        return [number for number in range(1, 8) if f">item-{number}<" in html]

    assert shown("") == [5, 6, 7]
    assert shown("?before=5") == [2, 3, 4]
    assert shown("?who=bob") == [2, 4, 6]
    assert shown("?item=item-7") == [7]
    assert shown("?since=2025-11-23&until=2025-11-24") == [2, 3]
    assert shown("?who=%3Cscript%3E%00'%22") == []
    assert "/audit?who=ann&amp;before=3" in client.get("/audit?who=ann").text
    for day in ("since=yesterday", "until=9999-12-31"):
        wrong = client.get(f"/audit?{day}")
        assert (wrong.status_code, release_texts.NEED_DATE in wrong.text) == (422, True)


def test_the_whole_log_is_sent_as_a_file(world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_pages, "AT_ONCE", 2)
    publish(world, client)
    pipeline.withdraw(world.loop, world.store.entries()[0].entry_id, "bob", "=1+1")
    rows = world.store.audit_rows()
    lines = client.get("/audit/export/jsonl")
    sheet = client.get("/audit/export/csv")

    assert [json.loads(line)["row_hash"] for line in lines.text.splitlines()] == [row.row_hash for row in rows]
    cells = list(csv.DictReader(io.StringIO(sheet.text, newline="")))
    assert [row["row_hash"] for row in cells] == [row.row_hash for row in rows]
    assert sheet.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    assert sheet.headers["x-content-type-options"] == "nosniff"
    assert client.get("/audit/export/exe").status_code == 404
    assert world.client(None).get("/audit/export/jsonl").status_code == 303


def test_a_release_of_a_forgotten_entry_is_shown(world: World, client: TestClient) -> None:
    publish(world, client)
    with world.store._database.write() as connection:
        connection.execute(sa.text("DELETE FROM entries"))
    for page in ("/releases", "/releases/1"):
        answer = client.get(page)
        assert (answer.status_code, release_texts.REMOVED_ITEM in answer.text) == (200, True)
