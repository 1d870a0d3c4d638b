"""What the actions say: short, true and friendly, all in one place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from actions.services.shop_api import Money, OrderDetails, OrderStatus, Refund, Refused, Ticket
from actions.tasks import ADDRESS, CONFIRMED, EMAIL, ISSUE, ORDER, REFERENCE, TASKS

SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£"}
MOST_LISTED = 5  # more lines than this push the question out of a phone's screen

UNAVAILABLE = (
    "I'm sorry, I can't reach our order system right now, so nothing was looked up or changed. "
    "You can try again in a few minutes, or I can pass you to a person. Would you like that?"
)
UNCERTAIN = (
    "I'm sorry, our order system didn't answer in time, so I can't tell whether that went through. Please check with "
    "me again in a few minutes before you repeat it, or I can pass you to a person. Would you like that?"
)
DESK_UNCERTAIN = (
    "I'm sorry, our service desk didn't confirm your request, so please don't rely on it. Ask me "
    "again in a few minutes: it won't be opened twice. Our team also answers calls and emails."
)
DESK_UNAVAILABLE = (
    "I'm sorry, I couldn't reach our service desk just now, so no ticket was opened. Please try again in a "
    "few minutes. Our team also answers calls and emails."
)
ASK_AGAIN = "I couldn't finish that. Please ask me once more and I'll start over."
NOT_DONE = "All right, I've left everything as it is."
NEVER_MIND = "No problem, I've dropped that. What else can I do for you?"
REPHRASE = (
    "Sorry, I didn't get that. Could you put it another way? I can track or cancel orders, start returns, "
    "check refunds and store credit, reset passwords, and answer questions about delivery and payment."
)
OFFER_PERSON = "I still don't understand, sorry. Shall I pass you to a person from our team?"
OFFER_FRUSTRATED = "I'm sorry, this is going badly. Shall I pass you to a person from our team?"
DEFAULT = "Sorry, I lost the thread. Could you say that again?"
AFFIRM = "Great! What can I do for you?"
DENY = "All right. Is there anything else I can do for you?"
INFORM_EMAIL = "Thanks, I have your email address. What would you like me to do with it?"
INFORM_NOTHING = "I was looking for an order number of five digits, such as 10342, or an email address."
BAD_NUMBER = "Order numbers have five digits, such as 10342. You'll find yours in the confirmation email."
ONE_NUMBER = "You gave me several order numbers. Let's take one at a time: which first?"
WHICH_ORDER = "Which order do you mean? Tell me its five digits, such as 10342."
BAD_EMAIL = "That doesn't look like an email address to me."
BAD_REFERENCE = "Ticket references look like T-48291307."
TOO_SHORT = "Could you tell me a little more?"
RESET_SENT = (
    "If there's an account with that address, a reset code is on its way. It works for 30 minutes; please "
    "look in the spam folder too."
)
INVOICE_SENT = "Done: the invoice is on its way to the email address of the order."
SOMETHING_ELSE = "Something else"

# What each intent and answer is called in "Did you mean ... or ...?" and on its buttons.
TITLES = {
    "track_order": "tracking an order",
    "order_late": "an order that's late",
    "order_not_received": "a delivered parcel that isn't there",
    "missing_item": "an item missing from the parcel",
    "change_delivery_address": "changing the delivery address",
    "cancel_order": "canceling an order",
    "change_order": "changing an order",
    "order_history": "your order history",
    "return_item": "returning an item",
    "refund_status": "the state of a refund",
    "exchange_item": "exchanging an item",
    "damaged_item": "a damaged item",
    "wrong_item": "a wrong item",
    "warranty_claim": "a warranty claim",
    "reset_password": "resetting your password",
    "login_problem": "a problem with logging in",
    "account_balance": "your store credit",
    "update_contact_details": "updating your contact details",
    "delete_account": "deleting your account",
    "redeem_gift_card": "redeeming a gift card",
    "payment_failed": "a payment that failed",
    "double_charge": "being charged twice",
    "invoice_request": "getting an invoice",
    "change_payment_method": "changing the payment method",
    "create_ticket": "opening a ticket",
    "ticket_status": "the state of a ticket",
    "complaint": "making a complaint",
    "talk_to_person": "talking to a person",
    "greet": "just saying hello",
    "goodbye": "saying goodbye",
    "thank": "saying thanks",
    "affirm": "yes",
    "deny": "no",
    "bot_challenge": "who you're talking to",
    "help": "what I can do",
    "inform": "giving me an order number or email address",
    "never_mind": "dropping this",
    "faq/shipping_cost": "what shipping costs",
    "faq/delivery_time": "how long delivery takes",
    "faq/international_shipping": "shipping to other countries",
    "faq/return_policy": "our return policy",
    "faq/payment_methods": "how you can pay",
    "faq/opening_hours": "our opening hours",
    "faq/discount_codes": "discount codes",
    "faq/gift_wrapping": "gift wrapping",
    "faq/product_care": "caring for a product",
    "faq/store_locations": "where our stores are",
    "chitchat/how_are_you": "how I am",
    "chitchat/joke": "hearing a joke",
    "chitchat/insult": "telling me off",
    "chitchat/language": "which languages I speak",
    "chitchat/maker": "who I am",
    "chitchat/praise": "saying something nice",
    "learned/about_learning": "how I learn from chats",
}

# Why a conversation goes to a person, in the ticket.
REASONS = {
    "asked": "The customer asked for a person",
    "not_understood": "The assistant did not understand twice in a row",
    "frustrated": "The customer is frustrated and accepted a person",
    "excluded_topic": "A topic that people answer",
    "service_failed": "A system behind the assistant failed",
    "low_confidence": "The assistant was guessing too often",
    "offered": "The customer accepted the offer of a person",
}

QUESTIONS = {
    ORDER: "What's the order number? It has five digits, such as 10342.",
    EMAIL: "Which email address did you order with?",
    ISSUE: "Please describe it in a sentence or two.",
    ADDRESS: "What's the new address?",
    REFERENCE: "What's the ticket reference? It looks like T-48291307.",
}
ANSWER_TO = "Which email address should we use?"
ISSUE_QUESTIONS = {
    "missing_item": "Which item is missing?",
    "change_order": "What should we change?",
    "update_contact_details": "What should we change, and to what?",
    "complaint": "I'm sorry to hear that. What happened?",
    "create_ticket": "What should the ticket say?",
}
CONFIRMATIONS = {
    "cancel_order": "Shall I really cancel order {number}? This can't be undone.",
    "return_item": "Shall I start the return of order {number} and email you the label?",
    "change_delivery_address": "Shall I send order {number} to this address: {address}?",
    "reset_password": "Shall I email a password reset code to {email}?",
    "delete_account": ("Shall I ask our team to delete your account? Orders, store credit and warranties go with it."),
}
CASE_OPENED = {
    "complaint": "I'm sorry about that. Your complaint is with our team",
    "damaged_item": "I'm sorry it arrived like that. I've reported the damage",
    "wrong_item": "I'm sorry about the mix-up. I've reported it",
    "missing_item": "I'm sorry something was missing. I've reported it",
    "warranty_claim": "I've passed on your warranty claim; please keep one or two photos ready",
    "double_charge": "I've asked our payments team to check it. A second charge is often only a reservation",
    "change_order": "I've passed on the change; we'll try to make it before the parcel leaves",
    "update_contact_details": "I've passed on the change of your contact details",
    "delete_account": "I've passed on your request to delete the account",
}


def question(slot: str, task: str | None, first: bool, number: str, email: str, address: str) -> str:
    """How the form asks for a slot; the first question of a task says what it is for."""
    if slot == CONFIRMED:
        return CONFIRMATIONS[task or ""].format(number=number, email=email, address=address)
    if slot == ISSUE:
        return ISSUE_QUESTIONS.get(task or "", QUESTIONS[ISSUE])
    needs = TASKS[task].needs if task in TASKS else ()
    asked = ANSWER_TO if slot == EMAIL and ORDER not in needs else QUESTIONS[slot]
    if first and task in TASKS and slot in (ORDER, EMAIL) and needs[0] in (ORDER, EMAIL):
        return f"Sure, I can {TASKS[task].goal}. {asked}"
    return asked


def did_you_mean(labels: Sequence[str]) -> str:
    """The question that names two or three meanings of a message."""
    titles = [title(label) for label in labels]
    comma = "," if len(titles) > 2 else ""
    return f"Did you mean {', '.join(titles[:-1])}{comma} or {titles[-1]}?"


def choice(label: str) -> str:
    """What stands on the button of a meaning."""
    name = title(label)
    return name[:1].upper() + name[1:]


def title(label: str) -> str:
    """What an intent or answer is called; one that was learned since is called by its name's words."""
    return TITLES.get(label) or label.rpartition("/")[2].replace("_", " ")


