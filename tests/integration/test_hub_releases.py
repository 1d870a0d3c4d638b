"""Releases, experiments and the audit log in the hub, over a real learning database and a real git repository."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from hub import audit_pages, release_texts, release_views, texts
from learning import pipeline
from learning.adapters.audit_log import append_row
from learning.audit import verify
from learning.model import (
    Change,
    Experiment,
    ExperimentState,
    ReleaseKind,
    Rollout,
    Variant,
)
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


# --- experiments ----------------------------------------------------------------------------------


def test_experiments_are_listed_with_what_they_have_shown(world: World, client: TestClient) -> None:
    assert "There is no experiment yet." in client.get("/experiments").text
    draft = Experiment(
        experiment_id="ab" * 8,
        name=HOSTILE,
        label="faq/loyalty",
        response="utter_faq/loyalty",
        metric="resolved",
        variants=(Variant("control", None), Variant("short", HOSTILE)),
        state=ExperimentState.DRAFT,
        who="ann",
        created_at=NOW,
    )
    world.store.save_experiment(None, draft, "ann", NOW)
    html = client.get("/experiments").text
    assert release_texts.EXPERIMENT_STATES[ExperimentState.DRAFT] in html
    running = replace(draft, state=ExperimentState.RUNNING, started_at=NOW - timedelta(days=2))
    world.store.save_experiment(draft, running, "ann", NOW)
    html = client.get("/experiments").text

    assert "There is too little to name a winner" in html
    assert release_texts.CURRENT_WORDING in html
    assert "<script>alert" not in html
    assert release_texts.EXPERIMENT_ITEM in client.get("/releases").text


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
