"""The models that went live, in the learning database."""

from __future__ import annotations

from learning.adapters.store_conversations import ConversationTables
from learning.model import DeployedModel


class ModelTables(ConversationTables):
    """The models that went live, in the learning database."""

    def deployed_models(self) -> list[DeployedModel]:
        """Return the models that went live, the newest first."""
        raise NotImplementedError

    def save_deployed_model(self, model: DeployedModel) -> None:
        """Write a model that went live, or was rolled back."""
        raise NotImplementedError
