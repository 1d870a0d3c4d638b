"""The channel's options, as they stand in credentials.yml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from webchat.errors import WebchatConfigError

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")


@dataclass(frozen=True)
class WebchatSettings:
    """Every option with its default, unit and reason."""

    title: str = "Fernway help"
    shop_name: str = "Fernway"  # who the bot speaks for, in labels
    welcome: str = (
        "Hi! I can help with orders, returns, payments and your account. "
        "I am an automated assistant; ask for a person at any time."
    )
    suggestions: tuple[str, ...] = ("Where is my order?", "I want to return something", "What can you do?")
    max_message_chars: int = 1000  # a long complaint fits; a pasted document does not
    messages_per_minute: int = 20  # a fast typist sends about ten
    feedback_per_minute: int = 30  # thumbs are clicked in bursts while reading back
    token_days: int = 30  # how long a conversation can be resumed
    answer_timeout_s: int = 30  # then the page asks again; the work itself goes on
    frame_ancestors: str = "'self'"  # CSP sources of the sites that may embed the page
    image_hosts: tuple[str, ...] = ()  # whose pictures are shown; others become links, for they would see who reads
    ending_intents: tuple[str, ...] = ("goodbye",)  # after these the customer is asked for a mark
    csat_question: str = "How was this conversation?"
    csat_idle_minutes: int = 5  # silence of both sides that counts as the end; shorter is still reading
    push_interval_ms: int = 500  # how often the tracker store is asked for news of other processes
    streams_per_conversation: int = 6  # a browser opens no more connections to one host
    most_streams: int = 5000  # of one bot process; each holds a socket and about 30 kB
    identity_minutes: int = 10  # longest life of the host page's token: made for one page view
    customer_hours: int = 12  # how long a known customer's chat stays open without a new word of the host page
    demo_page: bool = False  # serve demo/, a shop's page with the widget

    @classmethod
    def from_options(cls, options: Mapping[str, Any] | None) -> WebchatSettings:
        """Build settings from the channel's section of credentials.yml."""
        given = dict(options or {})
        hints = get_type_hints(cls)
        known = {field.name for field in fields(cls)}
        for key, value in given.items():
            if key not in known:
                raise WebchatConfigError(
                    f"credentials.yml: webchat has no option '{key}'; use one of {', '.join(sorted(known))}"
                )
            if hints[key] == tuple[str, ...]:
                if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                    raise WebchatConfigError(f"credentials.yml: webchat.{key} must be a list of texts")
                given[key] = tuple(value)
            elif hints[key] is bool:
                if not isinstance(value, bool):
                    raise WebchatConfigError(f"credentials.yml: webchat.{key} is {value!r}; it must be true or false")
            elif hints[key] is int:
                if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                    raise WebchatConfigError(
                        f"credentials.yml: webchat.{key} is {value!r}; it must be a whole number of 1 or more"
                    )
            elif not isinstance(value, str):
                raise WebchatConfigError(f"credentials.yml: webchat.{key} is {value!r}; it must be text")
        if any(char in given.get("frame_ancestors", "") for char in ";,\r\n"):
            raise WebchatConfigError(
                "credentials.yml: webchat.frame_ancestors must be sources with spaces between, no ';' or ','"
            )
        for host in given.get("image_hosts", ()):
            if not _HOST.fullmatch(host):
                raise WebchatConfigError(
                    f"credentials.yml: webchat.image_hosts: {host!r} is no host name such as 'cdn.example.com'"
                )
        return cls(**given)
