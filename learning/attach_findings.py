"""What is to be said of a project before it is attached: what is there, what is missing, what will not work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from learning.attach_holdout import ENOUGH, draw, overlap
from learning.attach_names import Roles
from learning.attach_seed import SEEDS, language_of
from learning.attach_survey import Survey

# Components and policies that Rasa 3 has no more, and what takes their place.
GONE = {
    "supervised_embeddings": "a list of components",
    "pretrained_embeddings_spacy": "a list of components",
    "ConveRTTokenizer": "WhitespaceTokenizer",
    "HFTransformersNLP": "WhitespaceTokenizer and LanguageModelFeaturizer",
    "LanguageModelTokenizer": "WhitespaceTokenizer",
    "EmbeddingIntentClassifier": "DIETClassifier",
    "FallbackPolicy": "FallbackClassifier and RulePolicy",
    "TwoStageFallbackPolicy": "FallbackClassifier and RulePolicy",
    "MappingPolicy": "RulePolicy",
    "FormPolicy": "RulePolicy",
    "KerasPolicy": "TEDPolicy",
    "EmbeddingPolicy": "TEDPolicy",
    "SklearnPolicy": "TEDPolicy",
}
SERVERS = {
    "DucklingEntityExtractor": "a Duckling server must run beside the bot: without it amounts and times are not found",
    "SpacyNLP": "its language model must be installed where the bot runs (`python -m spacy download ...`)",
    "MitieNLP": "its model file must be where the config says",
}
MIGRATE = "run `rasa data convert` and `rasa data migrate` of Rasa 3.0 to 3.6, then attach again"
FOREIGN = 0.2  # share of letters from which a text is not English
FEW_EXAMPLES = 2  # of an intent, under which neither Rasa nor the loop can tell what it is about


class Level(str, Enum):
    """How much a finding weighs."""

    FOUND = "found"
    MISSING = "missing"  # attaching adds it
    WARNING = "warning"  # works, but less well
    BLOCKED = "blocked"  # must be done by hand first


@dataclass(frozen=True)
class Finding:
    """One thing to be said of a project, and what to do about it, empty for nothing."""

    level: Level
    what: str
    next_step: str = ""


@dataclass(frozen=True)
class StoreSeen:
    """The tracker store of a project: its kind (sql, mongod, redis), empty for none that can be read.

    `problem` says why nothing can be read of it now, `is_named` whether the endpoints name one at all.
    """

    kind: str = ""
    is_named: bool = False
    problem: str = ""
    next_step: str = ""


def judge(project: Survey, store: StoreSeen, roles: Roles, attached: bool) -> Iterator[Finding]:
    """Yield what is to be said of a project, in the order in which somebody would look at it."""
    if attached:
        yield Finding(Level.FOUND, "learning.yml is there: the project was attached before")
    yield from _formats(project)
    yield from _conversations(project, store)
    yield from _training_data(project)
    yield from _language(project)
    yield from _pipeline(project)
    yield from _dialogue(project, roles)
    yield from _packages(project)
    yield from _hold_out(project)


def _formats(project: Survey) -> Iterator[Finding]:
    if project.old_files:
        shown = ", ".join(project.old_files[:4])
        level = Level.WARNING if project.examples else Level.BLOCKED
        yield Finding(level, f"training data of Rasa 1 ({shown}), which Rasa 3 does not read", MIGRATE)
    if project.has_templates:
        yield Finding(Level.BLOCKED, f"{project.domain} has `templates`, as Rasa 1 called responses", MIGRATE)
    if project.slots_without_mappings:
        shown = ", ".join(project.slots_without_mappings[:4])
        yield Finding(
            Level.BLOCKED,
            f"{len(project.slots_without_mappings)} slots without `mappings` ({shown}): a domain of Rasa 2 or older",
            MIGRATE,
        )
    gone = [str(one.get("name")) for one in (*(project.pipeline or ()), *(project.policies or ()))]
    for name in dict.fromkeys(name for name in gone if name in GONE):
        yield Finding(Level.BLOCKED, f"{project.config} names {name}, which Rasa 3 has no more", f"use {GONE[name]}")
    for name in project.unreadable:
        yield Finding(Level.BLOCKED, f"{name} is not valid YAML", "correct it")


def _conversations(project: Survey, store: StoreSeen) -> Iterator[Finding]:
    if store.kind and not store.problem:
        yield Finding(Level.FOUND, f"a tracker store of type {store.kind} in {project.endpoints}")
    elif store.is_named:
        level = Level.WARNING if store.kind else Level.BLOCKED
        yield Finding(level, f"the tracker store cannot be read: {store.problem}", store.next_step)
    else:
        yield Finding(
            Level.MISSING,
            "no tracker store: Rasa keeps conversations in memory, and what was said before is lost",
            "attaching adds one on SQLite; use PostgreSQL for more than one worker",
        )
    if not project.endpoints:
        yield Finding(Level.MISSING, "no endpoints.yml", "start Rasa with `--endpoints endpoints.yml` from now on")
    elif "/" in project.endpoints:
        yield Finding(Level.FOUND, f"endpoints in {project.endpoints}", f"`rasa run --endpoints {project.endpoints}`")
    if project.nlg and not project.nlg.startswith("components.learned_responses"):
        source = project.nlg.split("@")[-1]  # an address may begin with a password
        yield Finding(
            Level.BLOCKED,
            f"responses come from {source} (nlg): it would have to tell learned answers, and does not know them",
            "take `nlg` out of the endpoints, and put its answers into the domain",
        )


def _training_data(project: Survey) -> Iterator[Finding]:
    if not project.examples:
        if not project.old_files:
            yield Finding(Level.BLOCKED, "no NLU examples in YAML", "the loop learns beside what a bot knows already")
        return
    if not project.data:
        yield Finding(Level.BLOCKED, "NLU examples, but no folder for training data", "move them to data/")
        return
    counts = Counter(example.label for example in project.examples)
    yield Finding(
        Level.FOUND,
        f"{len(project.examples)} NLU examples of {len(counts)} labels, {project.rules} rules and"
        f" {project.stories} stories in {project.data}",
    )
    few = sorted(label for label, count in counts.items() if count < FEW_EXAMPLES)
    known = {label.partition("/")[0] for label in counts}
    bare = sorted(set(project.intents) - known - {"nlu_fallback", "learned"})
    if few or bare:
        shown = ", ".join([*few, *bare][:5])
        yield Finding(
            Level.WARNING, f"{len(few) + len(bare)} intents with no or one example ({shown})", "give them some"
        )


def _language(project: Survey) -> Iterator[Finding]:
    language = language_of(project.language)
    if language in ("en", ""):
        if _foreign_share(project) > FOREIGN:
            yield Finding(
                Level.WARNING,
                f"the language is {project.language or 'not told'}, but the examples are in another script",
                "name the language in the config; what does not work in others is in docs/attach.md",
            )
        return
    seeds = "" if language in SEEDS else "; translate data/learned/learning.yml, which is in English"
    yield Finding(
        Level.WARNING,
        f"the language is {project.language}: the sentence encoder, the mood words and the names that are redacted were"
        " made for English. Gaps come out coarser, fewer messages reach a learned answer, and fewer names are found;"
        " e-mail addresses, numbers and cards are found as before",
        f"give SentenceEncoder and LiveOverlay the `model_dir` of a multilingual model{seeds}",
    )


def _foreign_share(project: Survey) -> float:
    """Return the share (0 to 1) of letters in the examples that English does not have."""
    letters = [letter for example in project.examples for letter in example.text if letter.isalpha()]
    return sum(not letter.isascii() for letter in letters) / len(letters) if letters else 0.0


def _pipeline(project: Survey) -> Iterator[Finding]:
    if project.pipeline is None:
        yield Finding(
            Level.MISSING,
            "no pipeline: Rasa takes its own",
            "attaching writes that one down, since Rasa chooses none beside a component that is named",
        )
    elif "DIETClassifier" in project.components:
        yield Finding(
            Level.FOUND,
            "DIET classifies: it stays as it is, and the overlay stands behind it with an encoder of its own",
        )
    if lacks_fallback(project):
        yield Finding(
            Level.MISSING,
            "no FallbackClassifier: the bot answers whatever it is asked, and guesses look like answers",
            "attaching adds one (threshold 0.3); a rule on `nlu_fallback` says what is answered then",
        )
    for name in dict.fromkeys(project.components):
        if name in SERVERS:
            yield Finding(Level.WARNING, f"{name}: {SERVERS[name]}")
    own = [name for name in project.importers if not name.startswith("components.learned_importer")]
    if own:
        yield Finding(
            Level.WARNING,
            f"importers of its own ({', '.join(own)}): merges, retirements and better answers are live, but are not"
            " trained",
            "put components.learned_importer.LearnedImporter in the place of RasaFileImporter, if that is one of them",
        )


def lacks_fallback(project: Survey) -> bool:
    """Whether a named pipeline has nothing that says when a message is not understood."""
    tellers = ("FallbackClassifier", "components.out_of_scope")
    return project.pipeline is not None and not any(name.startswith(tellers) for name in project.components)


def _dialogue(project: Survey, roles: Roles) -> Iterator[Finding]:
    told = {
        "asks for a person": roles.person_intents,
        "ends a conversation": roles.closing_intents,
        "says yes": roles.affirm_intents,
        "hands over": roles.handoff_actions,
        "means that nothing was understood": roles.fallback_intents,
        "is answered then": roles.fallback_actions,
    }
    yield Finding(
        Level.FOUND,
        "; ".join(f"{what}: {', '.join(names)}" for what, names in told.items() if names),
        "see learning.yml",
    )
    if not roles.person_intents:
        yield Finding(
            Level.WARNING,
            "no intent with which somebody asks for a person: that they want one is no signal then",
            "name it under conversations.person_intents, if there is one",
        )


def _packages(project: Survey) -> Iterator[Finding]:
    if "learning" in project.modules:
        yield Finding(
            Level.BLOCKED,
            "a package `learning` of its own hides the one that the components need",
            "give it another name",
        )
    if "components" in project.modules:
        yield Finding(
            Level.WARNING,
            "a package `components` of its own",
            "attaching adds two lines to its __init__.py, so that Python looks for ours behind it",
        )


def _hold_out(project: Survey) -> Iterator[Finding]:
    if (project.root / "tests" / "holdout").exists() or not project.examples:
        return
    if project.test_examples:
        twice = overlap(project.test_examples, project.examples)
        yield Finding(Level.FOUND, f"{len(project.test_examples)} labelled messages in tests, taken for the hold-out")
        if twice:
            yield Finding(
                Level.WARNING,
                f"{twice} of them are trained on, too: they say nothing about whether a model has become worse",
                "take them out of one of the two",
            )
        return
    drawn = len(draw(project.examples))
    if not drawn:
        yield Finding(
            Level.WARNING,
            "no hold-out, and too few examples to make one of: retraining has nothing to compare with",
            "put labelled messages that are not trained on into tests/holdout",
        )
        return
    yield Finding(
        Level.MISSING,
        f"no hold-out: {drawn} examples (a tenth of each label) move from the training data to tests/holdout",
        "a change of its own, which you may leave out (--no-holdout)",
    )
    if drawn < ENOUGH:
        yield Finding(
            Level.WARNING, f"{drawn} held-out messages tell little", "add real messages that are not trained on"
        )
