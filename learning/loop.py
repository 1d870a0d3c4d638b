"""What the flow works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from learning.drafting import AnswerDrafter
from learning.ports import (
    Encoder,
    LearningStore,
    ProjectFiles,
    PullRequestHost,
    Redactor,
    ReviewHost,
    TrackerEvents,
)
from learning.settings import Settings


@dataclass(frozen=True)
class Loop:
    """The objects of one project's learning loop; built by `bootstrap`."""

    settings: Settings
    store: LearningStore
    open_tracker: Callable[[], TrackerEvents]
    encoder: Encoder
    redactor: Redactor
    project: ProjectFiles
    host: ReviewHost
    now: Callable[[], datetime]
    drafter: AnswerDrafter | None = None  # a language model that words answers
    pulls: PullRequestHost | None = None  # where proposals are offered as pull requests
