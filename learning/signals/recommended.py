"""An agent said of an answer that the bot should have given it, and nothing else tells that the bot did not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from learning.model import FAILED_WEIGHT, Conversation, Finding, Signal, joint_weight

KIND = "recommended"
WEIGHT = 0.9  # somebody who knows the answer says so; the button is pressed by mistake now and then


def unexplained(
    conversation: Conversation, found: Sequence[tuple[str, Finding]], person_intents: Collection[str]
) -> Iterator[Finding]:
    """Find the turns that such an answer was about, where none has failed from the request for a person on.

    Args:
        conversation: with the marks of agents.
        found: what the other detectors found in it.
        person_intents: intents that ask for a person, and so tell nothing of the need.

    """
    signals: dict[str, list[Signal]] = {}
    for kind, finding in found:
        signals.setdefault(finding.turn.turn_id, []).append(Signal(kind, finding.weight, finding.evidence))
    failed = {turn_id for turn_id, ones in signals.items() if joint_weight(ones) >= FAILED_WEIGHT}
    turns = conversation.turns
    for answered in (place for place, turn in enumerate(turns) if turn.recommended):
        asked = max((place for place in range(answered) if turns[place].led_to_person), default=0)
        if any(turn.turn_id in failed for turn in turns[asked : answered + 1]):
            continue
        place = answered
        while place >= 0 and (turns[place].intent in person_intents or (place and turns[place - 1].led_to_person)):
            place -= 1
        if place >= 0 and turns[place].turn_id not in failed:
            failed.add(turns[place].turn_id)
            yield Finding(turns[place], WEIGHT, "an agent recommended their answer")
