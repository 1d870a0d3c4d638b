"""What lies in the folder of any Rasa project: its files, wherever they are, and what stands in them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from learning.attach_yaml import example_blocks, load
from learning.errors import ProjectError

SKIPPED = frozenset(
    {"venv", "env", "node_modules", "models", "results", "build", "dist", "__pycache__", "site-packages"}
)
DEEPEST = 4  # folders below the one that is named
MOST_FILES = 5_000
LARGEST = 20_000_000  # bytes of a file that is read
YAML = (".yml", ".yaml")
OLD_INTENT = re.compile(r"^##\s*intent:", re.MULTILINE)  # Markdown of Rasa 1
OLD_STORY = re.compile(r"^##\s+.*\n+\s*\*\s+\w", re.MULTILINE)
ANNOTATION = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\{[^}]*\}|\[[^\]]*\])")


@dataclass(frozen=True)
class Labelled:
    """A training example: its text, its intent or full retrieval key, and the file and line (from 0) it stands on.

    `line` is -1 where it does not stand on a line of its own.
    """

    text: str
    label: str
    file: str
    line: int = -1
    raw: str = ""


@dataclass(frozen=True)
class Survey:
    """A Rasa project as it was found; paths are relative to `root`, empty where there is no such thing.

    `answered_by` tells which actions follow an intent at once in rules and stories. `old_files` are in formats that
    Rasa 3 does not read.
    """

    root: Path
    config: str
    domain: str
    endpoints: str
    credentials: str
    data: str
    language: str
    pipeline: tuple[Mapping[str, Any], ...] | None  # None: left to Rasa to choose
    policies: tuple[Mapping[str, Any], ...] | None
    importers: tuple[str, ...]
    intents: tuple[str, ...]
    actions: tuple[str, ...]
    slots_without_mappings: tuple[str, ...]
    has_templates: bool  # responses as Rasa 1 called them
    examples: tuple[Labelled, ...]
    test_examples: tuple[Labelled, ...]
    answered_by: Mapping[str, frozenset[str]]
    rules: int
    stories: int
    old_files: tuple[str, ...]
    unreadable: tuple[str, ...]
    modules: tuple[str, ...]  # Python packages of its own in its folder
    nlg: str
    texts: Mapping[str, str] = field(repr=False, default_factory=dict)  # of the files that may be changed

    @property
    def components(self) -> tuple[str, ...]:
        """The names of the pipeline's components."""
        return tuple(str(item.get("name")) for item in self.pipeline or ())

    @property
    def labels(self) -> frozenset[str]:
        """Every intent and retrieval key that has examples."""
        return frozenset(example.label for example in self.examples)


def find_project(path: Path) -> Path:
    """Return the folder of the Rasa project at `path`, or of the only one below it.

    Raises:
        ProjectError: there is none, or more than one.

    """
    if not path.is_dir():
        raise ProjectError("is no folder", str(path), "name the folder of a Rasa project")
    path = path.resolve()
    folders = sorted({file.parent for file in _walk(path) if file.name in ("config.yml", "config.yaml")})
    found = [folder for folder in folders if _domain_of(folder)]
    if path in found:
        return path
    if len(found) == 1:
        return found[0]
    if not found:
        raise ProjectError(
            "holds no Rasa project (a config.yml beside a domain)", str(path), "name the folder of a Rasa project"
        )
    names = ", ".join(folder.relative_to(path).as_posix() for folder in found[:5])
    raise ProjectError(f"holds {len(found)} Rasa projects ({names})", str(path), "name one of them")


