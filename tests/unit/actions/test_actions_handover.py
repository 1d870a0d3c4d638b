"""Handing over: who is told what, when the bot falls silent, and what the desk gets to know."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
from rasa_sdk.executor import CollectingDispatcher

from actions import texts
from actions.conversation import LONGEST_BODY
from actions.dialogue import Affirm, Fallback, OfferPerson
from actions.handover import ticket_body
from actions.services.desk_client import DeskClient, Outlook
from actions.tickets import CreateTicket, TalkToPerson
from tests.builders import action, slot, tracker, user

LIVE = Outlook(True, True, 2, "", "Friday 16:00", "2025-11-21T16:00:00+00:00")
CLOSED = Outlook(False, False, 0, "Monday 08:00", "Monday 12:00", "2025-11-24T12:00:00+00:00")


class FakeDesk:
    def __init__(self, outlook: Outlook | None) -> None:
        self._outlook = outlook

    async def outlook(self, conversation: str = "") -> Outlook | None:
        return self._outlook


def events_of(done: Any, conversation: Any) -> tuple[str, list[dict[str, Any]]]:
    dispatcher = CollectingDispatcher()
    events = asyncio.run(done.run(dispatcher, conversation, {}))
    return dispatcher.messages[0]["text"], events


def handover(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((event["value"] for event in events if event.get("name") == "handover"), None)


def test_where_somebody_can_come_the_bot_says_so_and_falls_silent(shop) -> None:
    text, events = events_of(TalkToPerson(lambda: shop, lambda: FakeDesk(LIVE)), tracker(user("a human!")))
    assert "2 customers before you" in text
    assert "T-00000001" in text
    assert any(event["event"] == "pause" for event in events)
    value = handover(events)
    assert value is not None
    assert (value["reason"], value["live"], value["reference"]) == ("asked", True, "T-00000001")
    assert value["due_at"] == LIVE.due_at


def test_where_nobody_is_there_it_promises_and_goes_on(shop) -> None:
    text, events = events_of(TalkToPerson(lambda: shop, lambda: FakeDesk(CLOSED)), tracker(user("a human!")))
    assert "back on Monday 08:00" in text
    assert "answer by Monday 12:00" in text
    assert not any(event["event"] == "pause" for event in events)
    value = handover(events)
    assert value is not None
    assert value["live"] is False


def test_a_shop_that_is_down_does_not_keep_the_person_away(shop) -> None:
    shop.down = True
    text, events = events_of(TalkToPerson(lambda: shop, lambda: FakeDesk(LIVE)), tracker(user("a human!")))
    assert "reference" not in text
    assert handover(events) is not None
    text, events = events_of(TalkToPerson(lambda: shop, lambda: FakeDesk(None)), tracker(user("a human!")))
    assert text in (texts.DESK_UNAVAILABLE, texts.DESK_UNCERTAIN)
    assert handover(events) is None


def test_without_a_ticket_the_desk_has_the_wish_all_the_same(shop) -> None:
    shop.down = True
    text, events = events_of(TalkToPerson(lambda: shop, lambda: FakeDesk(CLOSED)), tracker(user("a human!")))
    assert "answer by Monday 12:00" in text
    assert "reference" not in text
    value = handover(events)
    assert value is not None
    assert (value["live"], value["due_at"], value["reference"]) == (False, CLOSED.due_at, "")


def test_the_same_message_handed_over_twice_has_one_id(shop) -> None:
    done = TalkToPerson(lambda: shop, lambda: FakeDesk(LIVE))
    conversation = tracker(user("a human!"))
    first, second = (handover(events_of(done, conversation)[1]) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first["id"] == second["id"]


def test_a_ticket_whose_answer_was_lost_is_not_opened_twice(shop) -> None:
    done = TalkToPerson(lambda: shop, lambda: FakeDesk(None))
    shop.lost_answers = True
    text, events = events_of(done, tracker(user("a human!")))
    assert text == texts.DESK_UNCERTAIN
    shop.lost_answers = False
    again = (user("a human!"), *events, user("hello?"), user("so, a human?"))
    text, more = events_of(done, tracker(*again))
    assert shop.opened[1].key == shop.opened[0].key
    assert "reference" in text
    events_of(done, tracker(*again, *more, user("another human")))
    assert shop.opened[2].key != shop.opened[0].key


def test_another_complaint_after_a_lost_answer_is_a_ticket_of_its_own(shop) -> None:
    done = CreateTicket(lambda: shop)
    shop.lost_answers = True
    _, events = events_of(done, tracker(user("it broke"), task="complaint", issue="It broke at once."))
    more = (user("it broke"), *events)
    events_of(done, tracker(*more, user("again"), task="complaint", issue="It broke at once."))
    events_of(done, tracker(*more, user("the courier was rude"), task="complaint", issue="The courier was rude."))
    events_of(
        done, tracker(*more, user("and 10017"), task="complaint", issue="It broke at once.", order_number="10017")
    )
    first, same, other, other_order = (ticket.key for ticket in shop.opened)
    assert same == first
    assert len({first, other, other_order}) == 3


def test_no_text_names_opening_hours() -> None:
    said = [
        texts.DESK_UNCERTAIN,
        texts.DESK_UNAVAILABLE,
        texts.handed_over("T-1", False),
        texts.handed_over("T-1", True),
    ]
    assert not any(re.search(r"[0-9]:[0-9]{2}|Monday", text) for text in said)


def test_not_understood_twice_goes_to_a_person_who_is_there_and_is_offered_otherwise(shop) -> None:
    conversation = tracker(user("blorp", "nlu_fallback"), action("action_fallback"), user("blurp", "nlu_fallback"))
    _, events = events_of(Fallback(lambda: shop, lambda: FakeDesk(LIVE)), conversation)
    value = handover(events)
    assert value is not None
    assert value["reason"] == "not_understood"
    text, events = events_of(Fallback(lambda: shop, lambda: FakeDesk(CLOSED)), conversation)
    assert text == texts.OFFER_PERSON
    assert handover(events) is None


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ((action("action_offer_person"), slot("offer", "person")), "frustrated"),
        ((action("action_fallback"), slot("offer", "person")), "not_understood"),
        ((action("action_track_order"), slot("backend_failure", "shop.x"), slot("offer", "person")), "service_failed"),
        ((action("utter_x"), slot("offer", "person")), "offered"),
    ],
)
def test_an_accepted_offer_keeps_its_cause(shop, before, reason: str) -> None:
    conversation = tracker(user("well"), *before, user("yes", "affirm"))
    _, events = events_of(Affirm(lambda: shop, lambda: FakeDesk(CLOSED)), conversation)
    value = handover(events)
    assert value is not None
    assert value["reason"] == reason


def test_the_policys_reason_reaches_ticket_and_desk_and_is_used_once(shop) -> None:
    conversation = tracker(user("my lawyer"), escalate={"reason": "excluded_topic", "topic": "legal action"})
    _, events = events_of(TalkToPerson(lambda: shop, lambda: FakeDesk(CLOSED)), conversation)
    value = handover(events)
    assert value is not None
    assert (value["reason"], value["topic"]) == ("excluded_topic", "legal action")
    assert shop.opened[0].body.startswith("A topic that people answer (legal action).")
    assert {"event": "slot", "name": "escalate", "value": None, "timestamp": None} in events


def test_the_offer_counts_for_the_next_message() -> None:
    text, events = events_of(OfferPerson(), tracker(user("!!!")))
    assert text == texts.OFFER_FRUSTRATED
    assert events[0]["name"] == "offer"


def test_a_ticket_never_grows_too_long_and_keeps_the_newest_words() -> None:
    body = ticket_body(tracker(*(user(f"message {n} " + "x" * 200) for n in range(60)), email="a" * 3000), "asked")
    assert len(body) <= LONGEST_BODY
    assert "message 59" in body
    assert "message 1 " not in body


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401),
        httpx.Response(200, text="no json"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"is_live": True}),
    ],
)
def test_a_desk_that_answers_nonsense_counts_as_away(answer: httpx.Response) -> None:
    client = DeskClient("http://desk", "token", httpx.MockTransport(lambda request: answer))
    assert asyncio.run(client.outlook()) is None


def test_the_desk_is_asked_with_the_token() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.raw_path.decode(), request.headers["authorization"]))
        body = {"is_live": True, "is_open": True, "ahead": 1, "opens": "", "due": "Friday 16:00", "due_at": "x"}
        return httpx.Response(200, json=body)

    client = DeskClient("http://desk", "token", httpx.MockTransport(answer))
    found = asyncio.run(client.outlook())
    assert found is not None
    assert found.is_live
    asyncio.run(client.outlook("U1_C/1"))
    assert seen == [("/outlook", "Bearer token"), ("/outlook/U1_C%2F1", "Bearer token")]
