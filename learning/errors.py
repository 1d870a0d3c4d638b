"""Errors that say what failed, which item, and what to do next."""

from __future__ import annotations


class EvergreenError(Exception):
    """A problem that the operator can act on: what failed, which item, and the next step."""

    def __init__(self, what: str, item: str, next_step: str) -> None:
        self.what = what
        self.item = item
        self.next_step = next_step
        super().__init__(f"{item}: {what}; {next_step}")


class SettingsError(EvergreenError):
    """`learning.yml` or an environment variable holds something unusable."""


class ProjectError(EvergreenError):
    """The Rasa project (domain, endpoints, data) lacks what the loop needs."""


class TrackerStoreError(EvergreenError):
    """The tracker store cannot be read or is not one that Rasa wrote."""


class StoreError(EvergreenError):
    """The learning database cannot be read or written."""


class NotFound(EvergreenError):
    """No record has the given id."""


class ReviewError(EvergreenError):
    """A decision is not allowed in the proposal's present state, or lacks something."""


class PublishError(EvergreenError):
    """A release could not be made or written to its branch."""


class TrainingError(EvergreenError):
    """`rasa train` failed or its model could not be evaluated."""


class Stopped(EvergreenError):
    """Somebody wanted the work to stop, and it did."""


class HostError(EvergreenError):
    """The host of the pull requests refused or did not answer."""


class PullRefused(HostError):
    """The host does not know one pull request, or refused one change; others can go on."""


class NoticeError(EvergreenError):
    """A message to people reached nobody."""


class BotServerError(EvergreenError):
    """The running Rasa server refused or did not answer."""
