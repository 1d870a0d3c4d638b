"""The response generator that knows published answers before the domain does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.utils.endpoints import EndpointConfig

from components.overlay_source import Reader, overlay_is_on, shared_reader
from components.rewording import with_text
from learning.adapters.encoder import DEFAULT_MAX_TOKENS

logger = logging.getLogger(__name__)


class LearnedResponses(TemplatedNaturalLanguageGenerator):
    """Answers with the published text of a response if there is one, else with the domain's.

    Name it in `endpoints.yml`: `nlg: {type: components.learned_responses.LearnedResponses}`. Slots in a published
    answer are filled as in any response. Of a response that the domain has only the text is replaced: its buttons,
    images and payloads stay, and so do variations that Rasa chooses by a channel or a condition.
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

    def _random_response_for(
        self, utter_action: str, output_channel: str, filled_slots: dict[str, Any]
    ) -> dict[str, Any] | None:
        chosen: dict[str, Any] | None = super()._random_response_for(utter_action, output_channel, filled_slots)
        answer = self._published(utter_action)
        return chosen if answer is None else with_text(chosen, answer)

    def _published(self, utter_action: str) -> str | None:
        if not overlay_is_on():
            return None
        try:
            answer = self._open_reader().snapshot().answer_for(utter_action)
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
        return answer
