"""What each task needs to know before it can be done: one table, read by the form and its questions."""

from __future__ import annotations

from dataclasses import dataclass

FORM = "support_form"
ORDER = "order_number"
EMAIL = "email"
ISSUE = "issue"
ADDRESS = "new_address"
REFERENCE = "ticket_reference"
CONFIRMED = "confirmed"
FREE_TEXT = frozenset({ISSUE, ADDRESS})


@dataclass(frozen=True)
class Task:
    """One thing a customer can ask for; its name is the intent that asks."""

    name: str
    needs: tuple[str, ...]  # slots, in the order in which they are asked for
    goal: str  # completes "I can ..." and the title of a ticket
    first_message_tells: bool = False  # the message that starts it usually is the description

    @property
    def is_personal(self) -> bool:
        """Whether the order number and the email address must belong together."""
        return ORDER in self.needs and EMAIL in self.needs


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("track_order", (ORDER,), "look that order up"),
        Task("order_late", (ORDER,), "check where it is"),
        Task("order_not_received", (ORDER, EMAIL), "look into the missing parcel"),
        Task("missing_item", (ORDER, EMAIL, ISSUE), "sort out the missing item", True),
        Task("change_delivery_address", (ORDER, EMAIL, ADDRESS, CONFIRMED), "change the delivery address"),
        Task("cancel_order", (ORDER, EMAIL, CONFIRMED), "cancel an order"),
        Task("change_order", (ORDER, EMAIL, ISSUE), "ask for a change to your order", True),
        Task("order_history", (ORDER, EMAIL), "show your orders"),
        Task("return_item", (ORDER, EMAIL, CONFIRMED), "start a return"),
        Task("refund_status", (ORDER, EMAIL), "check your refund"),
        Task("damaged_item", (ORDER, EMAIL, ISSUE), "report the damage", True),
        Task("wrong_item", (ORDER, EMAIL, ISSUE), "report the wrong item", True),
        Task("warranty_claim", (ORDER, EMAIL, ISSUE), "pass on your warranty claim", True),
        Task("reset_password", (EMAIL, CONFIRMED), "send you a password reset code"),
        Task("account_balance", (ORDER, EMAIL), "check your store credit"),
        Task("update_contact_details", (ORDER, EMAIL, ISSUE), "pass on your new contact details"),
        Task("delete_account", (ORDER, EMAIL, CONFIRMED), "ask for your account to be deleted"),
        Task("double_charge", (ORDER, EMAIL), "have the payment checked"),
        Task("invoice_request", (ORDER, EMAIL), "send you the invoice"),
        Task("create_ticket", (ISSUE, EMAIL), "open a ticket"),
        Task("complaint", (ISSUE, EMAIL), "pass on your complaint", True),
        Task("ticket_status", (REFERENCE,), "look your ticket up"),
    )
}
