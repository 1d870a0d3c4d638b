"""YAML of which every program reads the same: texts, lists and mappings, and nothing that means more than it says.

Anchors (a few lines of which fill the memory), keys that stand there twice (of which one reader takes the first and
another the last) and files too large for an entry are errors; a value that is no text stays as it is written.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

MOST = 256 * 1024  # characters of a file: some thousand examples


class Plain(NamedTuple):
    """A value that is no text, such as `3.1` or `true`: what YAML takes it for, and how it is written."""

    tag: str
    written: str

    @property
    def number(self) -> int | None:
        """The number, None where it is none of decimal digits."""
        whole = self.tag == "tag:yaml.org,2002:int" and self.written.isascii() and self.written.isdigit()
        return int(self.written) if whole and len(self.written) < 10 else None


class StrictYamlError(ValueError):
    """A text is no such YAML; the message says why and where, without the text: it may hold a customer's words."""


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None:
            raise StrictYamlError(f"line {event.start_mark.line + 1}: an anchor or alias")
        return super().compose_node(parent, index)


def read_strict(text: str) -> object:
    """Return what a document holds: `str`, `list`, `dict` with texts as keys, and `Plain` for all else.

    Raises:
        StrictYamlError: it is no YAML, or holds what is not allowed.

    """
    if len(text) > MOST:
        raise StrictYamlError(f"it has more than {MOST} characters")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
        return _value(node)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else type(error).__name__
    except StrictYamlError:
        raise
    except (ValueError, ArithmeticError) as error:  # from an escape that is no character
        where = type(error).__name__
    raise StrictYamlError(where)


def _value(node: Any) -> object:
    if isinstance(node, yaml.ScalarNode):
        if any("\ud800" <= char <= "\udfff" for char in node.value):
            raise StrictYamlError(f"line {node.start_mark.line + 1}: half of a character")
        return node.value if node.tag == "tag:yaml.org,2002:str" else Plain(node.tag, node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    if not isinstance(node, yaml.MappingNode):
        return None  # an empty document
    found: dict[str, object] = {}
    for key, item in node.value:
        name = _value(key)
        if not isinstance(name, str) or name in found:
            why = "a key that is no text" if not isinstance(name, str) else "a key that stands there twice"
            raise StrictYamlError(f"line {key.start_mark.line + 1}: {why}")
        found[name] = _value(item)
    return found
