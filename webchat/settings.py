"""The channel's options, as they stand in credentials.yml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from webchat.errors import WebchatConfigError


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
    frame_ancestors: str = "'none'"  # CSP sources of the sites that may embed the page

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
            if key == "suggestions":
                if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                    raise WebchatConfigError("credentials.yml: webchat.suggestions must be a list of texts")
                given[key] = tuple(value)
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
        return cls(**given)
