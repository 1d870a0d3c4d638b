"""Which of a project's intents and actions mean what the loop must know: by their names, and by what follows them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from learning.attach_survey import Survey

# Names as projects give them, in the languages that most have; a word stands alone or between underscores.
PERSON = (
    r"humans?|persons?|(?:live_?|real_|human_)?agents?|operators?|representative|handoff|hand_?over|hand_?off|live_?chat"
    r"|speak_to_\w+|talk_to_(?:human|person|agent|someone)\w*|escalat\w*|mensch|mitarbeiter|atendente|humano|persona|agente"
    r"|conseiller|humain"
)
CLOSING = (
    r"good_?bye|bye|farewell|thanks?|thank_?you|thankyou|tschuess|danke|verabschiedung|despedir|despedida|tchau|adios"
    r"|gracias|obrigado|agradecer|merci|au_?revoir|end_conversation"
)
AFFIRM = r"affirm\w*|yes|confirm|agree|accept|afirmar|afirmacion|si|sim|oui|ja|zustimmen|bestaetigen|affirmer"
FALLBACK = r"nlu_fallback|fallback|out_of_scope|oos|unknown(?:_intent)?|default_fallback"
HANDING_OVER = (
    r"\w*(?:hand_?off|hand_?over|escalat|live_?chat|transfer_to_|connect_(?:to_)?(?:human|agent|person)|human)\w*"
)
# "are you human?" asks for none.
NO_PERSON = re.compile(r"(?:^|_)(?:check|are_you|is|ask_if|bot|challenge)_", re.IGNORECASE)
OPTIONS = re.compile(r"options?$|^utter_")  # only says or asks something about it


@dataclass(frozen=True)
class Roles:
    """The names that go into `learning.yml`, and the fallback's, which are only told."""

    person_intents: tuple[str, ...]
    closing_intents: tuple[str, ...]
    affirm_intents: tuple[str, ...]
    handoff_actions: tuple[str, ...]
    fallback_intents: tuple[str, ...]
    fallback_actions: tuple[str, ...]


def find_roles(project: Survey) -> Roles:
    """Return which intents and actions of a project have which part, the surest first."""
    handing = tuple(name for name in project.actions if _is(HANDING_OVER, name) and not OPTIONS.search(name))
    by_name = [intent for intent in project.intents if _holds(PERSON, intent) and not NO_PERSON.search(intent)]
    # Whatever an intent is called: where a hand-over follows it at once, somebody asked for a person.
    by_rule = [intent for intent in project.intents if _leads_to(project, intent, handing)]
    fallback = tuple(intent for intent in (*project.intents, "nlu_fallback") if _is(FALLBACK, intent))
    actions = {action for intent in fallback for action in project.answered_by.get(intent, ())}
    return Roles(
        person_intents=tuple(dict.fromkeys([*by_name, *by_rule])),
        closing_intents=tuple(intent for intent in project.intents if _is(CLOSING, intent)),
        affirm_intents=tuple(intent for intent in project.intents if _is(AFFIRM, intent)),
        handoff_actions=handing,
        fallback_intents=tuple(dict.fromkeys(fallback)),
        fallback_actions=tuple(sorted(actions)),
    )


def _leads_to(project: Survey, intent: str, actions: Collection[str]) -> bool:
    return bool(project.answered_by.get(intent, frozenset()) & set(actions))


def _is(pattern: str, name: str) -> bool:
    return re.fullmatch(pattern, name, re.IGNORECASE) is not None


def _holds(pattern: str, name: str) -> bool:
    return re.search(rf"(?:^|_)(?:{pattern})(?:_|$)", name, re.IGNORECASE) is not None
