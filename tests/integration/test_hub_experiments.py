"""Experiments in the hub: written, started, watched, stopped, adopted, over a real learning database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from hub.experiments import views
from hub.experiments.pages import TOPICS
from hub.texts import experiments as experiment_texts
from learning import experiments
from learning.model import Experiment, ExperimentOutcome, ExperimentState, Outcome, ReleaseKind, Variant
from learning.releasing import withdraw
from tests.hub_world import HOSTILE, NOW, Page, TestClient, World, a_proposal, fill, post
from tests.hub_world import project as project
from tests.hub_world import world as world

HOME = "/experiments"
NEW = "/experiments/new"
ANSWER = "One point for each dollar."
LABEL = "learned/question_1"


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with world.client() as client:
        yield client


@pytest.fixture
def entry_id(world: World, client: TestClient) -> str:
    """A published answer, which can be tried."""
    proposal = a_proposal(1)
    fill(world.store, proposal)
    page = f"/proposals/{proposal.proposal_id}"
    assert post(client, page, f"{page}/approve", {"answer": ANSWER}).status_code == 303
    return world.store.entries()[0].entry_id


def write(client: TestClient, do: str = "create", **fields: str) -> str:
    answer = post(
        client,
        f"{NEW}?about={LABEL}",
        NEW,
        {"name": "shorter", "metric": "resolved", "text_1": "A point a dollar.", "do": do, **fields},
    )
    assert answer.status_code == (303 if do == "create" else 200)
    return str(answer.headers["location"] if do == "create" else answer.text)


def show_outcomes(world: World, monkeypatch: pytest.MonkeyPatch, good: dict[str, float], people: int = 800) -> None:
    """Let so many people have met each wording over ten days, a share of them with a good end."""
    start = NOW - timedelta(days=12)
    found = [
        ExperimentOutcome(
            sender=f"{name}{number}",
            variant=name,
            at=start + timedelta(days=number % 10, minutes=number),
            outcome=Outcome.RESOLVED if number / people < share else Outcome.ABANDONED,
        )
        for name, share in good.items()
        for number in ((seed * 617) % people for seed in range(people))
    ]
    monkeypatch.setattr(type(world.store), "experiment_outcomes", lambda store, experiment_id: found)


def started(world: World, page: str) -> Experiment:
    """Move the start of a running experiment twelve days back."""
    found = world.store.experiment(page.rpartition("/")[2])
    earlier = replace(found, started_at=NOW - timedelta(days=12))
    with world.store._database.write() as connection:
        from learning.adapters import schema

        connection.execute(schema.experiments.update().values(started_at=earlier.started_at))
    return earlier


def test_an_experiment_is_written_looked_at_and_started(world: World, client: TestClient, entry_id: str) -> None:
    assert experiment_texts.NONE in client.get(HOME).text
    assert ANSWER in client.get(NEW).text  # among the answers to choose from
    form = client.get(f"{NEW}?about={LABEL}").text
    assert ANSWER in form
    looked = write(client, "preview", text_2="<script>alert(1)</script>")
    assert experiment_texts.PREVIEW_MEANS.format(share="a third") in looked
    assert "A point a dollar.</textarea>" in looked  # what was typed is still there
    assert "<script>alert" not in looked
    assert world.store.experiments() == []
    page = write(client)
    html = client.get(page).text
    assert experiment_texts.STATE_MEANS[ExperimentState.DRAFT] in html
    assert f"{page}/stop" not in Page(html).forms
    assert post(client, page, f"{page}/start", {"reason": "let us see"}).status_code == 303
    html = client.get(page).text

    assert experiment_texts.STATE_MEANS[ExperimentState.RUNNING] in html
    assert "There is too little to name a winner" in html
    assert world.store.releases()[0].what is ReleaseKind.EXPERIMENT
    assert experiment_texts.STATES[ExperimentState.RUNNING] in client.get(HOME).text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text_1": ""}, experiment_texts.NEED_TEXT),
        ({"name": ""}, "has no name"),
        ({"text_1": ANSWER}, "says the same in control and wording_1"),
        ({"name_1": "two words"}, "has a variant named"),
        ({"name_1": "same", "name_2": "same", "text_2": "Other."}, "has a variant named"),
        ({"metric": "luck"}, "is measured by"),
        ({"about": "faq/nothing"}, "which is no label with an answer"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_lost(
    world: World, client: TestClient, entry_id: str, fields: dict[str, str], said: str
) -> None:
    values = {"name": "shorter", "metric": "resolved", "text_1": "Kept text.", "do": "create", **fields}
    answer = post(client, f"{NEW}?about={LABEL}", NEW, values)

    assert (answer.status_code, said in answer.text) == (422, True)
    assert world.store.experiments() == []
    if not {"about", "text_1"} & set(fields):
        assert "Kept text.</textarea>" in answer.text


def test_the_winner_is_drawn_told_and_adopted(
    world: World, client: TestClient, entry_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write(client)
    post(client, page, f"{page}/start")
    started(world, page)
    show_outcomes(world, monkeypatch, {"control": 0.5, "wording_1": 0.7})
    html = client.get(page).text
    assert "wording_1 wins: 7" in html
    assert html.count('class="interval"') == 2
    assert "<meter" in html
    assert experiment_texts.BETTER.format(better="wording_1") in html
    assert html.count("style=") == 0  # the policy forbids it
    nothing = post(client, page, f"{page}/adopt", {"variant": ""})
    assert (nothing.status_code, experiment_texts.NEED_CHOICE in nothing.text) == (422, True)
    refused = post(client, page, f"{page}/adopt", {"variant": "control"})
    assert (refused.status_code, "does not name control the winner" in refused.text) == (409, True)
    assert post(client, page, f"{page}/adopt", {"variant": "wording_1"}).status_code == 303
    html = client.get(page).text

    assert experiment_texts.SETTLED.format(winner="wording_1") in html
    assert f"{page}/adopt" not in Page(html).forms
    assert "A point a dollar." in [entry.answer for entry in world.store.entries()]
    assert world.store.verify_audit() == []


def test_against_the_evidence_it_takes_a_reason(
    world: World, client: TestClient, entry_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write(client)
    post(client, page, f"{page}/start")
    started(world, page)
    show_outcomes(world, monkeypatch, {"control": 0.5, "wording_1": 0.5})
    silent = post(client, page, f"{page}/adopt", {"variant": "wording_1", "anyway": "1"})
    assert (silent.status_code, experiment_texts.NEED_REASON in silent.text) == (422, True)
    said = {"variant": "wording_1", "anyway": "1", "reason": "the law asks for it"}
    assert post(client, page, f"{page}/adopt", said).status_code == 303

    assert "the law asks for it" in client.get(page).text


def test_it_is_stopped_with_a_reason_and_once(world: World, client: TestClient, entry_id: str) -> None:
    page = write(client)
    post(client, page, f"{page}/start")
    fields = dict(Page(client.get(page).text).forms[f"{page}/stop"])
    silent = client.post(f"{page}/stop", data=fields)
    assert (silent.status_code, experiment_texts.NEED_REASON in silent.text) == (422, True)
    assert client.post(f"{page}/stop", data={**fields, "reason": "sale is over"}).status_code == 303
    again = client.post(f"{page}/stop", data={**fields, "reason": "sale is over"})

    assert (again.status_code, "is stopped and cannot be stopped" in again.text) == (409, True)
    assert "sale is over" in client.get(page).text


def test_a_draft_whose_answer_was_withdrawn_cannot_start(world: World, client: TestClient, entry_id: str) -> None:
    page = write(client)
    fields = dict(Page(client.get(page).text).forms[f"{page}/start"])
    withdraw(world.loop, entry_id, "bob", "prices changed")
    refused = client.post(f"{page}/start", data=fields)

    assert (refused.status_code, "which is no label with an answer" in refused.text) == (409, True)
    assert world.store.experiments()[0].state is ExperimentState.DRAFT
    assert client.get(NEW).status_code == 200


def test_a_running_one_ends_with_its_answer_and_the_page_tells(world: World, client: TestClient, entry_id: str) -> None:
    page = write(client)
    post(client, page, f"{page}/start")
    withdraw(world.loop, entry_id, "bob", "prices changed")

    assert client.get(page).status_code == 200
    assert experiment_texts.STATE_MEANS[ExperimentState.STOPPED] in client.get(page).text


def test_harm_is_told_at_once(world: World, client: TestClient, entry_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page = write(client)
    post(client, page, f"{page}/start")
    started(world, page)
    show_outcomes(world, monkeypatch, {"control": 0.8, "wording_1": 0.4})

    assert "control wins" in client.get(page).text


def test_what_cannot_be_judged_keeps_no_other_from_being_shown(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    world.store.save_experiment(draft, replace(draft, state=ExperimentState.RUNNING, started_at=NOW), "ann", NOW)
    html = client.get(f"{HOME}/{'ab' * 8}").text
    assert "<script>alert" not in html
    assert experiment_texts.CONTROL_TEXT in html

    def broken(*given: object) -> None:
        raise experiments.ReviewError("is odd", "experiment", "look")

    monkeypatch.setattr(views, "show", broken)
    assert experiment_texts.NO_VERDICT.format(problem="experiment is odd") in client.get(HOME).text
    for address in (f"{HOME}/{'cd' * 8}", f"{HOME}/abab", f"{HOME}/%00"):
        assert client.get(address).status_code == 404


def test_the_live_topic_moves(world: World, client: TestClient, entry_id: str) -> None:
    (topic,) = TOPICS
    hub = world.app.state.hub
    before = topic.read(hub)
    write(client)
    assert topic.read(hub) != before
