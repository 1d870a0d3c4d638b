"""The audit log: filtered, page by page, and as a file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import islice
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hub.context import hub_of
from hub.routing import page
from hub.staff.roles import Right
from hub.texts import releases as release_texts
from learning.audit_files import Format, write_rows
from learning.loop import Loop

ROWS_SHOWN = 100
AT_ONCE = 500  # rows that are put into one piece of an export
MAX_FILTER = 255  # characters, as many as the longest column holds
FILTERS = ("item", "who", "what", "since", "until")
MEDIA_TYPES = {Format.JSONL: "application/jsonl", Format.CSV: "text/csv; charset=utf-8"}


def audit(request: Request) -> Response:
    """Show the newest rows that fit."""
    hub = hub_of(request)
    asked = {name: request.query_params.get(name, "")[:MAX_FILTER].replace("\0", "").strip() for name in FILTERS}
    before = request.query_params.get("before", "")
    problem = ""
    try:
        since, until = _day(asked["since"]), _day(asked["until"])
        beyond = until + timedelta(days=1) if until else None
    except (ValueError, OverflowError):
        since = beyond = None
        problem = release_texts.NEED_DATE
    rows = list(
        hub.loop.store.read_audit(
            item=asked["item"],
            who=asked["who"],
            what=asked["what"],
            since=since,
            until=beyond,
            before=int(before) if before.isascii() and before.isdigit() and len(before) <= 9 else None,
            newest_first=True,
            limit=ROWS_SHOWN + 1,
        )
    )
    older = rows[ROWS_SHOWN - 1].seq if len(rows) > ROWS_SHOWN else None
    kept = {name: value for name, value in asked.items() if value}
    return hub.renderer.page(
        request,
        "audit.html",
        422 if problem else 200,
        rows=rows[:ROWS_SHOWN],
        asked=asked,
        older=f"/audit?{urlencode({**kept, 'before': older})}" if older else "",
        newest=f"/audit?{urlencode(kept)}" if before else "",
        problem=problem,
    )


def export(request: Request) -> Response:
    """Send the whole log, a piece at a time."""
    try:
        format = Format(request.path_params["format"])
    except ValueError:
        raise HTTPException(404) from None
    headers = {"Content-Disposition": f'attachment; filename="audit.{format.value}"'}
    pieces = _pieces(hub_of(request).loop, format)
    return StreamingResponse(pieces, media_type=MEDIA_TYPES[format], headers=headers)


def _pieces(loop: Loop, format: Format) -> Iterator[bytes]:
    last, _ = loop.store.audit_end()
    rows = loop.store.read_audit(before=last + 1)
    is_first = True
    while True:
        out = io.StringIO(newline="")
        count = write_rows(islice(rows, AT_ONCE), out, format, with_header=is_first)
        if out.tell():
            yield out.getvalue().encode()
        if count < AT_ONCE:
            return
        is_first = False


def _day(text: str) -> datetime | None:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc) if text else None


ROUTES = (
    page("/audit", audit, Right.AUDIT),
    page("/audit/export/{format}", export, Right.AUDIT),
)
