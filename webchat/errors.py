"""What the chat can refuse, in words a customer can act on."""

from __future__ import annotations

from typing import Any


class ChatError(Exception):
    """A refusal with one shape for every endpoint: a stable code and a friendly sentence."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: int | None = None) -> None:
        """Keep the HTTP status, the code for programs and the sentence for people."""
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s

    def as_json(self) -> dict[str, Any]:
        """Return the body every refused request gets."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.retry_after_s is not None:
            error["retry_after_s"] = self.retry_after_s
        return {"error": error}


class WebchatConfigError(ValueError):
    """The channel's options or environment cannot be used; the text says which and what to do."""


def unauthorized() -> ChatError:
    """Return the one answer to missing, forged and expired tokens: they cannot be told apart."""
    return ChatError(401, "unauthorized", "This conversation is not available. Please start a new chat.")


def bad_request(what: str) -> ChatError:
    """Return the answer to a request that no version of our page sends."""
    return ChatError(400, "bad_request", f"That request could not be read: {what}.")


def message_too_long(length: int, limit: int) -> ChatError:
    """Return the answer to a message over the length limit."""
    return ChatError(
        413,
        "message_too_long",
        f"Your message has {length:,} characters; {limit:,} is the most I can read at once. "
        "Could you shorten it or send it in parts?",
    )


def request_too_large() -> ChatError:
    """Return the answer to a body that is too big to be a chat message at all."""
    return ChatError(413, "request_too_large", "That is too much for one message. Please send less at once.")


def rate_limited(retry_after_s: int) -> ChatError:
    """Return the answer to somebody who writes faster than the limit."""
    seconds = "a second" if retry_after_s == 1 else f"{retry_after_s} seconds"
    return ChatError(
        429,
        "rate_limited",
        f"You are writing faster than I can read. Please wait {seconds} and try again.",
        retry_after_s,
    )


def too_many_streams() -> ChatError:
    """Return the answer to more open pages of one conversation than a person has, or than the server can hold."""
    return ChatError(429, "too_many_streams", "This chat is open in too many places. Please close some of them.", 30)


def identity_refused() -> ChatError:
    """Return the one answer to every identity token that proves nothing; the log says why."""
    return ChatError(401, "identity_refused", "We could not confirm who you are. Please reload the page.")


def choice_not_offered() -> ChatError:
    """Return the answer to a quick reply that this conversation was never offered."""
    return ChatError(409, "choice_not_offered", "That choice is no longer available. Please type it instead.")


def message_not_found() -> ChatError:
    """Return the answer to feedback on something the bot did not say in this conversation."""
    return ChatError(404, "message_not_found", "That answer is not part of this conversation.")


def bot_not_ready() -> ChatError:
    """Return the answer while no model is loaded."""
    return ChatError(503, "not_ready", "I am just starting up. Please try again in a moment.", 5)


def answer_failed() -> ChatError:
    """Return the answer when the bot broke while working on a message."""
    return ChatError(500, "answer_failed", "Something went wrong on our side. Please try again.")


def answer_slow() -> ChatError:
    """Return the answer while the bot still works on a message; asking again joins the same work."""
    return ChatError(504, "answer_slow", "This is taking longer than usual. Please try again in a moment.", 2)
