"""What an action tells of the questions that it asked the shop: which, how long, what came of it, and nothing else."""

from __future__ import annotations

import asyncio
import json

import pytest
from rasa_sdk.executor import CollectingDispatcher

from actions.orders import CancelOrder, TrackOrder
from actions.services.call_log import SLOT, CallLog
from actions.services.shop_api import Refused, ShopUnavailable
from actions.tickets import TalkToPerson
from tests.builders import tracker, user
from tests.fakes import ANN


def told(action, conversation):
    events = asyncio.run(action.run(CollectingDispatcher(), conversation, {}))
    calls = [event["value"] for event in events if event["event"] == "slot" and event["name"] == SLOT]
    assert len(calls) <= 1
    return [(call["operation"], call["outcome"]) for call in calls[0]] if calls else []


@pytest.mark.parametrize(("number", "outcome"), [("10342", "ok"), ("19999", "not_found")])
def test_a_call_is_told_with_its_outcome(shop, number, outcome):
    conversation = tracker(user("where is it", "track_order"), task="track_order", order_number=number)
    assert told(TrackOrder(lambda: shop), conversation) == [("order_status", outcome)]


def test_a_wrong_address_is_a_refusal_and_no_failure(shop):
    conversation = tracker(
        user("yes", "affirm"), task="cancel_order", order_number="10017", email="bob@example.com", confirmed="yes"
    )
    assert told(CancelOrder(lambda: shop), conversation)[-1][1] == "refused"


def test_a_shop_that_is_down_is_unavailable_for_every_action(shop):
    shop.down = True
    conversation = tracker(user("a person please", "talk_to_person"), task="track_order", order_number="10342")
    assert told(TrackOrder(lambda: shop), conversation) == [("order_status", "unavailable")]
    assert told(TalkToPerson(lambda: shop), conversation) == [("open_ticket", "unavailable")]


def test_nothing_asked_is_nothing_told(shop):
    conversation = tracker(user("where is it", "track_order"), task="track_order", check="unavailable")
    assert told(TrackOrder(lambda: shop), conversation) == []


def test_the_time_is_measured_and_no_personal_data_is_told(shop):
    ticks = iter([10.0, 10.25, 11.0, 11.5])
    log = CallLog(lambda: next(ticks))
    watched = log.around(shop)

    async def refuse() -> None:
        raise Refused("refund", "no", "no")

    async def ask() -> None:
        await watched.order_details("10017", ANN)
        with pytest.raises(Refused):
            await log.call("refund", refuse)

    asyncio.run(ask())
    (event,) = log.events()
    assert [(call["ms"], call["outcome"]) for call in event["value"]] == [(250.0, "ok"), (500.0, "refused")]
    assert ANN not in json.dumps(event)
    assert "10017" not in json.dumps(event)


def test_a_bug_in_the_client_counts_as_no_answer():
    log = CallLog(lambda: 0.0)

    async def broken() -> None:
        raise ShopUnavailable("balance", "no", "no")

    with pytest.raises(ShopUnavailable):
        asyncio.run(log.call("balance", broken))
    assert log.events()[0]["value"][0]["outcome"] == "unavailable"
