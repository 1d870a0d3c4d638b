"""A project's training data through Rasa's own loading, with and without published changes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from rasa.shared.core.domain import Domain
from rasa.shared.exceptions import RasaException
from rasa.shared.importers.importer import E2EImporter, TrainingDataImporter
from rasa.shared.nlu.training_data.training_data import TrainingData

from learning.adapters.project import Project
from learning.model import Entry, ProposalKind
from learning.publish import render_files
from learning.settings import load_settings
from tests.learning_builders import entry

REWORD, MERGE, RETIRE = ProposalKind.REWORD, ProposalKind.MERGE, ProposalKind.RETIRE
ROOT = Path(__file__).parents[2]
FILES = {
    "config.yml": "recipe: default.v1\nlanguage: en\nimporters:\n- name: components.learned_importer.LearnedImporter\n",
    "domain.yml": """
version: "3.1"
intents: [greet, hours, faq, learned]
responses:
  utter_greet: [{text: "Hello"}]
  utter_hours: [{text: "Nine to six"}]
  utter_faq/hours:
  - text: "From nine"
    buttons: [{title: "Ask", payload: /greet}]
  - text: "9-18"
    channel: slack
  utter_faq/open: [{text: "We open at nine"}]
  utter_faq/named: [{text: "By name"}]
""",
    "data/nlu/nlu.yml": """
version: "3.1"
nlu:
- intent: greet
  examples: |
    - hi
    - hello
- intent: hours
  examples: |
    - your hours
    - hours on [sunday](day)
- intent: faq/hours
  examples: |
    - when are you open
    - opening hours
- intent: faq/open
  examples: |
    - are you open
    - do you open early
- intent: faq/named
  examples: |
    - named
    - by name
""",
    "data/rules.yml": """
version: "3.1"
rules:
- rule: greet
  steps: [{intent: greet}, {action: utter_greet}]
- rule: hours
  steps: [{intent: hours}, {action: utter_hours}]
- rule: faq
  steps: [{intent: faq}, {action: utter_faq}]
- rule: learned
  steps: [{intent: learned}, {action: utter_learned}, {action: utter_faq/named}]
""",
    "data/learned/entry-learned-x.yml": """
version: "3.1"
nlu:
- intent: learned/x
  examples: |
    - an x
    - the x
responses:
  utter_learned/x: [{text: "It is x"}]
