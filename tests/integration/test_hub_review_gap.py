"""One gap: its history, rearranging it, versions tried before they are approved, and the sandbox beside it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hub import texts
from hub.review.sandboxes import Sandboxes
from learning import pipeline
from learning.gap_history import StepKind, read_history
from learning.loop import Loop
from learning.mining import read_conversations
from learning.model import Action, Decision, Entry, GapKind, Proposal, ProposalKind, ProposalState
from learning.review import round_id
from learning.sandbox import Exchange, Reply, Understood
from learning.version_replay import Bench, replay_version
from tests.hub_world import NOW, WITH_ANSWER, Page, TestClient, World, a_proposal, fill, post
from tests.hub_world import project as project
from tests.hub_world import world as world
from tests.learning_builders import FakeEncoder, TrackerFile, gap

GAP = a_proposal(1).gap_id
ID, OTHER = round_id(GAP, []), f"{2:016x}"  # the first is made anew under its id by every rearrangement
PATH = f"/proposals/{ID}"
REARRANGE = f"{PATH}/rearrange"
DEADLINE = 5.0  # seconds
POINTS = ("do i get points", "points program please", "how many points do i have")
STUDENTS = (
    "is there a student discount",
    "discount for students",
    "student discount code",
    "any discount student card",
)


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with world.client() as client:
        yield client


def own(**changes: Any) -> Proposal:
    return a_proposal(1, **{"proposal_id": ID, **changes})


def use(world: World, **changes: Any) -> Loop:
    loop = replace(world.loop, **changes)
    world.app.state.hub = replace(world.app.state.hub, loop=loop)
    return loop


@pytest.fixture
def talked(world: World) -> Loop:
    """Seven people who ask for two things in what was taken for one need, with an encoder that tells words apart."""
    (world.root / "endpoints.yml").write_text("tracker_store:\n  type: SQL\n  dialect: sqlite\n  db: var/tracker.db\n")
    (world.root / "data" / "nlu.yml").write_text(
        "nlu:\n- intent: track_order\n  examples: |\n    - where is my parcel\n    - track my order\n"
    )
    (world.root / "domain.yml").write_text("intents:\n- track_order\n")
    tracker = TrackerFile(world.root / "var" / "tracker.db")
    for number, text in enumerate((*POINTS, *STUDENTS)):
        tracker.say(f"person{number}", text)
    loop = use(world, encoder=FakeEncoder())
    read_conversations(loop, lambda batch: None)
    turns = loop.store.fresh_turns(10)
    proposal = own(examples=(*POINTS, *STUDENTS), people=7, turns=7)
    rows = FakeEncoder().encode_deep([turn.text for turn in turns])
    world.store.save_grouping(
        gaps=[gap(GAP, people=7, turns=turns)],
        means={},
        metric="m",
        members={turn.turn_id: GAP for turn in turns},
        pool={},
        vectors={turn.turn_id: row for turn, row in zip(turns, rows, strict=True)},
        noise=(),
        state="",
    )
    world.store.save_proposals([proposal], NOW)
    return loop


# --- the page of a gap ------------------------------------------------------------------------------


def test_a_gap_shows_the_proposal_that_waits_for_it(world: World, client: TestClient) -> None:
    fill(world.store, own())
    html = client.get(f"/gaps/{GAP}").text
    assert f'action="{PATH}/approve"' in html
    assert re.search(r'href="/conversations/[0-9a-f]+#turn-[0-9a-f]+"', html)
    assert client.get("/gaps/ffff").status_code == 404


def test_a_gap_without_a_proposal_says_what_is_missing(world: World, client: TestClient) -> None:
    fill(world.store, own())
    world.store.save_upkeep([gap("b" * 16, people=1, kind=GapKind.NEW_NEED, name="gift wrap")])
    html = client.get("/gaps/" + "b" * 16).text
    missing = world.loop.settings.gaps.min_people - 1
    assert texts.review.NO_PROPOSAL_PEOPLE.format(missing=texts.people(missing)) in html
    assert 'href="/gaps/' + "b" * 16 in client.get("/").text


def test_the_history_tells_what_was_tried_and_that_it_came_back(world: World, client: TestClient) -> None:
    fill(world.store, own())
    pipeline.review(world.loop, Decision(ID, Action.REJECT, "kim", NOW, reason="not now"))
    world.clock.at += timedelta(days=1)
    pipeline.review(world.loop, Decision(ID, Action.UNDO, "kim", world.clock.at))
    post(client, PATH, f"{PATH}/approve", WITH_ANSWER)
    world.clock.at += timedelta(days=60)
    back = replace(world.store.gap(GAP), reopened_at=world.clock.at)
    world.store.update_gaps([back])
    second = a_proposal(2, gap_id=GAP, created_at=world.clock.at)
    world.store.save_proposals([second], world.clock.at)
    steps = read_history(world.loop, back)
    html = client.get(f"/gaps/{GAP}").text
    assert [step.kind for step in steps] == [
        StepKind.FIRST,
        StepKind.PROPOSED,
        StepKind.REJECTED,
        StepKind.UNDONE,
        StepKind.APPROVED,
        StepKind.LIVE,
        StepKind.CAME_BACK,
        StepKind.PROPOSED,
    ]
    assert "Approved in November 2025, came back in January 2026." in html
    assert texts.review.STEPS[StepKind.LIVE].format(release=1) in html
    assert ': <span class="quiet" dir="auto">not now</span>' in html
    assert f'action="/proposals/{OTHER}/approve"' in html, "the one that waits"
    assert f'<a href="{PATH}">' in html, "the one before it"


def test_assigning_to_a_colleague_with_an_account(world: World, client: TestClient) -> None:
    fill(world.store, own())
    accounts = world.app.state.hub.accounts
    accounts.set_password("kim", NOW)
    done = post(client, PATH, f"{PATH}/assign", {"to": "kim"})
    refused = post(client, PATH, f"{PATH}/assign", {"to": "mallory"})
    assert done.status_code == 303
    assert refused.status_code == 422
    assert texts.review.NOT_A_REVIEWER.format(who="mallory") in refused.text
    assert world.store.proposal(ID).assignee == "kim"


def test_what_was_typed_survives_a_conflict(world: World, client: TestClient) -> None:
    fill(world.store, own())
    fields = dict(Page(client.get(PATH).text).forms[f"{PATH}/approve"])
    world.store.save_proposals([own(examples=("something else", "and more"))], NOW)
    typed = {**fields, "answer": "My own words.", "keep": "1", "more": "one more"}
    answer = client.post(f"{PATH}/approve", data=typed)
    assert answer.status_code == 409
    assert "My own words." in answer.text
    assert "one more" in answer.text
    assert len(re.findall(r'name="keep" value="\d" checked', answer.text)) == 2, "which were ticked is another matter"


# --- rearranging ------------------------------------------------------------------------------------


def test_split_off_and_merged_back(talked: Loop, world: World, client: TestClient) -> None:
    done = post(client, REARRANGE, f"{PATH}/split", {"text": list(STUDENTS)})
    page = client.get(PATH).text
    (left,) = [item for item in world.store.proposals() if item.proposal_id != ID]
    assert done.headers["location"] == PATH
    assert "Split" in page
    assert set(left.examples) == set(STUDENTS)
    assert world.store.proposal(ID).turns == 3
    html = client.get(REARRANGE).text
    chosen = re.findall(r'name="other" value="([^"]+)"', html)
    merged = post(client, REARRANGE, f"{PATH}/merge", {"other": chosen[0]})
    assert merged.status_code == 303
    assert world.store.proposal(ID).turns == 7
    assert world.store.proposal(left.proposal_id).state is ProposalState.SUPERSEDED


def test_an_example_is_moved_to_where_it_belongs(talked: Loop, world: World, client: TestClient) -> None:
    done = post(client, REARRANGE, f"{PATH}/move", {"example": STUDENTS[0], "to": "track_order"})
    (moved,) = [item for item in world.store.proposals() if item.label == "track_order"]
    assert done.headers["location"] == PATH
    assert STUDENTS[0] in moved.examples
    assert STUDENTS[0] not in world.store.proposal(ID).examples


@pytest.mark.parametrize(
    ("what", "sent", "said"),
    [
        ("split", {}, texts.review.SPLIT_NEED),
        ("split", {"text": "nobody said this"}, "is none of its messages"),
        ("split", {"text": [*POINTS, *STUDENTS]}, "cannot be split"),
        ("merge", {}, texts.review.MERGE_NEED),
        ("merge", {"other": "ffff.x"}, "is no proposal"),
        ("move", {"to": "track_order"}, texts.review.MOVE_NEED),
        ("move", {"example": STUDENTS[0], "to": "no_such_intent"}, "is no label that the bot knows"),
    ],
)
def test_what_cannot_be_rearranged_is_said_and_stays_chosen(
    talked: Loop, world: World, client: TestClient, what: str, sent: dict[str, Any], said: str
) -> None:
    form = dict(Page(client.get(REARRANGE).text).forms[f"{PATH}/split"])
    answer = client.post(f"{PATH}/{what}", data={**form, **sent})
    assert answer.status_code == 422
    assert said in answer.text.replace("&#39;", "'")
    assert world.store.proposal(ID).examples == (*POINTS, *STUDENTS)
    if sent.get("text") == [*POINTS, *STUDENTS]:
        assert len(re.findall(r'name="text" value="[^"]+" checked', answer.text)) == 7


def test_a_stale_page_rearranges_nothing(talked: Loop, world: World, client: TestClient) -> None:
    form = dict(Page(client.get(REARRANGE).text).forms[f"{PATH}/split"])
    pipeline.review(talked, Decision(ID, Action.REJECT, "kim", NOW, reason="no"))
    answer = client.post(f"{PATH}/split", data={**form, "text": list(STUDENTS)})
    assert answer.status_code == 409
    assert texts.review.REARRANGE_NOT in answer.text


def test_what_else_waits_can_be_searched(talked: Loop, world: World, client: TestClient) -> None:
    for number, name in ((2, "gift wrap"), (3, "student card")):
        fill(world.store, a_proposal(number, examples=(f"about {name}",)), name=name)
    assert "student card" in client.get(f"{REARRANGE}?q=CARD+student").text
    assert "gift wrap" not in client.get(f"{REARRANGE}?q=CARD+student").text
    assert texts.review.MERGE_NONE in client.get(f"{REARRANGE}?q=nothing-like-this").text


# --- trying before deciding -------------------------------------------------------------------------


def test_a_changed_version_is_tried_before_it_is_approved(talked: Loop, world: World, client: TestClient) -> None:
    kept = [str(number) for number in range(7)]
    whole = send_version(client, "try", keep=kept, answer="Ten points.")
    fewer = send_version(client, "try", keep=["3"], answer="Ten points.", more="a thing unheard of")
    assert whole.status_code == fewer.status_code == 200
    assert tried(whole.text)[0] == tried(whole.text)[1], "only the answer is another one"
    assert tried(fewer.text)[1] < tried(fewer.text)[0]
    assert "a thing unheard of" in fewer.text
    assert "Ten points." in fewer.text
    assert world.store.decisions() == []


def send_version(client: TestClient, button: str, **typed: Any) -> Any:
    """Fill in the form of the approval, and press another button of it."""
    fields: dict[str, Any] = dict(Page(client.get(PATH).text).forms[f"{PATH}/approve"])
    return client.post(f"{PATH}/{button}", data={**fields, **typed})


def tried(html: str) -> tuple[int, int]:
    """Return how many messages the suggestion fixes, and the version."""
    row = re.search(rf"{texts.review.FIXES}</th>(.*?)</tr>", html, re.S)
    assert row
    suggested, version = (int(number) for number in re.findall(r"(\d+) of 7", row.group(1)))
    return suggested, version


def test_the_same_version_is_replayed_as_mining_does(talked: Loop, world: World) -> None:
    suggestion = world.store.proposal(ID)
    pipeline.split(talked, ID, list(STUDENTS), "kim", NOW)  # which replays what stays
    stays = world.store.proposal(ID)
    found = replay_version(talked, Bench.open(talked), stays, Decision(ID, Action.APPROVE, "kim", NOW))
    assert stays.replay == found
    assert suggestion.examples != stays.examples


def test_an_incomplete_version_is_not_tried(talked: Loop, world: World, client: TestClient) -> None:
    answer = send_version(client, "try", keep=[], answer="x")
    assert answer.status_code == 422
    assert texts.NEED_EXAMPLES in answer.text


class FakeBot:
    model = "20251121.tar.gz"

    def __init__(self) -> None:
        self.entries: Sequence[Entry] = ()

    def use(self, entries: Sequence[Entry]) -> None:
        self.entries = entries

    def understand(self, messages: Sequence[str]) -> list[Understood]:
        return [Understood("faq", 0.5) for _ in messages]

    def say(self, conversation: str, text: str) -> Exchange:
        found = [entry for entry in self.entries if text in entry.examples]
        replies = tuple(Reply(f"{entry.answer} <b>bold</b>") for entry in found)
        return Exchange(text, Understood("faq", 0.87, found[0].entry_id if found else None), replies)

    def close(self) -> None:
        pass


class FakeBots:
    def start(self, actions: str | None = None) -> FakeBot:
        return FakeBot()


@pytest.fixture
def sandboxes(world: World) -> Iterator[Sandboxes]:
    made = Sandboxes(FakeBots())
    world.app.state.hub = replace(world.app.state.hub, sandboxes=made)
    yield made
    made.stop_all()


def loaded(client: TestClient) -> str:
    deadline = time.monotonic() + DEADLINE
    while 'name="text"' not in (html := client.get(PATH).text):
        assert time.monotonic() < deadline, html
    return str(html)


def in_sandbox(client: TestClient, what: str, typed: dict[str, str] | None = None) -> Any:
    """Send a form of the sandbox; each leads back to its place on the page."""
    fields = dict(Page(client.get(PATH).text).forms[f"{PATH}/sandbox{what}#sandbox"])
    return client.post(f"{PATH}/sandbox{what}", data={**fields, **(typed or {})})


def test_the_sandbox_answers_with_the_suggestion_and_without(
    world: World, client: TestClient, sandboxes: Sandboxes
) -> None:
    fill(world.store, own())
    started = in_sandbox(client, "")
    loaded(client)
    said = in_sandbox(client, "/say", {"text": "do i get points 1", "compare": "1"})
    html = client.get(PATH).text
    assert started.headers["location"] == said.headers["location"] == f"{PATH}#sandbox"
    assert "One point for each dollar. &lt;b&gt;bold&lt;/b&gt;" in html
    assert texts.review.SANDBOX_NOTHING in html, "the bot without it has no answer"
    assert texts.review.SANDBOX_UNDERSTOOD.format(label="faq", confidence="87") in html
    assert world.store.entries() == [], "what is live stays as it is"
    assert "bold" not in world.client(role="admin").get(PATH).text, "it is one's own"
    in_sandbox(client, "/stop")
    assert 'name="text"' not in client.get(PATH).text


def test_the_sandbox_takes_my_version(world: World, client: TestClient, sandboxes: Sandboxes) -> None:
    fill(world.store, own())
    started = send_version(client, "sandbox", answer="Ten points.", keep=["0"], more="bonus?")
    assert started.status_code == 200
    assert "Ten points." in started.text, "what was typed is still there"
    html = loaded(client)
    assert texts.review.SANDBOX_READY_EDITED.format(model="20251121.tar.gz") in html
    in_sandbox(client, "/say", {"text": "bonus?"})
    assert "Ten points. &lt;b&gt;" in client.get(PATH).text


def test_too_long_empty_and_early_messages_are_refused(world: World, client: TestClient, sandboxes: Sandboxes) -> None:
    fill(world.store, own())
    token = dict(Page(client.get("/status").text).forms["/logout"])
    early = client.post(f"{PATH}/sandbox/say", data={**token, "text": "hello"})
    empty = client.post(f"{PATH}/sandbox/say", data={**token, "text": " "})
    long = client.post(f"{PATH}/sandbox/say", data={**token, "text": "x" * 501})
    assert [answer.status_code for answer in (early, empty, long)] == [409, 422, 422]
    assert client.post("/proposals/ffff/sandbox", data=token).status_code == 404


def test_a_merge_shows_both_answers_side_by_side(world: World, client: TestClient) -> None:
    (world.root / "domain.yml").write_text(
        "responses:\n  utter_faq/a:\n  - text: Answer of a.\n  utter_faq/b:\n  - text: Answer of b.\n"
    )
    (world.root / "data" / "nlu.yml").write_text(
        "nlu:\n- intent: faq/a\n  examples: |\n    - one\n- intent: faq/b\n  examples: |\n    - two\n"
    )
    merge = own(kind=ProposalKind.MERGE, label="faq/a", target="faq/b", answer=None, sources=())
    world.store.save_upkeep([gap(GAP, people=0, kind=GapKind.CONFUSED, name="a and b", intent="faq/a")])
    world.store.save_proposals([merge], NOW)
    sides = re.search(r'class="review-sides">(.*?)</fieldset>', client.get(PATH).text, re.S)
    assert sides
    assert re.findall(r"<code>(faq/\w)</code>.*?>Answer of (\w)\.<", sides.group(1), re.S) == [
        ("faq/a", "a"),
        ("faq/b", "b"),
    ]
