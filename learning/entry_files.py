"""What a file of `data/learned/` says, read back from wherever people have worked on it; nothing is guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from learning.errors import ReviewError
from learning.labels import CHANGE_KEY
from learning.model import TEACHING, Entry, Proposal, ProposalKind, ProposalState, content_id
from learning.publish import entry_id, render_files
from learning.review import as_decided
from learning.strict_yaml import Plain, StrictYamlError, read_strict
from learning.texts import clean_example

NEXT = "correct the file, or decide in the hub or with `python -m learning review`"
CHANGES = {kind.value: kind for kind in ProposalKind if kind not in TEACHING}


@dataclass(frozen=True)
class LearnedFile:
    """What an entry's file holds; its fields mean what they mean in a `Proposal` of its kind."""

    kind: ProposalKind
    label: str
    examples: tuple[str, ...] = ()
    answer: str | None = None
    target: str | None = None
    release: int = 0


def offered_file(proposal: Proposal, release: int) -> tuple[str, str]:
    """Return name and text of the file that approving `proposal` as it stands would make in release `release`.

    A new question that has no answer yet gets an empty one, for a person to fill in.
    """
    shown = as_decided(proposal, None)
    entry = Entry(
        entry_id=entry_id(shown),
        proposal_id=shown.proposal_id,
        kind=shown.kind,
        label=shown.label,
        examples=shown.examples,
        answer=shown.answer,
        release=release,
        state=ProposalState.PUBLISHED,
        target=shown.target,
    )
    ((name, text),) = render_files([entry]).items()
    if shown.kind is ProposalKind.ANSWER and not shown.answer:
        text += f'responses:\n  utter_{shown.label}:\n  - text: ""\n'
    return name, text


def mark_of(text: str) -> str:
    """Return a mark of what a file says: how it is laid out, and which release it names, make no difference."""
    try:
        found = read_learned(text)
    except ReviewError:
        return content_id("unreadable", text)
    said = (found.kind.value, found.label, found.target, found.answer)
    return content_id("entry file", *said, len(found.examples), *found.examples)


def read_learned(text: str, name: str = "the file") -> LearnedFile:
    """Return what the file of an entry says.

    Raises:
        ReviewError: it is no YAML, or holds less or more than one entry can; the message says what.

    """
    try:
        content = read_strict(text)
    except StrictYamlError as error:
        raise ReviewError(f"is not valid YAML of an entry ({error})", name, NEXT) from error
    if not isinstance(content, dict):
        raise ReviewError("is no mapping of Rasa's training data", name, NEXT)
    surplus = [str(key) for key in content if key not in ("version", "nlu", "responses", CHANGE_KEY)]
    if surplus or (CHANGE_KEY in content and {"nlu", "responses"} & set(content)):
        raise ReviewError("holds more than one entry can", name, NEXT)
    return _change(content[CHANGE_KEY], name) if CHANGE_KEY in content else _taught(content, name)


def _taught(content: dict[str, Any], name: str) -> LearnedFile:
    label, examples = _examples(content.get("nlu"), name)
    if "responses" not in content:
        return LearnedFile(ProposalKind.EXAMPLES, label, examples)
    match content["responses"]:
        case {**responses} if set(responses) == {f"utter_{label}"}:
            variations = responses[f"utter_{label}"]
        case _:
            raise ReviewError(f"does not hold one response, `utter_{label}`", name, NEXT)
    match variations:
        case [{"text": str(text), **more}] if not more:
            return LearnedFile(ProposalKind.ANSWER, label, examples, text or None)
    raise ReviewError("has a response that is not one text", name, NEXT)


def _examples(nlu: object, name: str) -> tuple[str, tuple[str, ...]]:
    match nlu:
        case [{"intent": str(label), "examples": str(block), **more}] if not more:
            lines = [line.strip() for line in block.splitlines() if line.strip()]
        case _:
            raise ReviewError("does not hold the examples of one intent", name, NEXT)
    if any(line != "-" and not line.startswith("- ") for line in lines):
        raise ReviewError("has a line among the examples that does not begin with a dash", name, NEXT)
    examples = tuple(dict.fromkeys(line[2:].strip() for line in lines if line[2:].strip()))
    odd = sum(clean_example(example) != example for example in examples)
    if odd:
        raise ReviewError(
            f"has {odd} examples with brackets or other marks, which a learned one cannot have", name, NEXT
        )
    return label, examples


def _change(change: object, name: str) -> LearnedFile:
    values = change if isinstance(change, dict) else {}
    kind = CHANGES.get(str(values.get("kind")))
    needed = ["label"] if kind is ProposalKind.RETIRE else ["label", "target"]
    needed += ["answer"] if kind is ProposalKind.REWORD else []
    release = _release(values.get("release"))
    if kind is None or release is None or any(not isinstance(values.get(key), str) for key in needed):
        raise ReviewError(
            f"has no complete `{CHANGE_KEY}`: it needs a kind, a release and {', '.join(needed)}", name, NEXT
        )
    if set(values) - {"entry", "kind", "release", *needed}:
        raise ReviewError("holds more than one entry can", name, NEXT)
    return LearnedFile(kind, values["label"], (), values.get("answer") or None, values.get("target"), release)


def _release(value: object) -> int | None:
    """Return the number of a release, 0 where there is none, None where it is no number."""
    return 0 if value is None else value.number if isinstance(value, Plain) else None
