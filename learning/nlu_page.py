"""The report as one HTML file that needs nothing else: no script, no font, no address to fetch from."""

from __future__ import annotations

import os
import re
import tempfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from markupsafe import Markup, escape

from learning.errors import SettingsError
from learning.model import FALLBACK_INTENT
from learning.nlu_picture import DARK, LIGHT, draw_confusion, shown_intents
from learning.nlu_report import NluReport

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = 12  # of a list before "show all"
MOST = 200  # of a list at all; the rest is in --json


def render_page(report: NluReport, say: Callable[[str], None] = lambda step: None) -> str:
    """Return the page as HTML; everything from the data is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "share": share, "breakable": breakable}
    pictures: tuple[str, ...] = ()
    drawn: list[str] = []
    if report.scores:
        drawn = shown_intents(report.scores, report.order)
        if drawn:
            say(f"drawing the confusion matrix of {len(drawn)} intents")
            pictures = tuple(_embedded(draw_confusion(report.scores, report.order, theme)) for theme in (LIGHT, DARK))
    return environment.get_template("nlu_report.html.jinja").render(
        report=report,
        scores=report.scores,
        data=report.data,
        usage=report.usage,
        pictures=pictures,
        drawn=len(drawn),
        examples={size.label: size.examples for size in report.data.sizes},
        fallback=FALLBACK_INTENT,
        shown=SHOWN,
        most=MOST,
    )


def write_page(path: Path, html: str) -> None:
    """Write the page so that a reader sees the old one or the new one, never half of it.

    Raises:
        SettingsError: the file cannot be written.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
                file.write(html)
            Path(name).chmod(0o644)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(
            f"cannot be written ({error.strerror})", str(path), "choose another file with --out"
        ) from error


def percent(value: float | None) -> str:
    """Return a share as percent with one digit, a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f} %"


def share(value: float | None) -> str:
    """Return a share as whole percent, a dash where there is none."""
    return "–" if value is None else f"{100 * value:.0f} %"


def breakable(name: str) -> Markup:
    """Return a name, escaped, that may go on in the next line after `_` and `/` where a phone is too narrow."""
    return Markup(re.sub("([_/])", r"\1<wbr>", str(escape(name))))


def _embedded(png: bytes) -> str:
    return "data:image/png;base64," + b64encode(png).decode("ascii")