def order_status(order: OrderStatus) -> str:
    """Where an order is."""
    name = f"Order {order.order_number} ({items(order.item_count)})"
    by = f" with {order.carrier}" if order.carrier else ""
    due = f" We expect it on {day(order.expected_on)}." if order.expected_on else ""
    if order.late and order.expected_on:
        due = (
            f" It was due on {day(order.expected_on)}, so it's late. I'm sorry about that. "
            "I can pass you to a person who'll chase it."
        )
    sentences = {
        "processing": f"{name} is being prepared and hasn't left yet.{due}",
        "packed": f"{name} is packed and waits for the carrier.{due}",
        "in_transit": f"{name} is on its way{by}.{due}",
        "out_for_delivery": f"{name} is out for delivery{by} today.",
        "canceled": f"{name} was canceled.",
        "returned": f"{name} came back to us as a return.",
        "delivered": f"{name} was delivered" + (f" on {day(order.delivered_on)}" if order.delivered_on else "") + ".",
    }
    return sentences.get(order.status, f"{name} has the state '{order.status.replace('_', ' ')}'.{due}")


def order_history(orders: tuple[OrderDetails, ...]) -> str:
    """The newest orders, one a line."""
    lines = [
        f"- {order.summary.order_number}: {order.summary.status.replace('_', ' ')}, "
        f"{items(order.summary.item_count)}, {amount(order.total)}"
        for order in orders[:MOST_LISTED]
    ]
    more = len(orders) - len(lines)
    tail = [f"...and {more} older."] if more > 0 else []
    return "\n".join([f"You have {count(len(orders), 'order')} with us:", *lines, *tail])


