"""Posted forms, read with a limit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from learning.review import is_unsayable

MAX_REASON = 500  # characters
MAX_FIELDS = 500  # a proposal's form has about thirty


class BodyTooLarge(Exception):
    """A request's body is larger than the hub accepts."""


@dataclass(frozen=True)
class Form:
    """The fields of a posted form, with plain line feeds as line ends."""

    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """Return the first value of a field without surrounding space, empty if it was not sent."""
        values = self.fields.get(name, ())
        return values[0].strip() if values else ""

    @property
    def reason(self) -> str:
        """What a person gave as the reason: one that can be kept and shown, of at most 500 characters."""
        said = "".join(" " if is_unsayable(char) else char for char in self.get("reason"))
        return said.strip()[:MAX_REASON].rstrip()

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a field."""
        return self.fields.get(name, ())


async def read_form(body: AsyncIterator[bytes], limit: int) -> Form:
    """Read an urlencoded body of at most `limit` bytes.

    Raises:
        BodyTooLarge: it is longer.
        ValueError: it is no form.

    """
    received = bytearray()
    async for chunk in body:
        received += chunk
        if len(received) > limit:
            raise BodyTooLarge
    parsed = parse_qs(
        received.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS, separator="&"
    )
    return Form(
        {
            # PostgreSQL keeps no NUL in any text.
            name: tuple(value.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "") for value in values)
            for name, values in parsed.items()
        }
    )