def survey(root: Path) -> Survey:
    """Read the project in `root`; nothing is run and nothing is written.

    Raises:
        ProjectError: its config, domain or endpoints are no YAML.

    """
    reader = _Reader(root)
    config_name = _first(root, "config.yml", "config.yaml")
    domain_name = _domain_of(root)
    endpoints_name = _first(root, "endpoints.yml", "endpoints.yaml") or reader.below("endpoints.yml", "endpoints.yaml")
    credentials = _first(root, "credentials.yml") or reader.below("credentials.yml")
    config = reader.mapping(config_name)
    endpoints = reader.mapping(endpoints_name) if endpoints_name else {}
    domains = [reader.mapping(name) for name in reader.domain_files(domain_name)]
    data = _data_of(root, reader)
    pipeline, policies = _named(config.get("pipeline")), _named(config.get("policies"))
    training = reader.training(data)
    return Survey(
        root=root,
        config=config_name,
        domain=domain_name,
        endpoints=endpoints_name,
        credentials=credentials,
        data=data,
        language=str(config.get("language") or ""),
        pipeline=pipeline,
        policies=policies,
        importers=tuple(str(one.get("name")) for one in _named(config.get("importers")) or ()),
        intents=tuple(dict.fromkeys(name for one in domains for name in _names(one.get("intents")))),
        actions=tuple(dict.fromkeys(name for one in domains for name in _names(one.get("actions")))),
        slots_without_mappings=tuple(sorted(name for one in domains for name in _unmapped(one.get("slots")))),
        has_templates=any("templates" in one for one in domains),
        examples=tuple(training.examples),
        test_examples=tuple(reader.training("tests").examples if (root / "tests").is_dir() else ()),
        answered_by={intent: frozenset(actions) for intent, actions in training.answered_by.items()},
        rules=training.rules,
        stories=training.stories,
        old_files=tuple(reader.old_files()),
        unreadable=tuple(dict.fromkeys(reader.unreadable)),
        modules=tuple(name for name in ("components", "learning") if (root / name).is_dir()),
        nlg=str((endpoints.get("nlg") or {}).get("type") or (endpoints.get("nlg") or {}).get("url") or "")
        if isinstance(endpoints.get("nlg"), dict)
        else "",
        texts=reader.texts,
    )


@dataclass
class _Training:
    examples: list[Labelled] = field(default_factory=list)
    answered_by: dict[str, set[str]] = field(default_factory=dict)
    rules: int = 0
    stories: int = 0


