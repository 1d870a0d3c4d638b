"""Attaching any Rasa project: what is found in it, what is changed, and what is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from learning.attach_findings import Level, StoreSeen
from learning.attach_holdout import draw, overlap
from learning.attach_names import find_roles
from learning.attach_plan import Plan, Step, make_plan
from learning.attach_seed import SEEDS, language_of, seed_file
from learning.attach_survey import Labelled, find_project, survey
from learning.attach_yaml import example_blocks, load, with_items, without_lines
from learning.errors import ProjectError
from learning.settings import load_settings

NO_STORE = StoreSeen()
SQL_STORE = StoreSeen("sql", True)
DIET = """\
# our config
language: en  # British
pipeline:
  # tokens first
  - name: WhitespaceTokenizer
  - name: DIETClassifier   # the default
    epochs: 100
  - name: FallbackClassifier
    threshold: 0.7

# how we talk
policies:
- name: RulePolicy
"""
DOMAIN = """\
version: "3.1"
intents:
  - greet
  - thanks:
      use_entities: []
  - human_handoff   # the desk

entities: []
responses:
  utter_greet:
  - text: "Hello!"
actions:
- action_handoff
- action_handoff_options
"""
RULES = """\
version: "3.1"
rules:
- rule: greet
  steps:
  - intent: greet
  - action: utter_greet
stories:
- story: hand over
  steps:
  - or:
    - intent: human_handoff
    - intent: complaint
  - action: action_handoff
"""
HELLO = "".join(f"    - hello number {number}\n" for number in range(20))
NLU = f"""\
version: "3.1"
nlu:
- intent: greet
  examples: |
{HELLO}- intent: thanks
  examples: |
    - thanks
    - thank [you](person)
- lookup: city
  examples: |
    - Berlin
