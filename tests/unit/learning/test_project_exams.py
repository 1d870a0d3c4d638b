"""What a project is measured by, read from its files."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from learning.adapters.project import Project
from learning.adapters.project_exams import read_live_stories, read_marked
from learning.adapters.rasa_exam import RasaExaminer, action_server
from learning.errors import ProjectError
from learning.exams import LiveStory, StoryStep, fingerprint
from learning.settings import load_settings
from tests.learning_builders import make_project, nlu_yaml

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("text", "plain", "spans"),
    [
        ("no entity here", "no entity here", set()),
        ("where is [10342](order_number)?", "where is 10342?", {(9, 14, "order_number")}),
        ('send it [fast]{"entity": "speed", "value": "quick"} please', "send it fast please", {(8, 12, "speed")}),
        ("[may](date:2024-05-01) or [june](date)", "may or june", {(0, 3, "date"), (7, 11, "date")}),
        ("[a] b", "[a] b", set()),
    ],
)
def test_marked_entities_are_read_as_rasa_reads_them(text: str, plain: str, spans: set[tuple[int, int, str]]) -> None:
    marked = read_marked(text)

    assert (marked.text, marked.spans) == (plain, frozenset(spans))
    assert all(marked.text[start:end] for start, end, _ in marked.spans)


def write(folder: Path, text: str, name: str = "talk.yml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder


def test_conversations_are_read_and_those_with_data_of_their_own_left_out(tmp_path: Path) -> None:
    content = """
- name: hello
  steps:
  - {user: "hello", bot: ["hi", "[a-z]{{2}}"], not: "sorry"}
- name: needs an order
  order: late
  steps: [{user: "where is it", bot: "late"}]
- name: names an order
  steps: [{user: "where is {order}", bot: "late"}]
- name: a broken brace
  steps: [{user: "where is {order", bot: "late"}]
"""
    found = read_live_stories(write(tmp_path / "live", content))

    assert found.stories == (LiveStory("hello", (StoryStep("hello", ("hi", "[a-z]{2}"), ("sorry",)),)),)
    assert found.left_out == ("needs an order", "names an order", "a broken brace")


def test_rasas_test_stories_are_read_with_their_actions(tmp_path: Path) -> None:
    content = """
version: "3.1"
stories:
- story: track
  steps:
  - user: |
      where is [10342](order_number)?
    intent: track_order
  - slot_was_set: [{task: track_order}]
  - action: support_form
  - active_loop: null
  - action: action_track_order
  - action: action_listen
  - intent: thank
  - action: utter_thank
- story: either
  steps:
  - or: [{intent: a}, {intent: b}]
"""
    found = read_live_stories(write(tmp_path / "live", content, "test_track.yml"))
    steps = (
        StoryStep("where is 10342?", actions=("support_form", "action_track_order")),
        StoryStep("/thank", actions=("utter_thank",)),
    )

    assert (found.stories, found.left_out) == ((LiveStory("track", steps),), ("either",))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- steps: [", "is not valid YAML"),
        ("- name: x\n", "without steps"),
        ("- steps: [{user: a}]\n", "without a name"),
        ("- name: x\n  steps: [{bot: a}]\n", "without `user`"),
        ("- name: x\n  steps: [{user: a}]\n- name: x\n  steps: [{user: b}]\n", "two conversations named 'x'"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        read_live_stories(write(tmp_path / "live", content))


def test_a_project_without_exams_has_none(tmp_path: Path) -> None:
    project = Project(load_settings(make_project(tmp_path), {}))

    assert (project.out_of_scope(), project.entities(), project.live_stories().stories) == ([], [], ())


def test_what_publishing_wrote_is_none_of_the_projects_own_examples(tmp_path: Path) -> None:
    project = Project(load_settings(make_project(tmp_path), {}))
    before = project.own_examples()
    write(tmp_path / "data/learned", nlu_yaml({"greet": ("an example of an entry",)}), f"entry-greet-{'a' * 16}.yml")
    write(tmp_path / "data/learned", nlu_yaml({"greet": ("an example of the team",)}), "ours.yml")

    assert {example.text for example in project.own_examples()} - {one.text for one in before} == {
        "an example of the team"
    }


def test_this_projects_exams_are_sound() -> None:
    project = Project(load_settings(REPOSITORY, {}))
    trained = {example.text.casefold() for example in project.examples()}
    outside = project.out_of_scope()

    assert len(outside) == len(set(outside)) >= 80
    assert not {text.casefold() for text in outside} & trained
    assert len(project.live_stories().stories) >= 20
    assert project.live_stories().left_out == ()
    assert len(project.entities()) > 500


@pytest.mark.parametrize(
    ("content", "environ", "expected"),
    [
        ("action_endpoint: {url: 'http://a:5055/webhook'}", {}, "http://a:5055/webhook"),
        ("action_endpoint: {url: 'http://${HOST}/webhook'}", {"HOST": "b"}, "http://b/webhook"),
        ("action_endpoint: {url: 'http://a/webhook'}", {"EVERGREEN_ACTIONS_URL": "http://c/x"}, "http://c/x"),
        ("nlg: {type: x}", {}, ""),
        ("a: [", {}, ""),
        ("", {}, ""),
    ],
)
def test_the_action_server_is_that_of_the_project(
    tmp_path: Path, content: str, environ: dict[str, str], expected: str
) -> None:
    path = tmp_path / "endpoints.yml"
    path.write_text(content)

    assert action_server(path, environ) == expected
    assert action_server(tmp_path / "none.yml", {}) == ""


def test_why_nothing_was_played_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_project(tmp_path)
    examiner = RasaExaminer(load_settings(root, {}))
    assert examiner._actions() == ("", "not run: endpoints.yml names no action server")
    (root / "endpoints.yml").write_text("action_endpoint: {url: 'http://127.0.0.1:9/webhook'}")
    assert examiner._actions() == ("", "not run: the action server does not answer")
    asked: list[str] = []
    monkeypatch.setattr(httpx, "get", lambda url, timeout: asked.append(url))
    assert examiner._actions() == ("http://127.0.0.1:9/webhook", "")
    assert asked == ["http://127.0.0.1:9/health"]


def test_a_list_of_cases_has_one_mark_in_whatever_order() -> None:
    one, other = ("a", "greet"), ("b", "greet")
    assert fingerprint([one, other]) == fingerprint([other, one])
    assert fingerprint([one]) != fingerprint([("a", "thank")]) != fingerprint([("agreet", "")])
