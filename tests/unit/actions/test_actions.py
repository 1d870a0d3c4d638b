"""Each action with a shop in memory: what it says, what it changes, and what it never claims."""

from __future__ import annotations

import logging
from datetime import date

import pytest

from actions import texts
from actions.account import AccountBalance, AccountRequest, ResetPassword
from actions.orders import (
    CancelOrder,
    ChangeDeliveryAddress,
    OrderHistory,
    OrderNotReceived,
    ReportOrderProblem,
    TrackOrder,
)
from actions.payments import DoubleCharge, InvoiceRequest
from actions.returns import RefundStatus, ReportItem, ReturnItem
from actions.services.shop_api import Money, Refund, Ticket
from actions.tickets import CreateTicket, TalkToPerson, TicketStatus
from tests.builders import tracker, user
from tests.fakes import ANN, details

PERSONAL = [
    (OrderNotReceived, "order_not_received", "10025"),
    (ReportOrderProblem, "missing_item", "10025"),
    (CancelOrder, "cancel_order", "10017"),
    (ChangeDeliveryAddress, "change_delivery_address", "10017"),
    (OrderHistory, "order_history", "10342"),
    (ReturnItem, "return_item", "10025"),
    (RefundStatus, "refund_status", "10342"),
    (ReportItem, "damaged_item", "10025"),
    (AccountBalance, "account_balance", "10342"),
    (AccountRequest, "delete_account", "10342"),
    (DoubleCharge, "double_charge", "10342"),
    (InvoiceRequest, "invoice_request", "10342"),
    (ResetPassword, "reset_password", "10342"),
    (CreateTicket, "complaint", "10342"),
]


def ready(task, number, **slots):
    """A conversation in which the form has collected everything and the customer has said yes."""
    return tracker(
        user("yes", "affirm"),
        task=task,
        order_number=number,
        **{
            "email": ANN,
            "confirmed": "yes",
            "issue": "The lamp is cracked",
            "new_address": "12 Elm Street, Cork",
            **slots,
        },
    )


@pytest.mark.parametrize(("action", "task", "number"), PERSONAL)
def test_a_shop_that_is_down_is_never_reported_as_a_success(action, task, number, shop, run):
    shop.down = True
    messages, slots = run(action(lambda: shop), ready(task, number))
    assert [message["text"] for message in messages] == [texts.UNAVAILABLE]
    assert messages[0]["buttons"][0]["payload"] == "/talk_to_person"
    assert slots["backend_failure"].startswith("shop.")
    assert slots["offer"] == "person"
    assert shop.done == []


@pytest.mark.parametrize(
    ("action", "task", "number"),
    [case for case in PERSONAL if case[1] not in ("order_history", "refund_status", "account_balance")],
)
def test_a_change_without_an_answer_is_reported_as_uncertain(action, task, number, shop, run):
    shop.lost_answers = True
    messages, slots = run(action(lambda: shop), ready(task, number))
    assert [message["text"] for message in messages] == [texts.UNCERTAIN]
    assert slots["backend_failure"].startswith("shop.")


@pytest.mark.parametrize(
    ("action", "task", "number"), [case for case in PERSONAL if case[1] in ("order_history", "refund_status")]
)
def test_another_customers_email_shows_nothing_and_is_forgotten(action, task, number, shop, run):
    messages, slots = run(action(lambda: shop), ready(task, number, email="eve@example.com"))
    assert [message["text"] for message in messages] == [texts.not_verified(number)]
    assert slots == {"email": None}


def test_tracking_tells_the_true_status_from_the_number_alone(shop, run):
    messages, slots = run(TrackOrder(lambda: shop), tracker(order_number="#10342", task="track_order"))
    assert messages[0]["text"] == ("Order 10342 (2 items) is on its way with DHL. We expect it on Wednesday, June 12.")
    assert slots == {}


def test_an_unknown_order_is_forgotten_so_that_the_next_question_asks_again(shop, run):
    messages, slots = run(TrackOrder(lambda: shop), tracker(order_number="19999"))
    assert messages[0]["text"] == texts.unknown_order("19999")
    assert slots == {"order_number": None}


def test_tracking_without_a_number_says_what_a_number_looks_like(shop, run):
    messages, _ = run(TrackOrder(lambda: shop), tracker(order_number="1034"))
    assert messages[0]["text"] == texts.BAD_NUMBER


