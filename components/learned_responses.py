"""The response generator that knows published answers before the domain does."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.constants import TEXT
from rasa.utils.endpoints import EndpointConfig

from components.overlay_source import Reader, Wording, overlay_is_on, shared_reader
from components.rewording import fill, is_special, with_text
from learning.adapters.encoder import DEFAULT_MAX_TOKENS

logger = logging.getLogger(__name__)

# The key in a bot message's metadata that says what its wording was chosen by: [[subject, arm], ...].
EXPOSED_KEY = "evergreen"


class LearnedResponses(TemplatedNaturalLanguageGenerator):
    """Answers with the wording that an experiment or a publication has for this user, else with the domain's.

    Name it in `endpoints.yml`: `nlg: {type: components.learned_responses.LearnedResponses}`. Slots in a published
    answer are filled as in any response. Of a response that the domain has only the text is replaced: its buttons,
    images and payloads stay, and so do variations that Rasa chooses by a channel or a condition.

    What a wording was chosen by is written into the message, and ends in the metadata of the bot's event.
    """

    def __init__(
        self,
        endpoint_config: EndpointConfig | None = None,
        domain: Domain | None = None,
        open_reader: Callable[[], Reader] | None = None,
    ) -> None:
        """Takes the domain's responses; published ones are looked up when a response is due.

        The options `model_dir` and `max_tokens` of SentenceEncoder may stand in the endpoint, too.
        """
        super().__init__(domain.responses if domain is not None else {})
        options = endpoint_config.kwargs if endpoint_config is not None else {}
        model_dir, max_tokens = options.get("model_dir"), int(options.get("max_tokens", DEFAULT_MAX_TOKENS))
        self._open_reader = open_reader or (lambda: shared_reader(model_dir, max_tokens))
        self._complained = False

    async def generate(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> dict[str, Any] | None:
        """Returns the message for a response, None if there is no such response."""
        return self._told(utter_action, tracker.current_slot_values(), output_channel, tracker.sender_id, kwargs)

    def generate_from_slots(
        self, utter_action: str, filled_slots: dict[str, Any], output_channel: str, **kwargs: Any
    ) -> dict[str, Any] | None:
        """Returns the message for a response and nobody in particular: what is there for everybody."""
        return self._told(utter_action, filled_slots, output_channel, None, kwargs)

    def _told(
        self, utter_action: str, slots: dict[str, Any], channel: str, sender: str | None, values: dict[str, Any]
    ) -> dict[str, Any] | None:
        chosen = copy.deepcopy(self._random_response_for(utter_action, channel, slots))
        wording = self._wording(utter_action, sender)
        # What was written for a channel or a condition is told whatever is published: no wording was chosen.
        if wording is None or (chosen is not None and is_special(chosen)):
            return None if chosen is None else self._filled(chosen, slots, values)
        if wording.text is not None:
            chosen = with_text(chosen, wording.text)
        if chosen is None:
            return None
        told = self._filled(chosen, slots, values)
        if wording.exposed:
            told[EXPOSED_KEY] = [list(pair) for pair in wording.exposed]
        return told

    def _filled(self, chosen: dict[str, Any], slots: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Fills the slots of a message; whatever stands in its text, it is told."""
        rest = {key: value for key, value in chosen.items() if key != TEXT}
        filled: dict[str, Any] = self._fill_response(rest, slots, **values)
        if TEXT not in chosen:
            return filled
        text = chosen[TEXT]
        known = self._response_variables(slots, values)
        return {TEXT: fill(text, known) if known and isinstance(text, str) else text, **filled}

    def _wording(self, utter_action: str, sender: str | None) -> Wording | None:
        if not overlay_is_on():
            return None
        try:
            wording = self._open_reader().snapshot().wording(utter_action, sender)
        except Exception as error:  # a bot that still knows its domain must not fall silent
            if not self._complained:
                logger.warning(
                    "LearnedResponses: published answers cannot be read (%s: %s); the domain's are used",
                    type(error).__name__,
                    error,
                )
            self._complained = True
            return None
        self._complained = False
        return wording
