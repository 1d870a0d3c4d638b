"""Trying a proposal before deciding: the replay of a changed version, and a conversation with it applied."""

from __future__ import annotations

import threading

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub import texts
from hub.context import Hub, form_of, hub_of, user_of
from hub.errors import Incomplete
from hub.forms import Form
from hub.review import forms
from hub.review.proposal_page import Trial, address, found_proposal, show_proposal
from hub.review.sandboxes import MAX_TEXT
from hub.routing import action
from learning import fitting
from learning.errors import EvergreenError, ReviewError
from learning.loop import Loop
from learning.model import Action, Decision, Proposal
from learning.review import as_decided
from learning.reviewing import adding_to_known
from learning.version_replay import Bench, replay_version

SEE_OTHER = 303


class _Benches:
    """Keeps the bench of the last trial: reading what went well takes seconds, and people try several versions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[Loop, Bench] | None = None

    def of(self, loop: Loop) -> Bench:
        """Return the bench for what is live now."""
        with self._lock:
            if self._kept is None or self._kept[0] is not loop or not self._kept[1].is_current(loop):
                self._kept = (loop, Bench.open(loop))
            return self._kept[1]


_BENCHES = _Benches()


def try_version(request: Request) -> Response:
    """Show what the version in the form would fix and break; nothing is saved."""
    hub, form, found = hub_of(request), form_of(request), found_proposal(request)
    try:
        decision = _typed(hub, form, found, user_of(request))
        bench = _BENCHES.of(hub.loop)
        # What was kept of the suggestion was measured when it was mined; since then something else may be live.
        as_it_is = Decision(found.proposal_id, Action.APPROVE, decision.who, decision.at)
        version, suggested = (replay_version(hub.loop, bench, found, one) for one in (decision, as_it_is))
        trial = Trial(version, suggested)
    except Incomplete as error:
        return show_proposal(request, found, error.what, 422, form, error.item)
    except EvergreenError as error:
        trial = Trial(problem=f"{error.item} {error.what}; {error.next_step}")
    return show_proposal(request, found, form=form, trial=trial)


def start(request: Request) -> Response:
    """Start a sandbox with the suggestion, or with the version in the form, which stays as it was typed."""
    hub, form, found, user = hub_of(request), form_of(request), found_proposal(request), user_of(request)
    is_edited = "keep" in form.fields or "answer" in form.fields or "label" in form.fields
    try:
        version = _version(hub, form, found, user) if is_edited else found
        hub.sandboxes.start(hub.loop, user, version, edited=version != as_decided(found, None))
    except Incomplete as error:
        return show_proposal(request, found, error.what, 422, form, error.item)
    except ReviewError as error:
        return show_proposal(request, found, f"{error.item} {error.what}; {error.next_step}.", 409, form)
    return show_proposal(request, found, form=form) if is_edited else RedirectResponse(_place(found), SEE_OTHER)


def say(request: Request) -> Response:
    """Say something in the sandbox."""
    hub, form, found = hub_of(request), form_of(request), found_proposal(request)
    text = form.get("text")
    if not text:
        return show_proposal(request, found, texts.review.SANDBOX_EMPTY, 422, form, "text")
    if len(text) > MAX_TEXT:
        return show_proposal(request, found, texts.review.SANDBOX_LONG.format(limit=MAX_TEXT), 422, form, "text")
    after = int(form.get("after")) if form.get("after").isdecimal() and len(form.get("after")) <= 9 else 0
    try:
        hub.sandboxes.say(user_of(request), found.proposal_id, text, form.get("compare") == "1", after)
    except ReviewError as error:
        return show_proposal(request, found, f"{error.item} {error.what}; {error.next_step}.", 409, form)
    return RedirectResponse(_place(found), SEE_OTHER)


def stop(request: Request) -> Response:
    """End the sandbox."""
    found = found_proposal(request)
    hub_of(request).sandboxes.stop(user_of(request))
    return RedirectResponse(_place(found), SEE_OTHER)


def _typed(hub: Hub, form: Form, found: Proposal, who: str) -> Decision:
    """Return the decision that the approval form would make."""
    answered = fitting.read_labels(hub.loop).known
    return forms.approval(found, form, who, hub.loop.now(), answered)


def _version(hub: Hub, form: Form, found: Proposal, who: str) -> Proposal:
    """Return the proposal as the form would leave it."""
    return as_decided(found, adding_to_known(hub.loop, found, _typed(hub, form, found, who)))


def _place(found: Proposal) -> str:
    return f"{address(found)}#sandbox"


ROUTES = (
    action("/proposals/{proposal_id}/try", try_version),
    action("/proposals/{proposal_id}/sandbox", start),
    action("/proposals/{proposal_id}/sandbox/say", say),
    action("/proposals/{proposal_id}/sandbox/stop", stop),
)
