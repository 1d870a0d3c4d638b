"""Sandbox sessions of the hub: at most one a person, few at a time, each ended when nobody has used it for a while.

A session is a child process with a whole model in memory. It is loaded in the background, and what is said in it is
kept in memory only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from learning.errors import EvergreenError, ReviewError
from learning.loop import Loop
from learning.model import Proposal
from learning.review import content_mark
from learning.sandbox import Exchange, Sandbox, TrialBots

logger = logging.getLogger(__name__)

MOST = 2  # at a time: each holds a model, which is half a gigabyte or more
IDLE_SECONDS = 600.0  # a reviewer who thinks for longer starts another one
SWEEP_SECONDS = 15.0
MOST_SAID = 50  # exchanges in a session
MAX_TEXT = 500  # characters; customers cannot send more either


class SandboxState(str, Enum):
    """Where a session stands."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Said:
    """A message and what the bot answers with the proposal and, where it was asked for, without."""

    text: str
    applied: Exchange
    without: Exchange | None = None

    @property
    def differs(self) -> bool:
        """Whether the customer would notice; False where nothing was compared."""
        return self.without is not None and self.without.replies != self.applied.replies


@dataclass(frozen=True)
class SandboxView:
    """A session as a page shows it; `edited` if it was started with somebody's changes, `problem` if it failed.

    `seen` marks the content that is tried in it.
    """

    proposal_id: str
    state: SandboxState
    edited: bool
    seen: str
    model: str = ""
    problem: str = ""
    said: tuple[Said, ...] = ()


@dataclass
class _Session:
    proposal: Proposal
    edited: bool
    used: float
    state: SandboxState = SandboxState.LOADING
    sandbox: Sandbox | None = None
    problem: str = ""
    said: list[Said] = field(default_factory=list)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def view(self) -> SandboxView:
        model = self.sandbox.model if self.sandbox else ""
        proposal, said = self.proposal, tuple(self.said)
        mark = content_mark(proposal)
        return SandboxView(proposal.proposal_id, self.state, self.edited, mark, model, self.problem, said)


class Sandboxes:
    """The sessions by user."""

    def __init__(
        self,
        bots: TrialBots | None = None,
        most: int = MOST,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bots = bots
        self._most = most
        self._idle = idle_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._changes = 0
        self._sweeper: threading.Thread | None = None

    @property
    def is_available(self) -> bool:
        """Whether there is a model to try anything on."""
        return self._bots is not None

    def start(self, loop: Loop, user: str, proposal: Proposal, edited: bool = False) -> None:
        """Begin a session in place of the one that `user` may have; the model is loaded in the background.

        Raises:
            ReviewError: there are as many as there may be.

        """
        bots = self._bots
        if bots is None:
            raise ReviewError("has no model to try it on", f"proposal {proposal.proposal_id}", "start the hub anew")
        self.stop(user)
        session = _Session(proposal, edited, self._clock())
        with self._lock:
            if sum(one.state is not SandboxState.FAILED for one in self._sessions.values()) >= self._most:
                raise ReviewError(
                    f"has to wait: {self._most} people are trying something already",
                    f"the sandbox of {proposal.proposal_id}",
                    "try again in a few minutes, or ask a colleague to end theirs",
                )
            self._sessions[user] = session
            self._changes += 1
            if self._sweeper is None:
                self._sweeper = threading.Thread(target=self._sweep_until_empty, name="sandboxes", daemon=True)
                self._sweeper.start()
        loading = threading.Thread(
            target=self._load, args=(loop, bots, user, session), name="sandbox-load", daemon=True
        )
        loading.start()

    def say(self, user: str, proposal_id: str, text: str, compare: bool, after: int) -> None:
        """Say something in a session; what a page that is out of date sends again is not said twice.

        Args:
            user: whose session.
            proposal_id: what is tried in it.
            text: what a customer would write.
            compare: whether the bot without the proposal is asked, too.
            after: how many exchanges the page showed.

        Raises:
            ReviewError: there is no such session, or it is full.

        """
        session = self._of(user, proposal_id)
        item, restart = f"the sandbox of {proposal_id}", "start it again"
        if session is None or session.sandbox is None:
            raise ReviewError("is not running", item, restart)
        with session.turn:
            if len(session.said) > after and session.said[-1].text == text:
                return
            if len(session.said) >= MOST_SAID:
                raise ReviewError(f"holds {MOST_SAID} messages, which is the most", item, restart)
            session.used = self._clock()
            try:
                without = session.sandbox.say_without(text) if compare else None
                session.said.append(Said(text, session.sandbox.say(text), without))
            except EvergreenError as error:
                self._fail(session, error)
                return
            session.used = self._clock()

    def view(self, user: str, proposal_id: str) -> SandboxView | None:
        """Return the session that `user` has about a proposal, None without."""
        session = self._of(user, proposal_id)
        return session.view() if session else None

    def stop(self, user: str) -> None:
        """End the session of `user`, if there is one."""
        with self._lock:
            session = self._sessions.pop(user, None)
            self._changes += session is not None
        if session is not None:
            _close(session)

    def stop_all(self) -> None:
        """End every session."""
        with self._lock:
            users = list(self._sessions)
        for user in users:
            self.stop(user)

    def mark(self) -> str:
        """Return what changes whenever a session has been loaded, has failed or has ended."""
        return str(self._changes)

    def _of(self, user: str, proposal_id: str) -> _Session | None:
        with self._lock:
            session = self._sessions.get(user)
        return session if session and session.proposal.proposal_id == proposal_id else None

    def _load(self, loop: Loop, bots: TrialBots, user: str, session: _Session) -> None:
        try:
            sandbox = Sandbox.open(loop, bots, session.proposal)
        except EvergreenError as error:
            self._fail(session, error)
            return
        except Exception:
            logger.exception("the sandbox of proposal %s could not be started", session.proposal.proposal_id)
            self._fail(session, ReviewError("could not be started", "the sandbox", "look at the log of the hub"))
            return
        with self._lock:
            is_wanted = self._sessions.get(user) is session
            if is_wanted:
                session.sandbox, session.state, session.used = sandbox, SandboxState.READY, self._clock()
                self._changes += 1
        if not is_wanted:  # it was ended while the model was loading
            sandbox.close()

    def _fail(self, session: _Session, error: EvergreenError) -> None:
        with self._lock:
            session.state = SandboxState.FAILED
            session.problem = f"{error.item} {error.what}; {error.next_step}."
            self._changes += 1
        _close(session)

    def sweep(self) -> None:
        """End the sessions that nobody has used for long."""
        oldest = self._clock() - self._idle
        with self._lock:
            idle = [user for user, session in self._sessions.items() if session.used < oldest]
        for user in idle:
            self.stop(user)

    def _sweep_until_empty(self) -> None:
        while True:
            time.sleep(SWEEP_SECONDS)
            self.sweep()
            with self._lock:
                if not self._sessions:
                    self._sweeper = None
                    return


def _close(session: _Session) -> None:
    sandbox, session.sandbox = session.sandbox, None
    if sandbox is not None:
        sandbox.close()
