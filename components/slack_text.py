"""Slack's ways with text: what people see becomes what Rasa gets, and the other way round."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webchat.limits import sendable

LONGEST_SECTION = 3_000  # characters that Slack shows in one block
LONGEST_BUTTON = 75  # characters on a button
LONGEST_VALUE = 2_000  # characters that a button may send
MOST_BUTTONS = 25  # in one row of actions
PREFIX = "slack_"
FEEDBACK_BLOCK = "evergreen_feedback"
_MENTION = re.compile(r"<@[A-Z0-9]+(\|[^>]*)?>")
_LINK = re.compile(r"<(?:mailto:)?([^<>|]+)\|([^<>]*)>")
_BARE_LINK = re.compile(r"<((?:https?://|mailto:)[^<>|]+)>")
_BLANKS = re.compile(" {2,}")
_CHANNEL = re.compile(r"<[#!][^<>]*>")


@dataclass(frozen=True)
class Place:
    """Where a conversation is: the person, and the channel and thread if it is not a direct one."""

    user: str
    channel: str = ""
    thread: str = ""

    @property
    def conversation_id(self) -> str:
        """The conversation's id in the tracker, from which `parse` finds the place again.

        All of a workspace know each other's Slack ids: what begins with `PREFIX` no other channel may open.
        """
        return PREFIX + "_".join(part for part in (self.user, self.channel, self.thread) if part)

    @classmethod
    def parse(cls, conversation_id: str) -> Place:
        """Return the place of a conversation; Slack's ids have no underscore."""
        return cls(*conversation_id.removeprefix(PREFIX).split("_", 2))


def plain(text: str) -> str:
    """Return what a person typed, without Slack's markup: mentions, links, and escaped characters."""
    text = _CHANNEL.sub(" ", _MENTION.sub(" ", text))
    text = _BARE_LINK.sub(lambda match: match.group(1).removeprefix("mailto:"), _LINK.sub(r"\2", text))
    return sendable(html.unescape(_BLANKS.sub(" ", text))).strip()


def escaped(text: str) -> str:
    """Return a text that Slack shows as it is: nobody can make the bot call a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def parts(text: str) -> list[str]:
    """Cut a text into parts that fit into a block, at ends of lines or words where there are some."""
    found = []
    text = text.strip()
    while len(text) > LONGEST_SECTION:
        cut = max(text.rfind("\n", 0, LONGEST_SECTION), text.rfind(" ", 0, LONGEST_SECTION))
        cut = cut if cut > 0 else LONGEST_SECTION
        found.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*found, text] if text else found


def section(text: str) -> dict[str, Any]:
    """Return the block that shows a text as it is."""
    return {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}


def choices(buttons: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of quick replies; what does not fit into a button of Slack's is left out."""
    usable = [button for button in buttons if len(str(button.get("payload", ""))) <= LONGEST_VALUE]
    elements = [
        _button(str(button["title"]), f"choice_{number}", value=str(button["payload"]))
        for number, button in enumerate(usable)
        if button.get("title") and button.get("payload")
    ]
    rows = [elements[start : start + MOST_BUTTONS] for start in range(0, len(elements), MOST_BUTTONS)]
    return [{"type": "actions", "elements": row} for row in rows]


def feedback() -> dict[str, Any]:
    """Return the row that asks whether an answer was good."""
    thumbs = (("\N{THUMBS UP SIGN}", "up"), ("\N{THUMBS DOWN SIGN}", "down"))
    elements = [_button(sign, f"thumb_{value}", value=f'/feedback{{"value": "{value}"}}') for sign, value in thumbs]
    for element, label in zip(elements, ("This helped", "This did not help"), strict=True):
        element["accessibility_label"] = label
    return {"type": "actions", "block_id": FEEDBACK_BLOCK, "elements": elements}


def _button(title: str, action_id: str, value: str) -> dict[str, Any]:
    text = title if len(title) <= LONGEST_BUTTON else f"{title[: LONGEST_BUTTON - 1]}…"
    return {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": text, "emoji": True},
        "value": value,
    }
