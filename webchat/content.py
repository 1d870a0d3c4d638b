"""What an answer may hold beside text: quick replies, links, pictures and cards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

MOST_CARDS = 10  # a longer list is one that nobody reads in a chat
MOST_BUTTONS = 10


@dataclass(frozen=True)
class Button:
    """A quick reply: what the customer reads and what the bot gets."""

    title: str
    payload: str


@dataclass(frozen=True)
class Link:
    """An address that opens beside the chat."""

    title: str
    url: str


@dataclass(frozen=True)
class Card:
    """A box with a title, and if given a text, a picture, links and quick replies."""

    title: str
    text: str = ""
    image: str | None = None
    image_alt: str = ""
    links: tuple[Link, ...] = ()
    buttons: tuple[Button, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the card as the page reads it."""
        return {
            "title": self.title,
            "text": self.text,
            "image": self.image,
            "image_alt": self.image_alt,
            "links": [{"title": link.title, "url": link.url} for link in self.links],
            "buttons": [{"title": button.title, "payload": button.payload} for button in self.buttons],
        }


def web_address(value: object) -> str | None:
    """Return an address of the web, None for anything else: `javascript:` and the like never become links."""
    if not isinstance(value, str) or not value.startswith(("https://", "http://")):
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.hostname and value.isprintable() and " " not in value else None


def picture(value: object, hosts: Collection[str]) -> str | None:
    """Return a picture's address where its host is allowed: any other would learn who reads which chat when."""
    address = web_address(value)
    if address is None or urlsplit(address).netloc.lower() not in hosts:
        return None
    return address if address.startswith("https://") or _is_local(address) else None


def buttons_of(items: object) -> tuple[tuple[Button, ...], tuple[Link, ...]]:
    """Return quick replies and links out of a list of Rasa's buttons; what is odd is left out."""
    buttons, links = [], []
    for item in _mappings(items, MOST_BUTTONS):
        title = _text(item.get("title"))
        address = web_address(item.get("url"))
        if title and address:
            links.append(Link(title, address))
        elif title:
            buttons.append(Button(title, _text(item.get("payload")) or title))
    return tuple(buttons), tuple(links)


def cards_of(data: Mapping[str, Any], hosts: Collection[str]) -> tuple[Card, ...]:
    """Return the cards of an answer: Rasa's `elements`, or `card`/`cards` of its `custom` part."""
    custom = data.get("custom") or data.get("attachment")
    given: list[Any] = list(data["elements"]) if isinstance(data.get("elements"), list) else []
    if isinstance(custom, Mapping):
        cards = custom.get("cards")
        given += cards if isinstance(cards, list) else []
        given.append(custom.get("card"))
    found = (_card(item, hosts) for item in _mappings(given, MOST_CARDS))
    return tuple(card for card in found if card is not None)


def _card(item: Mapping[str, Any], hosts: Collection[str]) -> Card | None:
    title = _text(item.get("title"))
    if not title:
        return None
    buttons, links = buttons_of(item.get("buttons"))
    given = item.get("image") or item.get("image_url")
    shown = picture(given, hosts)
    more = web_address(item.get("link") or item.get("item_url"))
    if more:
        links = (Link(_text(item.get("link_title")) or "Open", more), *links)
    if shown is None and web_address(given):
        links = (*links, Link("Picture", str(given)))
    text = _text(item.get("text")) or _text(item.get("subtitle"))
    return Card(title, text, shown, _text(item.get("image_alt")), links, buttons)


def _mappings(items: object, most: int) -> Iterator[Mapping[str, Any]]:
    listed: Iterable[Any] = items if isinstance(items, list) else ()
    yield from [item for item in listed if isinstance(item, Mapping)][:most]


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _is_local(address: str) -> bool:
    return urlsplit(address).hostname in ("127.0.0.1", "localhost")
