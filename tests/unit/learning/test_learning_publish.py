from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from learning.model import ProposalKind, ProposalState
from learning.publish import entry_id, file_name, proposal_of, render_entry, render_files
from learning.review import LEARNED_KEY
from learning.texts import MAX_EXAMPLE, clean_example
from tests.learning_builders import LOYALTY, entry, proposal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- x\n- intent: evil", "x - intent: evil"),
        ("[a](b)", "a b"),
        ('[a]{"entity": "b"}', 'a "entity": "b"'),
        ("{slot}", "slot"),
        ("/greet now", "greet now"),
        ("a\u2028b\u0085c\rd\te\x00f", "a b c d e f"),
        ("x \\u000a- intent: evil", "x u000a- intent: evil"),
        ("half \ud83d emoji", "half emoji"),
        ("### - * > title", "title"),
        ("👍 thanks", "👍 thanks"),
        ("größe 日本", "größe 日本"),
        ("a" * 1000, "a" * MAX_EXAMPLE),
        ("[]{}()|`", ""),
    ],
)
def test_a_customers_text_becomes_one_plain_line(text: str, expected: str) -> None:
    assert clean_example(text) == expected
    assert clean_example(expected) == expected


def test_an_answer_entry_is_a_file_of_examples_and_its_response() -> None:
    content = yaml.safe_load(render_entry(entry(examples=("one", "two", "ONE", "one"))))

    assert content == {
        "version": "3.1",
        "nlu": [{"intent": "learned/question_1", "examples": "- one\n- two\n- ONE\n"}],
        "responses": {"utter_learned/question_1": [{"text": "You collect points with every order."}]},
    }


def test_an_examples_entry_has_no_response_whatever_it_holds() -> None:
    text = render_entry(entry(kind=ProposalKind.EXAMPLES, label="track_order", answer="left over"))

    assert "responses" not in yaml.safe_load(text)


def test_a_file_says_where_it_comes_from_and_is_never_ascii_alone() -> None:
    # Rasa decodes \uXXXX in files of ASCII before it reads the YAML.
    assert render_entry(entry()).startswith("# Written by publishing")
    assert not render_entry(entry()).isascii()


def test_every_entry_is_a_file_of_its_own_with_a_safe_name() -> None:
    same_label = [entry(1, label="learned/a"), entry(2, label="learned/a"), entry(3, label="faq/x")]
    files = render_files(same_label)

    assert len(files) == 3
    assert all(name.startswith("entry-") and name.endswith(".yml") and os.sep not in name for name in files)


@pytest.mark.parametrize("letter", ["a", "漢", "é", "\U00020000"])
def test_a_long_label_makes_no_name_that_a_file_system_refuses(letter: str, tmp_path: Path) -> None:
    label = f"learned/{letter * 80}"
    files = render_files([entry(1, label=label), entry(2, label=label)])
    for name in files:
        (tmp_path / name).write_text(files[name], "utf-8")

    assert LEARNED_KEY.fullmatch(label)
    assert len(list(tmp_path.iterdir())) == 2
    assert max(len(name.encode()) for name in files) < 200


def test_a_common_label_is_whole_in_the_name_of_its_file() -> None:
    label = "learned/" + "a" * 80
    assert list(render_files([entry(1, label=label)])) == [f"entry-learned-{'a' * 80}-{entry(1).proposal_id}.yml"]


def test_an_answer_is_quoted_so_that_rasa_fills_in_no_environment_variable() -> None:
    assert '- text: "costs ${HOME}"' in render_entry(entry(answer="costs ${HOME}"))


def test_a_change_is_a_file_that_rasa_has_no_key_for() -> None:
    merged = entry(kind=ProposalKind.MERGE, label="faq/a", target="faq/b", answer=None)

    assert yaml.safe_load(render_entry(merged)) == {
        "version": "3.1",
        "learned_change": {
            "entry": merged.entry_id,
            "kind": "merge",
            "label": "faq/a",
            "target": "faq/b",
            "release": 1,
        },
    }


def test_a_change_carries_nobodys_words_but_the_approved_answer() -> None:
    for kind in (ProposalKind.REWORD, ProposalKind.MERGE, ProposalKind.RETIRE):
        text = render_entry(entry(kind=kind, label="faq/a", target="utter_faq/a", answer="Approved."))

        assert ("Approved." in text) == (kind is ProposalKind.REWORD)
        assert not any(example in text for example in entry().examples)


def test_rendering_is_the_same_every_time() -> None:
    assert render_entry(entry()) == render_entry(entry())


@pytest.mark.parametrize(
    "change",
    [{"answer": "other"}, {"label": "learned/other"}, {"examples": LOYALTY[:2]}, {"kind": ProposalKind.EXAMPLES}],
)
def test_other_content_is_another_entry_of_the_same_file(change: dict[str, Any]) -> None:
    assert entry_id(proposal(1, **change)) != entry_id(proposal(1))
    assert entry_id(proposal(1, score=1, state=ProposalState.DEFERRED)) == entry_id(proposal(1))
    assert entry_id(proposal(1)) != entry_id(proposal(2))


@pytest.mark.parametrize("label", ["learned/a", "faq-x", "learned/" + "漢" * 80, "x-0123456789abcdef"])
def test_a_files_name_leads_back_to_its_proposal(label: str) -> None:
    assert proposal_of(file_name(entry(1, label=label))) == entry(1).proposal_id


@pytest.mark.parametrize("name", ["entry-x.yml", "x-0123456789abcdef.yml", "entry-x-0123456789abcdef.yaml", ""])
def test_other_files_lead_to_no_proposal(name: str) -> None:
    assert proposal_of(name) is None
