"""What a project gets so that it can learn, and what is said of it: a plan, which somebody else carries out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from learning.attach_findings import Finding, Level, StoreSeen, judge, lacks_fallback
from learning.attach_holdout import holdout_text, make_holdout
from learning.attach_names import Roles, find_roles
from learning.attach_seed import language_of, seed_file
from learning.attach_settings import settings_file
from learning.attach_survey import Survey
from learning.attach_yaml import load, with_block, with_items
from learning.errors import ProjectError
from learning.model import LEARNED_INTENT

SETTINGS, HOLDOUT, LEARNED = "learning.yml", "tests/holdout", "learned"
ENCODER = "components.sentence_encoder.SentenceEncoder"
OVERLAY = "components.live_overlay.LiveOverlay"
IMPORTER = "components.learned_importer.LearnedImporter"
NLG = "components.learned_responses.LearnedResponses"
ALIAS = "evergreen"
LIVE = (
    f"# Last, so that what was approved answers before the next training; nothing before it sees these features.\n"
    f"name: {ENCODER}\nalias: {ALIAS}\nmiddle_layers: false",
    f"name: {OVERLAY}\nfeaturizers: [{ALIAS}]",
)
SELECTOR = (
    "# Chooses between learned answers once they are trained.\n"
    f"name: ResponseSelector\nretrieval_intent: {LEARNED_INTENT}"
)
# What Rasa 3.6 takes where a config names no pipeline: as soon as one component is named, it chooses none.
DEFAULT_PIPELINE = (
    "name: WhitespaceTokenizer",
    "name: RegexFeaturizer",
    "name: LexicalSyntacticFeaturizer",
    "name: CountVectorsFeaturizer",
    "name: CountVectorsFeaturizer\nanalyzer: char_wb\nmin_ngram: 1\nmax_ngram: 4",
    "name: DIETClassifier\nepochs: 100\nconstrain_similarities: true",
    "name: EntitySynonymMapper",
    "name: ResponseSelector\nepochs: 100\nconstrain_similarities: true",
    "name: FallbackClassifier\nthreshold: 0.3\nambiguity_threshold: 0.1",
)
FALLBACK = "name: FallbackClassifier\nthreshold: 0.3\nambiguity_threshold: 0.1"
RULES = "# Without it no rule is followed, and learned answers are given by one.\nname: RulePolicy"
STORE_BLOCK = """\
# Conversations outlive the server here, and the loop reads them. PostgreSQL is better for more than one worker.
tracker_store:
  type: SQL
  dialect: sqlite
  db: var/tracker.db
"""
NLG_BLOCK = f"""\
# Gives approved answers, and the domain's where there are none.
nlg:
  type: {NLG}
