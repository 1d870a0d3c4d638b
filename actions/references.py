"""Which order a customer means: "the other one", "10017, not 10342", or a number that is no order's."""

from __future__ import annotations

import json
import re
from typing import Any

from rasa_sdk import Tracker

from actions.conversation import (
    Event,
    clean_order_number,
    email,
    last_turn_ran,
    latest_text,
    order_number,
    session_events,
    task,
    verified_email,
)
from actions.services.shop_api import Shop, ShopError
from actions.tasks import FORM, ORDER, TASKS

MOST_OFFERED = 5  # buttons; more fill a phone's screen
_KINDS = "one|order|parcel|package|delivery|shipment"
_OTHER = re.compile(
    rf"\b(?:the|my|that|this)\s+other\s+(?:{_KINDS})\b|\banother\s+(?:order|parcel|package|delivery)\b"
    r"|\b(?:the|my)\s+other(?=\s*[?!.,]|\s*$)",
    re.IGNORECASE,
)
# Five digits of any kind; the order numbers among them begin with a 1 and are found as entities.
_FIVE_DIGITS = re.compile(
    r"(?<![\w.,@/€$£+-])#?(\d{5})(?![\w@/]|[.,-]\d|\s?(?:€|\$|£|eur|dollars?|pounds?|mah\b|lumens?\b))", re.IGNORECASE
)
_NAMED_AS_ORDER = re.compile(
    r"(?:\border\b|\bparcel\b|\bpackage\b|\bnumber\b|\bno\b\.?|\bnr\b\.?)[\s:]*(?:is\s*)?#?$", re.IGNORECASE
)
_DENIED = re.compile(
    r"\b(?:not|instead of|rather than|isn't|wasn't)\s+(?:order\s+|number\s+|the\s+)*#?(1\d ?\d{3})\b", re.IGNORECASE
)


def meant(tracker: Tracker) -> list[str]:
    """The order numbers that the latest message gives, without those that it takes back."""
    given = [clean_order_number(value) for value in tracker.get_latest_entity_values(ORDER)]
    denied = {clean_order_number(number) for number in _DENIED.findall(latest_text(tracker))}
    return list(dict.fromkeys(number for number in given if number and number not in denied))


def no_order(tracker: Tracker, asked_for_it: bool) -> str | None:
    """Five digits in the latest message that cannot be an order's, None without any.

    Where no number was asked for, they count only if the customer calls them an order: a message may speak of prices
    and postcodes as well.
    """
    text = latest_text(tracker)
    if next(tracker.get_latest_entity_values(ORDER), None) is not None:
        return None
    for match in _FIVE_DIGITS.finditer(text):
        if asked_for_it or match.group().startswith("#") or _NAMED_AS_ORDER.search(text[: match.start()]):
            return match.group(1)
    return None


def means_other(tracker: Tracker) -> bool:
    """Whether the latest message speaks of another order than the last, and gives no number."""
    return _speaks_of_other(latest_text(tracker)) and not meant(tracker)


async def others(tracker: Tracker, shop: Shop) -> list[str]:
    """The orders that "the other one" may be: the other of two that were named, or what else the customer has.

    The shop tells a customer's orders only to who knows the number and the address of one of them.
    """
    known = named(tracker)
    current = order_number(tracker) or (known[-1] if known else None)
    rest = [number for number in known if number != current]
    address = email(tracker) or verified_email(tracker)
    if len(rest) == 1 or current is None or address is None:
        return rest
    try:
        orders = await shop.order_history(current, address)
    except ShopError:
        return rest  # asking for the number is an honest way on
    return [one.summary.order_number for one in orders if one.summary.order_number != current]


def named(tracker: Tracker) -> list[str]:
    """The orders that this session was about, the current one last; without those that turned out to be none."""
    found: dict[str, None] = {}
    current, keeps = None, False
    for event in session_events(tracker):
        if event.get("event") == "user":
            numbers = _numbers_of(event)
            keeps = len(numbers) > 1 or _speaks_of_other(str(event.get("text") or ""))
            found |= dict.fromkeys(numbers)
        elif event.get("event") == "slot" and event.get("name") == ORDER:
            value = clean_order_number(event.get("value"))
            if value:
                found.pop(value, None)
                found[value] = None
            elif current and not keeps:
                found.pop(current, None)
            current = value
    return list(found)


def can_repeat(tracker: Tracker) -> bool:
    """Whether the turn before has just ended a task that could be done for another order as well."""
    current = TASKS.get(task(tracker) or "")
    ran = last_turn_ran(tracker)
    return current is not None and ORDER in current.needs and FORM in ran and "action_never_mind" not in ran


def choices(tracker: Tracker, numbers: list[str]) -> list[dict[str, Any]]:
    """Buttons that go on with the task at hand for one of these orders."""
    current = TASKS.get(task(tracker) or "")
    name = current.name if current and ORDER in current.needs else "track_order"
    return [
        {"title": f"Order {number}", "payload": f"/{name}{json.dumps({ORDER: number})}"}
        for number in numbers[:MOST_OFFERED]
    ]


def _speaks_of_other(text: str) -> bool:
    return bool(_OTHER.search(text))


def _numbers_of(message: Event) -> list[str]:
    entities = (message.get("parse_data") or {}).get("entities") or []
    cleaned = [clean_order_number(entity.get("value")) for entity in entities if entity.get("entity") == ORDER]
    return list(dict.fromkeys(number for number in cleaned if number))