""",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.lstrip(), "utf-8")
    return tmp_path


def load(project: Path, *changes: Entry, data: str = "data") -> E2EImporter:
    """The loading that `rasa train` does, after these entries were published."""
    for name, text in render_files(changes).items():
        (project / data / "learned" / name).write_text(text, "utf-8")
    importer = TrainingDataImporter.load_from_config(
        str(project / "config.yml"), str(project / "domain.yml"), [str(project / data)]
    )
    assert isinstance(importer, E2EImporter)
    return importer


def texts(data: TrainingData, label: str) -> set[str]:
    return {example.get("text") for example in data.nlu_examples if example.get_full_intent() == label}


def answers(domain: Domain, name: str) -> list[Any]:
    return list(domain.responses.get(name, []))


def test_without_changes_nothing_is_different(project: Path) -> None:
    with_it = load(project)
    config = project / "config.yml"
    config.write_text("recipe: default.v1\nlanguage: en\n", "utf-8")
    without = load(project)

    assert with_it.get_domain().fingerprint() == without.get_domain().fingerprint()
    assert with_it.get_nlu_data().fingerprint() == without.get_nlu_data().fingerprint()
    assert with_it.get_stories().fingerprint() == without.get_stories().fingerprint()


def test_a_merge_moves_the_examples_and_drops_the_response(project: Path) -> None:
    importer = load(project, entry(1, kind=MERGE, label="faq/hours", target="faq/open"))
    data, domain = importer.get_nlu_data(), importer.get_domain()

    assert texts(data, "faq/hours") == {"when are you open", "opening hours", "are you open", "do you open early"}
    assert texts(data, "faq/open") == set()
    assert {example.get("response") for example in data.response_examples if "open" in example.get("text")} == {"9-18"}
    assert answers(domain, "utter_faq/open") == []
    assert "utter_faq/open" not in data.responses
    assert len(answers(domain, "utter_faq/hours")) == 2


def test_a_plain_intent_and_a_retrieval_key_can_be_merged_either_way(project: Path) -> None:
    into_key = load(project, entry(1, kind=MERGE, label="faq/hours", target="hours")).get_nlu_data()
    moved = next(example for example in into_key.nlu_examples if example.get("text") == "hours on sunday")

    assert (moved.get("intent"), moved.get("intent_response_key")) == ("faq", "faq/hours")
    assert [entity["value"] for entity in moved.get("entities")] == ["sunday"]

    shutil.rmtree(project / "data" / "learned")
    (project / "data" / "learned").mkdir()
    importer = load(project, entry(1, kind=MERGE, label="hours", target="faq/open"))
    assert texts(importer.get_nlu_data(), "hours") == {
        "your hours",
        "hours on sunday",
        "are you open",
        "do you open early",
    }
    assert "faq/open" not in {example.get("intent_response_key") for example in importer.get_nlu_data().nlu_examples}
    assert answers(importer.get_domain(), "utter_hours") == [{"text": "Nine to six"}]


def test_what_was_learned_before_is_merged_as_well(project: Path) -> None:
    importer = load(project, entry(1, kind=MERGE, label="faq/hours", target="learned/x"))

    assert {"an x", "the x"} <= texts(importer.get_nlu_data(), "faq/hours")
    assert answers(importer.get_domain(), "utter_learned/x") == []
    # Its rule goes on naming the action of a retrieval intent without keys, which must still be an action then.
    assert "utter_learned" in importer.get_domain().action_names_or_texts


def test_a_retired_label_is_not_taught(project: Path) -> None:
    importer = load(project, entry(1, kind=RETIRE, label="faq/open"), entry(2, kind=RETIRE, label="hours"))
    data = importer.get_nlu_data()

    assert texts(data, "faq/open") == texts(data, "hours") == set()
    assert texts(data, "greet") == {"hi", "hello"}
    assert answers(importer.get_domain(), "utter_faq/open") == []
    assert "hours" in importer.get_domain().intents  # rules name it
    assert answers(importer.get_domain(), "utter_hours") == [{"text": "Nine to six"}]


def test_a_response_that_a_rule_names_stays(project: Path) -> None:
    importer = load(project, entry(1, kind=RETIRE, label="faq/named"))

    assert answers(importer.get_domain(), "utter_faq/named") == [{"text": "By name"}]


def test_a_reworded_response_keeps_what_is_not_its_text(project: Path) -> None:
    reword = {"kind": REWORD, "answer": "costs ${HOME}\n- x"}
    importer = load(
        project,
        entry(1, label="faq/hours", target="utter_faq/hours", **reword),
        entry(2, label="hours", target="utter_hours", **reword),
        entry(3, label="learned/x", target="utter_learned/x", **reword),
    )
    domain = importer.get_domain()

    assert answers(domain, "utter_faq/hours") == [
        {"text": "costs ${HOME}\n- x", "buttons": [{"title": "Ask", "payload": "/greet"}]},
        {"text": "9-18", "channel": "slack"},
    ]
    assert answers(domain, "utter_hours") == [{"text": "costs ${HOME}\n- x"}]
    assert answers(domain, "utter_learned/x") == [{"text": "costs ${HOME}\n- x"}]
    assert importer.get_nlu_data().responses["utter_learned/x"] == [{"text": "costs ${HOME}\n- x"}]


def test_the_newest_text_and_the_newest_change_count(project: Path) -> None:
    importer = load(
        project,
        entry(2, kind=REWORD, label="hours", target="utter_hours", answer="second"),
        entry(1, kind=REWORD, label="hours", target="utter_hours", answer="first"),
        entry(4, kind=MERGE, label="greet", target="hours"),
        entry(3, kind=RETIRE, label="hours"),
    )

    assert answers(importer.get_domain(), "utter_hours") == [{"text": "second"}]
    assert texts(importer.get_nlu_data(), "greet") == {"hi", "hello", "your hours", "hours on sunday"}


def test_changes_are_found_where_retraining_puts_the_data(project: Path) -> None:
    changes = render_files([entry(1, kind=RETIRE, label="faq/open")])
    target = Project(load_settings(project, {})).assemble(project / "var" / "training" / "data", changes)
    importer = load(project, data=str(target.relative_to(project)))

    assert texts(importer.get_nlu_data(), "faq/open") == set()
    assert texts(load(project).get_nlu_data(), "faq/open") != set()


def test_the_rules_can_still_be_loaded(project: Path) -> None:
    importer = load(
        project, entry(1, kind=MERGE, label="faq/hours", target="hours"), entry(2, kind=RETIRE, label="learned/x")
    )

    assert len(importer.get_stories().story_steps) == 4
    importer.get_domain().check_missing_responses()


BROKEN = {
    "no YAML": "learned_change: [",
    "nested too deeply": f"learned_change: {'[' * 3000}{']' * 3000}",
    "no mapping": "learned_change: text",
    "no kind": "learned_change: {entry: e, label: faq/hours, release: 1}",
    "another kind": "learned_change: {entry: e, kind: answer, label: faq/hours, release: 1}",
    "no target": "learned_change: {entry: e, kind: merge, label: faq/hours, release: 1}",
    "no answer": "learned_change: {entry: e, kind: reword, label: hours, target: utter_hours, release: 1}",
    "no release": "learned_change: {entry: e, kind: retire, label: faq/hours}",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_named(project: Path, text: str) -> None:
    (project / "data/learned/entry-broken.yml").write_text(text, "utf-8")
    with pytest.raises(RasaException) as caught:
        load(project)

    assert "entry-broken.yml cannot be read" in str(caught.value)


def test_this_project_is_loaded_by_it() -> None:
    assert "components.learned_importer.LearnedImporter" in (ROOT / "config.yml").read_text("utf-8")