def test_cancel_cancels_after_a_yes(shop, run):
    messages, _ = run(CancelOrder(lambda: shop), ready("cancel_order", "10017"))
    assert shop.done == [("cancel_order", "10017")]
    assert messages[0]["text"] == "Order 10017 is canceled. We refund €49.90 to you."


@pytest.mark.parametrize(
    ("action", "task", "number"),
    [
        (CancelOrder, "cancel_order", "10017"),
        (ChangeDeliveryAddress, "change_delivery_address", "10017"),
        (ReturnItem, "return_item", "10025"),
        (ResetPassword, "reset_password", "10025"),
        (AccountRequest, "delete_account", "10025"),
    ],
)
def test_a_no_changes_nothing(action, task, number, shop, run):
    messages, _ = run(action(lambda: shop), ready(task, number, confirmed="no"))
    assert shop.done == []
    assert messages[0]["text"] == texts.NOT_DONE


@pytest.mark.parametrize(
    ("action", "task", "number", "said"),
    [
        (CancelOrder, "cancel_order", "10342", "can't cancel"),
        (ChangeDeliveryAddress, "change_delivery_address", "10342", "can't change its address"),
        (ReturnItem, "return_item", "10007", "ended on Monday, July 1"),
        (ReturnItem, "return_item", "10342", "nothing to send back yet"),
        (CancelOrder, "cancel_order", "10017", texts.ASK_AGAIN),
        (ReturnItem, "return_item", "10025", texts.ASK_AGAIN),
        (ResetPassword, "reset_password", "10025", texts.ASK_AGAIN),
    ],
)
def test_without_a_yes_or_a_no_the_reason_is_given_and_nothing_changes(action, task, number, said, shop, run):
    messages, _ = run(action(lambda: shop), ready(task, number, confirmed=None))
    assert shop.done == []
    assert said in messages[0]["text"]


def test_an_address_is_changed_after_a_yes(shop, run):
    messages, _ = run(ChangeDeliveryAddress(lambda: shop), ready("change_delivery_address", "10017"))
    assert shop.done == [("change_address", "10017", "12 Elm Street, Cork")]
    assert "now goes to 12 Elm Street, Cork" in messages[0]["text"]


def test_a_return_gives_its_reference(shop, run):
    messages, _ = run(ReturnItem(lambda: shop), ready("return_item", "10025"))
    assert "R-00000001" in messages[0]["text"]


def test_the_history_is_short(shop, run):
    shop.orders = {str(number): details(str(number)) for number in range(10001, 10009)}
    messages, _ = run(OrderHistory(lambda: shop), ready("order_history", "10001"))
    assert messages[0]["text"].startswith("You have 8 orders with us:\n- 10001: in transit, 2 items, €49.90")
    assert messages[0]["text"].endswith("...and 3 older.")


def test_the_balance_is_told(shop, run):
    messages, _ = run(AccountBalance(lambda: shop), ready("account_balance", "10342"))
    assert messages[0]["text"] == "You have €25.00 of store credit."


def test_no_refund_offers_a_person(shop, run):
    messages, slots = run(RefundStatus(lambda: shop), ready("refund_status", "10342"))
    assert "no refund for order 10342" in messages[0]["text"]
    assert slots == {"offer": "person"}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("awaiting_parcel", "as soon as your parcel reaches us"),
        ("pending", "is being processed"),
        ("refunded", "We sent your refund of €12.05 on Sunday, June 2"),
        ("held", "has the state 'held'"),
    ],
)
def test_each_state_of_a_refund_has_its_sentence(state, said, shop, run):
    shop.refunds["10342"] = Refund("10342", state, Money(1205, "EUR"), date(2024, 6, 2))
    messages, _ = run(RefundStatus(lambda: shop), ready("refund_status", "10342"))
    assert said in messages[0]["text"]


