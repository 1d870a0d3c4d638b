"""What people may do: each role has rights, and each route names the one that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Right(str, Enum):
    """Something that a person may do in the hub."""

    LOOK = "look"  # at gaps, proposals, conversations (redacted), releases, experiments, metrics
    REVIEW = "review"  # decide, annotate, release, take back, experiment
    RETRAIN = "retrain"  # start and stop trainings, deploy models
    AUDIT = "audit"  # read and export the audit log
    DESK = "desk"  # talk to customers who were handed over, whose texts are not redacted
    MANAGE = "manage"  # accounts and settings


class Role(str, Enum):
    """What an account is for."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    AGENT = "agent"
    ADMIN = "admin"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.LOOK}),
    Role.REVIEWER: frozenset({Right.LOOK, Right.REVIEW, Right.RETRAIN, Right.AUDIT}),
    # An agent needs the chats that wait for a person, and nothing of what the assistant is taught.
    Role.AGENT: frozenset({Right.DESK}),
    Role.ADMIN: frozenset(Right),
}