def cannot_cancel(order: OrderDetails) -> str:
    """Why an order can't be canceled, and what can be done instead."""
    if order.summary.status == "canceled":
        return f"Order {order.summary.order_number} is canceled already. There's nothing left to do."
    if order.summary.status == "returned":
        return f"Order {order.summary.order_number} came back to us already, so there's nothing to cancel."
    return (
        f"Order {order.summary.order_number} has left our warehouse, so I can't cancel it any more. "
        "You can send it back free of charge within Ireland within 30 days of the delivery."
    )


def canceled(order: OrderDetails) -> str:
    """Confirmation of a cancellation that the shop confirmed."""
    return f"Order {order.summary.order_number} is canceled. We refund {amount(order.total)} to you."


def cannot_change_address(order: OrderDetails) -> str:
    """Why the address stays, and what can be done instead."""
    tracking = f" Its tracking code is {order.tracking_code}." if order.tracking_code else ""
    carrier = order.summary.carrier or "the carrier"
    if order.summary.status not in ("in_transit", "out_for_delivery"):
        state = order.summary.status.replace("_", " ")
        return f"Order {order.summary.order_number} is {state}, so its address can't be changed."
    return (
        f"Order {order.summary.order_number} has left our warehouse, so I can't change its address. "
        f"{carrier} can redirect it.{tracking}"
    )


def address_changed(order: OrderDetails) -> str:
    """Confirmation of an address that the shop accepted."""
    return f"Done: order {order.summary.order_number} now goes to {order.shipping_address}."


def cannot_return(order: OrderDetails) -> str:
    """Why an order can't be returned, and what can be done instead."""
    number = order.summary.order_number
    if order.summary.status == "returned":
        return f"Order {number} came back to us already. I can check the refund if you like."
    if order.summary.status != "delivered":
        state = order.summary.status.replace("_", " ")
        return f"Order {number} is {state}, so there's nothing to send back yet."
    until = f" on {day(order.return_until)}" if order.return_until else ""
    return (
        f"The time to return order {number} ended{until}. If an item is faulty, the 2-year warranty still "
        "covers it: just tell me what's wrong."
    )


