"""The pages of all conversations, over a real tracker store, a real learning database and real mining."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.context import EXPORTS_AT_ONCE
from hub.conversations import filters
from hub.conversations.blank import is_blank
from hub.texts import conversations as words
from learning import annotations as turn_annotations
from learning import bootstrap, browsing, conversation_files, pipeline, transcripts
from learning.browsing import Filter, ReviewMark
from learning.browsing_records import Verdict
from learning.errors import StoreError
from learning.model import sender_key
from learning.privacy import PatternRedactor
from tests.hub_world import HOSTILE, Page, TestClient, World, post
from tests.hub_world import make_project as make_hub_project
from tests.hub_world import world as world
from tests.learning_builders import START, FakeEncoder, TrackerFile, make_project, user_data

LIST = "/conversations"
LONG = "why " * 3_000
A_DAY_LATER = START + timedelta(days=1)
HIDDEN = "\u200b\u200d\u2060"


class CopiedTracker(TrackerFile):
    """The tracker store of a copied project, to write on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = sqlite3.connect(path)
        self._ticks = itertools.count(100)
        self._waited = 0.0


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with seven conversations of as many people, mined a day later; each test gets a copy."""
    root = make_hub_project(tmp_path_factory.mktemp("talks"))
    make_project(root)
    tracker = TrackerFile(root / "var/tracker.db")
    tracker.say("ann", "where is my parcel", "track_order", 0.97, "It comes tomorrow.")
    tracker.say("ann", "and the loyalty points?")
    tracker.say("bob", HOSTILE)
    tracker.say("cleo", "reset password", "reset_password", 0.41, "I have sent you a link.")
    tracker.say("dan", LONG)
    tracker.say("eve", HIDDEN)
    tracker.say("fay", "zalgo " + "e\u0301\u0323\u0334" * 200, "greet", 0.9, "Hello!")
    tracker.say("gus", "opening hours", "faq", 0.9, "=1+1 We open at nine.", input_channel="slack")
    loop = replace(bootstrap.build(root).loop, redactor=PatternRedactor(), now=lambda: A_DAY_LATER)
    pipeline.mine(replace(loop, encoder=FakeEncoder()))
    return root


def read(world: World) -> None:
    """Mine what has been said since."""
    world.clock.at = A_DAY_LATER + timedelta(hours=1)
    pipeline.mine(replace(world.loop, encoder=FakeEncoder()))


@pytest.fixture
def tracker(world: World) -> TrackerFile:
    world.clock.at = A_DAY_LATER
    return CopiedTracker(world.root / "var/tracker.db")


@pytest.fixture
def client(world: World, tracker: TrackerFile) -> Iterator[TestClient]:
    with world.client() as client:
        yield client


def of(world: World, person: str) -> str:
    """The newest conversation of a person."""
    (item, *_) = browsing.find(world.loop, Filter(person=sender_key(person))).items
    return item.conversation_id


def turns(world: World, conversation_id: str) -> Any:
    return transcripts.read(world.loop, conversation_id).turns


def shown(html: str) -> list[str]:
    """The conversations of a list, in its order."""
    return re.findall(r'<li class="talk[^>]*id="talk-(\w+)"', html)


# --- the list ---------------------------------------------------------------------------------------


def test_the_list_shows_all_the_newest_first(world: World, client: TestClient) -> None:
    html = client.get(LIST).text

    assert shown(html) == [of(world, name) for name in ("gus", "fay", "eve", "dan", "cleo", "bob", "ann")]
    assert "7 conversations" in html
    assert "where is my parcel" in html
    assert words.NO_TEXT in html


@pytest.mark.parametrize(
    ("query", "people"),
    [
        ("text=parcel", ["ann"]),
        ("text=parcel+-points", []),
        ("channel=slack", ["gus"]),
        ("intent=reset_password", ["cleo"]),
        ("intent=reset_password&intent=greet", ["fay", "cleo"]),
        ("max_conf=0.5&intent=reset_password", ["cleo"]),
        ("signal=low_confidence", ["cleo"]),
        ("since=2024-03-02", []),
        ("until=2024-03-01&text=opening", ["gus"]),
        ("state=done", []),
        ("state=new&channel=slack", ["gus"]),
    ],
)
def test_each_filter_finds_what_fits_and_can_be_removed(
    world: World, client: TestClient, query: str, people: list[str]
) -> None:
    html = client.get(f"{LIST}?{query}").text

    assert shown(html) == [of(world, name) for name in people]
    chips = html.count('class="chip removable"')
    assert chips == query.count("&") + 1
    for conversation_id in shown(html):
        assert f'href="{LIST}/{conversation_id}?' in html


def test_a_filter_that_cannot_be_used_says_so_beside_the_others_and_keeps_what_was_typed(client: TestClient) -> None:
    answer = client.get(f"{LIST}?channel=slack&min_conf=high&since=yesterday")

    assert answer.status_code == 422
    assert "lowest confidence from" in answer.text
    assert 'value="high"' in answer.text
    assert len(shown(answer.text)) == 1


def test_a_cursor_that_is_none_begins_the_list_anew(client: TestClient) -> None:
    answer = client.get(f"{LIST}?after=nonsense")
    assert (answer.status_code, len(shown(answer.text))) == (200, 7)


def test_pages_go_on_without_gap_or_repetition(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = shown(client.get(LIST).text)
    monkeypatch.setattr(browsing.find, "__defaults__", (None, 3, None))
    seen: list[str] = []
    address = LIST
    while address:
        html = client.get(address).text
        seen += shown(html)
        onward = re.search(r'rel="next"[^>]*href="([^"]+)"', html)
        address = onward[1].replace("&amp;", "&") if onward else ""
    back = re.search(r'rel="prev"[^>]*href="([^"]+)"', html)

    assert seen == everything
    assert back
    assert shown(client.get(back[1].replace("&amp;", "&")).text) == everything[3:6]


def test_what_is_newer_is_told_and_the_list_stays(world: World, client: TestClient, tracker: TrackerFile) -> None:
    html = client.get(LIST).text
    address = re.search(r'data-live-src="([^"]+)"', html)
    assert address
    source = address[1].replace("&amp;", "&")
    assert "since you opened" not in client.get(source).text
    tracker.wait(7200)
    tracker.say("hal", "is anybody there")
    read(world)

    assert words.NEWER_FOUND.format(count="1 conversation") in client.get(source).text


# --- many at once -----------------------------------------------------------------------------------


def test_many_are_marked_and_tagged_at_once(world: World, client: TestClient) -> None:
    ids = [of(world, "ann"), of(world, "bob")]
    first = post(client, f"{LIST}?text=parcel", f"{LIST}/bulk", {"id": ids, "do": "flagged"})
    again = post(client, LIST, f"{LIST}/bulk", {"id": ids, "do": "tag", "tag": "look here"})

    assert first.headers["location"] == f"{LIST}?text=parcel#talk-{ids[0]}"
    assert again.status_code == 303
    html = client.get(f"{LIST}?tag=look+here&state=flagged").text
    assert shown(html) == [ids[1], ids[0]]
    assert words.DONE_TAGGED.format(count="2 conversations", tag="look here") in html
    assert post(client, LIST, f"{LIST}/bulk", {"id": ids, "do": "untag", "tag": "look here"}).status_code == 303
    assert shown(client.get(f"{LIST}?tag=look+here").text) == []
    assert {row.who for row in world.store.read_audit()} == {"demo"}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"do": "seen"}, words.NEED_SELECTION),
        ({"do": "tag"}, words.NEED_TAG),
        ({"do": "burn"}, words.NEED_STATE),
        ({"do": "tag", "tag": "x" * 200}, "tag"),
    ],
)
def test_a_bulk_that_lacks_something_changes_nothing(
    world: World, client: TestClient, sent: dict[str, str], said: str
) -> None:
    ids = [] if said == words.NEED_SELECTION else [of(world, "ann")]
    answer = post(client, LIST, f"{LIST}/bulk", {"id": ids, **sent})

    assert answer.status_code == 422
    assert said in answer.text
    assert browsing.item(world.loop, of(world, "ann")).review is ReviewMark.NEW
    assert list(world.store.read_audit()) == []


def test_a_filter_is_saved_for_oneself_or_for_all_and_deleted_by_its_owner(world: World, client: TestClient) -> None:
    save = f"{LIST}/filters"
    assert post(client, f"{LIST}?channel=slack", save, {"name": "From Slack"}).status_code == 303
    assert post(client, f"{LIST}?state=new", save, {"name": HOSTILE[:20], "shared": "1"}).status_code == 303
    own = client.get(LIST).text
    with world.client(role="reviewer") as colleague:
        others = colleague.get(LIST).text
        (shared,) = browsing.saved_filters(world.loop, "somebody else")
        stolen = post(client, LIST, f"{save}/{shared.filter_id}/delete")
        assert "From Slack" in own
        assert f'href="{LIST}?channel=slack"' in own
        assert "From Slack" not in others
        assert f"{save}/{shared.filter_id}/delete" not in others
    assert stolen.status_code == 303
    assert "<script>" not in own
    assert [one.name for one in browsing.saved_filters(world.loop, "demo")] == ["From Slack"]
    assert post(client, LIST, save, {"name": " "}).status_code == 422


# --- one conversation -------------------------------------------------------------------------------


def test_a_transcript_shows_how_each_message_was_understood(world: World, client: TestClient) -> None:
    html = client.get(f"{LIST}/{of(world, 'ann')}").text

    for said in ("where is my parcel", "It comes tomorrow.", "track_order", "0.97", words.NOT_UNDERSTOOD):
        assert said in html
    assert words.SIGNAL_MEANINGS["fallback"] in html
    for one in turns(world, of(world, "ann")):
        assert f'id="turn-{one.turn_id}"' in html


def test_a_turn_says_its_entities_actions_feedback_and_learned_answer(world: World, tracker: TrackerFile) -> None:
    tracker.wait(7200)
    entities = [{"entity": "product", "value": "lamp", "start": 4, "end": 8}]
    data = user_data("the lamp is late", "track_order", 0.8, parsed={"entities": entities})
    tracker.add("ivy", {**data, "message_id": "m1"})
    tracker.add("ivy", {"event": "action", "name": "action_track", "policy": None, "confidence": None})
    tracker.add("ivy", {"event": "slot", "name": "order_open", "value": True})
    tracker.add("ivy", {"event": "bot", "text": "Sorry about the lamp.", "data": {}, "metadata": {}})
    tracker.add("ivy", {"event": "slot", "name": "feedback", "value": "down"})
    read(world)
    with world.client() as client:
        html = client.get(f"{LIST}/{of(world, 'ivy')}").text

    for said in ("product", "lamp", "action_track", "order_open"):
        assert said in html


def test_next_and_previous_stay_in_the_list_that_one_came_from(world: World, client: TestClient) -> None:
    newest, middle, oldest = (of(world, name) for name in ("fay", "cleo", "ann"))
    query = "intent=greet&intent=reset_password&intent=track_order"
    html = client.get(f"{LIST}/{middle}?{query}").text.replace("&amp;", "&")

    assert f'rel="prev" data-key="p" href="{LIST}/{newest}?{query}"' in html
    assert f'rel="next" data-key="n" href="{LIST}/{oldest}?{query}"' in html
    assert f'href="{LIST}?{query}#talk-{middle}"' in html


def test_right_wrong_and_a_note_are_kept_with_who_said_so_and_can_be_undone(world: World, client: TestClient) -> None:
    conversation = of(world, "ann")
    first, second = turns(world, conversation)
    page = f"{LIST}/{conversation}"
    right = post(client, page, f"{page}/turns/{first.turn_id}", {"verdict": "right"})
    changes = {"verdict": "wrong", "right": "track_order", "note": HOSTILE, "seen": second.mark}
    wrong = post(client, page, f"{page}/turns/{second.turn_id}", changes)

    assert (right.status_code, wrong.status_code) == (303, 303)
    assert wrong.headers["location"] == f"{page}#turn-{second.turn_id}"
    html = client.get(page).text
    assert words.SHOULD_BE in html
    assert "alert(1)&gt;" in html
    assert "<script>alert" not in html
    said = turn_annotations.checked_in(world.loop, [conversation])
    assert [(one.verdict, one.right, one.who) for one in said] == [
        (Verdict.RIGHT, "", "demo"),
        (Verdict.WRONG, "track_order", "demo"),
    ]
    undo = f"{page}/annotations/{said[1].annotation_id}/undo"
    sent = dict(Page(html).forms[undo])
    assert client.post(undo, data=sent).status_code == 303
    assert [one.verdict for one in turn_annotations.checked_in(world.loop, [conversation])] == [Verdict.RIGHT]
    twice = client.post(undo, data=sent)
    assert twice.status_code == 409
    assert [one.verdict for one in turn_annotations.checked_in(world.loop, [conversation])] == [Verdict.RIGHT]


def test_a_correction_waits_as_an_example_in_a_proposal(world: World, client: TestClient) -> None:
    conversation = of(world, "ann")
    _, second = turns(world, conversation)
    page = f"{LIST}/{conversation}"
    answer = post(
        client,
        page,
        f"{page}/turns/{second.turn_id}",
        {"verdict": "wrong", "right": "faq/opening_hours", "note": "", "seen": second.mark},
    )

    assert answer.status_code == 303
    html = client.get(page).text
    assert words.DONE_EXAMPLE.format(label="faq/opening_hours") in html
    (proposal,) = [one for one in world.store.proposals() if one.label == "faq/opening_hours"]
    assert any("loyalty points" in example for example in proposal.examples)
    assert f'href="/proposals/{proposal.proposal_id}"' in html


def test_a_name_that_the_assistant_does_not_know_is_refused_and_kept_in_the_field(
    world: World, client: TestClient
) -> None:
    conversation = of(world, "ann")
    first, _ = turns(world, conversation)
    page = f"{LIST}/{conversation}"
    sent = {"verdict": "wrong", "right": "track_odrer", "note": "typed", "seen": first.mark}
    answer = post(client, page, f"{page}/turns/{first.turn_id}", sent)

    assert answer.status_code == 422
    assert words.DID_YOU_MEAN.format(labels="track_order") in answer.text
    assert 'value="track_odrer"' in answer.text
    assert 'value="typed"' in answer.text
    assert turn_annotations.checked_in(world.loop, [conversation]) == []


def test_the_second_of_two_people_is_told(world: World, client: TestClient) -> None:
    conversation = of(world, "cleo")
    (turn,) = turns(world, conversation)
    page = f"{LIST}/{conversation}"
    before = client.get(page).text
    turn_annotations.annotate(world.loop, conversation, turn.turn_id, "colleague", Verdict.RIGHT)
    browsing.set_review(world.loop, [conversation], ReviewMark.FLAGGED, "colleague")
    fields = dict(Page(before).forms[f"{page}/turns/{turn.turn_id}"])
    judged = client.post(f"{page}/turns/{turn.turn_id}", data={**fields, "verdict": "wrong", "right": ""})
    rest = client.post(f"{page}/rest-right", data=dict(Page(before).forms[f"{page}/rest-right"]))
    state = client.post(f"{page}/review", data={**dict(Page(before).forms[f"{page}/review"]), "state": "done"})

    assert (judged.status_code, rest.status_code, state.status_code) == (409, 409, 409)
    assert "colleague" in judged.text
    assert words.CHANGED_STATE.format(state="flagged") in state.text
    (said,) = turn_annotations.checked_in(world.loop, [conversation])
    assert (said.who, said.verdict) == ("colleague", Verdict.RIGHT)
    assert browsing.item(world.loop, conversation).review is ReviewMark.FLAGGED


def test_a_second_click_is_no_conflict(world: World, client: TestClient) -> None:
    conversation = of(world, "cleo")
    (turn,) = turns(world, conversation)
    page = f"{LIST}/{conversation}"
    right = {"csrf": dict(Page(client.get(page).text).forms["/logout"])["csrf"], "verdict": "right", "seen": turn.mark}
    other = f"{LIST}/{of(world, 'ann')}"
    rest = dict(Page(client.get(other).text).forms[f"{other}/rest-right"])
    first = [client.post(f"{page}/turns/{turn.turn_id}", data=right).status_code for _ in range(2)]
    second = [client.post(f"{other}/rest-right", data=rest).status_code for _ in range(2)]

    assert (first, second) == ([303, 303], [303, 303])
    assert len(turn_annotations.checked_in(world.loop, [conversation])) == 1
    assert len(turn_annotations.checked_in(world.loop, [of(world, "ann")])) == 2


def test_the_key_for_the_rest_works_where_every_message_is_judged(world: World, client: TestClient) -> None:
    conversation = of(world, "cleo")
    (turn,) = turns(world, conversation)
    page = f"{LIST}/{conversation}"
    turn_annotations.annotate(world.loop, conversation, turn.turn_id, "demo", Verdict.WRONG)

    assert post(client, page, f"{page}/rest-right").status_code == 303
    assert [one.verdict for one in turn_annotations.checked_in(world.loop, [conversation])] == [Verdict.WRONG]
    assert browsing.item(world.loop, conversation).review is ReviewMark.DONE


def test_a_conversation_is_tagged_and_done_leads_on(world: World, client: TestClient) -> None:
    conversation, following = of(world, "cleo"), of(world, "bob")
    page = f"{LIST}/{conversation}"
    tagged = post(client, page, f"{page}/tags", {"tag": "<b>vip</b>"})
    empty = post(client, page, f"{page}/tags", {"tag": " "})
    done = post(client, page, f"{page}/review", {"state": "done"})

    assert (tagged.status_code, empty.status_code) == (303, 422)
    assert done.headers["location"] == f"{LIST}/{following}"
    html = client.get(page).text
    assert "&lt;b&gt;vip&lt;/b&gt;" in html
    assert "<b>" not in html
    assert post(client, page, f"{page}/tags", {"tag": "<b>vip</b>", "do": "untag"}).status_code == 303
    assert browsing.item(world.loop, conversation).tags == ()


def test_hostile_texts_stay_texts_and_long_ones_are_folded(world: World, client: TestClient) -> None:
    pages = {name: client.get(f"{LIST}/{of(world, name)}").text for name in ("bob", "dan", "eve", "fay")}

    for html in (*pages.values(), client.get(LIST).text):
        assert "<script>alert" not in html
        assert {"script", "img"}.isdisjoint(Page(html).tags - {"img"})
        assert {name for name in Page(html).attributes if name.startswith("on") or name == "style"} == set()
    assert '<p class="said" dir="auto">' in pages["bob"]
    assert '<details class="long">' in pages["dan"]
    assert words.NO_TEXT in pages["eve"]
    assert '<details class="long">' not in pages["eve"]


@pytest.mark.parametrize("text", ["", "  \n", HIDDEN, "\u202e\u2066", "\u3164\u2800", "\ufeff", "\u0301"])
def test_what_nobody_can_see_is_called_so(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "\u200b.", "😀", "日本", "e\u0301", "-"])
def test_what_can_be_seen_is_shown(text: str) -> None:
    assert not is_blank(text)


def test_where_the_tracker_store_has_it_no_more_the_page_says_so(
    world: World, client: TestClient, tracker: TrackerFile
) -> None:
    conversation = of(world, "gus")
    tracker.execute("DELETE FROM events WHERE sender_id = 'gus'")
    answer = client.get(f"{LIST}/{conversation}")
    story = client.get(f"{LIST}/{conversation}/story")

    assert answer.status_code == 200
    assert transcripts.GONE in answer.text
    assert words.STORY_NONE in story.text
    assert client.get(f"{LIST}/{conversation}/story.yml").status_code == 404


# --- spot checks ------------------------------------------------------------------------------------


def test_a_spot_check_is_a_fixed_set_that_one_walks_through_and_resumes(world: World, client: TestClient) -> None:
    begun = post(client, LIST, f"{LIST}/checks", {"from": "since=2024-02-24&until=2024-03-01"})
    address = begun.headers["location"]
    draw = address.partition("draw=")[2]
    found = browsing.read_draw(world.loop, draw)
    assert len(found.conversation_ids) == 7
    for place, conversation in enumerate(found.conversation_ids, start=1):
        page = f"{LIST}/{conversation}"
        html = client.get(f"{page}?draw={draw}").text
        assert words.DRAW_PLACE.format(place=place, total=7) in html
        assert words.DRAW_DONE.format(done=place - 1) in html
        sent = post(client, f"{page}?draw={draw}", f"{page}/rest-right")
        address = sent.headers["location"]
        if place == 3:  # coffee
            assert f"{LIST}/{found.conversation_ids[3]}?draw={draw}" in client.get(f"{LIST}/checks/{draw}").text
    assert address == f"{LIST}/checks/{draw}"
    html = client.get(address).text
    assert words.DRAW_FINISHED in html
    assert words.DRAW_RIGHT_OF.format(right=8, checked="8 messages", share=100) in html
    assert words.DRAW_GOOD_OF.format(good=7, talks="7 conversations", share=100, low=65, high=100) in html
    assert words.DRAW_LINE.format(date="2 Mar 2024", done=7, total=7) in client.get(LIST).text


def test_what_was_marked_before_a_spot_check_does_not_begin_it(world: World, client: TestClient) -> None:
    early = of(world, "ann")
    page = f"{LIST}/{early}"
    post(client, page, f"{page}/rest-right")
    world.clock.at += timedelta(minutes=1)
    begun = post(client, LIST, f"{LIST}/checks", {"from": ""})
    draw = begun.headers["location"].partition("draw=")[2]
    found = browsing.read_draw(world.loop, draw)
    assert early in found.conversation_ids
    assert words.DRAW_NOTHING_CHECKED in client.get(f"{LIST}/checks/{draw}").text
    other = next(one for one in found.conversation_ids if one != early)
    post(client, f"{LIST}/{other}?draw={draw}", f"{LIST}/{other}/rest-right")
    assert "1 conversation" in client.get(f"{LIST}/checks/{draw}").text
    browsing.set_review(world.loop, found.conversation_ids, ReviewMark.DONE, "demo")
    finished = client.get(f"{LIST}/checks/{draw}").text
    assert "2 conversations" in finished, "once all are done, every mark tells of one that was drawn"


def test_a_draw_from_nothing_says_so(client: TestClient) -> None:
    answer = post(client, LIST, f"{LIST}/checks", {"from": "channel=carrier+pigeon"})
    assert (answer.status_code, words.EMPTY_DRAW in answer.text) == (422, True)


# --- files ------------------------------------------------------------------------------------------


def test_what_a_filter_finds_is_a_file(client: TestClient) -> None:
    table = client.get(f"{LIST}/export/csv?channel=slack")
    lines = client.get(f"{LIST}/export/jsonl?text=parcel")
    training = client.get(f"{LIST}/export/yaml")

    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["channel"] for row in rows] == ["slack"]
    assert table.headers["content-disposition"] == 'attachment; filename="conversations.csv"'
    (record,) = [json.loads(line) for line in lines.text.splitlines()]
    assert "where is my parcel" in json.dumps(record)
    assert yaml.safe_load(training.text)["stories"]
    assert client.get(f"{LIST}/export/exe").status_code == 404
    assert client.get(f"{LIST}/export/csv?since=soon").status_code == 422


def test_only_so_many_files_are_made_at_once(world: World, client: TestClient) -> None:
    places = world.app.state.hub.exports
    assert all(places.acquire(blocking=False) for _ in range(EXPORTS_AT_ONCE))
    busy = client.get(f"{LIST}/export/csv")
    assert busy.status_code == 503
    assert words.EXPORTS_BUSY in busy.text
    assert busy.headers["retry-after"]
    places.release()
    for _ in range(3):  # each gives its place back
        assert client.get(f"{LIST}/export/yaml").status_code == 200


def test_an_export_that_breaks_off_gives_its_place_back(world: World, client: TestClient, monkeypatch: Any) -> None:
    def broken(*_: object) -> Iterator[str]:
        yield "one\n"
        raise StoreError("is away", "learning database", "wait")

    monkeypatch.setattr(conversation_files, "export", broken)
    for _ in range(EXPORTS_AT_ONCE + 1):
        with suppress(Exception):
            client.get(f"{LIST}/export/csv")
    monkeypatch.undo()
    assert client.get(f"{LIST}/export/csv").status_code == 200


def test_a_test_story_is_shown_and_downloaded(world: World, client: TestClient) -> None:
    for name in ("ann", "bob", "dan", "eve"):
        conversation = of(world, name)
        html = client.get(f"{LIST}/{conversation}/story?text=parcel").text
        file = client.get(f"{LIST}/{conversation}/story.yml")
        (story,) = yaml.safe_load(file.text)["stories"]
        assert story["steps"]
        assert file.headers["content-disposition"] == f'attachment; filename="test_{conversation}.yml"'
        assert f'href="{LIST}/{conversation}?text=parcel"' in html
        assert "<script>alert" not in html


# --- who may ----------------------------------------------------------------------------------------


def test_a_viewer_sees_all_and_changes_nothing(world: World, tracker: TrackerFile) -> None:
    conversation = of(world, "ann")
    page = f"{LIST}/{conversation}"
    with world.client(role="viewer") as viewer:
        assert client_forms(viewer, LIST) == {LIST, "/logout"}
        assert client_forms(viewer, page) == {"/logout"}
        csrf = dict(Page(viewer.get(LIST).text).forms["/logout"])
        for address in (f"{LIST}/bulk", f"{LIST}/filters", f"{LIST}/checks", f"{page}/review", f"{page}/rest-right"):
            assert viewer.post(address, data={**csrf, "id": conversation, "do": "done"}).status_code == 403
        assert viewer.get(f"{page}/story").status_code == 200
    assert browsing.item(world.loop, conversation).review is ReviewMark.NEW


def client_forms(client: TestClient, address: str) -> set[str]:
    return set(Page(client.get(address).text).forms)


@pytest.mark.parametrize("path", ["nothing", "nothing/story", "nothing/story.yml", "checks/nothing"])
def test_what_there_is_not_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(f"{LIST}/{path}").status_code == 404


@pytest.mark.parametrize("path", ["review", "tags", "rest-right", "turns/t", "annotations/a/undo"])
def test_nothing_is_done_to_what_there_is_not(client: TestClient, path: str) -> None:
    csrf = dict(Page(client.get(LIST).text).forms["/logout"])
    sent = {**csrf, "state": "done", "was": "new", "verdict": "right", "tag": "x"}
    assert client.post(f"{LIST}/nothing/{path}", data=sent).status_code == 404


def test_a_filter_survives_its_way_through_forms() -> None:
    wanted = Filter(channel=("a&b=c", "d e"), text='"x y" -z', min_conf=0.25, release=12)
    assert filters.read_query(filters.query_of(wanted)) == wanted