"""
PLAIN = {
    "config.yml": DIET,
    "domain.yml": DOMAIN,
    "endpoints.yml": "# where things are\naction_endpoint:\n  url: http://localhost:5055/webhook\n",
    "data/nlu.yml": NLU,
    "data/rules.yml": RULES,
}


def make(root: Path, files: Mapping[str, str | None]) -> Path:
    for name, text in files.items():
        if text is not None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(text.encode("utf-8"))
    return root


def plan_of(root: Path, files: Mapping[str, str | None], store: StoreSeen = NO_STORE) -> Plan:
    return make_plan(survey(find_project(make(root, files))), store)


def carry_out(root: Path, plan: Plan) -> None:
    for change in plan.changes:
        make(root, {change.path: change.after})


def told(plan: Plan, level: Level) -> str:
    return "\n".join(finding.what for finding in plan.findings if finding.level is level)


def changed(plan: Plan, path: str) -> str:
    (change,) = [change for change in plan.changes if change.path == path and change.step is Step.ATTACH]
    return change.after


# --- what is found --------------------------------------------------------------------------------


def test_a_project_is_read(tmp_path: Path) -> None:
    found = survey(make(tmp_path, PLAIN))

    assert (found.config, found.domain, found.endpoints, found.data) == (
        "config.yml",
        "domain.yml",
        "endpoints.yml",
        "data",
    )
    assert found.components == ("WhitespaceTokenizer", "DIETClassifier", "FallbackClassifier")
    assert found.intents == ("greet", "thanks", "human_handoff")
    assert found.labels == {"greet", "thanks"}
    assert found.answered_by["complaint"] == {"action_handoff"}
    assert (found.rules, found.stories, found.old_files) == (1, 1, ())
    (annotated,) = [one for one in found.examples if one.raw == "thank [you](person)"]
    assert (annotated.text, NLU.splitlines()[annotated.line].strip()) == ("thank you", "- thank [you](person)")


def test_a_split_domain_and_endpoints_in_a_folder_are_found(tmp_path: Path) -> None:
    files = {
        **PLAIN,
        "domain.yml": None,
        "endpoints.yml": None,
        "domain/base.yml": "intents:\n- greet\n",
        "domain/more/desk.yml": "intents:\n- human_handoff\nactions:\n- action_handoff\n",
        "configs/endpoints.yml": "tracker_store: {type: SQL}\n",
    }
    plan = plan_of(tmp_path, files, SQL_STORE)

    assert plan.project.intents == ("greet", "human_handoff")
    assert plan.project.endpoints == "configs/endpoints.yml"
    assert yaml.safe_load(changed(plan, "domain/learned.yml"))["intents"] == ["learned"]
    assert "tracker_store: {type: SQL}\n" in changed(plan, "configs/endpoints.yml")
    assert "endpoints: configs/endpoints.yml" in changed(plan, "learning.yml")


def test_the_only_project_below_a_folder_is_taken(tmp_path: Path) -> None:
    make(tmp_path / "repo" / "bot", PLAIN)
    make(tmp_path / "repo" / "venv" / "other", PLAIN)

    assert find_project(tmp_path / "repo") == tmp_path / "repo" / "bot"
    make(tmp_path / "repo" / "second", PLAIN)
    with pytest.raises(ProjectError, match=r"holds 2 Rasa projects \(bot, second\); name one of them"):
        find_project(tmp_path / "repo")


def test_a_folder_without_a_project_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="holds no Rasa project"):
        find_project(make(tmp_path, {"config.yml": "language: en\n"}))
    with pytest.raises(ProjectError, match="is no folder"):
        find_project(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"data/nlu.md": "## intent:greet\n- hello\n", "data/nlu.yml": None}, "training data of Rasa 1 (data/nlu.md)"),
        ({"data/nlu.json": '{"rasa_nlu_data": {}}', "data/nlu.yml": None}, "training data of Rasa 1 (data/nlu.json)"),
        ({"domain.yml": "templates:\n  utter_x:\n  - text: x\n"}, "has `templates`"),
        ({"domain.yml": "slots:\n  a:\n    type: text\n"}, "1 slots without `mappings` (a)"),
        ({"config.yml": "pipeline: supervised_embeddings\n"}, "names supervised_embeddings"),
        ({"config.yml": "policies:\n- name: MappingPolicy\n"}, "names MappingPolicy"),
        ({"data/broken.yml": "nlu: ["}, "data/broken.yml is not valid YAML"),
        ({"data/nlu.yml": 'version: "3.1"\n'}, "no NLU examples in YAML"),
        ({"endpoints.yml": "nlg:\n  url: http://nlg\n"}, "responses come from http://nlg"),
        ({"learning/__init__.py": ""}, "a package `learning` of its own"),
    ],
)
def test_what_must_be_done_by_hand_stops_it(tmp_path: Path, files: dict[str, str | None], reason: str) -> None:
    plan = plan_of(tmp_path, {**PLAIN, **files})

    assert plan.is_blocked
    assert reason in told(plan, Level.BLOCKED)
    assert plan.changes == ()


def test_a_readme_and_stories_of_today_are_no_old_data(tmp_path: Path) -> None:
    files = {**PLAIN, "README.md": "## intent\n* one\n", "data/notes.json": '{"a": 1}', "stories.md": "# Notes\n* x\n"}

    assert survey(make(tmp_path, files)).old_files == ()


@pytest.mark.parametrize(
    ("files", "store", "reason"),
    [
        ({}, NO_STORE, "no tracker store: Rasa keeps conversations in memory"),
        ({"endpoints.yml": None}, NO_STORE, "no endpoints.yml"),
        ({"config.yml": "language: en\npipeline:\n"}, SQL_STORE, "no pipeline"),
        ({"config.yml": "pipeline:\n- name: DIETClassifier\n"}, SQL_STORE, "no FallbackClassifier"),
        ({}, SQL_STORE, "no hold-out: 2 examples"),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, files: dict[str, str], store: StoreSeen, reason: str) -> None:
    assert reason in told(plan_of(tmp_path, {**PLAIN, **files}, store), Level.MISSING)


@pytest.mark.parametrize(
    ("files", "store", "reason"),
    [
        ({"config.yml": DIET.replace("language: en", "language: pt-BR")}, SQL_STORE, "the language is pt-BR"),
        ({"data/zh.yml": "nlu:\n- intent: a\n  examples: |\n    - " + "你好" * 300}, SQL_STORE, "in another script"),
        ({"components/__init__.py": ""}, SQL_STORE, "a package `components` of its own"),
        ({"config.yml": DIET + "importers:\n- name: my.Importer\n"}, SQL_STORE, "importers of its own (my.Importer)"),
        ({}, StoreSeen("mongod", True, "it is away"), "cannot be read: it is away"),
        (
            {"domain.yml": DOMAIN.replace("human_handoff", "other"), "data/rules.yml": ""},
            SQL_STORE,
            "asks for a person",
        ),
        ({}, SQL_STORE, "1 intents with no or one example (human_handoff)"),
        ({}, SQL_STORE, "2 held-out messages tell little"),
        (
            {"tests/nlu.yml": "nlu:\n- intent: greet\n  examples: |\n    - hello, number 3!\n    - hi\n"},
            SQL_STORE,
            "1 of them are trained on, too",
        ),
    ],
)
def test_what_will_work_less_well_is_told(tmp_path: Path, files: dict[str, str], store: StoreSeen, reason: str) -> None:
    plan = plan_of(tmp_path, {**PLAIN, **files}, store)

    assert reason in told(plan, Level.WARNING)
    assert not plan.is_blocked


def test_a_store_that_nothing_reads_stops_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, PLAIN, StoreSeen("", True, "DynamoDB cannot be read here"))

    assert "DynamoDB" in told(plan, Level.BLOCKED)


def test_roles_are_found_by_name_and_by_what_follows(tmp_path: Path) -> None:
    domain = (
        "intents: [greet, i_am_fed_up, talk_to_human, check_human, goodbye, thanks, affirm, out_of_scope, agenda]\n"
        "actions: [action_handoff, action_handoff_options, utter_handoff, action_humanize_numbers_not]\n"
    )
    rules = "rules:\n- rule: x\n  steps:\n  - intent: i_am_fed_up\n  - action: action_handoff\n"
    rules += "- rule: y\n  steps:\n  - intent: nlu_fallback\n  - action: utter_default\n"
    roles = find_roles(survey(make(tmp_path, {**PLAIN, "domain.yml": domain, "data/rules.yml": rules})))

    assert roles.person_intents == ("talk_to_human", "i_am_fed_up")
    assert (roles.closing_intents, roles.affirm_intents) == (("goodbye", "thanks"), ("affirm",))
    assert roles.handoff_actions[0] == "action_handoff"
    assert "action_handoff_options" not in roles.handoff_actions
    assert (roles.fallback_intents, roles.fallback_actions) == (("out_of_scope", "nlu_fallback"), ("utter_default",))


# --- what is changed ------------------------------------------------------------------------------


def test_every_line_of_theirs_stays_as_it_was(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, PLAIN)

    for change in plan.changes_of(Step.ATTACH):
        kept = iter(change.after.splitlines())
        # In the same order, and nothing of it changed: only lines between them are new.
        assert all(line in kept for line in (change.before or "").splitlines()), change.path
    config = yaml.safe_load(changed(plan, "config.yml"))
    assert [one["name"] for one in config["pipeline"]] == [
        "WhitespaceTokenizer",
        "DIETClassifier",
        "FallbackClassifier",
        "ResponseSelector",
        "components.sentence_encoder.SentenceEncoder",
        "components.live_overlay.LiveOverlay",
    ]
    assert config["policies"] == [{"name": "RulePolicy"}]
    assert yaml.safe_load(changed(plan, "domain.yml"))["intents"][-1] == "learned"
    endpoints = yaml.safe_load(changed(plan, "endpoints.yml"))
    assert endpoints["nlg"]["type"] == "components.learned_responses.LearnedResponses"
    assert endpoints["tracker_store"]["db"] == "var/tracker.db"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("store", [NO_STORE, SQL_STORE])
def test_a_second_time_nothing_changes(tmp_path: Path, newline: str, store: StoreSeen) -> None:
    plan = plan_of(tmp_path, {name: text.replace("\n", newline) for name, text in PLAIN.items()}, store)
    carry_out(tmp_path, plan)
    again = make_plan(survey(tmp_path), SQL_STORE)

    assert plan.changes != ()
    assert again.changes == ()
    assert not again.is_blocked


def test_the_settings_are_what_the_loop_reads(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, PLAIN)
    carry_out(tmp_path, plan)
    settings = load_settings(tmp_path, {})

    assert settings.conversations.person_intents == ("human_handoff",)
    assert settings.conversations.closing_intents == ("thanks",)
    assert settings.conversations.handoff_actions == ("action_handoff",)
    assert settings.project.holdout == "tests/holdout"


def test_a_pipeline_that_rasa_chose_is_written_down(tmp_path: Path) -> None:
    config = "language: en\npipeline:\n# # No configuration\n#   - name: X\npolicies:\n"
    plan = plan_of(tmp_path, {**PLAIN, "config.yml": config})
    found = yaml.safe_load(changed(plan, "config.yml"))

    names = [one["name"] for one in found["pipeline"]]
    assert names[0] == "WhitespaceTokenizer"
    assert "DIETClassifier" in names
    assert names[-1] == "components.live_overlay.LiveOverlay"
    assert found["policies"] is None


def test_a_project_without_rules_gets_the_policy_that_follows_them(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {**PLAIN, "config.yml": DIET.replace("RulePolicy", "MemoizationPolicy")})

    assert yaml.safe_load(changed(plan, "config.yml"))["policies"][-1] == {"name": "RulePolicy"}


def test_a_selector_for_all_intents_is_enough(tmp_path: Path) -> None:
    config = DIET.replace("  - name: Fall", "  - name: ResponseSelector\n  - name: Fall")

    assert changed(plan_of(tmp_path, {**PLAIN, "config.yml": config}), "config.yml").count("ResponseSelector") == 1


def test_a_package_of_the_same_name_lets_ours_in(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {**PLAIN, "components/__init__.py": "X = 1\n"})
    text = changed(plan, "components/__init__.py")

    assert text.startswith("X = 1\n")
    assert "extend_path(__path__, __name__)" in text
    carry_out(tmp_path, plan)
    assert make_plan(survey(tmp_path), SQL_STORE).changes == ()


def test_a_package_of_the_same_name_can_still_be_imported(tmp_path: Path) -> None:
    theirs = '"""Ours."""\r\nfrom __future__ import annotations\r\n'
    plan = plan_of(tmp_path, {**PLAIN, "components/__init__.py": theirs})
    text = changed(plan, "components/__init__.py")

    compile(text, "components/__init__.py", "exec")
    assert text.startswith(theirs)
    assert text.count("\r\n") == text.count("\n")
    assert [one.before for one in plan.changes if one.path == "components/__init__.py"] == [theirs]


def test_a_package_that_is_no_utf_8_is_left_alone(tmp_path: Path) -> None:
    make(tmp_path, {**PLAIN, "components/__init__.py": ""})
    (tmp_path / "components" / "__init__.py").write_bytes(b"# -*- coding: latin-1 -*-\n# \xe4\n")
    plan = make_plan(survey(tmp_path), NO_STORE)

    assert plan.is_blocked
    assert "cannot be read as UTF-8" in told(plan, Level.BLOCKED)


# --- what is odd or hostile -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["config.yml", "domain.yml", "endpoints.yml", "components", "tests"])
def test_nothing_is_written_behind_a_link(tmp_path: Path, name: str) -> None:
    files = {**PLAIN, "components/__init__.py": "", "tests/notes.txt": "", "data/endpoints.md": ""}
    root, outside = make(tmp_path / "bot", files), tmp_path / "outside"
    outside.mkdir()
    (root / name).rename(outside / name)
    (root / name).symlink_to(outside / name)
    plan = make_plan(survey(root), NO_STORE)

    assert f"{name} is a link" in told(plan, Level.BLOCKED)
    assert plan.changes == ()


def test_a_folder_for_databases_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    root = make(tmp_path / "bot", PLAIN)
    (root / "var").symlink_to(tmp_path / "disk")
    plan = make_plan(survey(root), NO_STORE)

    assert not plan.is_blocked
    assert "var/.gitignore" not in [change.path for change in plan.changes]


def test_examples_may_lie_anywhere(tmp_path: Path) -> None:
    files = {**PLAIN, "data/nlu.yml": None, "data/rules.yml": None}
    plan = plan_of(tmp_path, {**files, "training/nlu/nlu.yml": NLU, "training/rules.yml": RULES})

    assert (plan.project.data, plan.project.rules) == ("training", 1)
    assert changed(plan, "training/learned/learning.yml")
    assert "  data: training\n" in changed(plan, "learning.yml")


def test_names_that_yaml_takes_for_something_else_stay_names(tmp_path: Path) -> None:
    # Rasa reads YAML 1.2, to which `yes` is a name.
    domain = DOMAIN.replace("  - greet\n", "  - greet\n  - yes\n")
    plan = plan_of(tmp_path, {**PLAIN, "domain.yml": domain})
    assert "yes" in plan.project.intents
    carry_out(tmp_path, plan)

    assert load_settings(tmp_path, {}).conversations.affirm_intents == ("yes",)


@pytest.mark.parametrize("text", ["when: 2020-99-99\n", "number: 0x_\n", "a: &a [*a]\n"])
def test_what_only_looks_like_yaml_is_told(text: str) -> None:
    with pytest.raises(ProjectError, match="is not valid YAML"):
        load(text, "x.yml")


@pytest.mark.parametrize("text", ["a: 1\n...\n", "nlg:\n", "tracker_store: sql\n"])
def test_endpoints_that_cannot_be_added_to_stay_as_they_are(tmp_path: Path, text: str) -> None:
    plan = plan_of(tmp_path, {**PLAIN, "endpoints.yml": text})

    assert "at its end" in told(plan, Level.BLOCKED)
    assert plan.changes == ()


def test_the_password_of_an_answer_server_is_not_told(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {**PLAIN, "endpoints.yml": "nlg:\n  url: http://bob:hunter2@host/nlg\n"})

    assert "responses come from host/nlg" in told(plan, Level.BLOCKED)


def test_a_few_lines_that_stand_for_billions_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 12)]

    with pytest.raises(ProjectError, match="stands for over"):
        load("\n".join(lines), "x.yml")


def test_the_first_learned_answers_are_two_in_every_language() -> None:
    for language, seeds in SEEDS.items():
        content = yaml.safe_load(seed_file(language))
        assert [entry["intent"] for entry in content["nlu"]] == ["learned/about_learning", "learned/about_mistakes"]
        assert content["responses"]["utter_learned/about_mistakes"] == [{"text": seeds[1][2]}]
        assert content["rules"][0]["steps"] == [{"intent": "learned"}, {"action": "utter_learned"}]
    assert seed_file("fi") == seed_file("en")
    assert [language_of(written) for written in ("br", "pt_BR", "en-GB", "EN", "")] == ["pt", "pt", "en", "en", ""]


# --- the hold-out ---------------------------------------------------------------------------------


def test_what_is_held_out_is_trained_on_no_more(tmp_path: Path) -> None:
    before = survey(make(tmp_path, PLAIN))
    plan = make_plan(before, NO_STORE)
    carry_out(tmp_path, plan)
    after = survey(tmp_path)

    held = {one.raw for one in after.test_examples}
    assert len(held) == 2
    assert held | {one.raw for one in after.examples if one.file == "data/nlu.yml"} == {
        one.raw for one in before.examples
    }
    assert overlap(after.test_examples, after.examples) == 0
    assert {change.path for change in plan.changes_of(Step.HOLDOUT)} == {"tests/holdout/nlu.yml", "data/nlu.yml"}
    # The lookup, which is no intent, and everything else is as it was.
    assert "- lookup: city\n  examples: |\n    - Berlin\n" in (tmp_path / "data" / "nlu.yml").read_text("utf-8")


def test_test_messages_that_are_there_are_the_hold_out(tmp_path: Path) -> None:
    tests = {"tests/test_nlu.yml": "nlu:\n- intent: greet\n  examples: |\n    - hi\n"}
    plan = plan_of(tmp_path, {**PLAIN, **tests})

    assert plan.changes_of(Step.HOLDOUT) == ()
    assert "holdout: tests/test_nlu.yml" in changed(plan, "learning.yml")


def test_a_twin_is_never_held_out() -> None:
    texts = [text for number in range(15) for text in (f"hello {number}", f"Hello,  {number}!")]
    examples = [Labelled(text, "greet", "nlu.yml", line, text) for line, text in enumerate(texts)]

    assert draw(examples) == []
    assert len(draw([*examples, Labelled("howdy", "greet", "nlu.yml", 40, "howdy")])) == 1


def test_small_labels_keep_all_they_have() -> None:
    examples = [Labelled(f"word{number}", "greet", "nlu.yml", number, "") for number in range(9)]

    assert draw(examples) == []


@given(st.sets(st.text("abc ", min_size=1, max_size=6), min_size=1, max_size=60), st.integers(1, 4))
def test_the_draw_is_the_same_each_time_and_never_takes_much(texts: set[str], labels: int) -> None:
    examples = [Labelled(t, f"i{number % labels}", "f", number, t) for number, t in enumerate(sorted(texts))]
    drawn = draw(examples)

    assert drawn == draw(list(reversed(examples)))
    for label in {one.label for one in examples}:
        mine = [one for one in examples if one.label == label]
        assert sum(one.label == label for one in drawn) <= max(0, round(0.1 * len(mine)))


# --- edits of YAML --------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(
    lambda name: name not in ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "learned")
)


@given(
    st.lists(NAMES, max_size=6, unique=True),
    st.sampled_from(["block", "indented", "flow", "missing"]),
    st.booleans(),
    st.booleans(),
)
def test_an_item_is_added_to_a_list_however_it_is_written(
    names: list[str], style: str, ended: bool, more: bool
) -> None:
    indent = "  " if style == "indented" else ""
    body = {
        "flow": f"intents: [{', '.join(names)}]",
        "missing": "",
    }.get(style, "intents:\n" + "\n".join(f"{indent}- {name}  # {name}" for name in names))
    text = "# first\n" + body + ("\n\n# between\nother: {a: 1}" if more else "") + ("\n" if ended else "")
    after = with_items(text, "intents", ["learned"], "domain.yml")

    assert yaml.safe_load(after)["intents"] == [*([] if style == "missing" else names), "learned"]
    kept = iter(after.splitlines())
    assert all(line in kept for line in text.splitlines() if line and not line.startswith("intents: ["))


@pytest.mark.parametrize("text", ["intents: x\n", "intents: {a: b}\n"])
def test_what_cannot_be_edited_is_left_to_a_person(text: str) -> None:
    with pytest.raises(ProjectError, match="add to it by hand: learned"):
        with_items(text, "intents", ["learned"], "domain.yml")


def test_a_list_with_an_anchor_keeps_it() -> None:
    after = with_items("intents: &a [x]\nb: 1\n", "intents", ["learned"], "domain.yml")

    assert after == "intents: &a [x, learned]\nb: 1\n"


def test_examples_are_found_on_their_lines() -> None:
    blocks = dict(example_blocks(NLU))

    assert list(blocks) == ["greet", "thanks"]
    assert [text for _, text in blocks["thanks"]] == ["thanks", "thank [you](person)"]
    (line, _), *_ = blocks["greet"]
    assert without_lines(NLU, [line]) == NLU.replace("    - hello number 0\n", "")


@pytest.mark.parametrize(
    "nlu",
    [
        "nlu:\n- intent: a\n  examples:\n  - text: |\n      hello\n",
        "nlu:\n- intent: a\n  examples: >\n    - hello\n",
        "nlu: []\n",
        "nlu:\n- regex: x\n  examples: |\n    - y\n",
    ],
)
def test_examples_that_stand_otherwise_stay_where_they_are(nlu: str) -> None:
    assert example_blocks(nlu) == []
