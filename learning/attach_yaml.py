"""Small edits of other people's YAML, as text: every comment, quote and blank line that is not concerned stays.

Each edit is read back, and refused where it would say anything else than it was meant to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from learning.errors import ProjectError

MOST_VALUES = 5_000_000  # of a file, each as often as aliases name it: a few lines can stand for billions
BOOL = "tag:yaml.org,2002:bool"


# libyaml's, where PyYAML was built with it, is ten times as fast.
class LOADER(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads as Rasa does, to which `yes`, `no`, `on` and `off` are names, and no truth values."""


LOADER.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != BOOL or first in "tTfF"]
    for first, resolvers in LOADER.yaml_implicit_resolvers.items()
}


def load(text: str, where: str) -> dict[str, Any]:
    """Return the mapping that a YAML text holds, an empty one for a text without content.

    Raises:
        ProjectError: it is no YAML, or holds something else.

    """
    try:
        content = yaml.load(text, Loader=LOADER)
        size = _size(content, {})
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date or a number may be one only by its looks
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ProjectError(f"is not valid YAML ({reason})", where, "correct it") from error
    if size > MOST_VALUES:
        raise ProjectError(f"stands for over {MOST_VALUES} values", where, "write out what its aliases mean")
    if content is not None and not isinstance(content, dict):
        raise ProjectError("holds no mapping", where, "write `key: value` lines")
    return content or {}


def with_items(text: str, key: str, items: Sequence[str], where: str) -> str:
    """Return `text` with `items` at the end of the list under the top-level `key`, which is made where it is missing.

    Args:
        text: a YAML mapping.
        key: its key.
        items: each a YAML value, further lines indented as if the first began the line; comments may go before it.
        where: the file, for errors.

    Raises:
        ProjectError: the list is written in a way that cannot be edited line by line.

    """
    before = load(text, where)
    node = _value(text, key)
    newline = "\r\n" if "\r\n" in text else "\n"
    if node is None:
        after = with_block(text, f"{key}:{newline}" + newline.join(_lines(items, 0)) + newline)
    elif isinstance(node, yaml.SequenceNode) and node.flow_style:
        after = _with_flow_items(text, node, items, where, key)
    elif isinstance(node, yaml.SequenceNode):
        after = _inserted(text, _last_line(node) + 1, _lines(items, node.start_mark.column), newline)
    elif node.value == "":  # `pipeline:` with nothing behind it
        after = _inserted(text, _key_line(text, key) + 1, _lines(items, 0), newline)
    else:
        raise _by_hand(where, key, items)
    values = [*(before.get(key) or []), *(yaml.load(_without_comments(item), Loader=LOADER) for item in items)]
    try:
        if load(after, where) != {**before, key: values}:
            raise _by_hand(where, key, items)
    except ProjectError:
        raise _by_hand(where, key, items) from None
    return after


def with_block(text: str, block: str) -> str:
    """Return `text` with a block of lines behind it, after a blank line."""
    if not text.strip():
        return text + block
    newline = "\r\n" if "\r\n" in text else "\n"
    ended = text if text.endswith("\n") else text + newline
    return ended + newline + block


def without_lines(text: str, numbers: Sequence[int]) -> str:
    """Return `text` without the lines of these numbers, counted from 0."""
    gone = set(numbers)
    return "".join(line for number, line in enumerate(text.splitlines(keepends=True)) if number not in gone)


def example_blocks(text: str) -> list[tuple[str, list[tuple[int, str]]]]:
    """Return for each intent of an NLU file its label and the lines of its examples: number (from 0) and text.

    Only examples that stand one to a line below `examples: |` are told.
    """
    node = yaml.compose(text, Loader=LOADER)
    found = []
    for entry in _children(node, "nlu"):
        label, examples = _scalar(_child(entry, "intent")), _child(entry, "examples")
        if not label or not isinstance(examples, yaml.ScalarNode) or examples.style != "|":
            continue
        lines = text.splitlines()[examples.start_mark.line + 1 : examples.end_mark.line + 1]
        numbered = enumerate(lines, start=examples.start_mark.line + 1)
        held = [(number, line.strip()[1:].strip()) for number, line in numbered if line.strip().startswith("- ")]
        # What the parser read of it, in case a comment or the next key looks like an example.
        known = {line.strip()[1:].strip() for line in examples.value.splitlines() if line.strip().startswith("- ")}
        found.append((label, [(number, said) for number, said in held if said in known]))
    return found


def _with_flow_items(text: str, node: yaml.SequenceNode, items: Sequence[str], where: str, key: str) -> str:
    if any("\n" in item or ":" in item for item in items):
        raise _by_hand(where, key, items)
    # The mark stands behind the bracket. A list may end with a comma.
    end = node.end_mark.index - 1
    inside = text[node.start_mark.index + 1 : end].rstrip()
    joined = ("" if not inside or inside.endswith(",") else ", ") + ", ".join(items)
    return text[: node.start_mark.index + 1] + inside + joined + text[end:]


def _lines(items: Sequence[str], indent: int) -> list[str]:
    found: list[str] = []
    for item in items:
        begun = False
        for line in item.splitlines():
            if not begun and line.startswith("#"):
                found.append(" " * indent + line)
                continue
            found.append(" " * indent + ("  " if begun else "- ") + line)
            begun = True
    return found


def _inserted(text: str, number: int, lines: Sequence[str], newline: str) -> str:
    present = text.splitlines(keepends=True)
    if number > 0 and number <= len(present) and not present[number - 1].endswith("\n"):
        present[number - 1] += newline
    return "".join([*present[:number], *(line + newline for line in lines), *present[number:]])


def _last_line(node: yaml.Node) -> int:
    """Return the number of the last line that a node has content on; a mark may stand behind comments after it."""
    while isinstance(node, (yaml.SequenceNode, yaml.MappingNode)) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end = node.end_mark
    if isinstance(node, yaml.ScalarNode) and node.value == "":
        return int(node.start_mark.line if node.start_mark.column else node.start_mark.line - 1)
    return int(end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line)


def _size(value: Any, known: dict[int, int]) -> int:
    """Return how many values there are in one, each as often as it is named; `RecursionError` if it holds itself."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        held = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(one, known) for one in held)
    return known[id(value)]


def _value(text: str, key: str) -> Any:
    return _child(yaml.compose(text, Loader=yaml.SafeLoader), key)


def _key_line(text: str, key: str) -> int:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)
    return int(next(name.start_mark.line for name, _ in node.value if name.value == key))


def _child(node: Any, key: str) -> Any:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _children(node: Any, key: str) -> list[Any]:
    child = _child(node, key)
    return list(child.value) if isinstance(child, yaml.SequenceNode) else []


def _scalar(node: Any) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _without_comments(item: str) -> str:
    return "\n".join(line for line in item.splitlines() if not line.startswith("#"))


def _by_hand(where: str, key: str, items: Sequence[str]) -> ProjectError:
    wanted = "; ".join(_without_comments(item).splitlines()[0] for item in items)
    return ProjectError(f"has a `{key}` that cannot be added to line by line", where, f"add to it by hand: {wanted}")
