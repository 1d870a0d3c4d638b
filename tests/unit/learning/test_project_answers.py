from __future__ import annotations

from pathlib import Path

import pytest

from learning.adapters.project import Project
from learning.errors import ProjectError
from learning.model import Answer
from learning.settings import load_settings
from tests.learning_builders import make_project

ROOT = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path)


def answers(root: Path) -> list[Answer]:
    return Project(load_settings(root, {})).answers()


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


GREETING = "responses:\n  utter_greet:\n  - text: Hello!\n"


def rule(*lines: str, before: str = "") -> str:
    return f"rules:\n- rule: one\n{before}  steps:\n" + "".join(f"  - {line}\n" for line in lines)


def test_a_retrieval_key_is_answered_by_its_response_in_the_domain_or_the_data(root: Path) -> None:
    write(root, "domain.yml", "responses:\n  utter_faq/hours:\n  - text: From nine.\n  - text: At nine.\n")
    write(root, "data/nlu/answers.yml", "responses:\n  utter_faq/price:\n  - text: Ten euros.\n")

    assert answers(root) == [
        Answer("faq/hours", "utter_faq/hours", "From nine."),
        Answer("faq/price", "utter_faq/price", "Ten euros."),
    ]


def test_learned_entries_are_left_out(root: Path) -> None:
    write(root, "data/learned/a.yml", "responses:\n  utter_learned/points:\n  - text: Points!\n")
    write(root, "data/learned/deep/b.yml", "responses:\n  utter_learned/more:\n  - text: More!\n")

    assert answers(root) == []


def test_a_rule_with_one_response_answers_a_plain_intent(root: Path) -> None:
    write(root, "domain.yml", GREETING)
    write(root, "data/rules.yml", rule("intent: greet", "action: utter_greet"))

    assert answers(root) == [Answer("greet", "utter_greet", "Hello!")]


@pytest.mark.parametrize(
    "rules",
    [
        rule("intent: greet", "action: utter_greet", before="  condition:\n  - active_loop: form\n"),
        rule("intent: greet", "action: utter_greet", before="  conversation_start: true\n"),
        rule("intent: greet", "action: utter_greet", before="  wait_for_user_input: false\n"),
        rule("intent: greet", "action: utter_greet", "action: utter_greet"),
        rule("intent: greet", "slot_was_set:\n    - a: b", "action: utter_greet"),
        rule("intent: greet\n    entities:\n    - name", "action: utter_greet"),
        rule("intent: greet", "action: action_greet"),
        rule("action: utter_greet"),
        rule("intent: greet", "action: utter_unknown"),
        rule("intent: greet", "action: utter_greet")
        + "- rule: two\n  steps:\n  - intent: greet\n  - action: utter_b\n",
        "rules:\n- greet\n- rule: x\n- rule: y\n  steps: greet\n",
        "rules: greet\n",
        "stories:\n- story: x\n  steps:\n  - intent: greet\n  - action: utter_greet\n",
    ],
)
def test_what_is_not_always_answered_by_one_response_has_no_answer(root: Path, rules: str) -> None:
    write(root, "domain.yml", GREETING)
    write(root, "data/rules.yml", rules)

    assert answers(root) == []


def test_a_response_said_on_a_condition_only_is_not_its_text(root: Path) -> None:
    write(
        root,
        "domain.yml",
        "responses:\n  utter_faq/a:\n"
        "  - condition:\n    - type: slot\n      name: b\n      value: c\n    text: For members.\n"
        "  - channel: slack\n    text: On Slack.\n"
        "  - image: x.png\n  - text: ' '\n  - text: |\n      For all.\n",
    )

    assert answers(root) == [Answer("faq/a", "utter_faq/a", "For all.")]


@pytest.mark.parametrize("responses", ["[]", "{utter_faq/a: text}", "{utter_faq/a: [text]}", "{utter_faq/a: [{x: 1}]}"])
def test_responses_that_say_nothing_are_no_answers(root: Path, responses: str) -> None:
    write(root, "domain.yml", f"responses: {responses}\n")

    assert answers(root) == []


def test_a_domain_folder_is_read_as_one(root: Path) -> None:
    (root / "domain.yml").unlink()
    write(root, "learning.yml", "project:\n  domain: domain\n")
    write(root, "domain/a.yml", GREETING)
    write(root, "domain/deep/b.yaml", "responses:\n  utter_faq/a:\n  - text: A.\n")
    write(root, "data/rules.yml", rule("intent: greet", "action: utter_greet"))

    assert [answer.label for answer in answers(root)] == ["faq/a", "greet"]


def test_a_file_that_is_not_yaml_is_named(root: Path) -> None:
    write(root, "data/rules.yml", "rules: [")

    with pytest.raises(ProjectError, match=r"rules\.yml: is not valid YAML"):
        answers(root)


def test_this_project_answers_its_questions() -> None:
    found = {answer.label: answer for answer in answers(ROOT)}

    assert {"faq/shipping_cost", "faq/opening_hours", "login_problem", "exchange_item", "greet"} <= set(found)
    assert "talk_to_person" not in found  # an action answers it
    assert "track_order" not in found  # a form does
    assert found["faq/gift_wrapping"].text.startswith("Gift wrapping costs €3.50 per item")
