"""Training with what was published about labels and answers: merges, retirements, better wordings."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rasa.shared.core.domain import KEY_ACTIONS, KEY_RESPONSES, Domain
from rasa.shared.core.events import ActionExecuted
from rasa.shared.data import get_data_files
from rasa.shared.exceptions import RasaException
from rasa.shared.importers import utils
from rasa.shared.importers.rasa import RasaFileImporter
from rasa.shared.nlu.constants import INTENT, INTENT_RESPONSE_KEY, RESPONSE
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils.common import cached_method
from rasa.shared.utils.io import is_key_in_yaml

from components.rewording import reworded
from learning.labels import CHANGE_KEY, LabelChanges
from learning.model import ProposalKind
from learning.overlay import OverlayEntry

logger = logging.getLogger(__name__)

_YAML = {".yml", ".yaml"}
_KINDS = {kind.value: kind for kind in (ProposalKind.REWORD, ProposalKind.MERGE, ProposalKind.RETIRE)}


class LearnedImporter(RasaFileImporter):
    """Loads a project as Rasa does, and applies what the files of `data/learned/` change.

    Name it in `config.yml`: `importers: [{name: components.learned_importer.LearnedImporter}]`. Examples of a label
    that was merged into another get that one, examples of a retired label are left out, and so are the responses that
    only those labels led to; a reworded response gets its new text as `LearnedResponses` gives it. Intents, rules and
    stories stay as they are. A project without such files is loaded as without this importer.
    """

    def __init__(
        self,
        config_file: str | None = None,
        domain_path: str | None = None,
        training_data_paths: list[str] | str | None = None,
    ) -> None:
        """Finds the project's files, those with changes among them."""
        super().__init__(config_file, domain_path, training_data_paths)
        entries = read_changes(get_data_files(training_data_paths, _may_hold_change))
        self._changes = LabelChanges.of(entries)
        self._texts = {
            entry.target: entry.answer
            for entry in entries
            if entry.kind is ProposalKind.REWORD and entry.target and entry.answer
        }
        for entry_id in self._changes.refused:
            logger.error("LearnedImporter: entry %s merges labels in a circle and is left out; withdraw it", entry_id)

    def get_nlu_data(self, language: str | None = "en") -> TrainingData:
        """Returns the examples under the labels that they have today, and the responses with their newest texts."""
        data: TrainingData = super().get_nlu_data(language)
        if not self._changes and not self._texts:
            return data
        kept = [_relabeled(example, self._changes) for example in data.training_examples]
        return TrainingData(
            [example for example in kept if example is not None],
            data.entity_synonyms,
            data.regex_features,
            data.lookup_tables,
            self._responses(data.responses),
        )

    def get_domain(self) -> Domain:
        """Returns the domain with the newest texts of its responses."""
        domain: Domain = super().get_domain()
        if not self._changes and not self._texts:
            return domain
        data = copy.deepcopy(domain.as_dict())
        data[KEY_RESPONSES] = self._responses(data.get(KEY_RESPONSES) or {})
        actions = data.get(KEY_ACTIONS) or []
        data[KEY_ACTIONS] = [*actions, *(action for action in self._orphaned_actions() if action not in actions)]
        return Domain.from_dict(data)

    def _responses(self, responses: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        dropped = {f"utter_{label}" for label in self._changes.decided_by if "/" in label} - self._named_in_stories()
        return {
            name: reworded(variations, self._texts[name]) if name in self._texts else list(variations)
            for name, variations in responses.items()
            if name not in dropped
        }

    @cached_method
    def _orphaned_actions(self) -> list[str]:
        """Returns the actions of retrieval intents that have lost their last key: rules go on naming them."""
        before, after = super().get_nlu_data().retrieval_intents, self.get_nlu_data().retrieval_intents
        return sorted(f"utter_{intent}" for intent in before - after)

    @cached_method
    def _named_in_stories(self) -> set[str]:
        """Returns the actions that rules and stories name: they must stay."""
        graph = utils.story_graph_from_paths(self._story_files, super().get_domain())
        events = (event for step in graph.story_steps for event in step.events)
        return {str(event.action_name) for event in events if isinstance(event, ActionExecuted)}


def read_changes(files: Sequence[str]) -> list[OverlayEntry]:
    """Returns the entries that change labels or texts, the oldest release first.

    Raises:
        RasaException: a file is not what publishing writes; the message names it.

    """
    found: list[tuple[int, OverlayEntry]] = []
    for file in files:
        try:
            content = yaml.safe_load(Path(file).read_text("utf-8"))
            if isinstance(content, dict) and CHANGE_KEY in content:
                found.append(_entry(content[CHANGE_KEY]))
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
            reason = str(error).splitlines()[0]
            raise RasaException(
                f"LearnedImporter: {file} cannot be read ({reason}). Restore it from the review branch, or delete it."
            ) from error
    return [entry for _, entry in sorted(found, key=lambda item: (item[0], item[1].entry_id))]


def _entry(change: object) -> tuple[int, OverlayEntry]:
    """Returns a release and its entry; raises ValueError for what is none."""
    if not isinstance(change, dict):
        raise ValueError(f"{CHANGE_KEY} is no mapping")
    kind = _KINDS.get(str(change.get("kind")))
    needed = ["entry", "label"]
    if kind is not ProposalKind.RETIRE:
        needed.append("target")
    if kind is ProposalKind.REWORD:
        needed.append("answer")
    lacking = [name for name in needed if not isinstance(change.get(name), str) or not change[name]]
    release = change.get("release")
    if kind is None or lacking or not isinstance(release, int):
        raise ValueError(f"{CHANGE_KEY} needs a kind ({', '.join(_KINDS)}), a release and {', '.join(needed)}")
    return release, OverlayEntry(change["entry"], kind, change["label"], (), change.get("answer"), change.get("target"))


def _may_hold_change(file: str) -> bool:
    return Path(file).suffix in _YAML and bool(is_key_in_yaml(file, CHANGE_KEY))


def _relabeled(example: Message, changes: LabelChanges) -> Message | None:
    """Returns an example under the label that it has today, None if that is retired."""
    label = example.get_full_intent()
    if label is None or not changes.concern(label):
        return example
    now = changes.now(label)
    if now is None:
        return None
    data = {name: value for name, value in example.data.items() if name not in (INTENT_RESPONSE_KEY, RESPONSE)}
    intent, key = Message.separate_intent_response_key(now)
    data[INTENT] = intent
    if key:
        data[INTENT_RESPONSE_KEY] = now
    return Message(data, features=example.features)
