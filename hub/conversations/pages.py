"""All conversations: found, read, annotated, exported."""

from __future__ import annotations

from hub.context import Hub
from hub.conversations import keeping, lists, marking
from hub.live import Topic
from hub.routing import StaffRoute
from hub.staff.roles import Right
from learning import browsing


def _newest(hub: Hub) -> str:
    return browsing.newest(hub.loop)


# Only that there are newer ones is told: a list must not move under whoever reads it.
TOPICS: tuple[Topic, ...] = (Topic("conversations", _newest, Right.LOOK),)

# Fixed addresses come before those that begin with the id of a conversation.
ROUTES: tuple[StaffRoute, ...] = (*lists.ROUTES, *keeping.ROUTES, *marking.ROUTES)
