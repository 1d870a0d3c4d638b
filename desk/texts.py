"""What the desk itself says to customers."""

from __future__ import annotations

from desk.model import Kind

_SAID = {
    Kind.JOINED: "{agent} from our team is here now.",
    Kind.TRANSFERRED: "{agent} from our team takes over from here.",
    Kind.RESOLVED: "{agent} has closed this chat. I'm the assistant; if anything else comes up, just write.",
    # It knows the agent's note, and nothing else of what the two said: it must not claim more.
    Kind.RETURNED: "{agent} has given this chat back to me, the assistant. What else can I do for you?",
    Kind.AWAY: (
        "I'm sorry, nobody from our team could come in time. Your request stays with them, and they'll answer by "
        "{due}. Until then I'm here again."
    ),
}


def said_to_customer(kind: Kind, agent: str, due: str = "") -> str:
    """Return the line of the desk for an occasion."""
    return _SAID[kind].format(agent=agent, due=due)