@pytest.mark.parametrize(
    ("action", "task"),
    [
        (ReportOrderProblem, "missing_item"),
        (ReportOrderProblem, "change_order"),
        (ReportItem, "damaged_item"),
        (ReportItem, "wrong_item"),
        (ReportItem, "warranty_claim"),
        (AccountRequest, "update_contact_details"),
        (AccountRequest, "delete_account"),
        (DoubleCharge, "double_charge"),
        (CreateTicket, "create_ticket"),
        (CreateTicket, "complaint"),
    ],
)
def test_cases_go_to_the_desk_in_the_customers_words(action, task, shop, run):
    messages, slots = run(action(lambda: shop), ready(task, "10025"))
    (ticket,) = shop.opened
    assert (ticket.topic, ticket.body, ticket.email, ticket.order_number) == (
        task,
        "The lamp is cracked",
        ANN,
        "10025",
    )
    assert "T-00000001" in messages[0]["text"]
    assert slots == {"ticket_reference": "T-00000001"}


def test_the_same_message_never_opens_two_tickets(shop, run):
    conversation = ready("complaint", "10025")
    run(CreateTicket(lambda: shop), conversation)
    run(CreateTicket(lambda: shop), conversation)
    first, second = shop.opened
    assert first.key == second.key


def test_a_parcel_that_is_said_to_be_delivered_is_traced(shop, run):
    messages, _ = run(OrderNotReceived(lambda: shop), ready("order_not_received", "10025"))
    assert shop.opened[0].topic == "order_not_received"
    assert "T-00000001" in messages[0]["text"]


def test_a_parcel_on_its_way_is_not_traced(shop, run):
    messages, _ = run(OrderNotReceived(lambda: shop), ready("order_not_received", "10342"))
    assert shop.opened == []
    assert "is on its way" in messages[0]["text"]


def test_the_invoice_and_the_reset_code_are_sent(shop, run):
    run(InvoiceRequest(lambda: shop), ready("invoice_request", "10342"))
    messages, _ = run(ResetPassword(lambda: shop), ready("reset_password", "10342"))
    assert shop.done == [("send_invoice", "10342"), ("reset_password", ANN)]
    assert messages[0]["text"] == texts.RESET_SENT


def test_the_state_of_a_ticket_is_told(shop, run):
    shop.tickets["T-00000042"] = Ticket("T-00000042", "complaint", "in_progress")
    messages, _ = run(TicketStatus(lambda: shop), tracker(ticket_reference="T-00000042"))
    assert messages[0]["text"] == "Ticket T-00000042 is in progress."


def test_an_unknown_ticket_is_forgotten(shop, run):
    messages, slots = run(TicketStatus(lambda: shop), tracker(ticket_reference="T-00000043"))
    assert messages[0]["text"] == texts.unknown_ticket("T-00000043")
    assert slots == {"ticket_reference": None}


def test_a_person_gets_the_reason_and_the_conversation(shop, run):
    conversation = tracker(user("one"), user("two"), user("three"), user("a human!"), task="refund_status")
    messages, slots = run(TalkToPerson(lambda: shop), conversation)
    assert shop.opened[0].body == (
        "The customer asked for a person. Task: refund_status. Mood: 0.0.\n\n"
        "Customer: one\nCustomer: two\nCustomer: three\nCustomer: a human!"
    )
    assert "T-00000001" in messages[0]["text"]
    assert slots["ticket_reference"] == "T-00000001"


def test_a_desk_that_is_down_is_said_and_not_offered_again(shop, run):
    shop.down = True
    messages, slots = run(TalkToPerson(lambda: shop), tracker(user("a human!"), check="unavailable"))
    assert messages[0]["text"] == texts.DESK_UNAVAILABLE
    assert slots == {"backend_failure": "shop.open_ticket"}


def test_logs_carry_ids_and_no_customer_text(shop, run, caplog):
    caplog.set_level(logging.DEBUG, logger="actions")
    run(CreateTicket(lambda: shop), ready("complaint", "10025"))
    shop.down = True
    run(CreateTicket(lambda: shop), ready("complaint", "10025"))
    assert "conversation-1" in caplog.text
    assert ANN not in caplog.text
    assert "cracked" not in caplog.text


def test_after_the_form_waited_for_the_shop_the_action_does_not_wait_again(shop, run):
    shop.orders.clear()  # any question to it would be answered with "unknown order"
    messages, slots = run(CancelOrder(lambda: shop), ready("cancel_order", "10017", check="unavailable"))
    assert messages[0]["text"] == texts.UNAVAILABLE
    assert slots["backend_failure"] == "shop.order_details"