class _Reader:
    """Reads the files of one project, each once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = list(_walk(root))
        self.texts: dict[str, str] = {}
        self.unreadable: list[str] = []

    def text(self, name: str) -> str:
        if name not in self.texts:
            try:
                # Not read_text: what ends the lines must stay as it is.
                self.texts[name] = (self._root / name).read_bytes().decode("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                where = str(self._root / name)
                raise ProjectError(f"cannot be read ({error})", where, "save it as UTF-8 text") from error
        return self.texts[name]

    def mapping(self, name: str) -> dict[str, Any]:
        return load(self.text(name), str(self._root / name))

    def below(self, *names: str) -> str:
        found = sorted(self._name(file) for file in self._files if file.name in names)
        return min(found, key=lambda name: name.count("/"), default="")

    def domain_files(self, domain: str) -> list[str]:
        if (self._root / domain).is_file():
            return [domain]
        return sorted(name for name in self._yaml(domain))

    def training(self, folder: str) -> _Training:
        found = _Training()
        for name in self._yaml(folder):
            try:
                content = self.mapping(name)
            except ProjectError:
                self.unreadable.append(name)
                continue
            if isinstance(content.get("nlu"), list):
                found.examples += self._examples(name, content["nlu"])
            for kind in ("rules", "stories"):
                steps = [one.get("steps") for one in _maps(content.get(kind))]
                _follow(steps, found.answered_by)
                found.rules += len(steps) if kind == "rules" else 0
                found.stories += len(steps) if kind == "stories" else 0
        return found

    def old_files(self) -> Iterator[str]:
        """Yield the files with training data of Rasa 1: Markdown, and JSON."""
        for file in self._files:
            if file.suffix not in (".md", ".json") or file.stat().st_size > LARGEST:
                continue
            head = file.read_bytes()[:20_000].decode("utf-8", "replace")
            is_old = (
                '"rasa_nlu_data"' in head
                if file.suffix == ".json"
                else bool(OLD_INTENT.search(head)) or (file.stem.startswith("stor") and bool(OLD_STORY.search(head)))
            )
            if is_old:
                yield self._name(file)

    def _examples(self, name: str, entries: Sequence[Any]) -> Iterator[Labelled]:
        on_lines = {(label, said): number for label, lines in example_blocks(self.text(name)) for number, said in lines}
        for entry in _maps(entries):
            label, examples = entry.get("intent"), entry.get("examples")
            if not label:
                continue
            for raw in _example_texts(examples):
                text = ANNOTATION.sub(r"\1", raw)
                yield Labelled(text, str(label), name, on_lines.get((str(label), raw), -1), raw)

    def _yaml(self, folder: str) -> list[str]:
        names = [self._name(file) for file in self._files if file.suffix in YAML]
        if (self._root / folder).is_file():
            return [folder]
        return sorted(name for name in names if folder == "." or name.startswith(f"{folder}/"))

    def _name(self, file: Path) -> str:
        return file.relative_to(self._root).as_posix()


def _walk(root: Path) -> Iterator[Path]:
    """Yield the files of a project; what is hidden, installed or trained is not looked at, and no link is followed."""
    seen = 0
    for folder, folders, files in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = sorted(
            name for name in folders if name not in SKIPPED and not name.startswith(".") and depth < DEEPEST
        )
        for name in sorted(files):
            path = Path(folder) / name
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                seen += 1
                if seen > MOST_FILES:
                    raise ProjectError(
                        f"holds over {MOST_FILES} files", str(root), "name the Rasa project's own folder"
                    )
                yield path


def _first(root: Path, *names: str) -> str:
    return next((name for name in names if (root / name).is_file()), "")


def _domain_of(root: Path) -> str:
    file = _first(root, "domain.yml", "domain.yaml")
    if file:
        return file
    folder = root / "domain"
    return "domain" if folder.is_dir() and any(one.suffix in YAML for one in folder.rglob("*")) else ""


def _data_of(root: Path, reader: _Reader) -> str:
    """Return the folder with the training data: `data`, or where else intents have examples; empty without any."""
    if (root / "data").is_dir():
        return "data"
    files = [example.file for example in reader.training(".").examples]
    reader.unreadable.clear()  # what lies elsewhere is no training data
    folders = Counter(name.split("/")[0] for name in files if "/" in name and not name.startswith("tests/"))
    return min(folders, key=lambda name: (-folders[name], name), default="")


def _named(value: Any) -> tuple[Mapping[str, Any], ...] | None:
    """Return the components of a list, None where nothing stands there; a name alone is one, too."""
    if value is None or value == []:
        return None
    if isinstance(value, str):
        return ({"name": value},)
    return (
        tuple(one if isinstance(one, dict) else {"name": str(one)} for one in value) if isinstance(value, list) else ()
    )


def _names(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else ():
        yield from (str(name) for name in item) if isinstance(item, dict) else (str(item),)


def _unmapped(slots: Any) -> Iterator[str]:
    for name, slot in slots.items() if isinstance(slots, dict) else ():
        if isinstance(slot, dict) and "mappings" not in slot:
            yield str(name)


def _maps(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _example_texts(examples: Any) -> Iterator[str]:
    if isinstance(examples, str):
        for line in examples.splitlines():
            if line.strip().startswith("- ") and line.strip()[1:].strip():
                yield line.strip()[1:].strip()
    elif isinstance(examples, list):
        for item in examples:
            text = item.get("text") if isinstance(item, dict) else item
            if isinstance(text, str) and text.strip():
                yield text.strip().removeprefix("- ")


def _follow(talks: Sequence[Any], found: dict[str, set[str]]) -> None:
    """Note which action comes right after each intent, also where any of several intents may stand."""
    for steps in talks:
        waiting: list[str] = []
        for step in _maps(steps):
            alternatives = [one.get("intent") for one in _maps(step.get("or"))] or [step.get("intent")]
            named = [str(intent) for intent in alternatives if intent]
            if named:
                waiting = named
            elif step.get("action") and waiting:
                for intent in waiting:
                    found.setdefault(intent, set()).add(str(step["action"]))
                waiting = []