def return_started(reference: str, number: str) -> str:
    """Confirmation of a return that the shop opened."""
    return (
        f"The return of order {number} is open, with the reference {reference}. The label is in your email. "
        "We refund within 5 working days of the parcel's arrival."
    )


def refund(state: Refund) -> str:
    """How far a refund is."""
    sum_of = f" of {amount(state.amount)}" if state.amount else ""
    when = f" on {day(state.updated_on)}" if state.updated_on else ""
    sentences = {
        "none": f"There's no refund for order {state.order_number}. Shall I pass you to a person?",
        "awaiting_parcel": f"Your refund{sum_of} starts as soon as your parcel reaches us; "
        "we then need up to 5 working days.",
        "pending": f"Your refund{sum_of} is being processed. It takes up to 5 working days, "
        "and your bank may need 3 more.",
        "refunded": f"We sent your refund{sum_of}{when}. Your bank may need up to 3 days to show it.",
    }
    return sentences.get(state.state, f"Your refund{sum_of} has the state '{state.state}'.")


def balance(credit: Money) -> str:
    """The store credit."""
    return f"You have {amount(credit)} of store credit."


def not_received(order: OrderStatus, reference: str) -> str:
    """A parcel that is said to be delivered, and isn't there."""
    return (
        f"Order {order.order_number} is marked as delivered"
        + (f" on {day(order.delivered_on)}" if order.delivered_on else "")
        + f", so I've asked our team to trace it with the carrier. Your reference is {reference}. "
        "Please also look with neighbors and in the places where parcels are left."
    )


def case_opened(task: str, ticket: Ticket) -> str:
    """Confirmation of a ticket that the shop opened."""
    what = CASE_OPENED.get(task, "I've opened a ticket for you")
    return f"{what}. Your reference is {ticket.reference}; our team will answer by email."


def ticket_state(ticket: Ticket) -> str:
    """The state of a ticket."""
    return f"Ticket {ticket.reference} is {ticket.state.replace('_', ' ')}."


def handed_over(reference: str, has_email: bool) -> str:
    """Confirmation that a person will take over."""
    how = "They'll answer by email." if has_email else "Please keep it: with it I can tell you how far they are."
    return f"I've passed this to a person from our team. Your reference is {reference}. {how}"


def handed_over_live(ahead: int, reference: str) -> str:
    """Somebody comes into this chat; until then nobody should wonder about the silence."""
    queue = "You're next." if ahead == 0 else f"{count(ahead, 'customer')} before you."
    ticket = f" Your reference is {reference}." if reference else ""
    return (
        f"I'm passing you to a person from our team, right here in this chat. {queue}{ticket} "
        "I'll keep quiet until they're done; whatever you write now, they will read."
    )


def promised(reference: str, due: str, opens: str) -> str:
    """Nobody can come now; by when there will be an answer."""
    why = f"Our team is back on {opens}." if opens else "Nobody from our team is free right now."
    # Without a ticket the desk has it all the same.
    ticket = f", with the reference {reference}" if reference else ""
    return (
        f"{why} I've passed this on{ticket}: they'll answer by {due}. "
        "You'll find the answer in this chat. Until then I'm here, if there's anything else."
    )


def unknown_order(number: str) -> str:
    """An order that the shop doesn't know."""
    return f"I can't find an order {number}. Please check the five digits in the confirmation email."


def unknown_ticket(reference: str) -> str:
    """A ticket that the shop doesn't know."""
    return f"I can't find a ticket {reference}. Please check the reference."


def not_verified(number: str) -> str:
    """An email address that isn't the order's."""
    return (
        f"That email address doesn't belong to order {number}. Please use the one that the confirmation went "
        "to, or say 'talk to a person'."
    )


def refused(problem: Refused) -> str:
    """What the shop said no to, in its own words."""
    return f"{problem.message} {problem.next_step}"


def amount(money: Money) -> str:
    """An amount as people write it."""
    whole, cents = divmod(abs(money.cents), 100)
    sign = "-" if money.cents < 0 else ""
    symbol = SYMBOLS.get(money.currency, f"{money.currency} ")
    return f"{sign}{symbol}{whole:,}.{cents:02d}"


def day(value: date) -> str:
    """A day as people say it."""
    return f"{value:%A}, {value:%B} {value.day}"


def items(number: int) -> str:
    """A number of items."""
    return count(number, "item")


def count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
