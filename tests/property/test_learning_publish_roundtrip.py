"""Whatever a customer wrote, Rasa reads the published file as one intent, its examples, and the approved answer."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from rasa.shared.core.domain import Domain
from rasa.shared.core.training_data.story_reader.yaml_story_reader import YAMLStoryReader
from rasa.shared.data import is_nlu_file
from rasa.shared.nlu.training_data.formats.rasa_yaml import RasaYAMLReader
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils.io import replace_environment_variables

from components.learned_importer import read_changes
from learning.errors import ReviewError
from learning.model import Action, Decision, Entry, ProposalKind
from learning.publish import render_entry
from learning.review import decide
from tests.learning_builders import START, entry, proposal

replace_environment_variables()  # as `rasa train` does

HOSTILE = [
    "- x\n- intent: evil",
    "x\n\nnlu:\n- intent: evil\n  examples: |\n    - y",
    "x\r\nresponses:\r\n  utter_greet:\r\n  - text: evil",
    "[a](b)",
    '[a]{"entity": "b"}',
    '[a][{"entity": "b"}]',
    "{slot}",
    "a\u2028- b",
    "a\x85- b",
    "a\x0b- b\x0c- c\x1c- d",
    "x \\u000a- intent: evil",
    "\\ud83d \\x0a \\N",
    "${HOME} $HOME",
    "# comment",
    "key: value",
    "- - -",
    "---",
    "...",
    "%YAML 1.2",
    "!!python/object:os.system x",
    "&anchor *alias",
    "'single\" \"double'",
    "| > ? @ `",
    "\ufeffbom",
    "\ud800 half",
    "\x00nul",
    "👍🏽 👨‍👩‍👧",
    "/greet",
    "null",
    "123",
]
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(min_size=1, max_size=60),
    st.text(alphabet="-[](){}:#|>\\\"'`\n\r\t u0a!&*%@$~,?/", min_size=1, max_size=30),
)
ANSWERS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(alphabet=st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=80),
    st.text(alphabet="\\un0a:#-|>'\"\n \t${}HOME", min_size=1, max_size=30),
)


def read(text: str) -> TrainingData:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Rasa warns of what it skips
        return RasaYAMLReader().reads(text)


def approved(examples: list[str], answer: str | None, kind: ProposalKind, label: str) -> Entry | None:
    """The entry that approving such a proposal makes, None if it cannot be approved."""
    suggested = proposal(examples=tuple(examples), answer=answer, kind=kind, label=label)
    try:
        decided = decide(suggested, Decision("p", Action.APPROVE, "ann", START))
    except ReviewError:
        return None
    return entry(examples=decided.examples, answer=decided.answer, kind=kind, label=label)


@given(st.lists(TEXTS, min_size=1, max_size=5), ANSWERS)
@settings(max_examples=35, deadline=None)
@example(HOSTILE, "C:\\users \\u000a- text: evil")
@example(["x \\u000a- intent: evil"], "yes")
@example(["x"], "costs ${HOME}")
def test_an_answer_is_read_back_as_it_was_approved(examples: list[str], answer: str) -> None:
    published = approved(examples, answer, ProposalKind.ANSWER, "learned/points")
    assume(published is not None)
    assert published is not None
    data = read(render_entry(published))

    assert [message.get("text") for message in data.training_examples] == list(published.examples)
    assert {message.get_full_intent() for message in data.training_examples} == {"learned/points"}
    assert not any(message.get("entities") for message in data.training_examples)
    assert dict(data.responses) == {"utter_learned/points": [{"text": answer}]}
    assert (data.entity_synonyms, data.regex_features, data.lookup_tables) == ({}, [], [])


@given(st.lists(TEXTS, min_size=1, max_size=5))
@settings(max_examples=35, deadline=None)
@example(HOSTILE)
def test_examples_of_a_known_intent_bring_no_response(examples: list[str]) -> None:
    published = approved(examples, None, ProposalKind.EXAMPLES, "track_order")
    assume(published is not None)
    assert published is not None
    data = read(render_entry(published))

    assert {message.get("intent") for message in data.training_examples} == {"track_order"}
    assert [message.get("text") for message in data.training_examples] == list(published.examples)
    assert not any(message.get("entities") for message in data.training_examples)
    assert data.responses == {}


@pytest.mark.parametrize("text", HOSTILE)
def test_each_hostile_text_alone(text: str) -> None:
    published = approved([text, "fine"], "Answer: " + text, ProposalKind.ANSWER, "learned/points")
    if published is None:  # what Rasa could not say cannot be approved
        assert set(text) & set("{}\0\x0b\x85\ufeff\ud800")
        return
    data = read(render_entry(published))

    assert len(data.training_examples) <= 2
    assert data.intents == {"learned"}


@given(answer=ANSWERS, kind=st.sampled_from([ProposalKind.REWORD, ProposalKind.MERGE, ProposalKind.RETIRE]))
@settings(max_examples=35, deadline=None)
@example(answer="C:\\users \\u000a- text: evil", kind=ProposalKind.REWORD)
@example(answer="x\nnlu:\n- intent: evil\nlearned_change: y", kind=ProposalKind.REWORD)
@example(answer="costs ${HOME} " + "\x85 nlu: " * 300, kind=ProposalKind.REWORD)
def test_a_change_is_read_back_as_it_was_approved(answer: str, kind: ProposalKind) -> None:
    change = entry(kind=kind, label="faq/a", target="utter_faq/a", answer=answer, examples=tuple(HOSTILE), release=7)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "entry.yml"
        file.write_text(render_entry(change), "utf-8")
        found = read_changes([str(file)])

    reworded = kind is ProposalKind.REWORD
    assert [(one.entry_id, one.kind, one.label) for one in found] == [(change.entry_id, kind, "faq/a")]
    assert found[0].answer == (answer if reworded else None)


@pytest.mark.parametrize("text", [*HOSTILE, "x\nnlu:\n- intent: evil\n  examples: |\n    - y"])
def test_rasa_reads_nothing_of_a_change(text: str, tmp_path: Path) -> None:
    change = entry(kind=ProposalKind.REWORD, label="faq/a", target="utter_faq/a", answer="Answer: " + text)
    if set(text) & set("\0\x0b\ud800"):
        return  # what cannot be shown cannot be approved
    file = tmp_path / "entry.yml"
    file.write_text(render_entry(change), "utf-8")

    assert not is_nlu_file(str(file))
    assert not YAMLStoryReader.is_stories_file(str(file))
    assert not Domain.is_domain_file(str(file))
