"""The policy that brings a person in when the assistant should not go on alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rasa.core.policies.policy import Policy, PolicyPrediction
from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, Event, SessionStarted, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException

from components.desk_hold import lost_pause

HANDOVER_SLOT, ESCALATE_SLOT, OFFER_SLOT = "handover", "escalate", "offer"
LISTEN = "action_listen"
EXCLUDED_TOPIC, LOW_CONFIDENCE = "excluded_topic", "low_confidence"
# After these another action of the same turn is still to come, or nothing more is to be said.
NO_END_OF_TURN = frozenset({"action_deactivate_loop", "action_default_fallback", "action_session_start", LISTEN})
FALLBACK_INTENT, RESTART = "nlu_fallback", "restart"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.POLICY_WITHOUT_END_TO_END_SUPPORT, is_trainable=True)
class EscalationPolicy(Policy):
    """Hands over at once, or offers a person, whatever the rules and stories would do.

    - A message about one of `excluded_topics` goes to a person unanswered.
    - So does a conversation in which the assistant has guessed `guesses` times: messages whose intent it was less than
      `low_confidence` sure of.
    - A frustrated customer gets the usual answer, and then the offer of a person, once a session.

    - What is written to a person stays with the person, also where Rasa has begun a new session meanwhile.

    It abstains from everything else, and from conversations that went to a person in this session.
    """

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """The policy's options.

        priority: above the RulePolicy's 6.
        excluded_topics: name of a topic -> words and phrases; a word's end may be left open with `*`.
        low_confidence: confidence of an intent under which an answer was a guess; the learning loop's own figure.
        guesses: in one session from which a person should look; 0 switches this off.
        offer_to_frustrated: whether frustrated customers are offered a person.
        person_action: hands over; offer_action: offers to.
        """
        return {
            "priority": 7,
            "excluded_topics": {},
            "low_confidence": 0.55,
            "guesses": 3,
            "offer_to_frustrated": True,
            "person_action": "action_talk_to_person",
            "offer_action": "action_offer_person",
        }

    def __init__(
        self, config: dict[str, Any], model_storage: ModelStorage, resource: Resource, context: ExecutionContext
    ) -> None:
        """Takes the options and compiles the topics."""
        super().__init__({**self.get_default_config(), **config}, model_storage, resource, context)
        self._topics = _compile(self.config["excluded_topics"])

    def train(self, training_trackers: Any, domain: Domain, **kwargs: Any) -> Resource:
        """Nothing is learned: when to bring a person in is the operator's decision."""
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> EscalationPolicy:
        """Make the policy from its options; nothing else is stored."""
        return cls(config, model_storage, resource, execution_context)

    def predict_action_probabilities(
        self,
        tracker: DialogueStateTracker,
        domain: Domain,
        rule_only_data: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> PolicyPrediction:
        """Predict the hand-over or the offer; zero for everything where neither is due."""
        probabilities = self._default_predictions(domain)
        pause = _kept_pause(tracker)
        if pause is not None:
            probabilities[domain.index_for_action(LISTEN)] = 1.0
            return self._prediction(probabilities, optional_events=[pause], is_no_user_prediction=True)
        action, why = self._decide(tracker)
        if action is None or action not in domain.action_names_or_texts:
            return self._prediction(probabilities)
        probabilities[domain.index_for_action(action)] = 1.0
        # A form's own prediction looks at no message either, and would win otherwise.
        return self._prediction(
            probabilities,
            optional_events=[SlotSet(ESCALATE_SLOT, why)] if why else [],
            is_no_user_prediction=True,
        )

    def _decide(self, tracker: DialogueStateTracker) -> tuple[str | None, dict[str, str] | None]:
        session = _this_session(tracker.events)
        turn = _last_turn(session)
        if turn is None:
            return None, None
        message, ran = turn
        if ran and ran[-1] in (self.config["offer_action"], self.config["person_action"]):
            return LISTEN, None  # no rule knows how such a turn ends
        if tracker.get_slot(HANDOVER_SLOT):
            return None, None
        if not ran:
            return self._escalation(message, session, tracker)
        if self._should_offer(message, ran, session, tracker):
            return str(self.config["offer_action"]), None
        return None, None

    def _escalation(
        self, message: UserUttered, session: Sequence[Event], tracker: DialogueStateTracker
    ) -> tuple[str | None, dict[str, str] | None]:
        text = message.text or ""
        if text.startswith("/"):
            return None, None
        person = str(self.config["person_action"])
        for topic, pattern in self._topics.items():
            if pattern.search(text):
                return person, {"reason": EXCLUDED_TOPIC, "topic": topic}
        most = int(self.config["guesses"])
        if most > 0 and tracker.active_loop_name is None and self._is_guess(message):
            guesses = sum(isinstance(event, UserUttered) and self._is_guess(event) for event in session)
            if guesses >= most:
                return person, {"reason": LOW_CONFIDENCE, "topic": ""}
        return None, None

    def _is_guess(self, message: UserUttered) -> bool:
        parsed = message.parse_data or {}
        if (message.text or "").startswith("/") or parsed.get("overlay") or message.intent_name == FALLBACK_INTENT:
            return False
        confidence = (parsed.get("intent") or {}).get("confidence")
        return isinstance(confidence, (int, float)) and confidence < self.config["low_confidence"]

    def _should_offer(
        self, message: UserUttered, ran: Sequence[str], session: Sequence[Event], tracker: DialogueStateTracker
    ) -> bool:
        sentiment = (message.parse_data or {}).get("sentiment") or {}
        if not self.config["offer_to_frustrated"] or not sentiment.get("frustrated"):
            return False
        if tracker.active_loop_name is not None or ran[-1] in NO_END_OF_TURN or _is_form(ran[-1], session):
            return False
        offers = {self.config["offer_action"], self.config["person_action"]}
        asked = any(isinstance(event, ActionExecuted) and event.action_name in offers for event in session)
        offered = any(isinstance(event, SlotSet) and event.key == OFFER_SLOT and event.value for event in session)
        return not asked and not offered


def _kept_pause(tracker: DialogueStateTracker) -> Event | None:
    """Return the pause with which a message goes to the person who has the conversation.

    Restarting is the customer's own decision, as in any pause.
    """
    turn = _last_turn(tracker.events)
    if turn is None or turn[1] or turn[0].intent_name == RESTART:
        return None
    return lost_pause(tracker.events)


def _this_session(events: Sequence[Event]) -> list[Event]:
    found: list[Event] = []
    for event in events:
        if isinstance(event, SessionStarted):
            found = []
        found.append(event)
    return found


def _last_turn(session: Sequence[Event]) -> tuple[UserUttered, list[str]] | None:
    """Return the latest message and the actions that have run since."""
    ran: list[str] = []
    for event in reversed(session):
        if isinstance(event, UserUttered):
            return event, ran[::-1]
        if isinstance(event, ActionExecuted) and event.action_name:
            ran.append(event.action_name)
    return None


def _is_form(name: str, session: Sequence[Event]) -> bool:
    """Whether an action is a form: the action that it has collected for comes next."""
    return any(event.type_name == "active_loop" and getattr(event, "name", None) == name for event in session)


def _compile(topics: Any) -> dict[str, re.Pattern[str]]:
    if not isinstance(topics, dict):
        raise InvalidConfigException("EscalationPolicy: excluded_topics must map names of topics to lists of words.")
    found = {}
    for name, words in topics.items():
        if (
            not isinstance(words, list)
            or not words
            or not all(isinstance(word, str) and word.strip() for word in words)
        ):
            raise InvalidConfigException(f"EscalationPolicy: excluded_topics: {name} must be a list of words.")
        parts = (re.escape(word.strip().rstrip("*")) + (r"\w*" if word.strip().endswith("*") else "") for word in words)
        found[str(name)] = re.compile(rf"\b(?:{'|'.join(parts)})\b", re.IGNORECASE)
    return found
