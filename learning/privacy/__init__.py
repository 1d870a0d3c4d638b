"""Personal data is replaced by placeholders before a text leaves the tracker store.

`structured` finds what has a form of its own, `addresses` finds streets, `names` finds people; `spans` and
`placeholders` turn that into text. See docs/privacy.md.
"""

from __future__ import annotations

from learning.privacy.redactor import ConversationRedactor, PatternRedactor
from learning.privacy.spans import LONGEST, Span

__all__ = ["LONGEST", "ConversationRedactor", "PatternRedactor", "Span"]
