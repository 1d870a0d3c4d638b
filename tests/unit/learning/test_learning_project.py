from __future__ import annotations

from pathlib import Path

import pytest

from learning.adapters.project import Project
from learning.errors import ProjectError
from learning.model import Example
from learning.settings import load_settings
from tests.learning_builders import make_project, nlu_yaml


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path)


def project(root: Path) -> Project:
    return Project(load_settings(root, {}))


def test_a_complete_project_passes(root: Path) -> None:
    project(root).check()


@pytest.mark.parametrize("domain", ["intents:\n- greet\n", "", "intents: learned\n", "intents:\n- {}\n", "- learned\n"])
def test_a_domain_without_the_learned_intent_says_what_to_add(root: Path, domain: str) -> None:
    (root / "domain.yml").write_text(domain)

    with pytest.raises(ProjectError, match=r"domain\.yml: has no intent `learned`.*add `- learned` under `intents:`"):
        project(root).check()


@pytest.mark.parametrize("intent", ["- learned", "- learned:\n    use_entities: []"])
def test_both_ways_to_name_an_intent_count(root: Path, intent: str) -> None:
    (root / "domain.yml").write_text(f"intents:\n{intent}\n")

    project(root).check()


def test_a_domain_in_several_files_is_read_as_one(root: Path) -> None:
    (root / "domain.yml").rename(root / "old.txt")
    (root / "learning.yml").write_text("project:\n  domain: domain\n")
    (root / "domain").mkdir()
    with pytest.raises(ProjectError, match="does not exist"):
        project(root).check()

    (root / "domain" / "a.yml").write_text("intents:\n- greet\n")
    (root / "domain" / "b.yml").write_text("intents:\n- learned\n")
    project(root).check()


def test_a_missing_domain_is_an_error(root: Path) -> None:
    (root / "domain.yml").unlink()

    with pytest.raises(ProjectError, match="does not exist"):
        project(root).check()


def test_a_domain_that_is_no_yaml_is_named(root: Path) -> None:
    (root / "domain.yml").write_text("intents: [")

    with pytest.raises(ProjectError, match=r"domain\.yml: is not valid YAML"):
        project(root).check()


def test_examples_are_read_with_full_labels_and_without_annotations(root: Path) -> None:
    text = nlu_yaml(
        {
            "track_order": (
                "where is [10342](order_number)",
                '[fast]{"entity": "speed", "value": "quick"} [one](n)[two](n)',
                '[both][{"entity": "a"}, {"entity": "b"}] kept [brackets]',
            )
        }
    )
    (root / "data" / "nlu" / "nlu.yml").write_text(text + "- intent: faq/x\n  examples:\n  - text: |\n      how much\n")

    assert project(root).examples() == [
        Example("where is 10342", "track_order"),
        Example("fast onetwo", "track_order"),
        Example("both kept [brackets]", "track_order"),
        Example("how much", "faq/x"),
    ]


@pytest.mark.parametrize("nlu", ["nlu: 5\n", "nlu: text\n", "nlu:\n- 5\n- synonym: a\n  examples: |\n    - b\n", "5\n"])
def test_odd_training_files_hold_no_examples(root: Path, nlu: str) -> None:
    (root / "data" / "nlu" / "nlu.yml").write_text(nlu)

    with pytest.raises(ProjectError, match="holds no training examples"):
        project(root).examples()


def test_a_missing_holdout_is_an_error(root: Path) -> None:
    (root / "tests" / "holdout" / "nlu.yml").unlink()

    with pytest.raises(ProjectError, match="holds no labelled messages"):
        project(root).holdout()


def test_articles_that_cannot_be_read_are_named(root: Path) -> None:
    assert [name for name, _ in project(root).articles()] == ["loyalty.md"]
    (root / "data" / "knowledge" / "odd.md").write_bytes(b"\xff\xfe")

    with pytest.raises(ProjectError, match=r"odd\.md: cannot be read"):
        project(root).articles()


def test_training_data_is_put_together_from_the_project_and_what_is_published(root: Path, tmp_path: Path) -> None:
    learned = root / "data" / "learned"
    learned.mkdir()
    (learned / "learning.yml").write_text("kept: 1\n")
    (learned / "entry-old.yml").write_text("withdrawn: 1\n")
    before = sorted(root.rglob("*"))

    data = project(root).assemble(tmp_path / "work" / "data", {"entry-new.yml": "new: 1\n"})

    assert {path.name for path in (data / "learned").iterdir()} == {"learning.yml", "entry-new.yml"}
    assert (data / "nlu" / "nlu.yml").exists()
    assert [path for path in sorted(root.rglob("*")) if "work" not in path.parts] == before


def test_a_project_without_data_cannot_be_put_together(root: Path, tmp_path: Path) -> None:
    (root / "learning.yml").write_text("project:\n  data: nowhere\n")

    with pytest.raises(ProjectError, match="is no folder"):
        project(root).assemble(tmp_path / "work", {})
