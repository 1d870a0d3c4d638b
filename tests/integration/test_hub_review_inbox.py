"""The inbox: curves, single decisions, decisions about many with one undo, and who may do what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from hub import texts
from learning import pipeline
from learning.model import Action, Decision, ProposalState
from tests.hub_world import NOW, Page, TestClient, World, a_proposal, fill, post
from tests.hub_world import project as project
from tests.hub_world import world as world

DECIDE = "/proposals/decide"
PENDING, LIVE, REJECTED = ProposalState.PENDING, ProposalState.PUBLISHED, ProposalState.REJECTED


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with world.client() as client:
        yield client


def three(world: World) -> None:
    for number in (1, 2, 3):
        fill(world.store, a_proposal(number))


def tickets(client: TestClient) -> dict[int, str]:
    """Return what the boxes of the inbox send, by the number of the proposal."""
    found = re.findall(r'name="chosen" value="([0-9a-f]+\.[0-9a-f]+)"', client.get("/").text)
    return {int(ticket.partition(".")[0], 16): ticket for ticket in found}


def decide(client: TestClient, do: str, *numbers: int, seen: dict[int, str] | None = None, **more: Any) -> Any:
    token = dict(Page(client.get("/status").text).forms["/logout"])
    chosen = seen or tickets(client)
    return client.post(DECIDE, data={**token, "do": do, "chosen": [chosen[number] for number in numbers], **more})


def states(world: World) -> list[ProposalState]:
    return [world.store.proposal(f"{number:016x}").state for number in (1, 2, 3)]


def test_each_gap_has_its_curve_with_a_text(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    html = client.get("/").text
    counts = ", ".join(["0"] * 11 + ["2"])
    assert f'aria-label="{texts.review.TREND_OF.format(weeks=12, counts=counts)}"' in html
    assert '<polyline class="spark-line" points="3,21 ' in html
    assert "One point for each dollar." in html, "what would be answered is read before it is approved"


def test_one_decision_from_the_list_can_be_undone(world: World, client: TestClient) -> None:
    three(world)
    done = decide(client, "approve", 2)
    assert done.headers["location"] == "/"
    assert states(world) == [PENDING, LIVE, PENDING]
    assert world.store.decisions()[0].reason == "", "a single decision belongs to no batch"
    post(client, "/", f"/proposals/{2:016x}/undo")
    assert states(world) == [PENDING, PENDING, PENDING]


def test_many_decisions_have_one_undo(world: World, client: TestClient) -> None:
    three(world)
    decide(client, "approve", 1, 3)
    assert states(world) == [LIVE, PENDING, LIVE]
    page = client.get("/").text
    assert texts.review.ALL_DONE.format(what="Approved", all=2) in page
    assert len(world.store.releases()) == 2
    decide(client, "reject", 2, quick="4")
    again = world.client()
    seen = bulk_mark(page)
    token = dict(Page(again.get("/status").text).forms["/logout"])
    taken_back = again.post("/proposals/bulk/undo", data={**token, "seen": seen})
    twice = again.post("/proposals/bulk/undo", data={**token, "seen": seen})
    assert taken_back.status_code == 303
    assert states(world) == [PENDING, REJECTED, PENDING], "the rejection was no part of the batch"
    assert world.store.decisions_about(f"{2:016x}")[0].reason == texts.REJECT_REASONS[3]
    assert twice.status_code == 409
    assert texts.review.UNDONE_BEFORE in twice.text


def bulk_mark(html: str) -> str:
    found = re.search(r'action="/proposals/bulk/undo">.*?name="seen" value="([0-9a-f]+)"', html, re.S)
    assert found
    return found.group(1)


def test_what_cannot_be_decided_does_not_stop_the_others(world: World, client: TestClient) -> None:
    three(world)
    fill(world.store, a_proposal(4, answer=None, sources=()))
    seen = tickets(client)
    pipeline.review(world.loop, Decision(f"{3:016x}", Action.REJECT, "kim", NOW, reason="no"))
    world.store.save_proposals([a_proposal(2, examples=("other words",))], NOW)
    decide(client, "approve", 1, 2, 3, 4, seen=seen)
    page = client.get("/").text
    assert states(world) == [LIVE, PENDING, REJECTED]
    assert texts.review.PART_DONE.format(done=1, all=4, what="approved") in page
    assert page.count(texts.review.STALE) == 2
    assert "has no answer yet" in page


def test_a_single_one_that_was_decided_or_changed_meanwhile_is_a_conflict(world: World, client: TestClient) -> None:
    three(world)
    seen = tickets(client)
    pipeline.review(world.loop, Decision(f"{3:016x}", Action.REJECT, "kim", NOW, reason="no"))
    world.store.save_proposals([a_proposal(2, examples=("other words",))], NOW)
    decided, changed = decide(client, "approve", 3, seen=seen), decide(client, "reject", 2, seen=seen, quick="1")
    assert decided.status_code == changed.status_code == 409
    assert "by kim" in decided.text
    assert texts.CHANGED in changed.text
    assert states(world) == [PENDING, PENDING, REJECTED]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"do": "reject"}, texts.NEED_REASON),
        ({"do": "reject", "quick": "9"}, texts.NEED_REASON),
        ({"do": "defer", "until": "date", "date": "2020-01-01"}, texts.NEED_FUTURE),
        ({"do": "defer", "until": "whenever"}, texts.NEED_DEFER),
        ({"do": "undo"}, texts.review.NEED_ACTION),
        ({"do": ""}, texts.review.NEED_ACTION),
    ],
)
def test_what_is_missing_is_said_and_the_ticks_stay(
    world: World, client: TestClient, sent: dict[str, str], said: str
) -> None:
    three(world)
    answer = decide(client, sent["do"], 1, 2, **{key: value for key, value in sent.items() if key != "do"})
    assert answer.status_code == 422
    assert said in answer.text
    assert len(re.findall(r'name="chosen" value="[^"]+" checked', answer.text)) == 2
    assert states(world) == [PENDING, PENDING, PENDING]


def test_nothing_ticked_and_nonsense_are_refused(world: World, client: TestClient) -> None:
    three(world)
    token = dict(Page(client.get("/status").text).forms["/logout"])
    empty = client.post(DECIDE, data={**token, "do": "approve"})
    unknown = client.post(DECIDE, data={**token, "do": "approve", "chosen": "ffff.ffff"})
    odd = client.post(DECIDE, data={**token, "do": "approve", "chosen": ["'; --", "é.\u202e"]})
    assert (empty.status_code, unknown.status_code) == (422, 409)
    assert texts.review.NEED_TICK in empty.text
    assert odd.status_code == 303
    assert texts.review.NONE_DONE.format(all=2, what="approved") in client.get("/").text


def test_put_off_for_a_week_a_month_or_until_doubled(world: World, client: TestClient) -> None:
    three(world)
    for number, until in ((1, "week"), (2, "month"), (3, "doubled")):
        assert decide(client, "defer", number, until=until).status_code == 303
    found = [world.store.proposal(f"{number:016x}") for number in (1, 2, 3)]
    assert [one.deferred_until for one in found] == [NOW + timedelta(days=7), NOW + timedelta(days=30), None]
    assert found[2].deferred_turns == 4


def test_a_reason_in_own_words_goes_before_a_frequent_one(world: World, client: TestClient) -> None:
    three(world)
    decide(client, "reject", 1, 2, quick="1", reason="we sell no such thing")
    kept = {world.store.decisions_about(f"{number:016x}")[0].reason.partition(" [bulk")[0] for number in (1, 2)}
    assert kept == {"we sell no such thing"}


def test_the_list_of_mine_stays_the_list_of_mine(world: World, client: TestClient) -> None:
    three(world)
    world.store.assign(world.store.proposal(f"{1:016x}"), "demo", "demo", NOW)
    html = client.get("/?mine=1").text
    assert f'action="{DECIDE}?mine=1"' in html
    token, chosen = dict(Page(html).forms["/logout"]), tickets(client)[1]
    answer = client.post(f"{DECIDE}?mine=1", data={**token, "do": "reject", "quick": "1", "chosen": chosen})
    assert answer.headers["location"] == "/?mine=1"


def test_who_only_looks_finds_nothing_to_press(world: World) -> None:
    three(world)
    with world.client(role="viewer") as viewer:
        for path in ("/", f"/proposals/{1:016x}", f"/gaps/{a_proposal(1).gap_id}"):
            page = Page(viewer.get(path).text)
            assert {form for form in page.forms if form.startswith("/proposals")} == set(), path
        assert decide(viewer, "approve", 1, seen={1: f"{1:016x}.x"}).status_code == 403
    assert states(world) == [PENDING, PENDING, PENDING]
