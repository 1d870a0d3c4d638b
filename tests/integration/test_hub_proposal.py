"""What the hub shows around a proposal and lets people do with it: conversations, undo, assignment, second readings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import git
import pytest

from hub import texts
from hub.review.details import read_blind
from hub.review.forms import fingerprint
from learning import pipeline
from learning.evidence import Speaker
from learning.loop import Loop
from learning.mining import read_conversations
from learning.model import (
    Action,
    Decision,
    GapKind,
    Proposal,
    ProposalKind,
    ProposalState,
    Replay,
    sender_key,
)
from tests.hub_world import (
    HOSTILE,
    NOW,
    WITH_ANSWER,
    Page,
    TestClient,
    World,
    a_proposal,
    branch_tip,
    fill,
    log_in,
    post,
)
from tests.hub_world import project as project
from tests.hub_world import world as world
from tests.learning_builders import TrackerFile, gap, save_members

ID = "0000000000000001"
PATH = f"/proposals/{ID}"
SECOND = f"/second/{ID}"


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with world.client() as client:
        yield client


def use(world: World, **changes: Any) -> Loop:
    """Let the hub work with another loop."""
    loop = replace(world.loop, **changes)
    world.app.state.hub = replace(world.app.state.hub, loop=loop)
    return loop


def everything_is_read_twice(world: World, share: float = 1.0) -> Loop:
    review = replace(world.loop.settings.review, second_reader_share=share)
    return use(world, settings=replace(world.loop.settings, review=review))


def with_tracker(root: Path) -> TrackerFile:
    (root / "endpoints.yml").write_text("tracker_store:\n  type: SQL\n  dialect: sqlite\n  db: var/tracker.db\n")
    return TrackerFile(root / "var" / "tracker.db")


def talk_about(world: World, sender: str, said: str, **more: Any) -> None:
    """Have somebody ask what fails, before and after other things, with an agent who answers."""
    tracker = with_tracker(world.root)
    tracker.say(sender, "where is my parcel", "track_order", 0.97, more.get("before", "It comes tomorrow."))
    tracker.say(sender, said, input_channel=more.get("channel", "slack"))
    tracker.add(sender, {"event": "bot", "text": more.get("agent", "One a dollar."), "metadata": {"agent": "tom"}})
    tracker.say(sender, "thanks a lot", "thank", 0.98, "You are welcome.")
    read_conversations(world.loop, lambda batch: None)
    (turn,) = [turn for turn in world.store.fresh_turns(10) if turn.sender == sender_key(sender)]
    proposal = a_proposal(1)
    save_members(world.store, [gap(proposal.gap_id, people=1, turns=[turn])], {turn.turn_id: proposal.gap_id})
    world.store.save_proposals([proposal], NOW)


def upkeep(world: World, proposal: Proposal, kind: GapKind) -> None:
    """Save a proposal about labels that two responses answer."""
    domain = "responses:\n  utter_faq/a:\n  - text: Answer of a.\n  utter_faq/b:\n  - text: Answer of b.\n"
    nlu = "nlu:\n- intent: faq/a\n  examples: |\n    - one\n- intent: faq/b\n  examples: |\n    - two\n"
    (world.root / "domain.yml").write_text(domain)
    (world.root / "data" / "nlu.yml").write_text(nlu)
    world.store.save_upkeep([gap(proposal.gap_id, people=0, kind=kind, name="faq/a and faq/b", intent="faq/a")])
    world.store.save_proposals([proposal], NOW)


def a_merge() -> Proposal:
    return a_proposal(1, kind=ProposalKind.MERGE, label="faq/a", target="faq/b", answer=None, sources=())


def a_retirement() -> Proposal:
    return a_proposal(1, kind=ProposalKind.RETIRE, label="faq/a", answer=None, sources=())


def decided(world: World, action: Action = Action.APPROVE, who: str = "kim", number: int = 1, **more: Any) -> None:
    """Have somebody decide about a proposal."""
    fill(world.store, a_proposal(number))
    pipeline.review(world.loop, Decision(f"{number:016x}", action, who, NOW, **more))


# --- evidence ---------------------------------------------------------------------------------------


def test_the_talk_around_a_failed_message_is_shown(world: World, client: TestClient) -> None:
    talk_about(world, "ann", "my points, ann@example.com", agent="Write to ann@example.com, one a dollar.")
    html = client.get(PATH).text
    lines = re.findall(
        r'<li class="(customer|bot|agent)( failed)?">.*?<p class="said" dir="auto">(.*?)</p>', html, re.S
    )
    assert lines == [
        ("customer", "", "where is my parcel"),
        ("bot", "", "It comes tomorrow."),
        ("customer", " failed", "my points, &lt;EMAIL_1&gt;"),
        ("bot", "", "Sorry, I did not get that."),
        ("agent", "", "Write to &lt;EMAIL_1&gt;, one a dollar."),
        ("customer", "", "thanks a lot"),
        ("bot", "", "You are welcome."),
    ]
    assert texts.SPEAKERS[Speaker.AGENT] in html
    assert re.search(rf"{texts.SIGNAL_KINDS['fallback']}</bdi> <strong>1<", html)
    assert re.search(r"slack</bdi> <strong>1<", html)
    assert texts.AGENTS in html
    assert "ann@example.com" not in html


def test_hostile_talk_stays_text(world: World, client: TestClient) -> None:
    talk_about(world, "ann", f"{HOSTILE} 1", before=f"{HOSTILE} 2", agent=f"{HOSTILE} 3", channel=f"{HOSTILE} 4")
    html = client.get(PATH).text
    page = Page(html)
    assert html.count("&lt;script&gt;") >= 4
    assert "script" not in page.tags
    assert "onerror" not in page.attributes


def test_conversations_that_cannot_be_shown_are_told(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    without_store = client.get(PATH)
    with_tracker(world.root)
    without_rows = client.get(PATH)
    assert without_store.status_code == without_rows.status_code == 200
    assert "The conversations cannot be shown" in without_store.text
    assert "None of the conversations is in the tracker store any more." in without_rows.text


def test_what_would_break_is_shown_with_its_label(world: World, client: TestClient) -> None:
    replay = Replay(2, 2, 10, 2, ("where is it", "and this"), ("track_order",), changed=3)
    fill(world.store, a_proposal(1, kind=ProposalKind.REWORD, label="faq/a", target="utter_faq/a", replay=replay))
    html = client.get(PATH).text
    assert re.search(r"where is it</span> <span[^>]*>answered as <code>track_order</code>", html)
    assert "and this</span></li>" in html, "older ones have no label"
    assert texts.REPLAY_REACHES.format(fixed=2, failures=2) in html
    assert texts.REPLAY_CHANGED.format(changed=3, successes=10) in html


def test_a_merge_shows_both_answers_and_asks_which_stays(world: World, client: TestClient) -> None:
    upkeep(world, a_merge(), GapKind.CONFUSED)
    html = client.get(PATH).text
    assert "Answer of a." in html
    assert "Answer of b." in html
    assert texts.MESSAGES not in html
    assert "there are no conversations to show" in html
    assert post(client, PATH, f"{PATH}/approve", {"label": "faq/b"}).status_code == 303
    assert texts.DONE_LIVE[ProposalKind.MERGE].format(number=1, target="faq/a", label="faq/b") in client.get("/").text
    assert "<bdi>faq/a</bdi> → <bdi>faq/b</bdi>" in client.get("/releases").text


def test_a_retirement_waits_for_a_date_only(world: World, client: TestClient) -> None:
    upkeep(world, a_retirement(), GapKind.UNUSED)
    html = client.get(PATH).text
    doubled = post(client, PATH, f"{PATH}/defer", {"until": "doubled"})
    assert 'value="doubled"' not in html
    assert texts.LAST_ASKED.format(date="1 Mar 2024") in html
    assert doubled.status_code == 422
    assert post(client, PATH, f"{PATH}/defer", {"date": "2025-12-01"}).status_code == 303


# --- undo -------------------------------------------------------------------------------------------


def test_an_approval_is_undone_where_it_is_announced(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    post(client, PATH, f"{PATH}/approve", WITH_ANSWER)
    answer = post(client, "/", f"{PATH}/undo")
    assert answer.headers["location"] == PATH
    assert texts.DONE_UNDONE.format(label="learned/question_1") in client.get(PATH).text
    assert world.store.proposal(ID).state is ProposalState.PENDING
    assert world.store.entries()[0].state is ProposalState.WITHDRAWN
    with git.Repo(world.root) as repository:
        assert not [item for item in repository.commit(branch_tip(world)).tree.traverse() if "entry-" in str(item.path)]


def test_a_decided_proposal_shows_what_was_decided_and_the_way_back(world: World, client: TestClient) -> None:
    decided(world, Action.REJECT, reason=f"no {HOSTILE}")
    html = client.get(PATH).text
    page = Page(html)
    done = post(client, PATH, f"{PATH}/undo", {"reason": "a mistake"})
    assert texts.ACTIONS[Action.REJECT] in html
    assert "kim" in html
    assert "script" not in page.tags
    assert f"{PATH}/approve" not in page.forms
    assert done.status_code == 303
    assert world.store.audit_rows()[-1].reason == "a mistake"
    assert f"{PATH}/approve" in Page(client.get(PATH).text).forms


def test_an_edit_is_shown_as_the_person_left_it(world: World, client: TestClient) -> None:
    decided(world, Action.EDIT, answer="Ten points.", label="learned/ten", examples=("points?",))
    html = client.get(PATH).text
    assert "Ten points." in html
    assert "<code>learned/ten</code>" in html
    assert "do i get points 1" not in html


def test_only_what_was_seen_is_undone(world: World) -> None:
    decided(world, Action.REJECT, reason="no")
    ann, bob = world.client(), world.client()
    fields = dict(Page(bob.get(PATH).text).forms[f"{PATH}/undo"])
    assert post(ann, PATH, f"{PATH}/undo").status_code == 303
    late = bob.post(f"{PATH}/undo", data=fields)
    assert late.status_code == 409
    assert texts.CHANGED in late.text
    assert [row.what for row in world.store.audit_rows()] == ["propose", "reject", "undo"]


def test_an_undo_that_comes_in_between_is_a_conflict_too(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided(world, Action.REJECT, reason="no")
    genuine = pipeline.review

    def overtaken(loop: Loop, decision: Decision) -> Any:
        monkeypatch.setattr(pipeline, "review", genuine)
        genuine(loop, replace(decision, who="bob"))
        return genuine(loop, decision)

    monkeypatch.setattr(pipeline, "review", overtaken)
    answer = post(client, PATH, f"{PATH}/undo")
    assert answer.status_code == 409
    assert texts.UNDONE_FIRST.format(state="waiting") in answer.text


def test_what_the_model_has_absorbed_is_not_undone(world: World, client: TestClient) -> None:
    decided(world)
    fields = dict(Page(client.get(PATH).text).forms[f"{PATH}/undo"])
    (entry,) = world.store.entries()
    world.store.absorb([(entry, "understood")], "m", "retrain", NOW)
    page = client.get(PATH)
    seen = {**fields, "seen": fingerprint(world.store.proposal(ID))}
    answer = client.post(f"{PATH}/undo", data=seen)
    assert f"{PATH}/undo" not in Page(page.text).forms
    assert texts.UNDO_ABSORBED in page.text
    assert answer.status_code == 409
    assert "cannot be undone" in answer.text


def test_what_was_put_off_is_brought_back(world: World, client: TestClient) -> None:
    decided(world, Action.DEFER, defer_turns=10)
    assert texts.BRING_BACK in client.get(PATH).text
    assert post(client, PATH, f"{PATH}/undo").status_code == 303
    assert world.store.proposal(ID).state is ProposalState.PENDING


def test_what_is_mined_anew_at_the_moment_of_the_decision_is_shown_again(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world.store, a_proposal(1))
    genuine = pipeline.review

    def overtaken(loop: Loop, decision: Decision) -> Any:
        world.store.save_proposals([replace(world.store.proposal(ID), warnings=("contradicts an article",))], NOW)
        return genuine(loop, decision)

    monkeypatch.setattr(pipeline, "review", overtaken)
    answer = post(client, PATH, f"{PATH}/approve", WITH_ANSWER)
    assert answer.status_code == 409
    assert texts.CHANGED in answer.text
    assert world.store.entries() == []


# --- assignment -------------------------------------------------------------------------------------


def test_people_take_and_give_back_proposals(world: World, client: TestClient) -> None:
    for number in (1, 2):
        fill(world.store, a_proposal(number))
    none_yet = client.get("/?mine=1").text
    taken = post(client, PATH, f"{PATH}/assign", {"to": "demo"})
    inbox, mine, page = client.get("/").text, client.get("/?mine=1").text, client.get(PATH).text
    assert texts.NOTHING_MINE in none_yet
    assert taken.status_code == 303
    assert inbox.count(f">{texts.FOR_YOU}<") == 1
    assert re.findall(r'href="/proposals/0+(\d)"', inbox) == ["2", "1"]
    assert re.findall(r'href="/proposals/0+(\d)"', mine) == ["1"]
    assert '<option value="demo" selected>demo</option>' in page
    assert post(client, PATH, f"{PATH}/assign", {"to": ""}).status_code == 303
    assert world.store.proposal(ID).assignee is None


def test_what_a_colleague_has_is_said_and_can_be_decided(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    world.store.assign(world.store.proposal(ID), "kim", "kim", NOW)
    assert texts.ASSIGNED_TO.format(who="kim") in client.get("/").text
    assert '<option value="kim" selected>kim</option>' in client.get(PATH).text
    assert post(client, PATH, f"{PATH}/approve", WITH_ANSWER).headers["location"] == PATH
    assert "It was assigned to kim." in client.get(PATH).text


def test_what_is_decided_is_assigned_to_nobody_more(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    fields = dict(Page(client.get(PATH).text).forms[f"{PATH}/assign"])
    pipeline.review(world.loop, Decision(ID, Action.REJECT, "kim", NOW, reason="no"))
    answer = client.post(f"{PATH}/assign", data={**fields, "to": "demo"})
    assert answer.status_code == 409
    assert world.store.proposal(ID).assignee is None


# --- what was typed ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"answer": "Write to kim.smith@example.com."}, "Your answer holds what looks like personal data"),
        ({"more": "points of kim.smith@example.com"}, "An example holds what looks like personal data"),
    ],
)
def test_personal_data_that_was_typed_is_pointed_out(
    world: World, client: TestClient, changes: Mapping[str, str], said: str
) -> None:
    fill(world.store, a_proposal(1))
    answer = post(client, PATH, f"{PATH}/approve", {**WITH_ANSWER, "keep": ["0", "1"], **changes})
    html = client.get(answer.headers["location"]).text
    assert answer.headers["location"] == PATH
    assert said in html
    assert "Release 1" in html
    assert f"{PATH}/undo" in Page(html).forms


@pytest.mark.parametrize("draft", ["One point for each dollar.", None])
def test_the_name_of_an_answered_question_adds_examples_to_it(
    world: World, client: TestClient, draft: str | None
) -> None:
    fill(world.store, a_proposal(1, answer=draft))
    answer = post(client, PATH, f"{PATH}/approve", {"name": "taken", "answer": draft or ""})
    html = client.get(answer.headers["location"]).text
    (entry,) = world.store.entries()
    assert (entry.kind, entry.label, entry.answer) == (ProposalKind.EXAMPLES, "learned/taken", None)
    assert texts.DONE_LIVE[ProposalKind.EXAMPLES].format(number=1, label="learned/taken") in html
    assert "learned/taken has an answer already" in html


def test_an_answer_that_contradicts_another_is_pointed_out(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    upkeep(world, a_merge(), GapKind.CONFUSED)
    world.store.save_proposals([a_proposal(1)], NOW)
    monkeypatch.setattr("learning.reviewing.check_answer", lambda answer, *more: (f"{HOSTILE} contradicts {answer}",))
    post(client, PATH, f"{PATH}/approve", {"answer": "Ten points.", "keep": ["0", "1"]})
    html = client.get(PATH).text
    assert "contradicts Ten points." in html
    assert "script" not in Page(html).tags


# --- second readings --------------------------------------------------------------------------------


def test_a_second_reader_sees_the_same_whatever_the_verdict_was(world: World, client: TestClient) -> None:
    everything_is_read_twice(world)
    fill(world.store, a_proposal(1))
    pages = []
    for decision in (
        Decision(ID, Action.APPROVE, "kim", NOW),
        Decision(ID, Action.EDIT, "kim", NOW, answer="Ten.", label="learned/ten"),
        Decision(ID, Action.REJECT, "kim", NOW, reason="unwanted"),
    ):
        pipeline.review(world.loop, decision)
        assert SECOND in client.get("/second").text
        assert 'href="/second"' in client.get("/").text
        pages.append(client.get(SECOND).text)
        pipeline.review(world.loop, Decision(ID, Action.UNDO, "kim", NOW))
    assert len(set(pages)) == 1
    assert "One point for each dollar." in pages[0]
    assert "kim" not in pages[0]


def test_a_new_wording_that_is_live_does_not_tell_that_it_was_approved(world: World) -> None:
    upkeep(world, a_merge(), GapKind.CONFUSED)
    reworded = a_proposal(1, kind=ProposalKind.REWORD, label="faq/a", target="utter_faq/a", answer="Better a.")
    world.store.save_proposals([reworded], NOW)
    pipeline.review(world.loop, Decision(ID, Action.APPROVE, "kim", NOW))
    blind = read_blind(world.loop, world.store.proposal(ID))
    assert [answer.text for answer in blind.evidence.answers] == ["Answer of a."]
    assert blind.item.proposal.state is ProposalState.PENDING


def test_a_second_verdict_is_recorded_once_and_changes_nothing(world: World, client: TestClient) -> None:
    everything_is_read_twice(world)
    decided(world)
    live = world.store.entries()
    done = post(client, SECOND, f"{SECOND}/read", {"verdict": "reject", "reason": f"not ours {HOSTILE}"})
    said = client.get("/second").text
    (reading,) = world.store.second_readings()
    assert done.headers["location"] == "/second"
    assert texts.DONE_READ in said
    assert texts.SECOND_NONE in said
    assert (reading.who, reading.action) == ("demo", Action.REJECT)
    assert world.store.entries() == live
    assert client.get(SECOND).status_code == 404


@pytest.mark.parametrize(
    "fields", [{}, {"verdict": "defer"}, {"verdict": "undo"}, {"verdict": "x"}, {"verdict": "reject", "reason": " "}]
)
def test_a_second_verdict_must_be_whole(world: World, client: TestClient, fields: Mapping[str, str]) -> None:
    everything_is_read_twice(world)
    decided(world)
    answer = post(client, SECOND, f"{SECOND}/read", fields)
    assert answer.status_code == 422
    assert texts.NEED_VERDICT in answer.text or texts.NEED_VERDICT_REASON in answer.text
    assert world.store.second_readings() == []


def test_nobody_reads_their_own_decisions_a_second_time(world: World) -> None:
    everything_is_read_twice(world)
    decided(world, who="demo")
    accounts = world.app.state.hub.accounts
    password = accounts.set_password("ann", NOW)
    own, ann = world.client(), world.client(None)
    log_in(ann, "ann", password)
    fields = dict(Page(ann.get(SECOND).text).forms[f"{SECOND}/read"])
    token = dict(Page(own.get("/").text).forms["/logout"])
    refused = own.post(f"{SECOND}/read", data={**fields, **token, "verdict": "approve"})
    assert own.get(SECOND).status_code == 404
    assert refused.status_code == 409
    assert world.store.second_readings() == []


def test_second_readings_can_be_off(world: World, client: TestClient) -> None:
    everything_is_read_twice(world, 0.0)
    decided(world)
    assert texts.SECOND_OFF in client.get("/second").text
    assert "/second" not in client.get("/").text


def test_hostile_texts_stay_texts_for_second_readers(world: World, client: TestClient) -> None:
    everything_is_read_twice(world)
    fill(world.store, a_proposal(1, examples=(HOSTILE,), answer="Ten.", warnings=(HOSTILE,)), HOSTILE, name=HOSTILE)
    pipeline.review(world.loop, Decision(ID, Action.APPROVE, "kim", NOW))
    for answer in (client.get("/second"), client.get(SECOND)):
        page = Page(answer.text)
        assert "&lt;script&gt;" in answer.text
        assert "script" not in page.tags
        assert "onerror" not in page.attributes
