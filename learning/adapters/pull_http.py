"""How hosts are called over HTTP: with a timeout, again where that is safe, and with errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from learning.errors import EvergreenError, HostError, PullRefused

TIMEOUT = 20  # seconds that a host has for an answer
ATTEMPTS = 4
LONGEST_WAIT = 60.0  # seconds; a host that wants more is asked again by the next run
IN_BASE = "brings nothing: all of it is in the base already"

REDIRECTS = frozenset({301, 302, 303, 307, 308})
NO_MERGE = "is merged, but the merge commit is not told yet"
BOTS = re.compile(r".*\[bot\]|(project|group)_\d+_bot.*|ghost|support-bot|alert-bot")

Result = TypeVar("Result")


@dataclass(frozen=True)
class Fault:
    """What went wrong with a call: the status (0: no answer), what the host said, and how long it wants to be left.

    `limited` marks a refusal because of too many calls: nothing was done, so that asking again is always safe.
    """

    status: int
    said: str = ""
    wait: float | None = None
    limited: bool = False


class CallFailed(Exception):
    """A call failed; the client's own error is not kept, since it may hold headers."""

    def __init__(self, fault: Fault, may_repeat: bool) -> None:
        super().__init__(fault.status)
        self.fault = fault
        self.may_repeat = may_repeat


class _Again(CallFailed):
    """One that is tried again."""


class Caller:
    """Calls a host.

    Args:
        item: what errors call the host.
        scope: what the token must be allowed.
        fault_of: what an error of the client means, None where it is none of the host.
        sleep: waits so many seconds.

    """

    def __init__(
        self, item: str, scope: str, fault_of: Callable[[Exception], Fault | None], sleep: Callable[[float], None]
    ) -> None:
        self._item = item
        self._scope = scope
        self._fault_of = fault_of
        self._sleep = sleep

    def call(self, action: Callable[[], Result], what: str, safe: bool = True) -> Result:
        """Return what `action` does; only what is `safe` is done again when nobody knows whether it was done.

        Raises:
            HostError: the host does not answer, limits the rate, or refuses the token.
            PullRefused: it refuses this one.

        """
        retrying = Retrying(
            retry=retry_if_exception_type(_Again),
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(lambda: self._once(action, safe))
        except CallFailed as error:
            fault = error.fault
        raise self._told(fault, what)

    def find(self, action: Callable[[], Result], what: str) -> Result | None:
        """Return what `action` reads, None where the host has no such thing."""

        def reading() -> Result | None:
            try:
                return action()
            except Exception as error:
                fault = self._fault_of(error)
                if fault is not None and fault.status == 404:
                    return None
                raise

        return self.call(reading, what)

    def unreadable(self, error: Exception) -> HostError:
        """Return the error that says that the host answered something else than its API does."""
        return HostError(
            f"answered what cannot be understood ({type(error).__name__})",
            self._item,
            "check that pull_requests.url is the address of its API; nothing is lost: the next run goes on",
        )

    def _once(self, action: Callable[[], Result], safe: bool) -> Result:
        try:
            return action()
        except Exception as error:
            fault = self._fault_of(error)
            if fault is None:
                raise
            short = fault.wait is None or fault.wait <= LONGEST_WAIT
            again = short and (fault.limited or (safe and (fault.status == 0 or fault.status >= 500)))
            raised = (_Again if again else CallFailed)(fault, safe)
        raise raised

    def _told(self, fault: Fault, what: str) -> HostError:
        said = f" ({plain(fault.said)})" if fault.said else ""
        if fault.limited:
            wait = f" for {fault.wait:.0f} s" if fault.wait else ""
            return HostError(f"takes no more calls{wait}", self._item, "nothing is lost: the next run goes on")
        if fault.status == 401:
            return HostError(
                "does not accept the token", self._item, f"set EVERGREEN_HOST_TOKEN to a valid one with {self._scope}"
            )
        if fault.status == 403:
            return HostError(
                f"does not allow to {what}{said}", self._item, f"give the token in EVERGREEN_HOST_TOKEN {self._scope}"
            )
        if fault.status in REDIRECTS:  # not followed: the token would go where nobody meant it to
            return HostError(
                f"has moved: it answered {fault.status} when asked to {what}",
                self._item,
                "correct pull_requests.url and pull_requests.repository",
            )
        if fault.status == 404:
            return PullRefused(
                f"found nothing to {what}",
                self._item,
                "correct pull_requests.repository and base, or let the token in EVERGREEN_HOST_TOKEN see it",
            )
        if fault.status == 0 or fault.status >= 500:
            state = f"answered {fault.status}" if fault.status else "did not answer"
            return HostError(f"{state} when asked to {what}", self._item, "nothing is lost: the next run goes on")
        return PullRefused(f"refused to {what}: {fault.status}{said}", self._item, "look at it there")


class Called(Protocol):
    """A host that is called through a `Caller`."""

    _host: Caller


def understood(method: Callable[..., Result]) -> Callable[..., Result]:
    """Let a method of a host raise `HostError` where an answer is nothing that the API gives, such as a web page."""

    @wraps(method)
    def called(self: Called, *args: Any, **kwargs: Any) -> Result:
        try:
            return method(self, *args, **kwargs)
        except EvergreenError:
            raise
        except Exception as error:
            raised = self._host.unreadable(error)
        raise raised  # without the client's own error, which may hold headers

    return called


def by_program(who: str, kind: str = "User") -> bool:
    """Whether a name is that of a program, or of nobody: such do not decide."""
    return not who or kind == "Bot" or BOTS.fullmatch(who) is not None


def closing_problem(who: str, kind: str, based: bool) -> str:
    """Return why closing it says nothing about its proposals, empty if it does."""
    if not based:
        return "it was closed when the base branch was gone: that rejects nothing"
    if by_program(who, kind):
        return f"it was closed by {f'the program {who}' if who else 'nobody who is known'}: that rejects nothing"
    return ""


def target_problem(target: str, base: str) -> str:
    """Return why a pull request into another branch decides nothing, empty if it is into the base."""
    return "" if target == base else f"it goes into {target}, not into {base}: that decides nothing"


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    wanted = error.fault.wait if isinstance(error, CallFailed) else None
    return wanted if wanted is not None else wait_random_exponential(multiplier=0.5, max=10)(state)


def plain(text: str) -> str:
    """Return what a host said as one short line without anything that is shaped like a token or an address."""
    words = [word for word in " ".join(text.split())[:300].split() if "://" not in word]
    return re.sub(r"\b(?:gh[a-z]_|github_pat_|glpat-)[\w-]+", "***", " ".join(words))[:200]


def seconds(value: object) -> float | None:
    """Return a header's number of seconds, None where it has none."""
    try:
        return max(0.0, float(str(value)))
    except ValueError:
        return None