"""
EXTEND = (  # at the end: `from __future__` must come first
    "# Lets `components` of two projects live side by side: this one's modules are found first.\n"
    '__path__ = __import__("pkgutil").extend_path(__path__, __name__)\n'
)


class Step(str, Enum):
    """The two changes, which are reviewed one by one."""

    ATTACH = "attach"
    HOLDOUT = "holdout"


@dataclass(frozen=True)
class FileChange:
    """The text of a file before (None: there was none) and after, relative to the project."""

    path: str
    before: str | None
    after: str
    why: str
    step: Step = Step.ATTACH


@dataclass(frozen=True)
class Plan:
    """What was found in a project, and what would be changed; nothing where `blocked`."""

    project: Survey
    roles: Roles
    findings: tuple[Finding, ...]
    changes: tuple[FileChange, ...] = field(default=())

    @property
    def is_blocked(self) -> bool:
        """Whether something must be done by hand first."""
        return any(finding.level is Level.BLOCKED for finding in self.findings)

    def changes_of(self, step: Step) -> tuple[FileChange, ...]:
        """Return the changes of one step."""
        return tuple(change for change in self.changes if change.step is step)


def make_plan(project: Survey, store: StoreSeen) -> Plan:
    """Return what is to be said of a project and changed in it; an attached one needs no change.

    Args:
        project: what lies there.
        store: its tracker store, as its endpoints tell.

    """
    roles = find_roles(project)
    findings = list(judge(project, store, roles, attached=(project.root / SETTINGS).is_file()))
    changes: list[FileChange] = []
    findings += _links(project)
    if not any(finding.level is Level.BLOCKED for finding in findings):
        try:
            changes = [*_changes(project, store, roles)]
        except ProjectError as error:
            findings.append(Finding(Level.BLOCKED, f"{error.item}: {error.what}", error.next_step))
            changes = []
    return Plan(project, roles, tuple(findings), tuple(changes))


def _changes(project: Survey, store: StoreSeen, roles: Roles) -> Iterator[FileChange]:
    yield from _edit(project, project.config, _config(project), "the live overlay, and what learned answers need")
    yield from _domain(project)
    why = (
        "where learned answers come from" if store.is_named else "a tracker store, and where learned answers come from"
    )
    yield from _edit(project, project.endpoints or "endpoints.yml", _endpoints(project, store), why)
    yield from _new(
        project,
        f"{project.data}/{LEARNED}/learning.yml",
        seed_file(language_of(project.language)),
        "first learned answers",
    )
    if "components" in project.modules:
        yield from _shared_package(project)
    # SQLite makes no folders, and Rasa would wait for one for ever.
    if not (project.root / "var").is_symlink():
        yield from _new(project, "var/.gitignore", "*\n!.gitignore\n", "a place for databases")
    holdout, changes = _holdout(project)
    yield from _new(project, SETTINGS, settings_file(project, roles, holdout), "the loop's settings")
    yield from changes


def _config(project: Survey) -> str:
    text, where = project.texts[project.config], str(project.root / project.config)
    items: list[str] = []
    if project.pipeline is None:
        items += DEFAULT_PIPELINE
    elif lacks_fallback(project):
        items.append(FALLBACK)
    if project.pipeline is not None and not _selects_learned(project):
        items.append(SELECTOR)
    items += [] if OVERLAY in project.components else LIVE
    text = with_items(text, "pipeline", items, where) if items else text
    if project.policies is not None and "RulePolicy" not in [one.get("name") for one in project.policies]:
        text = with_items(text, "policies", [RULES], where)
    if not project.importers:
        why = "# Loads the project as Rasa does, and applies merged and retired labels and better answers."
        text = with_items(text, "importers", [f"{why}\nname: {IMPORTER}"], where)
    return text


def _selects_learned(project: Survey) -> bool:
    """Whether some component chooses between the answers of `learned`: one for it, or one for all intents."""
    own = [one for one in project.pipeline or () if one.get("name") == "ResponseSelector"]
    return any(one.get("retrieval_intent") in (None, LEARNED_INTENT) for one in own) or any(
        name.startswith("components.intent_classifier") for name in project.components
    )


def _domain(project: Survey) -> Iterator[FileChange]:
    if LEARNED_INTENT in project.intents:
        return
    if (project.root / project.domain).is_dir():
        text = f'version: "3.1"\n\nintents:\n- {LEARNED_INTENT}\n'
        yield from _new(project, f"{project.domain}/learned.yml", text, "the intent of learned answers")
        return
    text = project.texts[project.domain]
    after = with_items(text, "intents", [LEARNED_INTENT], str(project.root / project.domain))
    yield from _edit(project, project.domain, after, "the intent of learned answers")


def _endpoints(project: Survey, store: StoreSeen) -> str:
    text, where = project.texts.get(project.endpoints, ""), str(project.root / (project.endpoints or "endpoints.yml"))
    present = load(text, where)
    blocks = {} if store.kind or store.is_named else {"tracker_store": STORE_BLOCK}
    blocks |= {} if project.nlg else {"nlg": NLG_BLOCK}
    for key, block in blocks.items():
        text = with_block(text, block)
        try:
            is_added = key not in present and load(text, where) == {**present, **load(block, where)}
        except ProjectError:
            is_added = False
        if not is_added:
            raise ProjectError(f"cannot be given a `{key}` at its end", where, f"take out an empty `{key}`, or `...`")
        present = load(text, where)
    return text


def _shared_package(project: Survey) -> Iterator[FileChange]:
    name = "components/__init__.py"
    path = project.root / name
    try:
        before = path.read_bytes().decode("utf-8") if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError("cannot be read as UTF-8", str(path), "save it as UTF-8 text") from error
    if "extend_path" not in (before or ""):
        block = EXTEND.replace("\n", "\r\n") if "\r\n" in (before or "") else EXTEND
        yield FileChange(name, before, with_block(before or "", block), "the project has a package `components`")


def _links(project: Survey) -> Iterator[Finding]:
    """Yield what would be written somewhere else: git keeps no file behind a link, and others may read it, too."""
    data = f"{project.data}/{LEARNED}"
    places = (project.config, project.domain, project.endpoints, SETTINGS, data, "components/__init__.py", HOLDOUT)
    for place in places if project.data else ():
        for path in (project.root / place, *(project.root / place).parents):
            if path == project.root:
                break
            if path.is_symlink():
                name = path.relative_to(project.root).as_posix()
                yield Finding(Level.BLOCKED, f"{name} is a link: what it leads to is not changed", "put a copy there")
                break


def _holdout(project: Survey) -> tuple[str, list[FileChange]]:
    """Return where the hold-out is, and the changes that make it."""
    if (project.root / HOLDOUT).exists() or not project.examples:
        return HOLDOUT, []
    if project.test_examples:
        files = sorted({example.file for example in project.test_examples})
        return files[0] if len(files) == 1 else "tests", []
    made = make_holdout(project.examples, project.texts, HOLDOUT)
    if made is None:
        return HOLDOUT, []
    why = "held out: never trained on"
    changes = [FileChange(made.file, None, holdout_text(made.examples), why, Step.HOLDOUT)]
    for name, text in made.files.items():
        changes.append(FileChange(name, project.texts[name], text, "without what is held out", Step.HOLDOUT))
    return HOLDOUT, changes


def _edit(project: Survey, name: str, after: str, why: str) -> Iterator[FileChange]:
    before = project.texts.get(name)
    if after != (before or ""):
        yield FileChange(name, before, after, why)


def _new(project: Survey, name: str, text: str, why: str) -> Iterator[FileChange]:
    if not (project.root / name).exists():
        yield FileChange(name, None, text, why)


def texts_of(changes: Sequence[FileChange]) -> dict[str, str]:
    """Return what files hold after the changes."""
    return {change.path: change.after for change in changes}
